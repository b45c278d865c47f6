"""Devices as constraints: the voltage of a source, capacitor banks, tap changers and units, each in one position.

A choice is one-hot: z_k = 1 at the position k that is taken, and Σ_k z_k = 1 for every device. With w the squared
voltage of a bus, w̲ and w̄ its bounds, x the state of a branch, the value of position k in small letters:

    source   w = Σ_k v_k² z_k
    bank     feeds Σ_k b_k u_k,            Σ_k u_k = w,        w̲ z_k ≤ u_k ≤ w̄ z_k        (u_k = w z_k)
    tap      w_fr = Σ_k u_k / t_k²,        Σ_k u_k = x w_a,    0 ≤ u_k ≤ w̄_a z_k          (u_k = x w_a z_k)
    unit     p̲ y ≤ p ≤ p̄ y, q alike,      y = Σ_k y_k z_k

All of this is exact at a binary choice. Where z is between 0 and 1, a bank is in the convex hull of its positions
(Balas 1985), and so is a tap changer of a closed branch.

Theory: docs/methods.md M7.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, with_positions
from openpoint.solvers.modelling import cp


@dataclass(frozen=True)
class Positions:
    """The K positions of the D devices of one kind.

    Attributes:
        place: (D) where the devices are, see `openpoint.network.devices`.
        owner: (D, K) 1 where a position is one of the device. value: (K).
        chosen: (K) 1 where a position is taken.
    """

    place: Ints
    owner: sp.csr_array
    value: Floats
    chosen: cp.Expression

    def total(self, values: Floats) -> cp.Expression:
        """(D) value at the position that is taken, of (K) values."""
        return self.owner @ cp.multiply(values, self.chosen)


@dataclass(frozen=True)
class DeviceChoice:
    """The choice of a position for every device.

    Attributes:
        devices: D devices of a network.
        chosen: (K) 1 where a position is taken, the positions of all devices one after another; affine.
        w_lower: (N) lower bounds of the squared voltage, valid at every power flow of interest.
    """

    devices: Devices
    chosen: cp.Expression
    w_lower: Floats

    def of(self, kind: DeviceKind) -> Positions | None:
        """The positions of the devices of a kind; None where there are none."""
        some = self.devices.of(kind)
        if not len(some):
            return None
        owner = owners(self.devices)[some]
        columns = np.flatnonzero(owner.sum(axis=0))
        value = np.concatenate([self.devices.values[d] for d in some])
        return Positions(self.devices.place[some], owner[:, columns], value, self.chosen[columns])

    @property
    def bank_most(self) -> float:
        """Most reactive power of all banks together at nominal voltage."""
        return sum(float(np.abs(self.devices.values[d]).max()) for d in self.devices.of(DeviceKind.BANK))

    def bare(self, network: Network) -> Network:
        """The network without its banks, and with a ratio of 1 where a tap changer is."""
        devices = self.devices
        banks, taps = devices.of(DeviceKind.BANK), devices.of(DeviceKind.TAP)
        s_impedance, tap = network.s_impedance.copy(), network.tap.copy()
        np.add.at(s_impedance, devices.place[banks], 1j * devices.at(devices.today)[banks])
        tap[devices.place[taps]] = 1.0
        return replace(network, s_impedance=s_impedance, tap=tap)


def owners(devices: Devices) -> sp.csr_array:
    """(D, K) 1 where a position is one of a device; positions of all devices one after another."""
    sizes = devices.sizes
    rows = np.repeat(np.arange(devices.count), sizes)
    return sp.csr_array((np.ones(len(rows)), (rows, np.arange(len(rows)))), shape=(devices.count, len(rows)))


def one_position(devices: Devices, chosen: cp.Expression) -> list[cp.Constraint]:
    """Σ_k z_k = 1, 0 ≤ z ≤ 1."""
    return [chosen >= 0, chosen <= 1, owners(devices) @ chosen == 1]


def highest_voltages(network: Network, devices: Devices) -> Network:
    """The network at the positions at which `voltage_bounds` gives upper bounds for all positions.

    Banks feed most, sources hold the highest voltage, ratios are farthest from 1, units are on.
    """
    strength = [
        np.maximum(values, 1.0 / values) if kind == DeviceKind.TAP else values
        for kind, values in zip(devices.kind, devices.values, strict=True)
    ]
    return with_positions(network, devices, np.array([int(np.argmax(each)) for each in strength], dtype=np.int64))


def lowest_sources(network: Network, devices: Devices) -> Floats:
    """(S) lowest voltage that each source may hold."""
    lowest = np.abs(network.source_v)
    some = devices.of(DeviceKind.VOLTAGE)
    lowest[devices.place[some]] = [devices.values[d].min() for d in some]
    return lowest


def highest_ratios(network: Network, devices: Devices) -> Network:
    """The network with its tap changers where the voltage behind them is lowest."""
    tap, some = network.tap.copy(), devices.of(DeviceKind.TAP)
    tap[devices.place[some]] = [devices.values[d].max() for d in some]
    return replace(network, tap=tap)


def held_voltages(network: Network, choice: DeviceChoice | None) -> Floats | cp.Expression:
    """(S) squared voltage that the sources hold."""
    held = np.abs(network.source_v) ** 2
    if choice is None or (positions := choice.of(DeviceKind.VOLTAGE)) is None:
        return held
    held[positions.place] = 0.0
    free = _incidence(positions.place, len(held)).T
    return held + free @ positions.total(positions.value**2)


def bank_power(
    choice: DeviceChoice | None, w: cp.Variable, w_upper: Floats
) -> tuple[cp.Expression | None, list[cp.Constraint]]:
    """(N) reactive power that banks feed in, and its constraints; None where there are no banks."""
    if choice is None or (positions := choice.of(DeviceKind.BANK)) is None:
        return None, []
    at, owner, chosen = _incidence(positions.place, w.size), positions.owner, positions.chosen
    bus = owner.T @ positions.place
    u = cp.Variable(len(positions.value), name="u_bank")
    products = [
        owner @ u == at @ w,
        u <= cp.multiply(w_upper[bus.astype(np.int64)], chosen),
        u >= cp.multiply(choice.w_lower[bus.astype(np.int64)], chosen),
    ]
    return (at.T @ owner) @ cp.multiply(positions.value, u), products


def ratios(
    network: Network, choice: DeviceChoice | None, w_fr: cp.Variable, w_upper: Floats
) -> tuple[cp.Expression, list[cp.Constraint]]:
    """(E) product of state and squared voltage at the from end before the tap changers; w_fr where there are none.

    Args:
        network: with a ratio of 1 where a tap changer is.
        choice: of positions. w_fr: (E) the product behind the ratio. w_upper: (N) upper bounds.
    """
    if choice is None or (positions := choice.of(DeviceKind.TAP)) is None:
        return w_fr, []
    owner, branch = positions.owner, positions.place
    upper = owner.T @ w_upper[network.terminal_fr[branch]]
    u = cp.Variable(len(positions.value), name="u_tap")
    behind = owner @ cp.multiply(1.0 / positions.value**2, u)
    others = np.ones(network.n_conductors)
    others[branch] = 0.0
    before = cp.multiply(others, w_fr) + (_incidence(branch, network.n_conductors).T @ owner) @ u
    return before, [w_fr[branch] == behind, u >= 0, u <= cp.multiply(upper, positions.chosen)]


def units_on(network: Network, choice: DeviceChoice | None) -> Floats | cp.Expression:
    """(G) 1 where a dispatchable generator is on."""
    on = np.ones(len(network.generator_names))
    if choice is None or (positions := choice.of(DeviceKind.UNIT)) is None:
        return on
    on[positions.place] = 0.0
    return on + _incidence(positions.place, len(on)).T @ positions.total(positions.value)


def _incidence(place: Ints, n: int) -> sp.csr_array:
    """(D, n) a row has a 1 at its place."""
    return sp.csr_array((np.ones(len(place)), (np.arange(len(place)), place)), shape=(len(place), n))
