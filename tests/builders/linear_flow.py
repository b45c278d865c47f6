"""LinDist3Flow of given branches without an optimiser: one sparse factorisation, many loads at once.

`evaluate` solves the same equations as `lindist3flow`. `phasors` computes the angles as well: around the voltages
without load v0 the currents are conj(s / v0), the circuit gives the relative change ε of the voltages, and
v = v0 √(1 + 2 Re ε) e^(j Im ε). It is exact to first order in the loads for every connection, so it gives correct
line-to-line voltages, which squared phase voltages do not determine; where all connections are wye, |v|² is w.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations.lindist3flow_equations import (
    ClosedDeltas,
    balanced,
    closed_deltas,
    coefficients,
    differences,
    floating_terminals,
    idle_shunts,
    internal_voltages,
    series_impedance,
)
from openpoint.graph import energised, is_radial
from openpoint.network import Network

# Least impedance in a delta-delta, so that the current that circulates in it is defined; and share of the loads that
# may return through a neutral that does not exist.
_LEAST_Z, _ASTRAY = 1e-10, 1e-6


@dataclass(frozen=True)
class LinearFlows:
    """K linear power flows over N terminals and E conductors, per unit.

    Attributes:
        w: (K, N) squared voltage, 0 where not energised. s: (K, E) power from the from to the to end of a conductor.
        source_s: (K, H) power that the terminals that hold a voltage deliver. energised: (N).
    """

    w: Floats
    s: Complexes
    source_s: Complexes
    energised: Bools


@dataclass(frozen=True)
class Holding:
    """Terminals that hold a voltage and deliver what the balance requires.

    Attributes:
        terminal: (H). v: (H) complex voltage.
    """

    terminal: Ints
    v: Complexes


def loads_at_nominal(network: Network) -> tuple[Complexes, Complexes]:
    """(N) and (D) today's loads at nominal voltage, fixed generation and capacitors deducted."""
    s, delta = network.s_power + network.s_current + network.s_impedance, network.delta
    return np.asarray(s), np.asarray(delta.s_power + delta.s_current + delta.s_impedance)


def charging(network: Network, closed: Bools) -> Complexes:
    """(N) power that the shunts of closed lines draw at nominal balanced voltages.

    Not valid behind a delta, where the neutral floats: there the shunts fix the neutral, which `evaluate` neglects.
    """
    lines = np.array([kind == "lines" for kind in network.branch_kinds], dtype=np.bool_)
    drawing = (np.asarray(closed, dtype=np.bool_) & lines)[network.conductor_branch]
    v0, s = balanced(network), np.zeros(network.n_terminals, dtype=np.complex128)
    for end in (network.terminal_fr, network.terminal_to):
        drawn = v0[end] * np.conj(np.asarray(network.y_shunt @ v0[end])) / 2.0
        np.add.at(s, end, np.where(drawing, drawn, 0.0))
    return s


def evaluate(
    network: Network,
    closed: Bools,
    s: Complexes,
    s_delta: Complexes,
    *,
    holding: Holding | None = None,
    reference: Complexes | None = None,
    per_w: Complexes | sp.csr_array | None = None,
) -> LinearFlows:
    """Squared voltages and flows of one topology.

    Args:
        closed: (B) state of the branches; every energised island is a tree with one source.
        s: (K, N) or (N) demand of terminals, net of generation. s_delta: (K, D) or (D) of `Network.delta`.
            What not energised terminals demand is not served.
        holding: what holds a voltage; default: the sources of the network.
        reference: as for `lindist3flow`.
        per_w: (N) demand of terminals in addition to s, per unit of their squared voltage, such as `charging`; or
            (N, N) of the rows per unit of the squared voltages of the columns.

    Raises:
        OptionError: not radial, or loads whose current has no way back (a wye behind a delta).
    """
    case = _Case.of(network, closed, holding)
    drawn, pairs = case.samples(s, s_delta)
    n, held = network.n_terminals, case.holding.terminal
    matrix = coefficients(network, reference, feeding=held, joined=case.joined)
    alive, live = case.alive, case.live
    into = sp.csr_array(matrix.s_to - matrix.s_fr)[alive][:, live]
    v0 = balanced(network) if reference is None else reference
    place, ground = case.place(np.ones(len(held))), case.ground(v0)
    around = matrix.circulating[:, live]
    law = sp.csr_array(matrix.w_fr - matrix.w_to)[live][:, alive]
    square = sp.diags_array(np.zeros(n) if per_w is None else per_w) if not sp.issparse(per_w) else per_w
    switched = network.switchable & case.joined  # as in `lindist3flow`
    with_w = sp.csr_array(square + matrix.idle_per_w(case.joined & ~switched))[alive][:, alive]
    drawn_p, drawn_q = -with_w.real, -with_w.imag
    rows: list[list[Any]] = [
        [drawn_p, into.real, -into.imag, place, None, ground.real, -ground.imag],
        [drawn_q, into.imag, into.real, None, place, ground.imag, ground.real],
        [law, -matrix.drop_p[live][:, live], -matrix.drop_q[live][:, live], None, None, None, None],
        [place.T, None, None, None, None, None, None],
        [None, around.real, -around.imag, None, None, None, None],
        [None, around.imag, around.real, None, None, None, None],
    ]
    system = sp.block_array(rows)
    idle = matrix.idle_at(np.abs(v0) ** 2) @ (switched * 1.0)
    out = (drawn + np.asarray(matrix.s_delta @ pairs.T).T + idle)[:, alive]
    k, e, h, c = len(out), len(live), len(held), len(case.deltas.conductors)
    squared = np.broadcast_to(np.abs(case.holding.v) ** 2, (k, h))
    right = np.concatenate([out.real, out.imag, np.zeros((k, e)), squared, np.zeros((k, 2 * c))], axis=1)
    found = splu(sp.csc_array(system)).solve(right.T).T
    w, p, q, p_held, q_held, stray = np.split(found, np.cumsum([len(alive), e, e, h, h]), axis=1)
    case.refuse_stray(stray, out)
    full_w, full_s = np.zeros((k, n)), np.zeros((k, network.n_conductors), dtype=np.complex128)
    full_w[:, alive], full_s[:, live] = w, p + 1j * q
    return LinearFlows(full_w, full_s, p_held + 1j * q_held, case.energised)


def phasors(
    network: Network, closed: Bools, s: Complexes, s_delta: Complexes, *, holding: Holding | None = None
) -> Complexes:
    """(K, N) complex voltages, first order in the loads around those without load; 0 where not energised.

    The voltage of a floating neutral (behind a delta) is that of balanced phases, 0.

    Args:
        closed, s, s_delta, holding: as for `evaluate`.

    Raises:
        OptionError: as `evaluate`.
    """
    case = _Case.of(network, closed, holding)
    drawn, pairs = case.samples(s, s_delta)
    held, alive, live = case.holding.terminal, case.alive, case.live
    a_fr, a_to = internal_voltages(network)
    ratio = network.tap * np.exp(1j * _turn(network))
    a_fr = sp.csr_array(sp.diags_array(1.0 / ratio) @ a_fr)
    z = series_impedance(network) + sp.diags_array(_floor(network))
    place, ground = case.place(np.ones(len(held))), case.ground(np.ones(network.n_terminals))
    a_fr, a_to = a_fr[live][:, alive], a_to[live][:, alive]
    idle_fr, idle_to = (sp.diags_array(part[live]) for part in idle_shunts(network, case.floating))
    idle = sp.csr_array(a_fr.conj().T @ idle_fr @ a_fr + a_to.T @ idle_to @ a_to)
    rows: list[list[Any]] = [
        [-idle, sp.csr_array(a_to - a_fr.conj()).T, place, ground],
        [sp.csr_array(a_fr - a_to), -sp.csr_array(z)[live][:, live], None, None],
        [place.T, None, None, None],
        [ground.T, None, None, None],
    ]
    system = sp.block_array(rows)
    factor = splu(sp.csc_array(system, dtype=np.complex128))
    n, e, c = len(alive), len(live), len(case.deltas.conductors)
    right = np.concatenate([np.zeros(n + e), case.holding.v, np.zeros(c)])
    v = np.zeros((len(drawn), network.n_terminals), dtype=np.complex128)
    v[:, alive] = factor.solve(right)[:n]
    apart = differences(network.n_terminals, network.delta.fr, network.delta.to)
    u = np.asarray(apart @ v.T).T
    on = case.energised
    current = np.conj(np.divide(drawn, v, out=np.zeros_like(v), where=on))
    between = np.conj(np.divide(pairs, u, out=np.zeros_like(u), where=on[network.delta.fr]))
    current = (current + np.asarray(apart.T @ between.T).T)[:, alive]
    found = factor.solve(np.concatenate([current, np.zeros((len(v), e + len(held) + c))], axis=1).T).T
    case.refuse_stray(found[:, n + e + len(held) :], current)
    # Of the relative change its real part is that of half the square: |v|² is the w of `evaluate` where all is wye.
    change = np.zeros_like(v)
    change[:, alive] = found[:, :n] / v[:, alive]
    return np.asarray(v * np.sqrt(np.maximum(1.0 + 2.0 * change.real, 0.0)) * np.exp(1j * change.imag))


def no_load(network: Network, closed: Bools, *, holding: Holding | None = None) -> Complexes:
    """(N) voltages without load, as `reference`: balanced where not energised."""
    s, s_delta = (np.zeros(size, dtype=np.complex128) for size in (network.n_terminals, len(network.delta.fr)))
    v = phasors(network, closed, s, s_delta, holding=holding)[0]
    return np.where(v == 0.0, balanced(network), v)


def line_to_line(network: Network, v: Complexes) -> tuple[Ints, Ints, Floats]:
    """Pairs of terminals fr, to (P) of every bus (ab, bc, ca, as far as it has them), and |v_fr − v_to| / √3 (K, P).

    Args:
        v: (K, N) complex voltages, such as those of `phasors`.
    """
    number = {(b, p): t for t, (b, p) in enumerate(zip(network.terminal_bus.tolist(), network.terminal_phase))}
    pairs = [
        (t, number[b, after])
        for (b, p), t in number.items()
        if p != "1" and (b, after := {"a": "b", "b": "c", "c": "a"}[p]) in number
    ]
    fr, to = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return fr, to, np.abs(np.asarray(differences(network.n_terminals, fr, to) @ v.T).T)


@dataclass(frozen=True)
class _Case:
    """One topology: what is energised, its deltas, and what holds a voltage."""

    network: Network
    holding: Holding
    energised: Bools
    alive: Ints
    live: Ints
    joined: Bools
    deltas: ClosedDeltas

    @staticmethod
    def of(network: Network, closed: Bools, holding: Holding | None) -> _Case:
        if holding is None:
            holding = Holding(network.source_terminal, network.source_v)
        n, fr, to = network.n_terminals, network.terminal_fr, network.terminal_to
        joined = np.asarray(closed, dtype=np.bool_)[network.conductor_branch]
        if not is_radial(n, fr, to, joined, holding.terminal):
            raise OptionError("these branches do not make trees with one source each; open loops, part sources")
        on = energised(n, fr, to, joined, holding.terminal)
        live = joined & on[fr]
        deltas = closed_deltas(network, holding.terminal, live)
        return _Case(network, holding, on, np.flatnonzero(on), np.flatnonzero(live), live, deltas)

    @property
    def floating(self) -> Bools:
        """(N) terminals whose neutral floats."""
        return floating_terminals(self.network, self.deltas, self.joined)

    def samples(self, s: Complexes, s_delta: Complexes) -> tuple[Complexes, Complexes]:
        """(K, N) and (K, D) loads of what is energised."""
        drawn, pairs = (np.atleast_2d(np.asarray(part, dtype=np.complex128)) for part in (s, s_delta))
        size, on = max(len(drawn), len(pairs)), self.energised
        fed = on[self.network.delta.fr]
        return np.broadcast_to(drawn, (size, len(on))) * on, np.broadcast_to(pairs, (size, len(fed))) * fed

    def place(self, value: Floats) -> sp.csr_array:
        """(alive, H)"""
        held = self.holding.terminal
        return self._columns(held[:, None], value[:, None])

    def ground(self, value: Complexes | Floats) -> sp.csr_array:
        """(alive, C) return path at the terminals behind each closed delta; unused where the loads need none."""
        return self._columns(self.deltas.floating, value[self.deltas.floating])

    def _columns(self, terminals: Ints, value: Complexes | Floats) -> sp.csr_array:
        row = np.searchsorted(self.alive, terminals.ravel())
        column = np.repeat(np.arange(len(terminals)), terminals.shape[1])
        return sp.csr_array(sp.coo_array((value.ravel(), (row, column)), shape=(len(self.alive), len(terminals))))

    def refuse_stray(self, stray: Complexes | Floats, drawn: Complexes) -> None:
        """Raise where the current of loads returns through a neutral that does not exist."""
        if np.abs(stray).max(initial=0.0) > _ASTRAY * max(np.abs(drawn).max(initial=0.0), 1e-9):
            raise OptionError("loads to neutral lie behind a delta, where no neutral is; connect them as delta")


def _turn(network: Network) -> Floats:
    """(E) shift of wye-wye branches; that of a delta is in its matrix."""
    mixed = [("delta" in network.branch_connections[b]) for b in network.conductor_branch]
    return np.where(mixed, 0.0, network.shift)


def _floor(network: Network) -> Floats:
    """(E) what is added to the impedance of a delta-delta without any."""
    deltas = [network.branch_connections[b] == "delta-delta" for b in network.conductor_branch]
    return np.where(np.array(deltas, dtype=np.bool_) & (network.z.diagonal() == 0.0), _LEAST_Z, 0.0)
