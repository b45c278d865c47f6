"""Check a certificate of `openpoint reconfigure` or `dispatch` without the code that wrote it.

A certificate (docs/formats.md) claims that every radial state of the grid that keeps the locks and limits in the file
has an objective value (loss plus cost of changes, or the cost at the prices in the file) of at least `bound`, and
contains a state with the value `value`.
Its lines describe a branch-and-bound tree. The checker tracks the states of the branches and the positions that each
device may have (`openpoint.verify.devices`) itself, and derives what follows from the graph with its own search for
loops and bridges and its own count of closings. It accepts

- that a branch cannot be open, or that a node contains no state of interest, only by a lower bound of at least `bound`,
  evaluated in integers: data and multipliers are multiples of powers of two, all divisions and roots are rounded to the
  safe side;
- that a node contains no radial state, only by the graph;
- a radial state by its power flow, a sweep in floating point: the only place where rounding enters. With dispatchable
  generators it accepts a radial state by a lower bound only. The limits in the file are 1e-6 wider than those of the
  grid. A state within 1e-8 of such a limit counts neither as keeping nor as violating it: the best state may be one,
  and other such states may have less loss;
- the end of the file, when both sides of every branching are done.

The bound is derived in `openpoint.verify.bound`, that by paths in `openpoint.verify.paths`; the head is checked in
`openpoint.verify.claim`. Under many futures a node has a bound for each of them, and their measure is the bound
(`openpoint.verify.futures`).
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import numpy as np

from openpoint.arrays import Complexes, Floats, States
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.device_tables import build_devices, build_prices, build_supply
from openpoint.network.devices import Devices
from openpoint.verify.bound import Exact
from openpoint.verify.claim import EXACT, Asked, Claim
from openpoint.verify.data import NOTHING as NO_DEVICES
from openpoint.verify.devices import Span, running
from openpoint.verify.fixed_point import fixed_point
from openpoint.verify.futures import FuturesBounds
from openpoint.verify.multipliers import Multipliers
from openpoint.verify.objective import Objective, least_losses
from openpoint.verify.path_lines import PathLines
from openpoint.verify.verified import CertificateError, Verified
from openpoint.verify.wires import CLOSED, FREE, OPEN

UNREADABLE = EOFError, gzip.BadGzipFile, zlib.error
"""Errors of a file that is no archive, or a damaged one."""
BUFFER = 1 << 16
"""Bytes that are unpacked at a time."""


def verify(
    grid: Grid,
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    futures: tuple[Complexes, Floats] | None = None,
    workers: int = 1,
) -> Verified:
    """Check a certificate against a grid.

    Args:
        progress: called with the number of lines checked and their total number.
        futures: (K, N) demand of constant power in kVA and (K) probabilities; those in the file are compared with them.
        workers: processes that share the bounds of the file; under many futures there is one.

    Raises:
        InputError: the grid has faults. OSError: the file cannot be read.
        CertificateError: the file is no certificate of this grid, is damaged, or a step in it does not hold.
    """
    network = build_network(grid)
    if not network.is_balanced:
        return verify_network(network, path, progress)
    supply, cost = build_supply(grid, network), least_losses(network).cost
    if not grid.sources["price_usd_per_kwh"].null_count():
        cost = build_prices(grid, network)
    devices = build_devices(grid, network)
    known = None if futures is None else (futures[0] / network.s_base_kva, futures[1])
    return verify_network(network, path, progress, devices=devices, objective=Objective(cost, supply), futures=known)


def verify_network(
    network: Network,
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    devices: Devices = NO_DEVICES,
    objective: Objective | None = None,
    futures: tuple[Complexes, Floats] | None = None,
    workers: int = 1,
) -> Verified:
    """Check a certificate against a network, which has its `devices` at today's positions; otherwise as `verify`.

    `objective`: the prices and limits of supply of the grid, with which those in the file are compared. `futures`: the
    same, with demands per unit.
    """
    check = partial(_checked, network, path, devices, Asked(objective, futures))
    if workers == 1 or _has_futures(path):
        return check((0, 1), progress)
    with ProcessPoolExecutor(workers - 1, get_context("spawn")) as pool:
        others = [pool.submit(check, (k, workers)) for k in range(1, workers)]
        with suppress(CertificateError):
            found = check((0, workers), progress)
            for other in others:
                other.result()
            return found
    return check((0, 1), progress)  # refused: the words are those of one process


def _has_futures(path: Path | str) -> bool:
    """Whether a file is a certificate of many futures; whatever is wrong with it is found later."""
    try:
        with gzip.open(path) as file:
            return "futures" in json.loads(file.readline())
    except (*UNREADABLE, OSError, TypeError, ValueError):
        return False


def _checked(
    network: Network,
    path: Path | str,
    devices: Devices,
    asked: Asked,
    part: tuple[int, int],
    progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """Check a file, of its bounds those of a part: (k, n) every n-th from k on."""
    proof = None
    try:
        with gzip.open(path) as unpacked, io.BufferedReader(unpacked, BUFFER) as file:
            head = json.loads(file.readline())
            proof = _Proof(Claim(network, devices, head, asked, file), part)
            while text := file.readline():
                proof.lines += 1
                proof.step(json.loads(text), file)
                if progress is not None:
                    progress(proof.lines, proof.claim.declared)
            return proof.end()
    except CertificateError as error:
        raise CertificateError(f"{path}: refused at {_where(proof)}: {error}") from None
    except gzip.BadGzipFile as error:
        if proof is None:
            raise CertificateError(f"{path}: this is no certificate. Give the file of --certificate") from error
        raise CertificateError(f"{path}: damaged or cut off at {_where(proof)} ({error!r}). Write it again") from error
    except (*UNREADABLE, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        what = f"damaged or cut off at {_where(proof)} ({error!r})"
        raise CertificateError(f"{path}: {what}. Write it again") from error


def _where(proof: _Proof | None) -> str:
    return f"line {proof.lines + 1}, node {proof.node}" if proof is not None and proof.lines else "head"


@dataclass
class _State:
    """What is known at a node.

    Attributes:
        status: of the branches. spans: positions that each device may have. values: by future a bound of its loss.
        closings: branches that cannot be open, to be closed together. opened: by branch that may not be, bounds of
            futures with it open. ways: states that paths may have (`openpoint.verify.path_node`); None: any.
        alive: whether a radial state is left.
    """

    status: States
    spans: list[Span]
    values: dict[int, int]
    closings: list[int]
    opened: dict[int, dict[int, int]]
    ways: States | None = None
    alive: bool = True

    def beside(self, status: States, spans: list[Span], values: dict[int, int]) -> _State:
        """The other side of a branching."""
        return _State(status, spans, values, [], {}, None if self.ways is None else self.ways.copy())


class _Proof:
    """The state of a check: the current node, and the open sides still to be checked."""

    def __init__(self, claim: Claim, part: tuple[int, int]) -> None:
        """`part`: (k, n) of the bounds for one demand only every n-th is worked out, from k on."""
        self.claim, self.graph, self.part = claim, claim.graph, part
        self.lines, self.node, self.bounds, self.judged, self.by_paths = 0, 1, 0, 0, 0
        net, data, goal = claim.net, claim.data(), claim.goal
        self.exact = Exact(data, self.graph, goal, claim.places)
        self.fixed_point, self.futures = None, None
        if claim.futures is None:
            self.fixed_point = fixed_point(data, self.graph, goal, claim.places)
        else:
            self.futures = FuturesBounds(data, self.graph, goal, claim.places, claim.futures)
        self.base = self._base(claim.base)
        self.waiting: dict[int, _State] = {}
        self.multipliers = Multipliers(net.n_terminals)
        status = np.where(net.terminal_fr == net.terminal_to, OPEN, FREE).astype(np.int8)
        for state in (OPEN, CLOSED):
            status[claim.locked[state]] = state
        self.first = status.copy()
        self.state: _State | None = None
        self._enter(_State(status, claim.places.whole, {}, [], {}))
        self.node = 1

    def _base(self, given: list[int | None]) -> list[int]:
        """By bus what its multiplier of active power is given in addition to: the price of a source, or 0."""
        prices, sources = self.exact.prices, self.claim.places.sources
        own = dict(zip(sources, prices, strict=True))
        if len(given) != self.graph.n or any(s is not None and s not in range(len(prices)) for s in given):
            raise CertificateError("the sources whose prices multipliers are given beside are none of the grid")
        return [own.get(bus, 0 if s is None else prices[s]) for bus, s in enumerate(given)]

    def step(self, line: list[Any], file: IO[bytes]) -> None:
        """Check one line of the file, which is read up to its end, and what belongs to it after that."""
        word, *rest = line
        if (self.state is None) != (word == "from"):
            raise CertificateError(f"'{word}' where a node {'is done' if self.state is None else 'is not'}")
        if word == "from":
            if rest[0] not in self.waiting:
                raise CertificateError(f"node {rest[0]} has no open side left")
            self._enter(self.waiting.pop(rest[0]))
            return
        assert self.state is not None
        here = self.state
        if not here.alive and word != "none":
            raise CertificateError("no radial state is left here, and the line says otherwise")
        if word in ("probe", "split") and not self._is_free(rest[0]):
            raise CertificateError(f"there is no branch {rest[0]}, or it is decided already")
        if word == "none" and not here.alive:
            self.state = None
        elif word == "split":
            other = here.status.copy()
            other[rest[0]] = OPEN
            here.status[rest[0]] = CLOSED
            values = here.values | here.opened.get(rest[0], {})
            self.waiting[self.node] = here.beside(other, here.spans, values)
            self._enter(here)
        elif word == "step":
            nearer, farther = self._divided(*rest)
            self.waiting[self.node] = here.beside(here.status.copy(), farther, dict(here.values))
            here.spans = nearer
            self._enter(here)
        elif word == "apply":
            here.status[here.closings] = CLOSED
            here.closings, here.opened, here.alive = [], {}, self.graph.consequences(here.status)
        elif word == "judged" and not np.any(here.status == FREE) and (only := self._only()) is not None:
            self._judge(*only)
        elif not (self._step_one(word, rest, file) if self.futures is None else self._step_many(word, rest, file)):
            raise CertificateError(f"'{word}' does not hold here")

    def _step_one(self, word: str, rest: list[Any], file: IO[bytes]) -> bool:
        """A line with a bound for one demand; whether it is one."""
        assert self.state is not None
        if word == "bound":
            self._bounded(self.state.status, rest, file)
            self.state = None
        elif word == "paths":
            self._bounded_by_paths(rest, file)
        elif word == "probe":
            self._bounded(self._with_open(rest[0]), rest[1:], file)
            self.state.closings.append(rest[0])
        return word in ("bound", "paths", "probe")

    def _step_many(self, word: str, rest: list[Any], file: IO[bytes]) -> bool:
        """A line with a bound under many futures; whether it is one."""
        here, futures = self.state, self.futures
        assert here is not None and futures is not None
        if word == "future":
            k, branch, *given = rest
            if k not in range(len(futures.multipliers)) or not (branch == -1 or self._is_free(branch)):
                raise CertificateError(f"there is no future {k}, or branch {branch} is decided already")
            futures.multipliers[k].read(given, file)
            self.bounds += 1
            known = here.values if branch == -1 else here.opened.setdefault(branch, {})
            found = futures.bound(k, here.status if branch == -1 else self._with_open(branch))
            known[k] = max([found, *(values[k] for values in (known, here.values) if k in values)])
        elif word in ("bound", "probe"):
            values = here.values if word == "bound" else here.values | here.opened.get(rest[0], {})
            if not futures.reached(values):
                raise CertificateError("the bounds of the futures do not reach the bound claimed")
            if word == "bound":
                self.state = None
            else:
                here.closings.append(rest[0])
        return word in ("future", "bound", "probe")

    def _is_free(self, branch: Any) -> bool:
        assert self.state is not None
        status = self.state.status
        return branch in range(len(status)) and bool(status[branch] == FREE)

    def _with_open(self, branch: int) -> States:
        assert self.state is not None
        status = self.state.status.copy()
        status[branch] = OPEN
        return status

    def _judge(self, positions: list[int], outputs: Complexes) -> None:
        """Accept a radial state that misses a limit or is worth at least what is claimed."""
        assert self.state is not None
        claim = self.claim
        self.judged += 1
        found = claim.worth(self.state.status.tolist(), positions, outputs, -EXACT)
        if not math.isfinite(found.value) or (found.kept and found.value < claim.bound - EXACT * claim.size):
            raise CertificateError("a radial state has no power flow, or keeps the limits and loses too little")
        self.state = None

    def _divided(self, d: int, k: int, side: int) -> tuple[list[Span], list[Span]]:
        """The intervals of the node that follows and of the one that waits: a device is split after position k."""
        assert self.state is not None
        spans = self.state.spans
        if d not in range(len(spans)) or side not in (0, 1) or not spans[d][0] <= k < spans[d][1]:
            raise CertificateError(f"device {d} cannot be split after position {k} with side {side}")
        first, last = spans[d]
        parts = (first, k), (k + 1, last)
        sides = [[*spans[:d], part, *spans[d + 1 :]] for part in parts]
        return sides[side], sides[1 - side]

    def _only(self) -> tuple[list[int], Complexes] | None:
        """The positions of the devices and the outputs of the generators; None if there is any choice."""
        assert self.state is not None
        if any(first < last for first, last in self.state.spans):
            return None
        claim, positions = self.claim, [first for first, _ in self.state.spans]
        on = running(claim.net, claim.devices, positions)
        if np.any(on & claim.ranged):
            return None
        return positions, np.where(on, claim.net.p_max + 1j * claim.net.q_max, 0.0)

    def _enter(self, state: _State) -> None:
        self.node += 1
        self.state = state
        state.closings, state.opened, state.alive = [], {}, self.graph.consequences(state.status)

    def _bounded(self, status: States, line: list[Any], file: IO[bytes]) -> None:
        """Check that no state with these states of the branches has a value below the claimed bound."""
        given = self.multipliers
        given.read(line, file)
        self.bounds += 1
        rank, count = self.part
        if self.bounds % count != rank:
            return
        if self.fixed_point is not None and self.fixed_point.reached(status, given):
            return
        assert self.state is not None
        up = self.exact.coarse - given.bits
        y = [(k << up) + price for k, price in zip(given.y.tolist(), self.base, strict=True)]
        mu, states = [k << up for k in given.mu.tolist()], status.tolist()
        orders = self.graph.directed(states, set(given.tops), y)
        if not self.exact.reached(states, orders, y, mu, given.phi, given.near, self.state.spans):
            raise CertificateError("the bound of these multipliers does not reach the bound claimed")

    def _bounded_by_paths(self, line: list[Any], file: IO[bytes]) -> None:
        """Take out of the node what has no state below the claimed bound by its paths, which may be all of it."""
        here, lines = self.state, self.path_lines
        assert here is not None
        self.bounds += 1
        self.by_paths += 1
        here.ways = lines.nodes.table.may.copy() if here.ways is None else here.ways
        if lines.take_out(line, file, here.status, here.ways):
            self.state = None
        else:
            here.alive = self.graph.consequences(here.status)

    @cached_property
    def path_lines(self) -> PathLines:
        """Made where there are any."""
        return PathLines(self.claim, self.first)

    def end(self) -> Verified:
        """The result, after the last line."""
        if self.state is not None or self.waiting or self.lines != self.claim.declared:
            raise CertificateError(f"the file ends with nodes left, or has not {self.claim.declared} lines")
        return self.claim.proven(self.node, self.bounds, self.judged, self.by_paths)
