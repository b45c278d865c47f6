"""Verification of operating points of any phases by the equations of the network; independent of OpenDSS.

The currents of the branches follow from the voltages by the matrices of `openpoint.network.arrays`, those of loads by
their models. The power that is then missing at each terminal is the mismatch.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.graph import components
from openpoint.grid.grid import Grid
from openpoint.network import DeltaLoads, LoadShares, Network, load_shares
from openpoint.network.arrays import winding_matrix
from openpoint.network.load_shares import power_shares, terminals
from openpoint.powerflow.check import STIFF_PU

V_LOW_PU = 0.5
"""Voltage (pu) below which OpenDSS models a load as the impedance that draws its nominal power at nominal voltage."""
_DEGREE = {"power": 0, "current": 1, "impedance": 2}


@dataclass(frozen=True)
class Powers:
    """Power of the loads and generators of a grid in K cases, in kVA.

    Attributes:
        shares: share of each load at terminals and pairs. load: (L, K) at nominal voltage. load_more: (L, K) power in
            addition to that of the table. low, high: (L) voltage band in which the model of a load applies.
            rated: (L) rated voltage, per unit of the nominal one.
        made_wye, made_delta: (N, G), (D, G) where generators feed in. made_more: (G, K) power in addition to that of
            the table.
    """

    shares: LoadShares
    load: Complexes
    load_more: Complexes
    low: Floats
    high: Floats
    rated: Floats
    made_wye: sp.csr_array
    made_delta: sp.csr_array
    made_more: Complexes

    @staticmethod
    def of(grid: Grid, leave_out: Collection[str], loads: Complexes | None, generators: Complexes | None) -> Powers:
        """The powers of a grid.

        Args:
            leave_out: generators that hold a voltage and deliver what the balance requires.
            loads, generators: (K, rows) or (rows) of each row of the table; None = the table.
        """
        tables = [(t["p_kw"].to_numpy() + 1j * t["q_kvar"].to_numpy())[:, None] for t in (grid.loads, grid.generators)]
        load, made = (
            table if given is None else np.atleast_2d(given).T for table, given in zip(tables, (loads, generators))
        )
        free = grid.generators["name"].is_in(list(leave_out)).to_numpy()
        made_wye, made_delta = power_shares(grid, grid.generators)
        return Powers(
            shares=load_shares(grid),
            load=load,
            load_more=load - tables[0],
            low=grid.loads["v_min_pu"].fill_null(0.0).to_numpy(),
            high=grid.loads["v_max_pu"].fill_null(np.inf).to_numpy(),
            rated=grid.loads["v_rated_pu"].to_numpy(),
            made_wye=made_wye,
            made_delta=made_delta,
            made_more=np.where(free[:, None], 0.0, made) - tables[1],
        )


@np.errstate(invalid="ignore")  # voltages may be nan
def drawn_current(network: Network, v: Complexes, energised: Bools, powers: Powers) -> Complexes:
    """(N, K) current that loads, capacitors and generators draw at each terminal, per unit.

    Args:
        network: that of the grid. v: (N, K) voltage to neutral, per unit. energised: (N).
    """
    delta, on = network.delta, energised[:, None]
    alive = on[delta.fr]
    # Where not energised, 1 avoids a division by 0.
    u = np.where(on, v, 1.0), np.where(alive, v[delta.fr] - v[delta.to], 1.0)
    size = np.abs(u[0]), np.abs(u[1]) / np.sqrt(3.0)
    wye = _drawn(network, size[0], powers, powers.shares.wye) - powers.made_wye @ powers.made_more
    pairs = _drawn(delta, size[1], powers, powers.shares.delta) - powers.made_delta @ powers.made_more
    current, into = np.where(on, np.conj(wye / u[0]), 0.0), np.where(alive, np.conj(pairs / u[1]), 0.0)
    np.add.at(current, delta.fr, into)
    np.subtract.at(current, delta.to, into)
    for s, terminal, back in zip(network.generator_s, network.generator_terminal, network.generator_return):
        if not energised[terminal]:
            continue
        i = np.conj(s / (v[terminal] - (v[back] if back >= 0 else 0.0)))
        current[terminal] -= i
        if back >= 0:
            current[back] += i
    return np.asarray(current, dtype=np.complex128)


def _drawn(known: Network | DeltaLoads, size: Floats, powers: Powers, shares: sp.csr_array) -> Complexes:
    """(rows, K) power at voltages of this size: today's loads, additional power, corrections outside the band."""
    drawn = known.s_power[:, None] + known.s_current[:, None] * size + known.s_impedance[:, None] * size**2
    models = powers.shares
    for model, degree in _DEGREE.items():
        p, q = (np.array([m == model for m in each])[:, None] for each in (models.p_models, models.q_models))
        more = np.where(p, powers.load_more.real, 0.0) + 1j * np.where(q, powers.load_more.imag, 0.0)
        drawn += np.asarray(shares @ more) * size**degree
    entries = shares.tocoo()
    for row, k, share in zip(entries.row, entries.col, entries.data, strict=True):
        u, (low, high) = size[row], (powers.low[k], powers.high[k])
        astray = (u < low) | (u > high)
        if astray.any():
            p_model, q_model = models.p_models[k], models.q_models[k]
            of_bus = powers.rated[k]
            beyond = _beyond(p_model if p_model == q_model else "cvr", u / of_bus, low / of_bus, high / of_bus)
            s, of_p, of_q = powers.load[k] * share, _DEGREE[p_model], _DEGREE[q_model]
            at_rated = s.real * of_bus**of_p + 1j * s.imag * of_bus**of_q
            inside = s.real * u**of_p + 1j * s.imag * u**of_q
            drawn[row] += np.where(astray, beyond * at_rated - inside, 0.0)
    return np.asarray(drawn)


def _beyond(model: str, u: Floats, low: float, high: float) -> Floats:
    """(K) share of its power that a load draws at voltages u outside its band, as in OpenDSS.

    Above the band it is the impedance that draws at `high` what a load of constant power (current) draws there. Below,
    its current goes in a straight line from that of its model (of constant power or current) at `low` to that of the
    load as an impedance at `V_LOW_PU`.
    """
    over = u**2 / (high if model == "current" else high**2)
    if low <= V_LOW_PU:
        return np.where(u > high, over, u**2)
    at_low = 1.0 if model == "current" else 1.0 / low
    under = u * (V_LOW_PU + (at_low - V_LOW_PU) * (u - V_LOW_PU) / (low - V_LOW_PU))
    return np.where(u > high, over, np.where(u <= V_LOW_PU, u**2, under))


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
    at_fr, at_to = internal_voltages(network)
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


def internal_voltages(network: Network) -> tuple[sp.csr_array, sp.csr_array]:
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
    from scipy.sparse.linalg import splu

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
    return components(n + len(row), row + n, column)[:n]


def _sparse(entries: list[tuple[int, int, complex]], shape: tuple[int, int]) -> sp.csr_array:
    row, column, value = zip(*entries) if entries else ((), (), ())
    return sp.csr_array(sp.coo_array((np.array(value, dtype=np.complex128), (row, column)), shape=shape))
