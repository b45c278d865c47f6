"""Plans for several budgets, each begun with the worst days of those before: the same values, from a better start."""

from __future__ import annotations

from dataclasses import replace

import pytest

from openpoint.studies.dispatch.day.contest import contenders, planned
from openpoint.studies.dispatch.day.model.question import Cadence
from openpoint.twostage.deadline import Deadline
from tests.builders.small_days import small_day


@pytest.mark.parametrize("topology", [Cadence.FIXED, Cadence.ONCE])
def test_budgets_one_after_another_cost_what_each_costs_alone(topology: Cadence) -> None:
    every = tuple(contenders(replace(small_day(), topology=topology), (1, 2), 0, 1e-3))
    one_after_another = [found for _, found in planned(every, Deadline())]
    alone = [each.method.solve(each.question, None, Deadline()) for each in every]
    for warm, cold in zip(one_after_another, alone, strict=True):
        assert warm.upper_bound == pytest.approx(cold.upper_bound, rel=2e-3)
        assert warm.lower_bound <= cold.upper_bound * (1.0 + 1e-6)
        assert cold.lower_bound <= warm.upper_bound * (1.0 + 1e-6)
    if topology is Cadence.FIXED:
        assert one_after_another[1].log[0].lower_bound > alone[1].log[0].lower_bound + 1.0
