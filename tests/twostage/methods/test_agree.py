"""Every method against brute force over decisions, on a program that is no grid, for all uncertainties and risks."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.twostage.ambiguity import Moments, ProbabilityBox, TotalVariation, Wasserstein
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Outcome, Termination
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.methods.master import Master, Proposal
from openpoint.twostage.methods.solving import ExtensiveForm, StoppedError, wait_and_see_bounds
from openpoint.twostage.program import AnyProgram
from openpoint.twostage.risk import CVaR, Expectation, Regret, Risk, WorstCase, probability_set
from openpoint.twostage.uncertainty import AmbiguousScenarios, Box, Budget, Certain, Scenarios, listed
from openpoint.twostage.workers.executors import GivenExecutor, Processes
from tests.builders.clock import FAILURES, Clock, FailingExecutor
from tests.twostage.depots import Depots, depots

GAP = 1e-5
Method = Benders | ColumnAndConstraint | ExtensiveForm
KINDS: dict[str, dict[str, bool]] = {"linear": {}, "cones": {"cones": True}, "trucks": {"trucks": True}}
RISKS = ("certain", "expected", "worst", "cvar", "regret", "tv", "box of odds", "moments", "wasserstein", "budget")


def problem(kind: str, risk: str, seed: int) -> Depots:
    """A random program with four scenarios, or a set around them."""
    program = depots(seed, k=4, **KINDS[kind])
    scenarios = program.uncertainty
    assert isinstance(scenarios, Scenarios)
    values, p = scenarios.values, scenarios.probabilities
    distance = np.abs(values[:, None, :] - values[None, :, :]).sum(axis=2)
    mean, half = p @ values, 0.5 * (values.max(axis=0) - values.min(axis=0))
    balls = {
        "tv": TotalVariation(0.2),
        "box of odds": ProbabilityBox(0.5 * p, np.minimum(1.8 * p, 1.0)),
        "moments": Moments(values, mean - 0.1, mean + 0.1),
        "wasserstein": Wasserstein(0.4, distance),
    }
    risks: dict[str, Risk] = {"worst": WorstCase(), "cvar": CVaR(0.6), "regret": Regret()}
    match risk:
        case "certain":
            return replace(program, uncertainty=Certain(values[0]))
        case "budget":
            return replace(
                program, uncertainty=Budget(mean, half, half, 1 if kind == "trucks" else 2), risk=WorstCase()
            )
        case _ if risk in balls:
            return replace(program, uncertainty=AmbiguousScenarios(values, p, balls[risk]))
    return replace(program, risk=risks.get(risk, Expectation()))


def brute_force(program: Depots) -> float:
    """The best decision by trying all, with the recourse by another road."""
    finite = program.uncertainty
    if isinstance(finite, Box | Budget):
        finite = Scenarios(listed(finite))
    table = np.array([program.exact_all(x, finite.values) for x in program.decisions()])
    first = np.array([program.first_stage_cost(x) for x in program.decisions()])
    alone = np.zeros(table.shape[1])
    if isinstance(program.risk, Regret):
        alone = (table + first[:, None]).min(axis=0)
    odds = probability_set(finite, program.risk)
    return float(min(f + odds.worst(row - alone)[0] for f, row in zip(first, table)))


def methods(kind: str, risk: str) -> Iterator[Method]:
    yield Benders(gap=GAP)
    if kind == "linear":
        yield Benders(gap=GAP, relaxation=False)
    yield ColumnAndConstraint(gap=GAP)
    yield ExtensiveForm(gap=GAP, solver="scip" if kind == "cones" else "highs")
    if risk == "budget" and kind == "linear":
        yield Benders(gap=GAP, separation="dual")
        yield ColumnAndConstraint(gap=GAP, separation="dual")


def check(outcome: Outcome, expected: float, scale: float) -> None:
    """Optimal, right, enclosed by bounds that only close. Regret, a small difference, may end by accuracy."""
    assert outcome.termination in (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY)
    assert outcome.lower_bound >= outcome.upper_bound - 2 * GAP * scale
    tolerance = 3 * GAP * scale
    assert outcome.upper_bound == pytest.approx(expected, abs=tolerance)
    assert outcome.lower_bound <= expected + tolerance
    lower = [line.lower_bound for line in outcome.log]
    upper = [line.upper_bound for line in outcome.log]
    assert lower == sorted(lower)
    assert upper == sorted(upper, reverse=True)


ASKED = [("linear", risk) for risk in RISKS]
ASKED += [(kind, risk) for kind in ("cones", "trucks") for risk in ("regret", "budget")]
"""Where a recourse takes long, one of each block of duals: sets of probabilities differ in the block alone."""


@pytest.mark.parametrize(("kind", "risk"), ASKED)
def test_every_method_equals_brute_force(kind: str, risk: str) -> None:
    program = problem(kind, risk, 0)
    expected = brute_force(program)
    scale = max(1.0, abs(brute_force(replace(program, risk=WorstCase()))) if risk == "regret" else abs(expected))
    for method in methods(kind, risk):
        check(method.solve(program), expected, scale)


def test_a_box_is_attacked_at_its_corners() -> None:
    for seed, cones in ((0, False), (1, True)):
        program = depots(seed, cones=cones)
        values = listed(program.uncertainty)
        program = replace(program, uncertainty=Box(values.min(axis=0), values.max(axis=0)), risk=WorstCase())
        expected = brute_force(program)
        ways: list[Method] = [Benders(gap=GAP), ColumnAndConstraint(gap=GAP)]
        ways += [] if cones else [Benders(gap=GAP, separation="dual")]
        for method in ways:
            check(method.solve(program), expected, expected)


def limited(program: Depots, share: float) -> float:
    """The best decision by trying all, with no town short by much in a share of the odds; costs count everywhere."""
    scenarios = program.uncertainty
    assert isinstance(scenarios, Scenarios)
    free = replace(program, short_most=None)
    best = np.inf
    for x in program.decisions():
        kept = np.array([np.isfinite(program.exact(x, u)) for u in scenarios.values])
        if scenarios.probabilities @ kept >= share - 1e-9:
            costs = free.exact_all(x, scenarios.values)
            best = min(best, program.first_stage_cost(x) + float(scenarios.probabilities @ costs))
    return float(best)


def tight(seed: int) -> Depots:
    """A program in which no town may be short by much, and some have too little capacity for that."""
    program = depots(seed, short_most=0.4)
    return replace(program, open_most=2 if seed % 2 else 4, capacity=(0.6 if seed < 6 else 0.7) * program.capacity)


def test_limits_are_kept_always_or_the_least_violation_is_named() -> None:
    infeasible = 0
    for seed in range(3):
        program = tight(seed)
        table = {x.tobytes(): [program.exact(x, u) for u in listed(program.uncertainty)] for x in program.decisions()}
        assert isinstance(program.uncertainty, Scenarios)
        p = program.uncertainty.probabilities
        assert p is not None
        best = min(
            (program.first_stage_cost(np.frombuffer(x)) + float(p @ row) for x, row in table.items()), default=np.inf
        )
        for method in (Benders(gap=GAP), ColumnAndConstraint(gap=GAP), ExtensiveForm(gap=GAP, solver="highs")):
            outcome = method.solve(program)
            if np.isfinite(best):
                check(outcome, best, best)
            else:
                infeasible += 1
                assert outcome.termination is Termination.INFEASIBLE
                assert outcome.least_violation is not None
    assert 3 <= infeasible <= 15


def test_limits_may_be_missed_in_a_share() -> None:
    """Benders with waivers against trying all; costs count in every realisation, limits kept or not."""
    bought = 0
    for seed in range(3):
        program = tight(seed)
        for share in (0.9, 0.6, 0.3):
            expected = limited(program, share)
            outcome = Benders(gap=GAP).solve(replace(program, limits_share=share))
            if np.isfinite(expected):
                bought += not np.isfinite(limited(program, 1.0))
                check(outcome, expected, expected)
            else:
                assert outcome.termination is Termination.INFEASIBLE
    assert bought >= 1


def test_separation_by_vertices_and_by_the_dual_agree() -> None:
    """docs/methods.md M31."""
    from openpoint.twostage.recourse.compile import template_of
    from openpoint.twostage.worst_case.separation import DualSeparation

    for seed in range(4):
        rng = np.random.default_rng(seed)
        program = depots(seed, m=4)
        half = rng.uniform(0.0, 1.0, 4)
        sets: list[Box | Budget] = [
            Box(np.ones(4) - half, np.ones(4) + half),
            Budget(np.ones(4), half, half, 2),
            Budget(np.ones(4), 0 * half, half, 1, np.array([0, 0, 1, 1])),
        ]
        for uncertainty in sets:
            attacked = replace(program, uncertainty=uncertainty, risk=WorstCase())
            dual = DualSeparation(template_of(attacked, 4), uncertainty.polyhedral())
            ends = dual.prove()
            assert (ends[0] <= ends[1]).all()
            for x in (np.zeros(4), np.ones(4), rng.integers(0, 2, 4).astype(float), rng.uniform(0, 1, 4)):
                worst = dual.worst(x)
                values = attacked.exact_all(x, listed(uncertainty))
                assert worst.value == pytest.approx(max(values), rel=1e-6, abs=1e-6)
                assert worst.bound >= max(values) - 1e-6
                assert attacked.exact(x, worst.realisation) == pytest.approx(max(values), rel=1e-6, abs=1e-6)


def test_multipliers_keep_their_proven_bounds() -> None:
    """The slope of the recourse along every deviation, at many points, lies within what the programs proved."""
    from openpoint.twostage.recourse.compile import template_of
    from openpoint.twostage.recourse.evaluation import Subproblem
    from openpoint.twostage.worst_case.separation import DualSeparation

    program = depots(3, m=4)
    attack = Budget(np.ones(4), np.zeros(4), np.ones(4), 2)
    attacked = replace(program, uncertainty=attack, risk=WorstCase())
    ends, sub = DualSeparation(template_of(attacked, 4), attack.polyhedral()).prove(), Subproblem(attacked, 4)
    assert ends is not None
    rng = np.random.default_rng(0)
    for _ in range(20):
        slope = sub.respond(rng.integers(0, 2, 4).astype(float), rng.uniform(0, 2, 4)).slope_u
        assert (slope >= ends[0] - 1e-6).all()
        assert (slope <= ends[1] + 1e-6).all()


def test_a_recourse_that_may_fail_has_no_bounded_multipliers() -> None:
    from openpoint.twostage.recourse.compile import template_of
    from openpoint.twostage.worst_case.separation import DualSeparation

    program = depots(0, short_most=0.1)
    box = Box(np.zeros(3), np.ones(3))
    program = replace(program, uncertainty=box, risk=WorstCase())
    with pytest.raises(OptionError, match="vertices"):
        DualSeparation(template_of(program, 4), box.polyhedral()).worst(np.zeros(4))
    with pytest.raises(OptionError, match="cones"):
        Benders(separation="dual").solve(replace(program, cones=True))


def test_processes_give_the_same_answer_bit_for_bit() -> None:
    program = depots(1, k=5)
    for kind, workers in (({}, 2), ({"trucks": True}, 1)):
        here = Benders(gap=GAP).solve(replace(program, **kind))  # type: ignore[arg-type]
        there = Benders(gap=GAP, executor=Processes(workers)).solve(replace(program, **kind))  # type: ignore[arg-type]
        assert here.lower_bound == there.lower_bound
        assert here.upper_bound == there.upper_bound
        assert here.values.tobytes() == there.values.tobytes()


def test_what_does_not_fit_together_is_refused() -> None:
    program = depots(0)
    values = listed(program.uncertainty)
    unknown = replace(program, uncertainty=Scenarios(values))
    box = replace(program, uncertainty=Box(values.min(axis=0), values.max(axis=0)))
    for bad, words in (
        (unknown, "probabilities"),
        (box, "polyhedral"),
        (replace(box, trucks=True, risk=WorstCase()), "integers"),
        (replace(program, uncertainty=AmbiguousScenarios(values, None, TotalVariation(0.1))), "nominal"),
    ):
        with pytest.raises(OptionError, match=words):
            Benders().solve(bad)
    with pytest.raises(OptionError, match="share"):
        ColumnAndConstraint().solve(replace(program, short_most=0.1, limits_share=0.9))


@pytest.mark.parametrize(("failure", "at_once"), [(failure, failure != "connection") for failure in FAILURES])
def test_the_best_answer_is_kept_where_workers_are_lost(failure: str, at_once: bool) -> None:
    program = depots(1, k=12)
    whole = Benders(gap=GAP).solve(program)
    kept = 0
    for chunks in (0, 14, 40, 90):
        executor = GivenExecutor(FailingExecutor(chunks, FAILURES[failure], at_once=at_once), 1)
        found = Benders(gap=GAP, executor=executor).solve(program)
        if found.termination is not Termination.WORKERS:
            assert found.gap <= GAP
            continue
        assert found.termination.exit_code == 4
        assert found.lower_bound <= whole.upper_bound + 1e-6
        assert found.upper_bound >= whole.lower_bound - 1e-6
        assert (found.decision is None) == (found.upper_bound == math.inf)
        kept += found.decision is not None
    assert kept


@pytest.mark.parametrize(("limit", "is_enough"), [(100.0, True), (4.0, False)])
def test_a_realisation_may_take_more_than_its_part_while_time_is_left(limit: float, is_enough: bool) -> None:
    """Each takes 2 s, its part of half the limit is shorter; only the limit itself may stop the run."""
    clock, needed = Clock(0.0), 2.0
    program = depots(1)
    values = Scenarios(np.repeat(program.uncertainty.values[:1], 30, axis=0))
    program = replace(program, uncertainty=values, risk=Regret())
    method, asked = ExtensiveForm(), 0

    def solve(single: AnyProgram, part: Deadline) -> Outcome:
        nonlocal asked
        asked += 1
        if part.left() < needed:
            clock.now += part.left()
            return Outcome(Termination.TIME, None, None, -np.inf, np.inf, (), 0.0)
        clock.now += needed
        return method.solve(single)

    deadline = Deadline(limit, clock=clock)
    if is_enough:
        bounds = wait_and_see_bounds(program, solve, deadline)
        np.testing.assert_allclose(bounds[0], bounds[1], rtol=1e-4)
        assert asked > 30
        assert not deadline.over()
    else:
        with pytest.raises(StoppedError):
            wait_and_see_bounds(program, solve, deadline)


def test_a_bound_that_the_solver_takes_back_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """HiGHS may call a feasible master infeasible, having reported bounds on the way, and is asked again."""
    program, plain = problem("linear", "expected", 0), Master.propose

    def propose(self: Master, *, watch: Callable[[float], None] | None = None, **how: Any) -> Proposal:
        if watch is not None:
            watch(1e6)
            watch(-math.inf)
        return plain(self, watch=watch, **how)

    monkeypatch.setattr(Master, "propose", propose)
    found = Benders(gap=GAP).solve(program)
    assert found.lower_bound <= brute_force(program) * (1.0 + GAP)
