"""Verification of one operating point of any phases by the equations of the network; shares nothing with OpenDSS.

The currents of the branches follow from voltages by the matrices of `openpoint.network.arrays`, those of loads by
their models. What then is missing at each terminal is the mismatch.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from openpoint.grid.grid import Grid
from openpoint.network import Bools, Complexes, Floats, Ints, Network, load_shares
from openpoint.network.arrays import winding_matrix
from openpoint.powerflow.check import STIFF_PU

# Voltage at which OpenDSS has a load below its band wholly as the impedance that draws its power at nominal voltage.
V_LOW_PU = 0.5


def max_mismatch(grid: Grid, network: Network, v: Complexes) -> float:
    """Largest mismatch of an operating point in today's state, all of which is energised; nan if v is.

    Args:
        grid: the grid, sound. network: that of the grid. v: (N) voltage to neutral, per unit.

    Returns:
        the largest of: power missing at a terminal that no source holds (per unit of the base of a phase), difference
        of a source's voltage from what it holds, voltage that Ohm's law misses at a branch of (almost) no impedance
        (pu). Terminals that such branches join are counted together, as voltages do not tell the current between them.
    """
    at_fr, at_to = _windings(network)
    closed = network.closed
    z = network.z.tocoo()
    largest = np.zeros(len(network.branch_names))
    np.maximum.at(largest, network.conductor_branch[z.row], np.abs(z.data))
    stiff = closed & (largest < STIFF_PU)[network.conductor_branch]
    missing = v * np.conj(_load_current(grid, network, v) + _branch_current(network, at_fr, at_to, v, closed & ~stiff))
    group = _groups(network.n_terminals, at_fr[stiff], at_to[stiff])
    power = np.zeros(int(group.max(initial=0)) + 1, dtype=np.complex128)
    np.add.at(power, group, missing)
    power[group[network.source_terminal]] = 0.0
    faults = [power, v[network.source_terminal] - network.source_v, np.asarray(at_fr[stiff] @ v - at_to[stiff] @ v)]
    return float(np.max(np.abs(np.concatenate(faults)), initial=0.0))


def _windings(network: Network) -> tuple[sp.csr_array, sp.csr_array]:
    """(E, N) matrices that take voltages to those at the internal node and at the to end of the series element.

    Their conjugate transposes take the currents there to the terminals.
    """
    entries: tuple[list[tuple[int, int, complex]], ...] = ([], [])
    ratio = network.tap * np.exp(1j * network.shift)
    back = {int(e): k for k, e in enumerate(network.windings.conductor)}
    first = {int(b): int(e) for e, b in reversed(list(enumerate(network.conductor_branch)))}
    for e, branch in enumerate(network.conductor_branch.tolist()):
        connection, start = network.branch_connections[branch], first[branch]
        ends = (network.terminal_fr, 1.0 / network.tap[e]), (network.terminal_to, 1.0)
        if e in back:
            returns = (network.windings.return_fr, network.windings.return_to)
            for part, (terminal, scale), away in zip(entries, ends, returns, strict=True):
                part += [(e, int(terminal[e]), scale), (e, int(away[back[e]]), -scale)]
        elif connection == "wye-wye":
            entries[0].append((e, int(network.terminal_fr[e]), 1.0 / ratio[e]))
            entries[1].append((e, int(network.terminal_to[e]), 1.0))
        else:
            w = winding_matrix(connection, float(network.shift[e]))
            for part, kind, (terminal, scale) in zip(entries, connection.split("-"), ends, strict=True):
                row = w[e - start] if kind == "delta" else np.eye(3)[e - start]
                part += [(e, int(terminal[start + k]), scale * row[k]) for k in np.flatnonzero(row)]
    shape = (network.n_conductors, network.n_terminals)
    return _sparse(entries[0], shape), _sparse(entries[1], shape)


def _branch_current(network: Network, at_fr: sp.csr_array, at_to: sp.csr_array, v: Complexes, used: Bools) -> Complexes:
    """(N) current that enters the branches `used` at each terminal."""
    if not used.any():
        return np.zeros(network.n_terminals, dtype=np.complex128)
    at_fr, at_to = at_fr[used], at_to[used]
    z, y_half = sp.csc_array(network.z[used][:, used]), 0.5 * network.y_shunt[used][:, used]
    inner, outer = at_fr @ v, at_to @ v
    through = splu(z).solve(np.asarray(inner - outer))
    i_fr, i_to = through + y_half @ inner, y_half @ outer - through
    return np.asarray(at_fr.conj().T @ i_fr + at_to.conj().T @ i_to, dtype=np.complex128)


def _load_current(grid: Grid, network: Network, v: Complexes) -> Complexes:
    """(N) current that loads, capacitors and generators draw at each terminal."""
    size, delta = np.abs(v), network.delta
    between = v[delta.fr] - v[delta.to]
    u = np.abs(between) / np.sqrt(3.0)
    wye = network.s_power + network.s_current * size + network.s_impedance * size**2
    pairs = delta.s_power + delta.s_current * u + delta.s_impedance * u**2
    more_wye, more_pairs = _out_of_band(grid, size, u)
    current = np.conj((wye + more_wye) / v)
    into = np.conj((pairs + more_pairs) / between)
    np.add.at(current, delta.fr, into)
    np.subtract.at(current, delta.to, into)
    for g, (terminal, back) in enumerate(zip(network.generator_terminal, network.generator_return, strict=True)):
        i = np.conj(network.generator_s[g] / (v[terminal] - (v[back] if back >= 0 else 0.0)))
        current[terminal] -= i
        if back >= 0:
            current[back] += i
    return np.asarray(current, dtype=np.complex128)


def _out_of_band(grid: Grid, *sizes: Floats) -> tuple[Complexes, Complexes]:
    """What loads draw more than their model says, at terminals and at pairs, as their voltage has left its band."""
    shares = load_shares(grid)
    loads = grid.loads
    s = loads["p_kw"].to_numpy() + 1j * loads["q_kvar"].to_numpy()
    low, high = loads["v_min_pu"].fill_null(0.0).to_numpy(), loads["v_max_pu"].fill_null(np.inf).to_numpy()
    found: list[Complexes] = []
    for matrix, size in zip((shares.wye, shares.delta), sizes, strict=True):
        more = np.zeros(len(size), dtype=np.complex128)
        entries = matrix.tocoo()
        for row, k, share in zip(entries.row, entries.col, entries.data, strict=True):
            u = size[row]
            if low[k] <= u <= high[k]:
                continue
            p_model, q_model = shares.p_models[k], shares.q_models[k]
            beyond = _beyond(p_model if p_model == q_model else "cvr", u, low[k], high[k])
            power = s[k] * share
            p, q = (u ** _DEGREE[model] for model in (p_model, q_model))
            more[row] += beyond * power - complex(p * power.real, q * power.imag)
        found.append(more)
    return found[0], found[1]


_DEGREE = {"power": 0, "current": 1, "impedance": 2}


def _beyond(model: str, u: float, low: float, high: float) -> float:
    """Share of its power that a load draws at a voltage u out of its band, as OpenDSS has it.

    Above the band it is the impedance that draws at `high` what a load of constant power (current) draws there. Below,
    its current goes in a straight line from that of its model (of constant power or current) at `low` to that of the
    load as an impedance at `V_LOW_PU`.
    """
    if u > high:
        return u**2 / (high if model == "current" else high**2)
    if u <= V_LOW_PU:
        return u**2
    at_low = 1.0 if model == "current" else 1.0 / low
    return u * (V_LOW_PU + (at_low - V_LOW_PU) * (u - V_LOW_PU) / (low - V_LOW_PU))


def _groups(n: int, at_fr: sp.csr_array, at_to: sp.csr_array) -> Ints:
    """(N) number of the group of terminals that branches join, each a row of the matrices."""
    touched = [(row, column) for part in (at_fr, at_to) for row, column in zip(*part.nonzero(), strict=True)]
    row, column = np.array(touched, dtype=np.int64).reshape(-1, 2).T
    graph = sp.coo_array((np.ones(len(row)), (row + n, column)), shape=(n + len(row), n + len(row)))
    _, group = connected_components(graph, directed=False)
    return np.asarray(group[:n], dtype=np.int64)


def _sparse(entries: list[tuple[int, int, complex]], shape: tuple[int, int]) -> sp.csr_array:
    row, column, value = zip(*entries) if entries else ((), (), ())
    return sp.csr_array(sp.coo_array((np.array(value, dtype=np.complex128), (row, column)), shape=shape))
