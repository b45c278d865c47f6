"""The catalog of solvers, and the commercial ones as far as they go without a licence."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.errors import MissingExtraError, OptionError, pip_command
from openpoint.solvers import gurobi
from openpoint.solvers import mosek as ours
from openpoint.solvers.base import ALL, Status, way_out
from openpoint.solvers.catalog import SOLVERS, choose
from tests.solvers.models import form_of, solvable

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
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
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


pytest.importorskip("gurobipy")


def test_gurobi_without_a_licence_names_the_way_out() -> None:
    """Where a licence is installed, the model is solved."""
    n = 2001  # the licence of the package takes 2,000 columns
    try:
        answer = gurobi.solve(form_of(np.ones(n), np.vstack([-np.ones((1, n)), -np.eye(n)]), [-1.0, *np.zeros(n)], 0))
    except OptionError as error:
        assert "install a licence" in str(error)  # noqa: PT017
        assert "or use highs or clarabel" in str(error)  # noqa: PT017
    else:
        assert answer.value == pytest.approx(1.0)


mosek: Any = pytest.importorskip("mosek")


def test_without_a_licence_it_says_what_to_do() -> None:
    form = solvable(0, cones=True)
    with mosek.Env() as env:
        try:
            env.checkoutlicense(mosek.feature.pton)
        except mosek.Error:
            pass
        else:
            pytest.skip("a MOSEK licence is installed")
    with pytest.raises(OptionError, match=r"no licence.*mosek\.lic.*MOSEKLM_LICENSE_FILE, or use clarabel or scip"):
        ours.solve(form)


@pytest.mark.parametrize("cones", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_the_task_is_the_model(seed: int, cones: bool) -> None:
    form = solvable(seed, cones=cones, integers=True)
    m, n = form.n_zero + form.n_nonneg, len(form.c)
    with mosek.Env() as env, env.Task() as task:
        ours.load(task, form)
        rows, columns, values = task.getatrip()
        a = sp.coo_array((values, (rows, columns)), shape=(m, n)).toarray()
        assert (a == form.a.toarray()[:m]).all()
        keys, lower, upper = task.getconboundslice(0, m)
        assert list(keys) == [mosek.boundkey.fx] * form.n_zero + [mosek.boundkey.up] * form.n_nonneg
        assert (np.array(upper) == form.b[:m]).all()
        assert (np.array(lower)[: form.n_zero] == form.b[: form.n_zero]).all()
        assert (np.array(task.getc()) == form.c).all()
        assert task.getcfix() == form.offset
        whole = [i for i in range(n) if task.getvartype(i) == mosek.variabletype.type_int]
        assert whole == sorted(form.integers)
        assert all(task.getvarbound(i)[0] == mosek.boundkey.fr for i in range(n))
        assert [task.getaccn(i) for i in range(task.getnumacc())] == list(form.cones)
        if cones:
            rows, columns, values = task.getaccftrip()
            f = sp.coo_array((values, (rows, columns)), shape=(sum(form.cones), n)).toarray()
            assert (f == -form.a.toarray()[m:]).all()
            assert (np.array(task.getaccgvector()) == form.b[m:]).all()


@dataclass
class Ended:
    """A task after its solve, as far as `read` asks."""

    solsta: Any
    prosta: Any
    kinds: tuple[Any, ...]
    bound: float | None = None
    asked: list[str] = field(default_factory=list)

    def solutiondef(self, kind: Any) -> bool:
        return kind in self.kinds

    def getsolsta(self, kind: Any) -> Any:
        return self.solsta

    def getprosta(self, kind: Any) -> Any:
        return self.prosta

    def getxx(self, kind: Any) -> list[float]:
        return [1.0]

    def getprimalobj(self, kind: Any) -> float:
        return 5.0

    def getdualobj(self, kind: Any) -> float:
        return 4.0

    def getintinf(self, item: Any) -> int:
        return int(self.bound is not None)

    def getdouinf(self, item: Any) -> float:
        assert self.bound is not None
        return self.bound


def test_every_end_is_read() -> None:
    s, p, itr, itg = mosek.solsta, mosek.prosta, mosek.soltype.itr, mosek.soltype.itg
    linear, integer = solvable(0, cones=True), solvable(0, integers=True)
    read = ours.read
    done = read(Ended(s.optimal, p.prim_and_dual_feas, (itr,)), linear, limited=False)
    assert (done.status, done.value, done.bound) == (Status.OPTIMAL, 5.0, 4.0)
    none = read(Ended(s.prim_infeas_cer, p.prim_infeas, (itr,)), linear, limited=False)
    assert (none.status, none.x, none.bound) == (Status.INFEASIBLE, None, np.inf)
    assert read(Ended(s.dual_infeas_cer, p.dual_infeas, (itr,)), linear, limited=False).status is Status.UNBOUNDED
    assert read(Ended(s.unknown, p.unknown, (itr,)), linear, limited=True).status is Status.LIMIT
    assert read(Ended(s.unknown, p.unknown, (itr,)), linear, limited=False).status is Status.FAILED
    whole = read(Ended(s.integer_optimal, p.prim_feas, (itg,), 4.5), integer, limited=False)
    assert (whole.status, whole.value, whole.bound, whole.z) == (Status.OPTIMAL, 5.0, 4.5, None)
    late = read(Ended(s.prim_feas, p.prim_feas, (itg,), 4.5), integer, limited=True)
    assert (late.status, late.value, late.bound) == (Status.LIMIT, 5.0, 4.5)
    nothing = read(Ended(s.unknown, p.unknown, ()), integer, limited=True)
    assert (nothing.status, nothing.x, nothing.bound) == (Status.LIMIT, None, -np.inf)
    assert read(Ended(s.unknown, p.prim_infeas, (itg,)), integer, limited=False).status is Status.INFEASIBLE
