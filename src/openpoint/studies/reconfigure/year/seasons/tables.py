"""The tables of a result for a year in blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.limits import loadings
from openpoint.powerflow.series import SeriesFlows
from openpoint.results.columns import dtypes, frame
from openpoint.scenarios.year.blocks import Blocks
from openpoint.scenarios.year.read import Year
from openpoint.studies.reconfigure.year import tables as of_year
from openpoint.studies.reconfigure.year.search import YearTask
from openpoint.studies.reconfigure.year.seasons.result import BlockState, names_of_state
from openpoint.studies.reconfigure.year.seasons.schema import SEASONS
from openpoint.studies.reconfigure.year.tables import Shown, closed_again

_TYPES = {name: dtypes(table) for name, table in SEASONS.tables.items()}


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


def blocks(
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
            "open_branches": "",
            "to_close": "",
            "to_open": "",
            "energy_before_mwh": lost if np.isfinite(lost) else None,
        }
        if part.after is not None and part.staying is not None:
            flows, state = part.after.flows, states[b]
            loading = loadings(network, flows.i_of)
            row |= names_of_state(state) | {
                "operations": len(state.to_close) + len(state.to_open) if b or counted else None,
                "energy_staying_mwh": part.staying.energy_mwh(network, hours),
                "staying_broken": bool(part.staying.broken.any()),
                "energy_mwh": part.after.energy_mwh(network, hours),
                "v_min_pu": float(np.nanmin(flows.v_low)),
                "v_max_pu": float(np.nanmax(flows.v_high)),
                "loading_highest_percent": None if np.isnan(loading).all() else float(np.nanmax(loading)),
            }
        rows.append(row)
    return frame(SEASONS.tables["blocks"], rows)


def switchings(
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
    done = pl.DataFrame(rows, schema={name: _TYPES["switchings"][name] for name in first}, orient="row")
    joined = done.join(
        places.with_columns(pl.col("open_end").fill_null("both")), on="name", how="left", maintain_order="left"
    )
    return joined.select(list(_TYPES["switchings"]))


def violations(
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
        frame = of_year.violations(part, task.stations.whole, each)
        named = [of_step[step] for step in frame["step"]]
        frames.append(frame.with_columns(pl.Series("block", named, dtype=pl.String)).select(list(_TYPES["violations"])))
    return pl.concat(frames) if frames else pl.DataFrame(schema=_TYPES["violations"])
