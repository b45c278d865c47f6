"""The bound of a node by column generation: multipliers out of the states known, and searches for what they lack.

All plans below a value that make one exchange at most, period by period in which it may be.

Where two operations are left between the periods of a node, a plan has one state x in the periods before some s and one
state y from s on, and y is x or one exchange away. Let F_s(x) be what x costs before s, G_s(y) what y costs from s on,
and v what both together must cost less than. For any numbers a + b = v

    F_s(x) + G_s(y) < v     needs     F_s(x) < a  or  G_s(y) < b,

since otherwise the sum is v at least. So every such plan has its x among the states with F_s < a, or its y among those
with G_s < b: both are searches for periods that share one state (`openpoint.search.switching.searches`), and the other
state is among the exchanges of the one found, which are all evaluated. The slack, by which v exceeds the least of
both, is divided, and not given to each search in full: the states within a slack grow exponentially with it. No
multipliers take part. Those of the relaxation would lessen the slack, but a mix of states has its exchange by halves,
and where many states are close to the best its bound stays below what is to be proven.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.search.switching.problem import SHARE, Mix, Multipliers, Relaxation, Restriction, Run
from openpoint.search.switching.searches import Below, Wanted, no_states
from openpoint.search.switching.states import KnownStates

PER_ROUND = 20
"""Known states of a period that join the relaxation at a time, at most."""
FIRST_NODES, TIMES = 200, 4
"""Nodes of a period's search at first, and the factor by which they grow where no more states are found so."""
CAUTION = 0.5
"""Share of the way from the multipliers of the relaxation to the best known ones at which periods are searched: the
duals of a few states jump (Wentges 1997)."""
EARLY = 0.2
"""Share of what a node lacks at least, within which its bound needs not be better before it is divided."""


@dataclass(frozen=True)
class Bound:
    """A bound of a node.

    Attributes:
        value: no plan of the node costs less. multipliers: by which. least: (R) least values of the runs with their
            prices that are proven, see `Restriction.runs`. mix: the last solution of the relaxation.
    """

    value: float
    multipliers: Multipliers
    least: Floats
    mix: Mix


class ColumnGeneration:
    """Bounds of nodes.

    Attributes:
        known: the states. nodes: of all searches so far.
    """

    def __init__(self, known: KnownStates, lower: float, gap: float, over: Callable[[], bool]) -> None:
        """`lower`: a lower bound of the whole. gap: relative, asked for. over: called often; True stops."""
        self.known, self.gap, self.over, self.nodes = known, gap, over, 0
        p, most = known.problem, known.greatest
        total = np.where(np.isfinite(known.values), known.values, most).sum(axis=0)
        first = int(np.argmin(total))
        reference = known.states[first]
        unit = max(float(np.median(known.values.min(axis=1))), 1e-9 * most)
        lost = 0.5 * (known.upper - lower) if math.isfinite(known.upper) else most
        self._relaxation = Relaxation(
            p.periods,
            reference,
            before=p.before,
            change=p.rules.change_cost,
            unit=unit,
            excess=max(lost, gap * unit),
        )
        self._joined: list[set[int]] = [set() for _ in range(p.periods)]
        still = (reference if p.before is None else p.before)[None]
        for t in range(p.periods):
            self._relaxation.add(t, still, np.array([most + 1.0]), always=True)  # stands for all breaches
            self._join(t, np.unique([first, *np.argsort(known.values[t], kind="stable")[:PER_ROUND]]))

    def bound(
        self, restriction: Restriction, centre: Multipliers, inherited: float, tell: Callable[[float], None]
    ) -> Bound | None:
        """The best bound of a node, None where it is to stop.

        Args:
            restriction: of the node. centre: good multipliers. inherited: a bound of the node.
            tell: called with bounds.
        """
        known, p, best = self.known, self.known.problem, None
        self._relaxation.choose(restriction)
        runs = restriction.runs(p.periods)
        most_nodes = FIRST_NODES if len(runs) > 1 else None  # one state for all: no multipliers help
        while not self.over():
            mix = self._settled(restriction)
            multipliers = mix.multipliers.towards(centre, CAUTION)
            constant, prices = multipliers.constant(p.before, restriction.intervals), multipliers.prices
            here = self._least_of_runs(runs, self._priced(restriction, prices))
            spare = float(here.sum()) + constant - known.target(self.gap)
            if not spare > 0.0:
                spare = self._accuracy(mix)
            thresholds = here - spare / len(here) * (1.0 - 1e-6)
            least, found, complete = np.empty(len(here)), list[Bools](), True
            for r, run in enumerate(runs):
                threshold = thresholds[r] if math.isfinite(thresholds[r]) else 2.0 * known.greatest
                below = self._below(restriction, run, prices, threshold, every=False, most_nodes=most_nodes)
                self.nodes += below.nodes
                least[r] = below.lower_bound
                found.extend(below.states)
                complete &= below.complete
            value = float(least.sum()) + constant
            gained = best is None or value > best.value + self._accuracy(mix)
            if best is None or value > best.value:
                best = Bound(value, multipliers, least, mix)
                centre = multipliers
            best = replace(best, mix=mix)
            reached = max(best.value, inherited)
            tell(reached)
            new = known.add(found, self.over)
            if new:
                known.improve(self.over)
            target = known.target(self.gap)
            near = max(self._accuracy(mix), EARLY * (target - mix.value) if math.isfinite(target) else 0.0)
            if reached >= target or mix.value - best.value <= near or (complete and not new and not gained):
                return best
            if not new and not complete and most_nodes is not None:
                most_nodes *= TIMES
        return None

    def collected(self, restriction: Restriction, bound: Bound, most: int) -> float | None:
        """A bound of a node by all states within its gap; None where they are more than `most`, or where it is to stop.

        The best plan of these states becomes known.
        """
        known, p, target = self.known, self.known.problem, self.known.target(self.gap)
        slack = target - bound.value
        if not math.isfinite(slack):
            return None
        prices, runs = bound.multipliers.prices, restriction.runs(p.periods)
        for r, run in enumerate(runs):
            below = self._below(restriction, run, prices, bound.least[r] + slack, every=True, most_states=most)
            self.nodes += below.nodes
            if not below.complete:
                return None
            known.add(below.states, self.over)
            if self.over():
                return None
            for t in range(*run):
                known.settle(t, known.numbers(below.states))
        priced = self._priced(restriction, prices)
        useful = np.zeros(priced.shape, dtype=np.bool_)
        for r, (begin, end) in enumerate(runs):
            useful[begin:end] = priced[begin:end].sum(axis=0) < bound.least[r] + slack
            useful[begin:end] &= known.exact[begin:end].all(axis=0)  # those found are, and no other one lies below
        some = np.asarray(useful.any(axis=0))
        if some.sum() > most:
            return None
        known.choose(some, np.where(useful, known.values, math.inf))
        return min(target, known.upper)

    def _below(
        self,
        restriction: Restriction,
        run: Run,
        prices: Floats,
        threshold: float,
        *,
        every: bool,
        most_nodes: int | None = None,
        most_states: int | None = None,
    ) -> Below:
        """States of a run whose weighted values with their prices lie below a threshold."""
        known, p, (begin, end) = self.known, self.known.problem, run
        given = restriction.given_to(run, prices.shape[1])
        if begin == 0 and p.before is not None and restriction.stays(0):
            given = p.before, ~p.before
        wanted = Wanted(
            prices=prices[begin] if end - begin == 1 else prices[begin:end].sum(axis=0),
            threshold=threshold,
            least=known.least,
            every=every,
            given=given,
            most_nodes=most_nodes,
            most_states=most_states,
            over=self.over,
        )
        return known.periods.below(run, wanted)

    def _least_of_runs(self, runs: list[Run], priced: Floats) -> Floats:
        """(R) least values with prices of runs over the states known; exact, and so in `priced` afterwards."""
        least = np.empty(len(runs))
        for r, (begin, end) in enumerate(runs):
            k, again = 0, True
            while again:
                k = int(priced[begin:end].sum(axis=0).argmin())
                least[r], again = priced[begin:end, k].sum(), False
                for t in range(begin, end):
                    before = self.known.values[t, k]
                    if np.isfinite(priced[t, k]) and self.known.settle(t, np.array([k])):
                        priced[t, k] += self.known.values[t, k] - before
                        again = True
        return least

    def _accuracy(self, mix: Mix) -> float:
        """What bounds may lack."""
        return SHARE * self.gap * min(abs(self.known.upper), abs(mix.value))

    def _priced(self, restriction: Restriction, prices: Floats) -> Floats:
        """(T, K) values of the states known with prices, inf where they do not keep the restriction."""
        known = self.known
        priced = known.values + prices @ known.states.T
        for t in {t for t, _, _ in restriction.fixed}:
            priced[t, ~restriction.keeps(t, known.states)] = math.inf
        return np.asarray(priced)

    def _join(self, t: int, numbers: Ints) -> bool:
        """Add known states of a period to the relaxation; returns whether any is new."""
        fresh = [k for k in numbers.tolist() if k not in self._joined[t] and np.isfinite(self.known.values[t, k])]
        self._joined[t].update(fresh)
        self._relaxation.add(t, self.known.states[fresh], self.known.values[t, fresh])
        return bool(fresh)

    def _settled(self, restriction: Restriction) -> Mix:
        """The relaxation over all states known, and those to which exchanges lead from them."""
        known, again = self.known, True
        while again:
            mix = self._relaxation.solve(self._accuracy_of(known.upper), known.target(self.gap))
            prices = mix.multipliers.prices
            priced, again = self._priced(restriction, prices), False
            joined = [np.fromiter(numbers, dtype=np.int64) for numbers in self._joined]
            least = [float(row[some].min(initial=math.inf)) for row, some in zip(priced, joined, strict=True)]
            small = 1e-7 * abs(float(known.values.min()))
            for t, row in enumerate(priced):
                better = np.flatnonzero(row < least[t] - small)
                again |= self._join(t, better[np.argsort(row[better], kind="stable")[:PER_ROUND]])
            if again or self.over():
                continue
            for t, row in enumerate(priced):
                if math.isfinite(row.min()):
                    start = known.states[int(row.argmin())]
                    usable = _Usable(restriction, t)
                    state = known.descended(t, start, prices[t], usable, self.over)
                    again |= known.add([state], self.over)
        return mix

    def _accuracy_of(self, value: float) -> float:
        return SHARE * self.gap * abs(value) if math.isfinite(value) else math.inf


@dataclass(frozen=True)
class _Usable:
    """Which states a node has in a period."""

    restriction: Restriction
    period: int

    def __call__(self, states: Bools) -> Bools:
        return self.restriction.keeps(self.period, states)


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
        dearer = EXCHANGE * p.rules.change_cost
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
