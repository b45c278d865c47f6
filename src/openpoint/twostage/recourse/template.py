"""A recourse compiled once as arrays over (x, u, y): linear rows, integer columns, cones by their columns.

Copies for further realisations, and the dual of the recourse, are made from these arrays without a new compilation.
"""

from __future__ import annotations

from dataclasses import dataclass

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
        dispatch: columns of the program's dispatch variable, if any.
    """

    form: StandardForm
    x: Ints
    u: Ints
    y: Ints
    cones: tuple[tuple[Ints, ...], ...]
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
    dispatch = program.dispatch(recourse)
    return Template(form, x, u, y, cones, None if dispatch is None else form.of(dispatch))
