"""Compilation: a CVXPY model is put in standard form, once.

Models here are affine but for their cones, so that they need no reduction. Only the last step of CVXPY is used, which
makes the matrix of affine expressions: the reductions before it copy and check every expression several times, which
takes more than half of the time.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cvxpy as cp
import numpy as np
import scipy.sparse as sp
from cvxpy.constraints.nonpos import Inequality
from cvxpy.constraints.zero import Equality
from cvxpy.cvxcore.python.canonInterface import get_problem_matrix
from cvxpy.lin_ops.lin_op import CONSTANT_ID

from openpoint.arrays import Floats, Ints
from openpoint.solvers.form import StandardForm


def compile_model(
    cost: cp.Expression,
    constraints: Sequence[cp.Constraint],
    integers: Iterable[cp.Variable] = (),
    also: Iterable[cp.Variable] = (),
) -> StandardForm:
    """Put a model in standard form. Integer variables must be declared as continuous ones in CVXPY.

    Args:
        cost: affine. constraints: linear, and second-order cones.
        integers: variables that are integer.
        also: variables that must have columns even where no constraint mentions them.
    """
    integers = tuple(integers)
    # A variable without constraints would have no column; a constraint without effect gives it one.
    mentioned = {v.id for c in constraints for v in c.variables()} | {v.id for v in cost.variables()}
    extra = [v == v for v in (*integers, *also) if v.id not in mentioned]
    problem = cp.Problem(cp.Minimize(cost), [*constraints, *extra])
    return _directly(problem, integers) or _by_reductions(problem, integers)


def _directly(problem: cp.Problem, integers: tuple[cp.Variable, ...]) -> StandardForm | None:
    """The form of a model of equations, inequalities and cones in plain variables; None of any other."""
    variables = problem.variables()
    if problem.parameters() or any(any(variable.attributes.values()) for variable in variables):
        return None
    equations = [c for c in problem.constraints if isinstance(c, Equality)]
    inequalities = [c for c in problem.constraints if isinstance(c, Inequality)]
    cones = [c for c in problem.constraints if isinstance(c, cp.SOC) and c.axis == 0 and c.args[1].ndim == 2]
    if len(equations) + len(inequalities) + len(cones) < len(problem.constraints):
        return None
    starts = np.cumsum([0, *(variable.size for variable in variables)])
    offsets = {variable.id: int(start) for variable, start in zip(variables, starts[:-1])}
    expressions = [problem.objective.expr, *(c.expr for c in (*equations, *inequalities))]
    expressions += [part for c in cones for part in c.args]
    found = _matrix(expressions, offsets, int(starts[-1]))
    if found is None:
        return None
    a, b = found
    n_zero, n_nonneg = (sum(c.size for c in some) for some in (equations, inequalities))
    order, sign = [np.arange(1, 1 + n_zero + n_nonneg)], [np.ones(n_zero + n_nonneg)]
    row = 1 + n_zero + n_nonneg
    sizes: list[int] = []
    for cone in cones:  # an entry of the first part is at least the norm of a column of the second
        count, height = cone.args[0].size, cone.args[1].shape[0]
        rest = row + count + np.arange(count * height).reshape(count, height)
        order.append(np.column_stack([row + np.arange(count), rest]).ravel())
        sign.append(np.full(count * (height + 1), -1.0))
        sizes += [height + 1] * count
        row += count * (height + 1)
    rows, signs = np.concatenate(order), np.concatenate(sign)
    columns = {variable.id: np.arange(start, start + variable.size) for variable, start in zip(variables, starts)}
    return StandardForm(
        c=a[[0], :].toarray().ravel(),
        offset=float(b[0]),
        a=sp.csc_array(sp.diags_array(signs) @ a[rows, :]),
        b=-signs * b[rows],
        n_zero=n_zero,
        n_nonneg=n_nonneg,
        cones=tuple(sizes),
        integers=_columns_of(integers, columns),
        columns=columns,
    )


def _matrix(
    expressions: list[cp.Expression], offsets: dict[int, int], width: int
) -> tuple[sp.csr_array, Floats] | None:
    """(rows, width) coefficients of affine expressions, stacked, and their constants; None if one is not affine."""
    rows = sum(expression.size for expression in expressions)
    try:
        forms = [expression.canonical_form for expression in expressions]
    except NotImplementedError:
        return None
    if any(form[1] for form in forms):
        return None
    size, column = {CONSTANT_ID: 1}, {CONSTANT_ID: 0}
    flat = get_problem_matrix([form[0] for form in forms], width, offsets, size, column, rows).tocoo()
    entry, value = flat.coords[0], flat.data
    whole = sp.csc_array((value, (entry % rows, entry // rows)), shape=(rows, width + 1))
    return sp.csr_array(whole[:, :width]), whole[:, [width]].toarray().ravel()


def _by_reductions(problem: cp.Problem, integers: tuple[cp.Variable, ...]) -> StandardForm:
    """The form of any model that CVXPY can bring to it."""
    data, _, _ = problem.get_problem_data(cp.CLARABEL)
    program, dims = data["param_prob"], data["dims"]
    columns = {
        variable.id: np.arange(start, start + variable.size)
        for variable in problem.variables()
        if (start := program.var_id_to_col.get(variable.id)) is not None
    }
    return StandardForm(
        c=np.asarray(data["c"], dtype=np.float64),
        offset=float(program.apply_parameters()[1]),
        a=sp.csc_array(data["A"]),
        b=np.asarray(data["b"], dtype=np.float64),
        n_zero=int(dims.zero),
        n_nonneg=int(dims.nonneg),
        cones=tuple(int(d) for d in dims.soc),
        integers=_columns_of(integers, columns),
        columns=columns,
    )


def _columns_of(variables: tuple[cp.Variable, ...], columns: dict[int, Ints]) -> Ints:
    return np.concatenate([columns[v.id] for v in variables]) if variables else np.empty(0, dtype=np.int64)
