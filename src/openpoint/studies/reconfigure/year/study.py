"""The tables of a result for a year.

Reconfigure for a year: one topology of least energy lost, with the limits kept in every step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.today import why_no_loss, with_outputs_as_given
from openpoint.network import Network
from openpoint.network.limits import greatest_square, least_square, loadings
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.check import check_flows
from openpoint.powerflow.meshed import flows_at, less_generation
from openpoint.powerflow.series import SeriesFlows
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.columns import filled, finite, frame
from openpoint.results.common import iterations_table
from openpoint.results.violation import Violation
from openpoint.scenarios.year.read import Year, YearLike, read_year
from openpoint.search.methods import TopologySearch
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.options import OpenPoints, ReconfigureYearOptions
from openpoint.studies.reconfigure.result import ITERATIONS, SoftLimits
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.reconfigure.soft import SOFTLY, not_kept
from openpoint.studies.reconfigure.year.result import BRANCHES, BROKEN, BUSES, STEPS, YearResult
from openpoint.studies.reconfigure.year.search import (
    InUnit,
    KnownFlows,
    YearFound,
    YearTask,
    closed_in,
    search_softly,
    search_year,
)
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress, Termination

PIECE = 1024
"""Steps whose currents of all branches are in memory at once."""


@dataclass(frozen=True, eq=False)
class Shown:
    """A topology and its power flows in all steps."""

    closed: Bools
    flows: SeriesFlows

    @property
    def broken(self) -> Bools:
        """(T) steps in which limits are broken, or that have no flow."""
        return np.asarray(self.flows.excess > 0.0)

    def energy_mwh(self, network: Network, hours: Floats) -> float | None:
        """Energy lost; None where a step has no flow."""
        lost = float(self.flows.loss @ hours) * network.s_base_kva / 1000.0
        return lost if np.isfinite(lost) else None


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


Two = dict[str, Shown | None]
"""Today's topology, `before`, and the answer, `after`; None where there is none, or no flow in any step."""


def steps(year: Year, network: Network, both: Two) -> pl.DataFrame:
    """A row a step."""
    columns: dict[str, object] = {"step": list(year.names), "hours": year.hours, "demand_kw": year.total_kw()}
    for key, shown in both.items():
        if shown is not None:
            loss = shown.flows.loss * network.s_base_kva
            columns[f"loss_{key}_kw"] = np.where(np.isfinite(loss), loss, np.nan)
            columns |= {f"v_min_{key}_pu": shown.flows.v_low, f"v_max_{key}_pu": shown.flows.v_high}
            columns[f"broken_{key}"] = shown.broken
    return filled(STEPS, columns)


def buses(year: Year, network: Network, both: Two) -> pl.DataFrame:
    """Lowest and highest voltage of every bus in any step."""
    columns: dict[str, object] = {
        "name": list(network.bus_names),
        "vn_kv": network.v_base_kv,
        **states.bus_limits(network),
    }
    held = dict(zip(network.source_terminal.tolist(), np.abs(network.source_v).tolist()))
    at_sources = np.array([held.get(n, np.nan) for n in range(network.n_terminals)])
    for key, shown in both.items():
        if shown is not None:
            flows = shown.flows
            columns[f"v_lowest_{key}_pu"] = np.where(np.isfinite(at_sources), at_sources, flows.v_low_of)
            columns[f"v_highest_{key}_pu"] = np.where(np.isfinite(at_sources), at_sources, flows.v_high_of)
            columns[f"v_lowest_{key}_step"] = _names(year, flows.v_low_at)
            columns[f"v_highest_{key}_step"] = _names(year, flows.v_high_at)
    return filled(BUSES, columns)


def branches(grid: Grid, year: Year, network: Network, both: Two, today: Bools) -> pl.DataFrame:
    """State of every branch, its highest current in any step, and the energy lost in it."""
    table = grid.branches()
    columns: dict[str, object] = {
        **{name: table[name] for name in ("kind", "name", "from_bus", "to_bus", "switchable")},
        "closed_before": today,
        **states.limits_of_current(network),
    }
    for key, shown in both.items():
        if shown is not None:
            columns[f"closed_{key}"] = shown.closed
            columns[f"i_highest_{key}_a"] = shown.flows.i_of * network.i_base_a
            columns[f"i_highest_{key}_step"] = _names(year, shown.flows.i_at)
            columns[f"loading_highest_{key}_percent"] = loadings(network, shown.flows.i_of)
            columns[f"energy_lost_{key}_kwh"] = shown.flows.energy * network.s_base_kva
    return filled(BRANCHES, columns)


def broken_limits(year: Year, network: Network, shown: Shown | None) -> list[tuple[Violation, str]]:
    """Limits that are broken, each with the step in which it is broken most."""
    if shown is None:
        return []
    flows = shown.flows
    low = np.flatnonzero(flows.v_low_of**2 < least_square(network.w_min))
    high = np.flatnonzero(flows.v_high_of**2 > greatest_square(network.w_max))
    over = np.flatnonzero(flows.i_of**2 > greatest_square(network.l_max))
    none = np.empty(0, dtype=np.int64)
    i_a = flows.i_of * network.i_base_a
    found = []
    for kind, v, at, numbers in (
        ("voltage low", flows.v_low_of, flows.v_low_at, (low, none, none)),
        ("voltage high", flows.v_high_of, flows.v_high_at, (none, high, none)),
        ("current", flows.v_low_of, flows.i_at, (none, none, over)),
    ):
        place = network.branch_names if kind == "current" else network.bus_names
        step = {place[int(n)]: year.names[int(at[n])] for n in np.concatenate(numbers)}
        found += [(each, step[each.name]) for each in states.broken_limits(network, v, i_a, *numbers)]
    return found


def as_table(broken: list[tuple[Violation, str]]) -> pl.DataFrame:
    """A row a broken limit."""
    return frame(BROKEN, [{**each.row, "step": step} for each, step in broken])


def _names(year: Year, at: Ints) -> list[str | None]:
    return [year.names[n] if n >= 0 else None for n in at.tolist()]


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
        OptionError: options that contradict each other, a grid of several phases, a year of another grid.
    """
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
        answered = outcome.decision is not None and after is not None
        both: Two = {"before": before if np.isfinite(before.flows.loss).any() else None, "after": after}
        checked = np.empty(0, dtype=np.int64) if after is None else steps_to_check(after)
        notes = [*self.grid.figure_notes, *year.notes, *states.of_couplers(task.stations)]
        if both["before"] is None:
            notes.append(why_no_loss(self.grid, " in any step"))
        if outcome.termination is Termination.INFEASIBLE and after is None:
            notes.append("no radial state has a power flow solution in every step: check loads and profiles")
        broken = broken_limits(year, network, after)
        if soft is not None:
            notes.append(not_kept(tuple(each for each, _ in broken), soft))
        elif after is not None and not answered and not self.soft_limits:
            notes.append(SOFTLY)
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
            steps=steps(year, network, both),
            buses=buses(year, network, both),
            branches=branches(self.grid, year, network, both, network.closed),
            soft_limits=soft,
            violations=as_table(broken),
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
