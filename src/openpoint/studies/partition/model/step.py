"""One step of partitioning: which loads there are, what is locked, and the physics under them.

The physics is LinDist3Flow: balance at every terminal, the voltage law of every closed branch, voltage limits, ratings.
A grid-forming generator holds 1 pu in all phases. Dead blocks have no load and no generation.

Which blocks are energised, by which switches, and which generators form the grid: radial islands, as constraints.

An island is a tree of blocks with at least one and at most k grid-forming generators. `compact` says it by counting and
by flows. Every island has one leading block, which has a grid-forming generator:

    Σ closed = Σ energised − Σ lead,      lead_l ≤ Σ_{g in l} forming_g,      closed_ij ≤ energised_i, energised_j
    one commodity from the leading blocks, of which every energised block takes one unit along closed switches

The commodity makes every component hold a leading block, so there are no more components than leading blocks, and the
count says that there are as many and that none has a loop. For k = 1 the leading block is the one that has the
generator, and a component has no second one; for k > 1 a second commodity carries one unit from every grid-forming
generator to the leading block, which takes at most k.

A switch that lacks phases feeds no block that has them: the first commodity runs along it the other way only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.lindist3flow import (
    Demand,
    Held,
    LinDist3Flow,
    feeding_terminals,
    lindist3flow,
    nominal,
    voltage_limits,
)
from openpoint.formulations.lindist3flow_equations import Coefficients, coefficients
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.blocks import Blocks
from openpoint.solvers.modelling import cp

HELD_W = 1.0
"""Squared voltage that a grid-forming generator holds, where the limits of its bus allow it."""


@final
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


@final
@dataclass(frozen=True)
class DispatchableGenerators:
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


@final
@dataclass(frozen=True)
class Locks:
    """Decisions that events leave no choice about.

    Attributes:
        open, closed: (S) switches that are held open or closed. faulted: (B) blocks with a fault.
    """

    open: Bools
    closed: Bools
    faulted: Bools

    def constraints(self, closed: cp.Variable, energised: cp.Variable) -> list[cp.Constraint]:
        """closed = 0 of switches that are held open, energised = 0 of blocks with a fault."""
        return [
            *(closed[k] == 0 for k in np.flatnonzero(self.open)),
            *(energised[k] == 0 for k in np.flatnonzero(self.faulted)),
        ]

    @staticmethod
    def none(blocks: Blocks) -> Locks:
        """Every choice is free."""
        switches, faulted = np.zeros(len(blocks.switches), dtype=np.bool_), np.zeros(blocks.count, dtype=np.bool_)
        return Locks(switches, switches, faulted)


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """A span of time with its loads.

    Attributes:
        name: for people. hours: how long it is.
        network: the grid with the limits to keep and the nominal loads of the step. blocks: its blocks.
        loads: the uncertain loads. generators: the dispatchable ones.
        lost_usd: (B) cost of a de-energised block over the step. on_usd: (B) constant cost of the generators of a block
            that is energised.
        generation_usd: (P) cost of one per unit of active power over the step.
        locks: what events hold.
    """

    name: str
    hours: float
    network: Network
    blocks: Blocks
    loads: UncertainLoads
    generators: DispatchableGenerators
    lost_usd: Floats
    on_usd: Floats
    generation_usd: Floats
    locks: Locks

    @cached_property
    def held_w(self) -> Floats:
        """(F) squared voltage that a generator holds where it forms the grid."""
        low, high = self.voltages
        return np.array([np.clip(HELD_W, low[t].max(), high[t].min()) for t in self._forming_at])

    @cached_property
    def voltages(self) -> tuple[Floats, Floats]:
        """(N) least and most squared voltage; a lost substation holds none."""
        return voltage_limits(self.network, np.empty(0, dtype=np.int64))

    def generator_limits(self, energised: cp.Expression, p: cp.Expression, q: cp.Expression) -> list[cp.Constraint]:
        """p̲ energised ≤ p ≤ p̄ energised, and so for q: output within the limits of the generators, 0 in de-energised
        blocks."""
        net, on = self.network, energised[self.generators.block[self.generators.of_part]]
        return [
            p >= cp.multiply(net.p_min, on),
            p <= cp.multiply(net.p_max, on),
            q >= cp.multiply(net.q_min, on),
            q <= cp.multiply(net.q_max, on),
        ]

    def flow(
        self,
        closed: cp.Expression,
        energised: cp.Expression,
        forming: cp.Expression,
        p: cp.Expression,
        q: cp.Expression,
        *,
        moved: cp.Expression | Floats,
        largest: float,
        slack: cp.Variable | None = None,
    ) -> LinDist3Flow:
        """The physics.

        Args:
            closed: (S). energised: (B). forming: (F). p, q: (P) output.
            moved: (M) deviations of the uncertain loads. largest: the most that any of them may be.
            slack: (2, N) nodal slack, active and reactive.
        """
        return lindist3flow(
            self.network,
            self._conducting(closed),
            self._net_demand(energised, p, q, moved, slack),
            sources=np.empty(0, dtype=np.int64),
            held=self._held(forming),
            bounds=self.voltages,
            most=self._carried(largest),
            always=self._always,
            energised=energised[self.blocks.of_terminal],
            matrix=None if forming.is_constant() else self._coefficients,
        )

    @cached_property
    def _coefficients(self) -> Coefficients:
        """The coefficients while it is open which generators form the grid."""
        held = self._held(cp.Variable(len(self._forming_at)))
        return coefficients(self.network, feeding=feeding_terminals(self.network, np.empty(0, dtype=np.int64), held))

    def _net_demand(
        self,
        energised: cp.Expression,
        p: cp.Expression,
        q: cp.Expression,
        moved: cp.Expression | Floats,
        slack: cp.Variable | None,
    ) -> Demand:
        """Nominal load · energised + deviation − generation − slack, at terminals and between them."""
        net, of = self.network, self.blocks.of_terminal
        fixed = nominal(net)
        at_wye, at_delta = self._places
        wye_p, wye_q = (
            cp.multiply(fixed.p, energised[of]) - at_wye @ p,
            cp.multiply(fixed.q, energised[of]) - at_wye @ q,
        )
        delta_p, delta_q = -(at_delta @ p), -(at_delta @ q)
        if len(net.delta.fr):
            of_pair = of[net.delta.fr]
            delta_p = cp.multiply(fixed.delta_p, energised[of_pair]) + delta_p
            delta_q = cp.multiply(fixed.delta_q, energised[of_pair]) + delta_q
        if len(self.loads.names):
            wye_p, wye_q = wye_p + self.loads.wye.real @ moved, wye_q + self.loads.wye.imag @ moved
            delta_p, delta_q = delta_p + self.loads.delta.real @ moved, delta_q + self.loads.delta.imag @ moved
        if slack is not None:
            wye_p, wye_q = wye_p - slack[0], wye_q - slack[1]
        return Demand(wye_p, wye_q, delta_p, delta_q)

    def _held(self, forming: cp.Expression) -> Held | None:
        """w = 1 at all terminals of the bus of a generator that forms the grid; None where none may."""
        net = self.network
        held, at = np.ones(net.n_terminals), np.concatenate([np.empty(0, dtype=np.int64), *self._forming_at])
        if not len(at):
            return None
        unit = np.repeat(np.arange(len(self._forming_at)), [len(each) for each in self._forming_at])
        held[at] = self.held_w[unit]
        where = sp.csr_array((np.ones(len(at)), (at, unit)), (net.n_terminals, len(self._forming_at)))
        return Held(where @ forming, held)

    @cached_property
    def _forming_at(self) -> list[Ints]:
        """(F) terminals of the bus of each generator that may form the grid."""
        net, of_part = self.network, self.generators.of_part
        buses = [net.terminal_bus[net.generator_terminal[np.argmax(of_part == g)]] for g in self.generators.may_form]
        return [np.flatnonzero(net.terminal_bus == bus) for bus in buses]

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

    def _carried(self, largest: float) -> tuple[float, float]:
        """Active and reactive power that no conductor exceeds: all that generators and loads can feed in or take."""
        net, fixed = self.network, nominal(self.network)
        most = []
        taken = (fixed.p, fixed.q, fixed.delta_p, fixed.delta_q)
        apparent = (1.0 + largest) * float(sum(np.abs(each.value).sum() for each in taken))
        for least, high in ((net.p_min, net.p_max), (net.q_min, net.q_max)):
            most.append(apparent + float(np.maximum(np.abs(least), np.abs(high)).sum()))
        return most[0], most[1]


@final
@dataclass(frozen=True)
class Topology:
    """Variables and constraints of the first stage's binaries.

    Attributes:
        closed: (S) state of the switchable branches; in de-energised blocks all are open.
        energised: (B) whether a block is energised.
        forming: (F) whether a generator that may form the grid does.
        integers: the integer variables. constraints: linear.
    """

    closed: cp.Variable
    energised: cp.Variable
    forming: cp.Variable
    integers: tuple[cp.Variable, ...]
    constraints: list[cp.Constraint]


def compact(blocks: Blocks, home: Ints, most: int) -> Topology:
    """The islands by counting and flows.

    Args:
        blocks: the block graph.
        home: (F) block of every generator that may form the grid.
        most: k, the most grid-forming generators in an island.
    """
    b, s, f = blocks.count, len(blocks.switches), len(home)
    closed, energised, forming = (
        cp.Variable(k, name=name) for k, name in ((s, "closed"), (b, "energised"), (f, "forming"))
    )
    has = sp.csr_array((np.ones(f), (home, np.arange(f))), shape=(b, f)) @ forming
    leading = cp.Variable(b, name="lead") if most > 1 else None
    lead = has if leading is None else leading
    constraints = [
        *binaries(blocks, closed, energised, forming),
        *energised_ends(blocks, closed, energised),
        *([] if leading is None else leaders(blocks, closed, leading, has, f, most)),
        *formed_if_live(energised, lead, has, most),
        *tree_count(closed, energised, lead),
        *connectivity(blocks, closed, energised, lead),
    ]
    integers = (closed, energised, forming) if leading is None else (closed, energised, forming, leading)
    return Topology(closed, energised, forming, integers, constraints)


def binaries(blocks: Blocks, closed: cp.Variable, energised: cp.Variable, forming: cp.Variable) -> list[cp.Constraint]:
    """Between 0 and 1; the blocks of lost substations stay de-energised, and no switch closes a loop within a block."""
    constraints = [bound for x in (closed, energised, forming) for bound in (x >= 0, x <= 1)]
    if len(lost := np.flatnonzero(blocks.lost)):
        constraints.append(energised[lost] == 0)
    if len(within := np.flatnonzero(blocks.fr == blocks.to)):
        constraints.append(closed[within] == 0)
    return constraints


def energised_ends(blocks: Blocks, closed: cp.Variable, energised: cp.Variable) -> list[cp.Constraint]:
    """closed_ij ≤ energised_i, energised_j."""
    return [closed <= energised[blocks.fr], closed <= energised[blocks.to]]


def leaders(
    blocks: Blocks, closed: cp.Variable, lead: cp.Variable, has: cp.Expression, forming: int, most: int
) -> list[cp.Constraint]:
    """One commodity carries a unit from every grid-forming generator to the leading block, which takes at most k:

        lead ≤ has,      has + Σ into − Σ out of = taken ≤ k lead,      |gathered| ≤ F closed

    Args:
        has: (B) grid-forming generators of a block. forming: F. most: k.
    """
    gathered, taken = cp.Variable(len(blocks.switches), name="gathered"), cp.Variable(blocks.count, name="taken")
    return [
        lead >= 0,
        lead <= 1,
        lead <= has,
        has + _into(blocks) @ gathered == taken,
        taken >= 0,
        taken <= most * lead,
        gathered <= forming * closed,
        gathered >= -forming * closed,
    ]


def formed_if_live(energised: cp.Variable, lead: cp.Expression, has: cp.Expression, most: int) -> list[cp.Constraint]:
    """lead ≤ energised, has ≤ k energised: generators form grids in energised blocks alone."""
    return [lead <= energised, has <= most * energised]


def tree_count(closed: cp.Variable, energised: cp.Variable, lead: cp.Expression) -> list[cp.Constraint]:
    """Σ closed = Σ energised − Σ lead: as many branches as trees have, one tree a leading block."""
    return [cp.sum(closed) == cp.sum(energised) - cp.sum(lead)]


def connectivity(
    blocks: Blocks, closed: cp.Variable, energised: cp.Variable, lead: cp.Expression
) -> list[cp.Constraint]:
    """Single-commodity flow (Gavish and Graves 1978): every energised block takes a unit that comes from a leading one,

        Σ flow into − Σ flow out of + supply = energised,      0 ≤ supply ≤ B lead,      |flow| ≤ (B − 1) closed

    along switches that have the phases of the block they lead to.
    """
    b = blocks.count
    flow, supply = cp.Variable(len(blocks.switches), name="flow"), cp.Variable(b, name="supply")
    return [
        _into(blocks) @ flow + supply == energised,
        supply >= 0,
        supply <= b * lead,
        flow <= (b - 1) * cp.multiply(blocks.ahead, closed),
        flow >= -(b - 1) * cp.multiply(blocks.back, closed),
    ]


def _into(blocks: Blocks) -> sp.csr_array:
    """(B, S) what arrives at each block of flows from `fr` to `to`."""
    s = len(blocks.switches)
    ones, at = np.ones(s), np.arange(s)
    shape = (blocks.count, s)
    return sp.csr_array(sp.csr_array((ones, (blocks.to, at)), shape) - sp.csr_array((ones, (blocks.fr, at)), shape))


def block_loads_kw(grid: Grid, network: Network, blocks: Blocks, share: Floats | float = 1.0) -> Floats:
    """(B) nominal load of each block, or a share (L) of it."""
    home = load_blocks(grid, network, blocks)
    return np.asarray(
        np.bincount(home, weights=share * grid.loads["p_kw"].to_numpy(), minlength=blocks.count), dtype=np.float64
    )


def load_blocks(grid: Grid, network: Network, blocks: Blocks) -> Ints:
    """(loads) block of each load."""
    number = {name: i for i, name in enumerate(network.bus_names)}
    at = np.array([number[bus] for bus in grid.loads["bus"]], dtype=np.int64)
    return np.asarray(blocks.of_bus[at])
