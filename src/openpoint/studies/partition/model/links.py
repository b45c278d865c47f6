"""What links the steps of partitioning: switches that move one by one, blocks that stay on, energy in store.

A switch has a state in dead parts, too, which `closed` (0 there) does not tell. Where switch actions count, `state` is
binary beside it: equal to `closed` where an end is energised, free where both are dead,

    closed ≤ state ≤ closed + (1 − live) at both ends,      Σ |state_t − state_{t−1}| ≤ N over switches no event holds

Storage is linked by its energy, see `storage`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import cvxpy as cp
import numpy as np

from openpoint.arrays import Bools
from openpoint.studies.partition.model.storage import Storage, stored

if TYPE_CHECKING:
    from openpoint.studies.partition.model.step import Step
    from openpoint.studies.partition.model.topology import Topology


@final
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


@final
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
    states, moved = _states(links, steps, topologies)
    kept = _kept_energised(links, steps, topologies) if links.keep_energised else []
    store = stored(links.storage, steps, p, uncertain=uncertain)
    return Linked(
        integers=(*states, *store.integers),
        constraints=[*moved, *kept, *store.constraints],
        state=states,
        more=store.more,
        less=store.less,
        energy=store.energy,
    )


def _kept_energised(links: Links, steps: tuple[Step, ...], topologies: list[Topology]) -> list[cp.Constraint]:
    """live_t ≥ live_{t−1} − fault_t: a block that is energised stays so unless it has a fault."""
    first = np.zeros(steps[0].blocks.count) if links.live is None else links.live
    live = [cp.Constant(first * 1.0), *(each.live for each in topologies)]
    return [after >= before - step.locks.dead for step, before, after in zip(steps, live, live[1:])]


def _states(
    links: Links, steps: tuple[Step, ...], topologies: list[Topology]
) -> tuple[tuple[cp.Variable, ...], list[cp.Constraint]]:
    """States and their constraints; none where nothing asks for them."""
    if not links.stated:
        return (), []
    before: cp.Expression = cp.Constant(state_before(links, steps[0]) * 1.0)
    states, constraints = [], list[cp.Constraint]()
    for step, topology in zip(steps, topologies):
        state = cp.Variable(len(step.blocks.switches), name="state")
        constraints += [
            *_state_of_dead(step, topology, state),
            *_events(step, state),
            *_switching_actions(links, step, before, state),
        ]
        states.append(state)
        before = state
    return tuple(states), constraints


def _state_of_dead(step: Step, topology: Topology, state: cp.Variable) -> list[cp.Constraint]:
    """closed ≤ state ≤ closed + (1 − live) at both ends."""
    ends = step.blocks.fr, step.blocks.to
    return [
        state >= topology.closed,
        state <= 1,
        *(state <= topology.closed + 1 - topology.live[end] for end in ends),
    ]


def _events(step: Step, state: cp.Variable) -> list[cp.Constraint]:
    """Switches that an event holds open have state 0, those that one holds closed 1."""
    held = np.flatnonzero(step.locks.open), np.flatnonzero(step.locks.closed)
    return [state[switches] == value for value, switches in enumerate(held) if len(switches)]


def _switching_actions(links: Links, step: Step, before: cp.Expression, state: cp.Variable) -> list[cp.Constraint]:
    """Σ |state_t − state_{t−1}| ≤ N over the switches that no event holds."""
    free = np.flatnonzero(~(step.locks.open | step.locks.closed))
    if links.max_actions is None or not len(free):
        return []
    moves = cp.Variable(len(free), name="moves")
    return [
        moves >= state[free] - before[free],
        moves >= before[free] - state[free],
        cp.sum(moves) <= links.max_actions,
    ]


def state_before(links: Links, step: Step) -> Bools:
    """(S) state of the switches before the first step."""
    return today(step) if links.state is None else links.state


def today(step: Step) -> Bools:
    """(S) today's state of the switches."""
    first = np.unique(step.network.conductor_branch, return_index=True)[1]
    return np.asarray(step.network.closed[first][step.blocks.switches])
