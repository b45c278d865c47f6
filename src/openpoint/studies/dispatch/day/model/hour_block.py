"""The recourse of one period as arrays, without what given states of branches settle.

The program of `formulations.hour` is compiled once for all periods that differ in numbers alone, over what the period
meets: states of branches, positions, power drawn, load, what is available, by how much limits are tightened. These are
affine in the slice x of the first stage that the period sees and in the realisation u, so that a *template* is a
program over (x, u, y), y all that is decided then. With numbers for a part of x,

    p = q = l = w_fr = w_to = 0 of an open branch,    w_fr = w_a / tap², w_to = w_b of a closed one

leave about half of the columns and rows: a *block*. A branch whose state is no number keeps the products of
`distflow`. What is left does not depend on the realisation but in its right-hand side, so all vertices of a period
share it.

In a soft template limits may be missed: for the least sum of the excesses, or at a price far above all others. Then a
solution always exists, whose value where the limits can be kept is that of the hard one, else still below the cost of
every AC operation that keeps them.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.formulations.devices import DeviceChoice
from openpoint.formulations.flow_ranges import CurrentBounds
from openpoint.formulations.hour import HourDemand, check_uncertain_loads, recourse_flow
from openpoint.formulations.schedule import day_voltage_bounds
from openpoint.network.day import (
    DayPlan,
    HourRecourse,
    movable,
    nominal_load,
    shed_power,
    sheddable,
    sheddable_reactive,
    splits,
    tangent,
)
from openpoint.network.devices import DeviceKind, Devices
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.bounds import KnownColumns, settled, settled_cones
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.twostage.program import parts
from openpoint.twostage.recourse.compile import compile_model

MARGIN = 1e-7
"""Relative margin by which values are lowered: they are exact up to the tolerance of the cone solver."""
INSIDE = 2e-8
"""How far inside what counts as kept of a limit the recourse is aimed at, relative, so that the exact flow keeps it."""
PENALTY = 1e3
"""Price of an excess as large as the limit itself, in costs of a period whose whole load pays the highest price."""
KEPT = 512
"""Blocks of periods and states that a solver of recourses keeps."""


@dataclass(frozen=True)
class Slice:
    """What appears of the first stage in a period: the numbers of its entries in a row of `width`.

    Attributes:
        closed: (E). chosen: (K) positions one-hot of the devices. p, q: (G) of generators.
        charge, discharge, store_q: (B). shift: (N).
    """

    closed: Ints
    chosen: Ints
    p: Ints
    q: Ints
    charge: Ints
    discharge: Ints
    store_q: Ints
    shift: Ints

    @property
    def width(self) -> int:
        """Number of entries."""
        return sum(len(part) for part in vars(self).values())


def slice_of(question: DayQuestion) -> Slice:
    """The layout of a slice."""
    net, g, b = question.network, len(question.network.generator_names), question.day.stores.count
    sizes = [net.n_conductors, int(hour_devices(question).sizes.sum()), g, g, b, b, b, net.n_terminals]
    ends = np.cumsum([0, *sizes])
    return Slice(*(np.arange(first, last) for first, last in itertools.pairwise(ends)))


def hour_device_numbers(question: DayQuestion) -> Ints:
    """Numbers of the devices in the flow of a period: all but units, whose output is scheduled."""
    return np.flatnonzero(question.devices.kind != DeviceKind.UNIT)


def hour_devices(question: DayQuestion) -> Devices:
    """The devices in the flow of a period."""
    return question.devices.only(hour_device_numbers(question))


def slice_at(question: DayQuestion, plan: DayPlan, t: int) -> Floats:
    """(width) the entries of a plan that appear in period t."""
    chosen = hour_devices(question).one_hot(plan.positions[t, hour_device_numbers(question)])
    p, q = plan.generation[t].real, plan.generation[t].imag
    stores = plan.charge[t], plan.discharge[t], plan.store_q[t]
    return np.concatenate([plan.closed[t].astype(np.float64), chosen, p, q, *stores, plan.shift[t]])


# Templates


@dataclass(frozen=True)
class HourTemplate:
    """The recourse of a period over (x, u, y), its cost in $.

    Attributes:
        form: linear rows over all columns. x, u: columns of the slice and of the realisation.
        tight: columns of the shares by which limits are tightened, relative, one for each of the names `limits`.
        slack: columns of the excesses that are allowed; empty where the limits hold.
        cones: columns (u…, s, t) of vectors of cones Σ u² ≤ s t.
        w: (N); flows: p, q, l, w_fr, w_to, (E) each. feed: p, q of the renewable sources. shed: of
            `sheddable`. shed_q: of `sheddable_reactive`. moved: come, leave, reactive of `movable`.
    """

    form: StandardForm
    x: Ints
    u: Ints
    tight: Ints
    limits: tuple[str, ...]
    slack: Ints
    cones: tuple[tuple[Ints, ...], ...]
    w: Ints
    flows: tuple[Ints, ...]
    feed: tuple[Ints, ...] | None
    shed: Ints | None
    shed_q: Ints | None
    moved: tuple[Ints, ...] | None


@dataclass(frozen=True)
class _Structure:
    """A recourse compiled for all periods that differ in numbers alone.

    Attributes:
        template: over what is met and all else; without a slice and a realisation. hours: for which its cost stands.
        met: columns of (E) states, positions one-hot, (2N) power, (2N) load, (N) consumed, (R) available, as in
            `HourDemand`. source, sold, source_q: columns, see `HourFlow`.
    """

    template: HourTemplate
    hours: float
    met: Ints
    source: Ints
    sold: Ints
    source_q: Ints


@dataclass
class HourTemplates:
    """The recourses of the periods, for every topology: compiled when first asked for, and kept.

    Attributes:
        question: of the day. soft: limits may be missed. priced: at a price; else the sum of the excesses, relative,
            takes the place of the cost.
    """

    question: DayQuestion
    soft: bool = False
    priced: bool = False
    _structures: dict[bytes, _Structure] = field(default_factory=dict)
    _kept: dict[int, HourTemplate] = field(default_factory=dict)

    def of(self, t: int) -> HourTemplate:
        """The recourse of a period.

        Raises:
            OptionError: an uncertain load of constant current or impedance.
        """
        if t not in self._kept:
            self._kept[t] = self._template(t)
        return self._kept[t]

    def scale(self, t: int) -> float:
        """What the whole load of period t costs at the highest price of energy of the day, in $."""
        day = self.question.day
        prices = np.abs(np.concatenate([day.source_price.ravel(), [self.question.cost.loss, 1e-3]]))
        load = np.abs(nominal_load(day, t).real).sum() + day.renewables.available[t].sum()
        return float(day.hours[t] * self.question.network.s_base_kva * prices.max() * max(load, 1e-3))

    def _template(self, t: int) -> HourTemplate:
        """The structure with what is met as a function of the slice and the realisation, at the prices of period t."""
        s, day, base = self._structure(t), self.question.day, self.question.network.s_base_kva
        met, of_x, of_u = _met(self.question, t)
        known, hours = s.template, day.hours[t]
        n, width = len(known.form.c), of_x.shape[1] + of_u.shape[1]
        cost = hours / s.hours * known.form.c
        cost[s.source] = hours * base * day.source_price[t]
        cost[s.sold] = hours * base * (day.source_price[t] - day.export_price[t])[splits(day, t)]
        cost[s.source_q] = hours * base * day.price_reactive[t]
        offset = hours / s.hours * known.form.offset
        if self.soft and not self.priced:
            cost, offset = np.zeros(n), 0.0
        cost[known.slack] = PENALTY * self._dearest * self.scale(t) if self.priced else 1.0
        others = np.setdiff1d(np.arange(n), s.met)
        number = np.full(n, -1)
        number[others] = width + np.arange(len(others))
        a = sp.csc_array(known.form.a)
        right = sp.csr_array(a[:, s.met])
        form = replace(
            known.form,
            a=sp.csc_array(sp.hstack([right @ of_x, right @ of_u, a[:, others]])),
            b=known.form.b - right @ met,
            c=np.concatenate([of_x.T @ cost[s.met], of_u.T @ cost[s.met], cost[others]]),
            offset=offset + float(cost[s.met] @ met),
            columns={},
        )
        return replace(
            known,
            form=form,
            x=np.arange(of_x.shape[1]),
            u=np.arange(of_x.shape[1], width),
            tight=number[known.tight],
            slack=number[known.slack],
            cones=tuple(tuple(number[part] for part in cone) for cone in known.cones),
            w=number[known.w],
            flows=tuple(number[part] for part in known.flows),
            feed=None if known.feed is None else tuple(number[part] for part in known.feed),
            shed=None if known.shed is None else number[known.shed],
            shed_q=None if known.shed_q is None else number[known.shed_q],
            moved=None if known.moved is None else tuple(number[part] for part in known.moved),
        )

    @cached_property
    def _dearest(self) -> float:
        """The highest price of energy shed relative to that of energy bought, 1 at least."""
        day = self.question.day
        bought = max(float(np.abs(day.source_price).max()), 1e-3)
        return max(1.0, float(day.demand.shed_price.max(initial=0.0)) / bought)

    def _structure(self, t: int) -> _Structure:
        day = self.question.day
        fixed: tuple[np.ndarray, ...] = (day.load_current[t], day.load_impedance[t], np.round(tangent(day, t), 12))
        fixed += (splits(day, t), np.sign(nominal_load(day, t).imag), day.price_reactive[t : t + 1] > 0.0)
        key = b"|".join(part.tobytes() for part in fixed)
        if key not in self._structures:
            self._structures[key] = self._compiled(t)
        return self._structures[key]

    def _compiled(self, t: int) -> _Structure:
        question, day, net = self.question, self.question.day, self.question.network
        check_uncertain_loads(net, day)
        n, devices = net.n_terminals, hour_devices(question)
        sizes = (net.n_conductors, int(devices.sizes.sum()), 2 * n, 2 * n, n, day.renewables.count)
        met = [cp.Variable(size) if size else None for size in sizes]
        closed, chosen, power, load, consumed, available = met
        demand = HourDemand(
            power,
            load,
            consumed,
            np.empty(0) if available is None else available,
            net.s_current + day.load_current[t],
            net.s_impedance + day.load_impedance[t],
        )
        lower, upper = day_voltage_bounds(net, day, question.devices, limits=not self.soft)
        choice = None if chosen is None else DeviceChoice(devices, chosen, lower)
        stage = recourse_flow(net, day, t, demand, closed, upper, question.supply, question.cost, choice)
        names = tuple(sorted({limit.name for limit in stage.limits}))
        tight = cp.Variable(len(names)) if names else None
        constraints, slacks = list(stage.constraints), list[cp.Variable]()
        for limit in stage.limits:
            assert tight is not None
            excess = limit.excess + tight[names.index(limit.name)]
            if self.soft:
                slacks.append(cp.Variable(limit.excess.size))
                constraints += [excess <= slacks[-1], slacks[-1] >= 0]
            else:
                constraints.append(excess <= 0)
        heads = [part for part in met if part is not None]
        own = [variable for cone in stage.cones for variable in parts(cone)]
        also = (*heads, *own) if tight is None else (*heads, *own, tight)
        form, none = compile_model(stage.cost, constraints, also=also), np.empty(0, dtype=np.int64)
        flow = stage.flow
        template = HourTemplate(
            form,
            x=none,
            u=none,
            tight=none if tight is None else form.of(tight),
            limits=names,
            slack=np.concatenate([none, *(form.of(slack) for slack in slacks)]),
            cones=tuple(tuple(form.of(part) for part in parts(cone)) for cone in stage.cones),
            w=form.of(flow.w),
            flows=tuple(form.of(v) for v in (flow.p, flow.q, flow.l, flow.w_fr, flow.w_to)),
            feed=None if stage.renewable is None else tuple(form.of(part) for part in stage.renewable),
            shed=None if stage.shed is None else form.of(stage.shed),
            shed_q=None if stage.shed_q is None else form.of(stage.shed_q),
            moved=None if stage.moved is None else tuple(form.of(part) for part in stage.moved),
        )
        sold = none if stage.sold is None else form.of(stage.sold)
        at = np.concatenate([form.of(part) for part in heads])
        source_q = none if stage.source_q is None else form.of(stage.source_q)
        return _Structure(template, float(day.hours[t]), at, form.of(stage.source), sold, source_q)


def _met(question: DayQuestion, t: int) -> tuple[Floats, sp.csr_array, sp.csr_array]:
    """What the recourse of period t meets, in the order of `_Structure.met`: (H) where nothing is scheduled and all
    uncertain quantities are 0, (H, width) by the slice, (H, U) by the realisation."""
    day, net, layout, n = question.day, question.network, slice_of(question), question.network.n_terminals
    load, angle, count = day.load_power[t], tangent(day, t), day.uncertain.count
    nominal = nominal_load(day, t)
    active, reactive = np.maximum(nominal.real, 0.0), np.abs(nominal.imag)
    head = len(layout.closed) + len(layout.chosen)
    per_factor = np.concatenate([load.real, load.imag, active, reactive, active, day.renewables.available[t]])
    own, other = day.uncertain.load, day.uncertain.of_reactive
    numbers = np.concatenate([own, other, own, other, own, day.uncertain.renewable])
    sure = np.where(numbers < 0, per_factor, 0.0)
    sure[: 2 * n] += np.concatenate([net.s_power.real, net.s_power.imag])
    some = np.flatnonzero(numbers >= 0)
    shape = (head + len(numbers), count)
    of_u = sp.csr_array((per_factor[some], (head + some, numbers[some])), shape=shape)
    of_x = sp.lil_array((shape[0], layout.width))
    of_x[np.arange(head), np.concatenate([layout.closed, layout.chosen])] = 1.0
    p, q, consumed = head + np.arange(n), head + n + np.arange(n), head + 4 * n + np.arange(n)
    units, stores = net.generator_terminal, day.stores.terminal
    for rows, columns, value in (
        (p[units], layout.p, -1.0),
        (q[units], layout.q, -1.0),
        (p[stores], layout.charge, 1.0),
        (p[stores], layout.discharge, -1.0),
        (q[stores], layout.store_q, -1.0),
        (p, layout.shift, 1.0),
        (q, layout.shift, angle),
        (consumed, layout.shift, 1.0),
    ):
        of_x[rows, columns] = value
    return np.concatenate([np.zeros(head), sure]), sp.csr_array(of_x), of_u


# Blocks


@dataclass(frozen=True)
class HourBlock:
    """The recourse of a period with numbers for a part of the slice.

    min c_x x + c_u u + c_y y + offset    s.t.    A_x x + A_u u + A_m m + A_y y + s = b,   s ∈ {0}ᵃ × R₊ᵇ × SOC × …

    Attributes:
        a_x: (m, width) 0 where x is a number. a_u: (m, U). a_y: (m, n). b: (m). n_zero, n_nonneg, cones: of the rows.
        a_tight: (m, L) of what limits are tightened by, 0 where that is a number.
        c_x, c_u, c_y, offset: cost in $.
        factor, origin, constant: (columns of the template) value = factor · y[origin] + constant.
        feasible: whether rows without entries hold.
    """

    a_x: sp.csr_array
    a_u: sp.csr_array
    a_tight: sp.csr_array
    a_y: sp.csr_array
    b: Floats
    n_zero: int
    n_nonneg: int
    cones: tuple[int, ...]
    c_x: Floats
    c_u: Floats
    c_y: Floats
    offset: float
    factor: Floats
    origin: Ints
    constant: Floats
    feasible: bool

    def values(self, y: Floats) -> Floats:
        """All columns of the template but those of x and u, by the own columns y (n)."""
        if not len(y):
            return self.constant
        return np.asarray(self.factor * y[self.origin] + self.constant)


def hour_block(
    question: DayQuestion, template: HourTemplate, known: Floats, *, margin: float | None = 0.0
) -> HourBlock:
    """The template with numbers for a part of the slice.

    Args:
        question: of the day. template: of the period.
        known: (width) numbers of the slice, nan where it is decided in the first stage.
        margin: share by which limits of voltages, currents and sources are tightened; None = given from outside.
    """
    net, form, layout = question.network, template.form, slice_of(question)
    columns = KnownColumns(len(form.c))
    free = np.isnan(known)
    columns.fix(template.x[~free], known[~free])
    if margin is not None:
        columns.fix(template.tight, np.full(len(template.tight), margin))
    state = known[layout.closed]
    devices = hour_devices(question)
    plain = np.ones(net.n_conductors, dtype=np.bool_)
    plain[devices.place[devices.of(DeviceKind.TAP)]] = False
    p, q, l, w_fr, w_to = template.flows
    for part in (p, q, l, w_fr, w_to):
        some = part[state == 0.0]
        columns.fix(some, np.zeros(len(some)))
    shut = np.flatnonzero((state == 1.0) & plain)
    columns.equate(w_fr[shut], template.w[net.terminal_fr[shut]], 1.0 / net.tap[shut] ** 2)
    shut = np.flatnonzero(state == 1.0)
    columns.equate(w_to[shut], template.w[net.terminal_to[shut]], np.ones(len(shut)))
    outside = np.zeros(len(form.c), dtype=np.bool_)
    outside[template.x[free]] = outside[template.u] = outside[template.tight] = True
    linear = settled(form, columns, outside)
    cone_rows, cone_b, sizes = settled_cones(template.cones, columns)
    whole = sp.csr_array(sp.vstack([linear.a, cone_rows]))
    own = np.ones(len(form.c), dtype=np.bool_)
    own[template.x] = own[template.u] = own[template.tight] = False
    used = own & (np.diff(sp.csc_array(whole).indptr) > 0)
    number = np.cumsum(used) - 1
    cost, offset = columns.applied(sp.csr_array(form.c[None, :]))
    price = cost.toarray().ravel()
    at = sp.csc_array(whole)
    return HourBlock(
        a_x=sp.csr_array(at[:, template.x]),
        a_u=sp.csr_array(at[:, template.u]),
        a_tight=sp.csr_array(at[:, template.tight]),
        a_y=sp.csr_array(at[:, np.flatnonzero(used)]),
        b=np.concatenate([linear.b, cone_b]),
        n_zero=linear.n_zero,
        n_nonneg=len(linear.b) - linear.n_zero,
        cones=sizes,
        c_x=price[template.x],
        c_u=price[template.u],
        c_y=price[used],
        offset=form.offset + float(offset[0]),
        factor=np.where(used[columns.origin], columns.factor, 0.0),
        origin=np.where(used[columns.origin], number[columns.origin], 0),
        constant=columns.constant,
        feasible=linear.feasible,
    )


@dataclass(frozen=True)
class BlockCurrentBounds:
    """Linear inequalities a y ≤ b over the own columns of a block."""

    a: sp.csr_array
    b: Floats


def block_current_bounds(template: HourTemplate, block: HourBlock, current_bounds: CurrentBounds) -> BlockCurrentBounds:
    """Bounds of the squared currents over the own columns of a block."""
    columns = np.concatenate([*template.flows])
    count = len(block.c_y)
    own = sp.csr_array(
        (block.factor[columns], (np.arange(len(columns)), block.origin[columns])), shape=(len(columns), count)
    )
    return BlockCurrentBounds(
        sp.csr_array(current_bounds.a @ own), current_bounds.b - current_bounds.a @ block.constant[columns]
    )


def no_recourse(question: DayQuestion, count: int) -> HourRecourse:
    """Nothing is fed in, shed or moved, `count` times."""
    n, r = question.network.n_terminals, question.day.renewables.count
    fed, shed, moved = (np.zeros((count, size), dtype=np.complex128) for size in (r, n, n))
    return HourRecourse(fed, shed, moved)


def recourse_of(question: DayQuestion, t: int, template: HourTemplate, block: HourBlock, own: Floats) -> HourRecourse:
    """The recourse (K = 1) of period t in the own columns of a block, within its bounds."""
    whole, values = no_recourse(question, 1), block.values(own)
    day = question.day
    if template.feed is not None:
        p, q = (values[columns] for columns in template.feed)
        whole.renewable[0] = np.maximum(p, 0.0) + 1j * q
    active, reactive = np.zeros((2, whole.shed.shape[1]))
    if template.shed is not None:
        active[sheddable(day)] = np.maximum(values[template.shed], 0.0)
    if template.shed_q is not None:
        reactive[sheddable_reactive(day)] = np.maximum(values[template.shed_q], 0.0)
    whole.shed[0] = shed_power(day, t, active, reactive)
    if template.moved is not None:
        come, leave, reactive = (values[columns] for columns in template.moved)
        whole.shift[0, movable(day)] = come - leave + 1j * reactive
    return whole


# The recourse of given plans


@dataclass(frozen=True)
class HourSolution:
    """The convex recourse in one realisation.

    Attributes:
        value: lower bound of the cost in $. slope: (U) of the value in the realisation.
        excess: sum of the excesses of the limits. recourse: K = 1.
    """

    value: float
    slope: Floats
    excess: float
    recourse: HourRecourse


@dataclass(frozen=True)
class _Program:
    """A recourse in its solver, at given states and positions; cost in multiples of the scale of its period."""

    template: HourTemplate
    block: HourBlock
    form: StandardForm
    model: ClarabelModel


class HourCone:
    """The convex recourse of given plans, limits missed at a price: one program for each state of the branches."""

    def __init__(self, question: DayQuestion) -> None:
        """Nothing is compiled before it is needed.

        Raises:
            OptionError: an uncertain load of constant current or impedance.
        """
        check_uncertain_loads(question.network, question.day)
        self.question, self._templates = question, HourTemplates(question, soft=True, priced=True)
        self._programs: OrderedDict[bytes, _Program] = OrderedDict()

    def scale(self, t: int) -> float:
        """What the whole load of period t costs at the highest price of energy of the day, in $."""
        return self._templates.scale(t)

    def limits(self, t: int) -> tuple[str, ...]:
        """Names of the limits of the period that may be missed."""
        return self._templates.of(t).limits

    def solve(
        self,
        t: int,
        seen: Floats,
        realisation: Floats,
        tight: Floats | None = None,
        current_bounds: CurrentBounds | None = None,
    ) -> HourSolution | None:
        """The convex recourse of period t; None where the solver fails.

        Args:
            t: period. seen: (width) slice of the plan, see `slice_at`. realisation: (U).
            tight: by how much each of `limits` is tightened, relative, for the recourse; the value is that without.
            current_bounds: of squared currents with these numbers; the slope then says nothing of others.
        """
        program, scale = self._program(t, seen), self.scale(t)
        block, template = program.block, program.template
        aim = np.full(len(template.limits), INSIDE) + (0.0 if tight is None else tight)
        side = block.b - block.a_x @ seen - block.a_u @ realisation - block.a_tight @ aim
        if current_bounds is None:
            answer = program.model.solve(side)
        else:
            above = block_current_bounds(template, block, current_bounds)
            answer = ClarabelModel(replace(program.form, b=side).with_inequalities(above.a, above.b)).solve()
        if answer.status is not Status.OPTIMAL or answer.x is None or answer.z is None or not block.feasible:
            return None
        more = block.offset + float(block.c_x @ seen + block.c_u @ realisation)
        # The duals prove a bound for the limits themselves, too: those rows are inequalities, before those of the
        # bounds.
        rows = slice(0, block.n_zero + block.n_nonneg)
        wider = -float((block.a_tight @ aim)[rows] @ answer.z[rows])
        value = min(answer.bound, answer.value) + wider + more / scale
        slope = np.full(len(realisation), np.nan)
        if current_bounds is None:
            slope = block.c_u + scale * (block.a_u.T @ answer.z)
        value = scale * (value - MARGIN * max(1.0, abs(value)))
        excess = float(block.values(answer.x)[template.slack].sum())
        return HourSolution(value, slope, excess, recourse_of(self.question, t, template, block, answer.x))

    def _program(self, t: int, seen: Floats) -> _Program:
        layout = slice_of(self.question)
        given = np.concatenate([layout.closed, layout.chosen])
        key = t.to_bytes(4, "little") + seen[given].tobytes()
        if key not in self._programs:
            template, known = self._templates.of(t), np.full(layout.width, np.nan)
            known[given] = seen[given]
            block = hour_block(self.question, template, known, margin=None)
            rows = block.n_zero, block.n_nonneg, block.cones
            none = np.empty(0, dtype=np.int64)
            form = StandardForm(block.c_y / self.scale(t), 0.0, sp.csc_array(block.a_y), block.b, *rows, none, {})
            self._programs[key] = _Program(template, block, form, ClarabelModel(form))
            if len(self._programs) > KEPT:
                self._programs.popitem(last=False)
        self._programs.move_to_end(key)
        return self._programs[key]
