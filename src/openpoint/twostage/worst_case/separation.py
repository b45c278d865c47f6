"""Dual separation: the worst realisation of a polyhedral set at a decision, as one mixed-integer program.

The recourse cost is convex in u, so its maximum lies at a vertex u = u₀ + S ζ, ζ binary. With the dual of a linear
recourse (Zeng and Zhao 2013, Thiele et al. 2009) it is

    max_{λ, ζ}  −(b − A_x x̂ − A_u u₀)ᵀ λ + Σ_a π_a ζ_a,    π_a = (A_u S_a)ᵀ λ,    A_yᵀ λ = −c_y,  λ ≥ 0 on inequalities

with v_a = π_a ζ_a between its McCormick bounds, which are exact at binary ζ wherever l_a ≤ π_a ≤ h_a holds. Those
bounds are computed: π_a is a linear function on the dual polyhedron, which depends neither on x̂ nor on u, and l_a and
h_a are its minimum and maximum there, each by a linear program that is solved once. They are finite if and only if no
deviation can make the recourse infeasible; otherwise the method is refused.

Climbing: local search for the worst realisation of a polyhedral set, from vertex to vertex along the slope of the
recourse cost; each step is a linear program with a warm start.

The value V(u) of a linear recourse, its cost or its least violation, is convex: V(u') ≥ V(u) + slopeᵀ(u' − u). So the
vertex that lies farthest along the slope has at least the same value, and a climb ends after finitely many steps where
no vertex lies farther along the slope. The result is a local maximum: it proves no upper bound of the value.

Theory: docs/methods.md M31.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.errors import OpenpointError, OptionError
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.compile import Template
from openpoint.twostage.recourse.subproblem import MARGIN, Response
from openpoint.twostage.uncertainty import Polyhedral
from openpoint.twostage.workers.pool import never

PROVEN = 1e-6
"""Relative margin by which the bounds of the multipliers are widened: the tolerance of the programs that gave them."""
GAP = 1e-9
"""Relative gap to which the worst realisation is found."""


@dataclass(frozen=True)
class WorstRealisation:
    """A realisation (m), the recourse cost there by the separation, and an upper bound of the cost in all realisations.

    Where the search was stopped, the bound lies above the value.
    """

    realisation: Floats
    value: float
    bound: float


class DualSeparation:
    """The worst realisation by the dual of the recourse; compiled once, used for many decisions."""

    def __init__(self, template: Template, polyhedral: Polyhedral) -> None:
        """Prepare the dual of a linear recourse over a set.

        Raises:
            OptionError: the recourse has cones or integers.
        """
        self._template, self._set = template, polyhedral
        if template.cones or len(template.form.integers):
            raise OptionError(
                "the dual of a recourse with cones or integers is no mixed-integer linear program; separate the worst "
                "case by `vertices`"
            )
        a = sp.csc_array(template.form.a)
        self._a_x, self._a_u = sp.csr_array(a[:, template.x]), sp.csr_array(a[:, template.u])
        self._products = sp.csr_array((self._a_u @ sp.csc_array(self._set.steps)).T)
        self._model: HighsModel | None = None

    def worst(self, decision: Floats, stop: Callable[[], bool] = never) -> WorstRealisation | None:
        """The worst realisation at a decision; None where stopped before there was one.

        Raises:
            OptionError: a deviation can make the recourse infeasible.
            OpenpointError: the solver ended without an answer.
        """
        if self._model is None:
            proven = self.prove(stop)
            if proven is None:
                return None
            self._model = self._compiled(*proven)
        form, polyhedral = self._template.form, self._set
        m, k = len(form.b), self._products.shape[0]
        b = form.b - self._a_x @ decision - self._a_u @ polyhedral.origin
        extra = form.c[self._template.u] @ polyhedral.steps
        constant = form.offset + float(form.c[self._template.x] @ decision)
        constant += float(form.c[self._template.u] @ polyhedral.origin)
        self._model.set_cost(np.concatenate([b, np.full(k, -1.0), -extra]))  # over λ, v, ζ
        answer = self._model.solve(integral=True, gap=GAP, stop=stop)
        if answer.x is None:
            if answer.status is Status.LIMIT:
                return None
            raise OpenpointError(f"the worst realisation was not found: HiGHS says {answer.status.value}")
        chosen = np.round(answer.x[m + k :])
        return WorstRealisation(polyhedral.value(chosen), constant - answer.value, constant - answer.bound)

    def prove(self, stop: Callable[[], bool] = never) -> tuple[Floats, Floats] | None:
        """(A) least and greatest π on the dual polyhedron; None where stopped.

        Raises:
            OptionError: they are not bounded. OpenpointError: the solver ended without an answer.
        """
        m, count = len(self._template.form.b), self._products.shape[0]
        model = HighsModel(self._dual(m))
        ends = np.zeros((2, count))
        for a in range(count):
            slope = self._products[[a]].toarray().ravel()
            for side, sign in ((0, 1.0), (1, -1.0)):
                model.set_cost(sign * slope)
                answer = model.solve(integral=False, stop=stop)
                if answer.status is Status.LIMIT:
                    return None
                if answer.status is Status.UNBOUNDED:
                    raise OptionError(
                        "a deviation can leave the recourse without a feasible point: nothing bounds its multipliers; "
                        "give every limit a slack with a cost, or separate the worst case by `vertices`"
                    )
                if answer.status is not Status.OPTIMAL:
                    raise OpenpointError(f"the bounds of the multipliers were not found: {answer.status.value}")
                ends[side, a] = sign * answer.value
        margin = PROVEN * np.maximum(1.0, np.abs(ends))
        return ends[0] - margin[0], ends[1] + margin[1]

    def _dual(self, n: int) -> StandardForm:
        """The dual polyhedron, λ being the first of n columns, without cost."""
        form: StandardForm = self._template.form
        m = len(form.b)
        rows = sp.csc_array(form.a)[:, self._template.y].T
        signs = sp.csr_array(-sp.eye_array(m, n))[form.n_zero :]
        a = sp.vstack([sp.hstack([rows, sp.csr_array((rows.shape[0], n - m))]), signs])
        b = np.concatenate([-form.c[self._template.y], np.zeros(m - form.n_zero)])
        none = np.empty(0, dtype=np.int64)
        return StandardForm(np.zeros(n), 0.0, sp.csc_array(a), b, rows.shape[0], m - form.n_zero, (), none, {})

    def _compiled(self, low: Floats, high: Floats) -> HighsModel:
        """The program over λ, v, ζ, without its cost."""
        m, k = len(self._template.form.b), self._products.shape[0]
        polyhedral, model = self._set, HighsModel(self._dual(m))
        model.add_columns(np.zeros(k), np.full(k, -math.inf), np.full(k, math.inf))
        model.add_columns(np.zeros(k), np.zeros(k), np.ones(k), integers=np.arange(k))
        eye, zero = sp.eye_array(k), sp.csr_array((k, m))
        least, most = sp.diags_array(low), sp.diags_array(high)
        rows = [
            sp.hstack([zero, eye, -most]),  # v ≤ h ζ
            sp.hstack([zero, -eye, least]),  # v ≥ l ζ
            sp.hstack([-self._products, eye, -least]),  # v ≤ π − l (1 − ζ)
            sp.hstack([self._products, -eye, most]),  # v ≥ π − h (1 − ζ)
            sp.hstack([sp.csr_array((len(polyhedral.upper), m + k)), sp.csr_array(polyhedral.rows)]),
        ]
        upper = np.concatenate([np.zeros(2 * k), -low, high, polyhedral.upper])
        model.add_rows(sp.csr_array(sp.vstack(rows)), np.full(len(upper), -math.inf), upper)
        return model


STEPS = 50
"""Steps after which a climb ends in any case."""
BETTER = 1e-7
"""Relative gain below which a step counts as rounding."""


class LinearRecourse:
    """A recourse without cones and integers in one HiGHS model; decision and realisation change bounds only."""

    def __init__(self, template: Template, goal: Goal) -> None:
        """Load the recourse into the solver.

        Args:
            template: the recourse, without cones and integers, compiled for this goal.
            goal: cost with the limits kept, or the least violation of them.
        """
        self._coupled = np.concatenate([template.x, template.u])
        self._model, self._n, self._is_cost = HighsModel(template.form), len(template.x), goal is Goal.COST

    def at(self, decision: Floats, realisation: Floats, *, cold: bool = False) -> EvaluatedRealisation | None:
        """Value and slopes at a decision and a realisation; None where there is no point.

        A least violation is given as a feasibility cut, not as a cost. `cold`: solve without a warm start.
        """
        self._model.fix(self._coupled, np.concatenate([decision, realisation]))
        answer = self._model.solve(integral=False, presolve=False, cold=cold)
        if answer.status is not Status.OPTIMAL or answer.reduced is None:
            return None
        slope = answer.reduced[self._coupled]
        value = answer.value - MARGIN * max(1.0, abs(answer.value))
        parts = slope[: self._n], slope[self._n :]
        return EvaluatedRealisation(realisation, Response(self._is_cost, value, *parts, (), None, reached=answer.value))


@dataclass(frozen=True)
class EvaluatedRealisation:
    """A realisation (m) and the response of the recourse there."""

    realisation: Floats
    response: Response

    @property
    def value(self) -> float:
        """Value of the solver's own point."""
        return self.response.reached


def climb(
    evaluate: Callable[[Floats], EvaluatedRealisation | None],
    polyhedral: Polyhedral,
    starts: Iterable[Floats],
    stop: Callable[[], bool] = never,
) -> EvaluatedRealisation | None:
    """The worst vertex found by climbs from some starts until stopped; None where no vertex could be evaluated.

    Args:
        evaluate: value and slope at a realisation, None where there is none.
        polyhedral: the set. starts: (m) vertices.
    """
    best: EvaluatedRealisation | None = None
    known: set[bytes] = set()
    for start in starts:
        here = None
        u = start
        for _ in range(STEPS):
            if u.tobytes() in known or stop():
                break
            known.add(u.tobytes())
            there = evaluate(u)
            if there is None or (here is not None and there.value <= here.value + BETTER * max(1.0, abs(here.value))):
                break
            here = there
            if best is None or here.value > best.value:
                best = here
            u = vertex_along(polyhedral, here.response.slope_u)
    return best


def vertex_along(polyhedral: Polyhedral, slope: Floats) -> Floats:
    """(m) the vertex farthest along a slope."""
    gain = slope @ polyhedral.steps
    if not len(polyhedral.upper):
        return polyhedral.value((gain > 0.0).astype(np.float64))
    from scipy.optimize import linprog

    answer: Any = linprog(-gain, A_ub=polyhedral.rows, b_ub=polyhedral.upper, bounds=(0.0, 1.0), method="highs-ds")
    return polyhedral.value(np.round(answer.x))


def starting_points(polyhedral: Polyhedral, count: int) -> list[Floats]:
    """Vertices to start from: those of largest and smallest sum, and some along random slopes (fixed seed)."""
    m = len(polyhedral.origin)
    rng = np.random.default_rng(0)
    slopes = [np.ones(m), -np.ones(m), *rng.standard_normal((count, m))]
    found = {u.tobytes(): u for u in (vertex_along(polyhedral, slope) for slope in slopes)}
    return list(found.values())
