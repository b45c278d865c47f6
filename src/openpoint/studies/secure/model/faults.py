"""Faults: what each cuts off until it is repaired, until it is switched around, and the ties that may restore it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.network import Network
from openpoint.studies.secure.model.sections import Sections
from openpoint.studies.secure.model.tree import Tree


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
