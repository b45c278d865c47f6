"""Faults: what each cuts off until it is repaired, until it is switched around, and the ties that may restore it.

Sections: what stays joined to a fault when every switch around it is opened.

A switch stands at an end of a line where its `switch_ends` say so, else where it opens if it is switchable; at both
ends of a transformer, which has breakers, and of what is a switch itself; and at that end of a line at which it leaves
a station, where its breaker trips, or at which the data say that a breaker stands. A station is made of the buses of a
source, and of those at the side of lower voltage of a transformer, with what bus couplers join to them. Buses and
conductors are the nodes of a graph, ends without a switch its edges; a section is a component of it.

Faults in permanently closed loops: what stays joined over other branches keeps its supply.

A branch on a loop of closed branches, such as one of two transformers in parallel, is no branch of a tree. What is cut
off by its fault follows from the graph of closed branches: buses that no source reaches any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.graph import bridges, components, energised
from openpoint.grid.grid import Grid
from openpoint.network import Network


@dataclass(frozen=True)
class Sections:
    """The sections of a grid of N buses and E branches.

    Attributes:
        of_bus: (N) section of each bus. of_branch: (E) section of the conductor of each branch.
        breaker_fr, breaker_to: (E) whether a breaker that trips stands at the from or to end.
    """

    of_bus: Ints
    of_branch: Ints
    breaker_fr: Bools
    breaker_to: Bools

    @property
    def count(self) -> int:
        return int(max(self.of_bus.max(initial=-1), self.of_branch.max(initial=-1))) + 1


def sections_of(grid: Grid, network: Network, breakers: Mapping[str, str] | None = None) -> Sections:
    """The sections of a balanced grid. `breakers`: ends (from, to or both) of lines where others trip, too."""
    n, e = network.n_terminals, network.n_conductors
    lines = np.array([kind == "lines" for kind in network.branch_kinds], dtype=np.bool_)
    transformers = np.array([kind == "transformers" for kind in network.branch_kinds], dtype=np.bool_)
    station = _station(grid, network, transformers)
    breaker_fr = transformers | (lines & station[network.terminal_fr])
    breaker_to = transformers | (lines & station[network.terminal_to])
    trips = [(breakers or {}).get(name, "") for name in network.branch_names]
    breaker_fr |= np.array([end in ("both", "from") for end in trips], dtype=np.bool_)
    breaker_to |= np.array([end in ("both", "to") for end in trips], dtype=np.bool_)
    ends = _switch_ends(grid)
    switch_ends = [ends.get(name, "both") for name in network.branch_names]
    idle = lines & ~network.switchable & ~network.closed  # out of service: joins nothing
    switch_fr = breaker_fr | idle | np.array([end in ("both", "from") for end in switch_ends], dtype=np.bool_)
    switch_to = breaker_to | idle | np.array([end in ("both", "to") for end in switch_ends], dtype=np.bool_)
    conductor = n + np.arange(e)
    fr = np.concatenate([network.terminal_fr[~switch_fr], network.terminal_to[~switch_to]])
    to = np.concatenate([conductor[~switch_fr], conductor[~switch_to]])
    part = components(n + e, fr, to)
    return Sections(part[:n], part[n:], breaker_fr, breaker_to)


def _switch_ends(grid: Grid) -> dict[str, str]:
    """Ends of each line at which a switch stands that may be operated: both, from, to or none."""
    table = grid.lines.select("name", "switch_ends", "open_end", "switchable", "locked_reason").iter_rows()
    return {name: "none" if why else ends or (opens if may else "none") for name, ends, opens, may, why in table}


def _station(grid: Grid, network: Network, transformers: Bools) -> Bools:
    """(N) whether the bus is one of a station: lines that leave it have a breaker there."""
    start = np.zeros(network.n_terminals, dtype=np.bool_)
    start[network.source_terminal] = True
    fr, to = network.terminal_fr[transformers], network.terminal_to[transformers]
    v_fr, v_to = network.v_base_kv[fr], network.v_base_kv[to]
    start[np.where(v_to < v_fr, to, fr)[v_to != v_fr]] = True
    couplers = np.array([kind == "switches" for kind in network.branch_kinds], dtype=np.bool_)
    part = components(network.n_terminals, network.terminal_fr[couplers], network.terminal_to[couplers])
    return np.asarray(np.isin(part, part[start]))


def every_line_alone(sections: Sections) -> Sections:
    """The sections if every branch could be isolated at both of its ends."""
    n, e = len(sections.of_bus), len(sections.of_branch)
    return Sections(np.arange(n), n + np.arange(e), sections.breaker_fr, sections.breaker_to)


@dataclass(frozen=True)
class Tree:
    """A radial state of N buses and E branches.

    Attributes:
        order: the buses under voltage, each before all that is fed through it, which follow it without a gap.
        place: (N) place of each bus in `order`, -1 without supply. end: (N) place after the last bus fed through it.
        above: (N) branch through which the bus is fed, -1 at sources and without supply.
        lower: (E) bus that the branch feeds, -1 where it feeds none.
    """

    order: Ints
    place: Ints
    end: Ints
    above: Ints
    lower: Ints

    def feeds(self, bus: int, other: Ints) -> Bools:
        """Whether other buses are fed through a bus, itself included."""
        return np.asarray((self.place[other] >= self.place[bus]) & (self.place[other] < self.end[bus]))

    def below(self, bus: int) -> Ints:
        """The buses fed through a bus, itself first."""
        return np.asarray(self.order[self.place[bus] : self.end[bus]])


def tree_of(network: Network, closed: Bools) -> Tree | None:
    """The tree of a state; None where it is not radial."""
    n, e = network.n_terminals, network.n_conductors
    around: list[list[tuple[int, int]]] = [[] for _ in range(n)]
    for k in np.flatnonzero(closed).tolist():
        a, b = int(network.terminal_fr[k]), int(network.terminal_to[k])
        around[a].append((k, b))
        around[b].append((k, a))
    order: list[int] = []
    place, end = np.full(n, -1, dtype=np.int64), np.zeros(n, dtype=np.int64)
    above, lower = np.full(n, -1, dtype=np.int64), np.full(e, -1, dtype=np.int64)
    for source in network.source_terminal.tolist():
        stack = [(source, -1, False)]
        while stack:
            bus, came, done = stack.pop()
            if done:
                end[bus] = len(order)
                continue
            if place[bus] >= 0:  # reached twice: a loop, or two sources
                return None
            place[bus], above[bus] = len(order), came
            order.append(bus)
            if came >= 0:
                lower[came] = bus
            stack.append((bus, came, True))
            stack += [(other, k, False) for k, other in around[bus] if k != came]
    return Tree(np.array(order, dtype=np.int64), place, end, above, lower)


@dataclass(frozen=True)
class Part:
    """Buses that lose their supply though no fault is among them.

    Attributes:
        buses: the buses. ties: open branches that may be closed to join them to a bus that is not at fault.
    """

    buses: Ints
    ties: Ints


@dataclass(frozen=True)
class Fault:
    """A fault in a section of a radial state.

    Attributes:
        branches: those whose fault this is. isolated: buses of the section, without supply until the repair.
        tripped: buses without supply until the section is isolated, `isolated` and the parts among them.
        barred: branches with the conductor or a bus in the section, which stay open until the repair. opened: those of
            them that are closed before.
        parts: what is fed through the section. is_held: whether the section lies on a loop.
    """

    branches: Ints
    isolated: Ints
    tripped: Ints
    barred: Ints
    opened: Ints
    parts: tuple[Part, ...]
    is_held: bool = False


def faults_of(network: Network, sections: Sections, tree: Tree, closed: Bools, fails: Bools) -> list[Fault]:
    """The faults of a radial state, in the order of their first branches.

    Args:
        network: balanced. sections, tree: of it. closed: (E) the state. fails: (E) branches that may have a fault.
    """
    fr, to = network.terminal_fr, network.terminal_to
    live = tree.place >= 0
    # A closed branch carries voltage where its buses do, an open one where it hangs at a bus of its own section.
    hangs = ((sections.of_branch == sections.of_bus[fr]) & live[fr]) | (
        (sections.of_branch == sections.of_bus[to]) & live[to]
    )
    candidates = np.flatnonzero(fails & (hangs | (closed & (live[fr] | live[to]))))
    ties = np.flatnonzero(network.switchable & ~closed)
    touching = touching_branches(network, sections)
    members = _grouped(sections.of_bus, sections.count)
    return [
        _fault(network, sections, tree, closed, branches, touching[section], members[section], ties)
        for section, branches in by_section(sections, candidates).items()
    ]


def by_section(sections: Sections, branches: Ints) -> dict[int, Ints]:
    """Branches by the section of their conductor, in the order of the first of each."""
    found: dict[int, list[int]] = {}
    for e in branches.tolist():
        found.setdefault(int(sections.of_branch[e]), []).append(e)
    return {section: np.array(own, dtype=np.int64) for section, own in found.items()}


def _fault(
    network: Network,
    sections: Sections,
    tree: Tree,
    closed: Bools,
    branches: Ints,
    touching: Ints,
    own: Ints,
    ties: Ints,
) -> Fault:
    fr, to = network.terminal_fr, network.terminal_to
    section = int(sections.of_branch[branches[0]])
    opened = touching[closed[touching]]
    feeding = opened[tree.lower[opened] >= 0]
    lower = tree.lower[feeding]
    heads = lower[sections.of_bus[lower] != section]
    beside = np.zeros(network.n_conductors, dtype=np.bool_)
    beside[touching] = True
    sound = ties[~beside[ties]]
    parts = []
    for head in heads.tolist():
        inside_fr, inside_to = tree.feeds(head, fr[sound]), tree.feeds(head, to[sound])
        parts.append(Part(tree.below(head), sound[inside_fr != inside_to]))
    return Fault(branches, own, _tripped(sections, tree, network, feeding, section), touching, opened, tuple(parts))


def _tripped(sections: Sections, tree: Tree, network: Network, feeding: Ints, section: int) -> Ints:
    """The buses behind the first breaker between the section and its source."""
    at = int(feeding[np.argmin(tree.place[tree.lower[feeding]])])  # the branch through which the section is fed
    first = True
    while True:
        bus = int(tree.lower[at])
        forward = network.terminal_to[at] == bus
        ends = sections.breaker_fr[at], sections.breaker_to[at]
        upper, under = ends if forward else ends[::-1]
        if upper or (under and not (first and sections.of_branch[at] == section)):
            return tree.below(bus)
        first = False
        parent = int(network.terminal_fr[at] if forward else network.terminal_to[at])
        if tree.above[parent] < 0:
            return tree.below(bus)
        at = int(tree.above[parent])


def touching_branches(network: Network, sections: Sections) -> list[Ints]:
    """The branches with the conductor or a bus in each section."""
    e, fr, to = np.arange(network.n_conductors), network.terminal_fr, network.terminal_to
    section = np.concatenate([sections.of_branch, sections.of_bus[fr], sections.of_bus[to]])
    pairs = np.unique(section * len(e) + np.tile(e, 3))
    return _grouped(pairs // len(e), sections.count, pairs % len(e))


def _grouped(group: Ints, count: int, values: Ints | None = None) -> list[Ints]:
    """The values (default: the numbers 0, 1, …) of each group."""
    order = np.argsort(group, kind="stable")
    at = np.searchsorted(group[order], np.arange(count + 1))
    chosen = order if values is None else values[order]
    return [chosen[at[k] : at[k + 1]] for k in range(count)]


def on_loops(network: Network, closed: Bools) -> Bools:
    """(E) closed branches that lie on a loop or on a path between two sources."""
    (fr, to), shut = network.merged_ends, np.flatnonzero(closed)
    result = np.zeros(network.n_conductors, dtype=np.bool_)
    result[shut] = ~bridges(network.n_terminals, fr[shut], to[shut])
    return result


def sections_on_loops(network: Network, sections: Sections, closed: Bools) -> Bools:
    """(sections) whether a branch on a loop is joined to the section, with or without a switch between them."""
    loops = np.flatnonzero(on_loops(network, closed))
    result = np.zeros(sections.count, dtype=np.bool_)
    for part in (sections.of_branch, sections.of_bus[network.terminal_fr], sections.of_bus[network.terminal_to]):
        result[part[loops]] = True
    return result


def held_faults(network: Network, sections: Sections, closed: Bools, fails: Bools) -> list[Fault]:
    """The faults of closed branches of any state.

    Args:
        network: balanced. sections: of it. closed: (E) the state. fails: (E) branches that may have a fault.
    """
    live = _live(network, closed)
    fr, to = network.terminal_fr, network.terminal_to
    found = by_section(sections, np.flatnonzero(fails & closed & live[fr] & live[to]))
    if not found:
        return []
    touching, ties = touching_branches(network, sections), np.flatnonzero(network.switchable & ~closed)
    faults = []
    for section, branches in found.items():
        own = np.flatnonzero(sections.of_bus == section)
        opened = touching[section][closed[touching[section]]]
        left = closed.copy()
        left[opened] = False
        lost = live & ~_live(network, left)
        lost[own] = False
        label = components(network.n_terminals, fr[left], to[left])
        sound = ties[~np.isin(ties, touching[section])]
        parts = []
        for number in np.unique(label[lost]):
            inside = label == number
            parts.append(Part(np.flatnonzero(inside), sound[inside[fr[sound]] != inside[to[sound]]]))
        tripped = _tripped_in_mesh(network, sections, closed, live, section)
        faults.append(Fault(branches, own, tripped, touching[section], opened, tuple(parts), is_held=True))
    return faults


def _live(network: Network, closed: Bools) -> Bools:
    fr, to = network.terminal_fr, network.terminal_to
    return energised(network.n_terminals, fr, to, closed, network.source_terminal)


def _tripped_in_mesh(network: Network, sections: Sections, closed: Bools, live: Bools, section: int) -> Ints:
    """Buses that lose supply when the breakers around the fault open."""
    n, e = network.n_terminals, network.n_conductors
    fr, to, conductor = network.terminal_fr, network.terminal_to, n + np.arange(e)
    joined_fr = ~sections.breaker_fr & (closed | (sections.of_branch == section) & (sections.of_bus[fr] == section))
    joined_to = ~sections.breaker_to & (closed | (sections.of_branch == section) & (sections.of_bus[to] == section))
    part = components(
        n + e,
        np.concatenate([fr[joined_fr], to[joined_to]]),
        np.concatenate([conductor[joined_fr], conductor[joined_to]]),
    )
    at_fault = np.isin(part, part[n + np.flatnonzero(sections.of_branch == section)])
    left = closed & ~at_fault[n:]
    return np.flatnonzero(live & ~(_live(network, left) & ~at_fault[:n]))
