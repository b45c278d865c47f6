"""Devices that may be set, in the form that the search model uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, with_positions
from openpoint.network.operating_cost import SupplyLimits


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
