"""The interface of periods to switching, and periods of one demand each."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.search.switching.below import Below, Wanted
from openpoint.search.switching.joint import JointSearch
from openpoint.search.switching.period import PeriodSearch
from openpoint.search.switching.problem import SwitchingProblem
from openpoint.search.topology import search_topologies
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

SHARE = 0.1
"""Share of the gap asked for that the searches of the periods may leave open together."""
Run = tuple[int, int]
"""First period and end of periods that share one state."""


@dataclass(frozen=True)
class BestOfRun:
    """The best state of a run by itself: why the search stopped, the state, a bound of its weighted value, nodes."""

    termination: Termination
    closed: Bools | None
    lower_bound: float
    nodes: int


class Periods(Protocol):
    """T periods: exact values of their states, weighted, and searches for the states that have small ones."""

    @property
    def greatest(self) -> float:
        """No states that keep the limits cost more in all periods together."""
        ...

    def best_of_run(self, run: Run, gap: float, starts: Bools, deadline: Deadline) -> BestOfRun:
        """The best state of a run; gap: of the whole, relative. starts: (S, E) states to begin with."""
        ...

    def exact(self, t: int, states: Bools) -> Floats:
        """(K) values of (K, E) radial states in a period, inf where limits are broken."""
        ...

    def estimated(self, t: int, states: Bools) -> tuple[Floats, Bools]:
        """As `exact` or near to it, and (K) which are exact."""
        ...

    def below(self, run: Run, wanted: Wanted) -> Below:
        """The states of a run with a value below a threshold; values and bound are weighted, prices included."""
        ...


class SinglePeriods:
    """Periods of one demand each."""

    def __init__(self, problem: SwitchingProblem) -> None:
        """Prepare the search of every period.

        Raises:
            OptionError: as of `PeriodSearch`.
        """
        networks, most = problem.networks, None
        if problem.before is not None:
            networks, most = tuple(replace(network, closed=problem.before) for network in networks), problem.most
        costs = problem.costs or (None,) * problem.periods
        self._problem = problem
        self._searches = [
            PeriodSearch(
                network, must_close=problem.must_close, must_open=problem.must_open, max_changes=most, cost=cost
            )
            for network, cost in zip(networks, costs, strict=True)
        ]

    @property
    def greatest(self) -> float:
        weights = self._problem.weights
        return sum(float(w) * s.greatest for w, s in zip(weights, self._searches, strict=True))

    def best_of_run(self, run: Run, gap: float, starts: Bools, deadline: Deadline) -> BestOfRun:
        """Of a run of one period."""
        p, (t, _) = self._problem, run
        found = search_topologies(
            self._searches[t].network,
            must_close=p.must_close,
            must_open=p.must_open,
            max_changes=None if p.before is None else p.most,
            gap=SHARE * gap,
            cost=None if p.costs is None else p.costs[t],
            starts=starts[-1:] if len(starts) else None,
            deadline=deadline,
        )
        return BestOfRun(found.termination, found.closed, float(p.weights[t]) * found.lower_bound, found.nodes)

    def exact(self, t: int, states: Bools) -> Floats:
        return float(self._problem.weights[t]) * self._searches[t].values(states)

    def estimated(self, t: int, states: Bools) -> tuple[Floats, Bools]:
        return self.exact(t, states), np.ones(len(states), dtype=np.bool_)

    def below(self, run: Run, wanted: Wanted) -> Below:
        begin, end = run
        if end - begin > 1:
            searches, weights = self._searches[begin:end], self._problem.weights[begin:end]
            return JointSearch(searches, weights, replace(wanted, least=wanted.least[begin:end])).below()
        weight = float(self._problem.weights[begin])
        return self._searches[begin].below(wanted.divided(weight)).times(weight)
