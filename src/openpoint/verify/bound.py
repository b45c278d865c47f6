"""The lower bound in integers. Its proof is in `openpoint.verify.proof`."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import isqrt
from operator import mul

from openpoint.verify.data import Data
from openpoint.verify.graph import FREE, OPEN, Graph

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
        at, k, one, ends, ratio, z2 = self.at, self.k, 1 << COARSE, self.graph.fr, self.ratio, self.z2
        r, x, g, b, l_max, price, w_min, w_max = at.r, at.x, at.g, at.b, at.l_max, at.price, at.w_min, at.w_max
        if any(y[bus] or mu[bus] for bus in self.graph.sources) or any(w <= 0 for w in near.values()):
            return False
        total: int = sum(map(mul, at.p, y)) + sum(map(mul, at.q, mu))
        for j in self.boxes:
            total += at.p_span[j] * min(0, y[j]) + at.q_span[j] * min(0, mu[j])
        total <<= FINE - COARSE
        # >> rounds downwards, and what is subtracted from A is rounded so.
        gain = [0] * len(y)
        for j in self.steady:
            gain[j] -= (at.p_w[j] * y[j] + at.q_w[j] * mu[j]) << FINE - COARSE >> k
        for j in self.currents:
            c = y[j] * at.p_v[j] + mu[j] * at.q_v[j]
            constant, slope = self.chord[j]
            if c < 0:  # √w <= t / 2 + w / 2t with any t
                t = isqrt(near.get(j, 1 << NEAR) << 2 * FINE - NEAR)
                constant, slope = -(-t // 2), -(-(1 << 2 * FINE) // (2 * t))
            total += c * constant >> COARSE
            gain[j] -= c * slope >> COARSE + k

        def seen(e: int, bus: int, value: int) -> int:
            """κ times a value, rounded upwards."""
            return -(-(value << 2 * k) // ratio[e]) if ratio[e] and bus == ends[e] else value

        def taken(e: int, bus: int, value: int) -> int:
            """κ times what a branch takes: a value and what the shunt at this end does."""
            return seen(e, bus, value - ((g[e] * (one + y[bus]) - b[e] * mu[bus]) << FINE - COARSE >> k))

        def series(e: int, i: int, j: int, nu: int) -> int:
            """(α² + β²) / 4 (ρ + σ), rounded upwards, -1 where nothing is bounded; takes σ l_max off the sum."""
            nonlocal total
            up = FINE + k - COARSE
            alpha = (y[i] - y[j] << up) + 2 * r[e] * nu
            beta = (mu[i] - mu[j] << up) + 2 * x[e] * nu
            rho: int = (r[e] * (one + y[j]) + x[e] * mu[j] << up) - z2[e] * nu
            square: int = alpha * alpha + beta * beta
            if i in near and l_max[e] > 0:
                # ½ √(α² + β²) √(κ w / l_max) is best for ρ + σ; any σ >= 0 is valid.
                best = isqrt(square * seen(e, i, near[i] << 3 * k - NEAR - 2) // l_max[e])
                total += -max(0, best - rho) * l_max[e] >> 2 * k
                rho = max(rho, best)
            if rho > 0:
                return -(-square // (4 * rho))
            return -1 if square or rho else 0

        def hung(e: int) -> dict[int, int]:
            """What an open branch takes at its ends, by bus."""
            ends = self.hanging.get(e, [])
            return {bus: -((g * (one + y[bus]) - b * mu[bus]) << FINE - COARSE >> k) for bus, g, b in ends}

        for e, state in enumerate(status):
            if state == OPEN and e in self.hanging:
                for bus, value in hung(e).items():
                    gain[bus] += value
            if state != FREE:
                continue
            i, j = ends[e], self.graph.to[e]
            if y[i] > y[j]:
                i, j = j, i
            if (steep := series(e, i, j, 0)) < 0:
                return False
            lost = taken(e, i, steep)
            if price[e] and w_max[i] > 0:
                lost -= (price[e] << FINE) // w_max[i]
            instead = hung(e)
            gain[i] += max(instead.get(i, 0), lost)
            gain[j] += max(instead.get(j, 0), taken(e, j, 0))
        for j, i, e in reversed(order):
            if i < 0:
                total -= gain[j] * (w_max[j] if gain[j] > 0 else w_min[j])
                continue
            gain[j] += taken(e, j, 0)
            limit = phi.get(j, 0) << FINE - PHI
            total += limit * (w_min[j] if limit > 0 else w_max[j]) + (price[e] << FINE)
            nu = gain[j] + limit
            if ratio[e] and j == ends[e]:
                nu = -(-nu * ratio[e] >> 2 * k)
            if (steep := series(e, i, j, nu)) < 0:
                return False
            gain[i] += taken(e, i, nu + steep)
        return total >= self.goal
