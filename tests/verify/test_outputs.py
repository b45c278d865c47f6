"""The least that an output adds to the bound, in integers: never above what any output adds, and close to the best."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from openpoint.verify.outputs import Output

DIGITS, K = 45, 60


def whole(value: float, digits: int = K) -> int:
    return int(Fraction(value) * 2**digits)


def least(output: Output, y: float, mu: float) -> float | None:
    found = output.least(whole(y, DIGITS), whole(mu, DIGITS), DIGITS, K)
    return None if found is None else found / 2.0 ** (3 * K + DIGITS)


def test_no_output_adds_less_and_some_adds_hardly_more() -> None:
    binding = 0
    for seed in range(120):
        rng = np.random.default_rng(seed)
        p_ends, q_ends = np.sort(rng.uniform(-1.0, 2.0, 2)), np.sort(rng.uniform(-1.0, 1.0, 2))
        price, square = rng.uniform(0.0, 1.0), rng.choice([0.0, rng.uniform(0.0, 1.0)])
        y, mu = rng.uniform(-0.5, 1.5), rng.choice([0.0, rng.normal(0.0, 0.3)])
        s = float(rng.uniform(0.1, 2.0)) if rng.random() < 0.7 else np.inf
        p, q = np.meshgrid(np.linspace(*p_ends, 201), np.linspace(*q_ends, 201))
        inside = np.hypot(p, q) <= s
        if not inside.any():
            continue
        added = price * p + square * p**2 - y * p - mu * q + 0.1
        best = float(added[inside].min())
        most = whole(s) if np.isfinite(s) else None
        ranges = [(whole(low), whole(high)) for low, high in (p_ends.tolist(), q_ends.tolist())]
        found = least(Output(0, *ranges, most, whole(price), whole(square), whole(0.1)), y, mu)
        assert found is not None
        # A grid of points: the best output may lie between them, near an edge of the circle.
        steps = np.hypot(np.ptp(p_ends), np.ptp(q_ends)) / 200.0
        assert best - 3.0 * steps * (abs(price - y) + abs(mu) + 4.0 * square) <= found <= best + 1e-12, seed
        binding += bool(added.min() < best)
    assert binding >= 15


@pytest.mark.parametrize(
    ("y", "mu", "bounded"), [(1.0, 0.0, True), (1.2, 0.0, True), (0.8, 0.0, False), (1.2, 0.1, False)]
)
def test_a_side_without_limit_allows_only_one_sign_of_its_multiplier(y: float, mu: float, bounded: bool) -> None:
    source = Output(0, (None, whole(2.0)), (None, None), None, whole(1.0), 0, 0)
    assert (least(source, y, mu) is not None) == bounded
    if bounded:
        assert least(source, y, mu) == pytest.approx((1.0 - y) * 2.0)


def test_a_circle_bounds_sides_without_limit() -> None:
    source = Output(0, (None, None), (None, None), whole(2.0), whole(1.0), 0, 0)
    assert least(source, 1.3, -0.4) == pytest.approx(-2.0 * 0.5, rel=1e-12)


def test_a_generator_of_no_power_adds_what_it_costs_to_be_on() -> None:
    assert least(Output(0, (0, whole(1.0)), (0, 0), 0, 0, 0, whole(0.25)), 5.0, 5.0) == 0.25
