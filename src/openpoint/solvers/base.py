"""What every solver answers, and what each can take."""

from __future__ import annotations

import enum
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from openpoint.errors import OptionError

Floats = npt.NDArray[np.float64]


class Status(enum.Enum):
    """How a solve ended. LIMIT: stopped by time or interrupt, the bound is valid. FAILED: numerical trouble."""

    OPTIMAL = "optimal"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    LIMIT = "limit"
    FAILED = "failed"


@dataclass(frozen=True)
class Capabilities:
    """What a solver can take; checked before it runs.

    Attributes:
        name: name in options. cones: second-order cones. integers: integer columns. duals: exact duals.
        extra: pip extra that brings it, empty if always there.
    """

    name: str
    cones: bool
    integers: bool
    duals: bool
    extra: str = ""


@dataclass(frozen=True)
class Answer:
    """What a solve gives.

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


def require(capabilities: Capabilities, *, cones: bool, integers: bool, way_out: str) -> None:
    """Refuse a model that the solver cannot take, before it runs.

    Raises:
        OptionError: naming what is missing and the way out.
    """
    lacking = [
        word
        for word, needed, has in (
            ("second-order cones", cones, capabilities.cones),
            ("integers", integers, capabilities.integers),
        )
        if needed and not has
    ]
    if lacking:
        raise OptionError(f"{capabilities.name} has no {' and no '.join(lacking)}; {way_out}")
