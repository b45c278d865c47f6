"""Reconfigure for a year: one topology of least energy lost, with the limits kept in every step."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Ints
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.today import why_no_loss, with_outputs_as_given
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flows
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.columns import finite
from openpoint.results.iterations import iterations_table
from openpoint.scenarios.year.read import Year, YearLike, read_year
from openpoint.search.methods import TopologySearch
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.options import OpenPoints, ReconfigureYearOptions
from openpoint.studies.reconfigure.schema import ITERATIONS
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.reconfigure.year import tables
from openpoint.studies.reconfigure.year.result import YearResult
from openpoint.studies.reconfigure.year.search import InUnit, KnownFlows, YearFound, YearTask, search_year
from openpoint.studies.reconfigure.year.tables import Shown, closed_again
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress, Termination

GAP = 1e-4
"""Relative gap at which to stop if none is given."""
CHECKED = 48
"""Steps that are checked by the equations of the network, beside the extremes."""


def prepare(grid: Grid, options: ReconfigureYearOptions) -> Prepared[YearResult]:
    """The radial state of least energy lost over a year, one topology for all of its steps.

        min  mean loss + change_cost_kw · changes   over radial states;  exact AC power flow and limits in every step

    See `openpoint.search.futures.groups`.

    Raises:
        InputError: the grid or the year has faults, or a locked branch is unknown.
        OptionError: options that contradict each other, a grid of several phases, a year of another grid.
    """
    return year_of("reconfigure-year", grid, options, options.year)


def year_of(study: str, grid: Grid, options: OpenPoints, year: YearLike) -> PreparedYear:
    """`prepare` of a year in one block or in several."""
    method = options.chosen
    if method is None:
        gap = GAP if options.gap is None else options.gap
        method = TopologySearch(gap=gap, time_limit_s=options.time_limit_s)
    grid, options = options.on(grid)
    refuse(study, grid)
    known = read_year(year, grid)
    grid, outputs = with_outputs_as_given(grid)
    program, stations = radial_program(grid, options)
    if known.bus_names != program.network.bus_names:
        raise OptionError("this year is of another grid: its buses are not those of this grid, in its order")
    task = YearTask(program, stations, known.demand(program.network.s_base_kva), known.hours)
    return PreparedYear(grid, replace(known, notes=(*known.notes, *outputs)), task, method)


@dataclass(frozen=True, eq=False)
class PreparedYear:
    """A question about a year, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. year: the year. task: the same as arrays. method: the search.
    """

    grid: Grid
    year: Year
    task: YearTask
    method: TopologySearch
    unit: str = "MWh"

    @property
    def heading(self) -> str:
        """The steps of the year, and the method."""
        steps = words.count(len(self.year), "step")
        return f"year: {steps}, {self.year.hours.sum():,.0f} h\nmethod: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> YearResult:
        """The result, verified by exact AC power flow in every step.

        Raises:
            OptionError: a grid that the bound is not valid for.
        """
        network, task = self.task.network, self.task
        with deadline_of(self.method.time_limit_s, deadline) as until:
            known = KnownFlows(task)
            before = Shown(network.closed, known.always(network.closed))
            found = search_year(task, self.method, in_mwh(progress, task), until, known=known)
            return self._result(found, before)

    def _result(self, found: YearFound, before: Shown) -> YearResult:
        task, year, outcome = self.task, self.year, found.outcome
        network, before = task.stations.whole, closed_again(task, before)
        decision = outcome.decision if outcome.decision is not None else outcome.least_violation
        after = None
        if decision is not None:
            after = closed_again(task, Shown(decision > 0.5, found.known.always(decision > 0.5)))
        answered = outcome.decision is not None and after is not None
        both: tables.Two = {"before": before if np.isfinite(before.flows.loss).any() else None, "after": after}
        checked = np.empty(0, dtype=np.int64) if after is None else steps_to_check(after)
        notes = [*self.grid.figure_notes, *year.notes, *states.of_couplers(task.stations)]
        if both["before"] is None:
            notes.append(why_no_loss(self.grid, " in any step"))
        if outcome.termination is Termination.INFEASIBLE and after is None:
            notes.append("no radial state has a power flow solution in every step: check loads and profiles")
        hours = float(year.hours.sum())
        bound_mwh = outcome.lower_bound * hours / 1000.0
        return YearResult(
            grid=self.grid,
            method=str(self.method),
            termination=outcome.termination,
            seconds=outcome.seconds,
            open_before=states.open_names(network, network.closed),
            open_branches=states.open_names(network, after.closed) if answered and after is not None else (),
            least_violation_open=() if answered or after is None else states.open_names(network, after.closed),
            objective_kw=finite(outcome.upper_bound) if answered else None,
            lower_bound_kw=outcome.lower_bound,
            gap=outcome.gap,
            hours=hours,
            groups_count=found.groups,
            energy_before_mwh=before.energy_mwh(network, year.hours),
            energy_mwh=after.energy_mwh(network, year.hours) if answered and after is not None else None,
            energy_bound_mwh=bound_mwh if math.isfinite(bound_mwh) else math.inf,
            steps_broken_before=None if both["before"] is None else int(before.broken.sum()),
            steps_broken=None if after is None else int(after.broken.sum()),
            ac_max_mismatch_pu=None if after is None else mismatch(task, after, checked),
            checked_steps=len(checked),
            steps=tables.steps(year, network, both),
            buses=tables.buses(year, network, both),
            branches=tables.branches(self.grid, year, network, both, network.closed),
            violations=tables.violations(year, network, after),
            iterations=iterations_table(outcome.log, ITERATIONS),
            notes=tuple(notes),
        )


def in_mwh(progress: Progress | None, task: YearTask) -> Progress | None:
    """Progress whose bounds are energies of the year, of bounds in kW."""
    return None if progress is None else InUnit(progress, float(task.hours.sum()) / 1000.0)


def steps_to_check(shown: Shown, most: int = CHECKED) -> Ints:
    """The steps of the extremes that have a flow, and others evenly over the year; `most` of each."""
    flows = shown.flows
    solved = np.flatnonzero(np.isfinite(flows.loss))
    if not len(solved):
        return solved
    loss = flows.loss[solved]
    extreme = [solved[loss.argmax()], solved[loss.argmin()]]
    extreme += [solved[np.argmin(flows.v_low[solved])], solved[np.argmax(flows.v_high[solved])]]
    extreme += flows.i_at[flows.i_at >= 0].tolist()[:most]
    even = solved[np.linspace(0, len(solved) - 1, min(most, len(solved))).round().astype(int)]
    return np.unique(np.concatenate([np.array(extreme, dtype=np.int64), even]))


def mismatch(task: YearTask, shown: Shown, steps: Ints) -> float | None:
    """Largest mismatch in some steps: of power flows by the equations of the grid, and of their losses.

    `shown` has its permanently closed loops closed.
    """
    if not len(steps):
        return None
    demand, stations = task.demand.rows(steps), task.stations
    flows = solve(stations.opened, shown.closed & ~stations.dropped, s_power=demand)
    checks = check_flows(stations.whole, shown.closed, flows.v, demand)
    losses = np.abs(np.array([check.loss for check in checks]) - shown.flows.loss[steps])
    return max(float(losses.max()), *(check.max_mismatch for check in checks))


reconfigure_year = function("reconfigure_year", ReconfigureYearOptions, prepare)
