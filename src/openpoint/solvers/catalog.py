"""Every solver by its name: what it can take, and its one-shot solve, imported when asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType

from openpoint.errors import MissingExtraError, OptionError, pip_command
from openpoint.solvers.base import Capabilities, Size, Solve, require
from openpoint.solvers.form import StandardForm

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


@dataclass(frozen=True)
class Solver:
    """What a solver can take, the import of its solve, and the refusal where a licence is missing."""

    capabilities: Capabilities
    load: Callable[[], Solve]
    check_licence: Callable[[StandardForm], None] = lambda form: None


def _highs() -> Solve:
    from openpoint.solvers.highs import solve

    return solve


def _clarabel() -> Solve:
    from openpoint.solvers.clarabel import solve

    return solve


def _scip() -> Solve:
    from openpoint.solvers.scip import solve

    return solve


def _gurobi() -> Solve:
    from openpoint.solvers.gurobi import solve

    return solve


def _mosek() -> Solve:
    from openpoint.solvers.mosek import solve

    return solve


def _gurobi_licence(form: StandardForm) -> None:
    from openpoint.solvers.gurobi import check_licence

    check_licence(form)


def _mosek_licence(form: StandardForm) -> None:
    from openpoint.solvers.mosek import check_licence

    check_licence(form)


SOLVERS = MappingProxyType(
    {
        solver.capabilities.name: solver
        for solver in (
            Solver(HIGHS, _highs),
            Solver(CLARABEL, _clarabel),
            Solver(SCIP, _scip),
            Solver(GUROBI, _gurobi, _gurobi_licence),
            Solver(MOSEK, _mosek, _mosek_licence),
        )
    }
)


def choose(name: str, form: StandardForm) -> Solve:
    """The one-shot solve of a solver, if it can take the model.

    Raises:
        OptionError: the name is unknown, the solver lacks what the model needs (the text names who has it), or its
            licence is missing or too small.
        MissingExtraError: its package is not installed.
    """
    if name not in SOLVERS:
        raise OptionError(f"unknown solver {name!r}; known are {', '.join(SOLVERS)}")
    solver, cones, integers = SOLVERS[name], bool(form.cones), bool(len(form.integers))
    require(solver.capabilities, cones=cones, integers=integers, way_out=way_out(cones=cones, integers=integers))
    require_package(solver.capabilities)
    solver.check_licence(form)
    return solver.load()


def way_out(*, cones: bool, integers: bool, other_than: str = "") -> str:
    """Who takes such a model, in words."""
    known = [solver.capabilities for name, solver in SOLVERS.items() if name != other_than]
    takers = [c for c in known if not c.lacking(cones=cones, integers=integers)]
    return "use " + " or ".join(c.name + (f" ({pip_command(c.extra)})" if c.extra else "") for c in takers)


def require_package(capabilities: Capabilities) -> None:
    """Refuse a solver that is not installed, without importing it.

    Raises:
        MissingExtraError: naming the pip command.
    """
    if find_spec(capabilities.package) is None:
        raise MissingExtraError(capabilities.package, capabilities.extra, f"The solver {capabilities.name}")
