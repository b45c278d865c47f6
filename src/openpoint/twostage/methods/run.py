"""One run of a decomposition: a master proposes a decision, it is evaluated, cuts or copies are added to the master.

repeat:  x̂ ← master;  lower ← its bound
         evaluation ← recourse at x = x̂ in the realisations that decide the risk, and exact evaluation
         upper ← min(upper, verified objective at x̂)
         master ← what the method makes of the evaluation: cuts, or copies of the recourse
until upper − lower ≤ gap
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.solvers.base import Status
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import (
    Iteration,
    Outcome,
    Progress,
    Termination,
    check_stops,
    ended_by,
    relative_gap,
)
from openpoint.twostage.methods.master import Master, Proposal
from openpoint.twostage.program import EXACT, AddedBounds, AnyProgram, Goal
from openpoint.twostage.recourse.evaluation import Evaluation, RecourseEvaluator, Response
from openpoint.twostage.uncertainty import Box, Budget
from openpoint.twostage.workers.executors import Choice, InProcess
from openpoint.twostage.worst_case.worst import Separation

_LOG = logging.getLogger(__name__)

ABSURD = 1e-5
"""Relative excess of a lower bound over a verified value above which it is a numerical failure."""
DEFERRED_SHARE = 0.5
"""Share of the time limit for the search without deferred entries."""
ENOUGH = 0.5
"""Share of the gap: a proposal whose bound lies within it below the incumbent is not evaluated."""
FAR = 0.8
"""The same share for each choice of deferred entries."""
RELAXED_ROUNDS, RELAXED_GAIN = 30, 1e-3
"""Most rounds of cuts of a relaxation at the root, and the relative rise of the bound below which it ends."""
RELAXED_MOST = 2_000
"""Realisations above which there are no such rounds: each takes a linear program for all of them."""
SOLVED = 0.5
"""Share of the gap: a model whose bound lies within it below its own value at a decision is solved."""
LOG_EVERY_S = 1.0
"""Seconds between lines of the log while a master is being solved."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """When a method stops, and where its subproblems run.

    Attributes:
        gap: relative gap at which to stop.
        time_limit_s: seconds after which to stop with the best verified answer; None = none.
        max_iterations: iterations after which to stop.
        executor: where subproblems run; the search for the worst realisation by climbing always runs in this process.
        separation: how the worst realisation of a polyhedral set is found, `vertices`, `dual` or `climb`; None chooses.
    """

    gap: float = 1e-4
    time_limit_s: float | None = None
    max_iterations: int = 10_000
    executor: Choice = field(default_factory=InProcess)
    separation: Separation | None = None

    def __post_init__(self) -> None:
        check_stops(self.gap, self.time_limit_s)
        if self.max_iterations < 1:
            raise OptionError(f"max_iterations is {self.max_iterations}; give at least 1")


class Learning(Protocol):
    """The rule of a method: which cuts and copies are added to the master."""

    def master(self, run: Run) -> Master:
        """The first master, with the cuts and copies that are known before it is solved."""
        ...

    def learn(self, run: Run, master: Master, proposal: Proposal, evaluation: Evaluation, *, again: bool) -> list[str]:
        """Add cuts or copies by an evaluation, and name them; `again`: the decision was proposed before."""
        ...


@dataclass
class Run:
    """One run: bounds, incumbent and log; `proven`: the lower bound without what the master's solver reports now."""

    settings: Settings
    learning: Learning
    program: AnyProgram
    evaluator: RecourseEvaluator
    progress: Progress
    deadline: Deadline
    lower: float = -math.inf
    upper: float = math.inf
    proven: float = -math.inf
    best: Evaluation | None = None
    log: list[Iteration] = field(default_factory=list)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.began = self.deadline.passed()

    def execute(self) -> Outcome:
        """Run the loop, first without the deferred entries, if any."""
        settings = self.settings
        master = self.learning.master(self)
        _LOG.info("built the master problem")
        self._relaxed_root(master)
        if (deferred := self.program.deferred_entries()) is not None and self.evaluator.objective.goal is Goal.COST:
            self._without_deferred(master, deferred)
            if self.best is not None:
                self._complete(master, self.best, deferred)
        seen, solved = set[bytes](), Counter[bytes]()  # decisions evaluated, and how often with nothing left open
        while True:
            proposal = self._propose(master)
            self.raise_lower(proposal.bound)
            if proposal.decision is None:
                return self._outcome(self._why_stopped(proposal.status))
            again = (key := proposal.decision.tobytes()) in seen
            seen.add(key)
            evaluation = self._evaluated(master, proposal, deferred, again=again)
            if evaluation is None:
                return self._outcome(self._why_stopped(Status.LIMIT))
            words = self._learn(master, proposal, evaluation, again=again)
            if proposal.status is Status.LIMIT:
                return self._outcome(self._why_stopped(proposal.status))
            if (gap := relative_gap(self.lower, self.upper)) <= settings.gap:
                return self._outcome(ended_by(gap))
            if self._iterations >= settings.max_iterations:
                return self._outcome(Termination.ITERATIONS)
            if self.deadline.over():
                return self._outcome(self.deadline.why)
            if self._model_solved(master, evaluation):
                return self._outcome(Termination.RELAXATION)
            solved[key] += not evaluation.unsolved
            if solved[key] > 1 and "copy" not in words and ("no-good" not in words or solved[key] > 2):
                known = evaluation.exact or evaluation.verdict.final
                return self._outcome(Termination.ACCURACY if known else Termination.RELAXATION)

    def _relaxed_root(self, master: Master) -> None:
        """Cuts of the relaxation that the study knows, at the fractional decisions of the master's root."""
        objective, before = self.evaluator.objective, -math.inf
        if objective.goal is not Goal.COST or objective.count > RELAXED_MOST:
            return
        for _ in range(RELAXED_ROUNDS):
            root = master.root(self.out_of_time)
            self.raise_lower(root.bound)
            if root.decision is None or root.point is None or root.bound <= before + RELAXED_GAIN * abs(root.bound):
                return
            before = root.bound
            found = self.program.relaxed_cuts(root.decision, objective.realisations, self.out_of_time)
            if found is None:
                return
            values, slopes = found
            estimates = master.recourse_estimates(root.point)
            for k in np.flatnonzero(values > estimates + EXACT * np.maximum(1.0, values)):
                response = Response(True, float(values[k]), slopes[k], np.zeros(0), (), None)
                master.add_cut(int(k), root.decision, response)
            self.log_interim("root")

    def _model_solved(self, master: Master, evaluation: Evaluation) -> bool:
        """Whether the model costs no more at this decision than anywhere: what is left of the gap is its looseness.

        Not where all of the first stage is binary: there no-good cuts carry exact evaluations into the master.
        """
        if master.binary or self.best is None:
            return False
        return relative_gap(self.lower, evaluation.recourse_bound) <= SOLVED * self.settings.gap

    def _without_deferred(self, master: Master, deferred: Bools) -> None:
        """Find the best decision without the deferred entries, to the gap; its bound is not one of the program."""
        settings, lower = self.settings, -math.inf
        part = self.deadline.within(DEFERRED_SHARE * self.deadline.left())

        def stop() -> bool:
            return part.over() or relative_gap(lower, self.upper) <= settings.gap

        def watch(bound: float) -> None:
            nonlocal lower
            lower = bound if bound == -math.inf else max(lower, bound)

        master.fix_at_zero(deferred)
        seen: set[bytes] = set()
        settled: set[bytes] = set()
        while not stop() and self._iterations < settings.max_iterations:
            proposal = master.propose(gap=0.3 * settings.gap, seconds=part.left(), stop=stop, watch=watch)
            watch(proposal.bound)
            if proposal.decision is None or (key := proposal.decision.tobytes()) in settled:
                break
            again = key in seen
            seen.add(key)
            evaluation = self.evaluator.evaluate(proposal.decision, stop, enough=self._enough, again=again)
            if evaluation is None:
                break
            if not evaluation.unsolved:
                settled.add(key)
            self._learn(master, proposal, evaluation, again=False)
        master.release()

    def _evaluated(
        self, master: Master, proposal: Proposal, deferred: Bools | None, *, again: bool
    ) -> Evaluation | None:
        """The evaluation of a proposal; first of the decision without its deferred entries.

        Cuts of that one also bound proposals with other deferred entries. Where they show that this proposal is not
        better than the incumbent, it is not evaluated itself.
        """
        decision = proposal.decision
        assert decision is not None
        if deferred is not None and decision[deferred].any() and not again:
            plain = self.evaluator.evaluate(np.where(deferred, 0.0, decision), self.out_of_time, enough=self._enough)
            if plain is None or self._lower_bound_at(decision, plain) >= self._enough:
                return plain
            if self._complete(master, plain, deferred):
                return plain
            self._learn(master, proposal, plain, again=False)
        return self.evaluator.evaluate(decision, self.out_of_time, enough=self._enough, again=again)

    def _complete(self, master: Master, plain: Evaluation, deferred: Bools) -> bool:
        """Evaluate the choices of deferred entries that may be better than the incumbent beside the others of a
        decision, and put into the master what is known of all of them; whether all lie within the gap."""
        objective, added = self.evaluator.objective, plain.added
        if added is None or not master.binary:
            return False
        open_pairs = np.isfinite(added.cost) & np.triu(np.ones(added.cost.shape, dtype=np.bool_))
        risks = np.full(added.cost.shape, np.inf)
        for i, j in zip(*np.nonzero(open_pairs)):
            risks[i, j] = objective.bound(0.0, added.recourse[:, i, j])
        while open_pairs.any() and not self.out_of_time():
            bounds = np.where(open_pairs, added.cost + risks, np.inf)
            pair = np.unravel_index(int(np.argmin(bounds)), bounds.shape)
            if bounds[pair] >= self._far:
                break
            decision = np.where(deferred, 0.0, plain.decision)
            decision[added.entries[list(pair)]] = 1.0
            found = self.evaluator.evaluate(decision, self.out_of_time, enough=self._far, again=True)
            if found is None:
                break
            self.offer(found)
            self._log_line("places", found.value, found.violation, "", interim=False)
            risks[pair] = max(risks[pair], found.lower_bound - added.cost[pair])
            open_pairs[pair] = False
        return self._forbid(master, plain, deferred, added, risks)

    def _forbid(self, master: Master, plain: Evaluation, deferred: Bools, added: AddedBounds, risks: Floats) -> bool:
        """Put lower bounds of the risk with up to two deferred entries (J, J) into the master; whether the objective
        lies within the gap of the incumbent, or above it, with any number of them."""
        objective = self.evaluator.objective
        least = np.array([objective.bound(0.0, each) for each in added.more.T])
        least[0] = plain.lower_bound - objective.first_stage_cost(self.program, plain.decision)
        total = [plain.lower_bound]
        for number in range(1, len(least)):
            may = np.isfinite(added.cost) & (np.eye(len(risks)) == (number == 1))
            may &= np.triu(np.ones(may.shape, dtype=np.bool_)) & (number <= 2)
            least[number] = max(least[number], risks[may].min(initial=np.inf) if may.any() else -np.inf)
            total.append(float(np.min((added.cost + risks)[may], initial=np.inf)) if number <= 2 else math.inf)
        total += list(added.more_cost[3:] + least[3:])
        master.add_no_good_of_part(plain.decision, deferred, least)
        return min(total) >= self._far

    @property
    def _far(self) -> float:
        """The same for one of very many choices, whose bounds together end a run."""
        return self.upper - FAR * self.settings.gap * abs(self.upper) if math.isfinite(self.upper) else math.inf

    @property
    def _enough(self) -> float:
        """A lower bound above which a decision does not matter: within the gap of the incumbent, or above it."""
        return self.upper - ENOUGH * self.settings.gap * abs(self.upper) if math.isfinite(self.upper) else math.inf

    def _lower_bound_at(self, decision: Floats, evaluation: Evaluation) -> float:
        """A lower bound of the objective of a decision, by the cuts of the evaluation of another."""
        objective = self.evaluator.objective
        lowest = np.full(objective.count, objective.floor)
        for finding in evaluation.findings:
            if finding.response.feasible:
                value = finding.response.value + float(finding.response.slope @ (decision - evaluation.decision))
                lowest[finding.k] = max(lowest[finding.k], value)
        return objective.bound(objective.first_stage_cost(self.program, decision), lowest)

    def _learn(self, master: Master, proposal: Proposal, evaluation: Evaluation, *, again: bool) -> list[str]:
        """Update incumbent, master and log by an evaluation; the master only where there is time to solve it again."""
        self.offer(evaluation)
        words = [] if self.out_of_time() else self.learning.learn(self, master, proposal, evaluation, again=again)
        mark = "rough" if evaluation.rough else ""
        self._log_line(" + ".join(words), evaluation.value, evaluation.violation, mark, interim=False)
        return words

    def offer(self, evaluation: Evaluation | None) -> None:
        """Make the decision the incumbent if it is better."""
        if evaluation is not None and evaluation.value < self.upper:
            self.upper, self.best = evaluation.value, evaluation

    def raise_lower(self, bound: float) -> None:
        """Keep the better lower bound, at most the value of the incumbent."""
        self.lower = max(self.lower, min(bound, self.upper))

    @property
    def _iterations(self) -> int:
        """How many decisions were tried."""
        return sum(not line.interim for line in self.log)

    def log_interim(self, word: str) -> None:
        """Add a line between iterations to the log."""
        self._log_line(word, math.inf, 0.0, "", interim=True)

    def out_of_time(self) -> bool:
        """Whether to stop now."""
        return self.deadline.over()

    def no_good(self, master: Master, evaluation: Evaluation, *, again: bool) -> list[str]:
        """Add a no-good cut where the exact evaluation is above the recourse's, or a decision is proposed again."""
        worse = evaluation.lower_bound > evaluation.recourse_bound + EXACT * max(1.0, abs(evaluation.recourse_bound))
        if not master.binary or not (worse or (again and evaluation.verdict.final)):
            return []
        cost = self.evaluator.objective.first_stage_cost(self.program, evaluation.decision)
        return [master.add_no_good_cut(evaluation.decision, evaluation.lower_bound - cost)]

    def _propose(self, master: Master) -> Proposal:
        """The master's proposal; solved once more, without presolve, where its bound lies above the incumbent."""
        gap, self.proven = 0.3 * self.settings.gap, self.lower
        proposal = master.propose(gap=gap, seconds=self.deadline.left(), stop=self._stop, watch=self._watch)
        if proposal.bound > self.upper + ABSURD * abs(self.upper):
            proposal = master.propose(gap=gap, seconds=self.deadline.left(), stop=self._stop, presolve=False)
        if master.binary or proposal.status is not Status.OPTIMAL:
            return proposal
        return master.settle(proposal, self.out_of_time)

    def _log_line(self, word: str, value: float, violation: float, mark: str, *, interim: bool) -> None:
        number, seconds = len(self.log) + 1, self._seconds()
        line = Iteration(number, seconds, self.lower, self.upper, value, word, violation, mark, interim)
        self.log.append(line)
        self.progress(line)

    def _watch(self, bound: float) -> None:
        """Take a better bound from the master's solver; one above the incumbent is checked by `_propose`.

        −inf takes back what it has reported.
        """
        if bound == -math.inf:
            self.lower = self.proven
        if not (math.isfinite(bound) and self.lower < bound <= self.upper):
            return
        self.lower = bound
        if not self.log or self._seconds() - self.log[-1].seconds >= LOG_EVERY_S:
            self.log_interim("bound")

    def _stop(self) -> bool:
        return self.out_of_time() or relative_gap(self.lower, self.upper) <= self.settings.gap

    def _seconds(self) -> float:
        return self.deadline.passed() - self.began

    def _why_stopped(self, status: Status) -> Termination:
        """Why the run ends, by the status of the master."""
        if status is Status.INFEASIBLE:
            if self.best is None:
                return Termination.INFEASIBLE
            self.lower = self.upper
            return Termination.OPTIMAL
        if (gap := relative_gap(self.lower, self.upper)) <= self.settings.gap:
            return ended_by(gap)
        return self.deadline.why

    def _outcome(self, termination: Termination) -> Outcome:
        if not self.log or (self.log[-1].lower_bound, self.log[-1].upper_bound) != (self.lower, self.upper):
            self.log_interim("bound")
        best = self.best
        return Outcome(
            termination,
            None if best is None else best.decision,
            None if best is None else best.verdict.state,
            self.lower,
            self.upper,
            tuple(self.log),
            self._seconds(),
            values=None if best is None else best.values,
        )


@dataclass
class CopiesByNeed:
    """Adds copies to one master.

    Attributes:
        at_once: most copies that an iteration adds. most: in all.
    """

    at_once: int
    most: float = math.inf
    _held: dict[tuple[int, bytes], int] = field(default_factory=dict)

    def add(self, run: Run, master: Master, proposal: Proposal, evaluation: Evaluation) -> list[str]:
        """Add copies for the realisations that the master underestimates, and tangents of the cones of all copies."""
        objective, added = run.evaluator.objective, 0
        underrated = _underrated(run, master, proposal, evaluation) if evaluation.copies_pay else []
        for k, realisation in underrated:
            if len(self._held) >= self.most or added >= self.at_once:
                break
            if (k, realisation.tobytes()) not in self._held:
                template = run.evaluator.recourse.template(objective.goal, len(evaluation.decision))
                self._held[k, realisation.tobytes()] = master.add_copy(template, k, realisation)
                added += 1
        for finding in evaluation.findings:
            number = self._held.get((finding.k, finding.realisation.tobytes()))
            if number is not None and finding.response.point:
                master.add_tangents(number, finding.response)
        return ["copy"] if added else []


def _underrated(run: Run, master: Master, proposal: Proposal, evaluation: Evaluation) -> list[tuple[int, Floats]]:
    """Number of θ and realisation, sorted by the weighted cost beyond the master's estimate, the largest first."""
    assert proposal.point is not None
    if isinstance(run.program.uncertainty, Box | Budget):
        return [(finding.k, finding.realisation) for finding in evaluation.findings]
    objective, estimates = run.evaluator.objective, master.recourse_estimates(proposal.point)
    values = _modelled(evaluation)
    if not np.isfinite(values).all():
        lost = np.flatnonzero(~np.isfinite(values))
        return [(int(k), objective.realisations[k]) for k in lost]
    weight = objective.worst_probabilities(values) * (values - estimates)
    order = np.argsort(-weight, kind="stable")
    least = EXACT * max(1.0, abs(evaluation.value))
    return [(int(k), objective.realisations[k]) for k in order if weight[k] > least]


def _modelled(evaluation: Evaluation) -> Floats:
    """(K) cost by the recourse, to which a copy raises the master's estimate; inf where it keeps the limits nowhere.

    Not the exact costs, where these are others: the worst realisation by these may not be the worst of the model, whose
    copy would never be added.
    """
    values = evaluation.values.copy()
    if not evaluation.exact:
        for finding in evaluation.findings:
            values[finding.k] = finding.response.value if finding.response.feasible else np.inf
    return values
