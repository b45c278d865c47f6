"""Exact AC power flows of a radial state in which one more branch is closed: compensation, many branches in one call.

The branch is left open, and the current J that it would carry is drawn at one end and fed in at the other, so that the
state stays radial (Shirmohammadi et al. 1988). J is right where Ohm's law holds for the branch, v_fr - v_to = z J; its
shunt is an admittance at either end. A step of J changes v_fr - v_to by about the impedances from the ends to where
their paths to the source meet, times the step. Where that does not converge, or the branch has a ratio, Newton's method
solves the state (`openpoint.powerflow.meshed`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse import csgraph

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.powerflow.balanced import solve

TOLERANCE = 1e-10
"""Largest misfit of Ohm's law at the branch that closes, pu."""
LOOKS = 12
"""Power flows of a branch before Newton's method has its turn; five are usual."""


@dataclass(frozen=True)
class ClosedLoops:
    """K states with one more branch closed: (K, N) voltages, (K, E) rated currents, and (K) whether each was found."""

    v: Complexes
    i: Floats
    found: Bools


def close_loops(network: Network, closed: Bools, branches: Ints) -> ClosedLoops:
    """The states in which each of K open branches alone is closed beside those of a radial state.

    Args:
        network: balanced. closed: (E) a radial state that supplies all buses. branches: (K) with ratio 1.
    """
    fr, to = network.terminal_fr[branches], network.terminal_to[branches]
    z, half = np.asarray(network.z.diagonal())[branches], 0.5 * np.asarray(network.y_shunt.diagonal())[branches]
    k = np.arange(len(branches))
    shunt = np.repeat(network.s_impedance[None, :], len(branches), axis=0)
    np.add.at(shunt, (k, fr), np.conj(half - network.y_open_fr[branches]))
    np.add.at(shunt, (k, to), np.conj(half - network.y_open_to[branches]))
    z_fr, z_to = _impedances_to_meeting(network, closed, branches)
    loop = z_fr + z_to + z
    v = np.repeat(solve(network, closed).v, len(branches), axis=0)
    i = np.zeros((len(branches), network.n_conductors))
    drawn = np.zeros(len(branches), dtype=np.complex128)
    done, todo = np.zeros(len(branches), dtype=np.bool_), np.flatnonzero(loop != 0)
    for _ in range(LOOKS):
        rows, a, b = np.arange(len(todo)), fr[todo], to[todo]
        step = (v[todo, a] - v[todo, b] - z[todo] * drawn[todo]) / loop[todo]
        through = drawn[todo] + step
        # As power at the voltages that are expected, so that the current is that of the step.
        power = np.repeat(network.s_power[None, :], len(todo), axis=0)
        np.add.at(power, (rows, a), (v[todo, a] - z_fr[todo] * step) * np.conj(through))
        np.subtract.at(power, (rows, b), (v[todo, b] + z_to[todo] * step) * np.conj(through))
        flows = solve(network, closed, s_power=power, s_impedance=shunt[todo])
        good = flows.converged
        todo, rows, a, b = todo[good], rows[good], a[good], b[good]
        v[todo], i[todo] = flows.v[good], flows.i_rated[good]
        drawn[todo] = np.conj((power[rows, a] - network.s_power[a]) / v[todo, a])
        fed = np.conj((network.s_power[b] - power[rows, b]) / v[todo, b])
        misfit = np.abs(v[todo, a] - v[todo, b] - z[todo] * drawn[todo]) + np.abs(fed - drawn[todo])
        ends = np.abs(drawn[todo] + half[todo] * v[todo, a]), np.abs(drawn[todo] - half[todo] * v[todo, b])
        which = branches[todo]
        i[todo, which] = np.maximum(network.rated_fr[which] * ends[0], network.rated_to[which] * ends[1])
        done[todo] = misfit <= TOLERANCE
        todo = todo[misfit > TOLERANCE]
        if not len(todo):
            break
    return ClosedLoops(v, i, done)


def _impedances_to_meeting(network: Network, closed: Bools, branches: Ints) -> tuple[Complexes, Complexes]:
    """(K) impedances from either end of each branch to where their paths meet, ratios left aside; sources are one."""
    n, node = network.n_terminals, np.arange(network.n_terminals)
    node[network.source_terminal] = network.source_terminal[0]
    now = np.flatnonzero(closed)
    fr, to, z = node[network.terminal_fr], node[network.terminal_to], np.asarray(network.z.diagonal())
    graph = sp.csr_array((np.ones(len(now)), (fr[now], to[now])), shape=(n, n))
    order, before = csgraph.breadth_first_order(graph, int(network.source_terminal[0]), directed=False)
    above = np.maximum(before, 0)
    by_pair = {(int(a), int(b)): int(e) for e, a, b in zip(now, fr[now], to[now])}
    edge = [by_pair.get((p, q), by_pair.get((q, p), -1)) for q, p in enumerate(above.tolist())]
    depth, sums = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.complex128)
    for at in order[1:].tolist():
        depth[at], sums[at] = depth[above[at]] + 1, sums[above[at]] + z[edge[at]]
    at_fr, at_to = np.empty(len(branches), dtype=np.complex128), np.empty(len(branches), dtype=np.complex128)
    for j, e in enumerate(branches.tolist()):
        a, b = int(fr[e]), int(to[e])
        at_fr[j], at_to[j] = sums[a], sums[b]
        while a != b:
            a, b = (int(above[a]), b) if depth[a] >= depth[b] else (a, int(above[b]))
        at_fr[j], at_to[j] = at_fr[j] - sums[a], at_to[j] - sums[a]
    return at_fr, at_to
