"""Benders decomposition with exact conic duals (Geoffrion 1972), for any two-stage program.

    repeat:  x̂ ← master;  lower ← its bound
             Q(x̂), slope ← recourse at x = x̂ (else the least violation and its slope)
             upper ← min(upper, exact verdict on x̂)
             master ← cut, tangents at the recourse's point, no-good cut where the exact verdict says more
    until upper − lower ≤ gap

With `relaxation` the master holds the linear part of the recourse and tangents of its cones, so that it closes in a
handful of iterations; without, every fact must come through a cut, which takes hundreds.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from openpoint.errors import OptionError
from openpoint.solvers.base import Status
from openpoint.twostage.interrupt import Interrupt, listening
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination, relative_gap
from openpoint.twostage.master import Master, Proposal
from openpoint.twostage.program import EXACT, Floats, TwoStageProgram, Verdict
from openpoint.twostage.stopping import PROVEN_GAP, first_of, gap_reached, iterations_reached, seconds_reached
from openpoint.twostage.subproblem import Response, Subproblem

ABSURD = 1e-5
"""Relative excess of a lower bound over a verified value that only a numerical failure explains."""
NEWS_EVERY_S = 1.0
"""Seconds between lines of the log while a master is being solved."""
NEAR_COUNT = 100
"""Decisions near the root's fractional one that are tried before the first mixed-integer master."""


@dataclass(frozen=True, kw_only=True)
class Benders:
    """Two-stage Benders decomposition: HiGHS proposes, Clarabel prices, the exact physics has the last word.

    Use this for grids up to a few hundred branches with a proof; `relaxation=False` is for study only.

    Attributes:
        gap: relative gap at which to stop.
        time_limit_s: seconds after which to stop with the best verified answer; None = none.
        max_iterations: iterations after which to stop.
        relaxation: whether the master holds a relaxation of the recourse.
    """

    gap: float = 1e-4
    time_limit_s: float | None = None
    max_iterations: int = 10_000
    relaxation: bool = True

    def __post_init__(self) -> None:
        if not 0.0 <= self.gap < 1.0:
            raise OptionError(f"gap is {self.gap:g}; give a relative gap from 0 to below 1, such as 1e-4")
        if self.time_limit_s is not None and not self.time_limit_s > 0.0:
            raise OptionError(f"time limit is {self.time_limit_s:g}; give seconds above 0")
        if self.max_iterations < 1:
            raise OptionError(f"max_iterations is {self.max_iterations}; give at least 1")

    def __str__(self) -> str:
        plain = "" if self.relaxation else ", plain"
        return f"Benders(gap={self.gap:g}{plain})"

    def solve(self, program: TwoStageProgram[Any, Any], progress: Progress | None = None) -> Outcome:
        """Solve a program to the gap, or until a limit or Ctrl-C; the best verified answer is kept.

        Where no decision keeps the limits, the outcome names the decision of least violation.
        """
        with listening() as interrupt:
            run = _Run(self, program, progress or _silent, interrupt, violation=False)
            outcome = run.to_the_end()
            if outcome.termination is not Termination.INFEASIBLE or interrupt.requested:
                return outcome
            if progress is not None:
                progress(replace(outcome.log[-1], verdict="infeasible; looking for the least violation", interim=True))
            explain = Benders(gap=0.01, time_limit_s=self._left(outcome.seconds), relaxation=self.relaxation)
            least = _Run(explain, program, _silent, interrupt, violation=True).to_the_end()
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

    def _left(self, spent: float) -> float:
        """Seconds for naming the least violation: it only explains, and must not outlast the proof by much."""
        most = max(20.0, 2.0 * spent)
        return most if self.time_limit_s is None else max(min(most, self.time_limit_s - spent), 1.0)


@dataclass
class _Run:
    """One run: bounds, incumbent, log."""

    method: Benders
    program: TwoStageProgram[Any, Any]
    progress: Progress
    interrupt: Interrupt
    violation: bool
    lower: float = -math.inf
    upper: float = math.inf
    decision: Floats | None = None
    verdict: Verdict | None = None
    log: list[Iteration] = field(default_factory=list)
    began: float = field(default_factory=time.perf_counter)

    def to_the_end(self) -> Outcome:
        """The loop."""
        method = self.method
        stop_rule = first_of(
            gap_reached(method.gap), iterations_reached(method.max_iterations), seconds_reached(method.time_limit_s)
        )
        master = Master(self.program, relaxation=method.relaxation, violation=self.violation)
        sub = self._warm(master)
        seen: set[bytes] = set()
        while True:
            proposal = self._propose(master)
            self.lower = max(self.lower, min(proposal.bound, self.upper))
            if proposal.decision is None:
                return self._outcome(self._why_nothing(proposal))
            sub = sub or self._subproblem(len(proposal.decision))
            again = proposal.decision.tobytes() in seen
            seen.add(proposal.decision.tobytes())
            words, response, verdict = self._price(proposal.decision, sub, master, again=again)
            if proposal.point is not None:
                master.refine(proposal.point)
            self._record(words, response, verdict)
            if proposal.status is Status.LIMIT:
                return self._outcome(self._why_nothing(proposal))
            if (reason := stop_rule(self.log)) is not None:
                return self._outcome(reason)
            if again and not verdict.final:
                return self._outcome(Termination.RELAXATION)

    def _warm(self, master: Master) -> Subproblem | None:
        """Verified decisions to start from; the root relaxation, and tangents at decisions near it."""
        starts = self.program.starts()
        for start in starts:
            self._offer(start, self.program.judge(start, None))
        if not (self.method.relaxation and len(starts)):
            return None
        sub = self._subproblem(len(starts[0]))
        for start in starts:
            master.learn_point(sub.respond(start))
        self._news("start")
        root = master.root(self._out_of_time)
        self.lower = max(self.lower, min(root.bound, self.upper))
        for near in [] if root.decision is None else self.program.near(root.decision, NEAR_COUNT):
            response = sub.respond(near)
            master.learn_point(response)
            self._offer(near, self.program.judge(near, response.dispatch))
            if self._out_of_time():
                break
        self._news("root")
        return sub

    def _propose(self, master: Master) -> Proposal:
        """The master's proposal, asked for twice where it contradicts the incumbent, which every master contains."""
        gap = 0.3 * self.method.gap
        left = math.inf if self.method.time_limit_s is None else self.method.time_limit_s - self._seconds()
        proposal = master.propose(gap=gap, seconds=left, stop=self._stop, watch=self._watch)
        if proposal.bound <= self.upper + ABSURD * abs(self.upper):
            return proposal
        return master.propose(gap=gap, seconds=left, stop=self._stop, presolve=False)

    def _price(
        self, decision: Floats, sub: Subproblem, master: Master, *, again: bool
    ) -> tuple[list[str], Response, Verdict]:
        """Recourse and exact verdict at a decision, and what the master learns from them."""
        response = sub.respond(decision)
        words = [master.learn_recourse(decision, response)]
        verdict = self.program.judge(decision, response.dispatch)
        self._offer(decision, verdict)
        price = verdict.violation if self.violation else verdict.value
        known = response.value if response.feasible else math.inf
        worse = price > known + EXACT * max(1.0, abs(known))
        if verdict.final and (worse or again):  # proposed again: the cut was too shallow to see
            words.append(master.learn_verdict(decision, verdict, price))
        return words, response, verdict

    def _offer(self, decision: Floats, verdict: Verdict) -> None:
        value = verdict.violation if self.violation else verdict.value + self.program.cost(decision)
        if value < self.upper:
            self.upper, self.decision, self.verdict = value, decision, verdict

    def _subproblem(self, n: int) -> Subproblem:
        return Subproblem(self.program, n, violation=self.violation)

    def _record(self, words: list[str], response: Response, verdict: Verdict) -> None:
        mark = "rough" if response.rough else ""
        self._say(" + ".join(words), verdict.value, verdict.violation, mark, interim=False)

    def _news(self, word: str) -> None:
        """A line between iterations."""
        self._say(word, math.inf, 0.0, "", interim=True)

    def _say(self, word: str, value: float, violation: float, mark: str, *, interim: bool) -> None:
        number, seconds = len(self.log) + 1, self._seconds()
        line = Iteration(number, seconds, self.lower, self.upper, value, word, violation, mark, interim)
        self.log.append(line)
        self.progress(line)

    def _watch(self, bound: float) -> None:
        """A better bound from within the master; one above the incumbent is left for `_propose` to question."""
        if not (math.isfinite(bound) and self.lower < bound <= self.upper):
            return
        self.lower = bound
        if not self.log or self._seconds() - self.log[-1].seconds >= NEWS_EVERY_S:
            self._news("bound")

    def _stop(self) -> bool:
        return self._out_of_time() or relative_gap(self.lower, self.upper) <= self.method.gap

    def _out_of_time(self) -> bool:
        limit = self.method.time_limit_s
        return self.interrupt.requested or (limit is not None and self._seconds() >= limit)

    def _seconds(self) -> float:
        return time.perf_counter() - self.began

    def _why_nothing(self, proposal: Proposal) -> Termination:
        """Why the master has nothing further to propose."""
        if proposal.status is Status.INFEASIBLE:
            if self.decision is None or not np.isfinite(self.upper):
                return Termination.INFEASIBLE
            self.lower = self.upper
            return Termination.OPTIMAL
        if (gap := relative_gap(self.lower, self.upper)) <= self.method.gap:
            return Termination.OPTIMAL if gap <= PROVEN_GAP else Termination.GAP
        return Termination.INTERRUPTED if self.interrupt.requested else Termination.TIME

    def _outcome(self, termination: Termination) -> Outcome:
        if not self.log or (self.log[-1].lower_bound, self.log[-1].upper_bound) != (self.lower, self.upper):
            self._news("bound")
        found = self.verdict is not None and np.isfinite(self.upper)
        return Outcome(
            termination,
            self.decision if found else None,
            self.verdict.state if found and self.verdict is not None else None,
            self.lower,
            self.upper,
            tuple(self.log),
            self._seconds(),
        )


def _silent(_: Iteration) -> None:
    """No progress wanted."""
