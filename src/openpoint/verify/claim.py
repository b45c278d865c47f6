"""The claim of a certificate about a question: the best state, which is checked, and a bound.

A radial state is evaluated by its power flow, a sweep in floating point; under many futures in each of them.
"""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, with_positions
from openpoint.network.limits import greatest_series_currents
from openpoint.verify.asked import Asked
from openpoint.verify.caps import caps, floors, flow
from openpoint.verify.data import NOTHING as NO_DEVICES
from openpoint.verify.data import Data, digest, read
from openpoint.verify.graph import CLOSED, OPEN, Graph
from openpoint.verify.lines import Head
from openpoint.verify.question import Question
from openpoint.verify.schema import CertificateError
from openpoint.verify.verified import Verified, futures_in_words, limits_in_words, prices_in_words
from openpoint.verify.year import Bounded, Ranges, of_least_demands, voltages_in_all, year_of

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
        self.devices = devices
        self.source = {int(t): complex(v) for t, v in zip(net.source_terminal, net.source_v, strict=True)}
        self.w_min, self.w_max, self.l_max = question.w_min, question.w_max, question.l_max
        self.price, self.most = question.rules.change_cost, question.rules.max_changes
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
        self.locked = [
            np.flatnonzero(locked).tolist() for locked in (question.rules.must_open, question.rules.must_close)
        ]
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

    def data(self) -> Data:
        """The data of the grid, with the ranges of the voltages of states better than the best one."""
        futures, limited = self.every, self.futures is None or self.futures.limited
        n, m = self.net.n_terminals, len(self.graph.fr)
        w_min, w_max, l_max = (
            (self.w_min, self.w_max, self.l_max) if limited else ([0.0] * n, [math.inf] * n, [math.inf] * m)
        )
        at = replace(self.net, l_max=np.array(l_max), w_max=np.array(w_max))
        data = read(self.net, greatest_series_currents(at, NO_DEVICES).tolist(), Fraction(self.price))
        usable, squares = [e for e in range(m) if e not in self.locked[OPEN]], self.squares
        most = max(squares.values())
        if futures is None:
            caps_of_value = caps(data, self.graph, usable, Fraction(self.value), most)
            highest = [min(pair) for pair in zip(caps_of_value, w_max, strict=True)]
        else:
            data = of_least_demands(data, futures)
            highest = voltages_in_all(data, self.graph, usable, w_max, most)
        if math.inf in highest:
            raise CertificateError(f"nothing bounds the voltage at bus {self.net.bus_names[highest.index(math.inf)]}")
        lowest = [Fraction(low) for low in w_min]
        if self.lost is not None:
            by_loss = floors(data, self.graph, usable, Fraction(self.lost), min(squares.values()))
            lowest = [max(pair) for pair in zip(lowest, by_loss, strict=True)]
        return replace(
            data,
            w_min=[squares.get(bus, low) for bus, low in enumerate(lowest)],
            w_max=[squares.get(bus, Fraction(high)) for bus, high in enumerate(highest)],
        )

    @property
    def squares(self) -> dict[int, Fraction]:
        """By bus of a source the squared voltage that it holds."""
        return {bus: Fraction(v.real) ** 2 + Fraction(v.imag) ** 2 for bus, v in self.source.items()}

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
        today = self.devices.today.tolist()
        on, moved = running(net, self.devices, positions), sum(map(operator.ne, positions, today))
        source = np.array([delivered[bus] for bus in net.source_terminal.tolist()])
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


def running(net: Network, devices: Devices, positions: list[int]) -> Bools:
    """(G) whether each generator is on."""
    on = np.ones(len(net.generator_terminal), dtype=np.bool_)
    for d in devices.of(DeviceKind.UNIT):
        on[devices.place[d]] = devices.values[d][positions[d]] != 0.0
    return on


def within(net: Network, on: Bools, output: Complexes) -> bool:
    """Whether the (G) outputs lie in their ranges, and are 0 where a generator is off."""
    p, q = np.clip(output.real, net.p_min, net.p_max), np.clip(output.imag, net.q_min, net.q_max)
    return bool(np.all(np.where(on, p + 1j * q, 0.0) == output))
