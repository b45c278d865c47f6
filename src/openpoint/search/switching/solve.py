"""Switching over several periods: the radial states of least value with few switch operations, proven to a gap.

For periods with values f_t, the energy lost or its cost, it finds the plan x_0 … x_(T−1) of radial states with the
least

    Σ_t f_t(x_t) + c · operations,      operations = Σ_t |x_t − x_(t−1)| <= k,

every state within the limits of its period. An operation is one opening or one closing, so that an exchange of two
branches is two. The proof is a branch and bound:

1. A node limits the operations at the beginning of some intervals of periods. Its bound is that of
   `openpoint.search.switching.problem`: with multipliers on the branches each period is a topology search of its
   own, with prices of closed branches, and these searches are exact. Periods between which no operation is left are
   searched together (`openpoint.search.switching.searches`). The states that they find are added until the bound
   reaches the best plan, or no state improves it (column generation, `openpoint.search.switching.columns`).
2. The best plan out of the states known follows by dynamic programming (`openpoint.search.switching.states`).
3. What is left between both is mostly due to operations that the relaxation takes by halves: two occasions to switch,
   each used half. A node is divided there: either the operations of an interval up to a period are at most j, or at
   least j + 2, so that at most k − j − 2 of its k are left after it.
4. Where no operation is divided, the gap Δ of a node is closed by *all* states of a period whose value, with its
   prices, lies within Δ of the least: a better plan consists of such states alone, and the dynamic programme over them
   is exact. Where they are many, and two operations are left, all plans with one exchange are looked at
   (`openpoint.search.switching.columns`); else the node is divided by a branch that is closed, or open, in a
   period.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import numpy as np

from openpoint.search.switching.columns import ColumnGeneration, ExchangeOnce, exchange_periods
from openpoint.search.switching.problem import (
    Interval,
    Mix,
    Multipliers,
    Periods,
    Restriction,
    SinglePeriods,
    SwitchingOutcome,
    SwitchingProblem,
)
from openpoint.search.switching.states import KnownStates, operations
from openpoint.search.tree import Queue
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Progress, Termination

WHOLE = 0.02
"""By how much sums of a mix may differ from whole numbers and count as whole."""
FEW, MANY = 200, 2000
"""States within the gap of a node up to which they are collected before it is divided by a branch, and at last."""
MOST = 20_000
"""States of one search for plans with one exchange, up to which these are listed."""


@dataclass(frozen=True)
class _Node:
    """An open node: what its plans have in common, and multipliers that are good."""

    restriction: Restriction
    centre: Multipliers


def solve_switching(
    problem: SwitchingProblem,
    *,
    periods: Periods | None = None,
    gap: float = 1e-4,
    progress: Progress | None = None,
    deadline: Deadline | None = None,
) -> SwitchingOutcome:
    """The plan of least value with few switch operations, proven to a relative gap.

    Args:
        problem: what to solve. periods: its periods, where their values are not those of one demand each.
        gap: at which to stop. progress: called with every line of the log.
        deadline: when to stop with the best plan and the bound.

    Raises:
        OptionError: a grid or prices that topology search has no bound for, or generators to dispatch.
    """
    return _Run(problem, periods or SinglePeriods(problem), gap, progress, deadline or Deadline()).solve()


class _Run:
    """One run and its state."""

    def __init__(
        self,
        problem: SwitchingProblem,
        periods: Periods,
        gap: float,
        progress: Progress | None,
        deadline: Deadline,
    ) -> None:
        self.problem, self.gap, self.progress, self.deadline = problem, gap, progress, deadline
        self.began = deadline.passed()
        self.known = KnownStates(problem, periods)
        self.lower, self.nodes, self.log = -math.inf, 0, list[Iteration]()

    def solve(self) -> SwitchingOutcome:
        """Run."""
        infeasible = self._start()
        if infeasible is not None:
            self.lower = math.inf
            return self._outcome(Termination.INFEASIBLE, infeasible)
        if self.deadline.over():
            return self._outcome(self.deadline.why)
        self._divide_and_bound()
        done = self.lower >= self.known.target(self.gap)
        if self.lower > self.known.greatest:
            self.lower = math.inf
            return self._outcome(Termination.INFEASIBLE)
        if self.deadline.over() and not done:
            return self._outcome(self.deadline.why)
        return self._outcome(Termination.GAP if done else Termination.ACCURACY)

    def _start(self) -> int | None:
        """The best state of every period alone, and a first plan; returns a period that no state serves."""
        p, known = self.problem, self.known
        for t in range(p.periods):
            found = known.periods.best_of_run((t, t + 1), self.gap, known.states, self.deadline)
            self.nodes += found.nodes
            if found.termination is Termination.INFEASIBLE:
                return t
            known.least[t] = found.lower_bound
            if found.closed is not None:
                known.add([found.closed])
        if p.before is not None:
            known.add_radial(p.before)
        known.improve(self.deadline.over)
        self._note(float(known.least.sum()), "periods alone")
        return None

    def _divide_and_bound(self) -> None:
        """Branch and bound on operations and branches."""
        p, known = self.problem, self.known
        columns = ColumnGeneration(known, self.lower, self.gap, self.deadline.over)
        # Radial states have as many closed branches as each other, so that operations between them are even numbers.
        odd = 0 if p.before is None else int(p.before.sum() + known.states[0].sum()) % 2
        most = p.rules.max_changes
        whole = Restriction(() if most is None else ((0, p.periods, most - (most - odd) % 2),))
        nothing = Multipliers(np.zeros((p.periods, p.networks[0].n_conductors)), {})
        queue, number = Queue[_Node](), 1
        queue.push(self.lower, _Node(whole, nothing))
        before = self.nodes
        while queue.has(known.target(self.gap)) and not self.deadline.over():
            inherited, node = queue.pop()
            tell = partial(self._note_node, queue.lowest)
            bound = columns.bound(node.restriction, node.centre, inherited, tell)
            self.nodes = before + columns.nodes
            if bound is None:
                break
            value = max(inherited, bound.value)
            children: list[Restriction] = []
            if value < known.target(self.gap):
                children = _by_operations(node.restriction, bound.mix, odd)
                closed = None if children else columns.collected(node.restriction, bound, FEW)
                if not children and closed is None:
                    closed = self._exchanged_once(node.restriction, columns)
                if not children and closed is None:
                    children = _by_branch(node.restriction, bound.mix)
                    closed = None if children else columns.collected(node.restriction, bound, MANY)
                value = value if closed is None else max(value, closed)
            if not children:
                queue.done(value)
            for restriction in children:
                queue.push(value, _Node(restriction, bound.multipliers))
                number += 1
            self._note(queue.lowest, f"{number} nodes, {len(queue)} open")

    def _exchanged_once(self, restriction: Restriction, columns: ColumnGeneration) -> float | None:
        """The bound of a node whose plans make one exchange at most, by all of them; None where that is too much."""
        p, known = self.problem, self.known
        if p.before is not None or not isinstance(known.periods, SinglePeriods):
            return None
        periods = exchange_periods(restriction, p.periods)
        if periods is None:
            return None
        once = ExchangeOnce(known, self.gap, MOST, self.deadline.over)
        value = once.bound(periods)
        columns.nodes += once.nodes
        return value

    def _note_node(self, rest: float, bound: float) -> None:
        """A line of the log while a node is bounded; rest: the bound of all others."""
        self._note(min(rest, bound), "bound")

    def _note(self, lower: float, words: str) -> None:
        """A line of the log."""
        upper = self.known.upper
        self.lower = max(self.lower, min(lower, upper))
        line = Iteration(len(self.log) + 1, self._seconds(), self.lower, upper, upper, words, interim=True)
        self.log.append(line)
        if self.progress is not None:
            self.progress(line)

    def _seconds(self) -> float:
        return self.deadline.passed() - self.began

    def _outcome(self, termination: Termination, infeasible: int | None = None) -> SwitchingOutcome:
        plan, known, p = self.known.plan, self.known, self.problem
        return SwitchingOutcome(
            termination=termination,
            closed=plan,
            values=None if plan is None else np.array([known.value_of(t, x) for t, x in enumerate(plan)]),
            operations=None if plan is None else operations(plan, p.before),
            lower_bound=self.lower,
            upper_bound=known.upper,
            infeasible=infeasible,
            log=tuple(self.log),
            nodes=self.nodes,
            seconds=self._seconds(),
        )


def _by_operations(restriction: Restriction, mix: Mix, odd: int) -> list[Restriction]:
    """Two nodes that exclude operations divided between two occasions; none where none are.

    odd: 1 where the operations at the beginning of the first period are an odd number.
    """
    split: tuple[float, Interval, int, int] | None = None
    for begin, end, most in restriction.intervals:
        first = odd if begin == 0 else 0
        done = np.cumsum(mix.moves[begin:end])[:-1]
        below = 2 * np.floor((done - first) / 2.0 + WHOLE) + first
        distance = np.minimum(done - below, below + 2 - done)
        if len(done) and distance.max() > 2.0 * WHOLE and (split is None or distance.max() > split[0]):
            at = int(distance.argmax())
            split = float(distance.max()), (begin, end, most), begin + at + 1, int(below[at])
    if split is None:
        return []
    _, (begin, end, most), middle, few = split
    sides = [(begin, middle, few), (middle, end, most - few - 2)]
    divided = [restriction.limited(side) for side in sides if side[2] >= 0]
    return [] if restriction in divided else divided


def _by_branch(restriction: Restriction, mix: Mix) -> list[Restriction]:
    """Two nodes in which a branch is closed, or open, in a period in which the mix has it between; none where none."""
    between = np.minimum(mix.states, 1.0 - mix.states)
    e = int(between.sum(axis=0).argmax())
    if between[:, e].max() <= WHOLE:
        return []
    wide = np.flatnonzero(between[:, e] >= 0.9 * between[:, e].max())
    t = int(wide[len(wide) // 2])
    return [Restriction(restriction.intervals, (*restriction.fixed, (t, e, state))) for state in (True, False)]
