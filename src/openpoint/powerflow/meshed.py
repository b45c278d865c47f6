"""Exact AC power flow of a balanced grid in any state, loops and joined sources included: Newton's method.

The current balance of every bus without a source, Y v + i(v) = 0, is solved in rectangular coordinates, with Y the
admittance matrix of the closed branches and i(v) = conj(s_power / v) + conj(s_current) v / |v| + conj(s_impedance) v
the current of the loads. i is no analytic function of v, so that a step needs the derivatives by v and by conj(v).
Buses that branches without impedance join are one bus in Y. The currents of these branches follow from the balances of
their ends; where they form loops, from equal small impedances. The first voltages are those without load, so that
phase shifts of transformers need no search; their sizes are kept near 1, since the charging of long lines lifts them
so far that a solution beyond the one in which a grid is run would be found.

Reactive power that holds the voltage of a bus is one more unknown, and the square of that voltage one more equation;
at a limit of the reactive power it is that limit instead (a semismooth Newton method, as in
`openpoint.powerflow.holding`).

One state takes milliseconds and not microseconds: the sweep of `openpoint.powerflow.balanced` is for radial states.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.graph import components, energised
from openpoint.network import Network
from openpoint.network.limits import rated_currents
from openpoint.powerflow.balanced import Flows, FlowStatus

ITERATIONS = 40
STEP = 1e-12
"""Largest change of any voltage in the last step of Newton's method, pu."""
STEP_OF_Q = 1e-9
"""Largest change of reactive power that holds a voltage in the last step, of its size and per unit."""
LOWEST_PU = 0.1
"""A solution with a voltage below this is not the one in which a grid is run."""
FIRST_PU = (0.9, 1.1)
"""Sizes of the first voltages; those without load beyond are set to these."""


@dataclass(frozen=True)
class _Paths:
    """The branches that conduct, and the admittances of those with an impedance.

    Attributes:
        branch: numbers of the branches. fr, to: their ends. ratio: complex ratio of each.
        z: series impedance. half: half of the shunt. ideal: whether the branch has neither.
    """

    branch: Ints
    fr: Ints
    to: Ints
    ratio: Complexes
    z: Complexes
    half: Complexes
    ideal: Bools


@dataclass(frozen=True)
class Held:
    """Buses whose voltage is held by reactive power.

    Attributes:
        at: (H) groups of buses, each once and none with a source. v: (H) voltage to hold. q_min, q_max: (H) limits.
        scale: (H) reactive power per unit of squared voltage by which a breach of one is weighed against the other.
        q: (H) first reactive power; default 0.
    """

    at: Ints
    v: Floats
    q_min: Floats
    q_max: Floats
    scale: Floats
    q: Floats | None = None


@dataclass(frozen=True)
class Balance:
    """The equations of Newton's method: the current balance of groups of buses that branches without impedance join.

    Attributes:
        group: (N) group of each bus. y: (groups, groups) admittances. source: groups with a source. v: (groups)
            voltages of the sources, 0 elsewhere. s_power, s_current: (groups) loads. paths: the branches. power: (N)
            load of constant power less generation.
    """

    group: Ints
    y: sp.csr_array
    source: Bools
    v: Complexes
    s_power: Complexes
    s_current: Complexes
    paths: _Paths
    power: Complexes


def solve_meshed(
    network: Network, closed: Bools, generation: Complexes | None = None, start: Complexes | None = None
) -> Flows | None:
    """The power flow of one state, in a row each; None where none is found.

    None, too, where a bus is without supply, where a transformer without impedance is closed, or where branches
    without impedance join sources, since then nothing says what each source delivers.

    Args:
        network: a balanced network. closed: (E) state of the branches. generation: (G) injection of the dispatchable
            generators; default: that of the network. start: (N) first voltages; default: near those without load.
    """
    balance = balance_of(network, closed, generation)
    if balance is None:
        return None
    found = newton(balance, start=start)
    if found is None:
        return None
    return flows_at(network, closed, found[0][balance.group][None], balance.power[None])


def balance_of(network: Network, closed: Bools, generation: Complexes | None = None) -> Balance | None:
    """The equations of one state; None where `solve_meshed` says that there is no flow."""
    n, source = network.n_terminals, network.source_terminal
    paths = _paths(network, closed)
    if not energised(n, network.terminal_fr, network.terminal_to, closed, source).all():
        return None
    group = components(n, paths.fr[paths.ideal], paths.to[paths.ideal])
    if len(set(group[source].tolist())) < len(source) or (paths.z[~paths.ideal] == 0).any():
        return None
    generation = network.generator_s if generation is None else generation
    power = less_generation(network, network.s_power[None], generation[None])[0]
    count = int(group.max(initial=-1)) + 1
    s_power, s_current = (_summed(group, part, count) for part in (power, network.s_current))
    y = _admittances(network, closed, paths, group, count)
    held, v = np.zeros(count, dtype=np.bool_), np.zeros(count, dtype=np.complex128)
    held[group[source]], v[group[source]] = True, network.source_v
    return Balance(group, y, held, v, s_power, s_current, paths, power)


def less_generation(network: Network, demand: Complexes, generation: Complexes) -> Complexes:
    """(K, N) loads of constant power less the (K, G) injection of the dispatchable generators."""
    power = demand.T.copy()
    np.subtract.at(power, network.generator_terminal, generation.T)
    return np.asarray(power.T)


def _paths(network: Network, closed: Bools) -> _Paths:
    branch = np.flatnonzero(closed)
    z, y = (np.asarray(matrix.diagonal(), dtype=np.complex128)[branch] for matrix in (network.z, network.y_shunt))
    ratio = network.tap[branch] * np.exp(1j * network.shift[branch])
    return _Paths(
        branch=branch,
        fr=network.terminal_fr[branch],
        to=network.terminal_to[branch],
        ratio=ratio,
        z=z,
        half=0.5 * y,
        ideal=np.asarray((z == 0) & (y == 0) & (ratio == 1.0)),
    )


def _summed(group: Ints, values: Complexes, count: int) -> Complexes:
    total = np.zeros(count, dtype=np.complex128)
    np.add.at(total, group, values)
    return total


def _admittances(network: Network, closed: Bools, paths: _Paths, group: Ints, count: int) -> sp.csr_array:
    """(groups, groups) of the closed branches, of lines open at one end, and of loads of constant impedance."""
    real = ~paths.ideal
    fr, to = group[paths.fr[real]], group[paths.to[real]]
    series, half, ratio = 1.0 / paths.z[real], paths.half[real], paths.ratio[real]
    own = np.conj(network.s_impedance)
    hangs = ~closed & network.hangs
    np.add.at(own, network.terminal_fr[hangs], network.y_open_fr[hangs])
    np.add.at(own, network.terminal_to[hangs], network.y_open_to[hangs])
    size = np.abs(ratio) ** 2
    values = ((series + half) / size, -series / np.conj(ratio), -series / ratio, series + half, own)
    rows, columns = (fr, fr, to, to, group), (fr, to, fr, to, group)
    entries = np.concatenate(values), (np.concatenate(rows), np.concatenate(columns))
    return sp.csr_array(sp.coo_array(entries, shape=(count, count)))


def newton(
    balance: Balance, held: Held | None = None, start: Complexes | None = None
) -> tuple[Complexes, Floats] | None:
    """(groups) voltages, and (H) reactive power that holds some; None where no solution is found."""
    from scipy.sparse.linalg import MatrixRankWarning

    with warnings.catch_warnings():
        warnings.simplefilter("error", MatrixRankWarning)
        try:
            return _newton(balance, held, start)
        except MatrixRankWarning:
            return None


def _newton(balance: Balance, held: Held | None, start: Complexes | None) -> tuple[Complexes, Floats] | None:
    from scipy.sparse.linalg import spsolve

    y, free, v = balance.y, np.flatnonzero(~balance.source), balance.v.copy()
    inner, fed = sp.csc_array(y[free][:, free]), y[free] @ v
    p, c = np.conj(balance.s_power[free]), np.conj(balance.s_current[free])
    at = np.searchsorted(free, held.at) if held is not None else np.zeros(0, dtype=np.int64)
    q = np.zeros(len(at)) if held is None or held.q is None else held.q
    if start is not None:
        v[balance.group[~balance.source[balance.group]]] = start[~balance.source[balance.group]]
    elif len(free):
        v[free] = _near_one(np.asarray(spsolve(inner, -fed)))
    for _ in range(ITERATIONS if len(free) else 0):
        u = v[free]
        size = np.abs(u)
        if not np.isfinite(u).all() or (size == 0).any():
            return None
        drawn = p.copy()
        np.add.at(drawn, at, 1j * q)
        missing = inner @ u + fed + drawn / np.conj(u) + c * u / size
        by_v = inner + sp.diags_array(0.5 * c / size)
        by_conj = sp.diags_array(-drawn / np.conj(u) ** 2 - 0.5 * c * u**2 / size**3)
        real, imaginary = by_v + by_conj, by_v - by_conj
        blocks: list[list[Any]] = [[real.real, -imaginary.imag], [real.imag, imaginary.real]]
        rest = [missing.real, missing.imag]
        if held is not None:
            more, side, beyond = _holding(held, at, u, q)
            blocks = [[*blocks[0], more[0]], [*blocks[1], more[1]], side]
            rest.append(beyond)
        step = spsolve(sp.block_array(blocks, format="csc"), -np.concatenate(rest))
        m = len(free)
        v[free] = u + step[:m] + 1j * step[m : 2 * m]
        q = q + step[2 * m :]
        settled = np.abs(step[2 * m :]) <= STEP_OF_Q * (1.0 + np.abs(q))
        if np.abs(step[: 2 * m]).max(initial=0.0) <= STEP and settled.all():
            return (v, q) if (np.abs(v) > LOWEST_PU).all() else None
    return None if len(free) else (v, q)


def _near_one(v: Complexes) -> Complexes:
    """The voltages with their sizes within `FIRST_PU`."""
    size = np.abs(v)
    return np.asarray(v * np.clip(size, *FIRST_PU) / np.where(size > 0.0, size, 1.0))


def _holding(
    held: Held, at: Ints, u: Complexes, q: Floats
) -> tuple[tuple[sp.coo_array, sp.coo_array], list[sp.coo_array], Floats]:
    """Columns of the reactive power, rows of the voltages that it holds, and what is missing in these rows."""
    m, h, row = len(u), len(at), np.arange(len(at))
    low, high = held.q_min, held.q_max
    missing = held.v**2 - np.abs(u[at]) ** 2
    wanted = q + held.scale * missing
    ends = np.clip(wanted, low, high)
    is_free = ends == wanted
    current = 1j / np.conj(u[at])
    columns = tuple(sp.coo_array((part, (at, row)), shape=(m, h)) for part in (current.real, current.imag))
    parts = (u[at].real, u[at].imag)
    sides = [sp.coo_array((np.where(is_free, 2.0 * part, 0.0), (row, at)), shape=(h, m)) for part in parts]
    own = sp.coo_array((np.where(is_free, 0.0, 1.0), (row, row)), shape=(h, h))
    return (columns[0], columns[1]), [*sides, own], np.where(is_free, -missing, q - ends)


def flows_at(network: Network, closed: Bools, v: Complexes, power: Complexes) -> Flows:
    """Currents and powers in K states of one topology at voltages that are known.

    Args:
        closed: (E), every bus has supply. v: (K, N) voltages, nan in a state without a flow. power: (K, N) load of
            constant power less generation.
    """
    paths = _paths(network, closed)
    v, real, fr, to, ratio = v.T, ~paths.ideal, paths.fr, paths.to, paths.ratio[:, None]
    inner, half = v[fr] / ratio, paths.half[:, None]
    through = np.divide(inner - v[to], paths.z[:, None], out=np.zeros_like(inner), where=real[:, None])
    # What every bus feeds into its branches without impedance, and at a source into these and from it.
    size = np.abs(v)
    rest = -np.conj((power.T + network.s_current[:, None] * size + network.s_impedance[:, None] * size**2) / v)
    np.subtract.at(rest, fr, (through + half * inner) / np.conj(ratio))
    np.add.at(rest, to, through - half * v[to])
    hangs = ~closed & network.hangs
    hung = np.zeros((network.n_conductors, v.shape[1]), dtype=np.complex128)  # at the from end; `hung_to` at the other
    hung_to = hung.copy()
    hung[hangs] = size[network.terminal_fr[hangs]] ** 2 * np.conj(network.y_open_fr[hangs, None])
    hung_to[hangs] = size[network.terminal_to[hangs]] ** 2 * np.conj(network.y_open_to[hangs, None])
    np.subtract.at(rest, network.terminal_fr, np.conj(hung / v[network.terminal_fr]))
    np.subtract.at(rest, network.terminal_to, np.conj(hung_to / v[network.terminal_to]))
    source = network.source_terminal
    ideal = np.flatnonzero(paths.ideal)
    through[ideal], delivered = _ideal_currents(fr[ideal], to[ideal], rest, source)
    i, s_fr, s_to = (np.zeros(hung.shape, dtype=np.complex128) for _ in range(3))
    i[paths.branch] = through
    s_fr[paths.branch] = inner * np.conj(through + half * inner)
    s_to[paths.branch] = v[to] * np.conj(half * v[to] - through)
    s_fr, s_to = (s_fr + hung).T, (s_to + hung_to).T
    source_s = (v[source] * np.conj(delivered)).T
    rated = rated_currents(network, v.T, s_fr, s_to)
    loss = np.asarray((s_fr + s_to).real.sum(axis=1))
    known = np.isfinite(loss)
    status = np.where(known, FlowStatus.CONVERGED, FlowStatus.NOT_CONVERGED).astype(np.int8)
    loss = np.where(known, loss, np.inf)
    return Flows(v.T, i.T, rated, s_fr, s_to, loss, source_s, status, np.ones(v.T.shape, dtype=np.bool_))


def _ideal_currents(fr: Ints, to: Ints, rest: Complexes, source: Ints) -> tuple[Complexes, Complexes]:
    """Currents of branches without impedance as if all had the same, and the current that each source delivers.

    Args:
        rest: (N, K) current that a bus feeds into these branches; at a source less what the source delivers.
    """
    n = len(rest)
    group = components(n, fr, to)
    missing = np.zeros((int(group.max(initial=-1)) + 1, rest.shape[1]), dtype=np.complex128)
    np.add.at(missing, group, rest)
    delivered = -missing[group[source]]
    rest = rest.copy()
    rest[source] += delivered
    if not len(fr):
        return np.zeros((0, rest.shape[1]), dtype=np.complex128), delivered
    at = np.unique(np.concatenate([fr, to]))
    row = np.full(n, -1)
    row[at] = np.arange(len(at))
    edges = np.arange(len(fr))
    ends = np.concatenate([row[fr], row[to]]), np.concatenate([edges, edges])
    incidence = sp.csr_array((np.repeat([1.0, -1.0], len(fr)), ends), shape=(len(at), len(fr)))
    laplacian = (incidence @ incidence.T).toarray()
    potential = np.linalg.lstsq(laplacian.astype(np.complex128), rest[at], rcond=None)[0]
    return np.asarray(incidence.T @ potential), delivered
