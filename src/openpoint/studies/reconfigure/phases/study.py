"""Reconfigure a grid of any phases: all topologies, topology search or local search, judged by OpenDSS."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import InputError, OptionError
from openpoint.formulations.phases import PhasesQuestion
from openpoint.grid.balanced import HAS_PHASES, balanced_equivalent
from openpoint.grid.grid import Grid
from openpoint.grid.unfed import without_idle
from openpoint.network import Network
from openpoint.network.limits import Limits
from openpoint.powerflow.opendss import PhaseState, state_of
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.ac_tables import phase_violations
from openpoint.search.exchange.phases import (
    Descent,
    EvaluatedState,
    EvaluationLog,
    PhasesEvaluator,
    best_of,
    first_state,
)
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.search.phases.model import PhaseModel
from openpoint.studies.reconfigure.answer import Findings, reconfigure_result
from openpoint.studies.reconfigure.methods import BranchExchange
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.search import Begun, bounded_model, for_phases, question_of, search_phases
from openpoint.studies.reconfigure.result import ReconfigureResult, SoftLimits
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.reconfigure.soft import Reply, Softened, as_met, as_soft_limits, relaxed, shares_of, soften
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Outcome, Progress, Termination
from openpoint.twostage.workers.pool import never

# The result of a reconfiguration of a grid of any phases: a row a bus and phase, a row a branch and phase.


@dataclass(frozen=True)
class PhasesAnswer:
    """The outcome of a search.

    Attributes:
        outcome: of the search. best: the best met; None where no state has a solution. notes: for the user.
        soft: how limits were relaxed for the best, which then is an answer although it breaks them.
    """

    outcome: Outcome
    best: EvaluatedState | None
    notes: tuple[str, ...] = ()
    soft: SoftLimits | None = None


def phases_result(evaluator: PhasesEvaluator, method: str, answer: PhasesAnswer) -> ReconfigureResult:
    """The result of an answer, under the grid's own names."""
    asked, best = evaluator.question, answer.best
    grid, network = asked.grid, asked.network
    closed = asked.today if best is None else best.closed
    before = _state(evaluator, asked.today) if asked.is_radial(asked.today) else None
    before = before if before is not None and before.has_solution and before.energised.all() else None
    shown = None if best is None else _state(evaluator, closed)
    kept = (best is not None and best.violation == 0.0) or answer.soft is not None
    broken = () if shown is None else phase_violations(network, shown)
    found = Findings(
        outcome=answer.outcome,
        before=None if before is None else states.of_phases(network, before),
        shown=None if shown is None else states.of_phases(network, shown),
        closed=closed[network.conductor_branch],
        kept=kept,
        open_before=open_branches(network, asked.today),
        open_after=open_branches(network, closed),
        broken=broken if kept else (),
        least_violation=() if kept else broken,
        generators=states.generators(grid, network, None),
        fixed=len(network.generator_names) > 0,
        choices=len(asked.choices.free),
        notes=answer.notes,
        objective_kw=None if best is None else best.value_kw,
        soft=answer.soft,
    )
    return reconfigure_result(grid, network, method, found)


def _state(evaluator: PhasesEvaluator, closed: Bools) -> PhaseState:
    """The AC state of a topology (B), radial or not."""
    asked = evaluator.question
    network = replace(asked.network, closed=closed[asked.network.conductor_branch])
    return state_of(asked.grid, network, evaluator.flows(closed, asked.devices.today))


def open_branches(network: Network, closed: Bools) -> tuple[str, ...]:
    """Names of the open branches of a state (B), in the order of the grid."""
    return tuple(network.branch_names[b] for b in np.flatnonzero(~closed))


# Soft limits of a grid of any phases: relaxed limits are put to all topologies.


Solve = Callable[[PhasesEvaluator], PhasesAnswer]


def soften_phases(evaluator: PhasesEvaluator, answer: PhasesAnswer, solve: Solve, deadline: Deadline) -> PhasesAnswer:
    """The answer with the state of least violation as its best, where none was found that keeps the limits.

    Where it is not proven that limits cannot be kept, they are relaxed as the best that was met needs it.

    Args:
        evaluator: with the limits to keep. answer: of the search with these limits.
        solve: by the same method, with other limits. deadline: of the study.
    """
    if answer.best is None or answer.best.violation == 0.0:
        return answer
    network = evaluator.question.network

    def ask(shares: Floats, _: bool) -> Reply[PhasesAnswer]:
        if deadline.over():
            return Reply(deadline.why, None, answer)
        found = solve(evaluator.with_limits(relaxed(network, shares)))
        good = found.best is not None and found.best.violation == 0.0
        return Reply(found.outcome.termination, _shares(evaluator, found) if good else None, found)

    first = Reply(answer.outcome.termination, _shares(evaluator, answer), answer)
    proven = answer.outcome.termination is Termination.INFEASIBLE
    softened = soften(first, ask) if proven else as_met(first)
    return _answer(evaluator, answer, softened, deadline.passed())


def _shares(evaluator: PhasesEvaluator, answer: PhasesAnswer) -> Floats:
    """(2 + E) shares by which the best state exceeds the limits of the grid."""
    assert answer.best is not None
    state = _state(evaluator, answer.best.closed)
    return shares_of(evaluator.question.network, np.abs(state.v), state.i_a / evaluator.question.network.i_base_a)


def _answer(
    evaluator: PhasesEvaluator, first: PhasesAnswer, softened: Softened[PhasesAnswer], seconds: float
) -> PhasesAnswer:
    found = softened.reply.payload
    why = found.outcome.termination
    if softened.least_lost:
        why = Termination.SOFT if why in (Termination.OPTIMAL, Termination.GAP) else why
        outcome = replace(found.outcome, termination=why, seconds=seconds)
    else:
        why = softened.stopped or Termination.SOFT
        assert found.best is not None
        outcome = replace(
            found.outcome,
            termination=Termination.SOFT if why in (Termination.INFEASIBLE, Termination.LOCAL) else why,
            lower_bound=-math.inf,
            upper_bound=found.best.value_kw,
            seconds=seconds,
        )
    return replace(found, outcome=outcome, notes=first.notes, soft=as_soft_limits(evaluator.question.network, softened))


_LOG = logging.getLogger(__name__)

FEW, VOLTAGES = 200, 40_000
"""Radial topologies up to which all of them are tried by OpenDSS, and voltages of all of these, unless a method is
named."""
SEARCH = TopologySearch(gap=1e-3)
"""Smaller gaps are less than what the unbalance makes."""
AT_MOST_S = 10.0
"""Seconds for each of both searches; most end in less than one."""

PhasesMethod = Enumeration | TopologySearch | BranchExchange


def prepare_phases(grid: Grid, options: ReconfigureOptions) -> PreparedPhases:
    """All that a run on a grid of any phases needs.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: a method for balanced grids, or a topology search whose bound is not valid.
    """
    method = options.chosen
    if not isinstance(method, PhasesMethod | None):
        raise OptionError(
            f"{type(method).__name__} is for balanced grids (phases '1'); {HAS_PHASES}. Or use TopologySearch, "
            "Enumeration or BranchExchange"
        )
    grid = without_idle(grid.check())
    question = question_of(grid, options)
    if isinstance(method, TopologySearch):
        if method.certificate is not None and options.soft_limits:
            raise OptionError("the certificate of a grid of phases knows no limits; leave it or soft limits out")
        return PreparedPhases(grid, question, for_phases(method), options, bounded_model(question))
    if method is not None:
        return PreparedPhases(grid, question, method, options)
    # Neither a gap nor a time limit changes what is taken: all topologies tried prove any gap.
    few = min(FEW, VOLTAGES // question.network.n_terminals)
    if sum(1 for _ in islice(question.states(), few + 1)) <= few:
        return PreparedPhases(grid, question, Enumeration(time_limit_s=options.time_limit_s), options)
    try:
        model = bounded_model(question)
    except OptionError as error:
        _LOG.info("no topology search: %s", error)
        return PreparedPhases(grid, question, BranchExchange(time_limit_s=options.time_limit_s), options)
    method = for_phases(TopologySearch(gap=options.gap, time_limit_s=options.time_limit_s))
    return PreparedPhases(grid, question, method, options, model)


@dataclass(frozen=True)
class PreparedPhases:
    """A question about a grid of any phases, ready to be solved.

    `Enumeration` tries all radial topologies by exact AC power flow, and is the default where they are few.

    Attributes:
        grid: with what is asked for given to the choice. question: its network, limits and locks.
        method: named, or chosen. options: limits and locks once more, and whether limits are soft.
        model: what topology search bounds.
    """

    grid: Grid
    question: PhasesQuestion
    method: PhasesMethod
    options: ReconfigureOptions
    model: PhaseModel | None = None
    unit: str = "kW"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> ReconfigureResult:
        """The result, verified by exact AC power flow."""
        with deadline_of(self.method.time_limit_s, deadline) as until:
            evaluator = PhasesEvaluator(self.question)
            _LOG.info("built the network and its exact power flow; the method begins")
            begun: dict[bytes, Begun] | None = {} if self.options.soft_limits else None
            answer = self._answer(evaluator, progress, until, begun)
            _LOG.info("the method ended")
            if self.options.soft_limits:
                answer = soften_phases(evaluator, answer, lambda other: self._answer(other, None, until, begun), until)
            return phases_result(evaluator, str(self.method), answer)

    def _answer(
        self,
        evaluator: PhasesEvaluator,
        progress: Progress | None,
        deadline: Deadline,
        begun: dict[bytes, Begun] | None,
    ) -> PhasesAnswer:
        """The outcome of the method, with the limits of the evaluator."""
        first = first_state(evaluator).closed
        if isinstance(self.method, Enumeration):
            return _enumerate(evaluator, first, self.method, progress, deadline)
        if isinstance(self.method, TopologySearch):
            assert self.model is not None
            locks = tuple(self.options.locked_open), tuple(self.options.locked_closed)
            run = evaluator, self.method, self.model, [first], progress, deadline
            return PhasesAnswer(*search_phases(*run, locks, begun))
        start = balanced_start(self.grid, self.options, deadline)
        starts = [first] if start is None else [start, first]
        log, positions = EvaluationLog(evaluator, progress, deadline), evaluator.question.devices.today
        best, _ = best_of(evaluator, ((closed, positions) for closed in starts), never, log.on_evaluation)
        if best is not None:
            best = Descent(evaluator, deadline.over, log.on_evaluation).run(best.closed, positions)
        return PhasesAnswer(_outcome(log, best, deadline.why if deadline.over() else Termination.LOCAL), best)


def _outcome(log: EvaluationLog, best: EvaluatedState | None, why: Termination) -> Outcome:
    """The end of a run with its log, whose lower bound is that of the log."""
    kept = best is not None and best.violation == 0.0
    log.upper = best.value_kw if best is not None and kept else math.inf
    log.write(best)
    return Outcome(why, None, None, log.lower, log.upper, tuple(log.lines), log.deadline.passed())


def _enumerate(
    evaluator: PhasesEvaluator, first: Bools, method: Enumeration, progress: Progress | None, deadline: Deadline
) -> PhasesAnswer:
    """All radial topologies by exact power flow, `most` of them at most, or as many as the time allows.

    Those that local search tries from the first come first: what is left out is what is likely to be worse.
    """
    log, asked = EvaluationLog(evaluator, progress, deadline, "enumeration"), evaluator.question

    def stop() -> bool:
        return deadline.over() or evaluator.count >= method.most

    best = Descent(evaluator, stop, log.on_evaluation).run(first, asked.devices.today)
    every = ((closed, asked.devices.today) for closed in asked.states())
    best, complete = best_of(evaluator, every, stop, log.on_evaluation, best=best)
    found = best is not None and best.violation == 0.0
    why, notes = Termination.OPTIMAL if found else Termination.INFEASIBLE, tuple[str, ...]()
    if not complete:
        why = deadline.why if deadline.over() else Termination.ITERATIONS
        notes = (f"topologies tried: {evaluator.count:,}; those that were not may be better, so no bound is known",)
    elif best is not None:
        log.lower = best.value_kw if found else math.inf
    return PhasesAnswer(_outcome(log, best, why), best, notes)


def balanced_start(grid: Grid, options: ReconfigureOptions, deadline: Deadline) -> Bools | None:
    """(B) states of the branches of a grid with phases; None where its balanced equivalent has no answer in time.

    Limits are kept where the search finds a state that does so, else they are left out.
    """
    try:
        made = balanced_equivalent(grid)
        for limits in (options.limits, Limits(voltage=False, current=False)):
            asked = ReconfigureOptions(
                limits=limits,
                locked_open=options.locked_open,
                locked_closed=options.locked_closed,
                max_changes=options.max_changes,
                change_cost_kw=options.change_cost_kw,
            )
            program, stations = radial_program(made, asked)
            outcome = SEARCH.solve(program, None, deadline.within(AT_MOST_S))
            if outcome.decision is not None:
                return _by_name(grid, made, (outcome.decision > 0.5) | stations.dropped)
    except (InputError, OptionError) as error:
        _LOG.info("no start from the balanced equivalent: %s", error)
    return None


def _by_name(grid: Grid, made: Grid, closed: Bools) -> Bools:
    """The states of the branches of a grid; those that are no branch of the other one stay as they are today."""
    found = dict(zip(made.branches()["name"], closed.tolist(), strict=True))
    today = grid.branches().select("name", "closed").iter_rows()
    return np.array([found.get(name, state) for name, state in today])
