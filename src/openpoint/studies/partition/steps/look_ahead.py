"""Solve a partition over time: each step alone, then step after step, then all steps at once, until the bounds meet.

The recourse of a step knows no other step, and each step has deviations of its own. So the worst case of all steps is
the sum of their worst cases, and

- the optima of the steps alone, without what links them, sum up to a lower bound;
- a plan that is made step after step, each from the state in which the last one left switches, blocks and stores, has
  the sum of their verified costs as an upper bound: what can be had without looking ahead;
- where these do not meet, all steps are decided at once.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Protocol

import numpy as np

from openpoint.arrays import Floats
from openpoint.studies.partition.model.links import Links, Storage, sums
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import PROVEN_GAP, Iteration, Outcome, Progress, Termination, relative_gap

ALONE_SHARE, IN_TURN_SHARE = 0.3, 0.5
"""Share of the time left that the steps alone may take, and then the plan step after step."""


class Timed(Protocol):
    """A method that ends at a gap and at a deadline."""

    @property
    def gap(self) -> float: ...

    def solve(
        self, program: PartitionProgram, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Outcome: ...


def look_ahead(program: PartitionProgram, method: Timed, progress: Progress | None, deadline: Deadline) -> Outcome:
    """Solve to the gap, or until the deadline or Ctrl-C; the best verified plan is kept."""
    if len(program.steps) == 1:
        return method.solve(program, progress, deadline)
    return _RollingSolution(program, method, progress, deadline).execute()


class _RollingSolution:
    """Bounds, the best plan and the log."""

    def __init__(self, program: PartitionProgram, method: Timed, progress: Progress | None, deadline: Deadline) -> None:
        self._program, self._method, self._progress = program, method, progress
        self._deadline, self._began = deadline, deadline.passed()
        self._lower, self._upper = -math.inf, math.inf
        self._best: Floats | None = None
        self._log: list[Iteration] = []

    def execute(self) -> Outcome:
        """See the module."""
        program, free = self._program, Links(Storage.none(), stated=self._program.links.stated)
        whole = self._deadline.within(ALONE_SHARE * self._deadline.left() if program.links.any else math.inf)
        alone = list[Outcome]()
        for t, step in enumerate(program.steps):
            if whole.over():
                break
            alone.append(self._solve(program.only(t, free), f"{step.name} alone", self._part(whole, t)))
        if len(alone) == len(program.steps):
            self._lower = math.fsum(outcome.lower_bound for outcome in alone)
        ended = self._step_by_step() if program.links.any else self._take(alone)
        if ended is not None or relative_gap(self._lower, self._upper) <= self._method.gap:
            return self._outcome(ended)
        outcome = self._solve(program, "", self._deadline)
        self._lower = max(self._lower, min(outcome.lower_bound, self._upper))
        if outcome.decision is not None and outcome.upper_bound < self._upper:
            self._upper, self._best = outcome.upper_bound, outcome.decision
        ended = outcome.termination
        return self._outcome(None if ended is Termination.INFEASIBLE and self._best is not None else ended)

    def _step_by_step(self) -> Termination | None:
        """The plan without look-ahead; why it was not finished, if the run is over."""
        program, outcomes = self._program, list[Outcome]()
        links, whole = program.links, self._deadline.within(IN_TURN_SHARE * self._deadline.left())
        for t, step in enumerate(program.steps):
            if whole.over():
                return self._ended()
            last = t == len(program.steps) - 1
            store = links.storage
            kept = dataclasses.replace(store, end=store.end if last else np.minimum(store.start, store.end))
            one = program.only(t, dataclasses.replace(links, storage=kept))
            outcomes.append(self._solve(one, f"{step.name} after what was", self._part(whole, t)))
            x = outcomes[-1].decision
            if x is None:
                return self._ended()
            links = _after(one, links, x)
        return self._take(outcomes)

    def _take(self, outcomes: list[Outcome]) -> Termination | None:
        """The plan that the outcomes of the steps make, if there is one."""
        chosen = [outcome.decision for outcome in outcomes]
        if len(chosen) == len(self._program.steps) and not any(x is None for x in chosen):
            self._upper = math.fsum(outcome.upper_bound for outcome in outcomes)
            self._best = np.concatenate([x for x in chosen if x is not None])
            self._lower = min(self._lower, self._upper)
        self._log_line(Iteration(0, self._seconds(), self._lower, self._upper, self._upper, "step by step"))
        return self._ended()

    def _ended(self) -> Termination | None:
        """Why the run is over; None where it is not."""
        return self._deadline.why if self._deadline.over() else None

    def _part(self, whole: Deadline, t: int) -> Deadline:
        """The part of step t in the time of all steps from it on."""
        return whole.within(whole.left() / (len(self._program.steps) - t))

    def _solve(self, program: PartitionProgram, name: str, deadline: Deadline) -> Outcome:
        """The outcome of the method in its part of the time; its lines are logged under the name of a step."""
        began = self._seconds()

        def on_line(line: Iteration) -> None:
            lower, upper = self._lower, self._upper
            if not name:  # all steps at once
                lower, upper = max(lower, min(line.lower_bound, upper)), min(upper, line.upper_bound)
            moved = dataclasses.replace(line, seconds=began + line.seconds, lower_bound=lower, upper_bound=upper)
            self._log_line(
                dataclasses.replace(moved, interim=True, verdict=f"{name}: {line.verdict}") if name else moved
            )

        return self._method.solve(program, on_line, deadline)

    def _log_line(self, line: Iteration) -> None:
        line = dataclasses.replace(line, number=len(self._log) + 1)
        self._log.append(line)
        if self._progress is not None:
            self._progress(line)

    def _seconds(self) -> float:
        return self._deadline.passed() - self._began

    def _outcome(self, ended: Termination | None) -> Outcome:
        gap = relative_gap(self._lower, self._upper)
        if gap <= self._method.gap:
            ended = Termination.OPTIMAL if gap <= PROVEN_GAP else Termination.GAP
        return Outcome(
            ended or Termination.ACCURACY,
            self._best,
            None,
            self._lower,
            self._upper,
            tuple(self._log),
            self._seconds(),
        )


def _after(one: PartitionProgram, links: Links, x: Floats) -> Links:
    """The links of the next step, after a step with the decision x."""
    store, step = links.storage, one.steps[0]
    p = sums(store, step) @ one.parted(x)[3]
    spent = step.hours * np.where(p > 0.0, p / store.out, p * store.into)
    more, less = (step.hours * part / store.out for part in one.reserves(x, 0))
    left = dataclasses.replace(
        store, start=store.start - spent, least=store.least + more, most=store.most - less, end=store.end + more
    )
    live = one.parted(x)[1] > 0.5
    return dataclasses.replace(links, storage=left, state=one.states(x)[0], live=live)
