"""The lower bound of a day in closed form: below every plan of the topology, and near the best one."""

import math
from dataclasses import replace

import numpy as np
import pytest

from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence
from openpoint.studies.dispatch.day.verified import closed_bound, with_closed_bound
from openpoint.twostage.deadline import Deadline
from tests.builders.random_days import random_day

NEAR = {4: 1e-5, 23: 1e-6, 32: 1e-5}
"""Random days in which no limit binds, and the gap that is left."""
LOOSE = (3, 34)
"""In one a limit of voltage binds, in the other losses pay."""


@pytest.mark.parametrize("seed", [*NEAR, *LOOSE])
def test_it_is_below_the_verified_cost_and_near_it_where_no_limit_binds(seed: int) -> None:
    question = replace(random_day(seed).question, topology=Cadence.FIXED)
    outcome = with_closed_bound(question, PeriodColumns(gap=1e-4).solve(question), Deadline())
    assert math.isfinite(outcome.closed_bound)
    assert outcome.closed_bound <= outcome.lower_bound <= outcome.upper_bound
    if seed in NEAR:
        assert outcome.upper_bound - outcome.closed_bound <= NEAR[seed] * abs(outcome.upper_bound)


def test_the_multipliers_of_several_days_give_a_better_one_than_cuts_do() -> None:
    question = replace(random_day(44).question, topology=Cadence.FIXED)
    outcome = PeriodColumns(gap=1e-4).solve(question)
    own, sought = closed_bound(question, outcome), closed_bound(question, replace(outcome, binding=()))
    assert len(outcome.binding) > 1
    assert sought < own <= outcome.upper_bound


def test_it_needs_no_good_days_and_gives_way_to_none() -> None:
    question = replace(random_day(4).question, topology=Cadence.FIXED)
    outcome = PeriodColumns(gap=1e-4).solve(question)
    some = np.random.default_rng(1).uniform(0.9, 1.0, (2, *outcome.days[0].shape))
    loose = with_closed_bound(
        question, replace(outcome, lower_bound=-math.inf, days=tuple(some), binding=()), Deadline()
    )
    assert -math.inf < loose.lower_bound == loose.closed_bound < outcome.upper_bound
    assert with_closed_bound(replace(question, topology=Cadence.ONCE), outcome, Deadline()) is outcome
    empty = replace(outcome, days=())
    assert with_closed_bound(question, empty, Deadline()) is empty
