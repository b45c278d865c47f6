"""Solve a program by a method: checks, wait-and-see values, the evaluator, and the least violation at the end.

The extensive form: both stages in one mixed-integer cone program, given to one solver. A reference for tests.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.errors import OpenpointError, OptionError
from openpoint.solvers.base import HIGHS, SCIP, SOLVERS, Answer, StandardForm, Status, require, require_package, way_out
from openpoint.solvers.highs import HighsModel
from openpoint.solvers.modelling import cp
from openpoint.solvers.scip import solve_scip
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import CUT_SHORT, Iteration, Outcome, Progress, Termination, check_stops, ended_by
from openpoint.twostage.methods.master import RecourseCopy, embed_recourse
from openpoint.twostage.methods.run import Learning, Run, Settings
from openpoint.twostage.program import EXACT, AnyProgram, ExactEvaluation, Goal, Objective, no_good, objective_of, parts
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.recourse.evaluation import (
    Evaluation,
    FiniteSetEvaluator,
    RecourseEvaluator,
    RecourseSolver,
    evaluation_of,
)
from openpoint.twostage.recourse.mixed import MixedIntegerEvaluator
from openpoint.twostage.risk import Expectation, Regret, check_risk
from openpoint.twostage.uncertainty import Box, Budget, Certain, Scenarios, centre, listed
from openpoint.twostage.workers.executors import Lasting
from openpoint.twostage.workers.pool import Workers
from openpoint.twostage.worst_case.worst import WorstCaseEvaluator, worst_objective

WAIT_AND_SEE_GAP = 0.1
"""Gap of the wait-and-see values, relative to the gap asked for: regret is a small difference of large numbers."""

WAIT_AND_SEE_SHARE = 0.5
"""Share of the time left for the wait-and-see values."""

Solve = Callable[[AnyProgram], Outcome]
SolveWithin = Callable[[AnyProgram, Deadline], Outcome]


class StoppedError(Exception):
    """The time was up, or the user asked to stop, before every realisation had a wait-and-see value."""


class NoSolutionError(OpenpointError):
    """A realisation has no solution even where it is known in advance.

    Attributes:
        realisation: its number, from 0. termination: how the search for one ended.
    """

    def __init__(self, realisation: int, termination: Termination, name: str = "") -> None:
        self.realisation, self.termination = realisation, termination
        super().__init__(
            f"{name or f'realisation {realisation + 1}'} has no solution even where it is known in advance "
            f"({termination}), so that there is no regret: leave it out, relax the limits, or take another risk"
        )


def nothing_yet(deadline: Deadline) -> Outcome:
    """The outcome of a run that was stopped before there was any answer."""
    return Outcome(deadline.why, None, None, -math.inf, math.inf, (), deadline.passed())


def wait_and_see(program: AnyProgram, solve: Solve) -> list[Outcome]:
    """The program solved for every realisation by itself (Madansky 1960).

    Raises:
        NoSolutionError: a realisation has no solution even by itself.
    """
    return [_with_solution(k, solve(single)) for k, single in enumerate(_each_realisation(program))]


def wait_and_see_bounds(
    program: AnyProgram,
    solve: SolveWithin,
    deadline: Deadline,
    gap: float | None = None,
    any_bounds: Callable[[], tuple[Floats, Floats]] | None = None,
) -> tuple[Floats, Floats] | None:
    """Lower and upper bounds of the wait-and-see values, where the risk is regret; else None.

    None, too, where it is proven that a realisation has no solution by itself, and all need one: then no decision has
    one, whatever the risk, which the method proves as for any other risk.

    With a gap, the study may compute the bounds (`TwoStageProgram.deterministic_bounds`); where it does not, `solve`
    does. Every realisation gets a part of the time left, and all of it where it has no answer after its part; bounds
    that do not reach the gap are still valid. After the deadline `any_bounds` gives valid bounds of all realisations at
    once, inf where it has none; without it the study is asked for those of one after another.

    Raises:
        NoSolutionError: a realisation has no solution even by itself.
        StoppedError: the deadline came before every realisation had bounds.
    """
    if not isinstance(program.risk, Regret):
        return None
    bounds: list[tuple[float, float]] = []
    singles = list(_each_realisation(program))
    whole = deadline.within(WAIT_AND_SEE_SHARE * deadline.left())
    spare: tuple[Floats, Floats] | None = None
    for k, single in enumerate(singles):
        if any_bounds is not None and deadline.over():
            spare = any_bounds() if spare is None else spare
            if np.isfinite(spare[1][k]):
                bounds.append((float(spare[0][k]), float(spare[1][k])))
                continue
        part = whole.within(whole.left() / (len(singles) - k))
        least = gap if gap is None or not deadline.over() else math.inf
        if least is None or (known := single.deterministic_bounds(least, part)) is None:
            outcome = solve(single, part)
            if _is_stopped(outcome) and not deadline.over():
                outcome = solve(single, deadline)  # its part was too short for any answer, and there is time left
            if _is_stopped(outcome):
                raise StoppedError
            if outcome.termination is Termination.INFEASIBLE and program.limits_share >= 1.0:
                return None
            outcome = _with_solution(k, outcome)
            known = outcome.lower_bound, outcome.upper_bound
        bounds.append(known)
    lower, upper = np.array(bounds).T
    return lower, upper


def _is_stopped(outcome: Outcome) -> bool:
    return outcome.decision is None and outcome.termination in CUT_SHORT


def _each_realisation(program: AnyProgram) -> Iterator[AnyProgram]:
    """The program with each of its realisations as the only one."""
    uncertainty = program.uncertainty
    assert not isinstance(uncertainty, Box | Budget)
    return (program.with_uncertainty(Certain(u), Expectation()) for u in uncertainty.values)


def _with_solution(k: int, outcome: Outcome) -> Outcome:
    if outcome.decision is None:
        raise NoSolutionError(k, outcome.termination)
    return outcome


def as_finite(program: AnyProgram) -> AnyProgram:
    """The program with the vertices of a polyhedral set in place of the set.

    Raises:
        OptionError: there are too many.
    """
    if not isinstance(program.uncertainty, Box | Budget):
        return program
    return program.with_uncertainty(Scenarios(listed(program.uncertainty)), program.risk)


_LOG = logging.getLogger(__name__)

EVALUATED = 0.4
"""Share of the gap to which a decision is evaluated where the recourse has integers."""
EXPLAIN_GAP = 0.01
"""Relative gap of the least violation, which only explains why no decision keeps the limits."""
EXPLAIN_S = 20.0
"""Seconds for the least violation, or twice those of the proof of infeasibility."""


def solve(
    program: AnyProgram,
    settings: Settings,
    learning: Learning,
    progress: Progress | None,
    deadline: Deadline | None = None,
) -> Outcome:
    """Solve a program to the gap, or until a limit or Ctrl-C; the best verified answer is kept.

    Where no decision keeps the limits, the outcome names the decision of least violation.

    Args:
        program: what to solve. settings: when to stop. learning: the rule of the method.
        progress: called with every line of the log. deadline: in place of the time limit of the settings.
    """
    check_risk(program.uncertainty, program.risk)
    integers = _has_integers(program)
    if integers and isinstance(program.uncertainty, Box | Budget):
        if isinstance(program.uncertainty, Box):
            raise OptionError("the worst case of a recourse with integers need not be a vertex of a box; use Budget")
        program = program.with_uncertainty(Scenarios(listed(program.uncertainty)), program.risk)
    finer = replace(settings, gap=WAIT_AND_SEE_GAP * settings.gap)
    with settings.executor.open() as opened, deadline_of(settings.time_limit_s, deadline) as until:
        workers = Lasting(opened, until)
        try:
            wait_and_see = wait_and_see_bounds(
                program, lambda single, part: solve(single, finer, learning, None, part), until, finer.gap
            )
        except StoppedError:
            return nothing_yet(until)
        evaluator = _evaluator(program, settings, workers, wait_and_see, integers=integers, violation=False)
        _LOG.info("compiled the recourse")
        outcome = Run(settings, learning, program, evaluator, progress or _silent, until).execute()
        if outcome.termination is not Termination.INFEASIBLE or until.over():
            return outcome
        if progress is not None:
            progress(replace(outcome.log[-1], verdict="infeasible; looking for the least violation", interim=True))
        explain, part = replace(settings, gap=EXPLAIN_GAP), until.within(max(EXPLAIN_S, 2.0 * outcome.seconds))
        evaluator = _evaluator(program, settings, workers, None, integers=integers, violation=True)
        least = Run(explain, learning, program, evaluator, _silent, part).execute()
    return Outcome(
        Termination.INFEASIBLE,
        None,
        least.state,
        outcome.lower_bound,
        math.inf,
        outcome.log,
        outcome.seconds + least.seconds,
        least_violation=least.decision,
    )


def _evaluator(
    program: AnyProgram,
    settings: Settings,
    workers: Workers,
    wait_and_see: tuple[Any, Any] | None,
    *,
    integers: bool,
    violation: bool,
) -> RecourseEvaluator:
    recourse = RecourseSolver(program, workers)
    if isinstance(program.uncertainty, Box | Budget):
        return WorstCaseEvaluator(program, worst_objective(program, violation=violation), recourse, settings.separation)
    objective = objective_of(program, violation=violation, wait_and_see=wait_and_see)
    if integers:
        return MixedIntegerEvaluator(program, objective, recourse, EVALUATED * settings.gap)
    return FiniteSetEvaluator(program, objective, recourse)


def _has_integers(program: AnyProgram) -> bool:
    if program.integer_recourse is not None:
        return program.integer_recourse
    first = program.first_stage(with_recourse=False)
    realisation = cp.Constant(centre(program.uncertainty))
    return bool(program.recourse(first.decision, realisation, limits=True).integers)


def _silent(_: Iteration) -> None:
    """Ignore the progress."""


GROWTH = 1.1
"""Exponent by which the time to compile a model grows with the number of copies in it, measured with up to 64."""


@dataclass(frozen=True, kw_only=True)
class ExtensiveForm:
    """The extensive form: all realisations in one mixed-integer cone program. For checks of another method.

    Over a polyhedral set it contains every vertex, which is exact where the recourse has no integers. Where the exact
    evaluation of the optimum is above the model's value, a no-good cut is added and the model is solved again.

    Attributes:
        solver: `scip` takes every program, `highs` those without cones.
        gap: relative gap at which to stop.
        time_limit_s: seconds after which to stop; None = none.
    """

    solver: str = "scip"
    gap: float = 1e-4
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        if self.solver not in SOLVERS:
            raise OptionError(f"unknown solver {self.solver!r}; known are {', '.join(SOLVERS)}")
        capabilities = SOLVERS[self.solver]
        require(capabilities, cones=False, integers=True, way_out=way_out(cones=True, integers=True))
        check_stops(self.gap, self.time_limit_s)

    def __str__(self) -> str:
        return f"ExtensiveForm(solver={self.solver}, gap={self.gap:g})"

    def solve(
        self,
        program: AnyProgram,
        progress: Progress | None = None,
        deadline: Deadline | None = None,
    ) -> Outcome:
        """Solve a program; where nothing keeps the limits, find the least violation.

        A deadline takes the place of the time limit.

        Raises:
            OptionError: the solver cannot take the program, there are too many vertices, or limits need not be kept
                in all realisations.
            MissingExtraError: its package is not installed.
        """
        require_package(SOLVERS[self.solver])
        check_risk(program.uncertainty, program.risk)
        if program.limits_share < 1.0:
            raise OptionError("the extensive form keeps the limits in every realisation; use Benders() for a share")
        program = as_finite(program)
        finer = replace(self, gap=WAIT_AND_SEE_GAP * self.gap)
        with deadline_of(self.time_limit_s, deadline) as until:
            try:
                wait_and_see = wait_and_see_bounds(program, lambda single, part: finer.solve(single, None, part), until)
            except StoppedError:
                return nothing_yet(until)
            objective = objective_of(program, wait_and_see=wait_and_see)
            outcome = self._solve(program, objective, progress, until)
            if outcome.termination is not Termination.INFEASIBLE or until.over():
                return outcome
            least = self._solve(program, objective_of(program, violation=True), None, until)
        return replace(outcome, state=least.state, least_violation=least.decision)

    def _solve(
        self,
        program: AnyProgram,
        objective: Objective,
        progress: Progress | None,
        deadline: Deadline,
    ) -> Outcome:
        began = deadline.passed()
        if not self._fits(program, objective.count, deadline):
            line = Iteration(1, deadline.passed() - began, -math.inf, math.inf, math.inf, "too large for the time left")
            if progress is not None:
                progress(line)
            return replace(nothing_yet(deadline), log=(line,), seconds=line.seconds)
        model = _MonolithicModel(program, objective, self.solver)
        lower, log = -math.inf, list[Iteration]()
        best: Evaluation | None = None
        while True:
            answer = model.solve(0.5 * self.gap, max(deadline.left(), 0.1), deadline)
            if answer.status is Status.INFEASIBLE and best is not None:
                lower = best.value
            elif math.isfinite(answer.bound):
                lower = max(lower, answer.bound if best is None else min(answer.bound, best.value))
            word, exact = "nothing found", False
            value = math.inf
            if answer.x is not None:
                found = model.found(answer)
                value, exact = found.value, found.exact or found.verdict.final
                if value < (math.inf if best is None else best.value):
                    best = found
                word, cost = "one piece", objective.first_stage_cost(program, found.decision)
                if found.verdict.final and found.lower_bound > found.recourse_bound + EXACT * max(
                    1.0, abs(found.recourse_bound)
                ):
                    model.forbid(found.decision, found.lower_bound - cost)
                    word += " + no-good"
            upper = math.inf if best is None else best.value
            log.append(Iteration(len(log) + 1, deadline.passed() - began, min(lower, upper), upper, value, word))
            if progress is not None:
                progress(log[-1])
            if (reason := self._why(answer, log[-1], deadline, again="no-good" in word, exact=exact)) is not None:
                break
        return Outcome(
            reason,
            None if best is None else best.decision,
            None if best is None else best.verdict.state,
            min(lower, upper),
            upper,
            tuple(log),
            deadline.passed() - began,
            values=None if best is None else best.values,
        )

    def _fits(self, program: AnyProgram, count: int, deadline: Deadline) -> bool:
        """Whether the model can be compiled in the time left, estimated by the time that one copy takes.

        Compilation cannot be interrupted.
        """
        if deadline.over():
            return False
        if math.isinf(deadline.left()) or count == 1 or isinstance(program.uncertainty, Box | Budget | Certain):
            return True
        began = deadline.passed()
        wait_and_see = program.with_uncertainty(Certain(program.uncertainty.values[0]), Expectation())
        _MonolithicModel(wait_and_see, objective_of(wait_and_see), self.solver)
        return bool((deadline.passed() - began) * float(count) ** GROWTH <= deadline.left())

    def _why(
        self, answer: Answer, last: Iteration, deadline: Deadline, *, again: bool, exact: bool
    ) -> Termination | None:
        if last.gap <= self.gap:
            return ended_by(last.gap)
        if answer.status is Status.INFEASIBLE:
            return Termination.INFEASIBLE
        if deadline.interrupted() or answer.status is Status.LIMIT:
            return deadline.why if deadline.over() or math.isfinite(deadline.left()) else Termination.INTERRUPTED
        if answer.status is not Status.OPTIMAL:
            raise OpenpointError(f"{self.solver} failed on the one-piece program; use the method Benders")
        if again:
            return None
        return Termination.ACCURACY if exact else Termination.RELAXATION


class _MonolithicModel:
    """Both stages compiled as one model; θ are the costs of the recourses."""

    def __init__(self, program: AnyProgram, objective: Objective, solver: str) -> None:
        self._program, self._objective = program, objective
        first = program.first_stage(with_recourse=True)
        theta, risk = cp.Variable(objective.count, name="theta"), cp.Variable(name="risk")
        rho, constraints = objective.probabilities.block(theta - objective.wait_and_see_upper)
        eye = np.eye(objective.count)
        copies = [RecourseCopy(eye[k], u, math.inf) for k, u in enumerate(objective.realisations)]
        embedded = [embed_recourse(program, first, theta[k], copy, objective.goal) for k, copy in enumerate(copies)]
        constraints += [*first.constraints, *(each for h in embedded for each in h.constraints)]
        cones = [cone for h in embedded for cone in h.stage.cones]
        # SCIP is given its cones as they are, in products of columns: written as norms they break its linear programs.
        constraints += [] if solver == SCIP.name else [cone.constraint() for cone in cones]
        constraints += [theta >= objective.floor, risk >= rho, risk >= objective.risk_lower_bound]
        violation = objective.goal is Goal.VIOLATION
        integers = (*first.integers, *(v for h in embedded for v in h.stage.integers))
        form = compile_model(risk if violation else first.cost + risk, constraints, integers, also=(first.decision,))
        self._form, self._binary = form, first.binary
        self._rotated = [tuple(form.of(part) for part in parts(cone)) for cone in cones] if solver == SCIP.name else []
        self._solver = solver
        dispatch = [program.dispatch(h.recourse) for h in embedded]
        self._dispatch = [form.of(each) for each in dispatch if each is not None]
        self._columns, self._theta, self._risk = form.of(first.decision), form.of(theta), int(form.of(risk)[0])

    def solve(self, gap: float, seconds: float, deadline: Deadline) -> Answer:
        """Solve with the no-good cuts so far; HiGHS asks the deadline, SCIP reacts to Ctrl-C itself."""
        if self._solver == HIGHS.name:
            return HighsModel(self._form).solve(integral=True, gap=gap, seconds=seconds, stop=deadline.over)
        limit, of_processor = None if math.isinf(seconds) else seconds, deadline.of_processor
        return solve_scip(self._form, self._rotated, gap=gap, time_limit_s=limit, of_processor=of_processor)

    def found(self, answer: Answer) -> Evaluation:
        """The exact evaluation of a solution."""
        assert answer.x is not None
        program, objective = self._program, self._objective
        decision = answer.x[self._columns]
        decision = np.round(decision) if self._binary else decision
        dispatch = [answer.x[columns] for columns in self._dispatch] or None
        verdict, theta = program.evaluate(decision, objective.realisations, dispatch), answer.x[self._theta]
        exact = verdict is None
        if verdict is None:
            violations = theta if objective.goal is Goal.VIOLATION else np.zeros(len(theta))
            verdict = ExactEvaluation(theta, violations, None, False)
        found = evaluation_of(program, objective, decision, verdict, (), exact=exact)
        return replace(found, recourse_bound=objective.bound(objective.first_stage_cost(program, decision), theta))

    def forbid(self, decision: Floats, cost: float) -> None:
        """Add a no-good cut of a decision as one more inequality."""
        floor, distance = self._objective.risk_lower_bound, self._program.distance_min
        slope, on_risk, upper = no_good(decision, cost, floor=floor, distance_min=distance)
        row = np.zeros(len(self._form.c))
        row[self._columns], row[self._risk] = slope, on_risk
        form: StandardForm = self._form
        linear = form.n_zero + form.n_nonneg
        self._form = replace(
            form,
            a=sp.csc_array(sp.vstack([form.a[:linear], sp.csr_array(row[None, :]), form.a[linear:]])),
            b=np.concatenate([form.b[:linear], [upper], form.b[linear:]]),
            n_nonneg=form.n_nonneg + 1,
        )
