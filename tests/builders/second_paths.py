"""The bound by paths of the second checker, in fractions, from docs/certificates.md and docs/formats.md alone.

Chains are swept in whole numbers of 1 / FINE, which gives the same fractions several times as fast.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from math import floor, isqrt

OPEN, CLOSED, FREE = 0, 1, 2
DIGITS = 160
FINE = 1 << DIGITS
HUGE = Fraction(1000)
"""What a path costs open that cannot be so."""
TURNS, ROUNDS, SWEEPS = 4, 10, 4
"""One more, or two, than the checker has, so that nothing is refused that it accepts."""

Way = tuple[int, int]
"""A path, and the end (0 or 1) that it feeds."""
Power = tuple[Fraction, Fraction]


def low(value: Fraction) -> Fraction:
    return Fraction(floor(value * FINE), FINE)


def high(value: Fraction) -> Fraction:
    return -low(-value)


def whole(value: Fraction) -> int:
    """A number in units of 1 / FINE, of which it is a multiple, as all that is rounded here and all floats are."""
    assert FINE % value.denominator == 0
    return value.numerator * (FINE // value.denominator)


def fine(power: tuple[int, int]) -> Power:
    """A power in units of 1 / FINE as fractions."""
    return Fraction(power[0], FINE), Fraction(power[1], FINE)


def least_tree(arcs: list[tuple[Fraction, int, int]], nodes: set[int]) -> Fraction | None:
    """Least cost of arcs (cost, tail, head) by which every node is reached from -1."""
    into = {j: min((a for a in arcs if a[2] == j and a[1] != j), default=None) for j in nodes}
    if None in into.values():
        return None
    total, above = Fraction(0), {}
    for j, arc in into.items():
        assert arc is not None
        total += arc[0]
        above[j] = arc[1]
    for start in nodes:
        way = [start]
        while way[-1] != -1 and way[-1] not in way[:-1]:
            way.append(above[way[-1]])
        if way[-1] == -1:
            continue
        cycle = set(way[way.index(way[-1]) :])
        one = max(cycle)
        paid = {j: into[j][0] for j in cycle}  # type: ignore[index]
        rest = [
            (c - paid.get(head, Fraction(0)), one if tail in cycle else tail, one if head in cycle else head)
            for c, tail, head in arcs
            if not (tail in cycle and head in cycle)
        ]
        more = least_tree(rest, nodes - cycle | {one})
        return None if more is None else more + sum(paid.values(), Fraction(0))
    return total


class SecondPaths:
    """The paths of a grid, and the least powers in all of its radial states.

    Attributes:
        buses, branches: along each path. of: path and place of a branch. junctions: sorted.
    """

    def __init__(
        self,
        ends: list[tuple[int, int]],
        z: list[Power],
        load: list[Power],
        sources: set[int],
        square: Fraction,
        status: list[int],
    ) -> None:
        self.z, self.sources, n = z, sources, len(load)
        self.whole_z = [(whole(r), whole(x)) for r, x in z]
        self.near: list[dict[int, int]] = [{} for _ in range(n)]
        for e, (a, b) in enumerate(ends):
            if status[e] != OPEN:
                self.near[a][e], self.near[b][e] = b, a
        self.ends, self.status, self.own = ends, status, load
        self.top = [square] * n
        self.hanging: list[tuple[int, int, int]] = []
        while leaves := [j for j in range(n) if j not in sources and len(self.near[j]) == 1]:
            for j in leaves:
                if len(self.near[j]) == 1:
                    ((e, above),) = self.near[j].items()
                    self.near[j].clear()
                    del self.near[above][e]
                    self.hanging.append((j, above, e))
        self.junctions = [j for j in range(n) if j not in sources and len(self.near[j]) > 2]
        self.buses: list[list[int]] = []
        self.branches: list[list[int]] = []
        self._chains({*sources, *self.junctions})
        self.of = {e: (k, at) for k, some in enumerate(self.branches) for at, e in enumerate(some)}
        self.least: dict[Way, Power] = {way: (Fraction(0), Fraction(0)) for way in self._ways()}
        for _ in range(TURNS):
            self._turn()

    def _chains(self, stops: set[int]) -> None:
        seen: set[int] = set()
        for begin in sorted(stops):
            for first in list(self.near[begin]):
                if first in seen:
                    continue
                buses, branches, e = [begin], [], first
                while True:
                    seen.add(e)
                    branches.append(e)
                    buses.append(self.near[buses[-1]][e])
                    if buses[-1] in stops:
                        break
                    (e,) = set(self.near[buses[-1]]) - {e}
                self.buses.append(buses)
                self.branches.append(branches)

    def end(self, k: int, side: int) -> int:
        """The junction at an end of a path; -1 for sources."""
        bus = self.buses[k][-side]
        return -1 if bus in self.sources else bus

    def _ways(self) -> Iterator[Way]:
        for k in range(len(self.buses)):
            if self.end(k, 0) != self.end(k, 1):
                yield from ((k, side) for side in (0, 1) if self.end(k, side) != -1)

    def _below(self, w: int, e: int, p: int, q: int) -> int:
        """`high` of half of it and `high` of the root, in units of 1 / FINE, as all numbers here."""
        r, x = self.whole_z[e]
        half = -((r * p + x * q - (w << DIGITS - 1)) >> DIGITS)
        inner = (half * half << 2 * DIGITS) - (r * r + x * x) * (p * p + q * q)
        return half + (isqrt(inner >> 2 * DIGITS) + 1 if inner > 0 else 0)

    def _sent(self, e: int, p: int, q: int, w: int) -> tuple[int, int]:
        """Each `low`."""
        r, x = self.whole_z[e]
        l = (p * p + q * q) // w
        return p + (r * l >> DIGITS), q + (x * l >> DIGITS)

    def _chain(self, buses: list[int], branches: list[int], last: Power) -> tuple[Power, list[Power], list[Fraction]]:
        """What a chain draws at its first bus where `last` arrives at its end; arrivals and voltages by branch."""
        w = [whole(self.top[buses[0]])] * len(branches)
        load = [(whole(p), whole(q)) for p, q in (self.load[bus] for bus in buses[1 : len(branches)])]
        end = whole(last[0]), whole(last[1])
        power, arrive = end, [end] * len(branches)
        for _ in range(SWEEPS):
            power = end
            for at in reversed(range(len(branches))):
                if at + 1 < len(branches):
                    power = power[0] + load[at][0], power[1] + load[at][1]
                arrive[at] = power
                power = self._sent(branches[at], *power, w[at])
            before = whole(self.top[buses[0]])
            for at, e in enumerate(branches):
                before = w[at] = self._below(before, e, *arrive[at])
        return fine(power), [fine(some) for some in arrive], [Fraction(v, FINE) for v in w]

    def _turn(self) -> None:
        for _ in range(SWEEPS):
            self.load = list(self.own)
            self.lost = [Fraction(0)] * len(self.load)
            for j, above, e in self.hanging:
                p, q = fine(self._sent(e, *map(whole, self.load[j]), whole(self.top[j])))
                self.lost[above] += self.lost[j] + p - self.load[j][0]
                self.load[above] = self.load[above][0] + p, self.load[above][1] + q
            for j, above, e in reversed(self.hanging):
                below = self._below(whole(self.top[above]), e, *map(whole, self.load[j]))
                self.top[j] = min(self.top[j], Fraction(below, FINE))
        self.stubs: list[list[tuple[Power, Power]]] = []
        for buses, branches in zip(self.buses, self.branches, strict=True):
            some = []
            for at in range(len(branches)):
                drawn = []
                for chain, of in (
                    (buses[: at + 1], branches[:at]),
                    (buses[:at:-1], branches[:at:-1]),
                ):
                    drawn.append(self._chain(chain, of, self.load[chain[-1]])[0] if of else (Fraction(0), Fraction(0)))
                some.append((drawn[0], drawn[1]))
            self.stubs.append(some)
        for _ in range(ROUNDS):
            self._arrivals()
        self._voltages()

    def _directed(self, k: int, side: int) -> tuple[list[int], list[int]]:
        return (self.buses[k], self.branches[k]) if side else (self.buses[k][::-1], self.branches[k][::-1])

    def _arrivals(self) -> None:
        """Raise what arrives by what the other paths at a junction draw."""
        sent = {way: self._chain(*self._directed(*way), least)[0] for way, least in self.least.items()}
        draws: dict[Way, Power] = {}
        for k, branches in enumerate(self.branches):
            for side in (0, 1):
                some = [self.stubs[k][at][side] for at, e in enumerate(branches) if self.status[e] == FREE]
                some += [sent[k, 1 - side]] if (k, 1 - side) in sent else []
                draws[k, side] = (
                    min((s[0] for s in some), default=Fraction(0)),
                    min((s[1] for s in some), default=Fraction(0)),
                )
        for k, side in self.least:
            j = self.end(k, side)
            here = [way for way in draws if self.end(*way) == j and way != (k, side)]
            needed = [self.load[j][c] + sum(draws[way][c] for way in here) for c in (0, 1)]
            before = self.least[k, side]
            self.least[k, side] = max(before[0], needed[0]), max(before[1], needed[1])

    def _voltages(self) -> None:
        drop = {}
        for way, least in self.least.items():
            buses, branches = self._directed(*way)
            _, arrive, w = self._chain(buses, branches, least)
            drop[way] = sum(
                2 * (self.z[e][0] * p + self.z[e][1] * q)
                + (self.z[e][0] ** 2 + self.z[e][1] ** 2) * low((p * p + q * q) / v)
                for e, (p, q), v in zip(branches, arrive, w, strict=True)
            )
        found = {j: Fraction(-1) for j in self.junctions}
        again = True
        while again:
            again = False
            for (k, side), less in drop.items():
                tail, head = self.end(k, 1 - side), self.end(k, side)
                w = (self.top[self.buses[k][-(1 - side)]] if tail == -1 else found[tail]) - less
                if w > found[head]:
                    found[head], again = w, True
        for j, w in found.items():
            self.top[j] = min(self.top[j], high(w)) if w > 0 else self.top[j]
        for buses in self.buses:
            for j in buses[1:-1]:
                self.top[j] = min(self.top[j], max(self.top[buses[0]], self.top[buses[-1]]))

    def judge(
        self, status: list[int], excluded: set[Way], multipliers: tuple[dict[int, Power], Fraction]
    ) -> tuple[dict[int, Fraction | None], dict[Way, Fraction | None], bool]:
        """By free branch the bound with it open, by way that with this direction, None: no state; whether the goal
        is reached.

        Args:
            excluded: ways that are. multipliers: by junction, and the goal.
        """
        of, goal = {-1: (Fraction(0), Fraction(0))} | multipliers[0], multipliers[1]
        opened: dict[int, Fraction] = {}
        arcs: dict[Way, tuple[Fraction, int, int]] = {}
        total = sum((self.lost[j] for j in (*self.junctions, *self.sources)), Fraction(0))
        total += sum((self.load[j][c] * of[j][c] for j in self.junctions for c in (0, 1)), Fraction(0))
        least: list[Fraction] = []
        for k, branches in enumerate(self.branches):
            (y, m), (y_v, m_v) = of[self.end(k, 0)], of[self.end(k, 1)]
            load = sum((self.own[b][0] + self.hung(b) for b in self.buses[k][1:-1]), Fraction(0))
            broken = [e for e in branches if status[e] == OPEN]
            for e in broken or [e for e in branches if status[e] == FREE]:
                (p, q), (p_v, q_v) = self.stubs[k][branches.index(e)]
                opened[e] = (1 + y) * p + m * q + (1 + y_v) * p_v + m_v * q_v - load
            some = [opened[e] for e in branches if e in opened]
            least.append(min(some, default=HUGE))
            total += least[k]
            for side in (0, 1):
                if (k, side) in self.least and (k, side) not in excluded and not broken:
                    cost = self._cost(k, side, of) - load
                    arcs[k, side] = cost - least[k], self.end(k, 1 - side), self.end(k, side)
        nodes = set(self.junctions)
        more = least_tree(list(arcs.values()), nodes)
        if more is None or total + more >= goal:
            return {}, {}, True
        directed: dict[Way, Fraction | None] = {}
        for way, arc in arcs.items():
            left = [a for other, a in arcs.items() if other == way or (a[2] != arc[2] and other[0] != way[0])]
            with_it = least_tree(left, nodes)
            directed[way] = None if with_it is None else total + with_it
        free: dict[int, Fraction | None] = {}
        for e, cost in opened.items():
            k = self.of[e][0]
            without = least_tree([a for other, a in arcs.items() if other[0] != k], nodes)
            free[e] = None if without is None else total - least[k] + cost + without
        bounds = [[v for e, v in free.items() if self.of[e][0] == k] for k in range(len(self.branches))]
        for (k, _), v in directed.items():
            bounds[k].append(v)
        return free, directed, any(all(v is None or v >= goal for v in some) for some in bounds)

    def hung(self, bus: int) -> Fraction:
        """Nominal load of the trees that dangle from a bus."""
        return sum((self.own[j][0] + self.hung(j) for j, above, _ in self.hanging if above == bus), Fraction(0))

    def _cost(self, k: int, side: int, of: dict[int, Power]) -> Fraction:
        """Least cost of a closed path, with its load, by the derivative of a convex function."""
        f, g = self.least[k, side]
        buses, branches = self._directed(k, side)
        _, arrive, w = self._chain(buses, branches, (f, g))
        (y, m), (y_far, m_far) = of[self.end(k, 1 - side)], of[self.end(k, side)]
        y, y_far = 1 + y, 1 + y_far
        weight = [(y * self.z[e][0] + m * self.z[e][1]) / v for e, v in zip(branches, w, strict=True)]
        between = [(p - f, q - g) for p, q in arrive]
        cost = sum((y * self.load[b][0] + m * self.load[b][1] for b in buses[1:-1]), Fraction(0))
        for c, least, price in ((0, f, y - y_far), (1, g, m - m_far)):
            curve = sum(weight, Fraction(0))
            slope = price + 2 * sum((t * a[c] for t, a in zip(weight, between, strict=True)), Fraction(0))
            at = max(least, -slope / (2 * curve)) if curve > 0 else least
            if curve == 0 and slope < 0:
                return -HUGE
            cost += price * at + sum((t * (at + a[c]) ** 2 for t, a in zip(weight, between, strict=True)), Fraction(0))
        return cost
