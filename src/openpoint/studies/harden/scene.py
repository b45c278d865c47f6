"""The scene of a hardening, as arrays: the grid after each disaster."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.report.drawing import FED, ISLES
from openpoint.report.layout.feeders import ends, source_buses
from openpoint.report.layout.place import Layout, compute_layout
from openpoint.report.scene import numbers
from openpoint.studies.harden.result import HardenResult

SHED_KW = 0.05
"""Shed load that is worth a sign."""


@dataclass(frozen=True)
class Unit:
    """A backup generator after a disaster: its bus, its output, and whether it forms an island."""

    bus: int
    p_kw: float
    q_kvar: float
    forms_grid: bool

    @property
    def runs(self) -> bool:
        return self.forms_grid or abs(self.p_kw) > SHED_KW or abs(self.q_kvar) > SHED_KW


@dataclass(frozen=True)
class After:
    """The grid after one disaster, over N buses and E branches; NaN where a number is unknown.

    Attributes:
        name: of the disaster. probability: None for an attack.
        cost_usd, shed_kw: of the outage.
        island: (N) its number, 0 = de-energised. load, shed: (N) kW. v: (N) pu.
        closed, broken: (E). switching: (E) `close`, `open` or empty.
        i, loading, p, q: (E) current in A, loading in %, power at the from end in kW and kvar.
        units: backup generators.
    """

    name: str
    probability: float | None
    cost_usd: float
    shed_kw: float
    island: Ints
    load: Floats
    shed: Floats
    v: Floats
    closed: Bools
    broken: Bools
    switching: tuple[str, ...]
    i: Floats
    loading: Floats
    p: Floats
    q: Floats
    units: tuple[Unit, ...]

    @property
    def headline(self) -> str:
        """What happened, in one line."""
        probability = "" if self.probability is None else f", probability {self.probability:.3g}"
        shed = f"{self.shed_kw:,.1f} kW shed" if self.shed_kw > SHED_KW else "nothing shed"
        return f"{self.name}{probability}: {shed}"

    @property
    def switched(self) -> list[int]:
        """Branches to be switched."""
        return [e for e, action in enumerate(self.switching) if action]


@dataclass(frozen=True)
class HardenScene:
    """A result as arrays.

    Attributes:
        grid: the grid asked about. bus_names, branch_names: names. ends: bus numbers of every branch.
        sources: bus numbers of the substations. hardened: branch numbers. generators: bus numbers.
        after: the disasters shown, those that weigh most first.
    """

    grid: Grid
    bus_names: tuple[str, ...]
    branch_names: tuple[str, ...]
    ends: tuple[tuple[int, int], ...]
    sources: tuple[int, ...]
    hardened: frozenset[int]
    generators: tuple[int, ...]
    after: tuple[After, ...]

    @cached_property
    def layout(self) -> Layout:
        """The one layout that all pictures share: that of today's feeders."""
        return compute_layout(self.grid)

    def island_colour(self, number: int) -> str:
        """The colour of an island by its number: the substations' come first; 0 is without supply."""
        if number == 0:
            return "@dead"
        fed = len(self.sources)
        colours, place = (FED, number - 1) if number <= fed else (ISLES, number - 1 - fed)
        return colours[place % len(colours)]

    @property
    def p_max(self) -> float:
        """Largest power in any branch after any disaster, at least a little above 0."""
        return max([1e-9, *(float(np.nan_to_num(np.abs(after.p)).max(initial=0.0)) for after in self.after)])


def build_harden_scene(result: HardenResult) -> HardenScene:
    """The scene of a result."""
    grid = result.grid
    bus = {name: n for n, name in enumerate(grid.buses["name"])}
    branches = tuple(grid.branches()["name"])
    risk = pl.col("weight").fill_null(1.0) * pl.col("cost_usd")
    rows = result.disasters.filter(pl.col("islands").is_not_null()).sort(risk, descending=True, maintain_order=True)
    return HardenScene(
        grid=grid,
        bus_names=tuple(bus),
        branch_names=branches,
        ends=ends(grid),
        sources=source_buses(grid),
        hardened=frozenset(e for e, name in enumerate(branches) if name in set(result.hardened_branches)),
        generators=tuple(bus[name] for name in result.generators),
        after=tuple(_after(result, row, bus) for row in rows.iter_rows(named=True)),
    )


def _after(result: HardenResult, row: dict[str, object], bus: dict[str, int]) -> After:
    name = str(row["disaster"])
    here = pl.col("disaster") == name
    buses, branches = result.buses.filter(here), result.branches.filter(here)
    units = result.sources.filter(here & (pl.col("kind") == "backup"))

    def known(key: str) -> float:
        value = row[key]
        return float(value) if isinstance(value, float | int) else float("nan")

    probability = row["probability"]
    return After(
        name=name,
        probability=float(probability) if isinstance(probability, float) else None,
        cost_usd=known("cost_usd"),
        shed_kw=known("shed_kw"),
        island=buses["island"].to_numpy().astype(np.int64),
        load=numbers(buses, "load_kw"),
        shed=numbers(buses, "shed_kw"),
        v=numbers(buses, "v_pu"),
        closed=(branches["state"] == "closed").to_numpy().astype(np.bool_),
        broken=(branches["state"] == "broken").to_numpy().astype(np.bool_),
        switching=tuple(branches["switching"]),
        i=numbers(branches, "i_a"),
        loading=numbers(branches, "loading_percent"),
        p=numbers(branches, "p_from_kw"),
        q=numbers(branches, "q_from_kvar"),
        units=tuple(
            Unit(bus[at], p or 0.0, q or 0.0, forms)
            for at, p, q, forms in units.select("bus", "p_kw", "q_kvar", "forms_grid").iter_rows()
        ),
    )
