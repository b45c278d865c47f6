"""Reconfigure a grid of any phases: the linear model proposes, exact AC power flow by OpenDSS decides."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from openpoint.errors import OptionError
from openpoint.formulations.radiality_phases import radial_states
from openpoint.grid.grid import Grid
from openpoint.network import Bools, Complexes, Network, build_network
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.studies.limits import Limits
from openpoint.studies.phases_result import phases_result
from openpoint.studies.radial_phases import PhasesProgram, by_branch, choices_of, is_radial_state
from openpoint.studies.radial_phases_ac import NONE, AcJudge, News, Price, best_of, better, descend_ac
from openpoint.studies.radial_setup import Enumeration, Method, check_changes, locks, refuse_impossible
from openpoint.studies.result import ReconfigureResult
from openpoint.studies.topology_search import TopologySearch
from openpoint.twostage.benders import Benders
from openpoint.twostage.extensive import ExtensiveForm
from openpoint.twostage.interrupt import listening
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination

FEW = 200
"""Radial topologies up to which all of them are tried by exact power flow, unless a method is named."""
TO_THE_GAP = (Termination.OPTIMAL, Termination.GAP, Termination.ACCURACY)


@dataclass(frozen=True)
class PhasesAnswer:
    """What a search found, for the result.

    Attributes:
        outcome: of the search: its bounds are those of the linear model, unless `exact`.
        closed: (B) the answer, or the state of least violation met; None where no state has a solution.
        price: of it.
        exact: whether the bounds are those of the AC power flow.
        notes: for the user.
    """

    outcome: Outcome
    closed: Bools | None
    price: Price
    exact: bool
    notes: tuple[str, ...]


def has_phases(grid: Grid) -> bool:
    """Whether a grid has phases a, b, c; a faulty grid is said to have none."""
    return bool((grid.buses["phases"] != "1").any())


def reconfigure_phases(
    grid: Grid,
    *,
    method: Method | None,
    limits: Limits | None,
    locked_open: Iterable[str],
    locked_closed: Iterable[str],
    max_changes: int | None,
    change_cost_kw: float,
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
    progress = progress or _silent
    match method:
        case TopologySearch():
            raise OptionError(
                "the bound of topology search holds for balanced grids (phases '1'); this grid has phases a, b, c: "
                "use Benders, or Enumeration where topologies are few"
            )
        case Enumeration():
            answer = _enumerate(judge, method, progress)
        case Benders() | ExtensiveForm():
            answer = _by_linear_model(judge, method, progress)
    return phases_result(judge, str(method), answer)


def phases_program(
    grid: Grid,
    *,
    limits: Limits | None,
    locked_open: Iterable[str],
    locked_closed: Iterable[str],
    max_changes: int | None,
    change_cost_kw: float,
) -> PhasesProgram:
    """The program of a grid of any phases under today's demand; arguments as of `reconfigure`.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: options that make no sense.
    """
    check_changes(max_changes, change_cost_kw)
    network = (limits or Limits()).applied(build_network(grid))
    today, movable = by_branch(network, network.closed), by_branch(network, network.switchable)
    must_close, must_open = locks(network, today, movable, list(locked_open), list(locked_closed))
    refuse_impossible(network, choices_of(network, must_close, must_open))
    return PhasesProgram(
        network=network,
        must_close=must_close,
        must_open=must_open,
        v=_reference(grid, network, today, ~must_open),
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


def _reference(grid: Grid, network: Network, *states: Bools) -> Complexes:
    """(N) exact voltages of the first of these states that has any at every terminal, loops included; else no load."""
    circuit = OpenDssCircuit(grid, closed=states[0])
    for state in states:
        circuit.rewire(state)
        flows = circuit.solve()
        if flows.converged[0] and flows.energised.all():
            return flows.v[0]
    raise OptionError(
        "no AC power flow of this grid has a solution, neither as it stands today nor with all branches closed: check "
        "loads and impedances, and their units"
    )


def _by_linear_model(judge: AcJudge, method: Benders | ExtensiveForm, progress: Progress) -> PhasesAnswer:
    """The optimum of the linear model, and branch exchange by exact power flow from there and from today's state."""
    program, began = judge.program, time.perf_counter()
    outcome = method.solve(program, progress)
    shown = outcome.decision if outcome.decision is not None else outcome.least_violation
    log = list(outcome.log)
    news = News(began, outcome.lower_bound, outcome.upper_bound, progress, log, "branch exchange")
    found: tuple[Price, Bools | None] = (NONE, None)
    linear: tuple[Price, Bools | None] = (NONE, None)
    stopped = False
    with listening() as interrupt:

        def stop() -> bool:
            nonlocal stopped
            late = method.time_limit_s is not None and time.perf_counter() - began >= method.time_limit_s
            stopped = stopped or interrupt.requested or late
            return stopped

        if shown is not None:
            closed = shown > 0.5
            linear = judge.price(closed), closed
            stopped = outcome.termination not in (*TO_THE_GAP, Termination.INFEASIBLE)
            found = descend_ac(judge, closed, stop, news.told)
        if _may_stay(program) and better(price := judge.price(program.today), found[0]):
            found = price, program.today
        news.say(found[0], interim=False)
        why = outcome.termination
        if why in (*TO_THE_GAP, Termination.INFEASIBLE):
            why = Termination.INTERRUPTED if interrupt.requested else Termination.TIME if stopped else why
    kept = found[0][0] == 0.0
    notes: tuple[str, ...] = ()
    if why in TO_THE_GAP or (why is Termination.INFEASIBLE and kept):
        why = Termination.LINEAR
    if outcome.decision is None and found[1] is not None and kept:
        notes += ("the linear model found no state that keeps the limits; by AC power flow this one does",)
    elif found[1] is not None and outcome.decision is not None and not np.array_equal(found[1], linear[1]):
        notes += (_differs(program, linear, found[0]),)
    return PhasesAnswer(
        replace(outcome, termination=why, log=tuple(log), seconds=time.perf_counter() - began),
        found[1],
        found[0],
        False,
        notes,
    )


def _differs(program: PhasesProgram, linear: tuple[Price, Bools | None], found: Price) -> str:
    """Where the optimum of the linear model is not the answer."""
    (missed, value), closed = linear
    assert closed is not None
    names = ", ".join(program.network.branch_names[b] for b in np.flatnonzero(~closed)) or "none"
    head = f"the optimum of the linear model has other open branches ({names}): by AC power flow it "
    if not math.isfinite(missed):
        return head + "has no solution"
    if missed > found[0]:
        return head + "breaks limits that the answer keeps"
    return head + f"comes to {value:.3f} kW, the answer to {found[1]:.3f} kW"


def _enumerate(judge: AcJudge, method: Enumeration, progress: Progress) -> PhasesAnswer:
    """All radial topologies by exact power flow, `most` of them at most."""
    program, began = judge.program, time.perf_counter()
    log: list[Iteration] = []
    news = News(began, -math.inf, math.inf, progress, log, "enumeration")
    states = radial_states(program.choices, program.network.conductor_branch)
    with listening() as interrupt:
        more = (by_branch(program.network, state) for state in states)
        price, closed = best_of(judge, islice(more, method.most), lambda: interrupt.requested, news.told)
        whole = not interrupt.requested and next(states, None) is None
        why = Termination.INTERRUPTED if interrupt.requested else Termination.ITERATIONS
    kept = closed is not None and price[0] == 0.0
    if whole:
        why = Termination.OPTIMAL if kept else Termination.INFEASIBLE
    value = price[1] if kept else math.inf
    news.lower, news.upper = value if whole else -math.inf, value
    news.say(price, interim=False)
    decision = None if closed is None else closed.astype(np.float64)
    outcome = Outcome(
        why,
        decision if kept else None,
        None,
        news.lower,
        value,
        tuple(log),
        time.perf_counter() - began,
        least_violation=None if kept else decision,
    )
    return PhasesAnswer(outcome, closed, price, True, ())


def _may_stay(program: PhasesProgram) -> bool:
    """Whether today's state is among the radial states that the locks allow."""
    today = program.today
    locked = (program.must_close & ~today) | (program.must_open & today)
    return not locked.any() and is_radial_state(program.network, today)


def _silent(_: Iteration) -> None:
    """No progress wanted."""
