"""The mathematical model of partitioning: which switches close and which generators form the grid, robust to the loads.

min  Σ_t [ Σ lost_usd (1 − energised) + Σ c₀ energised + Σ c p̂ ] + max_u Σ_t Q_t(x_t, u_t)

                                                              x_t = (closed, energised, forming, p̂, q̂, …)
s.t. every energised island is a tree of blocks with 1 to k grid-forming generators (`topology`)
     the set-points p̂, q̂ keep the physics at the nominal loads, 0 in de-energised blocks (`step`)
     actions of switches, energy in store: what links the steps (`links`, `storage`)

Q_t = min  Σ c o                                              the loads of energised blocks are nominal (1 + u_t)
      s.t. |o| ≤ ramp · capacity in each phase, p̂ + o within the limits of the generators;  −r⁻ ≤ Σ o ≤ r⁺ in store;
           the physics

The first three of x are binary. One step without storage is the problem of Moring et al. (2024).

What the publication leaves open is decided so. Ramping is net (up and down are one variable), in each phase, and of
reactive power as of active power, each in its own capacity. The set-points are what is run when the loads are nominal,
so they keep the physics, too. The constant cost c₀ of a generator is paid where its block is energised; as printed it
is paid in de-energised blocks, too, and decides nothing.
Where the physics cannot be kept, the least violation is the nodal slack, summed over terminals: feasibility comes
first, without a weight. A first stage in which everything is de-energised keeps it always.

A load deviates in each step by itself, and the recourse of a step knows the loads of this step only, so that what is
promised needs no knowledge of later steps.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Self, final

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.network import Network
from openpoint.network.blocks import Blocks
from openpoint.solvers.modelling import cp
from openpoint.studies.partition.model.links import Linked, Links, linked, state_before, sums
from openpoint.studies.partition.model.step import DispatchableGenerators, Step, Topology, UncertainLoads, compact
from openpoint.twostage.program import FirstStage, Limit, PlainProgram, SecondStage
from openpoint.twostage.risk import Risk, WorstCase
from openpoint.twostage.uncertainty import Box, Budget, Certain, Uncertainty


@final
@dataclass(frozen=True)
class Microgrids(FirstStage):
    """The first stage, with its own variables: topology and set-points of every step, and the links."""

    topologies: tuple[Topology, ...]
    p: tuple[cp.Variable, ...]
    q: tuple[cp.Variable, ...]
    links: Linked


@final
@dataclass(frozen=True, kw_only=True)
class Following(SecondStage):
    """The recourse, with its own variables: (2 P) change of active and reactive power of the generators, T times."""

    ramp: tuple[cp.Variable, ...]


@final
@dataclass(frozen=True)
class ExcludedIslands:
    """Islands that no plan may have: (S) states of switches, (B) blocks, (F) generators that form the grid.

    Attributes:
        closed, energised, forming: 1 where it is so in these islands, −1 where it is not, 0 where that does not matter.
    """

    closed: Floats
    energised: Floats
    forming: Floats

    def constraint(self, here: Topology) -> cp.Constraint:
        """Something is another."""
        pairs = ((self.closed, here.closed), (self.energised, here.energised), (self.forming, here.forming))
        alike = sum((sign @ x for sign, x in pairs), cp.Constant(0.0))
        return alike <= sum(float((sign > 0.0).sum()) for sign, _ in pairs) - 1.0


@final
@dataclass(frozen=True, kw_only=True)
class PartitionProgram(PlainProgram[FirstStage, SecondStage]):
    """Partitioning over T steps as a two-stage program.

    The decision is (closed, energised, forming, p̂, q̂, r⁺, r⁻, state), T times; reserves and states where there are any.

    Attributes:
        steps: T, with the same blocks and generators.
        links: what links them.
        uncertainty: deviations (T M) of the uncertain loads step by step, relative to their nominal power.
        ramp: most change of a generator after the loads are known, a share of its capacity.
        max_grid_forming: most grid-forming generators in an island.
        as_it_is: the grid with its permanently closed loops closed, which the networks of the steps have opened.
        excluded: islands that no step may have.
    """

    steps: tuple[Step, ...]
    links: Links
    uncertainty: Uncertainty
    ramp: float = 0.3
    max_grid_forming: int = 1
    as_it_is: Network | None = None
    excluded: tuple[ExcludedIslands, ...] = ()
    risk: Risk = dataclasses.field(default_factory=WorstCase)

    integer_recourse = False

    @property
    def network(self) -> Network:
        """The grid with the limits to keep and the loads of the first step."""
        return self.steps[0].network

    @property
    def blocks(self) -> Blocks:
        """Its blocks."""
        return self.steps[0].blocks

    @property
    def loads(self) -> UncertainLoads:
        """The uncertain loads as they are in the first step."""
        return self.steps[0].loads

    @property
    def generators(self) -> DispatchableGenerators:
        """The dispatchable generators."""
        return self.steps[0].generators

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """S switches, B blocks, F generators that may form a grid, P parts of generators."""
        parts = len(self.generators.of_part)
        return len(self.blocks.switches), self.blocks.count, len(self.generators.may_form), parts

    @property
    def _lengths(self) -> list[int]:
        """Of the parts of the decision of a step."""
        s, b, f, parts = self.sizes
        stored = self.links.storage.count
        return [s, b, f, parts, parts, stored, stored, s if self.links.stated else 0]

    @property
    def decision_size(self) -> int:
        """Length of the decision."""
        return len(self.steps) * sum(self._lengths)

    def parted(self, x: Floats, step: int = 0) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """closed (S), energised (B), forming (F), p̂ (P), q̂ (P) of a decision in a step."""
        return tuple(np.split(self._of_step(x, step), np.cumsum(self._lengths))[:5])  # type: ignore[return-value]

    def reserves(self, x: Floats, step: int) -> tuple[Floats, Floats]:
        """(K) r⁺ and r⁻ of a decision in a step."""
        more, less = np.split(self._of_step(x, step), np.cumsum(self._lengths))[5:7]
        return more, less

    def states(self, x: Floats) -> Bools:
        """(T, S) states of the switches; where nothing asks for another, a switch in a de-energised part stays as it
        was."""
        found, before = [], state_before(self.links, self.steps[0])
        for t, step in enumerate(self.steps):
            closed, energised, *_ = self.parted(x, t)
            chosen = np.split(self._of_step(x, t), np.cumsum(self._lengths))[7]
            used = (energised[self.blocks.fr] > 0.5) | (energised[self.blocks.to] > 0.5)
            kept = np.where(used, closed > 0.5, before & ~step.locks.open)
            before = chosen > 0.5 if len(chosen) else kept
            found.append(before)
        return np.array(found)

    def only(self, step: int, links: Links) -> Self:
        """A step alone, with the deviations of its own."""
        m = len(self.loads.names)
        mine = slice(step * m, (step + 1) * m)
        match self.uncertainty:
            case Box(lower, upper):
                own: Uncertainty = Box(lower[mine], upper[mine])
            case Budget(middle, down, up, most):
                own = Budget(middle[mine], down[mine], up[mine], most)
            case Certain(value):
                own = Certain(value[mine] if m else value)
            case scenarios:
                own = dataclasses.replace(scenarios, values=scenarios.values[:, mine])
        return dataclasses.replace(self, steps=(self.steps[step],), links=links, uncertainty=own)

    def _of_step(self, x: Floats, step: int) -> Floats:
        size = sum(self._lengths)
        return x[step * size : (step + 1) * size]

    @cached_property
    def ramps(self) -> tuple[Floats, Floats]:
        """(P) most change of active and of reactive power."""
        return self.ramp * self.generators.p_capacity, self.ramp * self.generators.q_capacity

    @cached_property
    def recourse_lower_bound(self) -> float:
        """No recourse saves more than by ramping each generator down as far as ramp and limits let it."""
        span = np.maximum(self.network.p_max, 0.0) - np.minimum(self.network.p_min, 0.0)
        least = np.minimum(self.ramps[0], span)
        return -float(sum(np.abs(step.generation_usd) @ least for step in self.steps))

    def first_stage(self, *, with_recourse: bool) -> Microgrids:
        """Topology and set-points; they hold the nominal physics whatever else stands in the model."""
        parts, home = self.sizes[3], self.generators.block[self.generators.may_form]
        topologies = [compact(self.blocks, home, self.max_grid_forming) for _ in self.steps]
        p, q = ([cp.Variable(parts, name=name) for _ in self.steps] for name in ("p_set", "q_set"))
        joined = linked(self.links, self.steps, topologies, p, uncertain=bool(self.loads.names))
        constraints, cost = [*joined.constraints], cp.Constant(0.0)
        pieces: list[cp.Expression] = []
        operation: list[cp.Constraint] = []
        x = cp.Variable(self.decision_size, name="decision")
        still = np.zeros(len(self.loads.names))
        for t, (step, here) in enumerate(zip(self.steps, topologies)):
            constraints += [*here.constraints, *(each.constraint(here) for each in self.excluded)]
            constraints += step.locks.constraints(here.closed, here.energised)
            chosen = here.closed, here.energised, here.forming, p[t], q[t]
            operation += step.generator_limits(here.energised, p[t], q[t])
            operation += step.flow(*chosen, moved=still, largest=self._largest(t)).constraints
            cost = cost + step.lost_usd @ (1 - here.energised) + step.on_usd @ here.energised
            cost = cost + step.generation_usd @ p[t]
            pieces += [*chosen, *(each[t] for each in (joined.more, joined.less, joined.state) if each)]
        # The order of rows and columns decides how long HiGHS takes: the decision goes before the physics.
        constraints += [x == cp.hstack(pieces), *operation]
        integers = (*(part for here in topologies for part in here.integers), *joined.integers)
        return Microgrids(
            x,
            integers,
            constraints,
            cost,
            binary=False,
            topologies=tuple(topologies),
            p=tuple(p),
            q=tuple(q),
            links=joined,
        )

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> Following:
        """Generators follow the loads; the limit is that the nodal slack is 0."""
        size, m = sum(self._lengths), len(self.loads.names)
        stages = [
            self._recourse(
                t, decision[t * size : (t + 1) * size], realisation[t * m : (t + 1) * m] if m else realisation
            )
            for t in range(len(self.steps))
        ]
        constraints = [constraint for stage in stages for constraint in stage.constraints]
        kept = tuple(limit for stage in stages for limit in stage.limits)
        ramp = tuple(ramp for stage in stages for ramp in stage.ramp)
        return Following(constraints, (), kept, sum((stage.cost for stage in stages), cp.Constant(0.0)), ramp=ramp)

    def _recourse(self, t: int, decision: cp.Expression, realisation: cp.Expression) -> Following:
        """That of one step, independent of the others."""
        step, parts = self.steps[t], self.sizes[3]
        at = np.cumsum([0, *self._lengths])
        closed, energised, forming, p, q = (decision[i:j] for i, j in itertools.pairwise(at[:6]))
        ramp = cp.Variable(2 * parts, name="ramp")
        up_p, up_q = ramp[:parts], ramp[parts:]
        reserves = [decision[i:j] for i, j in itertools.pairwise(at[5:8])] if self.links.storage.count else []
        constraints = [
            *self._ramp_limits(up_p, up_q),
            *step.generator_limits(energised, p + up_p, q + up_q),
            *self._reserve_limits(step, up_p, reserves),
        ]
        moved, idle = self._deviation(t, energised, realisation)
        constraints += idle
        slack = cp.Variable((2, step.network.n_terminals), name="slack")
        flow = step.flow(
            closed, energised, forming, p + up_p, q + up_q, moved=moved, largest=self._largest(t), slack=slack
        )
        kept = Limit("balance", cp.hstack([slack[0], -slack[0], slack[1], -slack[1]]))
        return Following([*constraints, *flow.constraints], (), (kept,), step.generation_usd @ up_p, ramp=(ramp,))

    def _ramp_limits(self, up_p: cp.Expression, up_q: cp.Expression) -> list[cp.Constraint]:
        """|o| ≤ ramp · capacity in each phase."""
        ramp_p, ramp_q = self.ramps
        return [up_p <= ramp_p, up_p >= -ramp_p, up_q <= ramp_q, up_q >= -ramp_q]

    def _reserve_limits(self, step: Step, up_p: cp.Expression, reserves: list[cp.Expression]) -> list[cp.Constraint]:
        """−r⁻ ≤ Σ o ≤ r⁺ for generators with an energy."""
        if not reserves:
            return []
        called, (more, less) = sums(self.links.storage, step) @ up_p, reserves
        return [called <= more, called >= -less]

    def _deviation(
        self, t: int, energised: cp.Expression, realisation: cp.Expression
    ) -> tuple[cp.Expression, list[cp.Constraint]]:
        """u − idle with u̲ (1 − energised) ≤ idle ≤ ū (1 − energised): a load in a de-energised block does not take
        what it would."""
        loads = self.steps[t].loads
        m = len(loads.names)
        if not m:
            return realisation, []
        low, high = (ends[t * m : (t + 1) * m] for ends in self.deviations)
        idle, dead = cp.Variable(m, name="idle"), 1 - energised[loads.block]
        return realisation - idle, [idle <= cp.multiply(high, dead), idle >= cp.multiply(low, dead)]

    def dispatch(self, recourse: SecondStage) -> cp.Variable | None:
        """(2 P) what the generators do once the loads are known, of a program of one step."""
        assert isinstance(recourse, Following)
        return recourse.ramp[0] if len(recourse.ramp) == 1 else None

    def whole(self, x: Floats) -> Floats:
        """A decision with the binaries of the first step whole."""
        s, b, f, _ = self.sizes
        return np.concatenate([np.round(x[: s + b + f]), x[s + b + f :]])

    def first_stage_cost(self, decision: Floats) -> float:
        """Dead blocks and set-points, in $."""
        return sum(sum(self.costs(decision, t)) for t in range(len(self.steps)))

    def costs(self, decision: Floats, step: int) -> tuple[float, float]:
        """Of the de-energised blocks and of the set-points of a step, in $."""
        _, energised, _, p, _ = self.parted(decision, step)
        there = self.steps[step]
        return float(there.lost_usd @ (1.0 - energised)), float(there.on_usd @ energised + there.generation_usd @ p)

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> Self:
        """The same program before other deviations."""
        return dataclasses.replace(self, uncertainty=uncertainty, risk=risk)

    @cached_property
    def deviations(self) -> tuple[Floats, Floats]:
        """(T M) least and greatest deviation of each load."""
        match self.uncertainty:
            case Box(lower, upper):
                return np.minimum(lower, 0.0), np.maximum(upper, 0.0)
            case Budget(middle, down, up):
                return np.minimum(middle - down, 0.0), np.maximum(middle + up, 0.0)
            case Certain(value):
                return np.minimum(value, 0.0), np.maximum(value, 0.0)
        values = self.uncertainty.values
        return np.minimum(values.min(axis=0), 0.0), np.maximum(values.max(axis=0), 0.0)

    def _largest(self, t: int) -> float:
        """The most that a load deviates in a step."""
        m = len(self.loads.names)
        return float(np.max(np.abs(np.array(self.deviations)[:, t * m : (t + 1) * m]), initial=0.0))
