"""The first stage of a day as arrays: what is scheduled, and which of its columns a period sees.

Where the recourse of a period knows no other period, the first stage is all that links them: contents of stores,
ramps, starts, and demand that moves in time. It is compiled once for given states of branches; entries of them that
are not given are columns between 0 and 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.formulations import schedule as blocks
from openpoint.network.day import DayPlan
from openpoint.network.day_demand import nominal_load
from openpoint.network.devices import DeviceKind
from openpoint.solvers.form import StandardForm
from openpoint.solvers.known import KnownColumns, settled
from openpoint.studies.dispatch.day.model.hour_block import hour_device_numbers, hour_devices, slice_of
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


class _Parts:
    """The variables of the first stage by period, rows of (T, ·) expressions."""

    def __init__(self, question: DayQuestion) -> None:
        net, day = question.network, question.day
        t, g, b = day.periods, len(net.generator_names), day.stores.count
        self.shifts = np.flatnonzero(day.demand.shift_time > 0.0)
        self.p, self.q, self.on = (cp.Variable((t, g)) if g else None for _ in range(3))
        self.charge, self.discharge, self.store_q = (cp.Variable((t, b)) if b else None for _ in range(3))
        self.shift = cp.Variable((t, len(self.shifts))) if len(self.shifts) else None


def day_schedule(
    question: DayQuestion, closed: Floats, risk: ProbabilitySet | None, days: int, unit: float
) -> DaySchedule:
    """Compile the first stage.

    Args:
        question: of the day. closed: (T, E) states of branches, nan where they are decided; with a topology for the
            whole day every period has the same.
        risk: of the costs of `days` scenario days; None for the greatest of all, one θ.
        days: number of θ. unit: $ that count as 1 in the form, θ included.
    """
    parts = _Parts(question)
    state, topology, change = _branches(question, closed)
    chosen, positions, moves = _positions(question)
    constraints, costs = [*topology, *positions], [change, moves]
    for block in (_generators, _stores, _shifts):
        kept, cost = block(question, parts)
        constraints += kept
        costs.append(cost)
    theta, value = cp.Variable(days), cp.Variable()
    if risk is None:
        constraints.append(value >= theta)
    else:
        rho, kept = risk.block(theta)
        constraints += [*kept, value >= rho]
    own = [v for v in (*vars(parts).values(), state, chosen) if isinstance(v, cp.Variable)]
    form = compile_model(cp.sum(cp.hstack(costs)) / unit + value, constraints, also=(*own, theta))
    return _arranged(question, closed, form, parts, (state, chosen), theta)


_Block = tuple[list[cp.Constraint], cp.Expression]


def _branches(question: DayQuestion, closed: Floats) -> tuple[cp.Variable | None, list[cp.Constraint], cp.Expression]:
    """(T, E) states where some are free, their constraints, and the cost of switching."""
    net, cost = question.network, question.cost
    price = net.s_base_kva * cost.change
    first = net.closed.astype(np.float64)
    if not np.isnan(closed).any():
        steps = np.abs(np.diff(np.vstack([first, closed]), axis=0))
        return None, [], cp.Constant(price * float(steps.sum()))
    state = cp.Variable(closed.shape)
    known = ~np.isnan(closed)
    trees = net.n_terminals - len(net.source_terminal)
    constraints: list[cp.Constraint] = [state >= 0, state <= 1, cp.sum(state, axis=1) == trees]
    constraints.append(state[known] == closed[known])
    if question.topology is not Cadence.HOURLY:
        constraints.append(state[1:] == state[:-1])
    operated, kept = blocks.operations(net.closed, state)
    if question.max_changes is not None:
        constraints.append(cp.sum(operated) <= question.max_changes)
    return state, [*constraints, *kept], price * cp.sum(operated)


def _positions(question: DayQuestion) -> tuple[cp.Variable | None, list[cp.Constraint], cp.Expression]:
    """(T, K) positions one-hot of the devices that a period sees, None where there are none, their constraints, and the
    cost of moves."""
    devices, periods = hour_devices(question), question.day.periods
    if not devices.count:
        return None, [], cp.Constant(0.0)
    count = int(devices.sizes.sum())
    chosen = cp.Variable((periods, count))
    owner = np.repeat(np.arange(devices.count), devices.sizes)
    every = sp.csr_array((np.ones(count), (np.arange(count), owner)), shape=(count, devices.count))
    constraints: list[cp.Constraint] = [chosen >= 0, chosen <= 1, chosen @ every == 1]
    today = devices.one_hot(devices.today)
    if question.positions is Cadence.FIXED:
        constraints.append(chosen == np.tile(today, (periods, 1)))
    if question.positions is Cadence.ONCE:
        constraints.append(chosen[1:] == chosen[:-1])
    moves, kept = blocks.moves(today, chosen, question.cost.move)
    return chosen, [*constraints, *kept], question.network.s_base_kva * moves


def _generators(question: DayQuestion, parts: _Parts) -> _Block:
    """Ranges, inverters, ramps and starts of the generators, and what they cost whatever comes."""
    net, day, cost = question.network, question.day, question.cost
    if parts.p is None or parts.q is None or parts.on is None:
        return [], cp.Constant(0.0)
    stops = np.zeros(len(net.generator_names), dtype=np.bool_)
    stops[question.devices.place[question.devices.of(DeviceKind.UNIT)]] = True
    on, p, q, h = parts.on, parts.p, parts.q, day.hours
    constraints: list[cp.Constraint] = [on >= 0, on <= 1]
    constraints += [on[:, g] == 1 for g in np.flatnonzero(~stops)]
    start, stop, kept = blocks.starts(day.units, on)
    priced = cp.sum(h @ (on @ sp.diags_array(cost.idle))) + cp.sum(start @ day.units.start)
    constraints += kept
    constraints += blocks.unit_ranges(net, day.unit_available, on, p, q)
    constraints += blocks.ramps(net, day.units, h, p, start, stop)
    priced += h @ (p @ cost.generator)
    for g in np.flatnonzero(np.isfinite(question.supply.generator_s_max)):
        constraints.append(cp.SOC(question.supply.generator_s_max[g] * on[:, g], cp.vstack([p[:, g], q[:, g]]), axis=0))
    if len(some := np.flatnonzero(cost.square)):
        square = cp.Variable((day.periods, len(some)))
        for k, g in enumerate(some):
            whole = square[:, k] + on[:, g]
            constraints.append(cp.SOC(whole, cp.vstack([2 * p[:, g], square[:, k] - on[:, g]]), axis=0))
        priced += h @ (square @ cost.square[some])
    return constraints, net.s_base_kva * priced


def _stores(question: DayQuestion, parts: _Parts) -> _Block:
    """Powers, contents and inverters of stores, and their wear."""
    stores, h = question.day.stores, question.day.hours
    if parts.charge is None or parts.discharge is None or parts.store_q is None:
        return [], cp.Constant(0.0)
    charge, discharge, q = parts.charge, parts.discharge, parts.store_q
    _, contents = blocks.store_contents(stores, h, charge, discharge)
    constraints = [*blocks.store_powers(stores, charge, discharge), *contents]
    present = stores.present(len(h))
    for b in range(stores.count):
        rated = present[:, b] & (stores.s_max[b] > 0.0)
        if (~rated).any():
            constraints.append(q[np.flatnonzero(~rated), b] == 0)
        if len(some := np.flatnonzero(rated)):
            net_p = charge[some, b] - discharge[some, b]
            constraints.append(cp.SOC(np.full(len(some), stores.s_max[b]), cp.vstack([net_p, q[some, b]]), axis=0))
    return constraints, question.network.s_base_kva * (h @ (discharge @ stores.wear))


def _shifts(question: DayQuestion, parts: _Parts) -> _Block:
    """Demand that moves in time, and its price."""
    day = question.day
    if parts.shift is None:
        return [], cp.Constant(0.0)
    some = parts.shifts
    load = np.array([nominal_load(day, t).real for t in range(day.periods)])[:, some]
    moved, kept = blocks.moved_away(parts.shift)
    share, energy = day.demand.shift_time[some], day.demand.moved_over_day[some]
    constraints = [*blocks.shifts_in_time(share, load, day.hours, parts.shift, energy), *kept]
    return constraints, question.network.s_base_kva * (day.hours @ (moved @ day.demand.shift_price[some]))


def _arranged(
    question: DayQuestion,
    closed: Floats,
    form: StandardForm,
    parts: _Parts,
    states: tuple[cp.Variable | None, cp.Variable | None],
    theta: cp.Variable,
) -> DaySchedule:
    """The compiled first stage without the columns that are known, and where its parts stand."""
    net, day, layout = question.network, question.day, slice_of(question)
    columns = KnownColumns(len(form.c))
    linear = settled(form, columns)
    rest, constant = columns.applied(sp.csr_array(form.a)[form.n_zero + form.n_nonneg :])
    kept = np.flatnonzero(columns.free)
    number = np.full(len(form.c), -1)
    number[kept] = np.arange(len(kept))

    def of(v: cp.Variable | None, width: int) -> Ints:
        """(T, width) columns of the compiled form, −1 where there is no variable."""
        if v is None:
            return np.full((day.periods, width), -1)
        return form.of(v).reshape((day.periods, width), order="F")

    compiled, value = np.full((day.periods, layout.width), -1), np.zeros((day.periods, layout.width))
    for at, v in (
        (layout.closed, states[0]),
        (layout.chosen, states[1]),
        (layout.p, parts.p),
        (layout.q, parts.q),
        (layout.charge, parts.charge),
        (layout.discharge, parts.discharge),
        (layout.store_q, parts.store_q),
        (layout.shift[parts.shifts], parts.shift),
    ):
        if v is not None:
            compiled[:, at] = of(v, len(at))
    if states[0] is None:
        value[:, layout.closed] = closed
    there = compiled >= 0
    value[there] = columns.constant[compiled[there]]
    column = np.where(there, number[compiled], -1)
    cost, offset = columns.applied(sp.csr_array(form.c[None, :]))
    on = of(parts.on, len(net.generator_names))
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
    """(T, width) what the periods see of a plan."""
    some, devices = hour_device_numbers(question), hour_devices(question)
    chosen = np.array([devices.one_hot(positions[some]) for positions in plan.positions])
    p, q = plan.generation.real, plan.generation.imag
    parts = plan.closed.astype(np.float64), chosen, p, q, plan.charge, plan.discharge, plan.store_q, plan.shift
    return np.concatenate(parts, axis=1)
