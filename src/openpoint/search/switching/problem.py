"""Switching over several periods: what is asked, and what a run returns.

The interface of periods to switching, and periods of one demand each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.operating_cost import OperatingCost
from openpoint.search.switching.searches import Below, JointSearch, PeriodSearch, Wanted
from openpoint.search.topology import search_topologies
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Termination, relative_gap


@dataclass(frozen=True)
class SwitchingProblem:
    """Periods and what switching costs.

    Attributes:
        networks: (T) the grid with the loads and limits of each period. weights: (T) price of a period's value, > 0:
            hours, or hours times a price. costs: (T) what a period's value is, None = its loss; per unit.
        must_close, must_open: (E) branches whose state is given.
        before: (E) state before the first period, from which its operations count; None: the first period is free.
        change: cost of an operation. most: operations, None = any number.
    """

    networks: tuple[Network, ...]
    weights: Floats
    must_close: Bools
    must_open: Bools
    before: Bools | None = None
    change: float = 0.0
    most: int | None = None
    costs: tuple[OperatingCost, ...] | None = None

    def __post_init__(self) -> None:
        faults = []
        if not self.networks:
            faults.append("there are no periods")
        if not np.all((self.weights > 0.0) & np.isfinite(self.weights)):
            faults.append("the price of every period must be above 0, or what is lost in it has no least value")
        if self.most is not None and self.most < 0:
            faults.append(f"{self.most} operations at most; give 0 or more")
        if not 0.0 <= self.change < math.inf:
            faults.append(f"an operation costs {self.change:g}; give 0 or more")
        if faults:
            raise OptionError("; ".join(faults))

    @property
    def periods(self) -> int:
        """T."""
        return len(self.networks)


@dataclass(frozen=True)
class SwitchingOutcome:
    """The end of a run.

    Attributes:
        termination: why it stopped.
        closed: (T, E) the best plan that keeps the limits; None where none is known.
        values: (T) exact values of its periods, weighted. operations: (T) at the beginning of each period.
        lower_bound, upper_bound: no plan is better than the one, and the best known has the other; inf without a plan,
            and both where it is proven that there is none.
        infeasible: a period that no radial state serves within its limits; None where none is known.
        log: the iterations. nodes: of all topology searches. seconds: of the run.
    """

    termination: Termination
    closed: Bools | None
    values: Floats | None
    operations: Ints | None
    lower_bound: float
    upper_bound: float
    infeasible: int | None
    log: tuple[Iteration, ...]
    nodes: int
    seconds: float

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)


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
