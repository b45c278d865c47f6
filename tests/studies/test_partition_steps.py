"""Partition over time against brute force over every step, and its tables against their own equations."""

from __future__ import annotations

import random

import pytest

from openpoint.studies.partition_steps import partition_steps
from openpoint.studies.partition_steps_result import PartitionStepsResult
from openpoint.twostage.ccg import ColumnAndConstraint

from ..partition_days import Day, best_day, random_day
from ..partitions import Feeder

SIX = ("s712c", "s720c", "s722b", "s728", "s731b", "s738a")
GAP = 1e-6


def ask(feeder: Feeder, day: Day, chosen: list[int], deviation: float, **options: object) -> PartitionStepsResult:
    loads = [f"d{k}" for k in chosen]
    given = {"method": ColumnAndConstraint(gap=GAP)} | options
    return partition_steps(
        day.grid(feeder),
        day.horizon(),
        uncertainty=deviation,
        uncertain_loads=loads,
        max_actions=day.max_actions,
        keep_energised=day.keep_energised,
        **given,  # type: ignore[arg-type]
    )


def days(count: int, seed: int, *, stored: bool) -> list[tuple[Feeder, Day, list[int], float]]:
    rng, found = random.Random(seed), []
    for _ in range(count):
        feeder, day = random_day(rng, rng.choice((2, 2, 3)), stored=stored)
        chosen = sorted(rng.sample(range(len(feeder.loads)), min(len(feeder.loads), rng.randint(1, 2))))
        found.append((feeder, day, chosen, rng.choice((0.0, 0.1, 0.25, 0.4))))
    return found


@pytest.mark.parametrize("stored", [False, True])
def test_the_optimum_is_that_of_brute_force(stored: bool) -> None:
    served = 0
    for number, (feeder, day, chosen, deviation) in enumerate(days(6, seed=3, stored=stored)):
        expected = best_day(feeder, day, chosen, deviation)
        result = ask(feeder, day, chosen, deviation)
        assert result.cost_usd == pytest.approx(expected, rel=1e-5, abs=1e-2), (number, day, deviation)
        assert result.lower_bound_usd == pytest.approx(expected, rel=1e-5, abs=1e-2), (number, day, deviation)
        served += result.served_kwh > 0.0
    assert served >= 2
