"""Verification of one operating point by the admittances of the grid; shares no code with the sweep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.graph import components, energised
from openpoint.grid.balanced import HAS_PHASES
from openpoint.network import Network
from openpoint.network.limits import LIMIT_TOLERANCE

STIFF_PU = 1e-7
"""Below this impedance the current cannot be computed from the voltages of both ends in double precision."""

ENTRIES_AT_ONCE = 1 << 18
"""Branches times states that are checked together, so that many states of a large grid fit into memory."""


@dataclass(frozen=True)
class AcCheck:
    """Mismatch, loss and violations of given voltages by the power flow equations.

    Attributes:
        max_mismatch: the largest of: power missing at an energised bus that is no source (per unit of `s_base_kva`),
            difference of a source's voltage from what it holds, voltage at a bus without a source, and voltage that
            Ohm's law misses at a branch of (almost) no impedance (pu). inf where a voltage is not a number.
        loss: active power that all branches take, per unit.
        v_low, v_high: energised terminals, sources excepted, whose voltage violates its limit.
        overloaded: conductors whose current violates its limit.
        current: (E) rated current (`openpoint.network.limits`), per unit.
    """

    max_mismatch: float
    loss: float
    v_low: Ints
    v_high: Ints
    overloaded: Ints
    current: Floats


def check_flow(
    network: Network,
    closed: Bools,
    v: Complexes,
    *,
    s_power: Complexes | None = None,
    generation: Complexes | None = None,
    tolerance: float = LIMIT_TOLERANCE,
) -> AcCheck:
    """Check voltages against the power flow equations and the limits of the network.

    The injection s = v conj(Y v) of the bus admittance matrix Y of the closed branches is compared with what the loads
    and generators draw at these voltages. Y v is added up branch by branch, which keeps more digits than the assembled
    matrix. Currents of switches and other branches below `STIFF_PU` follow from the balance of currents at their
    buses; Ohm's law is checked for them instead.

    Args:
        network: a balanced network. closed: (E) state of the branches. v: (N) voltages, pu.
        s_power, generation: (N), (G); default: those of the network.
        tolerance: a limit counts as violated when it is exceeded by more than this share of itself.

    Raises:
        OptionError: shapes do not fit, or the network has several phases.
    """
    _refuse_other_shapes(network, closed, v)
    power, output = (None if u is None else u[None] for u in (s_power, generation))
    return check_flows(network, closed, v[None], power, generation=output, tolerance=tolerance)[0]


def check_flows(
    network: Network,
    closed: Bools,
    v: Complexes,
    s_power: Complexes | None = None,
    s_current: Complexes | None = None,
    s_impedance: Complexes | None = None,
    generation: Complexes | None = None,
    *,
    tolerance: float = LIMIT_TOLERANCE,
) -> list[AcCheck]:
    """`check_flow` of many states of one topology, a row of `v` each.

    Args:
        network: a balanced network. closed: (E). v: (K, N) voltages, pu.
        s_power, s_current, s_impedance, generation: (K, N), (K, N), (K, N), (K, G); default: those of the network.
        tolerance: as of `check_flow`.
    """
    ends = network.terminal_fr, network.terminal_to
    alive = energised(network.n_terminals, *ends, closed, network.source_terminal)
    given = (s_power, s_current, s_impedance, generation)
    used = (network.s_power, network.s_current, network.s_impedance, network.generator_s)
    drawn = [np.broadcast_to(u, (len(v), len(u))) if g is None else g for g, u in zip(given, used, strict=True)]
    rows = max(1, ENTRIES_AT_ONCE // max(network.n_conductors, 1))
    found: list[AcCheck] = []
    for start in range(0, len(v), rows):
        part = slice(start, start + rows)
        scheduled = _injections(network, v[part], *(s[part] for s in drawn))
        found += _checked(network, closed, alive, v[part].T, scheduled.T, tolerance)
    return found


def _checked(
    network: Network, closed: Bools, alive: Bools, v: Complexes, scheduled: Complexes, tolerance: float
) -> list[AcCheck]:
    """Checks of (N, K) voltages, for which (N, K) injections are scheduled."""
    finite: Bools = np.asarray(np.isfinite(v).all(axis=0))  # not where a flow did not converge
    v = np.where(finite, v, 0.0)
    branch = np.flatnonzero(closed & alive[network.terminal_fr])
    fr, to = network.terminal_fr[branch], network.terminal_to[branch]
    a = (network.tap[branch] * np.exp(1j * network.shift[branch]))[:, None]
    z = np.asarray(network.z.diagonal())[branch, None]
    half = 0.5 * np.asarray(network.y_shunt.diagonal())[branch, None]
    inner = v[fr] / a
    stiff = np.abs(z[:, 0]) < STIFF_PU
    through = np.divide(inner - v[to], z, out=np.zeros_like(inner), where=~stiff[:, None])

    missing = np.where(alive[:, None], np.conj(np.divide(scheduled, v, out=np.zeros_like(v), where=v != 0)), 0.0)
    np.subtract.at(missing, fr, (through + half * inner) / np.conj(a))
    np.subtract.at(missing, to, half * v[to] - through)
    lost_open = np.zeros(v.shape[1])
    hangs = ~closed & network.hangs
    for end, y in ((network.terminal_fr, network.y_open_fr), (network.terminal_to, network.y_open_to)):
        at, y_at = end[hangs], y[hangs, None]
        np.subtract.at(missing, at, np.where(alive[at, None], y_at * v[at], 0.0))
        lost_open += (y_at.real * np.abs(v[at]) ** 2).sum(axis=0)
    free = np.zeros(network.n_terminals, dtype=np.bool_)
    free[network.source_terminal] = True
    unbalanced = (v * np.conj(missing))[~free]
    if stiff.any():
        columns = [
            _stiff_currents(fr[stiff], to[stiff], a[stiff, 0], v[:, k], missing[:, k], free) for k in range(v.shape[1])
        ]
        through[stiff] = np.array([current for current, _ in columns]).T
        unbalanced = np.array([missing for _, missing in columns]).T

    faults = [
        np.abs(unbalanced),
        np.where(v == 0, np.abs(scheduled), 0.0)[alive & ~free],
        np.abs(v[~alive]),
        np.abs(v[network.source_terminal] - network.source_v[:, None]),
        np.abs(inner - v[to] - z * through)[stiff],
    ]
    mismatch = np.max(np.concatenate(faults), axis=0, initial=0.0)
    size = np.abs(v)
    loss = (z.real * np.abs(through) ** 2 + half.real * (np.abs(inner) ** 2 + size[to] ** 2)).sum(axis=0) + lost_open
    checked = (alive & ~free)[:, None]
    low = checked & (size < np.sqrt(network.w_min)[:, None] * (1.0 - tolerance))
    high = checked & (size > np.sqrt(network.w_max)[:, None] * (1.0 + tolerance))
    current = np.zeros((network.n_conductors, v.shape[1]))
    at_fr, at_to = np.abs(through + half * inner) / network.tap[branch, None], np.abs(through - half * v[to])
    rated_fr, rated_to = network.rated_fr[:, None], network.rated_to[:, None]
    current[branch] = np.maximum(rated_fr[branch] * at_fr, rated_to[branch] * at_to)
    for end, y, rated in (
        (network.terminal_fr, network.y_open_fr, rated_fr),
        (network.terminal_to, network.y_open_to, rated_to),
    ):
        some = np.flatnonzero(hangs & (y != 0.0) & alive[end])
        current[some] = rated[some] * np.abs(y[some, None] * v[end[some]])
    over = current > np.sqrt(network.l_max)[:, None] * (1.0 + tolerance)
    return [
        AcCheck(
            max_mismatch=float(mismatch[k]),
            loss=float(loss[k]),
            v_low=np.flatnonzero(low[:, k]),
            v_high=np.flatnonzero(high[:, k]),
            overloaded=np.flatnonzero(over[:, k]),
            current=current[:, k].copy(),
        )
        if finite[k]
        else _unknown(network)
        for k in range(v.shape[1])
    ]


def _unknown(network: Network) -> AcCheck:
    none = np.empty(0, dtype=np.int64)
    unknown = np.full(network.n_conductors, math.nan)
    return AcCheck(max_mismatch=math.inf, loss=math.nan, v_low=none, v_high=none, overloaded=none, current=unknown)


def _refuse_other_shapes(network: Network, closed: Bools, v: Complexes) -> None:
    if not network.is_balanced:
        raise OptionError(f"check_flow is for balanced grids; {HAS_PHASES}")
    if np.shape(v) != (network.n_terminals,) or np.shape(closed) != (network.n_conductors,):
        raise OptionError(
            f"one state is checked at a time: closed of shape ({network.n_conductors},), v of shape "
            f"({network.n_terminals},), not {np.shape(closed)} and {np.shape(v)}"
        )


def _injections(
    network: Network,
    v: Complexes,
    s_power: Complexes,
    s_current: Complexes,
    s_impedance: Complexes,
    generation: Complexes,
) -> Complexes:
    """(K, N) power that loads and generators inject at these voltages."""
    size = np.abs(v)
    s = np.asarray(-(s_power + s_current * size + s_impedance * size**2), dtype=np.complex128)
    for g, bus in enumerate(network.generator_terminal):
        s[:, bus] += generation[:, g]
    return s


def _stiff_currents(
    fr: Ints, to: Ints, a: Complexes, v: Complexes, missing: Complexes, free: Bools
) -> tuple[Complexes, Complexes]:
    """Currents of the branches without impedance, from the current balances of their buses, and the missing power.

    Buses that such branches join form groups. An ideal ratio keeps power, so the power missing in a group is the sum
    over its buses; it is free where a source is among them.

    Returns:
        the currents, and per group without a source (a single bus is one) the power that is missing.
    """
    group = components(len(v), fr, to)
    count = int(group.max(initial=-1)) + 1
    power = np.zeros(count, dtype=np.complex128)
    np.add.at(power, group, v * np.conj(missing))
    fed = np.zeros(count, dtype=np.bool_)
    fed[group[free]] = True
    current = np.zeros(len(fr), dtype=np.complex128)
    for number in np.unique(group[fr]):
        inside = np.flatnonzero(group[fr] == number)
        row = {bus: i for i, bus in enumerate(np.flatnonzero((group == number) & ~free))}
        balance = np.zeros((len(row), len(inside)), dtype=np.complex128)
        for column, e in enumerate(inside):
            if fr[e] in row:
                balance[row[fr[e]], column] += 1.0 / np.conj(a[e])
            if to[e] in row:
                balance[row[to[e]], column] -= 1.0
        current[inside] = np.linalg.lstsq(balance, missing[list(row)], rcond=None)[0]
    return current, power[~fed]
