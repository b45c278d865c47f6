"""Separation: the worst realisation of a polyhedral set at a decision.

The recourse cost is convex in u, so its maximum lies at a vertex u = u₀ + S ζ, ζ binary. `by_vertices` tries them all.
`DualSeparation` puts the dual of a linear recourse into one mixed-integer program (Zeng and Zhao 2013, Thiele et al.
2009):

    max_{λ, ζ}  −(b − A_x x̂ − A_u u₀)ᵀ λ + Σ_a π_a ζ_a,    π_a = (A_u S_a)ᵀ λ,    A_yᵀ λ = −c_y,  λ ≥ 0 on inequalities

with v_a = π_a ζ_a between its McCormick bounds, which are exact at binary ζ wherever l_a ≤ π_a ≤ h_a holds. Those
bounds are not guessed: π_a is a linear function on the dual polyhedron, which knows neither x̂ nor u, and l_a and h_a
are its minimum and maximum there, a linear program each, solved once. They are finite if and only if no deviation can
make the recourse infeasible; otherwise this way is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.optimize
import scipy.sparse as sp

from openpoint.errors import OpenpointError, OptionError
from openpoint.twostage.program import Floats, TwoStageProgram
from openpoint.twostage.template import Template, template_of
from openpoint.twostage.uncertainty import Box, Budget, Polyhedral

PROVEN = 1e-6
"""Relative margin by which the bounds of the multipliers are widened: the tolerance of the programs that gave them."""


@dataclass(frozen=True)
class Worst:
    """A realisation (m), the recourse cost there as the separation has it, and a bound no realisation exceeds."""

    realisation: Floats
    value: float
    bound: float


class DualSeparation:
    """The worst realisation by the dual of the recourse; compiled once, asked for many decisions."""

    def __init__(self, program: TwoStageProgram[Any, Any], n: int) -> None:
        """Compile, and prove the bounds of the multipliers.

        Args:
            program: with a polyhedral uncertainty and a linear recourse.
            n: length of the decision.

        Raises:
            OptionError: the recourse has cones or integers, or a deviation can make it infeasible.
        """
        uncertainty = program.uncertainty
        assert isinstance(uncertainty, Box | Budget)
        self._set: Polyhedral = uncertainty.polyhedral()
        self._template = template = template_of(program, n)
        if template.cones or len(template.form.integers):
            raise OptionError(
                "the dual of a recourse with cones or integers is no mixed-integer linear program; separate the worst "
                "case by `vertices`"
            )
        form = template.form
        a = sp.csc_array(form.a)
        self._a_x, self._a_u = sp.csr_array(a[:, template.x]), sp.csr_array(a[:, template.u])
        self._dual_rows = sp.csr_array(a[:, template.y].T)
        self._products = sp.csr_array((self._a_u @ sp.csc_array(self._set.steps)).T)
        free = np.arange(len(form.b)) < form.n_zero
        self._lower = np.where(free, -np.inf, 0.0)
        self.low, self.high = self._prove(template)

    def _prove(self, template: Template) -> tuple[Floats, Floats]:
        """(A) least and greatest π on the dual polyhedron."""
        count = self._products.shape[0]
        ends = np.zeros((2, count))
        equal = -template.form.c[template.y]
        bounds = np.column_stack([self._lower, np.full(len(self._lower), np.inf)])
        for a in range(count):
            slope = self._products[[a]].toarray().ravel()
            for side, sign in ((0, 1.0), (1, -1.0)):
                answer = scipy.optimize.linprog(  # type: ignore[call-overload]
                    sign * slope, A_eq=self._dual_rows, b_eq=equal, bounds=bounds, method="highs"
                )
                if answer.status == 3:
                    raise OptionError(
                        "a deviation can leave the recourse without a feasible point: nothing bounds its multipliers; "
                        "give every limit a slack with a cost, or separate the worst case by `vertices`"
                    )
                if answer.status != 0:
                    raise OpenpointError(f"the bounds of the multipliers were not found: {answer.message}")
                ends[side, a] = sign * answer.fun
        margin = PROVEN * np.maximum(1.0, np.abs(ends))
        return ends[0] - margin[0], ends[1] + margin[1]

    def worst(self, decision: Floats) -> Worst:
        """The worst realisation at a decision.

        Raises:
            OpenpointError: the solver ended without one.
        """
        form, polyhedral = self._template.form, self._set
        m, k = len(form.b), self._products.shape[0]
        b = form.b - self._a_x @ decision - self._a_u @ polyhedral.origin
        extra = form.c[self._template.u] @ polyhedral.steps
        cost = np.concatenate([b, np.full(k, -1.0), -extra])  # minimised, over λ, v, ζ
        eye, zero, low, high = (
            sp.eye_array(k),
            sp.csr_array((k, m)),
            sp.diags_array(self.low),
            sp.diags_array(self.high),
        )
        rows = [
            sp.hstack([self._dual_rows, sp.csr_array((self._dual_rows.shape[0], 2 * k))]),
            sp.hstack([zero, eye, -high]),  # v ≤ h ζ
            sp.hstack([zero, -eye, low]),  # v ≥ l ζ
            sp.hstack([-self._products, eye, -low]),  # v ≤ π − l (1 − ζ)
            sp.hstack([self._products, -eye, high]),  # v ≥ π − h (1 − ζ)
            sp.hstack([sp.csr_array((len(polyhedral.upper), m + k)), sp.csr_array(polyhedral.rows)]),
        ]
        equal = -form.c[self._template.y]
        upper = np.concatenate([equal, np.zeros(2 * k), -self.low, self.high, polyhedral.upper])
        lower = np.concatenate([equal, np.full(len(upper) - len(equal), -np.inf)])
        constraint = scipy.optimize.LinearConstraint(sp.csc_array(sp.vstack(rows)), lower, upper)
        bounds = scipy.optimize.Bounds(
            np.concatenate([self._lower, np.full(k, -np.inf), np.zeros(k)]),
            np.concatenate([np.full(m + k, np.inf), np.ones(k)]),
        )
        integrality = np.concatenate([np.zeros(m + k), np.ones(k)])
        answer = scipy.optimize.milp(
            cost, constraints=constraint, bounds=bounds, integrality=integrality, options={"mip_rel_gap": 1e-9}
        )
        if answer.x is None:
            raise OpenpointError(f"the worst realisation was not found: {answer.message}")
        constant = form.offset + float(form.c[self._template.x] @ decision)
        constant += float(form.c[self._template.u] @ polyhedral.origin)
        chosen = np.round(answer.x[m + k :])
        return Worst(polyhedral.value(chosen), constant - answer.fun, constant - answer.mip_dual_bound)
