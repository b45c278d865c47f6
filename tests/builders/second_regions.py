"""The regions of a node for the second checker of certificates (`tests.builders.second_checker`), in fractions.

Written from docs/formats.md and docs/certificates.md alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tests.builders.certificates import Line

Pair = tuple[Fraction, Fraction]
OPEN, CLOSED = 0, 1


class Refused(Exception):
    """The certificate proves nothing."""


class SecondRegions:
    """The supplied part and the regions of a node, for loads of constant power that take power.

    Attributes:
        supplied: its buses. inside: its branches. regions: of each its buses, hubs and branches; all ascending, regions
            by their first bus. wrong: whether the parts are not those that a bound is for.
    """

    def __init__(
        self,
        ends: list[tuple[int, int]],
        z: list[Pair],
        power: list[Pair],
        w: tuple[list[Fraction], list[Fraction]],
        status: list[int],
        sources: set[int],
        apart: set[int],
    ) -> None:
        """`ends`, `z`: by branch. power, w: by bus, w the least and the greatest squared voltages."""
        self.ends, self.z, self.power, self.w = ends, z, power, w
        self.live = [e for e, state in enumerate(status) if state != OPEN]
        self.above: dict[int, tuple[int, int]] = {}
        reached, order = set(sources), sorted(sources)
        for bus in order:
            for e in self.live:
                if status[e] == CLOSED and bus in ends[e]:
                    other = ends[e][0] + ends[e][1] - bus
                    if other not in reached | apart:
                        reached.add(other)
                        order.append(other)
                        self.above[other] = bus, e
        self.order, self.supplied = order, sorted(reached)
        self.inside = [e for e in self.live if set(ends[e]) <= reached]
        self.wrong = len(self.inside) != len(self.above) or any(status[e] != CLOSED for e in self.inside)
        self.regions: list[tuple[list[int], list[int], list[int]]] = []
        left = {bus for bus in range(len(power)) if bus not in reached}
        while left:
            some = {min(left)}
            while more := {b for e in self.live for b in ends[e] if set(ends[e]) & some} - reached - some:
                some |= more
            left -= some
            branches = [e for e in self.live if set(ends[e]) & some]
            hubs = sorted({b for e in branches for b in ends[e]} & reached)
            self.wrong |= not hubs
            self.regions.append((sorted(some), hubs, branches))

    def squares(self, lost: Fraction) -> dict[int, Pair]:
        """By supplied bus its least and greatest squared voltages where at most this is lost."""
        blind = any(not r and x for r, x in (self.z[e] for e in self.live))
        ratio = max((x / r for r, x in (self.z[e] for e in self.live) if r), default=Fraction(0))
        lost = max(lost, Fraction(0))
        extra = lost, lost * ratio
        below: dict[int, set[int]] = {bus: {bus} for bus in self.order}
        for bus in reversed(self.order):
            if bus in self.above:
                below[self.above[bus][0]] |= below[bus]
        found = {bus: (self.w[0][bus], self.w[1][bus]) for bus in self.order}
        for bus in self.order:
            if bus not in self.above:
                continue
            up, e = self.above[bus]
            least = [sum((self.power[b][k] for b in below[bus]), Fraction(0)) for k in (0, 1)]
            most = [a + b for a, b in zip(least, extra, strict=True)]
            for buses, hubs, _ in self.regions:
                if set(hubs) & below[bus]:
                    for k in (0, 1):
                        there = sum((self.power[b][k] for b in buses), Fraction(0))
                        most[k] += there
                        least[k] += there if set(hubs) <= below[bus] else 0
            low, high = (2 * sum(a * b for a, b in zip(self.z[e], some, strict=True)) for some in (most, least))
            bottom = found[bus][0] if blind and self.z[e][1] else max(found[bus][0], found[up][0] - low)
            found[bus] = bottom, min(found[bus][1], found[up][1] - high)
        return found


def follow(check: Any, status: list[int], line: Line, rest: Iterator[Line]) -> None:
    """Check a node by the trees of its regions, which follow the line that divides it; `check`: of the whole grid.

    Raises:
        Refused: they do not prove it.
    """
    if not {"futures", "year"}.isdisjoint(check.head):
        raise Refused("regions under futures")
    _, apart, bits, _tops, phi, _, y, mu = line
    ends, z = list(zip(check.fr, check.to, strict=True)), list(zip(check.r, check.x, strict=True))
    power = [(Fraction(s.real), Fraction(s.imag)) for s in map(complex, check.demands[0])]
    of = SecondRegions(ends, z, power, (check.w_min, check.w_max), status, check.sources, set(apart))
    if of.wrong:
        raise Refused("regions")
    squares = of.squares(check.goal)
    total, worth = Fraction(0), [Fraction(0)] * check.n
    for buses, hubs, branches in of.regions:
        begin = next(rest, ["end"])
        if begin[0] != "region":
            raise Refused("region")
        count, goal, prices = begin[1:]
        if count != len(buses) + len(hubs) or len(prices) != len(hubs):
            raise Refused("region")
        every = sorted([*buses, *hubs])
        there = check.part(every, set(hubs), branches)
        there.goal, there.first = Fraction(goal), [status[e] for e in branches]
        for part in there.drawn[0]:
            for hub in hubs:
                part[every.index(hub)] = Fraction(0)
        for hub, price in zip(hubs, prices, strict=True):
            at, kappa = every.index(hub), Fraction(price, 1 << 40)
            there.w_min[at], there.w_max[at], there.worth_of[at] = *squares[hub], kappa
            there.held[at] = Fraction(y[hub], 1 << bits), Fraction(mu[hub], 1 << bits)
            worth[hub] -= kappa
        lines, left = [], 1
        while left:
            lines.append(next(rest, ["end"]))
            word = lines[-1][0]
            if word not in ("probe", "apply", "bound", "none", "split", "from"):
                raise Refused(word)
            left += (word == "split") - (word in ("bound", "none"))
        there.all(lines)
        total += there.goal
    trunk = check.part(of.supplied, check.sources, of.inside)
    trunk.worth_of = [worth[bus] for bus in of.supplied]
    limits = {of.supplied.index(bus): Fraction(a, 1 << 20) for bus, a in phi if bus in of.supplied}
    active, reactive = ([Fraction(a[bus], 1 << bits) for bus in of.supplied] for a in (y, mu))
    at_first = active, reactive, limits
    if any(at_first[0][bus] or at_first[1][bus] for bus in trunk.sources):
        raise Refused("multipliers at a source")
    if total + trunk.bound_at([CLOSED] * trunk.m, at_first, [], 0) < check.goal:
        raise Refused("regions do not add up")
