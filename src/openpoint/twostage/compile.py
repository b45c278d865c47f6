"""Compile: a CVXPY model put in standard form, once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

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
    # A variable that no constraint mentions would have no column; bind it harmlessly.
    mentioned = {v.id for c in constraints for v in c.variables()} | {v.id for v in cost.variables()}
    extra = [v == v for v in (*integers, *also) if v.id not in mentioned]
    problem = cp.Problem(cp.Minimize(cost), [*constraints, *extra])
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
        integers=np.concatenate([columns[v.id] for v in integers]) if integers else np.empty(0, dtype=np.int64),
        columns=columns,
    )
