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

from openpoint.version import __version__ as __version__

if TYPE_CHECKING:
    from openpoint.errors import InputError as InputError
    from openpoint.errors import OpenpointError as OpenpointError
    from openpoint.errors import OptionError as OptionError
    from openpoint.errors import Problem as Problem
    from openpoint.grid import Grid as Grid
    from openpoint.grid.balanced import balanced_equivalent as balanced_equivalent
    from openpoint.grid.files import cases as cases
    from openpoint.io import GridLike as GridLike
    from openpoint.io import read as read
    from openpoint.io import write as write
    from openpoint.io.opendss.read import read_shapes as read_shapes
    from openpoint.io.write_back import write_back as write_back
    from openpoint.network.limits import Limits as Limits
    from openpoint.report.widget import canvas as canvas
    from openpoint.scenarios.day.tables import Day as Day
    from openpoint.scenarios.day.tables import read_day as read_day
    from openpoint.scenarios.disasters import Disasters as Disasters
    from openpoint.scenarios.disasters import read_disasters as read_disasters
    from openpoint.scenarios.disasters import write_disasters as write_disasters
    from openpoint.scenarios.futures import Futures as Futures
    from openpoint.scenarios.futures import read_futures as read_futures
    from openpoint.scenarios.futures import write_futures as write_futures
    from openpoint.scenarios.growth import Growth as Growth
    from openpoint.scenarios.growth import Snapshot as Snapshot
    from openpoint.scenarios.growth import grow as grow
    from openpoint.scenarios.horizon import Horizon as Horizon
    from openpoint.scenarios.horizon import read_horizon as read_horizon
    from openpoint.scenarios.reliability import Reliability as Reliability
    from openpoint.scenarios.reliability import read_reliability as read_reliability
    from openpoint.scenarios.storms import storms as storms
    from openpoint.scenarios.year.read import Year as Year
    from openpoint.scenarios.year.read import read_year as read_year
    from openpoint.search.methods import Enumeration as Enumeration
    from openpoint.search.methods import TopologySearch as TopologySearch
    from openpoint.studies.compare.study import compare as compare
    from openpoint.studies.dispatch.day.simulated import simulate_period as simulate_period
    from openpoint.studies.dispatch.day.study import dispatch_day as dispatch_day
    from openpoint.studies.dispatch.front.study import dispatch_front as dispatch_front
    from openpoint.studies.dispatch.study import dispatch as dispatch
    from openpoint.studies.enclose.study import enclose as enclose
    from openpoint.studies.harden.options import HardenCosts as HardenCosts
    from openpoint.studies.harden.study import harden as harden
    from openpoint.studies.partition.options import PartitionCosts as PartitionCosts
    from openpoint.studies.partition.samples import sample_partition as sample_partition
    from openpoint.studies.partition.steps.study import partition_steps as partition_steps
    from openpoint.studies.partition.study import partition as partition
    from openpoint.studies.plan.study import switch_plan as switch_plan
    from openpoint.studies.powerflow.study import run_powerflow as run_powerflow
    from openpoint.studies.reconfigure.faults.front.study import reconfigure_front as reconfigure_front
    from openpoint.studies.reconfigure.faults.study import reconfigure_secure as reconfigure_secure
    from openpoint.studies.reconfigure.fleet.study import reconfigure_fleet as reconfigure_fleet
    from openpoint.studies.reconfigure.futures.study import reconfigure_futures as reconfigure_futures
    from openpoint.studies.reconfigure.study import BranchExchange as BranchExchange
    from openpoint.studies.reconfigure.study import reconfigure as reconfigure
    from openpoint.studies.reconfigure.switch_plan import plan_answer as plan_answer
    from openpoint.studies.reconfigure.year.seasons.study import reconfigure_seasons as reconfigure_seasons
    from openpoint.studies.reconfigure.year.study import reconfigure_year as reconfigure_year
    from openpoint.studies.secure.study import secure as secure
    from openpoint.studies.verify.study import verify_certificate as verify_certificate
    from openpoint.studies.verify.study import verify_phases as verify_phases
    from openpoint.studies.verify.study import verify_set as verify_set
    from openpoint.twostage.ambiguity import Moments as Moments
    from openpoint.twostage.ambiguity import ProbabilityBox as ProbabilityBox
    from openpoint.twostage.ambiguity import TotalVariation as TotalVariation
    from openpoint.twostage.ambiguity import Wasserstein as Wasserstein
    from openpoint.twostage.log import Termination as Termination
    from openpoint.twostage.methods.decomposition import Benders as Benders
    from openpoint.twostage.methods.decomposition import ColumnAndConstraint as ColumnAndConstraint
    from openpoint.twostage.methods.solving import ExtensiveForm as ExtensiveForm
    from openpoint.twostage.risk import CVaR as CVaR
    from openpoint.twostage.risk import Expectation as Expectation
    from openpoint.twostage.risk import Regret as Regret
    from openpoint.twostage.risk import WorstCase as WorstCase
    from openpoint.twostage.workers.executors import Cluster as Cluster
    from openpoint.twostage.workers.executors import GivenExecutor as GivenExecutor
    from openpoint.twostage.workers.executors import Processes as Processes

# Where the public names live. `openpoint.powerflow` and `openpoint.verify` are rooms of the house, so these studies are
# called `run_powerflow` and `verify_certificate`.
_HOMES = {
    "openpoint.errors": ("InputError", "OpenpointError", "OptionError", "Problem"),
    "openpoint.grid": ("Grid",),
    "openpoint.grid.balanced": ("balanced_equivalent",),
    "openpoint.grid.files": ("cases",),
    "openpoint.io": ("GridLike", "read", "write"),
    "openpoint.io.opendss.read": ("read_shapes",),
    "openpoint.io.write_back": ("write_back",),
    "openpoint.network.limits": ("Limits",),
    "openpoint.report.widget": ("canvas",),
    "openpoint.scenarios.day.tables": ("Day", "read_day"),
    "openpoint.scenarios.disasters": ("Disasters", "read_disasters", "write_disasters"),
    "openpoint.scenarios.futures": ("Futures", "read_futures", "write_futures"),
    "openpoint.scenarios.growth": ("Growth", "Snapshot", "grow"),
    "openpoint.scenarios.horizon": ("Horizon", "read_horizon"),
    "openpoint.scenarios.reliability": ("Reliability", "read_reliability"),
    "openpoint.scenarios.storms": ("storms",),
    "openpoint.scenarios.year.read": ("Year", "read_year"),
    "openpoint.search.methods": ("Enumeration", "TopologySearch"),
    "openpoint.studies.compare.study": ("compare",),
    "openpoint.studies.dispatch.day.simulated": ("simulate_period",),
    "openpoint.studies.dispatch.day.study": ("dispatch_day",),
    "openpoint.studies.dispatch.front.study": ("dispatch_front",),
    "openpoint.studies.dispatch.study": ("dispatch",),
    "openpoint.studies.enclose.study": ("enclose",),
    "openpoint.studies.harden.options": ("HardenCosts",),
    "openpoint.studies.harden.study": ("harden",),
    "openpoint.studies.partition.samples": ("sample_partition",),
    "openpoint.studies.partition.options": ("PartitionCosts",),
    "openpoint.studies.partition.steps.study": ("partition_steps",),
    "openpoint.studies.partition.study": ("partition",),
    "openpoint.studies.plan.study": ("switch_plan",),
    "openpoint.studies.powerflow.study": ("run_powerflow",),
    "openpoint.studies.reconfigure.faults.front.study": ("reconfigure_front",),
    "openpoint.studies.reconfigure.faults.study": ("reconfigure_secure",),
    "openpoint.studies.reconfigure.fleet.study": ("reconfigure_fleet",),
    "openpoint.studies.reconfigure.futures.study": ("reconfigure_futures",),
    "openpoint.studies.reconfigure.year.seasons.study": ("reconfigure_seasons",),
    "openpoint.studies.reconfigure.year.study": ("reconfigure_year",),
    "openpoint.studies.reconfigure.study": ("BranchExchange", "reconfigure"),
    "openpoint.studies.reconfigure.switch_plan": ("plan_answer",),
    "openpoint.studies.secure.study": ("secure",),
    "openpoint.studies.verify.study": ("verify_certificate", "verify_phases", "verify_set"),
    "openpoint.twostage.ambiguity": ("Moments", "ProbabilityBox", "TotalVariation", "Wasserstein"),
    "openpoint.twostage.log": ("Termination",),
    "openpoint.twostage.methods.decomposition": ("Benders", "ColumnAndConstraint"),
    "openpoint.twostage.methods.solving": ("ExtensiveForm",),
    "openpoint.twostage.risk": ("CVaR", "Expectation", "Regret", "WorstCase"),
    "openpoint.twostage.workers.executors": ("Cluster", "GivenExecutor", "Processes"),
}
_PLACES = {name: module for module, names in _HOMES.items() for name in names}

if not TYPE_CHECKING:  # type checkers read the imports above
    __all__ = sorted([*_PLACES, "__version__"])


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module 'openpoint' has no attribute {name!r}")
    value: object = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted([*_PLACES, "__version__"])
