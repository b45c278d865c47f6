"""The mathematical model of dispatch: branches, positions of devices and outputs of generators at the least cost.

min  change · changes(x) + move · moved(z) + idle(z) + cost of the flow
s.t. x radial, locked branches kept, at most N changes;  one position for every device;
     DistFlow at x and z;  limits of voltages, currents, sources and generators

The first stage chooses branches x and positions z, all whole numbers; the recourse is a cone program, whose exact duals
are the slopes of its cost in both (generalised Benders decomposition, Geoffrion 1972). A decision is worth what the
exact power flow says at the outputs that the cone program proposes.

Primal heuristics of dispatch: states to start from, and near a fractional decision.

A tree is given the outputs and positions of its cone program, rounded; from there branches are exchanged and devices
moved, one at a time, while the exact power flow gains by it. Trees to start from are today's, and the one that the flow
with all branches closed favours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations import distflow as valid
from openpoint.formulations.devices import (
    DeviceChoice,
    highest_ratios,
    highest_voltages,
    lowest_sources,
    one_position,
    units_on,
)
from openpoint.formulations.distflow import DistFlow, distflow, voltage_bounds
from openpoint.formulations.radiality import Choices, heaviest_tree
from openpoint.formulations.schedule import with_criterion_bound, with_operating_cost, with_supply_limits
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.powerflow.operating_point import CriterionBound
from openpoint.search.exchange.pairs import exchanges
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.model.evaluation import DecisionCost, StateEvaluator
from openpoint.studies.dispatch.model.layout import DecisionLayout
from openpoint.studies.dispatch.model.relaxed import ConeBound, RelaxedPositions
from openpoint.studies.reconfigure.model import RadialProgram, as_demand, as_realisation
from openpoint.twostage.program import ExactEvaluation, FirstStage, PlainProgram
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Certain, Uncertainty
from openpoint.twostage.workers.pool import never

ROUNDS = 3
"""How often a tree is given new outputs by its cone program."""
STEPS_MOST = 200
"""Steps of one descent, at most."""
NOISE = 0.3
"""Most that is added to an entry of a fractional decision before it is rounded again."""


@final
@dataclass
class StateHeuristics:
    """Operating states worth trying.

    Attributes:
        choices: which branches are left to decide. layout: of a decision. evaluator: of states.
        cone: the cone program of given branches.
    """

    choices: Choices
    layout: DecisionLayout
    evaluator: StateEvaluator
    cone: ConeBound
    _starts: list[Floats] = field(default_factory=list, init=False)
    _best: tuple[Bools, Ints, Complexes] | None = field(default=None, init=False)

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """Today's state, and the ends of descents; the best comes last. Found once, and kept."""
        if not self._starts:
            self._starts.extend(self._descents(stop))
        return self._starts

    def rounded(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterator[Floats]:
        """Half of them trees and positions drawn near the fractional decision, half the best around the best start."""
        rng, seen = np.random.default_rng(0), set[bytes]()
        for state in self._drawn(decision, max(1, count // 2), rng):
            if len(seen) < count and state.tobytes() not in seen:
                seen.add(state.tobytes())
                yield state
        for state in [] if stop() else self._around_best():
            if len(seen) >= count:
                return
            if state.tobytes() not in seen:
                seen.add(state.tobytes())
                yield state

    def _drawn(self, decision: Floats, count: int, rng: np.random.Generator) -> Iterator[Floats]:
        """Trees of the shaken decision; positions nearest to its mean, then drawn with its entries as chances."""
        e, layout = self.layout.branches, self.layout
        nearest = layout.nearest(decision)
        for k in range(count):
            noise = NOISE * rng.random(e) * (k > 0)
            positions = nearest if k % 2 == 0 else layout.drawn(decision, rng)
            for closed in self._trees(decision[:e] + noise):
                yield layout.decision(closed, positions)

    def _around_best(self) -> Iterator[Floats]:
        """Neighbours of the best start, by rising objective."""
        if self._best is None:
            return
        closed, positions = self._near(*self._best[:2])
        value = self.evaluator.objectives(closed, positions, self._best[2])
        for k in np.argsort(value, kind="stable"):
            if np.isfinite(value[k]):
                yield self.layout.decision(closed[k], positions[k])

    def _descents(self, stop: Callable[[], bool]) -> list[Floats]:
        net, devices = self.evaluator.decision_cost.network, self.layout.devices
        trees = self._trees(net.closed.astype(float))
        starts = [self.layout.decision(closed, devices.today) for closed in trees]
        meshed = None if stop() else self.cone.solve(np.nan_to_num(self.choices.state, nan=1.0) > 0.5)
        weight = -np.abs(net.z.diagonal()) if meshed is None else meshed.current
        ends: list[tuple[float, Bools, Ints, Complexes]] = []
        for tree in trees + self._trees(weight):
            if stop():
                break
            ends.append(self._end(tree, stop))
        ends.sort(key=lambda end: -end[0])
        if ends and np.isfinite(ends[-1][0]):
            self._best = ends[-1][1:]
        return starts + [self.layout.decision(closed, positions) for _, closed, positions, _ in ends]

    def _end(self, closed: Bools, stop: Callable[[], bool]) -> tuple[float, Bools, Ints, Complexes]:
        """Objective and state where a tree leads to."""
        today = self.evaluator.within(self.evaluator.decision_cost.network.generator_s)
        best: tuple[float, Bools, Ints, Complexes] | None = None
        for _ in range(ROUNDS):
            positions, output = self._proposed(closed, today)
            value, closed, positions = self.descend(closed, positions, output, stop)
            again = best is not None and np.array_equal(closed, best[1])
            if best is None or value < best[0]:
                best = value, closed, positions, output
            if again or stop():
                break
        assert best is not None
        return best

    def _proposed(self, closed: Bools, today: Complexes) -> tuple[Ints, Complexes]:
        """Positions and outputs that the cone program proposes for a tree; today's where it has none."""
        devices = self.layout.devices
        free = self.cone.solve(closed)
        if free is None:
            return devices.today, today
        positions = self.layout.nearest(free.fraction)
        if not len(today):
            return positions, today
        held = self.cone.solve(closed, positions, positions)
        return positions, self.evaluator.within((held or free).generation)

    def descend(
        self, closed: Bools, positions: Ints, output: Complexes, stop: Callable[[], bool]
    ) -> tuple[float, Bools, Ints]:
        """Take the best exchange or move while it gains: first of violation, then of the objective.

        Args:
            closed, positions: (E) and (D), the state to start from. output: (G), not changed.
            stop: called before every step.

        Returns:
            Objective and state.
        """
        for price, enough in ((self.evaluator.violations, 0.0), (self.evaluator.objectives, -np.inf)):
            value = float(price(closed[None, :], positions[None, :], output)[0])
            for _ in range(STEPS_MOST):
                if value <= enough or stop():
                    break
                near = self._near(closed, positions)
                prices = price(*near, output)
                if not len(prices) or not prices.min() < value * (1.0 - np.sign(value) * 1e-9):
                    break
                best = int(np.argmin(prices))
                value, closed, positions = float(prices[best]), near[0][best], near[1][best]
        return value, closed, positions

    def _near(self, closed: Bools, positions: Ints) -> tuple[Bools, Ints]:
        """(C, E) and (C, D) states that are one exchange of branches or one device apart."""
        trees = exchanges(self.choices, closed)
        trees = trees[self.evaluator.switching.allowed(trees)]
        sizes = self.layout.devices.sizes
        device = np.repeat(np.arange(len(sizes)), sizes)
        to = np.concatenate([np.empty(0, dtype=np.int64), *(np.arange(size) for size in sizes)])
        device, to = device[to != positions[device]], to[to != positions[device]]
        moved = np.repeat(positions[None, :], len(device), axis=0)
        moved[np.arange(len(device)), device] = to
        same, held = (
            np.repeat(closed[None, :], len(device), axis=0),
            np.repeat(positions[None, :], len(trees), axis=0),
        )
        return np.concatenate([trees, same]), np.concatenate([held, moved])

    def _trees(self, weight: Floats) -> list[Bools]:
        """The heaviest tree that keeps the locks and the number of changes, if it does."""
        tree = heaviest_tree(self.choices, weight) > 0.5
        return [tree] if self.evaluator.switching.allowed(tree) else []


@final
@dataclass(frozen=True)
class StateChoice(FirstStage):
    """The first stage, with the arcs of the free branches (F); None where nothing is free."""

    arcs: tuple[cp.Variable, cp.Variable] | None


@final
@dataclass(frozen=True)
class DispatchProgram(PlainProgram[StateChoice, "DistFlow"]):
    """Dispatch as a two-stage program: the decision is [closed, positions one-hot], the recourse is the power flow.

    All costs are in units of the cost times `s_base_kva`: kW where the cost is the loss.

    Attributes:
        network: the grid with the limits to keep, its devices at today's positions.
        devices: what may be set. cost: what is minimised. supply: limits of sources and generators.
        rules: the locks, and the most branches whose state may differ from today's.
        criterion_bounds: the most that other costs may be. demand: that of the network. risk: of no use here.
    """

    network: Network
    devices: Devices
    cost: OperatingCost
    supply: SupplyLimits
    rules: SwitchingRules
    criterion_bounds: tuple[CriterionBound, ...] = ()
    demand: Certain | None = None
    risk: Risk = field(default_factory=Expectation)

    integer_recourse = False
    distance_min = 2

    @cached_property
    def uncertainty(self) -> Certain:
        """The demand: a realisation is the (2N) active and reactive constant power per unit."""
        return self.demand or Certain(as_realisation(self.network.s_power))

    @cached_property
    def layout(self) -> DecisionLayout:
        """Where branches and positions stand in a decision."""
        return DecisionLayout(self.network.n_conductors, self.devices)

    @cached_property
    def radial(self) -> RadialProgram:
        """The choice of branches alone, with the devices where voltages are highest."""
        rules = replace(self.rules, change_cost=self.cost.change)
        return RadialProgram(highest_voltages(self.network, self.devices), rules)

    @cached_property
    def decision_cost(self) -> DecisionCost:
        """What decisions cost whatever flows."""
        return DecisionCost(self.network, self.devices, self.cost)

    @cached_property
    def evaluator(self) -> StateEvaluator:
        """Exact evaluation of operating states."""
        return StateEvaluator(self.decision_cost, self.supply, self.radial.switching, self.criterion_bounds)

    @cached_property
    def cone(self) -> ConeBound:
        """The cone program of given branches, its bounds per unit."""
        relaxed = RelaxedPositions(
            self.layout,
            self.flow,
            self.decision_cost.by_position,
            self.decision_cost.always,
            self.uncertainty,
            self.recourse_lower_bound + min(self.decision_cost.always, 0.0),
        )
        net = self.network
        ranges, currents = self.voltage_bounds(limits=True), np.flatnonzero(net.s_current)
        inner = np.setdiff1d(currents, net.source_terminal)
        return ConeBound(relaxed, len(net.generator_names), net.s_base_kva, ranges, inner)

    @cached_property
    def heuristics(self) -> StateHeuristics:
        """Operating states worth trying."""
        return StateHeuristics(self.radial.choices, self.layout, self.evaluator, self.cone)

    @cached_property
    def recourse_lower_bound(self) -> float:
        """What no flow costs less than: losses cost nothing, generators what is cheapest, sources take all feed-in.

        Raises:
            OptionError: a source is paid for what it delivers, and nothing limits that.
        """
        net, cost = self.network, self.cost
        _, w_upper = self.voltage_bounds(limits=False)
        feed = np.maximum(-net.s_power.real, 0.0) + np.maximum(-net.s_impedance.real, 0.0) * w_upper
        feed += np.maximum(-net.s_current.real, 0.0) * (1.0 + w_upper) / 2.0
        back = float(feed.sum() + np.maximum(net.p_max, 0.0).sum())
        ends = np.array([cost.generator * net.p_min, cost.generator * net.p_max, np.zeros(len(net.p_min))])
        paid = np.flatnonzero(cost.source < 0.0)
        most = np.minimum(self.supply.p_max, self.supply.s_max)[paid]
        if not np.isfinite(most).all():
            raise OptionError("a source with a price below 0 needs an upper limit of its active or apparent power")
        least = float(ends.min(axis=0).sum() + np.minimum(cost.source[paid] * most, 0.0).sum())
        return net.s_base_kva * (least - float(np.maximum(cost.source, 0.0).max(initial=0.0)) * back)

    def voltage_bounds(self, *, limits: bool) -> tuple[Floats, Floats]:
        """(N) lower and (N) upper bounds of the squared voltage over all positions; see `distflow.voltage_bounds`."""
        lower, upper = voltage_bounds(self.radial.network, limits=limits)
        lower[self.network.source_terminal] = lowest_sources(self.network, self.devices) ** 2
        return lower, upper

    # The model

    def first_stage(self, *, with_recourse: bool) -> StateChoice:
        """Radial choices, one position for every device, number and cost of changes, moves, generators that are on."""
        tree = self.radial.first_stage(with_recourse=with_recourse)
        e, count = self.layout.branches, self.layout.size
        arcs = None if tree.arc_fr is None or tree.arc_to is None else (tree.arc_fr, tree.arc_to)
        decision = cp.Variable(count, name="decision")
        constraints = [*tree.constraints, decision[:e] == tree.decision]
        cost, integers = tree.cost + self.decision_cost.always, tree.integers
        if self.devices.count:
            chosen = cp.Variable(count - e, name="chosen")
            constraints += [decision[e:] == chosen, *one_position(self.devices, chosen)]
            cost, integers = cost + self.decision_cost.by_position @ chosen, (*integers, chosen)
        return StateChoice(decision, integers, constraints, cost, arcs)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> DistFlow:
        """The power flow at a decision in a future."""
        e = self.layout.branches
        return self.flow(decision[:e], decision[e:], realisation, limits=limits)

    def flow(
        self,
        closed: cp.Expression,
        chosen: cp.Expression,
        realisation: cp.Expression,
        *,
        limits: bool,
        ranges: tuple[Floats, Floats] | None = None,
    ) -> DistFlow:
        """The power flow of one period at (E) states of branches and one-hot positions, with its limits and cost.

        `ranges`: of the squared voltages, in the place of `voltage_bounds`.
        """
        lower, upper = ranges or self.voltage_bounds(limits=limits)
        choice = DeviceChoice(self.devices, chosen, lower) if self.devices.count else None
        on = units_on(self.network, choice)
        net = self.network
        flow = distflow(net, closed, upper, realisation, choice, lower)
        flow = with_supply_limits(flow, self.supply, on)
        for each in self.criterion_bounds:
            decided = DecisionCost(net, self.devices, each.cost).expression(closed, chosen) / net.s_base_kva
            flow = with_criterion_bound(net, flow, each.cost, on, (each.name, each.most - decided, each.scale))
        return with_operating_cost(net, flow, self.cost, on)

    def valid_inequalities(
        self, first: StateChoice, recourse: DistFlow, realisation: Floats, *, most: float, limits: bool
    ) -> Sequence[cp.Constraint]:
        """Bounds of flow and current by state, and where buses only consume, flow from parent to child."""
        net = replace(self.radial.network, s_power=as_demand(realisation))
        closed, flow = first.decision[: self.layout.branches], recourse
        loss = min(valid.loss_most(net), self._loss_within(most))
        p_most, q_most = valid.flow_most(net, loss)
        lower = self.voltage_bounds(limits=limits)[0]
        constraints = [
            *valid.voltage_if_closed(highest_ratios(net, self.devices), flow, closed, lower),
            *valid.current_if_closed(net, flow, closed, loss, limits=limits, devices=self.devices),
        ]
        for consumes, carried, impedance, load, bound in (
            (self.radial.consumes_p, flow.p, net.r, net.s_power.real, p_most),
            (self.radial.consumes_q, flow.q, net.x, net.s_power.imag, q_most),
        ):
            if not consumes:
                constraints += valid.flow_if_closed(carried, closed, bound)
            elif first.arcs is not None:
                ways = self.radial.choices, first.arcs
                constraints += valid.flow_from_parent(net, *ways, carried, flow.l, impedance, load, bound)
        return constraints

    def _loss_within(self, most: float) -> float:
        """The most loss (pu) of a flow that costs at most `most`; inf where loss has no price."""
        if not self.cost.loss > 0.0:
            return np.inf
        return (most - self.recourse_lower_bound) / (self.cost.loss * self.network.s_base_kva)

    # What the methods ask for besides

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> DispatchProgram:
        """The same grid under another demand."""
        assert isinstance(uncertainty, Certain)
        network = replace(self.network, s_power=as_demand(uncertainty.values[0]))
        return replace(self, network=network, demand=uncertainty, risk=risk)

    def first_stage_cost(self, decision: Floats) -> float:
        """Cost of changes, moves, and generators that are on."""
        closed, positions = self.layout.closed(decision), self.layout.positions(decision)
        return float(self.decision_cost.of(closed[None, :], positions[None, :])[0])

    def warm_starts(self, stop: Callable[[], bool] = never) -> Sequence[Floats]:
        """See `StateHeuristics`."""
        return self.heuristics.warm_starts(stop)

    def rounding_heuristic(self, decision: Floats, count: int, stop: Callable[[], bool] = never) -> Iterable[Floats]:
        """See `StateHeuristics`."""
        return self.heuristics.rounded(decision, count, stop)

    def evaluate(self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """Exact power flow at its dispatch."""
        return self.evaluator.evaluate(self.layout.closed(decision), self.layout.positions(decision), dispatch)

    def dispatch(self, recourse: DistFlow) -> cp.Variable | None:
        """Outputs of the dispatchable generators."""
        return recourse.s_gen
