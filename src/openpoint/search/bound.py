"""Compiled: a lower bound of the loss of every radial completion of a node, in closed form.

**The node.** Every branch is closed, open or undecided. A completion opens or closes each undecided branch so that the
grid is radial. For a branch e = (a → b), with power p + jq and squared current l at its series impedance on the side
of a, and squared voltages κ_a w_a and κ_b w_b there and at its far side (κ = 1/tap² before an ideal ratio, else 1),
the exact power flow of a completion has

    l κ_a w_a = p² + q²        κ_b w_b = κ_a w_a − 2 (r p + x q) + |z|² l        (closed)
    p = q = l = 0                                                               (open)
    Σ_out p − Σ_in (p − r l) + demand = 0, and the same for q with x             (buses that no source holds)

whichever way power runs: the direction is a convention. The demand of bus j is P_j + g_j w_j, of which g_j w_j is of
constant impedance, and each end of a closed branch takes (g − jb) κ w, of which g κ w counts as loss.

**The bound.** Take any y, μ for the balances (0 at sources), ν for the voltage laws of the closed branches, and φ for
the voltage limits. Adding the balances and laws, which are all zero in a completion, to its loss gives

    loss = Σ (P y + Q μ) + Σ_live [ρ l + α p + β q + (what is linear in w)]
    α = y_a − y_b + 2 r ν      β = μ_a − μ_b + 2 x ν      ρ = r (1 + y_b) + x μ_b − |z|² ν       (ν = 0: undecided)

1. The least value of ρ l + α p + β q on l κ_a w_a = p² + q² is −κ_a w_a (α² + β²) / 4ρ if ρ > 0; zero if all three
   vanish; else nothing is bounded. An undecided branch that ends up open adds zero instead, so its terms count
   where they are negative only; each end alone, which is less.
2. So loss >= Σ (P y + Q μ) − Σ_j A_j w_j with A_j (`gain`) the sum of what the branches at j take. Closed branches
   form a forest; each is directed away from the root of its part, and ν = (A_b + φ_b) / κ_b, children first, makes
   the coefficient of every w_b but those of the roots equal to φ_b. φ_b w_b >= φ_b w_min if φ_b > 0, else φ_b w_max.
3. A root that is a source has its w. Any other (`root` takes the bus of least y) has w_min <= w <= w_max, so that
   −A w >= −A w_max if A > 0, else −A w_min.
4. A rating l <= l_max allows σ (l − l_max) <= 0 with any σ >= 0: ρ grows by σ, σ l_max is lost. The best is
   ρ + σ = max(ρ, ½ √(α² + β²) √(κ_a w / l_max)) for the voltage that comes true; any estimate of it is valid.
   An open branch would not lose σ l_max, so the bound stays below.
5. A price c of closing a branch adds c if closed. Undecided: min(0, c − h w_a) >= −max(0, h − c / w_max) w_a, since
   the left side is concave in w_a and the right side is its chord on [0, w_max].

Nothing here asks how good the multipliers are, nor for a solver's tolerance, nor for the sign of a load. What is used
of the voltages is w_max at roots (and w_min, which may be 0): they must hold in every completion that counts.
Rounding is of the order of 1e-16 of the terms; the search keeps a margin.
"""

from __future__ import annotations

import numpy as np

from openpoint.powerflow.compiled import compiled
from openpoint.search.arrays import UNDECIDED, Floats, Model, Work


@compiled
def terms(
    z: tuple[float, float, float], from_bus: tuple[float, float], to_bus: tuple[float, float], nu: float
) -> tuple[float, float, float]:
    """α, β, ρ of a branch with r, x, |z|² between buses with multipliers y, μ."""
    r, x, z2 = z
    y_i, mu_i = from_bus
    y_j, mu_j = to_bus
    return y_i - y_j + 2.0 * r * nu, mu_i - mu_j + 2.0 * x * nu, r * (1.0 + y_j) + x * mu_j - z2 * nu


@compiled
def rate(rho: float, square: float, l_max: float, w: float) -> float:
    """ρ + σ with the best σ of a rating, for a squared voltage of about w; `square` is α² + β²."""
    return max(rho, 0.5 * np.sqrt(square * w / l_max)) if l_max < np.inf else rho


@compiled
def slope(rho: float, square: float) -> float:
    """(α² + β²) / 4ρ; nan where nothing is bounded."""
    if rho > 0.0:
        return 0.25 * square / rho
    return 0.0 if rho == 0.0 and square == 0.0 else np.nan


@compiled
def bound(model: Model, work: Work, y: Floats, mu: Floats) -> float:
    """The bound at these multipliers and `work.phi`; -inf where some ρ is not positive.

    Needs the forest of `root`. Leaves α, β, ρ, ν of every live branch in `work`, and its (α² + β²) / 4ρ in `steep`.
    """
    gain, w = work.gain, work.w
    total = 0.0
    sound = True
    for j in range(len(gain)):
        gain[j] = 0.0
        total += model.p[j] * y[j] + model.q[j] * mu[j]
    if model.shunts:
        for j in range(len(gain)):
            gain[j] = -(y[j] * model.p_w[j] + mu[j] * model.q_w[j])
    for e in range(len(work.status)):
        if work.status[e] != UNDECIDED:
            continue
        i, j, k_i, k_j = model.fr[e], model.to[e], model.k_fr[e], model.k_to[e]
        work.down[e] = y[i] <= y[j]
        if not work.down[e]:
            i, j, k_i, k_j = j, i, k_j, k_i
        alpha, beta, rho = terms((model.r[e], model.x[e], model.z2[e]), (y[i], mu[i]), (y[j], mu[j]), 0.0)
        square = alpha * alpha + beta * beta
        if model.rated:
            higher = rate(rho, square, model.l_max[e], k_i * w[i])
            if higher > rho:
                total -= (higher - rho) * model.l_max[e]
                rho = higher
        steep = slope(rho, square)
        if not steep >= 0.0:
            sound = False
            rho = 0.1 * np.sqrt(model.z2[e]) + 1e-12  # something to go on with
            steep = 0.25 * square / rho
        work.alpha[e] = alpha
        work.beta[e] = beta
        work.rho[e] = rho
        work.nu[e] = 0.0
        work.steep[e] = steep
        lost = steep
        if model.shunts:
            lost += model.b[e] * mu[i] - model.g[e] * (1.0 + y[i])
            gain[j] += max(0.0, k_j * (model.b[e] * mu[j] - model.g[e] * (1.0 + y[j])))
        lost *= k_i
        if model.priced:
            lost -= model.price[e] / model.w_max[i]
        gain[i] += max(0.0, lost)
    for position in range(len(gain) - 1, -1, -1):
        j = work.order[position]
        e = work.edge[j]
        if e < 0:
            total -= gain[j] * (model.w_max[j] if gain[j] > 0.0 else model.w_min[j])
            continue
        i = work.parent[j]
        work.down[e] = model.fr[e] == i
        k_i, k_j = model.k_fr[e], model.k_to[e]
        if not work.down[e]:
            k_i, k_j = k_j, k_i
        if model.shunts:
            gain[j] += k_j * (model.b[e] * mu[j] - model.g[e] * (1.0 + y[j]))
            gain[i] += k_i * (model.b[e] * mu[i] - model.g[e] * (1.0 + y[i]))
        nu = gain[j]
        if model.bounded:
            phi = work.phi[j]
            nu += phi
            total += phi * (model.w_min[j] if phi > 0.0 else model.w_max[j])
        nu /= k_j
        alpha, beta, rho = terms((model.r[e], model.x[e], model.z2[e]), (y[i], mu[i]), (y[j], mu[j]), nu)
        square = alpha * alpha + beta * beta
        if model.rated:
            higher = rate(rho, square, model.l_max[e], k_i * w[i])
            if higher > rho:
                total -= (higher - rho) * model.l_max[e]
                rho = higher
        steep = slope(rho, square)
        if not steep >= 0.0:
            sound = False
            rho = 0.1 * np.sqrt(model.z2[e]) + 1e-12
            steep = 0.25 * square / rho
        work.alpha[e] = alpha
        work.beta[e] = beta
        work.rho[e] = rho
        work.nu[e] = nu
        work.steep[e] = steep
        total += model.price[e]
        gain[i] += k_i * (nu + steep)
    return total if sound else -np.inf
