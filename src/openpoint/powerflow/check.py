"""Verification of one operating point by the admittances of the grid; shares no code with the sweep."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from scipy.sparse.csgraph import connected_components

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.grid.balanced import HAS_PHASES
from openpoint.network import Network

STIFF_PU = 1e-7
"""Below this impedance the current cannot be computed from the voltages of both ends in double precision."""


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
        current: (E) magnitude of the current through the series impedance, per unit.
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
    s_current: Complexes | None = None,
    s_impedance: Complexes | None = None,
    generation: Complexes | None = None,
    tolerance: float = 1e-6,
    alive: Bools | None = None,
) -> AcCheck:
    """Check voltages against the power flow equations and the limits of the network.

    The injection s = v conj(Y v) of the bus admittance matrix Y of the closed branches is compared with what the loads
    and generators draw at these voltages. Y v is added up branch by branch, which keeps more digits than the assembled
    matrix. Currents of switches and other branches below `STIFF_PU` follow from the balance of currents at their
    buses; Ohm's law is checked for them instead.

    Args:
        network: a balanced network. closed: (E) state of the branches. v: (N) voltages, pu.
        s_power, s_current, s_impedance, generation: (N), (N), (N), (G); default: those of the network.
        tolerance: a limit counts as violated when it is exceeded by more than this share of itself.
        alive: (N) `energised_buses` of these branches, for many checks of one topology.

    Raises:
        OptionError: shapes do not fit, or the network has several phases.
    """
    _refuse_other_shapes(network, closed, v)
    if not np.isfinite(v).all():  # a flow that did not converge
        none, unknown = np.empty(0, dtype=np.int64), np.full(network.n_conductors, math.nan)
        return AcCheck(max_mismatch=math.inf, loss=math.nan, v_low=none, v_high=none, overloaded=none, current=unknown)
    given = (s_power, s_current, s_impedance, generation)
    used = (network.s_power, network.s_current, network.s_impedance, network.generator_s)
    scheduled = _injections(network, v, *(u if g is None else g for g, u in zip(given, used, strict=True)))
    alive = energised_buses(network, closed) if alive is None else alive
    branch = np.flatnonzero(closed & alive[network.terminal_fr])
    fr, to = network.terminal_fr[branch], network.terminal_to[branch]
    a = network.tap[branch] * np.exp(1j * network.shift[branch])
    z = np.asarray(network.z.diagonal())[branch]
    half = 0.5 * np.asarray(network.y_shunt.diagonal())[branch]
    inner = v[fr] / a
    stiff = np.abs(z) < STIFF_PU
    through = np.divide(inner - v[to], z, out=np.zeros_like(z), where=~stiff)

    lost_open = 0.0
    missing = np.where(alive, np.conj(np.divide(scheduled, v, out=np.zeros_like(v), where=v != 0)), 0.0)
    np.subtract.at(missing, fr, (through + half * inner) / np.conj(a))
    np.subtract.at(missing, to, half * v[to] - through)
    hangs = ~closed & network.hangs
    for end, y in ((network.terminal_fr, network.y_open_fr), (network.terminal_to, network.y_open_to)):
        np.subtract.at(missing, end[hangs], np.where(alive[end[hangs]], y[hangs] * v[end[hangs]], 0.0))
        lost_open += float((y[hangs].real * np.abs(v[end[hangs]]) ** 2).sum())
    free = np.zeros(network.n_terminals, dtype=np.bool_)
    free[network.source_terminal] = True
    through[stiff], unbalanced = _stiff_currents(fr[stiff], to[stiff], a[stiff], v, missing, free)

    faults = [
        np.abs(unbalanced),
        np.abs(scheduled[alive & ~free & (v == 0)]),
        np.abs(v[~alive]),
        np.abs(v[network.source_terminal] - network.source_v),
        np.abs(inner - v[to] - z * through)[stiff],
    ]
    current = np.zeros(network.n_conductors)
    current[branch] = np.abs(through)
    loss = z.real * np.abs(through) ** 2 + half.real * (np.abs(inner) ** 2 + np.abs(v[to]) ** 2)
    checked = alive & ~free
    return AcCheck(
        max_mismatch=float(np.max(np.concatenate(faults), initial=0.0)),
        loss=float(loss.sum()) + lost_open,
        v_low=np.flatnonzero(checked & (np.abs(v) < np.sqrt(network.w_min) * (1.0 - tolerance))),
        v_high=np.flatnonzero(checked & (np.abs(v) > np.sqrt(network.w_max) * (1.0 + tolerance))),
        overloaded=np.flatnonzero(current > np.sqrt(network.l_max) * (1.0 + tolerance)),
        current=current,
    )


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
    """(N) power that loads and generators inject at these voltages."""
    size = np.abs(v)
    s = -(s_power + s_current * size + s_impedance * size**2)
    np.add.at(s, network.generator_terminal, generation)
    return np.asarray(s, dtype=np.complex128)


def energised_buses(network: Network, closed: Bools) -> Bools:
    """(N) whether closed branches join the bus to a source."""
    n = network.n_terminals
    fr, to = network.terminal_fr[closed], network.terminal_to[closed]
    _, part = connected_components(sp.coo_array((np.ones(len(fr)), (fr, to)), shape=(n, n)), directed=False)
    return np.isin(part, part[network.source_terminal])


def _stiff_currents(
    fr: Ints, to: Ints, a: Complexes, v: Complexes, missing: Complexes, free: Bools
) -> tuple[Complexes, Complexes]:
    """Currents of the branches without impedance, from the current balances of their buses, and the missing power.

    Buses that such branches join form groups. An ideal ratio keeps power, so the power missing in a group is the sum
    over its buses; it is free where a source is among them.

    Returns:
        the currents, and per group without a source (a single bus is one) the power that is missing.
    """
    n = len(v)
    count, group = n, np.arange(n, dtype=np.int32)
    if len(fr):
        count, group = connected_components(sp.coo_array((np.ones(len(fr)), (fr, to)), shape=(n, n)), directed=False)
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
