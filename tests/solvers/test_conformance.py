"""Every solver on the same small models: one helper checks the conditions of optimality for all."""

import itertools
import math
from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest

from openpoint.solvers.base import SOLVERS, Answer, StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.highs import HighsModel
from openpoint.solvers.scip import solve_scip
from openpoint.twostage.recourse.compile import compile_model
from tests.solvers.conformance import assert_infeasible_ray, assert_optimal, assert_solved
from tests.solvers.models import form_of, infeasible, solvable, unbounded

NAMES = tuple(SOLVERS)
WITH_CONES = tuple(name for name in NAMES if SOLVERS[name].cones)
WITH_INTEGERS = tuple(name for name in NAMES if SOLVERS[name].integers)
WITH_BOTH = tuple(name for name in WITH_CONES if name in WITH_INTEGERS)
PROOFS = ("rows", "row", "bounds")


def solved(name: str, form: StandardForm, gap: float = 0.0, seconds: float = math.inf) -> Answer:
    """One solve, by the solver of this name."""
    if name == "highs":
        return HighsModel(form).solve(integral=True, gap=gap, seconds=seconds)
    if name == "clarabel":
        return ClarabelModel(form, seconds=seconds).solve()
    pytest.importorskip("pyscipopt")
    return solve_scip(form, (), gap=gap, time_limit_s=None if math.isinf(seconds) else seconds)


def assert_answer(name: str, form: StandardForm, answer: Answer) -> None:
    """All that the solver's capabilities promise of a solved model."""
    if len(form.integers) or not SOLVERS[name].duals:
        assert_solved(form, answer, tolerance=1e-6, integral=True)
        assert answer.bound >= answer.value - 1e-6 * max(1.0, abs(answer.value))
    else:
        assert_optimal(form, answer, tolerance=1e-6)


def reference(form: StandardForm) -> float:
    """The optimum by trying every integer point, each priced by the cone solver."""
    held = replace(form, integers=np.empty(0, dtype=np.int64)).with_coupling(form.integers)
    model = ClarabelModel(held)
    relaxed = [_end(form, column, sign) for column in form.integers for sign in (1.0, -1.0)]
    ranges = [range(math.ceil(low - 1e-6), math.floor(high + 1e-6) + 1) for low, high in zip(*[iter(relaxed)] * 2)]
    answers = (model.solve(np.array(point, dtype=float)) for point in itertools.product(*ranges))
    return min(answer.value for answer in answers if answer.status is Status.OPTIMAL)


def _end(form: StandardForm, column: int, sign: float) -> float:
    """Least (sign 1) or greatest (−1) value of a column in the relaxation."""
    cost = np.zeros(len(form.c))
    cost[column] = sign
    return sign * ClarabelModel(replace(form, c=cost, offset=0.0)).solve().value


@pytest.mark.parametrize("name", NAMES)
def test_linear_programs(name: str) -> None:
    for seed in range(12):
        form = solvable(seed)
        assert_answer(name, form, solved(name, form))


@pytest.mark.parametrize("name", WITH_CONES)
def test_cone_programs(name: str) -> None:
    for seed in range(12):
        form = solvable(seed, cones=True)
        answer = solved(name, form)
        assert_answer(name, form, answer)
        assert answer.value == pytest.approx(ClarabelModel(form).solve().value, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_integer_programs(name: str) -> None:
    """Binaries and integers of both signs, bounded by rows of one entry."""
    for seed in range(12):
        form = solvable(seed, integers=True)
        answer = solved(name, form)
        assert_answer(name, form, answer)
        assert answer.value == pytest.approx(reference(form), rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("name", WITH_BOTH)
def test_integer_cone_programs(name: str) -> None:
    for seed in range(12):
        form = solvable(seed, cones=True, integers=True)
        answer = solved(name, form)
        assert_answer(name, form, answer)
        assert answer.value == pytest.approx(reference(form), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_an_integer_without_bounds_is_a_general_one(name: str) -> None:
    """min x over x ≥ −7.5 + y/3 with y = 1: −7; no row of one entry bounds x."""
    form = form_of([1.0, 0.0], [[0.0, 2.0], [-1.0, 1.0 / 3.0]], [2.0, 7.5], 1, integers=np.array([0]))
    answer = solved(name, form)
    assert answer.x is not None
    assert answer.x == pytest.approx([-7.0, 1.0], abs=1e-6)


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("cones", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_point(name: str, cones: bool, integers: bool) -> None:
    """Said to be infeasible, with a ray where one is promised."""
    capabilities = SOLVERS[name]
    if capabilities.lacking(cones=cones, integers=integers):
        pytest.skip(f"{name} has no {capabilities.lacking(cones=cones, integers=integers)}")
    for seed, proof in itertools.product(range(6), PROOFS):
        form = infeasible(seed, cones=cones, integers=integers, proof=proof)
        answer = solved(name, form)
        assert answer.status is Status.INFEASIBLE
        assert answer.x is None
        assert answer.bound == math.inf
        if capabilities.duals and not integers:
            assert_infeasible_ray(form, answer, tolerance=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_a_row_without_entries_can_be_wrong(name: str) -> None:
    for n_zero, side in ((0, -1.0), (1, 1.0), (1, -1.0)):
        form = form_of([1.0, 1.0], [[0.0, 0.0], [-1.0, 0.0], [0.0, -1.0]], [side, 0.0, 0.0], n_zero)
        answer = solved(name, form)
        assert answer.status is Status.INFEASIBLE
        if SOLVERS[name].duals:
            assert_infeasible_ray(form, answer, tolerance=1e-6)


@pytest.mark.parametrize("integers", [False, True])
@pytest.mark.parametrize("cones", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_what_has_no_end(name: str, cones: bool, integers: bool) -> None:
    if SOLVERS[name].lacking(cones=cones, integers=integers):
        pytest.skip(f"{name} has no {SOLVERS[name].lacking(cones=cones, integers=integers)}")
    for seed in range(6):
        form = unbounded(seed, cones=cones, integers=integers)
        answer = solved(name, form)
        assert answer.status is Status.UNBOUNDED
        assert answer.bound == -math.inf


@pytest.mark.parametrize("name", NAMES)
def test_bounds_alone_are_a_model(name: str) -> None:
    form = form_of([1.0, -2.0, 0.0], np.vstack([np.eye(3), -2.0 * np.eye(3)]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 0)
    answer = solved(name, form)
    assert_answer(name, form, answer)
    assert answer.value == pytest.approx(-6.0, abs=1e-6)


@pytest.mark.parametrize("cones", [False, True])
@pytest.mark.parametrize("name", [name for name in NAMES if SOLVERS[name].duals])
def test_minus_z_is_the_slope_in_b(name: str, cones: bool) -> None:
    """The optimum is convex in b, so it lies above the line that z draws."""
    if cones and name not in WITH_CONES:
        pytest.skip(f"{name} has no cones")
    for seed in range(5):
        form, rng = solvable(seed, cones=cones), np.random.default_rng(seed)
        answer = solved(name, form)
        assert answer.z is not None
        for _ in range(5):
            step = 0.1 * rng.normal(size=len(form.b)) * (rng.uniform(size=len(form.b)) < 0.5)
            other = solved(name, replace(form, b=form.b + step))
            if other.status is Status.OPTIMAL:
                assert other.value >= answer.value - answer.z @ step - 1e-5 * max(1.0, np.abs(answer.z).max())


@pytest.mark.parametrize("name", NAMES)
def test_a_model_written_in_cvxpy(name: str) -> None:
    """min t over |(x, y − 2)| ≤ t, x + y = 1, x integer: x = −1, y = 2, t = 1 or x = 0, y = 1, t = 1; √½ relaxed."""
    capabilities = SOLVERS[name]
    x, y, t = cp.Variable(), cp.Variable(), cp.Variable()
    norm = cp.norm(cp.hstack([x, y - 2.0]), 2 if capabilities.cones else 1)
    form = compile_model(t + 0.5, [norm <= t, x + y == 1.0, x >= -5, x <= 5], (x,) if capabilities.integers else ())
    expected = 1.0 if capabilities.integers or not capabilities.cones else math.sqrt(0.5)
    answer = solved(name, form)
    assert_answer(name, form, answer)
    assert answer.value == pytest.approx(expected + 0.5, abs=1e-6)


@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_a_limit_of_time_keeps_a_bound(name: str) -> None:
    """A market split: the relaxation says 0, and no solver proves more in half a second."""
    rng = np.random.default_rng(0)
    m, n = 5, 40
    weight = rng.integers(0, 100, (m, n)).astype(float)
    a = np.hstack([weight, np.eye(m), -np.eye(m)])
    rows = np.vstack([a, -np.eye(n + 2 * m), np.eye(n, n + 2 * m)])
    b = np.concatenate([np.floor(weight.sum(axis=1) / 2.0), np.zeros(n + 2 * m), np.ones(n)])
    cost = np.concatenate([np.zeros(n), np.ones(2 * m)])
    form = form_of(cost, rows, b, m, offset=10.0, integers=np.arange(n))
    answer = solved(name, form, seconds=0.5)
    assert answer.status is Status.LIMIT
    assert answer.bound >= 10.0 - 1e-6
    if answer.x is not None:
        assert answer.bound <= answer.value
        assert answer.value == pytest.approx(cost @ answer.x + 10.0)


@pytest.mark.parametrize("name", NAMES)
def test_no_time_is_no_answer_and_no_error(name: str) -> None:
    form = solvable(0)
    answer = solved(name, form, seconds=0.0)
    assert answer.status in (Status.LIMIT, Status.OPTIMAL)  # presolve may have solved it before the clock is read
    assert answer.status is Status.OPTIMAL or answer.bound <= ClarabelModel(form).solve().value


@pytest.mark.parametrize("name", WITH_INTEGERS)
def test_a_gap_is_kept(name: str) -> None:
    for seed in range(5):
        form = solvable(seed, integers=True)
        exact, rough = solved(name, form), solved(name, form, gap=0.3)
        assert rough.status is Status.OPTIMAL
        assert rough.bound <= exact.value + 1e-6
        assert rough.value >= exact.value - 1e-6
        assert rough.value - rough.bound <= 0.3 * max(abs(rough.value), abs(rough.bound)) + 1e-6
