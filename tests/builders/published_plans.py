"""Partitions of the 37-bus microgrids at the published levels, each solved once in a process."""

from __future__ import annotations

from functools import cache

import openpoint
from openpoint.studies.partition.result import PartitionResult

SIX = ("s712c", "s720c", "s722b", "s728", "s731b", "s738a")
"""The loads that are uncertain."""


@cache
def planned(level: float, loads: int | str | tuple[str, ...] = SIX) -> PartitionResult:
    """The plan where these loads deviate by up to a share."""
    return openpoint.partition(openpoint.read("ieee37-microgrids"), uncertainty=level, uncertain_loads=loads)
