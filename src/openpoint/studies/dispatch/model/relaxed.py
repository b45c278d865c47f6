"""The cone program of given branches with the positions of devices within intervals: a lower bound and outputs."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.devices import one_position
from openpoint.formulations.distflow import DistFlow
from openpoint.formulations.flow_ranges import Ranged, bound_by_narrowing
from openpoint.search.dispatch import Threshold
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.model.layout import DecisionLayout
from openpoint.twostage.program import FirstStage, PlainProgram, SecondStage
from openpoint.twostage.recourse.evaluation import Subproblem
from openpoint.twostage.risk import Expectation, Risk
from openpoint.twostage.uncertainty import Certain, Uncertainty


@final
@dataclass(frozen=True)
class RelaxedFlow(SecondStage):
    """A power flow with its positions; `answer`: outputs of generators as in `DistFlow.s_gen`, then the positions.

    `w`: (N) squared voltages.
    """

    answer: cp.Variable
    w: cp.Variable


@final
@dataclass(frozen=True)
class RelaxedPositions(PlainProgram[FirstStage, SecondStage]):
    """A program whose recourse chooses positions, too, between whole ones: a decision says which it may choose.

    Attributes:
        layout: of a decision. model: the power flow at (E) states and one-hot positions.
        by_position: (K) cost of a position. always: cost of generators that are always on.
        uncertainty: the demand. recourse_lower_bound: of all flows. risk: of no use here.
    """

    layout: DecisionLayout
    model: Callable[..., DistFlow]
    by_position: Floats
    always: float
    uncertainty: Certain
    recourse_lower_bound: float
    risk: Risk = field(default_factory=Expectation)

    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        """Any branches, any positions."""
        decision = cp.Variable(self.layout.size, name="allowed")
        return FirstStage(decision, (decision,), [decision >= 0, decision <= 1], cp.Constant(0.0))

    def recourse(
        self,
        decision: cp.Expression,
        realisation: cp.Expression,
        *,
        limits: bool,
        ranges: tuple[Floats, Floats] | None = None,
    ) -> RelaxedFlow:
        """The power flow at positions that the decision allows. `ranges`: of the squared voltages, if known."""
        e, devices = self.layout.branches, self.layout.devices
        chosen = cp.Variable(self.layout.size - e, name="relaxed") if devices.count else cp.Constant(np.zeros(0))
        flow = self.model(decision[:e], chosen, realisation, limits=limits, ranges=ranges)
        constraints, cost, parts = [*flow.constraints], flow.cost + self.always, list[cp.Expression]()
        if flow.s_gen is not None:
            parts.append(cp.vec(flow.s_gen, order="F"))
        if devices.count:
            constraints += [*one_position(devices, chosen), chosen <= decision[e:]]
            cost, parts = cost + self.by_position @ chosen, [*parts, chosen]
        answer = cp.Variable(sum(part.size for part in parts), name="answer")
        constraints += [answer == cp.hstack(parts)] if parts else []
        return RelaxedFlow(constraints, flow.cones, flow.limits, cost, answer=answer, w=flow.w)

    def dispatch(self, recourse: SecondStage) -> cp.Variable | None:
        """Outputs and positions."""
        assert isinstance(recourse, RelaxedFlow)
        return recourse.answer if recourse.answer.size else None

    def first_stage_cost(self, decision: Floats) -> float:
        """0."""
        return 0.0

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> RelaxedPositions:
        """The same under another demand."""
        assert isinstance(uncertainty, Certain)
        return replace(self, uncertainty=uncertainty, risk=risk)


@dataclass(frozen=True)
class Relaxed:
    """A solution of the cone program.

    Attributes:
        lower: no state within the intervals costs less, changes of switches left out; inf where none keeps the limits.
        generation: (G) outputs. fraction: (E + K) the decision that the relaxation would take.
        current: (E) squared current.
    """

    lower: float
    generation: Complexes
    fraction: Floats
    current: Floats


@final
@dataclass(frozen=True)
class ConeBound:
    """Lower bounds of what given branches cost, by the cone program, compiled once.

    Attributes:
        program: with the positions left open. generators: G. scale: unit of the bounds, in units of the program.
        ranges: (N) least and (N) greatest squared voltages of flows that keep the limits. currents: buses with loads of
            constant current.
    """

    program: RelaxedPositions
    generators: int
    scale: float
    ranges: tuple[Floats, Floats]
    currents: Ints

    def __call__(
        self, closed: Bools, lowest: Ints | None = None, highest: Ints | None = None
    ) -> tuple[float, Complexes | None]:
        """Lower bound and (G) outputs, None where nothing keeps the limits; arguments as in `solve`."""
        found = self.solve(closed, lowest, highest)
        return (math.inf, None) if found is None else (found.lower / self.scale, found.generation)

    def at(self, closed: Bools, positions: Ints, most: Threshold | None = None) -> tuple[float, Complexes | None]:
        """As a call, with (D) positions given; `most`: see `openpoint.search.dispatch.Cone`."""
        if most is None or not len(self.currents):
            return self(closed, positions, positions)
        realisation = cp.Constant(self.program.uncertainty.value)

        def model(decision: cp.Variable, ranges: tuple[Floats, Floats]) -> Ranged:
            flow = self.program.recourse(decision, realisation, limits=True, ranges=ranges)
            return Ranged(flow, flow.w)

        allowed = self.program.layout.allowed(closed, positions, positions)
        cost = most.cost * self.scale
        return bound_by_narrowing(model, allowed, self.ranges, self.currents, cost, most.over) / self.scale, None

    def solve(self, closed: Bools, lowest: Ints | None = None, highest: Ints | None = None) -> Relaxed | None:
        """The cone program of branches (E) with positions from `lowest` to `highest`, (D), by default all of them.

        None where nothing keeps the limits. A bound of the cone solver that is not sure is replaced by one that is.
        """
        layout, g = self.program.layout, self.generators
        low = 0 * layout.devices.sizes if lowest is None else lowest
        high = layout.devices.sizes - 1 if highest is None else highest
        found = self._subproblem.respond(layout.allowed(closed, low, high), self.program.uncertainty.value)
        if not found.feasible:
            return None
        answer = np.zeros(2 * g + layout.size - layout.branches) if found.dispatch is None else found.dispatch
        outputs = answer[0 : 2 * g : 2] + 1j * answer[1 : 2 * g : 2]
        current = found.point[0][2] if found.point else np.zeros(layout.branches)
        return Relaxed(found.value, outputs, np.concatenate([closed, answer[2 * g :]]), current)

    @cached_property
    def _subproblem(self) -> Subproblem:
        return Subproblem(self.program, self.program.layout.size)
