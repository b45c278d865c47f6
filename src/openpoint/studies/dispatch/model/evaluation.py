"""The exact evaluation of operating states: AC power flow, many states in many futures at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.radiality import Switching
from openpoint.network.devices import DeviceKind
from openpoint.network.operating_cost import SupplyLimits
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.dispatch import improved
from openpoint.studies.dispatch.model.ceilings import BoundedEvaluator, Ceiling, bounded
from openpoint.studies.dispatch.model.decision_cost import DecisionCost
from openpoint.studies.dispatch.model.layout import DispatchState
from openpoint.twostage.objective import Objective
from openpoint.twostage.program import ExactEvaluation


@final
@dataclass(frozen=True)
class StateEvaluator:
    """Exact cost and violation of operating states in all futures, in units of the cost times `s_base_kva`.

    Attributes:
        decision_cost: what decisions cost, with the grid, its devices and prices.
        supply: limits of sources and generators.
        demands: (K, N) demand of constant power in every future.
        objective: how the costs in the futures become one.
        switching: number of changes. ceilings: the most that other costs may be.
    """

    decision_cost: DecisionCost
    supply: SupplyLimits
    demands: Complexes
    objective: Objective
    switching: Switching
    ceilings: tuple[Ceiling, ...] = ()

    def evaluate(
        self, closed: Bools, positions: Ints, demands: Complexes, dispatch: Sequence[Floats] | None
    ) -> ExactEvaluation:
        """One state, (E) and (D), under demands (K, N), from a dispatch on, active and reactive power in turn."""
        count = len(demands)
        if dispatch is None:
            output = np.repeat(self.within(self.decision_cost.network.generator_s)[None, :], count, axis=0)
        else:
            output = self.within(np.array([each[0::2] + 1j * each[1::2] for each in dispatch]).reshape(count, -1))
        final = self._settled(positions)
        if not self.switching.allowed(closed):
            nothing = np.full(count, np.inf)
            return ExactEvaluation(nothing, nothing, DispatchState(closed, positions, output), final)
        points = [self._point(demand) for demand in demands]
        if not final:
            output = np.array([improved(p, closed, positions, s, self.within) for p, s in zip(points, output)])
        evaluated = [point.evaluate(closed, positions, s) for point, s in zip(points, output, strict=True)]
        values, violations = (np.concatenate(part) for part in zip(*evaluated, strict=True))
        scale, state = self.decision_cost.network.s_base_kva, DispatchState(closed, positions, output)
        return ExactEvaluation(values * scale, violations, state, final)

    def objectives(self, closed: Bools, positions: Ints, generation: Complexes) -> Floats:
        """(C) objective of C states, (C, E) and (C, D), at (G) outputs; inf where limits are missed too often."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self.switching.allowed(closed))
        if len(few):
            costs = self.decision_cost.of(closed[few], positions[few])
            value[few] = self.objective.many(costs, *self._flows(closed[few], positions[few], generation))
        return value

    def violations(self, closed: Bools, positions: Ints, generation: Complexes) -> Floats:
        """(C) violation of C states, summed over the futures; inf where no state exists or too much is changed."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self.switching.allowed(closed))
        if len(few):
            value[few] = self._flows(closed[few], positions[few], generation)[1].sum(axis=1)
        return value

    def within(self, output: Complexes) -> Complexes:
        """(…, G) the outputs put into the ranges of the generators: first the box, then the circle."""
        net = self.decision_cost.network
        boxed = np.clip(output.real, net.p_min, net.p_max) + 1j * np.clip(output.imag, net.q_min, net.q_max)
        size = np.maximum(np.abs(boxed), 1e-300)
        return np.asarray(boxed * np.minimum(1.0, self.supply.generator_s_max / size))

    def _settled(self, positions: Ints) -> bool:
        """Whether no output is left to choose at positions (D): all generators that are on have a given one."""
        net, devices = self.decision_cost.network, self.decision_cost.devices
        units = devices.of(DeviceKind.UNIT)
        on = np.ones(len(net.generator_names), dtype=np.bool_)
        on[devices.place[units]] = devices.at(positions)[units] > 0.0
        given = (net.p_min == net.p_max) & (net.q_min == net.q_max)
        return bool(np.all(given | ~on))

    def _flows(self, closed: Bools, positions: Ints, generation: Complexes) -> tuple[Floats, Floats]:
        """(C, K) recourse cost and violation of C states in the futures."""
        s = self.decision_cost.network.s_base_kva
        evaluated = [self._point(demand).evaluate(closed, positions, generation) for demand in self.demands]
        values, violations = (np.stack(part, axis=1) for part in zip(*evaluated, strict=True))
        return values * s, violations

    def _point(self, demand: Complexes) -> BoundedEvaluator:
        """The evaluator at a demand (N)."""
        key = demand.tobytes()
        if key not in self._points:
            cost, net = self.decision_cost, replace(self.decision_cost.network, s_power=demand)
            unbounded = OperatingPointEvaluator(net, cost.devices, cost.of_flow, self.supply)
            self._points[key] = bounded(unbounded, self.ceilings)
        return self._points[key]

    @cached_property
    def _points(self) -> dict[bytes, BoundedEvaluator]:
        """Evaluators by demand, since each keeps the networks of the positions it has seen."""
        return {}
