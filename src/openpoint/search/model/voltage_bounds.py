"""Bounds of the voltages in any radial state, or in any radial state with at most a given loss.

With power p, q arriving at the far end of a branch, w_to = w_fr − 2 (r p + x q) − |z|² l. Along the path from the
source to a bus, which passes no branch twice and one branch at a source at most, w therefore rises by at most
Σ −2 (r p + x q) over reverse flows:

- **What is fed in beyond.** What arrives is the demand of the buses B beyond, and losses, r, x, g >= 0. Let p_j be the
  demand of a bus and a_j what it feeds in of q, at the greatest w, with the charging of one branch that may end there:
  of the closed branches beyond one ends at each bus of B. So with any ρ <= r / x

      −2 (r p + x q) <= 2 Σ_B (x a_j − r p_j) <= 2 x Σ max(0, a_j − ρ max(0, p_j)) + 2 r Σ max(0, −p_j)

  over all buses that may be in B: those of the part without bridges to which the branch belongs, each with all that
  hangs at it by bridges. Beyond a bridge are all buses of its far side, so that both sums are known.
- By Cauchy and Schwarz, Σ (r p + x q) <= Σ √(r l) √(w |z|² / r) <= √(loss) √(w Σ |z|² / r), so that √w_greatest = t has
  t² <= w_source + 2 t √(loss Σ |z|² / r). A search for states that lose less than a known one may rely on it.

What is fed in depends on the greatest w, as does the second bound: a first one follows from all power fed in anywhere,
fixed + proportional w, by w <= (w_source + fixed) / (1 − proportional); each bound then gives a lower one.

Ideal ratios multiply w, and its rise up to them, by at most their product along the path.

The loss bounds the voltages from below, too: a branch takes |z| √l of the voltage at most, and along the path to a bus
Σ |z| √l <= √(Σ r l) √(Σ |z|² / r) (Cauchy and Schwarz again), so that √w >= √w_source − √(loss Σ |z|² / r). It requires
the same, and no ratios. Loads of constant current or impedance, which vanish with the voltage, need such a bound.

Demand and generation at the buses, in the form that the search model uses.

An upper bound of the loss of every state of interest, computed before any state is known.

The search needs it as a first cutoff, while it knows no state that keeps the limits. It is the least of three bounds.

**All loads and generation.** The loss exceeds the sum of all loads and generation only beyond the nose of the voltage
curve, where no grid is operated.

**Ratings.** Where every branch with a resistance has one, the loss is at most Σ r l_max, plus the loss of lines that
are open at one end, at the greatest voltages that limits allow.

**Lower voltage limits**, where every bus has one and only consumes, and there are neither shunts nor ratios. Power then
flows from the sources outwards. For a branch (i → j) let p, q arrive at j, so that w_i − w_j = 2 (r p + x q) + |z|² l
and l w_j = p² + q². With weights P̃_j = P_j + Σ r l of the branches that leave j, the power that arrives is the flow of
just these weights down the tree, and so with Q̃_j = Q_j + Σ x l. With Δ the greatest drop from a source to a limit and
any a, b >= 0,

    Δ Σ (a P_j + b Q_j) + Δ Σ (a r + b x) l >= Σ_j (a P̃_j + b Q̃_j) (w_source − w_j)
        >= Σ (a p + b q) · 2 (r p + x q) >= Σ θ (p² + q²) >= Σ θ w_min l

where θ (a, b) is the least of 2 (a cos φ + b sin φ)(r cos φ + x sin φ) over the angles φ that p + jq can have. That is
a sum of loads s_j and of losses z l, so φ lies between the least and the greatest of their angles, all in [0, 90°]; on
such an arc a quadratic form with a product term >= 0 is least at one end. If θ w_min >= Δ (a r + b x) + η r at every
branch, the loss is at most Δ Σ (a P_j + b Q_j) / η. This is valid for any a, b; the best of several pairs is taken.

Theory: docs/methods.md M8, M12.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.graph import bridges, components, forest
from openpoint.network import Network


@dataclass(frozen=True)
class Demand:
    """(N) demand less generation, per unit; 0 at sources, where it causes no loss, unless their power has a price.

    Attributes:
        power: constant power at the greatest output of the dispatchable generators.
        span: width of the range of the dispatchable generators. current: demand of constant current, per voltage.
        steady: demand of constant impedance, per squared voltage.
    """

    power: Complexes
    span: Complexes
    current: Complexes
    steady: Complexes


def demand(network: Network, *, at_sources: bool = False, generators: bool = True) -> Demand:
    """The demand of a balanced network, with the ranges of its dispatchable generators or without any `generators`.

    `at_sources`: also the demand there.
    """
    power, current, steady = network.s_power.copy(), network.s_current.copy(), network.s_impedance.copy()
    span = np.zeros(network.n_terminals, dtype=complex)
    if generators:
        np.subtract.at(power, network.generator_terminal, network.p_max + 1j * network.q_max)
        ranges = (network.p_max - network.p_min) + 1j * (network.q_max - network.q_min)
        np.add.at(span, network.generator_terminal, ranges)
    if not at_sources:
        for part in (power, span, current, steady):
            part[network.source_terminal] = 0.0
    return Demand(power, span, current, steady)


def by_bus(taken: Demand, bus: Ints) -> dict[str, Floats]:
    """The demand as the arrays of `openpoint.search.kernel.arrays.Model`, of these buses."""
    parts = {"": taken.power, "_span": taken.span, "_v": taken.current, "_w": taken.steady}
    arrays = {f"p{name}": part.real[bus].copy() for name, part in parts.items()}
    return arrays | {f"q{name}": part.imag[bus].copy() for name, part in parts.items()}


ANGLES = 181
"""Proportions of a and b that are tried."""


def loss_upper_bound(network: Network) -> float:
    """The sum of all loads and generation, per unit."""
    loads = np.abs(network.s_power) + 2.0 * np.abs(network.s_current) + 4.0 * np.abs(network.s_impedance)
    p, q = (np.maximum(-a, b) for a, b in ((network.p_min, network.p_max), (network.q_min, network.q_max)))
    power = loads.sum() + np.hypot(p, q).sum()
    return float(power + 4.0 * (network.y_most.real.sum() + network.y_most.imag.sum()))


def _loss_of_open_lines(network: Network) -> float:
    """Greatest loss of lines that are open at one end; inf where no voltage limit bounds it."""
    ends = ((network.terminal_fr, network.y_open_fr.real), (network.terminal_to, network.y_open_to.real))
    # A limit counts as kept up to its tolerance; a source has the voltage that it holds.
    high = np.maximum(network.w_max * (1.0 + 1e-5), float(np.max(np.abs(network.source_v) ** 2)))
    return float(sum((np.abs(g[g != 0.0]) * high[end[g != 0.0]]).sum() for end, g in ends))


def loss_upper_bound_by_limits(network: Network, usable: Bools, taken: Demand, w_min: Floats, l_max: Floats) -> float:
    """The lesser of the bounds by ratings and by lower voltage limits; inf where neither applies.

    Args:
        usable: (E) branches that may be closed.
        taken: demand and its ranges.
        w_min, l_max: (N), (E) limits of squared voltages and series currents, relaxed by their tolerance.
    """
    r, x = network.r[usable], network.x[usable]
    if np.any(r < 0.0) or np.any(x < 0.0) or network.g[usable].any():
        return np.inf
    lossy = r > 0.0
    most = float((r[lossy] * l_max[usable][lossy]).sum()) + _loss_of_open_lines(network)
    inner = network.inner
    every = np.concatenate([taken.power, taken.current, taken.steady])
    fed = np.any(every.real < 0.0) or np.any(every.imag < 0.0) or taken.span.any()
    if fed or network.b[usable].any() or network.y_open.any() or np.any(network.tap[usable] != 1.0) or not lossy.any():
        return most
    low = float(w_min[inner].min(initial=np.inf))
    high = float(np.max(np.abs(network.source_v) ** 2))
    drop = high - low
    if not 0.0 < low < np.inf or drop < 0.0:
        return most
    s = taken.power.sum() + np.sqrt(high) * taken.current.sum() + high * taken.steady.sum()
    phasors = np.concatenate([every, r + 1j * x])
    phasors = phasors[phasors != 0]
    t = np.linspace(0.0, 0.5 * np.pi, ANGLES)[:, None]
    a, b = np.cos(t), np.sin(t)
    theta = np.full((1, len(r)), np.inf)
    for phi in (np.angle(phasors).min(), np.angle(phasors).max()):
        along = r * np.cos(phi) + x * np.sin(phi)
        theta = np.minimum(theta, 2.0 * (a * np.cos(phi) + b * np.sin(phi)) * along)
    spare = theta * low - drop * (a * r + b * x)
    eta = np.where((spare >= 0.0).all(axis=1), (spare[:, lossy] / r[lossy]).min(axis=1), 0.0)
    weighed = drop * (a[:, 0] * s.real + b[:, 0] * s.imag)
    by_drop = np.divide(weighed, eta, out=np.full(ANGLES, np.inf), where=eta > 0.0)
    return min(most, float(by_drop.min()))


ROUNDING = 1e-12
"""Relative margin of lower bounds."""
RATES = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Numbers below r / x with which the reactive power that is fed in is compared with the active power that is drawn."""
LOWER = 1e-3
"""Bounds of the voltages are worked out again with the greatest one while that gets lower by more than this."""


@dataclass(frozen=True)
class VoltageBounds:
    """Bounds of the squared voltages of one grid.

    Attributes:
        source: greatest squared voltage of a source, times the ratios of any path.
        fixed, proportional: (N) rise along any path to a bus, and its part per greatest squared voltage, by all power
            fed in anywhere; inf where none is known. feeding: the rise by what is fed in beyond each branch.
        by_loss: (N) 4 Σ |z|² / r along any path to a bus, times ratios.
        least: squared voltage of any source, at least; 0 where there are ratios.
        held: (N) squared voltages of sources; 0 elsewhere.
    """

    source: float
    fixed: Floats
    proportional: Floats
    by_loss: Floats
    least: float
    held: Floats
    feeding: Feeding | None

    def least_at(self, value: float) -> Floats:
        """(N) lower bounds of the squared voltages where the loss is at most `value`, 0 where none is known."""
        lost = np.where(self.by_loss > 0.0, np.inf, 0.0)
        np.multiply(0.25 * value, self.by_loss, out=lost, where=(self.by_loss > 0.0) & np.isfinite(self.by_loss))
        v: Floats = np.sqrt(self.least) * (1.0 - ROUNDING) - np.sqrt(lost) * (1.0 + ROUNDING)
        return np.maximum(0.0, v) ** 2

    def at(self, value: float) -> Floats:
        """(N) upper bounds of the squared voltages where the loss is at most `value`; inf where none is known."""
        greatest = np.inf
        share = float(self.proportional.max())
        if share < 1.0:
            greatest = (self.source + float(self.fixed.max())) / (1.0 - share)
        lossy = np.where(self.by_loss > 0.0, np.inf, 0.0)
        np.multiply(value, self.by_loss, out=lossy, where=(self.by_loss > 0.0) & np.isfinite(self.by_loss))
        half = 0.5 * np.sqrt(float(lossy.max()))
        greatest = min(greatest, float(half + np.sqrt(half * half + self.source)) ** 2)
        if not np.isfinite(greatest) or self.feeding is None:
            return np.maximum(np.where(self.proportional > 0.0, np.inf, self.source + self.fixed), self.held)
        found, before = np.full(len(lossy), greatest), np.inf
        while greatest < before * (1.0 - LOWER):
            before = greatest
            for rise in (
                self.fixed + self.proportional * greatest,
                np.sqrt(greatest * lossy),
                self.feeding.rise(greatest),
            ):
                found = np.minimum(found, self.source + rise)
            greatest = float(found.max())
        return np.asarray(np.maximum(found, self.held))


def bounds_of_voltages(network: Network, usable: Bools, taken: Demand, *, moving: bool = False) -> VoltageBounds:
    """Bounds of the squared voltages of a network.

    Args:
        usable: (E) branches that may be closed.
        taken: demand and its ranges.
        moving: whether ratios may also be the inverse of these.
    """
    kept = np.flatnonzero(usable)
    r, x, tap = network.r[kept], network.x[kept], network.tap[kept]
    fr, to = network.terminal_fr[kept], network.terminal_to[kept]
    paths = _SimplePaths(network.n_terminals, fr, to, network.source_terminal)
    nothing, held = np.full(network.n_terminals, np.inf), np.zeros(network.n_terminals)
    held[network.source_terminal] = np.abs(network.source_v) ** 2
    if np.any(r < 0.0) or np.any(x < 0.0) or np.any(network.g[kept] < 0.0) or np.any(network.y_open.real < 0.0):
        return VoltageBounds(np.inf, nothing, nothing, nothing, 0.0, held, None)
    most = np.maximum(tap, 1.0 / tap) ** 2
    first, rest = most.copy(), np.where(paths.first, 1.0, most)
    if not moving:  # a branch at a source is passed away from it
        at_fr = np.isin(fr, network.source_terminal)
        first = np.where(at_fr == np.isin(to, network.source_terminal), most, np.where(at_fr, 1.0 / tap, tap) ** 2)
    beyond = float(np.exp(paths.heaviest(np.log(rest)).max()))
    begin = float(np.max(first[paths.first], initial=0.0))
    gain = beyond * max(1.0, begin)
    # A branch has charging while it is closed, and also while it is open at one end only.
    closed = np.where(usable, np.maximum(network.b, 0.0), 0.0) * np.maximum(network.tap, 1.0 / network.tap) ** 2
    charging = float(np.maximum(closed, network.y_open.imag).sum())
    # What is fed in at constant current grows with v <= (1 + w) / 2.
    p, p_w, q, q_w = (
        _fed(part) + 0.5 * _fed(current)
        for whole, current in (
            ((taken.power.real, taken.steady.real), taken.current.real),
            ((taken.power.imag, taken.steady.imag), taken.current.imag),
        )
        for part in whole
    )
    fixed = r * p + x * q
    proportional = r * p_w + x * (q_w + charging)
    z2 = r * r + x * x
    by_loss = np.divide(z2, r, out=np.where(z2 > 0.0, np.inf, 0.0), where=r > 0.0)
    return VoltageBounds(
        source=beyond * begin * float(held.max()),
        fixed=2.0 * gain * paths.heaviest(fixed),
        proportional=2.0 * gain * paths.heaviest(proportional),
        by_loss=4.0 * gain**3 * paths.heaviest(by_loss),
        least=float(np.min(np.abs(network.source_v) ** 2)) if np.all(tap == 1.0) else 0.0,
        held=held,
        feeding=Feeding(paths, r, x, gain, taken, _charging_at(network, usable, closed)),
    )


def _fed(part: Floats) -> float:
    return float(np.maximum(-part, 0.0).sum())


def _charging_at(network: Network, usable: Bools, closed: Floats) -> Floats:
    """(N) greatest charging of one branch that ends at the bus, with what is there of branches open at one end."""
    found, hanging = np.zeros(network.n_terminals), np.zeros(network.n_terminals)
    for end, y in ((network.terminal_fr, network.y_open_fr), (network.terminal_to, network.y_open_to)):
        np.maximum.at(found, end[usable], closed[usable])
        np.add.at(hanging, end, np.maximum(y.imag, 0.0))
    return found + hanging


class Feeding:
    """The rise of voltages by what buses feed in beyond each branch."""

    def __init__(self, paths: _SimplePaths, r: Floats, x: Floats, gain: float, taken: Demand, charging: Floats) -> None:
        """`charging`: (N) per squared voltage, other arguments as in `bounds_of_voltages`."""
        self.paths, self.r, self.x, self.gain, self.taken, self.charging = paths, r, x, gain, taken, charging
        self.rate = np.zeros(len(r), dtype=np.int64)
        for k, rate in enumerate(RATES):
            self.rate[r >= rate * x] = k

    def rise(self, greatest: float) -> Floats:
        """(N) rise of the squared voltage along any path to the bus, where none is above `greatest`."""
        paths, taken = self.paths, self.taken
        v = 0.5 * (1.0 + greatest)
        p, q = (
            power + v * np.minimum(current, 0.0) + greatest * np.minimum(steady, 0.0)
            for power, current, steady in (
                (taken.power.real, taken.current.real, taken.steady.real),
                (taken.power.imag, taken.current.imag, taken.steady.imag),
            )
        )
        own = np.stack([p, greatest * self.charging - q])
        own[:, paths.is_source] = 0.0
        group, far = paths.beyond(own)
        weight = np.zeros(len(self.r))
        active = paths.sums(np.maximum(-group[0], 0.0))
        for k, rate in enumerate(RATES):
            reactive = paths.sums(np.maximum(group[1] - rate * np.maximum(group[0], 0.0), 0.0))
            here = (self.rate == k) & ~paths.bridge
            part = paths.part[paths.fr[here]]
            weight[here] = self.x[here] * reactive[part] + self.r[here] * active[part]
        cut = paths.bridge
        weight[cut] = np.maximum(self.x[cut] * far[1, cut] - self.r[cut] * far[0, cut], 0.0)
        return 2.0 * self.gain * paths.heaviest(weight)


class _SimplePaths:
    """Simple paths from the sources, merged into one bus, to every bus.

    Attributes:
        bridge: (M) whether an edge is one. part: (N) part without bridges. first: (M) whether an edge is at a source.
    """

    def __init__(self, n: int, fr: Ints, to: Ints, sources: Ints) -> None:
        label = np.arange(n)
        label[sources] = sources[0]
        self.n, self.fr, self.to = n, label[fr], label[to]
        self.label, self.is_source = label, np.isin(np.arange(n), sources)
        self.first = self.is_source[fr] | self.is_source[to]
        self.bridge = bridges(n, self.fr, self.to)
        self.part = components(n, self.fr[~self.bridge], self.to[~self.bridge])
        around: list[list[tuple[int, int]]] = [[] for _ in range(n)]
        for e in np.flatnonzero(self.bridge).tolist():
            a, b = int(self.fr[e]), int(self.to[e])
            around[self.part[a]].append((e, b))
            around[self.part[b]].append((e, a))
        # Bridges away from the sources, near ones first: the edge and its far end; the edge that enters each part.
        self.begin = int(self.part[sources[0]])
        self.away: list[tuple[int, int]] = []
        stack, entered = [self.begin], {self.begin}
        while stack:
            for e, bus in around[stack.pop()]:
                if int(self.part[bus]) not in entered:
                    entered.add(int(self.part[bus]))
                    self.away.append((e, bus))
                    stack.append(int(self.part[bus]))

    def sums(self, values: Floats) -> Floats:
        """(N) sums over the buses of each part."""
        return np.asarray(np.bincount(self.part, weights=values, minlength=self.n), dtype=np.float64)

    def beyond(self, own: Floats) -> tuple[Floats, Floats]:
        """(K, N) what each bus has with all that hangs at it by bridges, and (K, M) all that is beyond each bridge."""
        group, far = own.copy(), np.zeros((len(own), len(self.fr)))
        total = np.stack([self.sums(row) for row in own])
        for e, bus in reversed(self.away):
            near = int(self.fr[e] if self.to[e] == bus else self.to[e])
            far[:, e] = total[:, self.part[bus]]
            if not self.is_source[near]:
                group[:, near] += far[:, e]
            total[:, self.part[near]] += far[:, e]
        return group, far

    def heaviest(self, weight: Floats) -> Floats:
        """(N) upper bound of the weight of simple paths from a source to the bus; 0 where there is no path.

        A path consists of the bridges between two buses and of edges in the parts without bridges; in each such part
        its weight is at most that of the heaviest forest, of edges at a source that of the heaviest one.
        """
        inside = np.flatnonzero(~self.bridge & ~self.first)
        order = inside[np.argsort(-weight[inside], kind="stable")]
        chosen = order[forest(self.n, self.fr[order], self.to[order])]
        of_part = np.zeros(self.n)
        np.add.at(of_part, self.part[self.fr[chosen]], weight[chosen])
        of_part[self.begin] += np.max(weight[self.first & ~self.bridge], initial=0.0)
        total = np.zeros(self.n)
        total[self.begin] = of_part[self.begin]
        for e, bus in self.away:
            near = self.part[self.fr[e] if self.to[e] == bus else self.to[e]]
            total[self.part[bus]] = total[near] + weight[e] + of_part[self.part[bus]]
        return np.asarray(total[self.part[self.label]])
