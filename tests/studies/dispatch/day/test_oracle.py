"""A handful of small days against the oracle, which tries every topology and every vertex."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.program import robust_day
from openpoint.studies.dispatch.day.model.question import Cadence
from openpoint.studies.dispatch.day.model.realisations import budget_of, days, listed_days
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from tests.builders.day_oracle import exact_worst, oracle, schedule_faults
from tests.builders.random_days import random_day

PLAIN = (
    "batteries",
    "vehicles",
    "renewables",
    "units",
    "uncertain load",
    "shift buses",
    "shift time",
    "shed",
    "inverters",
)
"""Without negative prices, the cone is tight in these days."""
SMALL = 3, 5


@pytest.mark.parametrize("seed", [0, 1])
def test_copies_by_period_agree_with_all_vertices(seed: int) -> None:
    question = replace(random_day(seed, PLAIN, SMALL).question, topology=Cadence.FIXED)
    known, found = oracle(question), PeriodColumns(gap=1e-5).solve(question)
    assert found.plan is not None
    assert found.worst is not None
    assert found.lower_bound <= known.exact * (1.0 + 1e-5)
    assert found.upper_bound == pytest.approx(known.value, rel=1e-4)
    worst = exact_worst(question, found.plan)
    assert worst.value == pytest.approx(found.upper_bound, rel=1e-5)
    assert worst.imbalance <= 1e-9
    assert schedule_faults(question, found.plan) == []


def test_column_and_constraint_generation_finds_the_topology_of_the_oracle() -> None:
    question = random_day(5, ("batteries", "uncertain load", "locks"), SMALL, chance=1.0).question
    known, program = oracle(question), robust_day(question)
    found = ColumnAndConstraint(gap=5e-4).solve(program)
    assert found.decision is not None
    plan = program.layout.plan(found.decision)
    assert known.plan is not None
    assert np.array_equal(plan.closed, known.plan.closed)
    assert found.upper_bound == pytest.approx(known.value, rel=1e-3)
    assert exact_worst(question, plan).value == pytest.approx(known.exact, rel=1e-3)


@pytest.mark.parametrize("seed", range(6))
def test_the_vertices_listed_are_those_of_the_budgets(seed: int) -> None:
    uncertain = random_day(
        seed, ("uncertain load", "uncertain sun", "renewables", "at once"), chance=1.0
    ).question.day.uncertain
    listed = listed_days(uncertain).reshape(-1, len(uncertain.down), uncertain.count)
    moved = listed != 1.0
    assert (moved.sum(axis=1) <= uncertain.hours).all()
    members = [u for u, group in enumerate(uncertain.group) if group == "load"]
    assert (moved[:, :, members].sum(axis=2) <= 1).all()
    assert len(np.unique(listed, axis=0)) == len(listed) == len(list(days(uncertain)))
    without = replace(uncertain, groups=(), hours=np.ones_like(uncertain.hours))
    budget = budget_of(without)
    assert budget is not None
    ours = listed_days(without)
    theirs = np.array(list(budget.vertices()))
    assert len(ours) == len(theirs)
    assert np.array_equal(np.unique(ours, axis=0), np.unique(theirs, axis=0))
