"""All radial states whose value, with prices on closed branches, lies below a threshold: three searches.

Of one period by its own demand; of several periods that share one state, which serves them all; and of many steps in
groups. Where no switch moves between periods their values and bounds add up (`openpoint.search.kernel.periods`), which
is far stronger than searches of their own with prices for their differences: no period can have a branch closed that
another one has open. Of groups of steps the bound is that of `openpoint.search.futures.model`: a price counts in every
group alike, and their weights add up to 1, so that it is that of the mean loss with the prices once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, Singles, States
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, no_supply_limits
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.futures.model import FuturesModel
from openpoint.search.futures.tree import FuturesTree, Goal, spread
from openpoint.search.kernel.arrays import CLOSED, OPEN, UNDECIDED, Model, work_for
from openpoint.search.kernel.bookkeeping import record_for
from openpoint.search.kernel.entries import EXHAUSTED, LEAF, PAUSED, propagate, span
from openpoint.search.kernel.periods import bounded_with_estimates, close_some, probe_some
from openpoint.search.model.build import build_model
from openpoint.search.model.objective import objective_of
from openpoint.search.tree import PlainTree, Queue, grow


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The states with a value, their prices included, below a threshold.

    Attributes:
        prices: (E) of closed branches, of any sign; of all periods together where several share the state.
        threshold: of the value with prices; weighted where the values are.
        least: (T) lower bounds of the weighted values of all periods, -inf where none is known; for shared states only.
        every: all of them; else the threshold falls to the value of each state found, and the last is the best.
        given: (E) and (E) branches that are closed, and that are open, beside those of the period itself.
        most_nodes, most_states: nodes, and states found, after which to stop. over: called regularly; True stops.
    """

    prices: Floats
    threshold: float
    least: Floats = field(default_factory=lambda: np.empty(0))
    every: bool = False
    given: tuple[Bools, Bools] | None = None
    most_nodes: int | None = None
    most_states: int | None = None
    over: Callable[[], bool] = lambda: False

    def divided(self, weight: float) -> Wanted:
        """The same question about values that are not weighted."""
        return replace(self, prices=self.prices / weight, threshold=self.threshold / weight)

    def give(self, status: States, branch: Ints) -> None:
        """Put the given branches into (m) states of the branches of a search model, whose numbers are `branch`."""
        if self.given is not None:
            status[self.given[0][branch]] = CLOSED
            status[self.given[1][branch]] = OPEN

    def enough(self, nodes: int, states: int) -> bool:
        """Whether to stop after so many nodes, and with so many states found."""
        return (
            self.over()
            or (self.most_nodes is not None and nodes >= self.most_nodes)
            or (self.most_states is not None and states > self.most_states)
        )


@dataclass(frozen=True)
class Below:
    """What was found below a threshold.

    Attributes:
        states: (K, E), without an order. values: (K) with the prices. lower_bound: no state below the threshold but
            those found has a lower value; the threshold itself where the search came to its end.
        complete: whether it did. nodes: bounded.
    """

    states: Bools
    values: Floats
    lower_bound: float
    complete: bool
    nodes: int

    def times(self, weight: float) -> Below:
        """The same with weighted values."""
        return replace(self, values=weight * self.values, lower_bound=weight * self.lower_bound)


def no_states(branches: int) -> Below:
    """What is found where there is no radial state."""
    return Below(np.zeros((0, branches), dtype=np.bool_), np.empty(0), math.inf, True, 0)


def stacked(states: Sequence[Bools], branches: int) -> Bools:
    """(K, E) states found one by one."""
    return np.array(states, dtype=np.bool_).reshape(len(states), branches)


AT_ONCE = 50
"""Nodes between two looks at the clock."""


class PeriodSearch:
    """One period: its exact values, and the search for its states.

    Attributes:
        network: with the loads and limits of the period. evaluator: exact values and violations of its states.
        greatest: no state of interest has a greater value.
    """

    def __init__(
        self,
        network: Network,
        rules: SwitchingRules,
        cost: OperatingCost | None = None,
    ) -> None:
        """As of `openpoint.search.topology.search_topologies`.

        Raises:
            OptionError: generators to dispatch, several phases, a voltage without limit, or prices without a bound.
        """
        if len(network.generator_terminal) and np.any(
            (network.p_max > network.p_min) | (network.q_max > network.q_min)
        ):
            raise OptionError("switching over several periods takes generators as given; fix their outputs")
        objective = objective_of(network, cost, None)
        self.network, self._must_close = network, rules.must_close
        self._contradictory = rules.contradict(network)
        self._model, self._numbering = build_model(network, rules, objective=objective)
        states = None
        if objective is not None:
            supply = no_supply_limits(len(network.generator_terminal), len(network.source_terminal))
            states = OperatingPointEvaluator(network, no_devices(), objective.cost, supply)
        self.evaluator = AcEvaluator(network, 0.0, states, np.empty(0, dtype=np.int64))
        self.greatest = self._numbering.greatest

    def values(self, states: Bools) -> Floats:
        """(K) exact values of (K, E) radial states, inf where they break limits or have no power flow."""
        if not len(states):
            return np.empty(0)
        value, violation = self.evaluator.evaluate(states)
        return np.where(violation == 0.0, value, np.inf)

    def below(self, wanted: Wanted) -> Below:
        """The states with a value, their prices included, below a threshold."""
        prices, threshold = wanted.prices, wanted.threshold
        branch, found = self._numbering.branch, list[Bools]()
        model, base = self.priced(prices[branch])
        if model is None:
            return no_states(len(prices))
        model = self.within(model, threshold - base)
        tree = PlainTree(model)
        tree.work.status[:] = self.first_status()
        wanted.give(tree.work.status, branch)
        if not propagate(model, tree.work):
            return no_states(len(prices))
        tree.begin(threshold - base)

        def leaf(status: States) -> None:
            state = np.zeros(len(prices), dtype=np.bool_)
            state[branch] = status == CLOSED
            found.append(state)
            if not wanted.every:
                tree.lower_cutoff(float(self.values(state[None])[0] + prices[state].sum()) - base)

        complete = grow(tree, leaf, lambda: wanted.enough(tree.nodes, len(found)), piece=lambda: AT_ONCE)
        states = stacked(found, len(prices))
        values = self.values(states) + states @ prices
        kept = values < threshold
        bound = tree.cutoff if complete else min(tree.cutoff, tree.lowest)
        return Below(states[kept], values[kept], base + bound, complete, tree.nodes)

    @property
    def branch(self) -> Ints:
        """(m) numbers of the branches of the search model."""
        return self._numbering.branch

    def first_status(self) -> States:
        """(m) states of the branches at the first node."""
        return np.where(self._must_close[self.branch], CLOSED, UNDECIDED).astype(np.int8)

    def within(self, model: Model, value: float) -> Model:
        """The model with the upper bounds of voltages of states of at most a value."""
        bounds = self._numbering.voltage_bounds.at(self._numbering.loss_at(value))[self._numbering.bus]
        w_max = model.w_max.copy()
        np.minimum(w_max, bounds, out=w_max, where=np.arange(len(bounds)) < model.n)
        return replace(model, w_max=w_max)

    def priced(self, prices: Floats) -> tuple[Model | None, float]:
        """The model with (m) prices; see `priced`. None, too, where what must be closed is a loop."""
        if self._contradictory:
            return None, 0.0
        return priced(self._model, self._must_close[self.branch], prices)


def priced(model: Model, must_close: Bools, prices: Floats) -> tuple[Model | None, float]:
    """A model with (m) prices less a constant, so that the cheapest tree costs 0; and what that tree costs.

    A tree has as many closed branches as every other. None where there is no tree. must_close: (m).
    """
    order = np.argsort(prices, kind="stable").astype(np.int32)
    work = work_for(model)
    work.status[must_close] = CLOSED
    if not propagate(model, work) or not span(model, work, order):
        return None, 0.0
    base = float(prices[work.status == CLOSED].sum())
    if not prices.any():
        return model, 0.0
    shifted = prices - base / max(model.n, 1)
    return replace(model, state_price=shifted, by_price=order), base


FIRST, LATER = 10, 2
"""Iterations of the fixed point at the first node, and at others."""
PROBE_SHARE = 0.7
"""Share of the way to the threshold that the estimate of a probe must reach for the probe to be made."""
TRIES = 8
"""Branches that are tried before a node is divided."""
LEAST_GAIN = 0.01
"""Least gain that counts, as a share of the way to the threshold."""


class JointSearch:
    """The search for states that serve several periods."""

    def __init__(self, searches: Sequence[PeriodSearch], weights: Floats, wanted: Wanted) -> None:
        """Prepare it.

        Args:
            searches: (T) the periods. weights: (T) prices of their values. wanted: the states sought, with (T) lower
                bounds of the weighted values of these periods.
        """
        self._searches, self._weights, self._wanted = searches, weights, wanted
        branch = searches[0].branch
        without = np.zeros(len(branch))
        found = [search.priced(without) for search in searches]
        found[0] = searches[0].priced(wanted.prices[branch] / weights[0])
        self._models = [model for model, _ in found if model is not None]
        self._base = weights[0] * found[0][1]
        self._branch = branch

    def below(self) -> Below:
        """The states whose weighted values, prices included, add up to less than the threshold."""
        wanted, size = self._wanted, len(self._wanted.prices)
        if len(self._models) < len(self._searches):
            return no_states(size)
        tree = _Tree(self)
        tree.start()
        complete = grow(tree, tree.evaluate, lambda: wanted.enough(tree.nodes, len(tree.states)))
        states, values = stacked(tree.states, size), np.array(tree.values)
        kept = values < wanted.threshold
        return Below(states[kept], values[kept], min(tree.cutoff, tree.queue.lowest), complete, tree.nodes)


@dataclass(frozen=True)
class _Waiting:
    """A node that waits: states (m), and multipliers (T, 2, N) of the one above."""

    status: States
    multipliers: Singles


class _Tree:
    """The nodes of one search; bounds are weighted, with prices."""

    def __init__(self, of: JointSearch) -> None:
        self.of, self.wanted, self.cutoff = of, of._wanted, of._wanted.threshold
        self.queue, self.nodes = Queue[_Waiting](), 0
        self.states, self.values = list[Bools](), list[float]()
        spare = max(self.cutoff - of._base - float(self.wanted.least.sum()), 0.0)
        self._models = [
            search.within(model, (least + spare) / weight)
            for search, model, least, weight in zip(
                of._searches, of._models, self.wanted.least, of._weights, strict=True
            )
        ]
        self._works = [work_for(model) for model in self._models]
        self._record = record_for(self._models[0], 0)

    def start(self) -> None:
        """The first node."""
        branch, status = self.of._branch, self.of._searches[0].first_status()
        self.wanted.give(status, branch)
        first = np.array([(work.y, work.mu) for work in self._works], dtype=np.float32)
        self.queue.push(-math.inf, _Waiting(status, first))

    @property
    def status(self) -> States:
        return self._works[0].status

    def explore(self, most: int) -> int:
        """Process the node of least bound, as `openpoint.search.tree.Tree`."""
        if not self.queue.has(self.cutoff):
            return EXHAUSTED
        value, node = self.queue.pop()
        self.nodes += 1
        iterations = FIRST if self.nodes == 1 else LATER
        for work, (y, mu) in zip(self._works, node.multipliers, strict=True):
            n = self._models[0].n  # those of sources are given, and a node has half their digits
            work.y[:n], work.mu[:n] = y[:n], mu[:n]
        status = node.status
        while True:
            if not self._put(status):
                return PAUSED
            status = self._works[0].status.copy()
            free = status == UNDECIDED
            value = max(value, self._bounded(iterations if free.any() else 20))
            if value >= self.cutoff:
                self.queue.done(value)
                return PAUSED
            if not free.any():
                return LEAF
            opened = self._opened(free, value)
            sure = free & (opened >= self.cutoff)
            if not sure.any():
                break
            self.queue.done(float(opened[sure].min()))
            status[sure] = CLOSED
            iterations = LATER
        self._divide(status, free, value, opened)
        return PAUSED

    def _put(self, status: States) -> bool:
        """Make a node with its consequences the current one; False where no radial state is left."""
        for model, work in zip(self._models, self._works, strict=True):
            work.status[:] = status
            if not propagate(model, work):
                return False
        return True

    def _bounded(self, iterations: int) -> float:
        total = self.of._base
        for model, work, weight in zip(self._models, self._works, self.of._weights, strict=True):
            total += weight * bounded_with_estimates(model, work, iterations)
        return float(total)

    def _opened(self, free: Bools, value: float) -> Floats:
        """(m) bounds with an undecided branch open, where an estimate is high; the node's bound elsewhere."""
        guess = self._sum("guess")
        some = free & (guess >= value + PROBE_SHARE * (self.cutoff - value))
        some[np.where(free, guess, -math.inf).argmax()] = True
        for model, work in zip(self._models, self._works, strict=True):
            probe_some(model, work, self._record, some)
        self._guess = np.where(some, -math.inf, np.where(free, guess, -math.inf))
        return np.where(some, np.maximum(self._sum("value"), value), value)

    def _sum(self, name: str) -> Floats:
        parts = [weight * getattr(work, name) for work, weight in zip(self._works, self.of._weights, strict=True)]
        return np.asarray(np.sum(parts, axis=0) + self.of._base)

    def evaluate(self, status: States) -> None:
        """Evaluate a radial state exactly."""
        of, state = self.of, np.zeros(len(self.wanted.prices), dtype=np.bool_)
        state[of._branch[status == CLOSED]] = True
        exact = sum(float(w * s.values(state[None])[0]) for s, w in zip(of._searches, of._weights, strict=True))
        exact += float(self.wanted.prices[state].sum())
        self.states.append(state)
        self.values.append(exact)
        if not self.wanted.every:
            self.cutoff = min(self.cutoff, exact)

    def _divide(self, status: States, free: Bools, value: float, opened: Floats) -> None:
        """Decide the branch with the greatest product of gains, each up to the threshold."""
        expected = np.maximum(np.where(free, opened, -math.inf), self._guess)
        order = np.argsort(-expected, kind="stable")[: min(TRIES, int(free.sum()))]
        some = np.zeros(len(status), dtype=np.bool_)
        some[order] = True
        for model, work in zip(self._models, self._works, strict=True):
            close_some(model, work, some)
        closed = np.minimum(self._sum("value")[order], self.cutoff)
        least = LEAST_GAIN * (self.cutoff - value)
        scores = np.maximum(np.minimum(expected[order], self.cutoff) - value, least)
        e = int(order[np.argmax(scores * np.maximum(closed - value, least))])
        multipliers = np.array([(work.y, work.mu) for work in self._works], dtype=np.float32)
        for state, bound in ((OPEN, max(value, float(opened[e]))), (CLOSED, value)):
            child = status.copy()
            child[e] = state
            self.queue.push(bound, _Waiting(child, multipliers))


@dataclass(frozen=True, eq=False)
class GroupedSearch:
    """Steps in groups, and the search for the states of small mean loss.

    Attributes:
        built: the model of the mean demands of the groups, its voltages those of all steps. weights: (K) of the groups,
            adding up to 1. must_close: (E) branches that are closed.
        evaluate: exact mean loss of a radial state over the steps, inf where limits are broken; per unit.
    """

    built: FuturesModel
    weights: Floats
    must_close: Bools
    evaluate: Callable[[Bools], float]

    def below(self, wanted: Wanted) -> Below:
        """The states whose mean loss, prices included, lies below a threshold."""
        prices, branch, built = wanted.prices, self.built.numbering.branch, self.built
        model, base = priced(built.model, self.must_close[branch], prices[branch])
        if model is None:
            return no_states(len(prices))
        # Values are without the cost of the cheapest tree.
        cutoff, states, values = wanted.threshold - base, list[Bools](), list[float]()
        order = spread(np.abs(built.p).sum(axis=1))
        tree = FuturesTree(built, model, lambda: Goal(cutoff), order=order)
        tree.work.status[:] = np.where(self.must_close[branch], CLOSED, UNDECIDED)
        wanted.give(tree.work.status, branch)
        if not tree.start():
            return no_states(len(prices))
        tree.weigh(self.weights[None, :], np.zeros(1))
        tree.begin()

        def leaf(status: States) -> None:
            nonlocal cutoff
            state = self.must_close.copy()
            state[branch] = status == CLOSED
            states.append(state)
            values.append(self.evaluate(state) + float(prices[state].sum()) - base)
            if not wanted.every:
                cutoff = min(cutoff, values[-1])

        complete = grow(tree, leaf, lambda: wanted.enough(tree.nodes, len(states)))
        exact = base + np.array(values, dtype=np.float64)
        kept = exact < wanted.threshold
        bound = cutoff if complete else min(cutoff, tree.lowest)
        return Below(stacked(states, len(prices))[kept], exact[kept], base + bound, complete, tree.nodes)
