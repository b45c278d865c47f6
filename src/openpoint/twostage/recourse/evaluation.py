"""Evaluation: what a decision costs in every realisation, by the recourse and by the exact model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from openpoint.arrays import Floats
from openpoint.twostage.objective import Objective
from openpoint.twostage.program import AnyProgram, ExactEvaluation, Goal
from openpoint.twostage.recourse.compile import Template, template_of
from openpoint.twostage.recourse.subproblem import VIOLATION_MIN, RecourseWork, Response
from openpoint.twostage.workers.pool import Workers, never


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
        self, decision: Floats, stop: Callable[[], bool] = never, *, with_savings: bool = False
    ) -> Evaluation | None:
        """Solve the recourse and evaluate the decision exactly; None where stopped before.

        `with_savings`: where the decision has no deferred entry, also bound what these save at most.
        """
        ...

    def recourse_at(self, decision: Floats, realisations: Sequence[Floats]) -> list[Response] | None:
        """The recourse at given realisations, which need not be those of the program; None where workers are lost."""
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
        self, decision: Floats, stop: Callable[[], bool] = never, *, with_savings: bool = False
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

    def recourse_at(self, decision: Floats, realisations: Sequence[Floats]) -> list[Response] | None:
        return self.recourse.solve(self.objective.goal, decision, realisations)


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
