"""Compiled: the voltages at the ends of one branch at whose far end at least some power arrives.

Let at least p, q, of either sign, arrive at the far end b of a branch a → b with r, x >= 0. With s² = max(p, 0)² +
max(q, 0)², every state has w_a >= f(w_b) = w_b + 2 (r p + x q) + |z|² s² / w_b, with equality where p, q >= 0 and just
these arrive. So w_b is at most the greater root of f(w_b) = w_a (`after`), which grows with w_a, at least as fast, and
falls with p and q; without a root there is no state. And if w_b is to be at least `low`, w_a must be at least
f(max(low, |z| s)), as f falls up to |z| s and rises from there (`before`). What leaves a is p + r l, q + x l with
l >= s² / w_b (`lost`). A rating below that forbids it. Ratios multiply w at either end of the impedance.
"""

from __future__ import annotations

import numpy as np

from openpoint.compiled.jit import inlined
from openpoint.search.kernel.arrays import Model

SAFE = 1e-9
"""Relative margin of limits, for rounding."""


@inlined
def ratios(model: Model, e: int, j: int) -> tuple[float, float]:
    """Squared voltage at the impedance per squared voltage of the bus, at the near end of a branch and at its end j."""
    if model.to[e] == j:
        return model.k_fr[e], model.k_to[e]
    return model.k_to[e], model.k_fr[e]


@inlined
def after(model: Model, e: int, j: int, w: float, p: float, q: float) -> float:
    """The highest squared voltage at the far end j of a branch; 0 where p, q cannot arrive there."""
    near, far = ratios(model, e, j)
    w *= near
    half = 0.5 * w - model.r[e] * p - model.x[e] * q
    rest = half * half - model.z2[e] * square(p, q)
    root: float = half + np.sqrt(rest) if half > 0.0 and rest >= 0.0 else 0.0
    return root if far == 1.0 else root / far


@inlined
def square(p: float, q: float) -> float:
    """The least p² + q² where at least p and q flow."""
    p, q = max(p, 0.0), max(q, 0.0)
    return p * p + q * q


@inlined
def before(model: Model, e: int, j: int, low: float, p: float, q: float) -> float:
    """The squared voltage needed at the near end of a branch to j; inf where its rating does not allow p, q."""
    near, far = ratios(model, e, j)
    flow = square(p, q)
    if flow > model.l_max[e] * far * model.w_max[j] * (1.0 + SAFE):
        return np.inf
    low = max(low * far, np.sqrt(model.z2[e] * flow))
    more: float = model.z2[e] * flow / low if low > 0.0 else 0.0
    needed: float = low + 2.0 * (model.r[e] * p + model.x[e] * q) + more
    return needed if near == 1.0 else needed / near


@inlined
def lost(model: Model, e: int, j: int, p: float, q: float) -> float:
    """Least squared current of a branch at whose end j at least p, q arrive."""
    _, far = ratios(model, e, j)
    least: float = square(p, q) / (far * model.w_max[j])
    return least


@inlined
def rise_of(model: Model, e: int, p: float, q: float) -> float:
    """How much the squared voltage rises at most along a branch at whose end at least p, q arrive."""
    most: float = 2.0 * (model.r[e] * max(-p, 0.0) + model.x[e] * max(-q, 0.0))
    return most
