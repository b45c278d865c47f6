"""Topology decided in every period together with resources: found by turns, with a lower bound of all topologies.

1. Resources for given topologies of the periods are planned by the method for a given topology, which verifies them.
2. Topologies for given resources, in the worst realisation of this plan, are those of least loss with few switch
   operations, their number bounded and priced (`openpoint.search.switching`).

Each turn may only keep what is better, so that this ends, in general not at the best plan of all. The lower bound is
that of a node in which every branch is undecided (`relaxation`): each copy of the recourse has a topology of its own
there. Only the gap says how far the plan may be from the best.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Bools, Floats, States
from openpoint.errors import OptionError
from openpoint.formulations.hour import without_generators
from openpoint.network import Network
from openpoint.search.kernel.arrays import CLOSED, OPEN
from openpoint.search.switching.problem import SwitchingProblem
from openpoint.search.switching.solve import solve_switching
from openpoint.studies.dispatch.day.flow import period_network, running
from openpoint.studies.dispatch.day.model.day_master import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import Experience, PeriodColumns
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.outcome import DayOutcome, Operation
from openpoint.studies.dispatch.day.topology.exchange import exchanged, heaviest_state
from openpoint.studies.dispatch.day.topology.method import SHARE, first_status
from openpoint.studies.dispatch.day.topology.relaxation import DayRelaxation
from openpoint.studies.dispatch.day.topology.weights import forecast, worst_mixture
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination, check_stops, relative_gap

TURNS = 6
"""Topologies for the resources of the plan before, at most."""
LEAST_WEIGHT = 1e-3
"""Least price of the loss of a period, $/kWh: where energy is worth nothing, least loss decides all the same."""
NOTE = (
    "Resources and the topologies of the periods were found by turns: plans that cost less may exist, down to the "
    "lower bound, in which every period and realisation has a topology of its own."
)


@dataclass(frozen=True)
class HourlyTopologies:
    """Resources and hourly topologies by turns.

    Attributes:
        gap: relative gap of the cost that is enough. time_limit_s: seconds after which to stop with what is verified.
    """

    gap: float = 1e-3
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(self.gap, self.time_limit_s)

    def __str__(self) -> str:
        return f"HourlyTopologies(gap={self.gap:g})"

    def solve(
        self, question: DayQuestion, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> DayOutcome:
        """The best plan that was found, verified, and a lower bound of all.

        Raises:
            OptionError: the topology is not decided in every period, something of the schedule is recourse, or there
                are futures in place of a budgeted set.
        """
        if question.topology is not Cadence.HOURLY:
            raise OptionError("topologies and resources by turns are for topology='hourly'; ask for it")
        if question.recourse or question.scenarios is not None:
            raise OptionError(
                "topologies and resources by turns need generators, stores and shifts in the first stage, and no "
                "futures; leave recourse and futures out"
            )
        with deadline_of(self.time_limit_s, deadline) as limit:
            return _Run(question, self.gap, progress, limit).run()


@dataclass
class _Run:
    """One run: what is known so far."""

    question: DayQuestion
    gap: float
    progress: Progress | None
    deadline: Deadline
    best: DayOutcome | None = None
    lower: float = -math.inf
    log: list[Iteration] = field(default_factory=list)
    experience: Experience = field(init=False)
    began: float = field(init=False)

    def __post_init__(self) -> None:
        self.experience, self.began = Experience(HourTemplates(self.question)), self.deadline.passed()

    def run(self) -> DayOutcome:
        """Plans for one topology all day, then by turns."""
        question, expected = self.question, forecast(self.question.day)
        relaxation = DayRelaxation(question, expected.copies, expected.weights)
        decided = first_status(question, relaxation)
        root = relaxation.bound(decided, None, 3)
        if root is None:
            return DayOutcome(Termination.INFEASIBLE, None, None, None, math.inf, math.inf, (), self._seconds())
        self.lower = root.value
        good = exchanged(relaxation, heaviest_state(relaxation, decided, root), decided, self.deadline.over)
        states = [question.network.closed] if good is None else [self._closed(relaxation, good[0])]
        if not np.array_equal(states[0], question.network.closed) and not self._moved_from_today():
            states.append(question.network.closed)
        for closed in states:
            self._solve(np.tile(closed, (question.day.periods, 1)))
        if self.best is not None and self.best.plan is not None and self.experience.days:
            planned = np.where(self.best.plan.closed[0][relaxation.branch], CLOSED, OPEN).astype(np.int8)
            self._raise(planned, decided)
        for _ in range(TURNS):
            if self._done() or not self._turn():
                break
        return self._outcome()

    def _moved_from_today(self) -> bool:
        """Whether locks exclude today's topology."""
        question = self.question
        closed = question.network.closed
        return bool((question.must_close & ~closed).any() or (question.must_open & closed).any())

    def _closed(self, relaxation: DayRelaxation, state: States) -> Bools:
        closed = np.zeros(self.question.network.n_conductors, dtype=np.bool_)
        closed[relaxation.branch[state == CLOSED]] = True
        return closed

    def _raise(self, state: States, decided: States) -> None:
        """The bound with the weights of the worst days."""
        if self.deadline.over():
            return
        mixed = worst_mixture(self.question, state, self.experience.days, self.deadline.over)
        found = DayRelaxation(self.question, mixed.copies, mixed.weights).bound(decided.copy(), None, 3)
        if found is not None:
            self.lower = max(self.lower, found.value)

    def _solve(self, closed: Bools) -> bool:
        """The best resources for (T, E) states; whether the plan is the best so far."""
        method = PeriodColumns(gap=SHARE * self.gap)
        outcome = method.solve(self.question, None, self.deadline, closed=closed, experience=self.experience)
        better = outcome.plan is not None and (self.best is None or _rank(outcome) < _rank(self.best))
        if better:
            self.best = outcome
        upper = math.inf if self.best is None else self.best.upper_bound
        bounds = min(self.lower, upper), upper, outcome.upper_bound
        line = Iteration(len(self.log) + 1, self._seconds(), *bounds, "topologies", interim=False)
        self.log.append(line)
        if self.progress is not None:
            self.progress(line)
        return better

    def _turn(self) -> bool:
        """Topologies for the resources of the best plan, and resources for these; whether the plan is better."""
        assert self.best is not None
        assert self.best.worst is not None
        closed = self._switched(self.best, self.best.worst)
        return closed is not None and self._solve(closed)

    def _switched(self, outcome: DayOutcome, worst: Operation) -> Bools | None:
        """(T, E) states of least loss for the resources of a plan in its worst realisation; None where none is new."""
        question, plan = self.question, outcome.plan
        assert plan is not None
        day, base = question.day, question.network.s_base_kva
        output = np.where(running(question, plan), plan.generation, 0.0)
        networks = tuple(
            _with_outputs(period_network(question, plan, t, worst.realisation, worst.recourse), output[t])
            for t in range(day.periods)
        )
        price = np.maximum(day.source_price.mean(axis=1) + question.cost.loss, LEAST_WEIGHT)
        problem = SwitchingProblem(
            networks,
            day.hours * base * price,
            question.must_close,
            question.must_open,
            before=question.network.closed,
            change=question.cost.change * base,
            most=question.max_changes,
        )
        found = solve_switching(problem, gap=self.gap, deadline=self.deadline)
        return None if found.closed is None or np.array_equal(found.closed, plan.closed) else found.closed

    def _done(self) -> bool:
        best = self.best
        if best is None or best.worst is None or self.deadline.over():
            return True
        return relative_gap(self.lower, best.upper_bound) <= self.gap

    def _seconds(self) -> float:
        return self.deadline.passed() - self.began

    def _outcome(self) -> DayOutcome:
        log, seconds = tuple(self.log), self._seconds()
        if self.best is None:
            return DayOutcome(self.deadline.why, None, None, None, self.lower, math.inf, log, seconds)
        lower = min(self.lower, self.best.upper_bound)
        proven = relative_gap(lower, self.best.upper_bound) <= self.gap
        why = Termination.GAP if proven else Termination.RELAXATION
        if self.deadline.over() and not proven:
            why = self.deadline.why
        notes = self.best.notes if proven else (*self.best.notes, NOTE)
        return replace(self.best, termination=why, lower_bound=lower, log=log, seconds=seconds, notes=notes)


def _with_outputs(network: Network, output: Floats) -> Network:
    """The network with the outputs of its generators as negative loads."""
    drawn = network.s_power.copy()
    np.subtract.at(drawn, network.generator_terminal, output)
    return without_generators(replace(network, s_power=drawn))


def _rank(outcome: DayOutcome) -> tuple[float, float]:
    """Plans that keep the limits first, then those of least violation."""
    worst = outcome.worst
    return outcome.upper_bound, math.inf if worst is None else float(np.sum(worst.violations))
