"""The first stage of a day as arrays: what is scheduled, and which of its columns appear in a period.

Where the recourse of a period knows no other period, the first stage is all that links them: contents of stores,
ramps, starts, and demand that moves in time. It is that of `first_stage`, with inverters as cones, compiled once for
given states of the branches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network.day import DayPlan
from openpoint.network.devices import DeviceKind
from openpoint.solvers.base import StandardForm
from openpoint.solvers.known import KnownColumns, settled
from openpoint.studies.dispatch.day.model import first_stage as first
from openpoint.studies.dispatch.day.model.hour_block import hour_device_numbers, hour_devices, slice_of
from openpoint.studies.dispatch.day.model.layout import DayLayout, DayParts
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.model.tidy import balanced, one_way
from openpoint.twostage.ambiguity import ProbabilitySet
from openpoint.twostage.recourse.compile import compile_model


@dataclass(frozen=True)
class DaySchedule:
    """The first stage, with θ for the recourse of K days, in standard form.

    Attributes:
        form: min f + risk(θ). theta: (K) columns.
        slice: (T, width) column of the first stage that the period sees, −1 where it is a number.
        number: (T, width) that number, nan where it is a column.
        on: (T, G) column that tells whether a generator runs, −1 where it does not stop. integers: columns that have to
            be whole: `on`, and positions of devices.
        feasible: whether the rows without columns hold.
    """

    form: StandardForm
    theta: Ints
    slice: Ints
    number: Floats
    on: Ints
    integers: Ints
    feasible: bool


def day_schedule(
    question: DayQuestion, closed: Bools, risk: ProbabilitySet | None, days: int, unit: float
) -> DaySchedule:
    """Compile the first stage.

    Args:
        question: of the day, its recourse as by default. closed: (T, E) states of the branches.
        risk: of the costs of `days` scenario days; None for the greatest of all, one θ.
        days: number of θ. unit: $ that count as 1 in the form, θ included.
    """
    layout = DayLayout(replace(question, topology=Cadence.FIXED))
    parts = layout.variables()
    blocks = (
        first.positions(layout, parts),
        first.commitment(layout, parts, cones=True),
        first.storage(question, parts.charge, parts.discharge, parts.store_q, directions=False, cones=True),
        first.shifting(layout, parts.shift),
    )
    constraints = [each for block in blocks for each in block.constraints]
    theta, value = cp.Variable(days), cp.Variable()
    if risk is None:
        constraints.append(value >= theta)
    else:
        rho, kept = risk.block(theta)
        constraints += [*kept, value >= rho]
    operated = np.diff(np.vstack([question.network.closed, closed]).astype(np.float64), axis=0)
    switching = question.network.s_base_kva * question.cost.change * float(np.abs(operated).sum())
    own = [part for part in parts.in_order if isinstance(part, cp.Variable) and part.size]
    cost = sum((block.cost for block in blocks), cp.Constant(switching))
    form = compile_model(cost / unit + value, constraints, also=(*own, theta))
    return _arranged(question, closed, form, layout, parts, theta)


def _arranged(
    question: DayQuestion, closed: Bools, form: StandardForm, known: DayLayout, parts: DayParts, theta: cp.Variable
) -> DaySchedule:
    """The compiled first stage without the columns that are known, and where its parts stand."""
    net, day, layout = question.network, question.day, slice_of(question)
    columns = KnownColumns(len(form.c))
    linear = settled(form, columns)
    rest, constant = columns.applied(sp.csr_array(form.a)[form.n_zero + form.n_nonneg :])
    kept = np.flatnonzero(columns.free)
    number = np.full(len(form.c), -1)
    number[kept] = np.arange(len(kept))

    def of(part: cp.Expression) -> Ints:
        """(T, width) columns of the compiled form; what is decided once has the same in all periods."""
        assert isinstance(part, cp.Variable)
        return np.broadcast_to(form.of(part).reshape(part.shape, order="F"), (day.periods, part.shape[1]))

    compiled, value = np.full((day.periods, layout.width), -1), np.zeros((day.periods, layout.width))
    value[:, layout.closed] = closed
    value[:, layout.chosen] = hour_devices(question).one_hot(question.devices.today[hour_device_numbers(question)])
    for at, part in (
        (layout.chosen, parts.chosen),
        (layout.p, parts.p),
        (layout.q, parts.q),
        (layout.charge, parts.charge),
        (layout.discharge, parts.discharge),
        (layout.store_q, parts.store_q),
        (layout.shift[known.shifting], parts.shift),
    ):
        if part.size:
            compiled[:, at] = of(part)
    there = compiled >= 0
    value[there] = columns.constant[compiled[there]]
    column = np.where(there, number[compiled], -1)
    cost, offset = columns.applied(sp.csr_array(form.c[None, :]))
    on = np.full((day.periods, len(net.generator_names)), -1)
    if parts.on.size:
        on[:, question.devices.place[known.units]] = of(parts.on)
    whole = np.concatenate([on.ravel(), compiled[:, layout.chosen].ravel()])
    whole = number[whole[whole >= 0]]
    return DaySchedule(
        StandardForm(
            c=cost.toarray().ravel()[kept],
            offset=form.offset + float(offset[0]),
            a=sp.csc_array(sp.csc_array(sp.vstack([linear.a, rest]))[:, kept]),
            b=np.concatenate([linear.b, form.b[form.n_zero + form.n_nonneg :] - constant]),
            n_zero=linear.n_zero,
            n_nonneg=len(linear.b) - linear.n_zero,
            cones=form.cones,
            integers=np.unique(whole[whole >= 0]),
            columns={},
        ),
        number[form.of(theta)],
        column,
        np.where(column >= 0, np.nan, value),
        np.where(on >= 0, number[on], -1),
        np.unique(whole[whole >= 0]),
        linear.feasible,
    )


def plan_of(question: DayQuestion, schedule: DaySchedule, x: Floats) -> DayPlan:
    """The plan at a point of the first stage: stores in one direction at a time, within their powers."""
    day, layout, devices = question.day, slice_of(question), hour_devices(question)
    slices = np.where(schedule.slice >= 0, np.append(x, 0.0)[schedule.slice], schedule.number)
    t = day.periods
    charge, discharge = one_way(question, slices[:, layout.charge], slices[:, layout.discharge])
    on = np.where(schedule.on >= 0, np.append(x, 0.0)[schedule.on], 1.0)
    generation = np.zeros((t, len(question.network.generator_names)), dtype=np.complex128)
    if len(layout.p):
        generation = slices[:, layout.p] + 1j * slices[:, layout.q]
        generation = np.where(on > 0.5, generation, 0.0)
    positions = np.tile(question.devices.today, (t, 1))
    start = 0
    for d, size in zip(hour_device_numbers(question), devices.sizes, strict=True):
        positions[:, d] = np.argmax(slices[:, layout.chosen[start : start + size]], axis=1)
        start += size
    units = question.devices.of(DeviceKind.UNIT)
    for d in units:
        runs = on[:, question.devices.place[d]] > 0.5
        values = question.devices.values[d]
        positions[:, d] = np.where(runs, int(np.argmax(values)), int(np.argmin(values)))
    return DayPlan(
        closed=slices[:, layout.closed] > 0.5,
        positions=positions,
        generation=generation,
        charge=charge,
        discharge=discharge,
        store_q=slices[:, layout.store_q],
        shift=balanced(day.hours, slices[:, layout.shift], day.demand.moved_over_day),
    )


def slices_of(question: DayQuestion, plan: DayPlan) -> Floats:
    """(T, width) the entries of a plan that appear in each period."""
    some, devices = hour_device_numbers(question), hour_devices(question)
    chosen = np.array([devices.one_hot(positions[some]) for positions in plan.positions])
    p, q = plan.generation.real, plan.generation.imag
    parts = plan.closed.astype(np.float64), chosen, p, q, plan.charge, plan.discharge, plan.store_q, plan.shift
    return np.concatenate(parts, axis=1)
