"""Hardening: the recourse against enumeration, its theorems, and the figures of the 13-bus grid to the cent."""

from __future__ import annotations

import dataclasses
import random

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.errors import InputError, OptionError
from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.model import Backup, HardenProgram
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Scenarios
from tests.builders.disasters import A, B, C, brute_force, random_decision, random_program, zhang
from tests.powerflow.small_networks import Branch, make_network

RANDOMS = st.randoms(use_true_random=False)


def least(program: HardenProgram, decision: np.ndarray, broken: np.ndarray, *, integral: bool = True) -> float:
    """Value of the recourse, or of its relaxation."""
    stage = program.recourse(cp.Constant(decision), cp.Constant(broken), limits=True)
    answer = HighsModel(compile_model(stage.cost, stage.constraints, stage.integers)).solve(integral=integral)
    return np.inf if answer.status is Status.INFEASIBLE else answer.value


def optimum(program: HardenProgram) -> tuple[float, np.ndarray]:
    """Least expected cost and a decision that has it, in one piece."""
    outcome = ExtensiveForm(solver="highs", gap=1e-9).solve(program)
    assert outcome.decision is not None
    assert outcome.lower_bound == pytest.approx(outcome.upper_bound, abs=1e-4)
    return outcome.upper_bound, outcome.decision


@given(RANDOMS)
@settings(max_examples=20)
def test_the_recourse_is_the_best_of_all_states_and_roots(rng: random.Random) -> None:
    try:
        program = random_program(rng)
    except InputError:
        return
    decision, broken = random_decision(rng, program), program.uncertainty.values[0]
    expected = brute_force(program, decision, broken)
    found = least(program, decision, broken)
    assert found == pytest.approx(expected, rel=1e-6, abs=1e-3)
    assert found >= program.recourse_lower_bound
    assert least(program, decision, broken, integral=False) <= found + 1e-3


@given(RANDOMS)
@settings(max_examples=20)
def test_buying_more_never_costs_more_afterwards(rng: random.Random) -> None:
    try:
        program = random_program(rng)
    except InputError:
        return
    if not program.monotone:
        return
    broken = program.uncertainty.values[0]
    few = random_decision(rng, program)
    more = np.maximum(few, random_decision(rng, program))
    assert least(program, more, broken) <= least(program, few, broken) + 1e-3


@given(RANDOMS)
@settings(max_examples=20)
def test_what_is_alike_costs_the_same(rng: random.Random) -> None:
    """Hardening a line that is whole, or breaking one that is hardened, changes nothing."""
    try:
        program = random_program(rng)
    except InputError:
        return
    program = dataclasses.replace(program, closed_line_usd=0.0)
    broken, decision = program.uncertainty.values[0], random_decision(rng, program)
    other = decision.copy()
    other[: len(program.lines)] = np.where(
        broken[program.lines] > 0.5, decision[: len(program.lines)], rng.random() < 0.5
    )
    more = np.where(decision[: len(program.lines)] > 0.5, 1.0, broken)
    outlooks = [
        program.recourse_bounds(x, u[None, :]) for x, u in ((decision, broken), (other, broken), (decision, more))
    ]
    if outlooks[0] is None:
        return
    assert len({bounds.cost_keys[0] for bounds in outlooks if bounds is not None}) == 1
    first = least(program, decision, broken)
    assert least(program, other, broken) == pytest.approx(first, abs=1e-3)
    assert least(program, decision, more) == pytest.approx(first, abs=1e-3)


@given(RANDOMS)
@settings(max_examples=20)
def test_the_relaxed_recourse_is_convex_in_decision_and_disaster_together(rng: random.Random) -> None:
    try:
        program = random_program(rng)
    except InputError:
        return
    e = program.network.n_conductors
    ends = [(np.array([rng.random() for _ in program.costs]), np.array([rng.random() for _ in range(e)])) for _ in "ab"]
    values = [least(program, x, u, integral=False) for x, u in ends]
    share = rng.random()
    x, u = (share * a + (1 - share) * b for a, b in zip(*ends))
    assert least(program, x, u, integral=False) <= share * values[0] + (1 - share) * values[1] + 1e-3


@given(RANDOMS)
@settings(max_examples=5)
def test_the_relaxation_is_exact_on_13_buses(rng: random.Random) -> None:
    """For any decision that is bought whole: no voltage limit binds there."""
    program = zhang((1,), deep=rng.random() < 0.5)
    broken = np.zeros(15)
    broken[rng.sample(range(15), rng.randint(1, 5))] = 1.0
    decision = random_decision(rng, program, 0.1)
    assert least(program, decision, broken, integral=False) == pytest.approx(least(program, decision, broken), abs=0.2)


@given(RANDOMS)
@settings(max_examples=10)
def test_the_deep_relaxation_is_never_below_the_plain_one(rng: random.Random) -> None:
    """Half-bought decisions: half a hardened line serves half of what lies beyond it, not all of it."""
    program = zhang((1,))
    broken = np.zeros(15)
    broken[rng.sample(range(15), 4)] = 1.0
    decision = np.array([0.5 * (rng.random() < 0.4) for _ in program.costs])
    plain, deep = (least(dataclasses.replace(program, deep=d), decision, broken, integral=False) for d in (False, True))
    assert plain <= deep + 1e-3


def test_half_a_hardened_line_serves_half_the_load() -> None:
    decision = np.zeros(27)
    decision[0] = 0.5
    program = zhang((1,), closed_line_usd=0.0, deep=True)
    assert least(program, decision, program.uncertainty.values[0], integral=False) == pytest.approx(14 * 1155.35 / 2)


@pytest.mark.parametrize(("lines", "shed_kw"), [((2, 11, 15), 471.0), ((1,), 1155.35), ((2, 7), 0.0), (C, 617.68)])
def test_what_the_13_buses_shed_without_investment(lines: tuple[int, ...], shed_kw: float) -> None:
    program = zhang(lines, closed_line_usd=0.0)
    assert least(program, np.zeros(27), program.uncertainty.values[0]) / 14.0 == pytest.approx(shed_kw, abs=0.005)


@pytest.mark.parametrize(("lines", "printed_kw"), [((2, 11, 15), 551.0), ((2, 7), 120.0), ((11,), 110.0)])
def test_the_printed_objectives_count_10_kw_for_each_closed_line(lines: tuple[int, ...], printed_kw: float) -> None:
    program = zhang(lines, closed_line_usd=140.0)
    printed = least(program, np.zeros(27), program.uncertainty.values[0]) / 14.0
    assert printed == pytest.approx(printed_kw, abs=0.005)


@pytest.mark.parametrize(("max_lines", "max_generators", "usd"), [(2, 0, 800.0), (1, 1, 5744.0)])
def test_one_attack_on_13_buses(max_lines: int, max_generators: int, usd: float) -> None:
    program = zhang((2, 6, 11, 15), max_lines=max_lines, max_generators=max_generators, closed_line_usd=0.0)
    cost, decision = optimum(program)
    assert cost == pytest.approx(usd, abs=0.005)
    assert program.first_stage_cost(decision) == pytest.approx(800.0 if max_lines == 2 else 550.0)


CASES = [
    (A, C, 0.9, 479.45, 479.45, 55.11, 864.86),
    (B, C, 0.9, 1049.52, 879.45, 415.11, 1264.86),
    (A, C, 0.5, 550.11, 550.11, 275.11, 4323.84),
    (B, C, 0.5, 1180.17, 950.11, 475.11, 4723.84),
    (A, C, 0.1, 550.11, 550.11, 495.11, 550.11),
    (B, C, 0.1, 736.78, 736.78, 535.11, 736.78),
]


@pytest.mark.parametrize(("one", "two", "odds", "here", "two_lines", "wait", "likely"), CASES)
def test_two_disasters_on_13_buses(
    one: tuple[int, ...], two: tuple[int, ...], odds: float, here: float, two_lines: float, wait: float, likely: float
) -> None:
    """Here and now with one line and with two, wait and see, and the plan for the likelier disaster."""
    program = zhang(one, two, odds=(odds, 1.0 - odds), max_lines=1, max_generators=1)
    assert optimum(program)[0] == pytest.approx(here, abs=0.006)
    assert optimum(dataclasses.replace(program, max_lines=2))[0] == pytest.approx(two_lines, abs=0.006)
    alone = [
        optimum(program.with_uncertainty(Scenarios(u[None, :], np.ones(1)), Expectation()))
        for u in program.uncertainty.values
    ]
    p = program.uncertainty.probabilities
    assert p @ [cost for cost, _ in alone] == pytest.approx(wait, abs=0.006)
    plan = alone[int(np.argmax(p))][1]
    after = [least(program, plan, u) for u in program.uncertainty.values]
    assert program.first_stage_cost(plan) + p @ after == pytest.approx(likely, abs=0.006)


@pytest.mark.parametrize(("p_c", "bought"), [(0.0505, 0), (0.0513, 400), (0.188, 400), (0.190, 550)])
def test_investment_starts_where_its_price_is_earned(p_c: float, bought: float) -> None:
    program = zhang(A, C, odds=(1.0 - p_c, p_c), max_lines=1, max_generators=1)
    assert program.first_stage_cost(optimum(program)[1]) == pytest.approx(bought)


def test_budgets_of_number_and_money_hold() -> None:
    program = zhang(C, budget_usd=500.0)
    _, decision = optimum(program)
    assert program.first_stage_cost(decision) <= 500.0
    assert program.generators_most == 3
    for x in program.rounding_heuristic(np.linspace(0.0, 1.0, 27), 20):
        assert program.first_stage_cost(x) <= 500.0
        assert set(x) <= {0.0, 1.0}
    limited = zhang(C, max_lines=1, max_generators=2)
    for x in limited.rounding_heuristic(np.full(27, 0.6), 20):
        assert x[:15].sum() <= 1
        assert x[15:].sum() <= 2


def test_fixed_branches_that_form_a_loop_are_refused_by_name() -> None:
    branches = [Branch(0, 1, switchable=False), Branch(1, 2, switchable=False), Branch(0, 2, switchable=False)]
    network = make_network(3, branches, {0: 1.0})
    with pytest.raises(InputError, match="e0, e1, e2: closed and not switchable"):
        dataclasses.replace(zhang(C), network=network, lines=np.arange(3), buses=np.array([1]))


def test_a_source_gets_no_generator() -> None:
    with pytest.raises(OptionError, match="source"):
        zhang(C, buses=np.arange(13))
    with pytest.raises(OptionError, match="backup generator"):
        Backup(0.0, 0.0)
