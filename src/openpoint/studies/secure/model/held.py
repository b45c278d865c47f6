"""Faults in held meshes: what stays joined over other branches keeps its supply.

A branch on a loop of closed branches, such as one of two transformers in parallel, is no branch of a tree. What is cut
off by its fault follows from the graph of closed branches: buses that no source reaches any more.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools, Ints
from openpoint.graph import bridges, components, energised
from openpoint.network import Network
from openpoint.studies.secure.model.faults import Fault, Part, by_section, touching_branches
from openpoint.studies.secure.model.sections import Sections


def on_loops(network: Network, closed: Bools) -> Bools:
    """(E) closed branches that lie on a loop or on a path between two sources."""
    node = np.arange(network.n_terminals)
    node[network.source_terminal] = network.source_terminal[:1]
    shut = np.flatnonzero(closed)
    result = np.zeros(network.n_conductors, dtype=np.bool_)
    result[shut] = ~bridges(network.n_terminals, node[network.terminal_fr[shut]], node[network.terminal_to[shut]])
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
        tripped = _tripped(network, sections, closed, live, section)
        faults.append(Fault(branches, own, tripped, touching[section], opened, tuple(parts), is_held=True))
    return faults


def _live(network: Network, closed: Bools) -> Bools:
    fr, to = network.terminal_fr, network.terminal_to
    return energised(network.n_terminals, fr, to, closed, network.source_terminal)


def _tripped(network: Network, sections: Sections, closed: Bools, live: Bools, section: int) -> Ints:
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
    at_fault = part == part[n + int(np.flatnonzero(sections.of_branch == section)[0])]
    left = closed & ~at_fault[n:]
    return np.flatnonzero(live & ~(_live(network, left) & ~at_fault[:n]))
