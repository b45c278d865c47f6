"""The lower bound in integers, and how high a voltage can be. The proof of the bound is in `openpoint.verify.proof`."""

from __future__ import annotations

from fractions import Fraction
from math import isqrt

from openpoint.network import Network
from openpoint.verify.graph import FREE, Graph

FINE, COARSE, PHI = 96, 40, 20
"""Binary digits of A and ν, of y and μ, and of φ."""


class Exact:
    """The data of a grid times 2^`data`, which makes all of them integers: a float is a fraction of a power of two.

    A and ν carry FINE binary digits and are rounded upwards, y and μ carry COARSE.
    """

    def __init__(
        self, net: Network, graph: Graph, w_min: list[Fraction], w_max: list[Fraction], bound: Fraction
    ) -> None:
        r, x = [[Fraction(v) for v in part.tolist()] for part in (net.r, net.x)]
        p, q = [[Fraction(v) for v in part.tolist()] for part in (net.s_power.real, net.s_power.imag)]
        for bus in graph.sources:  # their loads lose nothing
            p[bus] = q[bus] = Fraction(0)
        self.data = max(f.denominator.bit_length() - 1 for part in (r, x, p, q, w_min, w_max, [bound]) for f in part)
        self.graph = graph
        scale = 1 << self.data
        self.r, self.x, self.p, self.q, self.w_min, self.w_max = (
            [int(f * scale) for f in part] for part in (r, x, p, q, w_min, w_max)
        )
        self.z2 = [a * a + b * b for a, b in zip(self.r, self.x, strict=True)]
        self.bound = int(bound * scale) << FINE

    def reached(
        self,
        status: list[int],
        order: list[tuple[int, int, int]],
        y: list[int],
        mu: list[int],
        phi: dict[int, int],
    ) -> bool:
        """Whether the bound of a node reaches the one claimed.

        Args:
            status: of every branch. order: its closed branches, directed. y, mu: by bus, times 2^COARSE.
            phi: by bus, times 2^PHI.
        """
        if any(y[bus] or mu[bus] for bus in self.graph.sources):
            return False
        r, x, one, to_fine = self.r, self.x, 1 << COARSE, FINE + self.data - COARSE
        total = sum(p * a + q * b for p, q, a, b in zip(self.p, self.q, y, mu, strict=True)) << (FINE - COARSE)
        gain = [0] * len(y)
        for e, state in enumerate(status):
            if state != FREE:
                continue
            i, j = self.graph.fr[e], self.graph.to[e]
            if y[i] > y[j]:
                i, j = j, i
            square = (y[i] - y[j]) ** 2 + (mu[i] - mu[j]) ** 2
            rho = r[e] * (one + y[j]) + x[e] * mu[j]
            if rho <= 0 and (rho < 0 or square):
                return False
            if square:
                gain[i] -= -(square << to_fine) // (4 * rho)
        for j, i, e in reversed(order):
            if i < 0:
                total -= gain[j] * (self.w_max[j] if gain[j] > 0 else self.w_min[j])
                continue
            limit = phi.get(j, 0)
            nu = gain[j] + (limit << (FINE - PHI))
            total += (limit << (FINE - PHI)) * (self.w_min[j] if limit > 0 else self.w_max[j])
            alpha = ((y[i] - y[j]) << to_fine) + 2 * r[e] * nu
            beta = ((mu[i] - mu[j]) << to_fine) + 2 * x[e] * nu
            rho = ((r[e] * (one + y[j]) + x[e] * mu[j]) << to_fine) - self.z2[e] * nu
            square = alpha * alpha + beta * beta
            if rho <= 0 and (rho < 0 or square):
                return False
            gain[i] += nu - (-square // (4 * rho) if square else 0)
        return total >= self.bound


def caps(net: Network, graph: Graph, usable: list[int], value: Fraction) -> list[Fraction]:
    """Squared voltages that no state which loses at most `value` exceeds.

    w_to = w_fr − 2 (r p + x q) − |z|² l with p, q what arrives at the far end, which is at least what is fed in beyond,
    negative: along the way from a source to a bus w rises by no more than Σ 2 (r P + x Q), P and Q all that is fed in.
    By Cauchy and Schwarz it also rises by no more than √(loss) √(W Σ 4 |z|² / r), W the greatest w.
    """
    fed_p, fed_q = Fraction(0), Fraction(0)
    for bus, s in enumerate(net.s_power.tolist()):
        if bus not in graph.sources:
            fed_p += max(Fraction(0), -Fraction(s.real))
            fed_q += max(Fraction(0), -Fraction(s.imag))
    held = max(Fraction(v.real) ** 2 + Fraction(v.imag) ** 2 for v in net.source_v.tolist())
    if not (fed_p or fed_q):
        return [held] * graph.n
    z = [(Fraction(r), Fraction(x)) for r, x in zip(net.r.tolist(), net.x.tolist(), strict=True)]
    rise = [2 * (r * fed_p + x * fed_q) for r, x in z]
    by_feeding = [held + most for most in _heaviest(graph, usable, rise)]
    if any(not z[e][0] and z[e][1] for e in usable):  # without resistance losses do not bound what flows
        return by_feeding
    lossy = [value * w for w in _heaviest(graph, usable, [4 * (r * r + x * x) / r if r else r for r, x in z])]
    half = _root(max(lossy)) / 2
    greatest = min(max(by_feeding), (half + _root(half * half + held)) ** 2)
    return [min(most, held + _root(greatest * w)) for most, w in zip(by_feeding, lossy, strict=True)]


def _root(square: Fraction) -> Fraction:
    """The square root, rounded up to a multiple of 2^-80."""
    return Fraction(isqrt(-(-(square.numerator << 160) // square.denominator)) + 1, 1 << 80)


def _heaviest(graph: Graph, edges: list[int], weight: list[Fraction]) -> list[Fraction]:
    """For every bus a weight that no way from a source exceeds which passes no bus twice; 0 where there is no way.

    It passes the bridges between, and of the edges within a part without bridges no more than the heaviest forest.
    """
    cut, _ = graph.bridges(edges)
    within = sorted((e for e in edges if e not in cut), key=weight.__getitem__, reverse=True)
    part, chosen = graph.parts(within)
    inside = dict.fromkeys(part, Fraction(0))
    for e in chosen:
        inside[part[graph.fr[e]]] += weight[e]
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
                total[other] = total[here] + weight[e] + inside[other]
                stack.append(other)
    return [total.get(p, Fraction(0)) for p in part]
