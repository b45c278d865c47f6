"""Compiled: what the states of a path cost at least, at the multipliers of the junctions, in integers.

**A closed path**, from u to v: as in `openpoint.verify.fixed_point` its buses have multipliers y, μ, and the voltage
laws of its branches multipliers ν, from a to b each, with power at the near end:

    ρ = r (1 + y_b) + x μ_b − |z|² ν    α = y_a − y_b + 2 r ν    β = μ_a − μ_b + 2 x ν    A_a = ν + (α² + β²) / 4ρ

with ν = A_b, which is the price κ_v of the squared voltage at the end v. So with prices λ w_u added and κ_v w_v taken
off, the path costs at least Σ (P (1 + y) + Q μ) − load + (λ − A_u) w_u, sums over its inner buses. At least f', g'
arrive: as −(1 + y_v) f >= −(1 + y_v + φ) f + φ f' for φ >= 0, y_v + φ may stand in place of y_v where φ f' is added,
and μ_v alike.

**What is lost in stubs** and in trees that dangle is L at the highest voltage, and at least L / t where the squared
voltage is t times that: with w / t, t l in place of w, l for the branches of the stub all powers are less, and

    (w_near / t) >= (w_far / t) + 2 (r p + x q) + |z|² t l        (t l) (w_far / t) = l w_far = p² + q²

so that t l are currents as those of which L is the least loss (`openpoint.verify.paths`). For any θ >= 1,
L / t >= L (2 θ − θ² t).

Multipliers within paths and θ may be anything. They are chosen in floating point, by sweeps: up with the powers, down
with the voltages, up with A, and down with the multipliers that make each branch carry its power.

Theory: docs/methods.md M49.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Indices, Ints, States
from openpoint.compiled.jit import inlined
from openpoint.compiled.table import Table
from openpoint.compiled.wide import covers, product
from openpoint.verify.graph import FREE, OPEN

BROKEN, FORTH, BACK = 1, 2, 4
"""States of a path, as bits: open at one of its branches; closed, with power from u to v; from v to u."""
NEVER: Any = np.int64(2**62)
"""The cost of what cannot be."""
LIMIT: Any = np.int64(2**61)
"""No number is greater."""
ZERO: Any = np.int64(0)
"""Nothing, of the width of all numbers here."""
GREATEST = 4
"""No multiplier is greater: any are valid, and those that raise the bound are shares of the power."""
LEAST_VOLTAGE = 2
"""Losses are at most so many times those of the table: at lower voltages no more of them is counted."""
SWEEPS = 3
"""Sweeps along a path."""
LOWEST = 0.1
"""Squared voltage below which multipliers within a path are no better."""


@dataclass(frozen=True, eq=False)
class PathTable(Table):
    """The paths of a grid with J junctions, and the least power of their states in all radial states, times 2^d.

    Attributes:
        d: binary digits. fixed: loss of the trees that dangle from junctions and sources.
        load_p, load_q: (J) loads of junctions; lost_p, lost_q: of these, lost in the trees that dangle from them.
        u, v: (K) junctions at the ends of paths; J stands for all sources.
        start: (K + 1) first position of each path. branch: (B) at each position, from u to v; r, x, z2: (B) of it, and
            r² + x², which is rounded upwards. within_p, within_q: (B) load of the bus beyond, seen from u, 0 at v,
            and trees_p, trees_q: (B) how much of that is lost in the trees that dangle from it.
        load: (K) nominal active load within, rounded upwards.
        drawn: (B, 8) p, q drawn at u and at v where the path is open at this branch, and how much of these is lost.
        high: (2K) greatest squared voltage where a path begins that is closed, forth (2k) and back (2k + 1).
        sent_p, sent_q: (2K) what is sent into it at least. may: (K) states that its ends allow.
    """

    d: int
    fixed: int
    load_p: Ints
    load_q: Ints
    lost_p: Ints
    lost_q: Ints
    u: Indices
    v: Indices
    start: Indices
    branch: Indices
    r: Ints
    x: Ints
    z2: Ints
    within_p: Ints
    within_q: Ints
    trees_p: Ints
    trees_q: Ints
    load: Ints
    drawn: Ints
    high: Ints
    sent_p: Ints
    sent_q: Ints
    may: States


@dataclass(frozen=True, eq=False)
class PathRoom(Table):
    """Room to work.

    Attributes:
        y, mu: (J + 1) multipliers >= 0, times 2^d; 0 at the sources. of: (J + 1) a junction of the same group, itself
            at the top one. entry: (J + 1) arc that enters a group, -1 = none yet. rest: (2K) how much more arcs cost.
        high: (J + 1) highest squared voltages. price: (J + 1) κ. leaving: (J + 1) arcs with prices that are still to
            leave it. about: (J + 1) squared voltages near which multipliers are best, as floats.
        theta, times: (J + 1) θ of what is lost at junctions, for open paths and for others. stub: (2K) prices of the
            squared voltages at the ends of open paths. cost, taken: (2K) of closed paths, and A where they begin.
        order: (K) paths that are closed in one direction, as arcs, those farthest from the sources first; then -1.
        f, g, fall: (2K) power that arrives at least, and how much the squared voltage falls. draw_p, draw_q: (2K) least
            power that is drawn at ends u (2k) and v (2k + 1) where the path does not feed these; sum_p, sum_q: (J + 1).
        least_p, least_q, top: (B) of sweeps along a path, at the far end of each branch: power, and squared voltage.
        p, q, w, nu, of_y, of_mu: (B) of sweeps: power and squared voltage at the far end of each branch, multipliers.
    """

    y: Ints
    mu: Ints
    of: Indices
    entry: Indices
    rest: Ints
    high: Ints
    price: Ints
    leaving: Indices
    about: Floats
    theta: Ints
    times: Ints
    stub: Ints
    cost: Ints
    taken: Ints
    order: Indices
    f: Ints
    g: Ints
    fall: Ints
    draw_p: Ints
    draw_q: Ints
    sum_p: Ints
    sum_q: Ints
    least_p: Ints
    least_q: Ints
    top: Ints
    p: Floats
    q: Floats
    w: Floats
    nu: Floats
    of_y: Floats
    of_mu: Floats


@inlined
def up(a: int, b: int, d: int) -> int:
    """a b / 2^d, rounded upwards."""
    return -product(-a, b, d)


@inlined
def head(table: PathTable, a: int) -> int:
    """The junction that an arc enters."""
    junction: int = table.u[a // 2] if a % 2 else table.v[a // 2]
    return junction


@inlined
def tail(table: PathTable, a: int) -> int:
    """The junction that an arc leaves."""
    junction: int = table.v[a // 2] if a % 2 else table.u[a // 2]
    return junction


@inlined
def lost(c: int, theta: int, price: int, high: int, d: int) -> int:
    """c / t + `price` t at least, with t from 0 to `high`, and c >= 0 the cost of what is lost at t = 1."""
    least = 2 * product(theta, c, d)
    beyond = up(up(theta, theta, d), c, d) - price
    return int(least - up(beyond, high, d) if beyond > 0 else least)


@inlined
def theta_of(w: float, d: int) -> int:
    """1 / w as an integer, from 1 to the most times that losses are counted."""
    return int(min(max(1.0 / w, 1.0), float(LEAST_VOLTAGE)) * float(ZERO + 1 << d))


@inlined
def of_end(table: PathTable, room: PathRoom, k: int, at: int, end: int) -> int:
    """What the losses in the stub at an end of a path cost that is open at a position, at the highest voltage."""
    d, j = table.d, table.v[k] if end else table.u[k]
    c = product((ZERO + 1 << d) + room.y[j], table.drawn[at, 4 + 2 * end], d)
    c += product(room.mu[j], table.drawn[at, 5 + 2 * end], d)
    return int(max(c, ZERO))


@inlined
def cost_open(table: PathTable, room: PathRoom, k: int, at: int, priced: bool) -> int:
    """Cost of a path that is open at a position, at least; `priced`: with prices of voltages at its ends."""
    d, one, found = table.d, ZERO + 1 << table.d, -table.load[k]
    for end in range(2):
        j, c = table.v[k] if end else table.u[k], of_end(table, room, k, at, end)
        found += product(one + room.y[j], table.drawn[at, 2 * end], d) - c
        found += product(room.mu[j], table.drawn[at, 2 * end + 1], d)
        if priced:
            found += lost(c, room.theta[j], room.stub[2 * k + end], room.high[j], d)
        else:
            found += lost(c, room.times[j], ZERO, room.high[j], d)
    return int(found)


@inlined
def may_be_open(table: PathTable, status: States, k: int, at: int, broken: int) -> bool:
    """Whether a path may be open at a position; `broken`: where it is, -1 = nowhere."""
    may: bool = at == broken or (broken < 0 and status[table.branch[at]] == FREE)
    return may


@inlined
def broken_at(table: PathTable, status: States, k: int) -> int:
    """The position of the open branch of a path; -1 where there is none."""
    for at in range(table.start[k], table.start[k + 1]):
        if status[table.branch[at]] == OPEN:
            return at
    return -1


@inlined
def least_open(
    table: PathTable, room: PathRoom, status: States, k: int, begin: int, end: int, priced: bool
) -> tuple[int, int]:
    """The least cost of a path that is open at a place from `begin` to before `end`, and where; NEVER if at none."""
    least, best = ZERO + NEVER, -1
    broken = broken_at(table, status, k)
    for at in range(begin, end):
        if may_be_open(table, status, k, at, broken):
            cost = ZERO + cost_open(table, room, k, at, priced)
            if cost < least:
                least, best = cost, at
    return int(least), best


@inlined
def put_prices(table: PathTable, room: PathRoom, k: int, at: int) -> int:
    """Price the voltages at both ends of a path by what is lost in its stubs if it is open at a position; -1: nothing.

    Returns what these prices are worth about the voltages there.
    """
    worth, d = ZERO, table.d
    for side in range(2):
        j, paid = table.v[k] if side else table.u[k], ZERO
        if at >= 0 and j < len(table.load_p):
            paid += up(up(room.theta[j], room.theta[j], d), of_end(table, room, k, at, side), d)
        room.stub[2 * k + side] = paid
        worth += int(float(paid) * room.about[j])
    return int(worth)


@inlined
def price_stubs(table: PathTable, room: PathRoom, status: States, k: int, begin: int, end: int) -> None:
    """Prices of the voltages at both ends of a path that is open, of those tried which make it cost most."""
    best, most, broken = -1, -NEVER, broken_at(table, status, k)
    for at in range(begin - 1, end):
        if at < begin or may_be_open(table, status, k, at, broken):
            worth = put_prices(table, room, k, at if at >= begin else -1)
            least, _ = least_open(table, room, status, k, begin, end, True)
            if least - worth > most:
                most, best = least - worth, at if at >= begin else -1
    put_prices(table, room, k, best)
    room.price[table.u[k]] += room.stub[2 * k]
    room.price[table.v[k]] += room.stub[2 * k + 1]


@inlined
def sweep(table: PathTable, room: PathRoom, a: int, f: float, g: float, near: float) -> tuple[float, float, float]:
    """Flow, voltages and multipliers of a closed path where f, g arrive; y, μ at its end, their slope by the flow."""
    k, forth, unit = a // 2, a % 2 == 0, 1.0 / float(ZERO + 1 << table.d)
    begin, size = table.start[k], table.start[k + 1] - table.start[k]
    p, q, by_w = f, g, float(room.price[head(table, a)]) * unit
    for step in range(size):
        at = begin + (size - 1 - step if forth else step)
        if step > 0:
            beside = at if forth else at - 1
            p += float(table.within_p[beside]) * unit
            q += float(table.within_q[beside]) * unit
            c = (1.0 + room.of_y[at]) * float(table.trees_p[beside]) + room.of_mu[at] * float(table.trees_q[beside])
            by_w += c * unit / (room.w[at] * room.w[at])
        room.p[at], room.q[at], room.nu[at] = p, q, by_w
        l = (p * p + q * q) / room.w[at]
        p += float(table.r[at]) * unit * l
        q += float(table.x[at]) * unit * l
        before = near if step == size - 1 else room.w[at - 1 if forth else at + 1]
        rho = float(table.r[at]) * (1.0 + room.of_y[at]) + float(table.x[at]) * room.of_mu[at]
        by_w += (rho - float(table.z2[at]) * by_w) * unit * l / before
    w, y, mu, slope = near, float(room.y[tail(table, a)]) * unit, float(room.mu[tail(table, a)]) * unit, 0.0
    for step in range(size):
        at = begin + (step if forth else size - 1 - step)
        r, x, z2 = float(table.r[at]) * unit, float(table.x[at]) * unit, float(table.z2[at]) * unit
        rho, nu = r * (1.0 + room.of_y[at]) + x * room.of_mu[at] - z2 * room.nu[at], room.nu[at]
        l = (room.p[at] * room.p[at] + room.q[at] * room.q[at]) / room.w[at]
        y += 2.0 * r * nu + 2.0 * rho * (room.p[at] + r * l) / w
        mu += 2.0 * x * nu + 2.0 * rho * (room.q[at] + x * l) / w
        room.of_y[at], room.of_mu[at] = y, mu
        slope += 2.0 * rho / w
        w = max(w - 2.0 * (r * room.p[at] + x * room.q[at]) - z2 * l, LOWEST)
        room.w[at] = w
    return y, mu, slope


@inlined
def within(value: float, d: int) -> int:
    """A multiplier as an integer times 2^d, of at most the greatest size."""
    one = float(ZERO + 1 << d)
    return int(min(max(value, -1.0), float(GREATEST)) * one)


@inlined
def prepare(table: PathTable, room: PathRoom, a: int) -> tuple[float, float]:
    """Choose the multipliers within a closed path; returns what is missing at its end, where no less arrives."""
    begin, end, unit = table.start[a // 2], table.start[a // 2 + 1], 1.0 / float(ZERO + 1 << table.d)
    near, far = room.about[tail(table, a)], head(table, a)
    if tail(table, a) == len(table.load_p):
        near = float(table.high[a]) * unit
    far_y, far_mu = float(room.y[far]) * unit, float(room.mu[far]) * unit
    least_f, least_g = float(room.f[a]) * unit, float(room.g[a]) * unit
    for at in range(begin, end):
        room.w[at], room.of_y[at], room.of_mu[at] = near, far_y, far_mu
    f, g, by_y, by_mu, slope = least_f, least_g, 0.0, 0.0, 0.0
    for _ in range(SWEEPS):
        y, mu, slope = sweep(table, room, a, f, g, near)
        by_y, by_mu = far_y - y, far_mu - mu
        if slope <= 0.0:
            return 0.0, 0.0
        f, g = max(least_f, f + by_y / slope), max(least_g, g + by_mu / slope)
    y, mu, slope = sweep(table, room, a, f, g, near)
    by_y, by_mu, more_y, more_mu, so_far = far_y - y, far_mu - mu, 0.0, 0.0, 0.0
    if f <= least_f and by_y < 0.0:
        more_y, by_y = -by_y, 0.0
    if g <= least_g and by_mu < 0.0:
        more_mu, by_mu = -by_mu, 0.0
    w = near
    for step in range(end - begin):
        at = begin + step if a % 2 == 0 else end - 1 - step
        rho = float(table.r[at]) * (1.0 + room.of_y[at]) + float(table.x[at]) * room.of_mu[at]
        so_far += 2.0 * (rho - float(table.z2[at]) * room.nu[at]) * unit / w
        w = room.w[at]
        room.of_y[at] = room.of_y[at] + by_y * so_far / slope
        room.of_mu[at] = max(0.0, room.of_mu[at] + by_mu * so_far / slope)
    return more_y, more_mu


@inlined
def closed(table: PathTable, room: PathRoom, a: int) -> None:
    """Write the least cost of a closed path, -LIMIT where none is found, and what it takes where it begins."""
    d, one, forth, k = table.d, ZERO + 1 << table.d, a % 2 == 0, a // 2
    begin, size = table.start[k], table.start[k + 1] - table.start[k]
    more_y, more_mu = prepare(table, room, a)
    phi_y, phi_mu = within(more_y, d), within(more_mu, d)
    cost = product(phi_y, room.f[a], d) + product(phi_mu, room.g[a], d) - table.load[k]
    y, mu, nu = room.y[head(table, a)] + phi_y, room.mu[head(table, a)] + phi_mu, ZERO + room.price[head(table, a)]
    room.cost[a] = -LIMIT
    for step in range(size):
        at = begin + (size - 1 - step if forth else step)
        before = at - 1 if forth else at + 1
        near_y, near_mu = ZERO + room.y[tail(table, a)], ZERO + room.mu[tail(table, a)]
        if step < size - 1:
            near_y, near_mu = ZERO + within(room.of_y[before], d), ZERO + max(within(room.of_mu[before], d), ZERO)
        r, x = table.r[at], table.x[at]
        rho = product(r, one + y, d) + product(x, mu, d) - up(table.z2[at], nu, d)
        alpha = max(abs(near_y - y + 2 * product(r, nu, d)), abs(near_y - y + 2 * up(r + 1, nu, d)))
        beta = max(abs(near_mu - mu + 2 * product(x, nu, d)), abs(near_mu - mu + 2 * up(x + 1, nu, d)))
        guess = 0.0
        if alpha != 0 or beta != 0:
            guess = float(alpha) * float(alpha) + float(beta) * float(beta)
            guess = guess / (4.0 * float(rho)) if rho > 0 else -1.0
        if rho < 0 or not 0.0 <= guess < float(LIMIT >> 8):
            return
        quotient = int(guess) + (int(guess) >> 50) + 2
        if not covers(quotient, 4 * rho, alpha, beta):
            return
        nu += quotient
        if nu > LIMIT >> 6:
            return
        if step < size - 1:
            beside = at - 1 if forth else at
            cost += product(table.within_p[beside], one + near_y, d) + product(table.within_q[beside], near_mu, d)
            theta = theta_of(room.w[before], d)
            c = product(table.trees_p[beside], one + near_y, d) + product(table.trees_q[beside], near_mu, d)
            c = max(c, ZERO)
            cost += 2 * product(theta, c, d) - c
            nu += up(up(theta, theta, d), c, d)
        y, mu = near_y, near_mu
    room.cost[a], room.taken[a] = cost, nu


@inlined
def squared_current(p: int, q: int, w: int) -> int:
    """(p² + q²) / w, rounded downwards."""
    guess = (float(p) * float(p) + float(q) * float(q)) / float(w)
    if not guess < float(LIMIT >> 8):
        return 0
    l = max(int(guess) - (int(guess) >> 50) - 2, ZERO)
    return 0 if covers(l, w, p, q) else int(l)


@inlined
def least_sent(table: PathTable, room: PathRoom, a: int) -> tuple[int, int]:
    """What is sent into a closed path at least, by what arrives at least; writes how much the voltage falls."""
    d, forth, k, begins = table.d, a % 2 == 0, a // 2, tail(table, a)
    begin, size = table.start[k], table.start[k + 1] - table.start[k]
    high = table.high[a] if begins == len(table.load_p) else room.high[begins]
    p, q, w = ZERO, ZERO, ZERO + high
    for at in range(begin, begin + size):
        room.top[at] = high
    for _ in range(SWEEPS):
        p, q, w = ZERO + room.f[a], ZERO + room.g[a], ZERO + high
        for step in range(size):
            at = begin + (size - 1 - step if forth else step)
            if step > 0:
                beside = at if forth else at - 1
                p += table.within_p[beside]
                q += table.within_q[beside]
            room.least_p[at], room.least_q[at] = p, q
            l = squared_current(p, q, room.top[at])
            p += product(table.r[at], l, d)
            q += product(table.x[at], l, d)
        for step in range(size):
            at = begin + (step if forth else size - 1 - step)
            w -= 2 * (product(table.r[at], room.least_p[at], d) + product(table.x[at], room.least_q[at], d))
            w = max(w, ZERO + 1)
            room.top[at] = w
    room.fall[a] = ((ZERO + 1 << d) if begins == len(table.load_p) else high) - w
    return int(p), int(q)
