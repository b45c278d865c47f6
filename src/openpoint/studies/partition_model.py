"""The mathematical model of partitioning: which switches close and which generators form the grid, robust to the loads.

min  Σ lost_usd (1 − live) + Σ c p̂ + max_u Q(x, u)          x = (closed, live, forming, p̂, q̂), first three binary
s.t. every energised island is a tree of blocks with 1 to k grid-forming generators (`partition_topology`)
     the set-points p̂, q̂ keep the physics at the nominal loads, 0 in dead blocks

Q  = min  Σ c o                                               the loads of live blocks are nominal (1 + u)
     s.t. |o| ≤ ramp · capacity in each phase, p̂ + o within the limits of the generators;  the physics

The physics is LinDist3Flow: balance at every terminal, the voltage law of every closed branch, voltage limits, ratings.
A grid-forming generator holds 1 pu in all phases. Dead blocks have no load and no generation. (Moring et al. 2024.)

What the publication leaves open is decided so. Ramping is net (up and down are one variable), in each phase, and of
reactive power as of active power, each in its own capacity. The set-points are what is run when the loads are nominal,
so they keep the physics, too. Generators have no constant cost: there would be one to pay in dead blocks, too.
Where the physics cannot be kept, the least violation is power from nowhere, summed over terminals: feasibility comes
first, without a weight. A first stage in which everything is dead keeps it always.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Self

import cvxpy as cp
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from openpoint.formulations.lindist3flow import Demand, Held, LinDist3Flow, lindist3flow, nominal, voltage_limits
from openpoint.network import Bools, Network
from openpoint.studies.blocks import Blocks
from openpoint.studies.partition_colouring import colouring
from openpoint.studies.partition_topology import Topology, compact
from openpoint.twostage.program import FirstStage, Limit, PlainProgram, Stage
from openpoint.twostage.risk import Risk, WorstCase
from openpoint.twostage.uncertainty import Box, Budget, Certain, Uncertainty

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

HELD_W = 1.0
"""Squared voltage that a grid-forming generator holds, where the limits of its bus allow it."""


@dataclass(frozen=True)
class UncertainLoads:
    """The loads that are uncertain, M of them.

    Attributes:
        names: of the loads. block: (M) of each.
        wye: (N, M) complex power at terminals, per unit, at the nominal load. delta: (D, M) between terminals.
    """

    names: tuple[str, ...]
    block: Ints
    wye: sp.csr_array
    delta: sp.csr_array


@dataclass(frozen=True)
class Grouped:
    """The dispatchable generators by name, G of them, which have P parts, one a phase.

    Attributes:
        names: (G). block: (G). of_part: (P) generator of each part. may_form: (F) generators that may form a grid.
        p_capacity, q_capacity: (P) largest active and reactive power, per unit: what ramping is a share of.
    """

    names: tuple[str, ...]
    block: Ints
    of_part: Ints
    may_form: Ints
    p_capacity: Floats
    q_capacity: Floats


@dataclass(frozen=True)
class Microgrids(FirstStage):
    """The first stage, with its own variables."""

    topology: Topology
    p: cp.Variable
    q: cp.Variable


@dataclass(frozen=True, kw_only=True)
class PartitionProgram(PlainProgram):
    """Partitioning as a two-stage program; the decision is (closed, live, forming, p̂, q̂).

    Attributes:
        network: the grid with the limits to keep. blocks: its blocks.
        uncertainty: deviations (M) of the uncertain loads, relative to their nominal power.
        loads: the uncertain loads. generators: the dispatchable ones.
        lost_usd: (B) cost of a dead block. generation_usd: (P) cost of one per unit of active power.
        ramp: most change of a generator after the loads are known, a share of its capacity.
        max_grid_forming: most grid-forming generators in an island.
        how: the first stage by counting and flows, or as published.
    """

    network: Network
    blocks: Blocks
    uncertainty: Uncertainty
    loads: UncertainLoads
    generators: Grouped
    lost_usd: Floats
    generation_usd: Floats
    ramp: float = 0.3
    max_grid_forming: int = 1
    how: Literal["compact", "colouring"] = "compact"
    risk: Risk = dataclasses.field(default_factory=WorstCase)

    @property
    def sizes(self) -> tuple[int, int, int, int]:
        """S switches, B blocks, F generators that may form a grid, P parts of generators."""
        parts = len(self.generators.of_part)
        return len(self.blocks.switches), self.blocks.count, len(self.generators.may_form), parts

    def parted(self, x: Floats) -> tuple[Floats, Floats, Floats, Floats, Floats]:
        """closed (S), live (B), forming (F), p̂ (P), q̂ (P) of a decision."""
        s, b, f, parts = self.sizes
        return tuple(np.split(x, np.cumsum([s, b, f, parts])))  # type: ignore[return-value]

    @cached_property
    def ramps(self) -> tuple[Floats, Floats]:
        """(P) most change of active and of reactive power."""
        return self.ramp * self.generators.p_capacity, self.ramp * self.generators.q_capacity

    @cached_property
    def recourse_floor(self) -> float:
        """No recourse saves more than by ramping each generator down as far as ramp and limits let it."""
        span = np.maximum(self.network.p_max, 0.0) - np.minimum(self.network.p_min, 0.0)
        return -float(np.abs(self.generation_usd) @ np.minimum(self.ramps[0], span))

    def first_stage(self, *, physics: bool) -> Microgrids:
        """Topology and set-points; they hold the nominal physics whatever else stands in the model."""
        s, b, f, parts = self.sizes
        home = self.generators.block[self.generators.may_form]
        topology = (compact if self.how == "compact" else colouring)(self.blocks, home, self.max_grid_forming)
        p, q = cp.Variable(parts, name="p_set"), cp.Variable(parts, name="q_set")
        x = cp.Variable(s + b + f + 2 * parts, name="decision")
        whole = cp.hstack([topology.closed, topology.live, topology.forming, p, q])
        constraints = [*topology.constraints, x == whole, *self._within(topology.live, p, q)]
        still = np.zeros(len(self.loads.names))
        flow = self._flow(topology.closed, topology.live, topology.forming, p, q, still, None)
        cost = self.lost_usd @ (1 - topology.live) + self.generation_usd @ p
        constraints += flow.constraints
        return Microgrids(x, topology.integers, constraints, cost, binary=False, topology=topology, p=p, q=q)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> Stage:
        """Generators follow the loads; the limit is that no power comes from nowhere."""
        s, b, f, parts = self.sizes
        at = np.cumsum([0, s, b, f, parts, parts])
        closed, live, forming, p, q = (decision[i:j] for i, j in itertools.pairwise(at))
        up_p, up_q = cp.Variable(parts, name="ramp_p"), cp.Variable(parts, name="ramp_q")
        ramp_p, ramp_q = self.ramps
        constraints = [up_p <= ramp_p, up_p >= -ramp_p, up_q <= ramp_q, up_q >= -ramp_q]
        constraints += self._within(live, p + up_p, q + up_q)
        m, n = len(self.loads.names), self.network.n_terminals
        moved: cp.Expression = realisation
        if m:  # a load in a dead block does not take what it would
            low, high = self.deviations
            idle, dead = cp.Variable(m, name="idle"), 1 - live[self.loads.block]
            constraints += [idle <= cp.multiply(high, dead), idle >= cp.multiply(low, dead)]
            moved = realisation - idle
        slack = cp.Variable((2, n), name="slack")
        flow = self._flow(closed, live, forming, p + up_p, q + up_q, moved, slack)
        kept = Limit("balance", cp.hstack([slack[0], -slack[0], slack[1], -slack[1]]))
        return Stage([*constraints, *flow.constraints], (), (kept,), self.generation_usd @ up_p)

    def cost(self, decision: Floats) -> float:
        """Dead blocks and set-points, in $."""
        _, live, _, p, _ = self.parted(decision)
        return float(self.lost_usd @ (1.0 - live) + self.generation_usd @ p)

    def facing(self, uncertainty: Uncertainty, risk: Risk) -> Self:
        """The same program before other deviations."""
        return dataclasses.replace(self, uncertainty=uncertainty, risk=risk)

    @cached_property
    def deviations(self) -> tuple[Floats, Floats]:
        """(M) least and greatest deviation of each load."""
        match self.uncertainty:
            case Box(lower, upper):
                return np.minimum(lower, 0.0), np.maximum(upper, 0.0)
            case Budget(middle, down, up):
                return np.minimum(middle - down, 0.0), np.maximum(middle + up, 0.0)
            case Certain(value):
                return np.minimum(value, 0.0), np.maximum(value, 0.0)
        values = self.uncertainty.values
        return np.minimum(values.min(axis=0), 0.0), np.maximum(values.max(axis=0), 0.0)

    @cached_property
    def held_w(self) -> Floats:
        """(F) squared voltage that a generator holds where it forms the grid."""
        low, high = self.voltages
        return np.array([np.clip(HELD_W, low[t].max(), high[t].min()) for t in self._forming_at])

    @cached_property
    def voltages(self) -> tuple[Floats, Floats]:
        """(N) least and most squared voltage; a lost substation holds none."""
        return voltage_limits(self.network, np.empty(0, dtype=np.int64))

    @cached_property
    def _forming_at(self) -> list[Ints]:
        """(F) terminals of the bus of each generator that may form the grid."""
        net, of_part = self.network, self.generators.of_part
        buses = [net.terminal_bus[net.generator_terminal[np.argmax(of_part == g)]] for g in self.generators.may_form]
        return [np.flatnonzero(net.terminal_bus == bus) for bus in buses]

    def _within(self, live: cp.Expression, p: cp.Expression, q: cp.Expression) -> list[cp.Constraint]:
        """Output within the limits of the generators, 0 in dead blocks."""
        net, on = self.network, live[self.generators.block[self.generators.of_part]]
        return [
            p >= cp.multiply(net.p_min, on),
            p <= cp.multiply(net.p_max, on),
            q >= cp.multiply(net.q_min, on),
            q <= cp.multiply(net.q_max, on),
        ]

    def _flow(
        self,
        closed: cp.Expression,
        live: cp.Expression,
        forming: cp.Expression,
        p: cp.Expression,
        q: cp.Expression,
        moved: cp.Expression | Floats,
        slack: cp.Variable | None,
    ) -> LinDist3Flow:
        """The physics; `moved` (M) are the deviations of the uncertain loads, `slack` (2, N) power from nowhere."""
        net, of = self.network, self.blocks.of_terminal
        fixed = nominal(net)
        at_wye, at_delta = self._places
        wye_p, wye_q = cp.multiply(fixed.p, live[of]) - at_wye @ p, cp.multiply(fixed.q, live[of]) - at_wye @ q
        delta_p, delta_q = -(at_delta @ p), -(at_delta @ q)
        if len(net.delta.fr):
            of_pair = of[net.delta.fr]
            delta_p = cp.multiply(fixed.delta_p, live[of_pair]) + delta_p
            delta_q = cp.multiply(fixed.delta_q, live[of_pair]) + delta_q
        if len(self.loads.names):
            wye_p, wye_q = wye_p + self.loads.wye.real @ moved, wye_q + self.loads.wye.imag @ moved
            delta_p, delta_q = delta_p + self.loads.delta.real @ moved, delta_q + self.loads.delta.imag @ moved
        if slack is not None:
            wye_p, wye_q = wye_p - slack[0], wye_q - slack[1]
        held, at = np.ones(net.n_terminals), np.concatenate([np.empty(0, dtype=np.int64), *self._forming_at])
        unit = np.repeat(np.arange(len(self._forming_at)), [len(each) for each in self._forming_at])
        held[at] = self.held_w[unit]
        where = sp.csr_array((np.ones(len(at)), (at, unit)), (net.n_terminals, len(self._forming_at)))
        return lindist3flow(
            net,
            self._conducting(closed),
            Demand(wye_p, wye_q, delta_p, delta_q),
            sources=np.empty(0, dtype=np.int64),
            held=Held(where @ forming, held) if len(at) else None,
            bounds=self.voltages,
            most=self._carried,
            always=self._always,
        )

    @cached_property
    def _always(self) -> Bools:
        """(branches) closed, whatever is decided."""
        net = self.network
        first = np.unique(net.conductor_branch, return_index=True)[1]
        return np.asarray(net.closed[first] & ~net.switchable[first])

    def _conducting(self, closed: cp.Expression) -> cp.Expression:
        """(branches) state of every branch."""
        moving = self.blocks.switches
        shape = len(self._always), len(moving)
        spread = sp.csr_array((np.ones(len(moving)), (moving, np.arange(len(moving)))), shape)
        return self._always.astype(np.float64) + spread @ closed if len(moving) else cp.Constant(self._always * 1.0)

    @cached_property
    def _places(self) -> tuple[sp.csr_array, sp.csr_array]:
        """(N, P) and (D, P): where the parts of the generators feed in."""
        net = self.network
        back, parts = net.generator_return, len(net.generator_terminal)
        wye = np.flatnonzero(back < 0)
        pair = {(int(a), int(b)): k for k, (a, b) in enumerate(zip(net.delta.fr, net.delta.to))}
        delta = np.flatnonzero(back >= 0)
        rows = [pair[int(net.generator_terminal[k]), int(back[k])] for k in delta]
        return (
            sp.csr_array((np.ones(len(wye)), (net.generator_terminal[wye], wye)), (net.n_terminals, parts)),
            sp.csr_array((np.ones(len(delta)), (rows, delta)), (len(net.delta.fr), parts)),
        )

    @cached_property
    def _carried(self) -> tuple[float, float]:
        """Active and reactive power that no conductor exceeds: all that generators and loads can feed in or take."""
        net, fixed = self.network, nominal(self.network)
        most = []
        taken = (fixed.p, fixed.q, fixed.delta_p, fixed.delta_q)
        largest = 1.0 + float(np.max(np.abs(self.deviations), initial=0.0))
        apparent = largest * float(sum(np.abs(each.value).sum() for each in taken))
        for least, high in ((net.p_min, net.p_max), (net.q_min, net.q_max)):
            most.append(apparent + float(np.maximum(np.abs(least), np.abs(high)).sum()))
        return most[0], most[1]
