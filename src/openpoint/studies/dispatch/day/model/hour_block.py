"""The recourse of one period as arrays, without what given states of branches settle.

The program of `formulations.hour` is compiled once a period over (x, u, y): the slice of the first stage that the
period sees, the realisation, and all that is decided then. With numbers for a part of x,

    p = q = l = w_fr = w_to = 0 of an open branch,    w_fr = w_a / tap², w_to = w_b of a closed one

leave about half of the columns and rows. A branch whose state is no number keeps the products of `distflow`. What is
left does not depend on the realisation but in its right-hand side, so all vertices of a period share it.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.formulations.day_bounds import day_voltage_bounds
from openpoint.formulations.devices import DeviceChoice
from openpoint.formulations.flow_ranges import Ceiling
from openpoint.formulations.hour import HourSchedule, hour_flow
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.limits import power_scale
from openpoint.network.operating_cost import SupplyLimits
from openpoint.solvers.base import StandardForm
from openpoint.solvers.bounds import KnownColumns, settled
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.twostage.program import parts
from openpoint.twostage.recourse.compile import compile_model


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


@dataclass(frozen=True)
class HourTemplate:
    """The compiled recourse of a period, its cost in $.

    Attributes:
        form: linear rows over all columns. x, u: columns of the slice and of the realisation.
        cones: columns (u…, s, t) of vectors of cones Σ u² ≤ s t.
        w: (N); flows: p, q, l, w_fr, w_to, (E) each. feed: p, q of the renewable sources. shed: of
            `sheddable`. moved: come, leave, reactive of `movable`.
    """

    form: StandardForm
    x: Ints
    u: Ints
    cones: tuple[tuple[Ints, ...], ...]
    w: Ints
    flows: tuple[Ints, ...]
    feed: tuple[Ints, Ints] | None
    shed: Ints | None
    moved: tuple[Ints, ...] | None


def hour_template(question: DayQuestion, t: int, *, margin: float = 0.0, soft: bool = False) -> HourTemplate:
    """Compile the recourse of period t.

    Args:
        question: of the day. t: period. margin: share by which limits of voltages, currents and sources are tightened.
        soft: limits may be missed, and the sum of the excesses takes the place of the cost.

    Raises:
        OptionError: an uncertain load of constant current or impedance.
    """
    question = replace(question, network=_tightened(question.network, margin), supply=_less(question.supply, margin))
    net, day, devices = question.network, question.day, hour_devices(question)
    e, n, b, g = net.n_conductors, net.n_terminals, day.stores.count, len(net.generator_names)
    layout = slice_of(question)
    own = list[cp.Variable]()

    def variable(size: int | tuple[int, int]) -> cp.Variable | Floats:
        if not np.prod(size):
            return np.zeros(size)
        own.append(cp.Variable(size))
        return own[-1]

    closed, chosen = variable(e), variable(int(devices.sizes.sum()))
    generation = _rows(variable(g), variable(g))
    schedule = HourSchedule(generation, variable(b), variable(b), variable(b), variable(n))
    lower, upper = day_voltage_bounds(net, day, question.devices, limits=not soft)
    u = cp.Variable(max(day.uncertain.count, 1))
    hour = hour_flow(
        net,
        day,
        t,
        closed=closed,
        schedule=schedule,
        realisation=u[: day.uncertain.count] if day.uncertain.count else np.empty(0),
        w_upper=upper,
        supply=question.supply,
        cost=question.cost,
        choice=DeviceChoice(devices, chosen, lower) if devices.count else None,
    )
    stage = hour.softened() if soft else hour.hard()
    form = compile_model(stage.cost, stage.constraints, also=(*own, u, *(v for c in stage.cones for v in parts(c))))
    flow = hour.flow
    assert layout.width == sum(v.size for v in own)
    return HourTemplate(
        form,
        np.concatenate([form.of(v) for v in own]),
        form.of(u)[: day.uncertain.count],
        tuple(tuple(form.of(part) for part in parts(cone)) for cone in stage.cones),
        form.of(flow.w),
        tuple(form.of(v) for v in (flow.p, flow.q, flow.l, flow.w_fr, flow.w_to)),
        None if hour.renewable is None else (form.of(hour.renewable[0]), form.of(hour.renewable[1])),
        None if hour.shed is None else form.of(hour.shed),
        None if hour.moved is None else tuple(form.of(v) for v in hour.moved),
    )


def _tightened(network: Network, margin: float) -> Network:
    """The network with tighter limits of squared voltages and currents."""
    return network.with_limits(
        w_min=network.w_min * (1.0 + margin), w_max=network.w_max * (1.0 - margin), l_max=network.l_max * (1.0 - margin)
    )


def _less(supply: SupplyLimits, margin: float) -> SupplyLimits:
    """Tighter limits of sources."""
    by = {name: margin * power_scale(vars(supply)[name]) for name in ("p_min", "p_max", "q_min", "q_max", "s_max")}
    return replace(
        supply,
        p_min=supply.p_min + by["p_min"],
        p_max=supply.p_max - by["p_max"],
        q_min=supply.q_min + by["q_min"],
        q_max=supply.q_max - by["q_max"],
        s_max=supply.s_max - by["s_max"],
    )


def _rows(p: cp.Variable | Floats, q: cp.Variable | Floats) -> cp.Expression | Floats:
    return np.zeros((2, 0)) if isinstance(p, np.ndarray) else cp.vstack([p, q])


@dataclass(frozen=True)
class HourBlock:
    """The recourse of a period with numbers for a part of the slice.

    min c_x x + c_u u + c_y y + offset    s.t.    A_x x + A_u u + A_y y + s = b,   s ∈ {0}ᵃ × R₊ᵇ × SOC × …

    Attributes:
        a_x: (m, width) 0 where x is a number. a_u: (m, U). a_y: (m, n). b: (m). n_zero, n_nonneg, cones: of the rows.
        c_x, c_u, c_y, offset: cost in $.
        factor, origin, constant: (columns of the template) value = factor · y[origin] + constant.
        feasible: whether rows without entries hold.
    """

    a_x: sp.csr_array
    a_u: sp.csr_array
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


def hour_block(question: DayQuestion, template: HourTemplate, known: Floats) -> HourBlock:
    """The template with numbers for a part of the slice.

    Args:
        question: of the day. template: of the period.
        known: (width) numbers of the slice, nan where it is decided in the first stage.
    """
    net, form, layout = question.network, template.form, slice_of(question)
    columns = KnownColumns(len(form.c))
    free = np.isnan(known)
    columns.fix(template.x[~free], known[~free])
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
    outside[template.x[free]] = outside[template.u] = True
    linear = settled(form, columns, outside)
    cone_rows, cone_b, sizes = _cone_rows(template, columns)
    whole = sp.csr_array(sp.vstack([linear.a, cone_rows]))
    own = np.ones(len(form.c), dtype=np.bool_)
    own[template.x] = own[template.u] = False
    used = own & (np.diff(sp.csc_array(whole).indptr) > 0)
    number = np.cumsum(used) - 1
    cost, offset = columns.applied(sp.csr_array(form.c[None, :]))
    price = cost.toarray().ravel()
    at = sp.csc_array(whole)
    return HourBlock(
        a_x=sp.csr_array(at[:, template.x]),
        a_u=sp.csr_array(at[:, template.u]),
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


def _cone_rows(template: HourTemplate, columns: KnownColumns) -> tuple[sp.csr_array, Floats, tuple[int, ...]]:
    """s + t ≥ ‖(2u, s − t)‖, or s ≥ ‖u‖ where s and t are the same; cones in which all is known are left out."""
    count = len(columns.factor)
    unit = sp.csr_array(sp.eye_array(count))
    rows, sides, sizes = [sp.csr_array((0, count))], [np.empty(0)], list[int]()
    for cone in template.cones:
        columns_of = np.array(cone)  # (parts, C)
        live = (columns.factor[columns_of] != 0.0).any(axis=0)
        columns_of = columns_of[:, live]
        *u, s, t = columns_of
        same = bool((s == t).all())
        heights = [unit[s]] if same else [unit[s] + unit[t]]
        heights += [(1.0 if same else 2.0) * unit[part] for part in u]
        if not same:
            heights.append(unit[s] - unit[t])
        size, cones = len(heights), len(s)
        order = np.arange(size * cones).reshape(size, cones).T.ravel()
        moved, constant = columns.applied(-sp.csr_array(sp.vstack(heights))[order])
        rows.append(moved)
        sides.append(-constant)
        sizes += [size] * cones
    return sp.csr_array(sp.vstack(rows)), np.concatenate(sides), tuple(sizes)


@dataclass(frozen=True)
class BlockCeiling:
    """Linear inequalities a y ≤ b over the own columns of a block."""

    a: sp.csr_array
    b: Floats


def block_ceiling(template: HourTemplate, block: HourBlock, ceiling: Ceiling) -> BlockCeiling:
    """Ceilings of squared currents over the own columns of a block."""
    columns = np.concatenate([*template.flows])
    count = len(block.c_y)
    own = sp.csr_array(
        (block.factor[columns], (np.arange(len(columns)), block.origin[columns])), shape=(len(columns), count)
    )
    return BlockCeiling(sp.csr_array(ceiling.a @ own), ceiling.b - ceiling.a @ block.constant[columns])
