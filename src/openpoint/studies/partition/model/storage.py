"""Storage in partitioning: its energy from step to step, and reserves for what the loads may ask of it.

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
from typing import TYPE_CHECKING, final

import cvxpy as cp
import numpy as np

from openpoint.arrays import Floats, Ints

if TYPE_CHECKING:
    from openpoint.studies.partition.model.step import Step


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
