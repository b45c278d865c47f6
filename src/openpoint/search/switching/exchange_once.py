"""All plans below a value that make one exchange at most, period by period in which it may be.

Where two operations are left between the periods of a node, a plan has one state x in the periods before some s and one
state y from s on, and y is x or one exchange away. Let F_s(x) be what x costs before s, G_s(y) what y costs from s on,
and v what both together must cost less than. For any numbers a + b = v

    F_s(x) + G_s(y) < v     needs     F_s(x) < a  or  G_s(y) < b,

since otherwise the sum is v at least. So every such plan has its x among the states with F_s < a, or its y among those
with G_s < b: both are searches for periods that share one state (`openpoint.search.switching.joint`), and the other
state is among the exchanges of the one found, which are all evaluated. The slack, by which v exceeds the least of
both, is divided, and not given to each search in full: the states within a slack grow exponentially with it. No
multipliers take part. Those of the relaxation would lessen the slack, but a mix of states has its exchange by halves,
and where many states are close to the best its bound stays below what is to be proven.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.search.switching.below import Below, Wanted, no_states
from openpoint.search.switching.periods import Run
from openpoint.search.switching.relaxation import Restriction
from openpoint.search.switching.states import KnownStates

EXCHANGE = 2
"""Operations of an exchange."""
AT_ONCE = 50
"""States whose exchanges are evaluated at once."""


def exchange_periods(restriction: Restriction, periods: int) -> list[int] | None:
    """Periods at whose beginning plans of a node may make their only exchange; None where they may make more, or none.

    Operations before the first period are not looked at.
    """
    free = [t for t in range(1, periods) if not restriction.stays(t)]
    if restriction.fixed or not free:
        return None
    most = [few for begin, end, few in restriction.intervals if begin <= free[0] and free[-1] < end]
    return free if EXCHANGE <= min(most, default=0) < 2 * EXCHANGE else None


class ExchangeOnce:
    """The search for plans with one exchange.

    Attributes:
        known: the states. nodes: of all searches so far.
    """

    def __init__(self, known: KnownStates, gap: float, most: int, over: Callable[[], bool]) -> None:
        """`gap`: relative, asked for. most: states of one search, after which to give up. over: called often."""
        self.known, self.gap, self.most, self.over, self.nodes = known, gap, most, over, 0

    def bound(self, periods: list[int]) -> float | None:
        """A bound of the plans with an exchange at one of some periods, or without one: that which closes the gap.

        The best of these plans becomes known. None where states are too many, or where it is to stop.
        """
        known, p = self.known, self.known.problem
        if not math.isfinite(known.upper):
            return None
        dearer = EXCHANGE * p.change
        if dearer > 0.0 and not self._without(known.target(self.gap)):
            return None
        for s in sorted(periods, key=self._least_known):  # what has most states first
            if not self._with(s, known.target(self.gap) - dearer):
                return None
        return known.target(self.gap)  # it has not risen since

    def _without(self, value: float) -> bool:
        """Look at the plans without an operation that cost less than a value; False where that came to no end."""
        found = self._below((0, self.known.problem.periods), value)
        if found.complete:
            self._keep(found.states)
        return found.complete

    def _with(self, s: int, value: float) -> bool:
        """The same with an exchange, or none, at the beginning of a period, which is not counted in the value."""
        known, p = self.known, self.known.problem
        runs = (0, s), (s, p.periods)
        least = [float(known.values[slice(*run)].sum(axis=0).min()) for run in runs]
        slack = value - sum(least)
        share = abs(least[0]) / max(sum(map(abs, least)), 1e-300)
        for run, other, limit in zip(runs, runs[::-1], (least[0] + share * slack, least[1] + (1.0 - share) * slack)):
            found = self._below(run, limit)
            if not found.complete:
                return False
            for begin in range(0, len(found.states), AT_ONCE):
                if self.over():
                    return False
                some = slice(begin, begin + AT_ONCE)
                self._pair(found.states[some], value - found.values[some], other)
        return True

    def _least_known(self, s: int) -> float:
        values = self.known.values
        return float(values[:s].sum(axis=0).min() + values[s:].sum(axis=0).min())

    def _below(self, run: Run, threshold: float) -> Below:
        """All states of a run below a threshold, each with its value."""
        if threshold <= self.known.least[slice(*run)].sum():
            return no_states(self.known.states.shape[1])
        wanted = Wanted(
            prices=np.zeros(self.known.states.shape[1]),
            threshold=threshold,
            least=self.known.least,
            every=True,
            most_states=self.most,
            over=self.over,
        )
        found = self.known.periods.below(run, wanted)
        self.nodes += found.nodes
        return found

    def _pair(self, states: Bools, allowed: Floats, other: Run) -> None:
        """Keep the plans of states and of exchanges of them that cost less than (K) values in the other periods."""
        near = [np.concatenate([state[None], self.known.exchanges(state)]) for state in states]
        number = np.repeat(np.arange(len(states)), [len(each) for each in near])
        every = np.concatenate(near)
        for k in self._cheap(every, allowed[number], other):
            self._keep(np.stack([states[number[k]], every[k]]))

    def _cheap(self, states: Bools, allowed: Floats, run: Run) -> Ints:
        """Numbers of the (K, E) states that cost less than (K) values in a run; most are ruled out after one period."""
        known = self.known
        left, spent = np.arange(len(states)), np.zeros(len(states))
        rest = float(known.least[slice(*run)].sum())
        for t in sorted(range(*run), key=lambda t: -known.least[t]):
            rest -= float(known.least[t])
            spent[left] += known.periods.exact(t, states[left])
            left = left[spent[left] + rest < allowed[left]]
        return left

    def _keep(self, states: Bools) -> None:
        """The best plan of some states becomes known, if it is better."""
        self.known.add(states)
        some = np.zeros(len(self.known.states), dtype=np.bool_)
        some[self.known.numbers(states)] = True
        self.known.choose(some, self.known.values)
