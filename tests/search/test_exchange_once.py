"""Plans with one exchange at most against all plans of small grids."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.search.switching.columns import ExchangeOnce, exchange_periods
from openpoint.search.switching.problem import Restriction, SinglePeriods
from openpoint.search.switching.states import KnownStates, best_plan
from tests.search.test_switching import KINDS, random_problem

GAP = 1e-6


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: "+".join(kind) or "plain")
@given(st.integers(0, 2**32 - 1))
@settings(max_examples=8, deadline=None)
def test_equals_all_plans_with_one_exchange(kind: tuple[str, ...], seed: int) -> None:
    problem, states, values = random_problem(seed, kind)
    problem = replace(problem, before=None, rules=replace(problem.rules, max_changes=2))
    best, _ = best_plan(states, values, before=None, change=problem.rules.change_cost, most=2)
    if math.isinf(best):
        return
    try:
        known = KnownStates(problem, SinglePeriods(problem))
    except OptionError:
        return  # voltages without limit
    known.least = values.min(axis=1)
    usable = np.flatnonzero(np.isfinite(values).all(axis=0))
    if not len(usable):
        return  # no state keeps the limits in all periods, and a first plan is to come from elsewhere
    good = usable[np.argmin(values[:, usable].sum(axis=0))]
    known.add([states[good if seed % 2 else np.random.default_rng(seed).choice(usable)]])
    known.choose(np.ones(len(known.states), dtype=np.bool_), known.values)
    once = ExchangeOnce(known, GAP, 10_000, lambda: False)
    bound = once.bound(list(range(1, problem.periods)))
    assert bound <= best + 1e-9 * abs(best)
    assert known.upper == pytest.approx(best, rel=2.0 * GAP, abs=1e-12)


def test_too_many_states_give_no_bound() -> None:
    problem, states, values = random_problem(1, ())
    problem = replace(problem, before=None, rules=replace(problem.rules, max_changes=2, change_cost=0.0))
    known = KnownStates(problem, SinglePeriods(problem))
    known.least = np.full(problem.periods, 0.0)
    worst = states[int(np.argmax(values.sum(axis=0)))]
    known.add([worst])
    known.choose(np.ones(1, dtype=np.bool_), known.values)
    assert ExchangeOnce(known, 1e-6, 0, lambda: False).bound([1]) is None
    assert ExchangeOnce(known, 1e-6, 1000, lambda: True).bound([1]) is None


def test_periods_in_which_the_only_exchange_may_be() -> None:
    whole = Restriction(((0, 6, 2),))
    assert exchange_periods(whole, 6) == [1, 2, 3, 4, 5]
    assert exchange_periods(Restriction(((0, 6, 3),)), 6) == [1, 2, 3, 4, 5]
    assert exchange_periods(Restriction(((0, 6, 4),)), 6) is None
    assert exchange_periods(Restriction(((0, 6, 0),)), 6) is None
    divided = Restriction(((0, 6, 4), (0, 3, 0), (3, 6, 2)))
    assert exchange_periods(divided, 6) == [3, 4, 5]
    assert exchange_periods(Restriction(((0, 6, 4), (0, 3, 2), (3, 6, 2))), 6) is None
    assert exchange_periods(replace(whole, fixed=((0, 1, True),)), 6) is None
