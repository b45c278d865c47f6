"""The question of dispatch as numbers: what may move, what is sought, what is kept, and the exact evaluation of it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np

from openpoint.arrays import Bools, Complexes, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.criteria import weighted
from openpoint.network.devices import Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.network.stations import Stations
from openpoint.powerflow.operating_point import CriterionBound, OperatingPointEvaluator
from openpoint.search.deviation import DropTrees
from openpoint.search.enumeration import OperatingState, best_operating_state, count_positions, count_topologies
from openpoint.search.kernel.arrays import Model
from openpoint.search.methods import Log, TopologySearch
from openpoint.search.model.build import Numbering, build_model
from openpoint.search.model.objective import free_devices, objective_of
from openpoint.search.topology import search_topologies
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Progress, Termination, relative_gap
from openpoint.verify.asked import Asked

DROPS_GAP = 5e-3
"""Relative gap to which drops without losses are minimised; those with losses are a few per cent higher."""
WITHOUT_LOSSES = (
    "the bound of the deviation has drops of voltage without losses, which those of AC exceed by some per cent"
)


@dataclass(frozen=True)
class Question:
    """The question put to a balanced grid.

    Attributes:
        stations: the network with the limits to keep, the devices at today's positions, and its permanently closed
            loops.
        devices: those that are free. supply: limits of sources and generators.
        costs: the operating cost that each criterion is. weights: of those that are minimised, above 0.
        most: the most that a criterion may be, but for changes.
        rules: the locks, and the most switches whose state may change; what a change costs is in the costs.
        free: what is free, of `openpoint.network.freedom.FREE`. asked: the question in words.
    """

    stations: Stations
    devices: Devices
    supply: SupplyLimits
    costs: Mapping[str, OperatingCost]
    weights: Mapping[str, float]
    most: Mapping[str, float]
    rules: SwitchingRules
    free: tuple[str, ...]
    asked: Asked | None = None

    @property
    def network(self) -> Network:
        """The network in which permanently closed loops are opened; it has the voltages, the losses and the limits of
        the grid."""
        return self.stations.opened

    @cached_property
    def cost(self) -> OperatingCost:
        """The weighted sum that is minimised; times `s_base_kva` it is in the units of the criteria."""
        return weighted(self.costs, self.weights)

    @cached_property
    def program(self) -> DispatchProgram:
        """The mathematical model."""
        return DispatchProgram(
            self.network,
            self.devices,
            self.cost,
            self.supply,
            self.rules,
            criterion_bounds=self.criterion_bounds,
        )

    @property
    def criterion_bounds(self) -> tuple[CriterionBound, ...]:
        """The bounded criteria."""
        s = self.network.s_base_kva
        return tuple(CriterionBound(name, self.costs[name], most / s) for name, most in self.most.items())

    @property
    def dispatches(self) -> bool:
        """Whether the output of any generator may be chosen within a range."""
        net = self.network
        return bool(np.any((net.p_min < net.p_max) | (net.q_min < net.q_max)))

    @cached_property
    def evaluator(self) -> OperatingPointEvaluator:
        """Objective and violation of states, bounded criteria included."""
        return OperatingPointEvaluator(self.network, self.devices, self.cost, self.supply, self.criterion_bounds)

    @property
    def today(self) -> OperatingState:
        """Today's state."""
        net = self.network
        return self.state(net.closed, self.devices.today, net.generator_s)

    def state(self, closed: Bools, positions: Ints, generation: Complexes) -> OperatingState:
        """A state with its value, per unit, and its violation; both are inf where it has no power flow.

        What is off feeds nothing, whatever output it is given.
        """
        generation = np.where(self.evaluator.on(positions[None, :])[0], generation, 0.0)
        value, violation = self.evaluator.evaluate(closed, positions, generation)
        return OperatingState(closed, positions, generation, float(value[0]), float(violation[0]))

    def searched(self, search: TopologySearch, progress: Progress | None, deadline: Deadline) -> Found:
        """What topology search finds.

        Raises:
            OptionError: something that its bound has no closed form for, or bounded criteria.
        """
        if why := self.unsearchable():
            raise OptionError(f"topology search cannot take this: {why}")
        log = Log(self.network.s_base_kva, progress)
        if self.drops is not None:
            if search.certificate is not None or search.checkpoint is not None:
                raise OptionError("a search for the deviation of voltages leaves neither certificate nor checkpoint")
            return self._by_drops(self.drops, search.least_gap, log, deadline)
        found = search_topologies(
            self.network,
            self.rules,
            gap=search.gap,
            deadline=deadline,
            progress=log.on_progress,
            certificate=search.certificate,
            checkpoint=search.checkpoint,
            memory=1e6 * search.memory_mb,
            executor=search.executor,
            cone=self.program.cone.at if self.dispatches else None,
            devices=self.devices,
            cost=self.cost,
            supply=self.supply,
            built=self.search_model,
            asked=self.asked,
        )
        shown, best = found.least_violation if found.closed is None else found.closed, None
        if shown is not None:
            positions = self.devices.today if found.positions is None else found.positions
            output = self.network.generator_s if found.generation is None else found.generation
            best = self.state(shown, positions, output)
        end = self.found(found.termination, best, found.lower_bound * self.network.s_base_kva, (), found.seconds)
        log.end(found, end.lower_bound, end.upper_bound)
        return replace(end, log=tuple(log.lines), notes=found.notes)

    def unsearchable(self) -> str:
        """Why topology search cannot take the question; empty where it can."""
        if self.most:
            return f"its bound is that of one sum, and {' and '.join(self.most)} may not exceed a figure"
        if self.drops is not None:
            return ""
        try:
            self.search_model  # noqa: B018 the arrays are kept for the search
        except OptionError as error:
            return str(error)
        return ""

    @cached_property
    def drops(self) -> DropTrees | None:
        """The trees by their drops, where nothing but the deviation of voltages of buses that only consume is sought;
        None elsewhere."""
        net, radial = self.network, self.program.radial
        alone = set(self.weights) == {"deviation"} and not self.devices.count and not self.stations.dropped.any()
        plain = np.all(net.tap == 1.0) and np.all(net.r >= 0.0) and np.all(net.x >= 0.0)
        if not (alone and plain and radial.consumes_p and radial.consumes_q):
            return None
        return DropTrees(net, self.rules)

    def _by_drops(self, trees: DropTrees, gap: float, log: Log, deadline: Deadline) -> Found:
        """The least deviation by the bound of drops: its trees and those of a descent, each by exact power flow."""
        net, best, lower, began = self.network, None, -math.inf, deadline.passed()
        price = 0.5 * self.cost.deviation * net.s_base_kva
        most = float(np.abs(net.source_v).max()) ** 2
        starts = [self.program.layout.closed(each) for each in self.program.warm_starts(deadline.over)]
        for bound, closed in chain(((-math.inf, each) for each in starts), trees.solve(DROPS_GAP, deadline)):
            lower = max(lower, price * (len(net.inner) * (1.0 - most) + bound))
            state = self.state(closed, self.devices.today, net.generator_s)
            changes = int((closed != net.closed).sum())
            if self.rules.max_changes is None or changes <= self.rules.max_changes:
                best = state if best is None else min(best, state, key=lambda each: (each.violation, each.value))
            found = self.found(Termination.GAP, best, lower, (), deadline.passed() - began)
            log.step(found.seconds, found.lower_bound, found.upper_bound)
            if found.gap <= gap:
                return replace(found, log=tuple(log.lines))
        end = deadline.why if deadline.over() else Termination.RELAXATION
        found = self.found(end, best, lower, (), deadline.passed() - began)
        return replace(found, log=tuple(log.lines), notes=(WITHOUT_LOSSES,))

    @cached_property
    def search_model(self) -> tuple[Model, Numbering]:
        """The arrays of topology search.

        Raises:
            OptionError: something that its bound is not valid for.
        """
        return build_model(
            self.network,
            replace(self.rules, change_cost=self.cost.change),
            devices=self.devices.only(free_devices(self.network, self.devices, self.rules.must_open, self.supply)),
            objective=objective_of(self.network, self.cost, self.supply),
        )

    def enumerated(self, most: int, progress: Progress | None, deadline: Deadline) -> Found:
        """The best of all states.

        Raises:
            OptionError: more states than `most`, or output of generators to be chosen within a range.
        """
        if self.dispatches:
            raise OptionError(
                "Enumeration cannot choose the output of generators within a range; use another method, or leave "
                "generators out of what is free"
            )
        began = deadline.passed()
        end = best_operating_state(self.evaluator, self.rules, limit=most, stop=deadline.over)
        why = Termination.OPTIMAL if end.complete else deadline.why
        found = self.found(why, end.best, math.inf if end.complete else -math.inf, (), deadline.passed() - began)
        if end.complete and found.best is None:
            found = replace(found, termination=Termination.INFEASIBLE)
        text = f"{end.states:,} states" + ("" if end.complete else f" of {self.states:,}")
        last = Iteration(1, found.seconds, found.lower_bound, found.upper_bound, found.upper_bound, text)
        if progress is not None:
            progress(last)
        return replace(found, log=(last,))

    @property
    def states(self) -> int:
        """Number of radial topologies times number of positions of all devices."""
        return count_topologies(self.network, self.rules) * count_positions(self.devices)

    def found(
        self, why: Termination, state: OperatingState | None, lower: float, log: tuple[Iteration, ...], seconds: float
    ) -> Found:
        """The end of a run that leaves a state, whose bound is `lower` in the units of the criteria."""
        kept = state is not None and state.violation == 0.0
        value = state.value * self.network.s_base_kva if state is not None and kept else math.inf
        best, least = (state, None) if kept else (None, state)
        return Found(why, best, least, min(lower, value), value, log, seconds)

    def figures(self, state: OperatingState) -> dict[str, float]:
        """Every criterion of a state in its unit, counts as whole numbers; inf where it has no power flow."""
        parts, s = (state.closed, state.positions, state.generation), self.network.s_base_kva
        found = {name: float(self.criterion(name).evaluate(*parts)[0][0]) * s for name in self.costs}
        return {name: round(value, 6) if name in ("changes", "moves") else value for name, value in found.items()}

    def criterion(self, name: str) -> OperatingPointEvaluator:
        """The exact evaluation of a criterion."""
        return OperatingPointEvaluator(self.network, self.devices, self.costs[name], self.supply)


# What a method found, in the units of the criteria.


@dataclass(frozen=True)
class Found:
    """The end of a run.

    Attributes:
        termination: why it stopped.
        best: best state that keeps the limits; None if there is none. least: state of the least violation found, where
            none keeps them.
        lower_bound, upper_bound: of the weighted sum of the criteria, proven and verified by exact AC power flow.
        log: the iterations. seconds: of the method alone. notes: what the bound rests on beside the method.
    """

    termination: Termination
    best: OperatingState | None
    least: OperatingState | None
    lower_bound: float
    upper_bound: float
    log: tuple[Iteration, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)

    @property
    def shown(self) -> OperatingState | None:
        """The state that is shown: the answer, or that of least violation."""
        return self.best or self.least
