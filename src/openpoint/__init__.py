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

from openpoint.version import __version__

if TYPE_CHECKING:
    from openpoint.errors import InputError, OpenpointError, OptionError, Problem
    from openpoint.grid import Grid
    from openpoint.grid.builtin import describe as cases
    from openpoint.io import GridLike, read, write
    from openpoint.network.limits import Limits
    from openpoint.scenarios.disasters import Disasters, read_disasters, write_disasters
    from openpoint.scenarios.futures import Futures, read_futures, write_futures
    from openpoint.scenarios.growth import Growth, Snapshot, grow
    from openpoint.scenarios.horizon import Horizon, read_horizon
    from openpoint.scenarios.storms import storms
    from openpoint.studies.harden.study import HardenCosts, harden
    from openpoint.studies.partition.levels import partition_levels
    from openpoint.studies.partition.samples import sample_partition
    from openpoint.studies.partition.setup import PartitionCosts
    from openpoint.studies.partition.steps.study import partition_steps
    from openpoint.studies.partition.study import partition
    from openpoint.studies.powerflow.study import powerflow as run_powerflow
    from openpoint.studies.reconfigure.study import BranchExchange, Enumeration, TopologySearch, reconfigure
    from openpoint.twostage.ambiguity import Moments, ProbabilityBox, TotalVariation, Wasserstein
    from openpoint.twostage.log import Termination
    from openpoint.twostage.methods.benders import Benders
    from openpoint.twostage.methods.ccg import ColumnAndConstraint
    from openpoint.twostage.methods.extensive import ExtensiveForm
    from openpoint.twostage.risk import CVaR, Expectation, Regret, WorstCase
    from openpoint.twostage.workers.executors import Cluster, Processes

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
    "Benders": ("openpoint.twostage.methods.benders", "Benders"),
    "BranchExchange": ("openpoint.studies.reconfigure.study", "BranchExchange"),
    "CVaR": ("openpoint.twostage.risk", "CVaR"),
    "Cluster": ("openpoint.twostage.workers.executors", "Cluster"),
    "ColumnAndConstraint": ("openpoint.twostage.methods.ccg", "ColumnAndConstraint"),
    "Disasters": ("openpoint.scenarios.disasters", "Disasters"),
    "Enumeration": ("openpoint.studies.reconfigure.study", "Enumeration"),
    "Expectation": ("openpoint.twostage.risk", "Expectation"),
    "ExtensiveForm": ("openpoint.twostage.methods.extensive", "ExtensiveForm"),
    "Futures": ("openpoint.scenarios.futures", "Futures"),
    "Grid": ("openpoint.grid", "Grid"),
    "GridLike": ("openpoint.io", "GridLike"),
    "Growth": ("openpoint.scenarios.growth", "Growth"),
    "HardenCosts": ("openpoint.studies.harden.study", "HardenCosts"),
    "Horizon": ("openpoint.scenarios.horizon", "Horizon"),
    "InputError": ("openpoint.errors", "InputError"),
    "Limits": ("openpoint.network.limits", "Limits"),
    "Moments": ("openpoint.twostage.ambiguity", "Moments"),
    "OpenpointError": ("openpoint.errors", "OpenpointError"),
    "OptionError": ("openpoint.errors", "OptionError"),
    "PartitionCosts": ("openpoint.studies.partition.setup", "PartitionCosts"),
    "ProbabilityBox": ("openpoint.twostage.ambiguity", "ProbabilityBox"),
    "Problem": ("openpoint.errors", "Problem"),
    "Processes": ("openpoint.twostage.workers.executors", "Processes"),
    "Regret": ("openpoint.twostage.risk", "Regret"),
    "Snapshot": ("openpoint.scenarios.growth", "Snapshot"),
    "Termination": ("openpoint.twostage.log", "Termination"),
    "TopologySearch": ("openpoint.studies.reconfigure.study", "TopologySearch"),
    "TotalVariation": ("openpoint.twostage.ambiguity", "TotalVariation"),
    "Wasserstein": ("openpoint.twostage.ambiguity", "Wasserstein"),
    "WorstCase": ("openpoint.twostage.risk", "WorstCase"),
    "cases": ("openpoint.grid.builtin", "describe"),
    "grow": ("openpoint.scenarios.growth", "grow"),
    "harden": ("openpoint.studies.harden.study", "harden"),
    "partition": ("openpoint.studies.partition.study", "partition"),
    "partition_levels": ("openpoint.studies.partition.levels", "partition_levels"),
    "partition_steps": ("openpoint.studies.partition.steps.study", "partition_steps"),
    "read": ("openpoint.io", "read"),
    "read_disasters": ("openpoint.scenarios.disasters", "read_disasters"),
    "read_futures": ("openpoint.scenarios.futures", "read_futures"),
    "read_horizon": ("openpoint.scenarios.horizon", "read_horizon"),
    "reconfigure": ("openpoint.studies.reconfigure.study", "reconfigure"),
    "run_powerflow": ("openpoint.studies.powerflow.study", "powerflow"),
    "sample_partition": ("openpoint.studies.partition.samples", "sample_partition"),
    "storms": ("openpoint.scenarios.storms", "storms"),
    "write": ("openpoint.io", "write"),
    "write_disasters": ("openpoint.scenarios.disasters", "write_disasters"),
    "write_futures": ("openpoint.scenarios.futures", "write_futures"),
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
