"""Resources and hourly topologies by turns, against all topologies of all periods."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.search.enumeration import topologies
from openpoint.studies.dispatch.day.flow import operations
from openpoint.studies.dispatch.day.methods import choose
from openpoint.studies.dispatch.day.model.day_master import DayMaster, HourTemplates
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, Resource
from openpoint.studies.dispatch.day.topology.hourly import HourlyTopologies
from tests.builders.small_days import PERIODS, small_day


def hourly(hours: int = 0) -> DayQuestion:
    """The small day with switches that may be operated in every period."""
    question = small_day(hours)
    free = np.zeros(question.network.n_conductors, dtype=np.bool_)
    return replace(question, topology=Cadence.HOURLY, must_close=free.copy(), must_open=free)


def best_of_all(question: DayQuestion) -> float:
    """The least cost of the forecast by the cone program of every choice of topologies that is allowed."""
    locks = {"locked_closed": question.must_close, "locked_open": question.must_open}
    trees = np.concatenate(list(topologies(question.network, **locks)))
    templates, best = HourTemplates(question), np.inf
    for choice in product(range(len(trees)), repeat=PERIODS):
        closed = trees[list(choice)]
        if operations(question, closed).sum() > (question.max_changes or 0):
            continue
        master = DayMaster(question, closed, templates=templates)
        master.add_day(np.ones((PERIODS, question.day.uncertain.count)))
        best = min(best, master.solve().bound)
    return best


def test_the_bound_is_below_the_best_choice_and_the_plan_near_it() -> None:
    question = replace(hourly(), max_changes=2)
    question.must_close[:2] = True
    best = best_of_all(question)
    found = HourlyTopologies().solve(question)
    assert found.plan is not None
    assert found.lower_bound <= best * (1.0 + 1e-6)
    assert best * (1.0 - 1e-6) <= found.upper_bound <= best * (1.0 + 2e-3)
    assert operations(question, found.plan.closed).sum() <= 2
    assert choose(question)[0] == "turns"
    more = HourlyTopologies().solve(hourly())
    assert more.upper_bound <= found.upper_bound
    assert more.lower_bound <= best


def test_a_dear_operation_is_not_done() -> None:
    question = hourly(1)
    found = HourlyTopologies().solve(replace(question, cost=replace(question.cost, change=1e3)))
    assert found.plan is not None
    assert not operations(question, found.plan.closed).any()
    assert found.lower_bound <= found.upper_bound


def test_questions_that_it_does_not_answer() -> None:
    with pytest.raises(OptionError, match="hourly"):
        HourlyTopologies().solve(small_day())
    with pytest.raises(OptionError, match="first stage"):
        HourlyTopologies().solve(replace(hourly(), recourse=frozenset({Resource.STORES})))
