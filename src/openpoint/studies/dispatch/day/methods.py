"""Which method answers which question of a day, and why; what each finds.

Hourly switching of a certain day: the open points of every period, where nothing else is to be decided.

What a period costs is then a function of its radial state alone, so that `openpoint.search.switching` finds the plan of
least cost with few switch operations and proves it. The values of states are exact AC flows.

Energy that flows back through a source earns at most the price of what it delivers, and the search counts it at this
price: less than what it costs, so that its bound is valid; the plan is valued as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.network.day import DayPlan, network_of_period
from openpoint.network.operating_cost import OperatingCost, least_loss
from openpoint.search.switching.problem import SwitchingOutcome, SwitchingProblem
from openpoint.search.switching.solve import solve_switching
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.finder import operation
from openpoint.studies.dispatch.day.model.hour_block import no_recourse
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.model.question import Cadence, DayOutcome, DayQuestion, Operation
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress


@dataclass(frozen=True, kw_only=True)
class HourlySwitching:
    """Dynamic programming over states proven by topology search, for days on which switches alone are decided.

    Attributes:
        gap: at which to stop, relative to the cost of the losses where that is what depends on the plan (one price for
            all sources, loads of constant power), else to the cost of the day.
    """

    gap: float = 1e-4

    def __str__(self) -> str:
        return f"HourlySwitching(gap={self.gap:g})"

    def solve(
        self, question: DayQuestion, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> DayOutcome:
        """The plan of least cost, to the gap, or until a limit or Ctrl-C.

        Args:
            question: a day on which nothing but branches is to be decided, see `also_decided`.
            progress: called with every line of the log. deadline: when to stop with the best plan and the bound.

        Raises:
            OptionError: something else is to be decided, or a price is not above 0; all faults at once.
        """
        faults = [*also_decided(question), *_without_price(question)]
        if question.topology is not Cadence.HOURLY:
            faults.append("the topology is not decided in every period")
        if faults:
            raise OptionError("hourly switching decides switches alone on a certain day: " + "; ".join(faults))
        day = _Day(question)

        def on_line(line: Iteration) -> None:
            if progress is not None:
                progress(day.shifted(line))

        with deadline_of(None, deadline) as until:
            found = solve_switching(day.problem, gap=self.gap, progress=on_line, deadline=until)
        return day.outcome(found)


def also_decided(question: DayQuestion) -> list[str]:
    """What is to be decided on a day, or is uncertain, beside its branches: a text each."""
    net, day, demand = question.network, question.day, question.day.demand
    span = (net.p_max > net.p_min) | (net.q_max > net.q_min)
    counts = {
        "the outputs of generators": bool(
            span.any() or (question.devices.count > 0) or (day.unit_available != 1.0).any()
        ),
        "stores": day.stores.count > 0,
        "curtailment of renewable sources": day.renewables.count > 0,
        "demand that moves or is shed": bool(
            np.any(np.stack([demand.shift_buses, demand.shift_time, demand.shed_share]) > 0.0)
        ),
        "limits of sources": question.supply.any_of_sources,
        "limits of the power of branches": day.flow_max is not None,
        "a price of reactive energy": bool(day.price_reactive.any()),
        "uncertain quantities": bool(day.uncertain.count and (day.uncertain.down + day.uncertain.up).any()),
    }
    return [text for text, there in counts.items() if there]


def _without_price(question: DayQuestion) -> list[str]:
    """A text for the periods in which to waste power costs nothing."""
    day = question.day
    free = np.flatnonzero((day.source_price + question.cost.loss <= 0.0).any(axis=1))
    if not len(free):
        return []
    names = ", ".join(day.names[t] for t in free[:5])
    text = f"in {len(free)} periods ({names}) energy and losses together have no price above 0; give losses a price"
    return [f"{text} (loss) that is high enough"]


class _Day:
    """The day as a problem of switching, in $."""

    def __init__(self, question: DayQuestion) -> None:
        self.question = q = question
        day, net = q.day, replace(q.network, generator_s=q.network.p_max + 1j * q.network.q_max)
        networks = tuple(network_of_period(net, day, t) for t in range(day.periods))
        self.offset = float(DayEvaluator(q).schedule_costs(self._plan(self._today())).sum())
        weights = day.hours * net.s_base_kva
        costs: tuple[OperatingCost, ...] | None = None
        same = bool((day.source_price == day.source_price[:, :1]).all()) and not q.cost.current.any()
        if same and not any(each.s_current.real.any() or each.s_impedance.real.any() for each in networks):
            # The sources deliver loads and losses, and no plan changes the loads.
            price = day.source_price[:, 0]
            drawn = np.array([each.s_power.real.sum() - net.generator_s.real.sum() for each in networks])
            self.offset += float((weights * price * drawn).sum())
            weights = weights * (price + q.cost.loss)
        else:
            plain = least_loss(len(net.generator_terminal), len(net.source_terminal), net.n_conductors)
            costs = tuple(
                replace(plain, loss=q.cost.loss, source=price, current=q.cost.current) for price in day.source_price
            )
        self.problem = SwitchingProblem(
            networks,
            weights,
            replace(q.rules, change_cost=q.cost.change * net.s_base_kva),
            before=q.network.closed,
            costs=costs,
        )

    def _today(self) -> Bools:
        return np.repeat(self.question.network.closed[None], self.question.day.periods, axis=0)

    def _plan(self, closed: Bools) -> DayPlan:
        """The plan with these states of the branches."""
        q, periods = self.question, self.question.day.periods
        stores = np.zeros((periods, q.day.stores.count))
        return DayPlan(
            closed=closed,
            positions=np.tile(q.devices.today, (periods, 1)),
            generation=np.tile(q.network.p_max + 1j * q.network.q_max, (periods, 1)),
            charge=stores,
            discharge=stores,
            store_q=stores,
            shift=np.zeros((periods, q.network.n_terminals)),
        )

    def shifted(self, line: Iteration) -> Iteration:
        """A line of the log with the costs that no plan changes."""
        return replace(
            line,
            lower_bound=line.lower_bound + self.offset,
            upper_bound=line.upper_bound + self.offset,
            value=line.value + self.offset,
        )

    def outcome(self, found: SwitchingOutcome) -> DayOutcome:
        """What was found, as of a day."""
        plan = None if found.closed is None else self._plan(found.closed)
        operation = None if plan is None else self._operation(plan)
        upper = math.inf if operation is None else float(operation.costs.sum())
        notes = []
        if found.infeasible is not None:
            notes.append(f"no radial state keeps the limits in period {self.question.day.names[found.infeasible]}")
        return DayOutcome(
            found.termination,
            plan,
            operation,
            operation,
            min(found.lower_bound + self.offset, upper) if math.isfinite(upper) else found.lower_bound + self.offset,
            upper,
            tuple(self.shifted(line) for line in found.log),
            found.seconds,
            tuple(notes),
        )

    def _operation(self, plan: DayPlan) -> Operation:
        """The day as forecast, by exact AC flow."""
        q = self.question
        realisation = np.ones((q.day.periods, q.day.uncertain.count))
        return operation(DayEvaluator(q), plan, realisation, no_recourse(q, q.day.periods))


MethodName = Literal["columns", "search", "switching", "scenarios"]
"""columns: column-and-constraint generation with copies of the recourse by period, for a given topology; search: branch
and bound over topologies, and `columns` for those that are left; switching: open points of every hour of a certain day
on which nothing else is decided; scenarios: the futures of a day in one cone program, many of them in groups, for a
given topology."""


DayMethod = HourlySwitching | DayTopologySearch | PeriodScenarios | PeriodColumns


def choose(question: DayQuestion) -> tuple[MethodName, str]:
    """The method that suits a question, and why."""
    if question.topology is Cadence.HOURLY:
        return "switching", "what a period costs depends on its open points alone, and operations link the periods"
    if question.topology is Cadence.ONCE:
        return "search", "the topology is decided once, and the rest of the day is convex"
    if question.scenarios is not None:
        return "scenarios", "the topology is given, and a cone program has all futures, or groups of them"
    return "columns", "the topology is given, and the recourse of a period knows no other period"


METHODS: dict[MethodName, type[DayMethod]] = {
    "switching": HourlySwitching,
    "search": DayTopologySearch,
    "scenarios": PeriodScenarios,
    "columns": PeriodColumns,
}


def check_takes(name: MethodName, question: DayQuestion) -> None:
    """Refuse a method that would plan for something else than is asked, before it begins.

    Raises:
        OptionError: futures and a method for a budgeted set; an hourly topology with more to decide.
    """
    if question.topology is Cadence.HOURLY and (also := also_decided(question)):
        raise OptionError(
            f"open points by hour are decided alone, on a certain day, and this one has {', '.join(also)}; decide them "
            "once for the day, or keep them fixed (topology)"
        )
    if question.scenarios is not None and name in ("columns", "switching"):
        raise OptionError(
            f"the method {name} is for a budgeted set; futures are planned for by scenarios (a given topology) and by "
            "search (decided once)"
        )
