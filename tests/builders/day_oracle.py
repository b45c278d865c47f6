"""The oracle of a day: every radial topology, every vertex of the uncertainty set, whole numbers by branch and bound.

For a topology it is one cone program: the first stage, a recourse for every period and vertex of that period, and for
every vertex of the set θ ≥ Σ_t recourse of its vertex in period t. Nothing is generated or cut off.
"""

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.devices import DeviceChoice
from openpoint.formulations.schedule import day_voltage_bounds
from openpoint.network.day import DayPlan, HourRecourse, Uncertain
from openpoint.network.devices import DeviceKind
from openpoint.search.enumeration import topologies
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.first_stage import DayLayout, DayParts, first_stage
from openpoint.studies.dispatch.day.model.hour_block import hour_device_numbers, hour_devices
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.twostage.program import SecondStage
from openpoint.twostage.recourse.compile import compile_model
from tests.builders.written_hours import HourSchedule, hour_flow

WHOLE = 1e-6
"""Largest difference from a whole number that counts as rounding."""
SAME = 1e-7
"""Relative difference below which a branch is no better."""

FEW = 40
"""Days up to which all of them take hardly longer than the forecast alone, most of which is compiling."""


class SolverFailed(Exception):
    """The cone solver ended a program of the oracle without an answer, so that nothing is known of the day."""


@dataclass(frozen=True)
class Known:
    """What the oracle knows: the least worst case by the cone relaxation, its plan, and its worst case by AC flow.

    Attributes:
        value: in $, inf where no plan keeps the limits. plan: None then. exact: by `exact_worst`, inf without a plan.
        topologies: how many there are. vertices: of the set.
    """

    value: float
    plan: DayPlan | None
    exact: float
    topologies: int
    vertices: int


@dataclass(frozen=True)
class Worst:
    """A plan in all vertices, by exact AC flow.

    Attributes:
        value: greatest cost of a day in $, inf where limits are broken in some vertex. realisation: (T, U) of that day.
        lower: no recourse makes the greatest cost of a day less than this.
        imbalance: greatest difference of what is fed in and what is taken, per unit.
    """

    value: float
    lower: float
    realisation: Floats
    imbalance: float


def oracle(question: DayQuestion) -> Known:
    """Try all topologies; where the days are many, those first whose forecast costs least, which is a bound."""
    net = replace(question.network, switchable=~(question.rules.must_close | question.rules.must_open))
    trees = np.concatenate([np.empty((0, net.n_conductors), dtype=np.bool_), *topologies(net)])
    if question.topology is Cadence.FIXED:
        trees = net.closed[None, :]
    every = np.array(list(days(question.day.uncertain)))
    forecast = np.full(len(trees), -math.inf)
    if len(every) > FEW:
        forecast = np.array([_solved(question, tree, every[:1], math.inf)[0] for tree in trees])
    best, plan = math.inf, None
    for k in np.argsort(forecast, kind="stable"):
        if forecast[k] < best * (1.0 - math.copysign(SAME, best)):
            value, found = _solved(question, trees[k], every, best)
            if value < best:
                best, plan = value, found
    exact = math.inf if plan is None else exact_worst(question, plan).value
    return Known(best, plan, exact, len(trees), len(every))


def _solved(question: DayQuestion, closed: Bools, every: Ints, most: float) -> tuple[float, DayPlan | None]:
    """The least greatest cost over days (K, T) of one topology, if it is below `most`, and its plan."""
    net, day, uncertain = question.network, question.day, question.day.uncertain
    changes = int((closed != net.closed).sum())
    if (most_changes := question.rules.max_changes) is not None and changes > most_changes:
        return math.inf, None
    layout = DayLayout(question)
    parts = layout.variables()
    blocks = first_stage(layout, parts)
    charging = cp.Variable(parts.charge.shape)
    constraints = [each for block in blocks for each in block.constraints]
    if day.stores.count:  # one direction at a time
        constraints += [parts.charge <= charging @ np.diag(day.stores.charge_max), charging >= 0, charging <= 1]
        constraints.append(parts.discharge <= (1 - charging) @ np.diag(day.stores.discharge_max))
    first = net.s_base_kva * question.cost.change * changes + sum(block.cost for block in blocks)
    points = [realised(uncertain, t, deviations(uncertain, t)) for t in range(day.periods)]
    costs, theta = list[cp.Variable](), cp.Variable()
    columns = [dict[int, int]() for _ in points]
    for t, v in sorted({(t, int(v)) for choice in every for t, v in enumerate(choice)}):
        hour = _hour(layout, parts, closed, t, points[t][v])
        columns[t][v] = len(costs)
        costs.append(cp.Variable())
        constraints += [*hour.constraints, *(cone.constraint() for cone in hour.cones), costs[-1] >= hour.cost]
    row = np.repeat(np.arange(len(every)), day.periods)
    column = np.array([columns[t][v] for choice in every for t, v in enumerate(choice)])
    chosen = sp.csr_array((np.ones(len(row)), (row, column)), shape=(len(every), len(costs)))
    constraints.append(theta >= chosen @ cp.hstack(costs))
    whole = [part for part in (parts.on, parts.chosen, charging) if part.size]
    own = [part for part in vars(parts).values() if part.size]
    form = compile_model(first + theta, constraints, whole, also=own)
    value, x = _whole(form, most)
    if x is None:
        return value, None
    values = {
        name: x[form.of(part)].reshape(part.shape, order="F") if part.size else np.zeros(part.shape)
        for name, part in vars(parts).items()
    }
    return value, _plan(layout, closed, values)


def _hour(layout: DayLayout, parts: DayParts, closed: Bools, t: int, realisation: Floats) -> SecondStage:
    """The recourse of a period in a realisation (U), as it is written in `formulations.hour`."""
    question, net = layout.question, layout.question.network
    devices = hour_devices(question)
    chosen: cp.Expression = cp.Constant(devices.one_hot(question.devices.today[hour_device_numbers(question)]))
    if parts.chosen.size:
        chosen = parts.chosen[t if parts.chosen.shape[0] > 1 else 0]
    lower, upper = day_voltage_bounds(net, question.day, question.devices, limits=True)
    at = np.zeros((len(layout.shifting), net.n_terminals))
    at[np.arange(len(layout.shifting)), layout.shifting] = 1.0
    none = np.zeros((2, 0)), np.zeros(question.day.stores.count)
    return hour_flow(
        net,
        question.day,
        t,
        closed=cp.Constant(closed.astype(np.float64)),
        schedule=HourSchedule(
            generation=cp.vstack([parts.p[t], parts.q[t]]) if parts.p.size else none[0],
            charge=parts.charge[t] if parts.charge.size else none[1],
            discharge=parts.discharge[t] if parts.charge.size else none[1],
            store_q=parts.store_q[t] if parts.charge.size else none[1],
            shift=parts.shift[t] @ at if parts.shift.size else np.zeros(net.n_terminals),
        ),
        realisation=realisation,
        w_upper=upper,
        supply=question.supply,
        cost=question.cost,
        choice=DeviceChoice(devices, chosen, lower) if devices.count else None,
    ).hard()


def _plan(layout: DayLayout, closed: Bools, values: dict[str, Floats]) -> DayPlan:
    """The plan of values of the parts."""
    question, devices, periods = layout.question, layout.question.devices, layout.question.day.periods
    positions = np.tile(devices.today, (periods, 1))
    start = 0
    for d in np.flatnonzero(devices.kind != DeviceKind.UNIT) if values["chosen"].size else []:
        size = len(devices.values[d])
        positions[:, d] = values["chosen"][:, start : start + size].argmax(axis=1)
        start += size
    for column, d in enumerate(layout.units):
        positions[:, d] = np.abs(devices.values[d] - values["on"][:, [column]]).argmin(axis=1)
    shift = np.zeros((periods, question.network.n_terminals))
    shift[:, layout.shifting] = values["shift"]
    stores = values["charge"], values["discharge"], values["store_q"]
    return DayPlan(np.tile(closed, (periods, 1)), positions, values["p"] + 1j * values["q"], *stores, shift)


def deviations(uncertain: Uncertain, t: int) -> Floats:
    """(V, U) relative deviations, −1, 0 or 1, of the quantities in period t at its vertices, the forecast first."""
    sides = [
        [0.0, *([1.0] if up > 0.0 else []), *([-1.0] if down > 0.0 else [])] if hours > 0 else [0.0]
        for up, down, hours in zip(uncertain.up[t], uncertain.down[t], uncertain.hours, strict=True)
    ]
    points = np.array(list(itertools.product(*sides)), dtype=np.float64)
    kept = np.ones(len(points), dtype=np.bool_)
    for name, most in uncertain.groups:
        members = [u for u, group in enumerate(uncertain.group) if group == name]
        kept &= np.count_nonzero(points[:, members], axis=1) <= most
    return points[kept]


def realised(uncertain: Uncertain, t: int, deviation: Floats) -> Floats:
    """(…, U) realisation of period t at relative deviations (…, U)."""
    size = np.where(deviation > 0.0, uncertain.up[t], uncertain.down[t])
    return np.asarray(1.0 + deviation * size)


def days(uncertain: Uncertain) -> Iterator[tuple[int, ...]]:
    """All vertices: for each the number of its row in `deviations` of every period."""
    points = [deviations(uncertain, t) for t in range(len(uncertain.down))]

    def after(t: int, left: Floats) -> Iterator[tuple[int, ...]]:
        if t == len(points):
            yield ()
            return
        for k, spent in enumerate(np.abs(points[t])):
            if (spent <= left).all():
                for rest in after(t + 1, left - spent):
                    yield (k, *rest)

    return after(0, uncertain.hours.astype(np.float64))


def _whole(form: StandardForm, most: float) -> tuple[float, Floats | None]:
    """The optimum with whole numbers of 0 and 1 by branch and bound, if it is below `most`."""
    best, point = most, None
    nodes: list[tuple[tuple[int, ...], tuple[float, ...]]] = [((), ())]
    while nodes:
        columns, values = nodes.pop()
        if columns:
            part = form.with_coupling(np.array(columns, dtype=np.int64))
            answer = ClarabelModel(part).solve(np.array(values))
        else:
            answer = ClarabelModel(form).solve()
        if answer.status is Status.INFEASIBLE:
            continue
        if answer.status is not Status.OPTIMAL or answer.x is None:
            raise SolverFailed(f"the cone solver says {answer.status}")
        if answer.value >= best - SAME * max(1.0, abs(best)):
            continue
        x = answer.x[form.integers]
        away = np.abs(x - np.round(x))
        if away.max(initial=0.0) <= WHOLE:
            best, point = answer.value, answer.x
            continue
        k = int(np.argmax(away))
        up = float(round(x[k]))
        column = int(form.integers[k])
        nodes += [((*columns, column), (*values, way)) for way in (1.0 - up, up)]
    return (math.inf, None) if point is None else (best, point)


def exact_worst(question: DayQuestion, plan: DayPlan) -> Worst:
    """The worst vertex of a plan, all of them evaluated by exact AC flow with the best recourse found."""
    day, uncertain = question.day, question.day.uncertain
    finder, evaluator = HourRecourseFinder(question), DayEvaluator(question)
    points = [realised(uncertain, t, deviations(uncertain, t)) for t in range(day.periods)]
    every = np.array(list(days(uncertain)))
    total, least, imbalance = np.zeros(len(every)), np.zeros(len(every)), 0.0
    for t, some in enumerate(points):
        answers = finder.best(plan, t, some)
        costs = np.where(answers.violations > 0.0, np.inf, answers.costs)
        total += costs[every[:, t]]
        least += answers.lower[every[:, t]]
        imbalance = max(imbalance, _imbalance(evaluator, plan, t, some, answers.recourse))
    worst = int(np.argmax(total))
    schedule = float(evaluator.schedule_costs(plan).sum())
    lower = schedule + float(least.max())
    return Worst(
        schedule + float(total[worst]), lower, np.array([points[t][v] for t, v in enumerate(every[worst])]), imbalance
    )


def _imbalance(evaluator: DayEvaluator, plan: DayPlan, t: int, realisations: Floats, recourse: HourRecourse) -> float:
    """Greatest difference between the power that sources and generators feed in and what is drawn and lost.

    Only for grids whose loads are of constant power, and whose banks and branches take no active power.
    """
    day, net = evaluator.question.day, evaluator.question.network
    flows = evaluator.flows(plan, t, realisations, recourse)
    good = flows.converged
    factor = np.column_stack([realisations, np.ones(len(realisations))])[:, day.uncertain.load]
    drawn = (net.s_power + day.load_power[t] * factor + evaluator.drawn(plan, t, recourse)).real.sum(axis=1)
    fed = flows.source_s.real.sum(axis=1) + plan.generation[t].real.sum()
    return float(np.abs(fed - drawn - flows.loss)[good].max(initial=0.0))


def schedule_faults(question: DayQuestion, plan: DayPlan, *, limits: float = 1e-6, energy: float = 1e-9) -> list[str]:
    """What a plan breaks of the first stage: contents of stores, one direction at a time, energy moved in time.

    Args:
        limits: largest excess of a limit, the accuracy of the solvers. energy: of what must be nothing.
    """
    day = question.day
    stores, faults = day.stores, list[str]()
    held = stores.energy_start.copy()
    gained = plan.charge * stores.charge_efficiency - plan.discharge / stores.discharge_efficiency
    present = stores.present(day.periods)
    for t, hours in enumerate(day.hours):
        held = held + hours * gained[t]
        there = present[t]
        if (np.where(there, stores.energy_min - held, 0.0) > limits).any():
            faults.append(f"a store is below its least content in period {t}")
        if (np.where(there, held - stores.energy_max, 0.0) > limits).any():
            faults.append(f"a store is above its capacity in period {t}")
    if (stores.energy_end - held > limits).any():
        faults.append(f"a store ends {float((stores.energy_end - held).max()):g} below what is asked")
    if stores.count and np.minimum(plan.charge, plan.discharge).max() > energy:
        faults.append("a store charges and discharges at once")
    if (np.maximum(plan.charge, plan.discharge)[~present] > energy).any():
        faults.append("a store works while it is absent")
    if np.abs(day.hours @ plan.shift).max(initial=0.0) > energy:
        faults.append(f"energy moved in time is off by {float(np.abs(day.hours @ plan.shift).max()):g}")
    return faults
