"""The exact evaluation of operating states: AC power flow, many states at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.radiality import Switching
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.powerflow.operating_point import CriterionBound, OperatingPointEvaluator
from openpoint.search.dispatch import improved
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.model.layout import DispatchState
from openpoint.twostage.program import ExactEvaluation

# What a decision costs whatever flows: changes of switches, moves of devices, generators that are on.


@dataclass(frozen=True)
class DecisionCost:
    """The part of an operating cost that is known from the decision alone, times `s_base_kva`.

    Attributes:
        network: the grid today. devices: what may be set. cost: all prices.
    """

    network: Network
    devices: Devices
    cost: OperatingCost

    @property
    def change(self) -> float:
        """Cost of one change."""
        return self.cost.change * self.network.s_base_kva

    @cached_property
    def by_position(self) -> Floats:
        """(K) cost of each position of each device, one after another: a move, a unit that is on."""
        devices, cost = self.devices, self.cost
        parts = [np.full(size, cost.move) for size in devices.sizes]
        for part, kind, place, values, today in zip(
            parts, devices.kind, devices.place, devices.values, devices.today, strict=True
        ):
            part[today] = 0.0
            if kind == DeviceKind.UNIT:
                part += cost.idle[place] * values
        return np.asarray(self.network.s_base_kva * np.concatenate([np.empty(0), *parts]))

    @cached_property
    def always(self) -> float:
        """Cost of the generators that are no devices and so are always on."""
        units = self.devices.place[self.devices.of(DeviceKind.UNIT)]
        return float(self.network.s_base_kva * (self.cost.idle.sum() - self.cost.idle[units].sum()))

    def of(self, closed: Bools, positions: Ints) -> Floats:
        """(C) cost of C decisions, closed (C, E) and positions (C, D)."""
        sizes = self.devices.sizes
        changes = np.sum(closed != self.network.closed, axis=1)
        moved = self.by_position[np.cumsum(sizes) - sizes + positions].sum(axis=1)
        return np.asarray(self.change * changes + self.always + moved)

    def expression(self, closed: cp.Expression, chosen: cp.Expression) -> cp.Expression:
        """The same for a decision that is yet to be made: (E) states and (K) one-hot positions."""
        today = self.network.closed
        total = self.always + self.change * (cp.sum(closed[~today]) + cp.sum(1 - closed[today]))
        return total + self.by_position @ chosen if self.devices.count else total

    @property
    def of_flow(self) -> OperatingCost:
        """The prices that are left: those of the flow."""
        return replace(self.cost, change=0.0, move=0.0, idle=np.zeros(len(self.cost.idle)))


@final
@dataclass(frozen=True)
class StateEvaluator:
    """Exact cost and violation of operating states, in units of the cost times `s_base_kva`.

    Attributes:
        decision_cost: what decisions cost, with the grid, its devices and prices.
        supply: limits of sources and generators.
        switching: number of changes. criterion_bounds: the most that other costs may be.
    """

    decision_cost: DecisionCost
    supply: SupplyLimits
    switching: Switching
    criterion_bounds: tuple[CriterionBound, ...] = ()

    def evaluate(self, closed: Bools, positions: Ints, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """One state, (E) and (D), from a dispatch on, active and reactive power in turn."""
        output = self.within(self.decision_cost.network.generator_s)
        if dispatch is not None:
            output = self.within(dispatch[0][0::2] + 1j * dispatch[0][1::2])
        final = self._settled(positions)
        if not self.switching.allowed(closed):
            nothing = np.full(1, np.inf)
            return ExactEvaluation(nothing, nothing, DispatchState(closed, positions, output), final)
        if not final:
            output = improved(self._point, closed, positions, output, self.within)
        values, violations = self._point.evaluate(closed, positions, output)
        scale, state = self.decision_cost.network.s_base_kva, DispatchState(closed, positions, output)
        return ExactEvaluation(values * scale, violations, state, final)

    def objectives(self, closed: Bools, positions: Ints, generation: Complexes) -> Floats:
        """(C) cost of C states, (C, E) and (C, D), at (G) outputs; inf where limits are missed."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self.switching.allowed(closed))
        if len(few):
            costs, violations = self._point.evaluate(closed[few], positions[few], generation)
            whole = self.decision_cost.of(closed[few], positions[few]) + costs * self.decision_cost.network.s_base_kva
            value[few] = np.where(violations > 0.0, np.inf, whole)
        return value

    def violations(self, closed: Bools, positions: Ints, generation: Complexes) -> Floats:
        """(C) violation of C states; inf where no state exists or too much is changed."""
        value = np.full(len(closed), np.inf)
        few = np.flatnonzero(self.switching.allowed(closed))
        if len(few):
            value[few] = self._point.evaluate(closed[few], positions[few], generation)[1]
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

    @cached_property
    def _point(self) -> OperatingPointEvaluator:
        """The evaluator of the flow, which keeps the networks of the positions that it has seen."""
        cost = self.decision_cost
        return OperatingPointEvaluator(cost.network, cost.devices, cost.of_flow, self.supply, self.criterion_bounds)
