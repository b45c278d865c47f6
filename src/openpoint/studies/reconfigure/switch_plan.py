"""The switch plan to the answer of a reconfiguration."""

from __future__ import annotations

import numpy as np

from openpoint.arguments import Names
from openpoint.errors import OptionError
from openpoint.network import Network, build_network
from openpoint.results.switch_plan import SwitchPlan
from openpoint.scenarios.reliability import ReliabilityLike
from openpoint.studies.plan.model import plan_of
from openpoint.studies.plan.options import SwitchPlanOptions
from openpoint.studies.reconfigure.result import TopologyResult


def plan_answer(
    result: TopologyResult,
    *,
    parallel: bool = False,
    remote_minutes: float = 5.0,
    manual_minutes: float = 30.0,
    keep: Names = (),
    reliability: ReliabilityLike | None = None,
    time_limit_s: float | None = 30.0,
) -> SwitchPlan:
    """An order of switching from today's state to the answer, with the exact state after every step.

    Branches are exchanged, close one, then open one, so that no bus loses supply and every state keeps the limits
    of the result, that with the closed loop included. Where different sources may not be joined the opening comes
    first. Generators keep the output that they have today. What is best is in `openpoint.search.plan.order`.

    Args:
        result: of `reconfigure`.
        parallel: whether different sources may be joined for a moment.
        remote_minutes, manual_minutes: how long an operation takes, by remote control and by a person on site.
        keep: branches that are not operated beside those that differ.
        reliability: customers by bus, as `openpoint.secure` takes them.
        time_limit_s: seconds after which the order is no longer proven; None = none.

    Raises:
        OptionError: there is no answer, or times that are no numbers from 0 on.
        InputError: customers at buses that the grid does not have.
    """
    if not result.has_answer:
        raise OptionError("there is no answer, and so no switch plan")
    options = SwitchPlanOptions(
        result.open_branches,
        parallel=parallel,
        remote_minutes=remote_minutes,
        manual_minutes=manual_minutes,
        keep=keep,
        reliability=reliability,
        time_limit_s=time_limit_s,
    )
    return plan_of(result.grid, _limited(result), result.open_branches, options)


def _limited(result: TopologyResult) -> Network:
    """The network with the limits of the result, which are in its tables."""
    network = build_network(result.grid)
    low, high = (result.buses[f"v_{side}_pu"].fill_null(float("nan")).to_numpy() for side in ("min", "max"))
    current = result.branches["i_max_a"].fill_null(float("nan")).to_numpy() / network.i_base_a
    return network.with_limits(
        w_min=np.nan_to_num(low) ** 2,
        w_max=np.where(np.isnan(high), np.inf, high) ** 2,
        l_max=np.where(np.isnan(current), np.inf, current) ** 2,
    )
