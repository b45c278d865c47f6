"""MOSEK as far as it goes without a licence: the task as written, and its own measure of the signs of duals."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

from openpoint.errors import OptionError
from openpoint.solvers import mosek as ours
from openpoint.solvers.base import Status
from openpoint.solvers.catalog import choose
from openpoint.solvers.clarabel import ClarabelModel
from tests.solvers.models import solvable

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
