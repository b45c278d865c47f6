"""Branch and bound on which branches are closed, for the risk of the losses in many futures.

The bound of a node is that of `openpoint.search.futures.node`. A node in which every branch is decided is evaluated by
the exact AC power flow in all futures. A risk that is the worst expectation over many probability vectors is bounded by
some of them: those that are worst at the states that the search evaluates (cutting planes, Kelley 1960); only futures
that have a weight in one of them are bounded.

Theory: docs/methods.md M15.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from openpoint.arrays import Bools, Floats, States
from openpoint.search.futures.model import Alone, FuturesModel, FuturesTask
from openpoint.search.futures.node import ROWS
from openpoint.search.futures.tree import FuturesCertificate, FuturesTree, Goal, room_for, spread
from openpoint.search.infeasibility import NODE, InfeasibilitySearch, infeasibility_search
from openpoint.search.kernel.arrays import CLOSED
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED
from openpoint.search.no_flow import has_no_flow
from openpoint.search.result import MEMORY, OPTIMAL, SearchProgress, SearchResult, gap_between
from openpoint.search.tree import Turn, grow
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import SAME, Termination

_LOG = logging.getLogger(__name__)


def search_futures(
    task: FuturesTask,
    *,
    gap: float,
    deadline: Deadline,
    starts: Bools,
    progress: Callable[[SearchProgress], None] | None = None,
    built: FuturesModel | None = None,
    certificate: FuturesCertificate | None = None,
    memory: float = MEMORY,
) -> SearchResult:
    """The radial state of least risk that keeps the limits, proven to a relative gap.

    Args:
        task: what is searched. gap: at which to stop. deadline: until when.
        starts: (S, E) radial states to begin with, the better the quicker. progress: called regularly.
        built: `task.built()`, if it is there. certificate: for the proof; its file is there afterwards if the search
            came to its end with an answer. memory: bytes of waiting nodes, above which the search is depth-first.
    """
    run = _Run(task, built or task.built(), gap, deadline, progress, certificate, memory)
    try:
        return run.solve(starts)
    finally:
        if certificate is not None:
            certificate.drop()


class _Run:
    """One search; bounds are without the cost of changes that every state has, `fixed_cost`."""

    def __init__(
        self,
        task: FuturesTask,
        built: FuturesModel,
        gap: float,
        deadline: Deadline,
        progress: Callable[[SearchProgress], None] | None,
        certificate: FuturesCertificate | None,
        memory: float,
    ) -> None:
        self.task, self.gap, self.deadline, self.progress = task, gap, deadline, progress
        self.built, self.model, self.numbering = built, built.of(0), built.numbering
        self.certificate, self.leaves = certificate, 0
        order = spread(np.abs(task.demands).sum(axis=1))
        room = room_for(self.model, len(task.demands), memory)
        self.tree = FuturesTree(built, self.model, self._goal, room=room, order=order, certificate=certificate)
        self.closed: Bools | None = None
        self.value, self.violation, self.least = math.inf, math.inf, math.inf
        self.value_bound = math.inf  # of the best state, with the most that each future may lose alone
        self.best_violation: Bools | None = None
        self.without = np.zeros(len(task.demands), dtype=np.bool_)  # futures where the last state has no power flow
        self.unproven = math.inf  # least bound of a state whose power flow was not found, and may exist
        self.stopped = False  # in the evaluation of a state, which is not known then
        self.floor = -float(task.wait_and_see.max(initial=0.0))  # of the risk of every state: no loss is below 0
        self.highest = -math.inf
        self.began = deadline.passed()

    @property
    def cutoff(self) -> float:
        """The bound at which a node is done."""
        if math.isinf(self.value):
            return self.built.most + float(self.model.price.sum()) - float(self.task.wait_and_see.min(initial=0.0))
        return self.value - self.numbering.fixed_cost - self.tolerance

    @property
    def tolerance(self) -> float:
        """Difference of value and bound at which to stop."""
        value = self.cutoff if math.isinf(self.value) else self.value
        return max(self.gap * abs(value), SAME / self.task.network.s_base_kva)

    def _goal(self) -> Goal:
        return Goal(self.cutoff, self.tolerance)

    def solve(self, starts: Bools) -> SearchResult:
        """Run the search."""
        task, tree = self.task, self.tree
        tree.work.status[task.rules.must_close[self.numbering.branch]] = CLOSED
        if task.rules.contradict(task.network) or not tree.start():
            return self._result(Termination.INFEASIBLE, complete=True)
        if len(starts):
            self._evaluate(starts)
        if task.probabilities.only is not None:
            self._add_row(task.probabilities.only)
        elif not len(tree.kept):
            self._add_row(task.probabilities.worst(np.abs(task.demands).sum(axis=1))[1])
        limits = _Limits(self) if math.isinf(self.value) and task.limits else None
        alone = None if self.certificate is not None else task.alone(self.gap, self.built)
        turns = [limits, None if alone is None else _Alone(self, alone), _Progress(self)]
        tree.begin()
        if self._over():
            return self._result(self.deadline.why, complete=False)
        complete = grow(tree, self._leaf, self._over, turns=[turn for turn in turns if turn is not None])
        nodes = 0 if limits is None else limits.nodes
        if not complete:
            return self._result(self.deadline.why, complete=False, more=nodes)
        infeasible = limits is not None and limits.proven
        return self._result(Termination.INFEASIBLE if infeasible else Termination.OPTIMAL, complete=True, more=nodes)

    def _over(self) -> bool:
        return self.stopped or self.deadline.over()

    def _leaf(self, status: States) -> None:
        """Evaluate the radial state that is left; where the time is up on the way it stays open."""
        self.leaves += 1
        closed, certified = self.full(status), self.tree.certified
        flows = self._evaluate(closed[None, :])
        if certified is not None:
            certified.leaf(self.cutoff, flows=flows)
        elif not flows and not self._excludes(closed):
            self.unproven = min(self.unproven, float(self.tree.loads.reached[0]) + self.numbering.fixed_cost)
        self.tree.active = self.stopped

    def judge(self, closed: Bools) -> bool:
        """Evaluate a radial state (E); whether its power flow is known, or proven to be of no interest."""
        return self._evaluate(closed[None, :]) or self._excludes(closed)

    def _excludes(self, closed: Bools) -> bool:
        """Whether the state (E) evaluated last is proven to have no power flow of interest in some future."""
        if self.stopped or self.task.span is not None:
            return True  # it is still open; of means of groups the flows are those of their members
        low, high = np.empty((2, self.task.network.n_terminals))
        low[self.numbering.bus], high[self.numbering.bus] = self.model.w_min, self.model.w_max
        futures = (replace(self.task.network, s_power=self.task.demands[k]) for k in np.flatnonzero(self.without))
        return any(has_no_flow(future, closed, (low, high), self.built.most) for future in futures)

    def full(self, status: States) -> Bools:
        """(E) the branches that are closed where those of the model have (m) states."""
        closed = self.task.rules.must_close.copy()
        closed[self.numbering.branch] = status == CLOSED
        return closed

    def _evaluate(self, closed: Bools) -> bool:
        """Evaluate radial states and keep the best; the probabilities that are worst there count from now on.

        Returns:
            whether all have a power flow in every future.
        """
        found = self.task.evaluate(closed)
        self.stopped |= found.stopped
        for c in range(len(closed)):
            if found.objective[c] < self.value:
                self.value, self.closed = float(found.objective[c]), closed[c]
                self.value_bound = float(found.bound[c])
            if math.isfinite(found.objective[c]):
                self.least = min(self.least, float(found.bound[c]))
            elif found.violation[c] < self.violation:
                self.violation, self.best_violation = float(found.violation[c]), closed[c]
            if self.task.probabilities.only is None and np.isfinite(found.losses[c]).all():
                self._add_row(self.task.probabilities.worst(found.losses[c] - self.task.wait_and_see)[1])
        self.without = ~np.isfinite(found.losses[-1])
        return bool(np.isfinite(found.losses).all())

    def _add_row(self, weight: Floats) -> None:
        """Add a probability vector; the oldest is dropped where there is no space."""
        kept = self.tree.kept
        if any(np.abs(weight - row).max() < 1e-12 for row in kept):
            return
        kept = np.vstack([kept, weight])[-ROWS:]
        self.tree.weigh(kept, kept @ self.task.wait_and_see)

    def offer(self, states: Bools) -> None:
        """Evaluate (C, E) radial states."""
        self._evaluate(states)

    @property
    def by_nodes(self) -> float:
        """Lower bound of the whole search by its nodes."""
        return self.tree.lowest + self.numbering.fixed_cost

    def _bound(self) -> float:
        """Lower bound of the whole search: the highest that was proven so far."""
        here = min(max(self.by_nodes, self.floor), self.least, self.value, self.unproven)
        self.highest = max(self.highest, here)
        return min(self.highest, self.least, self.value)

    def report(self) -> None:
        """Tell how far the search has come."""
        if self.progress is None:
            return
        seconds, tree = self.deadline.passed() - self.began, self.tree
        told = seconds, tree.nodes, len(tree.queue), tree.depth, self._bound(), self.value, tree.done
        self.progress(SearchProgress(*told))

    def _result(self, reason: Termination, *, complete: bool, more: int = 0) -> SearchResult:
        """`more`: nodes of the infeasibility search."""
        holds = math.isfinite(self.value)
        bound = self._bound()
        if self.certificate is not None and complete and holds and self.closed is not None:
            worth = self.value_bound, min(self.cutoff + self.numbering.fixed_cost, self.least)
            self.certificate.end(self.closed, worth)
        if complete and not holds and math.isfinite(self.unproven):
            reason = Termination.RELAXATION
        elif complete and not holds:
            reason, bound = Termination.INFEASIBLE, math.inf
        elif complete and (left := gap_between(bound, self.value)) > OPTIMAL:
            near = self.value - bound <= SAME / self.task.network.s_base_kva
            reason = (
                Termination.OPTIMAL
                if near
                else Termination.GAP
                if left <= self.gap * (1.0 + 1e-9)
                else Termination.ACCURACY
            )
        return SearchResult(
            termination=reason,
            closed=self.closed,
            generation=None,
            value=self.value,
            lower_bound=bound,
            least_violation=None if holds else self.best_violation,
            nodes=self.tree.nodes + more,
            probes=int(self.tree.loads.refreshed[0]),
            leaves=self.leaves,
            by_cone=0,
            seconds=self.deadline.passed() - self.began,
        )


class _Limits(Turn):
    """Whether no state keeps the limits in the heaviest future; sought in turns until a state is known.

    A node of K futures takes as long as K nodes of one.
    """

    def __init__(self, run: _Run) -> None:
        self.run, self.proven = run, False
        demands = np.abs(run.task.demands).sum(axis=1)
        self.search: InfeasibilitySearch | None = infeasibility_search(
            run.built.of(int(demands.argmax())), run.tree.root
        )
        self.most = NODE * len(demands)

    @property
    def nodes(self) -> int:
        return 0 if self.search is None else self.search.nodes

    def before(self) -> int | None:
        if self.search is None or math.isfinite(self.run.value):
            return None
        event = self.search.explore(self.most)
        if event == LEAF:
            self.search.proves &= self.run.judge(self.run.full(self.search.work.status))
        self.proven = event == EXHAUSTED and self.search.proves and math.isinf(self.run.value)
        return EXHAUSTED if self.proven else None


class _Alone(Turn):
    """Bounds of the futures by themselves, in rounds that are due after so many bounds of futures at nodes."""

    def __init__(self, run: _Run, each: Alone) -> None:
        self.run, self.each = run, each

    def before(self) -> int | None:
        run, each = self.run, self.each
        if run.tree.loads.refreshed[0] < each.due:
            return None
        none = np.zeros((0, run.task.network.n_conductors), dtype=bool)
        starts = none if run.closed is None else run.closed[None, :]
        each.round(starts, run.deadline, self._tell)
        self._raise()
        if each.states:
            run.offer(each.best())
        each.judge(run.floor, run.by_nodes, run.value)
        _LOG.info("every future by itself: %.6g pu at least, by nodes for all %.6g pu", run.floor, run.by_nodes)
        return EXHAUSTED if run.floor >= run.value - run.tolerance else PAUSED

    def _tell(self) -> None:
        if self.run.task.probabilities.only is not None:
            self._raise()
        self.run.report()

    def _raise(self) -> None:
        risk = self.each.bound(self.run.task.probabilities, self.run.task.wait_and_see)
        self.run.floor = max(self.run.floor, risk)


class _Progress(Turn):
    """Progress after each node."""

    def __init__(self, run: _Run) -> None:
        self.run = run

    def after(self, event: int) -> None:
        self.run.report()
