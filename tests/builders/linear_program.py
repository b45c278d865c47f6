"""Linear programs of oracles, by HiGHS itself: `scipy.optimize.linprog` takes as long again for its arguments."""

import math
from typing import Any

import highspy
import numpy as np
import scipy.sparse as sp


def least(cost: np.ndarray, ub: Any, ub_b: Any, eq: Any, eq_b: Any, low: np.ndarray, high: np.ndarray) -> float:
    """The least cost · x of ub x ≤ ub_b, eq x = eq_b, low ≤ x ≤ high; inf where there is none."""
    n = len(cost)
    a = sp.csr_array(sp.vstack([sp.csr_array(part) for part in (ub, eq)]))
    program = highspy.HighsLp()
    program.num_col_, program.num_row_ = n, a.shape[0]
    program.col_cost_, program.col_lower_, program.col_upper_ = cost, low, high
    program.row_lower_ = np.concatenate([np.full(len(ub_b), -np.inf), eq_b])
    program.row_upper_ = np.concatenate([ub_b, eq_b])
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_, program.a_matrix_.index_, program.a_matrix_.value_ = a.indptr, a.indices, a.data
    highs = highspy.Highs()
    highs.setOptionValue("output_flag", False)
    highs.passModel(program)
    highs.run()
    found = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    return float(highs.getInfo().objective_function_value) if found else math.inf
