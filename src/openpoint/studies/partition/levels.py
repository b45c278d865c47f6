"""Partition at several levels of uncertainty: what robustness costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from openpoint.grid.grid import Grid
from openpoint.report.terminal import words
from openpoint.studies.partition.options import PartitionLevelsOptions, levels_of
from openpoint.studies.partition.result import PartitionLevelsResult, PartitionResult
from openpoint.studies.partition.samples import sampled
from openpoint.studies.partition.setup import Method, cut_network, method_for
from openpoint.studies.partition.study import PreparedPartition, prepare_on
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination

LEAST_S = 1e-3
"""Seconds that a level has in any case."""


def prepare(grid: Grid, options: PartitionLevelsOptions) -> Prepared[PartitionLevelsResult]:
    """The same partition at several levels of uncertainty, the lowest first; see `openpoint.partition`.

    The loads of a level may do all that those of a lower one may, so that the cost never falls from level to level
    (but by the gap that was asked for). Each level may take its equal part of what is left of the time limit. Where
    the user interrupts, the result has the levels up to then.

    Raises:
        InputError: as `openpoint.partition`.
        OptionError: no level, one that is no number or out of range, and as `openpoint.partition`.
    """
    stations, blocks = cut_network(grid, options)
    each = {level: prepare_on(grid, stations, blocks, options.at(level)) for level in levels_of(options.levels)}
    return PreparedLevels(grid, each, method_for(options))


@dataclass(frozen=True)
class PreparedLevels:
    """The same question at several levels of uncertainty, ready to be solved.

    Attributes:
        by_level: the question of each level, the lowest first. method: whose time limit is that of all levels.
    """

    grid: Grid
    by_level: Mapping[float, PreparedPartition]
    method: Method
    unit: str = "$"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> PartitionLevelsResult:
        """A result a level; where the user interrupts, those of the levels up to then."""
        found = dict[float, PartitionResult]()
        with deadline_of(self.method.time_limit_s, deadline) as until:
            self._plan(found, progress, until)
            for level, result in found.items():
                found[level] = sampled(result, self.by_level[level].options, until, progress)
        return PartitionLevelsResult(found, tuple(self.by_level))

    def _plan(self, found: dict[float, PartitionResult], progress: Progress | None, deadline: Deadline) -> None:
        """Find the plan of every level."""
        for number, (level, prepared) in enumerate(self.by_level.items()):
            part = deadline.within(max(deadline.left() / (len(self.by_level) - number), LEAST_S))

            def on_iteration(iteration: Iteration, level: float = level) -> None:
                if progress is not None:
                    progress(replace(iteration, verdict=f"± {100.0 * level:g} %: {iteration.verdict}"))

            found[level] = prepared.planned(on_iteration, part)
            if found[level].termination is Termination.INTERRUPTED:
                return


partition_levels = function("partition_levels", PartitionLevelsOptions, prepare)
