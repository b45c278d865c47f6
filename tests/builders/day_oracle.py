"""The oracle of a day: every radial topology, every vertex of the uncertainty set, whole numbers by branch and bound.

For a topology it is one cone program: the first stage, a recourse for every period and vertex of that period, and for
every vertex of the set θ ≥ Σ_t recourse of its vertex in period t. Nothing is generated or cut off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network.day import DayPlan, HourRecourse
from openpoint.search.enumeration import topologies
from openpoint.solvers.base import StandardForm, Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.program import DayProgram
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.model.realisations import days, deviations, realised
from openpoint.studies.dispatch.day.outcome import Operation
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.uncertainty import Certain

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
        value: in $, inf where no plan keeps the limits. plan: None then. exact: by `exact_worst`, inf without a plan,
            and where the recourse decides of the schedule.
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
    net = replace(question.network, switchable=~(question.must_close | question.must_open))
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
    exact = math.inf if plan is None or question.recourse else exact_worst(question, plan).value
    return Known(best, plan, exact, len(trees), len(every))


def _solved(question: DayQuestion, closed: Bools, every: Ints, most: float) -> tuple[float, DayPlan | None]:
    """The least greatest cost over days (K, T) of one topology, if it is below `most`, and its plan."""
    fixed = replace(question, must_close=closed, must_open=~closed, topology=Cadence.ONCE)
    if question.recourse:
        return _solved_late(fixed, every, most)
    day, uncertain = question.day, question.day.uncertain
    program = DayProgram(fixed, Certain(np.ones(day.periods * uncertain.count)))
    first = program.first_stage(with_recourse=True)
    points = [realised(uncertain, t, deviations(uncertain, t)) for t in range(day.periods)]
    costs = [dict[int, cp.Variable]() for _ in points]
    constraints, theta = [*first.constraints], cp.Variable()
    cones, shared = list[cp.Constraint](), cp.Constant(0.0)
    for v in range(max(len(each) for each in points)):
        used = [t for t in range(day.periods) if v in every[:, t]]
        if not used:
            continue
        one = np.concatenate([each[min(v, len(each) - 1)] for each in points])
        stage = program.recourse(first.decision, cp.Constant(one), limits=True)
        hard = stage.hard()
        if v == 0:  # what does not depend on the realisation counts once
            shared = stage.cost - sum((hour.cost for hour in stage.hours), cp.Constant(0.0))
        constraints += hard.constraints
        cones += [cone.constraint() for cone in hard.cones]
        for t in used:
            costs[t][v] = cp.Variable()
            constraints.append(costs[t][v] >= stage.hours[t].cost)
    columns = [{v: k for k, v in enumerate(each)} for each in costs]
    starts = np.cumsum([0, *(len(each) for each in costs)])
    row = np.repeat(np.arange(len(every)), day.periods)
    column = np.array([starts[t] + columns[t][v] for choice in every for t, v in enumerate(choice)])
    chosen = sp.csr_array((np.ones(len(row)), (row, column)), shape=(len(every), int(starts[-1])))
    constraints.append(theta >= chosen @ cp.hstack([cost for each in costs for cost in each.values()]))
    form = compile_model(first.cost + shared + theta, [*constraints, *cones], first.integers, also=(first.decision,))
    value, x = _whole(form, most)
    return value, None if x is None else program.layout.plan(x[form.of(first.decision)])


def _solved_late(question: DayQuestion, every: Ints, most: float) -> tuple[float, DayPlan | None]:
    """The same where the recourse knows the whole day: each day has all of its own."""
    uncertain, periods = question.day.uncertain, question.day.periods
    program = DayProgram(question, Certain(np.ones(periods * uncertain.count)))
    first, theta = program.first_stage(with_recourse=True), cp.Variable()
    points = [realised(uncertain, t, deviations(uncertain, t)) for t in range(periods)]
    constraints = [*first.constraints]
    for choice in every:
        one = np.concatenate([points[t][v] for t, v in enumerate(choice)])
        stage = program.recourse(first.decision, cp.Constant(one), limits=True).hard()
        constraints += [*stage.constraints, *(cone.constraint() for cone in stage.cones), theta >= stage.cost]
    form = compile_model(first.cost + theta, constraints, first.integers, also=(first.decision,))
    value, x = _whole(form, most)
    return value, None if x is None else program.layout.plan(x[form.of(first.decision)])


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


def imbalance_of(question: DayQuestion, operation: Operation) -> float:
    """Greatest imbalance of power of an operation of a day, per unit; for the grids of `_imbalance`."""
    evaluator, all_day = DayEvaluator(question), operation.recourse
    greatest = 0.0
    for t, realisation in enumerate(operation.realisation):
        recourse = HourRecourse(all_day.renewable[t][None], all_day.shed[t][None], all_day.shift[t][None])
        greatest = max(greatest, _imbalance(evaluator, operation.plan, t, realisation[None], recourse))
    return greatest


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
