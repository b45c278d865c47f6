"""The interface of solvers: one solve, its status, its answer."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Protocol

from openpoint.arrays import Floats
from openpoint.solvers.form import StandardForm


class Status(enum.Enum):
    """How a solve ended. LIMIT: stopped by time or interrupt, the bound is valid. FAILED: numerical trouble."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "limit"
    FAILED = "failed"


@dataclass(frozen=True)
class Answer:
    """The answer of a solve.

    Attributes:
        status: how it ended.
        x: (n) primal point, None if there is none.
        value: cost at x (nan if none). bound: proven lower bound of the cost.
        z: (m) dual of A x + s = b (cone solvers): −z is the derivative of the optimum with respect to b. Where
            INFEASIBLE, a ray with Aᵀz = 0, z in the dual cone, bᵀz < 0.
        reduced: (n) derivative of the optimum with respect to the active bound, or the fixed value, of each column;
            of solvers with bounds of columns in place of rows of one entry. Where INFEASIBLE, that of the ray.
    """

    status: Status
    x: Floats | None
    value: float
    bound: float
    z: Floats | None = None
    reduced: Floats | None = None


class Solve(Protocol):
    """One solve of one model, without a warm start."""

    def __call__(
        self, form: StandardForm, *, gap: float = 0.0, seconds: float = math.inf, tolerance: float | None = None
    ) -> Answer:
        """Solve a model that the solver can take (`catalog.choose` checks this before).

        Args:
            form: the model.
            gap: relative gap at which a model with integers may end.
            seconds: time limit; an answer LIMIT has the bound proven so far.
            tolerance: feasibility and duality tolerance; None is the default for the solver.

        Raises:
            MissingExtraError: the package is not installed.
            OptionError: the solver cannot take the model, or its licence is missing or too small.
        """
        ...
