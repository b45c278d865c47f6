"""What every study of open points asks: its program, its methods, its log."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from numbers import Real

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.errors import InputError, OptionError, Problem
from openpoint.formulations.radiality import Choices, heaviest_tree
from openpoint.grid.arguments import Names, names_of, of_kind
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.search.enumeration import best_topologies, count_topologies
from openpoint.studies.reconfigure.methods import BranchExchange, TopologySearch
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.today import refuse_locked_meshes
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.risk import Regret
from openpoint.twostage.stopping import check_stops

FLOWS = 4_000
"""Power flows between two looks at the clock."""


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """Every radial topology by exact AC power flow. For grids with few loops, and to check other methods.

    Attributes:
        most: topologies above which to refuse; on grids of several phases, after which to stop with the best.
        time_limit_s: seconds after which to stop with the best of those tried, without a bound; None = none.
    """

    most: int = 5_000_000
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(0.0, self.time_limit_s)

    def __str__(self) -> str:
        return "Enumeration()"

    def solve(
        self, program: RadialProgram, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Outcome:
        """Try all, or as many as fit the time limit, or until Ctrl-C.

        Args:
            program: what to solve. progress: told of the end. deadline: in place of the time limit.

        Raises:
            OptionError: too many topologies, or generators to dispatch, which a power flow cannot do.
        """
        net = program.network
        if len(net.generator_names):
            raise OptionError(
                "Enumeration cannot dispatch generators; use TopologySearch, or clear their limits to fix them"
            )
        if isinstance(program.risk, Regret):
            raise OptionError("Enumeration does not know what each future would cost alone; use Benders for regret")
        count = count_topologies(net, locked_closed=program.must_close, locked_open=program.must_open)
        if count > self.most:
            raise OptionError(
                f"{count:,} radial topologies are too many to enumerate (most {self.most:,}); use "
                "TopologySearch, or Benders for many futures"
            )
        with deadline_of(self.time_limit_s, deadline) as until:
            return _enumerated(program, count, until, progress)


def _enumerated(program: RadialProgram, count: int, deadline: Deadline, progress: Progress | None) -> Outcome:
    """All topologies by their price; where none has any, by their violation."""
    began, futures = deadline.passed(), program.uncertainty.values
    best, value, tried = _best(program, program.ac.objectives, deadline)
    found, decision = math.isfinite(value), best
    if not found:
        least, violation, met = _best(program, program.ac.violations, deadline)
        decision = least if math.isfinite(violation) else None
        tried = min(tried, met)
    shown = None if decision is None else decision.astype(float)
    verdict = None if shown is None else program.evaluate(shown, futures, None)
    complete, seconds = tried >= count, deadline.passed() - began
    reason = Termination.OPTIMAL if found else Termination.INFEASIBLE
    lower = value
    words = f"{count:,} topologies"
    if not complete:
        reason, lower, words = deadline.why, -math.inf, f"{tried:,} of {words}"
    last = Iteration(1, seconds, lower, value, value, words)
    if progress is not None:
        progress(last)
    return Outcome(
        reason,
        shown if found else None,
        None if verdict is None else verdict.state,
        lower,
        value,
        (last,),
        seconds,
        least_violation=None if found else shown,
        values=verdict.values if found and verdict is not None else None,
    )


def _best(
    program: RadialProgram, objective: Callable[[Bools], Floats], deadline: Deadline
) -> tuple[Bools | None, float, int]:
    """The topology (E) of least objective, its value, and how many were tried.

    Where some were not, the one nearest to today's state is among those that were.
    """
    net, tried = program.network, 0

    def counted(closed: Bools) -> Floats:
        nonlocal tried
        tried += len(closed)
        return objective(closed)

    values, best = best_topologies(
        net,
        counted,
        locked_closed=program.must_close,
        locked_open=program.must_open,
        chunk=max(1, min(4096, FLOWS // len(program.uncertainty.values))),
        stop=deadline.over,
    )
    found, value = (best[0], float(values[0])) if len(values) else (None, math.inf)
    if deadline.over():
        today = heaviest_tree(program.choices, net.closed.astype(float)) > 0.5
        if (known := float(objective(today[None, :])[0])) < value:
            found, value = today, known
    return found, value, tried


ProvingMethod = TopologySearch | Benders | ExtensiveForm | Enumeration
Method = ProvingMethod | BranchExchange


def radial_program(
    grid: Grid,
    *,
    limits: Limits | None,
    locked_open: Names,
    locked_closed: Names,
    max_changes: int | None,
    change_cost_kw: float,
) -> RadialProgram:
    """The program of a grid under today's demand; arguments as of `reconfigure`.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: options that make no sense, or a grid of several phases.
    """
    check_changes(max_changes, change_cost_kw)
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError("this works on balanced grids (phases '1'); this grid has phases a, b, c")
    kept = Limits.given(limits).applied(network)
    must_close, must_open = locks(kept, kept.closed, kept.switchable, locked_open, locked_closed)
    program = RadialProgram(kept, must_close, must_open, max_changes, change_cost_kw)
    refuse_impossible(grid, kept, program.choices, must_close)
    return program


def check_changes(max_changes: int | None, change_cost_kw: float) -> None:
    """Refuse a number or a cost of changes that makes no sense.

    Raises:
        OptionError: saying which.
    """
    if max_changes is not None:
        of_kind(max_changes, Real, "max_changes", "0 or more branches")
    of_kind(change_cost_kw, Real, "change_cost_kw", "kW per change, 0 or more")
    if max_changes is not None and max_changes < 0:
        raise OptionError(f"max_changes is {max_changes}; give 0 or more")
    if not (math.isfinite(change_cost_kw) and change_cost_kw >= 0.0):
        raise OptionError(f"change_cost_kw is {change_cost_kw:g}; give kW per change, 0 or more")


def locks(
    network: Network, closed: Bools, switchable: Bools, locked_open: Names, locked_closed: Names
) -> tuple[Bools, Bools]:
    """(B) branches that must be closed and that must be open, the fixed ones included.

    Args:
        closed, switchable: (B) today's state of the branches, and which may be switched.
        locked_open, locked_closed: names of branches.

    Raises:
        InputError: a name that is no branch, or a branch that must be both.
        OptionError: something that is no name.
    """
    must_close, must_open = closed & ~switchable, ~closed & ~switchable
    wanted = (
        (names_of(locked_open, "locked_open"), must_open, must_close, "closed"),
        (names_of(locked_closed, "locked_closed"), must_close, must_open, "open"),
    )
    for names, mine, other, word in wanted:
        for name, e in zip(names, network.branch_numbers(list(names))):
            if other[e]:
                remedy = "Lock it one way only; what is not switchable keeps its state, unless --switchable names it"
                raise InputError([Problem("branches", name, "", f"it must be {word} already", remedy)])
            mine[e] = True
    return must_close, must_open


def refuse_impossible(grid: Grid, network: Network, choices: Choices, must_close: Bools) -> None:
    """Locks that leave no radial state are a fault of the input, not an infeasible study.

    Args:
        must_close: (B) branches that must be closed.

    Raises:
        InputError: naming the branches of a loop, or the buses cut off.
    """
    if choices.loop:
        refuse_locked_meshes(grid, [network.branch_names[b] for b in np.flatnonzero(must_close)])
    if choices.cut_off:
        cut_off = list(dict.fromkeys(network.bus_names[network.terminal_bus[n]] for n in choices.cut_off))
        remedy = "Release a branch that connects them"
        message = "the branches locked open cut them off from every source"
        raise InputError([Problem("buses", ", ".join(cut_off[:10]), "", message, remedy)])
