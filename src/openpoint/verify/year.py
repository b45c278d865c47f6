"""Many futures in a certificate: their demands, the measure of their losses, and lower bounds of each loss.

A line `future` gives multipliers of the balances in one future, at which the node, or the node with one branch open,
has a lower bound of the loss in this future, prices of changes included. It holds in every node below. Since no loss is
less than its bound and probabilities are not negative, the measure of the bounds is a lower bound of the measure of the
losses. A future without a bound yet loses nothing, or gains without end where a branch may gain.

**Regret** is measured from what each future loses at best by itself. Of that a certificate of one demand gives a state
that attains a loss W⁺, and a bound W⁻ that no state is below: the bounds are less W⁺, the losses of the best state less
W⁻.

Theory: docs/methods.md M15.

A year in a certificate: its steps, and groups of these, whose bounds together are a bound of the energy lost.

**Theorem.** Let x be a radial state that keeps the limits in every step t, with demand s_t, hours h_t > 0 and loss
θ_t(x), prices of changes included. Let the steps be divided into groups g, each step in one, with H_g = Σ h_t and mean
demand m_g = Σ h_t s_t / H_g. Let b(s; λ) be the bound of `openpoint.verify.fixed_point` at a node that x is below, at
multipliers λ. If b(s_t; λ) <= θ_t(x) in every step t, then for any multipliers λ_g, one set for each group,

    Σ_g H_g b(m_g; λ_g) <= Σ_t h_t θ_t(x).

*Proof.* At given multipliers b is affine in the demand: b = Σ_j (P_j y_j + Q_j μ_j) + c(λ), where c has the
multipliers, the data of the grid, the limits and the ranges of the voltages, and neither P nor Q (points 1 to 4 there:
A, ν, ρ, α and β have none). So H_g b(m_g; λ_g) = Σ_{t in g} h_t b(s_t; λ_g), which is at most Σ_{t in g} h_t θ_t(x);
add the groups.

*Its conditions*, and where they are seen to. The ranges of the voltages in c must hold for x in every step: upper ends
are the limits, or what no state exceeds at the least active and reactive power that a bus has in any step, without a
word on the loss (`openpoint.verify.caps` grows with what is fed in); lower ends are the limits; a loss that bounds
voltages from below is refused. Loads of constant current and impedance, capacitors, ratios and the voltages of sources
are the same in every step; generators and devices to choose, prices and limits of supply are refused. Nothing is
assumed of signs of demands or of convexity, and of groups only that each step is in one. Where the mean of a group is
no binary fraction it is between two, and the bound holds for all between them (point 4 there).

The mean demands are worked out here in whole numbers from the table of the user. A bound of a group is a bound of the
mean loss over its steps, in this node and below; their mean by the hours H_g is compared with what is claimed.

Theory: docs/methods.md M17.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from openpoint.arrays import Complexes, Floats, Ints, States
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.verify.asked import Between, Measure
from openpoint.verify.caps import Order, caps, flows
from openpoint.verify.data import Data
from openpoint.verify.fixed_point import FixedPoint, fixed_point
from openpoint.verify.graph import Graph
from openpoint.verify.lines import Head, Multipliers

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


def of_least_demands(data: Data, futures: Bounded) -> Data:
    """The data with the least demand of any future at every bus, at which voltages are highest."""
    return _with_demands(data, *futures.ends[0])


def voltages_in_all(
    data: Data, graph: Graph, usable: list[int], limits: list[float], held: Fraction
) -> list[Fraction | float]:
    """By bus the limit, or an upper bound of its squared voltage in every state of the future of `data`; inf: unknown.

    Nothing is known of the loss in one future of many. held: greatest squared voltage of a source.
    """
    return [min(cap, limit) for cap, limit in zip(caps(data, graph, usable, None, held), limits, strict=True)]


def _exact(part: Floats) -> list[Fraction]:
    return [Fraction(value) for value in part.tolist()]


def _with_demands(data: Data, p: list[Fraction], q: list[Fraction]) -> Data:
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

    def __init__(self, data: Data, graph: Graph, goal: Fraction, futures: Bounded) -> None:
        """`data`: with the ranges of voltages that hold in all futures."""
        self.futures = futures
        self.goal, self.minus = goal * (1 << DIGITS), [-_floor(-Fraction(w)) for w in futures.reference]
        lossy = min((*data.r, *data.g, *data.g_open_fr, *data.g_open_to), default=Fraction(0)) >= 0
        self.unknown = 0 if lossy else UNKNOWN
        self.multipliers = [Multipliers(graph.n) for _ in range(futures.count)]
        sizes = [[max(-low, high) for low, high in zip(*ends, strict=True)] for ends in zip(*futures.ends, strict=True)]
        self.fixed = fixed_point(_with_demands(data, *sizes), graph, goal)
        self.points: dict[int, FixedPoint] = {}

    def bound(self, k: int, status: States) -> int:
        """The bound of future k at its multipliers, times 2^`DIGITS`; UNKNOWN where there is none."""
        if k not in self.points:
            self.points[k] = self.fixed.with_demands(*self.futures.demand(k))
        found = self.points[k].bound(status, self.multipliers[k])
        return UNKNOWN if found is None else _floor(found)

    def reached(self, values: dict[int, int]) -> bool:
        """Whether the measure of bounds reaches the goal; `values`: by future, those that are known."""
        less = [max(values.get(k, self.unknown), self.unknown) - self.minus[k] for k in range(self.futures.count)]
        return self.futures.measure.worst(less) >= self.goal


WATCHED = 64
"""Steps in which limits were missed that are looked at before all others, at most."""
OF_DOUBLE = 53
"""Binary digits of a number in floating point."""
PIECE = 1 << 19
"""Demands that are in memory at once: of all buses in some steps."""
OUTWARDS = 1e-12
"""What sums of products in floating point may lack, relative to the sum of their sizes: far more than rounding."""


class YearLike(Protocol):
    """What a year has, such as `openpoint.Year`: T steps, d profiles, L shares of N buses that follow one each."""

    @property
    def hours(self) -> Floats:
        """(T) lengths of the steps."""
        ...

    @property
    def profile(self) -> Floats:
        """(T, d) values."""
        ...

    @property
    def bus_names(self) -> tuple[str, ...]:
        """(N) as in the grid."""
        ...

    @property
    def bus(self) -> Ints:
        """(L) bus of a share."""
        ...

    @property
    def follows(self) -> Ints:
        """(L) profile of a share."""
        ...

    @property
    def kva(self) -> Complexes:
        """(L) power of a share at profile 1."""
        ...


@dataclass(frozen=True, eq=False)
class Steps:
    """T steps of N buses, per unit; the demand of a bus is the sum of its shares, each times its profile.

    Attributes:
        hours: (T) > 0. profile: (T, d). bus, follows: (L). power: (L) of a share at profile 1. n: N.
    """

    hours: Floats
    profile: Floats
    bus: Ints
    follows: Ints
    power: Complexes
    n: int

    @classmethod
    def of(cls, year: YearLike, network: Network) -> Steps:
        """The steps of a year of a grid.

        Raises:
            OptionError: it is of another grid, or its numbers are none.
        """
        if tuple(year.bus_names) != tuple(network.bus_names):
            raise OptionError("this year is of another grid: its buses are not those of this grid, in its order")
        power, n = year.kva / network.s_base_kva, network.n_terminals
        found = cls(year.hours, year.profile, year.bus, year.follows, power, n)
        sound = np.isfinite(found.profile).all() and np.isfinite(power).all() and bool((found.hours > 0.0).all())
        if not (sound and len(found.hours) == len(found.profile) > 0 and np.isfinite(found.hours).all()):
            raise OptionError("this year has no steps, or values that are no numbers, or steps without length")
        return found

    @cached_property
    def shares(self) -> Complexes:
        """(d, N) power of the buses at profile 1."""
        shares = np.zeros((self.profile.shape[1], self.n), dtype=np.complex128)
        np.add.at(shares, (self.follows, self.bus), self.power)
        return shares

    def rows(self, steps: slice | Ints) -> Complexes:
        """(t, N) demands of some steps, in floating point."""
        return np.asarray(self.profile[steps] @ self.shares)

    def pieces(self) -> list[slice]:
        """All steps, some at a time."""
        some = max(1, PIECE // self.n)
        return [slice(at, at + some) for at in range(0, len(self.hours), some)]

    @cached_property
    def ends(self) -> tuple[Complexes, Complexes]:
        """(N) no step has less active or less reactive power, and (N) none has more."""
        size = np.abs(self.profile).max(axis=0) @ self._sizes * OUTWARDS
        low, high = np.full(self.n, np.inf), np.full(self.n, np.inf)
        ends = [low, high, low.copy(), high.copy()]
        for piece in self.pieces():
            rows = self.rows(piece)
            for end, part in zip(ends, (rows.real, -rows.real, rows.imag, -rows.imag), strict=True):
                np.minimum(end, part.min(axis=0), out=end)
        p_low, p_high, q_low, q_high = ends
        return (p_low - size) + 1j * (q_low - size), (size - p_high) + 1j * (size - q_high)

    @property
    def _sizes(self) -> Floats:
        """(d, N) sizes of the shares, added up."""
        sizes = np.zeros((self.profile.shape[1], self.n))
        np.add.at(sizes, (self.follows, self.bus), np.abs(self.power))
        return sizes


class Ranges(NamedTuple):
    """Least and greatest squared voltages by bus that is no source, greatest squared currents by branch."""

    low: dict[int, float]
    high: dict[int, float]
    current: dict[int, float]


@dataclass(frozen=True, eq=False)
class Year:
    """The groups of the T steps of a year.

    Attributes:
        steps: of the table. label: (T) number of the group of each step, from 0.
        watched: steps that are looked at first.
    """

    steps: Steps
    label: Ints
    watched: list[int]

    limited = True
    share = 1.0

    @cached_property
    def count(self) -> int:
        """Number of groups."""
        return int(self.label.max()) + 1

    @property
    def reference(self) -> list[float]:
        """By group what is subtracted from its loss: nothing."""
        return [0.0] * self.count

    @cached_property
    def measure(self) -> Between:
        """The mean over the groups by their hours."""
        hours = self._sums(np.full(len(self.label), 1, dtype=object))
        return Between(hours, hours, sum(hours))

    @cached_property
    def ends(self) -> tuple[list[list[Fraction]], list[list[Fraction]]]:
        """Of active and of reactive power by bus: no step has less, and none has more."""
        low, high = self.steps.ends
        return _parts(low), _parts(high)

    @cached_property
    def _hours(self) -> npt.NDArray[np.object_]:
        """(T) hours in whole numbers of one unit."""
        return _whole(self.steps.hours)[0]

    def _sums(self, values: npt.NDArray[np.object_]) -> list[int]:
        """By group the sum of whole numbers of each step times its hours."""
        order = np.argsort(self.label, kind="stable")
        begin = np.searchsorted(self.label[order], np.arange(self.count))
        return [int(total) for total in np.add.reduceat((self._hours * values)[order], begin)]

    @cached_property
    def _profiles(self) -> list[tuple[list[int], int]]:
        """By profile the sum over each group of its value times hours, times 2^k, and k."""
        whole = [_whole(column) for column in self.steps.profile.T]
        return [(self._sums(values), k) for values, k in whole]

    @cached_property
    def _shares(self) -> list[list[tuple[int, Fraction, Fraction]]]:
        """By bus the profiles that it follows, with the active and the reactive power that follow them."""
        found: list[list[tuple[int, Fraction, Fraction]]] = [[] for _ in range(self.steps.n)]
        rows = zip(self.steps.bus.tolist(), self.steps.follows.tolist(), self.steps.power.tolist(), strict=True)
        for bus, profile, power in rows:
            found[bus].append((profile, Fraction(power.real), Fraction(power.imag)))
        return found

    def demand(self, k: int) -> tuple[list[Fraction], list[Fraction]]:
        """The mean active and reactive power of every bus in a group."""
        hours = self.measure.lower[k]
        means = [Fraction(sums[k], hours << digits) for sums, digits in self._profiles]
        p, q = (
            [sum((share[part] * means[share[0]] for share in shares), Fraction(0)) for shares in self._shares]
            for part in (1, 2)
        )
        return p, q

    def loss(self, net: Network, order: Order, ranges: Ranges) -> tuple[float, bool]:
        """Mean loss of a radial state over the steps, and whether it is within the ranges in each of them.

        The loss is inf where a step has no flow. Where a step with a flow is out of the ranges the others do not
        matter, nor does the loss, which is 0 then.
        """
        parts = [np.array(self.watched, dtype=np.int64)] if self.watched else []
        every = [np.arange(len(self.label))[piece] for piece in self.steps.pieces()]
        total = 0.0
        for number, part in enumerate([*parts, *every]):
            found = flows(net, order, self.steps.rows(part))
            missed = out_of(ranges, found.w, found.rated) & np.isfinite(found.loss)
            if missed.any():
                self.watched[:] = [*{*self.watched, int(part[missed.argmax()])}][-WATCHED:]
                return 0.0, False
            if number >= len(parts):
                total += float(found.loss @ self.steps.hours[part])
        return total / float(self.steps.hours.sum()), True


def out_of(ranges: Ranges, w: dict[int, Floats], rated: dict[int, Floats]) -> npt.NDArray[np.bool_]:
    """(t) whether any square is out of its range."""
    some = next(iter(w.values()))
    missed = np.zeros(len(some), dtype=np.bool_)
    for bus, square in w.items():
        if bus in ranges.low:
            missed |= (square < ranges.low[bus]) | (square > ranges.high[bus])
    for e, square in rated.items():
        if e in ranges.current:
            missed |= square > ranges.current[e]
    return missed


def _parts(power: Any) -> list[list[Fraction]]:
    return [[Fraction(value) for value in part.tolist()] for part in (power.real, power.imag)]


def _whole(values: Floats) -> tuple[npt.NDArray[np.object_], int]:
    """Numbers times 2^k, all of them whole, and k."""
    mantissa, exponent = np.frexp(values)
    k = max(0, OF_DOUBLE - int(exponent.min(initial=OF_DOUBLE)))
    found = np.ldexp(mantissa, OF_DOUBLE).astype(np.int64).astype(object) << (exponent.astype(object) - OF_DOUBLE + k)
    return found, k


def year_of(head: Head, steps: Steps | None) -> Year | None:
    """The steps of the user in the groups of a certificate; None where it is not asked about a year."""
    return None if steps is None or head.label is None else Year(steps, head.label, [])
