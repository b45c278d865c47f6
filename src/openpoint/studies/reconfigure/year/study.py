"""Reconfigure for a year: one topology of least energy lost, with the limits kept in every step."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Ints
from openpoint.errors import OptionError
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.grid.today import with_outputs_as_given
from openpoint.network.limits import greatest_square
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flows
from openpoint.powerflow.meshed import flows_at, less_generation
from openpoint.results import ac_tables as states
from openpoint.scenarios.year.read import Year, YearLike, read_year
from openpoint.search.methods import TopologySearch
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.options import OpenPoints, ReconfigureYearOptions
from openpoint.studies.reconfigure.result import SoftLimits
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.reconfigure.year.phases import prepare_phases_year
from openpoint.studies.reconfigure.year.result import YearResult
from openpoint.studies.reconfigure.year.search import (
    InUnit,
    KnownFlows,
    YearFound,
    YearTask,
    closed_in,
    search_softly,
    search_year,
)
from openpoint.studies.reconfigure.year.tables import Answered, Shown, Two, heading_of, year_result
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

PIECE = 1024
"""Steps whose currents of all branches are in memory at once."""


def closed_again(task: YearTask, shown: Shown) -> Shown:
    """A topology in the grid itself, with its permanently closed loops closed.

    The voltages are those of the opened network (`openpoint.network.stations`), and so is all that is not of branches
    in loops, whose currents and losses are worked out in every step.
    """
    stations, flows = task.stations, shown.flows
    if not stations.dropped.any():
        return shown
    closed = shown.closed | stations.dropped
    some = stations.joined | stations.couplers
    excess, energy = flows.excess.copy(), np.where(some, 0.0, flows.energy)
    i_of, i_at = np.where(some, 0.0, flows.i_of), np.where(some, -1, flows.i_at)
    most = np.where(stations.wider | stations.unlimited, stations.whole.l_max, np.inf)
    for begin in range(0, len(task.hours), PIECE):
        part = slice(begin, min(begin + PIECE, len(task.hours)))
        demand = task.demand.rows(part)
        power = less_generation(stations.whole, demand, stations.whole.generator_s[None])
        exact = flows_at(stations.whole, closed, solve(stations.opened, shown.closed, s_power=demand).v, power)
        i, loss = exact.i_rated[:, some], (exact.s_fr + exact.s_to).real[:, some]
        solved = np.isfinite(loss).all(axis=1)
        i[~solved] = -np.inf
        step = i.argmax(axis=0)
        more = i[step, np.arange(i.shape[1])] > i_of[some]
        i_at[some] = np.where(more, begin + step, i_at[some])
        i_of[some] = np.maximum(i_of[some], i.max(axis=0))
        energy[some] += task.hours[part][solved] @ loss[solved]
        over = exact.i_rated**2 / most - 1.0
        excess[part] += np.where(solved, np.where(exact.i_rated**2 > greatest_square(most), over, 0.0).sum(axis=1), 0.0)
    return Shown(closed, replace(flows, excess=excess, i_of=i_of, i_at=i_at, energy=energy))


GAP = 1e-4
"""Relative gap at which to stop if none is given."""
CHECKED = 48
"""Steps that are checked by the equations of the network, beside the extremes."""


def prepare(grid: Grid, options: ReconfigureYearOptions) -> Prepared[YearResult]:
    """The radial state of least energy lost over a year, one topology for all of its steps.

        min  mean loss + change_cost_kw · changes   over radial states;  exact AC power flow and limits in every step

    See `openpoint.search.futures.model`.

    Raises:
        InputError: the grid or the year has faults, or a locked branch is unknown.
        OptionError: options that contradict each other, a year of another grid, or what a grid of phases does not take.
    """
    if has_phases(grid):
        return prepare_phases_year(grid, options)
    return replace(year_of("reconfigure-year", grid, options, options.year), soft_limits=options.soft_limits)


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
        soft_limits: as of `reconfigure-year`.
    """

    grid: Grid
    year: Year
    task: YearTask
    method: TopologySearch
    soft_limits: bool = False
    unit: str = "MWh"

    @property
    def heading(self) -> str:
        """The steps of the year, and the method."""
        return heading_of(self.year, self.method)

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> YearResult:
        """The result, verified by exact AC power flow in every step.

        Raises:
            OptionError: a grid that the bound is not valid for.
        """
        network, task = self.task.network, self.task
        with deadline_of(self.method.time_limit_s, deadline) as until:
            known = KnownFlows(task)
            before = Shown(network.closed, known.always(network.closed))
            seen, soft = in_mwh(progress, task), None
            if self.soft_limits:
                found, soft = search_softly(task, self.method, seen, until, known)
            else:
                found = search_year(task, self.method, seen, until, known=known)
            return self._result(found, before, soft)

    def _result(self, found: YearFound, before: Shown, soft: SoftLimits | None) -> YearResult:
        task, year, outcome = self.task, self.year, found.outcome
        network, before = task.stations.whole, closed_again(task, before)
        after = None
        if (state := closed_in(outcome)) is not None:
            after = closed_again(task, Shown(state, found.known.always(state)))
        both: Two = {"before": before if np.isfinite(before.flows.loss).any() else None, "after": after}
        checked = np.empty(0, dtype=np.int64) if after is None else steps_to_check(after)
        answered = Answered(
            outcome,
            both,
            groups=found.groups,
            checked=len(checked),
            mismatch=None if after is None else mismatch(task, after, checked),
            notes=states.of_couplers(task.stations),
            soft=soft,
            may_soften=not self.soft_limits,
        )
        return year_result(self.grid, year, network, self.method, answered)


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
