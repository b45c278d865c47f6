"""Plans whose open periods are proved in the end: made anew for stricter limits, checked by exact flows at vertices."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from openpoint import Grid
from openpoint.grid import files
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence, DayOutcome, DayQuestion
from openpoint.studies.dispatch.day.proofs import DayProof, proof_of
from openpoint.studies.dispatch.day.verified import proved, verified
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Termination
from tests.builders.random_days import random_day
from tests.studies.dispatch.day.windy import windy

HELD = (
    *("batteries", "vehicles", "renewables", "units", "uncertain load", "uncertain sun"),
    *("shift buses", "shift time", "inverters"),
)
GAP = 1e-4


def with_least(question: DayQuestion, v_pu: float) -> DayQuestion:
    """The question with this lower limit of all voltages."""
    net = question.network
    return replace(question, network=replace(net, w_min=np.full(net.n_terminals, v_pu**2)))


def planned(question: DayQuestion, deadline: Deadline) -> DayOutcome:
    return verified(question, PeriodColumns(gap=GAP).solve(question, None, deadline), deadline, GAP)


def anew(grid: Grid, question: DayQuestion, deadline: Deadline) -> tuple[DayOutcome, DayProof, DayOutcome, DayProof]:
    """The first plan, what is proved of it, and the same in the end."""
    first = planned(question, deadline)
    before = proof_of(grid, question, first, deadline)
    outcome, proof = proved(grid, question, PeriodColumns(gap=GAP), GAP, first, None, deadline)
    assert before is not None
    assert proof is not None
    return first, before, outcome, proof


def check(question: DayQuestion, outcome: DayOutcome, proof: DayProof) -> None:
    """At all vertices of what is proved, and between them, the policies keep the limits that were asked for."""
    evaluator, rng = DayEvaluator(question), np.random.default_rng(0)
    assert outcome.plan is not None
    for t, parts in enumerate(proof.periods):
        for each in (part for part in parts if not part.why):
            assert each.part is not None
            assert each.proof is not None
            corners = each.part.realisations
            some = np.concatenate([corners, rng.dirichlet(np.full(len(corners), 0.3), 50) @ corners])
            recourse = each.part.recourse(each.proof.policy, some)
            costs, violations = evaluator.evaluate(outcome.plan, t, some, recourse)
            assert (violations == 0.0).all()
            assert not costs.max() > each.costs[1].max() + 1e-9  # not known where losses have a price


def test_an_open_period_is_proved_by_a_plan_for_stricter_limits() -> None:
    """Without inverters the voltage of the first plan is at its limit at a vertex, and no recourse makes room."""
    question = windy([0.3, 0.9, 1.1], v_min=0.95, shed=0.0, feed_share=0.2)
    sources = question.day.renewables
    question = replace(question, day=replace(question.day, renewables=replace(sources, s_max=0.0 * sources.s_max)))
    with deadline_of(None, None) as deadline:
        first, before, outcome, proof = anew(files.load("baran33"), question, deadline)
    assert not all(before.is_proved)
    assert all(proof.is_proved)
    check(question, outcome, proof)
    assert first.upper_bound < outcome.upper_bound < 1.001 * first.upper_bound
    assert outcome.lower_bound == first.lower_bound
    assert outcome.termination is Termination.RELAXATION
    assert "made anew so that its periods are proved" in outcome.notes[-1]


@pytest.mark.parametrize(("seed", "in_the_end"), [(14, 6), (26, 3), (35, 3)])
def test_what_is_proved_of_random_days_holds_at_all_vertices(seed: int, in_the_end: int) -> None:
    """With a limit a little above the lowest voltage without it; of day 26 no stricter plan is found."""
    question = replace(random_day(seed, HELD, (4, 6)).question, topology=Cadence.FIXED)
    count = len(question.network.source_terminal)
    grid = Grid.from_tables(
        "sources",
        {
            "buses": [{"name": f"b{k}", "vn_kv": 10.0} for k in range(count)],
            "sources": [{"name": f"s{k}", "bus": f"b{k}", "v_pu": 1.0} for k in range(count)],
        },
    )
    question = with_least(question, 0.9)
    with deadline_of(None, None) as deadline:
        loose = proof_of(grid, question, planned(question, deadline), deadline)
        assert loose is not None
        lowest = min(part.bounds[0] or 1.0 for parts in loose.periods for part in parts)
        question = with_least(question, lowest + 0.001)
        first, before, outcome, proof = anew(grid, question, deadline)
    assert sum(before.is_proved) <= sum(proof.is_proved) == in_the_end
    assert outcome.lower_bound == first.lower_bound <= outcome.upper_bound
    check(question, outcome, proof)
