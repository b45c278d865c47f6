"""The risk of the losses in many futures: the greatest expectation over a set of probability vectors, in fractions.

Two kinds of sets are known.

- Probabilities between bounds, lower <= p <= upper with sum 1: the expectation (lower = upper), the worst case (0 and
  1), the mean of the worst (0 and multiples of the nominal ones), boxes. The greatest expectation gives every future
  its lower bound, and what is left to those of the greatest values, as much as each may have.
- Probabilities near nominal ones: probability that is moved, times how far, is at most a radius. The probability of
  future i goes to futures j on the upper hull of the points (distance from i to j, value of j); the steps along all
  hulls are taken in the order of their slopes until the radius is used up.

Any probabilities of the set give a lower bound of the risk. So the order of the steps may be found in floating point;
what they are worth is summed up exactly. Sums of probabilities that differ from 1 by rounding are taken for 1.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from openpoint.arrays import Floats
from openpoint.verify.head import BetweenBounds, NearNominal
from openpoint.verify.verified import CertificateError

ROUNDING = 1e-6
"""Largest difference of a sum of probabilities from 1 that is taken for rounding."""
Values = list[int]
"""What each future is worth, as whole numbers of one unit."""


@dataclass(frozen=True)
class Between:
    """The probability vectors between bounds, in whole numbers of one unit; `whole` of these are 1."""

    lower: Values
    upper: Values
    whole: int

    def worst(self, values: Values) -> Fraction:
        """The greatest expectation of these values."""
        rest = self.whole - sum(self.lower)
        total = sum(p * value for p, value in zip(self.lower, values, strict=True) if p)
        for k in sorted(range(len(values)), key=values.__getitem__, reverse=True):
            if rest <= 0:
                break
            more = min(rest, self.upper[k] - self.lower[k])
            total += more * values[k]
            rest -= more
        return Fraction(total, self.whole)


@dataclass(frozen=True)
class Near:
    """The probability vectors near a nominal one, in whole numbers of one unit; `whole` of these are 1.

    `distance`: by future, to each; None: 1 between any two.
    """

    nominal: Values
    radius: Fraction
    distance: list[list[Fraction]] | None
    whole: int

    def worst(self, values: Values) -> Fraction:
        """An expectation of these values by probabilities of the set, the greatest but for rounding."""
        total = Fraction(sum(p * value for p, value in zip(self.nominal, values, strict=True) if p))
        rest, at = self.radius * self.whole, list(range(len(values)))
        for i, j, k in self._steps(values):
            if at[i] != j or rest <= 0:
                continue
            far = self._far(i, k) - self._far(i, j)
            moved = self.nominal[i] if far <= 0 else min(Fraction(self.nominal[i]), rest / far)
            total += moved * (values[k] - values[j])
            rest -= moved * far
            at[i] = k if moved == self.nominal[i] else -1
        return total / self.whole

    def _far(self, i: int, j: int) -> Fraction:
        if self.distance is None:
            return Fraction(i != j)
        return self.distance[i][j]

    def _steps(self, values: Values) -> Iterator[tuple[int, int, int]]:
        """Steps of the probability of future i from future j to k, the steepest first."""
        found: list[tuple[float, int, int, int, int]] = []
        highest = max(range(len(values)), key=values.__getitem__)
        for i, p in enumerate(self.nominal):
            if not p:
                continue
            if self.distance is None:
                found.append((values[highest] - values[i], 0, i, i, highest))
                continue
            found += self._hull(i, values)
        found.sort(key=lambda step: (-step[0], step[1]))
        return ((i, j, k) for _, _, i, j, k in found)

    def _hull(self, i: int, values: Values) -> Iterator[tuple[float, int, int, int, int]]:
        """Slopes and steps along the upper hull of the points of future i, up to that of the greatest value."""
        assert self.distance is not None
        far = [float(d) for d in self.distance[i]]
        here, number = i, 0
        while True:
            best, steepest = -1, 0.0
            for k, value in enumerate(values):
                if value > values[here] and self.distance[i][k] >= self.distance[i][here]:
                    length = far[k] - far[here]
                    slope = float(value - values[here]) / length if length > 0.0 else math.inf
                    if slope > steepest:
                        best, steepest = k, slope
            if best < 0:
                return
            yield steepest, number, i, here, best
            here, number = best, number + 1


Measure = Between | Near


def measure_of(given: BetweenBounds | NearNominal) -> Measure:
    """The measure that the head of a certificate states.

    Raises:
        CertificateError: probabilities that are none.
    """
    if isinstance(given, NearNominal):
        nominal, whole = _whole([given.nominal])
        far = given.distance
        if far is not None and far.diagonal().any():
            raise CertificateError("a future has a distance to itself")
        distance = None if far is None else [[Fraction(d) for d in row] for row in far.tolist()]
        total = sum(nominal[0])
        _near_one(total, whole)
        return Near(nominal[0], Fraction(given.radius), distance, total)
    (lower, upper), whole = _whole([given.lower, given.upper])
    if any(low > high for low, high in zip(lower, upper, strict=True)):
        raise CertificateError("a greatest probability is below the least one")
    one = min(max(whole, sum(lower)), sum(upper))
    _near_one(one, whole)
    return Between(lower, upper, one)


def _whole(rows: list[Floats]) -> tuple[list[Values], int]:
    """Numbers as whole numbers of one unit, and how many of these are 1."""
    exact = [[Fraction(value) for value in row.tolist()] for row in rows]
    unit = math.lcm(*(value.denominator for row in exact for value in row))
    return [[int(value * unit) for value in row] for row in exact], unit


def _near_one(total: int, whole: int) -> None:
    if not abs(total - whole) <= ROUNDING * whole:
        raise CertificateError(f"the probabilities sum to {total / whole}, not to 1")
