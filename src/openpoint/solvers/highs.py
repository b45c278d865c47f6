"""HiGHS: mixed-integer linear programs on one persistent model, rows added and removed in place."""

from __future__ import annotations

import math
from collections.abc import Callable

import highspy
import numpy as np
import scipy.sparse as sp

from openpoint.solvers.base import Answer, Capabilities, Floats, Status, require
from openpoint.solvers.form import Ints, StandardForm

CAPABILITIES = Capabilities(name="highs", cones=False, integers=True, duals=True)

FEASIBILITY = 1e-7
"""Tolerance of rows. A row missed by it lowers the bound, which stays valid. With 1e-9 HiGHS 1.15 cut off the optimum
of the 136-bus grid and called 303.6 kW optimal where 280.2 kW is feasible, so integers keep its default, 1e-6."""

_MODEL_STATUS = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Status.LIMIT,
    highspy.HighsModelStatus.kInterrupt: Status.LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Status.LIMIT,
    highspy.HighsModelStatus.kSolutionLimit: Status.LIMIT,
}


class HighsModel:
    """A compiled linear model in one persistent HiGHS object."""

    def __init__(self, form: StandardForm) -> None:
        """Load once.

        Raises:
            OptionError: the model has cones.
        """
        require(CAPABILITIES, cones=bool(form.cones), integers=False, way_out="use Benders() or ExtensiveForm('scip')")
        self.n = len(form.c)
        self._integers = form.integers.astype(np.int32)
        self._integral = False
        self._stop: Callable[[], bool] = _never
        self._watch: Callable[[float], None] | None = None
        self._highs = highs = highspy.Highs()
        highs.setOptionValue("log_to_console", False)  # not output_flag, which would silence the callbacks too
        highs.setOptionValue("primal_feasibility_tolerance", FEASIBILITY)
        highs.setOptionValue("dual_feasibility_tolerance", FEASIBILITY)
        highs.setOptionValue("mip_abs_gap", 0.0)
        highs.passModel(_linear_program(form))
        highs.cbSimplexInterrupt += self._interrupt
        highs.cbMipInterrupt += self._interrupt
        highs.cbMipLogging += self._report
        self.n_fixed_rows = highs.getNumRow()

    @property
    def n_rows(self) -> int:
        """Rows now in the model."""
        return int(self._highs.getNumRow())

    def add_rows(self, rows: sp.csr_array, lower: Floats, upper: Floats) -> None:
        """Append rows lower ≤ rows · x ≤ upper."""
        if rows.shape[0]:
            self._highs.addRows(
                rows.shape[0],
                lower,
                upper,
                rows.nnz,
                rows.indptr[:-1].astype(np.int32),
                rows.indices.astype(np.int32),
                rows.data,
            )

    def delete_rows(self, numbers: Ints) -> None:
        """Remove rows by number; those behind move up."""
        if len(numbers):
            self._highs.deleteRows(len(numbers), numbers.astype(np.int32))

    def row_values(self) -> Floats:
        """(rows) activity at the last solution."""
        return np.array(self._highs.getSolution().row_value)

    def solve(
        self,
        *,
        integral: bool,
        gap: float = 0.0,
        presolve: bool = True,
        seconds: float = math.inf,
        stop: Callable[[], bool] | None = None,
        watch: Callable[[float], None] | None = None,
    ) -> Answer:
        """Solve what is in the model now.

        Args:
            integral: with integers, or their relaxation.
            gap: relative gap at which to end.
            presolve: off to take another road after an answer that cannot be.
            seconds: most to spend; `stop` is not asked in every corner of the solver.
            stop: asked often; True ends the solve with what there is.
            watch: told the lower bound of the mixed-integer solve from time to time.
        """
        if integral != self._integral and len(self._integers):
            kind = highspy.HighsVarType.kInteger if integral else highspy.HighsVarType.kContinuous
            self._highs.changeColsIntegrality(len(self._integers), self._integers, np.full(len(self._integers), kind))
            self._integral = integral
        self._stop, self._watch = stop or _never, watch
        self._highs.setOptionValue("mip_rel_gap", gap)
        # HiGHS counts the time of all its runs.
        self._highs.setOptionValue("time_limit", self._highs.getRunTime() + max(seconds, 0.0))
        self._highs.setOptionValue("presolve", "choose" if presolve else "off")
        self._highs.run()
        status = _MODEL_STATUS.get(self._highs.getModelStatus(), Status.FAILED)
        if self._highs.getModelStatus() == highspy.HighsModelStatus.kUnboundedOrInfeasible:
            status = Status.INFEASIBLE  # every column is bounded, or its cost is
        info = self._highs.getInfo()
        if status is Status.INFEASIBLE:
            return Answer(status, None, math.inf, math.inf)
        has_point = info.primal_solution_status == highspy.SolutionStatus.kSolutionStatusFeasible
        x = np.array(self._highs.getSolution().col_value) if has_point else None
        value = float(info.objective_function_value) if has_point else math.nan
        if integral and len(self._integers):
            return Answer(status, x, value, float(info.mip_dual_bound))
        return Answer(status, x, value, value if status is Status.OPTIMAL else -math.inf)

    def _interrupt(self, event: highspy.highs.HighsCallbackEvent) -> None:
        if self._stop():
            event.interrupt()

    def _report(self, event: highspy.highs.HighsCallbackEvent) -> None:
        if self._watch is not None:
            self._watch(float(event.data_out.mip_dual_bound))


def _never() -> bool:
    return False


def _linear_program(form: StandardForm) -> highspy.HighsLp:
    """The model with rows of one entry turned into bounds of the column."""
    a = sp.csr_array(form.a)
    lower = np.concatenate([form.b[: form.n_zero], np.full(form.n_nonneg, -np.inf)])
    n = len(form.c)
    column_lower, column_upper = np.full(n, -np.inf), np.full(n, np.inf)
    single = np.flatnonzero(np.diff(a.indptr) == 1)
    for row in single:
        column, factor = a.indices[a.indptr[row]], a.data[a.indptr[row]]
        ends = lower[row] / factor, form.b[row] / factor
        column_lower[column] = max(column_lower[column], min(ends))
        column_upper[column] = min(column_upper[column], max(ends))
    kept = np.diff(a.indptr) > 1
    empty = np.diff(a.indptr) == 0
    if np.any(lower[empty] > FEASIBILITY) or np.any(form.b[empty] < -FEASIBILITY):
        kept |= empty  # a contradiction without variables: leave it to HiGHS to say so
    rows = a[kept]
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = n, rows.shape[0]
    lp.col_cost_, lp.offset_ = form.c, form.offset
    lp.col_lower_, lp.col_upper_ = column_lower, column_upper
    lp.row_lower_, lp.row_upper_ = lower[kept], form.b[kept]
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.indptr, rows.indices, rows.data
    return lp
