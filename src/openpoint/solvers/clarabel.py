"""Clarabel: an interior-point solver for cones, with exact duals and in-place update of the right-hand side."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import clarabel
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.solvers.base import Answer, StandardForm, Status

TOLERANCE = 1e-9
"""Feasibility and gap, relative."""

_STATUS = {
    clarabel.SolverStatus.Solved: Status.OPTIMAL,
    clarabel.SolverStatus.AlmostSolved: Status.OPTIMAL,
    clarabel.SolverStatus.PrimalInfeasible: Status.INFEASIBLE,
    clarabel.SolverStatus.AlmostPrimalInfeasible: Status.INFEASIBLE,
    clarabel.SolverStatus.DualInfeasible: Status.UNBOUNDED,
    clarabel.SolverStatus.AlmostDualInfeasible: Status.UNBOUNDED,
    clarabel.SolverStatus.MaxTime: Status.LIMIT,
    clarabel.SolverStatus.CallbackTerminated: Status.LIMIT,
    clarabel.SolverStatus.MaxIterations: Status.FAILED,
}


class ClarabelModel:
    """A compiled model in one persistent Clarabel solver; only the right-hand side changes between solves."""

    def __init__(
        self,
        form: StandardForm,
        *,
        tolerance: float = TOLERANCE,
        seconds: float = math.inf,
        regularization: float | None = None,
    ) -> None:
        """Set up the solver, once.

        Args:
            form: the model; integrality is ignored.
            tolerance: feasibility and gap tolerance, relative.
            seconds: time limit of a solve.
            regularization: of the equations of a step, in place of the solver's own 1e-8.
        """
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.presolve_enable = False  # presolve forbids updates
        settings.tol_feas = tolerance
        settings.tol_gap_abs = tolerance
        settings.tol_gap_rel = tolerance
        settings.max_iter = 200
        settings.time_limit = seconds
        if regularization is not None:
            settings.static_regularization_constant = regularization
        cones = [clarabel.ZeroConeT(form.n_zero), clarabel.NonnegativeConeT(form.n_nonneg)]
        cones += [clarabel.SecondOrderConeT(d) for d in form.cones]
        n = len(form.c)
        self._form = form
        self._b = form.b.copy()
        self._solver = clarabel.DefaultSolver(
            sp.csc_matrix((n, n)), form.c, sp.csc_matrix(form.a), self._b, cones, settings
        )

    def solve(
        self, head: Floats | None = None, stop: Callable[[], bool] | None = None, cost: Floats | None = None
    ) -> Answer:
        """Solve with the first entries of b replaced by `head`; `stop`: asked in every iteration, True ends it.

        `cost`: (n) in the place of that of the form, without its constant.
        """
        if cost is not None:
            self._solver.update(q=cost)
            self._form = replace(self._form, c=cost, offset=0.0)
        if head is not None:
            self._b[: len(head)] = head
            self._solver.update(b=self._b)
        self._solver.unset_termination_callback()
        if stop is not None:
            self._solver.set_termination_callback(lambda _: stop())
        solution = self._solver.solve()
        status = _STATUS.get(solution.status, Status.FAILED)
        x, z = np.array(solution.x), np.array(solution.z)
        if status is Status.OPTIMAL:
            value = float(self._form.c @ x) + self._form.offset
            return Answer(status, x, value, self._form.offset - float(self._b @ z), z)
        if status is Status.INFEASIBLE:
            return Answer(status, None, math.inf, math.inf, z)
        return Answer(status, None, math.nan, -math.inf)
