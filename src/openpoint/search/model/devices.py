"""Devices that may be set, in the form that the search model uses."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from openpoint.arrays import Floats, Indices, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, with_positions

IN_CLOSED_FORM = (DeviceKind.BANK, DeviceKind.VOLTAGE)
"""Kinds that the bound covers."""


def check_kinds(devices: Devices) -> None:
    """Refuse devices that the bound has no closed form for.

    Raises:
        OptionError: there are some.
    """
    odd = [name for name, kind in zip(devices.names, devices.kind, strict=True) if kind not in IN_CLOSED_FORM]
    if odd:
        raise OptionError(
            f"topology search sets capacitor banks and voltages of sources, not {', '.join(odd)}; use Benders' method "
            "or the one-piece program for these"
        )


def without_banks(network: Network, devices: Devices) -> Network:
    """The network without the capacitor banks that may be set, which it has at today's position."""
    banks = devices.of(DeviceKind.BANK)
    s_impedance = network.s_impedance.copy()
    np.add.at(s_impedance, devices.place[banks], 1j * devices.at(devices.today)[banks])
    return replace(network, s_impedance=s_impedance)


def at_greatest(network: Network, devices: Devices) -> Network:
    """The network with every device at its greatest value: no position lets any voltage rise higher."""
    return with_positions(network, devices, np.array([np.argmax(values) for values in devices.values], dtype=np.int64))


def bank_power(devices: Devices) -> float:
    """The sum of the greatest reactive power of all banks at nominal voltage, of either sign."""
    return float(sum(np.abs(devices.values[d]).max() for d in devices.of(DeviceKind.BANK)))


def source_voltages(network: Network, devices: Devices) -> tuple[Floats, Floats]:
    """(S) least and greatest squared voltages that the sources may hold."""
    least = np.abs(network.source_v) ** 2
    most = least.copy()
    for d in devices.of(DeviceKind.VOLTAGE):
        least[devices.place[d]], most[devices.place[d]] = devices.values[d].min() ** 2, devices.values[d].max() ** 2
    return least, most


def device_arrays(network: Network, devices: Devices, number: Indices) -> dict[str, Any]:
    """What `Model` holds of the devices; `number`: (N) number of each bus in the model."""
    values: list[Floats] = []
    place = np.zeros(devices.count, dtype=np.int32)
    holder = np.full(network.n_terminals if devices.count else 0, -1, dtype=np.int32)
    for d in range(devices.count):
        at = devices.place[d]
        if devices.kind[d] == DeviceKind.VOLTAGE:
            place[d] = number[network.source_terminal[at]]
            holder[place[d]] = d
            values.append(devices.values[d] ** 2)
        else:
            place[d] = number[at]
            values.append(devices.values[d])
    start = np.concatenate([[0], np.cumsum(devices.sizes)]).astype(np.int32)
    whole = np.concatenate([np.empty(0), *values])
    kind, count = devices.kind.astype(np.int32), devices.count
    banks, voltages = bool(np.any(kind == DeviceKind.BANK)), bool(np.any(kind == DeviceKind.VOLTAGE))
    arrays: dict[str, Any] = {
        "device_kind": kind,
        "device_at": place,
        "device_start": start,
        "value": whole,
        "holder": holder,
    }
    return arrays | {"devices": count > 0, "banks": banks, "voltages": voltages}


def free_devices(network: Network, devices: Devices) -> Ints:
    """Numbers of the devices that change what the search minimises: a bank at the bus of a source does not."""
    at_source = (devices.kind == DeviceKind.BANK) & np.isin(devices.place, network.source_terminal)
    return np.flatnonzero(~at_source)


def all_positions(network: Network, devices: Devices, positions: Ints) -> Ints:
    """(D) positions of all devices from those of `free_devices`."""
    whole = devices.today.copy()
    whole[free_devices(network, devices)] = positions
    return whole
