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

A question in words: the options of `reconfigure` or `dispatch`, as a user and the head of a certificate give them.

It says what a certificate is about. All numbers of the question follow from these words, the user's grid and the user's
tables (`openpoint.verify.question`); the file holds none of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.network.criteria import CRITERIA
from openpoint.network.freedom import FREE
from openpoint.network.limits import Limits
from openpoint.verify import schema
from openpoint.verify.schema import CertificateError

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


LIMITS = ("voltage", "current", "v_min_pu", "v_max_pu")
OPTION = {
    "limits": "--v-min, --v-max, --ignore-limits",
    "locked_open": "--open",
    "locked_closed": "--close",
    "max_changes": "--max-changes",
    "change_cost_kw": "--change-cost",
    "free": "--free",
    "minimize": "--minimize",
    "risk": "--risk",
    "ambiguity": "--ambiguity",
    "limits_share": "--limits-share",
    "futures": "--futures",
    "year": "--year",
}
"""By field the options of the command that say it."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question; what is left out is as `openpoint.reconfigure` takes it, of `openpoint.dispatch` as that does.

    Attributes:
        limits: to keep; those of the grid by default. locked_open, locked_closed: names of branches whose state is
            given. max_changes: most branches in another state than today's; None: any. change_cost_kw: cost of each.
        free, minimize: of `dispatch`, what may move and weights by criterion. free None: not named. minimize None: the
            question is that of `reconfigure`: open points, outputs within their ranges, least losses.
        risk, ambiguity, limits_share: of many futures, as the options of `reconfigure` of these names; an ambiguity
            that has no such text is given by a digest of its numbers. futures, year: whether they are many, or a year.
    """

    limits: Limits = field(default_factory=Limits)
    locked_open: tuple[str, ...] = ()
    locked_closed: tuple[str, ...] = ()
    max_changes: int | None = None
    change_cost_kw: float = 0.0
    free: tuple[str, ...] | None = None
    minimize: Mapping[str, float] | None = None
    risk: str = "expected"
    ambiguity: str | None = None
    limits_share: float = 1.0
    futures: bool = False
    year: bool = False

    def to_json(self) -> dict[str, Any]:
        """What is not as it is without options, as it stands in a file."""
        plain, found = Asked(), dict[str, Any]()
        for part in fields(self):
            value = getattr(self, part.name)
            if value != getattr(plain, part.name):
                found[part.name] = list(value) if isinstance(value, tuple) else value
        if "limits" in found:
            ends = {name: getattr(self.limits, name) for name in LIMITS[2:]}
            found["limits"] = {name: getattr(self.limits, name) for name in LIMITS[:2]}
            found["limits"] |= {name: None if end is None else float(end) for name, end in ends.items()}
        if self.minimize is not None:
            found["minimize"] = {name: float(weight) for name, weight in self.minimize.items()}
        return found


def read_asked(given: Any, place: str = "question") -> Asked:
    """The question that stands in a file.

    Raises:
        CertificateError: it is none.
    """
    words = schema.record(given, place, (), [part.name for part in fields(Asked)])
    found: dict[str, Any] = {}
    for name in ("locked_open", "locked_closed"):
        found[name] = tuple(schema.texts(words.get(name, []), f"{place}: {name}"))
    if words.get("max_changes") is not None:
        found["max_changes"] = schema.whole(words["max_changes"], f"{place}: max_changes", 0, schema.LARGE)
    found["change_cost_kw"] = schema.number(words.get("change_cost_kw", 0.0), f"{place}: change_cost_kw", 0.0)
    found["limits_share"] = schema.number(words.get("limits_share", 1.0), f"{place}: limits_share", 0.0)
    if not 0.0 < found["limits_share"] <= 1.0:
        raise schema.refused(found["limits_share"], f"{place}: limits_share", "a number above 0, up to 1")
    for name, in_one_way in (("risk", risk_text), ("ambiguity", ambiguity_text)):
        if words.get(name) is not None:
            try:
                found[name] = in_one_way(schema.text(words[name], f"{place}: {name}"))
            except OptionError as error:
                raise CertificateError(f"{place}: {error}") from None
    for name in ("futures", "year"):
        found[name] = schema.flag(words.get(name, False), f"{place}: {name}")
    if words.get("free") is not None:
        free = schema.texts(words["free"], f"{place}: free")
        if strange := [kind for kind in free if kind not in FREE]:
            raise schema.refused(strange[0], f"{place}: free", " or ".join(FREE))
        found["free"] = tuple(free)
    if words.get("minimize") is not None:
        weights = schema.record(words["minimize"], f"{place}: minimize", (), CRITERIA)
        found["minimize"] = {name: schema.number(w, f"{place}: minimize: {name}", 0.0) for name, w in weights.items()}
        if not all(found["minimize"].values()) or not weights:
            raise CertificateError(f"{place}: minimize has no weight, or one of 0")
    if "limits" in words:
        found["limits"] = read_limits(words["limits"], f"{place}: limits")
    return Asked(**found)


def read_limits(given: Any, place: str) -> Limits:
    """Limits that stand in a file.

    Raises:
        CertificateError: they are none.
    """
    words = schema.record(given, place, LIMITS)
    flags = {name: schema.flag(words[name], f"{place}: {name}") for name in ("voltage", "current")}
    ends = {
        name: None if words[name] is None else schema.number(words[name], f"{place}: {name}", 0.0)
        for name in ("v_min_pu", "v_max_pu")
    }
    try:
        return Limits(**flags, **ends)  # type: ignore[arg-type]
    except OptionError as error:
        raise CertificateError(f"{place}: {error}") from None
