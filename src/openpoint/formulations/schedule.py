"""The schedule of a day: constraints that link what stores, generators and loads do in the periods of a day.

Every block stands alone: it takes expressions, mostly variables, of T periods in rows and gives linear constraints.
With h_t the hours of a period; on ∈ {0, 1} where a generator runs; c, d, e the charge, discharge and content of a
store; δ the active power by which a load is higher, moved in time:

    e_t = e_{t−1} + h_t (η c_t − d_t / η'),    e̲ ≤ e_t ≤ ē,    e at the end ≥ what is asked         store_contents
    0 ≤ c ≤ c̄,    0 ≤ d ≤ d̄,    c / c̄ + d / d̄ ≤ 1,    all 0 while it is absent                   store_powers
    p̲ on ≤ p ≤ p̄ a on,    q̲ on ≤ q ≤ q̄ on,    a what is available                                  unit_ranges
    u_t − v_t = on_t − on_{t−1},    0 ≤ u_t ≤ on_t,    u_t ≤ 1 − on_{t−1}                          starts
    p_t − p_{t−1} ≤ R Δ_t + p̄ u_t,    p_{t−1} − p_t ≤ R' Δ_t + p̄ v_t                               ramps
    |δ_t| ≤ s load_t,    Σ_t h_t δ_t = 0                                                           shifts_in_time
    m ≥ −δ,    m ≥ 0                                                                               moved_away
    y_t ≥ |x_t − x_{t−1}|                                                                          operations
    p² + q² ≤ (s on)²                                                                              disc
    p² ≤ k on,    k has the price of the square                                                    squares
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network import Network
from openpoint.network.day import Stores, UnitLinks
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import Cone


def one_before(x: cp.Expression, start: Floats) -> cp.Expression:
    """(T, K) the rows of x (T, K) one period earlier; `start` (K) comes before the first."""
    periods, count = x.shape
    first = np.zeros((periods, count))
    first[0] = start
    return sp.csr_array(sp.eye_array(periods, k=-1)) @ x + first


# Stores


def store_powers(stores: Stores, charge: cp.Expression, discharge: cp.Expression) -> list[cp.Constraint]:
    """Limits of charge and discharge (T, B), 0 while a store is absent, and c / c̄ + d / d̄ ≤ 1.

    The last one is what is left of "one direction at a time" where both may share a period: the convex hull of charging
    alone and discharging alone.
    """
    present = stores.present(charge.shape[0])
    both = np.flatnonzero((stores.charge_max > 0.0) & (stores.discharge_max > 0.0))
    of_charge, of_discharge = (sp.diags_array(1.0 / m[both]) for m in (stores.charge_max, stores.discharge_max))
    return [
        charge >= 0,
        discharge >= 0,
        charge <= present * stores.charge_max,
        discharge <= present * stores.discharge_max,
        charge[:, both] @ of_charge + discharge[:, both] @ of_discharge <= 1,
    ]


def store_contents(
    stores: Stores, hours: Floats, charge: cp.Expression, discharge: cp.Expression
) -> tuple[cp.Variable, list[cp.Constraint]]:
    """(T, B) contents at the ends of the periods, and e_t = e_{t−1} + h_t (η c_t − d_t / η') with its limits.

    Before a store comes this is its content at arrival, and once it has left that at departure, since it neither
    charges nor discharges then. The limits hold while it is there.
    """
    periods = len(hours)
    content = cp.Variable((periods, stores.count), name="content")
    gained = charge @ sp.diags_array(stores.charge_efficiency)
    lost = discharge @ sp.diags_array(1.0 / stores.discharge_efficiency)
    there = np.flatnonzero(stores.present(periods))
    inside = _flat(content)[there]
    least, most = (np.tile(end, periods)[there] for end in (stores.energy_min, stores.energy_max))
    return content, [
        content == one_before(content, stores.energy_start) + sp.diags_array(hours) @ (gained - lost),
        inside >= least,
        inside <= most,
        content[periods - 1] >= stores.energy_end,
    ]


# Inverters, and prices of squares


def disc(p: cp.Expression, q: cp.Expression, rating: Floats, on: cp.Expression | Floats) -> list[cp.Constraint]:
    """p² + q² ≤ (s on)² where the rating s is finite and above 0; `on` is 0 where there is no circle.

    Args:
        p, q, on: (T, K). rating: (K).
    """
    some = _rated(p, rating, on)
    size = cp.multiply(np.tile(rating, p.shape[0])[some], _flat(on)[some])
    return [cp.SOC(size, cp.vstack([_flat(p)[some], _flat(q)[some]]), axis=0)] if len(some) else []


def _rated(p: cp.Expression, rating: Floats, on: cp.Expression | Floats) -> Ints:
    """Entries of p, row by row, that have a circle."""
    some = np.tile(np.isfinite(rating) & (rating > 0.0), p.shape[0])
    return np.flatnonzero(some if isinstance(on, cp.Expression) else some & (on.ravel() != 0.0))


def squares(p: cp.Expression, price: Floats, on: cp.Expression) -> tuple[Cone, list[cp.Constraint], cp.Expression]:
    """p² ≤ k on where there is a price of the square (K): the cone, its constraints, (T) price · k.

    The perspective of p² (Günlük and Linderoth 2010): as tight as can be where `on` is between 0 and 1.

    Args:
        p, on: (T, K). price: (K) of p², 0 or more.
    """
    periods, some = p.shape[0], np.flatnonzero(price)
    u, k, scale = (cp.Variable(periods * len(some), name=name) for name in ("p_priced", "p_square", "p_on"))
    constraints = [u == _flat(p[:, some]), scale == _flat(on[:, some])]
    return Cone(u=(u,), s=k, t=scale), constraints, cp.reshape(k, (periods, len(some)), order="C") @ price[some]


# Generators


def unit_ranges(
    network: Network, available: Floats, on: cp.Expression, p: cp.Expression, q: cp.Expression
) -> list[cp.Constraint]:
    """p̲ on ≤ p ≤ max(p̲, p̄ a) on, q̲ on ≤ q ≤ q̄ on, with a (T, G) the share that is available."""
    p_max = np.maximum(network.p_min, network.p_max * available)
    return [
        p >= on @ sp.diags_array(network.p_min),
        p <= cp.multiply(p_max, on),
        q >= on @ sp.diags_array(network.q_min),
        q <= on @ sp.diags_array(network.q_max),
    ]


def starts(units: UnitLinks, on: cp.Expression) -> tuple[cp.Variable, cp.Expression, list[cp.Constraint]]:
    """(T, G) starts, (T, G) stops, and their constraints: at whole `on` a start is 1 where one is, else 0."""
    before = one_before(on, units.on_before.astype(np.float64))
    start = cp.Variable(on.shape, name="start")
    stop = start - on + before
    return start, stop, [start >= 0, start <= on, start <= 1 - before, stop >= 0]


def ramps(
    network: Network, units: UnitLinks, hours: Floats, p: cp.Expression, start: cp.Expression, stop: cp.Expression
) -> list[cp.Constraint]:
    """p_t − p_{t−1} ≤ R Δ_t + p̄ u_t and p_{t−1} − p_t ≤ R' Δ_t + p̄ v_t: ramps, but at starts and stops.

    Δ_t are the hours between the middles of a period and the one before (`UnitLinks.between`).
    """
    before_known = np.isfinite(units.p_before)
    rise = _flat(p - one_before(p, np.where(before_known, units.p_before, 0.0)))
    between = units.between(hours)
    most = np.tile(np.maximum(np.abs(network.p_max), np.abs(network.p_min)), len(hours))
    constraints: list[cp.Constraint] = []
    for sign, limit, free in ((1.0, units.ramp_up, start), (-1.0, units.ramp_down, stop)):
        bounded = np.tile(np.isfinite(limit), (len(hours), 1))
        bounded[0] &= before_known
        some = np.flatnonzero(bounded)
        if len(some):
            step = np.outer(between, np.where(np.isfinite(limit), limit, 0.0)).ravel()[some]
            released = cp.multiply(most[some], _flat(free)[some])
            constraints.append(sign * rise[some] <= step + released)
    return constraints


# Loads


def shifts_in_time(
    share: Floats, load: Floats, hours: Floats, shift: cp.Expression, energy: Floats | float = 0.0
) -> list[cp.Constraint]:
    """|δ_t| ≤ s load_t, Σ_t h_t δ_t = E at each of M terminals: energy that moves in time.

    Args:
        share: (M). load: (T, M) active power as forecast, at nominal voltage; what feeds in does not move.
        hours: (T). shift: (T, M).
        energy: (M) E, other than 0 where the day makes up for what was moved before (`Demand.moved_over_day`).
    """
    most = np.maximum(load, 0.0) * share
    return [shift <= most, shift >= -most, hours @ shift == energy]


def moved_away(shift: cp.Expression) -> tuple[cp.Variable, list[cp.Constraint]]:
    """(T, N) at least the power that is missing, max(−δ, 0), and its constraints."""
    moved = cp.Variable(shift.shape, name="moved")
    return moved, [moved >= -shift, moved >= 0]


# Switches


def operations(today: Bools, closed: cp.Expression) -> tuple[cp.Variable, list[cp.Constraint]]:
    """(T, E) at least 1 where a branch changes its state from the period before, today's first, and its constraints."""
    before = one_before(closed, today.astype(np.float64))
    operated = cp.Variable(closed.shape, name="operated")
    return operated, [operated >= closed - before, operated >= before - closed]


def moves(today: Floats, chosen: cp.Expression, price: float) -> tuple[cp.Expression, list[cp.Constraint]]:
    """The price of devices that change their position from the period before, today's first, and its constraints.

    Args:
        today: (K) one-hot. chosen: (T, K) one-hot, the positions of all devices one after another. price: of a move.
    """
    if price == 0.0:
        return cp.Constant(0.0), []
    moved, constraints = operations(today > 0.5, chosen)
    return price * cp.sum(moved) / 2.0, constraints  # a move leaves one position and takes another


def _flat(x: cp.Expression | Floats) -> cp.Expression:
    return cp.vec(x, order="C")
