"""Certificates as their lines, to be looked at and tampered with, and what the reference checker says of one."""

import copy
import gzip
import json
import math
import zlib
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.search.futures.model import FuturesTask
from openpoint.twostage.ambiguity import Between as BetweenBounds
from openpoint.verify import CertificateError, Question, Verified, check, reference
from openpoint.verify.asked import Between, Measure, Near
from openpoint.verify.data import Objective
from openpoint.verify.graph import CLOSED, FREE, OPEN, Graph
from openpoint.verify.lines import FORMAT
from openpoint.verify.question import problem_text
from openpoint.verify.year import Futures, Steps

Line = list[Any]
Content = tuple[dict[str, Any], list[Line]]


ROW = {"bits": -6, "roots": -5, "phi": -4, "near": -3, "y": -2, "mu": -1}
"""Places of the multipliers in a line."""


FEW = 200
"""Demands of a year, of each bus in each step, up to which the reference checker sees it, too."""
SHORT = 8000
"""Bytes of a packed certificate up to which it does; of random grids they are shorter, of all kinds and damages."""


def verify_network(
    network: Network,
    path: Path,
    progress: Callable[[int, int], None] | None = None,
    *,
    devices: Devices | None = None,
    objective: Objective | None = None,
    changes: tuple[int | None, float] = (None, 0.0),
    futures: Futures | None = None,
    steps: Steps | None = None,
    workers: int = 1,
) -> Verified:
    """What a certificate proves about a network as it is; the arguments are those of its search.

    The reference checker has to say the same, but of many steps and long certificates, which take it too long: of a
    built-in grid it is asked in tests/verify/test_reference.py.

    `objective`: prices, those of changes included, and limits of supply.
    """
    question = Question.of(
        network,
        SwitchingRules.of(network, *changes),
        devices=devices,
        cost=None if objective is None else objective.cost,
        supply=None if objective is None else objective.supply,
        futures=futures,
        steps=steps,
    )
    agreeing = path.stat().st_size <= SHORT and (steps is None or steps.n * len(steps.hours) <= FEW)
    try:
        found = check(question, path, progress, workers=workers)
    except CertificateError:
        assert not agreeing or of_file(question, path) is not None, "the reference checker accepts it"
        raise
    if agreeing:
        why = of_file(question, path)
        assert why is None, f"the reference checker refuses it: {why}"
    return found


def futures_of(task: FuturesTask, share: float = 1.0, *, regret: bool = False) -> Futures:
    """The futures of a search, each counting as much as any other where a share of them keeps the limits."""
    form, count = task.probabilities.form, len(task.demands)
    measure: Measure
    if isinstance(form, BetweenBounds):
        (lower, upper), unit = _in_one_unit([form.lower, form.upper])
        measure = Between(lower, upper, min(max(unit, sum(lower)), sum(upper)))
    else:
        (nominal,), _ = _in_one_unit([form.nominal])
        distance = None if form.distance is None else [[Fraction(d) for d in row] for row in form.distance.tolist()]
        measure = Near(nominal, Fraction(form.radius), distance, sum(nominal))
    return Futures(task.demands, measure, [1.0 / count] * count, share if task.limits else 0.0, regret)


def _in_one_unit(rows: list[Floats]) -> tuple[list[list[int]], int]:
    exact = [[Fraction(p) for p in row.tolist()] for row in rows]
    unit = math.lcm(*(p.denominator for row in exact for p in row))
    return [[int(p * unit) for p in row] for row in exact], unit


def content(path: Path, network: Network) -> Content:
    """The head and the lines; in the head `proofs`, certificates of futures by themselves."""
    return content_of(gzip.decompress(path.read_bytes()), network.n_terminals)


def content_of(text: bytes, n: int) -> Content:
    """The same of a file that is unpacked, of a network with n buses."""
    head, *lines = text.splitlines(keepends=True)
    found: dict[str, Any] = json.loads(head) | {"buses": n}
    for count in found.get("alone", []):
        found.setdefault("proofs", []).append(b"".join(lines[:count]))
        del lines[:count]
    return found, [json.loads(line) for line in lines]


def rewritten(path: Path, head: dict[str, Any], lines: list[Line]) -> Path:
    path.write_bytes(gzip.compress(unpacked(head, lines), 1))
    return path


def unpacked(given: dict[str, Any], lines: list[Line]) -> bytes:
    head = {key: value for key, value in given.items() if key not in ("buses", "proofs")}
    proofs = given.get("proofs", [])
    if proofs:
        head["alone"] = [len(proof.splitlines()) for proof in proofs]
    return b"".join(
        [json.dumps(head).encode() + b"\n", *proofs, *(json.dumps(line).encode() + b"\n" for line in lines)]
    )


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
    return _head(network, devices, closed, positions, worth), lines


def _head(
    network: Network, devices: Devices, closed: Bools, positions: Ints, worth: tuple[float, float]
) -> dict[str, Any]:
    output, names = network.generator_s.copy(), network.branch_names
    for d in devices.of(DeviceKind.UNIT):
        output[devices.place[d]] *= devices.values[d][positions[d]]
    value, bound = worth
    return {
        "format": FORMAT,
        "question": {},
        "open": [names[e] for e in np.flatnonzero(~closed)],
        "generation": [output.real.tolist(), output.imag.tolist()],
        "positions": positions.tolist(),
        "value": value,
        "bound": bound,
        "buses": network.n_terminals,
    }


def by_reference(problem: reference.Problem | str, text: bytes) -> str | None:
    """Of an unpacked certificate; None where it accepts it."""
    try:
        given = reference.Problem(problem) if isinstance(problem, str) else copy.copy(problem)
        given.grid = copy.copy(given.grid)  # which a check narrows
        reference.Check(given, reference.lines_of(text)).run()
    except reference.BROKEN as error:
        return repr(error)
    return None


def of_file(question: Question, path: Path) -> str | None:
    """The same of a file."""
    try:
        text = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        return repr(error)
    return by_reference(problem_text(question), text)
