"""A day whose periods are proved for every realisation: against exact flows of many realisations with the policies."""

import numpy as np
import pytest

from openpoint.grid import files
from openpoint.network.day import available_power
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.question import DayOutcome
from openpoint.studies.dispatch.day.model.vertices import vertices_of
from openpoint.studies.dispatch.day.proofs import DayProof, proof_figures, proof_of
from openpoint.studies.dispatch.day.verified import verified
from openpoint.twostage.deadline import deadline_of
from openpoint.twostage.log import Termination
from tests.studies.dispatch.day.windy import busy_plan, windy


def _proved(v_min: float, feed_share: float) -> tuple[DayEvaluator, DayOutcome, DayProof]:
    question = windy([0.3, 0.9, 1.1], v_min=v_min, feed_share=feed_share)
    tried = DayOutcome(Termination.GAP, busy_plan(question), None, None, -np.inf, 1e9, (), 0.0)
    with deadline_of(None, None) as deadline:
        outcome = verified(question, tried, deadline)
        proof = proof_of(files.load("baran33"), question, outcome, deadline)
    assert proof is not None
    return DayEvaluator(question), outcome, proof


@pytest.mark.parametrize(("v_min", "feed_share"), [(0.9, 1.0), (0.95, 1.0), (0.95, 0.2)])
def test_no_realisation_breaks_a_limit_or_costs_more(v_min: float, feed_share: float) -> None:
    """At every vertex, and at points between them; with the smaller feed-in load is shed at times."""
    evaluator, outcome, proof = _proved(v_min, feed_share)
    day, plan = evaluator.question.day, outcome.plan
    assert plan is not None
    assert all(proof.is_proved)
    scheduled = evaluator.schedule_costs(plan)
    vertices, rng, bought = vertices_of(day), np.random.default_rng(4), np.zeros(3)
    for t, parts in enumerate(proof.periods):
        covered = set[int]()
        for each in parts:
            covered |= set(each.vertices.tolist())
            corners = vertices.realisations[t][each.vertices]
            some = np.concatenate([corners, rng.dirichlet(np.full(len(corners), 0.3), 200) @ corners])
            recourse = each.part.recourse(each.proof.policy, some)
            costs, violations = evaluator.evaluate(plan, t, some, recourse)
            assert (violations == 0.0).all()
            low, high = each.costs
            assert (costs[: len(low)] >= low - 1e-9).all()
            assert (costs[: len(high)] <= high + 1e-9).all()
            assert costs.max() <= high.max() + 1e-9
            bought[t] = max(bought[t], costs[: len(high)].max())
            flows = evaluator.flows(plan, t, some, recourse)
            v = np.abs(flows.v)
            p = flows.source_s.real.sum(axis=1) * evaluator.question.network.s_base_kva
            seen = v[:, 1:].min(), -v[:, 1:].max(), p.min(), -p.max()
            bounds = np.array(each.bounds[:4], dtype=np.float64) * [1.0, -1.0, 1.0, -1.0]
            assert (np.array(seen) >= bounds - 1e-6).all()
            assert (recourse.renewable.real <= available_power(day, t, some) + 1e-9).all()
        assert covered == set(range(len(vertices.realisations[t])))
    low, high = proof.worst
    assert low <= high <= float(scheduled.sum() + bought.sum()) * 1.001
    assert outcome.worst.costs.sum() <= high * (1.0 + 1e-4)
    assert high <= (1.03 if feed_share == 1.0 else 1.15) * outcome.worst.costs.sum()  # shed by an affine policy


def test_what_is_not_proved_is_said() -> None:
    """A plan that breaks its limits, whatever the recourse: as the limit is raised after it was made."""
    question = windy([0.3, 0.9, 1.1], v_min=0.95, shed=0.0, feed_share=0.2)
    loose = windy([0.3, 0.9, 1.1], v_min=0.8, shed=0.0, feed_share=0.2)
    tried = DayOutcome(Termination.GAP, busy_plan(loose), None, None, -np.inf, 1e9, (), 0.0)
    with deadline_of(None, None) as deadline:
        outcome = verified(loose, tried, deadline)
        assert (proof := proof_of(files.load("baran33"), loose, outcome, deadline))
        assert all(proof.is_proved)
        proof = proof_of(files.load("baran33"), question, outcome, deadline)
    assert not all(proof.is_proved)
    figures = proof_figures(question.day.names, proof)
    assert figures["proved_periods"] == sum(proof.is_proved)
    missing = figures["proofs"].filter(~figures["proofs"]["proved"])
    assert all("voltage of" in why and "beyond its limit" in why for why in missing["why"])
