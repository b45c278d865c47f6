"""Links between the steps of partitioning: switches that move one by one, blocks that stay on, energy in store.

A switch has a state in de-energised parts, too, which `closed` (0 there) does not tell. Where switch actions count,
`state` is binary beside it: equal to `closed` where an end is energised, free where both are de-energised,

    closed ≤ state ≤ closed + (1 − energised) at both ends,   Σ |state_t − state_{t−1}| ≤ N over switches no event holds

Storage is linked by its energy, see `storage`.

Storage in partitioning: its energy from step to step, and reserves for what the loads may ask of it.

**Storage** is a generator with an energy. With d and c what it delivers and takes, h the hours and η the efficiencies,

    p̂ = d − c,     e_t = e_{t−1} − h (d / η_out − η_in c),      not both at once (binary where η_in η_out < 1)

When loads deviate it may deliver more or take more than scheduled, by no more than the reserves r⁺ and r⁻ that the plan
sets aside for the step. A kW more costs at most h / η_out of energy and a kW less saves at most as much, so that

    e_t − Σ_{s ≤ t} h r⁺ / η_out ≥ e_min,      e_t + Σ_{s ≤ t} h r⁻ / η_out ≤ e_max

keep the energy within its limits whatever reserves are called, in any order: the recourse of a step needs to know
nothing of the others, least of all of those to come. Where no load is uncertain there are no reserves.

Theory: docs/methods.md M34.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network import Network
from openpoint.network.blocks import Blocks
from openpoint.solvers.modelling import cp

if TYPE_CHECKING:
    from openpoint.studies.partition.model.step import Step, Topology


@final
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


@final
@dataclass(frozen=True)
class Stored:
    """Variables and constraints of storage; without storage there are none.

    Attributes:
        integers: the integer variables. constraints: linear.
        energy: (K) at the end of each step. more, less: (K) reserves, a variable a step.
    """

    integers: tuple[cp.Variable, ...]
    constraints: list[cp.Constraint]
    energy: tuple[cp.Variable, ...]
    more: tuple[cp.Variable, ...]
    less: tuple[cp.Variable, ...]


def stored(storage: Storage, steps: tuple[Step, ...], p: list[cp.Variable], *, uncertain: bool) -> Stored:
    """The storage of T steps.

    Args:
        p: (P) set-points, T. uncertain: whether loads may deviate, so that there are reserves.
    """
    if not storage.count:
        return Stored((), [], (), (), ())
    constraints: list[cp.Constraint] = []
    integers, energy, more, less = [], [], [], []
    before: cp.Expression = cp.Constant(storage.start)
    called_more, called_less = cp.Constant(np.zeros(storage.count)), cp.Constant(np.zeros(storage.count))
    for step, set_point in zip(steps, p):
        out, into, left, up, down = (
            cp.Variable(storage.count, name=name) for name in ("out", "into", "energy", "more", "less")
        )
        of = sums(storage, step)
        most = of @ np.maximum(step.network.p_max, 0.0), of @ np.maximum(-step.network.p_min, 0.0)
        charging, exclusive = _one_way(storage, out, into, most)
        called_more = called_more + cp.multiply(step.hours / storage.out, up)
        called_less = called_less + cp.multiply(step.hours / storage.out, down)
        constraints += [
            *_power(of @ set_point, out, into, most),
            *exclusive,
            *_energy_balance(storage, step.hours, before, left, out, into),
            *([up >= 0, down >= 0] if uncertain else [up == 0, down == 0]),
            *_energy_limits(storage, left, called_more, called_less),
        ]
        integers += charging
        energy.append(left)
        more.append(up)
        less.append(down)
        before = left
    constraints.append(energy[-1] - called_more >= storage.end)
    return Stored(tuple(integers), constraints, tuple(energy), tuple(more), tuple(less))


def _power(p: cp.Expression, out: cp.Variable, into: cp.Variable, most: tuple[Floats, Floats]) -> list[cp.Constraint]:
    """p̂ = d − c, 0 ≤ d ≤ d̄, 0 ≤ c ≤ c̄."""
    return [out >= 0, out <= most[0], into >= 0, into <= most[1], p == out - into]


def _one_way(
    storage: Storage, out: cp.Variable, into: cp.Variable, most: tuple[Floats, Floats]
) -> tuple[list[cp.Variable], list[cp.Constraint]]:
    """c ≤ c̄ z, d ≤ d̄ (1 − z), z binary: not both at once, where both at once would waste energy."""
    lossy = np.flatnonzero(storage.into * storage.out < 1.0)
    if not len(lossy):
        return [], []
    charging = cp.Variable(len(lossy), name="charging")
    return [charging], [
        charging >= 0,
        charging <= 1,
        into[lossy] <= cp.multiply(most[1][lossy], charging),
        out[lossy] <= cp.multiply(most[0][lossy], 1 - charging),
    ]


def _energy_balance(
    storage: Storage, hours: float, before: cp.Expression, left: cp.Variable, out: cp.Variable, into: cp.Variable
) -> list[cp.Constraint]:
    """e_t = e_{t−1} − h (d / η_out − η_in c)."""
    spent = cp.multiply(1.0 / storage.out, out) - cp.multiply(storage.into, into)
    return [left == before - hours * spent]


def _energy_limits(
    storage: Storage, left: cp.Variable, called_more: cp.Expression, called_less: cp.Expression
) -> list[cp.Constraint]:
    """e_t − Σ_{s ≤ t} h r⁺ / η_out ≥ e_min, e_t + Σ_{s ≤ t} h r⁻ / η_out ≤ e_max: whatever reserves are called."""
    return [left - called_more >= storage.least, left + called_less <= storage.most]


def sums(storage: Storage, step: Step) -> Floats:
    """(K, P) takes the parts of the generators to the whole of each that has an energy."""
    return np.asarray(step.generators.of_part[None, :] == storage.generator[:, None], dtype=np.float64)


@final
@dataclass(frozen=True)
class Links:
    """The links between steps.

    Attributes:
        storage: generators with an energy.
        max_actions: most switches that change their state in a step, from today's on; None is no limit.
        keep_energised: whether a block that is energised stays so unless it has a fault.
        stated: whether the states of switches in de-energised parts are decided, too: where actions count, or events
            hold a switch closed.
        state: (S) of the switches before the first step; None is today's.
        energised: (B) blocks that are energised before it; None is none of them.
    """

    storage: Storage
    max_actions: int | None = None
    keep_energised: bool = False
    stated: bool = False
    state: Bools | None = None
    energised: Bools | None = None

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
    """energised_t ≥ energised_{t−1} − fault_t: a block that is energised stays so unless it has a fault."""
    first = np.zeros(steps[0].blocks.count) if links.energised is None else links.energised
    energised = [cp.Constant(first * 1.0), *(each.energised for each in topologies)]
    return [after >= before - step.locks.faulted for step, before, after in zip(steps, energised, energised[1:])]


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
    """closed ≤ state ≤ closed + (1 − energised) at both ends."""
    ends = step.blocks.fr, step.blocks.to
    return [
        state >= topology.closed,
        state <= 1,
        *(state <= topology.closed + 1 - topology.energised[end] for end in ends),
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
    return today(step.network, step.blocks) if links.state is None else links.state


def today(network: Network, blocks: Blocks) -> Bools:
    """(S) today's state of the switches."""
    first = np.unique(network.conductor_branch, return_index=True)[1]
    return np.asarray(network.closed[first][blocks.switches])
