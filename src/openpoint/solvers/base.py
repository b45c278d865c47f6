"""What every solver answers, and what each can take."""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Protocol

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.solvers.form import StandardForm


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
        name: name in options. cones: second-order cones. integers: integer columns, also together with cones.
        duals: duals of models without integers, and a ray where they are infeasible; with cones if `cone_rays`.
        extra: pip extra that brings it, empty if always there. package: its name where it is imported.
        free: size up to which no licence is needed; None if none ever is.
    """

    name: str
    cones: bool
    integers: bool
    duals: bool
    extra: str = ""
    package: str = ""
    cone_rays: bool = False
    free: Size | None = None

    def lacking(self, *, cones: bool, integers: bool) -> str:
        """What a model needs and the solver has not, in words; empty if it takes the model."""
        needs = (("second-order cones", cones, self.cones), ("integers", integers, self.integers))
        return " and no ".join(word for word, needed, has in needs if needed and not has)


@dataclass(frozen=True)
class Size:
    """Size of a model as a licence counts it: rows (cones too) and columns, fewer of these where there are cones."""

    rows: int
    columns: int
    columns_with_cones: int


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


class Solve(Protocol):
    """One solve of one model, from nothing."""

    def __call__(
        self, form: StandardForm, *, gap: float = 0.0, seconds: float = math.inf, tolerance: float | None = None
    ) -> Answer:
        """Solve a model that the solver can take (`catalog.choose` asks before).

        Args:
            form: the model.
            gap: relative gap at which a model with integers may end.
            seconds: most to spend; an answer LIMIT keeps the bound proven so far.
            tolerance: feasibility and duality tolerance; None is what suits the solver.

        Raises:
            MissingExtraError: the package is not installed.
            OptionError: the solver cannot take the model, or its licence is missing or too small.
        """
        ...


def require(capabilities: Capabilities, *, cones: bool, integers: bool, way_out: str) -> None:
    """Refuse a model that the solver cannot take, before it runs.

    Raises:
        OptionError: naming what is missing and the way out.
    """
    if lacking := capabilities.lacking(cones=cones, integers=integers):
        raise OptionError(f"{capabilities.name} has no {lacking}; {way_out}")
