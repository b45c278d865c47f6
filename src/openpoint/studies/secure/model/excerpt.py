"""An excerpt of a radial state: the feeders that a switching changes, as a network of their own.

A feeder is a bus that a source feeds by one branch, with all that is fed through it. The voltage of the source is
given, so that switching changes the flow of those feeders alone between which branches are opened and closed; all
others keep their voltages and currents.

The remainder: what switching may use after a fault, as a network in which every bus can be fed.

Left out are the section at fault and the buses that no path leads to any more, however one switches: *cut off for
good*. The power flow of a state of the remainder is that of the whole network in the same state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Ints
from openpoint.graph import energised, forest
from openpoint.network import Network
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.studies.secure.model.faults import Fault, Tree


@dataclass(frozen=True)
class Excerpt:
    """A part of a network, with the same state of its branches.

    Attributes:
        network: the part. buses, branches: numbers of its buses and branches in the whole.
        place: (N) number in the part of each bus of the whole, -1 outside.
    """

    network: Network
    buses: Ints
    branches: Ints
    place: Ints


def feeders_of(network: Network, tree: Tree) -> Ints:
    """(N) the first bus of the feeder of each bus; -1 at sources and without supply."""
    result = np.full(network.n_terminals, -1, dtype=np.int64)
    source = np.zeros(network.n_terminals, dtype=np.bool_)
    source[network.source_terminal] = True
    for bus in tree.order.tolist():
        e = int(tree.above[bus])
        if e < 0:
            continue
        parent = int(network.terminal_fr[e] + network.terminal_to[e]) - bus
        result[bus] = bus if source[parent] else result[parent]
    return result


def excerpt_of(network: Network, feeder: Ints, chosen: Ints) -> Excerpt:
    """The feeders `chosen`, with all sources, and what open branches connect to them."""
    fr, to = network.terminal_fr, network.terminal_to
    inside = np.isin(feeder, chosen)
    inside[network.source_terminal] = True
    at_end = ~network.closed & network.hangs & (inside[fr] | inside[to])
    kept = inside.copy()
    kept[fr[at_end]] = kept[to[at_end]] = True
    buses = np.flatnonzero(kept)
    branches = np.flatnonzero(kept[fr] & kept[to] & ((inside[fr] & inside[to]) | at_end))
    return part_of(network, buses, branches)


def part_of(network: Network, buses: Ints, branches: Ints) -> Excerpt:
    """The network of these buses, all sources among them, and of these branches between them."""
    place = np.full(network.n_terminals, -1, dtype=np.int64)
    place[buses] = np.arange(len(buses))
    units = np.flatnonzero(place[network.generator_terminal] >= 0)
    part = replace(
        network,
        bus_names=tuple(network.bus_names[n] for n in network.terminal_bus[buses]),
        branch_names=tuple(network.branch_names[e] for e in branches),
        branch_kinds=tuple(network.branch_kinds[e] for e in branches),
        branch_connections=tuple(network.branch_connections[e] for e in branches),
        terminal_bus=np.arange(len(buses)),
        terminal_phase=tuple(network.terminal_phase[n] for n in buses),
        conductor_branch=np.arange(len(branches)),
        conductor_phase=tuple(network.conductor_phase[e] for e in branches),
        terminal_fr=place[network.terminal_fr[branches]],
        terminal_to=place[network.terminal_to[branches]],
        z=_diagonal(network.z, branches),
        y_shunt=_diagonal(network.y_shunt, branches),
        source_terminal=place[network.source_terminal],
        generator_names=tuple(network.generator_names[g] for g in units),
        generator_terminal=place[network.generator_terminal[units]],
        **{name: getattr(network, name)[buses] for name in _OF_BUSES},
        **{name: getattr(network, name)[branches] for name in _OF_BRANCHES},
        **{name: getattr(network, name)[units] for name in _OF_GENERATORS},
    )
    return Excerpt(part, buses, branches, place)


_OF_BUSES = ("v_base_kv", "w_min", "w_max", "s_power", "s_current", "s_impedance")
_RATINGS = ("l_max", "rated_fr", "rated_to", "i_base_a")
_OF_BRANCHES = ("tap", "shift", *_RATINGS, "switchable", "closed", "y_open_fr", "y_open_to")
_OF_GENERATORS = ("generator_return", "generator_s", "p_min", "p_max", "q_min", "q_max")


def _diagonal(matrix: sp.csr_array, rows: Ints) -> sp.csr_array:
    return sp.csr_array(sp.diags_array(np.asarray(matrix.diagonal())[rows]))


def whole_of(network: Network) -> Excerpt:
    """All of a network."""
    every = np.arange(network.n_terminals)
    return Excerpt(network, every, np.arange(network.n_conductors), every)


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
