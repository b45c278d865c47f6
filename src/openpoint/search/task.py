"""What a topology search is given."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from openpoint.arrays import Bools
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.operating_cost import least_loss, no_supply_limits
from openpoint.powerflow.operating_point import OperatingPointEvaluator
from openpoint.search.kernel.arrays import Model
from openpoint.search.model.objective import Objective
from openpoint.search.result import OPTIMAL


@dataclass(frozen=True)
class SearchTask:
    """What is searched: see the arguments of `openpoint.search.topology.search_topologies`."""

    network: Network
    locks: tuple[Bools, Bools]
    changes: tuple[int | None, float]
    devices: Devices
    objective: Objective | None
    gap: float | None
    memory: float
    certifiable: bool
    kicks: bool = True

    @property
    def least_gap(self) -> float:
        """The gap at which to stop, the one at the beginning where none was asked for."""
        return OPTIMAL if self.gap is None else self.gap

    @property
    def evaluator(self) -> OperatingPointEvaluator:
        """What evaluates states with devices, or of another cost than the loss."""
        net = self.network
        g, s = len(net.generator_terminal), len(net.source_terminal)
        objective = self.objective or Objective(least_loss(g, s, net.n_conductors), no_supply_limits(g, s))
        cost = replace(objective.cost, change=self.changes[1])
        return OperatingPointEvaluator(net, self.devices, cost, objective.supply)

    def divisible(self, model: Model, *, written: bool) -> bool:
        """Whether its nodes may be divided into regions; `written`: whether a certificate is, which covers less."""
        if model.costly or bool(model.y_first.any()):
            return False
        plain = self.objective is None and model.passive and not model.spans and not bool(self.network.hangs.any())
        return not self.certifiable or (written and plain)


def check_options(gap: float | None, max_changes: int | None, change_cost: float) -> None:
    """Refuse numbers that make no sense.

    Raises:
        OptionError: they do.
    """
    if gap is not None and not 0.0 <= gap < 1.0:
        raise OptionError(f"gap is {gap:g}; give a share from 0 to below 1")
    if max_changes is not None and max_changes < 0:
        raise OptionError(f"max_changes is {max_changes}; give 0 or more")
    if not 0.0 <= change_cost < math.inf:
        raise OptionError(f"change_cost is {change_cost:g}; give 0 or more")
