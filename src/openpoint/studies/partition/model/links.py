"""What links the steps of partitioning: switches that move one by one, blocks that stay on, energy in store.

A switch has a state in dead parts, too, which `closed` (0 there) does not tell. Where switch actions count, `state` is
binary beside it: equal to `closed` where an end is energised, free where both are dead,

    closed ≤ state ≤ closed + (1 − live) at both ends,      Σ |state_t − state_{t−1}| ≤ N over switches no event holds

**Storage** is a generator with an energy. With d and c what it delivers and takes, h the hours and η the efficiencies,

    p̂ = d − c,     e_t = e_{t−1} − h (d / η_out − η_in c),      not both at once (binary where η_in η_out < 1)

When loads deviate it may deliver more or take more than scheduled, by no more than the reserves r⁺ and r⁻ that the plan
sets aside for the step. A kW more costs at most h / η_out of energy and a kW less saves at most as much, so that

    e_t − Σ_{s ≤ t} h r⁺ / η_out ≥ e_min,      e_t + Σ_{s ≤ t} h r⁻ / η_out ≤ e_max

keep the energy within its limits whatever reserves are called, in any order: the recourse of a step needs to know
nothing of the others, least of all of those to come. Where no load is uncertain there are no reserves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import cvxpy as cp
import numpy as np

from openpoint.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    from openpoint.studies.partition.model.step import Step
    from openpoint.studies.partition.model.topology import Topology


@dataclass(frozen=True)
class Storage:
    """K generators with an energy; energies in hours at one per unit of power of a terminal.

    Attributes:
        generator: (K) numbers of the generators.
        start, least, most, end: (K) energy at first, its limits, and the least at the end of the last step.
        into, out: (K) efficiency of charging and of discharging.
    """

    generator: Ints
    start: Floats
    least: Floats
    most: Floats
    end: Floats
    into: Floats
    out: Floats

    @staticmethod
    def none() -> Storage:
        """No generator has an energy."""
        empty = np.empty(0)
        return Storage(np.empty(0, dtype=np.int64), empty, empty, empty, empty, empty, empty)

    @property
    def count(self) -> int:
        """K."""
        return len(self.generator)


@dataclass(frozen=True)
class Links:
    """What links the steps.

    Attributes:
        storage: generators with an energy.
        max_actions: most switches that change their state in a step, from today's on; None is no limit.
        keep_energised: whether a block that is energised stays so unless it has a fault.
        stated: whether the states of switches in dead parts are decided, too: where actions count, or events hold a
            switch closed.
        state: (S) of the switches before the first step; None is today's.
        live: (B) blocks that are energised before it; None is none of them.
    """

    storage: Storage
    max_actions: int | None = None
    keep_energised: bool = False
    stated: bool = False
    state: Bools | None = None
    live: Bools | None = None

    @property
    def any(self) -> bool:
        """Whether one step matters for another."""
        return bool(self.storage.count) or self.max_actions is not None or self.keep_energised


@dataclass(frozen=True)
class Linked:
    """Variables and constraints of the links; where there are no links, there are none.

    Attributes:
        integers: the integer variables. constraints: linear.
        state: of the switches, a variable (S) a step; empty where actions do not count.
        more, less: (K) reserves, a variable a step; empty where there is no storage.
        energy: (K) at the end of each step; empty where there is no storage.
    """

    integers: tuple[cp.Variable, ...]
    constraints: list[cp.Constraint]
    state: tuple[cp.Variable, ...]
    more: tuple[cp.Variable, ...]
    less: tuple[cp.Variable, ...]
    energy: tuple[cp.Variable, ...]


def linked(
    links: Links, steps: tuple[Step, ...], topologies: list[Topology], p: list[cp.Variable], *, uncertain: bool
) -> Linked:
    """The links between steps.

    Args:
        links: which. steps: T. topologies: T. p: (P) set-points, T.
        uncertain: whether loads may deviate, so that storage needs reserves.
    """
    states, constraints = _states(links, steps, topologies)
    if links.keep_energised:
        first = np.zeros(steps[0].blocks.count) if links.live is None else links.live
        live = [cp.Constant(first * 1.0), *(each.live for each in topologies)]
        for step, before, after in zip(steps, live, live[1:]):
            constraints.append(after >= before - step.locks.dead)
    charging, stored, energy, more, less = _stored(links.storage, steps, p, uncertain=uncertain)
    return Linked((*states, *charging), [*constraints, *stored], states, more, less, energy)


def _states(
    links: Links, steps: tuple[Step, ...], topologies: list[Topology]
) -> tuple[tuple[cp.Variable, ...], list[cp.Constraint]]:
    """States and their constraints; none where nothing asks for them."""
    if not links.stated:
        return (), []
    before: cp.Expression = cp.Constant(state_before(links, steps[0]) * 1.0)
    states, constraints = [], list[cp.Constraint]()
    for step, topology in zip(steps, topologies):
        cut, locks = step.blocks, step.locks
        state = cp.Variable(len(cut.switches), name="state")
        constraints += [state >= topology.closed, state <= 1]
        constraints += [state <= topology.closed + 1 - topology.live[end] for end in (cut.fr, cut.to)]
        if len(held := np.flatnonzero(locks.open)):
            constraints.append(state[held] == 0)
        if len(held := np.flatnonzero(locks.closed)):
            constraints.append(state[held] == 1)
        if links.max_actions is not None and len(free := np.flatnonzero(~(locks.open | locks.closed))):
            moves = cp.Variable(len(free), name="moves")
            constraints += [moves >= state[free] - before[free], moves >= before[free] - state[free]]
            constraints.append(cp.sum(moves) <= links.max_actions)
        states.append(state)
        before = state
    return tuple(states), constraints


def state_before(links: Links, step: Step) -> Bools:
    """(S) state of the switches before the first step."""
    return today(step) if links.state is None else links.state


def today(step: Step) -> Bools:
    """(S) today's state of the switches."""
    first = np.unique(step.network.conductor_branch, return_index=True)[1]
    return np.asarray(step.network.closed[first][step.blocks.switches])


_Variables = tuple[cp.Variable, ...]


def _stored(
    storage: Storage, steps: tuple[Step, ...], p: list[cp.Variable], *, uncertain: bool
) -> tuple[_Variables, list[cp.Constraint], _Variables, _Variables, _Variables]:
    """Integers, constraints, energy, reserves."""
    if not storage.count:
        return (), [], (), (), ()
    constraints: list[cp.Constraint] = []
    integers, energy, more, less = [], [], [], []
    before: cp.Expression = cp.Constant(storage.start)
    lossy = np.flatnonzero(storage.into * storage.out < 1.0)
    called_more, called_less = cp.Constant(np.zeros(storage.count)), cp.Constant(np.zeros(storage.count))
    for step, set_point in zip(steps, p):
        of = sums(storage, step)
        out, into, left, up, down = (
            cp.Variable(storage.count, name=name) for name in ("out", "into", "energy", "more", "less")
        )
        most_out, most_in = of @ np.maximum(step.network.p_max, 0.0), of @ np.maximum(-step.network.p_min, 0.0)
        constraints += [out >= 0, out <= most_out, into >= 0, into <= most_in, of @ set_point == out - into]
        if len(lossy):
            charging = cp.Variable(len(lossy), name="charging")
            constraints += [charging >= 0, charging <= 1, into[lossy] <= cp.multiply(most_in[lossy], charging)]
            constraints.append(out[lossy] <= cp.multiply(most_out[lossy], 1 - charging))
            integers.append(charging)
        spent = cp.multiply(1.0 / storage.out, out) - cp.multiply(storage.into, into)
        constraints.append(left == before - step.hours * spent)
        constraints += [up >= 0, down >= 0] if uncertain else [up == 0, down == 0]
        called_more = called_more + cp.multiply(step.hours / storage.out, up)
        called_less = called_less + cp.multiply(step.hours / storage.out, down)
        constraints += [left - called_more >= storage.least, left + called_less <= storage.most]
        energy.append(left)
        more.append(up)
        less.append(down)
        before = left
    constraints.append(energy[-1] - called_more >= storage.end)
    return tuple(integers), constraints, tuple(energy), tuple(more), tuple(less)


def sums(storage: Storage, step: Step) -> Floats:
    """(K, P) takes the parts of the generators to the whole of each that has an energy."""
    return np.asarray(step.generators.of_part[None, :] == storage.generator[:, None], dtype=np.float64)
