"""The price of moving taps, banks and source voltages: in the bound, in the plan, in the result, by all sequences."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from openpoint import Day, Grid
from openpoint.studies.dispatch.day.flow import as_today, forecast_of, untouched
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.study import PreparedDay, prepare_day
from tests.grid.small import grid, tables

PERIODS = {"period": ["a", "b", "c"], "hours": [4.0, 1.0, 2.0], "price_usd_per_kwh": [0.2, 0.3, 0.25],
           "load_share": [1.2, 0.1, 1.2]}  # fmt: skip


def small() -> Grid:
    changed = tables()
    changed["capacitors"] = [
        {"name": "cap", "bus": "C", "q_kvar": 900.0, "steps": 2, "steps_on": 1, "controllable": True}
    ]
    changed["loads"] = [{"name": "b", "bus": "B", "p_kw": 900.0, "q_kvar": 300.0},
                        {"name": "d", "bus": "D", "p_kw": 900.0, "q_kvar": 700.0}]  # fmt: skip
    changed["transformers"][0] |= {"tap_min": -1, "tap_max": 1}
    changed["generators"] = []
    return grid(changed)


def ready(**options: Any) -> PreparedDay:
    asked = {"topology": "fixed", "gap": 1e-5, **options}
    return prepare_day(small(), Day.from_tables(PERIODS), DayOptions(**asked))


def least(run: PreparedDay, price: float, *, once: bool) -> tuple[float, int]:
    """The least cost of all sequences of positions by exact AC flow, and the number of moves in it."""
    question = run.question
    evaluator, plan, came = DayEvaluator(question), as_today(question), forecast_of(question.day)
    whole = untouched(question.day, came)
    every = [np.array(each) for each in itertools.product(*map(range, question.devices.sizes))]
    today = next(k for k, each in enumerate(every) if (each == question.devices.today).all())
    cost, apart = np.zeros((3, len(every))), np.array([[(a != b).sum() for b in every] for a in every])
    for t, k in np.ndindex(cost.shape):
        at = replace(plan, positions=np.tile(every[k], (3, 1)))
        one = type(whole)(*(part[t : t + 1] for part in vars(whole).values()))
        costs, violations = evaluator.evaluate(at, t, came[t : t + 1], one)
        cost[t, k] = costs[0] if violations[0] == 0.0 else np.inf
    found = list[tuple[float, int]]()
    for steps in itertools.product(range(len(every)), repeat=3):
        if not once or len(set(steps)) == 1:
            moved = sum(int(apart[a, b]) for a, b in itertools.pairwise((today, *steps)))
            found.append((sum(cost[t, k] for t, k in enumerate(steps)) + price * moved, moved))
    return min(found)


@pytest.mark.parametrize(("often", "price"), [("hourly", 0.0), ("hourly", 2.0), ("hourly", 40.0), ("once", 2.0)])
def test_moves_cost_what_all_sequences_say(often: str, price: float) -> None:
    run = ready(positions=often, prices={"moving": price})
    cost, moved = least(run, price, once=often == "once")
    result = run.solve()
    assert result.objective_usd == pytest.approx(cost, rel=1e-5)
    assert result.lower_bound_usd <= cost * (1.0 + 1e-9)
    assert result.gap <= 1e-5
    paid = dict(result.costs.select("part", "forecast_usd").iter_rows())
    assert paid.get("moves", 0.0) == pytest.approx(price * moved)
    assert result.total("cost_usd", "forecast") == pytest.approx(cost, rel=1e-5)


def test_a_price_makes_a_difference() -> None:
    counts = [least(ready(positions="hourly"), price, once=False)[1] for price in (0.0, 2.0, 40.0)]
    assert counts == [3, 1, 0]
