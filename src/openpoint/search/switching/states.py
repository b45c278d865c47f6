"""The radial states known in a run, their exact values in all periods, and the best plan out of them.

Plans out of given states: one for each period, by dynamic programming over periods and switch operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints
from openpoint.compiled.jit import compiled
from openpoint.formulations.radiality import choices_left
from openpoint.search.exchange.pairs import exchanges
from openpoint.search.switching.problem import Periods, SwitchingProblem
from openpoint.twostage.workers.pool import never


def operations(closed: Bools, before: Bools | None) -> Ints:
    """(T) switches that move at the beginning of each period of a plan (T, E); `before`: (E) state before the first."""
    first = closed[:1] if before is None else before[None]
    moved = np.concatenate([first, closed])
    return np.asarray((moved[1:] != moved[:-1]).sum(axis=1))


def best_plan(
    states: Bools, values: Floats, *, before: Bools | None, change: float, most: int | None
) -> tuple[float, Ints | None]:
    """The plan of least value out of K states, and its value; inf and None where there is none.

    Args:
        states: (K, E). values: (T, K), inf rules a state out in a period.
        before: (E) state before the first period; None: the first period is free.
        change: cost of an operation. most: operations, None = any number.

    Returns:
        the value, and (T) numbers of the states.
    """
    use = np.flatnonzero(np.isfinite(values).any(axis=0))
    if not len(use):
        return np.inf, None
    bits = states[use].astype(np.float64)
    ones = bits.sum(axis=1)
    distance = np.rint(ones[:, None] + ones[None] - 2.0 * bits @ bits.T).astype(np.int32)
    first = np.zeros(len(use), dtype=np.int32)
    if before is not None:
        first = (states[use] != before).sum(axis=1).astype(np.int32)
    periods = len(values)
    greatest = int(first.max() + distance.max(initial=0) * max(periods - 1, 0))
    limit = greatest if most is None else min(most, greatest)
    counted = most is not None and limit < greatest
    came = np.zeros((periods, limit + 1 if counted else 1, len(use)), dtype=np.int32)
    table = np.ascontiguousarray(values[:, use])
    value, last, used = _forward(table, distance, first, change, limit, counted, came)
    if not np.isfinite(value):
        return np.inf, None
    chosen = np.empty(periods, dtype=np.int64)
    for t in range(periods - 1, -1, -1):
        chosen[t] = last
        above = came[t, used, last]
        if t:
            used -= int(distance[above, last]) if counted else 0
            last = above
    return value, use[chosen]


@compiled
def _forward(
    values: Floats, distance: Indices, first: Indices, change: float, limit: int, counted: bool, came: Indices
) -> tuple[float, int, int]:
    """The least value, the last state and the operations used; `came` becomes the state before each."""
    periods, size = values.shape
    rows = came.shape[1]
    now, then = np.full((rows, size), np.inf), np.full((rows, size), np.inf)
    for j in range(size):
        if first[j] <= limit:
            now[first[j] if counted else 0, j] = values[0, j] + change * first[j]
    for t in range(1, periods):
        then[:] = np.inf
        for j in range(size):
            if values[t, j] == np.inf:
                continue
            for i in range(size):
                d = distance[i, j]
                if d > limit:
                    continue
                step = d if counted else 0
                for u in range(rows - step):
                    value = now[u, i] + change * d
                    if value < then[u + step, j]:
                        then[u + step, j] = value
                        came[t, u + step, j] = i
            for u in range(rows):
                then[u, j] += values[t, j]
        now, then = then, now
    best, last, used = np.inf, 0, 0
    for u in range(rows):
        for j in range(size):
            if now[u, j] < best:
                best, last, used = now[u, j], j, u
    return best, last, used


MOST_STATES = 600
"""States among which a plan is sought while no prices choose them."""
PIECE = 50_000
"""Buses of states times periods that are evaluated at a time: a fraction of a second, so that time limits are met."""


class KnownStates:
    """States, their values and the best plan.

    Values may be estimates until they matter: those of a plan, and of the least that a bound is compared with, are
    exact.

    Attributes:
        periods: what the values come from. states: (K, E). values: (T, K) weighted, inf where limits are broken.
        exact: (T, K) whether the values are exact.
        least: (T) lower bounds of the weighted values, -inf where none is known yet.
        upper: value of the best plan, switch operations included; inf = none. plan: (T, E), None = none.
    """

    def __init__(self, problem: SwitchingProblem, periods: Periods) -> None:
        self.problem, self.periods = problem, periods
        first = problem.networks[0]
        self._choices = choices_left(first, problem.rules)
        self.states = np.zeros((0, first.n_conductors), dtype=np.bool_)
        self.values = np.zeros((problem.periods, 0))
        self.exact = np.zeros((problem.periods, 0), dtype=np.bool_)
        self.least = np.full(problem.periods, -np.inf)
        self._number, self._expanded = dict[bytes, int](), set[bytes]()
        self._piece = max(1, PIECE // (first.n_terminals * problem.periods))
        self.upper, self.plan = math.inf, None  # type: tuple[float, Bools | None]

    def add(self, states: Iterable[Bools], over: Callable[[], bool] = never) -> bool:
        """Evaluate states in all periods and keep them; returns whether any new one was.

        over: asked before every piece of them; True leaves out the rest.
        """
        added, fresh = False, {state.tobytes(): state for state in states if state.tobytes() not in self._number}
        for piece in self._pieces(list(fresh.values())):
            if over():
                break
            for state in piece:
                self._number[state.tobytes()] = len(self._number)
            found = [self._evaluated(t, piece) for t in range(self.problem.periods)]
            self.states = np.concatenate([self.states, piece])
            self.values = np.concatenate([self.values, np.stack([values for values, _ in found])], axis=1)
            self.exact = np.concatenate([self.exact, np.stack([exact for _, exact in found])], axis=1)
            added = True
        return added

    def _pieces(self, states: Sequence[Bools]) -> Iterator[Bools]:
        """States of as many as are evaluated at a time."""
        for at in range(0, len(states), self._piece):
            yield np.array(states[at : at + self._piece])

    def numbers(self, states: Bools) -> Ints:
        """(K) numbers of states that are known."""
        return np.array([self._number[state.tobytes()] for state in states], dtype=np.int64)

    def exchanges(self, state: Bools) -> Bools:
        """(K, E) radial states one exchange away from a radial state."""
        return exchanges(self._choices, state)

    def settle(self, t: int, numbers: Ints) -> bool:
        """Make the values of some states exact in a period; returns whether any was not."""
        rows = numbers[~self.exact[t, numbers]]
        if len(rows):
            self.values[t, rows] = self._allowed(self.states[rows], self.periods.exact(t, self.states[rows]))
            self.exact[t, rows] = True
        return bool(len(rows))

    def value_of(self, t: int, state: Bools) -> float:
        """The exact weighted value of a state in a period."""
        return float(self._allowed(state[None], self.periods.exact(t, state[None]))[0])

    def _evaluated(self, t: int, states: Bools) -> tuple[Floats, Bools]:
        """(K) values of (K, E) states, inf where they break limits or operations are too many, and which are exact."""
        values, exact = self.periods.estimated(t, states)
        return self._allowed(states, values), exact

    def _allowed(self, states: Bools, values: Floats) -> Floats:
        p = self.problem
        if p.before is not None and p.rules.max_changes is not None:
            values = np.where((states != p.before).sum(axis=1) > p.rules.max_changes, math.inf, values)
        return values

    def descended(
        self, t: int, state: Bools, prices: Floats, usable: Callable[[Bools], Bools], over: Callable[[], bool]
    ) -> Bools:
        """The state that the best exchanges lead to in a period, with prices of closed branches, one after another.

        usable: (K) which of (K, E) states count. over: asked before every exchange; True ends with the state so far.
        """
        value = self._evaluated(t, state[None])[0][0] + float(prices[state].sum())
        while True:
            if over():
                return state
            near = self.exchanges(state)
            near = near[usable(near)]
            if not len(near):
                return state
            values = self._evaluated(t, near)[0] + near @ prices
            best = int(values.argmin())
            if not values[best] < value - 1e-9 * abs(value):
                return state
            value, state = float(values[best]), near[best]

    @property
    def greatest(self) -> float:
        """No plan that keeps the limits costs more."""
        p = self.problem
        return self.periods.greatest + p.rules.change_cost * p.networks[0].n_conductors * p.periods

    def target(self, gap: float) -> float:
        """The bound at which the gap is closed."""
        return self.upper - gap * abs(self.upper) if math.isfinite(self.upper) else math.inf

    def add_radial(self, state: Bools) -> None:
        """Add a state if it is radial and keeps the states that are given."""
        p, net = self.problem, self.problem.networks[0]
        closed = np.flatnonzero(state)  # as many branches without a loop reach every bus
        whole = len(closed) == len(net.inner)
        if p.rules.keeps(state) and whole and net.in_forest(closed).all():
            self.add([state])

    def expand(self, over: Callable[[], bool]) -> bool:
        """Add the states one exchange away from those of the plan, as `add`; returns whether any is new."""
        if self.plan is None:
            return False
        states = [state for state in np.unique(self.plan, axis=0) if state.tobytes() not in self._expanded]
        self._expanded.update(state.tobytes() for state in states)
        return bool(states) and self.add(np.concatenate([self.exchanges(state) for state in states]), over)

    def improve(self, over: Callable[[], bool]) -> None:
        """The best plan out of the states known and their exchanges, repeated as long as it gains; over: True stops."""
        while self.choose(self._promising(), self.values):
            if over() or not self.expand(over):
                return

    def choose(self, some: Bools, values: Floats) -> bool:
        """Keep the best plan out of some of the states, (K), if it is better than the one known.

        values: (T, K) as in `values`, with inf where a state is not to be used.
        """
        p, rows = self.problem, np.flatnonzero(some)
        values, states = values[:, rows], self.states[rows]
        while True:
            value, chosen = best_plan(
                states, values, before=p.before, change=p.rules.change_cost, most=p.rules.max_changes
            )
            if chosen is None or not value < self.upper:
                return False
            again = False
            for t, k in enumerate(chosen.tolist()):
                if self.settle(t, rows[k : k + 1]):
                    values[t, k], again = self.values[t, rows[k]], True
            if not again:
                self.upper, self.plan = value, states[chosen]
                return True

    def _promising(self) -> Bools:
        """(K) the states that are good in a period or on the whole, `MOST_STATES` of them."""
        some = np.asarray(np.isfinite(self.values).any(axis=0))
        if some.sum() <= MOST_STATES:
            return some
        above = self.values - self.values.min(axis=1, keepdims=True)
        first = np.argsort(np.minimum(above.min(axis=0), above.mean(axis=0)), kind="stable")[:MOST_STATES]
        return np.isin(np.arange(len(some)), first)
