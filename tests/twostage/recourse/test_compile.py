"""The short way to a standard form is CVXPY's own way, number by number; what it does not know goes the long way."""

from __future__ import annotations

import random

import cvxpy as cp
import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.solvers.form import StandardForm
from openpoint.twostage.recourse import compile as compiling
from openpoint.twostage.recourse.compile import compile_model

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


@pytest.mark.parametrize("seed", range(40))
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
