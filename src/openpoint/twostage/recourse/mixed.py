"""Evaluation of decisions whose recourse has integers, over a finite set of realisations.

The exact costs would take one mixed-integer program for each realisation. Bounds make most of them unnecessary. A
recourse found for one realisation is feasible in every other whose constraints it keeps, at the same cost: an upper
bound. Cuts of the relaxed recourse hold at every realisation: a lower bound. So programs are solved only while the risk
of the upper bounds lies above that of the lower ones, first for the realisations with the greatest weight in the risk.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.solvers.base import Status
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.log import SAME
from openpoint.twostage.program import (
    AnyProgram,
    ExactEvaluation,
    Goal,
    Objective,
    RecourseBounds,
    ReducedProgram,
)
from openpoint.twostage.recourse.compile import Template, template_of
from openpoint.twostage.recourse.evaluation import Evaluation, Finding, RecourseSolver, Response, evaluation_of
from openpoint.twostage.workers.pool import never, remembered

GAP = 1e-6
"""Smallest relative gap to which a recourse is solved."""
GAP_SHARE = 0.25
"""Gap to which a recourse is solved, as a share of that of the evaluation; its lower bound is used."""
FEASIBLE = 1e-6
"""Slack, relative to 1 or the right-hand side, within which a recourse keeps the constraints of another realisation."""
BATCH = 128
"""Most realisations that are solved before the bounds are compared again."""
CHECKS, LONGER, HARD_MOST = 50, 4, 4
"""How often the solver of one recourse may ask whether to stop, where a study has bounds, or linear programs of a
study's own search: a count of its work, about a second on 33 buses, which no clock changes; by how much more each time
it is asked for again; and after how many that are not solved an evaluation ends: then the bounds of other decisions say
more."""
CUTS_MOST = 1_000
"""Most realisations with cuts of a relaxation from one evaluation, those first that cost most beyond the bounds."""
GUESSES = 4
"""Most rounds in which the realisations of a batch are chosen."""


@dataclass(frozen=True)
class IntegerSolution:
    """A recourse solved with its integers: cost, bound of the cost, and own variables; None where there is none."""

    value: float
    bound: float
    y: Floats | None


@dataclass(frozen=True)
class IntegerRecourseWork:
    """The recourse with its integers, as work for other processes."""

    template: Template
    gap: float = GAP

    def prepare(self, stop: Callable[[], bool] = never) -> Callable[[tuple[Floats, Floats, float]], IntegerSolution]:
        """Load the arrays into the solver; what is asked has the number of checks after which to end."""
        template = self.template
        if template.cones:
            raise OptionError(
                "a recourse with integers and cones is beyond this method; use ExtensiveForm(solver='scip')"
            )
        model = HighsModel(template.form)

        def solve(asked: tuple[Floats, Floats, float]) -> IntegerSolution:
            decision, realisation, most = asked
            checks = itertools.count()
            model.fix(template.x, decision)
            model.fix(template.u, realisation)
            answer = model.solve(integral=True, gap=self.gap, cold=True, stop=lambda: next(checks) >= most or stop())
            if answer.x is None:
                return IntegerSolution(np.inf, np.inf if answer.status is Status.INFEASIBLE else -np.inf, None)
            return IntegerSolution(answer.value, answer.bound, answer.x[template.y])

        return solve


class SolutionPool:
    """Recourses found so far, and the realisations in which they are feasible at a decision."""

    def __init__(self, template: Template, realisations: Floats) -> None:
        a = sp.csr_array(template.form.a)
        self._a_y, self._a_x = sp.csr_array(a[:, template.y]), sp.csr_array(a[:, template.x])
        self._c_y, self._c_x = template.form.c[template.y], template.form.c[template.x]
        a_u = sp.csr_array(a[:, template.u])
        self._b = template.form.b
        self._tolerance = FEASIBLE * np.maximum(1.0, np.abs(self._b))
        # Rows that depend on the realisation are checked for each of them, others once for each recourse and decision.
        moving = np.diff(a_u.indptr) > 0
        self._equal = np.arange(len(self._b)) < template.form.n_zero
        self._moving, self._still = np.flatnonzero(moving), np.flatnonzero(~moving)
        self._shift = (a_u[self._moving] @ realisations.T).T  # (K, rows)
        self._u_cost = template.form.offset + realisations @ template.form.c[template.u]
        self._used: list[Floats] = []
        self._cost: list[float] = []

    def add(self, y: Floats) -> None:
        """Keep a recourse."""
        self._used.append(self._a_y @ y)
        self._cost.append(float(self._c_y @ y))

    def upper_bounds(self, decision: Floats) -> Floats:
        """(K) least cost of the recourses kept that are feasible in each realisation; inf where none is."""
        upper = np.full(len(self._shift), np.inf)
        held = self._a_x @ decision
        for used, cost in zip(self._used, self._cost):
            slack = self._b - held - used
            violated = np.where(self._equal, np.abs(slack), -slack) > self._tolerance
            if violated[self._still].any():
                continue
            room = slack[self._moving] - self._shift
            equal = self._equal[self._moving]
            keeps = np.where(equal, -np.abs(room), room) >= -self._tolerance[self._moving]
            good = keeps.all(axis=1)
            upper[good] = np.minimum(upper[good], cost)
        return np.asarray(upper + self._u_cost + float(self._c_x @ decision))


class CutPool:
    """Cuts of the relaxed recourse, each valid at every decision and in every realisation."""

    def __init__(self, realisations: Floats) -> None:
        self._realisations = realisations
        self._responses: list[Response] = []
        self._constant: list[float] = []
        self._by_realisation: list[Floats] = []  # (K) each: slope_uᵀ u

    def add(self, decision: Floats, realisation: Floats, response: Response) -> None:
        """Keep a cut."""
        self._responses.append(response)
        constant = response.value - float(response.slope @ decision) - float(response.slope_u @ realisation)
        self._constant.append(constant)
        self._by_realisation.append(self._realisations @ response.slope_u)

    def lower_bounds(self, decision: Floats, floor: float) -> tuple[Floats, Ints]:
        """(K) lower bounds of the cost at a decision, at least `floor`, and the number of the cut, −1 for none."""
        count = len(self._realisations)
        if not self._responses:
            return np.full(count, floor), np.full(count, -1)
        slopes = np.array([response.slope for response in self._responses])
        by_cut = np.array(self._by_realisation) + (np.array(self._constant) + slopes @ decision)[:, None]
        best = np.argmax(by_cut, axis=0)
        value = by_cut[best, np.arange(count)]
        return np.maximum(value, floor), np.where(value > floor, best, -1)

    def at(self, cut: int, value: float) -> Response:
        """A cut as a response at the point where its value is `value`."""
        return replace(self._responses[cut], value=value, point=(), dispatch=None)


@dataclass
class MixedIntegerEvaluator:
    """Evaluates decisions in finitely many realisations, for a linear recourse with integers.

    Attributes:
        gap: relative difference of the risks of upper and lower bounds at which no further realisation is solved.
    """

    program: AnyProgram
    objective: Objective
    recourse: RecourseSolver
    gap: float
    _programs: OrderedDict[bytes, tuple[IntegerRecourseWork, SolutionPool]] = field(
        default_factory=OrderedDict, init=False
    )
    _cuts: CutPool | None = field(default=None, init=False)
    _known: dict[bytes, tuple[float, float]] = field(default_factory=dict, init=False)
    _times: Counter[bytes] = field(default_factory=Counter, init=False)

    def evaluate_exactly(self, decision: Floats, dispatch: Floats | None = None) -> Evaluation | None:
        return None

    def evaluate(
        self,
        decision: Floats,
        stop: Callable[[], bool] = never,
        *,
        enough: float = math.inf,
        again: bool = False,
    ) -> Evaluation | None:
        objective, realisations = self.objective, self.objective.realisations
        smaller = self.program.reduced_program(decision) or ReducedProgram(b"", self.program, decision)
        bounds = self.program.recourse_bounds(decision, realisations, stop) if objective.goal is Goal.COST else None
        if bounds is not None:
            most = enough if again else -math.inf
            return self._bounded(decision, smaller, bounds, stop, most)
        work, pool, cuts, inner = *self._prepared(smaller), smaller.decision
        upper, lower = pool.upper_bounds(inner), cuts.lower_bounds(decision, objective.floor)[0]
        priced = np.zeros(objective.count, dtype=np.bool_)
        findings: list[Finding] = []
        keys = [b""] * objective.count
        while len(chosen := self._next_to_solve(decision, lower, upper, priced, keys)):
            priced[chosen] = True
            relaxed = self.recourse.solve(objective.goal, decision, [realisations[k] for k in chosen], stop)
            exact = self.recourse.workers.run(work, [(inner, realisations[k], math.inf) for k in chosen], stop)
            if relaxed is None or exact is None:
                break  # the bounds known by now are valid
            for k, response in zip(chosen, relaxed):
                if response.feasible:
                    cuts.add(decision, realisations[k], response)
                else:
                    findings.append(Finding(int(k), realisations[k], response))
            for k, answer in zip(chosen, exact):
                if answer.y is not None:
                    pool.add(answer.y)
                lower[k], upper[k] = max(lower[k], answer.bound), min(upper[k], answer.value)
            upper = np.minimum(upper, pool.upper_bounds(inner))
            lower = np.maximum(lower, cuts.lower_bounds(decision, objective.floor)[0])
            if np.isinf(lower[chosen]).any():
                break  # a realisation without a recourse: the decision is infeasible
        if stop() and not np.isfinite(upper).all():
            return None
        verdict = ExactEvaluation(upper, np.where(np.isfinite(upper), 0.0, np.inf), None, False)
        least = np.minimum(lower, upper)
        lowest, which = cuts.lower_bounds(decision, objective.floor)
        findings += [Finding(k, realisations[k], cuts.at(int(c), lowest[k])) for k, c in enumerate(which) if c >= 0]
        return evaluation_of(self.program, objective, decision, verdict, tuple(findings), exact=True, least=least)

    def _bounded(
        self,
        decision: Floats,
        smaller: ReducedProgram,
        bounds: RecourseBounds,
        stop: Callable[[], bool],
        enough: float,
    ) -> Evaluation:
        """The evaluation where the study has bounds: what is open is searched more thoroughly, then solved."""
        objective, realisations, keys = self.objective, self.objective.realisations, bounds.cost_keys
        lower, upper = np.maximum(bounds.least, objective.floor), bounds.upper.copy()
        self._apply_known(keys, lower, upper)
        cost, hard = objective.first_stage_cost(self.program, decision), 0
        for exactly in (False, True):
            priced = np.zeros(objective.count, dtype=np.bool_)
            while (
                objective.bound(cost, lower) < enough
                and hard < HARD_MOST
                and not stop()
                and len(chosen := self._next_to_solve(decision, lower, upper, priced, keys, searched=exactly))
            ):
                if not exactly:
                    priced[chosen] = True
                    for k in itertools.takewhile(lambda _: not stop(), chosen):
                        better = self.program.better_bounds(decision, realisations[k])
                        lower[k] = max(lower[k], better[0])
                        upper[k] = max(min(upper[k], better[1]), lower[k])
                    continue
                for k in chosen[: 1 + HARD_MOST // 2]:
                    priced[k] = True
                    most = CHECKS * LONGER ** self._times[keys[k]]
                    self._times[keys[k]] += 1
                    found = self.program.better_bounds(decision, realisations[k], most, self._accuracy, stop)
                    if not np.isfinite(found[1]):
                        work, pool, _ = self._prepared(smaller)
                        exact = self.recourse.workers.run(work, [(smaller.decision, realisations[k], most)], stop)
                        if exact is None:
                            break
                        if exact[0].y is not None:
                            pool.add(exact[0].y)
                            upper = np.minimum(upper, pool.upper_bounds(smaller.decision))
                        found = exact[0].bound, exact[0].value
                    old = self._known.get(keys[k], (lower[k], upper[k]))
                    self._known[keys[k]] = max(found[0], old[0]), min(found[1], old[1])
                    hard += found[1] - found[0] > 2.0 * self._accuracy * abs(found[1])
                self._apply_known(keys, lower, upper)
        upper = np.maximum(upper, lower)
        verdict = ExactEvaluation(upper, np.where(np.isfinite(upper), 0.0, np.inf), None, False)
        added = self.program.added_bounds(decision, realisations, lower)
        saved = None if added is None else (added.entries, added.savings(lower))
        findings = _monotone_cuts(decision, realisations, lower, bounds, objective.floor, saved)
        rows = np.flatnonzero(bounds.upper > bounds.lower + SAME)
        rows = rows[np.argsort(-(upper - bounds.lower)[rows], kind="stable")[:CUTS_MOST]]
        if len(rows) and (relaxed := self.program.relaxed_cuts(decision, realisations[rows], stop)) is not None:
            findings += cut_findings(rows, realisations, *relaxed)
        evaluation = evaluation_of(self.program, objective, decision, verdict, tuple(findings), exact=True, least=lower)
        near = evaluation.lower_bound + self.gap * abs(evaluation.lower_bound) + SAME  # inf where there is no recourse
        wide = evaluation.value > near
        unsolved = wide and (hard > 0 or enough == -math.inf)
        return replace(
            evaluation, copies_pay=False, unsolved=unsolved, added=added
        )  # the cuts are exact at this decision

    def _prepared(self, smaller: ReducedProgram) -> tuple[IntegerRecourseWork, SolutionPool, CutPool]:
        self._cuts = self._cuts or CutPool(self.objective.realisations)

        def compiled() -> tuple[IntegerRecourseWork, SolutionPool]:
            template = template_of(smaller.program, len(smaller.decision), self.objective.goal)
            return IntegerRecourseWork(template, self._accuracy), SolutionPool(template, self.objective.realisations)

        return *remembered(self._programs, smaller.key, compiled), self._cuts

    @property
    def _accuracy(self) -> float:
        return max(GAP, GAP_SHARE * self.gap)

    def _apply_known(self, keys: Sequence[bytes], lower: Floats, upper: Floats) -> None:
        """Set the bounds of realisations whose key was solved before."""
        for k, key in enumerate(keys):
            if (known := self._known.get(key)) is not None:
                lower[k], upper[k] = max(lower[k], known[0]), min(upper[k], known[1])

    def _next_to_solve(
        self,
        decision: Floats,
        lower: Floats,
        upper: Floats,
        priced: Bools,
        keys: Sequence[bytes],
        *,
        searched: bool = False,
    ) -> Ints:
        """The realisations to solve next: where the difference of the bounds weighs most; none where it is small.

        What was `searched` weighs less by the work that went into it, so that none waits for one that does not close.
        The number is the least that can suffice: each is assumed to cost its lower bound. Where the whole probability
        lies on the worst realisation, these are the next worst ones, which would have to be solved later anyway.
        """
        objective = self.objective
        cost = objective.first_stage_cost(self.program, decision)
        unknown = ~np.isfinite(upper)
        guess = np.where(unknown, 10.0 * (np.abs(np.where(unknown, lower, upper)).max() + 1.0), upper)
        bound = objective.bound(cost, lower)
        left, taken = ~priced, set[bytes]()
        effort = np.array([float(LONGER) ** self._times[key] if searched else 1.0 for key in keys])
        chosen: list[int] = []
        for _ in range(GUESSES):
            probabilities = objective.worst_probabilities(guess)
            total = objective.value(cost, ExactEvaluation(guess, np.zeros(len(guess)), None, False))
            excess = total - bound - self.gap * abs(total) - SAME
            if excess <= 0.0 and not unknown[probabilities > 0.0].any():
                break
            weight = np.where(left, probabilities * np.maximum(guess - lower, 0.0), 0.0)
            order = np.argsort(-weight / effort, kind="stable")[: BATCH - len(chosen)]
            enough = int(np.searchsorted(np.cumsum(weight[order]), excess)) + 1
            heaviest = [k for k in order[:enough] if weight[k] > 0.0]
            if not heaviest:
                break
            for k in heaviest:
                left[k] = False
                guess[k], unknown[k] = lower[k], False
                if not keys[k] or keys[k] not in taken:
                    taken.add(keys[k])
                    chosen.append(int(k))
        return np.asarray(chosen, dtype=np.int64)


def cut_findings(rows: Ints, realisations: Floats, values: Floats, slopes: Floats) -> list[Finding]:
    """Cuts of a relaxation, (R) values and (R, n) slopes for some rows of the realisations, as findings."""
    return [
        Finding(int(k), realisations[k], Response(True, float(value), slope, np.zeros(0), (), None))
        for k, value, slope in zip(rows, values, slopes)
        if value > 0.0
    ]


def _monotone_cuts(
    decision: Floats,
    realisations: Floats,
    lower: Floats,
    bounds: RecourseBounds,
    floor: float,
    saved: tuple[Ints, Floats] | None = None,
) -> list[Finding]:
    """Cuts that are exact at a binary decision x̂, of a recourse that never costs more where there are more ones.

    Let B = lower + slopeᵀ(x − x̂) be the recourse bound, a its slope on entries that are 0 at x̂ (a ≤ 0), M the entries
    of `may_improve`, and r = Q(x̂) − lower. Where no entry of M is added to x̂, the recourse costs at least Q(x̂) plus
    the slope; elsewhere at least B. One cut covers both: Q ≥ Q(x̂) + Σ_{x̂=0} a x − r Σ_{x̂=0, M} x. For deferred entries
    with a bound of what each saves (`saved`: numbers of J entries, and (K, J) costs), that bound takes the place of
    their part.
    """
    added = decision < 0.5
    findings = []
    for k, value in enumerate(lower):
        if not np.isfinite(value) or value <= floor:
            continue
        slope = np.where(added, np.minimum(bounds.slope[k], 0.0), 0.0)
        slope -= max(value - bounds.lower[k], 0.0) * (added & bounds.may_improve[k])
        if saved is not None:
            slope[saved[0]] = -saved[1][k]
        findings.append(Finding(k, realisations[k], Response(True, float(value), slope, np.zeros(0), (), None)))
    return findings
