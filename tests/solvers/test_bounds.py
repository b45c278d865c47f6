"""Rows of one entry as bounds: the same set of points, the duals back on the rows, contradictions with their proof."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.solvers.bounds import bounded, proof
from tests.solvers.models import form_of, infeasible, solvable

seeds = st.integers(0, 2**32 - 1)


@given(seeds)
@settings(max_examples=50)
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
@settings(max_examples=50)
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
@settings(max_examples=30)
def test_two_bounds_that_exclude_each_other_prove_it(seed: int) -> None:
    form = infeasible(seed, proof="bounds")
    z = bounded(form).contradiction()
    assert z is not None
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
        assert found is not None
        assert found[0].tolist() == [-0.5]
        assert found[1].tolist() == [0.5, 0.5]


@given(seeds)
@settings(max_examples=30)
def test_other_sides_give_the_bounds_of_a_new_form(seed: int) -> None:
    form, rng = solvable(seed), np.random.default_rng(seed)
    moved = replace(
        form, b=form.b + np.where(rng.uniform(size=len(form.b)) < 0.3, 1e-3 * rng.normal(size=len(form.b)), 0.0)
    )
    rows = np.flatnonzero(moved.b != form.b)
    one, other = bounded(form).with_sides(moved, rows), bounded(moved)
    for name in ("lower", "upper", "lower_row", "upper_row", "row_lower", "row_upper"):
        assert (getattr(one, name) == getattr(other, name)).all()
