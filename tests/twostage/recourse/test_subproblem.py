"""The recourse: its standard form, tangents of cones, equations eliminated, and cuts that lie below it everywhere."""

import math
import random

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.arrays import Floats
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.network.blocks import blocks
from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.highs import HighsModel
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.options import PartitionCosts, PartitionOptions
from openpoint.studies.partition.setup import program_of as partition_program
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.methods.decomposition import ColumnAndConstraint
from openpoint.twostage.methods.master import Tangents
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse import compile as compiling
from openpoint.twostage.recourse.compile import Condensed, compile_model, condensed, template_of
from openpoint.twostage.recourse.evaluation import MARGIN, Response
from openpoint.twostage.worst_case.separation import LinearRecourse
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


@pytest.mark.parametrize("seed", range(2000, 2005))
def test_every_cut_under_estimates_at_every_topology(seed: int) -> None:
    """Optimality, feasibility and ray cuts, from topologies and from fractional decisions.

    Theory: docs/methods.md M19, M20.
    """
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


@pytest.mark.parametrize("seed", range(2000, 2003))
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


@pytest.mark.parametrize("seed", range(2000, 2003))
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


@pytest.mark.parametrize("seed", range(2000, 2003))
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


@pytest.mark.parametrize("seed", range(2000, 2003))
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
@settings(max_examples=8, deadline=None)
def test_values_come_with_points_on_their_cones(grid: Grid, pick: int) -> None:
    program = program_of(grid)
    decisions = all_topologies(program.network).astype(float)
    response = Today(program).respond(decisions[pick % len(decisions)])
    for *u, s, t in response.point if response.feasible and not response.rough else ():
        # Where a branch is open, t is a tolerance and s may be large.
        assert (sum(part**2 for part in u) <= s * t + 1e-5 * (1.0 + s)).all()
    if response.point:
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


Model = tuple[cp.Expression, list[cp.Constraint]]


def assert_same(one: StandardForm, other: StandardForm) -> None:
    left, right = sp.csc_array(one.a), sp.csc_array(other.a)
    for a in (left, right):
        a.eliminate_zeros()
        a.sort_indices()
    pairs = [(one.c, other.c), (one.b, other.b), (left.indptr, right.indptr), (left.indices, right.indices)]
    for mine, theirs in (*pairs, (left.data, right.data), (one.integers, other.integers)):
        assert np.array_equal(mine, theirs)
    assert (one.offset, one.n_zero, one.n_nonneg, one.cones) == (
        other.offset,
        other.n_zero,
        other.n_nonneg,
        other.cones,
    )
    assert one.columns.keys() == other.columns.keys()
    assert all(np.array_equal(one.columns[k], other.columns[k]) for k in one.columns)


def model(seed: int) -> Model:
    """A model of the operations that formulations are written in: products by constants, parts, stacks, sums, cones."""
    rng = random.Random(seed)
    draw = np.random.default_rng(seed)
    n, k = rng.randint(1, 4), rng.randint(1, 3)
    x, y, z = cp.Variable(n), cp.Variable((n, k)), cp.Variable()
    some = draw.integers(0, n, rng.randint(1, 2 * n))
    dense, sparse = draw.normal(size=(3, n)), sp.random_array((2, n), density=0.6, rng=draw, format="csr")
    cost = z + 1.5 + cp.sum(cp.multiply(draw.normal(size=n), x)) - cp.sum(y)
    constraints = [
        dense @ x == draw.normal(size=3),
        y[:, 0] + 2.0 * x >= z,
        x[some] - z <= draw.normal(size=len(some)),
        sparse @ y == cp.reshape(cp.hstack([z] * (2 * k)), (2, k), order="F") - 1.0,
        cp.SOC(x + z, cp.vstack([2.0 * x, y[:, -1] - 1.0]), axis=0),
        cp.vstack([x, x])[1] == y.T[0],
        cp.SOC(cp.reshape(z, (1,), order="F"), cp.reshape(y, (n * k, 1), order="F"), axis=0),
        -x <= 0.25,
    ]
    return cost, rng.sample(constraints, rng.randint(1, len(constraints)))


@pytest.mark.parametrize("seed", range(10))
def test_the_short_way_is_the_long_way(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    cost, constraints = model(seed)
    whole, idle = cp.Variable(2), cp.Variable(3)
    constraints.append(whole >= cp.sum(cost))
    short = compile_model(cost, constraints, [whole], [idle])
    monkeypatch.setattr(compiling, "_directly", lambda problem, integers: None)
    # Names of the columns of idle variables are made at each call, so the same call is asked again.
    assert_same(short, compile_model(cost, constraints, [whole], [idle]))


@pytest.mark.parametrize("seed", range(3))
def test_what_is_not_affine_goes_the_long_way(seed: int) -> None:
    x, bounded, given = cp.Variable(2), cp.Variable(2, nonneg=True), cp.Parameter(value=1.0 + seed)
    for constraint in (cp.norm(x) <= 1.0, cp.abs(x) <= 2.0, x + bounded <= 1.0, x <= given, cp.SOC(x[0], x)):
        problem = cp.Problem(cp.Minimize(cp.sum(x)), [constraint])
        assert compiling._directly(problem, ()) is None
        assert compile_model(cp.sum(x), [constraint]).a.shape[0] > 0


def question(level: float) -> PartitionProgram:
    grid = openpoint.read("ieee37-microgrids")
    network = build_network(grid)
    prices = {name: 0.2 + 0.05 * k for k, name in enumerate(grid.generators["name"])}
    return partition_program(
        grid,
        network,
        blocks(network),
        PartitionOptions(
            costs=PartitionCosts(generation_usd_per_kwh=prices),
            uncertainty=level,
            uncertain_loads=6,
            most_deviating=None,
            ramp=0.3,
            max_grid_forming=1,
        ),
    )


def best(small: Condensed, u: Floats) -> Floats | None:
    """z at the optimum for a realisation."""
    rows = np.vstack([small.by_z, -small.by_z])
    sides = np.concatenate([small.upper - small.by_u @ u, small.by_u @ u - small.lower])
    eye = np.eye(len(small.cost))
    rows, sides = np.vstack([rows, eye, -eye]), np.concatenate([sides, small.z_upper, -small.z_lower])
    known = np.isfinite(sides)
    form = StandardForm(
        small.cost, 0.0, sp.csc_array(rows[known]), sides[known], 0, int(known.sum()), (), np.empty(0, dtype=int), {}
    )
    answer = HighsModel(form).solve(integral=False)
    return answer.x if answer.status is Status.OPTIMAL else None


@pytest.mark.parametrize("made_for", [0.0, 0.15])
def test_the_small_program_has_the_optima_of_the_whole(made_for: float) -> None:
    """Plans for certain and for uncertain loads, before loads that deviate by 15 %; prices differ."""
    program = question(0.15)
    nominal = question(0.0)
    decision = ColumnAndConstraint().solve(program if made_for else nominal).decision
    template = template_of(program, len(decision))
    assert template.dispatch is not None
    small = condensed(template, decision, *program.deviations, template.dispatch)
    assert len(small.cost) < 60
    assert len(small.lower) < 300
    whole = LinearRecourse(template, Goal.COST)
    rng = np.random.default_rng(0)
    agreed = 0
    for u in np.vstack([rng.uniform(*program.deviations, (20, 6)), rng.choice([-0.15, 0.15], (20, 6))]):
        expected, found = whole.at(decision, u), best(small, u)
        assert (expected is None) == (found is None)
        if expected is None or found is None:
            continue
        ramps = small.wanted + small.wanted_by_u @ u + small.wanted_by_z @ found
        most = np.concatenate(program.ramps)
        assert np.all(np.abs(ramps) <= most + 1e-6)
        assert program.steps[0].generation_usd @ ramps[: len(ramps) // 2] == pytest.approx(expected.value, abs=1e-5)
        agreed += 1
    assert agreed == 40 if made_for else 5 < agreed < 40


COLUMNS = tuple(np.array([k]) for k in range(4))


def tangents_at(point: Floats) -> Floats:
    """(rows, 4) the tangents at a point (u, u, s, t) of one cone."""
    return Tangents(COLUMNS, 4).rows(tuple(point[:, None]), 1e-5, settled=False).toarray()


@pytest.mark.parametrize("t", [1.0, 1e-2, 1e-5, 0.0])
@pytest.mark.parametrize("s", [1e-3, 0.0])
def test_a_point_outside_is_cut_off_and_no_point_of_the_cone_is(s: float, t: float) -> None:
    """docs/methods.md M21."""
    outside = np.array([0.3, -0.2, s, t])
    rows = tangents_at(outside)
    assert len(rows) == 1
    assert (rows @ outside > 1e-6).all()
    rng = np.random.default_rng(7)
    u, share = rng.normal(size=(500, 2)), 10.0 ** rng.uniform(-6.0, 2.0, 500)
    inside = np.column_stack([u, (u**2).sum(axis=1) / share, share])
    assert (rows @ inside.T <= 1e-9 * np.abs(inside).sum(axis=1)).all()


def test_a_tangent_where_s_and_t_are_nothing_is_no_steeper_than_one() -> None:
    rows = tangents_at(np.array([0.3, -0.2, 0.0, 0.0]))
    assert np.abs(rows).max() == pytest.approx(2.0 * 0.3 / np.hypot(0.3, 0.2))


@pytest.mark.parametrize("point", [(0.3, -0.2, 0.13, 1.0), (0.0, 0.0, 0.0, 0.0), (1e-8, 0.0, 0.0, 0.0)])
def test_a_point_of_the_cone_needs_no_tangent(point: tuple[float, ...]) -> None:
    assert not len(tangents_at(np.array(point)))
