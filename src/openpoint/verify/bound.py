"""The lower bound of a node in integer arithmetic. Its proof is in `openpoint.verify.proof`."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import isqrt
from operator import mul

from openpoint.verify.data import Data
from openpoint.verify.graph import FREE, OPEN, Graph

FINE, COARSE, PHI, NEAR = 96, 40, 20, 16
"""Binary digits of A, ν and roots of voltages; of y and μ; of φ; of the voltages that σ and tangents are best at."""
ONE = 1 << COARSE
"""1 as y and μ are kept."""


class Exact:
    """The bound on one grid.

    Data are integers, times 2^k. A and ν carry FINE binary digits and are rounded upwards, y and μ carry COARSE. The
    sum that is the bound carries k and FINE, and is rounded downwards.
    """

    def __init__(self, data: Data[Fraction], graph: Graph, goal: Fraction) -> None:
        """`goal`: the value that every bound must reach."""
        self.graph, (self.at, self.k) = graph, data.whole()
        at, k = self.at, self.k
        self.goal: int = -(-(goal.numerator << k + FINE) // goal.denominator)
        self.z2 = [a * a + b * b for a, b in zip(at.r, at.x, strict=True)]
        self.ratio = [0 if t == 1 << k else t * t for t in at.tap]
        self.boxes, self.steady = (
            [j for j in range(graph.n) if p[j] or q[j]] for p, q in ((at.p_span, at.q_span), (at.p_w, at.q_w))
        )
        open_parts = zip(graph.fr, at.g_open_fr, at.b_open_fr, graph.to, at.g_open_to, at.b_open_to, strict=True)
        self.hanging = {
            e: [(bus, g, b) for bus, g, b in ((fr, g_fr, b_fr), (to, g_to, b_to)) if g or b]
            for e, (fr, g_fr, b_fr, to, g_to, b_to) in enumerate(open_parts)
            if g_fr or b_fr or g_to or b_to
        }
        self.currents = [j for j in range(graph.n) if at.p_v[j] or at.q_v[j]]
        # A lower bound of √w: since √w is concave, a line below it at both ends of a range is below it on the range.
        self.chord = {}
        for j in self.currents:
            low, high = (isqrt(w[j] << 2 * FINE >> k) for w in (at.w_min, at.w_max))
            slope = (1 << 2 * FINE) // max(low + high, 1)
            ends = ((low, at.w_min[j]), (high, at.w_max[j]))
            self.chord[j] = min(root - -(-slope * w >> k) for root, w in ends), slope

    def reached(
        self,
        status: list[int],
        order: list[tuple[int, int, int]],
        y: list[int],
        mu: list[int],
        phi: Mapping[int, int],
        near: Mapping[int, int],
    ) -> bool:
        """Whether the bound of a node reaches the goal.

        Args:
            status: of every branch. order: its closed branches, directed. y, mu: by bus, times 2^COARSE.
            phi: by bus, times 2^PHI. near: by bus, times 2^NEAR; where it is not given σ is 0 and a tangent is at 1.
        """
        if any(y[bus] or mu[bus] for bus in self.graph.sources) or any(w <= 0 for w in near.values()):
            return False
        node = _Node(self, y, mu, near)
        node.add_loads()
        return node.add_undecided(status) and node.add_closed(order, phi) and node.total >= self.goal


class _Node:
    """The bound of a node at its multipliers while its terms are added up: a sum, and A by bus (`gain`)."""

    __slots__ = ("at", "ends", "exact", "gain", "k", "mu", "near", "ratio", "total", "y")

    def __init__(self, exact: Exact, y: list[int], mu: list[int], near: Mapping[int, int]) -> None:
        self.exact, self.at, self.k, self.ends, self.ratio = exact, exact.at, exact.k, exact.graph.fr, exact.ratio
        self.y, self.mu, self.near = y, mu, near
        self.total = 0
        self.gain = [0] * len(y)

    def add_loads(self) -> None:
        """Add the terms of the loads, including dispatchable and voltage-dependent parts."""
        at, k, y, mu, gain = self.at, self.k, self.y, self.mu, self.gain
        total: int = sum(map(mul, at.p, y)) + sum(map(mul, at.q, mu))
        for j in self.exact.boxes:
            total += at.p_span[j] * min(0, y[j]) + at.q_span[j] * min(0, mu[j])
        total <<= FINE - COARSE
        # >> rounds downwards, as a term subtracted from A must be.
        for j in self.exact.steady:
            gain[j] -= (at.p_w[j] * y[j] + at.q_w[j] * mu[j]) << FINE - COARSE >> k
        for j in self.exact.currents:
            c = y[j] * at.p_v[j] + mu[j] * at.q_v[j]
            constant, slope = self.exact.chord[j]
            if c < 0:  # √w <= t / 2 + w / 2t with any t
                t = isqrt(self.near.get(j, 1 << NEAR) << 2 * FINE - NEAR)
                constant, slope = -(-t // 2), -(-(1 << 2 * FINE) // (2 * t))
            total += c * constant >> COARSE
            gain[j] -= c * slope >> COARSE + k
        self.total += total

    def add_undecided(self, status: list[int]) -> bool:
        """Add the terms of undecided and open branches; False where the term of a branch has no bound."""
        at, gain, hanging = self.at, self.gain, self.exact.hanging
        for e, state in enumerate(status):
            if state == OPEN and e in hanging:
                for bus, value in self._hung(e).items():
                    gain[bus] += value
            if state != FREE:
                continue
            i, j = self.ends[e], self.exact.graph.to[e]
            if self.y[i] > self.y[j]:
                i, j = j, i
            if (steep := self._series(e, i, j, 0)) < 0:
                return False
            lost = self._taken(e, i, steep)
            if at.price[e] and at.w_max[i] > 0:
                lost -= (at.price[e] << FINE) // at.w_max[i]
            instead = self._hung(e)
            gain[i] += max(instead.get(i, 0), lost)
            gain[j] += max(instead.get(j, 0), self._taken(e, j, 0))
        return True

    def add_closed(self, order: list[tuple[int, int, int]], phi: Mapping[int, int]) -> bool:
        """Add the terms of closed branches, children first, and of roots; False where a term has no bound."""
        k, gain, ratio, w_min, w_max = self.k, self.gain, self.ratio, self.at.w_min, self.at.w_max
        for j, i, e in reversed(order):
            if i < 0:
                self.total -= gain[j] * (w_max[j] if gain[j] > 0 else w_min[j])
                continue
            gain[j] += self._taken(e, j, 0)
            limit = phi.get(j, 0) << FINE - PHI
            self.total += limit * (w_min[j] if limit > 0 else w_max[j]) + (self.at.price[e] << FINE)
            nu = gain[j] + limit
            if ratio[e] and j == self.ends[e]:
                nu = -(-nu * ratio[e] >> 2 * k)
            if (steep := self._series(e, i, j, nu)) < 0:
                return False
            gain[i] += self._taken(e, i, nu + steep)
        return True

    def _seen(self, e: int, bus: int, value: int) -> int:
        """κ times a value, rounded upwards."""
        ratio = self.ratio[e]
        return -(-(value << 2 * self.k) // ratio) if ratio and bus == self.ends[e] else value

    def _taken(self, e: int, bus: int, value: int) -> int:
        """κ times what a branch draws at this end: a value plus the term of the shunt."""
        shunt = self.at.g[e] * (ONE + self.y[bus]) - self.at.b[e] * self.mu[bus]
        value -= shunt << FINE - COARSE >> self.k
        return self._seen(e, bus, value) if self.ratio[e] else value

    def _series(self, e: int, i: int, j: int, nu: int) -> int:
        """(α² + β²) / 4 (ρ + σ), rounded upwards, -1 where there is no bound; subtracts σ l_max from the sum."""
        at, k, y, mu = self.at, self.k, self.y, self.mu
        r, x, l_max, up = at.r[e], at.x[e], at.l_max[e], FINE + k - COARSE
        alpha = (y[i] - y[j] << up) + 2 * r * nu
        beta = (mu[i] - mu[j] << up) + 2 * x * nu
        rho: int = (r * (ONE + y[j]) + x * mu[j] << up) - self.exact.z2[e] * nu
        square: int = alpha * alpha + beta * beta
        if i in self.near and l_max > 0:
            # ½ √(α² + β²) √(κ w / l_max) is best for ρ + σ; any σ >= 0 is valid.
            best = isqrt(square * self._seen(e, i, self.near[i] << 3 * k - NEAR - 2) // l_max)
            self.total += -max(0, best - rho) * l_max >> 2 * k
            rho = max(rho, best)
        if rho > 0:
            return -(-square // (4 * rho))
        return -1 if square or rho else 0

    def _hung(self, e: int) -> dict[int, int]:
        """What an open branch draws at its ends, by bus."""
        ends = self.exact.hanging.get(e, [])
        return {bus: -((g * (ONE + self.y[bus]) - b * self.mu[bus]) << FINE - COARSE >> self.k) for bus, g, b in ends}
