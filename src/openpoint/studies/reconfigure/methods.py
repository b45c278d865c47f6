"""The methods of reconfigure; topology search and branch exchange are those of `openpoint.search`."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from openpoint.arrays import Bools, Complexes
from openpoint.errors import OptionError
from openpoint.search.dispatch import Cone
from openpoint.search.exchange.local import exchange_branches
from openpoint.search.result import SearchProgress, SearchResult
from openpoint.search.topology import search_topologies
from openpoint.studies.reconfigure.enumeration import Enumeration
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Outcome, Progress
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.extensive import ExtensiveForm
from openpoint.twostage.recourse.subproblem import Subproblem
from openpoint.twostage.stopping import check_stops

LOG_EVERY_S = 1.0
"""Seconds between two lines of the log."""


@dataclass(frozen=True, kw_only=True)
class TopologySearch:
    """Branch and bound on which branches are closed, with a bound in closed form: the method for one demand.

    Generators are dispatched by the same bound; where limits bind on a tree, the cone program may have the word on it:
    the last line of the log tells on how many trees the bound is that of its solver.

    Attributes:
        gap: relative gap at which to stop.
        time_limit_s: seconds after which to stop with the best verified answer; None = none.
        certificate: file for a proof of the answer that `openpoint.verify` checks without the code of the search. It is
            there afterwards if the search came to its end with an answer, see docs/formats.md.
        checkpoint: file that keeps the open search, every half minute and when a limit or Ctrl-C stops it; where it is
            there at the start the search goes on from it, and where the search comes to its end it is deleted.
    """

    gap: float = 1e-6
    time_limit_s: float | None = None
    certificate: Path | None = None
    checkpoint: Path | None = None

    def __post_init__(self) -> None:
        check_stops(self.gap, self.time_limit_s)

    def __str__(self) -> str:
        return f"TopologySearch(gap={self.gap:g})"

    def solve(
        self, program: RadialProgram, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Outcome:
        """Search until the gap is closed, or a limit or Ctrl-C comes; the best verified answer is kept.

        A deadline takes the place of the time limit.

        Raises:
            OptionError: many futures, a grid that the bound is not valid for, or a checkpoint of another search or a
                damaged one.
        """
        net = program.one_demand
        log = Log(net.s_base_kva, progress)
        with deadline_of(self.time_limit_s, deadline) as until:
            found = search_topologies(
                net,
                must_close=program.must_close,
                must_open=program.must_open,
                max_changes=program.max_changes,
                change_cost=program.change_cost_kw / net.s_base_kva,
                gap=self.gap,
                deadline=until,
                progress=log.told,
                certificate=self.certificate,
                checkpoint=self.checkpoint,
                cone=_cone_of(program) if len(net.generator_names) else None,
                built=program.search_model,
            )
        return outcome_of(program, found, log)


@dataclass(frozen=True, kw_only=True)
class BranchExchange:
    """Exchanges of one branch for another until none is better: a good state in milliseconds, and no bound.

    Use it where an answer must be there at once, or the grid is too large to prove anything; `TopologySearch` begins
    with the same states, and proves how good they are.

    Attributes:
        time_limit_s: seconds after which to stop with the best verified answer; None = none.
    """

    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(0.0, self.time_limit_s)

    def __str__(self) -> str:
        return "BranchExchange()"

    def solve(
        self, program: RadialProgram, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Outcome:
        """Exchange branches; the lower bound of the outcome is -inf. A deadline takes the place of the time limit.

        Raises:
            OptionError: many futures, generators to dispatch, or voltages without limit.
        """
        net = program.one_demand
        log = Log(net.s_base_kva, progress)
        with deadline_of(self.time_limit_s, deadline) as until:
            found = exchange_branches(
                net,
                must_close=program.must_close,
                must_open=program.must_open,
                max_changes=program.max_changes,
                change_cost=program.change_cost_kw / net.s_base_kva,
                deadline=until,
                progress=log.told,
            )
        return outcome_of(program, found, log)


ProvingMethod = TopologySearch | Benders | ExtensiveForm | Enumeration
Method = ProvingMethod | BranchExchange


def outcome_of(program: RadialProgram, found: SearchResult, log: Log) -> Outcome:
    """What was found, in the units of the program and judged by it; ends the log."""
    shown = found.least_violation if found.closed is None else found.closed
    decision = None if shown is None else shown.astype(float)
    s = found.generation
    dispatch = None if s is None else [np.stack([s.real, s.imag], axis=1).ravel()]
    verdict = None if decision is None else program.evaluate(decision, program.uncertainty.values, dispatch)
    value = math.inf
    if found.closed is not None and decision is not None and verdict is not None:
        value = program.first_stage_cost(decision) + float(verdict.values[0])
    lower = min(found.lower_bound * log.s_base_kva, value)
    log.end(found, lower, value)
    return Outcome(
        termination=found.termination,
        decision=None if found.closed is None else decision,
        state=None if verdict is None else verdict.state,
        lower_bound=lower,
        upper_bound=value,
        log=tuple(log.lines),
        seconds=found.seconds,
        least_violation=None if found.least_violation is None else decision,
        values=None if found.closed is None or verdict is None else verdict.values,
    )


def _cone_of(program: RadialProgram) -> Cone:
    """The cone program of a program, compiled when it is first asked."""
    subproblem: list[Subproblem] = []

    def cone(closed: Bools) -> tuple[float, Complexes | None]:
        if not subproblem:
            subproblem.append(Subproblem(program, len(closed)))
        found = subproblem[0].respond(closed.astype(float), program.uncertainty.values[0])
        if not found.feasible:
            return math.inf, None
        lower = found.value / program.network.s_base_kva
        return lower, None if found.dispatch is None else found.dispatch[0::2] + 1j * found.dispatch[1::2]

    return cone


def quickest(
    program: RadialProgram, *, gap: float | None = None, time_limit_s: float | None = None
) -> TopologySearch | Benders:
    """The quickest method for a program: topology search wherever its bound is valid, else Benders.

    Without a gap, each has its own.
    """
    method = TopologySearch(time_limit_s=time_limit_s) if searchable(program) else Benders(time_limit_s=time_limit_s)
    return method if gap is None else replace(method, gap=gap)


def searchable(program: RadialProgram) -> bool:
    """Whether topology search can take a program."""
    try:
        return bool(program.search_model)
    except OptionError:
        return False


@dataclass
class Log:
    """Lines of the log out of what a search tells; it looks up far more often than a person reads."""

    s_base_kva: float
    progress: Progress | None
    lines: list[Iteration] = field(default_factory=list)

    def told(self, now: SearchProgress) -> None:
        """News of the search."""
        if self.lines and now.seconds - self.lines[-1].seconds < LOG_EVERY_S:
            return
        words = "exchange"
        if now.nodes:
            words = (
                f"{now.nodes:,} nodes, {now.open_nodes:,} open, depth {now.depth}, "
                f"{math.floor(1000.0 * now.explored) / 10.0:.1f} % explored"
            )
        lower, value = now.lower_bound * self.s_base_kva, now.value * self.s_base_kva
        self._log_line(
            Iteration(len(self.lines) + 1, now.seconds, lower, value, np.inf, words, 0.0, now.mark, interim=True)
        )

    def end(self, found: SearchResult, lower: float, value: float) -> None:
        """The last line."""
        words = f"{found.nodes:,} nodes" if found.nodes else "exchange"
        if found.by_cone:
            words += f", trees bounded by the cone program: {found.by_cone:,}"
        self._log_line(Iteration(len(self.lines) + 1, found.seconds, lower, value, np.inf, words))

    def _log_line(self, line: Iteration) -> None:
        self.lines.append(line)
        if self.progress is not None:
            self.progress(line)
