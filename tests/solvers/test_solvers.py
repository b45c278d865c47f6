"""Every solver on random models; rows of one entry as bounds; known columns taken out."""

import importlib.util
import re

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint import Benders, ExtensiveForm, OptionError
from openpoint.errors import MissingExtraError, pip_command
from openpoint.solvers.base import StandardForm, Status, way_out
from openpoint.solvers.bounds import KnownColumns, bounded, proof, settled
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.highs import HighsModel
from openpoint.solvers.scip import solve_scip
from openpoint.twostage.methods import solving
from openpoint.twostage.methods.master import Tangents
from openpoint.twostage.program import Cone, no_good, parts
from openpoint.twostage.recourse.compile import compile_model
from tests.solvers.conformance import assert_infeasible_ray, assert_optimal, assert_solved
from tests.solvers.models import form_of, infeasible, solvable

seeds = st.integers(0, 2**32 - 1)


def cone_model(seed: int) -> tuple[cp.Expression, list[cp.Constraint], Cone, cp.Variable]:
    """A feasible, bounded model with rotated cones: a little power flow without a grid."""
    rng = np.random.default_rng(seed)
    k = int(rng.integers(1, 5))
    u, s, t = cp.Variable(k), cp.Variable(k), cp.Variable(k)
    on = cp.Variable(k)
    demand = rng.uniform(0.1, 1.0)
    constraints = [cp.sum(u) == demand, t <= 2 * on, t >= 0, s >= 0, s <= 50, on >= 0, on <= 1, cp.sum(on) <= k]
    cost = rng.uniform(0.5, 2.0, k) @ s + rng.uniform(0.01, 0.3, k) @ on + 0.25
    return cost, constraints, Cone(u=(u,), s=s, t=t), on


def linear_model(seed: int) -> tuple[cp.Expression, list[cp.Constraint], cp.Variable]:
    """A small feasible knapsack with a linking row."""
    rng = np.random.default_rng(seed)
    n = int(rng.integers(2, 7))
    x, y = cp.Variable(n), cp.Variable()
    weight = rng.uniform(0.5, 2.0, n)
    constraints = [x >= 0, x <= 1, weight @ x >= 0.4 * weight.sum(), y >= 0, y >= x[0] + x[1] - 1, y <= 5]
    return rng.normal(size=n) @ x + y - 3.0, constraints, x


@given(seeds)
@settings(max_examples=13, deadline=None)
def test_clarabel_keeps_the_conditions_of_optimality(seed: int) -> None:
    cost, constraints, cone, _ = cone_model(seed)
    form = compile_model(cost, [*constraints, cone.constraint()])
    assert_optimal(form, ClarabelModel(form).solve(), tolerance=1e-6)


def test_clarabel_stops_when_it_is_told_and_solves_again() -> None:
    cost, constraints, cone, _ = cone_model(1)
    form, asked = compile_model(cost, [*constraints, cone.constraint()]), list[int]()

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    model = ClarabelModel(form)
    stopped = model.solve(stop=stop)
    assert (stopped.status, stopped.x, stopped.bound, len(asked)) == (Status.LIMIT, None, -np.inf, 3)
    assert_optimal(form, model.solve(), tolerance=1e-6)
    assert len(asked) == 3


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_an_update_in_place_equals_a_new_model(seed: int) -> None:
    cost, constraints, cone, on = cone_model(seed)
    form = compile_model(cost, [*constraints, cone.constraint()])
    held = form.with_coupling(form.of(on))
    model = ClarabelModel(held)
    rng = np.random.default_rng(seed)
    for _ in range(3):
        state = rng.uniform(0.3, 1.0, len(form.of(on)))
        again = model.solve(state)
        held.b[: len(state)] = state
        assert_optimal(held, again, tolerance=1e-6)
        assert again.value == pytest.approx(ClarabelModel(held).solve().value, rel=1e-6)


def test_what_has_no_point_comes_with_a_ray() -> None:
    x = cp.Variable(2)
    form = compile_model(cp.sum(x), [x >= 0, cp.sum(x) <= -1.0])
    assert_infeasible_ray(form, ClarabelModel(form).solve(), tolerance=1e-7)
    assert HighsModel(form).solve(integral=False).status is Status.INFEASIBLE
    assert solve_scip(form, [], gap=0.0, time_limit_s=None).status is Status.INFEASIBLE


@given(seeds)
@settings(max_examples=13, deadline=None)
def test_highs_and_scip_agree_on_integers(seed: int) -> None:
    cost, constraints, x = linear_model(seed)
    form = compile_model(cost, constraints, (x,))
    model = HighsModel(form)
    relaxed, highs = model.solve(integral=False), model.solve(integral=True)
    scip = solve_scip(form, [], gap=0.0, time_limit_s=None)
    assert_solved(form, relaxed, tolerance=1e-7)
    assert_solved(form, highs, tolerance=1e-7, integral=True)
    assert_solved(form, scip, tolerance=1e-7, integral=True)
    assert highs.value == pytest.approx(scip.value, abs=1e-7)
    assert relaxed.value <= highs.value + 1e-9
    assert relaxed.value == pytest.approx(ClarabelModel(form).solve().value, abs=1e-6)


def test_a_wish_to_stop_is_for_one_solve_only() -> None:
    rng = np.random.default_rng(1)
    x, weight = cp.Variable(30), rng.uniform(10.0, 20.0, (10, 30))
    form = compile_model(-(rng.uniform(10.0, 20.0, 30) @ x), [x >= 0, x <= 1, weight @ x <= 100.0], (x,))
    model = HighsModel(form)
    assert model.solve(integral=True, gap=0.2, stop=lambda: True).status is Status.LIMIT
    assert model.solve(integral=True, gap=0.2, stop=lambda: False).status is Status.OPTIMAL


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_scip_takes_cones_and_integers(seed: int) -> None:
    """Against every choice of the binaries, priced by Clarabel."""
    cost, constraints, cone, on = cone_model(seed)
    form = compile_model(cost, constraints, (on,))
    rotated = [tuple(form.of(part) for part in parts(cone))]
    answer = solve_scip(form, rotated, gap=0.0, time_limit_s=30.0, of_processor=bool(seed % 2))
    assert_solved(form, answer, tolerance=1e-6, integral=True)
    assert solve_scip(form, rotated, gap=0.0, time_limit_s=0.0, of_processor=True).status is Status.LIMIT
    with_cones = compile_model(cost, [*constraints, cone.constraint()])
    model = ClarabelModel(with_cones.with_coupling(with_cones.of(on)))
    k = len(with_cones.of(on))
    choices = [np.array([(n >> i) & 1 for i in range(k)], dtype=float) for n in range(1, 2**k)]
    best = min(a.value for x in choices if (a := model.solve(x)).status is Status.OPTIMAL)
    # A cone that is shut only up to a feasibility of 1e-9 still lets u = sqrt(1e-9 · s) through.
    assert answer.value == pytest.approx(best, rel=1e-3)
    assert answer.bound <= best * (1.0 + 1e-6)


@given(seeds)
@settings(max_examples=10, deadline=None)
def test_the_standard_form_is_the_model_as_written(seed: int) -> None:
    cost, constraints, cone, _ = cone_model(seed)
    problem = cp.Problem(cp.Minimize(cost), [*constraints, cone.constraint()])
    problem.solve(cp.CLARABEL)
    form = compile_model(cost, [*constraints, cone.constraint()])
    answer = ClarabelModel(form).solve()
    assert answer.value == pytest.approx(problem.value, rel=1e-6, abs=1e-6)
    assert answer.x is not None
    for variable in problem.variables():
        assert len(form.of(variable)) == variable.size


@given(seeds)
@settings(max_examples=8, deadline=None)
def test_rows_are_added_in_place(seed: int) -> None:
    """A row that cuts the optimum off raises the value."""
    import scipy.sparse as sp

    cost, constraints, x = linear_model(seed)
    form = compile_model(cost, constraints, (x,))
    model = HighsModel(form)
    before = model.solve(integral=True)
    assert before.x is not None
    model.add_rows(sp.csr_array(form.c[None, :]), np.array([before.value - form.offset + 1e-3]), np.array([np.inf]))
    after = model.solve(integral=True)
    assert after.status is Status.INFEASIBLE or after.value >= before.value + 1e-4


@given(seeds, st.integers(1, 3))
@settings(max_examples=13, deadline=None)
def test_tangents_hold_at_every_point_of_the_cone(seed: int, k: int) -> None:
    rng = np.random.default_rng(seed)
    count = 4
    columns = tuple(np.arange(count) + count * i for i in range(k + 2))
    tangents = Tangents(columns, count * (k + 2))
    for _ in range(3):
        point = tuple(rng.normal(size=count) for _ in range(k + 2))
        rows = tangents.rows(point, 0.0, settled=bool(rng.integers(2)))
        for _ in range(20):
            u, t = rng.normal(size=(k, count)), np.abs(rng.normal(size=count)) * rng.choice([0.0, 1e-3, 1.0], count)
            u = np.where(t > 0, u, 0.0)
            s = np.divide((u**2).sum(axis=0), t, out=np.zeros(count), where=t > 0) * rng.uniform(1.0, 2.0)
            x = np.concatenate([*u, s, t])
            assert (rows @ x <= 1e-9 * max(1.0, np.abs(x).max())).all()


def test_a_tangent_cuts_off_the_point_it_was_made_for() -> None:
    tangents = Tangents((np.array([0]), np.array([1]), np.array([2])), 3)
    rows = tangents.rows((np.array([1.0]), np.array([0.5]), np.array([1.0])), 1e-6, settled=False)
    assert (rows @ np.array([1.0, 0.5, 1.0])).tolist() == [0.5]


@given(st.lists(st.booleans(), min_size=2, max_size=6), st.floats(1.0, 1e3), st.floats(0.0, 1.0))
def test_a_no_good_cut_prices_its_decision_and_no_other(chosen: list[bool], price: float, floor: float) -> None:
    at = np.array(chosen, dtype=float)
    slope, on_theta, upper = no_good(at, price, floor=floor, distance_min=1)
    ban, no_theta, most = no_good(at, np.inf, floor=floor, distance_min=1)
    assert no_theta == 0.0
    for n in range(2 ** len(at)):
        x = np.array([(n >> i) & 1 for i in range(len(at))], dtype=float)
        least = (float(slope @ x) - upper) / -on_theta  # the θ that the cut asks for
        if (x == at).all():
            assert least == pytest.approx(price)
            assert float(ban @ x) > most
        else:
            assert least <= floor + 1e-9 * price
            assert float(ban @ x) <= most


def test_solvers_refuse_what_they_cannot_take_and_name_the_way_out() -> None:
    with pytest.raises(OptionError, match="clarabel has no integers"):
        ExtensiveForm(solver="clarabel")
    with pytest.raises(OptionError, match="unknown solver 'cplex'; known are highs, clarabel, scip"):
        ExtensiveForm(solver="cplex")
    cost, constraints, cone, _ = cone_model(0)
    form: StandardForm = compile_model(cost, [*constraints, cone.constraint()])
    with pytest.raises(OptionError, match="no second-order cones"):
        HighsModel(form)
    way = way_out(cones=True, integers=False)
    assert way == "use clarabel or scip (pip install 'pyscipopt<7,>=6')"
    assert way_out(cones=True, integers=True) == "use scip (pip install 'pyscipopt<7,>=6')"


def test_a_missing_solver_is_named_with_its_command_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    monkeypatch.setattr(solving, "_MonolithicModel", None)
    with pytest.raises(MissingExtraError, match=f"'pyscipopt': {re.escape(pip_command('scip'))}"):
        openpoint.reconfigure("baran33", method=ExtensiveForm())


@pytest.mark.parametrize("options", [{"gap": -1.0}, {"gap": 1.0}, {"time_limit_s": 0.0}])
@pytest.mark.parametrize("method", [Benders, ExtensiveForm])
def test_options_without_sense_are_refused(method: type, options: dict[str, float]) -> None:
    with pytest.raises(OptionError, match="give"):
        method(**options)


def test_a_run_without_iterations_is_refused() -> None:
    with pytest.raises(OptionError, match="at least 1"):
        Benders(max_iterations=0)


@given(seeds)
@settings(max_examples=13)
def test_bounds_and_rows_left_are_the_same_set(seed: int) -> None:
    form, rng = solvable(seed), np.random.default_rng(seed)
    b = bounded(form)
    for _ in range(20):
        x = np.clip(rng.normal(scale=4.0, size=len(form.c)), b.lower, b.upper)
        x = np.where(rng.uniform(size=len(x)) < 0.1, x + 0.5, x)
        slack, activity = form.b - form.a @ x, b.a @ x
        far = max(np.abs(slack[: form.n_zero]).max(), -slack[form.n_zero :].min())
        also = max(
            (b.lower - x).max(), (x - b.upper).max(), (b.row_lower - activity).max(), (activity - b.row_upper).max()
        )
        assert (far <= 1e-9) == (also <= 1e-9)


@given(seeds)
@settings(max_examples=13)
def test_duals_of_bounds_return_to_their_rows(seed: int) -> None:
    """Any multipliers: Aᵀz = −Aᵀy over the rows left, less what the bounds carry."""
    form, rng = solvable(seed), np.random.default_rng(seed)
    b = bounded(form)
    y, reduced = rng.normal(size=len(b.rows)), rng.normal(size=len(form.c))
    z = b.duals(y, reduced)
    assert form.a.T @ z == pytest.approx(-(b.a.T @ y) - reduced)
    single = b.column >= 0
    single[: form.n_zero] = False
    assert (z[single] >= 0.0).all()


def test_an_equation_carries_the_whole_dual_where_an_inequality_says_the_same() -> None:
    for rows in ([[1.0], [1.0], [-1.0]], [[2.0], [1.0], [-1.0]]):
        b = bounded(form_of([1.0], rows, [rows[0][0], 1.0, -1.0], 1))
        for reduced in (3.0, -3.0):
            assert b.duals(np.empty(0), np.array([reduced])).tolist() == [-reduced / rows[0][0], 0.0, 0.0]


@given(seeds)
@settings(max_examples=15)
def test_two_bounds_that_exclude_each_other_prove_it(seed: int) -> None:
    form = infeasible(seed, proof="bounds")
    z = bounded(form).contradiction()
    assert form.a.T @ z == pytest.approx(np.zeros(len(form.c)), abs=1e-12)
    assert (z[form.n_zero :] >= 0.0).all()
    assert form.b @ z == pytest.approx(-1.0)
    assert bounded(solvable(seed)).contradiction() is None


def test_bounds_apart_by_rounding_are_no_contradiction() -> None:
    b = bounded(form_of([1.0], [[3.0], [-1.0]], [0.3 * 3.0 - 1e-12, -0.3], 0))
    assert b.contradiction() is None
    assert b.lower == b.upper


def test_multipliers_that_prove_nothing_are_refused() -> None:
    a, rows = sp.csr_array([[1.0, 1.0]]), np.array([[-np.inf], [1.0]])
    box = np.array([[0.0, 0.0], [np.inf, np.inf]])
    assert proof(a, np.array([1.0]), rows, box) is None
    assert proof(a, np.zeros(1), rows, box) is None
    assert proof(a, np.array([1.0]), -rows[::-1] - 3.0, box) is None
    below = np.array([[-np.inf], [-2.0]])
    for sign in (1.0, -1.0):
        found = proof(a, np.array([sign * 5.0]), below, box)
        assert found[0].tolist() == [-0.5]
        assert found[1].tolist() == [0.5, 0.5]


N = 6


def _form(seed: int) -> StandardForm:
    """Bounds, a column that its bounds fix, equations and inequalities, all of which a known point keeps."""
    rng = np.random.default_rng(seed)
    point = rng.integers(-2, 3, N).astype(float)
    dense = rng.integers(-2, 3, (5, N)) * (rng.random((5, N)) < 0.5)
    fixed = int(rng.integers(N))
    rows = [dense[:2].astype(float), np.eye(N)[[fixed]] * 2.0, dense[2:].astype(float), np.eye(N), -np.eye(N)]
    a = np.vstack(rows)
    b = a @ point
    b[3:6] += rng.integers(0, 2, 3)
    b[6:] += rng.integers(0, 3, 2 * N)
    return StandardForm(rng.normal(size=N), 0.5, sp.csc_array(a), b, 3, len(b) - 3, (), np.empty(0, dtype=np.int64), {})


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_the_rest_of_a_model_has_the_same_optimum(seed: int) -> None:
    form = _form(seed)
    columns = KnownColumns(N)
    rows = settled(form, columns)
    cost, offset = columns.applied(sp.csr_array(form.c[None, :]))
    kept = np.flatnonzero(columns.free)
    rest = StandardForm(
        cost.toarray().ravel()[kept],
        form.offset + float(offset[0]),
        sp.csc_array(sp.csc_array(rows.a)[:, kept]),
        rows.b,
        rows.n_zero,
        len(rows.b) - rows.n_zero,
        (),
        form.integers,
        {},
    )
    whole = HighsModel(form).solve(integral=True)
    assert rows.feasible
    assert len(kept) < N
    assert whole.status is Status.OPTIMAL
    value = HighsModel(rest).solve(integral=True).value if len(kept) else rest.offset
    assert value == pytest.approx(whole.value, abs=1e-6)


def test_a_contradiction_of_bounds_is_told() -> None:
    a = sp.csc_array(np.array([[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0]]))
    form = StandardForm(np.ones(2), 0.0, a, np.array([1.0, -2.0, 5.0]), 0, 3, (), np.empty(0, dtype=np.int64), {})
    assert not settled(form, KnownColumns(2)).feasible


def test_a_multiple_of_a_column_is_known_with_it() -> None:
    columns = KnownColumns(3)
    columns.equate(np.array([1]), np.array([0]), np.array([2.0]))
    columns.fix(np.array([0]), np.array([3.0]))
    moved, constant = columns.applied(sp.csr_array([[1.0, 1.0, 1.0]]))
    assert moved.toarray().tolist() == [[0.0, 0.0, 1.0]]
    assert constant.tolist() == [9.0]
