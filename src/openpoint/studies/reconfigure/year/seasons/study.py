"""The tables of a result for a year in blocks.

Reconfigure for a year in blocks: a topology for each block, few switch operations, limits kept in every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.grid.today import why_no_loss
from openpoint.network import Network
from openpoint.network.limits import loadings
from openpoint.powerflow.series import SeriesFlows
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.columns import dtypes, finite, frame
from openpoint.results.common import iterations_table
from openpoint.scenarios.year.read import Blocks, Year, read_blocks
from openpoint.studies.reconfigure.options import ReconfigureSeasonsOptions
from openpoint.studies.reconfigure.result import ITERATIONS
from openpoint.studies.reconfigure.year import tables as of_year
from openpoint.studies.reconfigure.year.search import YearTask, scaled
from openpoint.studies.reconfigure.year.seasons.result import (
    BLOCKS,
    BROKEN_IN_BLOCKS,
    SWITCHINGS,
    BlockState,
    SeasonsResult,
)
from openpoint.studies.reconfigure.year.seasons.search import PlanFound, PlanTask, search_plan
from openpoint.studies.reconfigure.year.study import (
    PreparedYear,
    closed_again,
    in_mwh,
    mismatch,
    steps_to_check,
    year_of,
)
from openpoint.studies.reconfigure.year.tables import Shown
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress, Termination, relative_gap

_SWITCHED, _BROKEN = dtypes(SWITCHINGS), dtypes(BROKEN_IN_BLOCKS)


@dataclass(frozen=True, eq=False)
class BlockFlows:
    """A block with its power flows.

    Attributes:
        name: of the block. steps: (t) numbers of its steps. task: the block alone.
        after: the plan, None without one. staying: the state of the block before it, for the first one today's.
    """

    name: str
    steps: Ints
    task: YearTask
    after: Shown | None
    staying: Shown | None


def solved(task: YearTask, blocks: Blocks, plan: Bools | None) -> list[BlockFlows]:
    """The power flows of a (B, E) plan in all steps; a block that takes over the state before it is solved once."""
    found, before = list[BlockFlows](), task.network.closed
    for b, name in enumerate(blocks.names):
        steps = np.flatnonzero(blocks.of == b)
        part = replace(task, demand=task.demand.take(steps), hours=task.hours[steps])
        after = staying = None
        if plan is not None:
            after = closed_again(part, Shown(plan[b], part.flows(plan[b])))
            stays = np.array_equal(plan[b], before)
            staying = after if stays else closed_again(part, Shown(before, part.flows(before)))
            before = plan[b]
        found.append(BlockFlows(name, steps, part, after, staying))
    return found


def states_of(network: Network, plan: Bools | None, names: Sequence[str]) -> tuple[BlockState, ...]:
    """What is open in the blocks of a (B, E) plan, and what is switched at the beginning of each."""
    if plan is None:
        return ()
    branch, found, before = network.branch_names, [], network.closed
    for name, state in zip(names, plan, strict=True):
        opened, closing, opening = (
            tuple(branch[int(e)] for e in np.flatnonzero(some)) for some in (~state, state & ~before, before & ~state)
        )
        found.append(BlockState(name, opened, closing, opening))
        before = state
    return tuple(found)


def whole_year(network: Network, parts: list[BlockFlows], hours: Floats) -> Shown:
    """The power flows of a plan as those of a year: figures by step alone are filled."""
    count = len(hours)
    series = {name: np.full(count, np.nan) for name in ("loss", "excess", "v_low", "v_high")}
    for part in parts:
        assert part.after is not None
        for name, values in series.items():
            values[part.steps] = getattr(part.after.flows, name)
    none, no_step = np.full(0, np.nan), np.empty(0, dtype=np.int64)
    flows = SeriesFlows(
        **series,
        v_low_of=none,
        v_high_of=none,
        i_of=none,
        energy=none,
        v_low_at=no_step,
        v_high_at=no_step,
        i_at=no_step,
    )
    return Shown(network.closed, flows)


def block_rows(
    year: Year, network: Network, parts: list[BlockFlows], states: tuple[BlockState, ...], today: Shown, counted: bool
) -> pl.DataFrame:
    """A row a block; `counted`: whether operations at the beginning of the first one count."""
    rows = []
    for b, part in enumerate(parts):
        hours = part.task.hours
        lost = float(today.flows.loss[part.steps] @ hours) * network.s_base_kva / 1000.0
        row: dict[str, object] = {
            "block": part.name,
            "first_step": year.names[int(part.steps[0])],
            "last_step": year.names[int(part.steps[-1])],
            "steps_count": len(part.steps),
            "hours": float(hours.sum()),
            **dict.fromkeys(("open_branches", "to_close", "to_open"), ()),
            "energy_before_mwh": lost if np.isfinite(lost) else None,
        }
        if part.after is not None and part.staying is not None:
            flows, state = part.after.flows, states[b]
            loading = loadings(network, flows.i_of)
            row |= vars(state) | {
                "operations": len(state.to_close) + len(state.to_open) if b or counted else None,
                "energy_staying_mwh": part.staying.energy_mwh(network, hours),
                "staying_broken": bool(part.staying.broken.any()),
                "energy_mwh": part.after.energy_mwh(network, hours),
                "v_min_pu": float(np.nanmin(flows.v_low)),
                "v_max_pu": float(np.nanmax(flows.v_high)),
                "loading_highest_percent": None if np.isnan(loading).all() else float(np.nanmax(loading)),
            }
        rows.append(row)
    return frame(BLOCKS, rows)


def _switchings(
    grid: Grid, year: Year, parts: list[BlockFlows], states: tuple[BlockState, ...], counted: bool
) -> pl.DataFrame:
    """A row a switch operation, at the beginning of a block first all that are closed."""
    places = grid.branches().select("name", "kind", "from_bus", "to_bus")
    places = places.join(grid.lines.select("name", "open_end"), on="name", how="left", maintain_order="left")
    first = ("block", "step", "counted", "name", "action")
    rows = [
        (part.name, year.names[int(part.steps[0])], b > 0 or counted, name, action)
        for b, (part, state) in enumerate(zip(parts, states))
        for action, some in (("close", state.to_close), ("open", state.to_open))
        for name in some
    ]
    done = pl.DataFrame(rows, schema={name: _SWITCHED[name] for name in first}, orient="row")
    joined = done.join(
        places.with_columns(pl.col("open_end").fill_null("both")), on="name", how="left", maintain_order="left"
    )
    return joined.select(list(_SWITCHED))


def _violations(
    year: Year, blocks: Blocks, task: YearTask, block: int | None, state: Bools | None, parts: list[BlockFlows]
) -> pl.DataFrame:
    """Limits that the plan breaks, or without one the state of least violation in a block (None: the year)."""
    shown: list[tuple[str | None, Ints, Shown]] = [
        (part.name, part.steps, part.after) for part in parts if part.after is not None
    ]
    if not shown and state is not None:
        steps = np.flatnonzero(blocks.of == block) if block is not None else np.arange(len(year))
        some = replace(task, demand=task.demand.take(steps), hours=task.hours[steps])
        shown = [(None, steps, closed_again(some, Shown(state, some.flows(state))))]
    of_step = {name: blocks.names[int(b)] for name, b in zip(year.names, blocks.of)}
    frames = []
    for _, steps, each in shown:
        part = replace(year, names=tuple(year.names[int(n)] for n in steps))
        frame = of_year.as_table(of_year.broken_limits(part, task.stations.whole, each))
        named = [of_step[step] for step in frame["step"]]
        frames.append(frame.with_columns(pl.Series("block", named, dtype=pl.String)).select(list(_BROKEN)))
    return pl.concat(frames) if frames else pl.DataFrame(schema=_BROKEN)


OF_BLOCK = 8
"""Steps of a block that are checked by the equations of the network, beside its extremes."""


def prepare(grid: Grid, options: ReconfigureSeasonsOptions) -> Prepared[SeasonsResult]:
    """A radial state for each block of a year, of least energy lost, with few switch operations between the blocks.

    See `openpoint.search.switching`; the blocks are those of `openpoint.scenarios.year.read`. The limits are kept in
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
        network, before = stations.whole, closed_again(task, before)
        parts = solved(task, blocks, plan)
        closed = None if plan is None else plan | stations.dropped
        known = states_of(network, closed, blocks.names)
        after = None if closed is None else whole_year(network, parts, task.hours)
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
            blocks=block_rows(year, network, parts, known, before, asked.from_today),
            switchings=_switchings(grid, year, parts, known, asked.from_today),
            steps=of_year.steps(year, network, shown),
            violations=_violations(year, blocks, task, outcome.infeasible, found.least_violation, parts),
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


def _checked(parts: list[BlockFlows]) -> tuple[int, float | None]:
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
