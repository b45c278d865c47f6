"""Partition at several levels of uncertainty: what robustness costs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from numbers import Real
from typing import Literal, TypedDict, Unpack

from openpoint.errors import OptionError
from openpoint.grid.arguments import Names
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.studies.partition.options import PartitionCosts, check_uncertainty
from openpoint.studies.partition.result import PartitionLevels, PartitionResult
from openpoint.studies.partition.study import Method, partition
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Termination
from openpoint.twostage.methods.ccg import ColumnAndConstraint

LEAST_S = 1e-3
"""Seconds that a level has in any case."""


class PartitionOptions(TypedDict, total=False):
    """The options of `partition` that all levels share."""

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
    **options: Unpack[PartitionOptions],
) -> PartitionLevels:
    """The same partition at several levels of uncertainty, the lowest first.

    The loads of a level may do all that those of a lower one may, so that the cost never falls from level to level
    (but by the gap that was asked for).

    Args:
        grid: the grid, a path or a name that `read` takes.
        levels: largest deviations of an uncertain load, shares of its power, in any order; or one of them.
        progress: told of every iteration, with its level.
        options: those of `openpoint.partition`; a time limit is that of all levels, each of which may take its equal
            part of what is left.

    Returns:
        A result a level; where the user interrupts, those of the levels up to then.

    Raises:
        InputError: as `openpoint.partition`.
        OptionError: no level, one that is no number or out of range, and as `openpoint.partition`.
    """
    grid, levels = read(grid), _several(levels)
    if not levels:
        raise OptionError("no level of uncertainty; give at least one share of the load, such as 0.15")
    for level in levels:
        check_uncertainty(level)
    found: dict[float, PartitionResult] = {}
    method = options.get("method") or ColumnAndConstraint()
    deadline, rising = Deadline(method.time_limit_s), sorted(set(levels))
    for number, level in enumerate(rising):
        part = None if method.time_limit_s is None else max(deadline.left() / (len(rising) - number), LEAST_S)

        def told(iteration: Iteration, level: float = level) -> None:
            if progress is not None:
                progress(level, iteration)

        options["method"] = replace(method, time_limit_s=part)
        found[level] = partition(grid, uncertainty=level, progress=told, **options)
        if found[level].termination is Termination.INTERRUPTED:
            break
    return PartitionLevels(found)


def _several(levels: float | Iterable[float]) -> tuple[float, ...]:
    """The levels; a single number is one.

    Raises:
        OptionError: something that is no number.
    """
    given = tuple(levels) if isinstance(levels, Iterable) and not isinstance(levels, str) else (levels,)
    if wrong := [level for level in given if not isinstance(level, Real)]:
        raise OptionError(f"levels has {wrong[0]!r}, which is no number; give shares of the load, such as [0.0, 0.15]")
    return tuple(map(float, given))
