"""Exact evaluation of operating states: closed branches, positions of devices, outputs of generators.

Every state is solved by the exact power flow, and its cost and the limits it misses are counted at this flow. Voltages
of sources and ratios are data of the grid to the power flow, so states are solved in groups that have them in common;
branches, banks and outputs may differ within a group.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.limits import CHOSEN, LEAST_POWER, LIMIT_TOLERANCE, at_kept_supply
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.powerflow.balanced import Flows, solve
from openpoint.powerflow.state import excesses, margins

AT_ONCE = 1e6
"""States solved in one call, times buses and branches: what bounds the memory."""
KEPT = 4096
"""Networks that are kept for the next call."""


LEAST = 1e-9
"""A bound of a criterion is relative to itself, or to this share of `s_base_kva` if it is less."""


@dataclass(frozen=True)
class CriterionBound:
    """The most that a further cost of an operating state may be, beside the one that is minimised.

    Attributes:
        name: of the cost. cost: its prices. most: per unit.
    """

    name: str
    cost: OperatingCost
    most: float

    @property
    def scale(self) -> float:
        """What an excess is relative to."""
        return max(abs(self.most), LEAST)


@dataclass(frozen=True)
class OperatingPointEvaluator:
    """Cost and violation of operating states.

    Attributes:
        network: a balanced network with its limits, the devices at today's positions. devices: what may be set.
        cost: what a state is worth. supply: limits of sources and generators beside the boxes of the network.
        criterion_bounds: the most that other costs may be.
    """

    network: Network
    devices: Devices
    cost: OperatingCost
    supply: SupplyLimits
    criterion_bounds: tuple[CriterionBound, ...] = ()

    def evaluate(self, closed: Bools, positions: Ints, generation: Complexes | None = None) -> tuple[Floats, Floats]:
        """(K) costs and (K) violations of states; both are inf where no flow exists or a bus has no source.

        The violation is the sum of the excesses relative to the limits: of squared voltages and currents, of the powers
        of sources and generators, and of further costs. It is 0 where all are kept within `LIMIT_TOLERANCE`.

        Args:
            closed: (E) or (K, E). positions: (D) or (K, D). generation: (G) or (K, G) outputs, today's if None; that
                of a unit that is off counts as 0. What has one row is used for all states.

        Raises:
            OptionError: shapes that do not fit, or a position that a device does not have.
        """
        states, where, outputs = self._states(closed, positions, generation)
        most = max(1, int(AT_ONCE / (self.network.n_terminals + self.network.n_conductors)))
        some = [slice(begin, begin + most) for begin in range(0, len(states), most)]
        parts = [self._evaluated(states[part], where[part], outputs[part]) for part in some]
        values, violations = zip(*parts, strict=True) if parts else ((np.empty(0),), (np.empty(0),))
        return np.concatenate(values), np.concatenate(violations)

    def margins(self, closed: Bools, positions: Ints, generation: Complexes) -> tuple[Floats, Floats]:
        """(K) costs of states, and (K, M) by how much they exceed what counts as kept of M limits, relative to these.

        Below 0 where there is room; both are inf where no flow exists. Ranges of outputs are not among the limits, but
        their apparent power is. Arguments and errors as in `evaluate`.
        """
        states, where, outputs = self._states(closed, positions, generation)
        flows, on = self._solved(states, where, outputs), self.on(where)
        lost = ~(flows.converged & flows.energised.all(axis=1))
        supply, p, q = at_kept_supply(self.supply), flows.source_s.real, flows.source_s.imag
        of_sources = [(p, supply.p_max), (-p, -supply.p_min), (q, supply.q_max), (-q, -supply.q_min)]
        parts = [margins(self.network, flows)]
        for power, limit in [
            *of_sources,
            (np.abs(flows.source_s), supply.s_max),
            (np.abs(outputs), supply.generator_s_max),
        ]:
            parts.append(relative_excess(power, limit)[:, np.isfinite(limit)])
        value = self._cost(self.cost, flows, states, where, outputs, on)
        over = [each - LIMIT_TOLERANCE for each in self._beyond_criteria(flows, states, where, outputs, on)]
        excess = np.column_stack([*parts, *over])
        return np.where(lost, np.inf, value), np.where(lost[:, None], np.inf, excess)

    def flows(self, closed: Bools, positions: Ints, generation: Complexes | None = None) -> Flows:
        """Exact power flows of K states; arguments and errors as in `evaluate`."""
        return self._solved(*self._states(closed, positions, generation))

    def _states(self, closed: Bools, positions: Ints, generation: Complexes | None) -> tuple[Bools, Ints, Complexes]:
        """The arguments with K rows each, units that are off without output."""
        net, sizes = self.network, self.devices.sizes
        output = net.generator_s if generation is None else np.asarray(generation, dtype=np.complex128)
        state, where, outputs = np.atleast_2d(closed), np.atleast_2d(positions), np.atleast_2d(output)
        counts = len(state), len(where), len(outputs)
        rows = max(counts) if min(counts) else 0
        for name, part, width in (
            ("closed", state, net.n_conductors),
            ("positions", where, len(sizes)),
            ("generation", outputs, len(net.generator_terminal)),
        ):
            if part.shape[1:] != (width,) or len(part) not in (1, rows):
                raise OptionError(f"{name} has shape {part.shape}; it needs 1 or {rows} rows and {width} columns")
        if np.any((where < 0) | (where >= sizes)):
            raise OptionError(f"positions of devices lie from 0 to {(sizes - 1).tolist()}")
        where = np.broadcast_to(where, (rows, len(sizes)))
        return np.broadcast_to(state, (rows, state.shape[1])), where, np.where(self.on(where), outputs, 0.0)

    def on(self, positions: Ints) -> Bools:
        """(K, G) whether each generator is on; one that is no device always is."""
        on = np.ones((len(positions), len(self.network.generator_terminal)), dtype=np.bool_)
        units = self.devices.of(DeviceKind.UNIT)
        on[:, self.devices.place[units]] = self._values[units, positions[:, units]] != 0.0
        return on

    def _solved(self, closed: Bools, positions: Ints, generation: Complexes) -> Flows:
        if not len(closed):
            return solve(self.network, np.array(closed), generation=generation)
        banks = self.devices.of(DeviceKind.BANK)
        impedance = np.repeat(self.network.s_impedance[None, :], len(closed), axis=0)
        was = self._values[banks, self.devices.today[banks]]
        for bank, change in zip(banks, (self._values[banks, positions[:, banks]] - was).T, strict=True):
            impedance[:, self.devices.place[bank]] -= 1j * change
        rows = self._groups(positions)
        parts = [
            solve(
                self._at(positions[some[0]]),
                np.ascontiguousarray(closed[some]),
                s_impedance=impedance[some],
                generation=generation[some],
            )
            for some in rows
        ]
        if len(parts) == 1:
            return parts[0]
        back = np.argsort(np.concatenate(rows))
        return Flows(*(np.concatenate([getattr(part, f.name) for part in parts])[back] for f in fields(Flows)))

    def _groups(self, positions: Ints) -> list[Ints]:
        """Numbers of the states that have the voltages of sources and the ratios in common."""
        held = positions[:, np.isin(self.devices.kind, (DeviceKind.VOLTAGE, DeviceKind.TAP))]
        if (held == held[:1]).all():
            return [np.arange(len(positions))]
        group = np.unique(held, axis=0, return_inverse=True)[1].reshape(-1)
        order = np.argsort(group, kind="stable")
        return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)

    def _at(self, positions: Ints) -> Network:
        """The network with the voltages of its sources and its ratios at (D) positions, banks and units as today."""
        devices = self.devices
        held = [devices.of(kind) for kind in (DeviceKind.VOLTAGE, DeviceKind.TAP)]
        key = tuple(positions[np.concatenate(held)].tolist())
        if key not in self._networks:
            if len(self._networks) >= KEPT:
                self._networks.clear()
            (v_at, v), (tap_at, tap) = ((devices.place[some], self._values[some, positions[some]]) for some in held)
            source_v, ratio = self.network.source_v.copy(), self.network.tap.copy()
            source_v[v_at] *= v / np.abs(source_v[v_at])
            ratio[tap_at] = tap
            self._networks[key] = replace(self.network, source_v=source_v, tap=ratio)
        return self._networks[key]

    def _evaluated(self, closed: Bools, positions: Ints, generation: Complexes) -> tuple[Floats, Floats]:
        flows = self._solved(closed, positions, generation)
        lost = ~(flows.converged & flows.energised.all(axis=1))
        on = self.on(positions)
        value = self._cost(self.cost, flows, closed, positions, generation, on)
        violation = excesses(self.network, flows) + self._power_excess(flows.source_s, generation, on)
        for beyond in self._beyond_criteria(flows, closed, positions, generation, on):
            violation += np.where(beyond > LIMIT_TOLERANCE, beyond, 0.0)
        return np.where(lost, np.inf, value), np.where(lost, np.inf, violation)

    def _beyond_criteria(
        self, flows: Flows, closed: Bools, positions: Ints, generation: Complexes, on: Bools
    ) -> list[Floats]:
        """(K) excess of each bound of a criterion, relative to it; negative where it is kept."""
        return [
            (self._cost(bound.cost, flows, closed, positions, generation, on) - bound.most) / bound.scale
            for bound in self.criterion_bounds
        ]

    def _cost(
        self, cost: OperatingCost, flows: Flows, closed: Bools, positions: Ints, generation: Complexes, on: Bools
    ) -> Floats:
        net, p = self.network, generation.real
        value = cost.loss * np.where(np.isfinite(flows.loss), flows.loss, 0.0) + flows.source_s.real @ cost.source
        value += p @ cost.generator + p**2 @ cost.square + on @ cost.idle
        if cost.current.any():
            value += np.abs(flows.i_series) ** 2 @ cost.current
        if cost.deviation:
            inner = net.inner
            value += cost.deviation * np.abs(np.abs(flows.v[:, inner]) ** 2 - 1.0).sum(axis=1) / 2.0
        value += cost.change * np.sum(closed != net.closed, axis=1)
        value += cost.move * np.sum(positions != self.devices.today, axis=1)
        return np.asarray(value)

    def _power_excess(self, source_s: Complexes, generation: Complexes, on: Bools) -> Floats:
        """(K) sum of the relative excesses of the limits of sources and generators."""
        net, supply = self.network, self.supply
        p, q = source_s.real, source_s.imag
        over = over_limit(p, supply.p_max) + over_limit(-p, -supply.p_min) + over_limit(np.abs(source_s), supply.s_max)
        over = (over + over_limit(q, supply.q_max) + over_limit(-q, -supply.q_min)).sum(axis=1)
        p, q = generation.real, generation.imag
        box = over_range(p, net.p_max) + over_range(-p, -net.p_min) + over_range(q, net.q_max)
        box += over_range(-q, -net.q_min) + over_range(np.abs(generation), supply.generator_s_max)
        return np.asarray(over + np.where(on, box, 0.0).sum(axis=1))

    @cached_property
    def _values(self) -> Floats:
        """(D, most positions) values of the devices, nan beyond their last."""
        table = np.full((self.devices.count, int(self.devices.sizes.max(initial=1))), np.nan)
        for row, values in zip(table, self.devices.values, strict=True):
            row[: len(values)] = values
        return table

    @cached_property
    def _networks(self) -> dict[tuple[int, ...], Network]:
        """The networks of the positions seen so far, since the power flow keeps its arrays by network."""
        return {}


def over_limit(power: Floats, limit: Floats) -> Floats:
    """Excess of powers relative to their limits, 0 within the tolerance."""
    beyond = relative_excess(power, limit)
    return np.where(beyond > LIMIT_TOLERANCE, beyond, 0.0)


def over_range(power: Floats, limit: Floats) -> Floats:
    """Excess of powers that are chosen relative to the ends of their ranges, 0 where it is rounding."""
    beyond = relative_excess(power, limit)
    return np.where(beyond > CHOSEN, beyond, 0.0)


def relative_excess(power: Floats, limit: Floats) -> Floats:
    """Powers less their limits, relative to the limit; negative where it is kept."""
    if not np.isfinite(limit).any():
        return np.where(limit < 0.0, np.inf, -np.inf) + np.zeros(np.shape(power))
    return np.asarray((power - limit) / np.where(np.isfinite(limit), np.maximum(np.abs(limit), LEAST_POWER), 1.0))
