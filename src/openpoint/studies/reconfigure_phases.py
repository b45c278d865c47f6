"""Reconfigure a grid of any phases: the linear model proposes, exact AC power flow by OpenDSS decides."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain, islice

import numpy as np

from openpoint.errors import OptionError
from openpoint.formulations.radiality_phases import radial_states
from openpoint.grid.arguments import Names
from openpoint.grid.grid import Grid
from openpoint.network import Bools, Complexes, build_network
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.studies.limits import Limits
from openpoint.studies.phases_result import PhasesAnswer, open_branches, phases_result
from openpoint.studies.radial_phases import PhasesProgram, by_branch, choices_of
from openpoint.studies.radial_phases_ac import AcJudge, News, Priced, best_of, descend_ac
from openpoint.studies.radial_setup import Enumeration, Method, check_changes, locks, refuse_impossible
from openpoint.studies.result import ReconfigureResult
from openpoint.studies.soft_phases import soften_phases
from openpoint.studies.topology_search import BranchExchange, TopologySearch
from openpoint.twostage.benders import Benders
from openpoint.twostage.extensive import ExtensiveForm
from openpoint.twostage.interrupt import listening
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination

FEW = 200
"""Radial topologies up to which all of them are tried by exact power flow, unless a method is named."""
TRIED = 20
"""Radial topologies tried for reference voltages where today's state and that without open points have none."""
PROVEN = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY, Termination.INFEASIBLE)


def has_phases(grid: Grid) -> bool:
    """Whether a grid has phases a, b, c; a faulty grid is said to have none."""
    return bool((grid.buses["phases"] != "1").any())


def reconfigure_phases(
    grid: Grid,
    *,
    method: Method | None,
    limits: Limits | None,
    locked_open: Names,
    locked_closed: Names,
    max_changes: int | None,
    change_cost_kw: float,
    soft_limits: bool,
    progress: Progress | None,
) -> ReconfigureResult:
    """`reconfigure` of a grid of any phases; arguments, result and errors are those of `reconfigure`.

    `Benders` and `ExtensiveForm` prove the optimum of the linear model; branch exchange by exact AC power flow goes on
    from there. `Enumeration` tries all radial topologies by exact AC power flow, and is the default where they are few.
    """
    program = phases_program(
        grid,
        limits=limits,
        locked_open=locked_open,
        locked_closed=locked_closed,
        max_changes=max_changes,
        change_cost_kw=change_cost_kw,
    )
    method = method or phases_method(program)
    judge = AcJudge(grid, program)
    answer = _answer(judge, method, progress or _silent)
    if soft_limits:
        answer = soften_phases(judge, method, answer, lambda other, left: _answer(other, left, _silent))
    return phases_result(judge, str(method), answer)


def _answer(judge: AcJudge, method: Method, progress: Progress) -> PhasesAnswer:
    """What a method says.

    Raises:
        OptionError: a method for balanced grids.
    """
    match method:
        case TopologySearch():
            raise OptionError(
                "the bound of topology search holds for balanced grids (phases '1'); this grid has phases a, b, c: "
                "use Benders, or Enumeration where topologies are few"
            )
        case Enumeration():
            return _enumerate(judge, method, progress)
        case Benders() | ExtensiveForm():
            return _by_linear_model(judge, method, progress)
        case BranchExchange():
            raise OptionError(
                "branch exchange alone is for balanced grids (phases '1'); this grid has phases a, b, c: use Benders, "
                "which ends with it"
            )


def phases_program(
    grid: Grid,
    *,
    limits: Limits | None,
    locked_open: Names,
    locked_closed: Names,
    max_changes: int | None,
    change_cost_kw: float,
) -> PhasesProgram:
    """The program of a grid of any phases under today's demand; arguments as of `reconfigure`.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: options that make no sense, or a grid that has no power flow solution.
    """
    check_changes(max_changes, change_cost_kw)
    network = Limits.given(limits).applied(build_network(grid))
    today, movable = by_branch(network, network.closed), by_branch(network, network.switchable)
    must_close, must_open = locks(network, today, movable, locked_open, locked_closed)
    choices = choices_of(network, must_close, must_open)
    refuse_impossible(grid, network, choices, must_close)
    some = (by_branch(network, state) for state in islice(radial_states(choices, network.conductor_branch), TRIED))
    return PhasesProgram(
        network=network,
        must_close=must_close,
        must_open=must_open,
        v=_reference(grid, chain([today, ~must_open], some)),
        max_changes=max_changes,
        change_cost_kw=change_cost_kw,
    )


def phases_method(
    program: PhasesProgram, *, gap: float | None = None, time_limit_s: float | None = None
) -> Enumeration | Benders:
    """The method for a grid of any phases if none is named: all topologies where they are few, else Benders.

    A gap or a time limit asks for Benders, which can keep them.
    """
    states = radial_states(program.choices, program.network.conductor_branch)
    if gap is None and time_limit_s is None and sum(1 for _ in islice(states, FEW + 1)) <= FEW:
        return Enumeration()
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


def _by_linear_model(judge: AcJudge, method: Benders | ExtensiveForm, progress: Progress) -> PhasesAnswer:
    """Branch exchange by exact power flow, from today's state and from the optimum of the linear model."""
    program, began = judge.program, time.perf_counter()
    news = News("branch exchange", judge, progress, began)
    with listening() as interrupt:

        def stopped() -> Termination | None:
            if interrupt.requested:
                return Termination.INTERRUPTED
            late = method.time_limit_s is not None and time.perf_counter() - began >= method.time_limit_s
            return Termination.TIME if late else None

        first = next(iter(program.starts()), None)
        best = None if first is None else descend_ac(judge, first > 0.5, lambda: stopped() is not None, news.told)
        news.say(best)
        outcome = Outcome(stopped() or Termination.TIME, None, None, -math.inf, math.inf, (), 0.0)
        if stopped() is None:
            outcome = _left(method, began).solve(program, news.heard)
        why = outcome.termination
        linear = outcome.decision if outcome.decision is not None else outcome.least_violation
        if linear is not None:
            news.lower, news.upper = outcome.lower_bound, outcome.upper_bound
            near = descend_ac(judge, linear > 0.5, lambda: why not in PROVEN or stopped() is not None, news.told)
            best = near if near is not None and near.better(best) else best
            news.say(best)
        why = (stopped() or why) if why in PROVEN else why
    notes: tuple[str, ...] = ()
    if outcome.termination in PROVEN and best is not None and linear is not None:
        notes = _differs(judge, outcome, linear > 0.5, best)
    if why in PROVEN and best is not None:
        if best.missed == 0.0:
            why = Termination.LINEAR
        elif why is not Termination.INFEASIBLE:
            why = Termination.LIMITS
    outcome = replace(outcome, termination=why, log=tuple(news.log), seconds=time.perf_counter() - began)
    return PhasesAnswer(outcome, best, False, notes)


def _left(method: Benders | ExtensiveForm, began: float) -> Benders | ExtensiveForm:
    """The method with what is left of its time."""
    if method.time_limit_s is None:
        return method
    return replace(method, time_limit_s=max(method.time_limit_s + began - time.perf_counter(), 0.01))


def _differs(judge: AcJudge, outcome: Outcome, linear: Bools, best: Priced) -> tuple[str, ...]:
    """Where the linear model says something else than the answer."""
    if outcome.decision is None:
        said = "by the linear model nothing keeps the limits; by AC power flow "
        return (said + ("this does" if best.missed == 0.0 else "nothing did that branch exchange tried"),)
    if np.array_equal(linear, best.closed):
        return ()
    names = ", ".join(open_branches(judge.program.network, linear)) or "none"
    head = f"the optimum of the linear model has other open branches ({names}): by AC power flow it "
    priced = judge.price(linear)
    if priced is None:
        return (head + "has no solution",)
    if priced.missed > best.missed:
        return (head + "breaks limits that the answer keeps",)
    return (head + f"comes to {priced.value_kw:.3f} kW, the answer to {best.value_kw:.3f} kW",)


def _enumerate(judge: AcJudge, method: Enumeration, progress: Progress) -> PhasesAnswer:
    """All radial topologies by exact power flow, `most` of them at most."""
    program, began = judge.program, time.perf_counter()
    news = News("enumeration", judge, progress, began)
    states = radial_states(program.choices, program.network.conductor_branch)
    some = (by_branch(program.network, state) for state in islice(states, method.most))
    with listening() as interrupt:
        best = best_of(judge, some, lambda: interrupt.requested, news.told)
    found = best is not None and best.missed == 0.0
    if interrupt.requested:
        why = Termination.INTERRUPTED
    elif next(states, None) is not None:
        why = Termination.ITERATIONS
    else:
        why = Termination.OPTIMAL if found else Termination.INFEASIBLE
    upper = best.value_kw if best is not None and found else math.inf
    news.lower, news.upper = upper if why in PROVEN else -math.inf, upper
    news.say(best)
    outcome = Outcome(why, None, None, news.lower, upper, tuple(news.log), time.perf_counter() - began)
    return PhasesAnswer(outcome, best, True, ())


def _silent(_: Iteration) -> None:
    """No progress wanted."""
