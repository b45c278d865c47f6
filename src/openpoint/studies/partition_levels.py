"""Partition at several levels of uncertainty: what robustness costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypedDict, Unpack

from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.studies.limits import Limits
from openpoint.studies.partition import Method, partition
from openpoint.studies.partition_result import PartitionLevels, PartitionResult
from openpoint.studies.partition_setup import PartitionCosts, check_uncertainty
from openpoint.twostage.log import Iteration, Termination


class PartitionOptions(TypedDict, total=False):
    """The options of `partition` that all levels share."""

    uncertain_loads: Literal["all"] | int | Sequence[str]
    most_deviating: int | None
    ramp: float
    max_grid_forming: int
    costs: PartitionCosts | None
    limits: Limits | None
    method: Method | None


def partition_levels(
    grid: Grid,
    levels: Sequence[float],
    *,
    progress: Callable[[float, Iteration], None] | None = None,
    **options: Unpack[PartitionOptions],
) -> PartitionLevels:
    """The same partition at several levels of uncertainty, the lowest first.

    The loads of a level may do all that those of a lower one may, so that the cost never falls from level to level
    (but by the gap that was asked for).

    Args:
        grid: the grid.
        levels: largest deviations of an uncertain load, shares of its power, in any order.
        progress: told of every iteration, with its level.
        options: those of `openpoint.partition`; a time limit is that of each level.

    Returns:
        A result a level; where the user interrupts, those of the levels up to then.

    Raises:
        InputError: as `openpoint.partition`.
        OptionError: no level, one out of range, and as `openpoint.partition`.
    """
    if not levels:
        raise OptionError("no level of uncertainty; give at least one share of the load, such as 0.15")
    for level in levels:
        check_uncertainty(level)
    found: dict[float, PartitionResult] = {}
    for level in sorted(set(levels)):

        def told(iteration: Iteration, level: float = level) -> None:
            if progress is not None:
                progress(level, iteration)

        found[level] = partition(grid, uncertainty=level, progress=told, **options)
        if found[level].termination is Termination.INTERRUPTED:
            break
    return PartitionLevels(found)
