"""Days drawn at random, and plans operated in them."""

import numpy as np
import pytest

from openpoint.network.day import nominal_load
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.hour_block import slice_at
from openpoint.studies.dispatch.day.samples import operate_days, sample_days
from tests.builders.days import by_group
from tests.studies.dispatch.day.windy import SPREAD, busy_plan, windy


def test_deviations_are_uniform_and_independent() -> None:
    spread = by_group(2, ("solar",), 3, load=0.1, solar=0.4, hours=1)
    days = sample_days(spread, 4000, seed=3)
    assert days.shape == (4000, 3, 2)
    deviation = (days - 1.0) / np.array([0.1, 0.4])
    assert np.abs(deviation).max() <= 1.0
    for level in (0.1, 0.5, 0.9):
        share = (deviation <= 2 * level - 1).mean(axis=0)
        np.testing.assert_allclose(share, level, atol=5 * np.sqrt(level * (1 - level) / 4000))
    assert abs(np.corrcoef(deviation[:, 0, 0], deviation[:, 1, 0])[0, 1]) < 0.08
    assert abs(np.corrcoef(deviation[:, 1, 0], deviation[:, 1, 1])[0, 1]) < 0.08
    np.testing.assert_array_equal(days, sample_days(spread, 4000, seed=3))


@pytest.mark.parametrize("feed_share", [1.0, 0.2])
def test_days_cost_the_sum_of_their_periods(feed_share: float) -> None:
    """Against each period of a day solved by itself; with the smaller feed-in load has to be shed at times."""
    question = windy([0.3, 0.9, 1.1], v_min=0.95, feed_share=feed_share)
    plan, day = busy_plan(question), question.day
    days = sample_days(day.uncertain, 40, seed=1)
    finder = HourRecourseFinder(question)
    found = operate_days(finder, plan, days)
    assert not found.outside.any()
    assert (found.lower <= found.costs + 1e-9).all()
    assert 0.0 <= found.gap < 3e-4
    if feed_share == 1.0:
        assert finder.solved < 40
    else:
        assert 0 < found.with_shedding.sum() < 40
    scheduled = finder.evaluator.schedule_costs(plan).sum()
    seen = [slice_at(question, plan, t) for t in range(3)]
    for k in (0, 7):
        alone = [finder.cone.solve(t, seen[t], days[k, t]) for t in range(3)]
        best = scheduled + sum(each.value for each in alone if each is not None)
        assert found.lower[k] <= best + 1e-6 * abs(best)
        assert best <= found.costs[k] <= best + 1e-3 * sum(finder.cone.scale(t) for t in range(3))
    energy = sum(day.hours[t] * nominal_load(day, t).real.sum() for t in range(3)) * question.network.s_base_kva
    assert found.load == pytest.approx(energy)


def test_days_outside_the_limits_are_counted() -> None:
    question = windy([0.3, 1.15], v_min=0.95, feed_share=0.1, shed=0.0)
    days = np.ones((2, 2, 3))
    days[1, 1] += np.array([1, -1, -1]) * SPREAD
    found = operate_days(HourRecourseFinder(question), busy_plan(question), days)
    assert found.outside.tolist() == [False, True]
    assert found.violations[:, 0].tolist() == [0.0, 0.0]


def test_it_stops_when_told() -> None:
    question = windy([0.6])
    assert operate_days(HourRecourseFinder(question), busy_plan(question), np.ones((1, 1, 3)), lambda: True) is None
