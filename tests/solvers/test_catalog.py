"""The catalog of solvers, and the commercial ones as far as they go without a licence."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.errors import MissingExtraError, OptionError, pip_command
from openpoint.solvers import base, gurobi
from openpoint.solvers import mosek as ours
from openpoint.solvers.base import ALL, Status, way_out
from openpoint.solvers.catalog import SOLVERS, choose
from openpoint.solvers.clarabel import ClarabelModel
from tests.solvers.conformance import assert_optimal
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
    monkeypatch.setattr(base, "find_spec", lambda package: None)
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


def test_gurobi_without_a_licence_takes_what_its_package_allows() -> None:
    """Where a licence is installed, everything is taken."""
    columns, cones = 2000, 50

    def wide(n: int) -> None:
        choose("gurobi", form_of(np.ones(n), -np.ones((1, n)), [-1.0], 0))

    def conic(n: int) -> None:
        choose("gurobi", form_of(np.ones(n), -np.eye(cones, n), np.zeros(cones), 0, [cones]))

    wide(columns)
    conic(200 - cones)
    if not gurobi._only_free():
        pytest.skip("a Gurobi licence is installed")
    with pytest.raises(
        OptionError, match=r"takes 2000 rows and 2000 columns, the model has 1 and 2001; .* or use highs"
    ):
        wide(columns + 1)
    with pytest.raises(
        OptionError, match=r"takes 2000 rows and 200 columns, the model has 51 and 201; .* or use clarabel"
    ):
        conic(201 - cones)
    rows = np.ones((2001, 2)) * np.arange(1.0, 2002.0)[:, None]
    with pytest.raises(OptionError, match="the model has 2001 and 2"):
        gurobi.check_licence(form_of([1.0, 1.0], rows, np.ones(2001), 0))


def test_duals_of_cone_programs_are_right_or_left_out() -> None:
    """At the apex of a cone the multipliers of u·u ≤ t² do not add up; of 40 models few have their optimum there."""
    missing = 0
    for seed in range(40):
        form = solvable(seed, cones=True)
        answer = gurobi.solve(form)
        if answer.z is None:
            missing += 1
            assert answer.bound == pytest.approx(answer.value, abs=1e-5)
        else:
            assert_optimal(form, answer, tolerance=1e-5)
    assert missing <= 3


def test_the_duals_of_an_optimum_at_the_apex_are_left_out_or_right() -> None:
    """min t over |(x, y)| ≤ t with x + y ≥ 0: the apex."""
    rows = [[-1.0, -1.0, 0.0], [0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]
    form = form_of([0.3, 0.2, 1.0], rows, np.zeros(4), 0, [3])
    answer = gurobi.solve(form)
    assert answer.value == pytest.approx(0.0, abs=1e-6)
    if answer.z is not None:
        assert_optimal(form, answer, tolerance=1e-5)


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
    for refused in (lambda: choose("mosek", form), lambda: ours.solve(form)):
        with pytest.raises(OptionError, match=r"no licence.*mosek\.lic.*MOSEKLM_LICENSE_FILE, or use clarabel or scip"):
            refused()


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


@pytest.mark.parametrize("cones", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_mosek_itself_finds_our_duals_optimal(seed: int, cones: bool) -> None:
    """The optimum of another solver, written into the task: MOSEK's own measure of its violations and of its dual
    objective tells whether our z is what it means by its multipliers."""
    form = solvable(seed, cones=cones)
    answer = ClarabelModel(form).solve()
    assert answer.x is not None
    assert answer.z is not None
    m, n = form.n_zero + form.n_nonneg, len(form.c)
    kind, y, none = mosek.soltype.itr, -answer.z[:m], [0.0] * n
    with mosek.Env() as env, env.Task() as task:
        ours.load(task, form)
        states = [mosek.stakey.unk] * m, [mosek.stakey.unk] * n, [mosek.stakey.unk] * task.getnumcone()
        multipliers = y, np.maximum(y, 0.0), np.maximum(-y, 0.0), none, none, none
        task.putsolutionnew(kind, *states, (form.a @ answer.x)[:m], answer.x, *multipliers, answer.z[m:])
        violations = task.getsolutioninfonew(kind)
        assert np.abs(np.delete(violations, [0, 8])).max() <= 1e-7
        assert task.getdualobj(kind) == pytest.approx(answer.bound, abs=1e-9)
        assert task.getprimalobj(kind) == pytest.approx(answer.value, abs=1e-9)
        assert ours.dual(task, form, kind) == pytest.approx(answer.z, abs=1e-15)


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

    def gety(self, kind: Any) -> list[float]:
        return [2.0, -3.0]

    def getaccdotys(self, kind: Any) -> list[float]:
        return [7.0]

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
    assert done.z is not None
    assert done.z.tolist() == [-2.0, 3.0, 7.0]
    none = read(Ended(s.prim_infeas_cer, p.prim_infeas, (itr,)), linear, limited=False)
    assert (none.status, none.x, none.bound) == (Status.INFEASIBLE, None, np.inf)
    assert none.z is not None
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
