"""The interface of solvers: one solve, its status, its answer.

Standard form: the arrays that every solver takes.

min cᵀx + d   s.t.   A x + s = b,   s ∈ {0}ᵃ × R₊ᵇ × SOC × …,   x_i integer for i in `integers`
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.errors import OptionError, pip_command, require_extra


class Identified(Protocol):
    """A variable of a model: an object with an id and a number of entries."""

    id: int
    size: int


@dataclass(frozen=True)
class StandardForm:
    """A compiled model.

    Attributes:
        c: (n) cost. offset: constant of the cost.
        a: (m, n) rows, first the `n_zero` equations, then `n_nonneg` inequalities, then the cones.
        b: (m) right-hand side.
        cones: dimensions of the second-order cones, first row ≥ norm of the others.
        integers: columns that are integer.
        columns: columns of each variable of the model, by the variable's id.
    """

    c: Floats
    offset: float
    a: sp.csc_array
    b: Floats
    n_zero: int
    n_nonneg: int
    cones: tuple[int, ...]
    integers: Ints
    columns: dict[int, Ints]

    def of(self, variable: Identified) -> Ints:
        """Columns of a variable, in Fortran order of its entries."""
        return self.columns[variable.id] if variable.size else np.arange(0)

    def with_coupling(self, columns: Ints) -> StandardForm:
        """The model with x[columns] = x̂ as its first equations, b[:len(columns)] = x̂ to be set (0 here)."""
        n = len(columns)
        rows = sp.csc_array((np.ones(n), (np.arange(n), columns)), shape=(n, self.a.shape[1]))
        return replace(
            self,
            a=sp.csc_array(sp.vstack([rows, self.a])),
            b=np.concatenate([np.zeros(n), self.b]),
            n_zero=self.n_zero + n,
        )

    def with_inequalities(self, a: sp.csr_array, b: Floats) -> StandardForm:
        """The model with a x ≤ b as its last inequalities."""
        m = self.n_zero + self.n_nonneg
        own = sp.csr_array(self.a)
        return replace(
            self,
            a=sp.csc_array(sp.vstack([own[:m], a, own[m:]])),
            b=np.concatenate([self.b[:m], b, self.b[m:]]),
            n_nonneg=self.n_nonneg + len(b),
        )


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


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a solver; checked before it runs.

    Attributes:
        name: name in options. cones: second-order cones. integers: integer columns, also together with cones.
        duals: duals of models without integers, and a ray where they are infeasible.
        extra: pip extra that installs it, empty if always installed. package: name of its module.
    """

    name: str
    cones: bool
    integers: bool
    duals: bool
    extra: str = ""
    package: str = ""

    def lacking(self, *, cones: bool, integers: bool) -> str:
        """What a model needs and the solver lacks, in words; empty if the solver takes the model."""
        needs = (("second-order cones", cones, self.cones), ("integers", integers, self.integers))
        return " and no ".join(word for word, needed, has in needs if needed and not has)


HIGHS = Capabilities(name="highs", package="highspy", cones=False, integers=True, duals=True)
CLARABEL = Capabilities(name="clarabel", package="clarabel", cones=True, integers=False, duals=True)
SCIP = Capabilities(name="scip", package="pyscipopt", extra="scip", cones=True, integers=True, duals=False)
SOLVERS = MappingProxyType({each.name: each for each in (HIGHS, CLARABEL, SCIP)})
"""Every solver by its name."""


def require(capabilities: Capabilities, *, cones: bool, integers: bool, way_out: str) -> None:
    """Refuse a model that the solver cannot take, before it runs.

    Raises:
        OptionError: naming what is missing and what to do.
    """
    if lacking := capabilities.lacking(cones=cones, integers=integers):
        raise OptionError(f"{capabilities.name} has no {lacking}; {way_out}")


def way_out(*, cones: bool, integers: bool) -> str:
    """The solvers that take such a model, in words."""
    takers = [c for c in SOLVERS.values() if not c.lacking(cones=cones, integers=integers)]
    return "use " + " or ".join(c.name + (f" ({pip_command(c.extra)})" if c.extra else "") for c in takers)


def require_package(capabilities: Capabilities) -> None:
    """Refuse a solver that is not installed, without importing it.

    Raises:
        MissingExtraError: naming the pip command.
    """
    require_extra(capabilities.package, capabilities.extra, f"The solver {capabilities.name}")
