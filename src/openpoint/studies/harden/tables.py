"""The tables of a result of hardening, over all disasters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results.columns import dtypes, finite, frame
from openpoint.studies.harden import aftermath as single
from openpoint.studies.harden.aftermath import AfterDisaster
from openpoint.studies.harden.model import HardenProgram, Threat
from openpoint.studies.harden.schema import HARDEN


def disasters(
    program: HardenProgram,
    threat: Threat,
    values: Floats | None,
    weights: Floats | None,
    shown: Sequence[AfterDisaster],
) -> pl.DataFrame:
    """A row a distinct disaster, or one for the worst attack."""
    given = threat.disasters
    if given is None:
        rows = [
            _row(program, (each.name, 1, None, None, _names(program, each.plan.broken)), each.plan.cost_usd, each)
            for each in shown
        ]
        return frame(HARDEN.tables["disasters"], rows)
    by_number = {each.number: each for each in shown}
    rows = []
    for k, name in enumerate(given.names):
        cost = None if values is None else float(values[k])
        weight = None if weights is None else float(weights[k])
        probability = float(given.probabilities[k])
        head = (name, int(threat.count[k]), probability, weight, _names(program, given.broken[k]))
        rows.append(_row(program, head, cost, by_number.get(k)))
    return frame(HARDEN.tables["disasters"], rows)


def _row(
    program: HardenProgram, head: tuple[object, ...], cost: float | None, after: AfterDisaster | None
) -> tuple[object, ...]:
    """A disaster: name, number, probability, weight and what breaks, then what follows from it."""
    load = single.load_kw(program).sum()
    shed = _shed_by_cost(program, cost) if after is None else single.shed_kw(after.plan)
    share = None if shed is None else 100.0 * shed / load if load > 0.0 else 0.0
    if after is None:
        return (*head, cost, shed, share, None, None, None)
    return (*head, cost, shed, share, len(after.plan.roots), finite(after.check.max_mismatch), len(after.violations))


def _shed_by_cost(program: HardenProgram, cost: float | None) -> float | None:
    """The load shed at a cost, where nothing else costs anything and all loads are worth the same."""
    voll = program.voll_usd_per_kw
    if cost is None or program.closed_line_usd > 0.0 or voll[0] <= 0.0 or np.ptp(voll) > 0.0:
        return None
    return cost / float(voll[0])


def _names(program: HardenProgram, branches: Bools) -> str:
    return join_names(program.network.branch_names[e] for e in np.flatnonzero(branches))


def after_disasters(program: HardenProgram, grid: Grid, shown: Sequence[AfterDisaster]) -> dict[str, pl.DataFrame]:
    """Buses, branches, what feeds and limits broken, after every disaster shown."""
    return {
        "buses": _all("buses", [single.bus_table(program, each) for each in shown]),
        "branches": _all("branches", [single.branch_table(program, grid, each) for each in shown]),
        "sources": _all("sources", [single.source_table(program, grid, each) for each in shown]),
        "violations": _all("violations", [single.violation_table(each) for each in shown]),
    }


def _all(name: str, frames: list[pl.DataFrame]) -> pl.DataFrame:
    schema = dtypes(HARDEN.tables[name])
    return pl.concat([pl.DataFrame(schema=schema), *(frame.cast(pl.Schema(schema)) for frame in frames)])
