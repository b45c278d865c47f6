"""Reconfigure a grid of any phases: the linear model proposes, exact AC power flow by OpenDSS decides."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.errors import OptionError
from openpoint.formulations.radiality import by_branch, choices_of, radial_states, refuse_impossible
from openpoint.grid.balanced import HAS_PHASES, is_symmetric
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.freedom import locks
from openpoint.network.limits import Limits
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.report.terminal import words
from openpoint.search.methods import Enumeration, TopologySearch
from openpoint.studies.reconfigure.methods import BranchExchange
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.answer import PhasesAnswer, open_branches, phases_result
from openpoint.studies.reconfigure.phases.balanced_start import balanced_start
from openpoint.studies.reconfigure.phases.exchange import (
    EvaluatedTopology,
    EvaluationLog,
    PhasesAcEvaluator,
    best_of,
    branch_exchange_ac,
)
from openpoint.studies.reconfigure.phases.model import PhasesProgram
from openpoint.studies.reconfigure.phases.soft import soften_phases
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.extensive import ExtensiveForm

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


def has_phases(grid: Grid) -> bool:
    """Whether a grid has phases a, b, c; a faulty grid counts as having none."""
    return bool((grid.buses["phases"] != "1").any())


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
