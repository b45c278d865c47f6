"""The recourse and its cuts: slopes are derivatives, and every cut under-estimates at every topology."""

from __future__ import annotations

import math

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.arrays import Floats
from openpoint.grid import Grid
from openpoint.solvers.base import Answer, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.goal import Goal
from openpoint.twostage.recourse.subproblem import MARGIN, Response
from tests.builders.grids import DISPATCH, FIXED, all_topologies, grids, random_grid
from tests.builders.programs import Today, program_of

FLAVOURS = (*FIXED, DISPATCH)
ACCURACY = 1e-6
"""Of a value of the cone solver at tolerance 1e-9, relative to value and slope."""


def respond(seed: int) -> tuple[RadialProgram, Today, Floats]:
    program = program_of(random_grid(seed, FLAVOURS[seed % len(FLAVOURS)]))
    decisions = all_topologies(program.network).astype(float)
    return program, Today(program), decisions


def cut(response: Response, at: Floats, x: Floats) -> float:
    return response.value + float(response.slope @ (x - at))


def tolerance(response: Response) -> float:
    return ACCURACY * max(1.0, abs(response.value), float(np.abs(response.slope).sum()))


@pytest.mark.parametrize("seed", range(2000, 2018))
def test_every_cut_under_estimates_at_every_topology(seed: int) -> None:
    """Optimality, feasibility and ray cuts, from topologies and from fractional decisions."""
    _, sub, decisions = respond(seed)
    rng = np.random.default_rng(seed)
    some = rng.permutation(len(decisions))[:6]
    exact = {k: sub.respond(decisions[k]) for k in rng.permutation(len(decisions))[:25]}
    mixed = [rng.dirichlet(np.ones(len(decisions))) @ decisions for _ in range(2)]
    for at in [*decisions[some], *mixed]:
        response = sub.respond(at)
        for k, there in exact.items():
            level = cut(response, at, decisions[k])
            if there.feasible:
                most = there.value if response.feasible else 0.0
                assert level <= most + tolerance(response) + tolerance(there), (seed, at, decisions[k])


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_every_cut_under_estimates_at_fractional_decisions(seed: int) -> None:
    _, sub, decisions = respond(seed)
    rng = np.random.default_rng(seed)
    points = [rng.dirichlet(np.ones(len(decisions))) @ decisions for _ in range(4)]
    responses = [sub.respond(x) for x in points]
    for at, response in zip(points, responses):
        for x, there in zip(points, responses):
            if there.feasible:
                most = there.value if response.feasible else 0.0
                assert cut(response, at, x) <= most + tolerance(response) + tolerance(there)


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_slopes_are_derivatives_inside(seed: int) -> None:
    """Between topologies the value is smooth almost everywhere: central differences meet the slope."""
    _, sub, decisions = respond(seed)
    rng = np.random.default_rng(seed)
    x = 0.2 + 0.6 * (rng.dirichlet(np.ones(len(decisions))) @ decisions)
    base = sub.respond(x)
    if not base.feasible:
        pytest.skip("this grid keeps no limit between topologies")
    step = 1e-4
    for e in rng.permutation(len(x))[:4]:
        move = np.zeros(len(x))
        move[e] = step
        above, below = sub.respond(x + move), sub.respond(x - move)
        if not (above.feasible and below.feasible):
            continue
        right, left = (above.value - base.value) / step, (base.value - below.value) / step
        noise = 2.0 * tolerance(base) / step + 1e-3 * abs(base.slope[e])
        # Convex: the slope lies between the one-sided differences, whether there is a kink or not.
        assert left - noise <= base.slope[e] <= right + noise, (seed, e)


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_slopes_bound_the_one_sided_differences_at_topologies(seed: int) -> None:
    """At a corner the value can only be left inwards; the slope is a subgradient there, open branches included."""
    _, sub, decisions = respond(seed)
    x = decisions[0]
    base = sub.respond(x)
    step = 1e-3
    for e in range(len(x)):
        inwards = x.copy()
        inwards[e] += step if x[e] < 0.5 else -step
        there = sub.respond(inwards)
        if there.feasible and base.feasible:
            assert there.value >= cut(base, x, inwards) - tolerance(base) - tolerance(there), (seed, e)


@pytest.mark.parametrize("seed", range(2000, 2012))
def test_the_compiled_recourse_equals_the_model_as_written(seed: int) -> None:
    """`respond` against CVXPY's own solve of the same stage."""
    program, sub, decisions = respond(seed)
    x = decisions[-1]
    stage = program.recourse(cp.Constant(x), cp.Constant(program.uncertainty.values[0]), limits=True).hard()
    problem = cp.Problem(cp.Minimize(stage.cost), [*stage.constraints, *(c.constraint() for c in stage.cones)])
    try:
        problem.solve(cp.CLARABEL, tol_gap_rel=1e-9, tol_feas=1e-9, tol_gap_abs=1e-9)
    except cp.SolverError:
        pytest.skip("CVXPY's own solve failed, so there is nothing to compare with")
    response = sub.respond(x)
    if problem.status == cp.OPTIMAL:
        assert response.feasible
        assert response.value == pytest.approx(problem.value, rel=1e-5, abs=1e-5)
    elif problem.status == cp.INFEASIBLE:
        assert not response.feasible


@given(grids(DISPATCH), st.integers(0, 10**6))
@settings(max_examples=15, deadline=None)
def test_values_come_with_points_on_their_cones(grid: Grid, pick: int) -> None:
    program = program_of(grid)
    decisions = all_topologies(program.network).astype(float)
    response = Today(program).respond(decisions[pick % len(decisions)])
    for *u, s, t in response.point if response.feasible and not response.rough else ():
        # Where a branch is open, t is a tolerance and s may be large.
        assert (sum(part**2 for part in u) <= s * t + 1e-5 * (1.0 + s)).all()
    if response.point:
        assert response.dispatch is not None
        assert (response.dispatch[0::2] <= program.network.p_max + 1e-6).all()
        assert (response.dispatch[0::2] >= program.network.p_min - 1e-6).all()


@pytest.mark.parametrize("seed", [2003, 2004, 2010])
def test_pricing_by_violation_never_fails_to_price(seed: int) -> None:
    """The least violation is 0 where limits can be kept, and above 0 where they cannot."""
    program, sub, decisions = respond(seed)
    soft = Today(program, Goal.VIOLATION)
    for x in decisions[:8]:
        hard, least = sub.respond(x), soft.respond(x)
        assert least.feasible
        assert math.isfinite(least.value)
        if hard.feasible:
            assert least.value <= 10 * MARGIN + ACCURACY
        else:
            assert least.value == pytest.approx(hard.value, abs=1e-5) or hard.value == 1.0 - MARGIN


def test_a_solver_that_fails_leaves_the_floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """No cut from numbers that mean nothing: the floor, marked, and the exact verdict has the word."""
    _, sub, decisions = respond(2000)
    failed = Answer(Status.FAILED, None, math.nan, -math.inf)
    monkeypatch.setattr(ClarabelModel, "solve", lambda self, head=None: failed)
    response = sub.respond(decisions[0])
    assert response.feasible
    assert response.rough
    assert response.value == 0.0
    assert not response.slope.any()
