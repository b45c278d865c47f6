"""The bundle of what parts add finds the best prices of concave functions, and says where a level is out of reach."""

import numpy as np
import pytest
from scipy.optimize import linprog

from openpoint.search.paths.bundle import Bundle


@pytest.mark.parametrize("seed", range(12))
def test_it_finds_the_greatest_sum_of_concave_functions(seed: int) -> None:
    """Each the least of some affine ones of a few of the prices; the greatest sum by a linear program."""
    rng = np.random.default_rng(seed)
    n, parts, pieces = int(rng.integers(2, 7)), int(rng.integers(1, 4)), 8
    constant = rng.uniform(0.0, 1.0, (parts, pieces))
    slope = rng.normal(size=(parts, pieces, n)) * (rng.random((parts, 1, n)) < 0.8)
    slope[:, : 2 * (pieces // 2) : 2] = -slope[:, 1::2]  # so that no direction rises for ever
    gain, floor = rng.normal(size=n) * 0.05, np.where(rng.random(n) < 0.5, 0.0, -np.inf)
    rows = np.concatenate([np.hstack([-slope[k], np.tile(np.eye(parts)[k], (pieces, 1))]) for k in range(parts)])
    free = [(0.0 if np.isfinite(low) else -10.0, 10.0) for low in floor] + [(None, None)] * parts
    best = -linprog(-np.concatenate([gain, np.ones(parts)]), rows, constant.ravel(), bounds=free).fun
    bundle = Bundle(parts, 1.0, rng.uniform(0.5, 2.0, n), floor, gain)
    centre = prices = np.zeros(n)
    reached, level = -np.inf, 0.5
    for _ in range(300):
        value = float(gain @ prices)
        for k in range(parts):
            each = constant[k] + slope[k] @ prices
            value += each.min()
            bundle.add(k, float(each.min()), slope[k, each.argmin()], prices)
        if value > reached:
            reached, centre = value, prices
        while (found := bundle.nearest(centre, reached + level)) is None and level > 1e-7:
            assert best < reached + level + 1e-6  # cuts are exact here: what they do not allow is out of reach
            level *= 0.5
        if found is None:
            break
        assert (found >= floor).all()
        prices = found
        level = level if value >= reached else 0.5 * level
    assert np.abs(centre).max() > 9.0 or reached == pytest.approx(best, abs=1e-5)
