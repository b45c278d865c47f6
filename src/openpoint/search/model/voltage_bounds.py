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
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.graph import bridges, components, forest
from openpoint.network import Network
from openpoint.search.model.demand import Demand

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
