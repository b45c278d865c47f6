"""All radial states of one period whose value, with prices on closed branches, lies below a threshold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints, States
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import no_devices
from openpoint.network.operating_cost import OperatingCost, no_supply_limits
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.exchange.ac_check import AcEvaluator
from openpoint.search.kernel.arrays import CLOSED, UNDECIDED, Model, work_for
from openpoint.search.kernel.bookkeeping import counts, enlarged, lowest, pool_for, record_for
from openpoint.search.kernel.entries import EXHAUSTED, FULL, LEAF, explore, propagate, span
from openpoint.search.model.build import build_model
from openpoint.search.model.objective import objective_of
from openpoint.search.switching.below import Below, Wanted, no_states, stacked

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
        *,
        must_close: Bools,
        must_open: Bools,
        max_changes: int | None = None,
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
        self.network, self._must_close = network, must_close
        self._model, self._numbering = build_model(
            network, must_close=must_close, must_open=must_open, max_changes=max_changes, objective=objective
        )
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
        work, pool, count, record = work_for(model), pool_for(model, 256), counts(), record_for(model, 0)
        work.status[:] = self.first_status()
        wanted.give(work.status, branch)
        if not propagate(model, work):
            return no_states(len(prices))
        count.cutoff[0], count.active[0] = threshold - base, 1
        complete = True
        while complete and (event := explore(model, work, pool, count, record, AT_ONCE)) != EXHAUSTED:
            if event == LEAF:
                count.active[0] = 0
                state = np.zeros(len(prices), dtype=np.bool_)
                state[branch] = work.status == CLOSED
                found.append(state)
                if not wanted.every:
                    value = float(self.values(state[None])[0] + prices[state].sum()) - base
                    count.cutoff[0] = min(count.cutoff[0], value)
            elif event == FULL:
                pool = enlarged(pool)
            complete = not wanted.enough(int(count.nodes[0]), len(found))
        states = stacked(found, len(prices))
        values = self.values(states) + states @ prices
        kept = values < threshold
        bound = float(count.cutoff[0]) if complete else min(float(count.cutoff[0]), lowest(count, pool))
        return Below(states[kept], values[kept], base + bound, complete, int(count.nodes[0]))

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
        """The model with (m) prices; see `priced`."""
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
