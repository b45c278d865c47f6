"""Ranges of the squared voltages of the states that cost at most as much as a known one, in fractions.

`openpoint.verify.caps` bounds voltages by the loss. Where something else is minimised, the cost bounds the loss first.
With s(j) the source whose tree bus j is in, and D_j the active power that it draws less what it feeds in,

    Σ_s c_s P_s = Σ_s c_s (loss in its tree) + Σ_j c_s(j) D_j,

so with λ the price of losses, λ + c_s >= 0, c_e >= 0 that of squared currents l and branches that only lose, the cost
is at least

    κ Σ r l + base        κ = min over branches of λ + min c_s + c_e / r
    base = Σ_j min c D_j + Σ_g min [(c_g − c) p + a p² + c°_g]

each minimum taken over the prices of all sources, or of the one at the bus itself, and over the ranges of demand and
output. A generator that may stop adds 0 where it is off. A state of cost V has Σ r l <= (V − base) / κ.

The claim of a certificate about a question: the best state, which is checked, and a bound.

A radial state is evaluated by its power flow, a sweep in floating point; under many futures in each of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import isqrt
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Complexes
from openpoint.network import Network
from openpoint.network.devices import with_positions
from openpoint.network.limits import greatest_series_currents
from openpoint.verify.asked import Asked
from openpoint.verify.caps import caps, floors, flow
from openpoint.verify.data import NOTHING as NO_DEVICES
from openpoint.verify.data import Data, digest, read
from openpoint.verify.devices import Places, running, within
from openpoint.verify.graph import CLOSED, OPEN, Graph
from openpoint.verify.lines import Head
from openpoint.verify.question import Question
from openpoint.verify.schema import CertificateError
from openpoint.verify.verified import Verified, futures_in_words, limits_in_words, prices_in_words
from openpoint.verify.year import Bounded, Ranges, of_least_demands, voltages_in_all, year_of

DIGITS = 64
"""Binary digits of rounded roots."""
ROUNDS = 3
"""How often voltages and losses bound each other."""
Ends = tuple[Fraction, Fraction]


def greatest_voltages(
    data: Data[Fraction],
    places: Places,
    graph: Graph,
    usable: list[int],
    limits: tuple[list[float], list[float]],
    value: Fraction,
) -> list[Fraction | float]:
    """By bus the limit, or an upper bound of its squared voltage in states of at most this cost; inf: unknown.

    Args:
        usable: branches that may be closed. limits: least and greatest squared voltages.
    """
    held = places.squares_of(data)
    most, top = places.highest(data), max(square for _, square in held.values())
    w_min = [held[bus][0] if bus in held else Fraction(low) for bus, low in enumerate(limits[0])]
    others = (*data.source, *data.output, *data.move, *data.current)
    lost = value if data.loss[0] == 1 and not any(others) else None
    found: list[Fraction | float] = []
    for _ in range(1 if lost is not None else ROUNDS):
        found = [
            min(cap, limit)
            for cap, limit in zip(
                caps(most, graph, usable, lost, top, moving=bool(places.tapped)), limits[1], strict=True
            )
        ]
        w_max = [held[bus][1] if bus in held else high for bus, high in enumerate(found)]
        lost = greatest_loss(data, places, usable, value, (w_min, w_max))
    return found


def greatest_loss(
    data: Data[Fraction],
    places: Places,
    usable: list[int],
    value: Fraction,
    squares: tuple[Sequence[Fraction], Sequence[Fraction | float]],
) -> Fraction | None:
    """Greatest Σ r l of the states of at most this cost; None where nothing is known.

    Args:
        usable: branches that may be closed. squares: least and greatest squared voltages, inf = unknown.
    """
    loss, prices = data.loss[0], data.source
    lossy = [loss + min(prices) + data.current[e] / data.r[e] for e in usable if data.r[e] > 0]
    if not lossy or min(lossy) <= 0 or loss + min(prices) < 0 or min(data.current) < 0:
        return None
    base = Fraction(0)
    own = dict(zip(places.sources, prices, strict=True))
    for bus, (low, high) in enumerate(zip(*squares, strict=True)):
        among = {own[bus]} if bus in own else {min(prices), max(prices)}
        if among == {0}:
            continue
        ends = _drawn(data, bus, low, high)
        if ends is None:
            return None
        base += min(price * end for price in among for end in ends)
    units = set(places.number.values())
    for n, bus in enumerate(places.fed[: places.generators]):
        among = {own[bus]} if bus in own else {min(prices), max(prices)}
        rate, square, idle = data.output[3 * n : 3 * n + 3]
        box = data.box[4 * n], data.box[4 * n + 1]
        least = idle + min(_parabola(rate - price, square, box) for price in among)
        base += min(least, Fraction(0)) if n in units else least
    return max(Fraction(0), (value - base) / min(lossy))


def _drawn(data: Data[Fraction], bus: int, w_min: Fraction, w_max: Fraction | float) -> Ends | None:
    """Least and greatest active power that a bus draws, less ordinary generation; None: without bound."""
    low, high = data.p[bus], data.p[bus] + data.p_span[bus]
    if (data.p_v[bus] or data.p_w[bus]) and math.isinf(w_max):
        return None
    if part := data.p_v[bus]:
        ends = part * _root(w_min, 0), part * _root(Fraction(w_max), 1)
        low, high = low + min(ends), high + max(ends)
    if part := data.p_w[bus]:
        ends = part * w_min, part * Fraction(w_max)
        low, high = low + min(ends), high + max(ends)
    return low, high


def _root(square: Fraction, above: int) -> Fraction:
    """The square root, rounded down (`above` 0) or up (1)."""
    return Fraction(isqrt((square.numerator << 2 * DIGITS) // square.denominator) + above, 1 << DIGITS)


def _parabola(slope: Fraction, square: Fraction, ends: Ends) -> Fraction:
    """The least of slope x + square x² in a range."""
    low, high = ends
    x = high if slope < 0 else low
    if square > 0:
        x = min(max(-slope / (2 * square), low), high)
    return slope * x + square * x * x


EXACT = 1e-8
"""Relative tolerance of the loss and limits of a radial state by a power flow in floating point."""
NOTHING = 1e-12
"""A loss per unit below which gaps are relative to this."""
LOST = 0.01
"""Share of the greatest loss to which the tolerance of regret is relative: it is a small difference of losses."""


class _Worth(NamedTuple):
    """The value of a radial state, inf without a power flow solution, its loss, and whether it keeps the limits.

    Of regret `value` counts the losses beyond what each future loses at best by itself as it is attained, `most` beyond
    the bound of that; `lost` is the greatest loss. Elsewhere `most` is the value and `lost` 0.
    """

    value: float
    loss: float
    kept: bool
    most: float
    lost: float = 0.0


class Claim:
    """The claim of a certificate about a question: the best state, its value, and a bound of all states.

    All numbers of the question are the user's; the head has only words of it, which are compared before.

    With C branches closed today of which n must be, one for each bus without source, k closings are C − n + 2 k
    changes, C − n of them `unavoidable`.
    """

    def __init__(self, question: Question, head: Head) -> None:
        """`question`: of regret with what each future loses at best by itself."""
        net, devices = question.net, question.devices
        self.question, self.grid_digest = question, digest(net, devices)
        self.net, self.objective = net, question.objective
        self.futures, self.year = question.futures, year_of(head, question.steps)
        self.every: Bounded | None = self.futures or self.year
        if self.every is not None and not (
            self.objective.by_loss and not devices.count and not len(net.generator_names)
        ):
            raise CertificateError("many futures are for losses, without devices or generators to choose")
        if self.year is not None and (self.futures is not None or self.objective.supply_given):
            raise CertificateError("a year is for losses, without other futures, and without limits of supply")
        self.devices, self.places = devices, Places(net, devices, self.objective)
        self.source = {int(t): complex(v) for t, v in zip(net.source_terminal, net.source_v, strict=True)}
        self.w_min, self.w_max, self.l_max = question.w_min, question.w_max, question.l_max
        self.price, self.most = question.change_cost, question.max_changes
        # The output of a generator at the bus of a source changes no loss.
        counts = ~np.isin(net.generator_terminal, net.source_terminal)
        counts[self.objective.alone(net, NO_DEVICES)] = True
        counts |= self.objective.sources_count
        self.ranged = counts & ((net.p_min < net.p_max) | (net.q_min < net.q_max))
        self.unavoidable = int(net.closed.sum()) - (net.n_terminals - len(self.source))
        self.graph = Graph(
            *(net.n_terminals, net.terminal_fr.tolist(), net.terminal_to.tolist(), set(self.source)),
            set(np.flatnonzero(~net.closed).tolist()),
            math.inf if self.most is None else (self.most - self.unavoidable) / 2,
        )
        self.locked = [np.flatnonzero(locked).tolist() for locked in (question.must_open, question.must_close)]
        self.base = head.base
        self._read_best(head)
        self.lost = self._known_loss(head.voltage_loss)

    def _known_loss(self, lost: float | None) -> float | None:
        """The loss by which voltages are bounded from below; None where they are not."""
        plain = self.objective.by_loss and not self.devices.count
        plain = plain and self.every is None  # of many the loss of one is not known
        if lost is not None and not (plain and self.value <= lost < math.inf):
            raise CertificateError("the loss by which voltages are bounded is none of a state like the best one")
        return lost

    def _read_best(self, head: Head) -> None:
        """The best state, which is evaluated; what the file says of its value is compared."""
        net, free = self.net, self.devices
        self.best = [CLOSED] * net.n_conductors
        for branch in head.open:
            self.best[branch] = OPEN
        if any(self.best[e] != s for s in (OPEN, CLOSED) for e in self.locked[s]):
            raise CertificateError("the best state does not keep the locks")
        self.positions = head.positions
        if len(self.positions) != free.count or any(
            k >= size for k, size in zip(self.positions, free.sizes.tolist(), strict=True)
        ):
            raise CertificateError(f"the devices {', '.join(free.names)} have no positions {self.positions}")
        self.generation = head.generation
        if not within(net, running(net, free, self.positions), self.generation):
            raise CertificateError("an output is not within its range")
        self.changes = int(np.sum(np.array(self.best) != net.closed))
        if self.most is not None and self.changes > self.most:
            raise CertificateError(f"the best state has {self.changes} changes")
        found = self.worth(self.best, self.positions, self.generation)
        self.value, self.bound, self.loss, self.attained = head.value, head.bound, found.loss, found.most
        self.size = max(abs(found.value), NOTHING, LOST * found.lost)
        if not (found.kept and math.isfinite(found.value) and abs(found.value - self.value) <= EXACT * self.size):
            raise CertificateError(
                f"the best state loses {found.value} per unit and not {self.value}, or misses the limits: "
                "is the certificate of this grid, of these tables and of this question?"
            )
        self.worst = self.value + (found.most - found.value)
        if not self.bound <= self.value:
            raise CertificateError(f"the bound {self.bound} is above the value {self.value}")

    @property
    def relative_gap(self) -> float:
        """Between value and bound, relative to the value."""
        return (self.worst - self.bound) / max(abs(self.worst), NOTHING)

    @property
    def goal(self) -> Fraction:
        """The value that every bound must reach, without the cost of changes that every state has."""
        return Fraction(self.bound) - Fraction(self.price) * self.unavoidable

    def data(self) -> Data[Fraction]:
        """The data of the grid, with the ranges of the voltages of states better than the best one."""
        places, futures = self.places, self.every
        limited = self.futures is None or self.futures.limited
        n, m = self.net.n_terminals, len(self.graph.fr)
        w_min, w_max, l_max = (
            (self.w_min, self.w_max, self.l_max) if limited else ([0.0] * n, [math.inf] * n, [math.inf] * m)
        )
        at = replace(self.net, l_max=np.array(l_max), w_max=np.array(w_max))
        series = greatest_series_currents(at, self.devices).tolist()
        data = read(self.net, series, Fraction(self.price), self.devices, self.objective)
        usable = [e for e in range(m) if e not in self.locked[OPEN]]
        if futures is None:
            highest = greatest_voltages(data, places, self.graph, usable, (w_min, w_max), Fraction(self.value))
        else:
            data = of_least_demands(data, futures)
            highest = voltages_in_all(data, places, self.graph, usable, w_max)
        if math.inf in highest:
            raise CertificateError(f"nothing bounds the voltage at bus {self.net.bus_names[highest.index(math.inf)]}")
        lowest, held = [Fraction(low) for low in w_min], places.squares_of(data)
        if self.lost is not None:
            least = min(low for low, _ in held.values())
            by_loss = floors(data, self.graph, usable, Fraction(self.lost), least)
            lowest = [max(pair) for pair in zip(lowest, by_loss, strict=True)]
        ends = [(low, Fraction(high)) for low, high in zip(lowest, highest, strict=True)]
        ranges = [held.get(bus, range_) for bus, range_ in enumerate(ends)]
        return replace(data, w_min=[low for low, _ in ranges], w_max=[high for _, high in ranges])

    def worth(self, status: list[int], positions: list[int], generation: Complexes, beyond: float = EXACT) -> _Worth:
        """A radial state, evaluated by power flow.

        Args:
            positions: of the devices. generation: (G).
            beyond: share of a limit by which a value may exceed it; < 0: by which it must stay below.
        """
        net, order = self.net, self.graph.directed(status, set(), [0] * self.net.n_terminals)
        if status.count(CLOSED) + len(self.source) != net.n_terminals or any(
            above < 0 and bus not in self.source for bus, above, _ in order
        ):
            raise CertificateError("a state that should be radial is not")
        placed = with_positions(net, self.devices, np.array(positions)) if positions else net
        cost = self.price * int(np.sum(np.array(status) != net.closed))
        if self.year is not None:
            loss, kept = self.year.loss(placed, order, self._ranges(beyond))
            return _Worth(loss + cost, loss, kept, loss + cost)
        if self.futures is None:
            found = self._in_one(placed, order, positions, generation, beyond)
            return found._replace(value=found.value + cost, most=found.value + cost)
        futures = [self.futures.at(placed, k) for k in range(self.futures.count)]
        every = [self._in_one(future, order, positions, generation, beyond) for future in futures]
        losses = [found.loss for found in every]
        if not all(map(math.isfinite, losses)):
            return _Worth(math.inf, math.inf, False, math.inf)
        kept = self.futures.enough([found.kept for found in every])
        if not self.futures.regret:
            value = self.futures.worth(losses, self.futures.reference)
            return _Worth(value + cost, value, kept, value + cost)
        value, most = (self.futures.worth(losses, given) for given in (self.futures.reference, self.futures.least))
        return _Worth(value + cost, value, kept, most + cost, max(map(abs, losses)))

    def _ranges(self, beyond: float) -> Ranges:
        """The limits that there are, wider by `beyond`, a share of each."""
        w = enumerate(zip(self.w_min, self.w_max, strict=True))
        inner = {bus: ends for bus, ends in w if bus not in self.source and ends != (0.0, math.inf)}
        return Ranges(
            {bus: low * (1 - beyond) for bus, (low, _) in inner.items()},
            {bus: high * (1 + beyond) for bus, (_, high) in inner.items()},
            {e: limit * (1 + beyond) for e, limit in enumerate(self.l_max) if limit < math.inf},
        )

    def _in_one(
        self,
        placed: Network,
        order: list[tuple[int, int, int]],
        positions: list[int],
        generation: Complexes,
        beyond: float,
    ) -> _Worth:
        """A radial state under one demand, without the cost of changes; `order`: its closed branches, directed."""
        net = self.net
        loss, w, l, rated, delivered = flow(placed, order, generation)
        if math.isinf(loss):
            return _Worth(loss, loss, False, loss)
        on, moved = running(net, self.devices, positions), sum(a != b for a, b in zip(positions, self.places.today))
        source = np.array([delivered[bus] for bus in self.places.sources])
        fed = np.where(on, generation, 0.0)
        kept = all(
            self.w_min[bus] * (1 - beyond) <= square <= self.w_max[bus] * (1 + beyond)
            for bus, square in w.items()
            if bus not in self.source
        ) and all(square <= self.l_max[e] * (1 + beyond) for e, square in rated.items())
        kept = kept and self.objective.keeps(source, fed, beyond, EXACT)
        cost = self.objective.of_state(loss, source, fed, on, l, moved)
        return _Worth(cost, loss, kept, cost)

    def _opened(self) -> tuple[str, ...]:
        """Names of the branches that are open in the best state."""
        rows = zip(self.net.branch_names, self.best, self.question.dropped.tolist(), strict=True)
        return tuple(name for name, state, stays in rows if state == OPEN and not stays)

    def proven(self, nodes: int, bounds: int, judged: int, by_paths: int) -> Verified:
        """What is proven, after a tree of so many nodes."""
        net, question = self.net, self.question
        plain = self.objective.by_loss
        asked = question.asked or Asked()
        given = [tuple(net.branch_names[e] for e in self.locked[s] if net.switchable[e]) for s in (OPEN, CLOSED)]
        limits = limits_in_words(question, outputs=bool(self.ranged.any()))
        return Verified(
            loss_kw=(self.worst - self.price * self.changes if plain else self.loss) * net.s_base_kva,
            value_kw=self.worst * net.s_base_kva,
            bound_kw=self.bound * net.s_base_kva,
            gap=self.relative_gap,
            open_branches=self._opened(),
            changes=self.changes,
            nodes=nodes,
            bounds=bounds,
            judged=judged,
            by_paths=by_paths,
            given=(given[OPEN], given[CLOSED]) if asked.free is None or "topology" in asked.free else ((), ()),
            held=question.stay,
            change_cost_kw=self.price * net.s_base_kva,
            positions=tuple(zip(self.devices.names, (self.devices.first + self.positions).tolist(), strict=True)),
            limits=", ".join(limits) + ("," if len(limits) > 1 else ""),
            prices="" if plain else prices_in_words(question),
            measure=self._measure(),
            steps=0 if self.year is None else len(self.year.label),
            hours=0.0 if self.year is None else float(self.year.steps.hours.sum()),
            asked=asked,
            grid_digest=self.grid_digest,
        )

    def _measure(self) -> str:
        """What of the losses counts, in words; empty for one demand."""
        if self.year is not None:
            return f"mean over the {len(self.year.label):,} steps of the year, in {self.year.count:,} groups"
        return "" if self.futures is None else futures_in_words(self.question.asked or Asked(), self.futures.count)
