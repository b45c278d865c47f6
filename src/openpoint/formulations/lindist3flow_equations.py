"""Coefficients of LinDist3Flow: sparse matrices over the terminals, conductors and delta pairs of a Network.

A conductor has an internal voltage u at each end, A v with

    u = v of its terminal                         a wye, a line, a switch
    u = W v                                       a delta (`openpoint.network.arrays`)
    u = (v_f − v_g) / √3                          a winding between two lines, z counts a third

and carries s = u conj(i) from its from to its to end, without losses. Around reference voltages v0 (u0 = A v0)

    power that a terminal gives to it             T s, T = diag(v0) Aᵀ diag(1 / u0)
    |u|², first order in w = |v|², angles kept    B w, B = |u0|² Re(A diag(v0) / u0) / |v0|²
    |u_fr|² / tap² − |u_to|²                      M_P p + M_Q q, M_P + j M_Q = 2 conj(conj(Z) ∘ u0_to / u0_toᵀ)

The last is the law of Gan and Low (2014), whose rotation by e^(∓j 2π/3) is the ratio of balanced v0; only the ratios
of v0 among the phases of a bus count. Between two lines B w is (w_a + w_b) / 2 for balanced v0: it neglects changes of
the angles. Where no zero sequence can flow, behind deltas, the three
magnitudes of a bus determine the angles, and B w = (2 w_a + 2 w_b − w_c) / 3 is exact. The open delta has its own law.

The magnetising branch y of a transformer draws conj(y) |u|² at its to end (`Network.y_ends`). Where the zero sequence
is free, one to the ground would fix the neutral; there it is left out, as loads to neutral are refused.

Zero sequence at deltas: where a current may circulate, where a neutral floats, and which voltages regulators tie.

All of these depend on where the grid is fed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.graph import energised
from openpoint.network import Network
from openpoint.network.arrays import winding_matrix
from openpoint.network.limits import series_limits


@dataclass(frozen=True)
class ClosedDeltas:
    """C deltas in which a circulating current is possible, not determined by powers or voltage magnitudes.

    Attributes:
        conductors: (C, 3). floating: (C, 3) terminals behind them, whose neutral floats.
    """

    conductors: Ints
    floating: Ints


def closed_deltas(network: Network, feeding: Ints, joined: Bools) -> ClosedDeltas:
    """Three-phase delta-deltas, closed banks of windings between lines, and deltas behind a fed wye.

    Args:
        feeding: terminals that hold a voltage, or may. joined: (E) conductors that are closed, or may be.
    """
    lone = network.windings
    found: list[tuple[Ints, bool]] = []  # conductors, whether it is their from side that floats
    for conductors in [*by_branch(network), *_banks(network)]:
        e = conductors[0]
        connection = network.branch_connections[network.conductor_branch[e]]
        if len(conductors) == 3 and "delta" in connection and joined[conductors].all():
            others = joined.copy()
            others[conductors] = False
            if e in lone.conductor and _beside(network, conductors, others):
                continue
            fr_fed, to_fed = _fed(network, conductors, feeding, others)
            if connection == "delta-delta":
                found.append((conductors, to_fed and not fr_fed))
            elif not (fr_fed if connection == "delta-wye" else to_fed):
                found.append((conductors, connection == "delta-wye"))
    chosen = np.array([c for c, _ in found], dtype=np.int64).reshape(-1, 3)
    floats = [(network.terminal_fr if back else network.terminal_to)[c] for c, back in found]
    return ClosedDeltas(chosen, np.array(floats, dtype=np.int64).reshape(-1, 3))


def floating_terminals(network: Network, deltas: ClosedDeltas, joined: Bools) -> Bools:
    """(N) terminals behind closed deltas, reached over three-phase branches without a delta.

    Args:
        joined: (E) conductors that are closed, or may be.
    """
    n = network.n_terminals
    deltas_of = np.array(["delta" in c for c in network.branch_connections], dtype=np.bool_)
    three = np.bincount(network.conductor_branch, minlength=len(deltas_of)) == 3
    passing = joined & (three & ~deltas_of)[network.conductor_branch]
    return energised(n, network.terminal_fr, network.terminal_to, passing, deltas.floating.ravel())


def tied_windings(network: Network, feeding: Ints, joined: Bools) -> Ints:
    """(U) 1 where a winding between two lines is fed at its from side, -1 where at its to side.

    Its other phase is joined by a parallel branch, as in an open delta; 0 where it is not.

    Args:
        feeding, joined: as for `closed_deltas`.
    """
    lone, direction = network.windings, np.zeros(len(network.windings.conductor), dtype=np.int64)
    fr, to = network.terminal_fr, network.terminal_to
    for conductors in _banks(network):
        others = joined.copy()
        others[conductors] = False
        fr_fed, to_fed = _fed(network, conductors, feeding, others & ~_parallel(network, conductors))
        for u in np.flatnonzero(np.isin(lone.conductor, conductors)):
            ends = (lone.return_fr[u], lone.return_to[u])
            tie = ((fr == ends[0]) & (to == ends[1])) | ((fr == ends[1]) & (to == ends[0]))
            tie[lone.conductor] = False
            if (tie & others).any():
                direction[u] = -1 if to_fed and not fr_fed else 1
    return direction


def by_branch(network: Network) -> list[Ints]:
    """Conductors of each branch that has any."""
    starts = np.flatnonzero(np.diff(network.conductor_branch, prepend=-1))
    return np.split(np.arange(network.n_conductors), starts[1:]) if len(starts) else []


def _banks(network: Network) -> list[Ints]:
    """Windings between lines that join the same two buses."""
    ends = network.terminal_bus[network.terminal_fr], network.terminal_bus[network.terminal_to]
    banks: dict[tuple[int, int], list[int]] = {}
    for e in network.windings.conductor.tolist():
        banks.setdefault((int(ends[0][e]), int(ends[1][e])), []).append(e)
    return [np.array(units, dtype=np.int64) for units in banks.values()]


def _fed(network: Network, conductors: Ints, feeding: Ints, others: Bools) -> tuple[bool, bool]:
    """Whether their from side and their to side is reached without them."""
    fed = energised(network.n_terminals, network.terminal_fr, network.terminal_to, others, feeding)
    return bool(fed[network.terminal_fr[conductors]].any()), bool(fed[network.terminal_to[conductors]].any())


def _beside(network: Network, conductors: Ints, others: Bools) -> bool:
    """Whether another conductor joins the same buses as a bank of windings between lines."""
    return bool((_parallel(network, conductors) & others).any())


def _parallel(network: Network, conductors: Ints) -> Bools:
    """(E) conductors between the same buses."""
    ends = network.terminal_bus[network.terminal_fr], network.terminal_bus[network.terminal_to]
    one, two = ends[0][conductors[0]], ends[1][conductors[0]]
    return np.asarray(((ends[0] == one) & (ends[1] == two)) | ((ends[0] == two) & (ends[1] == one)))


# Zero sequence of reference voltages that counts as none, pu.
_NO_ZERO_SEQUENCE = 1e-9

PHASOR = {"1": 1.0 + 0.0j, "a": 1.0 + 0.0j, "b": complex(-0.5, -math.sqrt(0.75)), "c": complex(-0.5, math.sqrt(0.75))}
"""Balanced voltages of the phases."""


@dataclass(frozen=True)
class Coefficients:
    """Matrices over N terminals, E conductors, D delta pairs.

    Attributes:
        drop_p, drop_q: (E, E) M_P and M_Q.
        w_fr, w_to: (E, N) squared internal voltage at each end, that of the from end over tap².
        s_fr, s_to: (N, E) complex: power of the terminals per power of the conductors, at each end.
        s_delta: (N, D) complex: power of the terminals per power of the pairs.
        circulating: (C, E) complex: sum of the conjugates of the currents in the windings of each of `deltas`.
        s_max: (E) rating as apparent power at nominal voltage, inf = none.
        idle_fr, idle_to: (E) complex power that the magnetising branch takes at each end per squared internal voltage.
        square_fr, square_to: (E, N) those squared voltages; w_fr and w_to but for windings in an open delta.
    """

    drop_p: sp.csr_array
    drop_q: sp.csr_array
    w_fr: sp.csr_array
    w_to: sp.csr_array
    s_fr: sp.csr_array
    s_to: sp.csr_array
    s_delta: sp.csr_array
    circulating: sp.csr_array
    s_max: Floats
    deltas: ClosedDeltas
    idle_fr: Complexes
    idle_to: Complexes
    square_fr: sp.csr_array
    square_to: sp.csr_array

    @property
    def is_idle(self) -> bool:
        """Whether any transformer has a magnetising branch."""
        return bool(self.idle_fr.any() or self.idle_to.any())

    def idle_per_w(self, which: Bools) -> sp.csr_array:
        """(N, N) complex power that terminals give to the magnetising branches of conductors (E) per w."""
        fr, to = (sp.diags_array(np.where(which, part, 0.0)) for part in (self.idle_fr, self.idle_to))
        return sp.csr_array(self.s_fr @ fr @ self.square_fr + self.s_to @ to @ self.square_to)

    def idle_at(self, w: Floats) -> sp.csr_array:
        """(N, E) complex power that terminals give to the magnetising branch of each conductor at squared voltages."""
        fr, to = self.idle_fr * (self.square_fr @ w), self.idle_to * (self.square_to @ w)
        return sp.csr_array(self.s_fr @ sp.diags_array(fr) + self.s_to @ sp.diags_array(to))


def balanced(network: Network) -> Complexes:
    """(N) balanced voltages of 1 pu, phase a at angle 0."""
    return np.array([PHASOR[phase] for phase in network.terminal_phase], dtype=np.complex128)


def coefficients(
    network: Network, reference: Complexes | None = None, *, feeding: Ints | None = None, joined: Bools | None = None
) -> Coefficients:
    """The matrices of a network.

    Args:
        reference: (N) voltages v0; default: `balanced`. Behind regulators between lines those without load fit better.
        feeding: terminals that hold a voltage, or may; default: the sources.
        joined: (E) conductors that are closed, or may be; default: all.
    """
    v0 = balanced(network) if reference is None else reference
    feeding = network.source_terminal if feeding is None else feeding
    joined = np.ones(network.n_conductors, dtype=np.bool_) if joined is None else joined
    deltas = closed_deltas(network, feeding, joined)
    floating = floating_terminals(network, deltas, joined)
    third = _third(network, v0, floating)
    a_fr, a_to = internal_voltages(network)
    a_delta = differences(network.n_terminals, network.delta.fr, network.delta.to)
    u_to = np.asarray(a_to @ v0)
    entries = sp.coo_array(series_impedance(network))
    row, column = entries.coords
    law = sp.csr_array(
        _sparse(2.0 * np.conj(np.conj(entries.data) * u_to[row] / u_to[column]), row, column, entries.shape)
    )
    w_fr = sp.csr_array(sp.diags_array(1.0 / network.tap**2) @ _squared(a_fr, v0, third))
    w_to = _squared(a_to, v0, third)
    squares = w_fr, w_to
    idle_fr, idle_to = idle_shunts(network, floating)
    tied = tied_windings(network, feeding, joined)
    if tied.any():
        law, w_fr, w_to = _tie(network, v0, third, tied, (law, w_fr, w_to))
    return Coefficients(
        drop_p=sp.csr_array(law.real),
        drop_q=sp.csr_array(law.imag),
        w_fr=w_fr,
        w_to=w_to,
        s_fr=_power(a_fr, v0),
        s_to=_power(a_to, v0),
        s_delta=_power(a_delta, v0),
        circulating=_circulating(network, deltas, u_to),
        s_max=rated_power(network),
        deltas=deltas,
        idle_fr=np.conj(idle_fr),
        idle_to=np.conj(idle_to),
        square_fr=squares[0],
        square_to=squares[1],
    )


def _tie(
    network: Network, v0: Complexes, third: Ints, tied: Ints, rows: tuple[sp.csr_array, sp.csr_array, sp.csr_array]
) -> tuple[sp.csr_array, sp.csr_array, sp.csr_array]:
    """The law of windings in an open delta, whose voltages v_g = v_h of the other phase are one.

    v_t = (1 − k) v_g + k v_f − z i, k = 1 / tap, so that without load
    w_t = (1 − k)² w_g + k² w_f + k (1 − k) (w_f + w_g − |v_f − v_g|²); from the to to the from side k = tap.
    """
    lone, n = network.windings, network.n_terminals
    law, w_fr, w_to = (sp.lil_array(matrix) for matrix in rows)
    for e, back_fr, back_to, direction in zip(lone.conductor, lone.return_fr, lone.return_to, tied):
        if direction == 0:
            continue
        ends = [(network.terminal_fr[e], back_fr), (network.terminal_to[e], back_to)]
        (near, near_back), (far, far_back) = ends[::direction]
        k = network.tap[e] ** -direction
        known = -3.0 * k * (1.0 - k) * _squared(differences(n, np.array([near]), np.array([near_back])), v0, third)
        known = known.toarray()[0]
        known[near] += k
        known[near_back] += 1.0 - k
        own = np.zeros(n)
        own[far] = 1.0
        w_fr[[e], :], w_to[[e], :] = (known, own)[::direction]
        seen = network.z[e, e] * (1.0 if direction > 0 else network.tap[e] ** 2)
        law[e, e] = 2.0 * np.conj(np.conj(seen) * v0[far] / (v0[far] - v0[far_back]))
    return sp.csr_array(law), sp.csr_array(w_fr), sp.csr_array(w_to)


def internal_voltages(network: Network) -> tuple[sp.csr_array, sp.csr_array]:
    """(E, N) matrices A of the from and of the to end, without tap and shift."""
    fr, to, lone = network.terminal_fr, network.terminal_to, network.windings
    sides: list[sp.csr_array] = []
    for end, back, word in ((fr, lone.return_fr, 0), (to, lone.return_to, 1)):
        row: list[np.ndarray] = []
        column: list[np.ndarray] = []
        value: list[np.ndarray] = []
        between = dict(zip(lone.conductor.tolist(), back.tolist()))
        for conductors in by_branch(network):
            connection = network.branch_connections[network.conductor_branch[conductors[0]]]
            here = end[conductors]
            block = np.eye(len(conductors))
            if conductors[0] in between:
                here = np.array([here[0], between[conductors[0]]])
                block = np.array([[1.0, -1.0]]) / math.sqrt(3.0)
            elif connection.split("-")[word] == "delta" and len(conductors) == 3:
                block = winding_matrix(connection, float(network.shift[conductors[0]]))
            i, j = np.nonzero(block)
            row.append(conductors[i])
            column.append(here[j])
            value.append(block[i, j])
        sides.append(
            _sparse(_joined(value), _joined(row), _joined(column), (network.n_conductors, network.n_terminals))
        )
    return sides[0], sides[1]


def series_impedance(network: Network) -> sp.csr_array:
    """(E, E) series impedance between the internal voltages."""
    scale = np.ones(network.n_conductors)
    scale[network.windings.conductor] = 1.0 / 3.0
    return sp.csr_array(sp.diags_array(scale) @ network.z)


def idle_shunts(network: Network, floating: Bools) -> tuple[Complexes, Complexes]:
    """(E) magnetising admittance at each end of a transformer, at the internal voltages; 0 of lines.

    Args:
        floating: (N) terminals whose neutral floats; a wye has no magnetising branch there.
    """
    transformers = np.array([kind == "transformers" for kind in network.branch_kinds], dtype=np.bool_)
    words = [connection.split("-") for connection in network.branch_connections]
    sides: list[Complexes] = []
    for end, word, y in zip((network.terminal_fr, network.terminal_to), (0, 1), network.y_ends):
        each = np.asarray(y.diagonal(), dtype=np.complex128)
        each[network.windings.conductor] *= 3.0
        is_wye = np.array([both[word] == "wye" for both in words], dtype=np.bool_)[network.conductor_branch]
        there = transformers[network.conductor_branch] & ~(is_wye & floating[end])
        sides.append(np.where(there, each, 0.0))
    return sides[0], sides[1]


def rated_power(network: Network) -> Floats:
    """(E) rating as apparent power at nominal voltage, inf = none."""
    s_max = np.sqrt(series_limits(network))
    s_max[network.windings.conductor] *= math.sqrt(3.0)
    return s_max


def differences(n: int, fr: Ints, to: Ints) -> sp.csr_array:
    """(D, n) matrix of (v_fr − v_to) / √3."""
    rows = np.arange(len(fr))
    value = np.repeat([1.0, -1.0], len(fr)) / math.sqrt(3.0)
    return _sparse(value, np.concatenate([rows, rows]), np.concatenate([fr, to]), (len(fr), n))


def _circulating(network: Network, deltas: ClosedDeltas, u0: Complexes) -> sp.csr_array:
    column = deltas.conductors.ravel()
    row = np.repeat(np.arange(len(deltas.conductors)), 3)
    return _sparse(1.0 / u0[column], row, column, (len(deltas.conductors), network.n_conductors))


def _power(a: sp.csr_array, v0: Complexes) -> sp.csr_array:
    """T of the module."""
    inverse = 1.0 / np.asarray(a @ v0)
    return sp.csr_array(sp.diags_array(v0) @ a.T @ sp.diags_array(inverse))


def _squared(a: sp.csr_array, v0: Complexes, third: Ints) -> sp.csr_array:
    """B of the module."""
    u0 = np.asarray(a @ v0)
    ratio = sp.csr_array(sp.diags_array(1.0 / u0) @ a @ sp.diags_array(v0)).real
    usual = sp.coo_array(sp.diags_array(np.abs(u0) ** 2) @ ratio @ sp.diags_array(1.0 / np.abs(v0) ** 2))
    row, column = usual.coords
    # A row of two terminals is (v_f − v_t) / √3.
    exact = (np.bincount(row, minlength=a.shape[0])[row] == 2) & (third[column] >= 0)
    data = np.where(exact, 2.0 / 3.0, usual.data)
    more, first = np.unique(row[exact], return_index=True)
    both = np.bincount(row, weights=column, minlength=a.shape[0])[more].astype(np.int64)
    last = third[column[exact][first]] - both
    value = np.concatenate([data, np.full(len(more), -1.0 / 3.0)])
    return _sparse(value, np.concatenate([row, more]), np.concatenate([column, last]), a.shape)


def _third(network: Network, v0: Complexes, floating: Bools) -> Ints:
    """(N) sum of the numbers of the terminals of a bus of three phases that has no zero sequence, else -1."""
    count = np.bincount(network.terminal_bus, minlength=len(network.bus_names))
    numbers = np.bincount(network.terminal_bus, weights=np.arange(network.n_terminals), minlength=len(count))
    zero = np.zeros(len(count), dtype=np.complex128)
    np.add.at(zero, network.terminal_bus, v0)
    ok = (count == 3) & (np.abs(zero) < _NO_ZERO_SEQUENCE)
    here = ok[network.terminal_bus] & floating
    return np.where(here, numbers[network.terminal_bus].astype(np.int64), -1)


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


def _sparse(value: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, ...]) -> sp.csr_array:
    return sp.csr_array(sp.coo_array((value, (row.astype(np.int64), column.astype(np.int64))), shape=shape))
