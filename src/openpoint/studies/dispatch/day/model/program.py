"""The mathematical model of a day as a two-stage program, for the methods that take any such program.

min  switching + starts + units + wear + demand moved in time  +  risk of Σ_t recourse of period t
s.t. radial states, one position for every device; ranges, ramps and starts of units; contents and powers of stores;
     energy of demand that moves in time;  in every realisation and period: the power flow with its recourse

The recourse of a realisation is the sum of those of its periods (`openpoint.formulations.hour`). What the question
leaves to the recourse joins it there, and then links the periods. Circles of inverters and squares of outputs that are
scheduled have cones, so they stand in the recourse, too, though nothing there depends on the realisation: circles as
limits, since the first stage has polygons around them.

These methods are for small days: they repeat the whole day for every realisation. They are what faster ones are checked
against.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import final

import cvxpy as cp
import numpy as np

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.formulations import schedule
from openpoint.formulations.day_bounds import day_voltage_bounds
from openpoint.formulations.devices import DeviceChoice
from openpoint.formulations.hour import HourFlow, HourSchedule, hour_flow
from openpoint.solvers.base import Status
from openpoint.solvers.clarabel import ClarabelModel
from openpoint.studies.dispatch.day.model import first_stage as first
from openpoint.studies.dispatch.day.model.evaluated_days import evaluated_days
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import HourRecourseFinder
from openpoint.studies.dispatch.day.model.layout import DayLayout, DayParts
from openpoint.studies.dispatch.day.model.question import DayQuestion, Resource
from openpoint.studies.dispatch.day.model.realisations import budget_of, listed_days
from openpoint.studies.dispatch.day.model.tidy import tidied
from openpoint.twostage.program import ExactEvaluation, FirstStage, Limit, PlainProgram, SecondStage
from openpoint.twostage.recourse.compile import compile_model
from openpoint.twostage.risk import Expectation, Risk, WorstCase
from openpoint.twostage.uncertainty import Box, Budget, Certain, Scenarios, Uncertainty
from openpoint.twostage.workers.pool import never

FLOOR_MARGIN = 1e-6
"""Relative margin by which the lower bound of all recourse costs is lowered: the accuracy of the cone solver."""
TOLERANCE = 1e-6
"""Difference of the bounds at which a recourse is good enough, relative to the cost of the load of its period."""


@final
@dataclass(frozen=True)
class DayRecourse(SecondStage):
    """The recourse of a day.

    Attributes:
        hours: (T) recourses of the periods. parts: the schedule with what the recourse decides of it.
        own: that, in the order of `DayLayout.late`; None where all is scheduled.
    """

    hours: tuple[HourFlow, ...]
    parts: DayParts
    own: cp.Variable | None


@final
@dataclass(frozen=True)
class DayProgram(PlainProgram):
    """Dispatch over a day as a two-stage program; all costs in $.

    Attributes:
        question: what is asked.
        uncertainty: realisations are (T · U), the quantities period by period, shares of their forecasts.
        risk: of the costs in them.
        directions: whether whole numbers keep a store from charging and discharging within one period. Without, both
            may share the period, which is a relaxation.
        stop: asked between the periods of an exact evaluation, whose decision then counts as not evaluated.
    """

    question: DayQuestion
    uncertainty: Uncertainty
    risk: Risk = field(default_factory=WorstCase)
    directions: bool = True
    stop: Callable[[], bool] = never

    integer_recourse = False

    def __getstate__(self) -> dict[str, object]:
        """What goes to another process: not whether to stop, which is asked in this one."""
        return {**self.__dict__, "stop": never}

    @cached_property
    def layout(self) -> DayLayout:
        """Where the parts of a plan stand in a decision."""
        return DayLayout(self.question)

    @cached_property
    def recourse_lower_bound(self) -> float:
        """The least recourse cost of any relaxed decision in any realisation between the ends of the set, limits kept.

        Raises:
            OptionError: nothing bounds what the grid earns.
        """
        values = _ends(self.uncertainty)
        realisation: cp.Expression = cp.Variable(values.shape[1], name="realisation")
        within = [realisation >= values[0], realisation <= values[1]]
        if (values[0] == values[1]).all():
            realisation, within = cp.Constant(values[0]), []
        stage = self.first_stage(with_recourse=True)
        recourse = self.recourse(stage.decision, realisation, limits=True).hard()
        constraints = [*stage.constraints, *within, *recourse.constraints, *(c.constraint() for c in recourse.cones)]
        answer = ClarabelModel(compile_model(recourse.cost, constraints)).solve()
        if answer.status is Status.OPTIMAL:
            least = min(answer.value, answer.bound)
            return float(least - FLOOR_MARGIN * max(1.0, abs(least)))
        if answer.status is Status.INFEASIBLE:
            return 0.0
        raise OptionError(
            "nothing bounds what the grid could earn from above; give the sources an upper limit of their power where "
            "a price is below 0"
        )

    # The model

    def first_stage(self, *, with_recourse: bool) -> FirstStage:
        """What is decided before the realisation is known."""
        layout, question = self.layout, self.question
        parts = layout.variables()
        blocks = [
            first.topology(layout, parts),
            first.positions(layout, parts),
            first.commitment(layout, parts),
            first.storage(question, parts.charge, parts.discharge, parts.store_q, directions=self.directions),
            first.shifting(layout, parts.shift),
        ]
        decision = cp.Variable(layout.size, name="decision")
        constraints = [decision == layout.joined(parts), *(each for block in blocks for each in block.constraints)]
        integers = tuple(each for block in blocks for each in block.integers)
        cost = sum((block.cost for block in blocks), cp.Constant(0.0))
        return FirstStage(decision, integers, constraints, cost, binary=layout.whole == layout.size)

    def recourse(self, decision: cp.Expression, realisation: cp.Expression, *, limits: bool) -> DayRecourse:
        """The power flows of all periods at a decision in a realisation."""
        question, layout, day = self.question, self.layout, self.question.day
        given = layout.split(decision)
        parts, constraints, cost = self._with_own(given)
        on = first.units_on(layout, given.on)
        lower, upper = day_voltage_bounds(question.network, day, question.devices, limits=limits)
        hours = tuple(
            self._hour(t, parts, realisation[t * day.uncertain.count : (t + 1) * day.uncertain.count], (lower, upper))
            for t in range(day.periods)
        )
        constraints += [each for hour in hours for each in hour.constraints]
        cones = [cone for hour in hours for cone in hour.cones]
        kept = [limit for hour in hours for limit in hour.limits]
        for circle in self._circles(parts, on):
            constraints += circle.constraints
            cones.append(circle.cone)
            kept.append(Limit("inverter", circle.excess))
        base = question.network.s_base_kva
        if parts.p.size and question.cost.square.any():
            cone, linked, priced = schedule.squares(parts.p, question.cost.square, on)
            constraints, cones, cost = [*constraints, *linked], [*cones, cone], cost + base * (day.hours @ priced)
        if Resource.GENERATORS in question.recourse:
            constraints += self._ramps(hours, on)
        total = cost + sum((hour.cost for hour in hours), cp.Constant(0.0))
        own, linked = self._own(parts, hours)
        return DayRecourse([*constraints, *linked], tuple(cones), tuple(kept), total, hours=hours, parts=parts, own=own)

    def _own(self, parts: DayParts, hours: tuple[HourFlow, ...]) -> tuple[cp.Variable | None, list[cp.Constraint]]:
        """What the recourse decides of the schedule as one variable, in the order of `DayLayout.late`."""
        late = self.layout.late
        if not any(late):
            return None, []
        outputs = [hour.flow.s_gen for hour in hours if hour.flow.s_gen is not None]
        given = (
            *((cp.vstack([output[k] for output in outputs]) for k in (0, 1)) if late[0] else (parts.p, parts.q)),
            *(parts.charge, parts.discharge, parts.store_q, parts.shift),
        )
        some = [cp.vec(part, order="C") for part, width in zip(given, late, strict=True) if width]
        own = cp.Variable(sum(late) * self.question.day.periods, name="own")
        return own, [own == cp.hstack(some)]

    def _with_own(self, given: DayParts) -> tuple[DayParts, list[cp.Constraint], cp.Expression]:
        """The parts with variables for what is left to the recourse, their constraints, and their cost."""
        question, layout, day = self.question, self.layout, self.question.day
        constraints, cost = list[cp.Constraint](), cp.Constant(0.0)
        if Resource.STORES in question.recourse and day.stores.count:
            shape = day.periods, day.stores.count
            charge, discharge, store_q = (cp.Variable(shape, name=name) for name in ("charge", "discharge", "store_q"))
            block = first.storage(question, charge, discharge, store_q, directions=False)
            given = replace(given, charge=charge, discharge=discharge, store_q=store_q)
            constraints, cost = [*constraints, *block.constraints], cost + block.cost
        if Resource.SHIFT in question.recourse and len(layout.shifting):
            shift = cp.Variable((day.periods, len(layout.shifting)), name="shift")
            block = first.shifting(layout, shift)
            given = replace(given, shift=shift)
            constraints, cost = [*constraints, *block.constraints], cost + block.cost
        return given, constraints, cost

    def _hour(self, t: int, parts: DayParts, realisation: cp.Expression, bounds: tuple[Floats, Floats]) -> HourFlow:
        """The recourse of period t."""
        question, layout = self.question, self.layout
        net = question.network
        at = np.zeros((len(layout.shifting), net.n_terminals))
        at[np.arange(len(layout.shifting)), layout.shifting] = 1.0
        scheduled = Resource.GENERATORS not in question.recourse
        zero = np.zeros(question.day.stores.count)
        stores = [part[t] if part.size else zero for part in (parts.charge, parts.discharge, parts.store_q)]
        plan = HourSchedule(
            generation=cp.vstack([parts.p[t], parts.q[t]]) if scheduled else None,
            charge=stores[0],
            discharge=stores[1],
            store_q=stores[2],
            shift=parts.shift[t] @ at if parts.shift.size else np.zeros(net.n_terminals),
        )
        closed = _row(parts.closed, t, net.closed.astype(np.float64))
        return hour_flow(
            net,
            question.day,
            t,
            closed=closed,
            schedule=plan,
            realisation=realisation,
            w_upper=bounds[1],
            supply=question.supply,
            cost=question.cost,
            choice=self._choice(t, parts, bounds[0], scheduled=scheduled),
        )

    def _choice(self, t: int, parts: DayParts, lower: Floats, *, scheduled: bool) -> DeviceChoice | None:
        """The positions in period t of devices, of units too where their output is recourse; None without any."""
        layout, devices = self.layout, self.question.devices
        some, chosen = list(layout.settable), list[cp.Expression]()
        if parts.chosen.size:
            chosen.append(_row(parts.chosen, t, np.empty(0)))
        if not scheduled:
            some += list(layout.units)
            for column, d in enumerate(layout.units):
                on = parts.on[t, column]
                chosen += [on if value else 1 - on for value in devices.values[d]]
        if not some:
            return None
        return DeviceChoice(devices.only(np.array(some)), cp.hstack(chosen), lower)

    def _circles(self, parts: DayParts, on: cp.Expression) -> list[schedule.Circle]:
        """Inverters of generators and stores whose reactive power is scheduled or decided for the whole day."""
        stores, found = self.question.day.stores, list[schedule.Circle]()
        if parts.p.size and np.isfinite(self.question.supply.generator_s_max).any():
            found.append(schedule.circle(parts.p, parts.q, self.question.supply.generator_s_max, on))
        if parts.charge.size and stores.s_max.any():
            ones = np.ones(parts.charge.shape)
            found.append(schedule.circle(parts.charge - parts.discharge, parts.store_q, stores.s_max, ones))
        return found

    def _ramps(self, hours: tuple[HourFlow, ...], on: cp.Expression) -> list[cp.Constraint]:
        """Ramps between the outputs that the periods choose."""
        day, net = self.question.day, self.question.network
        outputs = [hour.flow.s_gen[0] for hour in hours if hour.flow.s_gen is not None]
        if not outputs:
            return []
        start, stop, constraints = schedule.starts(day.units, on)
        return [*constraints, *schedule.ramps(net, day.units, day.hours, cp.vstack(outputs), start, stop)]

    # What the methods ask for besides

    def with_uncertainty(self, uncertainty: Uncertainty, risk: Risk) -> DayProgram:
        """The same day before other realisations."""
        return replace(self, uncertainty=uncertainty, risk=risk)

    def first_stage_cost(self, decision: Floats) -> float:
        """What the plan costs whatever comes; squares of outputs, which are in the recourse, apart."""
        question, plan = self.question, self.layout.plan(decision)
        squares = question.day.hours @ plan.generation.real**2 @ question.cost.square
        return float(DayEvaluator(question).schedule_costs(plan).sum() - question.network.s_base_kva * squares)

    def dispatch(self, recourse: SecondStage) -> cp.Variable | None:
        """What the recourse decides of the schedule."""
        assert isinstance(recourse, DayRecourse)
        return recourse.own

    def evaluate(self, decision: Floats, realisations: Floats, dispatch: Sequence[Floats] | None) -> ExactEvaluation:
        """Operations of all days by exact power flow, as `EvaluatedDays` in the state.

        Other recourses may cost less, so that this is no more than an upper bound.
        """
        layout, day, count = self.layout, self.question.day, len(realisations)
        unknown = ExactEvaluation(np.full(count, np.inf), np.full(count, np.inf), None, False)
        if any(layout.late) and dispatch is None:
            return unknown
        plan = layout.plan(decision)
        plans = (
            [plan] if not any(layout.late) or dispatch is None else [layout.completed(plan, own) for own in dispatch]
        )
        days = evaluated_days(
            self._finder,
            [tidied(self.question, each) for each in plans],
            realisations.reshape(count, day.periods, day.uncertain.count),
            self.stop,
        )
        if days is None:
            return unknown
        costs = days.costs.sum(axis=1) - self.first_stage_cost(decision)
        return ExactEvaluation(costs, days.violations.sum(axis=1), days, False)

    @cached_property
    def _finder(self) -> HourRecourseFinder:
        return HourRecourseFinder(self.question, TOLERANCE)


def _row(part: cp.Expression, t: int, fixed: Floats) -> cp.Expression:
    """Row t of what is decided by period, the only row of what is decided once, `fixed` where nothing is decided."""
    if not part.size:
        return cp.Constant(fixed)
    return part[t if part.shape[0] > 1 else 0]


def _ends(uncertainty: Uncertainty) -> Floats:
    """(2, m) least and greatest value of every entry of a realisation."""
    match uncertainty:
        case Box(lower, upper):
            return np.array([lower, upper])
        case Budget(nominal, down, up):
            return np.array([nominal - down, nominal + up])
    return np.array([uncertainty.values.min(axis=0), uncertainty.values.max(axis=0)])


def robust_day(question: DayQuestion, *, listed: bool = False) -> DayProgram:
    """The day against the worst of its budgeted set, as a set where the engine knows it; else, or `listed`, by vertex.

    Raises:
        OptionError: too many vertices to list.
    """
    uncertain = question.day.uncertain
    if not uncertain.count:
        return DayProgram(question, Certain(np.empty(0)), Expectation())
    budget = None if listed else budget_of(uncertain)
    return DayProgram(question, Scenarios(listed_days(uncertain)) if budget is None else budget)


def stochastic_day(question: DayQuestion, realisations: Floats, probabilities: Floats | None, risk: Risk) -> DayProgram:
    """The day before scenario days.

    Args:
        question: of the day. realisations: (K, T, U). probabilities: (K); None = not known. risk: of the costs.
    """
    return DayProgram(question, Scenarios(realisations.reshape(len(realisations), -1), probabilities), risk)
