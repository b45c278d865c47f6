"""Bounds of the voltages in any radial state, or in any radial state with at most a given loss.

With power p, q arriving at the far end of a branch, w_to = w_fr − 2 (r p + x q) − |z|² l. Along the path from the
source to a bus, which passes no branch twice, w therefore rises by at most Σ −2 (r p + x q) over reverse flows:

- What arrives is the demand beyond and losses, so p >= −P with P all that can be fed in anywhere, and q likewise:
  w <= w_source + 2 Σ (r P + x Q). P and Q have parts that are proportional to w, of capacitors and charging; with the
  greatest w on both sides, w <= (w_source + fixed) / (1 − proportional).
- By Cauchy and Schwarz, Σ (r p + x q) <= Σ √(r l) √(w |z|² / r) <= √(loss) √(w Σ |z|² / r), so that √w_greatest = t has
  t² <= w_source + 2 t √(loss Σ |z|² / r). A search for states that lose less than a known one may rely on it.

Ideal ratios multiply w, and its rise up to them, by at most their product along the path. Both bounds require
r, x >= 0 (the second r > 0 where there is an impedance) and no negative shunt conductance.

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


@dataclass(frozen=True)
class VoltageBounds:
    """Bounds of the squared voltages of one grid.

    Attributes:
        source: greatest squared voltage of a source, times the ratios of any path.
        fixed, proportional: (N) rise along any path to a bus, and its part per greatest squared voltage.
        by_loss: (N) 4 Σ |z|² / r along any path to a bus, times ratios.
        least: squared voltage of any source, at least; 0 where there are ratios.
    """

    source: float
    fixed: Floats
    proportional: Floats
    by_loss: Floats
    least: float

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
        if not np.isfinite(greatest):
            return np.where(self.proportional > 0.0, np.inf, self.source + self.fixed)
        by_feeding = self.source + self.fixed + self.proportional * greatest
        return np.minimum(by_feeding, self.source + np.sqrt(greatest * lossy))


def bounds_of_voltages(network: Network, usable: Bools, taken: Demand) -> VoltageBounds:
    """Bounds of the squared voltages of a network.

    Args:
        usable: (E) branches that may be closed.
        taken: demand and its ranges.
    """
    kept = np.flatnonzero(usable)
    r, x, tap = network.r[kept], network.x[kept], network.tap[kept]
    paths = _SimplePaths(
        network.n_terminals, network.terminal_fr[kept], network.terminal_to[kept], network.source_terminal
    )
    nothing = np.full(network.n_terminals, np.inf)
    if np.any(r < 0.0) or np.any(x < 0.0) or np.any(network.g[kept] < 0.0) or np.any(network.y_open.real < 0.0):
        return VoltageBounds(np.inf, nothing, nothing, nothing, 0.0)
    gain = float(np.exp(paths.heaviest(2.0 * np.abs(np.log(tap))).max()))
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
        source=gain * float(np.max(np.abs(network.source_v) ** 2)),
        fixed=2.0 * gain * paths.heaviest(fixed),
        proportional=2.0 * gain * paths.heaviest(proportional),
        by_loss=4.0 * gain**3 * paths.heaviest(by_loss),
        least=float(np.min(np.abs(network.source_v) ** 2)) if np.all(tap == 1.0) else 0.0,
    )


def _fed(part: Floats) -> float:
    return float(np.maximum(-part, 0.0).sum())


class _SimplePaths:
    """Simple paths from the sources, merged into one bus, to every bus."""

    def __init__(self, n: int, fr: Ints, to: Ints, sources: Ints) -> None:
        label = np.arange(n)
        label[sources] = sources[0]
        self.n, self.fr, self.to, self.first = n, label[fr], label[to], int(sources[0])
        self.label = label
        self.bridge = bridges(n, self.fr, self.to)
        meshed = ~self.bridge
        self.part = components(n, self.fr[meshed], self.to[meshed])

    def heaviest(self, weight: Floats) -> Floats:
        """(N) upper bound of the weight of simple paths from a source to the bus; 0 where there is no path.

        A path consists of the bridges between two buses and of edges in the parts without bridges; in each such part
        its weight is at most that of the heaviest forest.
        """
        inside = np.flatnonzero(~self.bridge)
        order = inside[np.argsort(-weight[inside], kind="stable")]
        chosen = order[forest(self.n, self.fr[order], self.to[order])]
        of_part = np.zeros(self.n)
        np.add.at(of_part, self.part[self.fr[chosen]], weight[chosen])
        around: list[list[tuple[int, int]]] = [[] for _ in range(self.n)]
        for e in np.flatnonzero(self.bridge).tolist():
            a, b = int(self.part[self.fr[e]]), int(self.part[self.to[e]])
            around[a].append((b, e))
            around[b].append((a, e))
        begin = int(self.part[self.first])
        total = np.zeros(self.n)
        total[begin] = of_part[begin]
        stack = [(begin, -1)]
        while stack:
            here, came = stack.pop()
            for other, e in around[here]:
                if e != came:
                    total[other] = total[here] + weight[e] + of_part[other]
                    stack.append((other, e))
        return np.asarray(total[self.part[self.label]])
