"""The persistent HiGHS model: duals and rays on the rows of the form, changes in place, cold solves."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.bounds import bounded
from openpoint.solvers.highs import HighsModel, least_cost
from tests.solvers.conformance import assert_infeasible_ray, assert_optimal, assert_solved
from tests.solvers.models import form_of, infeasible, solvable, unbounded, with_inequalities

seeds = st.integers(0, 2**32 - 1)


def same(one: Answer, other: Answer) -> bool:
    """Bit for bit."""
    arrays = ((one.x, other.x), (one.z, other.z), (one.reduced, other.reduced))
    return (one.status, one.value, one.bound) == (other.status, other.value, other.bound) and all(
        (a is None and b is None) or (a is not None and b is not None and a.tobytes() == b.tobytes()) for a, b in arrays
    )


def held(form: StandardForm, columns: np.ndarray, values: np.ndarray) -> StandardForm:
    coupled = form.with_coupling(columns)
    coupled.b[: len(columns)] = values
    return coupled


@given(seeds)
@settings(max_examples=25)
def test_a_linear_program_has_exact_duals_on_every_row(seed: int) -> None:
    form = solvable(seed)
    assert_optimal(form, HighsModel(form).solve(integral=False), tolerance=1e-6)


@given(seeds)
def test_minus_z_and_reduced_are_subgradients(seed: int) -> None:
    """Wherever b or a held column moves, the optimum lies above the line that the duals draw."""
    form, rng = solvable(seed), np.random.default_rng(seed)
    columns = np.arange(1, len(form.c))[: int(rng.integers(1, 3))]
    low, high = bounded(form).lower, bounded(form).upper
    point = HighsModel(form).solve(integral=False).x
    coupled = form.with_coupling(columns)
    by_row = HighsModel(replace(coupled, b=np.concatenate([point[columns], coupled.b[len(columns) :]])))
    by_fix, by_bound = HighsModel(coupled), HighsModel(form)
    by_fix.fix(columns, point[columns])
    by_bound.fix(columns, point[columns])
    at = by_row.solve(integral=False)
    assert_optimal(held(form, columns, point[columns]), at, tolerance=1e-6)
    for model in (by_fix, by_bound):
        answer = model.solve(integral=False)
        assert answer.value == pytest.approx(at.value, abs=1e-7)
        assert at.z is not None
        slope = answer.reduced[columns]
        if model is by_fix:
            assert slope == pytest.approx(-answer.z[: len(columns)], abs=1e-12)
        for _ in range(5):
            near = np.clip(point[columns] + rng.normal(scale=0.3, size=len(columns)), low[columns], high[columns])
            model.fix(columns, near)
            other = model.solve(integral=False)
            if other.status is Status.OPTIMAL:
                assert other.value >= answer.value + slope @ (near - point[columns]) - 1e-6
                assert other.value == pytest.approx(HighsModel(held(form, columns, near)).solve(integral=False).value)
    for _ in range(5):
        moved = form.b + np.where(rng.uniform(size=len(form.b)) < 0.3, rng.normal(scale=0.1, size=len(form.b)), 0.0)
        start = HighsModel(form).solve(integral=False)
        assert start.z is not None
        other = HighsModel(replace(form, b=moved)).solve(integral=False)
        if other.status is Status.OPTIMAL:
            assert other.value >= start.value - start.z @ (moved - form.b) - 1e-6


@given(seeds, st.sampled_from(["rows", "row", "bounds"]))
@settings(max_examples=15)
def test_what_has_no_point_comes_with_a_ray_on_the_rows_of_the_form(seed: int, proof: str) -> None:
    form = infeasible(seed, proof=proof)
    for presolve in (True, False):
        answer = HighsModel(form).solve(integral=False, presolve=presolve)
        assert_infeasible_ray(form, answer, tolerance=1e-7)
        assert form.b @ answer.z == pytest.approx(-1.0)


@given(seeds)
def test_a_ray_cuts_off_no_fixed_value_that_has_a_point(seed: int) -> None:
    form, rng = solvable(seed), np.random.default_rng(seed)
    model, columns = HighsModel(form), np.array([1, 2])
    rays, points = [], []
    for _ in range(20):
        values = rng.uniform(-6.0, 6.0, 2)
        model.fix(columns, values)
        answer = model.solve(integral=False)
        if answer.status is Status.OPTIMAL:
            points.append(values)
        elif answer.reduced is not None:
            rays.append((values, answer.reduced[columns]))
    for values, slope in rays:
        assert all(1.0 + slope @ (point - values) <= 1e-6 for point in points)
        assert len(points) < 20


def test_unbounded_is_told_from_infeasible() -> None:
    for seed in range(10):
        for integers in (False, True):
            form = unbounded(seed, integers=integers)
            answer = HighsModel(form).solve(integral=True)
            assert answer.status is Status.UNBOUNDED
            assert answer.bound == -np.inf
            after = HighsModel(form)
            after.solve(integral=True)
            after.set_bounds(np.arange(len(form.c)), np.full(len(form.c), -50.0), np.full(len(form.c), 50.0))
            assert after.solve(integral=True).status is not Status.UNBOUNDED  # the cost is back


@given(seeds, st.booleans())
@example(80675479, False)
@example(462, False)
@settings(max_examples=13)
def test_a_cold_solve_remembers_nothing(seed: int, integral: bool) -> None:
    form, rng = solvable(seed, integers=True), np.random.default_rng(seed)
    one, other = HighsModel(form), HighsModel(form)
    first = one.solve(integral=integral, cold=True)
    for _ in range(4):
        other.set_cost(rng.normal(size=len(form.c)))
        other.solve(integral=bool(rng.integers(2)), presolve=bool(rng.integers(2)))
    other.set_cost(form.c, form.offset)
    assert same(first, other.solve(integral=integral, cold=True))
    assert same(first, one.solve(integral=integral, cold=True))


@given(seeds)
@settings(max_examples=13)
def test_columns_and_rows_added_in_place_make_the_model_written_at_once(seed: int) -> None:
    form, rng = solvable(seed, integers=True), np.random.default_rng(seed)
    (m, n), model = form.a.shape, HighsModel(form)
    model.solve(integral=True)
    several, cost, upper = bounded(form).rows, np.array([1.0, -0.5]), np.array([2.0, 1.5])
    entries, row = np.zeros((m, 2)), rng.normal(size=(1, n + 2))
    entries[several] = 0.1 * rng.normal(size=(len(several), 2))
    side = float(np.abs(row).sum())
    number = model.add_columns(cost, np.zeros(2), upper, integers=np.array([1]), entries=sp.csc_array(entries[several]))
    model.add_rows(sp.csr_array(row), np.array([-np.inf]), np.array([side]))
    assert number.tolist() == [n, n + 1]
    box = np.hstack([np.zeros((4, n)), np.vstack([-np.eye(2), np.eye(2)])])
    wider = replace(
        form,
        a=sp.csc_array(sp.hstack([form.a, sp.csc_array(entries)])),
        c=np.concatenate([form.c, cost]),
        integers=np.append(form.integers, number[1]),
    )
    whole = with_inequalities(wider, np.vstack([box, row]), np.concatenate([np.zeros(2), upper, [side]]))
    for integral in (True, False):
        one, other = model.solve(integral=integral), HighsModel(whole).solve(integral=integral)
        assert one.status is other.status
        assert one.value == pytest.approx(other.value, abs=1e-6)


@given(seeds)
@settings(max_examples=8)
def test_an_integer_recourse_at_held_decisions_equals_a_new_model(seed: int) -> None:
    form, rng = solvable(seed, integers=True), np.random.default_rng(seed)
    first = HighsModel(form).solve(integral=True).x
    assert first is not None
    columns = np.array([0, 1])
    model = HighsModel(form.with_coupling(columns))
    for _ in range(6):
        values = np.round(first[columns]) + rng.integers(-1, 2, 2) if rng.integers(2) else first[columns]
        model.fix(columns, values)
        anew = HighsModel(form)
        anew.fix(columns, values)
        one, other = model.solve(integral=True, cold=True), anew.solve(integral=True)
        assert one.status is other.status
        assert one.value == pytest.approx(other.value, abs=1e-6)
        assert one.bound == pytest.approx(other.bound, abs=1e-6)


def test_a_feasible_integer_program_is_not_called_infeasible() -> None:
    """Models that the presolve of HiGHS 1.15 (the first five those of 1.11, too) calls infeasible as they are written:
    their integers have bounds that are not whole. The last one it calls infeasible with whole bounds as well."""
    for seed, box in ((56, 3.0), (59, 3.0), (65, 3.0), (97, 3.0), (107, 3.0), (126, 3.0), (153, 3.0), (2271, 30.0)):
        form = solvable(seed, integers=True, box=box)
        answer = HighsModel(form).solve(integral=True)
        assert_solved(form, answer, tolerance=1e-6, integral=True)
        again = HighsModel(form)
        again.fix(form.integers, np.round(answer.x[form.integers]))  # type: ignore[index]
        assert again.solve(integral=False).value == pytest.approx(answer.value, abs=1e-6)


def test_bounds_that_presolve_made_wrong_are_taken_back() -> None:
    """That of HiGHS 1.15 calls this feasible model infeasible."""
    told: list[float] = []
    answer = HighsModel(solvable(2271, integers=True, box=30.0)).solve(integral=True, watch=told.append)
    assert answer.status is Status.OPTIMAL
    assert -np.inf in told
    assert all(bound <= answer.value + 1e-6 for bound in told[told.index(-np.inf) :])


def test_bounds_of_integers_are_rounded_for_integers_only() -> None:
    """min x over 0.4 ≤ x ≤ 2.6: 1 where x is integer, 0.4 where not, in any order."""
    form = form_of([1.0, 0.0], [[-1.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [-0.4, 2.6, 9.0], 0, integers=np.array([0]))
    model = HighsModel(form)
    for _ in range(2):
        assert model.solve(integral=True).value == pytest.approx(1.0)
        assert model.solve(integral=False).value == pytest.approx(0.4)
    model.set_bounds(np.array([0]), np.array([1.2]), np.array([2.6]))
    assert model.solve(integral=True).value == pytest.approx(2.0)
    model.fix(np.array([0]), np.array([1.0 - 1e-9]))
    assert model.solve(integral=True).value == pytest.approx(1.0)
    model.set_bounds(np.array([0]), np.array([2.1]), np.array([2.6]))
    assert model.solve(integral=True).status is Status.INFEASIBLE
    assert model.solve(integral=False).value == pytest.approx(2.1)


@given(seeds)
@settings(max_examples=10)
def test_sides_of_rows_change_in_place(seed: int) -> None:
    form = solvable(seed)
    model = HighsModel(form)
    before = model.solve(integral=False)
    assert before.x is not None
    model.add_rows(sp.csr_array(form.c[None, :]), np.array([-np.inf]), np.array([np.inf]))
    number, level = np.array([model.n_rows - 1]), before.value - form.offset
    model.set_rows(number, np.array([level + 0.01]), np.array([np.inf]))
    after = model.solve(integral=False)
    if after.status is Status.OPTIMAL:
        assert after.value == pytest.approx(before.value + 0.01, abs=1e-6)
        assert model.row_slopes()[-1] == pytest.approx(1.0, abs=1e-6)
    model.set_rows(number, np.array([-np.inf]), np.array([np.inf]))
    assert model.solve(integral=False).value == pytest.approx(before.value, abs=1e-7)


def test_a_solve_after_one_that_was_interrupted_goes_to_its_end() -> None:
    rng = np.random.default_rng(1)
    n, m = 40, 5
    weights = rng.integers(10, 100, (m, n)).astype(float)  # a knapsack of several sizes: minutes to the very end
    form = StandardForm(
        c=-weights.sum(axis=0) - rng.random(n),
        a=sp.csc_array(np.vstack([weights, np.eye(n), -np.eye(n)])),
        b=np.concatenate([weights.sum(axis=1) / 2, np.ones(n), np.zeros(n)]),
        n_zero=0,
        n_nonneg=m + 2 * n,
        cones=(),
        integers=np.arange(n),
        offset=0.0,
        columns={},
    )
    model = HighsModel(form)
    assert model.solve(integral=True, stop=lambda: True).status is Status.LIMIT
    again = model.solve(integral=True, gap=0.05)
    assert again.status is Status.OPTIMAL
    assert again.x is not None
    assert np.isfinite(again.bound)
    for _ in range(3):  # HiGHS counts the time of a run with integers from its begin, not from that of the first run
        assert model.solve(integral=True, seconds=0.05).status is Status.LIMIT
        assert model._highs.getOptionValue("time_limit")[1] == 0.05


@pytest.mark.parametrize("seed", range(5))
def test_the_least_cost_is_that_of_another_program_from_any_basis(seed: int) -> None:
    """Against the interior point method of scipy; a basis of similar numbers saves all steps but a few."""
    rng = np.random.default_rng(seed)
    cost, rows, most = rng.normal(size=8), sp.csr_array(rng.normal(size=(12, 8))), rng.uniform(0.5, 2.0, 12)
    bounds, start = np.tile([-1.0, 2.0], (8, 1)), None
    for change in (1.0, 1.01):
        x, start = least_cost(change * cost, rows, change * most, bounds, start)
        known = linprog(change * cost, rows, change * most, bounds=bounds, method="highs-ipm")
        assert x is not None
        assert change * cost @ x == pytest.approx(known.fun, rel=1e-7)
        assert (rows @ x <= change * most + 1e-6).all()
    assert least_cost(cost, rows, most - 1e3, bounds)[0] is None
