"""Check a certificate of `openpoint reconfigure --certificate` without the code that wrote it.

A certificate (docs/formats.md) claims that no radial state of the grid, with its locks and voltage limits, loses less
than `bound`, and shows one that loses `value`. Its lines lead through a tree of branchings. The checker keeps the
states of the branches itself, draws the graph's consequences with its own search for loops and bridges, and accepts

- that a branch cannot be open, or that nothing is left at a node, only by a lower bound of at least `bound`, evaluated
  in integers: data and multipliers are multiples of powers of two, the only divisions are rounded upwards;
- that no radial state is left at a node, only by the graph;
- a radial state as it is by power flow: a sweep in floating point, the only place where rounding enters;
- the end, when every open side of every branching has been closed.

**The bound.** For a branch from i to j with p + jq and squared current l at i, w = |v|²: l w_i = p² + q² and
w_j = w_i − 2 (r p + x q) + |z|² l where it is closed, all zero where open; at every bus without source what arrives
less its loss is what is drawn and passed on. Add these balances, times y and μ (0 at sources), and the voltage laws of
the closed branches, times ν, to the loss Σ r l; all added is zero, so for every state

    loss = Σ (P y + Q μ) + Σ [ρ l + α p + β q] + (terms in w)
    α = y_i − y_j + 2 r ν    β = μ_i − μ_j + 2 x ν    ρ = r (1 + y_j) + x μ_j − |z|² ν

In brackets stands at least −w_i (α² + β²) / 4ρ if ρ > 0 (0 if all vanish). Closed branches form trees, each is directed
away from a source or any bus; undecided ones (ν = 0) may be directed at will, and lose nothing if open. Let A_j collect
what is taken per w_j. Leaves first, ν = A_j + φ_j leaves φ_j w_j at a bus with a branch above; −A_j w_j stays at a
root. A larger A_j is always a lower bound, hence the rounding. For w take the limit that makes it least.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import math
import zlib
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.errors import OpenpointError
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.verify.bound import COARSE, Exact, caps
from openpoint.verify.graph import CLOSED, FREE, OPEN, Graph

FORMAT = "openpoint certificate 1"
EXACT = 1e-8
"""Relative tolerance of what a power flow in floating point says of a radial state."""
SLACK = 3e-6
"""How far limits of voltage squares reach beyond those of the grid (1e-6 of the voltage counts as kept)."""


class CertificateError(OpenpointError):
    """A certificate that is damaged or proves nothing; the message names the line and the node at fault."""


@dataclass(frozen=True)
class Verified:
    """What a certificate proves of a grid.

    Attributes:
        loss_kw: of the best state by power flow. bound_kw: no radial state loses less. gap: between them, relative.
        open_branches: of the best state. nodes, bounds, judged: of the proof: nodes, bounds evaluated, radial states
            left to the power flow. given: (open, closed) branches with a given state although they are switchable.
        limits: in words, what the states keep.
    """

    loss_kw: float
    bound_kw: float
    gap: float
    open_branches: tuple[str, ...]
    nodes: int
    bounds: int
    judged: int
    given: tuple[tuple[str, ...], tuple[str, ...]]
    limits: str

    def __str__(self) -> str:
        words = ("stays open", "stays closed")
        given = [f"{name} {word}" for names, word in zip(self.given, words, strict=True) for name in names]
        where = f" in which {', '.join(given)}" if given else ""
        return (
            f"Verified: no radial state with {self.limits}{where} loses less than {self.bound_kw:.6f} kW; that with "
            f"{', '.join(self.open_branches) or 'nothing'} open loses {self.loss_kw:.6f} kW (gap {self.gap:.2g}). "
            f"Checked: {self.nodes:,} nodes, {self.bounds:,} bounds in integers, {self.judged:,} radial states and the "
            f"best one by AC power flow."
        )


def verify(grid: Grid, path: Path | str) -> Verified:
    """Check a certificate against a grid.

    Raises:
        InputError: the grid has faults. OSError: the file cannot be read.
        CertificateError: the file is no certificate of this grid, is damaged, or a step in it does not hold.
    """
    return verify_network(build_network(grid), path)


def verify_network(network: Network, path: Path | str) -> Verified:
    """As `verify`, of a grid that is built already."""
    proof = None
    try:
        with gzip.open(path, "rt", encoding="utf-8") as file:
            head = json.loads(file.readline())
            if not isinstance(head, dict) or head.get("format") != FORMAT:
                raise CertificateError(f"{path}: no certificate of the form '{FORMAT}'")
            proof = _Proof(network, head)
            for text in file:
                proof.lines += 1
                proof.step(json.loads(text))
            return proof.end()
    except CertificateError:
        raise
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeDecodeError) as error:
        raise CertificateError(f"{path}: damaged or cut off ({error}). Write it again") from error
    except (ValueError, TypeError, KeyError, IndexError, OverflowError) as error:
        where = proof.where() if proof is not None else "head"
        raise CertificateError(f"{path}: damaged at {where} ({error!r}). Write it again") from error


class _Proof:
    """The state of a check: the node at hand, and the open sides still to come."""

    def __init__(self, net: Network, head: dict[str, Any]) -> None:
        self.net, self.lines, self.node, self.bounds, self.judged = net, 0, 1, 0, 0
        self.declared = int(head["lines"])
        refused = {
            "several phases": not net.is_balanced,
            "loads that follow the voltage": bool(net.s_current.any() or net.s_impedance.any()),
            "shunts, ratios or generators with limits": bool(
                net.y_shunt.diagonal().any() or np.any(net.tap != 1.0) or len(net.generator_names)
            ),
            "negative resistance or reactance": bool(np.any(net.r < 0.0) or np.any(net.x < 0.0)),
        }
        if found := [what for what, there in refused.items() if there]:
            raise CertificateError(f"certificates do not cover {found[0]}, which this grid has")
        if head["digest"] != _digest(net):
            raise CertificateError("the certificate is of another grid, or the grid was changed since (digest)")
        self.source = {int(t): complex(v) for t, v in zip(net.source_terminal, net.source_v, strict=True)}
        self.graph = Graph(net.n_terminals, net.terminal_fr.tolist(), net.terminal_to.tolist(), set(self.source))
        self.value, self.bound, self.gap = float(head["value"]), float(head["bound"]), float(head["gap"])
        if not (
            self.bound <= self.value < math.inf and self.value - self.bound <= self.gap * abs(self.value) * (1 + 1e-9)
        ):
            self.fail(f"value {self.value} and bound {self.bound} are not within the gap {self.gap}")
        name = {branch: e for e, branch in enumerate(net.branch_names)}
        self.locked = [name[n] for n in head["locked_open"]], [name[n] for n in head["locked_closed"]]
        self.w_min, self.w_max = head["least_squared_voltage"], head["greatest_squared_voltage"]
        self.high = [math.inf if w is None else float(w) for w in self.w_max]
        self.best = [CLOSED] * len(name)
        for branch in head["open"]:
            self.best[name[branch]] = OPEN
        if sum(self.best) != len(name) - len(head["open"]):
            self.fail("a branch is named twice among the open ones")
        fixed = [(e, int(net.closed[e])) for e in np.flatnonzero(~net.switchable).tolist()]
        if any(self.best[e] != s for e, s in [*fixed, *((e, s) for s in (OPEN, CLOSED) for e in self.locked[s])]):
            self.fail("the best state does not keep the locks")
        loss, kept = self.flow(self.best)
        if not (kept and abs(loss - self.value) <= EXACT * self.value):
            self.fail(f"the best state loses {loss} per unit and not {self.value}, or misses the limits")
        self.exact = Exact(net, self.graph, self._lows(), self._caps(head), Fraction(self.bound))
        self.waiting: dict[int, list[int]] = {}
        status: list[int] = [OPEN if a == b else FREE for a, b in zip(self.graph.fr, self.graph.to, strict=True)]
        for state in (OPEN, CLOSED):
            for e in self.locked[state]:
                status[e] = state
        self.y, self.mu, self.bits = [0] * net.n_terminals, [0] * net.n_terminals, 0
        self.status: list[int] | None = status
        self.closings: list[int] = []
        self.alive = self.graph.consequences(status)

    def where(self) -> str:
        """The line and node at hand, in words."""
        return f"line {self.lines + 1}, node {self.node}" if self.lines else "head"

    def fail(self, what: str) -> None:
        """Refuse the certificate.

        Raises:
            CertificateError: always.
        """
        raise CertificateError(f"refused at {self.where()}: {what}")

    def _caps(self, head: dict[str, Any]) -> list[Fraction]:
        """Greatest squared voltages: limits, or the caps of the file if they are not below what can occur."""
        usable = [e for e in range(len(self.graph.fr)) if e not in self.locked[OPEN]]
        true = caps(self.net, self.graph, usable, Fraction(self.value))
        given = [Fraction(cap) for cap in head["voltage_caps"]]
        for bus, (claimed, least) in enumerate(zip(given, true, strict=True)):
            if bus not in self.source and claimed < least:
                self.fail(f"the cap of the voltage at bus {self.net.bus_names[bus]} is too low")
        given = [cap if w is None else min(cap, Fraction(w)) for cap, w in zip(given, self.w_max, strict=True)]
        return [self._held(bus) if bus in self.source else cap for bus, cap in enumerate(given)]

    def _lows(self) -> list[Fraction]:
        """Least squared voltages."""
        return [self._held(b) if b in self.source else max(Fraction(0), Fraction(w)) for b, w in enumerate(self.w_min)]

    def _held(self, bus: int) -> Fraction:
        return Fraction(self.source[bus].real) ** 2 + Fraction(self.source[bus].imag) ** 2

    def step(self, line: list[Any]) -> None:
        """One line of the file."""
        word, *rest = line
        if (self.status is None) != (word == "from"):
            self.fail(f"'{word}' where a node {'is done' if self.status is None else 'is not'}")
        if word == "from":
            if rest[0] not in self.waiting:
                self.fail(f"node {rest[0]} has no open side left")
            self._enter(self.waiting.pop(rest[0]))
            return
        status = self.status
        assert status is not None
        if not self.alive and word != "none":
            self.fail("no radial state is left here, and the line says otherwise")
        if word in ("probe", "split") and status[rest[0]] != FREE:
            self.fail(f"branch {rest[0]} is decided already")
        if word == "split":
            other = status.copy()
            other[rest[0]], status[rest[0]] = OPEN, CLOSED
            self.waiting[self.node] = other
            self._enter(status)
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
        elif word == "judged" and FREE not in status:
            self.judged += 1
            loss, kept = self.flow(status)
            if not math.isfinite(loss) or (kept and loss < self.bound * (1.0 - EXACT)):
                self.fail("a radial state has no power flow, or keeps the limits and loses less than the bound")
            self.status = None
        else:
            self.fail(f"'{word}' does not hold here")

    def _enter(self, status: list[int]) -> None:
        self.node += 1
        self.status, self.closings = status, []
        self.alive = self.graph.consequences(status)

    def _bounded(self, status: list[int], given: list[Any]) -> None:
        """Check that nothing below the bound is left with these states of the branches."""
        bits, tops, phi, *changes = given
        if not 0 <= bits <= COARSE or any(bus not in range(self.net.n_terminals) for bus in tops):
            self.fail(f"multipliers of {bits} binary digits, roots at {tops}")
        shift = bits - self.bits
        for mine, change in zip((self.y, self.mu), changes, strict=True):
            for bus, (old, new) in enumerate(zip(mine, change, strict=True)):
                mine[bus] = (old << shift if shift >= 0 else old >> -shift) + int(new)
        self.bits = bits
        up = COARSE - bits
        orders = self.graph.directed(status, set(tops), self.y)
        y, mu = [k << up for k in self.y], [k << up for k in self.mu]
        self.bounds += 1
        if not self.exact.reached(status, orders, y, mu, {int(b): int(k) for b, k in phi}):
            self.fail("the bound of these multipliers does not reach the bound claimed")

    def flow(self, status: list[int]) -> tuple[float, bool]:
        """Loss of a radial state by backward and forward sweeps, inf where they diverge; whether limits are kept."""
        net, order = self.net, self.graph.directed(status, set(), [0] * self.net.n_terminals)
        if status.count(CLOSED) + len(self.source) != net.n_terminals or any(
            above < 0 and bus not in self.source for bus, above, _ in order
        ):
            self.fail("a state that should be radial is not")
        z = net.z.diagonal().tolist()
        v = np.ones(net.n_terminals, dtype=complex).tolist()
        for bus, voltage in self.source.items():
            v[bus] = voltage
        drawn, step, loss = net.s_power.tolist(), math.inf, math.inf
        for _ in range(2000):
            if not all(v):
                break
            current = [(s / u).conjugate() for s, u in zip(drawn, v, strict=True)]
            step = loss = 0.0
            for bus, above, _ in reversed(order):
                if above >= 0:
                    current[above] += current[bus]
            for bus, above, e in order:
                if above >= 0:
                    new = v[above] - z[e] * current[bus]
                    step, v[bus] = max(step, abs(new - v[bus])), new
                    loss += z[e].real * abs(current[bus]) ** 2
            if not step > 1e-13 or not step < 1e3:
                break
        kept = all(
            self.w_min[bus] * (1 - EXACT) <= abs(v[bus]) ** 2 <= self.high[bus] * (1 + EXACT)
            for bus in range(net.n_terminals)
            if bus not in self.source
        )
        return (loss if step <= 1e-11 else math.inf), kept

    def _limits(self) -> str:
        """What the states keep, in words."""
        net = self.net
        inner = [bus for bus in range(net.n_terminals) if bus not in self.source]
        pairs = [(self.w_min[b], net.w_min[b]) for b in inner] + [(self.high[b], net.w_max[b]) for b in inner]
        current = ", current limits left out," if np.isfinite(net.l_max).any() else ""
        if all(mine == its or abs(mine - its) <= SLACK * its for mine, its in pairs):
            return f"the voltage limits of the grid{current}"
        ranges = {(self.w_min[b], self.high[b]) for b in inner}
        if len(ranges) > 1:
            return f"the voltage limits in the file (not those of the grid){current}"
        low, high = map(math.sqrt, ranges.pop())
        return f"voltages of {low:.4f} to {high:.4f} pu (not the limits of the grid){current}"

    def end(self) -> Verified:
        """What is proven, when the last line is read."""
        if self.status is not None or self.waiting or self.lines != self.declared:
            self.fail(f"the file ends with nodes left, or has not {self.declared} lines")
        net = self.net
        given = [tuple(net.branch_names[e] for e in self.locked[s] if net.switchable[e]) for s in (OPEN, CLOSED)]
        return Verified(
            loss_kw=self.value * net.s_base_kva,
            bound_kw=self.bound * net.s_base_kva,
            gap=(self.value - self.bound) / self.value if self.value else 0.0,
            open_branches=tuple(n for n, s in zip(net.branch_names, self.best, strict=True) if s == OPEN),
            nodes=self.node,
            bounds=self.bounds,
            judged=self.judged,
            given=(given[OPEN], given[CLOSED]),
            limits=self._limits(),
        )


def _digest(net: Network) -> str:
    """SHA-256 of names, ends, impedances, loads, sources and today's state."""
    names = json.dumps([net.bus_names, net.branch_names]).encode()
    wholes = [np.asarray(a, "<i8").tobytes() for a in (net.terminal_fr, net.terminal_to, net.source_terminal)]
    numbers = [np.asarray(a, "<c16").tobytes() for a in (net.z.diagonal(), net.s_power, net.source_v)]
    flags = [np.asarray(a, "<u1").tobytes() for a in (net.switchable, net.closed)]
    return hashlib.sha256(b"".join([names, *wholes, *numbers, *flags])).hexdigest()
