"""Every solver by its name, and its one-shot solve, imported at the first use."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from openpoint.errors import OptionError
from openpoint.solvers.base import (
    CLARABEL,
    GUROBI,
    HIGHS,
    MOSEK,
    SCIP,
    Capabilities,
    Solve,
    StandardForm,
    require,
    require_package,
    way_out,
)


@dataclass(frozen=True)
class Solver:
    """A solver: its capabilities, and the import of its solve."""

    capabilities: Capabilities
    load: Callable[[], Solve]


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


SOLVERS = MappingProxyType(
    {
        solver.capabilities.name: solver
        for solver in (
            Solver(HIGHS, _highs),
            Solver(CLARABEL, _clarabel),
            Solver(SCIP, _scip),
            Solver(GUROBI, _gurobi),
            Solver(MOSEK, _mosek),
        )
    }
)


def choose(name: str, form: StandardForm) -> Solve:
    """The one-shot solve of a solver, if it can take the model.

    Raises:
        OptionError: the name is unknown, or the solver lacks what the model needs (the text names who has it).
        MissingExtraError: its package is not installed.
    """
    if name not in SOLVERS:
        raise OptionError(f"unknown solver {name!r}; known are {', '.join(SOLVERS)}")
    solver, cones, integers = SOLVERS[name], bool(form.cones), bool(len(form.integers))
    require(solver.capabilities, cones=cones, integers=integers, way_out=way_out(cones=cones, integers=integers))
    require_package(solver.capabilities)
    return solver.load()
