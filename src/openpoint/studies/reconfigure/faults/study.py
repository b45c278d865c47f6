"""A question about faults made ready: the network, its sections, who is interrupted, and today's figures.

Reconfigure with faults as a limit or an objective: what one tie restores, and interruptions a year.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Generic, TypeVar

import numpy as np
import polars as pl

from openpoint.arguments import all_checked
from openpoint.arrays import Bools
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid
from openpoint.grid.today import with_outputs_as_given
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.state import AcState, ac_state
from openpoint.results import columns as c
from openpoint.search.exchange.ac_check import exchange_branches
from openpoint.search.methods import Log
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.answer import radial_result
from openpoint.studies.reconfigure.faults.arrays import Weights, fault_data
from openpoint.studies.reconfigure.faults.options import FaultQuestion, ReconfigureSecureOptions
from openpoint.studies.reconfigure.faults.result import FAULTS, UNITS, FaultSummary, SecuredResult
from openpoint.studies.reconfigure.faults.search import (
    Found,
    IndexSearch,
    LossSearch,
    floors_of,
    none_keeps,
    unkept_limits,
)
from openpoint.studies.reconfigure.faults.task import (
    ENDLESS,
    UNRESTORABLE,
    FaultEvaluator,
    FaultFigures,
    FaultLimits,
    FaultTask,
    Sought,
    unlimited,
)
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.result import TopologyResult
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.secure.model.faults import sections_on_loops, tree_of
from openpoint.studies.secure.model.indices import by_name, failure_rates, load_of_buses, may_fail
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

Asked = TypeVar("Asked", bound=FaultQuestion)


@dataclass(frozen=True)
class Faults(Generic[Asked]):
    """A grid ready to be asked about its faults.

    Attributes:
        grid: with what is asked for given to the choice. program, stations: as of a reconfiguration.
        evaluator: evaluates faults. today: their figures today, None where it is not radial or has no power flow.
        customers: of all buses, None where none are known. has_rates: whether branches fail at a known rate.
        notes: what changes the meaning of the figures.
    """

    grid: Grid
    program: RadialProgram
    stations: Stations
    question: Asked
    evaluator: FaultEvaluator
    today: FaultFigures | None
    customers: float | None
    has_rates: bool
    notes: tuple[str, ...]

    def task(self, sought: Sought, limits: FaultLimits) -> FaultTask:
        """The task of a search."""
        return FaultTask(self.program.network, self.program.rules, self.evaluator, sought, limits)

    def limits(self) -> FaultLimits:
        """The limits of faults that are asked for.

        Raises:
            InputError: those of today, where there is no radial state today.
        """
        wanted, limits = self.question.restorable, unlimited(self.program.network.n_conductors)
        most = wanted if isinstance(wanted, int) else self.question.most.get(UNRESTORABLE)
        if most is not None:
            limits = replace(limits, most=int(most))
        for index, value in self.question.indices.items():
            limits = limits.with_index(index, value / self.scale(index))
        if wanted is None or isinstance(wanted, int):
            return limits
        if self.today is None:
            remedy = "Give the number of faults that may be unrestorable, or make today's state radial"
            message = "today's state is not radial or has no power flow, so that no fault is restorable as today"
            raise InputError([Problem("branches", "", "closed", message, remedy)])
        return replace(limits, may=self.today.unrestorable)

    def starts(self, deadline: Deadline) -> list[Bools]:
        """Radial states to begin with: today's where it keeps the locks, and one of little loss."""
        program, today = self.program, self.program.network.closed
        found = exchange_branches(program.network, program.rules, deadline=deadline)
        known = [today] if self.today is not None and program.rules.keeps(today) else []
        return [*known, *(closed for closed in (found.closed, found.least_violation) if closed is not None)]

    def scale(self, sought: Sought) -> float:
        """What an index is multiplied by, to be one of a customer, or the loss to be in kW."""
        if sought is Sought.LOSS:
            return self.program.network.s_base_kva
        return 1.0 if sought is Sought.ENS or not self.customers else 1.0 / self.customers


def faults_of_grid(grid: Grid, question: Asked) -> Faults[Asked]:
    """All that a search with faults needs.

    Raises:
        InputError: the grid has faults, a name is unknown, locks leave no radial state; faults of the reliability data.
        OptionError: options that do not go together, several phases, or an index without data.
    """
    data = question.data(grid)
    grid, question = question.on(grid)
    refuse("reconfigure-secure", grid)
    grid, outputs = with_outputs_as_given(grid)
    program, stations = radial_program(grid, question)
    whole, opened = stations.whole, stations.opened
    sections = question.sections(grid, whole, data)
    held = whole.closed & ~whole.switchable
    on_loop = sections_on_loops(whole, sections, held)[sections.of_branch]
    fails = may_fail(whole, not question.lines_only)
    rates, unrated = failure_rates(grid, whole, data, *question.rates)
    weights = Weights(
        load=load_of_buses(grid, whole),
        customers=by_name(data.customers, "bus", "customers", whole.bus_names, 0.0),
        rate=np.zeros(whole.n_conductors) if rates is None else rates,
        repair_h=by_name(data.rates, "branch", "repair_h", whole.branch_names, question.repair_h),
        switching=question.switching(grid.branches()["remote"].to_numpy()),
    )
    needed = [question.sought, *question.indices]
    all_checked(
        *(
            lambda each=each: _check_data(each, bool(data.customers.height), rates is not None, weights)
            for each in needed
        )
    )
    emergency = open_held_meshes(question.after_faults(grid, whole)).opened
    evaluator = FaultEvaluator(
        emergency, fault_data(emergency, sections, fails & ~on_loop & ~stations.dropped, weights)
    )
    today = evaluator.figures(opened.closed) if tree_of(opened, opened.closed) is not None else None
    known = float(weights.customers.sum()) if data.customers.height else None
    notes = _notes(int(np.sum(fails & on_loop)), 0 if rates is None else int(np.sum(unrated & fails)), today)
    notes += outputs if rates is None else (*outputs, *question.doubts)
    return Faults(grid, program, stations, question, evaluator, today, known, rates is not None, notes)


def _check_data(sought: Sought, has_customers: bool, has_rates: bool, weights: Weights) -> None:
    """Refuse an index without the data that it follows from.

    Raises:
        OptionError: saying what is missing.
    """
    missing = []
    if sought is not Sought.LOSS and not has_rates:
        missing.append("faults a year (--failures km=0.05 or branch=0.1, or a table of rates)")
    if sought in (Sought.SAIFI, Sought.SAIDI) and not (has_customers and weights.customers.sum() > 0.0):
        missing.append("customers by bus (the table customers of the reliability data, --reliability)")
    if missing:
        raise OptionError(f"{sought.name} needs {' and '.join(missing)}")
    if sought is Sought.ENS and np.any(weights.load < 0.0):
        raise OptionError("ENS needs loads of 0 or more; move what feeds in to the generators")


def _notes(held: int, unrated: int, today: FaultFigures | None) -> tuple[str, ...]:
    found = []
    if held:
        found.append(
            f"faults of {held} branches on loops that stay closed are left out; `openpoint secure` evaluates them"
        )
    if unrated:
        found.append(f"{unrated} branches have no rate of faults and count as never failing in all figures of a year")
    if today is not None and not today.is_whole:
        found.append("a fault has too many choices of ties for all to be tried: what ties restore may be more")
    return tuple(found)


def secured_result(
    prepared: Faults[Any], task: FaultTask, found: Found, log: Log, before: AcState | None
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


def limit_words(prepared: Faults[Any], limits: FaultLimits) -> str:
    """Limits of what faults do."""
    texts = []
    if not limits.may.all():
        texts.append("no fault less restorable than today")
    if limits.most < ENDLESS:
        texts.append(f"at most {limits.most} unrestorable faults")
    for index, most in limits.at_most.items():
        texts.append(f"{index.name} at most {prepared.scale(index) * most:.6g} {UNITS[index]}")
    return ", ".join(texts)


def summary(prepared: Faults[Any], figures: FaultFigures | None) -> FaultSummary:
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


def _fault_table(prepared: Faults[Any], figures: FaultFigures | None) -> pl.DataFrame:
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


GAP = 1e-4
"""Relative gap at which a search stops unless another is asked for."""


def prepare(grid: Grid, options: ReconfigureSecureOptions) -> Prepared[SecuredResult]:
    """The radial state of least loss, or of least interruptions, whose faults are as restorable as asked for.

    A fault is *restorable* if one tie for each part that it cuts off feeds all load and customers that are not isolated
    with it, within the limits, by exact AC power flow (`openpoint.secure`). A branch and bound finds the state and
    proves it to a gap, 1e-4 unless another is asked for: by the bound of the loss, and by bounds of what faults do in
    all completions of a partial state (`openpoint.studies.reconfigure.faults.arrays`).

    Raises:
        InputError: the grid has faults, or a name is unknown; faults of the reliability data; `"today"` where today's
            state is not radial.
        OptionError: options that do not go together, an index without data for it.
    """
    ready = faults_of_grid(grid, options)
    return PreparedSecure(ready.grid, ready, ready.limits())


@dataclass(frozen=True)
class PreparedSecure:
    """A question about open points and faults, ready to be solved.

    Attributes:
        ready: the grid and its faults. limits: of faults.
    """

    grid: Grid
    ready: Faults[ReconfigureSecureOptions]
    limits: FaultLimits
    heading: str = ""
    unit: str = "kW"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> SecuredResult:
        """The result, verified by exact AC power flow."""
        ready, options, whole = self.ready, self.ready.question, self.ready.stations.whole
        before = ac_state(whole, whole.closed)
        with deadline_of(options.time_limit_s, deadline) as until:
            task = ready.task(options.sought, self.limits)
            gap = GAP if options.gap is None else options.gap
            found, log, notes = searched(ready, task, gap, until, progress)
            result = secured_result(ready, task, found, log, before)
            return replace(result, notes=(*result.notes, *notes))


def searched(
    ready: Faults[Any], task: FaultTask, gap: float, deadline: Deadline, progress: Progress | None
) -> tuple[Found, Log, list[str]]:
    """What the search for the figure sought finds, its log, and notes on limits that no state keeps."""
    sought, log = task.sought, Log(ready.scale(task.sought), progress)
    starts = ready.starts(deadline)
    began = deadline.passed()
    floors = floors_of(task, starts, gap, deadline)
    found = none_keeps(task, floors, deadline.passed() - began)
    if found is None:
        known = [*starts, *(each.best.closed for each in floors if each.best is not None)]
        search = LossSearch if sought is Sought.LOSS else IndexSearch
        found = search(task, gap, deadline, log.on_progress).solve(known)
    units = {each.index: (ready.scale(each.index), UNITS[each.index]) for each in floors}
    shown = log if sought is Sought.LOSS else replace(log, s_base_kva=ready.scale(Sought.LOSS))
    return found, shown, unkept_limits(task, found, floors, units)


reconfigure_secure = function("reconfigure_secure", ReconfigureSecureOptions, prepare)
