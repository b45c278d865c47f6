"""The convex recourse of the periods of a day as a cone program whose numbers change, compiled once.

Limits may be missed at a price far above all others, so that a solution always exists: where the limits can be kept its
value is that of `formulations.hour`, else it is still below the cost of every AC operation that keeps them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.formulations.day_bounds import at_terminals, day_voltage_bounds
from openpoint.formulations.devices import DeviceChoice
from openpoint.formulations.flow_ranges import Ceiling
from openpoint.formulations.hour import HourDemand, HourFlow, check_uncertain_loads, recourse_flow
from openpoint.network.day import DayPlan, HourRecourse, movable, nominal_load, sheddable, splits, tangent
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.day.model.question import DayQuestion
from openpoint.twostage.recourse.compile import compile_model

MARGIN = 1e-7
"""Relative margin by which values are lowered: they are exact up to the tolerance of the cone solver."""
INSIDE = 2e-8
"""How far inside what counts as kept of a limit the recourse is aimed at, relative, so that the exact flow keeps it."""
PENALTY = 1e3
"""Price of an excess as large as the limit itself, in costs of a period whose whole load pays the highest price."""


@dataclass(frozen=True)
class HourSolution:
    """The convex recourse in one realisation.

    Attributes:
        value: lower bound of the cost in $. slope: (H) of the value in the numbers of the period, see `HourNumbers`.
        excess: sum of the excesses of the limits. recourse: K = 1.
    """

    value: float
    slope: Floats
    excess: float
    recourse: HourRecourse


@dataclass(frozen=True)
class HourNumbers:
    """What the recourse of a period of a plan meets, affine in the realisation: base + by_realisation @ u.

    The H numbers are: (E) states of branches, positions one-hot, (2N) power, (2N) load, (N) consumed and (R) available
    as in `HourDemand`.

    Attributes:
        base: (H). by_realisation: (H, U).
    """

    base: Floats
    by_realisation: sp.csr_array

    def at(self, realisation: Floats) -> Floats:
        """(H) in a realisation (U)."""
        return np.asarray(self.base + self.by_realisation @ realisation)


def hour_numbers(question: DayQuestion, plan: DayPlan, t: int) -> HourNumbers:
    """The numbers of period t of a plan."""
    day, net, n = question.day, question.network, question.network.n_terminals
    load, angle = day.load_power[t], tangent(day, t)
    nominal = nominal_load(day, t)
    active, reactive = np.maximum(nominal.real, 0.0), np.abs(nominal.imag)
    drawn = net.s_power + (1.0 + 1j * angle) * plan.shift[t]
    drawn = drawn + at_terminals(day.stores.terminal, n) @ (plan.charge[t] - plan.discharge[t] - 1j * plan.store_q[t])
    drawn = drawn - at_terminals(net.generator_terminal, n) @ plan.generation[t]
    chosen = np.zeros(int(question.devices.sizes.sum()))
    chosen[np.cumsum(question.devices.sizes) - question.devices.sizes + plan.positions[t]] = 1.0
    per_factor = np.concatenate([load.real, load.imag, active, reactive, active, day.renewables.available[t]])
    numbers = np.concatenate([np.tile(day.uncertain.load, 5), day.uncertain.renewable])
    sure = np.where(numbers < 0, per_factor, 0.0)
    scheduled = np.concatenate([drawn.real, drawn.imag, np.zeros(2 * n), plan.shift[t], np.zeros(day.renewables.count)])
    head = np.concatenate([plan.closed[t].astype(np.float64), chosen])
    some = np.flatnonzero(numbers >= 0)
    shape = (len(head) + len(numbers), day.uncertain.count)
    matrix = sp.csr_array((per_factor[some], (len(head) + some, numbers[some])), shape=shape)
    return HourNumbers(np.concatenate([head, sure + scheduled]), matrix)


class HourCone:
    """The convex recourse of all periods of a question."""

    def __init__(self, question: DayQuestion) -> None:
        """Nothing is compiled before it is needed.

        Raises:
            OptionError: an uncertain load of constant current or impedance.
        """
        check_uncertain_loads(question.network, question.day)
        self.question = question
        self._structures: dict[bytes, _Structure] = {}
        self._models: dict[int, _Hour] = {}

    def scale(self, t: int) -> float:
        """What the whole load of period t costs at the highest price of energy of the day, in $."""
        day = self.question.day
        prices = np.abs(np.concatenate([day.source_price.ravel(), [self.question.cost.loss, 1e-3]]))
        load = np.abs(nominal_load(day, t).real).sum() + day.renewables.available[t].sum()
        return float(day.hours[t] * self.question.network.s_base_kva * prices.max() * max(load, 1e-3))

    def limits(self, t: int) -> tuple[str, ...]:
        """Names of the limits of the period that may be missed."""
        return self._model(t).structure.limits

    def solve(
        self, t: int, numbers: Floats, tight: Floats | None = None, ceiling: Ceiling | None = None
    ) -> HourSolution | None:
        """The convex recourse of period t; None where the solver fails.

        Args:
            t: period. numbers: (H) see `HourNumbers`. tight: by how much each of `limits` is tightened, relative, for
                the recourse; the value is that without.
            ceiling: of squared currents with these numbers; the slope then says nothing of others.
        """
        hour, scale = self._model(t), self.scale(t)
        structure, cost = hour.structure, hour.cost
        aim = np.full(len(structure.limits), INSIDE) + (0.0 if tight is None else tight)
        head = np.concatenate([numbers, aim])
        side = structure.form.b - structure.right @ head
        if ceiling is None:
            answer = hour.model.solve(side)
        else:
            form = replace(hour.form, b=side).with_inequalities(structure.flows_of(ceiling), ceiling.b)
            answer = ClarabelModel(form).solve()
        if answer.status is not Status.OPTIMAL or answer.x is None or answer.z is None:
            return None
        more = hour.offset + float(cost[structure.head] @ head)
        # The duals prove a bound for the limits themselves, too: those rows are inequalities, before the ceiling's.
        rows = slice(0, structure.form.n_zero + structure.form.n_nonneg)
        wider = -float((structure.right[:, len(numbers) :] @ aim)[rows] @ answer.z[rows])
        value = min(answer.bound, answer.value) + wider + more / scale
        slope = np.full(len(numbers), np.nan)
        if ceiling is None:
            slope = cost[structure.head][: len(numbers)] + scale * (structure.right.T @ answer.z)[: len(numbers)]
        x = np.zeros(len(cost))
        x[structure.rest] = answer.x
        value = scale * (value - MARGIN * max(1.0, abs(value)))
        return HourSolution(value, slope, float(x[structure.slack].sum()), self._recourse(structure, x))

    def _model(self, t: int) -> _Hour:
        if t not in self._models:
            structure = self._structure(t)
            day, base = self.question.day, self.question.network.s_base_kva
            longer = day.hours[t] / structure.hours
            cost = longer * structure.form.c
            cost[structure.source] = day.hours[t] * base * day.source_price[t]
            split = splits(day, t)
            cost[structure.sold] = day.hours[t] * base * (day.source_price[t] - day.export_price[t])[split]
            cost[structure.slack] = PENALTY * self._dearest * self.scale(t)
            rest = structure.rest
            form = replace(
                structure.form, a=structure.form.a[:, rest], c=cost[rest] / self.scale(t), offset=0.0, columns={}
            )
            self._models[t] = _Hour(structure, form, ClarabelModel(form), cost, longer * structure.form.offset)
        return self._models[t]

    @cached_property
    def _dearest(self) -> float:
        """The highest price of energy shed relative to that of energy bought, 1 at least."""
        day = self.question.day
        return max(
            1.0, float(day.demand.shed_price.max(initial=0.0)) / max(float(np.abs(day.source_price).max()), 1e-3)
        )

    def _structure(self, t: int) -> _Structure:
        day = self.question.day
        fixed = day.load_current[t], day.load_impedance[t], np.round(tangent(day, t), 12), splits(day, t)
        key = b"|".join(part.tobytes() for part in fixed)
        if key not in self._structures:
            self._structures[key] = self._compiled(t)
        return self._structures[key]

    def _compiled(self, t: int) -> _Structure:
        question, day, net = self.question, self.question.day, self.question.network
        n, positions = net.n_terminals, int(question.devices.sizes.sum())
        sizes = (net.n_conductors, positions, 2 * n, 2 * n, n, day.renewables.count)
        parts = [cp.Variable(size) if size else None for size in sizes]
        closed, chosen, power, load, consumed, available = parts
        demand = HourDemand(
            power, load, consumed, np.empty(0) if available is None else available, *self._other_loads(t)
        )
        lower, upper = self._bounds
        choice = None if chosen is None else DeviceChoice(question.devices, chosen, lower)
        stage = recourse_flow(net, day, t, demand, closed, upper, question.supply, question.cost, choice)
        names = tuple(sorted({limit.name for limit in stage.limits}))
        tight = cp.Variable(len(names)) if names else None
        constraints = [*stage.constraints, *(cone.constraint() for cone in stage.cones)]
        slacks = [cp.Variable(limit.excess.size) for limit in stage.limits]
        for limit, slack in zip(stage.limits, slacks):
            assert tight is not None
            constraints += [limit.excess + tight[names.index(limit.name)] <= slack, slack >= 0]
        heads = [part for part in (*parts, tight) if part is not None]
        form = compile_model(stage.cost, constraints, also=heads)
        return _structured(form, stage, heads, slacks, names, float(day.hours[t]))

    def _other_loads(self, t: int) -> tuple[Complexes, Complexes]:
        net, day = self.question.network, self.question.day
        return net.s_current + day.load_current[t], net.s_impedance + day.load_impedance[t]

    @cached_property
    def _bounds(self) -> tuple[Floats, Floats]:
        question = self.question
        return day_voltage_bounds(question.network, question.day, question.devices, limits=False)

    def _recourse(self, structure: _Structure, x: Floats) -> HourRecourse:
        day, n = self.question.day, self.question.network.n_terminals
        shed, shift = np.zeros((1, n)), np.zeros((1, n), dtype=np.complex128)
        renewable = np.zeros((1, day.renewables.count), dtype=np.complex128)
        if structure.renewable is not None:
            renewable[0] = x[structure.renewable[0]] + 1j * x[structure.renewable[1]]
        if structure.shed is not None:
            shed[0, sheddable(day)] = x[structure.shed]
        if structure.moved is not None:
            come, leave, reactive = (x[columns] for columns in structure.moved)
            shift[0, movable(day)] = come - leave + 1j * reactive
        return HourRecourse(renewable, shed, shift)


@dataclass(frozen=True)
class _Structure:
    """A recourse compiled for all periods that differ in numbers alone.

    Attributes:
        form: with the columns of the head, which are numbers. hours: of the period for which its cost stands.
        head, rest: columns of the numbers, tightening of the limits last, and of all others.
        right: (m, H) rows of the head. limits: their names.
        flows: p, q, l, w_fr, w_to, (E) columns each.
        source, sold, slack, renewable, shed, moved: columns, see `HourFlow`.
    """

    form: StandardForm
    hours: float
    head: Ints
    rest: Ints
    right: sp.csr_array
    limits: tuple[str, ...]
    flows: tuple[Ints, ...]
    source: Ints
    sold: Ints
    slack: Ints
    renewable: tuple[Ints, ...] | None
    shed: Ints | None
    moved: tuple[Ints, ...] | None

    def flows_of(self, ceiling: Ceiling) -> sp.csr_array:
        """The rows of a ceiling over the columns `rest`."""
        columns = np.concatenate(self.flows)
        shape = len(columns), len(self.form.c)
        whole = sp.csr_array((np.ones(len(columns)), (np.arange(len(columns)), columns)), shape=shape)
        return sp.csr_array((ceiling.a @ whole)[:, self.rest])


@dataclass(frozen=True)
class _Hour:
    """A period: its structure, the program without the head in its solver, cost in $ over all columns, constant."""

    structure: _Structure
    form: StandardForm
    model: ClarabelModel
    cost: Floats
    offset: float


def _structured(
    form: StandardForm,
    stage: HourFlow,
    heads: list[cp.Variable],
    slacks: list[cp.Variable],
    limits: tuple[str, ...],
    hours: float,
) -> _Structure:
    none = np.empty(0, dtype=np.int64)
    head = np.concatenate([form.of(part) for part in heads])
    return _Structure(
        form,
        hours,
        head,
        np.setdiff1d(np.arange(len(form.c)), head),
        sp.csr_array(form.a[:, head]),
        limits,
        flows=tuple(form.of(v) for v in (stage.flow.p, stage.flow.q, stage.flow.l, stage.flow.w_fr, stage.flow.w_to)),
        source=form.of(stage.source),
        sold=none if stage.sold is None else form.of(stage.sold),
        slack=np.concatenate([none, *(form.of(slack) for slack in slacks)]),
        renewable=None if stage.renewable is None else tuple(form.of(part) for part in stage.renewable),
        shed=None if stage.shed is None else form.of(stage.shed),
        moved=None if stage.moved is None else tuple(form.of(part) for part in stage.moved),
    )
