"""Reconfigure a grid of any phases: the linear model proposes, exact AC power flow by OpenDSS decides."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.errors import OptionError
from openpoint.formulations.radiality import by_branch, choices_of, is_radial_state, radial_states, refuse_impossible
from openpoint.grid.balanced import HAS_PHASES, is_symmetric
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.freedom import locks
from openpoint.network.limits import Limits
from openpoint.powerflow.opendss import OpenDssCircuit, PhaseState
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results.phase_violations import violations
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.reconfigure.answer import Findings, reconfigure_result
from openpoint.studies.reconfigure.methods import BranchExchange
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.exchange import (
    EvaluatedTopology,
    EvaluationLog,
    PhasesAcEvaluator,
    balanced_start,
    best_of,
    branch_exchange_ac,
)
from openpoint.studies.reconfigure.phases.model import PhasesProgram
from openpoint.studies.reconfigure.result import ReconfigureResult, SoftLimits
from openpoint.studies.reconfigure.soft import Reply, Softened, as_met, as_soft_limits, relaxed, shares_of, soften
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.extensive import ExtensiveForm

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
    best: EvaluatedTopology | None
    exact: bool
    notes: tuple[str, ...]
    soft: SoftLimits | None = None


def phases_result(evaluator: PhasesAcEvaluator, method: str, answer: PhasesAnswer) -> ReconfigureResult:
    """The result of an answer, under the grid's own names."""
    grid, program, best = evaluator.grid, evaluator.program, answer.best
    network = program.network
    closed = program.today if best is None else best.closed
    before = _known(evaluator, program.today) if is_radial_state(network, program.today) else None
    shown = None if best is None else evaluator.state(closed)
    kept = (best is not None and best.violation == 0.0) or answer.soft is not None
    broken = () if shown is None else violations(network, shown)
    found = Findings(
        outcome=answer.outcome,
        before=None if before is None else states.of_phases(network, before),
        shown=None if shown is None else states.of_phases(network, shown),
        closed=closed[network.conductor_branch],
        kept=kept,
        open_before=open_branches(network, program.today),
        open_after=open_branches(network, closed),
        broken=broken if kept else (),
        least_violation=() if kept else broken,
        generators=states.generators(grid, network, None),
        fixed=len(network.generator_names) > 0,
        choices=len(program.choices.free),
        notes=answer.notes,
        proven=answer.exact,
        objective_kw=None if best is None else best.value_kw,
        soft=answer.soft,
    )
    return reconfigure_result(grid, network, method, found)


def _known(evaluator: PhasesAcEvaluator, closed: Bools) -> PhaseState | None:
    """The AC state of a topology; None where a terminal has no supply or no solution exists."""
    state = evaluator.state(closed)
    return state if state.has_solution and state.energised.all() else None


def open_branches(network: Network, closed: Bools) -> tuple[str, ...]:
    """Names of the open branches of a state (B), in the order of the grid."""
    return tuple(network.branch_names[b] for b in np.flatnonzero(~closed))


# Soft limits of a grid of any phases: relaxed limits are put to all topologies, or once to the linear model.


SOLVED = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY, Termination.LINEAR)

Solve = Callable[[PhasesAcEvaluator], PhasesAnswer]


def soften_phases(evaluator: PhasesAcEvaluator, answer: PhasesAnswer, solve: Solve, deadline: Deadline) -> PhasesAnswer:
    """The answer with the state of least violation as its best, where none was found that keeps the limits.

    That limits cannot be kept is proven only where all topologies are tried by exact power flow; else the limits are
    relaxed as the best that was met needs it, and the question is put once more.

    Args:
        evaluator: with the limits to keep. answer: of the search with these limits.
        solve: by the same method, with other limits. deadline: of the study.
    """
    if answer.best is None or answer.best.violation == 0.0:
        return answer
    network = evaluator.program.network

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


def _shares(evaluator: PhasesAcEvaluator, answer: PhasesAnswer) -> Floats:
    """(2 + E) shares by which the best state exceeds the limits of the grid."""
    assert answer.best is not None
    state = evaluator.state(answer.best.closed)
    return shares_of(evaluator.program.network, np.abs(state.v), state.i_a / evaluator.program.network.i_base_a)


def _answer(
    evaluator: PhasesAcEvaluator, first: PhasesAnswer, softened: Softened[PhasesAnswer], seconds: float
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
    return replace(found, outcome=outcome, notes=first.notes, soft=as_soft_limits(evaluator.program.network, softened))


_LOG = logging.getLogger(__name__)

FEW = 200
"""Radial topologies up to which all of them are tried by exact power flow, unless a method is named."""
TRIED = 20
"""Radial topologies tried for reference voltages where today's state and that without open points have none."""
ALIKE = (
    "the three phases of this grid are alike, so its balanced equivalent has the same losses, and its search is faster "
    "and proves them by AC power flow: `openpoint convert GRID FOLDER --balanced`"
)
PROVEN = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY, Termination.INFEASIBLE)


def prepare_phases(grid: Grid, options: ReconfigureOptions) -> PreparedPhases:
    """All that a run on a grid of any phases needs.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: a method for balanced grids, or a grid that has no power flow solution.
    """
    method = options.chosen
    if isinstance(method, TopologySearch):
        raise OptionError(
            f"the bound of topology search holds for balanced grids (phases '1'); {HAS_PHASES}. "
            "Or use Benders, or Enumeration where topologies are few"
        )
    if isinstance(method, BranchExchange):
        raise OptionError(
            f"branch exchange alone is for balanced grids (phases '1'); {HAS_PHASES}. Or use Benders, which "
            "ends with it"
        )
    program = phases_program(grid, options)
    method = method or phases_method(program, gap=options.gap, time_limit_s=options.time_limit_s)
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
    method: Enumeration | Benders | ExtensiveForm
    options: ReconfigureOptions
    unit: str = "kW"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> ReconfigureResult:
        """The result, verified by exact AC power flow."""
        with deadline_of(self.method.time_limit_s, deadline) as until:
            evaluator = PhasesAcEvaluator(self.grid, self.program)
            _LOG.info("built the network and its exact power flow; the method begins")
            answer = self._answer(evaluator, progress or _silent, until)
            _LOG.info("the method ended")
            if self.options.soft_limits:
                answer = soften_phases(evaluator, answer, lambda other: self._answer(other, _silent, until), until)
            if not isinstance(self.method, Enumeration) and is_symmetric(self.grid):
                answer = replace(answer, notes=(*answer.notes, ALIKE))
            return phases_result(evaluator, str(self.method), answer)

    def _answer(self, evaluator: PhasesAcEvaluator, progress: Progress, deadline: Deadline) -> PhasesAnswer:
        """The outcome of the method."""
        if isinstance(self.method, Enumeration):
            return _enumerate(evaluator, self.method, progress, deadline)
        start = balanced_start(self.grid, self.options, deadline)
        return _by_linear_model(evaluator, self.method, progress, deadline, start)


def phases_program(grid: Grid, options: ReconfigureOptions) -> PhasesProgram:
    """The program of a grid of any phases under today's demand.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: a grid that has no power flow solution.
    """
    network = Limits.given(options.limits).applied(build_network(grid))
    today, movable = by_branch(network, network.closed), by_branch(network, network.switchable)
    must_close, must_open = locks(network, today, movable, options.locked_open, options.locked_closed)
    choices = choices_of(network, must_close, must_open)
    refuse_impossible(grid, network, choices, must_close)
    some = (by_branch(network, state) for state in islice(radial_states(choices, network.conductor_branch), TRIED))
    return PhasesProgram(
        network=network,
        must_close=must_close,
        must_open=must_open,
        v=_reference(grid, chain([today, ~must_open], some)),
        max_changes=options.max_changes,
        change_cost_kw=options.change_cost_kw,
    )


def phases_method(
    program: PhasesProgram, *, gap: float | None = None, time_limit_s: float | None = None
) -> Enumeration | Benders:
    """The method for a grid of any phases if none is named: all topologies where they are few, else Benders.

    Neither a gap nor a time limit changes that: all topologies tried prove any gap, and a time limit ends any method.
    """
    states = radial_states(program.choices, program.network.conductor_branch)
    if sum(1 for _ in islice(states, FEW + 1)) <= FEW:
        return Enumeration(time_limit_s=time_limit_s)
    method = Benders(time_limit_s=time_limit_s)
    return method if gap is None else replace(method, gap=gap)


def _reference(grid: Grid, states: Iterable[Bools]) -> Complexes:
    """(N) exact voltages of the first of these states (B) that has any at every terminal, loops included.

    Raises:
        OptionError: none has.
    """
    circuit = OpenDssCircuit(grid)
    for state in states:
        circuit.rewire(state)
        flows = circuit.solve()
        if flows.converged[0] and flows.energised.all():
            return np.asarray(flows.v[0])
    raise OptionError(
        "no AC power flow of this grid has a solution, neither as it stands today nor with all branches closed: check "
        "loads and impedances, and their units"
    )


def _by_linear_model(
    evaluator: PhasesAcEvaluator,
    method: Benders | ExtensiveForm,
    progress: Progress,
    deadline: Deadline,
    start: Bools | None,
) -> PhasesAnswer:
    """Branch exchange by exact power flow, from the best of the first states and from the optimum of the linear model.

    The first states are those of the linear model's heuristics, today's before others, and `start`.
    """
    program = evaluator.program
    evaluation_log = EvaluationLog("branch exchange", evaluator, progress, deadline)
    best: EvaluatedTopology | None = None
    for closed in [*([] if start is None else [start]), *(state > 0.5 for state in program.warm_starts()[:1])]:
        priced = evaluator.evaluate(closed)
        best = priced if priced is not None and priced.better(best) else best
    if best is not None:
        best = branch_exchange_ac(evaluator, best.closed, deadline.over, evaluation_log.on_evaluation)
    evaluation_log.write_line(best)
    outcome = Outcome(deadline.why, None, None, -math.inf, math.inf, (), 0.0)
    if not deadline.over():
        outcome = method.solve(program, evaluation_log.add_line, deadline)
    why = outcome.termination
    linear = outcome.decision if outcome.decision is not None else outcome.least_violation
    if linear is not None:
        evaluation_log.lower, evaluation_log.upper = outcome.lower_bound, outcome.upper_bound
        near = branch_exchange_ac(
            evaluator, linear > 0.5, lambda: why not in PROVEN or deadline.over(), evaluation_log.on_evaluation
        )
        best = near if near is not None and near.better(best) else best
        evaluation_log.write_line(best)
    why = deadline.why if why in PROVEN and deadline.over() else why
    notes: tuple[str, ...] = ()
    if outcome.termination in PROVEN and best is not None and linear is not None:
        notes = _differs(evaluator, outcome, linear > 0.5, best)
    if why in PROVEN and best is not None:
        if best.violation == 0.0:
            why = Termination.LINEAR
        elif why is not Termination.INFEASIBLE:
            why = Termination.LIMITS
    outcome = replace(outcome, termination=why, log=tuple(evaluation_log.log), seconds=deadline.passed())
    return PhasesAnswer(outcome, best, False, notes)


def _differs(evaluator: PhasesAcEvaluator, outcome: Outcome, linear: Bools, best: EvaluatedTopology) -> tuple[str, ...]:
    """A note where the linear model contradicts the answer."""
    if outcome.decision is None:
        text = "by the linear model nothing keeps the limits; by AC power flow "
        return (text + ("this does" if best.violation == 0.0 else "nothing did that branch exchange tried"),)
    if np.array_equal(linear, best.closed):
        return ()
    names = ", ".join(open_branches(evaluator.program.network, linear)) or "none"
    head = f"the optimum of the linear model has other open branches ({names}): by AC power flow it "
    priced = evaluator.evaluate(linear)
    if priced is None:
        return (head + "has no solution",)
    if priced.violation > best.violation:
        return (head + "breaks limits that the answer keeps",)
    return (head + f"comes to {priced.value_kw:.3f} kW, the answer to {best.value_kw:.3f} kW",)


def _enumerate(
    evaluator: PhasesAcEvaluator, method: Enumeration, progress: Progress, deadline: Deadline
) -> PhasesAnswer:
    """All radial topologies by exact power flow, `most` of them at most, or as many as the time allows.

    Those that branch exchange tries from today's state come first: what is left out is what is likely to be worse.
    """
    program = evaluator.program
    evaluation_log = EvaluationLog("enumeration", evaluator, progress, deadline)

    def stop() -> bool:
        return deadline.over() or evaluator.count >= method.most

    near = [
        branch_exchange_ac(evaluator, start > 0.5, stop, evaluation_log.on_evaluation)
        for start in program.warm_starts()[:1]
    ]
    states = radial_states(program.choices, program.network.conductor_branch)
    some = (by_branch(program.network, state) for state in states)
    best, complete = best_of(evaluator, some, stop, evaluation_log.on_evaluation, best=near[0] if near else None)
    found = best is not None and best.violation == 0.0
    why, notes = Termination.OPTIMAL if found else Termination.INFEASIBLE, tuple[str, ...]()
    if not complete:
        why = deadline.why if deadline.over() else Termination.ITERATIONS
        notes = (f"topologies tried: {evaluator.count:,}; those that were not may be better, so no bound is known",)
    upper = best.value_kw if best is not None and found else math.inf
    evaluation_log.lower, evaluation_log.upper = upper if complete else -math.inf, upper
    evaluation_log.write_line(best)
    outcome = Outcome(why, None, None, evaluation_log.lower, upper, tuple(evaluation_log.log), deadline.passed())
    return PhasesAnswer(outcome, best, True, notes)


def _silent(_: Iteration) -> None:
    """No progress wanted."""
