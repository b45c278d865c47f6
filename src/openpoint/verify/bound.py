"""The lower bound of a node in integer arithmetic.

For a branch from i to j with p + jq and squared current l behind a ratio at i, w = |v|², κ = 1 / tap² at
the from bus and 1 at the other: l κ_i w_i = p² + q² and κ_j w_j = κ_i w_i − 2 (r p + x q) + |z|² l where it is closed,
all zero where open; at every bus what arrives less its loss, and what a source delivers, is what is drawn and passed
on, (g − jb) κ w at each end of a closed branch in it. Add these balances, times y and μ, and the voltage laws of the
closed branches, times ν, to the cost λ (Σ r l + Σ g κ w) + Σ c_e l + …; all added is zero, so for every state

    cost = Σ (P y + Q μ) + Σ [ρ l + α p + β q] + (terms in w) + (terms of outputs)
    α = y_i − y_j + 2 r ν    β = μ_i − μ_j + 2 x ν    ρ = r (λ + y_j) + x μ_j − |z|² ν + c_e

The loss is this with λ = 1, c_e = 0, and y = μ = 0 at sources; in general these are the price of a source and 0, where
its power has no limit. What generators with prices and sources with limits add is in `openpoint.verify.devices`.

1. The bracket is at least −κ_i w_i (α² + β²) / 4ρ if ρ > 0 (0 if all vanish). Since σ (l_max − l) >= 0 for any σ >= 0,
   ρ may be replaced by ρ + σ if σ l_max is subtracted.
2. Closed branches form trees, each is directed away from a source or any bus; undecided ones (ν = 0) may be directed at
   will, and as they add nothing if open, what each takes per w_i and w_j counts if it is positive. A price c of
   closing lessens it: min(0, c − h w) >= −max(0, h − c / w_max) w on [0, w_max]. A line open at one end only
   takes (g° − jb°) w there, g° w lost: what an undecided one takes per w is the larger of what both states take.
3. Let A_j collect what is taken per w_j. Leaves first, κ_j ν = A_j + φ_j leaves φ_j w_j at a bus with a branch above;
   −A_j w_j stays at a root. A larger A_j or ν is always a lower bound, hence the rounding. For w take the limit, or
   what no state exceeds (`openpoint.verify.caps`), that makes it least.
   A part of a grid has a cost h_j w_j in addition (`openpoint.verify.regions`), so that A_j begins with −h_j.
4. A load of constant current adds c √w, c = y p + μ q: at least c times a line below √w between the limits if c > 0,
   else c times a tangent. Where P + s may be drawn with 0 <= s <= S, y (P + s) >= y P + S min(0, y).

What devices with an interval of positions add is in `openpoint.verify.devices`.

Theory: docs/methods.md M9.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from operator import add, mul

from openpoint.verify.data import Data
from openpoint.verify.devices import Places, Reach, Span
from openpoint.verify.graph import FREE, OPEN, Graph

FINE, COARSE, PHI, NEAR = 96, 40, 20, 16
"""Binary digits of A, ν and roots of voltages; of y and μ; of φ; of the voltages that σ and tangents are best at. Where
the price of losses or of a source has more, y and μ have as many, and A, ν and roots as many more."""


@dataclass(frozen=True)
class Held:
    """By bus the multipliers that a part of a grid has at its sources, times 2^`COARSE`; 0 at all others."""

    y: list[int]
    mu: list[int]


class Exact:
    """The bound on one grid.

    Data are integers, times 2^k. A and ν carry `fine` binary digits and are rounded upwards, y and μ carry `coarse`.
    The sum that is the bound carries k and `fine`, and is rounded downwards.
    """

    def __init__(
        self, data: Data[Fraction], graph: Graph, goal: Fraction, places: Places, held: Held | None = None
    ) -> None:
        """`goal`: the value that every bound must reach. places: of the devices. held: of a part of a grid."""
        self.graph, self.places, (self.at, self.k) = graph, places, data.whole()
        at, k = self.at, self.k
        self.coarse = max(COARSE, *(price.denominator.bit_length() - 1 for price in (*data.loss, *data.source)))
        self.fine = self.coarse + FINE - COARSE
        self.goal: int = -(-(goal.numerator << k + self.fine) // goal.denominator)
        self.outputs = places.outputs(at)
        limited = {output.bus for output in self.outputs[places.generators :]}
        self.prices = [(price << self.coarse) >> k for price in at.source]
        self.loss: int = (at.loss[0] << self.coarse) >> k
        if held is None:
            self.given = [(s, y, 0) for s, y in zip(places.sources, self.prices, strict=True) if s not in limited]
        else:
            self.given = [(s, held.y[s], held.mu[s]) for s in sorted(graph.sources)]
        self.z2 = [a * a + b * b for a, b in zip(at.r, at.x, strict=True)]
        self.ratio = [0 if t == 1 << k and e not in places.tapped else t * t for e, t in enumerate(at.tap)]
        self.boxes, self.steady = (
            [j for j in range(graph.n) if p[j] or q[j]] for p, q in ((at.p_span, at.q_span), (at.p_w, at.q_w))
        )
        open_parts = zip(graph.fr, at.g_open_fr, at.b_open_fr, graph.to, at.g_open_to, at.b_open_to, strict=True)
        self.hanging = {
            e: [(bus, g, b) for bus, g, b in ((fr, g_fr, b_fr), (to, g_to, b_to)) if g or b]
            for e, (fr, g_fr, b_fr, to, g_to, b_to) in enumerate(open_parts)
            if g_fr or b_fr or g_to or b_to
        }
        self.less = [-(worth << self.fine >> k) for worth in at.worth]
        self.currents = [j for j in range(graph.n) if at.p_v[j] or at.q_v[j]]
        # A lower bound of √w: since √w is concave, a line below it at both ends of a range is below it on the range.
        self.chord = {}
        for j in self.currents:
            low, high = (isqrt(w[j] << 2 * self.fine >> k) for w in (at.w_min, at.w_max))
            slope = (1 << 2 * self.fine) // max(low + high, 1)
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
        spans: list[Span],
    ) -> bool:
        """Whether the bound of a node, see `bound`, reaches the goal."""
        found = self.bound(status, order, y, mu, phi, near, spans)
        return found is not None and found >= self.goal

    def bound(
        self,
        status: list[int],
        order: list[tuple[int, int, int]],
        y: list[int],
        mu: list[int],
        phi: Mapping[int, int],
        near: Mapping[int, int],
        spans: list[Span],
    ) -> int | None:
        """The bound of a node, times 2^(k + `fine`); None where there is none at these multipliers.

        Args:
            status: of every branch. order: its closed branches, directed. y, mu: by bus, times 2^`coarse`.
            phi: by bus, times 2^PHI. near: by bus, times 2^NEAR; where it is not given σ is 0 and a tangent is at 1.
            spans: the positions that each device may have.
        """
        if any((y[bus], mu[bus]) != (a, b) for bus, a, b in self.given):
            return None
        node = _Node(self, y, mu, near, self.places.reach(self.at, spans))
        node.add_loads()
        sound = node.add_outputs() and node.add_undecided(status) and node.add_closed(order, phi)
        return node.total if sound else None


class _Node:
    """The bound of a node at its multipliers while its terms are added up: a sum, and A by bus (`gain`)."""

    __slots__ = ("at", "coarse", "ends", "exact", "fine", "gain", "k", "mu", "near", "ratio", "reach", "total", "y")

    def __init__(self, exact: Exact, y: list[int], mu: list[int], near: Mapping[int, int], reach: Reach) -> None:
        self.exact, self.at, self.k, self.ends, self.ratio = exact, exact.at, exact.k, exact.graph.fr, exact.ratio
        self.y, self.mu, self.near, self.reach = y, mu, near, reach
        self.coarse, self.fine = exact.coarse, exact.fine
        self.total = 0
        self.gain = exact.less.copy()

    def add_loads(self) -> None:
        """Add the terms of the loads, including voltage-dependent parts, and of devices that moved."""
        at, k, y, mu, gain, fine = self.at, self.k, self.y, self.mu, self.gain, self.fine
        total: int = sum(map(mul, at.p, y)) + sum(map(mul, at.q, mu))
        for j in self.exact.boxes:
            total += at.p_span[j] * min(0, y[j]) + at.q_span[j] * min(0, mu[j])
        total = (total << fine - self.coarse) + (self.reach.moved << fine)
        for j, low, high, move in self.reach.banks:
            fed = -(-max(low * mu[j], high * mu[j]) << fine - self.coarse >> k)
            if move:
                fed = max(0, fed - (move << fine) // at.w_max[j]) if at.w_max[j] > 0 else fed
            gain[j] += fed
        # >> rounds downwards, as a term subtracted from A must be.
        for j in self.exact.steady:
            gain[j] -= (at.p_w[j] * y[j] + at.q_w[j] * mu[j]) << fine - self.coarse >> k
        for j in self.exact.currents:
            c = y[j] * at.p_v[j] + mu[j] * at.q_v[j]
            constant, slope = self.exact.chord[j]
            if c < 0:  # √w <= t / 2 + w / 2t with any t
                t = isqrt(self.near.get(j, 1 << NEAR) << 2 * fine - NEAR)
                constant, slope = -(-t // 2), -(-(1 << 2 * fine) // (2 * t))
            total += c * constant >> self.coarse
            gain[j] -= c * slope >> self.coarse + k
        self.total += total

    def add_outputs(self) -> bool:
        """Add the terms of generators that count by themselves, and of sources with limits; False: without bound."""
        rest = 2 * self.k + self.coarse - self.fine
        for n, output in enumerate(self.exact.outputs):
            off, on = self.reach.units.get(n, (None, 0))
            ways = [] if off is None else [off << self.fine]
            if on is not None:
                least = output.least(self.y[output.bus], self.mu[output.bus], self.coarse, self.k)
                if least is None:
                    return False
                ways.append((least >> rest) + (on << self.fine))
            self.total += min(ways)
        return True

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
            if (steep := self._series(e, i, j, [0])[0]) < 0:
                return False
            lost = self._taken(e, i, steep)
            if at.price[e] and at.w_max[i] > 0:
                lost -= (at.price[e] << self.fine) // at.w_max[i]
            instead = self._hung(e)
            gain[i] += max(instead.get(i, 0), lost)
            gain[j] += max(instead.get(j, 0), self._taken(e, j, 0))
        return True

    def add_closed(self, order: list[tuple[int, int, int]], phi: Mapping[int, int]) -> bool:
        """Add the terms of closed branches, children first, and of roots; False where a term has no bound."""
        gain, w_min, w_max = self.gain, self.at.w_min, self.at.w_max
        for j, i, e in reversed(order):
            if i < 0:
                low, high, now, move = self.reach.held.get(j, (w_min[j], w_max[j], w_max[j], 0))
                taken = gain[j] * (high if gain[j] > 0 else low)
                self.total -= max(taken - (move << self.fine), gain[j] * now) if move else taken
                continue
            limit = phi.get(j, 0) << self.fine - PHI
            self.total += limit * (w_min[j] if limit > 0 else w_max[j]) + (self.at.price[e] << self.fine)
            nus = [gain[j] + limit - self._shunt(e, j)]
            if self.ratio[e] and j == self.ends[e]:
                squares = self.reach.squares.get(e) or [self.ratio[e]]
                nus = [-(-(gain[j] + limit) * square >> 2 * self.k) - self._shunt(e, j) for square in squares]
            steeps = self._series(e, i, j, nus)
            if min(steeps) < 0:
                return False
            gain[i] += self._taken(e, i, max(map(add, nus, steeps)))
        return True

    def _seen(self, e: int, bus: int, value: int) -> int:
        """κ times a value, rounded upwards; the greatest where κ has a range."""
        if not self.ratio[e] or bus != self.ends[e]:
            return value
        return max(-(-(value << 2 * self.k) // square) for square in self.reach.squares.get(e) or [self.ratio[e]])

    def _shunt(self, e: int, bus: int) -> int:
        """Term of the shunt at this end of a branch, rounded downwards."""
        shunt: int = self.at.g[e] * (self.exact.loss + self.y[bus]) - self.at.b[e] * self.mu[bus]
        return shunt << self.fine - self.coarse >> self.k

    def _taken(self, e: int, bus: int, value: int) -> int:
        """κ times what a branch draws at this end: a value plus the term of the shunt."""
        value -= self._shunt(e, bus)
        return self._seen(e, bus, value) if self.ratio[e] else value

    def _series(self, e: int, i: int, j: int, nus: list[int]) -> list[int]:
        """(α² + β²) / 4 (ρ + σ) at every ν, rounded upwards, -1 where there is no bound; subtracts σ l_max once."""
        terms = [self._quadratic(e, i, j, nu) for nu in nus]
        sigma = max(0, *(best - rho for _, rho, best in terms))
        self.total += -sigma * self.at.l_max[e] >> 2 * self.k
        sums = [(square, rho + sigma) for square, rho, _ in terms]
        return [-(-square // (4 * rho)) if rho > 0 else -1 if square or rho else 0 for square, rho in sums]

    def _quadratic(self, e: int, i: int, j: int, nu: int) -> tuple[int, int, int]:
        """α² + β², ρ, and what is best for ρ + σ: ρ where the current has no limit."""
        at, k, y, mu = self.at, self.k, self.y, self.mu
        r, x, l_max, up = at.r[e], at.x[e], at.l_max[e], self.fine + k - self.coarse
        alpha = (y[i] - y[j] << up) + 2 * r * nu
        beta = (mu[i] - mu[j] << up) + 2 * x * nu
        rho: int = (r * (self.exact.loss + y[j]) + x * mu[j] << up) - self.exact.z2[e] * nu
        rho += at.current[e] << self.fine + k
        square: int = alpha * alpha + beta * beta
        if i not in self.near or not l_max > 0:
            return square, rho, rho
        # ½ √(α² + β²) √(κ w / l_max) is best for ρ + σ; any σ >= 0 is valid.
        return square, rho, isqrt(square * self._seen(e, i, self.near[i] << 3 * k - NEAR - 2) // l_max)

    def _hung(self, e: int) -> dict[int, int]:
        """What an open branch draws at its ends, by bus."""
        ends = self.exact.hanging.get(e, [])
        loss, up = self.exact.loss, self.fine - self.coarse
        return {bus: -((g * (loss + self.y[bus]) - b * self.mu[bus]) << up >> self.k) for bus, g, b in ends}
