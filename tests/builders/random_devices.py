"""Random devices of a network: banks of uneven steps, voltages of sources, tap changers, units."""

from __future__ import annotations

import numpy as np

from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices


def random_devices(rng: np.random.Generator, network: Network, most: int = 3) -> Devices:
    """One or two devices of each kind that the network has room for, of 2 to `most` positions; all of its generators.

    A bank stands at 0 today, where the network has none; a source and a ratio at what the network says.
    """
    rows: list[tuple[DeviceKind, int, np.ndarray, int]] = []
    for bus in rng.choice(network.n_terminals, int(rng.integers(1, 3)), replace=False):
        steps = np.cumsum(np.concatenate([[0.0], rng.uniform(0.02, 0.3, int(rng.integers(1, most)))]))
        rows.append((DeviceKind.BANK, int(bus), steps, 0))
    for source, v in enumerate(np.abs(network.source_v)):
        if rng.random() < 0.7:
            values, today = _around(rng, float(v), most)
            rows.append((DeviceKind.VOLTAGE, source, values, today))
    if rng.random() < 0.5:
        branch = int(rng.integers(network.n_conductors))
        values, today = _around(rng, float(network.tap[branch]), most)
        rows.append((DeviceKind.TAP, branch, values, today))
    for unit in range(len(network.generator_names)):
        rows.append((DeviceKind.UNIT, unit, np.array([0.0, 1.0]), 1))
    kind, place, values, today = zip(*rows, strict=True)
    return Devices(
        tuple(f"{DeviceKind(k).name.lower()} {at}" for k, at in zip(kind, place, strict=True)),
        np.array(kind, dtype=np.int64),
        np.array(place, dtype=np.int64),
        values,
        np.zeros(len(rows), dtype=np.int64),
        np.array(today, dtype=np.int64),
    )


def random_positions(rng: np.random.Generator, devices: Devices) -> np.ndarray:
    """(D)"""
    return np.array([rng.integers(size) for size in devices.sizes], dtype=np.int64)


def _around(rng: np.random.Generator, value: float, most: int) -> tuple[np.ndarray, int]:
    """Values in steps around one, at times falling, and where that one is."""
    count = int(rng.integers(2, most + 1))
    today = int(rng.integers(count))
    step = float(rng.choice((-1.0, 1.0)) * rng.uniform(0.01, 0.04))
    return value + step * (np.arange(count) - today), today
