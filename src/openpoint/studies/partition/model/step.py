"""One step of partitioning: which loads there are, what is locked, and the physics under them.

The physics is LinDist3Flow: balance at every terminal, the voltage law of every closed branch, voltage limits, ratings.
A grid-forming generator holds 1 pu in all phases. Dead blocks have no load and no generation.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import final

import cvxpy as cp
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
from openpoint.network import Network
from openpoint.network.blocks import Blocks

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
    """What events leave no choice about.

    Attributes:
        open, closed: (S) switches that are held open or closed. dead: (B) blocks with a fault.
    """

    open: Bools
    closed: Bools
    dead: Bools

    def constraints(self, closed: cp.Variable, live: cp.Variable) -> list[cp.Constraint]:
        """closed = 0 of switches that are held open, live = 0 of blocks with a fault."""
        return [
            *(closed[k] == 0 for k in np.flatnonzero(self.open)),
            *(live[k] == 0 for k in np.flatnonzero(self.dead)),
        ]

    @staticmethod
    def none(blocks: Blocks) -> Locks:
        """Every choice is free."""
        switches, dead = np.zeros(len(blocks.switches), dtype=np.bool_), np.zeros(blocks.count, dtype=np.bool_)
        return Locks(switches, switches, dead)


@final
@dataclass(frozen=True, kw_only=True)
class Step:
    """A span of time with its loads.

    Attributes:
        name: for people. hours: how long it is.
        network: the grid with the limits to keep and the nominal loads of the step. blocks: its blocks.
        loads: the uncertain loads. generators: the dispatchable ones.
        lost_usd: (B) cost of a dead block over the step.
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

    def generator_limits(self, live: cp.Expression, p: cp.Expression, q: cp.Expression) -> list[cp.Constraint]:
        """p̲ live ≤ p ≤ p̄ live, and so for q: output within the limits of the generators, 0 in dead blocks."""
        net, on = self.network, live[self.generators.block[self.generators.of_part]]
        return [
            p >= cp.multiply(net.p_min, on),
            p <= cp.multiply(net.p_max, on),
            q >= cp.multiply(net.q_min, on),
            q <= cp.multiply(net.q_max, on),
        ]

    def flow(
        self,
        closed: cp.Expression,
        live: cp.Expression,
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
            closed: (S). live: (B). forming: (F). p, q: (P) output.
            moved: (M) deviations of the uncertain loads. largest: the most that any of them may be.
            slack: (2, N) nodal slack, active and reactive.
        """
        return lindist3flow(
            self.network,
            self._conducting(closed),
            self._net_demand(live, p, q, moved, slack),
            sources=np.empty(0, dtype=np.int64),
            held=self._held(forming),
            bounds=self.voltages,
            most=self._carried(largest),
            always=self._always,
            energised=live[self.blocks.of_terminal],
            matrix=None if forming.is_constant() else self._coefficients,
        )

    @cached_property
    def _coefficients(self) -> Coefficients:
        """The coefficients while it is open which generators form the grid."""
        held = self._held(cp.Variable(len(self._forming_at)))
        return coefficients(self.network, feeding=feeding_terminals(self.network, np.empty(0, dtype=np.int64), held))

    def _net_demand(
        self,
        live: cp.Expression,
        p: cp.Expression,
        q: cp.Expression,
        moved: cp.Expression | Floats,
        slack: cp.Variable | None,
    ) -> Demand:
        """Nominal load · live + deviation − generation − slack, at terminals and between them."""
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
