"""Partition at several levels of uncertainty: what robustness costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypedDict, Unpack

from openpoint.arguments import Names
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.studies.partition.options import Method, PartitionCosts, PartitionOptions, levels_of
from openpoint.studies.partition.result import PartitionLevels, PartitionResult
from openpoint.studies.partition.setup import cut_network
from openpoint.studies.partition.study import Prepared, prepare_on
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Termination
from openpoint.twostage.methods.ccg import ColumnAndConstraint

LevelProgress = Callable[[float, Iteration], None]

LEAST_S = 1e-3
"""Seconds that a level has in any case."""


class LevelOptions(TypedDict, total=False):
    """The options of `openpoint.partition` that all levels share."""

    uncertain_loads: Literal["all"] | int | Names
    most_deviating: int | None
    ramp: float
    max_grid_forming: int
    costs: PartitionCosts | None
    limits: Limits | None
    method: Method | None


def partition_levels(
    grid: GridLike,
    levels: float | Iterable[float],
    *,
    progress: Callable[[float, Iteration], None] | None = None,
    **options: Unpack[LevelOptions],
) -> PartitionLevels:
    """The same partition at several levels of uncertainty, the lowest first.

    The loads of a level may do all that those of a lower one may, so that the cost never falls from level to level
    (but by the gap that was asked for).

    Args:
        grid: the grid, a path or a name that `read` takes.
        levels: largest deviations of an uncertain load, shares of its power, in any order; or one of them.
        progress: called with every iteration, with its level.
        options: those of `openpoint.partition`; a time limit is that of all levels, each of which may take its equal
            part of what is left.

    Returns:
        A result a level; where the user interrupts, those of the levels up to then.

    Raises:
        InputError: as `openpoint.partition`.
        OptionError: no level, one that is no number or out of range, and as `openpoint.partition`.
    """
    return prepare_levels(read(grid), PartitionOptions(levels=levels, **options)).solve(progress)


def prepare_levels(grid: Grid, options: PartitionOptions) -> PreparedLevels:
    """All that a run at several levels needs: the network is built once, the model of each level is stated.

    Raises:
        InputError: as `openpoint.partition`.
        OptionError: no level, and as `openpoint.partition`.
    """
    levels = levels_of(options.levels)
    if not levels:
        raise OptionError("no level of uncertainty; give at least one share of the load, such as 0.15")
    network, blocks = cut_network(grid, options)
    each = {
        level: prepare_on(grid, network, blocks, replace(options, levels=(), uncertainty=level)) for level in levels
    }
    return PreparedLevels(each, options.method or ColumnAndConstraint())


@dataclass(frozen=True)
class PreparedLevels:
    """The same question at several levels of uncertainty, ready to be solved.

    Attributes:
        by_level: the question of each level, the lowest first. method: whose time limit is that of all levels.
    """

    by_level: Mapping[float, Prepared]
    method: Method

    def solve(self, progress: LevelProgress | None = None) -> PartitionLevels:
        """A result a level; where the user interrupts, those of the levels up to then."""
        method, found = self.method, dict[float, PartitionResult]()
        deadline = Deadline(method.time_limit_s)
        for number, (level, prepared) in enumerate(self.by_level.items()):
            left = len(self.by_level) - number
            part = None if method.time_limit_s is None else max(deadline.left() / left, LEAST_S)

            def on_iteration(iteration: Iteration, level: float = level) -> None:
                if progress is not None:
                    progress(level, iteration)

            found[level] = replace(prepared, method=replace(method, time_limit_s=part)).solve(on_iteration)
            if found[level].termination is Termination.INTERRUPTED:
                break
        return PartitionLevels(found)
