"""Verification of operating points of any phases by the equations of the network; independent of OpenDSS.

The currents of the branches follow from the voltages by the matrices of `openpoint.network.arrays`, those of loads by
their models. The power that is then missing at each terminal is the mismatch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.arrays import winding_matrix
from openpoint.network.load_shares import terminals
from openpoint.powerflow.check import STIFF_PU
from openpoint.powerflow.check_loads import Powers, drawn_current

_ANGLE = {"1": 0.0, "a": 0.0, "b": -2.0 * np.pi / 3.0, "c": 2.0 * np.pi / 3.0}


@dataclass(frozen=True)
class Balances:
    """Power balances of K operating points by the equations of the network, per unit.

    Attributes:
        missing: (K, N) power missing in the balance, of the base of a phase. A source or grid-forming generator
            delivers it; elsewhere it is a mismatch. Terminals joined by branches of (almost) no impedance each have the
            sum of their group, as the currents between them do not follow from voltages. 0 where not energised.
        mismatch: (K) the largest of: power missing at a terminal that nothing holds, difference of a voltage from what
            is held, voltage that Ohm's law misses at a branch of (almost) no impedance; nan where the voltages are.
    """

    missing: Complexes
    mismatch: Floats


def max_mismatch(grid: Grid, network: Network, v: Complexes) -> float:
    """Largest mismatch of an operating point in today's state, all of which is energised; see `Balances`.

    Args:
        grid: the grid, sound. network: that of the grid. v: (N) voltage to neutral, per unit.
    """
    return float(balances(grid, network, v[None, :]).mismatch[0])


def balances(
    grid: Grid,
    network: Network,
    v: Complexes,
    *,
    closed: Bools | None = None,
    energised: Bools | None = None,
    forming: Mapping[str, float] | None = None,
    loads_kva: Complexes | None = None,
    generators_kva: Complexes | None = None,
) -> Balances:
    """Balances of K operating points of one topology.

    Args:
        grid, network: as for `max_mismatch`. v: (K, N) voltage to neutral, per unit.
        closed: (branches) state of each, in the order of `Grid.branches`; default: today's.
        energised: (N) terminals that count, the same at both ends of a closed branch; default: all.
        forming: grid-forming generators by name, with the voltage that they hold in pu (angle 0).
        loads_kva, generators_kva: (K, rows) or (rows), power of each row of the table; default: the table. Those of
            grid-forming generators are not used.
    """
    at_fr, at_to = _windings(network)
    on = np.ones(network.n_terminals, dtype=np.bool_) if energised is None else energised
    closed = network.closed if closed is None else closed[network.conductor_branch]
    closed = closed & on[network.terminal_fr]
    z = network.z.tocoo()
    largest = np.zeros(len(network.branch_names))
    np.maximum.at(largest, network.conductor_branch[z.row], np.abs(z.data))
    stiff = closed & (largest < STIFF_PU)[network.conductor_branch]
    forming = forming or {}
    held, held_v = _held(grid, network, forming)
    held, held_v = held[on[held]], held_v[on[held]]
    u = v.T
    drawn = drawn_current(network, u, on, Powers.of(grid, forming, loads_kva, generators_kva))
    drawn = drawn + _branch_current(network, at_fr, at_to, u, closed & ~stiff)
    group = _groups(network.n_terminals, at_fr[stiff], at_to[stiff])
    power = np.zeros((int(group.max(initial=0)) + 1, len(v)), dtype=np.complex128)
    np.add.at(power, group[on], (u * np.conj(drawn))[on])
    unmet = power.copy()
    unmet[group[held]] = 0.0
    faults = [unmet, u[held] - held_v[:, None], np.asarray(at_fr[stiff] @ u - at_to[stiff] @ u)]
    return Balances(
        missing=np.where(on, power[group].T, 0.0), mismatch=np.abs(np.concatenate(faults)).max(axis=0, initial=0.0)
    )


def _held(grid: Grid, network: Network, forming: Mapping[str, float]) -> tuple[Ints, Complexes]:
    """Terminals that hold a voltage, and that voltage."""
    number = terminals(grid)
    rows = grid.generators.filter(pl.col("name").is_in(list(forming))).select("name", "bus", "phases").iter_rows()
    more = [(number[bus, p], forming[name] * np.exp(1j * _ANGLE[p])) for name, bus, phases in rows for p in phases]
    at, v = zip(*more) if more else ((), ())
    return (
        np.concatenate([network.source_terminal, np.array(at, dtype=np.int64)]),
        np.concatenate([network.source_v, np.array(v, dtype=np.complex128)]),
    )


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
    """(N, K) current that enters the branches `used` at each terminal."""
    if not used.any():
        return np.zeros(v.shape, dtype=np.complex128)
    at_fr, at_to = at_fr[used], at_to[used]
    z = sp.csc_array(network.z[used][:, used])
    y_fr, y_to = (part[used][:, used] for part in network.y_ends)
    inner, outer = at_fr @ v, at_to @ v
    through = splu(z).solve(np.asarray(inner - outer))
    i_fr, i_to = through + y_fr @ inner, y_to @ outer - through
    return np.asarray(at_fr.conj().T @ i_fr + at_to.conj().T @ i_to, dtype=np.complex128)


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
