"""A second checker of certificates: small, slow, in fractions, from docs/formats.md alone.

It covers grids of lines without charging or ratios, loads of constant power that take power, sources of one voltage,
voltage limits, locks, prices of changes, many futures, years, bounds by paths (`tests.builders.second_paths`) and by
parts of these (`tests.builders.second_parts`), and regions (`tests.builders.second_regions`). What it accepts was
checked by nothing but what is here.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from openpoint.arrays import Bools
from openpoint.network import Network
from openpoint.verify.futures import Futures
from openpoint.verify.measure import Between
from openpoint.verify.steps import Steps
from tests.builders.certificates import Line
from tests.builders.second_parts import SecondParts
from tests.builders.second_paths import SecondPaths, Way
from tests.builders.second_regions import Refused as Refused
from tests.builders.second_regions import follow
from tests.builders.second_year import demands_of, mean_of, of_groups

Numbers = list[Fraction]
OPEN, CLOSED, FREE = 0, 1, 2


def covered(network: Network) -> bool:
    """Whether the grid is one of those that this checker covers."""
    plain = not network.s_current.any() and not network.s_impedance.any() and not len(network.generator_names)
    plain = (
        plain and not network.y_shunt.count_nonzero() and not network.hangs.any() and bool(np.all(network.tap == 1.0))
    )
    one = len(set(network.source_v.tolist())) == 1
    return plain and one and not np.isfinite(network.l_max).any()


def second_check(
    network: Network,
    head: dict[str, Any],
    lines: list[Line],
    *,
    change_cost: float = 0.0,
    locks: tuple[Bools, Bools] | None = None,
    futures: Futures | None = None,
    steps: Steps | None = None,
) -> None:
    """Check the lines of a certificate, as `content` reads it; what is asked is given, as to its search.

    Raises:
        Refused: it does not hold.
    """
    _Check(network, head, change_cost, locks, futures, steps).all(lines)


class _Check:
    def __init__(
        self,
        network: Network,
        head: dict[str, Any],
        change_cost: float,
        locks: tuple[Bools, Bools] | None,
        futures: Futures | None,
        steps: Steps | None,
    ) -> None:
        if not covered(network):
            raise NotImplementedError
        self.head, self.n, self.m, self.futures = head, network.n_terminals, network.n_conductors, futures
        self.least = (network.w_min * (1.0 - 1e-6) ** 2).tolist()
        self.most = [w if np.isfinite(w) else None for w in (network.w_max * (1.0 + 1e-6) ** 2).tolist()]
        self.fr, self.to = network.terminal_fr.tolist(), network.terminal_to.tolist()
        self.r, self.x = ([Fraction(v) for v in part.tolist()] for part in (network.r, network.x))
        self.sources = set(network.source_terminal.tolist())
        self.z, self.v = network.z.diagonal().tolist(), complex(network.source_v[0])
        square = Fraction(self.v.real) ** 2 + Fraction(self.v.imag) ** 2
        none, highest, lowest = [None] * self.n, self.most, self.least
        if futures is not None and futures.share < 1.0:
            lowest, highest = [0.0] * self.n, none
        # Nothing feeds in, so that no voltage is above that of the sources.
        self.w_max = [square if w is None else min(square, Fraction(w)) for w in highest]
        self.w_min = [Fraction(w) for w in lowest]
        for bus in self.sources:
            self.w_min[bus] = self.w_max[bus] = square
        self.closed = network.closed.tolist()
        self.cost = Fraction(change_cost)
        self.price = [Fraction(0) if closed else 2 * self.cost for closed in self.closed]
        self.demands: list[Any] = [network.s_power] if futures is None else list(futures.demands)
        self.weight = [Fraction(1)] * len(self.demands)
        parts = ((demand.real.tolist(), demand.imag.tolist()) for demand in self.demands)
        self.drawn = [([Fraction(v) for v in p], [Fraction(v) for v in q]) for p, q in parts]
        if steps is not None:
            self._take(steps)
        if any(part.min() < 0.0 for d in self.demands for part in (d.real, d.imag)):
            raise NotImplementedError
        unavoidable = sum(self.closed) - (self.n - len(self.sources))
        self.goal = Fraction(head["bound"]) - self.cost * unavoidable
        self.risk = self._risk()
        self.worth_of = [Fraction(0)] * self.n
        self.held = {bus: (Fraction(0), Fraction(0)) for bus in self.sources}
        self.path_last: tuple[list[int], list[int], int] | None = None
        # y, μ, digits by future
        self.last = [([0] * self.n, [0] * self.n, 0) for _ in self.drawn]
        name = {branch: e for e, branch in enumerate(network.branch_names)}
        self.first = [OPEN if a == b else FREE for a, b in zip(self.fr, self.to)]
        fixed = ~network.switchable
        must_close, must_open = locks or (network.closed & fixed, ~network.closed & fixed)
        for locked, state in ((must_open, OPEN), (must_close, CLOSED)):
            for e in np.flatnonzero(locked).tolist():
                self.first[e] = state
        self.given = list(self.first)
        best = [CLOSED] * self.m
        for branch in head["open"]:
            best[name[branch]] = OPEN
        value, kept = self.worth(best)
        if not kept or abs(value - head["value"]) > 1e-8 * abs(head["value"]) + 1e-14:
            raise Refused("best state")

    def _take(self, steps: Steps) -> None:
        """The steps of the year, and their groups as what is bounded."""
        every, self.weight = demands_of(steps), [Fraction(h) for h in steps.hours.tolist()]
        self.demands = [np.array(p, dtype=float) + 1j * np.array(q, dtype=float) for p, q in every]
        self.drawn, self.by_group = of_groups(every, self.weight, self.head["groups"], self.head["year"]["groups"])

    def _risk(self) -> Callable[[Numbers], Fraction]:
        if "year" in self.head:
            return lambda values: mean_of([[value] for value in values], self.by_group)[0]
        if self.futures is None:
            return lambda values: values[0]
        given = self.futures.measure
        if not isinstance(given, Between) or self.futures.regret:
            raise NotImplementedError
        minus = [Fraction(0)] * self.futures.count
        lower, upper = ([Fraction(p, given.whole) for p in side] for side in (given.lower, given.upper))

        def risk(values: Numbers) -> Fraction:
            less = [value - w for value, w in zip(values, minus)]
            one = min(max(Fraction(1), sum(lower)), sum(upper))
            rest, total = one - sum(lower), sum((p * v for p, v in zip(lower, less)), Fraction(0))
            for k in sorted(range(len(less)), key=lambda k: -less[k]):
                more = min(rest, upper[k] - lower[k])
                total += more * less[k]
                rest -= more
            return total / one

        return risk

    def joined(self, edges: list[int]) -> tuple[set[int], bool]:
        """The buses that edges join to the sources, and whether they make a loop."""
        leader = list(range(self.n))
        first = min(self.sources)
        for bus in self.sources:
            leader[bus] = first

        def find(bus: int) -> int:
            while leader[bus] != bus:
                bus = leader[bus]
            return bus

        loop = False
        for e in edges:
            a, b = find(self.fr[e]), find(self.to[e])
            loop |= a == b
            leader[a] = b
        return {bus for bus in range(self.n) if find(bus) == find(first)}, loop

    def consequences(self, status: list[int]) -> bool:
        """Open what closes a loop, close bridges; whether any radial state is left."""
        while True:
            closed = [e for e in range(self.m) if status[e] == CLOSED]
            if self.joined(closed)[1] or len(self.joined([e for e in range(self.m) if status[e] != OPEN])[0]) < self.n:
                return False
            before = list(status)
            for e in range(self.m):
                if status[e] == FREE and self.joined([*closed, e])[1]:
                    status[e] = OPEN
            for e in range(self.m):
                others = [other for other in range(self.m) if status[other] != OPEN and other != e]
                if status[e] == FREE and len(self.joined(others)[0]) < self.n:
                    status[e] = CLOSED
            if status == before:
                return True

    def bound(self, status: list[int], line: Line, k: int) -> Fraction:
        """The bound of a node at the multipliers of a line."""
        bits, tops, phis, _, y, mu = line[-6:]
        before_y, before_mu, before_bits = self.last[k]
        shift = (lambda a: a << bits - before_bits) if bits >= before_bits else (lambda a: a >> before_bits - bits)
        whole = [[shift(a) + b for a, b in zip(*rows)] for rows in ((before_y, y), (before_mu, mu))]
        self.last[k] = whole[0], whole[1], bits
        y, mu = ([Fraction(a, 1 << bits) for a in row] for row in whole)
        phi = {bus: Fraction(a, 1 << 20) for bus, a in phis}
        if any(y[bus] or mu[bus] for bus in self.sources):
            raise Refused("multipliers at a source")
        for bus, (active, reactive) in self.held.items():
            y[bus], mu[bus] = active, reactive
        return self.bound_at(status, (y, mu, phi), tops, k)

    def bound_at(
        self, status: list[int], multipliers: tuple[Numbers, Numbers, dict[int, Fraction]], tops: list[int], k: int
    ) -> Fraction:
        """The bound of a node at multipliers y, μ, φ."""
        y, mu, phi = multipliers
        active, reactive = self.drawn[k]
        taken = [-price for price in self.worth_of]
        total = sum((p * a for p, a in zip(active, y)), Fraction(0))
        total += sum((q * a for q, a in zip(reactive, mu)), Fraction(0))

        def steep(e: int, i: int, j: int, nu: Fraction) -> Fraction:
            r, x = self.r[e], self.x[e]
            alpha, beta = y[i] - y[j] + 2 * r * nu, mu[i] - mu[j] + 2 * x * nu
            rho = r * (1 + y[j]) + x * mu[j] - (r * r + x * x) * nu
            if rho <= 0 and (alpha or beta or rho):
                raise Refused("no bound")
            return (alpha * alpha + beta * beta) / (4 * rho) if rho else Fraction(0)

        for e in range(self.m):
            if status[e] == FREE:
                i, j = sorted((self.fr[e], self.to[e]), key=lambda bus: y[bus])
                taken[i] += max(Fraction(0), steep(e, i, j, Fraction(0)) - self.price[e] / self.w_max[i])
        for j, i, e in reversed(self.directed(status, tops, y)):
            if i < 0:
                total -= taken[j] * (self.w_max[j] if taken[j] > 0 else self.w_min[j])
                continue
            more = phi.get(j, Fraction(0))
            total += more * (self.w_min[j] if more > 0 else self.w_max[j]) + self.price[e]
            nu = taken[j] + more
            taken[i] += nu + steep(e, i, j, nu)
        return total

    def directed(self, status: list[int], tops: list[int], y: Numbers) -> list[tuple[int, int, int]]:
        """Buses with those above them and the branch between, those above first."""
        order: list[tuple[int, int, int]] = []
        seen: set[int] = set()
        for root in [*self.sources, *sorted(set(tops) - self.sources), *sorted(range(self.n), key=lambda bus: y[bus])]:
            waiting = [(root, -1, -1)] if root not in seen else []
            seen.add(root)
            while waiting:
                here = waiting.pop()
                order.append(here)
                for e in range(self.m):
                    ends = [self.fr[e], self.to[e]]
                    if status[e] == CLOSED and here[0] in ends:
                        other = ends[0] if ends[1] == here[0] else ends[1]
                        if other not in seen:
                            seen.add(other)
                            waiting.append((other, here[0], e))
        return order

    def worth(self, status: list[int]) -> tuple[float, bool]:
        """The value of a radial state by sweeps, and whether it keeps the limits within 1e-8."""
        order = self.directed(status, [], [Fraction(0)] * self.n)
        losses, missed = [], Fraction(0)
        given = Futures(np.zeros(0), Between([], [], 1), [float(w) for w in self.weight])
        given = self.futures or given
        for k, demand in enumerate(self.demands):
            v, loss = [self.v] * self.n, 0.0
            for _ in range(200):
                current = [(complex(demand[j]) / v[j]).conjugate() for j in range(self.n)]
                loss = 0.0
                for j, i, e in reversed(order):
                    if i >= 0:
                        current[i] += current[j]
                        loss += self.z[e].real * abs(current[j]) ** 2
                for j, i, e in order:
                    if i >= 0:
                        v[j] = v[i] - self.z[e] * current[j]
            losses.append(Fraction(loss))
            inner = [j for j in range(self.n) if j not in self.sources]
            top = self.most
            good = all(
                self.least[j] * (1 - 1e-8) <= abs(v[j]) ** 2
                and (top[j] is None or abs(v[j]) ** 2 <= top[j] * (1 + 1e-8))
                for j in inner
            )
            missed += 0 if good else Fraction(given.weights[k])
        changes = sum(a != b for a, b in zip(status, self.closed))
        kept = missed <= Fraction(1) - Fraction(given.share) + Fraction(1, 10**9)
        by_hours = "year" in self.head
        mean = mean_of([[loss] for loss in losses], self.weight)[0] if by_hours else self.risk(losses)
        return float(mean + self.cost * changes), kept

    @cached_property
    def paths(self) -> SecondPaths:
        """The paths of the grid, for one demand."""
        z = [(Fraction(v.real), Fraction(v.imag)) for v in self.z]
        load = [(Fraction(s.real), Fraction(s.imag)) for s in map(complex, self.demands[0])]
        ends = list(zip(self.fr, self.to, strict=True))
        square = self.w_max[min(self.sources)]
        return SecondPaths(ends, z, load, self.sources, square, list(self.given))

    def take_out(self, status: list[int], excluded: set[Way], line: Line) -> bool:
        """Close branches and exclude ways as a line by paths says; whether that is all of the node."""
        closed, named, bits, y, mu = line[1:]
        if self.cost:
            raise Refused("paths with a price of changes")
        last_y, last_mu, last = self.path_last or ([0] * len(y), [0] * len(y), 0)
        shift = (lambda a: a << bits - last) if bits >= last else (lambda a: a >> last - bits)
        y, mu = [shift(a) + b for a, b in zip(last_y, y)], [shift(a) + b for a, b in zip(last_mu, mu)]
        self.path_last = y, mu, bits
        pairs = zip(self.paths.junctions, y, mu, strict=True)
        of = {j: (Fraction(max(a, 0), 1 << bits), Fraction(max(b, 0), 1 << bits)) for j, a, b in pairs}
        opened, directed, reached = self.paths.judge(status, excluded, (of, self.goal))
        turned = []
        for e, side in named:
            k, at = self.paths.of[e]
            forth = self.paths.buses[k][at] == self.fr[e]
            turned.append((k, 1 if forth == (side == 0) else 0))
        for found in ([opened.get(e) for e in closed], [directed.get(way) for way in turned]):
            if not reached and any(v is not None and v < self.goal for v in found):
                raise Refused("paths")
        if any(status[e] != FREE for e in closed) or not (reached or closed or named):
            raise Refused("paths")
        for e in closed:
            status[e] = CLOSED
        excluded.update(turned)
        return not (closed or named)

    def part(self, buses: list[int], sources: set[int], branches: list[int]) -> _Check:
        """A part of the grid with sources of its own, numbered within it."""
        number = {bus: k for k, bus in enumerate(buses)}
        found = copy.copy(self)
        found.n, found.m = len(buses), len(branches)
        found.fr, found.to = ([number[end[e]] for e in branches] for end in (self.fr, self.to))
        found.r, found.x, found.price = ([of[e] for e in branches] for of in (self.r, self.x, self.price))
        found.w_min, found.w_max, found.worth_of = (
            [of[bus] for bus in buses] for of in (self.w_min, self.w_max, self.worth_of)
        )
        found.sources = {number[bus] for bus in sources}
        p, q = ([part[bus] for bus in buses] for part in self.drawn[0])
        found.drawn = [(p, q)]
        found.held = {bus: (Fraction(0), Fraction(0)) for bus in found.sources}
        found.last = [([0] * found.n, [0] * found.n, 0)]
        return found

    def all(self, lines: list[Line]) -> None:
        """Go through the tree."""
        many, number, waiting = not {"futures", "year"}.isdisjoint(self.head), 1, {}
        unknown = Fraction(0)  # no branch of such a grid feeds in
        here: tuple[list[int], dict[int, Fraction], set[Way]] | None = (list(self.first), {}, set())
        alive, closing = self.consequences(self.first) and self.consequences(here[0]), list[int]()
        opened: dict[int, dict[int, Fraction]] = {}

        def reached(values: dict[int, Fraction]) -> bool:
            return self.risk([values.get(k, unknown) for k in range(len(self.drawn))]) >= self.goal

        rest = iter(lines)
        for line in rest:
            word = line[0]
            if word == "from":
                if here is not None:
                    raise Refused("node is not done")
                here = waiting.pop(line[1])
            if here is None:
                raise Refused("node is done")
            status, values, excluded = here
            if word == "future":
                k, branch = line[1:3]
                there = list(status)
                if branch >= 0:
                    there[branch] = OPEN
                known = values if branch < 0 else opened.setdefault(branch, {})
                known[k] = max(known.get(k, unknown), self.bound(there, line, k))
            elif word == "probe":
                there = [OPEN if e == line[1] else s for e, s in enumerate(status)]
                if not reached(values | opened.get(line[1], {}) if many else {0: self.bound(there, line, 0)}):
                    raise Refused("probe")
                closing.append(line[1])
            elif word == "bound":
                if not reached(values if many else {0: self.bound(status, line, 0)}):
                    raise Refused("bound")
                here = None
            elif word == "regions" and alive:
                follow(self, status, line, rest)
                here = None
            elif word == "parts" and alive and not many and not self.cost:
                SecondParts(self.paths, status, excluded, line).check(rest, self.goal)
                here = None
            elif word == "paths" and alive and not many:
                if self.take_out(status, excluded, line):
                    here = None
                else:
                    alive = self.consequences(status)
            elif word == "judged" and FREE not in status and alive:
                value, kept = self.worth(status)
                if kept and value < self.head["bound"] - 1e-8 * abs(self.head["bound"]) - 1e-14:
                    raise Refused("judged")
                here = None
            elif word == "none" and not alive:
                here = None
            elif word == "apply":
                for e in closing:
                    status[e] = CLOSED
            elif word == "split" and status[line[1]] == FREE:
                other = [OPEN if e == line[1] else s for e, s in enumerate(status)]
                waiting[number] = other, values | opened.get(line[1], {}), set(excluded)
                status[line[1]] = CLOSED
            elif word != "from":
                raise Refused(word)
            if word in ("apply", "split", "from"):
                number += word != "apply"
                assert here is not None
                alive, closing, opened = self.consequences(here[0]), [], {}
        if here is not None or waiting:
            raise Refused("end")
