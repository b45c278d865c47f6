"""The linear part of a grid as one system: Ohm's law of every conductor, Kirchhoff's law of every terminal.

States are the voltages of terminals that nothing holds, the currents of closed conductors, and a current for each part
whose zero sequence floats. In this form no impedance is divided by, so that branches without any are exact, and the
currents of a tree are sums. Of a floating part the voltages are those whose sum is zero; nothing else depends on it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.rounding import UNIT, lost, up
from openpoint.errors import InputError, Problem
from openpoint.graph import energised
from openpoint.grid.devices import kvar_today
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.load_shares import power_shares
from openpoint.powerflow.check_phases import internal_voltages

_AT_ONCE = 256
"""Columns of an inverse that are held at once."""


@dataclass(frozen=True)
class System:
    """matrix @ state = given − draws @ y, with y the currents of the ports.

    Attributes:
        network: of the grid.
        free: terminals with supply that nothing holds, the first states. used: closed conductors there; their currents
            are the next.
        matrix: (states, states); sizes: the sums of moduli that its entries are made of.
        given: (states), of terms whose moduli add up to `given_size` at most. draws: (states, m).
        ends_fr, ends_to: (used, states) current into a conductor at its from and at its to terminal, with
            ends_fr_given, ends_to_given.
        supplies: (held, states) current that each held terminal delivers, with supplies_given; the ports there aside.
    """

    network: Network
    free: Ints
    used: Ints
    matrix: sp.csr_array
    sizes: sp.csr_array
    given: Complexes
    given_size: float
    draws: sp.csr_array
    ends_fr: sp.csr_array
    ends_to: sp.csr_array
    ends_fr_given: Complexes
    ends_to_given: Complexes
    supplies: sp.csr_array
    supplies_given: Complexes

    def parts(self, ports: Ports) -> list[tuple[Ints, Ints, Ints]]:
        """States, ports and deviations of the parts of the grid that do not depend on each other."""
        from scipy.sparse.csgraph import connected_components  # a tenth of a second, as below

        count, m, n = self.matrix.shape[0], *ports.spread.shape
        inner = sp.coo_array(self.matrix)
        at, spread = sp.coo_array(self.draws), sp.coo_array(ports.spread)
        row = np.concatenate([inner.row, at.row, spread.row + count])
        column = np.concatenate([inner.col, at.col + count, spread.col + count + m])
        graph = sp.coo_array((np.ones(len(row)), (row, column)), shape=(count + m + n,) * 2)
        label = connected_components(graph, directed=False)[1]
        order = np.argsort(label, kind="stable")
        groups = np.split(order, np.flatnonzero(np.diff(label[order])) + 1)
        found = []
        for group in groups:
            states = group[group < count]
            if len(states):
                here = group[(group >= count) & (group < count + m)] - count
                found.append((states, here, group[group >= count + m] - count - m))
        return found


def system_of(grid: Grid, network: Network, ports: Ports) -> System:
    """The system of a grid in today's state, of what a source reaches; no port lies elsewhere.

    Raises:
        InputError: a load to neutral where nothing holds the zero sequence.
    """
    n = network.n_terminals
    held = network.source_terminal
    fed = energised(n, network.terminal_fr, network.terminal_to, network.closed, held)
    used = np.flatnonzero(network.closed & fed[network.terminal_fr])
    free = np.setdiff1d(np.flatnonzero(fed), held)
    at_fr, at_to = (sp.csr_array(part[used]) for part in internal_voltages(network))
    y_fr, y_to = (part[used][:, used] for part in network.y_ends)
    shunt_fr, shunt_to = sp.csr_array(y_fr @ at_fr), sp.csr_array(y_to @ at_to)
    back_fr, back_to = sp.csr_array(at_fr.conj().T), sp.csr_array(at_to.conj().T)
    own, own_pairs = _admittances(grid, network)
    shunt = sp.csr_array(back_fr @ shunt_fr + back_to @ shunt_to + own + own_pairs)
    shunt.eliminate_zeros()
    big = abs(back_fr) @ abs(shunt_fr) + abs(back_to) @ abs(shunt_to) + abs(own) + abs(own_pairs)
    z = sp.csr_array(network.z[used][:, used])
    drop, push = sp.csr_array(at_fr - at_to), sp.csr_array(back_fr - back_to)
    grounds = _floating(network, at_fr, at_to, shunt, ports, fed)
    # All terminals are states at first; the voltages of those that are held are then known.
    more = n, n + len(used)
    count = more[1] + grounds.shape[1]
    states = np.concatenate([free, np.arange(n, count)])
    to_ground = [(grounds, 0, more[1]), (sp.csr_array(grounds.T), more[1], 0)]
    whole = _joined([(shunt, 0, 0), (push, 0, n), (drop, n, 0), (-z, n, n), *to_ground], count, count)
    whole_size = _joined([(big, 0, 0), (abs(push), 0, n), (abs(drop), n, 0), (abs(z), n, n), *to_ground], count, count)
    v = np.zeros(count, dtype=np.complex128)
    v[held] = network.source_v
    known, of_states = times(whole, v), whole[:, states]
    given = -known[states]
    given_size = float(np.max(times(whole_size, np.abs(v))[states], initial=0.0))
    here = _incidence(n, ports)
    branch = network.conductor_branch[used]
    ends = (
        _at_terminals(back_fr, network.terminal_fr[used], branch, shunt_fr, 1.0),
        _at_terminals(back_to, network.terminal_to[used], branch, shunt_to, -1.0),
    )
    stated = [_joined([(volts, 0, 0), (amperes, 0, n)], len(used), count) for volts, amperes in ends]
    (fr, fr_given), (to, to_given) = ((sp.csr_array(part[:, states]), times(part, v)) for part in stated)
    supplies, supplies_given = sp.csr_array(of_states[held]), known[held]
    draws = sp.csr_array(_joined([(here, 0, 0)], count, here.shape[1])[states])
    matrix, sizes = sp.csr_array(of_states[states]), sp.csr_array(whole_size[states][:, states])
    inner = (network, free, used, matrix, sizes, given, given_size, draws)
    return System(*inner, fr, to, fr_given, to_given, supplies, supplies_given)


def _joined(blocks: list[tuple[sp.csr_array, int, int]], rows: int, columns: int) -> sp.csr_array:
    """Blocks as one matrix, each with the row and the column where it begins."""
    parts = [(block.tocoo(), row, column) for block, row, column in blocks]
    row = np.concatenate([part.row + first for part, first, _ in parts])
    column = np.concatenate([part.col + first for part, _, first in parts])
    data = np.concatenate([part.data for part, _, _ in parts])
    return sp.csr_array(sp.coo_array((data, (row, column)), shape=(rows, columns)))


def _admittances(grid: Grid, network: Network) -> tuple[sp.csr_array, sp.csr_array]:
    """(N, N) admittances of capacitors and of lines open at one end, and of capacitors between two phases."""
    n = network.n_terminals
    own, y, (f, t) = np.zeros(n, dtype=np.complex128), np.zeros(0), (network.delta.fr, network.delta.to)
    if grid.capacitors.height:
        wye, delta = power_shares(grid, grid.capacitors)
        kvar = np.array([kvar_today(row) for row in grid.capacitors.iter_rows(named=True)], dtype=np.float64)
        own, y = np.conj(-1j * np.asarray(wye @ kvar)), np.conj(-1j * np.asarray(delta @ kvar)) / 3.0
    else:
        f, t = f[:0], t[:0]
    opened = np.flatnonzero(~network.closed)
    np.add.at(own, network.terminal_fr[opened], network.y_open_fr[opened])
    np.add.at(own, network.terminal_to[opened], network.y_open_to[opened])
    pairs = sp.coo_array((np.r_[y, y, -y, -y], (np.r_[f, t, f, t], np.r_[f, t, t, f])), shape=(n, n))
    return sp.csr_array(sp.diags_array(own)), sp.csr_array(pairs)


def _incidence(n: int, ports: Ports) -> sp.csr_array:
    """(N, m) where the currents of the ports leave and enter terminals."""
    m = np.arange(len(ports.fr))
    pair = ports.to >= 0
    entries = np.r_[np.ones(len(m)), -np.ones(pair.sum())]
    return sp.csr_array(
        sp.coo_array((entries, (np.r_[ports.fr, ports.to[pair]], np.r_[m, m[pair]])), shape=(n, len(m)))
    )


def _at_terminals(
    back: sp.csr_array, terminal: Ints, branch: Ints, shunt: sp.csr_array, sign: float
) -> tuple[sp.csr_array, sp.csr_array]:
    """(used, N) and (used, used) current into each conductor at one end, of voltages and of series currents.

    Of a delta it is what enters at the terminal: the currents of the two windings there together.
    """
    part = sp.coo_array(back[terminal])
    same = branch[part.row] == branch[part.col]
    own = sp.csr_array(sp.coo_array((part.data[same], (part.row[same], part.col[same])), shape=part.shape))
    return sp.csr_array(own @ shunt), sp.csr_array(sign * own)


def _floating(
    network: Network, at_fr: sp.csr_array, at_to: sp.csr_array, shunt: sp.csr_array, ports: Ports, fed: Bools
) -> sp.csr_array:
    """(N, parts) terminals of each part in which all voltages may move together: behind delta windings alone.

    Raises:
        InputError: a load to neutral in one.
    """
    from scipy.sparse.csgraph import connected_components

    n, count = network.n_terminals, at_fr.shape[0]
    grounded = ~fed
    grounded[network.source_terminal] = True
    single = [np.diff(part.indptr) == 1 for part in (at_fr, at_to)]
    # Both ends of a line move together; the two sides of a transformer are parts of their own, joined by lines alone.
    plain = single[0] & single[1] & (row_sums(at_fr - at_to) == 0.0)
    edges = []
    for part, alone, side in zip((at_fr, at_to), single, (0, count), strict=True):
        entry = sp.coo_array(part)
        grounded[entry.col[(alone & ~plain)[entry.row]]] = True
        edges.append((n + entry.row + np.where(plain[entry.row], 0, side), entry.col))
    row, column = (np.concatenate(each) for each in zip(*edges, strict=True))
    graph = sp.coo_array((np.ones(len(row)), (row, column)), shape=(n + 2 * count,) * 2)
    label = connected_components(graph, directed=False)[1][:n]
    grounded[np.flatnonzero(row_sums(shunt) != 0.0)] = True
    floats = np.setdiff1d(label, label[grounded])
    wrong = np.unique(ports.fr[(ports.to < 0) & np.isin(label[ports.fr], floats)])
    if len(wrong):
        names = sorted({network.bus_names[network.terminal_bus[t]] for t in wrong})
        message = f"loads to neutral at {', '.join(names[:5])}, behind delta windings alone"
        remedy = "Nothing holds the voltage to neutral there; connect them between phases, or ground a winding"
        raise InputError([Problem("loads", "", "connection", message, remedy)])
    at, where = np.nonzero(label[:, None] == floats[None, :])
    return sp.csr_array(sp.coo_array((np.ones(len(at)), (at, where)), shape=(n, len(floats))))


class Solver:
    """A regular sparse system whose solutions come with a bound of their error.

    With R the inverse that its factors give and E = I − M R, ‖M⁻¹‖ is at most ‖R‖ / (1 − ‖E‖), in the norm of largest
    row sums: the proof that the system is regular, and the factor from residuals to errors.

    Raises:
        InputError: it is singular, or too near to it to tell.
    """

    def __init__(self, matrix: sp.csr_array, sizes: sp.csr_array) -> None:
        from scipy.sparse.linalg import splu

        self.matrix = matrix
        count = matrix.shape[0]
        self.row_sum = float(up(row_sums(sizes), count).max(initial=0.0))
        self.share = lost(int(np.diff(matrix.indptr).max(initial=0)) + 32)
        try:
            self.lu = splu(sp.csc_array(matrix))
        except RuntimeError:
            raise self._singular() from None
        inverse, defect = np.zeros(count), np.zeros(count)
        for start in range(0, count, _AT_ONCE):
            unit = np.zeros((count, min(_AT_ONCE, count - start)), dtype=np.complex128)
            unit[start + np.arange(unit.shape[1]), np.arange(unit.shape[1])] = 1.0
            some = self.lu.solve(unit)
            inverse += np.abs(some).sum(axis=1)
            defect += np.abs(unit - times(matrix, some)).sum(axis=1)
        inverse = up(inverse, 2 * count)
        off = float(up(up(defect, 2 * count) + self.share * (times(sizes, inverse) + 1.0), count).max(initial=0.0))
        if not off < 0.5:
            raise self._singular()
        self.norm = float(inverse.max(initial=0.0)) / (1.0 - off) * (1.0 + 8 * UNIT)

    def solve(self, right: Complexes, size: float = 0.0) -> tuple[Complexes, Floats]:
        """(states, K) solutions and (K) bounds of their largest errors.

        Args:
            right: (states, K), entries that are sums whose moduli add up to `size` at most, where these are more.
        """
        found = self.lu.solve(right)
        residual = np.abs(right - times(self.matrix, found)).max(axis=0, initial=0.0)
        most = np.maximum(np.abs(right).max(axis=0, initial=0.0), size)
        rounding = self.share * (self.row_sum * np.abs(found).max(axis=0, initial=0.0) + most)
        return found, up(self.norm * (residual + rounding), 16)

    def _singular(self) -> InputError:
        message = "the currents or voltages of today's state are not unique"
        remedy = "Branches without impedance close a loop, or a part has no reference; open one, or give impedances"
        return InputError([Problem("lines", "", "", message, remedy)])


def is_two_ended(system: System) -> Bools:
    """(used) whether the rated currents at the two ends of a conductor may differ in size."""
    fr, to, net = system.ends_fr, system.ends_to, system.network
    apart = row_sums(abs(abs(fr) - abs(to))) > 0.0
    apart |= (system.ends_fr_given != 0.0) | (system.ends_to_given != 0.0)  # a shunt at a terminal that is held
    return np.asarray(apart | (net.rated_fr != net.rated_to)[system.used])


def times(matrix: sp.csr_array, dense: Any) -> Any:
    """The product as an array."""
    return np.asarray(matrix @ dense)


def row_sums(matrix: sp.csr_array) -> Any:
    """Sums of the rows as an array."""
    return times(matrix, np.ones(matrix.shape[1]))
