"""Upper bounds of the voltages in states with at most a given loss, in fractions that are rounded upwards.

Towards the far end of a branch w = |v|² rises by at most 2 (r P + x Q), P and Q all that is fed in beyond, since losses
and demand only lower it: along a path from a source to a bus by no more than the sum of these. Of P and Q, a part grows
with w (capacitors, charging; of constant current at most (1 + w) / 2), so that the greatest w is on both sides. By
Cauchy and Schwarz, w also rises by no more than √(loss) √(W Σ 4 |z|² / r), W the greatest w. Ideal ratios multiply w,
and its rise up to them, by no more than their product along the path. These bounds require r, x, g >= 0.

The loss bounds voltages from below, too: a branch takes |z| √l of a voltage at most, and Σ |z| √l along a path is at
most √(loss) √(Σ |z|² / r) by Cauchy and Schwarz. This requires the same, and no ratios.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from math import isqrt
from operator import add, mul

from openpoint.verify.data import Data
from openpoint.verify.graph import Graph

DIGITS = 64
"""Binary digits of rounded values."""


def caps(
    data: Data[Fraction], graph: Graph, usable: list[int], value: Fraction | None, held: Fraction
) -> list[Fraction | float]:
    """Upper bounds of the squared voltages of states with a loss of at most `value`; inf: unknown.

    What is drawn or fed in at a source does not matter.

    Args:
        value: None where nothing is known of the loss.
        usable: branches that may be closed. held: greatest squared voltage of a source.
    """
    if (
        any(part[e] < 0 for e in usable for part in (data.r, data.x, data.g))
        or min(data.g_open_fr + data.g_open_to) < 0
    ):
        return [math.inf] * graph.n
    ratio = [max(t, 1 / t) ** 2 for t in data.tap]
    gain = _up(max(_heaviest(graph, usable, ratio, mul, Fraction(1))))
    p, q, p_v, q_v, p_w, q_w = (
        sum((max(Fraction(0), -drawn) for bus, drawn in enumerate(part) if bus not in graph.sources), Fraction(0))
        for part in (data.p, data.q, data.p_v, data.q_v, data.p_w, data.q_w)
    )
    # A branch has charging while it is closed, and also while it is open at one end only.
    charging = [b_fr + b_to for b_fr, b_to in zip(data.b_open_fr, data.b_open_to, strict=True)]
    for e in usable:
        charging[e] = max(charging[e], 2 * data.b[e] * ratio[e])
    q_w += sum(max(Fraction(0), b) for b in charging)

    def along(weight: Callable[[Fraction, Fraction], Fraction]) -> list[Fraction]:
        """For every bus an upper bound of the sum of 2 r P + 2 x Q, or of `weight` of r and x, along any path to it."""
        return _heaviest(graph, usable, [_up(weight(r, x)) for r, x in zip(data.r, data.x, strict=True)])

    source = gain * held
    fixed = along(lambda r, x: 2 * gain * (r * (p + p_v / 2) + x * (q + q_v / 2)))
    grown = along(lambda r, x: 2 * gain * (r * (p_w + p_v / 2) + x * (q_w + q_v / 2)))
    most_lost = Fraction(0) if value is None else value
    lossy = along(lambda r, x: 4 * gain**3 * most_lost * (r * r + x * x) / r if r else Fraction(0))
    # Without resistance, losses do not bound the flow.
    blind = along(lambda r, x: Fraction(r + x > 0 if value is None else not r and x > 0))
    most = [(source + max(fixed)) / (1 - max(grown))] if max(grown) < 1 else []
    if not any(blind):
        half = _root(max(lossy)) / 2
        most.append((half + _root(half * half + source)) ** 2)
    greatest = min(most, default=None)
    found: list[Fraction | float] = []
    for bus in range(graph.n):
        ways = []
        if greatest is not None or not grown[bus]:
            ways.append(source + fixed[bus] + grown[bus] * (greatest or 0))
        if greatest is not None and not blind[bus]:
            ways.append(source + _root(greatest * lossy[bus]))
        found.append(_up(min(ways)) if ways else math.inf)
    return found


def floors(data: Data[Fraction], graph: Graph, usable: list[int], value: Fraction, held: Fraction) -> list[Fraction]:
    """Lower bounds of the squared voltages of states with a loss of at most `value`; 0: unknown.

    Args:
        usable: branches that may be closed. held: least squared voltage of a source.
    """
    if (
        any(part[e] < 0 for e in usable for part in (data.r, data.x, data.g))
        or min(data.g_open_fr + data.g_open_to) < 0
        or any(data.tap[e] != 1 for e in usable)
    ):
        return [Fraction(0)] * graph.n
    lossy = [_up(value * (r * r + x * x) / r) if r else Fraction(0) for r, x in zip(data.r, data.x, strict=True)]
    blind = [Fraction(not r and x > 0) for r, x in zip(data.r, data.x, strict=True)]
    found = []
    for most, unknown in zip(_heaviest(graph, usable, lossy), _heaviest(graph, usable, blind), strict=True):
        v = _root(held) - Fraction(1, 1 << DIGITS) - _root(most)
        found.append(-_up(-v * v) if v > 0 and not unknown else Fraction(0))
    return found


def _up(value: Fraction) -> Fraction:
    return Fraction(-(-(value.numerator << DIGITS) // value.denominator), 1 << DIGITS)


def _root(square: Fraction) -> Fraction:
    """The square root, rounded up."""
    return Fraction(isqrt(-(-(square.numerator << 2 * DIGITS) // square.denominator)) + 1, 1 << DIGITS)


def _heaviest(
    graph: Graph,
    edges: list[int],
    weight: list[Fraction],
    join: Callable[[Fraction, Fraction], Fraction] = add,
    nothing: Fraction = Fraction(0),
) -> list[Fraction]:
    """For every bus an upper bound of the weight of simple paths from a source; `nothing` where there is no path.

    A path consists of bridges and of edges in the parts without bridges; in each such part its weight is at most that
    of the heaviest forest.
    """
    cut, _ = graph.bridges(edges)
    within = sorted((e for e in edges if e not in cut), key=weight.__getitem__, reverse=True)
    part, chosen = graph.parts(within)
    inside = dict.fromkeys(part, nothing)
    for e in chosen:
        inside[part[graph.fr[e]]] = join(inside[part[graph.fr[e]]], weight[e])
    ways: dict[int, list[tuple[int, int]]] = {}
    for e in cut:
        a, b = part[graph.fr[e]], part[graph.to[e]]
        ways.setdefault(a, []).append((e, b))
        ways.setdefault(b, []).append((e, a))
    begin = part[min(graph.sources)]
    total = {begin: inside[begin]}
    stack = [begin]
    while stack:
        here = stack.pop()
        for e, other in ways.get(here, []):
            if other not in total:
                total[other] = join(join(total[here], weight[e]), inside[other])
                stack.append(other)
    return [total.get(p, nothing) for p in part]
