"""Topology search with faults: least loss among the radial states whose faults do no more than they may.

Branch and bound as `openpoint.search.topology`, with its bound of the loss, cuts a node also where the bounds of what
faults do (`openpoint.studies.reconfigure.faults.arrays`) say that no completion keeps their limits. A radial state
counts only once all of its faults are evaluated by exact power flow. States that are better than all known and break
the limits of faults alone are tried one by one, so that the lower bound rises with them.

Topology search for the least index of interruptions: SAIFI, SAIDI or energy not supplied.

Best-first branch and bound on the states of branches, by the bound of the interruptions in all completions
(`openpoint.studies.reconfigure.faults.arrays`). The branch is decided whose two sides raise the bound most, by the
product of both gains (Achterberg, Koch, Martin 2005). Radial states are evaluated exactly, their limits without a fault
included. Where no limit binds and breakers stand at the feeders' heads alone, what is left open is mainly what faults
leave without supply until the repair, of which the bound knows only what no completion restores: then many nodes have
one bound. Where radial states are few, all are evaluated after `QUICK` nodes.

Whether limits of what faults do can be kept at all, and where not, how low the figures may be.

A search for the least loss goes by the loss, and where no state keeps the limit of an index it learns so last. So each
limited index is first sought by itself, with the other limits kept, until a state has little enough of it or it is
proven that none has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Ints, States
from openpoint.search.enumeration import count_topologies, topologies
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, work_for
from openpoint.search.kernel.bookkeeping import Counts, Pool, operations
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED, propagate, take
from openpoint.search.model.build import build_model
from openpoint.search.result import SearchProgress, SearchResult, gap_between
from openpoint.search.tree import CompiledTree, Queue, Turn, grow
from openpoint.studies.reconfigure.faults.task import ENDLESS, ROUNDED, EvaluatedState, FaultExchange, FaultTask, Sought
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
    """The outcome of a search. Attributes: best: the best state, which may break limits. result: bounds and counts."""

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


class LossSearch:
    """A search for the radial state of least loss that keeps the limits of the network and of faults, and its state."""

    def __init__(
        self, task: FaultTask, gap: float, deadline: Deadline, progress: Callable[[SearchProgress], None] | None
    ) -> None:
        """Nothing is searched yet.

        Args:
            gap: relative, at which to stop. deadline: by which to stop.

        Raises:
            OptionError: a grid that the bound of the loss is not valid for.
        """
        self.task, self.gap, self.deadline, self.progress = task, gap, deadline, progress
        self.model, self.numbering = build_model(task.network, task.rules)
        self.tree = CompiledTree[_Cuts](self.model, rows=ROOM)
        self.tree.explorer = _Cuts(self.tree, self._may_hold)
        self.tree.work.status[task.rules.must_close[self.numbering.branch]] = CLOSED
        self.leaves = 0
        self.exchange = FaultExchange(task, lambda: self.deadline.over(), self._keep)
        self.is_begun, self.is_joined, self.used, self.began = False, True, 0.0, 0.0

    def solve(self, starts: list[Bools]) -> Found:
        """Run the search; `starts`: (E) radial states to begin with."""
        if not self.is_begun:
            self.is_joined = propagate(self.model, self.tree.work)
            self.tree.begin(self.numbering.greatest + float(self.model.price.sum()))
        self.began = self.deadline.passed()
        if not self.is_joined:
            return Found(None, self._result(Termination.INFEASIBLE))
        for closed in starts:
            self.exchange.offer(closed, 0 if self.is_begun else self.exchange.effort_limit)
        self.is_begun = True
        complete = grow(self.tree, self._leaf, self.deadline.over, turns=(_Kicks(self), _Progress(self)))
        return Found(self.exchange.best, self._result(Termination.OPTIMAL if complete else self.deadline.why))

    def go_on(self, starts: list[Bools], deadline: Deadline) -> Found:
        """Go on where the search stopped, or begin it; `starts`: radial states that were not offered before."""
        self.deadline = deadline
        return self.solve(starts)

    @property
    def nodes(self) -> int:
        """Nodes so far."""
        return self.tree.nodes

    @property
    def effort_limit(self) -> int:
        """States worth evaluating where perturbations are due."""
        return min(self.exchange.effort_limit, self.nodes // NODES_A_STATE)

    def report(self) -> None:
        """Tell how far the search has come."""
        if self.progress is not None:
            self.progress(self._progress())

    def _leaf(self, status: States) -> None:
        """Evaluate a radial state."""
        self.leaves += 1
        self.exchange.offer(_of_all(self, status) == CLOSED, 0)

    def _may_hold(self) -> bool:
        """Whether some completion of the current node may keep the limits of faults."""
        if not propagate(self.model, self.tree.work):
            return False
        return self.task.least(_of_all(self, self.tree.work.status)) is not None

    def _keep(self, state: EvaluatedState) -> None:
        """Lower the cutoff to a state that keeps all limits."""
        if state.holds:
            value = state.loss - self.numbering.fixed_cost
            self.tree.lower_cutoff(value - self.gap * abs(state.loss))

    @property
    def _value(self) -> float:
        best = self.exchange.best
        return best.loss if best is not None and best.holds else math.inf

    def _bound(self) -> float:
        fixed = self.numbering.fixed_cost
        return min(self.tree.lowest + fixed, self._value)

    def _progress(self) -> SearchProgress:
        counts = self.tree.counts
        left, depth = int(counts.size[0] + counts.stack[0] + counts.active[0]), int(counts.depth[0])
        seconds = self.used + self.deadline.passed() - self.began
        return SearchProgress(seconds, self.nodes, left, depth, self._bound(), self._value, 0.0)

    def _result(self, reason: Termination) -> SearchResult:
        now = self.deadline.passed()
        self.used, self.began = self.used + now - self.began, now
        found = ended(self.task, self.exchange.best, reason, self._progress())
        return replace(found, probes=int(self.tree.counts.probes[0]), leaves=self.leaves)


def _of_all(search: LossSearch | IndexSearch, status: States) -> States:
    """(E) states of all branches, of those (m) of the model."""
    found = np.full(search.task.network.n_conductors, OPEN, dtype=np.int8)
    found[search.numbering.branch] = status
    return found


class _Cuts:
    """Nodes are cut where what faults do keeps no limit."""

    def __init__(self, tree: CompiledTree[_Cuts], may_hold: Callable[[], bool]) -> None:
        """`may_hold`: whether some completion of the current node may keep the limits of faults."""
        self.tree, self.may_hold = tree, may_hold

    def explore(self, pool: Pool, counts: Counts, most: int) -> int:
        """Process one node."""
        tree = self.tree
        if not counts.active[0]:
            if not tree.left:
                return EXHAUSTED
            take(tree.model, tree.work, pool, counts, tree.record)
        if counts.bound[0] < counts.cutoff[0] and not self.may_hold():
            counts.active[0] = 0
            counts.nodes[0] += 1
            return PAUSED
        return tree.process_one()

    def leave(self, pool: Pool, counts: Counts) -> None:
        """Nothing is its own."""

    def operations(self, counts: Counts) -> int:
        """Those of its nodes."""
        return operations(self.tree.model, counts, int(counts.nodes[0]))


class _Kicks(Turn):
    """Perturbations from the best state after 64, 128, 256, … nodes."""

    def __init__(self, search: LossSearch | IndexSearch) -> None:
        self.search = search

    def after(self, event: int) -> None:
        nodes = self.search.nodes
        if nodes >= 64 and nodes.bit_count() == 1:
            self.search.exchange.perturbations(self.search.effort_limit)


class _Progress(Turn):
    """Progress after each node."""

    def __init__(self, search: LossSearch | IndexSearch) -> None:
        self.search = search

    def after(self, event: int) -> None:
        self.search.report()


TRIES = 12
"""Branches tried at a node, at most."""
MORE = 500
"""Nodes for how low the index may be, at least, where it is proven that it may not be as low as is asked for."""
QUICK, MOST_STATES, MOST_LOOPS = 200, 100_000, 8
"""Nodes after which all radial states are evaluated; how many these may be, and loops with which they are counted."""
CHUNK = 256
"""States whose losses are computed at a time."""
LEAST_GAIN = 1e-6
"""Least gain of a side in the score, relative to the bound; with a gain of 0 the product of both would be 0."""


class IndexSearch:
    """A search for the radial state of least index of interruptions, and its state."""

    def __init__(
        self,
        task: FaultTask,
        gap: float,
        deadline: Deadline,
        progress: Callable[[SearchProgress], None] | None,
        enough: float = -math.inf,
    ) -> None:
        """`enough`: the search ends once a state has no more, or none has, proven, and `MORE` nodes are done."""
        self.enough = enough
        self.task, self.gap, self.deadline, self.progress = task, gap, deadline, progress
        self.model, self.numbering = build_model(task.network, replace(task.rules, change_cost=0.0))
        self.work = work_for(self.model)
        self.queue = Queue[States]()
        self.nodes, self.leaves, self.cutoff = 0, 0, math.inf
        self.exchange = FaultExchange(task, deadline.over, self._keep)
        self.effort_limit = self.exchange.effort_limit

    def solve(self, starts: list[Bools]) -> Found:
        """Run the search."""
        self.work.status[self.task.rules.must_close[self.numbering.branch]] = CLOSED
        root = self._bounded(self.work.status.copy())
        self.began = self.deadline.passed()
        if root is None:
            return Found(None, self._result(Termination.INFEASIBLE))
        for closed in starts:
            if not self._is_enough:
                self.exchange.offer(closed, self.exchange.effort_limit)
        if not self._is_enough:
            self.exchange.perturbations(self.exchange.effort_limit)
        self._push(*root)
        reason = Termination.OPTIMAL

        def over() -> bool:
            nonlocal reason
            too_much = self.enough >= 0.0 and self._lower() > self.enough * (1.0 + ROUNDED)
            if self.deadline.over():
                reason = self.deadline.why
            elif self._is_enough or (too_much and self.nodes >= MORE):
                reason = Termination.GAP
            return reason is not Termination.OPTIMAL

        if len(self.queue) and not over():
            grow(self, self._leaf, over, turns=(_AllStates(self), _Progress(self), _Kicks(self)))
        return Found(self.exchange.best, self._result(reason))

    @property
    def status(self) -> States:
        return self.work.status

    def explore(self, most: int) -> int:
        """Process the node of least bound, as `openpoint.search.tree.Tree`."""
        if not self.queue.has(self.cutoff):
            return EXHAUSTED
        bound, status = self.queue.pop()
        self.nodes += 1
        free = np.flatnonzero(status == UNDECIDED)
        if len(free):
            self._divide(bound, status, free)
            return PAUSED
        self.work.status[:] = status
        return LEAF

    def report(self) -> None:
        """Tell how far the search has come."""
        if self.progress is not None:
            self.progress(self._progress())

    def _bounded(self, status: States) -> tuple[float, States] | None:
        """The bound of a node and its state with all consequences; None where no completion keeps the limits."""
        self.work.status[:] = status
        if not propagate(self.model, self.work):
            return None
        bound = self.task.least(_of_all(self, self.work.status))
        return None if bound is None else (bound, self.work.status.copy())

    def _leaf(self, status: States) -> None:
        """Evaluate a radial state."""
        self.leaves += 1
        self.exchange.offer(_of_all(self, status) == CLOSED, 0)

    def _divide(self, bound: float, status: States, free: Ints) -> None:
        """Decide the branch of the best score."""
        best, chosen = -1.0, list[tuple[float, States] | None]()
        for e in self._candidates(status, free).tolist():
            sides = []
            for state in (CLOSED, OPEN):
                child = status.copy()
                child[e] = state
                sides.append(self._bounded(child))
            gains = [self._gain(bound, side) for side in sides]
            if gains[0] * gains[1] > best:
                best, chosen = gains[0] * gains[1], sides
            if None in sides:
                break
        for side in chosen:
            if side is not None:
                self._push(max(bound, side[0]), side[1])

    def has_few_states(self) -> bool:
        """Whether radial states are so few that all can be evaluated."""
        task, network = self.task, self.task.network
        loops = int((~task.rules.must_open).sum()) - network.n_terminals + len(network.source_terminal)
        if loops > MOST_LOOPS:
            return False
        return count_topologies(network, task.rules) <= MOST_STATES

    def evaluate_all(self) -> bool:
        """Evaluate all radial states; whether that was done."""
        task = self.task
        for states in topologies(task.network, task.rules, chunk=CHUNK):
            loss, violation = task.ac.evaluate(states)
            for closed, each, miss in zip(states, loss.tolist(), violation.tolist(), strict=True):
                if self._is_enough or self.deadline.over():
                    return False
                if self._may_be_better(closed, miss):
                    self.exchange.keep(task.evaluated(closed, each, miss))
            self.report()
        return True

    def _may_be_better(self, closed: Bools, violation: float) -> bool:
        """Whether a radial state may be better than the best one, by its bound and its limits without a fault."""
        task, best = self.task, self.exchange.best
        if task.rules.max_changes is not None and np.sum(closed != task.network.closed) > task.rules.max_changes:
            return False
        if best is None or not best.holds:
            return best is None or violation <= best.merit[0]
        bound = None if violation > 0.0 else task.least(np.where(closed, CLOSED, OPEN).astype(np.int8))
        return bound is not None and bound < best.merit[2]

    def _gain(self, bound: float, side: tuple[float, States] | None) -> float:
        most = self.cutoff if math.isfinite(self.cutoff) else 2.0 * bound + 1.0
        value = most if side is None else min(side[0], most)
        return max(value - bound, LEAST_GAIN * (bound + 1e-9))

    def _candidates(self, status: States, free: Ints) -> Ints:
        """Undecided branches between what is attached and the rest, those first that reach most."""
        bound, network = self.task.bound, self.task.network
        bound.faults(_of_all(self, status), self.task.limits.most)
        place, part = bound.work.place[: network.n_terminals], bound.work.part[: network.n_terminals]
        weight = np.bincount(part[part >= 0], bound.least.by_weight[part >= 0], minlength=network.n_terminals)
        branch = self.numbering.branch[free]
        fr, to = network.terminal_fr[branch], network.terminal_to[branch]
        reached = np.where(place[fr] < 0, weight[part[fr]], 0.0) + np.where(place[to] < 0, weight[part[to]], 0.0)
        beside = (place[fr] >= 0) != (place[to] >= 0)
        return free[np.lexsort((-reached, ~beside))[:TRIES]]

    def _push(self, bound: float, status: States) -> None:
        if bound >= self.cutoff:
            self.queue.done(bound)
        else:
            self.queue.push(bound, status)

    def _keep(self, state: EvaluatedState) -> None:
        if state.holds:
            self.cutoff = min(self.cutoff, state.merit[2] * (1.0 - self.gap))

    @property
    def _is_enough(self) -> bool:
        """Whether a state has as little as is asked for."""
        return self._value <= self.enough * (1.0 + ROUNDED)

    @property
    def _value(self) -> float:
        best = self.exchange.best
        return best.merit[2] if best is not None and best.holds else math.inf

    def _lower(self) -> float:
        return min(self.queue.lowest, self._value)

    def _progress(self) -> SearchProgress:
        seconds = self.deadline.passed() - self.began
        return SearchProgress(seconds, self.nodes, len(self.queue), 0, self._lower(), self._value, 0.0)

    def _result(self, reason: Termination) -> SearchResult:
        return replace(ended(self.task, self.exchange.best, reason, self._progress()), leaves=self.leaves)


class _AllStates(Turn):
    """All radial states are evaluated after some nodes, where they are few."""

    def __init__(self, search: IndexSearch) -> None:
        self.search, self.is_done = search, False

    def before(self) -> int | None:
        return EXHAUSTED if self.is_done else None

    def after(self, event: int) -> None:
        search = self.search
        if search.nodes == QUICK and search.has_few_states() and search.evaluate_all():
            search.queue, self.is_done = Queue[States](), True


SHARE = 0.5
"""Part of the time that is left for one index."""


@dataclass(frozen=True)
class Floor:
    """How low an index may be while the other limits are kept.

    Attributes:
        index, most: what is limited, and to what. least: no state has less, proven; inf: none keeps the other limits.
        best: the state of least index found; None: none. nodes: of the search.
    """

    index: Sought
    most: float
    least: float
    best: EvaluatedState | None
    nodes: int

    @property
    def is_above(self) -> bool:
        """Whether it is proven that no state keeps the limit."""
        return self.least > self.most * (1.0 + ROUNDED)


def floors_of(task: FaultTask, starts: list[Bools], gap: float, deadline: Deadline) -> list[Floor]:
    """The floors of all limited indices, up to the first that no state keeps."""
    found: list[Floor] = []
    for index, most in task.limits.at_most.items():
        alone = replace(task, sought=index, limits=task.limits.without_index(index))
        part = deadline.within(SHARE * deadline.left())
        known = [*starts, *(each.best.closed for each in found if each.best is not None)]
        ended_so = IndexSearch(alone, gap, part, None, most).solve(known)
        found.append(Floor(index, most, ended_so.result.lower_bound, ended_so.best, ended_so.result.nodes))
        if found[-1].is_above:
            break
    return found


def none_keeps(task: FaultTask, floors: list[Floor], seconds: float) -> Found | None:
    """What a search finds where a limit lies below the floor of its index; None where none does."""
    unkept = next((each for each in floors if each.is_above), None)
    if unkept is None:
        return None
    best = None if unkept.best is None else task.state(unkept.best.closed)
    nodes = sum(each.nodes for each in floors)
    last = SearchProgress(seconds, nodes, 0, 0, math.inf, math.inf, 1.0)
    return Found(best, ended(task, best, Termination.INFEASIBLE, last))


def unkept_limits(
    task: FaultTask, found: Found, floors: list[Floor], units: dict[Sought, tuple[float, str]]
) -> list[str]:
    """Notes on limits that no state keeps; `units`: factor and unit of each index."""
    if found.result.termination is not Termination.INFEASIBLE:
        return []
    best, most = found.best, task.limits.most
    for each in floors:
        if not each.is_above:
            continue
        factor, unit = units[each.index]
        if math.isinf(each.least):
            return ["no state keeps the limits beside that of " + each.index.name]
        known = (
            ""
            if each.best is None or not each.best.holds
            else f"; the least known is {factor * each.best.merit[2]:.6g}"
        )
        return [f"{each.index.name}: no state has less than {factor * each.least:.6g} {unit}, proven{known}"]
    if most < ENDLESS:
        known = "" if best is None or best.merit[0] else f"; the fewest known are {best.figures.count}"
        return [f"no state that keeps the other limits has fewer than {most + 1} unrestorable faults, proven{known}"]
    return []
