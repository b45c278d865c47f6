"""Programs of all studies keep the contract of the engine, and the check of it finds each of many broken ones."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import pytest

import openpoint
from openpoint.arrays import Floats
from openpoint.errors import InputError, OpenpointError
from openpoint.network import build_network
from openpoint.network.blocks import blocks
from openpoint.studies.partition.options import PartitionOptions
from openpoint.studies.partition.setup import program_of as partition_program
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.program import (
    AddedBounds,
    ExactEvaluation,
    FirstStage,
    Limit,
    RecourseBounds,
    ReducedProgram,
    SecondStage,
)
from openpoint.twostage.risk import Risk, WorstCase
from openpoint.twostage.uncertainty import Box, Budget, Certain, Uncertainty
from openpoint.twostage.workers.pool import never
from tests.builders.contract import check_program
from tests.builders.disasters import random_program
from tests.builders.grids import DISPATCH, FIXED, random_grid
from tests.builders.programs import program_of
from tests.twostage.depots import Depots, depots

KINDS: dict[str, dict[str, object]] = {
    "linear": {},
    "cones": {"cones": True},
    "trucks": {"trucks": True},
    "limits": {"short_most": 0.4},
    "few": {"open_most": 2},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_that_is_no_grid_passes(kind: str) -> None:
    check_program(depots(1, **KINDS[kind]), seed=1)


@pytest.mark.parametrize("uncertainty", [Certain(np.ones(3)), Box(np.zeros(3), np.ones(3)), None])
def test_every_kind_of_uncertainty_passes(uncertainty: Uncertainty | None) -> None:
    budget = Budget(np.ones(3), 0.5 * np.ones(3), np.ones(3), 2)
    check_program(replace(depots(3), uncertainty=uncertainty or budget, risk=WorstCase()))
    check_program(replace(depots(3), uncertainty=replace(budget, whole=True), risk=WorstCase()))


@pytest.mark.parametrize("seed", range(2000, 2002))
def test_reconfiguration_passes(seed: int) -> None:
    flavours = (*FIXED, DISPATCH)
    check_program(program_of(random_grid(seed, flavours[seed % len(flavours)])), count=4)


def test_hardening_passes() -> None:
    rng = random.Random(2)
    while True:
        try:
            check_program(random_program(rng), count=4)
        except InputError:  # a grid that the study refuses
            continue
        return


def test_microgrids_pass() -> None:
    grid = openpoint.read("ieee13-microgrids")
    network = build_network(grid)
    program = partition_program(grid, network, blocks(network), PartitionOptions(uncertainty=0.2, uncertain_loads=2))
    check_program(program, count=3)


# Each of the following breaks one rule.


class TwoDimensional(Depots):
    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        stage = super().first_stage(with_recourse=with_recourse)
        return replace(stage, decision=cp.Variable((len(self.fixed), 1)))


class DeclaredTwice(Depots):
    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        x = cp.Variable(len(self.fixed), boolean=True)
        return FirstStage(x, (x,), [x >= 0, x <= 1], self.fixed @ x)


class Contradiction(Depots):
    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        stage = super().first_stage(with_recourse=with_recourse)
        return replace(stage, constraints=[*stage.constraints, stage.decision[0] >= 2.0])


class Continuous(Depots):
    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        stage = super().first_stage(with_recourse=with_recourse)
        return replace(stage, integers=(), constraints=[*stage.constraints, cp.sum(stage.decision) == 1.5])


class OtherCost(Depots):
    def first_stage_cost(self, decision: Floats) -> float:
        return 1.0 + super().first_stage_cost(decision)


class Product(Depots):
    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        stage = super().recourse(decision, realisation, limits=limits)
        more = cp.multiply(decision[:3], realisation) <= 100.0
        return replace(stage, constraints=[*stage.constraints, more])


class Quadratic(Depots):
    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        stage = super().recourse(decision, realisation, limits=limits)
        return replace(stage, cost=stage.cost + cp.sum_squares(decision))


class ConeAsConstraint(Depots):
    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        stage = super().recourse(decision, realisation, limits=limits)
        return replace(stage, constraints=[*stage.constraints, cp.norm(decision) <= 10.0])


@dataclass(frozen=True)
class Shared(Depots):
    kept: tuple[cp.Variable, ...] = (cp.Variable(name="kept"),)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        stage = super().recourse(decision, realisation, limits=limits)
        return replace(stage, constraints=[*stage.constraints, self.kept[0] >= 0], cost=stage.cost + self.kept[0])


class Incomplete(Depots):
    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        stage = super().recourse(decision, realisation, limits=limits)
        return replace(stage, constraints=[*stage.constraints, cp.sum(decision) >= 2.0])


class Reader(Depots):
    """What it costs depends on whether numbers come in."""

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        stage = super().recourse(decision, realisation, limits=limits)
        return stage if decision.value is None else replace(stage, cost=stage.cost + 5.0)


class HighFloor(Depots):
    recourse_lower_bound = 1000.0


class FarApart(Depots):
    distance_min = 2


class BadStart(Depots):
    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        return [np.full(len(self.fixed), 2.0), np.zeros(1)]


class Unrounded(Depots):
    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        return [decision] * (count + 1)


class Optimist(Depots):
    """An exact evaluation below the recourse that is said to be its relaxation."""

    def evaluate(
        self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None
    ) -> ExactEvaluation | None:
        count = len(realisations)
        return ExactEvaluation(np.full(count, -1.0), np.zeros(count), None, False)


class Misshapen(Depots):
    def evaluate(
        self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None
    ) -> ExactEvaluation | None:
        return ExactEvaluation(np.zeros(1), np.zeros(1), None, False)


class CutsOff(Depots):
    def valid_inequalities(
        self, first: FirstStage, recourse: SecondStage, realisation: Floats, *, most: float, limits: bool
    ) -> Sequence[cp.Constraint]:
        return [cp.sum(first.decision) >= 1.5]


class Forgetful(Depots):
    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Depots:
        return self


class BadBounds(Depots):
    lower, upper, steep, keyed = 0.0, np.inf, 0.0, True

    def recourse_bounds(
        self, decision: Floats, realisations: Floats, stop: Callable[[], bool] = never
    ) -> RecourseBounds | None:
        count, n = len(realisations), len(decision)
        keys = tuple(decision.tobytes() + u.tobytes() if self.keyed else b"same" for u in realisations)
        least, upper = np.full(count, self.lower), np.full(count, self.upper)
        given = np.full((count, n), self.steep), least, upper, np.ones((count, n), dtype=np.bool_)
        return RecourseBounds(least, *given, keys)


class LowerTooHigh(BadBounds):
    lower = 1e4


class UpperTooLow(BadBounds):
    upper = 0.0


class SlopeTooFlat(BadBounds):
    steep = 1e4


class KeysAlike(BadBounds):
    keyed = False


class WrongReduction(Depots):
    def reduced_program(self, decision: Floats) -> ReducedProgram | None:
        return ReducedProgram(b"", replace(self, penalty=0.5 * self.penalty), decision)


class WrongMask(Depots):
    def deferred_entries(self) -> np.ndarray | None:
        return np.array([True])


class WrongSaving(Depots):
    def added_bounds(self, decision: Floats, realisations: Floats, least: Floats) -> AddedBounds | None:
        n, high = len(decision), 9.0 * least.max()
        bounds = np.full((len(least), n, n), high), np.zeros(2), np.zeros((len(least), 2))
        return AddedBounds(np.arange(n), np.zeros((n, n)), *bounds)


class WrongWay(Depots):
    def deterministic_bounds(self, gap: float, deadline: object = None) -> tuple[float, float] | None:
        return 1e6, 0.0


class ClaimsIntegers(Depots):
    integer_recourse = True


class SoftMatrix(Depots):
    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        stage = super().recourse(decision, realisation, limits=limits)
        return replace(stage, limits=(Limit("matrix", cp.Variable((2, 2))),))


BROKEN: dict[type[Depots], str] = {
    TwoDimensional: "no vector",
    DeclaredTwice: "declared in CVXPY",
    Contradiction: "no decision keeps",
    Continuous: "binary",
    OtherCost: "first_stage_cost",
    Product: "not affine",
    Quadratic: "not affine",
    ConeAsConstraint: "not affine",
    Shared: "share variables",
    Incomplete: "no recourse",
    Reader: "numbers and variables",
    HighFloor: "recourse_lower_bound",
    FarApart: "distance_min",
    BadStart: "no decision",
    Unrounded: "rounding_heuristic",
    Optimist: "evaluate",
    Misshapen: "evaluate",
    CutsOff: "valid_inequalities",
    Forgetful: "with_uncertainty",
    LowerTooHigh: "recourse_bounds",
    UpperTooLow: "recourse_bounds",
    SlopeTooFlat: "slope of recourse_bounds",
    KeysAlike: "equal keys",
    WrongReduction: "reduced_program",
    WrongMask: "deferred_entries",
    WrongSaving: "added_bounds",
    WrongWay: "deterministic_bounds",
    ClaimsIntegers: "integer_recourse",
    SoftMatrix: "matrix",
}


@pytest.mark.parametrize("kind", BROKEN, ids=lambda kind: kind.__name__)
def test_a_broken_program_is_found_out(kind: type[Depots]) -> None:
    whole = depots(0)
    program = kind(fixed=whole.fixed, capacity=whole.capacity, transport=whole.transport, uncertainty=whole.uncertainty)
    with pytest.raises(AssertionError, match=BROKEN[kind]):
        check_program(program)


class DeniesIntegers(Depots):
    integer_recourse = False


def test_a_method_refuses_integers_that_are_denied() -> None:
    whole = depots(0, trucks=True)
    program = DeniesIntegers(whole.fixed, whole.capacity, whole.transport, whole.uncertainty, trucks=True)
    with pytest.raises(OpenpointError, match="integer_recourse is False, but"):
        ColumnAndConstraint(gap=1e-6).solve(program)


class Counted(Depots):
    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> SecondStage:
        BUILT[type(self)] += 1
        return super().recourse(decision, realisation, limits=limits)


class CountedAndSaid(Counted):
    integer_recourse = False


BUILT: Counter[type[Depots]] = Counter()
"""How often the recourse of each kind was built."""


def test_a_program_that_says_whether_its_recourse_has_integers_builds_it_once_less() -> None:
    whole = depots(0)
    given = whole.fixed, whole.capacity, whole.transport, whole.uncertainty
    BUILT.clear()
    asked, said = (Benders(gap=1e-6).solve(kind(*given)).upper_bound for kind in (Counted, CountedAndSaid))
    assert asked == said
    assert BUILT[CountedAndSaid] == BUILT[Counted] - 1
