"""Reconfigure a grid of any phases: the linear model proposes, exact AC power flow by OpenDSS decides."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import InputError, OptionError
from openpoint.formulations.lindist3flow_model import LinearModel
from openpoint.formulations.phases import phases_question
from openpoint.formulations.radiality import loop_closers
from openpoint.grid.balanced import HAS_PHASES, balanced_equivalent, is_symmetric
from openpoint.grid.grid import Grid
from openpoint.grid.unfed import without_idle
from openpoint.network import Network
from openpoint.network.limits import Limits
from openpoint.powerflow.opendss import PhaseFlows, PhaseState, state_of
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.phase_violations import violations
from openpoint.search.exchange.phases import Descent, EvaluatedState, EvaluationLog, PhasesEvaluator, best_of
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.search.phases.model import Box
from openpoint.studies.reconfigure.answer import Findings, reconfigure_result
from openpoint.studies.reconfigure.methods import BranchExchange
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.model import PhasesProgram
from openpoint.studies.reconfigure.phases.search import bounded_model, for_phases, search_phases
from openpoint.studies.reconfigure.result import ReconfigureResult, SoftLimits
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.reconfigure.soft import Reply, Softened, as_met, as_soft_limits, relaxed, shares_of, soften
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Outcome, Progress, Termination
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.workers.pool import never

# The result of a reconfiguration of a grid of any phases: a row a bus and phase, a row a branch and phase.


@dataclass(frozen=True)
class PhasesAnswer:
    """The outcome of a search.

    Attributes:
        outcome: of the search, with the bounds of the linear model unless `exact`.
        best: the best met; None where no state has a solution. Where it misses limits, it is an answer only if the
            linear model holds that it keeps them.
        exact: whether the bounds are those of the AC power flow.
        notes: for the user.
        soft: how limits were relaxed for the best, which then is an answer although it breaks them.
    """

    outcome: Outcome
    best: EvaluatedState | None
    exact: bool
    notes: tuple[str, ...]
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
    broken = () if shown is None else violations(network, shown)
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
        proven=answer.exact,
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


# Soft limits of a grid of any phases: relaxed limits are put to all topologies, or once to the linear model.


SOLVED = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY, Termination.LINEAR)

Solve = Callable[[PhasesEvaluator], PhasesAnswer]


def soften_phases(evaluator: PhasesEvaluator, answer: PhasesAnswer, solve: Solve, deadline: Deadline) -> PhasesAnswer:
    """The answer with the state of least violation as its best, where none was found that keeps the limits.

    That limits cannot be kept is proven only where all topologies are tried by exact power flow; else the limits are
    relaxed as the best that was met needs it, and the question is put once more.

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
    if answer.exact and answer.outcome.termination is Termination.INFEASIBLE:
        softened = soften(first, ask)
    else:
        softened = as_met(first)
        if answer.outcome.termination in (Termination.INFEASIBLE, Termination.LIMITS):
            again = ask(softened.relaxed, True)
            if again.shares is not None:
                softened = Softened(again, softened.relaxed, False, 0.0, None, True)
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
        why = Termination.SOFT if why in SOLVED else why
        outcome = replace(found.outcome, termination=why, seconds=seconds)
    else:
        why = softened.stopped or Termination.SOFT
        assert found.best is not None
        outcome = replace(
            found.outcome,
            termination=Termination.SOFT if why in (Termination.INFEASIBLE, Termination.LIMITS) else why,
            lower_bound=-math.inf,
            upper_bound=found.best.value_kw if found.exact else math.inf,
            seconds=seconds,
        )
    return replace(found, outcome=outcome, notes=first.notes, soft=as_soft_limits(evaluator.question.network, softened))


_LOG = logging.getLogger(__name__)

FEW = 200
"""Radial topologies up to which all of them are tried by exact power flow, unless a method is named."""
TRIED = 20
"""Radial topologies tried for reference voltages where today's state and that without open points have none."""
ALIKE = (
    "the three phases of this grid are alike, so its balanced equivalent has the same losses, and its search is faster "
    "and proves them by AC power flow: `openpoint convert GRID FOLDER --balanced`"
)
SEARCH = TopologySearch(gap=1e-3)
"""Smaller gaps are less than what the unbalance makes."""
AT_MOST_S = 10.0
"""Seconds for each of both searches; most end in less than one."""
PROVEN = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY, Termination.INFEASIBLE)


def prepare_phases(grid: Grid, options: ReconfigureOptions) -> PreparedPhases:
    """All that a run on a grid of any phases needs.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: a method for balanced grids, or a grid that has no power flow solution.
    """
    method = options.chosen
    if isinstance(method, TopologySearch):
        method = for_phases(method)
    if isinstance(method, BranchExchange):
        raise OptionError(
            f"branch exchange alone is for balanced grids (phases '1'); {HAS_PHASES}. Or use Benders, which "
            "ends with it"
        )
    grid = without_idle(grid.check())
    program = phases_program(grid, options)
    method = method or phases_method(program, gap=options.gap, time_limit_s=options.time_limit_s)
    if isinstance(method, TopologySearch):
        bounded_model(program.question, Box())
    elif not isinstance(method, Enumeration) and loop_closers(program.question.network).any():
        raise OptionError(
            "the linear model is that of radial grids, and this one has loops of phases that stay closed "
            "(`openpoint info`): use Enumeration, or open them"
        )
    return PreparedPhases(grid, program, method, options)


@dataclass(frozen=True)
class PreparedPhases:
    """A question about a grid of any phases, ready to be solved.

    `Benders` and `ExtensiveForm` prove the optimum of the linear model; branch exchange by exact AC power flow goes on
    from there. `Enumeration` tries all radial topologies by exact AC power flow, and is the default where they are few.

    Attributes:
        grid: with what is asked for given to the choice. program: its network, limits and locks.
        method: named, or chosen for the program. options: limits and locks once more, and whether limits are soft.
    """

    grid: Grid
    program: PhasesProgram
    method: Enumeration | TopologySearch | Benders | ExtensiveForm
    options: ReconfigureOptions
    unit: str = "kW"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> ReconfigureResult:
        """The result, verified by exact AC power flow."""
        with deadline_of(self.method.time_limit_s, deadline) as until:
            evaluator = PhasesEvaluator(self.program.question)
            _LOG.info("built the network and its exact power flow; the method begins")
            answer = self._answer(evaluator, progress, until)
            _LOG.info("the method ended")
            if self.options.soft_limits:
                answer = soften_phases(evaluator, answer, lambda other: self._answer(other, None, until), until)
            if not isinstance(self.method, (Enumeration, TopologySearch)) and is_symmetric(self.grid):
                answer = replace(answer, notes=(*answer.notes, ALIKE))
            return phases_result(evaluator, str(self.method), answer)

    def _answer(self, evaluator: PhasesEvaluator, progress: Progress | None, deadline: Deadline) -> PhasesAnswer:
        """The outcome of the method, with the limits of the evaluator."""
        program = PhasesProgram(model=replace(self.program.model, question=evaluator.question))
        if isinstance(self.method, Enumeration):
            return _enumerate(evaluator, program, self.method, progress, deadline)
        start = balanced_start(self.grid, self.options, deadline)
        if isinstance(self.method, TopologySearch):
            first = [*([] if start is None else [start]), *(state > 0.5 for state in program.warm_starts()[:1])]
            outcome, best, notes = search_phases(evaluator, self.method, first, progress, deadline)
            return PhasesAnswer(outcome, best, True, notes)
        return _by_linear_model(evaluator, program, self.method, progress, deadline, start)


def phases_program(grid: Grid, options: ReconfigureOptions) -> PhasesProgram:
    """The program of a grid of any phases under today's demand.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: a grid that has no power flow solution.
    """
    question = phases_question(
        grid,
        free=("topology",),
        limits=options.limits,
        locked_open=options.locked_open,
        locked_closed=options.locked_closed,
        max_changes=options.max_changes,
        change_cost_kw=options.change_cost_kw,
    )
    states = chain([question.today, ~question.never], islice(question.states(), TRIED))
    return PhasesProgram(model=LinearModel(question, _around(PhasesEvaluator(question), states), follows=False))


def phases_method(
    program: PhasesProgram, *, gap: float | None = None, time_limit_s: float | None = None
) -> Enumeration | TopologySearch | Benders:
    """The method for a grid of any phases if none is named: all topologies where they are few, else topology search.

    Benders where the bound of topology search is not valid.

    Neither a gap nor a time limit changes that: all topologies tried prove any gap, and a time limit ends any method.
    """
    if sum(1 for _ in islice(program.question.states(), FEW + 1)) <= FEW:
        return Enumeration(time_limit_s=time_limit_s)
    try:
        bounded_model(program.question, Box())
        return for_phases(TopologySearch(gap=gap, time_limit_s=time_limit_s))
    except OptionError as error:
        _LOG.info("no topology search: %s", error)
    method = Benders(time_limit_s=time_limit_s)
    return method if gap is None else replace(method, gap=gap)


def _around(evaluator: PhasesEvaluator, states: Iterable[Bools]) -> PhaseFlows:
    """The exact power flow of the first of these states (B) that has any at every terminal, loops included.

    Raises:
        OptionError: none has.
    """
    for state in states:
        flows = evaluator.flows(state, evaluator.question.devices.today)
        if flows.converged[0] and flows.energised.all():
            return flows
    raise OptionError(
        "no AC power flow of this grid has a solution, neither as it stands today nor with all branches closed: check "
        "loads and impedances, and their units"
    )


def _by_linear_model(
    evaluator: PhasesEvaluator,
    program: PhasesProgram,
    method: Benders | ExtensiveForm,
    progress: Progress | None,
    deadline: Deadline,
    start: Bools | None,
) -> PhasesAnswer:
    """Local search by exact power flow, from the best of the first states and from the optimum of the linear model.

    The first states are those of the linear model's heuristics, today's before others, and `start`.
    """
    log, positions = EvaluationLog(evaluator, progress, deadline), evaluator.question.devices.today
    first = [*([] if start is None else [start]), *(state > 0.5 for state in program.warm_starts()[:1])]
    best, _ = best_of(evaluator, ((closed, positions) for closed in first), never, log.on_evaluation)
    if best is not None:
        best = Descent(evaluator, deadline.over, log.on_evaluation).run(best.closed, positions)
    log.write(best)
    outcome = Outcome(deadline.why, None, None, -math.inf, math.inf, (), 0.0)
    if not deadline.over():
        outcome = method.solve(program, log.add, deadline)
    why = outcome.termination
    linear = outcome.decision if outcome.decision is not None else outcome.least_violation
    if linear is not None:
        log.lower, log.upper = outcome.lower_bound, outcome.upper_bound
        search = Descent(evaluator, lambda: why not in PROVEN or deadline.over(), log.on_evaluation)
        near = search.run(linear > 0.5, positions)
        best = near if near is not None and near.better(best) else best
        log.write(best)
    why = deadline.why if why in PROVEN and deadline.over() else why
    notes: tuple[str, ...] = ()
    if outcome.termination in PROVEN and best is not None and linear is not None:
        notes = _differs(evaluator, outcome, linear > 0.5, best)
    if why in PROVEN and best is not None:
        if best.violation == 0.0:
            why = Termination.LINEAR
        elif why is not Termination.INFEASIBLE:
            why = Termination.LIMITS
    outcome = replace(outcome, termination=why, log=tuple(log.lines), seconds=deadline.passed())
    return PhasesAnswer(outcome, best, False, notes)


def _differs(evaluator: PhasesEvaluator, outcome: Outcome, linear: Bools, best: EvaluatedState) -> tuple[str, ...]:
    """A note where the linear model contradicts the answer."""
    if outcome.decision is None:
        text = "by the linear model nothing keeps the limits; by AC power flow "
        return (text + ("this does" if best.violation == 0.0 else "nothing did that was tried"),)
    if np.array_equal(linear, best.closed):
        return ()
    names = ", ".join(open_branches(evaluator.question.network, linear)) or "none"
    head = f"the optimum of the linear model has other open branches ({names}): by AC power flow it "
    priced = evaluator.evaluate(linear, best.positions)
    if priced is None:
        return (head + "has no solution",)
    if priced.violation > best.violation:
        return (head + "breaks limits that the answer keeps",)
    return (head + f"comes to {priced.value_kw:.3f} kW, the answer to {best.value_kw:.3f} kW",)


def _enumerate(
    evaluator: PhasesEvaluator,
    program: PhasesProgram,
    method: Enumeration,
    progress: Progress | None,
    deadline: Deadline,
) -> PhasesAnswer:
    """All radial topologies by exact power flow, `most` of them at most, or as many as the time allows.

    Those that local search tries from today's state come first: what is left out is what is likely to be worse.
    """
    log, asked = EvaluationLog(evaluator, progress, deadline, "enumeration"), evaluator.question

    def stop() -> bool:
        return deadline.over() or evaluator.count >= method.most

    positions, best = asked.devices.today, None
    for start in program.warm_starts()[:1]:
        best = Descent(evaluator, stop, log.on_evaluation).run(start > 0.5, positions)
    every = ((closed, positions) for closed in asked.states())
    best, complete = best_of(evaluator, every, stop, log.on_evaluation, best=best)
    found = best is not None and best.violation == 0.0
    why, notes = Termination.OPTIMAL if found else Termination.INFEASIBLE, tuple[str, ...]()
    if not complete:
        why = deadline.why if deadline.over() else Termination.ITERATIONS
        notes = (f"topologies tried: {evaluator.count:,}; those that were not may be better, so no bound is known",)
    upper = best.value_kw if best is not None and found else math.inf
    log.lower, log.upper = upper if complete else -math.inf, upper
    log.write(best)
    outcome = Outcome(why, None, None, log.lower, upper, tuple(log.lines), deadline.passed())
    return PhasesAnswer(outcome, best, True, notes)


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
