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
from typing import Protocol

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError

ROUNDING = 1e-6
"""Largest difference of a sum of probabilities from 1 that is taken for rounding."""
RISKS = "expected, worst, cvar:0.9, regret, regret:expected or regret:cvar:0.9"
AMBIGUITIES = ("tv", "wasserstein", "demand", "box")
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


class FuturesTable(Protocol):
    """What a table of K futures of N buses has, such as `openpoint.Futures`."""

    @property
    def bus_names(self) -> tuple[str, ...]:
        """(N) as in the grid."""
        ...

    @property
    def probabilities(self) -> Floats | None:
        """(K); None where they are unknown."""
        ...

    @property
    def weights(self) -> Floats:
        """(K) the probabilities, or equal ones where they are unknown."""
        ...

    @property
    def p_kw(self) -> Floats:
        """(K, N)."""
        ...

    @property
    def q_kvar(self) -> Floats:
        """(K, N)."""
        ...


def risk_of(text: str) -> tuple[bool, str, float]:
    """Of a risk in words, such as `regret:cvar:0.9`: whether it is one of regret, of what, and at which level.

    Raises:
        OptionError: it is none.
    """
    word, _, rest = text.strip().lower().partition(":")
    if word == "regret":
        word, _, rest = (rest or "worst").partition(":")
        regret = True
    else:
        regret = False
    if word in ("expected", "worst") and not rest:
        return regret, word, 0.0
    level = _float(rest)
    if word == "cvar" and 0.0 <= level < 1.0:
        return regret, word, level
    raise OptionError(f"the risk {text!r} is not known; give {RISKS}")


def risk_text(text: str) -> str:
    """A risk in words, written in one way.

    Raises:
        OptionError: it is none.
    """
    regret, word, level = risk_of(text)
    return f"{'regret:' if regret else ''}{word}{f':{level!r}' if word == 'cvar' else ''}"


def ambiguity_text(text: str) -> str:
    """An ambiguity in words, written in one way.

    Raises:
        OptionError: it is none.
    """
    kind, size = ambiguity_of(text)
    return f"{kind}:{size!r}"


def ambiguity_of(text: str) -> tuple[str, float]:
    """Of an ambiguity in words, such as `tv:0.2`: its kind and its radius.

    Raises:
        OptionError: it is none.
    """
    kind, _, rest = text.strip().lower().partition(":")
    size = _float(rest)
    if kind in AMBIGUITIES and 0.0 <= size < math.inf:
        return kind, size
    raise OptionError(f"the ambiguity {text!r} is not known; give {' or '.join(f'{kind}:0.2' for kind in AMBIGUITIES)}")


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def measure_of(risk: str, ambiguity: str | None, table: FuturesTable) -> Measure:
    """The measure that a risk and an ambiguity are over a table of futures.

    Args:
        risk, ambiguity: in the words of the options of these names.

    Raises:
        OptionError: words that name none, probabilities that the table does not have, or sets that are not covered.
    """
    _, word, level = risk_of(risk)
    count = len(table.weights)
    if ambiguity is None and word == "worst":
        return Between([0] * count, [1] * count, 1)
    if ambiguity is not None and word != "expected":
        raise OptionError(f"{risk} of ambiguous probabilities is not defined; the risk must be expected, or left out")
    if table.probabilities is None:
        raise OptionError(f"{ambiguity or risk} needs probabilities, and the futures have none")
    nominal = [Fraction(p) for p in table.weights.tolist()]
    if ambiguity is None:
        most = [p / (1 - Fraction(level)) for p in nominal]
        return _between(nominal if not level else [Fraction(0)] * count, most)
    kind, size = ambiguity_of(ambiguity)
    radius = Fraction(size)
    if kind == "box":
        zero, one = Fraction(0), Fraction(1)
        return _between([max(p - radius, zero) for p in nominal], [min(p + radius, one) for p in nominal])
    if kind == "demand":
        raise OptionError("certificates do not cover probabilities by their moments (demand:…)")
    distance = None
    if kind == "wasserstein":
        s = table.p_kw + 1j * table.q_kvar
        distance = [[Fraction(d) for d in np.abs(s - each).sum(axis=1).tolist()] for each in s]
    (whole,), unit = _whole([nominal])
    total = sum(whole)
    _near_one(total, unit)
    return Near(whole, radius, distance, total)


def _between(lower: list[Fraction], upper: list[Fraction]) -> Between:
    (low, high), whole = _whole([lower, upper])
    one = min(max(whole, sum(low)), sum(high))
    _near_one(one, whole)
    return Between(low, high, one)


def _whole(rows: list[list[Fraction]]) -> tuple[list[Values], int]:
    """Numbers as whole numbers of one unit, and how many of these are 1."""
    unit = math.lcm(*(value.denominator for row in rows for value in row))
    return [[int(value * unit) for value in row] for row in rows], unit


def _near_one(total: int, whole: int) -> None:
    if not abs(total - whole) <= ROUNDING * whole:
        raise OptionError(f"the probabilities sum to {total / whole}, not to 1")
