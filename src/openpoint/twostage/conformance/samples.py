"""What a program is checked with: sampled decisions and realisations, and its recourse there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import cvxpy as cp
import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.solvers.base import StandardForm
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.program import AnyProgram, FirstStage, Goal
from openpoint.twostage.recourse.compile import compile_model, template_of
from openpoint.twostage.recourse.mixed import IntegerRecourseWork, IntegerSolution
from openpoint.twostage.recourse.subproblem import Response, Subproblem
from openpoint.twostage.uncertainty import Box, Budget, Polyhedral, Uncertainty, centre

TOLERANCE = 1e-5
"""Difference of two values, relative to 1 or to the values and slopes, within the accuracy of the solvers."""
INTEGRAL = 1e-6
"""Largest difference from an integer that counts as rounding."""


@dataclass(frozen=True)
class First:
    """The first stage, compiled once: which decisions it has.

    Attributes:
        stage: as the program wrote it. form: its arrays. columns: of the decision.
    """

    stage: FirstStage
    form: StandardForm
    columns: Ints

    @cached_property
    def _model(self) -> HighsModel:
        return HighsModel(self.form)

    def cheapest(self, cost: Floats) -> tuple[Floats, Floats] | None:
        """The decision of least costᵀx and the values of all columns; None where there is none, or no least."""
        whole = np.zeros(len(self.form.c))
        whole[self.columns] = cost
        self._model.set_cost(whole)
        answer = self._model.solve(integral=True, cold=True)
        return None if answer.x is None else (answer.x[self.columns], answer.x)

    def has(self, decision: Floats) -> bool:
        """Whether a decision keeps the constraints."""
        model = HighsModel(self.form)
        model.fix(self.columns, decision)
        return model.solve(integral=True, cold=True).x is not None

    def cost(self, values: Floats) -> float:
        """f by the expression that the program wrote, at values of all columns."""
        return float(self.form.c @ values) + self.form.offset


@dataclass(frozen=True)
class Samples:
    """A program, and the sampled decisions and realisations at which it is checked.

    Attributes:
        decisions: of the first stage. costs: f of each by its expression.
        between: means of decisions, which the relaxed recourse must allow, too.
        realisations: (K, m).
    """

    program: AnyProgram
    first: First
    decisions: tuple[Floats, ...]
    costs: tuple[float, ...]
    between: tuple[Floats, ...]
    realisations: Floats
    rng: np.random.Generator
    complete_recourse: bool
    _responses: dict[tuple[bytes, bytes, Goal], Response] = field(default_factory=dict)
    _exact: dict[tuple[bytes, bytes, Goal], float | None] = field(default_factory=dict)
    _solvers: dict[Goal, Callable[[tuple[Floats, Floats]], IntegerSolution] | None] = field(default_factory=dict)
    _subproblems: dict[Goal, Subproblem] = field(default_factory=dict)

    @property
    def n(self) -> int:
        """Length of a decision."""
        return len(self.decisions[0])

    def respond(self, x: Floats, u: Floats, goal: Goal = Goal.COST) -> Response:
        """The recourse, integers relaxed, as the methods use it: value and slopes."""
        if goal not in self._subproblems:
            self._subproblems[goal] = Subproblem(self.program, self.n, goal)
        key = (x.tobytes(), u.tobytes(), goal)
        if key not in self._responses:
            self._responses[key] = self._subproblems[goal].respond(x, u)
        return self._responses[key]

    def exact(self, x: Floats, u: Floats, goal: Goal = Goal.COST) -> float | None:
        """Cost of the recourse with its integers; inf where there is none, None where no solver here takes it."""
        key = (x.tobytes(), u.tobytes(), goal)
        if key not in self._exact:
            self._exact[key] = self._solved(x, u, goal)
        return self._exact[key]

    def _solved(self, x: Floats, u: Floats, goal: Goal) -> float | None:
        if self._integers is False:
            response = self.respond(x, u, goal)
            if response.rough or (response.feasible and np.isnan(response.reached)):
                return None
            return response.reached if response.feasible else np.inf
        if goal not in self._solvers:
            template = template_of(self.program, self.n, goal)
            self._solvers[goal] = None if template.cones else IntegerRecourseWork(template).prepare()
        solve = self._solvers[goal]
        if solve is None:
            return None
        found = solve((x, u))
        return found.value if found.y is not None or np.isposinf(found.bound) else None

    @cached_property
    def _integers(self) -> bool:
        """Whether the recourse has integers."""
        m = self.realisations.shape[1]
        stage = self.program.recourse(cp.Variable(self.n), cp.Variable(m), limits=True)
        return bool(stage.integers)


def compiled_first_stage(program: AnyProgram) -> First:
    """The first stage as a mixed-integer linear program."""
    stage = program.first_stage(with_recourse=False)
    form = compile_model(stage.cost, stage.constraints, stage.integers, also=(stage.decision,))
    return First(stage, form, form.of(stage.decision))


def sampled(
    program: AnyProgram,
    given: Sequence[Floats],
    count: int,
    rng: np.random.Generator,
    *,
    complete_recourse: bool,
) -> Samples:
    """Draw decisions, cheapest ones for random costs, and realisations; those given come first."""
    first = compiled_first_stage(program)
    columns = first.columns
    found: dict[bytes, tuple[Floats, float]] = {}
    costs = [first.form.c[columns], *rng.normal(size=(3 * count, len(columns)))]
    for decision in given:
        found[np.round(decision, 9).tobytes()] = (np.asarray(decision, float), program.first_stage_cost(decision))
    for cost in costs:
        if len(found) >= len(given) + count:
            break
        if (answer := first.cheapest(cost)) is not None:
            decision, values = answer
            near = np.round(decision)
            whole = np.where(np.abs(decision - near) <= INTEGRAL, near, decision)
            found.setdefault(np.round(whole, 9).tobytes(), (whole, first.cost(values)))
    decisions = tuple(decision for decision, _ in found.values())
    between = [rng.dirichlet(np.ones(len(decisions))) @ np.array(decisions) for _ in range(2)] if decisions else []
    return Samples(
        program,
        first,
        decisions,
        tuple(cost for _, cost in found.values()),
        tuple(between),
        realisations_of(program.uncertainty, count, rng),
        rng,
        complete_recourse,
    )


def realisations_of(uncertainty: Uncertainty, count: int, rng: np.random.Generator) -> Floats:
    """(K, m) some of the realisations: of a box or a budget its centre and vertices."""
    if not isinstance(uncertainty, Box | Budget):
        values = uncertainty.values
        chosen = rng.permutation(len(values))[:count]
        return np.asarray(values[np.sort(chosen)], dtype=np.float64)
    whole = isinstance(uncertainty, Budget) and uncertainty.whole
    middle = [] if whole else [centre(uncertainty)]
    shape = uncertainty.polyhedral()
    return np.array([*middle, *(_corner(shape, rng, whole=whole) for _ in range(count - len(middle)))])


def _corner(shape: Polyhedral, rng: np.random.Generator, *, whole: bool) -> Floats:
    """A vertex: deviations added in random order as long as the budget allows, or up to a random number of them."""
    chosen = np.zeros(shape.steps.shape[1])
    stop = 1.0 if whole else rng.random()
    for a in rng.permutation(len(chosen)):
        chosen[a] = 1.0
        if (shape.rows @ chosen > shape.upper).any():
            chosen[a] = 0.0
        elif not whole and rng.random() > stop:
            break
    return shape.value(chosen)
