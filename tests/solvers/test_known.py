"""What is left of a model after known columns are taken out has the same optimum."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from openpoint.solvers import highs
from openpoint.solvers.base import Status
from openpoint.solvers.form import StandardForm
from openpoint.solvers.known import KnownColumns, settled

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


@settings(max_examples=60, deadline=None)
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
    whole = highs.solve(form)
    assert rows.feasible
    assert len(kept) < N
    assert whole.status is Status.OPTIMAL
    value = highs.solve(rest).value if len(kept) else rest.offset
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
