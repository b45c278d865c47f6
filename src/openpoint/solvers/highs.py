"""HiGHS: mixed-integer linear programs in one persistent model that is changed in place; exact duals of linear ones."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import highspy
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.solvers.base import HIGHS, Answer, StandardForm, Status, require, way_out
from openpoint.solvers.bounds import BoundedForm, bounded, proof

FEASIBILITY = 1e-7
"""Tolerance of rows. A row violated by it lowers the bound, which stays valid. With 1e-9 HiGHS 1.15 cut off the optimum
of the 136-bus grid and called 303.6 kW optimal where 280.2 kW is feasible, so integers keep its default, 1e-6."""

INTEGRALITY = 1e-6
"""Largest excess over an integer that counts as rounding, in bounds of integers. HiGHS needs whole bounds: with 1.11
and 1.15 its presolve called 5 % of small feasible models infeasible whose integers had bounds like −1.66 and 2.13."""
DOUBT = 2.0
"""Time of the second solve, without presolve, of a mixed-integer model called infeasible, over the time of the first.
Presolve is often the cause of a wrong answer: of 3,000 small feasible models one was still called infeasible."""

_MODEL_STATUS = {
    highspy.HighsModelStatus.kOptimal: Status.OPTIMAL,
    highspy.HighsModelStatus.kInfeasible: Status.INFEASIBLE,
    highspy.HighsModelStatus.kUnbounded: Status.UNBOUNDED,
    highspy.HighsModelStatus.kUnboundedOrInfeasible: Status.UNBOUNDED,
    highspy.HighsModelStatus.kTimeLimit: Status.LIMIT,
    highspy.HighsModelStatus.kInterrupt: Status.LIMIT,
    highspy.HighsModelStatus.kIterationLimit: Status.LIMIT,
    highspy.HighsModelStatus.kSolutionLimit: Status.LIMIT,
}


class HighsModel:
    """A compiled linear model in one persistent HiGHS object.

    Rows of one entry become bounds of columns. The other rows of the form come first, in their order, then those of
    `add_rows`; `add_rows` and `set_rows` count in these.
    """

    def __init__(self, form: StandardForm, *, tolerance: float = FEASIBILITY, perturbed: bool = True) -> None:
        """Load the model, once.

        Args:
            form: the model.
            tolerance: feasibility tolerance of rows and of duals, absolute.
            perturbed: whether the dual simplex method moves costs against cycling; many short solves go faster without.

        Raises:
            OptionError: the model has cones.
        """
        cones, integers = bool(form.cones), bool(len(form.integers))
        require(HIGHS, cones=cones, integers=integers, way_out=way_out(cones=cones, integers=integers))
        self.n = len(form.c)
        self._tolerance = tolerance
        self._form, self._bounds = replace(form, b=form.b.copy()), bounded(form)
        self._integers = form.integers.astype(np.int32)
        self._integral, self._lower, self._upper = False, self._bounds.lower.copy(), self._bounds.upper.copy()
        self._stop: Callable[[], bool] = _never
        self._watch: Callable[[float], None] | None = None
        self._highs = highs = highspy.Highs()
        highs.setOptionValue("log_to_console", False)  # not output_flag, which would silence the callbacks too
        highs.setOptionValue("primal_feasibility_tolerance", tolerance)
        highs.setOptionValue("dual_feasibility_tolerance", tolerance)
        highs.setOptionValue("mip_abs_gap", 0.0)
        highs.setOptionValue("dual_simplex_cost_perturbation_multiplier", float(perturbed))
        highs.passModel(_linear_program(form, self._bounds))
        highs.cbMipInterrupt += self._interrupt
        highs.cbMipLogging += self._report
        self.n_fixed_rows = highs.getNumRow()

    @property
    def n_rows(self) -> int:
        """Rows now in the model."""
        return int(self._highs.getNumRow())

    @property
    def integers(self) -> Ints:
        """Numbers of the integer columns."""
        return self._integers.astype(np.int64)

    def bounds_of(self, columns: Ints) -> tuple[Floats, Floats]:
        """Lower and upper bounds of columns."""
        return self._lower[columns].copy(), self._upper[columns].copy()

    def add_rows(self, rows: sp.csr_array, lower: Floats, upper: Floats) -> None:
        """Append rows lower ≤ rows · x ≤ upper, `rows` being (k, n)."""
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

    def set_rows(self, numbers: Ints, lower: Floats, upper: Floats) -> None:
        """Give rows, by number, new sides lower ≤ row · x ≤ upper."""
        for number, low, high in zip(numbers, lower, upper):  # version 1.11 has no call for several rows
            self._highs.changeRowBounds(number, low, high)

    def add_columns(
        self,
        cost: Floats,
        lower: Floats,
        upper: Floats,
        *,
        integers: Ints | None = None,
        entries: sp.csc_array | None = None,
    ) -> Ints:
        """Append k columns; `n` grows by k. Returns their numbers.

        New rows with these columns are added after them, by `add_rows` with rows of the new width.

        Args:
            cost: (k). lower, upper: (k) bounds.
            integers: which of the k are integer, by their index 0 … k−1.
            entries: (n_rows, k) coefficients in the existing rows; none if left out.
        """
        k, number = len(cost), np.arange(self.n, self.n + len(cost))
        entries = sp.csc_array((self.n_rows, k)) if entries is None else entries
        starts, indices = entries.indptr[:-1].astype(np.int32), entries.indices.astype(np.int32)
        self._set_integral(integral=False)
        self._highs.addCols(k, cost, lower, upper, entries.nnz, starts, indices, entries.data)
        self.n += k
        self._lower, self._upper = np.concatenate([self._lower, lower]), np.concatenate([self._upper, upper])
        if integers is not None:
            self._integers = np.concatenate([self._integers, number[integers].astype(np.int32)])
        return number

    def fix(self, columns: Ints, values: Floats) -> None:
        """Fix columns at values, in place of their bounds, until another `fix`, `set_bounds` or `set_b`.

        The derivative of the optimum with respect to the values is `Answer.reduced[columns]`. Of a column with an
        equation of its own in the form (`StandardForm.with_coupling`), it is −z of that equation, too.
        """
        self.set_bounds(columns, values, values)

    def set_bounds(self, columns: Ints, lower: Floats, upper: Floats) -> None:
        """Set the bounds lower ≤ x ≤ upper of columns."""
        old = columns < len(self._form.c)
        self._bounds = self._bounds.with_bounds(columns[old], lower[old], upper[old])
        self._change_columns(columns, lower, upper)

    def set_cost(self, cost: Floats, offset: float = 0.0) -> None:
        """Set the cost of all columns, (n)."""
        self._highs.changeColsCost(self.n, np.arange(self.n, dtype=np.int32), cost)
        self._highs.changeObjectiveOffset(offset)

    def set_costs(self, columns: Ints, cost: Floats) -> None:
        """Set the cost of some columns."""
        self._highs.changeColsCost(len(columns), columns.astype(np.int32), cost)

    def row_slopes(self) -> Floats:
        """(rows) derivative of the optimum with respect to the active side of each row, after a linear solve."""
        return np.array(self._highs.getSolution().row_dual)

    def solve(
        self,
        *,
        integral: bool,
        gap: float = 0.0,
        presolve: bool = True,
        seconds: float = math.inf,
        stop: Callable[[], bool] | None = None,
        watch: Callable[[float], None] | None = None,
        cold: bool = False,
    ) -> Answer:
        """Solve the model as it is now.

        Duals come with a linear solve (not `integral`, or no integers). OPTIMAL: `z` over the rows of the form (−z is
        the derivative of the optimum with respect to b, also of rows of one entry) and `reduced` over all columns.
        INFEASIBLE, if HiGHS has a proof: the same of a ray, scaled such that every feasible b keeps 1 − zᵀ(b − b̂) ≤ 0
        and every feasible fixed x keeps 1 + reducedᵀ(x − x̂) ≤ 0, with the rows of `add_rows` unchanged.

        Args:
            integral: with integers, or their relaxation.
            gap: relative gap at which to end.
            presolve: False to solve in another way after an answer that contradicts what is known.
            seconds: time limit; some parts of the solver do not call `stop`.
            stop: called often; True ends the solve with the best answer found.
            watch: called with the lower bound of the mixed-integer solve from time to time; with −inf where those so
                far do not hold, as presolve was wrong.
            cold: solve without a warm start, so that the same model gives the same answer, bit for bit.
        """
        if cold:
            self._highs.passModel(self._highs.getLp())  # after clearSolver some state remains that changes last bits
        self._set_integral(integral=integral)
        self._hear_simplex(wanted=stop is not None)
        self._stop, self._watch = stop or _never, watch
        self._highs.setOptionValue("mip_rel_gap", gap)
        linear, began = not (integral and len(self._integers)), self._highs.getRunTime()
        status = self._run(presolve=presolve, seconds=seconds)
        if status is Status.INFEASIBLE and presolve and not linear:
            spent = self._highs.getRunTime() - began
            if watch is not None:
                watch(-math.inf)
            status = self._run(presolve=False, seconds=min(max(1.0, DOUBT * spent), seconds - spent))
            if status is Status.LIMIT and self._point()[0] is None:
                return Answer(Status.INFEASIBLE, None, math.inf, math.inf)
        if status is Status.UNBOUNDED:
            return self._without_cost(linear=linear)
        if status is Status.INFEASIBLE:
            return self._infeasible(linear=linear)
        x, value = self._point()
        if not linear:
            return Answer(status, x, value, float(self._highs.getInfo().mip_dual_bound))
        if status is not Status.OPTIMAL:
            return Answer(status, x, value, -math.inf)
        solution = self._highs.getSolution()
        y, reduced = np.array(solution.row_dual), np.array(solution.col_dual)
        return Answer(status, x, value, value, self._duals(y, reduced), reduced)

    def _run(self, *, presolve: bool, seconds: float) -> Status:
        # HiGHS adds up the time of all its runs, and asks for that of this run alone where there are integers.
        spent = 0.0 if self._integral else self._highs.getRunTime()
        self._highs.setOptionValue("time_limit", spent + max(seconds, 0.0))
        self._highs.setOptionValue("presolve", "choose" if presolve else "off")
        self._highs.run()
        return _MODEL_STATUS.get(self._highs.getModelStatus(), Status.FAILED)

    def _without_cost(self, *, linear: bool) -> Answer:
        """Distinguish unbounded from infeasible: without cost a model is never unbounded."""
        number, cost = np.arange(self.n, dtype=np.int32), np.array(self._highs.getLp().col_cost_)
        self._highs.changeColsCost(self.n, number, np.zeros(self.n))
        self._highs.run()
        status = _MODEL_STATUS.get(self._highs.getModelStatus(), Status.FAILED)
        answer = Answer(Status.UNBOUNDED if status is Status.OPTIMAL else status, None, math.nan, -math.inf)
        if status is Status.INFEASIBLE:
            answer = self._infeasible(linear=linear)
        self._highs.changeColsCost(self.n, number, cost)
        return answer

    def _point(self) -> tuple[Floats | None, float]:
        info = self._highs.getInfo()
        if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
            return None, math.nan
        return np.array(self._highs.getSolution().col_value), float(info.objective_function_value)

    def _infeasible(self, *, linear: bool) -> Answer:
        """The answer with a ray: of contradicting bounds, or of the simplex method, without presolve where needed."""
        nothing = Answer(Status.INFEASIBLE, None, math.inf, math.inf)
        if not linear:
            return nothing
        z = self._bounds.contradiction(self._tolerance)
        if z is not None:
            return replace(nothing, z=z, reduced=np.zeros(self.n))
        _, found, y = self._highs.getDualRay()
        if not found:
            self._highs.setOptionValue("presolve", "off")
            self._highs.run()
            _, found, y = self._highs.getDualRay()
        ray = self._ray(np.array(y)) if found else None
        return nothing if ray is None else replace(nothing, z=self._duals(*ray), reduced=ray[1])

    def _ray(self, y: Floats) -> tuple[Floats, Floats] | None:
        lp = self._highs.getLp()
        matrix = lp.a_matrix_
        parts = np.array(matrix.value_), np.array(matrix.index_), np.array(matrix.start_)
        layout = sp.csr_array if matrix.format_ == highspy.MatrixFormat.kRowwise else sp.csc_array
        a = sp.csr_array(layout(parts, shape=(lp.num_row_, lp.num_col_)))
        rows, columns = (lp.row_lower_, lp.row_upper_), (lp.col_lower_, lp.col_upper_)
        return proof(a, y, np.array(rows), np.array(columns))

    def _duals(self, y: Floats, reduced: Floats) -> Floats:
        return self._bounds.duals(y[: self.n_fixed_rows], reduced[: len(self._form.c)])

    def _change_columns(self, columns: Ints, lower: Floats, upper: Floats) -> None:
        self._set_integral(integral=False)
        self._lower[columns], self._upper[columns] = lower, upper
        self._hand_over(columns, lower, upper)

    def _hand_over(self, columns: Ints, lower: Floats, upper: Floats) -> None:
        if len(columns):
            self._highs.changeColsBounds(len(columns), columns.astype(np.int32), lower, upper)

    def _set_integral(self, *, integral: bool) -> None:
        """Make the integer columns integer, with rounded bounds, or continuous, with their own bounds."""
        if integral == self._integral or not len(self._integers):
            return
        kind = highspy.HighsVarType.kInteger if integral else highspy.HighsVarType.kContinuous
        self._highs.changeColsIntegrality(len(self._integers), self._integers, np.full(len(self._integers), kind))
        lower, upper = self._lower[self._integers], self._upper[self._integers]
        whole = np.ceil(lower - INTEGRALITY), np.floor(upper + INTEGRALITY)
        moved = (whole[0] != lower) | (whole[1] != upper)
        lower, upper = whole if integral else (lower, upper)
        self._hand_over(self._integers[moved], lower[moved], upper[moved])
        self._integral = integral

    def _hear_simplex(self, *, wanted: bool) -> None:
        """Ask at every iteration whether to stop, or not at all, which saves a tenth of the time of a short program."""
        if wanted and self._stop is _never:
            self._highs.cbSimplexInterrupt += self._interrupt
        elif not wanted and self._stop is not _never:
            self._highs.cbSimplexInterrupt -= self._interrupt

    def _interrupt(self, event: highspy.highs.HighsCallbackEvent) -> None:
        if event.data_in is not None:  # HiGHS keeps the request, also for the next run, until it is reset
            event.data_in.user_interrupt = self._stop()

    def _report(self, event: highspy.highs.HighsCallbackEvent) -> None:
        if self._watch is not None and math.isfinite(bound := float(event.data_out.mip_dual_bound)):
            self._watch(bound)  # none is left where it was interrupted


def least_cost(
    cost: Floats, rows: sp.csr_array, most: Floats, bounds: Floats, start: highspy.HighsBasis | None = None
) -> tuple[Floats | None, highspy.HighsBasis]:
    """An optimum of min cost · x with rows · x ≤ most, None where none was found, and its basis.

    Args:
        bounds: (n, 2) of x. start: basis of a program of the same size and nearly the same numbers.
    """
    highs, lp = highspy.Highs(), highspy.HighsLp()
    highs.setOptionValue("output_flag", False)
    lp.num_row_, lp.num_col_ = rows.shape
    lp.col_cost_, lp.col_lower_, lp.col_upper_ = cost, bounds[:, 0], bounds[:, 1]
    lp.row_lower_, lp.row_upper_ = np.full(len(most), -np.inf), most
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = rows.indptr, rows.indices, rows.data
    highs.passModel(lp)
    if start is not None:
        highs.setBasis(start)
    highs.run()
    is_optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return np.array(highs.getSolution().col_value) if is_optimal else None, highs.getBasis()


def _never() -> bool:
    return False


def _linear_program(form: StandardForm, bounds: BoundedForm) -> highspy.HighsLp:
    lp = highspy.HighsLp()
    lp.num_col_, lp.num_row_ = len(form.c), len(bounds.rows)
    lp.col_cost_, lp.offset_ = form.c, form.offset
    lp.col_lower_, lp.col_upper_ = bounds.lower, bounds.upper
    lp.row_lower_, lp.row_upper_ = bounds.row_lower, bounds.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = bounds.a.indptr, bounds.a.indices, bounds.a.data
    return lp
