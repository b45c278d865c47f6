"""Reconfigure for a year in blocks: a topology for each block, few switch operations, limits kept in every step."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools
from openpoint.grid.grid import Grid
from openpoint.grid.today import why_no_loss
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.columns import finite
from openpoint.results.iterations import iterations_table
from openpoint.scenarios.year.blocks import Blocks, read_blocks
from openpoint.studies.reconfigure.options import ReconfigureSeasonsOptions
from openpoint.studies.reconfigure.schema import ITERATIONS
from openpoint.studies.reconfigure.year import tables as of_year
from openpoint.studies.reconfigure.year.search import scaled
from openpoint.studies.reconfigure.year.seasons import tables
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult
from openpoint.studies.reconfigure.year.seasons.search import PlanFound, PlanTask, search_plan
from openpoint.studies.reconfigure.year.study import PreparedYear, in_mwh, mismatch, steps_to_check, year_of
from openpoint.studies.reconfigure.year.tables import Shown
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress, Termination, relative_gap

OF_BLOCK = 8
"""Steps of a block that are checked by the equations of the network, beside its extremes."""


def prepare(grid: Grid, options: ReconfigureSeasonsOptions) -> Prepared[SeasonsResult]:
    """A radial state for each block of a year, of least energy lost, with few switch operations between the blocks.

    See `openpoint.search.switching`; the blocks are those of `openpoint.scenarios.year.blocks`. The limits are kept in
    every step.

    Raises:
        InputError: the grid, the year or the blocks have faults, or a locked branch is unknown.
        OptionError: options that contradict each other, a grid of several phases, a year of another grid.
    """
    prepared = year_of("reconfigure-seasons", grid, options, options.year)
    return PreparedSeasons(prepared, read_blocks(options.blocks, prepared.year), options)


@dataclass(frozen=True, eq=False)
class PreparedSeasons:
    """A question about a year in blocks, ready to be solved.

    Attributes:
        of_year: grid, year and method. blocks: of its steps. question: how many operations, and what they cost.
    """

    of_year: PreparedYear
    blocks: Blocks
    question: ReconfigureSeasonsOptions
    unit: str = "MWh"

    @property
    def grid(self) -> Grid:
        """The grid, with what is asked for given to the choice."""
        return self.of_year.grid

    @property
    def heading(self) -> str:
        """The steps and blocks of the year, and the method."""
        year, method = self.of_year.heading.split("\n")
        return f"{year}, {words.count(len(self.blocks), 'block')}\n{method}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> SeasonsResult:
        """The result, verified by exact AC power flow in every step.

        Raises:
            OptionError: a grid that the bound is not valid for.
        """
        task, method, asked = self.of_year.task, self.of_year.method, self.question
        network = task.network
        price = asked.switching_kwh / float(task.hours.sum()) / network.s_base_kva
        plan = PlanTask(task, self.blocks, asked.switchings_a_year, price, asked.from_today)
        with deadline_of(method.time_limit_s, deadline) as until:
            before = Shown(network.closed, task.flows(network.closed))
            found = search_plan(plan, method.least_gap, in_mwh(progress, task), until)
            return self._result(found, before)

    def _result(self, found: PlanFound, before: Shown) -> SeasonsResult:
        task, year, asked, outcome = self.of_year.task, self.of_year.year, self.question, found.outcome
        stations, grid, blocks, plan = task.stations, self.of_year.grid, self.blocks, outcome.closed
        network, before = stations.whole, of_year.closed_again(task, before)
        parts = tables.solved(task, blocks, plan)
        closed = None if plan is None else plan | stations.dropped
        known = tables.states_of(network, closed, blocks.names)
        after = None if closed is None else tables.whole_year(network, parts, task.hours)
        shown: of_year.Two = {"before": before if np.isfinite(before.flows.loss).any() else None, "after": after}
        mean_mwh = network.s_base_kva * float(year.hours.sum()) / 1000.0
        counts = _operations(closed, network.closed)
        checked, worst = _checked(parts)
        return SeasonsResult(
            grid=grid,
            method=str(self.of_year.method),
            termination=outcome.termination,
            seconds=outcome.seconds,
            gap=relative_gap(outcome.lower_bound * network.s_base_kva, outcome.upper_bound * network.s_base_kva),
            hours=float(year.hours.sum()),
            switchings_a_year=asked.switchings_a_year,
            switching_kwh=float(asked.switching_kwh),
            from_today=asked.from_today,
            operations=None if counts is None else counts[1] + (counts[0] if asked.from_today else 0),
            operations_to_first=None if counts is None else counts[0],
            operations_back=None if counts is None else counts[2],
            energy_before_mwh=before.energy_mwh(network, year.hours),
            energy_mwh=None if after is None else after.energy_mwh(network, year.hours),
            energy_bound_mwh=outcome.lower_bound * mean_mwh,
            objective_kw=None if closed is None else finite(outcome.upper_bound * network.s_base_kva),
            lower_bound_kw=outcome.lower_bound * network.s_base_kva,
            open_before=states.open_names(network, network.closed),
            states=known,
            infeasible_block=None if outcome.infeasible is None else blocks.names[outcome.infeasible],
            least_violation_open=()
            if closed is not None or found.least_violation is None
            else states.open_names(network, found.least_violation | stations.dropped),
            steps_broken_before=None if shown["before"] is None else int(before.broken.sum()),
            steps_broken=None if after is None else int(after.broken.sum()),
            ac_max_mismatch_pu=worst,
            checked_steps=checked,
            blocks=tables.blocks(year, network, parts, known, before, asked.from_today),
            switchings=tables.switchings(grid, year, parts, known, asked.from_today),
            steps=of_year.steps(year, network, shown),
            violations=tables.violations(year, blocks, task, outcome.infeasible, found.least_violation, parts),
            iterations=iterations_table(tuple(scaled(line, network.s_base_kva) for line in outcome.log), ITERATIONS),
            notes=tuple(self._notes(outcome.termination, shown["before"] is None, counts)),
        )

    def _notes(self, why: Termination, unknown: bool, counts: tuple[int, int, int] | None) -> list[str]:
        grid, year, asked = self.of_year.grid, self.of_year.year, self.question
        stations = self.of_year.task.stations
        notes = [*grid.figure_notes, *year.notes, *states.of_couplers(stations)]
        if unknown:
            notes.append(why_no_loss(grid, " in any step"))
        if counts is not None and counts[0] and not asked.from_today:
            notes.append(
                f"{counts[0]} operations from today's state to that of the first block do not count; --from-today (in "
                "Python from_today) counts them"
            )
        if counts is not None and counts[2]:
            notes.append(
                f"{counts[2]} operations from the last block back to the first do not count; a year that is repeated "
                "needs them, too"
            )
        if why is Termination.INFEASIBLE and asked.from_today and asked.switchings_a_year is not None:
            notes.append("operations count from today's state; more of them may keep the limits")
        return notes


def _operations(plan: Bools | None, today: Bools) -> tuple[int, int, int] | None:
    """Operations of a plan: from today to the first block, between the blocks, and from the last back to the first."""
    if plan is None:
        return None
    between = int((plan[1:] != plan[:-1]).sum())
    return int((plan[0] != today).sum()), between, int((plan[-1] != plan[0]).sum())


def _checked(parts: list[tables.BlockFlows]) -> tuple[int, float | None]:
    """Steps of a plan that are checked by the equations of the network, and the largest mismatch in them."""
    count, worst = 0, list[float]()
    for part in parts:
        if part.after is not None:
            steps = steps_to_check(part.after, OF_BLOCK)
            found = mismatch(part.task, part.after, steps)
            count += len(steps)
            worst += [] if found is None else [found]
    return count, max(worst, default=None)


reconfigure_seasons = function("reconfigure_seasons", ReconfigureSeasonsOptions, prepare)
