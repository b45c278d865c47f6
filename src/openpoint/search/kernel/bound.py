"""Compiled: a lower bound of the cost of every radial completion of a node, in closed form.

**The node.** Every branch is closed, open or undecided. A completion opens or closes each undecided branch so that the
grid is radial. For a branch e = (a → b), with power p + jq and squared current l at its series impedance on the side
of a, and squared voltages κ_a w_a and κ_b w_b there and at its far side (κ = 1/tap² before an ideal ratio, else 1),
the exact power flow of a completion has

    l κ_a w_a = p² + q²        κ_b w_b = κ_a w_a − 2 (r p + x q) + |z|² l        (closed)
    p = q = l = 0                                                               (open)
    Σ_out p − Σ_in (p − r l) + demand = 0, and the same for q with x             (buses that no source holds)

for either direction of the power: the direction of a branch is a convention. The demand of bus j is P_j + g_j w_j, of
which g_j w_j is of constant impedance, and each end of a closed branch draws (g − jb) κ w, of which g κ w counts as
loss. The cost is λ times the loss, plus Σ c_e l of branches, plus the prices of the power of sources (8.); with λ = 1
and nothing else it is the loss.

A line that is open at one end only (`Network.y_open_fr`, `y_open_to`) draws (g° − jb°) w at the other. This admittance
is always added to the bus (g° also as a cost of w), and subtracted from what the end of the closed branch draws. Open
and closed branches are then as above. Of an undecided branch, what it draws both closed and open is counted, and of
the rest, what lowers the bound.

**The bound.** Take any y, μ for the balances (0 at sources), ν for the voltage laws of the closed branches, and φ for
the voltage limits. Adding the balances and laws, which are all zero in a completion, to its cost gives

    cost = Σ (P y + Q μ) + Σ_live [ρ l + α p + β q + (what is linear in w)]
    α = y_a − y_b + 2 r ν    β = μ_a − μ_b + 2 x ν    ρ = r (λ + y_b) + x μ_b − |z|² ν + c_e    (ν = 0: undecided)

1. The least value of ρ l + α p + β q on l κ_a w_a = p² + q² is −κ_a w_a (α² + β²) / 4ρ if ρ > 0; zero if all three
   vanish; otherwise there is no bound. An undecided branch adds zero in completions where it is open, so its terms
   count only where they are negative; each end is treated separately, which is less.
2. So cost >= Σ (P y + Q μ) − Σ_j A_j w_j with A_j (`gain`) the sum of what the branches at j take. Closed branches
   form a forest; each is directed away from the root of its part, and ν = (A_b + φ_b) / κ_b, children first, makes
   the coefficient of every w_b but those of the roots equal to φ_b. φ_b w_b >= φ_b w_min if φ_b > 0, else φ_b w_max.
3. A root that is a source has its w. Any other (`root` takes the bus of least y) has w_min <= w <= w_max, so that
   −A w >= −A w_max if A > 0, else −A w_min.
4. A rating l <= l_max allows adding σ (l − l_max) <= 0 with any σ >= 0: ρ grows by σ, the bound loses σ l_max. The best
   is ρ + σ = max(ρ, ½ √(α² + β²) √(κ_a w / l_max)) with the w of the completion; any estimate of w is valid. For an
   undecided branch σ l_max is subtracted too, although an open one would not need it; so the bound stays valid.
5. A price c of closing a branch adds c if closed. Undecided: min(0, c − h w_a) >= −max(0, h − c / w_max) w_a, since
   the left side is concave in w_a and the right side is its chord on [0, w_max].

6. A load of constant current adds c v to the terms of its bus, c = y p_v + μ q_v with v = √w. A root is concave: on
   [w_min, w_max] it lies above its chord and below any of its tangents, so c v is at least c times the chord if c > 0,
   else c times a tangent: a constant and a part of A.
7. Where the load of a bus may be chosen between P and P + S, the least of y (P + s) is y P + S min(0, y); the same for
   q. Every choice costs at least that, so the bound holds for the best one. Where outputs have prices or a greatest
   apparent power, the least value is that of `openpoint.search.kernel.devices`.
8. The multiplier of a source's balance is the price of the power that it delivers, the load at its own bus included:
   adding price times balance to the cost replaces the price of this power by terms of the branches there. So sources
   have their prices as multipliers, 0 without any. Those of a source with limits are free, as in
   `openpoint.search.kernel.devices`.
9. Every squared voltage may have a cost, `worth`: that of the loss of open branches, and in parts of a grid another one
   (`openpoint.search.regions`, where the buses at which parts meet are sources with multipliers, too).
10. What devices add at a node, where each has an interval of positions, is derived in
   `openpoint.search.kernel.devices`.
11. Prices π_e of closed branches, of any sign (`state_price`): every completion is a tree that contains the closed
   branches of the node, so Σ π_e over its branches is at least that of the cheapest such tree (Kruskal 1956: undecided
   branches by ascending price, each that makes no loop), and the sum of both bounds is valid.

The bound is valid for any multipliers, without a solver's tolerance, and for loads of either sign. Of the voltages it
uses w_max at roots (and w_min, which may be 0); these must hold in every completion of interest. Rounding is of the
order of 1e-16 of the terms; the search keeps a margin.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats
from openpoint.compiled.jit import always_inlined, inlined
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, Work
from openpoint.search.kernel.devices import add_banks, ends, greatest_ratio, least_costs, least_moves, root_takes
from openpoint.search.kernel.forest import find

THIN = 1e-4
"""Share of |z| that is the least ρ used to compute the next multipliers: without resistance ρ is 0 at first."""


@inlined
def terms(
    z: tuple[float, float, float],
    prices: tuple[float, float],
    from_bus: tuple[float, float],
    to_bus: tuple[float, float],
    nu: float,
) -> tuple[float, float, float]:
    """α, β, ρ of a branch with r, x, |z|², the prices of loss and current, between buses with multipliers y, μ."""
    r, x, z2 = z
    loss, current = prices
    y_i, mu_i = from_bus
    y_j, mu_j = to_bus
    rho = r * (loss + y_j) + x * mu_j - z2 * nu + current
    return y_i - y_j + 2.0 * r * nu, mu_i - mu_j + 2.0 * x * nu, rho


@inlined
def rate(rho: float, square: float, l_max: float, w: float) -> float:
    """ρ + σ with the best σ of a rating, at an estimate w of the squared voltage; `square` is α² + β²."""
    return max(rho, 0.5 * np.sqrt(square * w / l_max)) if l_max < np.inf else rho


@inlined
def slope(rho: float, square: float) -> float:
    """(α² + β²) / 4ρ; nan where there is no bound."""
    if rho > 0.0:
        return 0.25 * square / rho
    return 0.0 if rho == 0.0 and square == 0.0 else np.nan


@inlined
def above(w_min: float, w_max: float) -> tuple[float, float]:
    """Constant and slope of the chord of √w on [w_min, w_max]."""
    low, high = np.sqrt(w_min), np.sqrt(w_max)
    return low * high / (low + high), 1.0 / (low + high)


@inlined
def below(w: float) -> tuple[float, float]:
    """Constant and slope of the tangent of √w at w."""
    v = np.sqrt(w)
    return 0.5 * v, 0.5 / v


@inlined
def shunts(model: Model, e: int, down: bool) -> tuple[float, float, float, float]:
    """g and b of a branch at its near and at its far end; `down`: directed as in the grid."""
    if down:
        return model.g_fr[e], model.b_fr[e], model.g_to[e], model.b_to[e]
    return model.g_to[e], model.b_to[e], model.g_fr[e], model.b_fr[e]


@always_inlined
def series(
    model: Model, work: Work, y: Floats, mu: Floats, e: int, i: int, j: int, k_i: float, nu: float
) -> tuple[float, float, bool]:
    """Terms of the series impedance of a branch from bus i to bus j, steps 1 and 4: (α² + β²) / 4 (ρ + σ) and σ l_max.

    The last value returned is whether ρ + σ is positive. Writes α, β, ρ, ν and the first value to `work`.
    """
    prices = model.loss_price, model.current_price[e]
    alpha, beta, rho = terms((model.r[e], model.x[e], model.z2[e]), prices, (y[i], mu[i]), (y[j], mu[j]), nu)
    square = alpha * alpha + beta * beta
    limit = 0.0
    if model.rated:
        higher = rate(rho, square, model.l_max[e], k_i * work.w[i])
        if higher > rho:
            limit = (higher - rho) * model.l_max[e]
            rho = higher
            work.used[i] = True
    steep = slope(rho, square)
    sound = steep >= 0.0
    if not sound:
        rho = 0.1 * np.sqrt(model.z2[e]) + 1e-12  # a positive value for the next iteration
        steep = 0.25 * square / rho
    work.alpha[e] = alpha
    work.beta[e] = beta
    work.rho[e] = max(rho, THIN * np.sqrt(model.z2[e]))
    work.nu[e] = nu
    work.steep[e] = steep
    return steep, limit, sound


@inlined
def balances(model: Model, work: Work, y: Floats, mu: Floats) -> float:
    """Σ (P y + Q μ) with the terms of loads of steps 6 to 8; sets A to the terms of the buses themselves."""
    p, q, gain, used = model.p, model.q, work.gain, work.used
    total = 0.0
    for j in range(len(gain)):
        gain[j] = -model.worth[j]
        used[j] = False
        total += p[j] * y[j] + q[j] * mu[j]
    if model.shunts:
        for j in range(len(gain)):
            gain[j] -= y[j] * model.p_w[j] + mu[j] * model.q_w[j]
    if model.currents:
        for j in range(len(gain)):
            c = y[j] * model.p_v[j] + mu[j] * model.q_v[j]
            first, second = above(model.w_min[j], model.w_max[j]) if c > 0.0 else below(work.w[j])
            used[j] = c < 0.0
            total += c * first
            gain[j] -= c * second
    if model.devices and model.move_price > 0.0:
        total += least_moves(model, work)
    if model.banks:
        add_banks(model, work, mu)
    if model.costly:
        total += least_costs(model, work, y, mu)
    elif model.dispatchable:
        for j in range(len(gain)):
            total += model.p_span[j] * min(0.0, y[j]) + model.q_span[j] * min(0.0, mu[j])
    return total


@inlined
def undecided(model: Model, work: Work, y: Floats, mu: Floats, total: float) -> tuple[float, bool]:
    """Subtract the rating terms of undecided branches from the sum; add their ends to A where they lower the bound."""
    status, gain, down = work.status, work.gain, work.down
    sound = True
    for e in range(len(status)):
        if status[e] != UNDECIDED:
            continue
        i, j, k_i, k_j = model.fr[e], model.to[e], greatest_ratio(model, work, e), model.k_to[e]
        down[e] = y[i] <= y[j]
        if not down[e]:
            i, j, k_i, k_j = j, i, k_j, k_i
        lost, limit, is_positive = series(model, work, y, mu, e, i, j, k_i, 0.0)
        sound = sound and is_positive
        if model.rated:
            total -= limit
        if model.shunts:
            g_i, b_i, g_j, b_j = shunts(model, e, down[e])
            lost += b_i * mu[i] - g_i * (model.loss_price + y[i])
            gain[j] += max(0.0, k_j * (b_j * mu[j] - g_j * (model.loss_price + y[j])))
        lost *= k_i
        if model.priced:
            lost -= model.price[e] / model.w_max[i]
        gain[i] += max(0.0, lost)
    return total, sound


@inlined
def regulated(model: Model, work: Work, y: Floats, mu: Floats, e: int, i: int, j: int) -> tuple[float, float, bool]:
    """Terms of a closed branch with a tap changer, from bus i down to bus j: what A_i takes, σ l_max, and as `series`.

    Writes the κ at which A_i takes most to `work.k_fr`; see `openpoint.search.kernel.devices`.
    """
    least, most = ends(model, work, model.changer[e])
    g_i, b_i, g_j, b_j = shunts(model, e, work.down[e])
    at_i, at_j = b_i * mu[i] - g_i * (model.loss_price + y[i]), b_j * mu[j] - g_j * (model.loss_price + y[j])
    rest = work.gain[j] + work.phi[j]
    if work.down[e]:
        nu = rest + at_j
        steep, limit, sound = series(model, work, y, mu, e, i, j, most, nu)
        taken = at_i + nu + steep
        work.k_fr[e] = most if taken > 0.0 else least
        return work.k_fr[e] * taken, limit, sound
    steep, limit, sound = series(model, work, y, mu, e, i, j, 1.0, rest / least + at_j)
    at_least = rest / least + at_j + steep
    steep, other_limit, other_sound = series(model, work, y, mu, e, i, j, 1.0, rest / most + at_j)
    at_most = rest / most + at_j + steep
    work.k_fr[e] = most
    if at_least > at_most:
        series(model, work, y, mu, e, i, j, 1.0, rest / least + at_j)
        work.k_fr[e] = least
    return at_i + max(at_least, at_most), max(limit, other_limit), sound and other_sound


@inlined
def forest(model: Model, work: Work, y: Floats, mu: Floats, total: float) -> tuple[float, bool]:
    """Add the terms of closed branches, children first, and of the voltages of the roots to the sum, steps 2 and 3."""
    order, edge, parent, gain, down = work.order, work.edge, work.parent, work.gain, work.down
    w_min, w_max = model.w_min, model.w_max
    sound = True
    for position in range(len(gain) - 1, -1, -1):
        j = order[position]
        e = edge[j]
        if e < 0:
            total -= root_takes(model, work, j, gain[j])
            continue
        i = parent[j]
        down[e] = model.fr[e] == i
        if model.taps and model.changer[e] >= 0:
            taken, limit, is_positive = regulated(model, work, y, mu, e, i, j)
            sound = sound and is_positive
            phi = work.phi[j]
            total += phi * (w_min[j] if phi > 0.0 else w_max[j]) + model.price[e] - limit
            gain[i] += taken
            continue
        k_i, k_j = model.k_fr[e], model.k_to[e]
        if not down[e]:
            k_i, k_j = k_j, k_i
        if model.shunts:
            g_i, b_i, g_j, b_j = shunts(model, e, down[e])
            gain[j] += k_j * (b_j * mu[j] - g_j * (model.loss_price + y[j]))
            gain[i] += k_i * (b_i * mu[i] - g_i * (model.loss_price + y[i]))
        nu = gain[j]
        if model.bounded:
            phi = work.phi[j]
            nu += phi
            total += phi * (w_min[j] if phi > 0.0 else w_max[j])
        nu /= k_j
        steep, limit, is_positive = series(model, work, y, mu, e, i, j, k_i, nu)
        sound = sound and is_positive
        if model.rated:
            total -= limit
        total += model.price[e]
        gain[i] += k_i * (nu + steep)
    return total, sound


@inlined
def cheapest_tree(model: Model, work: Work) -> float:
    """The least sum of state prices of a tree with the closed branches and others that are undecided, step 11."""
    n, status, joined = model.n, work.status, work.came
    for bus in range(n + 1):
        joined[bus] = bus
    total = 0.0
    for e in range(len(status)):
        if status[e] == CLOSED:
            joined[find(joined, min(model.fr[e], n))] = find(joined, min(model.to[e], n))
            total += model.state_price[e]
    for k in range(len(model.by_price)):
        e = model.by_price[k]
        if status[e] == UNDECIDED:
            u, v = find(joined, min(model.fr[e], n)), find(joined, min(model.to[e], n))
            if u != v:
                joined[u] = v
                total += model.state_price[e]
    return total


@inlined
def bound(model: Model, work: Work, y: Floats, mu: Floats) -> float:
    """The lower bound at these multipliers and `work.phi`; -inf where some ρ is not positive.

    Requires the forest of `root`. Writes α, β, ρ, ν of every branch that is not open to `work`, and its
    (α² + β²) / 4ρ to `work.steep`.
    """
    total = balances(model, work, y, mu)
    total, sound = undecided(model, work, y, mu, total)
    total, sound_forest = forest(model, work, y, mu, total)
    if len(model.by_price) > 0:
        total += cheapest_tree(model, work)
    return total if sound and sound_forest else -np.inf
