"""openpoint decides where the open points of a distribution grid lie, and proves how good the answer is.

    import openpoint

    grid = openpoint.read("case33bw.m")
    result = openpoint.reconfigure(grid)
    print(result.loss_before_kw, result.loss_kw, result.open_branches)

Every public name is imported when it is first used, so that the command starts at once.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openpoint.errors import InputError, OpenpointError, OptionError, Problem
    from openpoint.grid import Grid
    from openpoint.grid.builtin import describe as cases
    from openpoint.io import GridLike, read, write
    from openpoint.studies.disasters import Disasters, read_disasters, write_disasters
    from openpoint.studies.futures import Futures, read_futures, write_futures
    from openpoint.studies.growth import Growth, Snapshot, grow
    from openpoint.studies.harden import HardenCosts, harden
    from openpoint.studies.limits import Limits
    from openpoint.studies.partition import partition
    from openpoint.studies.partition_horizon import Horizon, read_horizon
    from openpoint.studies.partition_levels import partition_levels
    from openpoint.studies.partition_samples import sample_partition
    from openpoint.studies.partition_setup import PartitionCosts
    from openpoint.studies.partition_steps import partition_steps
    from openpoint.studies.powerflow import powerflow as run_powerflow
    from openpoint.studies.reconfigure import BranchExchange, Enumeration, TopologySearch, reconfigure
    from openpoint.studies.storms import storms
    from openpoint.twostage.ambiguity import Moments, ProbabilityBox, TotalVariation, Wasserstein
    from openpoint.twostage.benders import Benders
    from openpoint.twostage.ccg import ColumnAndConstraint
    from openpoint.twostage.executors import Cluster, Processes
    from openpoint.twostage.extensive import ExtensiveForm
    from openpoint.twostage.log import Termination
    from openpoint.twostage.risk import CVaR, Expectation, Regret, WorstCase

__version__ = "0.1.0"

__all__ = [
    "Benders",
    "BranchExchange",
    "CVaR",
    "Cluster",
    "ColumnAndConstraint",
    "Disasters",
    "Enumeration",
    "Expectation",
    "ExtensiveForm",
    "Futures",
    "Grid",
    "GridLike",
    "Growth",
    "HardenCosts",
    "Horizon",
    "InputError",
    "Limits",
    "Moments",
    "OpenpointError",
    "OptionError",
    "PartitionCosts",
    "ProbabilityBox",
    "Problem",
    "Processes",
    "Regret",
    "Snapshot",
    "Termination",
    "TopologySearch",
    "TotalVariation",
    "Wasserstein",
    "WorstCase",
    "__version__",
    "cases",
    "grow",
    "harden",
    "partition",
    "partition_levels",
    "partition_steps",
    "read",
    "read_disasters",
    "read_futures",
    "read_horizon",
    "reconfigure",
    "run_powerflow",
    "sample_partition",
    "storms",
    "write",
    "write_disasters",
    "write_futures",
]

# Public name -> where it lives. `powerflow` itself is a room of the house, so the study goes by `run_powerflow`.
_HOMES = {
    "Benders": ("openpoint.twostage.benders", "Benders"),
    "BranchExchange": ("openpoint.studies.reconfigure", "BranchExchange"),
    "CVaR": ("openpoint.twostage.risk", "CVaR"),
    "Cluster": ("openpoint.twostage.executors", "Cluster"),
    "ColumnAndConstraint": ("openpoint.twostage.ccg", "ColumnAndConstraint"),
    "Disasters": ("openpoint.studies.disasters", "Disasters"),
    "Enumeration": ("openpoint.studies.reconfigure", "Enumeration"),
    "Expectation": ("openpoint.twostage.risk", "Expectation"),
    "ExtensiveForm": ("openpoint.twostage.extensive", "ExtensiveForm"),
    "Futures": ("openpoint.studies.futures", "Futures"),
    "Grid": ("openpoint.grid", "Grid"),
    "GridLike": ("openpoint.io", "GridLike"),
    "Growth": ("openpoint.studies.growth", "Growth"),
    "HardenCosts": ("openpoint.studies.harden", "HardenCosts"),
    "Horizon": ("openpoint.studies.partition_horizon", "Horizon"),
    "InputError": ("openpoint.errors", "InputError"),
    "Limits": ("openpoint.studies.limits", "Limits"),
    "Moments": ("openpoint.twostage.ambiguity", "Moments"),
    "OpenpointError": ("openpoint.errors", "OpenpointError"),
    "OptionError": ("openpoint.errors", "OptionError"),
    "PartitionCosts": ("openpoint.studies.partition_setup", "PartitionCosts"),
    "ProbabilityBox": ("openpoint.twostage.ambiguity", "ProbabilityBox"),
    "Problem": ("openpoint.errors", "Problem"),
    "Processes": ("openpoint.twostage.executors", "Processes"),
    "Regret": ("openpoint.twostage.risk", "Regret"),
    "Snapshot": ("openpoint.studies.growth", "Snapshot"),
    "Termination": ("openpoint.twostage.log", "Termination"),
    "TopologySearch": ("openpoint.studies.reconfigure", "TopologySearch"),
    "TotalVariation": ("openpoint.twostage.ambiguity", "TotalVariation"),
    "Wasserstein": ("openpoint.twostage.ambiguity", "Wasserstein"),
    "WorstCase": ("openpoint.twostage.risk", "WorstCase"),
    "cases": ("openpoint.grid.builtin", "describe"),
    "grow": ("openpoint.studies.growth", "grow"),
    "harden": ("openpoint.studies.harden", "harden"),
    "partition": ("openpoint.studies.partition", "partition"),
    "partition_levels": ("openpoint.studies.partition_levels", "partition_levels"),
    "partition_steps": ("openpoint.studies.partition_steps", "partition_steps"),
    "read": ("openpoint.io", "read"),
    "read_disasters": ("openpoint.studies.disasters", "read_disasters"),
    "read_futures": ("openpoint.studies.futures", "read_futures"),
    "read_horizon": ("openpoint.studies.partition_horizon", "read_horizon"),
    "reconfigure": ("openpoint.studies.reconfigure", "reconfigure"),
    "run_powerflow": ("openpoint.studies.powerflow", "powerflow"),
    "sample_partition": ("openpoint.studies.partition_samples", "sample_partition"),
    "storms": ("openpoint.studies.storms", "storms"),
    "write": ("openpoint.io", "write"),
    "write_disasters": ("openpoint.studies.disasters", "write_disasters"),
    "write_futures": ("openpoint.studies.futures", "write_futures"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'openpoint' has no attribute {name!r}")
    module, attribute = _HOMES[name]
    value: object = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
