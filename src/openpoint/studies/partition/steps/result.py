"""The result of partitioning over time: the plan of every step, what it costs at worst, and what is in store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from openpoint.results.shape import Shape
from openpoint.scenarios.horizon import Horizon
from openpoint.studies.partition.result import PlanResult
from openpoint.studies.partition.schema import STEPS

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False, kw_only=True)
class PartitionStepsResult(PlanResult):
    """The answer of `partition_steps`, over all steps.

    Every table but `iterations` has the name of the step in its first column.

    Attributes:
        horizon: the steps asked about.
        max_actions: most switches that change their state in a step, but for those that events hold; None is no limit.
        keep_energised: whether a block that is energised stays so unless it has a fault.
        served_kwh: nominal energy of the energised blocks. total_kwh: of all.
        steps: sums of each step, and what the AC power flow at nominal loads gives: losses, voltages to neutral of what
            is energised, and the most by which a voltage limit is missed; null where nothing is energised or no power
            flow was found.
        switches: `switching` is what to do in the state of the step before, `held` what events hold. Those in
            de-energised parts stay as they were where they can.
        generators: set-points, and what the AC power flow gives; those that form a grid deliver its losses, too.
        storage: energy at the start and end of each step, and what is in reserve for loads that deviate.
        priorities: by factor on the cost of a kW that is not served.
    """

    horizon: Horizon
    max_actions: int | None
    keep_energised: bool
    served_kwh: float
    total_kwh: float
    steps: pl.DataFrame
    storage: pl.DataFrame
    priorities: pl.DataFrame

    shape: ClassVar[Shape] = STEPS
    island_key: ClassVar[tuple[str, ...]] = ("step", "island")

    def answer_facts(self) -> dict[str, str]:
        return {
            "serves": f"{self.served_kwh:,.3f} of {self.total_kwh:,.3f} kWh",
            "steps": str(self.steps.height),
        }
