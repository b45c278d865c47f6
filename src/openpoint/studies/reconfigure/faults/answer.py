"""The answer of a search with faults as a result: that of a reconfiguration, with what faults do before and after."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import polars as pl

from openpoint.powerflow.state import AcState
from openpoint.results import columns as c
from openpoint.search.methods import Log
from openpoint.studies.reconfigure.answer import radial_result
from openpoint.studies.reconfigure.faults.evaluator import ENDLESS, FaultFigures
from openpoint.studies.reconfigure.faults.result import UNITS, FaultSummary, SecuredResult
from openpoint.studies.reconfigure.faults.schema import FAULTS
from openpoint.studies.reconfigure.faults.search import Found
from openpoint.studies.reconfigure.faults.setup import Prepared
from openpoint.studies.reconfigure.faults.task import FaultLimits, FaultTask, Sought
from openpoint.studies.reconfigure.result import TopologyResult


def secured_result(
    prepared: Prepared, task: FaultTask, found: Found, log: Log, before: AcState | None
) -> SecuredResult:
    """The result of a search for what is sought in a task."""
    program, result, sought = prepared.program, found.result, task.sought
    if sought is Sought.LOSS:
        outcome = program.outcome_of(result, log)
    else:  # what is bounded is no loss
        best = found.best
        value = best.loss if best is not None and result.closed is not None else np.inf
        outcome = program.outcome_of(replace(result, value=value, lower_bound=-np.inf), Log(log.s_base_kva, None))
        outcome = replace(outcome, log=())
    plain = radial_result(prepared.grid, program, prepared.stations, f"FaultSearch({sought})", before, outcome, None)
    figures = None if found.best is None or result.closed is None else found.best.figures
    scale = prepared.scale(sought)
    given = {field.name: getattr(plain, field.name) for field in fields(TopologyResult)}
    given["notes"] = (*plain.notes, *prepared.notes)
    if sought is not Sought.LOSS:
        given |= {"gap": result.gap, "objective_kw": None}
    return SecuredResult(
        **given,
        minimized=sought.value,
        minimized_value=None if figures is None else scale * result.value,
        minimized_bound=scale * result.lower_bound,
        fault_limit=limit_words(prepared, task.limits),
        before=summary(prepared, prepared.today),
        after=summary(prepared, figures),
        faults=_fault_table(prepared, figures),
    )


def limit_words(prepared: Prepared, limits: FaultLimits) -> str:
    """What faults may do at most."""
    texts = []
    if not limits.may.all():
        texts.append("no fault less restorable than today")
    if limits.most < ENDLESS:
        texts.append(f"at most {limits.most} unrestorable faults")
    for index, most in limits.at_most.items():
        texts.append(f"{index.name} at most {prepared.scale(index) * most:.6g} {UNITS[index]}")
    return ", ".join(texts)


def summary(prepared: Prepared, figures: FaultFigures | None) -> FaultSummary:
    """The figures of a state; indices only where there are data for them."""
    if figures is None:
        return FaultSummary()
    if not prepared.has_rates:
        return FaultSummary(figures.count)
    customers = prepared.customers
    return FaultSummary(
        figures.count,
        figures.interruptions / customers if customers else None,
        figures.hours / customers if customers else None,
        figures.kwh,
    )


def _fault_table(prepared: Prepared, figures: FaultFigures | None) -> pl.DataFrame:
    """A row a branch that may have a fault, those first whose verdict differs."""
    places = prepared.grid.branches().select("kind", "name", "from_bus", "to_bus").to_dicts()
    data = prepared.evaluator.data
    rows = []
    for e in np.flatnonzero(data.fails).tolist():
        row = dict(places[e])
        for when, state, closed in (
            ("before", prepared.today, prepared.program.network.closed),
            ("after", figures, None if figures is None else figures.closed),
        ):
            at_fault = state is not None and closed is not None and bool(closed[e] or data.hangs[e])
            row[f"restorable_{when}"] = not state.unrestorable[e] if at_fault and state is not None else None
        rows.append(row)
    table = c.frame(FAULTS, rows)
    differs = pl.col("restorable_before").fill_null(True) != pl.col("restorable_after").fill_null(True)
    return table.sort(differs, descending=True, maintain_order=True)
