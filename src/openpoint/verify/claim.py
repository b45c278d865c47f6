"""The head of a certificate: limits, locks, prices, futures of a grid, and the best state, which is checked.

A radial state is evaluated by its power flow, a sweep in floating point; under many futures in each of them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.network import Network
from openpoint.network.devices import Devices, with_positions
from openpoint.network.stations import open_held_meshes
from openpoint.verify.caps import floors
from openpoint.verify.data import NOTHING as NO_DEVICES
from openpoint.verify.data import Data, read
from openpoint.verify.devices import Places, running, within, without
from openpoint.verify.flow import flow
from openpoint.verify.futures import Bounded, futures_of, of_least_demands, voltages_in_all
from openpoint.verify.graph import Graph
from openpoint.verify.head import Head
from openpoint.verify.objective import Objective, objective_of
from openpoint.verify.ranges import greatest_voltages
from openpoint.verify.steps import Steps
from openpoint.verify.subject import as_meant, with_locks
from openpoint.verify.verified import CertificateError, Verified
from openpoint.verify.wires import CLOSED, OPEN
from openpoint.verify.words import futures_in_words, limits_in_words, prices_in_words, supply_in_words
from openpoint.verify.year import Ranges, year_of

EXACT = 1e-8
"""Relative tolerance of the loss and limits of a radial state by a power flow in floating point."""
NOTHING = 1e-12
"""A loss per unit below which gaps are relative to this."""


@dataclass(frozen=True)
class Asked:
    """What is given to a reader beside the grid: prices and limits of supply; (K, N) demands and (K) probabilities; the
    steps of a year."""

    objective: Objective | None = None
    futures: tuple[Complexes, Floats] | None = None
    steps: Steps | None = None


class _Worth(NamedTuple):
    """What a radial state is worth, inf without a power flow solution, its loss, and whether it keeps the limits."""

    value: float
    loss: float
    kept: bool


class Claim:
    """The head of a certificate, with the grid that it is of.

    With C branches closed today of which n must be, one for each bus without source, k closings are C − n + 2 k
    changes, C − n of them `unavoidable`.
    """

    def __init__(self, net: Network, devices: Devices, head: Head, asked: Asked) -> None:
        stations = open_held_meshes(with_locks(net, head))
        net, self.dropped = stations.opened, stations.dropped
        if not net.is_balanced:
            raise CertificateError("certificates do not cover several phases, which this grid has")
        self.declared = head.lines
        net, free, self.held = as_meant(net, devices, head.devices, head.digest)
        self.net, self.objective, self.asked = net, objective_of(head, net), asked
        self.futures, self.year = futures_of(head), year_of(head, asked.steps)
        self.every: Bounded | None = self.futures or self.year
        if self.every is not None and not (
            self.objective.by_loss and not head.devices and not len(net.generator_names)
        ):
            raise CertificateError("many futures are for losses, without devices or generators to choose")
        if self.year is not None and (self.futures is not None or self.objective.supply_given):
            raise CertificateError("a year is for losses, without other futures, and without limits of supply")
        self.devices, self.places, self.others = free, Places(net, free, self.objective), without(devices, free)
        self.source = {int(t): complex(v) for t, v in zip(net.source_terminal, net.source_v, strict=True)}
        self.value, self.bound, self.gap = head.value, head.bound, head.gap
        if not (self.bound <= self.value < math.inf and self.relative_gap <= self.gap * (1 + 1e-9)):
            raise CertificateError(f"value {self.value} and bound {self.bound} are not within the gap {self.gap}")
        self.w_min, self.w_max = head.least_squared_voltage.tolist(), head.greatest_squared_voltage.tolist()
        self.l_max = head.greatest_squared_current.tolist()
        self.price, self.most = head.change_cost, head.max_changes
        self.lost = self._known_loss(head.voltage_loss)
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
        fixed_open = np.flatnonzero(~net.switchable & ~net.closed).tolist()
        self.locked = list(dict.fromkeys([*head.locked_open, *fixed_open])), head.locked_closed
        self.junctions, self.base = head.junctions, head.base
        self._read_best(head)

    def _known_loss(self, lost: float | None) -> float | None:
        """The loss by which voltages are bounded from below; None where they are not."""
        plain = self.objective.by_loss and not self.devices.count
        plain = plain and self.every is None  # of many the loss of one is not known
        if lost is not None and not (plain and self.value <= lost < math.inf):
            raise CertificateError("the loss by which voltages are bounded is none of a state like the best one")
        return lost

    def _read_best(self, head: Head) -> None:
        """The best state, whose value is that of the file."""
        net, free = self.net, self.devices
        self.best = [CLOSED] * net.n_conductors
        for branch in head.open:
            self.best[branch] = OPEN
        fixed = [(e, int(net.closed[e])) for e in np.flatnonzero(~net.switchable).tolist()]
        if any(self.best[e] != s for e, s in [*fixed, *((e, s) for s in (OPEN, CLOSED) for e in self.locked[s])]):
            raise CertificateError("the best state does not keep the locks")
        self.positions = head.positions
        if any(k >= size for k, size in zip(self.positions, free.sizes.tolist(), strict=True)):
            raise CertificateError(f"the devices {', '.join(free.names)} have no positions {self.positions}")
        self.generation = head.generation
        if not within(net, running(net, free, self.positions), self.generation):
            raise CertificateError("an output is not within its range")
        self.changes = int(np.sum(np.array(self.best) != net.closed))
        if self.most is not None and self.changes > self.most:
            raise CertificateError(f"the best state has {self.changes} changes")
        found = self.worth(self.best, self.positions, self.generation)
        if not (found.kept and abs(found.value - self.value) <= EXACT * self.size):
            raise CertificateError(
                f"the best state loses {found.value} per unit and not {self.value}, or misses the limits"
            )
        self.loss = found.loss

    @property
    def relative_gap(self) -> float:
        """Between value and bound, relative to the value."""
        return (self.value - self.bound) / max(abs(self.value), NOTHING)

    @property
    def size(self) -> float:
        """What tolerances of values are relative to; regret is a small difference of losses."""
        reference = () if self.every is None else (0.01 * abs(loss) for loss in self.every.reference)
        return max(abs(self.value), NOTHING, *reference)

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
        data = read(self.net, l_max, Fraction(self.price), self.devices, self.objective)
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
            return _Worth(loss + cost, loss, kept)
        if self.futures is None:
            found = self._in_one(placed, order, positions, generation, beyond)
            return found._replace(value=found.value + cost)
        futures = [self.futures.at(placed, k) for k in range(self.futures.count)]
        every = [self._in_one(future, order, positions, generation, beyond) for future in futures]
        losses = [found.loss for found in every]
        if not all(map(math.isfinite, losses)):
            return _Worth(math.inf, math.inf, False)
        value = self.futures.worth(losses)
        return _Worth(value + cost, value, self.futures.enough([found.kept for found in every]))

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
        loss, w, l, delivered = flow(placed, order, generation)
        if math.isinf(loss):
            return _Worth(loss, loss, False)
        on, moved = running(net, self.devices, positions), sum(a != b for a, b in zip(positions, self.places.today))
        source = np.array([delivered[bus] for bus in self.places.sources])
        fed = np.where(on, generation, 0.0)
        kept = all(
            self.w_min[bus] * (1 - beyond) <= square <= self.w_max[bus] * (1 + beyond)
            for bus, square in w.items()
            if bus not in self.source
        ) and all(square <= self.l_max[e] * (1 + beyond) for e, square in l.items())
        kept = kept and self.objective.keeps(source, fed, beyond, EXACT)
        cost = self.objective.of_state(loss, source, fed, on, l, moved)
        return _Worth(cost, loss, kept)

    def _opened(self) -> tuple[str, ...]:
        """Names of the branches that are open in the best state."""
        rows = zip(self.net.branch_names, self.best, self.dropped.tolist(), strict=True)
        return tuple(name for name, state, stays in rows if state == OPEN and not stays)

    def proven(self, nodes: int, bounds: int, judged: int, by_paths: int) -> Verified:
        """What is proven, after a tree of so many nodes."""
        net, plain = self.net, self.objective.by_loss
        limits = limits_in_words(net, set(self.source), self.w_min, self.w_max, self.l_max)
        if self.futures is not None and not self.futures.limited:
            limits = [f"{' and '.join(limits)} in at least {self.futures.share:.4g} of the futures"]
        elif self.year is not None:
            limits = [f"{' and '.join(limits)} in every step"]
        if self.objective.supply_given or (self.asked.objective is not None and self.asked.objective.supply_given):
            limits.append(supply_in_words(self.objective, self.asked.objective))
        limits += [self.held] if self.held else []
        limits += ["outputs within their ranges"] if self.ranged.any() else []
        limits += ["lines open at the ends that the grid names"] if net.hangs.any() else []
        limits += [] if self.most is None else [f"at most {self.most} changes"]
        given = [tuple(net.branch_names[e] for e in self.locked[s] if net.switchable[e]) for s in (OPEN, CLOSED)]
        return Verified(
            loss_kw=(self.value - self.price * self.changes if plain else self.loss) * net.s_base_kva,
            value_kw=self.value * net.s_base_kva,
            bound_kw=self.bound * net.s_base_kva,
            gap=self.relative_gap,
            open_branches=self._opened(),
            changes=self.changes,
            nodes=nodes,
            bounds=bounds,
            judged=judged,
            by_paths=by_paths,
            given=(given[OPEN], given[CLOSED]),
            held=self.others,
            change_cost_kw=self.price * net.s_base_kva,
            positions=tuple(zip(self.devices.names, (self.devices.first + self.positions).tolist(), strict=True)),
            limits=", ".join(limits) + ("," if len(limits) > 1 else ""),
            prices="" if plain else prices_in_words(self.objective, self.asked.objective, net.s_base_kva),
            measure=self._measure(),
            steps=0 if self.year is None else len(self.year.label),
            hours=0.0 if self.year is None else float(self.year.steps.hours.sum()),
        )

    def _measure(self) -> str:
        """What of the losses counts, in words; empty for one demand."""
        if self.year is not None:
            return f"mean over the {len(self.year.label):,} steps of the year, in {self.year.count:,} groups"
        return "" if self.futures is None else futures_in_words(self.futures, self.asked.futures)
