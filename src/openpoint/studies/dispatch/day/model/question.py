"""The question of dispatch over a day, as numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum

import numpy as np

from openpoint.arrays import Floats
from openpoint.network import Network
from openpoint.network.day import DayArrays, DayPlan, HourRecourse, Uncertain
from openpoint.network.devices import Devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.network.stations import Stations
from openpoint.twostage.ambiguity import ProbabilitySet
from openpoint.twostage.log import Iteration, Termination, relative_gap
from openpoint.twostage.risk import CVaR, Expectation, Risk, probability_set
from openpoint.twostage.uncertainty import Scenarios


class Cadence(Enum):
    """How often something is decided: never (it stays as today), once for the day, or in every period."""

    FIXED = "fixed"
    ONCE = "once"
    HOURLY = "hourly"


@dataclass(frozen=True)
class ScenarioDays:
    """K days that may come, and how their costs become one number.

    Attributes:
        names: (K). realisations: (K, T, U). probabilities: (K); None where they are unknown. risk: of the costs.
    """

    names: tuple[str, ...]
    realisations: Floats
    probabilities: Floats | None
    risk: Risk

    @property
    def nominal(self) -> Floats:
        """(K) the probabilities; all the same where they are unknown."""
        return np.full(len(self.names), 1.0 / len(self.names)) if self.probabilities is None else self.probabilities

    def allowed(self, weights: Floats) -> Floats:
        """(K) a probability vector that the risk allows, between the nominal one and about these multipliers."""
        nominal = self.nominal
        if isinstance(self.risk, Expectation):
            return nominal
        most = nominal / (1.0 - self.risk.level) if isinstance(self.risk, CVaR) else np.ones(len(nominal))
        near = np.maximum(weights, 0.0)
        near = near / near.sum() if near.sum() > 0.0 else nominal
        beyond = near > most
        steps = (most - nominal)[beyond] / (near - nominal)[beyond]
        return np.asarray(nominal + min(1.0, steps.min(initial=1.0)) * (near - nominal))

    def of_last(self, periods: int) -> ScenarioDays:
        """The same of the last periods."""
        return replace(self, realisations=self.realisations[:, len(self.realisations[0]) - periods :])

    @property
    def weights(self) -> ProbabilitySet:
        """The probability vectors of which the risk is the worst expectation.

        Raises:
            OptionError: the risk needs probabilities, and they are unknown.
        """
        values = self.realisations.reshape(len(self.names), -1)
        return probability_set(Scenarios(values, self.probabilities), self.risk)


@dataclass(frozen=True)
class DayQuestion:
    """Topology and resources of a day at the least cost in the worst realisation, or at the least risk of scenario
    days.

    Attributes:
        network: the grid with the limits to keep and without its loads, see `DayArrays`. devices: what may be set
            beside branches. supply: limits of sources and generators.
        cost: prices of generators in $/kWh as in `build_prices`; `loss`, a price of losses beside the energy that they
            take; `change`, of a switch that moves; `move`, of a device that moves, units apart; its prices of sources
            are those of the day and not read.
        rules: the locks, and the most switches that may differ from today's state, with the topology decided once; with
            an hourly topology most switch operations over the day, the first period against today's.
        topology: how often it is decided. positions: of devices, units apart, whose states are decided every period.
        day: the periods and resources. scenarios: days in place of the budgeted set; `with_scenarios` gives them.
        stations: the grid with the permanently closed loops that `network` has opened; None where it has none.
    """

    network: Network
    devices: Devices
    supply: SupplyLimits
    cost: OperatingCost
    rules: SwitchingRules
    topology: Cadence
    positions: Cadence
    day: DayArrays
    scenarios: ScenarioDays | None = None
    stations: Stations | None = None

    @property
    def whole(self) -> DayQuestion:
        """The question on the grid with its permanently closed loops closed: for figures of plans, not for methods."""
        return self if self.stations is None else replace(self, network=self.stations.whole, stations=None)

    def in_whole(self, plan: DayPlan) -> DayPlan:
        """A plan on the grid with its permanently closed loops closed."""
        return plan if self.stations is None else replace(plan, closed=plan.closed | self.stations.dropped)


def with_scenarios(question: DayQuestion, scenarios: ScenarioDays) -> DayQuestion:
    """The question with scenario days, and deviations that hold all of them, from which bounds of powers follow."""
    uncertain, days = question.day.uncertain, scenarios.realisations
    up, down = np.maximum(days - 1.0, 0.0).max(axis=0), np.maximum(1.0 - days, 0.0).max(axis=0)
    spread = replace(uncertain, up=np.maximum(uncertain.up, up), down=np.maximum(uncertain.down, down))
    return replace(question, day=replace(question.day, uncertain=spread), scenarios=scenarios)


def as_forecast(question: DayQuestion) -> DayQuestion:
    """The question with nothing uncertain."""
    day = question.day
    none = np.zeros((day.periods, 0))
    certain = Uncertain(
        names=(),
        group=(),
        load=np.full(len(day.uncertain.load), -1, dtype=np.int64),
        renewable=np.full(day.renewables.count, -1, dtype=np.int64),
        down=none,
        up=none,
        hours=np.empty(0, dtype=np.int64),
    )
    return replace(question, day=replace(day, uncertain=certain), scenarios=None)


@dataclass(frozen=True)
class Operation:
    """A day as it comes: what is uncertain, and what is done then.

    Attributes:
        plan: what is scheduled, with what the recourse decides of it.
        realisation: (T, U). recourse: of the T periods, K = T.
        costs: (T) of the periods in $, by exact AC power flow, first stage included. violations: (T) of the limits.
    """

    plan: DayPlan
    realisation: Floats
    recourse: HourRecourse
    costs: Floats
    violations: Floats


@dataclass(frozen=True)
class DayOutcome:
    """The end of a run.

    Attributes:
        termination: why it stopped.
        plan: best plan whose worst case keeps the limits; that of least violation where none is found; None = no plan.
        forecast: operation of the plan as forecast. worst: in its worst realisation. None without a plan.
        lower_bound: $, no plan costs less in its worst case (or by the risk measure). upper_bound: $ of the plan,
            verified by exact AC power flow in all vertices of the uncertainty set; inf where limits are broken.
        log: the iterations. seconds: of the method alone.
        notes: what stands beside the figures. days: (T, U) realisations against which the lower bound holds.
        closed_bound: a lower bound that needs no accuracy of a solver; -inf where none was made.
        scenarios: operations of the plan on the scenario days, if there are any.
        weights: what a $ more on each of these days costs.
        binding: days (T, U) that bind where the lower bound of a budgeted set was found, with what a $ more on each
            costs; these sum to one. Empty where the method has no such days.
    """

    termination: Termination
    plan: DayPlan | None
    forecast: Operation | None
    worst: Operation | None
    lower_bound: float
    upper_bound: float
    log: tuple[Iteration, ...]
    seconds: float
    notes: tuple[str, ...] = ()
    days: tuple[Floats, ...] = ()
    closed_bound: float = -math.inf
    scenarios: tuple[Operation, ...] = ()
    weights: Floats | None = None
    binding: tuple[tuple[Floats, float], ...] = ()

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)

    def with_plans(self, of: Callable[[DayPlan], DayPlan]) -> DayOutcome:
        """The same with other plans, each made of the one that is there."""
        operated = [each and replace(each, plan=of(each.plan)) for each in (self.forecast, self.worst, *self.scenarios)]
        return replace(
            self,
            plan=self.plan and of(self.plan),
            forecast=operated[0],
            worst=operated[1],
            scenarios=tuple(each for each in operated[2:] if each is not None),
        )
