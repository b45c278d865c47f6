"""Backup generators in the recourse of hardening: left out where they do not stand, and scattered as a bound of all
places, both against enumeration; the cuts that say so, and the search that begins without them."""

from __future__ import annotations

import dataclasses
import itertools
import random
from collections.abc import Iterator

import cvxpy as cp
import numpy as np
import pytest

from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.model import HardenProgram
from openpoint.twostage.methods.decomposition import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.objective import objective_of
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.recourse.evaluation import Evaluation, RecourseSolver
from openpoint.twostage.recourse.mixed import MixedIntegerEvaluator
from openpoint.twostage.risk import WorstCase
from openpoint.twostage.uncertainty import Budget, Scenarios, listed
from openpoint.twostage.workers.executors import InProcess
from tests.builders.disasters import A, B, C, brute_force, random_program, zhang


def program_of(seed: int, count: int) -> tuple[HardenProgram, random.Random]:
    """A random program of 4 buses that may buy so many generators, with two disasters, of which cuts say something."""
    rng = random.Random(seed)
    program = random_program(rng)
    while program.network.n_terminals != 4:
        program = random_program(rng)
    lines = np.flatnonzero(~program.always_closed)
    broken = [[float(rng.random() < 0.3) for _ in program.always_closed] for _ in range(2)]
    program = dataclasses.replace(
        program,
        lines=lines,
        line_usd=program.line_usd[lines],
        uncertainty=Scenarios(np.array(broken), np.full(2, 0.5)),
        closed_line_usd=0.0,
        deep=False,
        max_generators=count,
    )
    return program, rng


def least(program: HardenProgram, decision: np.ndarray, broken: np.ndarray) -> float:
    stage = program.recourse(cp.Constant(decision), cp.Constant(broken), limits=True)
    answer = HighsModel(compile_model(stage.cost, stage.constraints, stage.integers)).solve(integral=True)
    return np.inf if answer.status is Status.INFEASIBLE else answer.value


def placed(program: HardenProgram, decision: np.ndarray, allowed: np.ndarray, most: int) -> Iterator[np.ndarray]:
    """The decision with every choice of at most so many generators at the places that are allowed, (G)."""
    count = len(program.lines)
    for number in range(most + 1):
        for places in itertools.combinations(np.flatnonzero(allowed), number):
            x = decision.copy()
            x[count + np.array(places, dtype=int)] = 1.0
            yield x


def bought_lines(program: HardenProgram, rng: random.Random, share: float = 0.3) -> np.ndarray:
    x = np.zeros(len(program.costs))
    x[: len(program.lines)] = [float(rng.random() < share) for _ in program.lines]
    return x


@pytest.mark.parametrize("count", [1, 2])
def test_scattered_generators_cost_no_more_than_any_that_stand_somewhere(count: int) -> None:
    exact = 0
    for seed in range(5):
        program, rng = program_of(seed, count)
        x, broken = bought_lines(program, rng), program.uncertainty.values[0]
        bounds = program.recourse_bounds(x, program.uncertainty.values)
        assert bounds is not None
        with_source = bounds.may_improve[0, len(program.lines) :]
        allowed = with_source if rng.random() < 0.7 else np.ones(len(program.buses), dtype=bool)
        costs = [brute_force(program, each, broken) for each in placed(program, x, allowed, count)]
        if not np.isfinite(costs).all():
            continue
        scattered = dataclasses.replace(program, scattered=count)
        bound = least(scattered, np.concatenate([x[: len(program.lines)], allowed.astype(float)]), broken)
        assert bound <= min(costs) + 1e-3, seed
        exact += bool(bound >= min(costs) - 1e-3)
    assert exact >= 2  # it does not only hold, it often says all


def test_places_without_a_generator_can_be_left_out() -> None:
    smaller = 0
    for seed in range(8):
        program, rng = program_of(seed, 2)
        x, broken = bought_lines(program, rng), program.uncertainty.values[1]
        x[len(program.lines) :] = [float(rng.random() < 0.4) for _ in program.buses]
        within = program.reduced_program(x)
        if within is not None:
            smaller += 1
            found = least(within.program, within.decision, broken)
            assert found == pytest.approx(brute_force(program, x, broken), rel=1e-6, abs=1e-3), seed
    assert smaller >= 4
    assert program.reduced_program(np.ones(len(program.costs))) is None


def appraised(program: HardenProgram, x: np.ndarray) -> Evaluation:
    with InProcess().open() as workers:
        evaluator = MixedIntegerEvaluator(program, objective_of(program), RecourseSolver(program, workers), 1e-7)
        found = evaluator.evaluate(x, with_savings=True)
    assert found is not None
    return found


@pytest.mark.parametrize("count", [1, 2])
def test_cuts_that_know_what_generators_save_hold_at_every_place(count: int) -> None:
    said = 0
    for seed in range(100, 103):
        program, rng = program_of(seed, count)
        disasters = listed(program.uncertainty)
        x = bought_lines(program, rng, 0.2)
        if not np.isfinite([brute_force(program, x, u) for u in disasters]).all():
            continue
        findings = appraised(program, x).findings
        bounds = program.recourse_bounds(x, disasters)
        assert bounds is not None
        others = [*placed(program, x, np.ones(len(program.buses)), count)]
        others += [each for _ in "ab" for each in placed(program, bought_lines(program, rng), np.ones(1), 1)]
        for other in others:
            there = [brute_force(program, other, u) for u in disasters]
            for finding in findings:
                cut = finding.response.value + float(finding.response.slope @ (other - x))
                assert cut <= there[finding.k] + 1e-6 * (1.0 + abs(there[finding.k])), seed
        for finding in findings:  # a generator saves less than all that is known to be lost
            rest = finding.response.value - bounds.lower[finding.k]
            mine = finding.response.slope[len(program.lines) :][bounds.may_improve[finding.k][len(program.lines) :]]
            said += bool(rest > 1e-3 and (mine > -rest + 1e-3).any())
    assert said >= 1


def any_two(**options: object) -> HardenProgram:
    program = zhang(A, B, C, odds=(0.5, 0.3, 0.2), closed_line_usd=0.0, max_lines=2, **options)
    e = program.network.n_conductors
    attack = Budget(np.zeros(e), np.zeros(e), np.ones(e), 2, whole=True)
    return dataclasses.replace(program, uncertainty=attack, risk=WorstCase())


def test_a_plan_with_generators_is_never_worse_than_the_best_without() -> None:
    """However early the search for places is stopped: the search without generators comes first."""
    without = ColumnAndConstraint().solve(any_two(max_generators=0))
    few = len([line for line in without.log if not line.interim])
    stopped = ColumnAndConstraint(max_iterations=few + 1).solve(any_two(max_generators=1))
    assert stopped.upper_bound <= without.upper_bound * (1 + 1e-9)
    assert stopped.lower_bound <= stopped.upper_bound
    for line in stopped.log[:few]:  # a bound of the search without generators is none of the whole
        assert line.lower_bound == -np.inf


@pytest.mark.parametrize("count", [1, 2])
def test_methods_agree_where_generators_may_be_bought(count: int) -> None:
    for seed in range(200, 204):
        program, _ = program_of(seed, count)
        oracle = ExtensiveForm(solver="highs").solve(program)
        if oracle.decision is None:
            continue  # a source tied to limits that it breaks
        found = ColumnAndConstraint().solve(program)
        assert found.upper_bound == pytest.approx(oracle.upper_bound, rel=2e-4, abs=1e-3), seed
        assert found.lower_bound <= oracle.upper_bound * (1 + 1e-6) + 1e-3, seed
