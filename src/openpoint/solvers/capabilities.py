"""Capabilities of the solvers, as data, and checks of a model against them before a solver is imported."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec

from openpoint.errors import MissingExtraError, OptionError, pip_command


@dataclass(frozen=True)
class Capabilities:
    """The capabilities of a solver; checked before it runs.

    Attributes:
        name: name in options. cones: second-order cones. integers: integer columns, also together with cones.
        duals: duals of models without integers, and a ray where they are infeasible; with cones if `cone_rays`.
        extra: pip extra that installs it, empty if always installed. package: name of its module.
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
        """What a model needs and the solver lacks, in words; empty if the solver takes the model."""
        needs = (("second-order cones", cones, self.cones), ("integers", integers, self.integers))
        return " and no ".join(word for word, needed, has in needs if needed and not has)


@dataclass(frozen=True)
class Size:
    """Size limits of a licence: rows (cones counted) and columns, with a smaller number of columns for cones."""

    rows: int
    columns: int
    columns_with_cones: int


HIGHS = Capabilities(name="highs", package="highspy", cones=False, integers=True, duals=True)
CLARABEL = Capabilities(name="clarabel", package="clarabel", cones=True, integers=False, duals=True, cone_rays=True)
SCIP = Capabilities(name="scip", package="pyscipopt", extra="scip", cones=True, integers=True, duals=False)
GUROBI = Capabilities(
    name="gurobi",
    package="gurobipy",
    extra="gurobi",
    cones=True,
    integers=True,
    duals=True,
    free=Size(rows=2000, columns=2000, columns_with_cones=200),
)
MOSEK = Capabilities(
    name="mosek",
    package="mosek",
    extra="mosek",
    cones=True,
    integers=True,
    duals=True,
    cone_rays=True,
    free=Size(rows=0, columns=0, columns_with_cones=0),
)
ALL = (HIGHS, CLARABEL, SCIP, GUROBI, MOSEK)


def require(capabilities: Capabilities, *, cones: bool, integers: bool, way_out: str) -> None:
    """Refuse a model that the solver cannot take, before it runs.

    Raises:
        OptionError: naming what is missing and what to do.
    """
    if lacking := capabilities.lacking(cones=cones, integers=integers):
        raise OptionError(f"{capabilities.name} has no {lacking}; {way_out}")


def way_out(*, cones: bool, integers: bool, other_than: str = "") -> str:
    """The solvers that take such a model, in words."""
    others = [c for c in ALL if c.name != other_than]
    takers = [c for c in others if not c.lacking(cones=cones, integers=integers)]
    return "use " + " or ".join(c.name + (f" ({pip_command(c.extra)})" if c.extra else "") for c in takers)


def require_package(capabilities: Capabilities) -> None:
    """Refuse a solver that is not installed, without importing it.

    Raises:
        MissingExtraError: naming the pip command.
    """
    if find_spec(capabilities.package) is None:
        raise MissingExtraError(capabilities.package, capabilities.extra, f"The solver {capabilities.name}")
