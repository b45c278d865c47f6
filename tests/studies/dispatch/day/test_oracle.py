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


@pytest.mark.parametrize("seed", [81, 98])
def test_where_a_price_is_negative_no_store_works_both_ways_and_the_worst_case_is_that_of_all_vertices(
    seed: int,
) -> None:
    day = random_day(seed)
    question = replace(day.question, topology=Cadence.FIXED)
    assert {"negative", "batteries", "vehicles"} & day.held > {"negative"}
    found = PeriodColumns(gap=1e-4).solve(question)
    assert found.plan is not None
    worst = exact_worst(question, found.plan)
    assert found.gap <= 1e-4
    assert worst.value == pytest.approx(found.upper_bound, rel=2e-4)
    assert worst.imbalance <= 1e-9
    assert schedule_faults(question, found.plan) == []


def test_each_fault_of_a_schedule_is_named() -> None:
    question = replace(random_day(98).question, topology=Cadence.FIXED)
    plan = PeriodColumns(gap=1e-2).solve(question).plan
    assert plan is not None
    assert schedule_faults(question, plan) == []
    stores = question.day.stores
    both = replace(plan, charge=plan.charge + 1e-6, discharge=plan.discharge + 1e-6)
    assert "a store charges and discharges at once" in schedule_faults(question, both)
    full = replace(plan, charge=plan.charge + stores.energy_max)
    assert any("above its capacity" in fault for fault in schedule_faults(question, full))
    empty = replace(plan, discharge=plan.discharge + stores.energy_max)
    assert any("below its least content" in fault for fault in schedule_faults(question, empty))
    assert any("below what is asked" in fault for fault in schedule_faults(question, empty))
    moved = plan.shift.copy()
    moved[0, 1] += 1e-7
    assert any("energy moved in time" in fault for fault in schedule_faults(question, replace(plan, shift=moved)))


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
