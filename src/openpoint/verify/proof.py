"""Check a certificate of `openpoint reconfigure --certificate` without the code that wrote it.

A certificate (docs/formats.md) claims that every radial state of the grid that keeps the locks and limits in the file
has an objective value (loss plus cost of changes) of at least `bound`, and contains a state with the value `value`.
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

**The bound.** For a branch from i to j with p + jq and squared current l behind a ratio at i, w = |v|², κ = 1 / tap² at
the from bus and 1 at the other: l κ_i w_i = p² + q² and κ_j w_j = κ_i w_i − 2 (r p + x q) + |z|² l where it is closed,
all zero where open; at every bus without source what arrives less its loss is what is drawn and passed on, (g − jb) κ w
at each end of a closed branch in it. Add these balances, times y and μ (0 at sources), and the voltage laws of the
closed branches, times ν, to the loss Σ r l + Σ g κ w; all added is zero, so for every state

    loss = Σ (P y + Q μ) + Σ [ρ l + α p + β q] + (terms in w)
    α = y_i − y_j + 2 r ν    β = μ_i − μ_j + 2 x ν    ρ = r (1 + y_j) + x μ_j − |z|² ν

1. The bracket is at least −κ_i w_i (α² + β²) / 4ρ if ρ > 0 (0 if all vanish). Since σ (l_max − l) >= 0 for any σ >= 0,
   ρ may be replaced by ρ + σ if σ l_max is subtracted.
2. Closed branches form trees, each is directed away from a source or any bus; undecided ones (ν = 0) may be directed at
   will, and as they add nothing if open, what each takes per w_i and w_j counts if it is positive. A price c of
   closing lessens it: min(0, c − h w) >= −max(0, h − c / w_max) w on [0, w_max]. A line open at one end only
   takes (g° − jb°) w there, g° w lost: what an undecided one takes per w is the larger of what both states take.
3. Let A_j collect what is taken per w_j. Leaves first, κ_j ν = A_j + φ_j leaves φ_j w_j at a bus with a branch above;
   −A_j w_j stays at a root. A larger A_j or ν is always a lower bound, hence the rounding. For w take the limit, or
   what no state exceeds (`openpoint.verify.caps`), that makes it least.
4. A load of constant current adds c √w, c = y p + μ q: at least c times a line below √w between the limits if c > 0,
   else c times a tangent. Where P + s may be drawn with 0 <= s <= S, y (P + s) >= y P + S min(0, y).

With C branches closed today of which n must be, one for each bus without source, k closings are C − n + 2 k changes.
"""

from __future__ import annotations

import gzip
import json
import math
import zlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.arrays import Complexes
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.device_tables import build_devices
from openpoint.network.devices import Devices, with_positions
from openpoint.verify.bound import COARSE, Exact
from openpoint.verify.caps import caps
from openpoint.verify.data import NOTHING as NO_DEVICES
from openpoint.verify.data import read
from openpoint.verify.devices import Places, Span, running, within, without
from openpoint.verify.flow import flow
from openpoint.verify.graph import CLOSED, FREE, OPEN, Graph
from openpoint.verify.subject import as_meant, with_locks
from openpoint.verify.verified import CertificateError, Verified

FORMAT, FORMAT_WITH_DEVICES = "openpoint certificate 2", "openpoint certificate 3"
EXACT = 1e-8
"""Relative tolerance of the loss and limits of a radial state by a power flow in floating point."""
NOTHING = 1e-12
"""A loss per unit below which gaps are relative to this."""
SLACK = 3e-6
"""Relative tolerance of limits of squares (1e-6 of a voltage or current counts as kept)."""


def verify(grid: Grid, path: Path | str, progress: Callable[[int, int], None] | None = None) -> Verified:
    """Check a certificate against a grid.

    Args:
        progress: called with the number of lines checked and their total number.

    Raises:
        InputError: the grid has faults. OSError: the file cannot be read.
        CertificateError: the file is no certificate of this grid, is damaged, or a step in it does not hold.
    """
    network = build_network(grid)
    devices = build_devices(grid, network) if network.is_balanced else NO_DEVICES
    return verify_network(network, path, progress, devices=devices)


def verify_network(
    network: Network,
    path: Path | str,
    progress: Callable[[int, int], None] | None = None,
    *,
    devices: Devices = NO_DEVICES,
) -> Verified:
    """Check a certificate against a network, which has its `devices` at today's positions; otherwise as `verify`."""
    proof = None
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            proof = _Proof(network, devices, json.loads(file.readline()))
            for text in file:
                proof.lines += 1
                proof.step(json.loads(text))
                if progress is not None:
                    progress(proof.lines, proof.declared)
            return proof.end()
    except CertificateError as error:
        raise CertificateError(f"{path}: refused at {_where(proof)}: {error}") from None
    except (EOFError, gzip.BadGzipFile, zlib.error, ArithmeticError, LookupError, TypeError, ValueError) as error:
        what = f"damaged or cut off at {_where(proof)} ({error!r})"
        raise CertificateError(f"{path}: {what}. Write it again") from error


def _where(proof: _Proof | None) -> str:
    return f"line {proof.lines + 1}, node {proof.node}" if proof is not None and proof.lines else "head"


class _Proof:
    """The state of a check: the current node, and the open sides still to be checked."""

    def __init__(self, net: Network, devices: Devices, head: Any) -> None:
        net = with_locks(net, head)
        self.lines, self.node, self.bounds, self.judged = 0, 1, 0, 0
        form, names = (head.get("format"), head.get("devices", [])) if isinstance(head, dict) else (None, [])
        if form != (expected := FORMAT_WITH_DEVICES if names else FORMAT):
            raise CertificateError(f"its form is '{form}', not '{expected}': write it again with this version")
        if not net.is_balanced:
            raise CertificateError("certificates do not cover several phases, which this grid has")
        self.declared = int(head["lines"])
        net, free, self.held = as_meant(net, devices, names, head["digest"])
        self.net = net
        self.devices, self.places, self.others = free, Places(net, free), without(devices, free)
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
        inner = ~np.isin(net.generator_terminal, net.source_terminal)
        self.ranged = inner & ((net.p_min < net.p_max) | (net.q_min < net.q_max))
        # The number of closings determines that of changes: see the module.
        self.unavoidable = int(net.closed.sum()) - (net.n_terminals - len(self.source))
        self.graph = Graph(
            *(net.n_terminals, net.terminal_fr.tolist(), net.terminal_to.tolist(), set(self.source)),
            set(np.flatnonzero(~net.closed).tolist()),
            math.inf if self.most is None else (self.most - self.unavoidable) / 2,
        )
        name = {branch: e for e, branch in enumerate(net.branch_names)}
        self.locked = [name[n] for n in head["locked_open"]], [name[n] for n in head["locked_closed"]]
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
        value, kept = self.worth(self.best, self.positions, self.generation)
        if not (kept and abs(value - self.value) <= EXACT * abs(self.value)):
            raise CertificateError(f"the best state loses {value} per unit and not {self.value}, or misses the limits")
        self.exact = self._exact()
        self.waiting: dict[int, tuple[list[int], list[Span]]] = {}
        status: list[int] = [OPEN if a == b else FREE for a, b in zip(self.graph.fr, self.graph.to, strict=True)]
        for state in (OPEN, CLOSED):
            for e in self.locked[state]:
                status[e] = state
        self.y, self.mu, self.bits = [0] * net.n_terminals, [0] * net.n_terminals, 0
        self.status: list[int] | None = status
        self.spans = self.places.whole
        self.closings: list[int] = []
        self.alive = self.graph.consequences(status)

    def _gap(self) -> float:
        return (self.value - self.bound) / max(abs(self.value), NOTHING)

    def _exact(self) -> Exact:
        """The bound, with the voltage limits or upper bounds of the voltages of states better than the best one."""
        data, places = read(self.net, self.l_max, Fraction(self.price), self.devices), self.places
        squares = ((bus, Fraction(v.real) ** 2 + Fraction(v.imag) ** 2) for bus, v in self.source.items())
        held = {bus: (square, square) for bus, square in squares} | places.squares_of(data)
        usable = [e for e in range(len(self.graph.fr)) if e not in self.locked[OPEN]]
        top = max(high for _, high in held.values())
        tops = caps(places.highest(data), self.graph, usable, Fraction(self.value), top)
        w_max = [min(cap, limit) for cap, limit in zip(tops, self.w_max, strict=True)]
        if math.inf in w_max:
            raise CertificateError(f"nothing bounds the voltage at bus {self.net.bus_names[w_max.index(math.inf)]}")
        ranges = [
            held.get(bus, (Fraction(low), Fraction(high))) for bus, (low, high) in enumerate(zip(self.w_min, w_max))
        ]
        goal = Fraction(self.bound) - Fraction(self.price) * self.unavoidable
        data = replace(data, w_min=[low for low, _ in ranges], w_max=[high for _, high in ranges])
        return Exact(data, self.graph, goal, places)

    def step(self, line: list[Any]) -> None:
        """Check one line of the file."""
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
        if word in ("probe", "split") and status[rest[0]] != FREE:
            raise CertificateError(f"branch {rest[0]} is decided already")
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
            self._bounded(status, rest[1:])
            status[rest[0]] = FREE
            self.closings.append(rest[0])
        elif word == "apply":
            for e in self.closings:
                status[e] = CLOSED
            self.closings = []
            self.alive = self.graph.consequences(status)
        elif word == "none" and not self.alive:
            self.status = None
        elif word == "bound":
            self._bounded(status, rest)
            self.status = None
        elif word == "judged" and FREE not in status and (state := self._only()) is not None:
            self.judged += 1
            value, kept = self.worth(status, *state, -EXACT)
            if not math.isfinite(value) or (kept and value < self.bound - EXACT * abs(self.bound)):
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

    def _enter(self, status: list[int], spans: list[Span]) -> None:
        self.node += 1
        self.status, self.spans, self.closings = status, spans, []
        self.alive = self.graph.consequences(status)

    def _bounded(self, status: list[int], given: list[Any]) -> None:
        """Check that no state with these states of the branches has a value below the claimed bound."""
        bits, tops, phi, near, *changes = given
        if not 0 <= bits <= COARSE or any(bus not in range(self.net.n_terminals) for bus in tops):
            raise CertificateError(f"multipliers of {bits} binary digits, roots at {tops}")
        shift = bits - self.bits
        for mine, change in zip((self.y, self.mu), changes, strict=True):
            for bus, (old, new) in enumerate(zip(mine, change, strict=True)):
                mine[bus] = (old << shift if shift >= 0 else old >> -shift) + int(new)
        self.bits = bits
        up = COARSE - bits
        orders = self.graph.directed(status, set(tops), self.y)
        y, mu = [k << up for k in self.y], [k << up for k in self.mu]
        self.bounds += 1
        at_limits, at_voltages = ({int(bus): int(k) for bus, k in pairs} for pairs in (phi, near))
        if not self.exact.reached(status, orders, y, mu, at_limits, at_voltages, self.spans):
            raise CertificateError("the bound of these multipliers does not reach the bound claimed")

    def worth(
        self, status: list[int], positions: list[int], generation: Complexes, beyond: float = EXACT
    ) -> tuple[float, bool]:
        """Loss plus cost of changes of a radial state, inf without a power flow solution; whether it keeps the limits.

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
        loss, w, l = flow(placed, order, generation)
        kept = all(
            self.w_min[bus] * (1 - beyond) <= square <= self.w_max[bus] * (1 + beyond)
            for bus, square in w.items()
            if bus not in self.source
        ) and all(square <= self.l_max[e] * (1 + beyond) for e, square in l.items())
        return loss + self.price * int(np.sum(np.array(status) != net.closed)), kept

    def _limits(self) -> str:
        """Text that describes the limits."""
        net, rated = self.net, min(self.l_max, default=math.inf) < math.inf
        inner = [bus for bus in range(net.n_terminals) if bus not in self.source]
        pairs = [(self.w_min[b], net.w_min[b]) for b in inner] + [(net.w_max[b], self.w_max[b]) for b in inner]
        ranges = {(self.w_min[b], self.w_max[b]) for b in inner}
        if _same(pairs):
            words = ["the voltage limits of the grid"]
        elif len(ranges) > 1:
            words = ["the voltage limits in the file (not those of the grid)"]
        else:
            low, high = map(math.sqrt, ranges.pop())
            words = [f"voltages of {low:.4f} to {high:.4f} pu (not the limits of the grid)"]
        if not _same(zip(net.l_max, self.l_max, strict=True)):
            words.append("current limits of the file (not of the grid)" if rated else "current limits left out")
        elif rated:
            words.append("its current limits" if _same(pairs) else "the current limits of the grid")
        words += [self.held] if self.held else []
        words += ["outputs within their ranges"] if self.ranged.any() else []
        words += ["lines open at the ends that the grid names"] if net.hangs.any() else []
        words += [] if self.most is None else [f"at most {self.most} changes"]
        return ", ".join(words) + ("," if len(words) > 1 else "")

    def end(self) -> Verified:
        """The result, after the last line."""
        if self.status is not None or self.waiting or self.lines != self.declared:
            raise CertificateError(f"the file ends with nodes left, or has not {self.declared} lines")
        net = self.net
        given = [tuple(net.branch_names[e] for e in self.locked[s] if net.switchable[e]) for s in (OPEN, CLOSED)]
        return Verified(
            loss_kw=(self.value - self.price * self.changes) * net.s_base_kva,
            value_kw=self.value * net.s_base_kva,
            bound_kw=self.bound * net.s_base_kva,
            gap=self._gap(),
            open_branches=tuple(n for n, s in zip(net.branch_names, self.best, strict=True) if s == OPEN),
            changes=self.changes,
            nodes=self.node,
            bounds=self.bounds,
            judged=self.judged,
            given=(given[OPEN], given[CLOSED]),
            held=self.others,
            change_cost_kw=self.price * net.s_base_kva,
            positions=tuple(zip(self.devices.names, (self.devices.first + self.positions).tolist(), strict=True)),
            limits=self._limits(),
        )


def _same(pairs: Iterable[tuple[float, float]]) -> bool:
    """Whether limits equal those of the grid within the tolerance; pairs of the lower and the higher value."""
    return all(low <= high <= low * (1.0 + SLACK) for low, high in pairs)
