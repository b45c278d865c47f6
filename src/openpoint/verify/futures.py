"""Many futures in a certificate: their demands, the measure of their losses, and lower bounds of each loss.

A line `future` gives multipliers of the balances in one future, at which the node, or the node with one branch open,
has a lower bound of the loss in this future, prices of changes included. It holds in every node below. Since no loss is
less than its bound and probabilities are not negative, the measure of the bounds is a lower bound of the measure of the
losses. A future without a bound yet loses nothing, or gains without end where a branch may gain.

**Regret** is measured from what each future loses at best by itself. Of that a certificate of one demand gives a state
that attains a loss W⁺, and a bound W⁻ that no state is below: the bounds are less W⁺, the losses of the best state less
W⁻.

Theory: docs/methods.md M15.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Protocol

from openpoint.arrays import Complexes, Floats, States
from openpoint.network import Network
from openpoint.verify.bound import Exact
from openpoint.verify.caps import caps
from openpoint.verify.data import Data
from openpoint.verify.devices import Places
from openpoint.verify.fixed_point import FixedPoint, Multipliers, fixed_point
from openpoint.verify.graph import Graph
from openpoint.verify.measure import Measure

DIGITS = 96
"""Binary digits of the bounds that are kept."""
UNKNOWN = -1 << 2 * DIGITS
"""Bound of a future that has none."""
ROUNDING = Fraction(1, 10**9)
"""By how much the share of futures that miss their limits may exceed what is allowed: sums of probabilities."""


class Bounded(Protocol):
    """Load vectors, called futures here, each of which has bounds of its own."""

    @property
    def count(self) -> int:
        """Their number K."""
        ...

    @property
    def measure(self) -> Measure:
        """Of their losses less `reference`."""
        ...

    @property
    def reference(self) -> list[float]:
        """(K)."""
        ...

    @property
    def ends(self) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
        """Of active and of reactive power by bus: nothing that they stand for has less, and nothing has more."""
        ...

    def demand(self, k: int) -> tuple[list[Fraction], list[Fraction]]:
        """Active and reactive power of every bus in one of them."""
        ...


@dataclass(frozen=True)
class Futures:
    """Many futures.

    Attributes:
        demands: (K, N) constant power. measure: of the losses less `reference`, (K).
        weights: (K) probabilities by which the share of futures that keep their limits is counted; at least `share`.
        regret: whether losses count beyond what each future loses at best by itself. alone: of that a value that is
            attained and a bound, (K) each; None: 0.
    """

    demands: Complexes
    measure: Measure
    weights: list[float]
    share: float = 1.0
    regret: bool = False
    alone: tuple[list[float], list[float]] | None = None

    @property
    def reference(self) -> list[float]:
        """(K) what each future loses at best by itself, as it is attained; 0 without regret."""
        return [0.0] * self.count if self.alone is None else self.alone[0]

    @property
    def least(self) -> list[float]:
        """(K) no state loses less in each future by itself; 0 without regret."""
        return [0.0] * self.count if self.alone is None else self.alone[1]

    @property
    def count(self) -> int:
        """K."""
        return len(self.demands)

    @property
    def limited(self) -> bool:
        """Whether every future has to keep the limits."""
        return self.share >= 1.0

    def worth(self, losses: list[float], given: list[float]) -> float:
        """The measure of losses that were computed in floating point, less those given."""
        less = zip(losses, given, strict=True)
        return float(self.measure.worst([_floor(Fraction(loss) - Fraction(w)) for loss, w in less]) / (1 << DIGITS))

    def enough(self, kept: list[bool]) -> bool:
        """Whether the limits are kept in enough of the futures."""
        if self.limited:
            return all(kept)
        violated = sum(Fraction(w) for w, there in zip(self.weights, kept, strict=True) if not there)
        whole = sum(map(Fraction, self.weights))
        return violated <= (1 - Fraction(self.share) + ROUNDING) * whole

    @property
    def ends(self) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
        """The least and the greatest demand of any future at every bus."""
        parts = self.demands.real, self.demands.imag
        return [_exact(part.min(axis=0)) for part in parts], [_exact(part.max(axis=0)) for part in parts]

    def demand(self, k: int) -> tuple[list[Fraction], list[Fraction]]:
        """The demand of a future."""
        return _exact(self.demands[k].real), _exact(self.demands[k].imag)

    def at(self, network: Network, k: int) -> Network:
        """The network in a future."""
        return replace(network, s_power=self.demands[k])


def _floor(value: Fraction) -> int:
    return math.floor(value * (1 << DIGITS))


def of_least_demands(data: Data[Fraction], futures: Bounded) -> Data[Fraction]:
    """The data with the least demand of any future at every bus, at which voltages are highest."""
    return _with_demands(data, *futures.ends[0])


def voltages_in_all(
    data: Data[Fraction], places: Places, graph: Graph, usable: list[int], limits: list[float]
) -> list[Fraction | float]:
    """By bus the limit, or an upper bound of its squared voltage in every state of the future of `data`; inf: unknown.

    Nothing is known of the loss in one future of many.
    """
    top = max(square for _, square in places.squares_of(data).values())
    return [
        min(cap, limit)
        for cap, limit in zip(caps(data, graph, usable, None, top, moving=bool(places.tapped)), limits, strict=True)
    ]


def _exact(part: Floats) -> list[Fraction]:
    return [Fraction(value) for value in part.tolist()]


def _with_demands(data: Data[Fraction], p: list[Fraction], q: list[Fraction]) -> Data[Fraction]:
    """The data with these demands; one that is no binary fraction is between two."""
    (p, p_span), (q, q_span) = _between(p), _between(q)
    return replace(data, p=p, q=q, p_span=p_span, q_span=q_span)


def _between(values: list[Fraction]) -> tuple[list[Fraction], list[Fraction]]:
    """Binary fractions that are not more than these numbers, and widths by which the numbers may be more."""
    binary = [value.denominator & (value.denominator - 1) == 0 for value in values]
    low = [v if exact else Fraction(_floor(v), 1 << DIGITS) for v, exact in zip(values, binary, strict=True)]
    return low, [Fraction(0) if exact else Fraction(1, 1 << DIGITS) for exact in binary]


class FuturesBounds:
    """Lower bounds of the loss in each future.

    Attributes:
        goal: the measure of the bounds that every node has to reach, times 2^`DIGITS`. unknown: bound of a future that
            has none.
    """

    def __init__(self, data: Data[Fraction], graph: Graph, goal: Fraction, places: Places, futures: Bounded) -> None:
        """`data`: with the ranges of voltages that hold in all futures."""
        self.data, self.graph, self.places, self.futures = data, graph, places, futures
        self.goal, self.minus = goal * (1 << DIGITS), [-_floor(-Fraction(w)) for w in futures.reference]
        lossy = min((*data.r, *data.g, *data.g_open_fr, *data.g_open_to), default=Fraction(0)) >= 0
        self.unknown = 0 if lossy else UNKNOWN
        self.multipliers = [Multipliers(graph.n) for _ in range(futures.count)]
        sizes = [[max(-low, high) for low, high in zip(*ends, strict=True)] for ends in zip(*futures.ends, strict=True)]
        self.fixed = fixed_point(_with_demands(data, *sizes), graph, goal, places)
        self.quick: dict[int, FixedPoint] = {}
        self.exact: dict[int, Exact] = {}

    def bound(self, k: int, status: States) -> int:
        """The bound of future k at its multipliers, times 2^`DIGITS`; UNKNOWN where there is none."""
        if self.fixed is not None:
            if k not in self.quick:
                self.quick[k] = self.fixed.with_demands(*self.futures.demand(k))
            found = self.quick[k].bound(status, self.multipliers[k])
            if found is not None:
                return _floor(found)
        return self._exactly(k, status)

    def _exactly(self, k: int, status: States) -> int:
        """The same in whole numbers of any length."""
        if k not in self.exact:
            data = _with_demands(self.data, *self.futures.demand(k))
            self.exact[k] = Exact(data, self.graph, Fraction(0), self.places)
        given, there, states = self.multipliers[k], self.exact[k], status.tolist()
        up = there.coarse - given.bits
        y, mu = ([v << up for v in part.tolist()] for part in (given.y, given.mu))
        order = self.graph.directed(states, set(given.tops), y)
        whole = there.bound(states, order, y, mu, given.phi, given.near, [])
        return UNKNOWN if whole is None else _floor(Fraction(whole, 1 << there.k + there.fine))

    def reached(self, values: dict[int, int]) -> bool:
        """Whether the measure of bounds reaches the goal; `values`: by future, those that are known."""
        less = [max(values.get(k, self.unknown), self.unknown) - self.minus[k] for k in range(self.futures.count)]
        return self.futures.measure.worst(less) >= self.goal
