"""Topology search for a year: groups of steps bound it, and every state is evaluated by the power flow of all steps.

The bound is that of `openpoint.search.futures.model`. Steps whose limits break first are groups of their own: the
heaviest one, and the worst of the states that the search begins with. Where a state is met that breaks limits in
another step, this step is looked at first from then on, so that most of such states take a few power flows only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.radiality import Switching
from openpoint.network import Network
from openpoint.network.stations import Stations
from openpoint.powerflow.series import SeriesFlows, StepDemand, series_until, solve_series
from openpoint.powerflow.state import is_limited
from openpoint.search.certificate import put_aside
from openpoint.search.futures.model import Span, Verdicts, coordinates, group_steps, loss_form, means
from openpoint.search.futures.tree import FuturesCertificate
from openpoint.search.methods import Log, TopologySearch
from openpoint.search.result import SearchResult
from openpoint.studies.reconfigure.ac_evaluation import first_trees
from openpoint.studies.reconfigure.many_futures import (
    ASKED_S,
    MEAN_S,
    MEAN_SHARE,
    answer_for,
    exchanged,
    explained,
    infeasible,
    searched,
    task_of,
)
from openpoint.studies.reconfigure.methods import Method
from openpoint.studies.reconfigure.model import RadialProgram, as_realisation
from openpoint.studies.reconfigure.result import SoftLimits
from openpoint.studies.reconfigure.soft import Question, shares_of, solve_softly
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.risk import Expectation
from openpoint.twostage.uncertainty import Scenarios
from openpoint.twostage.workers.pool import never

GROUPS = 256
"""Groups of steps, at most, beside the steps that are groups of their own."""
PROVEN_GROUPS = 64
"""The same where a certificate is written, which has a line for each group: fewer lines, more states to judge."""
WORST = 3
"""Steps of a state to begin with that are groups of their own, those that break limits most."""
WATCHED = 16
"""Steps that are looked at before all others."""
KEPT = 8
"""States whose flows are kept beside those that were the best: the search begins with them, and meets them again."""
PIECE = 4096
"""Steps whose demands of all buses are in memory at once."""


@dataclass(frozen=True, eq=False)
class YearTask:
    """The question: the radial state that loses least energy over T steps and keeps the limits in each.

    Attributes:
        program: the grid, its limits and locks, permanently closed loops opened. stations: these loops.
        demand: of the steps, per unit. hours: (T) their lengths.
    """

    program: RadialProgram
    stations: Stations
    demand: StepDemand
    hours: Floats

    @property
    def network(self) -> Network:
        return self.program.network

    def flows(self, closed: Bools, steps: Ints | None = None) -> SeriesFlows:
        """Power flows of a state in all steps, or in some."""
        if steps is None:
            return solve_series(self.network, closed, self.demand, self.hours)
        return solve_series(self.network, closed, self.demand.take(steps), self.hours[steps])

    def flows_until(self, closed: Bools, stop: Callable[[], bool]) -> SeriesFlows | None:
        """Power flows of a state in all steps; None where `stop` says True before the last one."""
        return series_until(self.network, closed, self.demand, self.hours, stop)

    def span(self) -> Span:
        """The ends of the demands of all steps."""
        parts = [slice(begin, begin + PIECE) for begin in range(0, len(self.hours), PIECE)]
        found = Span.of(self.demand.rows(parts[0]))
        for part in parts[1:]:
            found = found.joined(Span.of(self.demand.rows(part)))
        return found

    def sizes(self) -> Floats:
        """(T) apparent power of all buses, added up."""
        parts = range(0, len(self.hours), PIECE)
        return np.concatenate([np.abs(self.demand.rows(slice(at, at + PIECE))).sum(axis=1) for at in parts])


@dataclass(eq=False)
class KnownFlows:
    """Power flows of states in all steps, worked out until the time is up, and kept of some.

    Attributes:
        task: what is asked. stop: whether the time is up.
        most: states that are kept beside the best ones; 0: none at all. of: the flows of those kept. count: of states.
    """

    task: YearTask
    stop: Callable[[], bool] = never
    most: int = KEPT
    of: dict[bytes, SeriesFlows] = field(default_factory=dict)
    count: int = 0

    def flows(self, closed: Bools) -> SeriesFlows | None:
        """Of a state; None where they are not known and the time is up. The first `most` are kept."""
        found = self.of.get(closed.tobytes())
        if found is None and (found := self.task.flows_until(closed, self.stop)) is not None:
            self.count += 1
            if len(self.of) < self.most:
                self.keep(closed, found)
        return found

    def always(self, closed: Bools) -> SeriesFlows:
        """Of a state that is computed once the time is up, too, and kept."""
        found = self.of.get(closed.tobytes())
        if found is None:
            found = self.task.flows(closed)
            self.count += 1
            self.keep(closed, found)
        return found

    def keep(self, closed: Bools, flows: SeriesFlows) -> None:
        if self.most:
            self.of[closed.tobytes()] = flows


@dataclass(eq=False)
class YearEvaluator:
    """Mean loss of radial states over the steps by exact AC power flow, inf where limits break in any step.

    Losses of groups are not worked out: they are 0, or inf where steps have no flow and those that have one break no
    limits, so that no power flow shows that the state is none of interest. Once the time is up, states whose flows are
    not known are not evaluated.

    Attributes:
        known: flows of states. switching: number and cost of changes. futures: number of groups.
        watched: steps that are looked at first. best: least mean loss so far; the flows of its state are kept.
    """

    known: KnownFlows
    switching: Switching
    futures: int
    watched: list[int] = field(default_factory=list)
    best: float = math.inf

    def __call__(self, closed: Bools) -> Verdicts:
        """Of (C, E) states."""
        value, violation = np.full(len(closed), np.inf), np.full(len(closed), np.inf)
        losses = np.zeros((len(closed), self.futures))
        task, stopped = self.known.task, False
        s = task.network.s_base_kva
        for c in np.flatnonzero(self.switching.allowed(closed)):
            if self.watched:
                excess = task.flows(closed[c], np.array(self.watched)).excess
                violation[c] = float(excess.sum())
                if violation[c] > 0.0 and not _unexplained(excess):
                    continue
            flows = self.known.flows(closed[c])
            if flows is None:
                stopped = True
                continue
            violation[c] = float(flows.excess.sum())
            if _unexplained(flows.excess):
                losses[c] = np.inf
            if violation[c] == 0.0:
                value[c] = mean_loss(task, flows) + float(self.switching.cost(closed[c])) / s
                if value[c] < self.best:
                    self.best = float(value[c])
                    self.known.keep(closed[c], flows)
            else:
                self.watch(int(flows.excess.argmax()))
        return Verdicts(value, value, losses, violation, stopped)

    def watch(self, step: int) -> None:
        """Look at a step first from now on."""
        if step not in self.watched:
            self.watched = [step, *self.watched][:WATCHED]


def _unexplained(excess: Floats) -> bool:
    """Whether steps have no flow, and no step that has one breaks limits."""
    return bool(np.isinf(excess).any()) and not bool(np.any((excess > 0.0) & np.isfinite(excess)))


@dataclass(frozen=True, eq=False)
class YearFound:
    """The outcome of a search.

    Attributes:
        outcome: of the mean loss over the steps, kW. groups: number of groups of several steps.
        known: flows of states, among them those of the answer.
    """

    outcome: Outcome
    groups: int
    known: KnownFlows


def search_year(
    task: YearTask,
    search: TopologySearch,
    progress: Progress | None,
    deadline: Deadline,
    *,
    groups: int | None = None,
    starts: Sequence[Bools] = (),
    known: KnownFlows | None = None,
) -> YearFound:
    """The radial state of least energy, proven to the gap of the search.

    The state most like today's is evaluated in all steps whatever the time, so that there is an answer if it keeps the
    limits, and so are `starts`; any other state as long as there is time.

    groups: of steps, at most; None: `GROUPS`, with a certificate `PROVEN_GROUPS`. starts: radial states to begin with,
    beside others. known: flows of states so far.

    Raises:
        OptionError: a grid that the bound is not valid for.
    """
    net = task.network
    began = deadline.passed()
    if search.certificate is not None:
        put_aside(search.certificate)
    first, known = [*first_trees(task.program.choices, task.network), *starts], known or KnownFlows(task)
    known.stop = deadline.over
    log = Log(net.s_base_kva, progress)
    for state in (first[0], *starts):
        known.always(state)

    def verified(state: Bools, flows: SeriesFlows) -> None:
        switching = task.program.switching
        value = mean_loss(task, flows) + float(switching.cost(state)) / net.s_base_kva
        best = log.lines[-1].upper_bound / net.s_base_kva if log.lines else math.inf
        if value < best and switching.allowed(state[None])[0]:
            log.start(deadline.passed() - began, value)

    single, tree = begin(known, first, verified)
    most = groups or (GROUPS if search.certificate is None else PROVEN_GROUPS)
    program, label = grouped(task, single, tree, most)
    evaluator = YearEvaluator(known, program.switching, len(program.demands), single.tolist())
    states, infeasible_alone = _starts(task, program, first, evaluator, single, deadline)
    if infeasible_alone:
        found = infeasible(states[int(np.argmin(program.ac.violations(states)))], deadline.passed() - began)
    else:
        log.before_s = deadline.passed() - began
        asked = replace(task_of(program, program.ac), evaluate=evaluator, span=task.span(), limits=is_limited(net))
        built, certificate = asked.built(by_loss=search.certificate is None), None
        if search.certificate is not None:
            words = None if task.program.asked is None else replace(task.program.asked, year=True)
            certificate = FuturesCertificate(search.certificate, net, built, words, label=label)
        found = searched(asked, search, log, deadline, states, built, certificate)
    found = explained(program, program.ac, found, first[0], deadline)
    found = replace(found, seconds=deadline.passed() - began)
    log.before_s = 0.0
    several = len(program.demands) - len(single)
    return YearFound(_outcome(program, found, log), several, known)


def closed_in(outcome: Outcome) -> Bools | None:
    """(E) the state found, or that of least violation; None: none was met."""
    state = outcome.least_violation if outcome.decision is None else outcome.decision
    return None if state is None else np.asarray(state > 0.5)


def search_softly(
    task: YearTask, search: TopologySearch, progress: Progress | None, deadline: Deadline, known: KnownFlows
) -> tuple[YearFound, SoftLimits | None]:
    """What is found, and where that keeps no limits, the state that breaks them least in any step.

    known: flows of states, whose excesses are those of the limits as they are.
    """
    net, groups, met = task.network, [0], list[Bools]()

    def solve(method: Method, network: Network, progress: Progress | None, deadline: Deadline) -> Outcome:
        assert isinstance(method, TopologySearch)
        asked = replace(task, program=replace(task.program, network=network))
        mine = known if network is net else None
        found = search_year(asked, method, progress, deadline, starts=met[-1:], known=mine)
        groups.append(found.groups)
        if (state := closed_in(found.outcome)) is not None:
            met.append(state)
        return found.outcome

    def flows(outcome: Outcome) -> SeriesFlows | None:
        state = closed_in(outcome)
        return None if state is None else known.always(state)

    def shares(outcome: Outcome) -> Floats | None:
        found = flows(outcome)
        if found is None or not np.isfinite(found.loss).all():
            return None
        return np.maximum(shares_of(net, found.v_low_of, found.i_of), shares_of(net, found.v_high_of, found.i_of))

    def value(outcome: Outcome) -> float:
        state, found = closed_in(outcome), flows(outcome)
        assert state is not None
        assert found is not None
        mean = float(found.loss @ task.hours) / float(task.hours.sum())
        return net.s_base_kva * mean + float(task.program.switching.cost(state))

    outcome, soft = solve_softly(Question(net, search, solve, shares, value), progress, deadline)
    return YearFound(outcome, groups[-1], known), soft


def mean_loss(task: YearTask, flows: SeriesFlows) -> float:
    """Of a state over the steps, per unit; inf where it breaks limits, or a step has no flow."""
    return math.inf if (flows.excess > 0.0).any() else float(flows.loss @ task.hours) / float(task.hours.sum())


def begin(
    known: KnownFlows, states: list[Bools], told: Callable[[Bools, SeriesFlows], None] = lambda state, flows: None
) -> tuple[Ints, Bools]:
    """Steps that are groups of their own, the heaviest first, and the state that the groups are formed by.

    told: is told of every state and its flows.
    """
    task, sizes = known.task, known.task.sizes()
    single, best, tree = [int(sizes.argmax())], math.inf, states[0]
    for state in states:
        if (flows := known.flows(state)) is None:
            continue
        told(state, flows)
        if float(flows.loss @ task.hours) < best:
            best, tree = float(flows.loss @ task.hours), state
        broken = np.flatnonzero(flows.excess > 0.0)
        single += broken[np.argsort(-flows.excess[broken], kind="stable")][:WORST].tolist()
        single += [int(sizes.argmin())] if not len(broken) and is_limited(task.network) else []
    return np.array(list(dict.fromkeys(single)), dtype=np.int64), tree


def grouped(task: YearTask, single: Ints, tree: Bools, groups: int) -> tuple[RadialProgram, Ints]:
    """The program with the mean demands of groups as its futures, and (T) the group of each step.

    The steps that are alone come first.
    """
    shares = task.demand.shares
    points = coordinates(task.demand.profile, loss_form(task.network, tree, shares), task.hours)
    label = group_steps(points, task.hours, groups, single)
    profile, hours = means(task.demand.profile, task.hours, label)
    futures = Scenarios(as_realisation(profile @ shares), hours / hours.sum())
    return replace(task.program, futures=futures, risk=Expectation(), limits_share=1.0), label


def _starts(
    task: YearTask,
    program: RadialProgram,
    first: list[Bools],
    evaluator: YearEvaluator,
    single: Ints,
    deadline: Deadline,
) -> tuple[Bools, bool]:
    """(S, E) states to begin with, and whether some step has no state that keeps its limits."""
    states, ac = list(first), program.ac
    part = deadline.within(min(MEAN_S, MEAN_SHARE * deadline.left()))
    mean = answer_for(program, ac.objective.weights @ program.demands, part)
    states += [mean.closed] if mean is not None and mean.closed is not None else []
    verdicts = evaluator(np.array(states))
    if not np.isfinite(verdicts.objective).any() and is_limited(task.network):
        part = deadline.within(ASKED_S)
        for row in program.demands[: len(single)]:
            answer = None if part.over() else answer_for(program, row, part, gap=0.5)
            if answer is not None and answer.termination is Termination.INFEASIBLE:
                return np.array(states), True
            states += [answer.closed] if answer is not None and answer.closed is not None else []
    values = np.empty(0) if deadline.over() else ac.objectives(np.array(states))
    if np.isfinite(values).any():
        best = states[int(np.argmin(values))]
        states.append(exchanged(program, ac, best, deadline))
    return np.array(states), False


def _outcome(program: RadialProgram, found: SearchResult, log: Log) -> Outcome:
    """What was found, in kW; the value is that over all steps."""
    outcome = program.evaluated(found, log)
    return replace(outcome, state=None, values=None)


@dataclass(frozen=True)
class InUnit:
    """Passes lines of the log on with their values times a unit."""

    progress: Progress
    unit: float

    def __call__(self, line: Iteration) -> None:
        self.progress(scaled(line, self.unit))


def scaled(line: Iteration, unit: float) -> Iteration:
    """A line of the log with its values times a unit."""
    bounds = {name: unit * getattr(line, name) for name in ("lower_bound", "upper_bound", "value")}
    return replace(line, **bounds)
