"""An upper bound of the loss of every state of interest, computed before any state is known.

The search needs it as a first cutoff, while it knows no state that keeps the limits. It is the least of three bounds.

**All loads and generation.** The loss exceeds the sum of all loads and generation only beyond the nose of the voltage
curve, where no grid is operated.

**Ratings.** Where every branch with a resistance has one, the loss is at most Σ r l_max, plus the loss of lines that
are open at one end, at the greatest voltages that limits allow.

**Lower voltage limits**, where every bus has one and only consumes, and there are neither shunts nor ratios. Power then
flows from the sources outwards. For a branch (i → j) let p, q arrive at j, so that w_i − w_j = 2 (r p + x q) + |z|² l
and l w_j = p² + q². With weights P̃_j = P_j + Σ r l of the branches that leave j, the power that arrives is the flow of
just these weights down the tree, and so with Q̃_j = Q_j + Σ x l. With Δ the greatest drop from a source to a limit and
any a, b >= 0,

    Δ Σ (a P_j + b Q_j) + Δ Σ (a r + b x) l >= Σ_j (a P̃_j + b Q̃_j) (w_source − w_j)
        >= Σ (a p + b q) · 2 (r p + x q) >= Σ θ (p² + q²) >= Σ θ w_min l

where θ (a, b) is the least of 2 (a cos φ + b sin φ)(r cos φ + x sin φ) over the angles φ that p + jq can have. That is
a sum of loads s_j and of losses z l, so φ lies between the least and the greatest of their angles, all in [0, 90°]; on
such an arc a quadratic form with a product term >= 0 is least at one end. If θ w_min >= Δ (a r + b x) + η r at every
branch, the loss is at most Δ Σ (a P_j + b Q_j) / η. This is valid for any a, b; the best of several pairs is taken.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.network import Network
from openpoint.search.model.demand import Demand

ANGLES = 181
"""Proportions of a and b that are tried."""


def loss_upper_bound(network: Network) -> float:
    """The sum of all loads and generation, per unit."""
    loads = np.abs(network.s_power) + 2.0 * np.abs(network.s_current) + 4.0 * np.abs(network.s_impedance)
    p, q = (np.maximum(-a, b) for a, b in ((network.p_min, network.p_max), (network.q_min, network.q_max)))
    power = loads.sum() + np.hypot(p, q).sum()
    return float(power + 4.0 * (network.y_most.real.sum() + network.y_most.imag.sum()))


def _loss_of_open_lines(network: Network) -> float:
    """Greatest loss of lines that are open at one end; inf where no voltage limit bounds it."""
    ends = ((network.terminal_fr, network.y_open_fr.real), (network.terminal_to, network.y_open_to.real))
    # A limit counts as kept up to its tolerance; a source has the voltage that it holds.
    high = np.maximum(network.w_max * (1.0 + 1e-5), float(np.max(np.abs(network.source_v) ** 2)))
    return float(sum((np.abs(g[g != 0.0]) * high[end[g != 0.0]]).sum() for end, g in ends))


def loss_upper_bound_by_limits(network: Network, usable: Bools, taken: Demand, w_min: Floats, l_max: Floats) -> float:
    """The lesser of the bounds by ratings and by lower voltage limits; inf where neither applies.

    Args:
        usable: (E) branches that may be closed.
        taken: demand and its ranges.
        w_min, l_max: (N), (E) limits of squared voltages and series currents, relaxed by their tolerance.
    """
    r, x = network.r[usable], network.x[usable]
    if np.any(r < 0.0) or np.any(x < 0.0) or network.g[usable].any():
        return np.inf
    lossy = r > 0.0
    most = float((r[lossy] * l_max[usable][lossy]).sum()) + _loss_of_open_lines(network)
    inner = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    every = np.concatenate([taken.power, taken.current, taken.steady])
    fed = np.any(every.real < 0.0) or np.any(every.imag < 0.0) or taken.span.any()
    if fed or network.b[usable].any() or network.y_open.any() or np.any(network.tap[usable] != 1.0) or not lossy.any():
        return most
    low = float(w_min[inner].min(initial=np.inf))
    high = float(np.max(np.abs(network.source_v) ** 2))
    drop = high - low
    if not 0.0 < low < np.inf or drop < 0.0:
        return most
    s = taken.power.sum() + np.sqrt(high) * taken.current.sum() + high * taken.steady.sum()
    phasors = np.concatenate([every, r + 1j * x])
    phasors = phasors[phasors != 0]
    t = np.linspace(0.0, 0.5 * np.pi, ANGLES)[:, None]
    a, b = np.cos(t), np.sin(t)
    theta = np.full((1, len(r)), np.inf)
    for phi in (np.angle(phasors).min(), np.angle(phasors).max()):
        along = r * np.cos(phi) + x * np.sin(phi)
        theta = np.minimum(theta, 2.0 * (a * np.cos(phi) + b * np.sin(phi)) * along)
    spare = theta * low - drop * (a * r + b * x)
    eta = np.where((spare >= 0.0).all(axis=1), (spare[:, lossy] / r[lossy]).min(axis=1), 0.0)
    weighed = drop * (a[:, 0] * s.real + b[:, 0] * s.imag)
    by_drop = np.divide(weighed, eta, out=np.full(ANGLES, np.inf), where=eta > 0.0)
    return min(most, float(by_drop.min()))
