"""The lower bound in integers. Its proof is in `openpoint.verify.proof`."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import isqrt

from openpoint.verify.data import Data
from openpoint.verify.graph import FREE, Graph

FINE, COARSE, PHI, NEAR = 96, 40, 20, 16
"""Binary digits of A, ν and roots of voltages; of y and μ; of φ; of the voltages that σ and tangents are best at."""


class Exact:
    """The bound on one grid.

    Data are integers, times 2^k. A and ν carry FINE binary digits and are rounded upwards, y and μ carry COARSE. The
    sum that is the bound carries k and FINE, and is rounded downwards.
    """

    def __init__(self, data: Data[Fraction], graph: Graph, goal: Fraction) -> None:
        """`goal`: what every bound is to reach."""
        self.graph, (self.at, self.k) = graph, data.whole()
        at, k = self.at, self.k
        self.goal: int = -(-(goal.numerator << k + FINE) // goal.denominator)
        self.z2 = [a * a + b * b for a, b in zip(at.r, at.x, strict=True)]
        self.ratio = [0 if t == 1 << k else t * t for t in at.tap]
        self.shunts = [g != 0 or b != 0 for g, b in zip(at.g, at.b, strict=True)]
        self.currents = [j for j in range(graph.n) if at.p_v[j] or at.q_v[j]]
        # √w from below: a line that is below it at both ends of a range is below it on the range.
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
        at, k, one, graph = self.at, self.k, 1 << COARSE, self.graph
        total: int
        if any(y[bus] or mu[bus] for bus in graph.sources) or any(w <= 0 for w in near.values()):
            return False
        total = sum(
            p * a + q * b + p_span * min(0, a) + q_span * min(0, b)
            for p, q, p_span, q_span, a, b in zip(at.p, at.q, at.p_span, at.q_span, y, mu, strict=True)
        ) << (FINE - COARSE)
        # >> rounds downwards, so that − … >> leaves A rounded upwards.
        gain = [-(p * a + q * b << FINE - COARSE >> k) for p, q, a, b in zip(at.p_w, at.q_w, y, mu, strict=True)]
        for j in self.currents:
            c = y[j] * at.p_v[j] + mu[j] * at.q_v[j]
            constant, slope = self.chord[j]
            if c < 0:  # √w <= t / 2 + w / 2t with any t
                t = isqrt(near.get(j, 1 << NEAR) << 2 * FINE - NEAR)
                constant, slope = -(-t // 2), -(-(1 << 2 * FINE) // (2 * t))
            total += c * constant >> COARSE
            gain[j] -= c * slope >> COARSE + k

        def shunt(e: int, bus: int) -> int:
            """What the shunt at an end takes, rounded upwards."""
            if not self.shunts[e]:
                return 0
            taken: int = at.b[e] * mu[bus] - at.g[e] * (one + y[bus])
            return -(-taken << FINE - COARSE >> k)

        def seen(e: int, bus: int, value: int) -> int:
            """κ times a value, rounded upwards."""
            square = self.ratio[e] if bus == graph.fr[e] else 0
            return -(-(value << 2 * k) // square) if square else value

        def series(e: int, i: int, j: int, nu: int) -> tuple[int, int]:
            """(α² + β²) / 4 (ρ + σ) and σ l_max, rounded upwards; the first -1 where nothing is bounded."""
            up = FINE + k - COARSE
            alpha = (y[i] - y[j] << up) + 2 * at.r[e] * nu
            beta = (mu[i] - mu[j] << up) + 2 * at.x[e] * nu
            rho = (at.r[e] * (one + y[j]) + at.x[e] * mu[j] << up) - self.z2[e] * nu
            square, sigma = alpha * alpha + beta * beta, 0
            if i in near and at.l_max[e] > 0:
                # ½ √(α² + β²) √(κ w / l_max) is best for ρ + σ; any σ >= 0 is valid
                w = seen(e, i, near[i] << 3 * k - NEAR - 2)
                sigma = max(0, isqrt(square * w // at.l_max[e]) - rho)
            if not square and rho + sigma >= 0:
                return 0, -(-sigma * at.l_max[e] >> 2 * k)
            return -(-square // (4 * (rho + sigma))) if rho + sigma > 0 else -1, -(-sigma * at.l_max[e] >> 2 * k)

        for e, state in enumerate(status):
            if state != FREE:
                continue
            i, j = graph.fr[e], graph.to[e]
            if y[i] > y[j]:
                i, j = j, i
            steep, cost = series(e, i, j, 0)
            if steep < 0:
                return False
            lost = seen(e, i, steep + shunt(e, i))
            if at.price[e] and at.w_max[i] > 0:
                lost -= (at.price[e] << FINE) // at.w_max[i]
            gain[i] += max(0, lost)
            gain[j] += max(0, seen(e, j, shunt(e, j)))
            total -= cost
        for j, i, e in reversed(order):
            if i < 0:
                total -= gain[j] * (at.w_max[j] if gain[j] > 0 else at.w_min[j])
                continue
            gain[j] += seen(e, j, shunt(e, j))
            limit = phi.get(j, 0) << (FINE - PHI)
            nu = gain[j] + limit
            total += limit * (at.w_min[j] if limit > 0 else at.w_max[j])
            if j == graph.fr[e] and self.ratio[e]:
                nu = -(-nu * self.ratio[e] >> 2 * k)
            steep, cost = series(e, i, j, nu)
            if steep < 0:
                return False
            total += (at.price[e] << FINE) - cost
            gain[i] += seen(e, i, nu + steep + shunt(e, i))
        return total >= self.goal
