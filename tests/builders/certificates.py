"""Certificates as their lines, to be looked at and tampered with."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.verify.data import digest
from openpoint.verify.graph import Graph
from openpoint.verify.wires import CLOSED, FREE, OPEN

Line = list[Any]
Content = tuple[dict[str, Any], list[Line]]


ROW = {"bits": -6, "roots": -5, "phi": -4, "near": -3, "y": -2, "mu": -1}
"""Places of the multipliers in a line."""


def content(path: Path) -> Content:
    """The head and the lines, with the numbers that follow a line as two lists at its end instead of their width.

    The demands of futures are in the head, as active and reactive power, and the groups of the steps of a year.
    """
    text = gzip.decompress(path.read_bytes())
    head, at = _line(text, 0)
    n = len(head["least_squared_voltage"])
    lines = []
    if "futures" in head:
        count = head["futures"]["count"]
        head["demands"] = np.frombuffer(text[at : at + 16 * count * n], dtype="<f8").reshape(2, count, n)
        at += 16 * count * n
    if "year" in head:
        count = head["year"]["steps"]
        head["groups"] = np.frombuffer(text[at : at + 4 * count], dtype="<i4")
        at += 4 * count
    numbers = _Numbers(head)
    while at < len(text):
        line, at = _line(text, at)
        if line[0] == "parts":  # flows, and in the end multipliers
            flows, at = _two_lists(text, at, 2 * line[2], line[6])
            line[6:7] = flows
        if (count := numbers.after(line)) is not None:
            more, at = _two_lists(text, at, count, line.pop())
            line += more
        lines.append(line)
    return head, lines


class _Numbers:
    """How many numbers follow a line, in each of two lists."""

    def __init__(self, head: dict[str, Any]) -> None:
        self.head, self.buses, self.open = head, len(head["least_squared_voltage"]), 0
        self.of_region = 0

    def after(self, line: Line) -> int | None:
        """Go on to the next line; None where none follow."""
        word, buses = line[0], self.of_region if self.open else self.buses
        if word == "region":
            self.of_region, self.open = line[1], 1
        elif self.open:  # nodes of the region that are not done
            self.open += (word == "split") - (word in ("bound", "none"))
        if word in ("paths", "parts"):
            return int(self.head["junctions"])
        if word == "part":
            return int(line[2] * line[4].count(-1))
        many = "futures" in self.head or "year" in self.head
        return buses if word in (("future",) if many else ("probe", "bound", "regions")) else None


def _two_lists(text: bytes, at: int, count: int, width: int) -> tuple[list[list[int]], int]:
    size = 2 * count * width
    bytes_of = np.frombuffer(text[at : at + size], dtype=np.uint8).reshape(width, 2 * count).T.copy()
    numbers = np.cumsum(bytes_of.view(f"<i{width}").reshape(2, count), axis=1, dtype=np.int64).tolist()
    return numbers, at + size


def _as_bytes(two: list[list[int]]) -> bytes:
    steps = np.concatenate([np.diff(np.array(part, dtype=np.int64), prepend=0) for part in two])
    return np.ascontiguousarray(steps.reshape(-1, 1).view(np.uint8).T).tobytes()


def _line(text: bytes, at: int) -> tuple[Any, int]:
    end = text.index(b"\n", at)
    return json.loads(text[at:end]), end + 1


def rewritten(path: Path, head: dict[str, Any], lines: list[Line]) -> Path:
    head = dict(head)
    demands = np.array(head.pop("demands", []), dtype="<f8")
    groups = np.array(head.pop("groups", []), dtype="<i4")
    parts = [json.dumps(head).encode(), b"\n", demands.tobytes(), groups.tobytes()]
    followed = _Numbers(head)
    for line in lines:
        numbers = b""
        if line[0] == "parts":
            numbers, line = _as_bytes(line[6:8]), [*line[:6], 8, *line[8:]]
        if followed.after(line) is not None:
            numbers += _as_bytes(line[-2:])
            line = [*line[:-2], 8]
        parts += [json.dumps(line).encode(), b"\n", numbers]
    path.write_bytes(gzip.compress(b"".join(parts), 1))
    return path


def changes(rng: np.random.Generator) -> tuple[int | None, float]:
    """A greatest number and a cost of changes, often none."""
    most = int(rng.integers(0, 7)) if rng.random() < 0.3 else None
    return most, float(rng.choice([1e-4, 1e-3, 1e-2])) if rng.random() < 0.3 else 0.0


def index(lines: list[Line], word: str) -> int:
    return next(at for at, line in enumerate(lines) if line[0] == word)


def judged_tree(
    network: Network, devices: Devices, closed: Bools, positions: Ints, worth: tuple[float, float]
) -> Content:
    """A certificate that visits every state: branches are split and positions halved until only one is left.

    Args:
        closed, positions, worth: of the best state; its value and the bound claimed. Outputs are the network's, those
            of units that are off 0.
    """
    graph = Graph(
        network.n_terminals,
        network.terminal_fr.tolist(),
        network.terminal_to.tolist(),
        set(network.source_terminal.tolist()),
        set(),
        np.inf,
    )
    fixed = ~network.switchable
    status = np.where(fixed, network.closed, FREE).astype(np.int8)
    status[network.terminal_fr == network.terminal_to] = OPEN
    lines: list[Line] = []
    node, waiting = 1, [(0, status, [(0, int(size) - 1) for size in devices.sizes])]
    while waiting:
        origin, now, spans = waiting.pop()
        if origin:
            node += 1
            lines.append(["from", origin])
        while True:
            alive = graph.consequences(now)
            wide = [d for d, (first, last) in enumerate(spans) if first < last]
            if not alive or (FREE not in now and not wide):
                lines.append(["judged"] if alive else ["none"])
                break
            if FREE in now and (node % 2 or not wide):
                e = int(np.flatnonzero(now == FREE)[0])
                lines.append(["split", e])
                other = now.copy()
                other[e], now[e] = OPEN, CLOSED
                waiting.append((node, other, spans))
            else:
                d = wide[-1]
                first, last = spans[d]
                k, side = (first + last) // 2, node // 2 % 2
                lines.append(["step", d, k, side])
                parts = (first, k), (k + 1, last)
                near, far = ([*spans[:d], part, *spans[d + 1 :]] for part in (parts[side], parts[1 - side]))
                waiting.append((node, now.copy(), far))
                spans = near
            node += 1
    return _head(network, devices, closed, positions, worth, len(lines)), lines


def _head(
    network: Network, devices: Devices, closed: Bools, positions: Ints, worth: tuple[float, float], count: int
) -> dict[str, Any]:
    def wider(limit: Floats) -> list[float | None]:
        return [value if np.isfinite(value) else None for value in (limit * (1.0 + 1e-6) ** 2).tolist()]

    output, names = network.generator_s.copy(), network.branch_names
    for d in devices.of(DeviceKind.UNIT):
        output[devices.place[d]] *= devices.values[d][positions[d]]
    value, bound = worth
    return {
        "format": "openpoint certificate 10",
        "digest": digest(network, devices),
        "locked_closed": [names[e] for e in np.flatnonzero(~network.switchable & network.closed)],
        "locked_open": [names[e] for e in np.flatnonzero(~network.switchable & ~network.closed)],
        "least_squared_voltage": (network.w_min * (1.0 - 1e-6) ** 2).tolist(),
        "greatest_squared_voltage": wider(network.w_max),
        "greatest_squared_current": wider(network.l_max),
        "max_changes": None,
        "change_cost": 0.0,
        "open": [names[e] for e in np.flatnonzero(~closed)],
        "generation": [output.real.tolist(), output.imag.tolist()],
        "devices": list(devices.names),
        "positions": positions.tolist(),
        "value": value,
        "bound": bound,
        "gap": 2.0 * (value - bound) / value + 1e-12,
        "lines": count,
    }
