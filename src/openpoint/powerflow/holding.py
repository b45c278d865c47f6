"""Generators that hold the voltage of their bus: the reactive power at which they do, in a radial balanced grid.

Each holds its voltage while its reactive power lies within its limits; at its most the voltage may lie below, at its
least above. This complementarity is solved by a semismooth Newton method (Qi and Sun 1993) around the radial sweep: the
sensitivities of the voltages are those of one more sweep for each generator, all in one call.

Generators that hold the voltage of their bus in a state with loops or joined sources.

First without limits of reactive power, then with them from there: far from a solution a limit says little about which
generators will be at one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.meshed import Balance, Held, balance_of, newton

TOLERANCE = 1e-9
"""Difference from the set voltage up to which it counts as held, pu."""
NUDGE = 1e-5
"""Reactive power by which sensitivities are found, per unit of the load of the grid."""
STIFF = 1e-9
"""Sensitivity, pu of voltage per unit of reactive power, below which the voltage cannot be controlled."""
ITERATIONS = 60
HALVINGS = 12
"""Of a step after which the power flow has no solution."""


@dataclass(frozen=True)
class Holding:
    """Reactive power of the generators that hold a voltage.

    Attributes:
        q: (H) reactive power, per unit. holds: (H) whether the voltage is held; else a limit came first, or there is
            nothing between the bus and a source, which holds the voltage itself. v: (N) all voltages, of a meshed
            state; None of a radial one.
    """

    q: Floats
    holds: Bools
    v: Complexes | None = None


def hold_voltages(
    network: Network, closed: Bools, terminal: Ints, v: Floats, q: Floats, q_min: Floats, q_max: Floats
) -> Holding | None:
    """The reactive power at which voltages are held; None where none is found or the power flow has no solution.

    Args:
        network: balanced, with loads and generation but that of these generators' reactive power.
        closed: (E) radial state that supplies all buses. terminal: (H) buses, each once. v: (H) voltage to hold.
        q: (H) initial value, also the final one where the voltage cannot be controlled and there is no limit.
        q_min, q_max: (H) limits, infinite where there is none.
    """
    q = np.clip(q, q_min, q_max)
    size, slope = _look(network, closed, terminal, q)
    if size is None or slope is None:
        return None
    stiff = np.abs(slope.diagonal()) < STIFF
    for _ in range(ITERATIONS):
        missing, own = v - size, np.where(stiff, 1.0, slope.diagonal())
        end = np.where(missing > 0.0, q_max, q_min)
        stays = (np.abs(missing) <= TOLERANCE) | np.isinf(end)
        wanted = np.where(stiff, np.where(stays, q, end), q + missing / own)
        bound = (wanted <= q_min) | (wanted >= q_max) | stiff
        step = np.where(bound, np.clip(wanted, q_min, q_max) - q, 0.0)
        if np.abs(np.where(bound, step * own, missing)).max(initial=0.0) <= TOLERANCE:
            return Holding(q, ~bound | (stiff & (np.abs(missing) <= TOLERANCE)))
        free = np.flatnonzero(~bound)
        rest = missing[free] - slope[np.ix_(free, np.flatnonzero(bound))] @ step[bound]
        step[free] = np.linalg.lstsq(slope[np.ix_(free, free)], rest, rcond=None)[0]
        for halving in range(HALVINGS):
            tried = q + step * 0.5**halving
            size, moved = _look(network, closed, terminal, tried)
            if size is not None:
                break
        if size is None:
            return None
        q, slope = tried, slope if moved is None else moved
    return None


def with_reactive(network: Network, terminal: Ints, q: Floats) -> Network:
    """The network with this additional reactive power fed in at these terminals, (H)."""
    return replace(network, s_power=_drawn(network, terminal, q[None, :])[0])


def shared(q: float, low: Floats, high: Floats) -> Floats:
    """Reactive power of those who share it: the same part of each range, or equal parts of those without limits."""
    span = high - low
    if np.isfinite(span).all():
        return np.asarray(low + (q - low.sum()) * span / (span.sum() or 1.0))
    part = np.clip(np.zeros(len(low)), low, high)
    return np.asarray(part + np.where(np.isinf(span), (q - part.sum()) / np.isinf(span).sum(), 0.0))


def _look(network: Network, closed: Bools, terminal: Ints, q: Floats) -> tuple[Floats | None, Floats | None]:
    """(H) voltages at reactive powers, and their (H, H) sensitivities to these; None where there is no solution."""
    rows = np.vstack([q, q + NUDGE * np.eye(len(q))])
    flows = solve(network, closed, s_power=_drawn(network, terminal, rows))
    size = np.abs(flows.v[:, terminal])
    if not flows.converged[0]:
        return None, None
    return size[0], (size[1:] - size[0]).T / NUDGE if flows.converged.all() else None


def _drawn(network: Network, terminal: Ints, q: Floats) -> Complexes:
    """(K, N) constant power with (K, H) fed in."""
    drawn = np.repeat(network.s_power[None, :], len(q), axis=0)
    drawn[:, terminal] -= 1j * q
    return drawn


def hold_voltages_meshed(
    network: Network, closed: Bools, terminal: Ints, v: Floats, q_min: Floats, q_max: Floats
) -> Holding | None:
    """The reactive power at which voltages are held; None where none is found or the power flow has no solution.

    Buses that branches without impedance join share it by their ranges; at a source, which holds the voltage itself,
    it is at the limit on the side of the voltage that is wanted, or as near to 0 as the limits allow.

    Args:
        network: balanced, with loads and generation but that of these generators' reactive power.
        closed: (E) state that supplies all buses. terminal: (H) buses, each once. v: (H) voltage to hold.
        q_min, q_max: (H) limits, infinite where there is none.
    """
    balance = balance_of(network, closed)
    if balance is None:
        return None
    group = balance.group[terminal]
    at_source = balance.source[group]
    missing = v - np.abs(balance.v[group])
    end = np.where(missing > 0.0, q_max, q_min)
    stays = (np.abs(missing) <= TOLERANCE) | np.isinf(end)
    q = np.where(stays, np.clip(0.0, q_min, q_max), end)
    holds = at_source & (np.abs(missing) <= TOLERANCE)
    own = np.flatnonzero(~at_source)
    groups, member = np.unique(group[own], return_inverse=True)
    wanted = np.zeros(len(groups))
    wanted[member] = v[own]
    if (np.abs(wanted[member] - v[own]) > TOLERANCE).any():
        return None  # two voltages at one bus
    low, high = np.zeros(len(groups)), np.zeros(len(groups))
    np.add.at(low, member, q_min[own])
    np.add.at(high, member, q_max[own])
    found = _found(balance, Held(groups, wanted, low, high, _scale(balance, groups)))
    if found is None:
        return None
    u, total = found
    for k in range(len(groups)):
        mine = own[member == k]
        q[mine] = shared(total[k], q_min[mine], q_max[mine])
        holds[mine] = abs(abs(u[groups[k]]) - wanted[k]) <= TOLERANCE
    return Holding(q, holds, u[balance.group])


def _found(balance: Balance, held: Held) -> tuple[Complexes, Floats] | None:
    none = np.full(len(held.at), np.inf)
    first = newton(balance, replace(held, q_min=-none, q_max=none))
    if first is None:
        return newton(balance, held)
    if ((held.q_min <= first[1]) & (first[1] <= held.q_max)).all():
        return first
    return newton(balance, replace(held, q=first[1]), first[0][balance.group])


def _scale(balance: Balance, groups: Ints) -> Floats:
    """(H) reactive power that moves the squared voltage of each group by one, by the impedance seen there."""
    free = np.flatnonzero(~balance.source)
    at = np.searchsorted(free, groups)
    unit = np.zeros((len(free), len(groups)), dtype=np.complex128)
    unit[at, np.arange(len(groups))] = 1.0
    seen = splu(sp.csc_array(balance.y[free][:, free])).solve(unit)[at, np.arange(len(groups))]
    return np.asarray(0.5 / np.abs(seen))
