"""Parts of the paths for the second checker of certificates (`tests.builders.second_checker`), in fractions.

Written from docs/formats.md and docs/certificates.md alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor, isqrt
from typing import Any

from tests.builders.certificates import Line
from tests.builders.second_paths import FINE, FREE, HUGE, OPEN, Power, SecondPaths, Way, high, least_tree, low
from tests.builders.second_regions import Refused

Affine = list[Fraction]
"""A constant, and slopes by the active and reactive power beyond the least."""
Between = tuple[int, int]
State = int | None
"""Of a path: the end (0 or 1) that it feeds, None: open."""
SWEEPS = 3
ZERO = Fraction(0)


def root(value: Fraction) -> Fraction:
    """The square root, rounded upwards."""
    return Fraction(isqrt(floor(value * FINE * FINE)) + 1, FINE) if value > 0 else ZERO


def times(affine: Affine, delta: Power) -> Fraction:
    return affine[0] + affine[1] * delta[0] + affine[2] * delta[1]


class About:
    """A closed path, bounded about a flow: what it sends is at least p + c_p |δ − δ₀|², and q likewise."""

    def __init__(self, paths: SecondPaths, way: Way, flow: Power) -> None:
        buses, branches = paths._directed(*way)
        self.least = paths.least[way]
        self.beyond = max(flow[0] - self.least[0], ZERO), max(flow[1] - self.least[1], ZERO)
        self.z = [paths.z[e] for e in branches]
        self.load = [*(paths.load[bus] for bus in buses[1:-1]), (ZERO, ZERO)]
        top = paths.top[buses[0]]
        self.w = [[top, ZERO, ZERO] for _ in branches]
        for _ in range(SWEEPS):
            self._up()
            self._down(top)
        self.p, self.q = self._up()
        self.curve = [ZERO, ZERO]
        self._squares()

    def _up(self) -> tuple[Affine, Affine]:
        self.power, self.t = [], []
        sent = [[self.least[0], Fraction(1), ZERO], [self.least[1], ZERO, Fraction(1)]]
        for z, load, w in zip(self.z[::-1], self.load[::-1], self.w[::-1], strict=True):
            sent = [[s[0] + more, s[1], s[2]] for s, more in zip(sent, load, strict=True)]
            t = [max(low(times(s, self.beyond) / times(w, self.beyond)), ZERO) for s in sent]
            self.power.insert(0, sent)
            self.t.insert(0, t)
            l = [2 * (t[0] * sent[0][c] + t[1] * sent[1][c]) - (t[0] ** 2 + t[1] ** 2) * w[c] for c in range(3)]
            sent = [[low(s[c] + part * l[c]) for c in range(3)] for s, part in zip(sent, z, strict=True)]
        return sent[0], sent[1]

    def _down(self, top: Fraction) -> None:
        near = [top, ZERO, ZERO]
        for at, ((r, x), (p, q)) in enumerate(zip(self.z, self.power, strict=True)):
            z2, here = r * r + x * x, (times(p, self.beyond), times(q, self.beyond))
            half = times(near, self.beyond) / 2 - r * here[0] - x * here[1]
            v = low(half + root(half * half - z2 * (here[0] ** 2 + here[1] ** 2)))
            t = [low(some / v) for some in here] if v > 0 else [Fraction(10**6)] * 2
            rest = 1 - z2 * (t[0] ** 2 + t[1] ** 2)
            less = [2 * (r * p[c] + x * q[c] + z2 * (t[0] * p[c] + t[1] * q[c])) for c in range(3)]
            near = [high((near[c] - less[c]) / rest) for c in range(3)] if rest >= 0.1 else [top, ZERO, ZERO]
            self.w[at] = near

    def _squares(self) -> None:
        for z, (p, q), t, w in zip(self.z, self.power, self.t, self.w, strict=True):
            if min(*p, *q) < 0:
                continue
            of = [[s[c] - part * w[c] for c in range(3)] for s, part in zip((p, q), t, strict=True)]
            (_, a, b), (_, c, d) = of
            half = (a * a + b * b + c * c + d * d) / 2
            least = max(half - root(half * half - (a * d - b * c) ** 2), ZERO)
            error = [times(some, self.beyond) for some in of]
            slopes = [2 * (of[0][k] * error[0] + of[1][k] * error[1]) / w[0] for k in (1, 2)]
            for side, (into, part) in enumerate(zip((self.p, self.q), z, strict=True)):
                self.curve[side] += low(part * least / w[0])
                into[0] -= part * sum(s * v for s, v in zip(slopes, self.beyond, strict=True))
                into[1], into[2] = into[1] + part * slopes[0], into[2] + part * slopes[1]

    def cost(self, tail: Power, head: Power) -> Fraction:
        """Least cost without the load of the path."""
        y, m = 1 + tail[0], tail[1]
        price = 1 + head[0], head[1]
        total = y * self.p[0] + m * self.q[0]
        curve = y * self.curve[0] + m * self.curve[1]
        for c in (0, 1):
            slope = y * self.p[c + 1] + m * self.q[c + 1] - price[c]
            if curve <= 0 and slope < 0:
                return -HUGE
            delta = max(self.beyond[c] - slope / (2 * curve), ZERO) if curve > 0 else ZERO
            total += slope * delta + curve * (delta - self.beyond[c]) ** 2 - price[c] * self.least[c]
        return total


class SecondParts:
    """The parts of the paths of a node."""

    def __init__(self, paths: SecondPaths, status: list[int], excluded: set[Way], line: Line) -> None:
        _, self.count, number, single, several, flow_bits, f, g, bits, y, mu = line
        self.paths, self.status, size = paths, status, len(paths.junctions)
        if number != len(paths.branches) or len(single) != size or self.count < 1:
            raise Refused("parts")
        sets = [(z, [at]) for at, z in enumerate(single)] + [(z, some) for z, some in several]
        if any(z < 0 and len(some) > 1 for z, some in sets) or not all(
            set(some) <= set(range(size)) for _, some in sets
        ):
            raise Refused("prices")
        self.sets = [(Fraction(z, 1 << 40), {paths.junctions[at] for at in some}) for z, some in sets if some]
        order = sorted(range(number), key=lambda k: min(paths.branches[k]))
        self.about: dict[Way, About] = {}
        for at, k in enumerate(order):
            for side in (0, 1):
                row = 2 * at + 1 - side
                if (k, side) in paths.least:
                    flow = Fraction(max(f[row], 0), 1 << flow_bits), Fraction(max(g[row], 0), 1 << flow_bits)
                    self.about[k, side] = About(paths, (k, side), flow)
        self.of = {-1: (ZERO, ZERO)} | self._multipliers(paths.junctions, y, mu, bits)
        self.may = [self._states(k, excluded) for k in range(number)]
        self.free = set(range(number))

    @staticmethod
    def _multipliers(buses: list[int], y: list[int], mu: list[int], bits: int) -> dict[int, Power]:
        def within(value: int) -> Fraction:
            return min(max(Fraction(value, 1 << bits), ZERO), Fraction(4))

        return {bus: (within(a), within(b)) for bus, a, b in zip(buses, y, mu, strict=True)}

    def _states(self, k: int, excluded: set[Way]) -> set[State]:
        states = [self.status[e] for e in self.paths.branches[k]]
        found: set[State] = {side for side in (0, 1) if (k, side) in self.paths.least and (k, side) not in excluded}
        if states.count(OPEN) > 1:
            return set()
        if OPEN in states:
            return {None}
        return found | {None} if FREE in states else found

    def toll(self, k: int, state: State) -> Fraction:
        if state is None:
            return ZERO
        tail, head = self.paths.end(k, 1 - state), self.paths.end(k, state)
        return sum((z for z, some in self.sets if head in some and tail not in some), ZERO)

    def usable(self, k: int, low: int = 0, high: int = 10**9) -> list[int]:
        """Branches of a path, from 0, at which it may be open, those between two."""
        states = [self.status[e] for e in self.paths.branches[k]]
        wanted = OPEN if OPEN in states else FREE
        return [at for at, state in enumerate(states) if state == wanted and low <= at <= high]

    def cost(self, k: int, state: State, of: dict[int, Power], between: tuple[int, int] = (0, 10**9)) -> Fraction:
        """Least cost of a path in a state it may have, without tolls."""
        paths = self.paths
        load = sum((paths.own[b][0] + paths.hung(b) for b in paths.buses[k][1:-1]), ZERO)
        if state is not None:
            return self.about[k, state].cost(of[paths.end(k, 1 - state)], of[paths.end(k, state)]) - load
        (y, m), (y_v, m_v) = of[paths.end(k, 0)], of[paths.end(k, 1)]
        drawn = [paths.stubs[k][at] for at in self.usable(k, *between)]
        return min((1 + y) * p + m * q + (1 + y_v) * p_v + m_v * q_v - load for (p, q), (p_v, q_v) in drawn)

    def taken(self, j: int, of: dict[int, Power]) -> Fraction:
        return sum((self.paths.load[j][c] * of[j][c] for c in (0, 1)), ZERO)

    def check(self, rest: Iterator[Line], goal: Fraction) -> None:
        """The lines of the parts, up to the last one."""
        paths = self.paths
        total = sum((paths.lost[j] for j in (*paths.junctions, *paths.sources)), ZERO)
        total += sum((z for z, _ in self.sets), ZERO)
        outer = set(paths.junctions)
        for _ in range(self.count):
            part = Part(self, next(rest))
            outer -= set(part.inner)
            total += part.bound
        total += sum((self.taken(j, self.of) for j in outer), ZERO)
        for k in self.free:
            total += min((self.cost(k, s, self.of) - self.toll(k, s) for s in self.may[k]), default=HUGE)
        if total < goal:
            raise Refused("sum of parts")


class Part:
    """A part, whose tree is checked."""

    def __init__(self, of: SecondParts, line: Line) -> None:
        word, names, inner, bound, nodes, bits, y, mu = line
        if word != "part":
            raise Refused(word)
        self.of, paths = of, of.paths
        self.some = [paths.of[e][0] for e in names]
        if len(set(self.some)) < len(self.some) or not set(self.some) <= of.free:
            raise Refused("a path in two parts")
        of.free -= set(self.some)
        at = {j: {k for k in range(len(paths.buses)) for s in (0, 1) if paths.end(k, s) == j} for j in paths.junctions}
        self.met = [j for j in paths.junctions if at[j] & set(self.some)]
        self.inner = [j for j in self.met if at[j] <= set(self.some)]
        if inner != len(self.inner):
            raise Refused("inner")
        self.bound, self.nodes = Fraction(float(bound)), list(nodes)
        count = self.nodes.count(-1)
        rows = [
            ([y[c * count + row] for c in range(inner)], [mu[c * count + row] for c in range(inner)])
            for row in range(count)
        ]
        self.leaves = [of._multipliers(self.inner, *row, bits) for row in rows]
        self.now = dict(of.of)
        lengths = [len(paths.branches[k]) for k in self.some]
        self.place = [(at, q) for at, length in enumerate(lengths) for q in range(length)]
        self._visit([set(of.may[k]) for k in self.some], [(0, length - 1) for length in lengths])
        if self.nodes or self.leaves:
            raise Refused("more than the tree")

    def _implied(self, may: list[set[Any]]) -> bool:
        while True:
            before = [set(states) for states in may]
            for j in self.met:
                feeds = [(at, s) for at, k in enumerate(self.some) for s in (0, 1) if self.of.paths.end(k, s) == j]
                feeds = [(at, s) for at, s in feeds if s in may[at]]
                must = [(at, s) for at, s in feeds if may[at] == {s}]
                if j in self.inner and not must and len(feeds) == 1:
                    must = feeds
                if len(must) > 1 or (j in self.inner and not feeds):
                    return False
                for at, s in feeds if must else []:
                    may[at] = {s} if (at, s) in must else may[at] - {s}
            if not all(may):
                return False
            if may == before:
                return True

    def _visit(self, may: list[set[Any]], open_at: list[Between]) -> None:
        for k, states, between in zip(self.some, may, open_at, strict=True):
            if not self.of.usable(k, *between):
                states.discard(None)
        if not all(may) or not self._implied(may):
            return
        if not self.nodes:
            raise Refused("a node without a line")
        what = self.nodes.pop(0)
        if what >= len(self.some):
            path, at = self.place[what - len(self.some)]
            low, high = open_at[path]
            if not low <= at < high:
                raise Refused("not divided")
            for between in ((low, at), (at + 1, high)):
                others = [between if k == path else same for k, same in enumerate(open_at)]
                self._visit([set(states) for states in may], others)
            return
        if what >= 0:
            if len(may[what]) < 2:
                raise Refused("not divided")
            for state in (None, 1, 0):
                if state in may[what]:
                    self._visit([{state} if at == what else set(states) for at, states in enumerate(may)], open_at)
            return
        if what == -1:
            self.now |= self.leaves.pop(0)
        if self._least(may, open_at) < self.bound:
            raise Refused("leaf")

    def _least(self, may: list[set[Any]], open_at: list[Between]) -> Fraction:
        of, total = self.of, sum((self.of.taken(j, self.now) for j in self.inner), ZERO)
        arcs = [(ZERO, -1, j) for j in self.met if j not in self.inner]
        for k, states, between in zip(self.some, may, open_at, strict=True):
            least = of.cost(k, None, self.now, between) if None in states else HUGE
            total += least
            for s in states - {None}:
                cost = of.cost(k, s, self.now) - of.toll(k, s) - least
                arcs.append((cost, of.paths.end(k, 1 - s), of.paths.end(k, s)))
        more = least_tree(arcs, set(self.met))
        return HUGE if more is None else total + more
