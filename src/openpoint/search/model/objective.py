"""The objective of a search that minimises another cost than the loss, and bounds that link this cost to the loss.

**Loss from cost.** With s(j) the source of bus j, and D_j the net load there,

    Σ_s c_s P_s = Σ_s c_s (loss in its tree) + Σ_j c_s(j) D_j >= c_min · loss + Σ_j min_s c_s D_j,

so a state of cost V has Σ r l <= (V − base) / κ with κ the least of λ + c_min + c_e / r over branches, and `base` the
sum on the right and the least cost of all else. The search uses it for upper bounds of voltages. It requires that
branches only lose. In the same way, with the greatest in place of the least, a bound of the loss gives one of the cost.

Devices that may be set, in the form that the search model uses.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, with_positions
from openpoint.network.limits import at_kept_limits, at_kept_supply, greatest_series_currents
from openpoint.network.operating_cost import OperatingCost, SupplyLimits, least_loss, no_supply_limits

LEAST_W = 0.25
"""Squared voltage below which no state is of interest, for an upper bound of currents."""


@dataclass(frozen=True)
class Objective:
    """The objective of a search, and limits beside those of its network.

    Attributes:
        cost: without that of changes. supply: limits of sources and generators.
    """

    cost: OperatingCost
    supply: SupplyLimits


@dataclass(frozen=True)
class CostRange:
    """How the cost of states is linked to their loss.

    Attributes:
        base, per_loss: the cost is at least `base` and `per_loss` for every unit of Σ r l. greatest: no state of
            interest costs more, the cost of changes aside.
    """

    base: float
    per_loss: float
    greatest: float

    def loss(self, cost: float) -> float:
        """Greatest Σ r l of the states with at most this cost."""
        return (cost - self.base) / self.per_loss if self.per_loss > 0.0 else math.inf


def objective_of(network: Network, cost: OperatingCost | None, supply: SupplyLimits | None) -> Objective | None:
    """The objective of a search without the cost of changes; None where it is the loss, and nothing has more limits.

    Raises:
        OptionError: prices for which the bound of the search is not valid or of no use, all faults at once.
    """
    sizes = len(network.generator_names), len(network.source_terminal), network.n_conductors
    plain, free = least_loss(*sizes), no_supply_limits(*sizes[:2])
    cost, supply = replace(cost or plain, change=0.0), supply or free
    faults = []
    if cost.deviation:
        faults.append(
            "the deviation of voltages has no useful bound in closed form, since the relaxation may choose voltages "
            "that no power flow has: use Benders, or give limits of the voltages"
        )
    numbers = np.concatenate([[cost.loss], cost.source, cost.generator, cost.square, cost.idle, cost.current])
    if not np.isfinite(numbers).all():
        faults.append("a price is not a finite number")
    if min(cost.loss, cost.move) < 0.0 or np.any(cost.square < 0.0) or np.any(cost.current < 0.0):
        faults.append("the price of losses, of currents, of squared outputs and of moves must be 0 or more")
    if np.any(supply.generator_s_max < 0.0):
        faults.append("the greatest apparent power of a generator must be 0 or more")
    by_power = cost.loss + cost.source
    bare = (network.r > 0.0) & (cost.current <= 0.0) if np.any(by_power == 0.0) else np.zeros(1, dtype=np.bool_)
    if np.any(by_power < 0.0) or bare.any():
        faults.append(
            "the price of losses plus that of a source's power must be above 0, or 0 with a price of the current of "
            "every branch; else wasting power would cost nothing, and no bound of the cost follows"
        )
    if faults:
        raise OptionError("; ".join(faults))
    return None if _same(cost, plain) and _same(supply, free) else Objective(cost, supply)


def _same(one: OperatingCost | SupplyLimits, other: OperatingCost | SupplyLimits) -> bool:
    return all(np.array_equal(value, vars(other)[name]) for name, value in vars(one).items())


@dataclass(frozen=True)
class Prices:
    """Prices in the form that the search model uses.

    Attributes:
        loss: of the loss. move: of a device in another position than today's. current: (E) of squared currents.
        y_first: (N) of the model's buses, see `openpoint.search.kernel.arrays.Model`.
        of_sources: whether the power of sources has a price.
        costly: whether the model has the generators by themselves.
    """

    loss: float
    move: float
    current: Floats
    y_first: Floats
    of_sources: bool
    costly: bool


def prices_of(network: Network, objective: Objective | None, bus: Ints) -> Prices:
    """The prices of an objective. `bus`: (N) bus of the network of each bus of the model, sources last."""
    y_first = np.zeros(len(bus))
    if objective is None:
        return Prices(1.0, 0.0, np.zeros(network.n_conductors), y_first, False, False)
    cost = objective.cost
    y_first[:] = cost.source.mean()
    y_first[len(bus) - len(cost.source) :] = cost.source
    of_outputs = any(part.any() for part in (cost.generator, cost.square, cost.idle))
    of_outputs |= bool(np.isfinite(objective.supply.generator_s_max).any()) or objective.supply.any_of_sources
    of_sources = bool(cost.source.any()) or objective.supply.any_of_sources
    return Prices(
        cost.loss, cost.move, cost.current, y_first, of_sources, of_outputs or (of_sources and len(cost.generator) > 0)
    )


def output_arrays(
    network: Network, objective: Objective | None, costly: bool, spans: bool, number: Indices
) -> dict[str, Any]:
    """What the model holds of generators.

    Args:
        costly: see `Prices`. spans: whether any bus has a range of load. number: (N) number of each bus in the model.
    """
    free = bool(np.any((network.p_max > network.p_min) | (network.q_max > network.q_min)))
    sizes = len(network.generator_names), len(network.source_terminal), network.n_conductors
    given = objective or Objective(least_loss(*sizes), no_supply_limits(*sizes[:2]))
    cost, supply, nothing = given.cost, at_kept_supply(given.supply), np.zeros(sizes[1])
    limited = np.flatnonzero(limited_sources(supply))
    most = supply.s_max[limited]
    p_low, p_high, q_low, q_high = (
        np.clip(limit[limited], -most, most) for limit in (supply.p_min, supply.p_max, supply.q_min, supply.q_max)
    )
    arrays: dict[str, tuple[Any, Any]] = {
        "p_low": (network.p_min, p_low),
        "p_high": (network.p_max, p_high),
        "q_low": (network.q_min, q_low),
        "q_high": (network.q_max, q_high),
        "s_high": (supply.generator_s_max, most),
        "output_price": (cost.generator, cost.source[limited]),
        "output_square": (cost.square, nothing[limited]),
        "output_idle": (cost.idle, nothing[limited]),
        "generator_at": (number[network.generator_terminal], number[network.source_terminal[limited]]),
    }
    some = sizes[0] if costly else 0
    found = {name: np.concatenate([parts[0][:some], parts[1]]) for name, parts in arrays.items()}
    found["generator_at"] = found["generator_at"].astype(np.int32)
    return found | {
        "first_source": some,
        "dispatchable": free if costly else spans,
        "costly": costly,
        "supplied": len(limited) > 0,
    }


def limited_sources(supply: SupplyLimits) -> Bools:
    """(S) whether each source has a limit."""
    limits = np.stack([supply.p_min, supply.p_max, supply.q_min, supply.q_max, supply.s_max])
    return np.asarray(np.isfinite(limits).any(axis=0))


def cost_range(
    network: Network, cost: OperatingCost, w_min: Floats, w_max: Floats, most: float, devices: Devices
) -> CostRange:
    """The link of cost and loss in states with squared voltages in a range and a loss of at most `most`.

    Args:
        w_min, w_max: (N) range of the squared voltages. devices: that may be set; generators that may stop have 0 in
            their range.
    """
    units = devices.place[devices.of(DeviceKind.UNIT)]
    held = np.isin(np.arange(network.n_terminals), network.source_terminal)
    low, high = (
        sum(
            part.real * np.where((part.real >= 0.0) == (side == 0), least, greatest)
            for part, least, greatest in (
                (network.s_power, 1.0, 1.0),
                (network.s_current, np.sqrt(w_min), np.sqrt(w_max)),
                (network.s_impedance, w_min, w_max),
            )
        )
        for side in (0, 1)
    )
    price = np.zeros((network.n_terminals, 2))  # least and greatest that may hold at a bus
    price[~held] = cost.source.min(), cost.source.max()
    price[network.source_terminal] = cost.source[:, None]
    corners = [price[:, k] * side for k in (0, 1) for side in (low, high)]
    ends = [
        cost.generator * p + cost.square * p**2 - price[network.generator_terminal, k] * p
        for k in (0, 1)
        for p in (network.p_min, network.p_max)
    ]
    # The cost of an output is convex: the greatest is at an end, and the least is at least that of its tangent there.
    slope = cost.generator + 2.0 * cost.square * network.p_min
    tangents = [
        cost.generator * network.p_min + cost.square * network.p_min**2 + slope * (p - network.p_min) - at * p
        for p in (network.p_min, network.p_max)
        for at in price[network.generator_terminal].T
    ]
    idle = np.stack([cost.idle, cost.idle])  # at least, at most
    idle[:, units] = np.minimum(cost.idle[units], 0.0), np.maximum(cost.idle[units], 0.0)
    base = float(idle[0].sum()) + float(np.min(corners, axis=0).sum()) + float(np.min(tangents, axis=0).sum())
    greatest = (
        cost.move * devices.count
        + float(idle[1].sum())
        + float(np.max(corners, axis=0).sum())
        + float(np.max(ends, axis=0).sum())
    )
    lossy = network.r > 0.0
    each = cost.loss + cost.source.min() + cost.current[lossy] / network.r[lossy]
    greatest += (cost.loss + float(cost.source.max())) * most + float(cost.current @ _currents(network, most, devices))
    return CostRange(base, float(each.min(initial=math.inf)), greatest + 1e-9 * abs(greatest))


def greatest_power(network: Network) -> float:
    """What flows through no branch and out of no source in a state of interest: twice all loads and generation."""
    power = np.abs(network.s_power) + 2.0 * np.abs(network.s_current) + 4.0 * np.abs(network.s_impedance)
    p, q = (np.maximum(-a, b) for a, b in ((network.p_min, network.p_max), (network.q_min, network.q_max)))
    charging = 4.0 * float(np.abs(network.y_most).sum())
    return 2.0 * (float(power.sum()) + float(np.hypot(p, q).sum()) + charging)


def _currents(network: Network, most: float, devices: Devices) -> Floats:
    """(E) squared currents that no branch exceeds in a state of interest, from all power that there is."""
    whole = greatest_power(network) ** 2 / LEAST_W
    by_loss = np.divide(most, network.r, out=np.full(network.n_conductors, np.inf), where=network.r > 0.0)
    return np.asarray(
        np.minimum(np.minimum(whole, by_loss), greatest_series_currents(at_kept_limits(network), devices))
    )


def check_devices(network: Network, devices: Devices, must_close: Bools) -> None:
    """Refuse tap changers whose branch draws power at them also while it is open.

    Raises:
        OptionError: there are some.
    """
    taps = devices.of(DeviceKind.TAP)
    at = devices.place[taps]
    if len(hanging := taps[(network.y_open_fr[at] != 0.0) & ~must_close[at]]):
        raise OptionError(
            f"topology search does not set {', '.join(devices.names[d] for d in hanging)}: the branch may open at one "
            "end alone and draws power at its tap changer then; lock it closed, or fix its tap"
        )


def without_banks(network: Network, devices: Devices) -> Network:
    """The network without the capacitor banks that may be set, which it has at today's position."""
    banks = devices.of(DeviceKind.BANK)
    s_impedance = network.s_impedance.copy()
    np.add.at(s_impedance, devices.place[banks], 1j * devices.at(devices.today)[banks])
    return replace(network, s_impedance=s_impedance)


def at_greatest(network: Network, devices: Devices) -> Network:
    """The network with every device where no other position lets any voltage rise higher."""
    tap = devices.kind == DeviceKind.TAP
    far = [np.maximum(v, 1.0 / v) if is_tap else v for v, is_tap in zip(devices.values, tap, strict=True)]
    greatest = with_positions(network, devices, np.array([np.argmax(values) for values in far], dtype=np.int64))
    return with_zero(greatest, devices)


def with_zero(network: Network, devices: Devices) -> Network:
    """The network where 0 is within the ranges of the outputs of generators that may stop."""
    units = devices.place[devices.of(DeviceKind.UNIT)]
    limits = {name: getattr(network, name).copy() for name in ("p_min", "p_max", "q_min", "q_max")}
    for name, values in limits.items():
        values[units] = (np.minimum if name.endswith("min") else np.maximum)(values[units], 0.0)
    return replace(network, **limits)


def bank_power(devices: Devices) -> float:
    """The sum of the greatest reactive power of all banks at nominal voltage, of either sign."""
    return float(sum(np.abs(devices.values[d]).max() for d in devices.of(DeviceKind.BANK)))


def with_bank_power(network: Network, devices: Devices) -> Network:
    """The network whose reactive loads are at least, in size, those with the banks at any position."""
    s_impedance = network.s_impedance.real + 1j * np.abs(network.s_impedance.imag)
    for d in devices.of(DeviceKind.BANK):
        s_impedance[devices.place[d]] += 2j * np.abs(devices.values[d]).max()
    return replace(network, s_impedance=s_impedance)


def source_voltages(network: Network, devices: Devices) -> tuple[Floats, Floats]:
    """(S) least and greatest squared voltages that the sources may hold."""
    least = np.abs(network.source_v) ** 2
    most = least.copy()
    for d in devices.of(DeviceKind.VOLTAGE):
        least[devices.place[d]], most[devices.place[d]] = devices.values[d].min() ** 2, devices.values[d].max() ** 2
    return least, most


def device_arrays(
    network: Network, devices: Devices, move_price: float, number: Indices, branch: Ints
) -> dict[str, Any]:
    """What `Model` holds of the devices.

    Args:
        move_price: cost of every device in another position than today's.
        number: (N) number of each bus in the model. branch: (m) its branches.
    """
    units = bool(len(devices.of(DeviceKind.UNIT)))
    generators = len(network.generator_terminal) if units else 0
    size = (network.n_terminals, len(branch), generators) if devices.count else (0, 0, 0)
    holder, changer, stopper = (np.full(length, -1, dtype=np.int32) for length in size)
    place = np.zeros(devices.count, dtype=np.int32)
    values: list[Floats] = []
    for d in range(devices.count):
        at = devices.place[d]
        if devices.kind[d] == DeviceKind.VOLTAGE:
            place[d] = number[network.source_terminal[at]]
            holder[place[d]] = d
            values.append(devices.values[d] ** 2)
        elif devices.kind[d] == DeviceKind.TAP:
            place[d] = int(np.searchsorted(branch, at))
            changer[place[d]] = d
            values.append(1.0 / devices.values[d] ** 2)
        elif devices.kind[d] == DeviceKind.UNIT:
            place[d] = number[network.generator_terminal[at]]
            stopper[at] = d
            values.append(devices.values[d])
        else:
            place[d] = number[at]
            values.append(devices.values[d])
    start = np.concatenate([[0], np.cumsum(devices.sizes)]).astype(np.int32)
    kind, whole = devices.kind.astype(np.int32), np.concatenate([np.empty(0), *values])
    kinds = {"banks": DeviceKind.BANK, "voltages": DeviceKind.VOLTAGE, "taps": DeviceKind.TAP}
    arrays: dict[str, Any] = {name: bool(np.any(kind == of)) for name, of in kinds.items()}
    arrays |= {"devices": devices.count > 0, "device_kind": kind, "device_at": place, "device_start": start}
    arrays |= {"device_today": devices.today.astype(np.int32), "move_price": move_price if devices.count else 0.0}
    return arrays | {"value": whole, "holder": holder, "changer": changer, "stopper": stopper, "units": units}


def free_devices(network: Network, devices: Devices, must_open: Bools, supply: SupplyLimits | None = None) -> Ints:
    """Numbers of the devices that change what the search minimises or keeps.

    A bank at the bus of a source does not unless the power of sources has limits, nor does a tap changer in a branch
    that is open in all states.
    """
    banks, taps = devices.of(DeviceKind.BANK), devices.of(DeviceKind.TAP)
    free = np.ones(devices.count, dtype=np.bool_)
    if supply is None or not supply.any_of_sources:
        free[banks] = ~np.isin(devices.place[banks], network.source_terminal)
    loops = network.terminal_fr == network.terminal_to
    free[taps] = ~(must_open | loops)[devices.place[taps]]
    return np.flatnonzero(free)
