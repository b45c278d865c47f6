"""Faults of the wiring: sources that cannot be separated, loops that cannot be opened, buses out of reach.

Judged over terminals (bus, phase), so that two single-phase lines side by side are no loop.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from openpoint.errors import Problem
from openpoint.grid.topology import Bools, Ints, components, energised, forest, is_radial, islands, path
from openpoint.grid.windings import line_windings

if TYPE_CHECKING:
    from openpoint.grid.grid import Grid

# So many loops are spelt out; the others are counted.
LOOPS_TOLD = 20


@dataclass(frozen=True)
class _Wires:
    """Terminals and conductors of the rows that are sound; branches and sources by (table, name)."""

    terminals: list[tuple[str, str]]
    fr: Ints
    to: Ints
    branch: list[tuple[str, str]]
    switchable: Bools
    closed: Bools
    sources: list[tuple[str, str, int]]  # name, bus, terminal; a source is here once a phase

    @property
    def n(self) -> int:
        return len(self.terminals)


def wiring_faults(grid: Grid) -> Iterator[Problem]:
    """Two sources at a bus; sources joined and loops closed by branches that cannot open; buses out of reach."""
    wires = _wires(grid)
    yield from _shared_buses(grid)
    yield from _joined_sources(wires)
    yield from _fixed_loops(wires)
    if wires.sources:
        yield from _out_of_reach(wires)


def is_radial_today(grid: Grid) -> bool:
    """Whether every terminal hangs today on exactly one source by exactly one path. The grid is sound."""
    wires = _wires(grid)
    sources = np.array([terminal for _, _, terminal in wires.sources], dtype=np.int64)
    today = (wires.n, wires.fr, wires.to, wires.closed, sources)
    return is_radial(*today) and bool(energised(*today).all())


def points_to_open(grid: Grid) -> int:
    """Branches that are open in a radial state: a forest with one tree a source has buses − sources branches.

    Branches side by side in different phases, like the units of a regulator, count as one.
    """
    pairs = line_windings(grid)
    beside: dict[frozenset[str], list[str]] = {}
    for kind, name, fr, to, phases in (
        grid.branches().select("kind", "name", "from_bus", "to_bus", "phases").iter_rows()
    ):
        carried = (pairs.get(name, "")[:1] if kind == "transformers" else "") or phases
        bundles = beside.setdefault(frozenset((fr, to)), [])
        fitting = next((k for k, held in enumerate(bundles) if not set(held) & set(carried)), None)
        if fitting is None:
            bundles.append(carried)
        else:
            bundles[fitting] += carried
    return sum(map(len, beside.values())) - (grid.buses.height - grid.sources["bus"].n_unique())


def _wires(grid: Grid) -> _Wires:
    number: dict[tuple[str, str], int] = {}
    phases_of: dict[str, str] = {}
    for name, phases in grid.buses.select("name", "phases").iter_rows():
        if name not in phases_of:
            phases_of[name] = phases
            for phase in dict.fromkeys(phases):
                number[name, phase] = len(number)
    fr, to, branch, switchable, closed = [], [], [], [], []
    columns = ("kind", "name", "from_bus", "to_bus", "phases", "switchable", "closed")
    pairs = line_windings(grid)
    for kind, name, bus_fr, bus_to, phases, may_switch, is_closed in grid.branches().select(columns).iter_rows():
        pair = pairs.get(name, "") if kind == "transformers" else ""
        for phase in pair[:1] or phases:
            ends = number.get((bus_fr, phase)), number.get((bus_to, phase))
            if ends[0] is not None and ends[1] is not None and bus_fr != bus_to:
                fr.append(ends[0])
                to.append(ends[1])
                branch.append((kind, name))
                switchable.append(may_switch)
                closed.append(is_closed)
    sources = [
        (name, bus, number[bus, phase])
        for name, bus in grid.sources.select("name", "bus").iter_rows()
        for phase in dict.fromkeys(phases_of.get(bus, ""))
    ]
    return _Wires(
        terminals=list(number),
        fr=np.array(fr, dtype=np.int64),
        to=np.array(to, dtype=np.int64),
        branch=branch,
        switchable=np.array(switchable, dtype=np.bool_),
        closed=np.array(closed, dtype=np.bool_),
        sources=sources,
    )


def _shared_buses(grid: Grid) -> Iterator[Problem]:
    holder: dict[str, str] = {}
    for name, bus in grid.sources.select("name", "bus").iter_rows():
        if bus in holder:
            message = f"bus {bus!r} is already held by source {holder[bus]!r}"
            yield Problem("sources", name, "bus", message, "Keep one source a bus")
        holder.setdefault(bus, name)


def _joined_sources(wires: _Wires) -> Iterator[Problem]:
    fixed = np.flatnonzero(wires.closed & ~wires.switchable)
    island = islands(wires.n, wires.fr, wires.to, wires.closed & ~wires.switchable)
    first: dict[int, tuple[str, str, int]] = {}
    told: set[tuple[str, str]] = set()
    for source in wires.sources:
        other = first.setdefault(int(island[source[2]]), source)
        if other[1] == source[1] or (other[0], source[0]) in told:
            continue
        told.add((other[0], source[0]))
        edges = path(wires.n, wires.fr[fixed], wires.to[fixed], other[2], source[2]) or []
        way = [wires.branch[fixed[e]] for e in edges]
        message = f"closed branches that cannot be opened join it to source {other[0]!r}: {_in_words(way)}"
        yield Problem("sources", source[0], "", message, "Make one of these branches switchable, or drop a source")


def _fixed_loops(wires: _Wires) -> Iterator[Problem]:
    fixed = np.flatnonzero(wires.closed & ~wires.switchable)
    fr, to = wires.fr[fixed], wires.to[fixed]
    in_tree = forest(wires.n, fr, to)
    extra = list({wires.branch[fixed[e]]: int(e) for e in np.flatnonzero(~in_tree)[::-1]}.items())[::-1]
    tree = np.flatnonzero(in_tree)
    for (kind, name), e in extra[:LOOPS_TOLD]:
        edges = path(wires.n, fr[tree], to[tree], int(fr[e]), int(to[e])) or []
        way = [wires.branch[fixed[tree[k]]] for k in edges]
        message = f"it closes a loop that no switch can open, with {_in_words(way)}"
        yield Problem(kind, name, "switchable", message, "Make one of these branches switchable, or open one")
    if len(extra) > LOOPS_TOLD:
        message = f"{len(extra) - LOOPS_TOLD} more loops are closed that no switch can open"
        yield Problem("branches", "", "switchable", message, "Make branches switchable, or open some")


def _out_of_reach(wires: _Wires) -> Iterator[Problem]:
    usable = wires.switchable | wires.closed
    part = components(wires.n, wires.fr[usable], wires.to[usable])
    fed = {int(part[terminal]) for _, _, terminal in wires.sources}
    lost: dict[int, list[int]] = {}
    for i, p in enumerate(part.tolist()):
        if p not in fed:
            lost.setdefault(p, []).append(i)
    told: set[str] = set()
    for members in lost.values():
        buses = [b for b in dict.fromkeys(wires.terminals[i][0] for i in members) if b not in told]
        if not buses:
            continue
        told.update(buses)
        phase = wires.terminals[members[0]][1]
        where = "" if phase == "1" else f" on phase {phase!r}"
        more = f", nor can {_names(buses[1:])}" if len(buses) > 1 else ""
        message = f"it cannot be reached from a source{where} even with every switchable branch closed{more}"
        yield Problem("buses", buses[0], "", message, "Add or close a branch to it, add a source, or drop the bus")


def _in_words(branches: list[tuple[str, str]], most: int = 8) -> str:
    unique = list(dict.fromkeys(branches))
    shown = ", ".join(f"{name!r} ({kind})" for kind, name in unique[:most])
    return shown if len(unique) <= most else f"{shown} and {len(unique) - most} more"


def _names(buses: list[str], most: int = 5) -> str:
    shown = ", ".join(repr(b) for b in buses[:most])
    return shown if len(buses) <= most else f"{shown} and {len(buses) - most} more"
