"""The first stage of a day: what is decided before the realisation is known, its constraints and cost, and as arrays.

Where the recourse of a period knows no other period, the first stage is all that links them: contents of stores,
ramps, starts, and demand that moves in time. It is compiled once for given states of the branches.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations import schedule
from openpoint.formulations.devices import one_position
from openpoint.network.day import DayPlan
from openpoint.network.devices import DeviceKind, Devices
from openpoint.solvers.base import StandardForm
from openpoint.solvers.bounds import KnownColumns, settled
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.day.model.hour_block import hour_device_numbers, hour_devices, slice_of
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.twostage.recourse.compile import compile_model


@dataclass(frozen=True)
class DayParts:
    """The parts of a decision; those without entries have no columns.

    Attributes:
        chosen: (rows, K) positions of the devices but units, one-hot; one row where they are decided once.
        on: (T, D) of the units that may stop. p, q: (T, G). charge, discharge, store_q: (T, B).
        shift: (T, M) at the terminals that may shift.
    """

    chosen: cp.Variable
    on: cp.Variable
    p: cp.Variable
    q: cp.Variable
    charge: cp.Variable
    discharge: cp.Variable
    store_q: cp.Variable
    shift: cp.Variable


@dataclass(frozen=True)
class DayLayout:
    """Sizes of the parts of a decision.

    Attributes:
        question: what is asked.
    """

    question: DayQuestion

    @cached_property
    def set_devices(self) -> Devices:
        """The devices that have positions in a decision: all but units, none where they are fixed."""
        devices, fixed = self.question.devices, self.question.positions is Cadence.FIXED
        return devices.only(np.flatnonzero((devices.kind != DeviceKind.UNIT) & (not fixed)))

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

    def variables(self) -> DayParts:
        """The parts as variables."""
        question, periods = self.question, self.question.day.periods
        rows = {Cadence.FIXED: 0, Cadence.ONCE: 1, Cadence.HOURLY: periods}[question.positions]
        generators, stores = len(question.network.generator_names), question.day.stores.count
        sizes = {
            "chosen": (rows, int(self.set_devices.sizes.sum())),
            "on": (periods, len(self.units)),
            **dict.fromkeys(("p", "q"), (periods, generators)),
            **dict.fromkeys(("charge", "discharge", "store_q"), (periods, stores)),
            "shift": (periods, len(self.shifting)),
        }
        return DayParts(**{name: cp.Variable(shape, name=name) for name, shape in sizes.items()})


@dataclass(frozen=True)
class Block:
    """Constraints that belong together, with their cost in $."""

    constraints: list[cp.Constraint]
    cost: cp.Expression


def first_stage(layout: DayLayout, parts: DayParts) -> tuple[Block, ...]:
    """All that is decided before, for given states of the branches; whole numbers are relaxed."""
    return positions(layout, parts), commitment(layout, parts), storage(layout, parts), shifting(layout, parts)


def units_on(layout: DayLayout, on: cp.Expression) -> cp.Expression:
    """(T, G) 1 where a generator is on, of (T, D) the units that may stop; the others always are."""
    question = layout.question
    place, count = question.devices.place[layout.units], len(question.network.generator_names)
    always = np.ones((question.day.periods, count))
    always[:, place] = 0.0
    at = sp.csr_array((np.ones(len(place)), (np.arange(len(place)), place)), shape=(len(place), count))
    return on @ at + always


def positions(layout: DayLayout, parts: DayParts) -> Block:
    """One position for every device that is set, and the cost of moves."""
    if not parts.chosen.size:
        return Block([], cp.Constant(0.0))
    rows, devices, question = range(parts.chosen.shape[0]), layout.set_devices, layout.question
    constraints = [each for row in rows for each in one_position(devices, parts.chosen[row])]
    moves, linked = schedule.moves(devices.one_hot(devices.today), parts.chosen, question.cost.move)
    return Block([*constraints, *linked], question.network.s_base_kva * moves)


def commitment(layout: DayLayout, parts: DayParts) -> Block:
    """Generators: on or off, starts; their output within its ranges, ramps and inverters; squares of outputs."""
    question, day = layout.question, layout.question.day
    net, cost, hours = question.network, question.cost, day.hours
    if not len(net.generator_names):
        return Block([], cp.Constant(0.0))
    on = units_on(layout, parts.on)
    start, stop, constraints = schedule.starts(day.units, on)
    constraints += schedule.unit_ranges(net, day.unit_available, on, parts.p, parts.q)
    constraints += schedule.ramps(net, day.units, hours, parts.p, start, stop)
    constraints += schedule.disc(parts.p, parts.q, question.supply.generator_s_max, on)
    constraints += [parts.on >= 0, parts.on <= 1] if parts.on.size else []
    price = hours @ on @ cost.idle + cp.sum(start @ day.units.start) + hours @ parts.p @ cost.generator
    if cost.square.any():
        cone, linked, priced = schedule.squares(parts.p, cost.square, on)
        constraints += [*linked, cone.constraint()]
        price = price + hours @ priced
    return Block(constraints, net.s_base_kva * price)


def storage(layout: DayLayout, parts: DayParts) -> Block:
    """Stores: powers, contents, reactive power, wear."""
    question = layout.question
    stores, hours = question.day.stores, question.day.hours
    if not stores.count:
        return Block([], cp.Constant(0.0))
    rated = stores.present(len(hours)) & (stores.s_max > 0.0)
    _, contents = schedule.store_contents(stores, hours, parts.charge, parts.discharge)
    constraints = [
        *schedule.store_powers(stores, parts.charge, parts.discharge),
        *contents,
        *schedule.disc(parts.charge - parts.discharge, parts.store_q, stores.s_max, rated),
    ]
    if not rated.all():
        constraints.append(cp.vec(parts.store_q, order="C")[np.flatnonzero(~rated)] == 0)
    return Block(constraints, question.network.s_base_kva * (hours @ parts.discharge @ stores.wear))


def shifting(layout: DayLayout, parts: DayParts) -> Block:
    """Demand that moves in time, and its price."""
    question, day, some = layout.question, layout.question.day, layout.shifting
    if not len(some):
        return Block([], cp.Constant(0.0))
    load = (day.load_power + day.load_current + day.load_impedance).real
    moved, counted = schedule.moved_away(parts.shift)
    share, energy = day.demand.shift_time[some], day.demand.moved_over_day[some]
    constraints = [*schedule.shifts_in_time(share, load[:, some], day.hours, parts.shift, energy), *counted]
    return Block(constraints, question.network.s_base_kva * (day.hours @ moved @ day.demand.shift_price[some]))


@dataclass(frozen=True)
class DaySchedule:
    """The first stage, with θ for the risk of the recourse, in standard form.

    Attributes:
        form: min f + θ. theta: its column.
        slice: (T, width) column of the first stage that the period sees, −1 where it is a number.
        number: (T, width) that number, nan where it is a column.
        on: (T, G) column that tells whether a generator runs, −1 where it does not stop. integers: columns that have to
            be whole: `on`, and positions of devices.
        feasible: whether the rows without columns hold.
    """

    form: StandardForm
    theta: int
    slice: Ints
    number: Floats
    on: Ints
    integers: Ints
    feasible: bool


def day_schedule(question: DayQuestion, closed: Bools, unit: float) -> DaySchedule:
    """The first stage for (T, E) states of the branches; `unit`: $ that count as 1 in the form, θ included."""
    layout = DayLayout(question)
    parts = layout.variables()
    blocks = first_stage(layout, parts)
    constraints = [each for block in blocks for each in block.constraints]
    theta, value = cp.Variable(1), cp.Variable()
    constraints.append(value >= theta)  # without this row the solver ends at another of several equal plans
    operated = np.diff(np.vstack([question.network.closed, closed]).astype(np.float64), axis=0)
    switching = question.network.s_base_kva * question.cost.change * float(np.abs(operated).sum())
    own = [part for part in vars(parts).values() if part.size]
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

    def of(part: cp.Variable) -> Ints:
        """(T, width) columns of the compiled form; what is decided once has the same in all periods."""
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
        int(number[form.of(theta)][0]),
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


def one_way(question: DayQuestion, charge: Floats, discharge: Floats) -> tuple[Floats, Floats]:
    """Charge and discharge of which one is 0, with the same change of the content, which draws less from the grid."""
    stores = question.day.stores
    both = stores.charge_efficiency * stores.discharge_efficiency
    charge, discharge = np.clip(charge, 0.0, stores.charge_max), np.clip(discharge, 0.0, stores.discharge_max)
    cycled = np.minimum(charge, discharge / np.where(both > 0, both, 1.0))
    left = np.where((cycled < charge) & (both > 0), 0.0, np.maximum(discharge - both * cycled, 0.0))
    return charge - cycled, left


def balanced(hours: Floats, shift: Floats, energy: Floats) -> Floats:
    """Demand moved in time, (T, N), that adds up to an energy (N) up to rounding, not to the tolerance of a solver."""
    used = np.abs(shift)
    share = np.where(used.any(axis=0), used, 1.0)
    return np.asarray(shift - share * (hours @ shift - energy) / (hours @ share))
