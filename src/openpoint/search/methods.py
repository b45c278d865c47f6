"""Methods for grids alone, as values that a caller gives: topology search, and the enumeration of all states.

What they solve says itself what is searched and enumerated in it: open points alone, or devices, too.
"""

from __future__ import annotations

import math
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

import numpy as np

from openpoint.arguments import path_of
from openpoint.errors import OptionError
from openpoint.search.result import MEMORY, OPTIMAL, SearchProgress, SearchResult
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, check_stops
from openpoint.twostage.workers.executors import Choice, GivenExecutor, executor_from

LOG_EVERY_S = 1.0
"""Seconds between two lines of the log."""

Found = TypeVar("Found", covariant=True)


class Searched(Protocol[Found]):
    """A problem that topology search can take."""

    def searched(self, search: TopologySearch, progress: Progress | None, deadline: Deadline) -> Found:
        """What the search finds."""
        ...


class Enumerated(Protocol[Found]):
    """A problem whose states can be enumerated."""

    def enumerated(self, most: int, progress: Progress | None, deadline: Deadline) -> Found:
        """The best of all states, of which there may be `most`."""
        ...


@dataclass(frozen=True, kw_only=True)
class TopologySearch:
    """Branch and bound on which branches are closed, with a bound in closed form, for one demand or many futures.

    Generators are dispatched by the same bound; where limits bind on a tree, the cone program may have the word on it:
    the last line of the log tells on how many trees the bound is that of its solver.

    Many futures and years take no checkpoint, and no generators to dispatch; years in blocks no certificate either.

    Attributes:
        gap: relative gap at which to stop; None: 1e-6, which counts as optimal, and of one demand 1e-4 (0.01 %) once
            the search is long, after 10⁷ nodes times buses.
        time_limit_s: seconds after which to stop with the best verified answer; None = none.
        certificate: file for a proof of the answer that `openpoint.verify` checks without the code of the search. It is
            there afterwards if the search came to its end with an answer and the disk took it, see docs/formats.md.
            A text is taken as a path, here and in `checkpoint`.
        checkpoint: file that keeps the open search, every half minute and when a limit or Ctrl-C stops it; where it is
            there at the start the search goes on from it, and where the search comes to its end it is deleted.
        memory_mb: memory for waiting nodes in MB; when it is full the search goes on depth-first, in little more.
        executor: where subtrees are searched once the search is long, such as `Processes(4)`; None: in this process
            alone. An executor of `concurrent.futures` is taken, too, and a text as `processes:4`. The answer and the
            proof do not depend on the number of workers.
    """

    gap: float | None = None
    time_limit_s: float | None = None
    certificate: Path | None = None
    checkpoint: Path | None = None
    memory_mb: float = MEMORY / 1e6
    executor: Choice | None = None

    def __post_init__(self) -> None:
        check_stops(self.least_gap, self.time_limit_s)
        for name in ("certificate", "checkpoint"):
            if (given := getattr(self, name)) is not None:
                object.__setattr__(self, name, path_of(given, name, "the path of a file"))
        if isinstance(self.executor, Executor):
            object.__setattr__(self, "executor", GivenExecutor(self.executor))
        elif isinstance(self.executor, str):
            object.__setattr__(self, "executor", executor_from(self.executor))
        if not self.memory_mb >= 0.0:
            raise OptionError(f"memory is {self.memory_mb:g} MB; give 0 or more")

    def __str__(self) -> str:
        return f"TopologySearch(gap={self.least_gap:g})"

    @property
    def least_gap(self) -> float:
        """The gap at which to stop where it is not the default of one demand."""
        return OPTIMAL if self.gap is None else self.gap

    def solve(
        self, program: Searched[Found], progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Found:
        """Search until the gap is closed, or a limit or Ctrl-C comes; the best verified answer is kept.

        A deadline takes the place of the time limit.

        Raises:
            OptionError: something that the bound is not valid for, or a checkpoint of another search or a damaged one.
        """
        with deadline_of(self.time_limit_s, deadline) as until:
            return program.searched(self, progress, until)


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
        self, program: Enumerated[Found], progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Found:
        """Try all, or as many as fit the time limit, or until Ctrl-C.

        Args:
            program: what to solve. progress: called at the end. deadline: in place of the time limit.

        Raises:
            OptionError: too many states, or generators to dispatch, which a power flow cannot do.
        """
        with deadline_of(self.time_limit_s, deadline) as until:
            return program.enumerated(self.most, progress, until)


@dataclass
class Log:
    """The log of a search, which reports its progress far more often than a person reads.

    Attributes:
        s_base_kva: kW of a value of 1. progress: what is told of every line. lines: so far.
        before_s: seconds of the run before the search began.
    """

    s_base_kva: float
    progress: Progress | None
    lines: list[Iteration] = field(default_factory=list)
    before_s: float = 0.0

    def start(self, seconds: float, value: float) -> None:
        """A line of a state that was verified before the search began."""
        value *= self.s_base_kva
        self._log_line(Iteration(len(self.lines) + 1, seconds, -np.inf, value, np.inf, "start", interim=True))

    def on_progress(self, now: SearchProgress) -> None:
        """Add a line, at most one in `LOG_EVERY_S` seconds."""
        seconds = self.before_s + now.seconds
        if self.lines and seconds - self.lines[-1].seconds < LOG_EVERY_S:
            return
        words = "exchange"
        if now.nodes:
            words = (
                f"{_nodes(now.nodes)}, {now.open_nodes:,} open, depth {now.depth}, "
                f"{math.floor(1000.0 * now.explored) / 10.0:.1f} % explored"
            )
        lower, value = now.lower_bound * self.s_base_kva, now.value * self.s_base_kva
        self._log_line(
            Iteration(len(self.lines) + 1, seconds, lower, value, np.inf, words, 0.0, now.mark, interim=True)
        )

    def step(self, seconds: float, lower: float, value: float) -> None:
        """A line of a tree that was valued, in the units of the result."""
        self._log_line(Iteration(len(self.lines) + 1, self.before_s + seconds, lower, value, np.inf, "tree"))

    def end(self, found: SearchResult, lower: float, value: float) -> None:
        """The last line."""
        words = _nodes(found.nodes) if found.nodes else "exchange"
        if found.by_cone:
            words += f", trees bounded by the cone program: {found.by_cone:,}"
        self._log_line(Iteration(len(self.lines) + 1, self.before_s + found.seconds, lower, value, np.inf, words))

    def _log_line(self, line: Iteration) -> None:
        self.lines.append(line)
        if self.progress is not None:
            self.progress(line)


def _nodes(number: int) -> str:
    return "1 node" if number == 1 else f"{number:,} nodes"
