"""The catalog: what is refused before it runs, by which words, and what is imported for it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from openpoint.errors import MissingExtraError, OptionError, pip_command
from openpoint.solvers import capabilities
from openpoint.solvers.capabilities import ALL, way_out
from openpoint.solvers.catalog import SOLVERS, choose
from tests.solvers.models import solvable

EXTRAS = [name for name, solver in SOLVERS.items() if solver.capabilities.extra]


def test_names_are_those_of_the_capabilities() -> None:
    assert list(SOLVERS) == ["highs", "clarabel", "scip", "gurobi", "mosek"]
    assert [solver.capabilities for solver in SOLVERS.values()] == list(ALL)
    assert all(name == solver.capabilities.name for name, solver in SOLVERS.items())


@pytest.mark.parametrize(
    ("name", "cones", "integers", "words"),
    [
        ("highs", True, False, "highs has no second-order cones; use clarabel or scip (pip install 'pyscipopt<7,>=6')"),
        ("highs", True, True, "highs has no second-order cones; use scip (pip install 'pyscipopt<7,>=6') or gurobi"),
        ("clarabel", False, True, "clarabel has no integers; use highs or scip"),
        ("clarabel", True, True, "clarabel has no integers; use scip"),
    ],
)
def test_what_a_solver_cannot_take_is_refused_with_the_way_out(
    name: str, cones: bool, integers: bool, words: str
) -> None:
    form = solvable(0, cones=cones, integers=integers)
    for refused in (lambda: choose(name, form), lambda: SOLVERS[name].load()(form)):
        with pytest.raises(OptionError) as error:
            refused()
        assert str(error.value).startswith(words)


def test_the_way_out_names_only_who_takes_the_model() -> None:
    for cones in (False, True):
        for integers in (False, True):
            words = way_out(cones=cones, integers=integers, other_than="gurobi")
            for name, solver in SOLVERS.items():
                takes = not solver.capabilities.lacking(cones=cones, integers=integers)
                assert (name in words) == (takes and name != "gurobi")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(OptionError, match="unknown solver 'cplex'; known are highs, clarabel, scip, gurobi, mosek"):
        choose("cplex", solvable(0))


@pytest.mark.parametrize("name", EXTRAS)
def test_a_missing_package_is_named_with_its_command(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capabilities, "find_spec", lambda package: None)
    solver, form = SOLVERS[name], solvable(0)
    for refused in (lambda: choose(name, form), lambda: solver.load()(form)):
        with pytest.raises(MissingExtraError) as error:
            refused()
        package, extra = solver.capabilities.package, solver.capabilities.extra
        assert f"{package!r}: {pip_command(extra)}" in str(error.value)


def test_the_catalog_imports_no_solver() -> None:
    code = "import openpoint.solvers.catalog, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not set(done.stdout.split()) & {solver.capabilities.package for solver in SOLVERS.values()}
