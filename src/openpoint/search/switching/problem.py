"""The linear relaxation of a plan with switch operations, over the states known so far, and the prices that it gives.

A plan has a radial state x_t in each of T periods, of value f_t(x_t), and d_t = |x_t − x_(t−1)| operations before it.
The relaxation takes in every period a mix of the known states, with the weights z_tp:

    min Σ_t Σ_p f_t(x_p) z_tp + c Σ_t d_t      Σ_p z_tp = 1      x_t = Σ_p x_p z_tp      x_t − x_(t−1) = s_t⁺ − s_t⁻
                                               d_t = Σ_e (s_te⁺ + s_te⁻)      Σ_(t in I) d_t <= k_I

for some intervals I of periods; the whole day is one of them. With multipliers π_t of the differences and λ_I <= 0 of
the intervals, where |π_te| <= c − Σ_(I with t) λ_I, every plan that keeps the intervals costs at least

    Σ_t min_x [f_t(x) + (π_(t+1) − π_t) x] + π_0 x_(−1) + Σ_I λ_I k_I

over *all* radial states x, since c d_t >= π_t (x_t − x_(t−1)) + Σ λ_I (…). So each period is a topology search of its
own, with a price on every closed branch. The states that it finds are the columns that the relaxation lacks.

Theory: docs/methods.md M39.

Switching over several periods: what is asked, and what a run returns.

The interface of periods to switching, and periods of one demand each.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost
from openpoint.search.switching.searches import Below, JointSearch, PeriodSearch, Wanted
from openpoint.search.topology import search_topologies
from openpoint.solvers.base import StandardForm
from openpoint.solvers.highs import HighsModel
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Termination, relative_gap

FREE = 1e-4
"""How far a state may move in the relaxation without an operation, at first: of many optimal duals it then takes small
ones, since prices of branches that do not matter weaken the bounds of the searches."""
Interval = tuple[int, int, int]
"""First period, end (not included) and most operations at the beginning of these periods."""


@dataclass(frozen=True)
class Multipliers:
    """Multipliers of the relaxation, by which each period has its prices.

    Attributes:
        differences: (T, E) π of the differences. rates: λ <= 0 of the intervals, by first period and end.
    """

    differences: Floats
    rates: dict[tuple[int, int], float]

    @property
    def prices(self) -> Floats:
        """(T, E) of closed branches."""
        prices = -self.differences
        prices[:-1] += self.differences[1:]
        return prices

    def constant(self, before: Bools | None, intervals: tuple[Interval, ...]) -> float:
        """What a bound has beside the least values of the periods."""
        most = {interval[:2]: interval[2] for interval in intervals}
        start = 0.0 if before is None else float(self.differences[0] @ before)
        return start + sum(rate * most[interval] for interval, rate in self.rates.items())

    def towards(self, other: Multipliers, share: float) -> Multipliers:
        """The multipliers that lie by this share of the way nearer to others; valid, as both are."""
        differences = (1.0 - share) * self.differences + share * other.differences
        rates = {key: (1.0 - share) * rate for key, rate in self.rates.items()}
        for key, rate in other.rates.items():
            rates[key] = rates.get(key, 0.0) + share * rate
        return Multipliers(differences, rates)


@dataclass(frozen=True)
class Restriction:
    """What the plans of a node have in common: intervals, and states (period, branch, closed) of branches."""

    intervals: tuple[Interval, ...]
    fixed: tuple[tuple[int, int, bool], ...] = ()

    def limited(self, side: Interval) -> Restriction:
        """With one more interval, or with fewer operations in one of them."""
        most = {interval[:2]: interval[2] for interval in self.intervals}
        most[side[:2]] = min(side[2], most.get(side[:2], side[2]))
        return Restriction(tuple((begin, end, few) for (begin, end), few in most.items()), self.fixed)

    def given(self, period: int, size: int) -> tuple[Bools, Bools]:
        """(E) branches that are closed and that are open in a period."""
        closed, opened = np.zeros(size, dtype=np.bool_), np.zeros(size, dtype=np.bool_)
        for t, e, state in self.fixed:
            if t == period:
                (closed if state else opened)[e] = True
        return closed, opened

    def runs(self, periods: int) -> list[tuple[int, int]]:
        """First period and end of runs of periods that share one state, as no operation is left between them."""
        starts = [t for t in range(periods) if t == 0 or not self.stays(t)]
        return list(zip(starts, [*starts[1:], periods], strict=True))

    def stays(self, period: int) -> bool:
        """Whether no operation is left at the beginning of a period."""
        return any(begin <= period < end and most == 0 for begin, end, most in self.intervals)

    def given_to(self, run: tuple[int, int], size: int) -> tuple[Bools, Bools]:
        """As `given`, of all periods of a run together."""
        parts = [self.given(t, size) for t in range(*run)]
        return np.any([closed for closed, _ in parts], axis=0), np.any([opened for _, opened in parts], axis=0)

    def keeps(self, period: int, states: Bools) -> Bools:
        """(K) whether (K, E) states have the branches of a period as given."""
        closed, opened = self.given(period, states.shape[1])
        return np.asarray(states[:, closed].all(axis=1) & ~states[:, opened].any(axis=1))


@dataclass(frozen=True)
class Mix:
    """A solution of the relaxation.

    Attributes:
        value: of its multipliers over the known states. states: (T, E) how far each branch is closed. moves: (T)
            operations. beyond: operations above those of an interval. multipliers: its duals.
    """

    value: float
    states: Floats
    moves: Floats
    beyond: float
    multipliers: Multipliers


class Relaxation:
    """The relaxation, persistent: states and intervals are added, and the intervals that count are chosen."""

    def __init__(
        self, periods: int, reference: Bools, *, before: Bools | None, change: float, unit: float, excess: float
    ) -> None:
        """Without states.

        Args:
            periods: T. reference: (E) a state from which the others differ in few branches.
            before: (E) state before the first period; None: the first period is free.
            change: cost of an operation. unit: a typical value, by which costs are divided for the solver.
            excess: cost of an operation above those of an interval; a bound of the multipliers.
        """
        size = len(reference)
        self._shape, self._reference = (periods, size), reference.astype(np.float64)
        self._change, self._unit, self._free_start, self._excess = change, unit, before is None, excess
        self._rest = np.zeros((periods, size))
        if before is not None:
            self._rest[0] = before - self._reference
        links = periods * size
        one = sp.eye_array(links, format="csc")
        cost = np.full((periods, size), change / unit)
        if self._free_start:
            cost[0] = 0.0
        form = StandardForm(
            c=np.concatenate([np.tile(cost.ravel(), 2), np.zeros(links)]),
            offset=0.0,
            a=sp.csc_array(sp.hstack([-one, one, one])),
            b=self._rest.ravel().copy(),
            n_zero=links,
            n_nonneg=0,
            cones=(),
            integers=np.empty(0, dtype=np.int64),
            columns={},
        )
        self._model = HighsModel(form, tolerance=1e-9)
        self._model.set_bounds(np.arange(2 * links), np.zeros(2 * links), np.full(2 * links, np.inf))
        self._slack = 2 * links + np.arange(links)
        self._allow(FREE)
        self._model.add_rows(sp.csr_array((periods, 3 * links)), np.ones(periods), np.ones(periods))
        self._intervals: list[Interval] = []
        self._interval_rows, self._beyond = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        self._restriction = Restriction(())
        self._columns: list[tuple[int, Bools, Ints, bool]] = []

    def add(self, period: int, states: Bools, values: Floats, *, always: bool = False) -> None:
        """Add states of a period with finite values; `always`: also where they do not keep a restriction."""
        periods, size = self._shape
        if not len(states):
            return
        difference = sp.coo_array(states - self._reference)
        column, branch = (np.asarray(axis, dtype=np.int64) for axis in difference.coords)
        rows: list[Ints] = [period * size + branch, np.full(len(states), periods * size + period)]
        columns: list[Ints] = [column, np.arange(len(states))]
        entries: list[Floats] = [difference.data, np.ones(len(states))]
        if period + 1 < periods:
            rows.append((period + 1) * size + branch)
            columns.append(column)
            entries.append(-difference.data)
        matrix = sp.csc_array(
            (np.concatenate(entries), (np.concatenate(rows), np.concatenate(columns))),
            shape=(self._model.n_rows, len(states)),
        )
        matrix.sort_indices()
        usable = np.where(self._restriction.keeps(period, states) | always, np.inf, 0.0)
        numbers = self._model.add_columns(values / self._unit, np.zeros(len(states)), usable, entries=matrix)
        self._columns.append((period, states, numbers, always))

    def choose(self, restriction: Restriction) -> None:
        """Let this restriction count, and no other."""
        known = [interval[:2] for interval in self._intervals]
        for interval in restriction.intervals:
            if interval[:2] not in known:
                self._add_interval(interval)
        most = {interval[:2]: interval[2] for interval in restriction.intervals}
        self._intervals = [(begin, end, most.get((begin, end), -1)) for begin, end, _ in self._intervals]
        limits = np.array([np.inf if few < 0 else float(few) for _, _, few in self._intervals])
        self._model.set_rows(self._interval_rows, np.full(len(limits), -np.inf), limits)
        touched = {t for r in (self._restriction, restriction) for t, _, _ in r.fixed}
        self._restriction = restriction
        for period, states, numbers, always in self._columns:
            if period in touched and not always:
                upper = np.where(restriction.keeps(period, states), np.inf, 0.0)
                self._model.set_bounds(numbers, np.zeros(len(numbers)), upper)

    def _add_interval(self, interval: Interval) -> None:
        periods, size = self._shape
        counts = np.zeros((periods, size))
        counts[interval[0] : interval[1]] = 1.0
        if self._free_start:
            counts[0] = 0.0
        row = np.concatenate([np.tile(counts.ravel(), 2), np.zeros(self._model.n - 2 * periods * size)])
        self._interval_rows = np.append(self._interval_rows, self._model.n_rows)
        self._model.add_rows(sp.csr_array(row[None]), np.array([-np.inf]), np.array([np.inf]))
        self._intervals.append(interval)
        entry = sp.csc_array(([-1.0], ([self._model.n_rows - 1], [0])), shape=(self._model.n_rows, 1))
        cost, most = np.array([self._excess / self._unit]), np.full(1, np.inf)
        self._beyond = np.append(self._beyond, self._model.add_columns(cost, np.zeros(1), most, entries=entry))

    def _allow(self, free: float) -> None:
        """Set how far a state may move without an operation."""
        self._free, links = free, len(self._slack)
        self._model.set_bounds(self._slack, np.full(links, -free), np.full(links, free))

    def solve(self, accuracy: float, enough: float) -> Mix:
        """Solve the relaxation; its multipliers are valid whatever the accuracy of the solver is.

        accuracy: what the free moves may cost. enough: a value up to which operations beyond an interval cost more.
        """
        while True:
            mix = self._solved()
            cost = self._free * float(np.abs(mix.multipliers.differences).sum())
            if cost > accuracy and self._free > 1e-9:
                self._allow(max(0.25 * self._free, 1e-9))
            elif mix.beyond > 1e-6 and mix.value + cost < enough and self._excess < 1e6 * self._unit:
                self._excess *= 2.0
                cost_each = np.full(len(self._beyond), self._excess / self._unit)
                self._model.set_costs(self._beyond, cost_each)
            else:
                return replace(mix, value=mix.value + cost)

    def _solved(self) -> Mix:
        periods, size = self._shape
        answer = self._model.solve(integral=False)
        slopes = self._model.row_slopes() * self._unit
        allowed, rates = np.full(periods, self._change), dict[tuple[int, int], float]()
        for row, (begin, end, most) in zip(self._interval_rows, self._intervals, strict=True):
            if most >= 0:
                rate = min(0.0, float(slopes[row]))
                allowed[begin:end] -= rate
                rates[begin, end] = rate
        if self._free_start:
            allowed[0] = 0.0
        differences = slopes[: periods * size].reshape(periods, size)
        multipliers = Multipliers(np.clip(differences, -allowed[:, None], allowed[:, None]), rates)
        x = np.asarray(answer.x)
        moves = x[: 2 * periods * size].reshape(2, periods, size).sum(axis=(0, 2))
        if self._free_start:
            moves[0] = 0.0
        mixed = np.zeros((periods, size))
        for period, states, numbers, _ in self._columns:
            mixed[period] += x[numbers] @ states
        return Mix(answer.value * self._unit, mixed, moves, float(x[self._beyond].sum()), multipliers)


@dataclass(frozen=True)
class SwitchingProblem:
    """Periods and what switching costs.

    Attributes:
        networks: (T) the grid with the loads and limits of each period. weights: (T) price of a period's value, > 0:
            hours, or hours times a price. costs: (T) what a period's value is, None = its loss; per unit.
        rules: the locks; its limit and its cost are those of switch operations.
        before: (E) state before the first period, from which its operations count; None: the first period is free.
    """

    networks: tuple[Network, ...]
    weights: Floats
    rules: SwitchingRules
    before: Bools | None = None
    costs: tuple[OperatingCost, ...] | None = None

    def __post_init__(self) -> None:
        faults = []
        if not self.networks:
            faults.append("there are no periods")
        if not np.all((self.weights > 0.0) & np.isfinite(self.weights)):
            faults.append("the price of every period must be above 0, or what is lost in it has no least value")
        most, price = self.rules.max_changes, self.rules.change_cost
        if most is not None and most < 0:
            faults.append(f"{most} operations at most; give 0 or more")
        if not 0.0 <= price < math.inf:
            faults.append(f"an operation costs {price:g}; give 0 or more")
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
        networks, rules = problem.networks, replace(problem.rules, change_cost=0.0)
        if problem.before is None:
            rules = replace(rules, max_changes=None)
        else:
            networks = tuple(replace(network, closed=problem.before) for network in networks)
        costs = problem.costs or (None,) * problem.periods
        self._problem, self._rules = problem, rules
        self._searches = [PeriodSearch(network, rules, cost) for network, cost in zip(networks, costs, strict=True)]

    @property
    def greatest(self) -> float:
        weights = self._problem.weights
        return sum(float(w) * s.greatest for w, s in zip(weights, self._searches, strict=True))

    def best_of_run(self, run: Run, gap: float, starts: Bools, deadline: Deadline) -> BestOfRun:
        """Of a run of one period."""
        p, (t, _) = self._problem, run
        found = search_topologies(
            self._searches[t].network,
            self._rules,
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
