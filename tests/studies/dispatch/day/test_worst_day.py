"""The worst day is the best of all choices of a vertex for every period, whichever way it is found."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from openpoint.studies.dispatch.day.model.vertices import STEPS_MOST, WorstDays


@pytest.mark.parametrize("most", [STEPS_MOST, 0], ids=["dynamic", "integer"])
@given(seed=st.integers(0, 10_000), periods=st.integers(1, 4), count=st.integers(0, 3), whole=st.booleans())
def test_worst_day_equals_brute_force(most: int, seed: int, periods: int, count: int, *, whole: bool) -> None:
    rng = np.random.default_rng(seed)
    hours = rng.integers(0, periods + 1, count)
    deviations, values = [], []
    for _ in range(periods):
        listed = np.array(list(itertools.product((0, -1, 1), repeat=count)), dtype=np.int64).reshape(3**count, count)
        kept = rng.random(len(listed)) < 0.6
        kept[0] = True
        deviations.append(listed[kept])
        drawn = rng.normal(size=int(kept.sum())) * 100.0
        values.append(np.round(drawn / 50.0) if whole else drawn)
    best = max(
        sum(values[t][v] for t, v in enumerate(choice))
        for choice in itertools.product(*(range(len(each)) for each in values))
        if (sum(np.abs(deviations[t][v]) for t, v in enumerate(choice)) <= hours).all()
    )
    total, choice = WorstDays(deviations, hours, steps_most=most).of(values)
    assert total == pytest.approx(best, abs=1e-9)
    assert (sum(np.abs(deviations[t][v]) for t, v in enumerate(choice)) <= hours).all()


def test_many_quantities_are_found_fast_enough_to_be_asked_often() -> None:
    rng = np.random.default_rng(7)
    count, periods = 12, 24
    listed = np.vstack([np.zeros((1, count), dtype=np.int64), np.eye(count, dtype=np.int64), -np.eye(count, dtype=int)])
    values = [rng.random(len(listed)) for _ in range(periods)]
    total, choice = WorstDays([listed] * periods, np.full(count, 2)).of(values)
    alone = sum(float(each.max()) for each in values)
    assert total <= alone
    assert (np.abs(listed[choice]).sum(axis=0) <= 2).all()
