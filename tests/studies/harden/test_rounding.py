"""Rounded plans are different, and keep to numbers and money."""

from __future__ import annotations

import numpy as np
import pytest

from openpoint.studies.harden.model import BudgetRounding


@pytest.mark.parametrize(
    ("lines", "generators", "budget"), [(None, None, None), (2, 1, None), (None, None, 900.0), (3, 0, 1300.0)]
)
def test_rounded_plans_keep_to_numbers_and_money(
    lines: int | None, generators: int | None, budget: float | None
) -> None:
    costs = np.array([400.0] * 6 + [150.0] * 4)
    rounding = BudgetRounding(costs, 6, lines, generators, budget)
    plans = list(rounding.plans(np.random.default_rng(1).random(10), 30))
    assert len({plan.tobytes() for plan in plans}) == len(plans) > 1
    for plan in plans:
        assert set(plan) <= {0.0, 1.0}
        assert lines is None or plan[:6].sum() <= lines
        assert generators is None or plan[6:].sum() <= generators
        assert budget is None or costs @ plan <= budget
