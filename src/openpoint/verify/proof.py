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

The bound is derived in `openpoint.verify.bound`. With C branches closed today of which n must be, one for each bus
without source, k closings are C − n + 2 k changes.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import zlib
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from openpoint.arrays import Complexes, States
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.device_tables import build_devices, build_prices, build_supply
from openpoint.network.devices import Devices, with_positions
from openpoint.network.stations import open_held_meshes
from openpoint.verify.bound import Exact
from openpoint.verify.data import NOTHING as NO_DEVICES
from openpoint.verify.data import read
from openpoint.verify.devices import Places, Span, running, within, without
from openpoint.verify.fixed_point import FixedPoint, fixed_point
from openpoint.verify.flow import flow
from openpoint.verify.graph import Graph
from openpoint.verify.multipliers import Multipliers
from openpoint.verify.objective import Objective, least_losses, objective_of
from openpoint.verify.ranges import greatest_voltages
from openpoint.verify.subject import as_meant, with_locks
from openpoint.verify.verified import CertificateError, Verified
from openpoint.verify.wires import CLOSED, FREE, OPEN
from openpoint.verify.words import limits_in_words, prices_in_words, supply_in_words

FORMAT = "openpoint certificate 5"
EXACT = 1e-8
"""Relative tolerance of the loss and limits of a radial state by a power flow in floating point."""
UNREADABLE = EOFError, gzip.BadGzipFile, zlib.error
"""Errors of a file that is no archive, or a damaged one."""
BUFFER = 1 << 16
"""Bytes that are unpacked at a time."""
NOTHING = 1e-12
"""A loss per unit below which gaps are relative to this."""


def verify(grid: Grid, path: Path | str, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Check a certificate against a grid.

    Args:
        progress: called with the number of lines checked and their total number.

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
    return verify_network(network, path, progress, devices=devices, objective=Objective(cost, supply))


def verify_network(
    network: Network,
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    devices: Devices = NO_DEVICES,
    objective: Objective | None = None,
) -> Verified:
    """Check a certificate against a network, which has its `devices` at today's positions; otherwise as `verify`.

    `objective`: the prices and limits of supply of the grid, with which those in the file are compared.
    """
    proof = None
    try:
        with gzip.open(path) as unpacked, io.BufferedReader(unpacked, BUFFER) as file:
            proof = _Proof(network, devices, json.loads(file.readline()), objective)
            while text := file.readline():
                proof.lines += 1
                proof.step(json.loads(text), file)
                if progress is not None:
                    progress(proof.lines, proof.declared)
            return proof.end()
    except CertificateError as error:
        raise CertificateError(f"{path}: refused at {_where(proof)}: {error}") from None
    except (*UNREADABLE, ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as error:
        what = f"damaged or cut off at {_where(proof)} ({error!r})"
        raise CertificateError(f"{path}: {what}. Write it again") from error


def _where(proof: _Proof | None) -> str:
    return f"line {proof.lines + 1}, node {proof.node}" if proof is not None and proof.lines else "head"


class _Worth(NamedTuple):
    """What a radial state is worth, inf without a power flow solution, its loss, and whether it keeps the limits."""

    value: float
    loss: float
    kept: bool


class _Proof:
    """The state of a check: the current node, and the open sides still to be checked."""

    def __init__(self, net: Network, devices: Devices, head: Any, asked: Objective | None) -> None:
        stations = open_held_meshes(with_locks(net, head))
        net, self.dropped = stations.opened, stations.dropped
        self.lines, self.node, self.bounds, self.judged = 0, 1, 0, 0
        form, names = (head.get("format"), head.get("devices", [])) if isinstance(head, dict) else (None, [])
        if form != FORMAT:
            raise CertificateError(f"its form is '{form}', not '{FORMAT}': write it again with this version")
        if not net.is_balanced:
            raise CertificateError("certificates do not cover several phases, which this grid has")
        self.declared = int(head["lines"])
        net, free, self.held = as_meant(net, devices, names, head["digest"])
        self.net, self.objective, self.asked = net, objective_of(head, net), asked
        self.devices, self.places, self.others = free, Places(net, free, self.objective), without(devices, free)
        self.source = {int(t): complex(v) for t, v in zip(net.source_terminal, net.source_v, strict=True)}
        self.value, self.bound, self.gap = float(head["value"]), float(head["bound"]), float(head["gap"])
        if not (self.bound <= self.value < math.inf and self._gap() <= self.gap * (1 + 1e-9)):
            raise CertificateError(f"value {self.value} and bound {self.bound} are not within the gap {self.gap}")
        names = ("least_squared_voltage", "greatest_squared_voltage", "greatest_squared_current")
        limits = [[math.inf if limit is None else float(limit) for limit in head[name]] for name in names]
        self.w_min, self.w_max, self.l_max = limits
        self.price, most = float(head["change_cost"]), head["max_changes"]
        self.most = None if most is None else int(most)
        if not all(limit >= 0.0 for limit in [*self.w_min, *self.w_max, *self.l_max, self.price]):
            raise CertificateError("a limit or the price of a change is negative, or no number")
        # The output of a generator at the bus of a source changes no loss.
        counts = ~np.isin(net.generator_terminal, net.source_terminal)
        counts[self.objective.alone(net, NO_DEVICES)] = True
        counts |= self.objective.sources_count
        self.ranged = counts & ((net.p_min < net.p_max) | (net.q_min < net.q_max))
        # The number of closings determines that of changes: see the module.
        self.unavoidable = int(net.closed.sum()) - (net.n_terminals - len(self.source))
        self.graph = Graph(
            *(net.n_terminals, net.terminal_fr.tolist(), net.terminal_to.tolist(), set(self.source)),
            set(np.flatnonzero(~net.closed).tolist()),
            math.inf if self.most is None else (self.most - self.unavoidable) / 2,
        )
        name = {branch: e for e, branch in enumerate(net.branch_names)}
        fixed_open = np.flatnonzero(~net.switchable & ~net.closed).tolist()
        named_open = [name[n] for n in head["locked_open"]]
        self.locked = list(dict.fromkeys([*named_open, *fixed_open])), [name[n] for n in head["locked_closed"]]
        self._read_best(head, name)
        self.exact, self.fixed_point = self._bounds()
        self.base = self._base(head.get("base", [None] * net.n_terminals))
        self.waiting: dict[int, tuple[States, list[Span]]] = {}
        status = np.where(net.terminal_fr == net.terminal_to, OPEN, FREE).astype(np.int8)
        for state in (OPEN, CLOSED):
            status[self.locked[state]] = state
        self.multipliers = Multipliers(net.n_terminals)
        self.status: States | None = status
        self.spans = self.places.whole
        self.closings: list[int] = []
        self.alive = self.graph.consequences(status)

    def _read_best(self, head: dict[str, Any], name: dict[str, int]) -> None:
        """The best state, which is worth what the file says; `name`: numbers of the branches."""
        net, free = self.net, self.devices
        self.best = [CLOSED] * len(name)
        for branch in head["open"]:
            self.best[name[branch]] = OPEN
        if sum(self.best) != len(name) - len(head["open"]):
            raise CertificateError("a branch is named twice among the open ones")
        fixed = [(e, int(net.closed[e])) for e in np.flatnonzero(~net.switchable).tolist()]
        if any(self.best[e] != s for e, s in [*fixed, *((e, s) for s in (OPEN, CLOSED) for e in self.locked[s])]):
            raise CertificateError("the best state does not keep the locks")
        self.positions: list[int] = head.get("positions", [])
        if len(self.positions) != free.count or any(
            k not in range(size) for k, size in zip(self.positions, free.sizes.tolist(), strict=True)
        ):
            raise CertificateError(f"the devices {', '.join(free.names)} have no positions {self.positions}")
        p, q = (np.array(part, dtype=float) for part in head["generation"])
        self.generation = p + 1j * q
        if not within(net, running(net, free, self.positions), self.generation):
            raise CertificateError("an output is not within its range")
        self.changes = int(np.sum(np.array(self.best) != net.closed))
        if self.most is not None and self.changes > self.most:
            raise CertificateError(f"the best state has {self.changes} changes")
        found = self.worth(self.best, self.positions, self.generation)
        if not (found.kept and abs(found.value - self.value) <= EXACT * max(abs(self.value), NOTHING)):
            raise CertificateError(
                f"the best state loses {found.value} per unit and not {self.value}, or misses the limits"
            )
        self.loss = found.loss

    def _gap(self) -> float:
        return (self.value - self.bound) / max(abs(self.value), NOTHING)

    def _bounds(self) -> tuple[Exact, FixedPoint | None]:
        """The bound, with the voltage limits or upper bounds of the voltages of states better than the best one."""
        data, places = read(self.net, self.l_max, Fraction(self.price), self.devices, self.objective), self.places
        usable = [e for e in range(len(self.graph.fr)) if e not in self.locked[OPEN]]
        w_max = greatest_voltages(data, places, self.graph, usable, (self.w_min, self.w_max), Fraction(self.value))
        if math.inf in w_max:
            raise CertificateError(f"nothing bounds the voltage at bus {self.net.bus_names[w_max.index(math.inf)]}")
        ends = [(Fraction(low), Fraction(high)) for low, high in zip(self.w_min, w_max, strict=True)]
        held = places.squares_of(data)
        ranges = [held.get(bus, range_) for bus, range_ in enumerate(ends)]
        goal = Fraction(self.bound) - Fraction(self.price) * self.unavoidable
        data = replace(data, w_min=[low for low, _ in ranges], w_max=[high for _, high in ranges])
        return Exact(data, self.graph, goal, places), fixed_point(data, self.graph, goal, places)

    def _base(self, given: list[int | None]) -> list[int]:
        """By bus what its multiplier of active power is given in addition to: the price of a source, or 0."""
        prices, own = self.exact.prices, dict(zip(self.places.sources, self.exact.prices, strict=True))
        if len(given) != self.net.n_terminals or any(s is not None and s not in range(len(prices)) for s in given):
            raise CertificateError("the sources whose prices multipliers are given beside are none of the grid")
        return [own.get(bus, 0 if s is None else prices[s]) for bus, s in enumerate(given)]

    def step(self, line: list[Any], file: IO[bytes]) -> None:
        """Check one line of the file, which is read up to its end, and what belongs to it after that."""
        word, *rest = line
        if (self.status is None) != (word == "from"):
            raise CertificateError(f"'{word}' where a node {'is done' if self.status is None else 'is not'}")
        if word == "from":
            if rest[0] not in self.waiting:
                raise CertificateError(f"node {rest[0]} has no open side left")
            self._enter(*self.waiting.pop(rest[0]))
            return
        status = self.status
        assert status is not None
        if not self.alive and word != "none":
            raise CertificateError("no radial state is left here, and the line says otherwise")
        if word in ("probe", "split") and (rest[0] not in range(len(status)) or status[rest[0]] != FREE):
            raise CertificateError(f"there is no branch {rest[0]}, or it is decided already")
        if word == "split":
            other = status.copy()
            other[rest[0]], status[rest[0]] = OPEN, CLOSED
            self.waiting[self.node] = other, self.spans
            self._enter(status, self.spans)
        elif word == "step":
            nearer, farther = self._divided(*rest)
            self.waiting[self.node] = status.copy(), farther
            self._enter(status, nearer)
        elif word == "probe":
            status[rest[0]] = OPEN
            self._bounded(status, rest[1:], file)
            status[rest[0]] = FREE
            self.closings.append(rest[0])
        elif word == "apply":
            status[self.closings] = CLOSED
            self.closings = []
            self.alive = self.graph.consequences(status)
        elif word == "none" and not self.alive:
            self.status = None
        elif word == "bound":
            self._bounded(status, rest, file)
            self.status = None
        elif word == "judged" and not np.any(status == FREE) and (state := self._only()) is not None:
            self.judged += 1
            found = self.worth(status.tolist(), *state, -EXACT)
            if not math.isfinite(found.value) or (found.kept and found.value < self.bound - EXACT * abs(self.bound)):
                raise CertificateError("a radial state has no power flow, or keeps the limits and loses too little")
            self.status = None
        else:
            raise CertificateError(f"'{word}' does not hold here")

    def _divided(self, d: int, k: int, side: int) -> tuple[list[Span], list[Span]]:
        """The intervals of the node that follows and of the one that waits: a device is split after position k."""
        if d not in range(len(self.spans)) or side not in (0, 1) or not self.spans[d][0] <= k < self.spans[d][1]:
            raise CertificateError(f"device {d} cannot be split after position {k} with side {side}")
        first, last = self.spans[d]
        parts = (first, k), (k + 1, last)
        sides = [[*self.spans[:d], part, *self.spans[d + 1 :]] for part in parts]
        return sides[side], sides[1 - side]

    def _only(self) -> tuple[list[int], Complexes] | None:
        """The positions of the devices and the outputs of the generators; None if there is any choice."""
        if any(first < last for first, last in self.spans):
            return None
        net, positions = self.net, [first for first, _ in self.spans]
        on = running(net, self.devices, positions)
        if np.any(on & self.ranged):
            return None
        return positions, np.where(on, net.p_max + 1j * net.q_max, 0.0)

    def _enter(self, status: States, spans: list[Span]) -> None:
        self.node += 1
        self.status, self.spans, self.closings = status, spans, []
        self.alive = self.graph.consequences(status)

    def _bounded(self, status: States, line: list[Any], file: IO[bytes]) -> None:
        """Check that no state with these states of the branches has a value below the claimed bound."""
        given = self.multipliers
        given.read(line, file)
        self.bounds += 1
        if self.fixed_point is not None and self.fixed_point.reached(status, given):
            return
        up = self.exact.coarse - given.bits
        y = [(k << up) + price for k, price in zip(given.y.tolist(), self.base, strict=True)]
        mu, states = [k << up for k in given.mu.tolist()], status.tolist()
        orders = self.graph.directed(states, set(given.tops), y)
        if not self.exact.reached(states, orders, y, mu, given.phi, given.near, self.spans):
            raise CertificateError("the bound of these multipliers does not reach the bound claimed")

    def worth(self, status: list[int], positions: list[int], generation: Complexes, beyond: float = EXACT) -> _Worth:
        """A radial state, evaluated by power flow.

        Args:
            positions: of the devices. generation: (G).
            beyond: share of a limit by which a value may exceed it; < 0: by which it must stay below.
        """
        net, order = self.net, self.graph.directed(status, set(), [0] * self.net.n_terminals)
        if status.count(CLOSED) + len(self.source) != net.n_terminals or any(
            above < 0 and bus not in self.source for bus, above, _ in order
        ):
            raise CertificateError("a state that should be radial is not")
        placed = with_positions(net, self.devices, np.array(positions)) if positions else net
        loss, w, l, delivered = flow(placed, order, generation)
        if math.isinf(loss):
            return _Worth(loss, loss, False)
        on, moved = running(net, self.devices, positions), sum(a != b for a, b in zip(positions, self.places.today))
        source = np.array([delivered[bus] for bus in self.places.sources])
        fed = np.where(on, generation, 0.0)
        kept = all(
            self.w_min[bus] * (1 - beyond) <= square <= self.w_max[bus] * (1 + beyond)
            for bus, square in w.items()
            if bus not in self.source
        ) and all(square <= self.l_max[e] * (1 + beyond) for e, square in l.items())
        kept = kept and self.objective.keeps(source, fed, beyond, EXACT)
        cost = self.objective.of_state(loss, source, fed, on, l, moved)
        return _Worth(cost + self.price * int(np.sum(np.array(status) != net.closed)), loss, kept)

    def _opened(self) -> tuple[str, ...]:
        """Names of the branches that are open in the best state."""
        rows = zip(self.net.branch_names, self.best, self.dropped.tolist(), strict=True)
        return tuple(name for name, state, stays in rows if state == OPEN and not stays)

    def end(self) -> Verified:
        """The result, after the last line."""
        if self.status is not None or self.waiting or self.lines != self.declared:
            raise CertificateError(f"the file ends with nodes left, or has not {self.declared} lines")
        net, plain = self.net, self.objective.by_loss
        limits = limits_in_words(net, set(self.source), self.w_min, self.w_max, self.l_max)
        if self.objective.supply_given or (self.asked is not None and self.asked.supply_given):
            limits.append(supply_in_words(self.objective, self.asked))
        limits += [self.held] if self.held else []
        limits += ["outputs within their ranges"] if self.ranged.any() else []
        limits += ["lines open at the ends that the grid names"] if net.hangs.any() else []
        limits += [] if self.most is None else [f"at most {self.most} changes"]
        given = [tuple(net.branch_names[e] for e in self.locked[s] if net.switchable[e]) for s in (OPEN, CLOSED)]
        return Verified(
            loss_kw=(self.value - self.price * self.changes if plain else self.loss) * net.s_base_kva,
            value_kw=self.value * net.s_base_kva,
            bound_kw=self.bound * net.s_base_kva,
            gap=self._gap(),
            open_branches=self._opened(),
            changes=self.changes,
            nodes=self.node,
            bounds=self.bounds,
            judged=self.judged,
            given=(given[OPEN], given[CLOSED]),
            held=self.others,
            change_cost_kw=self.price * net.s_base_kva,
            positions=tuple(zip(self.devices.names, (self.devices.first + self.positions).tolist(), strict=True)),
            limits=", ".join(limits) + ("," if len(limits) > 1 else ""),
            prices="" if plain else prices_in_words(self.objective, self.asked, net.s_base_kva),
        )
