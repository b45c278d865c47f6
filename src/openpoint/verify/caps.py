"""Upper bounds of the voltages in states with at most a given loss, in fractions that are rounded upwards.

Towards the far end of a branch w = |v|² rises by at most −2 (r p + x q), where p, q arrive: what the buses beyond draw,
and losses. Let a_j be what bus j feeds in of q, with the charging of one branch that may end there, and p_j what it
draws, each at least. Of the closed branches beyond, one ends at each bus there, so that for any ρ <= r / x

    −2 (r p + x q) <= 2 Σ (x a_j − r p_j) <= 2 x Σ max(0, a_j − ρ max(0, p_j)) + 2 r Σ max(0, −p_j)

over all buses that may be beyond: those of the part without bridges of the branch, each with all that hangs at it by
bridges; beyond a bridge they are known. Along a path from a source to a bus w rises by the sum of these, and the path
has one branch at a source. What grows with w (capacitors, charging; of constant current at most (1 + w) / 2) counts at
the greatest w, of which a first bound follows from all power fed in anywhere, with the greatest w on both sides.
By Cauchy and Schwarz, w also rises by no more than √(loss) √(W Σ 4 |z|² / r), W the greatest w. Ideal ratios multiply
w, and its rise up to them, by no more than their product along the path. These bounds require r, x, g >= 0.

The loss bounds voltages from below, too: a branch takes |z| √l of a voltage at most, and Σ |z| √l along a path is at
most √(loss) √(Σ |z|² / r) by Cauchy and Schwarz. This requires the same, and no ratios.

AC power flow of a radial state by backward and forward sweeps, in floating point: of one demand, and of many steps.

Both sweep by the same formulas, with numbers for one demand and with arrays of a number for each of many.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from math import isqrt
from operator import add, mul
from typing import Any, NamedTuple

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.network import Network
from openpoint.verify.data import Data
from openpoint.verify.graph import Graph

DIGITS = 64
"""Binary digits of rounded values."""
RATES = Fraction(0), Fraction(1, 4), Fraction(1, 2), Fraction(1), Fraction(2)
"""Numbers ρ."""
LOWER = Fraction(1, 2000)
"""The caps are worked out again with the greatest one while that gets lower by more than this share."""


def caps(
    data: Data,
    graph: Graph,
    usable: list[int],
    value: Fraction | None,
    held: Fraction,
    *,
    moving: bool = False,
) -> list[Fraction | float]:
    """Upper bounds of the squared voltages of states with a loss of at most `value`; inf: unknown.

    What is drawn or fed in at a source does not matter.

    Args:
        value: None where nothing is known of the loss.
        usable: branches that may be closed. held: greatest squared voltage of a source.
        moving: whether ratios may also be the inverse of these.
    """
    if (
        any(part[e] < 0 for e in usable for part in (data.r, data.x, data.g))
        or min(data.g_open_fr + data.g_open_to) < 0
    ):
        return [math.inf] * graph.n
    paths = _Paths(graph, usable)
    ratio = [max(t, 1 / t) ** 2 for t in data.tap]
    begin = max((_first(data, graph, e, ratio, moving) for e in paths.first), default=Fraction(0))
    one = [Fraction(1) if e in paths.first else most for e, most in enumerate(ratio)]
    beyond = _up(max(paths.heaviest(one, mul, Fraction(1))))
    gain, source = _up(beyond * max(begin, Fraction(1))), _up(beyond * begin * held)
    p, q, p_v, q_v, p_w, q_w = (
        sum((max(Fraction(0), -drawn) for bus, drawn in enumerate(part) if bus not in graph.sources), Fraction(0))
        for part in (data.p, data.q, data.p_v, data.q_v, data.p_w, data.q_w)
    )
    # A branch has charging while it is closed, and also while it is open at one end only.
    closed = {e: max(2 * data.b[e] * ratio[e], Fraction(0)) for e in usable}
    hanging = [b_fr + b_to for b_fr, b_to in zip(data.b_open_fr, data.b_open_to, strict=True)]
    q_w += sum(max(Fraction(0), b, closed.get(e, Fraction(0))) for e, b in enumerate(hanging))

    def along(weight: Callable[[Fraction, Fraction], Fraction]) -> list[Fraction]:
        """For every bus an upper bound of the sum of 2 r P + 2 x Q, or of `weight` of r and x, along any path to it."""
        return paths.heaviest([_up(weight(r, x)) for r, x in zip(data.r, data.x, strict=True)])

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
    if not most:
        return [math.inf if grown[bus] else _up(source + fixed[bus]) for bus in range(graph.n)]
    greatest, before = min(most), None
    found = [greatest] * graph.n
    while before is None or greatest < before * (1 - LOWER):
        rise = paths.heaviest([_up(2 * gain * w) for w in _fed(data, paths, closed, greatest)])
        for bus in range(graph.n):
            ways = [found[bus], source + fixed[bus] + grown[bus] * greatest, source + rise[bus]]
            if not blind[bus]:
                ways.append(source + _root(greatest * lossy[bus]))
            found[bus] = _up(min(ways))
        greatest, before = max(found), greatest
    return list(found)


def _first(data: Data, graph: Graph, e: int, ratio: list[Fraction], moving: bool) -> Fraction:
    """By how much a branch at a source multiplies w at most, which is passed away from the source."""
    at_fr, at_to = graph.fr[e] in graph.sources, graph.to[e] in graph.sources
    if moving or at_fr == at_to:
        return ratio[e]
    return 1 / data.tap[e] ** 2 if at_fr else data.tap[e] ** 2


def _fed(data: Data, paths: _Paths, closed: dict[int, Fraction], greatest: Fraction) -> list[Fraction]:
    """By branch an upper bound of −(r p + x q), where no squared voltage is above `greatest`.

    `closed`: charging of branches that may be closed, per squared voltage.
    """
    graph, zero = paths.graph, Fraction(0)
    charging, hanging = [zero] * graph.n, [zero] * graph.n
    for ends, open_b in ((graph.fr, data.b_open_fr), (graph.to, data.b_open_to)):
        for e, bus in enumerate(ends):
            charging[bus] = max(charging[bus], closed.get(e, zero))
            hanging[bus] += max(open_b[e], zero)
    v = (1 + greatest) / 2
    drawn, given = [zero] * graph.n, [zero] * graph.n
    for j in range(graph.n):
        if j not in graph.sources:
            drawn[j] = -_up(-(data.p[j] + v * min(data.p_v[j], zero) + greatest * min(data.p_w[j], zero)))
            fed = greatest * (charging[j] + hanging[j] - min(data.q_w[j], zero)) - v * min(data.q_v[j], zero)
            given[j] = _up(fed - data.q[j])
    drawn, drawn_beyond = paths.beyond(drawn)
    given, given_beyond = paths.beyond(given)
    active = paths.sums([max(-p, zero) for p in drawn])
    reactive = [
        paths.sums([max(a - rate * max(p, zero), zero) for a, p in zip(given, drawn, strict=True)]) for rate in RATES
    ]
    found = []
    for e, (r, x) in enumerate(zip(data.r, data.x, strict=True)):
        if e in paths.cut:
            found.append(max(x * given_beyond.get(e, zero) - r * drawn_beyond.get(e, zero), zero))
            continue
        part, k = paths.part[graph.fr[e]], max(k for k, rate in enumerate(RATES) if r >= rate * x or not k)
        found.append(x * reactive[k].get(part, zero) + r * active.get(part, zero))
    return found


def floors(data: Data, graph: Graph, usable: list[int], value: Fraction, held: Fraction) -> list[Fraction]:
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
    paths, found = _Paths(graph, usable), []
    for most, unknown in zip(paths.heaviest(lossy), paths.heaviest(blind), strict=True):
        v = _root(held) - Fraction(1, 1 << DIGITS) - _root(most)
        found.append(-_up(-v * v) if v > 0 and not unknown else Fraction(0))
    return found


def _up(value: Fraction) -> Fraction:
    return Fraction(-(-(value.numerator << DIGITS) // value.denominator), 1 << DIGITS)


def _root(square: Fraction) -> Fraction:
    """The square root, rounded up."""
    return Fraction(isqrt(-(-(square.numerator << 2 * DIGITS) // square.denominator)) + 1, 1 << DIGITS)


class _Paths:
    """Simple paths from the sources, which count as one bus, along some branches.

    Attributes:
        cut: bridges. part: by bus its part without bridges. first: branches at sources. away: bridges away from the
            sources, near ones first, with their near and far ends.
    """

    def __init__(self, graph: Graph, edges: list[int]) -> None:
        self.graph, self.edges = graph, edges
        self.cut, _ = graph.bridges(edges)
        self.first = {e for e in edges if graph.fr[e] in graph.sources or graph.to[e] in graph.sources}
        self.part, _ = graph.parts([e for e in edges if e not in self.cut])
        self.begin = self.part[min(graph.sources)]
        ways: dict[int, list[tuple[int, int, int]]] = {}
        for e in self.cut:
            for near, far in ((graph.fr[e], graph.to[e]), (graph.to[e], graph.fr[e])):
                ways.setdefault(self.part[near], []).append((e, near, far))
        self.away, stack, entered = list[tuple[int, int, int]](), [self.begin], {self.begin}
        while stack:
            for e, near, far in ways.get(stack.pop(), []):
                if self.part[far] not in entered:
                    entered.add(self.part[far])
                    self.away.append((e, near, far))
                    stack.append(self.part[far])

    def sums(self, values: list[Fraction]) -> dict[int, Fraction]:
        """Sums over the buses of each part."""
        found: dict[int, Fraction] = {}
        for part, value in zip(self.part, values, strict=True):
            if value:
                found[part] = found.get(part, Fraction(0)) + value
        return found

    def beyond(self, own: list[Fraction]) -> tuple[list[Fraction], dict[int, Fraction]]:
        """What each bus has with all that hangs at it by bridges, and what is beyond each bridge."""
        group, far_of, total = own.copy(), dict[int, Fraction](), self.sums(own)
        for e, near, far in reversed(self.away):
            far_of[e] = total.get(self.part[far], Fraction(0))
            if near not in self.graph.sources:
                group[near] += far_of[e]
            total[self.part[near]] = total.get(self.part[near], Fraction(0)) + far_of[e]
        return group, far_of

    def heaviest(
        self,
        weight: list[Fraction],
        join: Callable[[Fraction, Fraction], Fraction] = add,
        nothing: Fraction = Fraction(0),
    ) -> list[Fraction]:
        """For every bus an upper bound of the weight of simple paths from a source; `nothing` where there is no path.

        A path consists of bridges and of edges in the parts without bridges; in each such part its weight is at most
        that of the heaviest forest, and of the branches at sources there that of the heaviest one.
        """
        within = [e for e in self.edges if e not in self.cut]
        order = sorted((e for e in within if e not in self.first), key=weight.__getitem__, reverse=True)
        _, chosen = self.graph.parts(order)
        inside = dict.fromkeys(self.part, nothing)
        for e in chosen:
            part = self.part[self.graph.fr[e]]
            inside[part] = join(inside[part], weight[e])
        begin = max((weight[e] for e in within if e in self.first), default=nothing)
        total = {self.begin: join(inside[self.begin], begin)}
        for e, near, far in self.away:
            total[self.part[far]] = join(join(total[self.part[near]], weight[e]), inside[self.part[far]])
        return [total.get(p, nothing) for p in self.part]


SWEEPS = 2000
"""Sweeps, at most."""
FINE, ENOUGH, WILD = 1e-13, 1e-11, 1e3
"""Changes of a voltage in a sweep: at which to stop, up to which there is a flow, and from which on there is none."""

Order = list[tuple[int, int, int]]
"""(bus, parent bus, branch to it), parents first, -1 at sources."""
ByBus = dict[int, Any]
"""By number of a bus or a branch a number, or an array with one for each step."""


class _Sweeps:
    """A radial state that is swept.

    Attributes:
        v: by bus. series: by closed branch its current. current: by bus what is drawn there and beyond.
    """

    def __init__(self, net: Network, order: Order) -> None:
        self.z, self.half = net.z.diagonal().tolist(), (0.5 * net.y_shunt.diagonal()).tolist()
        self.tap, self.rated_fr, self.rated_to = net.tap.tolist(), net.rated_fr.tolist(), net.rated_to.tolist()
        self.drawn = list(zip(net.s_current.tolist(), net.s_impedance.tolist(), strict=True))
        used = {e for _, above, e in order if above >= 0}
        self.hung = [
            (bus, complex(y), e, rated[e])
            for ends, parts, rated in (
                (net.terminal_fr, net.y_open_fr, self.rated_fr),
                (net.terminal_to, net.y_open_to, self.rated_to),
            )
            for e, (bus, y) in enumerate(zip(ends.tolist(), parts.tolist(), strict=True))
            if y and e not in used
        ]
        for bus, y, _, _ in self.hung:  # an open branch is a load of constant impedance, and its power counts as loss
            by_v, by_w = self.drawn[bus]
            self.drawn[bus] = by_v, by_w + y.conjugate()
        self.below = [(bus, above, e, net.terminal_fr[e] == above) for bus, above, e in order if above >= 0]
        self.v: ByBus = dict(zip(net.source_terminal.tolist(), net.source_v.tolist(), strict=True))
        for bus, above, e, forth in self.below:
            self.v[bus] = self.v[above] / self.tap[e] if forth else self.v[above] * self.tap[e]
        self.series: ByBus = {}
        self.current: ByBus = dict.fromkeys(self.v, 0j)

    def backward(self, power: Any) -> None:
        """Currents at the voltages so far; `power`: constant power by bus."""
        v, current = self.v, ByBus()
        for bus, u in v.items():
            by_v, by_w = self.drawn[bus]
            drawn = power[bus] + abs(u) * (by_v + abs(u) * by_w) if by_v or by_w else power[bus]
            current[bus] = (drawn / u).conjugate()
        for bus, above, e, forth in reversed(self.below):
            # The ratio is at the from bus, the shunt behind it; phase shifts change only voltage angles.
            half, tap = self.half[e], self.tap[e]
            if not half and tap == 1.0:
                self.series[e] = current[bus]
                current[above] = current[above] + current[bus]
            elif forth:
                self.series[e] = current[bus] + half * v[bus]
                current[above] = current[above] + (self.series[e] + half * v[above] / tap) / tap
            else:
                self.series[e] = tap * current[bus] + half * v[bus] / tap
                current[above] = current[above] + (self.series[e] + half * v[above])
        self.current = current

    def ends(self, bus: int, above: int, e: int, forth: bool) -> tuple[Any, Any]:
        """The voltages at both ends of the impedance of a branch, of the upper and of the lower one."""
        far = self.v[above] / self.tap[e] if forth else self.v[above]
        return far, far - self.z[e] * self.series[e]

    def loss(self) -> Any:
        """The loss of the state as it is."""
        total: Any = sum(y.real * abs(self.v[bus]) ** 2 for bus, y, _, _ in self.hung)
        for bus, above, e, forth in self.below:
            total = total + self.z[e].real * abs(self.series[e]) ** 2
            if self.half[e].real:
                far, near = self.ends(bus, above, e, forth)
                total = total + self.half[e].real * (abs(near) ** 2 + abs(far) ** 2)
        return total

    def rated(self) -> ByBus:
        """By branch its squared rated current (`openpoint.network.limits`), of open ones that of their charging."""
        found = {e: rated * rated * abs(y) ** 2 * abs(self.v[bus]) ** 2 for bus, y, e, rated in self.hung}
        for bus, above, e, forth in self.below:
            half, tap, series = self.half[e], self.tap[e], self.series[e]
            rated_fr, rated_to = self.rated_fr[e] / tap, self.rated_to[e]
            if not half:
                found[e] = max(rated_fr, rated_to) ** 2 * (series.real**2 + series.imag**2)
                continue
            fr, to = (above, bus) if forth else (bus, above)
            at_fr, at_to = half * self.v[fr] / tap, half * self.v[to]
            at_fr, at_to = (series + at_fr, series - at_to) if forth else (series - at_fr, series + at_to)
            found[e] = np.maximum(rated_fr * abs(at_fr), rated_to * abs(at_to)) ** 2
        return found

    def forward(self) -> ByBus:
        """Voltages at the currents so far; by how much each of them changed."""
        moved = ByBus()
        for bus, above, e, forth in self.below:
            _, near = self.ends(bus, above, e, forth)
            new = near if forth else near * self.tap[e]
            moved[bus], self.v[bus] = new - self.v[bus], new
        return moved


class StateFlow(NamedTuple):
    """The flow of one demand: loss, inf where the sweeps diverge; squared voltages by bus, squared series currents by
    closed branch, squared rated currents by branch, power by source."""

    loss: float
    w: dict[int, float]
    l: dict[int, float]
    rated: dict[int, float]
    delivered: dict[int, complex]


def flow(net: Network, order: Order, generation: Complexes) -> StateFlow:
    """The flow of a radial state.

    Args:
        generation: (G).
    """
    power = net.s_power.copy()
    np.subtract.at(power, net.generator_terminal, generation)
    drawn, state, step = power.tolist(), _Sweeps(net, order), math.inf
    for _ in range(SWEEPS):
        if not all(state.v.values()):
            break
        state.backward(drawn)
        step = max(map(abs, state.forward().values()), default=0.0)
        if not step > FINE or not step < WILD:
            break
    squares = _squares(state.v), _squares(state.series)
    sources = net.source_terminal.tolist()
    delivered = {bus: state.v[bus] * state.current[bus].conjugate() for bus in sources}
    return StateFlow(float(state.loss()) if step <= ENOUGH else math.inf, *squares, state.rated(), delivered)


class StepFlows(NamedTuple):
    """The flows of t steps: (t) loss, inf where the sweeps diverge; (t) squares of voltages by bus, of rated currents
    by branch."""

    loss: Floats
    w: dict[int, Floats]
    rated: dict[int, Floats]


def flows(net: Network, order: Order, power: Complexes) -> StepFlows:
    """The same as `flow` of many steps, each by itself.

    Args:
        net: without generators to choose. power: (t, N) constant power of every bus in every step.
    """
    state = _Sweeps(net, order)
    state.v = {bus: np.full(len(power), v) for bus, v in state.v.items()}
    drawn, step = list(np.ascontiguousarray(power.T)), np.full(len(power), math.inf)
    parts = np.empty(2 * len(power))  # of changes, a real and an imaginary one of each step
    with np.errstate(all="ignore"):  # of a step that diverges
        for _ in range(SWEEPS):
            state.backward(drawn)
            parts[:] = 0.0
            for moved in state.forward().values():
                change = moved.view(np.float64)
                np.maximum(parts, np.abs(change, out=change), out=parts)
            step = parts.reshape(-1, 2).max(axis=1)
            if not np.any((step > FINE) & (step < WILD)):
                break
        loss = np.zeros(len(power)) + state.loss()
        return StepFlows(np.where(step <= ENOUGH, loss, math.inf), _squares(state.v), state.rated())


def _squares(of: ByBus) -> ByBus:
    return {key: value.real**2 + value.imag**2 for key, value in of.items()}
