"""A recourse compiled once as arrays over (x, u, y): linear rows, integer columns, cones by their columns.

Copies for further realisations, and the dual of the recourse, are made from these arrays without a new compilation.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.solvers.form import StandardForm
from openpoint.twostage.goal import Goal
from openpoint.twostage.program import AnyProgram, SecondStage, parts
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.uncertainty import centre


@dataclass(frozen=True)
class Template:
    """A compiled recourse: min cᵀ(x, u, y) + d over y with A (x, u, y) + s = b, s ∈ {0}ᵃ × R₊ᵇ, and cones on some y.

    Attributes:
        form: all of it but the cones. x, u, y: columns of the decision, the realisation, and all others.
        cones: columns (u…, s, t) of each vector of cones.
        limits: rows of the limits, where they are kept.
        dispatch: columns of the program's dispatch variable, if any.
    """

    form: StandardForm
    x: Ints
    u: Ints
    y: Ints
    cones: tuple[tuple[Ints, ...], ...]
    limits: Ints
    dispatch: Ints | None = None

    def at(self, realisation: Floats) -> tuple[sp.csr_array, sp.csr_array, Floats, float]:
        """Rows over x, rows over y, right-hand side and constant cost with u as numbers."""
        a = sp.csc_array(self.form.a)
        b = self.form.b - a[:, self.u] @ realisation
        return (
            sp.csr_array(a[:, self.x]),
            sp.csr_array(a[:, self.y]),
            np.asarray(b),
            self.form.offset + float(self.form.c[self.u] @ realisation),
        )

    def tolerant(self, most: float) -> Template:
        """The recourse whose limits may be exceeded by `most` in total, at no cost: with an excess e ≥ 0 for each,
        Σ e ≤ most."""
        count, form = len(self.limits), self.form
        if not count:
            return self
        m, n = form.a.shape
        less = sp.csr_array((-np.ones(count), (self.limits, np.arange(count))), shape=(m, count))
        kept = sp.vstack([-sp.eye_array(count), sp.csr_array(np.ones((1, count)))])
        rows = [sp.hstack([form.a, less]), sp.hstack([sp.csr_array((count + 1, n)), kept])]
        wider = replace(
            form,
            c=np.append(form.c, np.zeros(count)),
            a=sp.csc_array(sp.vstack(rows)),
            b=np.concatenate([form.b, np.zeros(count), [most]]),
            n_nonneg=form.n_nonneg + count + 1,
        )
        return replace(self, form=wider, y=np.append(self.y, n + np.arange(count)))


def template_of(program: AnyProgram, n: int, goal: Goal = Goal.COST) -> Template:
    """Compile the recourse of a program with a decision of length n."""
    decision = cp.Variable(n, name="decision")
    realisation = cp.Variable(len(centre(program.uncertainty)), name="realisation")
    recourse: SecondStage = program.recourse(decision, realisation, limits=goal is Goal.COST)
    match goal:
        case Goal.COST:
            stage = recourse.hard()
        case Goal.WITHOUT_LIMITS:
            stage = recourse.without_limits()
        case Goal.VIOLATION:
            stage = recourse.softened()
    constraints = [*stage.constraints, *(part >= 0 for cone in stage.cones for part in (cone.s, cone.t))]
    form = compile_model(stage.cost, constraints, stage.integers, also=(decision, realisation))
    x, u = form.of(decision), form.of(realisation)
    y = np.setdiff1d(np.arange(len(form.c)), np.concatenate([x, u]))
    cones = tuple(tuple(form.of(part) for part in parts(cone)) for cone in stage.cones)
    # Inequalities keep their order: those of the limits are the last but for the parts of cones.
    count = sum(limit.excess.size for limit in recourse.limits) if goal is Goal.COST else 0
    end = form.n_zero + form.n_nonneg - sum(part.size for cone in stage.cones for part in (cone.s, cone.t))
    dispatch = program.dispatch(recourse)
    found = None if dispatch is None else form.of(dispatch)
    return Template(form, x, u, y, cones, np.arange(end - count, end), found)
