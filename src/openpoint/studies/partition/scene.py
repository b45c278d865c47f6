"""The scene of a partition, as arrays: the islands of one plan, or of several."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.blocks import blocks
from openpoint.report.drawing import ISLES
from openpoint.report.layout.feeders import ends, source_buses
from openpoint.report.layout.place import Layout, compute_layout
from openpoint.studies.partition.result import PartitionResult

RUNS_KW = 0.05
"""Output that is worth telling."""


@dataclass(frozen=True)
class Unit:
    """A generator: its bus, its island (0 = without supply), and its set-point."""

    name: str
    bus: int
    island: int
    p_kw: float
    q_kvar: float
    p_max_kw: float
    forms_grid: bool

    @property
    def runs(self) -> bool:
        return self.island > 0 and (self.forms_grid or max(abs(self.p_kw), abs(self.q_kvar)) > RUNS_KW)


@dataclass(frozen=True)
class Island:
    """An island: its number, what forms its grid, and its kW."""

    number: int
    grid_forming: str
    blocks: int
    load_kw: float
    capacity_kw: float

    @property
    def words(self) -> str:
        made = f"{self.blocks} block{'s' * (self.blocks != 1)}"
        return f"{self.grid_forming} forms the grid; {made}, load {self.load_kw:,.0f} of {self.capacity_kw:,.0f} kW"


@dataclass(frozen=True)
class PlanView:
    """One plan over N buses and E branches.

    Attributes:
        title: under what. served_kw, total_kw: nominal load.
        island: (N) its number, 0 = without supply.
        closed: (E). switching: (E) `close`, `open` or empty.
        units: the generators. islands: by number, from 1.
    """

    title: str
    served_kw: float
    total_kw: float
    island: Ints
    closed: Bools
    switching: tuple[str, ...]
    units: tuple[Unit, ...]
    islands: tuple[Island, ...]

    @property
    def headline(self) -> str:
        """What is served, in one line."""
        return f"{self.title}: {self.served_kw:,.0f} of {self.total_kw:,.0f} kW served"


@dataclass(frozen=True)
class PartitionScene:
    """Plans as arrays, over N buses and E branches in the order of the grid.

    Attributes:
        grid: the grid asked about. bus_names, branch_names: names. ends: bus numbers of every branch.
        lost: bus numbers of the lost substations. switchable: (E). block: (N) name of the block of every bus.
        load: (N) nominal kW.
        plan_views: the plans shown.
    """

    grid: Grid
    bus_names: tuple[str, ...]
    branch_names: tuple[str, ...]
    ends: tuple[tuple[int, int], ...]
    lost: tuple[int, ...]
    switchable: Bools
    block: tuple[str, ...]
    load: Floats
    plan_views: tuple[PlanView, ...]

    @cached_property
    def layout(self) -> Layout:
        """The one layout that all pictures share: that of today's feeders."""
        return compute_layout(self.grid)


def island_colour(number: int) -> str:
    """The colour of an island by its number; 0 is without supply."""
    return ISLES[(number - 1) % len(ISLES)] if number else "@loose"


Tables = Mapping[str, pl.DataFrame]
"""Islands, blocks, generators and switches of one plan."""


def build_partition_scene(results: Mapping[str, PartitionResult]) -> PartitionScene:
    """The scene of one result or more, by their titles; where no plan was found there is no picture."""
    found = {title: each for title, each in results.items() if each.cost_usd is not None}
    plans = [(title, (each.served_kw, each.total_kw), each.tables()) for title, each in found.items()]
    return plans_scene(next(iter(results.values())).grid, plans)


def plans_scene(grid: Grid, plans: Iterable[tuple[str, tuple[float, float], Tables]]) -> PartitionScene:
    """The scene of plans: title, load served and of all in kW, and the tables of each."""
    network = build_network(grid)
    block_graph = blocks(network)
    home = {name: block_graph.names[block] for name, block in zip(network.bus_names, block_graph.of_bus)}
    bus = {name: n for n, name in enumerate(grid.buses["name"])}
    load = np.zeros(len(bus))
    np.add.at(load, [bus[name] for name in grid.loads["bus"]], grid.loads["p_kw"].to_numpy())
    branches = grid.branches()
    block = tuple(home[name] for name in bus)
    return PartitionScene(
        grid=grid,
        bus_names=tuple(bus),
        branch_names=tuple(branches["name"]),
        ends=ends(grid),
        lost=source_buses(grid),
        switchable=branches["switchable"].to_numpy().astype(np.bool_),
        block=block,
        load=load,
        plan_views=tuple(_cut(title, *kw, tables, grid, block, bus) for title, kw, tables in plans),
    )


def plan_words(result: PartitionResult) -> str:
    """What was uncertain, for people."""
    if not result.uncertain_loads or not result.uncertainty:
        return "loads certain"
    return f"{len(result.uncertain_loads)} loads ± {100.0 * result.uncertainty:g} %"


def _cut(
    title: str,
    served_kw: float,
    total_kw: float,
    tables: Tables,
    grid: Grid,
    block: tuple[str, ...],
    bus: dict[str, int],
) -> PlanView:
    island = dict(tables["blocks"].select("name", "island").iter_rows())
    size = dict(tables["blocks"].group_by("island").len().iter_rows())
    state = dict(tables["switches"].select("name", "closed").iter_rows())
    todo = dict(tables["switches"].select("name", "switching").iter_rows())
    branches = grid.branches().select("name", "closed")
    columns = ("name", "bus", "island", "p_kw", "q_kvar", "p_max_kw", "forms_grid")
    return PlanView(
        title=title,
        served_kw=served_kw,
        total_kw=total_kw,
        island=np.array([island[name] for name in block], dtype=np.int64),
        closed=np.array([state.get(name, closed) for name, closed in branches.iter_rows()], dtype=np.bool_),
        switching=tuple(todo.get(name, "") for name in branches["name"]),
        units=tuple(Unit(name, bus[at], *rest) for name, at, *rest in tables["generators"].select(columns).iter_rows()),
        islands=tuple(
            Island(number, forming, size[number], load, capacity)
            for number, forming, load, capacity in tables["islands"]
            .select("island", "grid_forming", "load_kw", "capacity_kw")
            .iter_rows()
        ),
    )
