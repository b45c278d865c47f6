"""Permanently closed loops of stations, and the radial network with the same power flow.

A branch is *held* if it is closed and not switchable. Held branches may form loops: transformers in parallel, double
busbars, closed couplers. Where a loop consists of couplers (branches without impedance) and of branches in parallel
between what couplers join, the grid has the same voltages and losses as one in which the loop is opened:

- In a loop of couplers any one can be open: all their buses have one voltage.
- Branches in parallel that have one ratio a share the voltage u = v_fr / a behind it. Their currents are
  i_k = (u - v_to) / z_k, so that together they are one branch with 1 / z = Σ 1 / z_k and y = Σ y_k, of whose current
  they carry the share z / z_k each. The first of them takes these values, and the others are open. At each end its
  limit of current is the least of theirs over their share, so that it keeps its limit where all keep theirs, and only
  there. Where their shunts have other shares than their currents, limits are wider by what that makes, and checked
  after the search like those of couplers.
- A branch in parallel with a coupler carries no current but that of its shunt y, which stays at its from bus.
- Sources that hold the same voltage count as one bus.

Bounds, certificates and radial states of the opened network are therefore those of the grid, without any error. Only
the currents of couplers differ, of which a loop does not say how they are shared: their limits are left out, and the
power flow of the answer in the grid itself checks them.

Theory: docs/methods.md M6.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import InputError, Problem
from openpoint.graph import bridges, components, forest
from openpoint.network.arrays import Network
from openpoint.network.devices import DeviceKind, Devices

W_MOST = 4.0
"""Squared voltage that counts as the greatest where there is no limit."""


@dataclass(frozen=True)
class Stations:
    """A network and its permanently closed loops.

    Attributes:
        whole: the network as it is. opened: the one with the same power flow in which permanently closed loops are
            open, as far as they consist of couplers and branches in parallel.
        dropped: (E) branches that are closed in `whole` and open in `opened`.
        unlimited: (E) couplers whose limit of current `opened` does not have.
        wider: (E) branches in parallel whose limit of current is wider in `opened`.
        carrier: (E) branch of `opened` in whose place it stands. share: (E) of whose current it carries this share.
        couplers: (E) couplers in permanently closed loops, which in `opened` carry other currents.
    """

    whole: Network
    opened: Network
    dropped: Bools
    unlimited: Bools
    wider: Bools
    carrier: Ints
    share: Complexes
    couplers: Bools

    @property
    def keeps_limits(self) -> bool:
        """Whether `opened` keeps its limits exactly where `whole` does."""
        return not (self.unlimited | self.wider).any()

    @property
    def joined(self) -> Bools:
        """(E) branches in parallel for which one of them stands."""
        return np.asarray(self.share != 1.0)

    def price_of_currents(self, price: Floats) -> Floats:
        """(E) what squared currents of `opened` count, if those of `whole` count so; those of `couplers` count 0."""
        found = np.zeros(len(price))
        np.add.at(found, self.carrier, np.where(self.couplers, 0.0, price) * np.abs(self.share) ** 2)
        return found

    def currents(self, i: Complexes) -> Complexes:
        """(E) currents of `whole` where those of `opened` are `i`; nan for `couplers`."""
        found: Complexes = np.where(self.couplers, np.nan, self.share * i[self.carrier])
        return found


def without_meshes(network: Network) -> Stations:
    """A network without permanently closed loops."""
    nothing, count = np.zeros(network.n_conductors, dtype=np.bool_), network.n_conductors
    share = np.ones(count, dtype=np.complex128)
    return Stations(network, network, nothing, nothing, nothing, np.arange(count), share, nothing)


def open_held_meshes(network: Network, moving: Ints | None = None) -> Stations:
    """The network with its permanently closed loops opened; one of several phases stays as it is.

    Args:
        moving: terminals of sources whose voltage may be set, and which so share none with another; default: none.
    """
    held = np.flatnonzero(network.closed & ~network.switchable)
    if not network.is_balanced or not len(held):
        return without_meshes(network)
    node = _one_node_a_voltage(network, set() if moving is None else set(moving.tolist()))
    n, fr, to = network.n_terminals, node[network.terminal_fr], node[network.terminal_to]
    looped = held[~bridges(n, fr[held], to[held])]
    if not len(looped):
        return without_meshes(network)
    nothing, carrier = np.zeros(network.n_conductors, dtype=np.bool_), np.arange(network.n_conductors)
    share = np.ones(network.n_conductors, dtype=np.complex128)
    z, y = (np.asarray(matrix.diagonal()).copy() for matrix in (network.z, network.y_shunt))
    plain = (network.tap == 1.0) & (network.shift == 0.0)
    is_coupler = (z == 0) & (y == 0) & plain
    couplers, others = looped[is_coupler[looped]], looped[~is_coupler[looped]]
    group = components(n, fr[couplers], to[couplers])
    dropped, at_fr, wider = nothing.copy(), network.y_open_fr.copy(), nothing.copy()
    limits = [part.copy() for part in (network.l_max, network.rated_fr, network.rated_to)]
    rating = network.rating.copy()
    dropped[couplers[~forest(n, fr[couplers], to[couplers])]] = True
    for beside in _in_parallel(group[fr], group[to], others):
        first = beside[0]
        if group[fr[first]] == group[to[first]]:
            idle = beside[plain[beside]]
            dropped[idle], at_fr[idle], share[idle] = True, y[idle], 0.0
            limits[1][idle] *= 0.5  # half of the shunt is at either end
        elif _have_one_ratio(network, group[fr], beside) and z[beside].all():
            z_all = 1.0 / (1.0 / z[beside]).sum()
            way = np.where(group[fr[beside]] == group[fr[first]], 1.0, -1.0)
            carrier[beside], share[beside] = first, way * z_all / z[beside]
            joint, exact = _joint_limits(network, beside, z_all / z[beside], way)
            for part, value in zip(limits, joint, strict=True):
                part[first] = value
            nameplates, _ = _joint_limits(replace(network, l_max=network.rating**2), beside, z_all / z[beside], way)
            rating[first] = np.sqrt(nameplates[0]) if np.isfinite(joint[0]) else np.inf
            wider[beside] = (not exact) & np.isfinite(network.l_max[beside])
            z[first], y[first] = z_all, y[beside].sum()
            dropped[beside[1:]], at_fr[beside[1:]] = True, 0.0
    unlimited, alike = nothing.copy(), nothing.copy()
    unlimited[couplers], alike[couplers] = np.isfinite(network.l_max[couplers]), True
    limits[0][couplers] = rating[couplers] = np.inf
    opened = replace(
        network,
        z=_diagonal(z),
        y_shunt=_diagonal(y),
        closed=network.closed & ~dropped,
        l_max=limits[0],
        rating=rating,
        rated_fr=limits[1],
        rated_to=limits[2],
        y_open_fr=at_fr,
        y_open_to=np.where(dropped, 0.0, network.y_open_to),
    )
    return Stations(network, opened, dropped, unlimited, wider, carrier, share, alike)


def _joint_limits(
    network: Network, beside: Ints, share: Complexes, way: Floats
) -> tuple[tuple[float, float, float], bool]:
    """`l_max`, `rated_fr`, `rated_to` of the branch that stands for some in parallel, and whether they are exact.

    The current of branch k at an end is its share of the current there, and (y_k − share y) / 2 of the voltage.

    Args:
        share: (K) of the current. way: (K) −1 where the branch runs against the first.
    """
    y, i_max = np.asarray(network.y_shunt.diagonal())[beside], np.sqrt(network.l_max[beside])
    apart = 0.5 * np.abs(y - share * y.sum())
    apart[apart <= 1e-9 * np.abs(y).sum()] = 0.0
    ends, most = list[float](), np.sqrt(np.minimum(network.w_max, W_MOST))
    most[network.source_terminal] = np.abs(network.source_v)
    rated, first = (network.rated_fr[beside], network.rated_to[beside]), beside[0]
    for side, (terminal, ratio) in enumerate(((network.terminal_fr, network.tap[first]), (network.terminal_to, 1.0))):
        here = np.where(way > 0.0, rated[side], rated[1 - side])
        with np.errstate(divide="ignore", invalid="ignore"):
            own = i_max / here + np.where(apart > 0.0, apart * most[terminal[first]] / ratio**2, 0.0)
        ends.append(float(np.nanmin(own / np.abs(share), initial=np.inf)))
    i_fr, i_to = ends
    exact = not apart.any()
    if np.isfinite(i_to):
        return (i_to**2, i_to / i_fr, 1.0), exact
    return (i_fr**2, 1.0, 0.0 if np.isfinite(i_fr) else 1.0), exact


def refuse_shared_taps(stations: Stations, devices: Devices, otherwise: str) -> None:
    """Refuse that the taps of transformers in parallel move, which share their current by their ratios.

    Args:
        stations: of the network. devices: whose positions are decided. otherwise: what to ask for instead.

    Raises:
        InputError: naming each.
    """
    taps = devices.of(DeviceKind.TAP)
    found = [devices.names[d] for d in taps.tolist() if stations.joined[devices.place[d]]]
    if found:
        message = "it stands in parallel with others in a loop that stays closed, and its taps are free to move"
        remedy = f"{otherwise}, or open the loop (--open, or --switchable)"
        raise InputError([Problem("transformers", name, "", message, remedy) for name in found])


def _one_node_a_voltage(network: Network, moving: set[int]) -> Ints:
    """(N) the terminal that stands for each; sources with the same voltage are one, but for those `moving`."""
    node = np.arange(network.n_terminals)
    first: dict[complex, int] = {}
    for terminal, v in zip(network.source_terminal.tolist(), network.source_v.tolist(), strict=True):
        node[terminal] = terminal if terminal in moving else first.setdefault(v, terminal)
    return node


def _in_parallel(fr: Ints, to: Ints, branches: Ints) -> Iterator[Ints]:
    """The branches by the pair of groups that they join."""
    found: dict[tuple[int, int], list[int]] = {}
    for e in branches.tolist():
        pair = int(fr[e]), int(to[e])
        found.setdefault((min(pair), max(pair)), []).append(e)
    return (np.array(beside, dtype=np.int64) for beside in found.values())


def _have_one_ratio(network: Network, fr: Ints, beside: Ints) -> bool:
    """Whether branches in parallel share the voltage behind their ratio."""
    ratio = network.tap[beside] * np.exp(1j * network.shift[beside])
    one_way = (fr[beside] == fr[beside[0]]).all()
    return bool((np.abs(ratio - ratio[0]) <= 1e-12).all() and (one_way or ratio[0] == 1.0))


def _diagonal(values: Complexes) -> sp.csr_array:
    return sp.csr_array(sp.diags_array(values))
