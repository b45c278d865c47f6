"""The subproblem: the recourse at a fixed decision and realisation, with the slopes of its value for cuts.

Evaluation: what a decision costs in every realisation, by the recourse and by the exact model.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.errors import OpenpointError
from openpoint.solvers.base import Answer, StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import AddedBounds, AnyProgram, ExactEvaluation, Goal, Objective, SecondStage, parts
from openpoint.twostage.recourse.compile import Template, compile_model, template_of
from openpoint.twostage.uncertainty import Certain, centre
from openpoint.twostage.workers.pool import Workers, never

VIOLATION_MIN = 1e-6
"""Least violation in the solution of the recourse that counts as one: the accuracy of the cone solver."""
RAY = 1e-5
"""Largest residual of an infeasibility ray that is accepted, relative to its depth: only points of size 1/RAY per unit
could be cut off wrongly."""
MARGIN = 1e-7
"""Relative margin by which cuts are lowered: the duals are exact up to the tolerance of the cone solver."""


@dataclass(frozen=True)
class Response:
    """Value and slopes of the recourse, integers relaxed, at a decision x̂ and a realisation û.

    For every decision x and every realisation u, with t = value + slopeᵀ(x − x̂) + slope_uᵀ(u − û):

    feasible: recourse cost at (x, u) ≥ t.  Not feasible: (x, u) keeps the limits only if t ≤ 0.

    Attributes:
        feasible: whether the limits can be kept.
        value: recourse cost, else the least violation (or a certificate of infeasibility, scaled to 1).
        slope: (n) exact dual of x = x̂.
        slope_u: (m) exact dual of u = û; 0 where nothing is uncertain.
        point: per cone the values (u…, s, t) at the optimum; empty where there is none.
        dispatch: values of the program's dispatch variable, if any.
        rough: whether the solver reached only a reduced accuracy.
        reached: cost of the solver's own point, above `value` by its accuracy; nan where there is none.
    """

    feasible: bool
    value: float
    slope: Floats
    slope_u: Floats
    point: tuple[tuple[Floats, ...], ...]
    dispatch: Floats | None
    rough: bool = False
    reached: float = math.nan


@dataclass(frozen=True)
class _Compiled:
    """A recourse compiled once, coupled to decision and realisation by its first equations."""

    model: ClarabelModel
    form: StandardForm
    cones: tuple[tuple[Ints, ...], ...]
    dispatch: Ints | None

    def point(self, answer: Answer) -> tuple[tuple[Floats, ...], ...]:
        return (
            tuple(tuple(answer.x[columns] for columns in cone) for cone in self.cones) if answer.x is not None else ()
        )


class Subproblem:
    """The recourse of a program, integers relaxed, compiled once; `respond` changes right-hand sides only."""

    def __init__(self, program: AnyProgram, n: int, goal: Goal = Goal.COST) -> None:
        """Compile the recourse.

        Args:
            program: the two-stage program.
            n: length of the decision.
            goal: what the recourse minimises.
        """
        self._program, self._n, self._goal = program, n, goal
        uncertainty = program.uncertainty
        self._fixed = uncertainty.value if isinstance(uncertainty, Certain) else None
        self._floor = 0.0 if goal is Goal.VIOLATION else program.recourse_lower_bound
        self._hard = None if goal is Goal.VIOLATION else self._compile(self._kept)
        self._soft = self._compile(_softened) if goal is Goal.VIOLATION else None
        self._tolerant: _Compiled | None = None

    def respond(self, decision: Floats, realisation: Floats) -> Response:
        """Value and slopes at a decision and a realisation.

        A violation below the accuracy of the solvers is none: the value is the cost with limits that much wider, since
        a master proposes decisions at the edge of what is feasible. Where the cone solver fails, the value is the lower
        bound of all recourse costs, marked as rough.
        """
        head = decision if self._fixed is not None else np.concatenate([decision, realisation])
        ray: Answer | None = None
        if self._hard is not None:
            answer = self._hard.model.solve(head)
            if answer.status is Status.OPTIMAL:
                return self._response(self._hard, answer, len(realisation), feasible=True)
            ray = answer if answer.status is Status.INFEASIBLE else None
        if self._soft is None:
            self._soft = self._compile(_softened)
        answer = self._soft.model.solve(head)
        if answer.status is Status.OPTIMAL:
            response = self._response(self._soft, answer, len(realisation), feasible=self._goal is Goal.VIOLATION)
            if self._goal is Goal.VIOLATION or response.value > VIOLATION_MIN:
                return response
            if self._tolerant is None:
                self._tolerant = self._compile(_tolerant)
            within = self._tolerant.model.solve(head)
            if within.status is Status.OPTIMAL:
                return self._response(self._tolerant, within, len(realisation), feasible=True)
            if response.value > 0.0:
                return response
        ray = answer if answer.status is Status.INFEASIBLE else ray
        if ray is None or ray.z is None:
            return self._unknown(len(realisation))
        compiled = self._soft if ray is answer else self._hard
        assert compiled is not None
        b = compiled.form.b.copy()
        b[: len(head)] = head
        depth = -float(b @ ray.z)
        if np.abs(compiled.form.a.T @ ray.z).max() > RAY * depth:
            return self._unknown(len(realisation))
        slope, slope_u = self._slopes(-ray.z / depth, len(realisation))
        return Response(False, 1.0 - MARGIN, slope, slope_u, (), None)

    def _slopes(self, z: Floats, m: int) -> tuple[Floats, Floats]:
        """Slopes with respect to decision and realisation, of the duals of the coupling."""
        return z[: self._n], np.zeros(m) if self._fixed is not None else z[self._n : self._n + m]

    def _unknown(self, m: int) -> Response:
        """The response where there is no solution: the lower bound of all recourse costs."""
        return Response(True, self._floor, np.zeros(self._n), np.zeros(m), (), None, rough=True)

    def _kept(self, recourse: SecondStage) -> SecondStage:
        return recourse.without_limits() if self._goal is Goal.WITHOUT_LIMITS else recourse.hard()

    def _compile(self, made: Callable[[SecondStage], SecondStage]) -> _Compiled:
        decision = cp.Variable(self._n, name="decision")
        realisation: cp.Expression = cp.Constant(self._fixed)
        coupled: tuple[cp.Variable, ...] = (decision,)
        if self._fixed is None:
            realisation = cp.Variable(len(centre(self._program.uncertainty)), name="realisation")
            coupled = (decision, realisation)
        always = self._goal is Goal.COST and made == self._kept
        recourse = self._program.recourse(decision, realisation, limits=always)
        if recourse.integers and self._program.integer_recourse is False:
            raise OpenpointError("integer_recourse is False, but the recourse has integers; say True, or leave it out")
        dispatch = self._program.dispatch(recourse)
        stage = made(recourse)
        constraints = [*stage.constraints, *(cone.constraint() for cone in stage.cones)]
        compiled = compile_model(stage.cost, constraints, also=coupled)
        form = compiled.with_coupling(np.concatenate([compiled.of(part) for part in coupled]))
        cones = tuple(tuple(form.of(part) for part in parts(cone)) for cone in stage.cones)
        return _Compiled(ClarabelModel(form), form, cones, None if dispatch is None else form.of(dispatch))

    def _response(self, compiled: _Compiled, answer: Answer, m: int, *, feasible: bool) -> Response:
        assert answer.x is not None and answer.z is not None
        value = min(answer.bound, answer.value)
        value -= MARGIN * max(1.0, abs(value))
        slope, slope_u = self._slopes(-answer.z, m)
        return Response(
            feasible=feasible,
            value=value,
            slope=slope,
            slope_u=slope_u,
            point=compiled.point(answer),
            dispatch=None if compiled.dispatch is None else answer.x[compiled.dispatch],
            rough=abs(answer.value - answer.bound) > 1e-6 * max(1.0, abs(answer.value)),
            reached=answer.value,
        )


def _softened(recourse: SecondStage) -> SecondStage:
    return recourse.softened()


def _tolerant(recourse: SecondStage) -> SecondStage:
    return recourse.tolerant(2.0 * VIOLATION_MIN)


@dataclass(frozen=True)
class RecourseWork:
    """The recourse as work for other processes: from pairs of decision and realisation to responses."""

    program: AnyProgram
    n: int
    goal: Goal

    def prepare(self, stop: Callable[[], bool] = never) -> Callable[[tuple[Floats, Floats]], Response]:
        """Compile."""
        subproblem = Subproblem(self.program, self.n, self.goal)
        return lambda pair: subproblem.respond(*pair)


@dataclass(frozen=True)
class Finding:
    """A response, the realisation (m) where it was found, and the number of the θ that it bounds."""

    k: int
    realisation: Floats
    response: Response


@dataclass(frozen=True)
class Evaluation:
    """The evaluation of a decision: its objective, bounds, and what cuts are made of.

    Attributes:
        decision: (n).
        value: verified objective; `inf` where the limits are not kept.
        recourse_bound: lower bound of the objective at this decision that follows from the findings.
        lower_bound: best lower bound at this decision; a no-good cut may carry it into a master.
        values: (K) verified recourse costs.
        verdict: the exact evaluation.
        findings: responses of the recourse.
        exact: whether the exact evaluation is that of the recourse itself.
        copies_pay: whether an embedded recourse strengthens a master more than the cuts do.
        unsolved: whether recourses were left open that took too long: asked again, they get more time.
        added: what is known of the decisions with deferred entries added, where anything is.
    """

    decision: Floats
    value: float
    recourse_bound: float
    lower_bound: float
    values: Floats
    verdict: ExactEvaluation
    findings: tuple[Finding, ...] = ()
    exact: bool = False
    copies_pay: bool = True
    unsolved: bool = False
    added: AddedBounds | None = None

    @property
    def violation(self) -> float:
        """Sum of the violations over the realisations."""
        return float(self.verdict.violations.sum())

    @property
    def rough(self) -> bool:
        """Whether a solver reached only a reduced accuracy."""
        return any(finding.response.rough for finding in self.findings)


class RecourseEvaluator(Protocol):
    """Evaluates decisions of a program; compiles its recourse once."""

    @property
    def objective(self) -> Objective:
        """The objective that decisions are evaluated by."""
        ...

    @property
    def recourse(self) -> RecourseSolver:
        """Solves the recourse of the program."""
        ...

    def evaluate_exactly(self, decision: Floats, dispatch: Floats | None = None) -> Evaluation | None:
        """The exact evaluation only, at a dispatch for all realisations if any; None where it needs a recourse."""
        ...

    def evaluate(
        self,
        decision: Floats,
        stop: Callable[[], bool] = never,
        *,
        enough: float = math.inf,
        again: bool = False,
    ) -> Evaluation | None:
        """Solve the recourse and evaluate the decision exactly; None where stopped before.

        `enough`: a lower bound of the objective above which its exact value does not matter. `again`: the decision was
        evaluated before; what bounds left open then is solved now.
        """
        ...


@dataclass
class RecourseSolver:
    """Solves the recourse of a program at pairs of a decision and a realisation."""

    program: AnyProgram
    workers: Workers
    _works: dict[Goal, RecourseWork] = field(default_factory=dict)
    _templates: dict[Goal, Template] = field(default_factory=dict)

    def solve(
        self, goal: Goal, decision: Floats, realisations: Sequence[Floats], stop: Callable[[], bool] = never
    ) -> list[Response] | None:
        """One response for each realisation, at one decision; None where stopped before."""
        if not len(realisations):
            return []
        if goal not in self._works:
            self._works[goal] = RecourseWork(self.program, len(decision), goal)
        return self.workers.run(self._works[goal], [(decision, u) for u in realisations], stop)

    def template(self, goal: Goal, n: int) -> Template:
        """The recourse as arrays, at decisions of length n; compiled at the first use."""
        if goal not in self._templates:
            self._templates[goal] = template_of(self.program, n, goal)
        return self._templates[goal]


@dataclass
class FiniteSetEvaluator:
    """Evaluates decisions in every realisation of a finite set, for a recourse without integers."""

    program: AnyProgram
    objective: Objective
    recourse: RecourseSolver

    def evaluate_exactly(self, decision: Floats, dispatch: Floats | None = None) -> Evaluation | None:
        given = None if dispatch is None else [dispatch] * self.objective.count
        verdict = self.program.evaluate(decision, self.objective.realisations, given)
        return (
            None if verdict is None else evaluation_of(self.program, self.objective, decision, verdict, (), exact=False)
        )

    def evaluate(
        self,
        decision: Floats,
        stop: Callable[[], bool] = never,
        *,
        enough: float = math.inf,
        again: bool = False,
    ) -> Evaluation | None:
        objective, goal = self.objective, self.objective.goal
        answers = self.recourse.solve(goal, decision, list(objective.realisations), stop)
        if answers is None:
            return None
        dispatch = [r.dispatch for r in answers if r.dispatch is not None]
        given = dispatch if len(dispatch) == len(answers) else None
        verdict = self.program.evaluate(decision, objective.realisations, given)
        exact = verdict is None
        if verdict is None:
            verdict = evaluation_by_recourse(answers, goal)
        answered = list(enumerate(answers))
        if goal is Goal.WITHOUT_LIMITS:
            asked = [k for k, violation in enumerate(verdict.violations) if exact or violation > 0.0]
            more = self.recourse.solve(Goal.VIOLATION, decision, [objective.realisations[k] for k in asked], stop)
            if more is None:
                return None
            if exact:  # violations are not in the recourse without limits
                violations = np.array([r.value if r.value > VIOLATION_MIN else 0.0 for r in more])
                verdict = ExactEvaluation(verdict.values, violations, None, False)
            answered += [
                (k, _as_feasibility_cut(r)) for k, r in zip(asked, more) if r.value > (VIOLATION_MIN if exact else 0.0)
            ]
        findings = tuple(Finding(k, objective.realisations[k], response) for k, response in answered)
        return evaluation_of(self.program, objective, decision, verdict, findings, exact=exact)


def evaluation_of(
    program: AnyProgram,
    objective: Objective,
    decision: Floats,
    verdict: ExactEvaluation,
    findings: tuple[Finding, ...],
    *,
    exact: bool,
    least: Floats | None = None,
) -> Evaluation:
    """The evaluation made of exact evaluation and findings; `least` (K) are further lower bounds of the costs."""
    violation = objective.goal is Goal.VIOLATION
    cost = objective.first_stage_cost(program, decision)
    evaluated = verdict
    if violation:
        evaluated = ExactEvaluation(verdict.violations, np.zeros(len(verdict.violations)), verdict.state, verdict.final)
    known = -np.inf
    if findings and not any(finding.response.rough for finding in findings):
        lowest = np.full(objective.count, objective.floor)
        for finding in findings:
            if finding.response.feasible:
                lowest[finding.k] = max(lowest[finding.k], finding.response.value)
            elif objective.goal is Goal.COST:
                lowest[finding.k] = np.inf
        known = objective.bound(cost, lowest)
    value = objective.value(cost, evaluated)
    if least is None and verdict.final:
        least = evaluated.values if np.isfinite(value) else np.full(objective.count, np.inf)
    settled = known if least is None else objective.bound(cost, least)
    return Evaluation(decision, value, known, settled, evaluated.values, verdict, findings, exact)


def evaluation_by_recourse(answers: Sequence[Response], goal: Goal) -> ExactEvaluation:
    """The evaluation by the recourse where that is exact; a realisation that no solver could solve is not verified."""
    priced = [r.feasible and not np.isnan(r.reached) for r in answers]
    values = np.array([max(r.value, r.reached) if good else np.inf for r, good in zip(answers, priced)])
    if goal is Goal.VIOLATION:
        return ExactEvaluation(np.zeros(len(values)), values, None, False)
    return ExactEvaluation(values, np.where(np.isfinite(values), 0.0, np.inf), None, False)


def _as_feasibility_cut(response: Response) -> Response:
    """A least violation as a feasibility cut: the limits are kept only where it is 0."""
    return Response(False, response.value, response.slope, response.slope_u, (), None, response.rough)
