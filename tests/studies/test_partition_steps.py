"""Partition over time against brute force over every step, and its tables against their own equations."""

from __future__ import annotations

import dataclasses
import itertools
import random

import networkx as nx
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.studies.partition import partition
from openpoint.studies.partition_horizon import Horizon
from openpoint.studies.partition_steps import partition_steps
from openpoint.studies.partition_steps_result import PartitionStepsResult
from openpoint.twostage.benders import Benders
from openpoint.twostage.ccg import ColumnAndConstraint
from openpoint.twostage.extensive import ExtensiveForm
from openpoint.twostage.log import Termination

from ..partitions import Feeder, brute_force
from ..partition_days import Day, best_day, random_day
from .test_partition import problems

SIX = ("s712c", "s720c", "s722b", "s728", "s731b", "s738a")
GAP = 1e-6


def ask(feeder: Feeder, day: Day, chosen: list[int], deviation: float, **options: object) -> PartitionStepsResult:
    loads = [f"d{k}" for k in chosen]
    given = {"method": ColumnAndConstraint(gap=GAP)} | options
    return partition_steps(
        feeder.grid(),
        day.horizon(),
        uncertainty=deviation,
        uncertain_loads=loads,
        max_actions=day.max_actions,
        keep_energised=day.keep_energised,
        **given,  # type: ignore[arg-type]
    )
