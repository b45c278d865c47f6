"""The remainder: what switching may use after a fault, as a network in which every bus can be fed.

Left out are the section at fault and the buses that no path leads to any more, however one switches: *cut off for
good*. The power flow of a state of the remainder is that of the whole network in the same state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools
from openpoint.graph import energised, forest
from openpoint.network import Network
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.studies.secure.model.excerpt import Excerpt, part_of
from openpoint.studies.secure.model.faults import Fault


@dataclass(frozen=True)
class Remainder:
    """What is left after a fault.

    Attributes:
        whole: the network with its held meshes opened, in the state once the section is isolated.
        part: the buses that can be fed, and the branches between them that are closed or may be.
        reached: (parts of the fault) whether a path leads to it.
        is_radial: whether some state of the part is radial; not where a held mesh is left.
    """

    whole: Network
    part: Excerpt
    reached: tuple[bool, ...]
    is_radial: bool

    @property
    def least_closings(self) -> int:
        """Fewest branches that are to be closed so that every bus of the part is fed."""
        network = self.part.network
        return network.n_terminals - len(network.source_terminal) - int(network.closed.sum())


def remainder_of(stations: Stations, fault: Fault) -> Remainder:
    """What is left after a fault."""
    whole = _isolated(stations, fault)
    fr, to = whole.terminal_fr, whole.terminal_to
    usable = whole.closed | whole.switchable
    usable[fault.barred] = False
    fed = energised(whole.n_terminals, fr, to, usable, whole.source_terminal)
    inside = usable & fed[fr] & fed[to]
    part = part_of(_with_hanging(_with_fixed_outputs(whole), inside), np.flatnonzero(fed), np.flatnonzero(inside))
    held = np.flatnonzero(part.network.closed & ~part.network.switchable)
    node = np.arange(part.network.n_terminals)
    node[part.network.source_terminal] = part.network.source_terminal[:1]
    trees = forest(len(node), node[part.network.terminal_fr[held]], node[part.network.terminal_to[held]])
    return Remainder(whole, part, tuple(bool(fed[each.buses[0]]) for each in fault.parts), bool(trees.all()))


def _isolated(stations: Stations, fault: Fault) -> Network:
    """The network in the state once the section is isolated."""
    network = stations.whole if fault.is_held else stations.opened
    closed = network.closed.copy()
    closed[fault.opened] = False
    network = replace(network, closed=closed)
    return open_held_meshes(network).opened if fault.is_held else network


def _with_fixed_outputs(network: Network) -> Network:
    """The network whose generators give what they give today."""
    p, q = network.generator_s.real.copy(), network.generator_s.imag.copy()
    return replace(network, p_min=p, p_max=p, q_min=q, q_max=q)


def _with_hanging(network: Network, inside: Bools) -> Network:
    """The network with the admittances of open branches that are not `inside` as loads of the buses at their ends."""
    load = network.s_impedance.copy()
    outside = ~inside
    np.add.at(load, network.terminal_fr[outside], network.y_open_fr[outside].conj())
    np.add.at(load, network.terminal_to[outside], network.y_open_to[outside].conj())
    return replace(network, s_impedance=load)
