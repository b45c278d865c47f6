"""Faults of the wiring: sources that cannot be separated, loops that cannot be opened, buses out of reach; and meshes.

Checked on terminals (bus, phase), so that two parallel single-phase lines of different phases are no loop. Today's
state is meshed where closed branches form a loop or join two sources. A loop of which no branch is switchable is held:
in a balanced grid it stays closed, and a state is radial if every bus outside of permanently closed loops is on one
path. So it is in a grid of phases, unless it has a transformer, which a user may name as switchable. Sources that
are joined by branches which cannot open are a fault in a grid of phases, and where all these are switches, without
impedance, which do not say what each source delivers.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.errors import Problem
from openpoint.graph import bridges, components, energised, forest, path
from openpoint.grid.rules.rule import rows
from openpoint.grid.rules.windings import line_windings
from openpoint.grid.schemas import Tables

# So many loops are spelt out; the others are counted.
LOOPS_SHOWN = 20
# So many branches of a loop are named.
NAMES_SHOWN = 12


@dataclass(frozen=True)
class Mesh:
    """A loop of closed branches, or a path of closed branches between two sources.

    Attributes:
        branches: (table, name) of each; the first is the one that closes the loop.
        sources: names of the two sources; empty for a loop.
        is_fixed: whether no branch of it is switchable.
        may_stay: whether the grid may keep it, as a balanced one can.
    """

    branches: tuple[tuple[str, str], ...]
    sources: tuple[str, ...]
    is_fixed: bool
    may_stay: bool

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the branches."""
        return tuple(name for _, name in self.branches)

    @property
    def transformers(self) -> tuple[str, ...]:
        """Names of the transformers among the branches."""
        return tuple(name for kind, name in self.branches if kind == "transformers")

    @property
    def is_held(self) -> bool:
        """Whether it stays closed as part of the grid; what each source delivers must follow from impedances."""
        has_impedance = any(kind != "switches" for kind, _ in self.branches)
        return self.is_fixed and self.may_stay and (has_impedance or not self.sources)

    @property
    def is_fault(self) -> bool:
        """Whether no branch of it can be opened, and it cannot stay."""
        return self.is_fixed and not self.is_held and not self.transformers

    def __str__(self) -> str:
        way = _in_words(list(self.branches), NAMES_SHOWN)
        return f"sources {' and '.join(map(repr, self.sources))} are joined by {way}" if self.sources else f"loop {way}"

    @property
    def remedy(self) -> str:
        """How to open it."""
        names = self.transformers
        if self.is_fault or (self.is_fixed and not names):
            return "Make one of these branches switchable, or open one"
        if not self.is_fixed:
            return "Open one of these branches, or let `openpoint reconfigure` choose"
        several = shlex.quote(",".join(reversed(names)))  # a pair in the order of the grid
        choice = f", or --switchable {several} to let it choose" if len(names) > 1 else ""
        return (
            f"Ask `openpoint reconfigure`, or `dispatch`, to open a transformer: --open {shlex.quote(names[0])}{choice}"
        )


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

    @property
    def is_balanced(self) -> bool:
        """Whether this is a single-phase equivalent."""
        return all(phase == "1" for _, phase in self.terminals)

    @property
    def at(self) -> Ints:
        """Terminals that sources hold."""
        return np.array([terminal for _, _, terminal in self.sources], dtype=np.int64)


def wiring_faults(grid: Tables) -> Iterator[Problem]:
    """Two sources at a bus; sources joined and loops closed by branches that cannot open; buses out of reach."""
    wires = _wires(grid)
    yield from _shared_buses(grid)
    yield from _fixed_meshes(wires)
    if wires.sources:
        yield from _out_of_reach(wires)


def is_radial_today(grid: Tables) -> bool:
    """Whether today one path joins every terminal to exactly one source, permanently closed loops aside. The grid has
    no faults."""
    return all(mesh.is_held for mesh in meshes(grid)) and not unsupplied(grid)


def unsupplied(grid: Tables) -> list[str]:
    """Buses that no source reaches today, on one of their phases or all. The grid has no faults."""
    wires = _wires(grid)
    dark = np.flatnonzero(~energised(wires.n, wires.fr, wires.to, wires.closed, wires.at))
    return list(dict.fromkeys(wires.terminals[n][0] for n in dark))


def points_to_open(grid: Tables) -> int:
    """Number of open branches in a radial state: a forest with one tree for each source has buses − sources branches.

    Parallel branches in different phases, like the units of a regulator, count as one; each permanently closed loop has
    one more.
    """
    pairs = line_windings(grid)
    beside: dict[frozenset[str], list[str]] = {}
    for kind, name, fr, to, phases in rows(grid.branches(), "kind", "name", "from_bus", "to_bus", "phases"):
        carried = (pairs.get(name, "")[:1] if kind == "transformers" else "") or phases
        bundles = beside.setdefault(frozenset((fr, to)), [])
        fitting = next((k for k, held in enumerate(bundles) if not set(held) & set(carried)), None)
        if fitting is None:
            bundles.append(carried)
        else:
            bundles[fitting] += carried
    held = sum(mesh.is_held for mesh in meshes(grid))
    return sum(map(len, beside.values())) - (grid.buses.height - grid.sources["bus"].n_unique()) - held


@dataclass(frozen=True)
class ToDecide:
    """What there is to be decided about in a grid.

    Attributes:
        branches: names of the switchable branches that are closed in some radial state and open in another.
        idle: names of the switchable branches behind which no load, generator or shunt is: nothing else reaches there.
    """

    branches: tuple[str, ...]
    idle: tuple[str, ...]


def to_decide(grid: Tables) -> ToDecide:
    """What there is to be decided about. The grid has no faults.

    Where what cannot be opened is one node, and so are all sources, a branch is closed in every radial state if it is a
    bridge, and open in every one if it begins and ends at one node.
    """
    wires = _wires(grid)
    label = np.arange(wires.n)
    label[wires.at] = wires.at[0]
    fixed, usable = wires.closed & ~wires.switchable, wires.closed | wires.switchable
    joined = components(wires.n, label[wires.fr[fixed]], label[wires.to[fixed]])[label]
    moving = np.flatnonzero(usable & wires.switchable)
    fr, to = joined[wires.fr[moving]], joined[wires.to[moving]]
    only = bridges(int(joined.max()) + 1, fr, to)
    free = {wires.branch[e][1] for e in moving[~only & (fr != to)]}
    used = {bus for table in (grid.loads, grid.generators, grid.capacitors) for (bus,) in rows(table, "bus")}
    needed = {int(joined[n]) for n, (bus, _) in enumerate(wires.terminals) if bus in used} | {int(joined[wires.at[0]])}
    around: dict[int, set[int]] = {}
    for k, ends in enumerate(zip(fr.tolist(), to.tolist(), strict=True)):
        for node in ends:
            around.setdefault(node, set()).add(k)
    idle, leaves = set[int](), [node for node, held in around.items() if len(held) == 1 and node not in needed]
    while leaves:
        for k in around.pop(leaves.pop()):
            idle.add(k)
            (other,) = {int(fr[k]), int(to[k])} & around.keys() or (None,)
            if other is not None:
                around[other].discard(k)
                if len(around[other]) == 1 and other not in needed:
                    leaves.append(other)
    named = {wires.branch[moving[k]][1] for k in idle}
    order = [name for _, name in dict.fromkeys(wires.branch)]
    return ToDecide(tuple(n for n in order if n in free), tuple(n for n in order if n in named - free))


def _wires(grid: Tables) -> _Wires:
    number: dict[tuple[str, str], int] = {}
    phases_of: dict[str, str] = {}
    for name, phases in rows(grid.buses, "name", "phases"):
        if name not in phases_of:
            phases_of[name] = phases
            for phase in dict.fromkeys(phases):
                number[name, phase] = len(number)
    fr, to, branch, switchable, closed = [], [], [], [], []
    columns = ("kind", "name", "from_bus", "to_bus", "phases", "switchable", "closed")
    pairs = line_windings(grid)
    for kind, name, bus_fr, bus_to, phases, may_switch, is_closed in rows(grid.branches(), *columns):
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
        for name, bus in rows(grid.sources, "name", "bus")
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


def _shared_buses(grid: Tables) -> Iterator[Problem]:
    holder: dict[str, str] = {}
    for name, bus in rows(grid.sources, "name", "bus"):
        if bus in holder:
            message = f"bus {bus!r} is already held by source {holder[bus]!r}"
            yield Problem("sources", name, "bus", message, "Keep one source a bus")
        holder.setdefault(bus, name)


def meshes(grid: Tables) -> list[Mesh]:
    """The independent loops of today's state, then the paths that join sources; empty where it is radial."""
    return _meshes(_wires(grid))


def mesh_doubts(grid: Tables) -> Iterator[Problem]:
    """Warnings: today's state is meshed, and could be opened."""
    found = [mesh for mesh in meshes(grid) if not (mesh.is_fault or mesh.is_held)]
    for mesh in found[:LOOPS_SHOWN]:
        yield mesh_problem(mesh, "warning")
    if len(found) > LOOPS_SHOWN:
        message = f"today {len(found) - LOOPS_SHOWN} more loops are closed, or sources joined"
        yield Problem(
            "branches", "", "closed", message, "Open branches, or let `openpoint reconfigure` choose", "warning"
        )


def mesh_problem(mesh: Mesh, severity: Literal["error", "warning"] = "error") -> Problem:
    """The problem that reports a mesh."""
    (kind, name), *others = mesh.branches
    if mesh.sources:
        first, other = mesh.sources
        message = f"today closed branches join it to source {first!r}: {_in_words(list(mesh.branches), NAMES_SHOWN)}"
        return Problem("sources", other, "", message, mesh.remedy, severity)
    message = f"today it closes a loop with {_in_words(others, NAMES_SHOWN)}"
    return Problem(kind, name, "closed", message, mesh.remedy, severity)


def _meshes(wires: _Wires) -> list[Mesh]:
    """The meshes; branches that cannot be opened join the tree first, so that a loop is closed by one that can."""
    hard = np.array([kind != "transformers" for kind, _ in wires.branch], dtype=np.bool_) & ~wires.switchable
    closed = np.flatnonzero(wires.closed)
    closed = closed[np.lexsort((wires.switchable[closed], ~hard[closed]))]
    fr, to = wires.fr[closed], wires.to[closed]
    in_tree = forest(wires.n, fr, to)

    def mesh(among: Ints, start: int, goal: int, head: tuple[int, ...] = (), sources: tuple[str, ...] = ()) -> Mesh:
        way = path(wires.n, fr[among], to[among], start, goal) if len(among) else None
        edges = [*head, *among[way or []].tolist()]
        branches = tuple(dict.fromkeys(wires.branch[closed[e]] for e in edges))
        lines_alone = not sources and all(kind != "transformers" for kind, _ in branches)
        return Mesh(branches, sources, not wires.switchable[closed[edges]].any(), wires.is_balanced or lines_alone)

    found: list[Mesh] = []
    # A branch of three phases closes a loop in each of them.
    extra = {wires.branch[closed[e]]: int(e) for e in np.flatnonzero(~in_tree)[::-1]}
    usable = in_tree.copy()
    for e in reversed(extra.values()):
        is_shown = len(found) < LOOPS_SHOWN
        found.append(mesh(np.flatnonzero(usable) if is_shown else closed[:0], int(fr[e]), int(to[e]), (e,)))
        usable[e] = True  # so that the next loop is as short as it can be
    island = components(wires.n, fr, to)
    tree = np.flatnonzero(in_tree)
    first: dict[int, tuple[str, str, int]] = {}
    joined: set[tuple[str, str]] = set()
    for source in wires.sources:
        other = first.setdefault(int(island[source[2]]), source)
        if other[1] != source[1] and (other[0], source[0]) not in joined:
            joined.add((other[0], source[0]))
            found.append(mesh(tree, other[2], source[2], sources=(other[0], source[0])))
    return found


def _fixed_meshes(wires: _Wires) -> Iterator[Problem]:
    """Faults: sources joined and loops closed by branches that cannot be opened."""
    kinds = np.array([kind != "transformers" for kind, _ in wires.branch], dtype=np.bool_)
    hard = replace(wires, closed=wires.closed & ~wires.switchable & kinds)
    found = [mesh for mesh in _meshes(hard) if not mesh.is_held]
    loops = [mesh for mesh in found if not mesh.sources]
    for mesh in found:
        if mesh.sources:
            way = _in_words(list(mesh.branches))
            message = f"closed branches that cannot be opened join it to source {mesh.sources[0]!r}: {way}"
            remedy = "Make one of these branches switchable, or drop a source"
            yield Problem("sources", mesh.sources[1], "", message, remedy)
    for mesh in loops[:LOOPS_SHOWN]:
        (kind, name), *others = mesh.branches
        message = f"it closes a loop that no switch can open, with {_in_words(others)}"
        yield Problem(kind, name, "switchable", message, mesh.remedy)
    if len(loops) > LOOPS_SHOWN:
        message = f"{len(loops) - LOOPS_SHOWN} more loops are closed that no switch can open"
        yield Problem("branches", "", "switchable", message, "Make branches switchable, or open some")


def out_of_reach(grid: Tables) -> list[list[tuple[str, str]]]:
    """Phases of buses that no source reaches, even with every switchable branch closed; by piece, whole buses first.

    The grid may have other faults. Empty where it has no source.
    """
    wires = _wires(grid)
    usable = wires.switchable | wires.closed
    part = components(wires.n, wires.fr[usable], wires.to[usable])
    fed = np.isin(part, part[wires.at])
    if not wires.sources or fed.all():
        return []
    number = {bus: k for k, bus in enumerate(dict.fromkeys(bus for bus, _ in wires.terminals))}
    of = np.array([number[bus] for bus, _ in wires.terminals], dtype=np.int64)
    reached = np.zeros(len(number), dtype=np.bool_)
    reached[of[fed]] = True
    # Phases of a bus belong together where none is reached; a bus that is reached on others is a piece of its own.
    dark = usable & ~reached[of[wires.fr]] & ~reached[of[wires.to]]
    piece = components(len(number), of[wires.fr[dark]], of[wires.to[dark]])
    found: dict[tuple[bool, int], list[tuple[str, str]]] = {}
    for n in np.flatnonzero(~fed).tolist():
        found.setdefault((bool(reached[of[n]]), int(piece[of[n]])), []).append(wires.terminals[n])
    return [found[key] for key in sorted(found)]


IDLE = 1e-3
"""Share of all power up to which what draws or makes power without supply today need not have one."""
_SIZES = {"p_kw", "q_kvar", "p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar"}


def idle_pieces(grid: Tables) -> list[list[tuple[str, str]]]:
    """Phases of buses that no source feeds today and where no load, generator or capacitor is; by piece.

    A piece is what branches can join without one that is fed today. Loads and generators count where all of them that
    are without supply are more than `IDLE` of all. The grid has no faults.
    """
    wires = _wires(grid)
    dark = ~energised(wires.n, wires.fr, wires.to, wires.closed, wires.at)
    inside = dark[wires.fr] & dark[wires.to]
    piece = components(wires.n, wires.fr[inside], wires.to[inside])
    number = {terminal: n for n, terminal in enumerate(wires.terminals)}
    power = [
        (number[bus, phase], sum(abs(x or 0.0) for x in sizes) / len(phases))
        for table in (grid.loads, grid.generators)
        for bus, phases, *sizes in rows(table, "bus", "phases", *_SIZES.intersection(table.columns))
        for phase in phases
    ]
    some = sum(s for n, s in power if dark[n]) > IDLE * sum(s for _, s in power)
    busy = {int(piece[n]) for n, _ in power if some}
    busy |= {
        int(piece[number[bus, phase]]) for bus, phases in rows(grid.capacitors, "bus", "phases") for phase in phases
    }
    found: dict[int, list[tuple[str, str]]] = {}
    for n in np.flatnonzero(dark).tolist():
        if int(piece[n]) not in busy:
            found.setdefault(int(piece[n]), []).append(wires.terminals[n])
    return list(found.values())


def _out_of_reach(wires: _Wires) -> Iterator[Problem]:
    usable = wires.switchable | wires.closed
    part = components(wires.n, wires.fr[usable], wires.to[usable])
    fed = {int(part[terminal]) for _, _, terminal in wires.sources}
    lost: dict[int, list[int]] = {}
    for i, p in enumerate(part.tolist()):
        if p not in fed:
            lost.setdefault(p, []).append(i)
    known: set[str] = set()
    shut = [e for e in np.flatnonzero(~usable) if wires.branch[e][0] == "transformers"]
    for p, members in lost.items():
        buses = [b for b in dict.fromkeys(wires.terminals[i][0] for i in members) if b not in known]
        if not buses:
            continue
        known.update(buses)
        phase = wires.terminals[members[0]][1]
        where = "" if phase == "1" else f" on phase {phase!r}"
        more = f", nor can {_names(buses[1:])}" if len(buses) > 1 else ""
        message = f"it cannot be reached from a source{where} even with every switchable branch closed{more}"
        ways = dict.fromkeys(wires.branch[e][1] for e in shut if p in (part[wires.fr[e]], part[wires.to[e]]))
        ask = f", ask for its transformer by --switchable {shlex.quote(','.join(ways))}" if ways else ""
        remedy = f"Add or close a branch to it{ask}, add a source, or drop the bus"
        yield Problem("buses", buses[0], "", message, remedy)


def _in_words(branches: list[tuple[str, str]], most: int = 8) -> str:
    unique = list(dict.fromkeys(branches))
    shown = ", ".join(f"{name!r} ({kind})" for kind, name in unique[:most])
    return shown if len(unique) <= most else f"{shown} and {len(unique) - most} more"


def _names(buses: list[str], most: int = 5) -> str:
    shown = ", ".join(repr(b) for b in buses[:most])
    return shown if len(buses) <= most else f"{shown} and {len(buses) - most} more"
