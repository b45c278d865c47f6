"""Realisations are uniform in their set."""

from __future__ import annotations

import itertools
import random
from collections import Counter

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.twostage.uncertainty import Box, Budget, Certain, Scenarios
from openpoint.twostage.worst_case.draws import _eulerian, _order, draw


def test_a_box_is_drawn_from_side_to_side() -> None:
    box = Box(np.array([-1.0, 2.0, 3.0]), np.array([1.0, 4.0, 3.0]))
    drawn = draw(box, 4000, 0)
    assert np.all((drawn >= box.lower) & (drawn <= box.upper))
    assert drawn.mean(axis=0) == pytest.approx([0.0, 3.0, 3.0], abs=0.05)
    assert drawn.std(axis=0) == pytest.approx([3**-0.5, 3**-0.5, 0.0], abs=0.03)
    assert np.array_equal(drawn, draw(box, 4000, 0))
    assert not np.array_equal(drawn, draw(box, 4000, 1))


@pytest.mark.parametrize(("m", "most"), [(3, 1), (4, 2), (5, 3), (3, 3)])
def test_a_budget_set_has_the_moments_of_the_cube_cut_off(m: int, most: int) -> None:
    """Against rejection; for the simplex against its known moments as well."""
    cube = np.random.default_rng(1).uniform(size=(400_000, m))
    kept = cube[cube.sum(axis=1) <= most]
    shares = np.abs(draw(Budget(np.zeros(m), np.ones(m), np.ones(m), most), 40_000, 0))
    assert shares.sum(axis=1).max() <= most + 1e-12
    assert shares.mean(axis=0) == pytest.approx(kept.mean(axis=0), abs=0.01)
    assert (shares**2).mean(axis=0) == pytest.approx((kept**2).mean(axis=0), abs=0.01)
    assert np.cov(shares.T).ravel() == pytest.approx(np.cov(kept.T).ravel(), abs=0.01)
    assert np.quantile(shares.sum(axis=1), [0.1, 0.5, 0.9]) == pytest.approx(
        np.quantile(kept.sum(axis=1), [0.1, 0.5, 0.9]), abs=0.02
    )
    if most == 1:
        assert shares.mean(axis=0) == pytest.approx([1 / (m + 1)] * m, abs=0.01)


def test_sides_are_as_likely_as_they_are_long_and_groups_have_budgets_of_their_own() -> None:
    down, up = np.array([1.0, 2.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 1.0, 1.0, 0.0])
    budget = Budget(np.full(5, 7.0), down, up, 1, groups=np.array([0, 0, 0, 1, 1]))
    moved = draw(budget, 20_000, 3) - 7.0
    assert (moved > 0).mean(axis=0) == pytest.approx([1 / 2, 1 / 3, 1.0, 1 / 2, 0.0], abs=0.02)
    shares = np.abs(moved[:, :3]) / np.where(moved[:, :3] > 0, up[:3], np.maximum(down[:3], 1.0))
    assert shares.sum(axis=1).max() <= 1.0 + 1e-12
    assert np.abs(moved[:, 3]).mean() == pytest.approx(1 / 2, abs=0.02)
    assert np.all(draw(Budget(np.full(2, 7.0), np.ones(2), np.ones(2), 0), 5, 0) == 7.0)


def test_orders_with_so_many_ascents_are_all_as_likely() -> None:
    numbers, chance = _eulerian(5), random.Random(0)
    for ascents in range(5):
        every = [
            order
            for order in itertools.permutations(range(5))
            if sum(b > a for a, b in itertools.pairwise(order)) == ascents
        ]
        assert numbers[5][ascents] == len(every)
        met = Counter(tuple(_order(5, ascents, numbers, chance)) for _ in range(100 * len(every)))
        assert set(met) == set(every)
        assert min(met.values()) > 50


def test_many_entries_with_a_small_budget_take_no_time() -> None:
    m = 200
    drawn = np.abs(draw(Budget(np.zeros(m), np.ones(m), np.ones(m), 5), 50, 0))
    assert drawn.sum(axis=1).max() <= 5.0 + 1e-9
    assert drawn.sum(axis=1).min() > 4.0  # of so many entries hardly any volume lies deep inside


def test_certain_loads_have_one_realisation_and_scenarios_are_not_drawn_from() -> None:
    assert draw(Certain(np.array([1.0, 2.0])), 10, 0).tolist() == [[1.0, 2.0]]
    with pytest.raises(OptionError, match="evaluate each"):
        draw(Scenarios(np.zeros((2, 1)), np.full(2, 0.5)), 10, 0)
