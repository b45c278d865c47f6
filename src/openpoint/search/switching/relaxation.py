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
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.solvers.base import StandardForm
from openpoint.solvers.highs import HighsModel

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
