"""Plans of a day, and the vector that a plan is to the two-stage methods.

The vector is [states of branches, positions of devices one-hot, units on, active and reactive generation, charge,
discharge and reactive power of stores, demand moved in time], each row by row of the periods. What is fixed or left to
the recourse takes no entries; what is decided once takes one row. Only the first three are whole numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import cvxpy as cp
import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.network.day import DayPlan
from openpoint.network.devices import DeviceKind, Devices
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, Resource


@dataclass(frozen=True)
class DayParts:
    """The parts of a decision, as expressions or numbers.

    Attributes:
        closed: (rows, E). chosen: (rows, K) positions of the devices but units, one-hot. on: (T, D) of the units that
            may stop. p, q: (T, G). charge, discharge, store_q: (T, B). shift: (T, M) at the terminals that may shift.
    """

    closed: cp.Expression
    chosen: cp.Expression
    on: cp.Expression
    p: cp.Expression
    q: cp.Expression
    charge: cp.Expression
    discharge: cp.Expression
    store_q: cp.Expression
    shift: cp.Expression

    @property
    def in_order(self) -> tuple[cp.Expression, ...]:
        """All of them, in the order of the vector."""
        schedule = (self.p, self.q, self.charge, self.discharge, self.store_q, self.shift)
        return (self.closed, self.chosen, self.on, *schedule)


@dataclass(frozen=True)
class DayLayout:
    """Where the parts of a plan stand in a decision.

    Attributes:
        question: what is asked.
    """

    question: DayQuestion

    @cached_property
    def settable(self) -> Ints:
        """Numbers of the devices that have positions in a decision: all but units, none where they are fixed."""
        devices = self.question.devices
        fixed = self.question.positions is Cadence.FIXED
        return np.flatnonzero((devices.kind != DeviceKind.UNIT) & (not fixed))

    @cached_property
    def set_devices(self) -> Devices:
        """The devices of `settable`."""
        return self.question.devices.only(self.settable)

    @cached_property
    def units(self) -> Ints:
        """Numbers of the devices that are units."""
        return self.question.devices.of(DeviceKind.UNIT)

    @cached_property
    def shifting(self) -> Ints:
        """Terminals whose demand may move in time."""
        day = self.question.day
        load = (day.load_power + day.load_current + day.load_impedance).real
        return np.flatnonzero((day.demand.shift_time > 0.0) & (load.max(axis=0, initial=0.0) > 0.0))

    @cached_property
    def shapes(self) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the parts, in the order of `DayParts`."""
        question, day = self.question, self.question.day
        rows = {Cadence.FIXED: 0, Cadence.ONCE: 1, Cadence.HOURLY: day.periods}
        count = day.periods
        scheduled = [0 if owner in question.recourse else width for owner, width in self.schedule]
        return (
            (rows[question.topology], question.network.n_conductors),
            (rows[question.positions], int(self.set_devices.sizes.sum())),
            (count, len(self.units)),
            *((count, width) for width in scheduled),
        )

    @cached_property
    def schedule(self) -> tuple[tuple[Resource, int], ...]:
        """Resource and columns of p, q, charge, discharge, store_q and shift, whenever they are decided."""
        generators, stores = len(self.question.network.generator_names), self.question.day.stores.count
        owners = (*(Resource.GENERATORS,) * 2, *(Resource.STORES,) * 3, Resource.SHIFT)
        return tuple(zip(owners, (generators, generators, stores, stores, stores, len(self.shifting)), strict=True))

    @cached_property
    def late(self) -> tuple[int, ...]:
        """Columns of what the recourse decides of p, q, charge, discharge, store_q and shift, T rows each."""
        return tuple(width if owner in self.question.recourse else 0 for owner, width in self.schedule)

    @cached_property
    def ends(self) -> tuple[int, ...]:
        """The entry after the last of each part."""
        return tuple(np.cumsum([math.prod(shape) for shape in self.shapes]).tolist())

    @property
    def size(self) -> int:
        """Entries of a decision; one, always 0, where nothing is decided before."""
        return max(1, self.ends[-1])

    @property
    def whole(self) -> int:
        """Number of entries that are whole numbers; they come first."""
        return self.ends[2]

    def variables(self) -> DayParts:
        """The parts as variables."""
        names = ("closed", "chosen", "on", "p", "q", "charge", "discharge", "store_q", "shift")
        return DayParts(*(cp.Variable(shape, name=name) for shape, name in zip(self.shapes, names, strict=True)))

    def joined(self, parts: DayParts) -> cp.Expression:
        """The decision made of its parts."""
        some = [cp.vec(part, order="C") for part in parts.in_order if part.size]
        return cp.hstack(some) if some else cp.Constant(np.zeros(1))

    def split(self, decision: cp.Expression) -> DayParts:
        """The parts of a decision."""
        starts = (0, *self.ends)
        return DayParts(
            *(
                cp.reshape(decision[start:end], shape, order="C") if end > start else cp.Constant(np.zeros(shape))
                for start, end, shape in zip(starts, self.ends, self.shapes, strict=False)
            )
        )

    # Plans

    def completed(self, plan: DayPlan, own: Floats) -> DayPlan:
        """The plan with what the recourse decides of the schedule: the parts of `late`, row by row of the periods."""
        periods, start, found = self.question.day.periods, 0, list[Floats]()
        for width in self.late:
            found.append(own[start : start + periods * width].reshape(periods, width))
            start += periods * width
        p, q, charge, discharge, store_q, shift = found
        if p.size:
            plan = replace(plan, generation=p + 1j * q)
        if charge.size:
            plan = replace(plan, charge=charge, discharge=discharge, store_q=store_q)
        if shift.size:
            moved = np.zeros((periods, self.question.network.n_terminals))
            moved[:, self.shifting] = shift
            plan = replace(plan, shift=moved)
        return plan

    def decision(self, plan: DayPlan) -> Floats:
        """The decision that is a plan."""
        question, devices = self.question, self.question.devices
        one_hot = [
            np.eye(size)[plan.positions[:, d]] for d, size in zip(self.settable, self.set_devices.sizes, strict=True)
        ]
        on = np.column_stack(
            [np.empty((question.day.periods, 0)), *(devices.values[d][plan.positions[:, d]] for d in self.units)]
        )
        blocks = (
            plan.closed.astype(np.float64),
            np.column_stack([np.empty((question.day.periods, 0)), *one_hot]),
            on,
            plan.generation.real,
            plan.generation.imag,
            plan.charge,
            plan.discharge,
            plan.store_q,
            plan.shift[:, self.shifting],
        )
        return np.concatenate(
            [block[: shape[0], : shape[1]].ravel() for block, shape in zip(blocks, self.shapes, strict=True)]
        )

    def plan(self, decision: Floats) -> DayPlan:
        """The plan of a decision: whole numbers rounded; what is left to the recourse is 0, or as today."""
        question, devices, periods = self.question, self.question.devices, self.question.day.periods
        parts = [
            decision[start:end].reshape(shape)
            for start, end, shape in zip((0, *self.ends), self.ends, self.shapes, strict=False)
        ]
        closed = parts[0] > 0.5 if len(parts[0]) else question.network.closed[None, :]
        positions = np.tile(devices.today, (periods, 1))
        sizes = self.set_devices.sizes
        for d, last, size in zip(self.settable, np.cumsum(sizes), sizes, strict=True):
            positions[:, d] = parts[1][:, last - size : last].argmax(axis=1)
        for column, d in enumerate(self.units):
            positions[:, d] = np.abs(devices.values[d] - parts[2][:, [column]]).argmin(axis=1)
        generation = np.zeros((periods, len(question.network.generator_names)), dtype=np.complex128)
        stores, shift = (
            np.zeros((3, periods, question.day.stores.count)),
            np.zeros((periods, question.network.n_terminals)),
        )
        if parts[3].size:
            generation = parts[3] + 1j * parts[4]
        if parts[5].size:
            stores = np.array(parts[5:8])
        if parts[8].size:
            shift[:, self.shifting] = parts[8]
        return DayPlan(
            np.tile(closed, (periods // len(closed), 1)), positions, generation, stores[0], stores[1], stores[2], shift
        )
