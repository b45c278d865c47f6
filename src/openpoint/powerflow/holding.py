"""Generators that hold the voltage of their bus: the reactive power at which they do, in any state of a balanced grid.

Each holds its voltage while its reactive power lies within its limits; at its most the voltage may lie below, at its
least above. Newton's method solves this complementarity with the power flow (`openpoint.powerflow.meshed`): first
without limits of reactive power, then with them from there, since far from a solution a limit says little about which
generators will be at one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import splu

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network import Network
from openpoint.powerflow.meshed import Balance, Held, balance_of, newton

TOLERANCE = 1e-9
"""Difference from the set voltage up to which it counts as held, pu."""


@dataclass(frozen=True)
class Holding:
    """Reactive power of the generators that hold a voltage.

    Attributes:
        q: (H) reactive power, per unit. holds: (H) whether the voltage is held; else a limit came first, or there is
            nothing between the bus and a source, which holds the voltage itself. v: (N) all voltages.
    """

    q: Floats
    holds: Bools
    v: Complexes


def with_reactive(network: Network, terminal: Ints, q: Floats) -> Network:
    """The network with this additional reactive power fed in at these terminals, (H)."""
    s_power = network.s_power.copy()
    s_power[terminal] -= 1j * q
    return replace(network, s_power=s_power)


def shared(q: float, low: Floats, high: Floats) -> Floats:
    """Reactive power of those who share it: the same part of each range, or equal parts of those without limits."""
    span = high - low
    if np.isfinite(span).all():
        return np.asarray(low + (q - low.sum()) * span / (span.sum() or 1.0))
    part = np.clip(np.zeros(len(low)), low, high)
    return np.asarray(part + np.where(np.isinf(span), (q - part.sum()) / np.isinf(span).sum(), 0.0))


def hold_voltages(
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
