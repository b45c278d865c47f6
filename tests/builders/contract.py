"""The contract of a two-stage program, asserted at sampled decisions and realisations."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from functools import cached_property

import cvxpy as cp
import numpy as np
import pytest
from cvxpy.constraints.nonpos import Inequality
from cvxpy.constraints.zero import Equality

from openpoint.arrays import Floats
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.program import AnyProgram, ExactEvaluation, FirstStage, Goal, parts
from openpoint.twostage.recourse.compile import compile_model, template_of
from openpoint.twostage.recourse.evaluation import Response, Subproblem
from openpoint.twostage.recourse.mixed import IntegerRecourseWork
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Box, Budget, Certain, Uncertainty, centre

TOLERANCE = 1e-5
"""Difference of two values, relative to 1 or to the values and slopes, within the accuracy of the solvers."""
STEP = 1e-3
"""Step of a finite difference, as a share of the distance to another decision."""


def check_program(program: AnyProgram, *, count: int = 5, seed: int = 0) -> None:
    """Assert all that the methods rely on, at `count` decisions and as many realisations."""
    check_form(program)
    rng = np.random.default_rng(seed)
    contract = Contract(program, rng, realisations_of(program.uncertainty, count, rng))
    contract.draw(count)
    for check in (
        contract.decisions_are_decisions,
        contract.recourse_is_what_it_says,
        contract.cuts_hold_everywhere,
        contract.evaluation_is_no_less,
        contract.valid_inequalities_cut_off_nothing,
        contract.another_uncertainty_changes_nothing_else,
        contract.bounds_of_the_recourse_hold,
        contract.relaxed_cuts_hold,
        contract.smaller_programs_cost_the_same,
        contract.savings_are_bounded,
        contract.deterministic_bounds_hold,
    ):
        check()


def check_form(program: AnyProgram) -> None:
    """All is affine but the cones, whose parts are variables; each call of the recourse has variables of its own."""
    assert 0.0 < program.limits_share <= 1.0
    assert np.isfinite(program.recourse_lower_bound)
    for with_recourse in (False, True):
        first = program.first_stage(with_recourse=with_recourse)
        assert first.decision.ndim == 1, "the decision is no vector"
        assert_affine(first.cost, first.constraints)
        assert_plain((first.decision, *first.integers))
    decision = cp.Variable(program.first_stage(with_recourse=False).decision.size)
    realisation = cp.Variable(len(centre(program.uncertainty)))
    stages = [program.recourse(decision, realisation, limits=True) for _ in range(2)]
    stage, own = stages[0], []
    assert_affine(stage.cost, stage.constraints)
    assert program.integer_recourse in (None, bool(stage.integers)), "integer_recourse"
    for limit in stage.limits:
        assert limit.excess.is_affine(), limit.name
        assert limit.excess.ndim <= 1, limit.name
    for cone in stage.cones:
        assert len({part.shape for part in parts(cone)}) == 1
        assert_plain(parts(cone))
    for each in stages:
        expressions = [each.cost, *each.constraints, *(limit.excess for limit in each.limits)]
        own.append({v.id for e in expressions for v in e.variables()} - {decision.id, realisation.id})
    assert not own[0] & own[1], "two calls of the recourse share variables"


def assert_affine(cost: cp.Expression, constraints: object) -> None:
    """The cost is one affine number, the constraints are affine and have no parameters."""
    assert cost.size == 1, "not affine"
    assert cost.is_affine(), "not affine"
    for each in constraints:
        assert isinstance(each, Equality | Inequality), "not affine"
        assert all(side.is_affine() for side in each.args), "not affine"
        assert not each.parameters()


def assert_plain(variables: tuple[cp.Variable, ...]) -> None:
    """Variables are declared without attributes: signs are constraints, integers are named beside CVXPY."""
    for variable in variables:
        assert isinstance(variable, cp.Variable), "declared in CVXPY"
        assert not any(variable.attributes.values()), "declared in CVXPY"


def realisations_of(uncertainty: Uncertainty, count: int, rng: np.random.Generator) -> Floats:
    """(K, m) some of the realisations: of a box or a budget its centre and vertices."""
    if not isinstance(uncertainty, Box | Budget):
        return np.asarray(uncertainty.values[np.sort(rng.permutation(len(uncertainty.values))[:count])], dtype=float)
    shape, whole = uncertainty.polyhedral(), isinstance(uncertainty, Budget) and uncertainty.whole
    found = [] if whole else [centre(uncertainty)]
    while len(found) < count:
        chosen = np.zeros(shape.steps.shape[1])
        for a in rng.permutation(len(chosen)):
            chosen[a] = 1.0
            if (shape.rows @ chosen > shape.upper).any():
                chosen[a] = 0.0
            elif not whole and rng.random() < 0.2:
                break
        found.append(shape.value(chosen))
    return np.array(found)


@dataclass
class Contract:
    """A program, sampled decisions and realisations (K, m), and the recourse there."""

    program: AnyProgram
    rng: np.random.Generator
    realisations: Floats
    decisions: list[Floats] = field(default_factory=list)
    costs: list[float] = field(default_factory=list)
    between: list[Floats] = field(default_factory=list)
    _known: dict[object, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stage: FirstStage = self.program.first_stage(with_recourse=False)
        stage = self.stage
        self.form = compile_model(stage.cost, stage.constraints, stage.integers, also=(stage.decision,))
        self.columns = self.form.of(stage.decision)
        self.n = len(self.columns)

    @cached_property
    def pairs(self) -> list[tuple[Floats, Floats]]:
        """Every sampled decision with every sampled realisation."""
        return list(itertools.product(self.decisions, self.realisations))

    @cached_property
    def integers(self) -> bool:
        """Whether the recourse has integers."""
        u = cp.Variable(self.realisations.shape[1])
        return bool(self.program.recourse(cp.Variable(self.n), u, limits=True).integers)

    def draw(self, count: int) -> None:
        """The cheapest decisions for the program's own and for random costs, and means of them."""
        model, seen = HighsModel(self.form), set()
        for cost in (self.form.c[self.columns], *self.rng.normal(size=(3 * count, self.n))):
            whole = np.zeros(len(self.form.c))
            whole[self.columns] = cost
            model.set_cost(whole)
            answer = model.solve(integral=True, cold=True)
            if answer.x is None or len(seen) == count:
                continue
            x = answer.x[self.columns]
            x = np.where(np.abs(x - np.round(x)) <= 1e-6, np.round(x), x)
            if x.tobytes() not in seen:
                seen.add(x.tobytes())
                self.decisions.append(x)
                self.costs.append(float(self.form.c @ answer.x) + self.form.offset)
        assert self.decisions, "no decision keeps the constraints of the first stage"
        self.between = [self.rng.dirichlet(np.ones(len(seen))) @ np.array(self.decisions) for _ in range(2)]

    def respond(self, x: Floats, u: Floats, goal: Goal = Goal.COST) -> Response:
        """The recourse, integers relaxed, as the methods use it: value and slopes."""
        if goal not in self._known:
            self._known[goal] = Subproblem(self.program, self.n, goal)
        key = (x.tobytes(), u.tobytes(), goal)
        if key not in self._known:
            self._known[key] = self._known[goal].respond(x, u)
        return self._known[key]

    def exact(self, x: Floats, u: Floats, goal: Goal = Goal.COST) -> float | None:
        """Cost of the recourse with its integers; inf where there is none, None where no solver here takes it."""
        if not self.integers:
            response = self.respond(x, u, goal)
            if response.rough or (response.feasible and np.isnan(response.reached)):
                return None
            return response.reached if response.feasible else np.inf
        template = template_of(self.program, self.n, goal)
        if template.cones:
            return None
        found = IntegerRecourseWork(template).prepare()((x, u, np.inf))
        return found.value if found.y is not None or np.isposinf(found.bound) else None

    def decisions_are_decisions(self) -> None:
        """The cost is that of the model, binary is binary; warm starts and roundings are decisions, all different."""
        program = self.program
        stated = [program.first_stage_cost(x) for x in self.decisions]
        assert stated == pytest.approx(self.costs, rel=TOLERANCE, abs=TOLERANCE), "first_stage_cost"
        if self.stage.binary:
            assert all(((x == 0.0) | (x == 1.0)).all() for x in self.decisions), "binary"
            for x in self.decisions[:2]:
                distance = cp.sum(cp.multiply(np.where(x > 0.5, -1.0, 1.0), self.stage.decision)) + float(x.sum())
                kept = [*self.stage.constraints, distance >= 1]
                form = compile_model(distance, kept, self.stage.integers, also=(self.stage.decision,))
                nearest = HighsModel(form).solve(integral=True, cold=True)
                assert nearest.x is None or nearest.value > program.distance_min - 0.5, "distance_min"
        roundings = [list(itertools.islice(program.rounding_heuristic(x, 3), 4)) for x in self.between]
        for found in roundings:
            assert len(found) <= 3, "rounding_heuristic"
            assert len({x.tobytes() for x in found}) == len(found), "rounding_heuristic"
        for x in (*program.warm_starts(), *itertools.chain(*roundings)):
            assert np.shape(x) == (self.n,), "no decision"
            model = HighsModel(self.form)
            model.fix(self.columns, np.asarray(x, dtype=float))
            assert model.solve(integral=True, cold=True).x is not None, "no decision"

    def recourse_is_what_it_says(self) -> None:
        """There is one, limits left out; it is that of numbers as of variables; none is below the lower bound."""
        least = self.program.recourse_lower_bound
        for number, (x, u) in enumerate(self.pairs):
            assert self.exact(x, u, Goal.WITHOUT_LIMITS) != np.inf, "no recourse, limits left out"
            cost = self.exact(x, u)
            assert cost is None or no_more(least, cost, least), "recourse_lower_bound"
            if number < 4 and not (held := self.respond(x, u)).rough:
                stage = self.program.recourse(cp.Constant(x), cp.Constant(u), limits=True).hard()
                fresh = least_cost(stage.cost, [*stage.constraints, *(cone.constraint() for cone in stage.cones)])
                known = held.reached if held.feasible else np.inf
                assert fresh is None or alike(fresh, known), "numbers and variables have different recourses"

    def cuts_hold_everywhere(self) -> None:
        """A cut found anywhere holds everywhere; between decisions its slope lies between finite differences."""
        points = [(x, u) for x in (*self.decisions, *self.between) for u in self.realisations[:2]]
        for at, there in itertools.permutations(points, 2):
            cut, other = self.respond(*at), self.respond(*there)
            if cut.rough or other.rough or not other.feasible:
                continue
            # At the edge of what is feasible the solver's tolerance of constraints is worth more than the cost.
            if abs(float(other.slope_u @ (there[1] - at[1]))) > abs(other.value):
                continue
            by_cut = cut.value + cut.slope @ (there[0] - at[0]) + cut.slope_u @ (there[1] - at[1])
            known = other.reached if cut.feasible else 0.0
            assert by_cut <= known + slack(cut, known), "a cut is above the cost"
        for x, other in itertools.product(self.between, self.decisions[:3]):
            way, u = STEP * (other - x), self.realisations[0]
            here, ahead, back = (self.respond(x + step, u) for step in (0.0 * way, way, -way))
            if not any(each.rough or not each.feasible for each in (here, ahead, back)):
                along, room = float(here.slope @ way), slack(here, here.value)
                assert here.value - back.value - room <= along <= ahead.value - here.value + room, "slope"

    def evaluation(self, x: Floats) -> ExactEvaluation | None:
        """The program's own evaluation of a decision, with the dispatch of the recourse where it asks for that."""
        dispatch = [self.respond(x, u).dispatch for u in self.realisations]
        given = None if any(each is None for each in dispatch) else dispatch
        return self.program.evaluate(x, self.realisations, given)

    def evaluation_is_no_less(self) -> None:
        """The exact evaluation has a cost and a violation a realisation, and costs no less than the recourse."""
        for x in self.decisions:
            found = self.evaluation(x)
            if found is None:
                return
            assert found.values.shape == found.violations.shape == (len(self.realisations),), "evaluate"
            assert not np.isnan(found.values).any(), "evaluate"
            assert (found.violations >= 0.0).all(), "evaluate"
            for k, u in enumerate(self.realisations):
                response = self.respond(x, u)
                if found.violations[k] == 0.0 and response.feasible and not response.rough:
                    assert found.values[k] >= response.value - slack(response, response.value), "evaluate"

    def kept_cost(self, x: Floats, k: int) -> float | None:
        """What a decision costs in a realisation, exactly where the program has that; inf where limits are broken."""
        found = self.evaluation(x)
        if found is None:
            return self.exact(x, self.realisations[k])
        return float(found.values[k]) if found.violations[k] == 0.0 else np.inf

    def valid_inequalities_cut_off_nothing(self) -> None:
        """With them a decision that keeps the limits is still one, at no higher cost."""
        for x, k in itertools.product(self.decisions[:3], range(len(self.realisations[:2]))):
            cost, u = self.kept_cost(x, k), self.realisations[k]
            if cost is None or not np.isfinite(cost):
                continue
            most = self.program.first_stage_cost(x) + cost
            first = self.program.first_stage(with_recourse=True)
            stage = self.program.recourse(first.decision, cp.Constant(u), limits=True)
            most += TOLERANCE * max(1.0, abs(most))
            more = self.program.valid_inequalities(first, stage, u, most=most, limits=True)
            hard = stage.hard()
            kept = [*first.constraints, *hard.constraints, *(cone.constraint() for cone in hard.cones)]
            least = least_cost(hard.cost, [*kept, *more, first.decision == x])
            assert least is None or no_more(least, cost, cost), "valid_inequalities"

    def another_uncertainty_changes_nothing_else(self) -> None:
        """`with_uncertainty` gives a copy that has the same recourse."""
        x, u = self.decisions[0], self.realisations[0]
        if not len(u):
            return
        certain = Certain(u)
        other = self.program.with_uncertainty(certain, Expectation())
        assert other.uncertainty is certain, "with_uncertainty"
        assert isinstance(other.risk, Expectation), "with_uncertainty"
        assert alike(self.exact(x, u), self.of(other).exact(x, u)), "with_uncertainty"

    def bounds_of_the_recourse_hold(self) -> None:
        """Bounds enclose the cost, their slopes hold at other decisions, equal keys mean equal costs."""
        keys: dict[bytes, float] = {}
        for x in self.decisions:
            found = self.program.recourse_bounds(x, self.realisations)
            if found is None:
                return
            for k, u in enumerate(self.realisations):
                cost = self.exact(x, u)
                if cost is None:
                    continue
                assert no_more(found.lower[k], cost, cost), "recourse_bounds"
                assert no_more(found.least[k], cost, cost), "recourse_bounds"
                for better in (self.program.better_bounds(x, u), self.program.better_bounds(x, u, np.inf, 1e-6)):
                    assert no_more(better[0], cost, cost), "better_bounds"
                    assert no_more(cost, better[1], cost), "better_bounds"
                assert no_more(cost, found.upper[k], cost), "recourse_bounds"
                assert alike(keys.setdefault(found.cost_keys[k], cost), cost), "equal keys"
                for other in self.decisions:
                    there = self.exact(other, u)
                    if there is not None:
                        by_slope = float(found.lower[k] + found.slope[k] @ (other - x))
                        assert no_more(by_slope, there, there), "slope of recourse_bounds"
                        assert (other < x - 0.5).any() or no_more(there, cost, cost), "more ones cost more"

    def relaxed_cuts_hold(self) -> None:
        """Cuts of a relaxation hold at every decision, made at a fractional one too."""
        for x in (*self.decisions, np.mean(self.decisions, axis=0)):
            found = self.program.relaxed_cuts(x, self.realisations)
            if found is None:
                return
            for k, u in enumerate(self.realisations):
                for other in self.decisions:
                    there = self.exact(other, u)
                    if there is not None:
                        by_cut = float(found[0][k] + found[1][k] @ (other - x))
                        assert no_more(by_cut, there, there), "relaxed_cuts"

    def smaller_programs_cost_the_same(self) -> None:
        """The reduced program has the cost of the whole one at its decision; deferred entries can all be 0."""
        for x, u in itertools.product(self.decisions, self.realisations[:2]):
            smaller = self.program.reduced_program(x)
            if smaller is not None:
                assert alike(self.exact(x, u), self.of(smaller.program).exact(smaller.decision, u)), "reduced_program"
        mask = self.program.deferred_entries()
        if mask is not None:
            assert mask.shape == (self.n,), "deferred_entries"
            assert mask.dtype == np.bool_, "deferred_entries"
            model = HighsModel(self.form)
            model.fix(self.columns[mask], np.zeros(int(mask.sum())))
            assert model.solve(integral=True, cold=True).x is not None, "deferred_entries"

    def savings_are_bounded(self) -> None:
        """One or two deferred entries cost no less than is said, nor does any number of them."""
        realisations = self.realisations[:2]
        for x in self.decisions:
            costs = [self.exact(x, u) for u in realisations]
            if None in costs:
                continue
            found = self.program.added_bounds(x, realisations, np.array(costs, dtype=np.float64))
            if found is None:
                continue
            for number in range(1, len(found.more_cost)):
                places = self.rng.permutation(len(found.entries))[:number]
                added = x.copy()
                added[found.entries[places]] = 1.0
                for k, u in enumerate(realisations):
                    cost, pair = self.exact(added, u), found.recourse[k, places[0], places[-1]]
                    least = max(found.more[k, number], pair if number < 3 else -np.inf)
                    assert cost is None or no_more(least, cost, cost), "added_bounds"

    def deterministic_bounds_hold(self) -> None:
        """Bounds of a certain realisation are in order, and no sampled decision lies below them."""
        certain = self.program.with_uncertainty(Certain(self.realisations[0]), Expectation())
        found = certain.deterministic_bounds(1e-4)
        if found is None:
            return
        assert no_more(found[0], found[1], found[1]), "deterministic_bounds"
        for x, first in zip(self.decisions, self.costs, strict=True):
            cost = self.kept_cost(x, 0)
            assert cost is None or no_more(found[0], first + cost, cost), "deterministic_bounds"

    def of(self, program: AnyProgram) -> Contract:
        """The same samples of another program."""
        return Contract(program, self.rng, self.realisations, self.decisions)


def least_cost(cost: cp.Expression, constraints: list[cp.Constraint]) -> float | None:
    """The least value, inf where there is none; None where the solver does not know."""
    answer = ClarabelModel(compile_model(cost, constraints)).solve()
    if answer.status is Status.OPTIMAL:
        return answer.value
    return np.inf if answer.status is Status.INFEASIBLE else None


def no_more(least: float, most: float, scale: float) -> bool:
    """Whether `least` is at most `most`, but for the accuracy of the solvers."""
    return bool(least <= most + TOLERANCE * (max(1.0, abs(scale)) if np.isfinite(scale) else 1.0))


def alike(a: float | None, b: float | None) -> bool:
    """Whether two costs are the same but for the accuracy of the solvers; None is not known."""
    if a is None or b is None or a == b:
        return True
    return bool(np.isfinite(a) and np.isfinite(b) and abs(a - b) <= TOLERANCE * max(1.0, abs(a)))


def slack(response: Response, value: float) -> float:
    """How far a cut may be off by the accuracy of the solver."""
    slopes = float(np.abs(response.slope).sum()) + float(np.abs(response.slope_u).sum())
    return TOLERANCE * max(1.0, abs(value), slopes)
