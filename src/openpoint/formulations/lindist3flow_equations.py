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
of v0 among the phases of a bus count. Between two lines B w is (w_a + w_b) / 2 for balanced v0: by how much the angles
move it does not see (`phasors` in `lindist3flow_solve` does). Where no zero sequence can flow, behind deltas, the three
magnitudes of a bus tell the angles, and B w = (2 w_a + 2 w_b − w_c) / 3 is exact.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.grid.topology import energised
from openpoint.network import Bools, Complexes, Floats, Ints, Network
from openpoint.network.arrays import winding_matrix

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
        s_delta: (N, D) complex: power of the terminals per power of the pairs. w_delta: (D, N) |u|² / 3 of the pairs.
        s_max: (E) rating as apparent power at nominal voltage, inf = none.
    """

    drop_p: sp.csr_array
    drop_q: sp.csr_array
    w_fr: sp.csr_array
    w_to: sp.csr_array
    s_fr: sp.csr_array
    s_to: sp.csr_array
    s_delta: sp.csr_array
    w_delta: sp.csr_array
    s_max: Floats


def balanced(network: Network) -> Complexes:
    """(N) balanced voltages of 1 pu, phase a at angle 0."""
    return np.array([PHASOR[phase] for phase in network.terminal_phase], dtype=np.complex128)


def coefficients(network: Network, reference: Complexes | None = None, floating: Bools | None = None) -> Coefficients:
    """The matrices of a network.

    Args:
        floating: (N) terminals whose neutral nothing fixes, see `floating_terminals`; default: none.
        reference: (N) voltages v0; default: `balanced`. Behind regulators between lines those without load fit better.
    """
    v0 = balanced(network) if reference is None else reference
    a_fr, a_to = internal_voltages(network)
    z = series_impedance(network)
    u_to = np.asarray(a_to @ v0)
    third = _third(network, v0, floating)
    entries = sp.coo_array(z)
    row, column = entries.coords
    law = 2.0 * np.conj(np.conj(entries.data) * u_to[row] / u_to[column])
    a_delta = differences(network.n_terminals, network.delta.fr, network.delta.to)
    lone = network.windings.conductor
    s_max = np.sqrt(network.l_max)
    s_max[lone] *= math.sqrt(3.0)
    return Coefficients(
        drop_p=_sparse(law.real, row, column, z.shape),
        drop_q=_sparse(law.imag, row, column, z.shape),
        w_fr=sp.csr_array(sp.diags_array(1.0 / network.tap**2) @ _squared(a_fr, v0, third)),
        w_to=_squared(a_to, v0, third),
        s_fr=_power(a_fr, v0),
        s_to=_power(a_to, v0),
        s_delta=_power(a_delta, v0),
        w_delta=_squared(a_delta, v0, third),
        s_max=s_max,
    )


def internal_voltages(network: Network) -> tuple[sp.csr_array, sp.csr_array]:
    """(E, N) matrices A of the from and of the to end, without tap and shift."""
    fr, to, lone = network.terminal_fr, network.terminal_to, network.windings
    sides: list[sp.csr_array] = []
    for end, back, word in ((fr, lone.return_fr, 0), (to, lone.return_to, 1)):
        row: list[np.ndarray] = []
        column: list[np.ndarray] = []
        value: list[np.ndarray] = []
        between = dict(zip(lone.conductor.tolist(), back.tolist()))
        for conductors in _by_branch(network):
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
    """(E, E) impedance that the internal voltages see."""
    scale = np.ones(network.n_conductors)
    scale[network.windings.conductor] = 1.0 / 3.0
    return sp.csr_array(sp.diags_array(scale) @ network.z)


def differences(n: int, fr: Ints, to: Ints) -> sp.csr_array:
    """(D, n) matrix of (v_fr − v_to) / √3."""
    rows = np.arange(len(fr))
    value = np.repeat([1.0, -1.0], len(fr)) / math.sqrt(3.0)
    return _sparse(value, np.concatenate([rows, rows]), np.concatenate([fr, to]), (len(fr), n))


@dataclass(frozen=True)
class ClosedDeltas:
    """Deltas in which a current can circulate that no power and no magnitude of a voltage tells: C of them.

    Attributes:
        conductors: (C, 3). floating: (C, 3) terminals behind them, whose neutral nothing fixes.
    """

    conductors: Ints
    floating: Ints


def closed_deltas(network: Network, feeding: Ints, joined: Bools) -> ClosedDeltas:
    """Three-phase delta-deltas, closed banks of windings between lines, and deltas behind a fed wye.

    Args:
        feeding: terminals that hold a voltage, or may. joined: (E) conductors that are closed, or may be.
    """
    lone = network.windings
    ends = network.terminal_bus[network.terminal_fr], network.terminal_bus[network.terminal_to]
    banks: dict[tuple[int, int], list[int]] = {}
    for e in lone.conductor.tolist():
        banks.setdefault((int(ends[0][e]), int(ends[1][e])), []).append(e)
    found: list[tuple[Ints, bool]] = []  # conductors, whether it is their from side that floats
    for conductors in [*_by_branch(network), *(np.array(units) for units in banks.values())]:
        e = conductors[0]
        connection = network.branch_connections[network.conductor_branch[e]]
        if len(conductors) == 3 and "delta" in connection and joined[conductors].all():
            others = joined.copy()
            others[conductors] = False
            if e in lone.conductor and _beside(network, conductors, others):
                continue
            fed = energised(network.n_terminals, network.terminal_fr, network.terminal_to, others, feeding)
            at_fr, at_to = network.terminal_fr[conductors], network.terminal_to[conductors]
            fr_fed, to_fed = bool(fed[at_fr].any()), bool(fed[at_to].any())
            if connection == "delta-delta":
                found.append((conductors, to_fed and not fr_fed))
            elif not (fr_fed if connection == "delta-wye" else to_fed):
                found.append((conductors, connection == "delta-wye"))
    chosen = np.array([c for c, _ in found], dtype=np.int64).reshape(-1, 3)
    floats = [(network.terminal_fr if back else network.terminal_to)[c] for c, back in found]
    return ClosedDeltas(chosen, np.array(floats, dtype=np.int64).reshape(-1, 3))


def circulating(network: Network, deltas: ClosedDeltas, reference: Complexes | None = None) -> sp.csr_array:
    """(C, E) complex: sum of the conjugates of the currents in the windings of each closed delta, per their powers."""
    v0 = balanced(network) if reference is None else reference
    u0 = np.asarray(internal_voltages(network)[1] @ v0)
    column = deltas.conductors.ravel()
    row = np.repeat(np.arange(len(deltas.conductors)), 3)
    return _sparse(1.0 / u0[column], row, column, (len(deltas.conductors), network.n_conductors))


def _beside(network: Network, conductors: Ints, others: Bools) -> bool:
    """Whether another conductor joins the same buses as a bank of windings between lines."""
    ends = network.terminal_bus[network.terminal_fr], network.terminal_bus[network.terminal_to]
    one, two = ends[0][conductors[0]], ends[1][conductors[0]]
    same = ((ends[0] == one) & (ends[1] == two)) | ((ends[0] == two) & (ends[1] == one))
    return bool((same & others).any())


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


def floating_terminals(network: Network, deltas: ClosedDeltas, joined: Bools) -> Bools:
    """(N) terminals behind closed deltas, as far as branches of three phases without delta reach.

    Args:
        joined: (E) conductors that are closed, or may be.
    """
    n = network.n_terminals
    deltas_of = np.array(["delta" in c for c in network.branch_connections], dtype=np.bool_)
    three = np.bincount(network.conductor_branch, minlength=len(deltas_of)) == 3
    passing = joined & (three & ~deltas_of)[network.conductor_branch]
    return energised(n, network.terminal_fr, network.terminal_to, passing, deltas.floating.ravel())


def _third(network: Network, v0: Complexes, floating: Bools | None) -> Ints:
    """(N) sum of the numbers of the terminals of a bus of three phases that has no zero sequence, else -1."""
    count = np.bincount(network.terminal_bus, minlength=len(network.bus_names))
    numbers = np.bincount(network.terminal_bus, weights=np.arange(network.n_terminals), minlength=len(count))
    zero = np.zeros(len(count), dtype=np.complex128)
    np.add.at(zero, network.terminal_bus, v0)
    ok = (count == 3) & (np.abs(zero) < _NO_ZERO_SEQUENCE)
    here = ok[network.terminal_bus] & (False if floating is None else floating)
    return np.where(here, numbers[network.terminal_bus].astype(np.int64), -1)


def _by_branch(network: Network) -> list[Ints]:
    """Conductors of each branch that has any."""
    starts = np.flatnonzero(np.diff(network.conductor_branch, prepend=-1))
    return np.split(np.arange(network.n_conductors), starts[1:]) if len(starts) else []


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts) if parts else np.empty(0)


def _sparse(value: np.ndarray, row: np.ndarray, column: np.ndarray, shape: tuple[int, ...]) -> sp.csr_array:
    return sp.csr_array(sp.coo_array((value, (row.astype(np.int64), column.astype(np.int64))), shape=shape))
