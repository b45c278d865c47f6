"""The bound of a node by column generation: multipliers out of the states known, and searches for what they lack."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.search.switching.below import Below, Wanted
from openpoint.search.switching.periods import SHARE, Run
from openpoint.search.switching.relaxation import Mix, Multipliers, Relaxation, Restriction
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
            p.periods, reference, before=p.before, change=p.change, unit=unit, excess=max(lost, gap * unit)
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
