"""Topology search with faults: least loss among the radial states whose faults do no more than they may.

Branch and bound as `openpoint.search.topology`, with its bound of the loss, cuts a node also where the bounds of what
faults do (`openpoint.studies.reconfigure.faults.partial`) say that no completion keeps their limits. A radial state
counts only once all of its faults are evaluated by exact power flow. States that are better than all known and break
the limits of faults alone are tried one by one, so that the lower bound rises with them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, States
from openpoint.search.kernel.arrays import CLOSED, OPEN, work_for
from openpoint.search.kernel.bookkeeping import counts, enlarged, lowest, pool_for, record_for
from openpoint.search.kernel.entries import EXHAUSTED, FULL, LEAF, explore, propagate, take
from openpoint.search.model.build import build_model
from openpoint.search.result import SearchProgress, SearchResult, gap_between
from openpoint.studies.reconfigure.faults.exchange import FaultExchange
from openpoint.studies.reconfigure.faults.task import EvaluatedState, FaultTask
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

ROOM = 4096
"""Rows of the pool at first."""
NODES_A_STATE = 4
"""Nodes for each state that is evaluated for better ones to be known: one takes about as long as so many nodes."""
OPTIMAL = 1e-6
"""Relative gap below which a result counts as optimal."""


@dataclass(frozen=True)
class Found:
    """What a search found. Attributes: best: the best state, which may break limits. result: bounds and counts."""

    best: EvaluatedState | None
    result: SearchResult


def ended(task: FaultTask, best: EvaluatedState | None, reason: Termination, last: SearchProgress) -> SearchResult:
    """How a search ended, by its best state and its last figures; `probes` and `leaves` are 0."""
    holds = best is not None and best.holds
    if reason is Termination.OPTIMAL and not holds:
        reason = Termination.INFEASIBLE
    elif reason is Termination.OPTIMAL and gap_between(last.lower_bound, last.value) > OPTIMAL:
        reason = Termination.GAP
    return SearchResult(
        termination=reason,
        closed=best.closed if best is not None and holds else None,
        generation=None if best is None else task.network.generator_s,
        value=last.value,
        lower_bound=math.inf if reason is Termination.INFEASIBLE else last.lower_bound,
        least_violation=best.closed if best is not None and not holds else None,
        nodes=last.nodes,
        probes=0,
        leaves=0,
        by_cone=0,
        seconds=last.seconds,
    )


def search_loss(
    task: FaultTask,
    starts: list[Bools],
    *,
    gap: float,
    deadline: Deadline,
    progress: Callable[[SearchProgress], None] | None = None,
) -> Found:
    """The radial state of least loss that keeps the limits of the network and of faults, proven to a gap.

    Args:
        starts: (E) radial states to begin with. gap: relative gap at which to stop. deadline: by which to stop.

    Raises:
        OptionError: a grid that the bound of the loss is not valid for.
    """
    return LossSearch(task, gap, deadline, progress).solve(starts)


class LossSearch:
    """One search and its state."""

    def __init__(
        self, task: FaultTask, gap: float, deadline: Deadline, progress: Callable[[SearchProgress], None] | None
    ) -> None:
        self.task, self.gap, self.deadline, self.progress = task, gap, deadline, progress
        self.model, self.numbering = build_model(
            task.network,
            must_close=task.must_close,
            must_open=task.must_open,
            max_changes=task.max_changes,
            change_cost=task.change_cost,
        )
        self.work, self.counts = work_for(self.model), counts()
        self.pool, self.record = pool_for(self.model, ROOM), record_for(self.model, 0)
        self.work.status[task.must_close[self.numbering.branch]] = CLOSED
        self.leaves, self.cut = 0, 0
        self.exchange = FaultExchange(task, lambda: self.deadline.over(), self._keep)
        self.is_begun, self.is_joined, self.used, self.began = False, True, 0.0, 0.0

    def solve(self, starts: list[Bools]) -> Found:
        """Run the search."""
        if not self.is_begun:
            self.is_joined = propagate(self.model, self.work)
            self.counts.cutoff[0] = self.numbering.greatest + float(self.model.price.sum())
            self.counts.active[0] = 1
        self.began = self.deadline.passed()
        if not self.is_joined:
            return Found(None, self._result(Termination.INFEASIBLE))
        for closed in starts:
            self.exchange.offer(closed, 0 if self.is_begun else self.exchange.patience)
        self.is_begun = True
        reason = Termination.OPTIMAL
        while self._explore() != EXHAUSTED:
            if self.progress is not None:
                self.progress(self._progress())
            if self.deadline.over():
                reason = self.deadline.why
                break
        return Found(self.exchange.best, self._result(reason))

    def go_on(self, starts: list[Bools], deadline: Deadline) -> Found:
        """Go on where the search stopped, or begin it; `starts`: radial states that were not offered before."""
        self.deadline = deadline
        return self.solve(starts)

    def _explore(self) -> int:
        """Cut the next node by what faults do, or bound it and decide a branch."""
        if not self.counts.active[0]:
            if not self.counts.size[0] + self.counts.stack[0]:
                return EXHAUSTED
            take(self.model, self.work, self.pool, self.counts, self.record)
        if self.counts.bound[0] < self.counts.cutoff[0] and not self._may_hold():
            self.counts.active[0] = 0
            self.cut += 1
            self.counts.nodes[0] += 1
            return FULL
        event = explore(self.model, self.work, self.pool, self.counts, self.record, 1)
        if event == FULL:
            self.pool = enlarged(self.pool)
        elif event == LEAF:
            self.counts.active[0] = 0
            self.leaves += 1
            closed = np.zeros(self.task.network.n_conductors, dtype=np.bool_)
            closed[self.numbering.branch] = self.work.status == CLOSED
            self.exchange.offer(closed, 0)
        nodes = int(self.counts.nodes[0])
        if nodes >= 64 and nodes.bit_count() == 1:  # 64, 128, 256, …
            self.exchange.kicks(min(self.exchange.patience, nodes // NODES_A_STATE))
        return event

    def _may_hold(self) -> bool:
        """Whether some completion of the current node may keep the limits of faults."""
        if not propagate(self.model, self.work):
            return False
        return self.task.least(self._status()) is not None

    def _status(self) -> States:
        """(E) states of the branches at the current node."""
        status = np.full(self.task.network.n_conductors, OPEN, dtype=np.int8)
        status[self.numbering.branch] = self.work.status
        return status

    def _keep(self, state: EvaluatedState) -> None:
        """Lower the cutoff to a state that keeps all limits."""
        if state.holds:
            value = state.loss - self.numbering.fixed_cost
            self.counts.cutoff[0] = min(self.counts.cutoff[0], value - self.gap * abs(state.loss))

    @property
    def _value(self) -> float:
        best = self.exchange.best
        return best.loss if best is not None and best.holds else math.inf

    def _bound(self) -> float:
        fixed = self.numbering.fixed_cost
        return min(lowest(self.counts, self.pool) + fixed, self._value)

    def _progress(self) -> SearchProgress:
        left = int(self.counts.size[0] + self.counts.stack[0] + self.counts.active[0])
        depth, nodes = int(self.counts.depth[0]), int(self.counts.nodes[0])
        seconds = self.used + self.deadline.passed() - self.began
        return SearchProgress(seconds, nodes, left, depth, self._bound(), self._value, 0.0)

    def _result(self, reason: Termination) -> SearchResult:
        now = self.deadline.passed()
        self.used, self.began = self.used + now - self.began, now
        found = ended(self.task, self.exchange.best, reason, self._progress())
        return replace(found, probes=int(self.counts.probes[0]), leaves=self.leaves)
