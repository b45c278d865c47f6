"""Small random models as standard forms: feasible and bounded by construction, or proven to be neither."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.solvers.base import StandardForm


def solvable(seed: int, *, cones: bool = False, integers: bool = False, box: float = 3.0) -> StandardForm:
    """A model with a point x₀ and a dual point z₀, so that it has an optimum.

    Equations, inequalities, bounds written as rows of one entry of any sign and size, an equation of one entry, a row
    of zeros, and cones over all columns. With `integers` x₀ is integer in some columns, some of them binary.
    """
    rng = np.random.default_rng(seed)
    n = int(rng.integers(3, 8))
    whole = rng.permutation(n)[: n // 2] if integers else np.empty(0, dtype=np.int64)
    x = rng.uniform(-box, box, n)
    x[whole] = np.round(x[whole])
    lower, upper = x - rng.uniform(0.0, box, n), x + rng.uniform(0.0, box, n)
    binary = whole[: len(whole) // 2]
    x[binary] = rng.integers(0, 2, len(binary))
    lower[binary], upper[binary] = 0.0, 1.0
    factor = np.exp(rng.uniform(-1.0, 1.0, (2, n)))
    equations = np.vstack([sparse(rng, int(rng.integers(1, 3)), n), np.eye(n)[:1] * -2.0, np.zeros((1, n))])
    rows = sparse(rng, int(rng.integers(1, 5)), n)
    inequalities = np.vstack([rows, -np.diag(factor[0]), np.zeros((1, n)), np.diag(factor[1])])
    slack = rng.uniform(0.0, 1.0, len(rows)) * rng.integers(0, 2, len(rows))
    b = [equations @ x, np.concatenate([rows @ x + slack, -factor[0] * lower, [0.5], factor[1] * upper])]
    blocks, sizes, z = [equations, inequalities], list[int](), [rng.normal(size=len(equations))]
    z.append(rng.uniform(0.0, 1.0, len(inequalities)) * rng.integers(0, 2, len(inequalities)))
    for _ in range(int(rng.integers(1, 4)) if cones else 0):
        size = int(rng.integers(2, 5))
        block, s, dual = sparse(rng, size, n), rng.normal(size=size), rng.normal(size=size)
        s[0], dual[0] = np.linalg.norm(s[1:]) * rng.choice([1.0, 1.5]), np.linalg.norm(dual[1:])
        blocks.append(block)
        b.append(block @ x + s)
        z.append(dual)
        sizes.append(size)
    a = np.vstack(blocks)
    return form_of(
        -a.T @ np.concatenate(z),
        a,
        np.concatenate(b),
        len(equations),
        sizes,
        offset=float(rng.normal()),
        integers=whole,
    )


def infeasible(seed: int, *, cones: bool = False, integers: bool = False, proof: str = "rows") -> StandardForm:
    """A model with a ray: a combination of its `rows`, its bounds with a row ("row"), or two "bounds"."""
    form = solvable(seed, cones=cones, integers=integers)
    rng = np.random.default_rng(seed + 1)
    n = len(form.c)
    if proof == "bounds":
        extra, b = np.vstack([np.eye(n)[1] * 2.0, -np.eye(n)[1]]), np.array([1.0, -1.5])
    elif proof == "row":
        x = lowest(form)
        row = rng.uniform(0.5, 2.0, n)
        extra, b = row[None, :], np.array([row @ x - 1.0])
    else:
        row = rng.normal(size=n)
        extra, b = np.vstack([row, -row]), np.array([1.0, -1.5])
    return with_inequalities(form, extra, b)


def unbounded(seed: int, *, cones: bool = False, integers: bool = False) -> StandardForm:
    """A model with a point and a direction without end that pays."""
    form = solvable(seed, cones=cones, integers=integers)
    m, n = form.a.shape
    a = sp.csc_array(sp.hstack([form.a, sp.csc_array((m, 2))]))
    form = replace(form, a=a, c=np.concatenate([form.c, [-1.0, 0.5]]))
    row = np.zeros((1, n + 2))
    row[0, n:] = 1.0, -1.0
    return with_inequalities(form, row, np.array([1.0]))


def with_inequalities(form: StandardForm, rows: Floats, b: Floats) -> StandardForm:
    """The form with rows · x ≤ b after its inequalities."""
    at = form.n_zero + form.n_nonneg
    a = sp.vstack([sp.csr_array(form.a)[:at], sp.csr_array(rows), sp.csr_array(form.a)[at:]])
    side = np.concatenate([form.b[:at], b, form.b[at:]])
    return replace(form, a=sp.csc_array(a), b=side, n_nonneg=form.n_nonneg + len(b))


def lowest(form: StandardForm) -> Floats:
    """Lower bounds of the columns, read from the rows of one entry."""
    a = form.a.toarray()[form.n_zero : form.n_zero + form.n_nonneg]
    lower = np.full(a.shape[1], -np.inf)
    for row, b in zip(a, form.b[form.n_zero :]):
        if np.count_nonzero(row) == 1 and row.min() < 0.0:
            column = int(np.argmin(row))
            lower[column] = max(lower[column], b / row[column])
    return lower


def sparse(rng: np.random.Generator, rows: int, n: int) -> Floats:
    """Random rows, a third of them zeros, each with two entries or more."""
    a = rng.normal(size=(rows, n)) * (rng.uniform(size=(rows, n)) < 0.7)
    for row in a:
        row[rng.permutation(n)[:2]] = rng.normal(size=2)
    return a


def form_of(
    c: Floats,
    a: Floats,
    b: Floats,
    n_zero: int,
    cones: Sequence[int] = (),
    *,
    offset: float = 0.0,
    integers: Ints | None = None,
) -> StandardForm:
    """A standard form of dense arrays."""
    return StandardForm(
        c=np.asarray(c, dtype=float),
        offset=offset,
        a=sp.csc_array(np.asarray(a, dtype=float)),
        b=np.asarray(b, dtype=float),
        n_zero=n_zero,
        n_nonneg=len(b) - n_zero - sum(cones),
        cones=tuple(cones),
        integers=np.empty(0, dtype=np.int64) if integers is None else np.asarray(integers, dtype=np.int64),
        columns={},
    )
