"""The result of partitioning over time: the plan of every step, what it costs at worst, and what is in store."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.results.base import Answer, Head
from openpoint.results.shape import Shape
from openpoint.scenarios.horizon import Horizon
from openpoint.studies.partition.result import cost_values, costs_head, plan_words, with_names
from openpoint.studies.partition.schema import STEPS
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class PartitionStepsResult(Answer):
    """What `partition_steps` answers. Costs and bounds are those of the linear model (LinDist3Flow) over all steps.

    Every table but `iterations` has the name of the step in its first column.

    Attributes:
        grid: the grid asked about, as given. horizon: the steps asked about.
        method: name and options of the method, for people.
        termination: why the run ended; `termination.remedy` says what to do.
        seconds: of the method alone.
        uncertainty: largest deviation of an uncertain load, a share of its power. uncertain_loads: their names.
        max_actions: most switches that change their state in a step, but for those that events hold; None is no limit.
        keep_energised: whether a block that is energised stays so unless it has a fault.
        cost_usd: dead blocks, set-points and the worst cost of following the loads; None where no plan was found.
        lost_usd: of the dead blocks. generation_usd: of the set-points. worst_recourse_usd: proven bound of what
            following the loads adds; below 0 where it saves.
        lower_bound_usd: proven bound of cost_usd. gap: (cost − bound) / cost.
        served_kwh: nominal energy of the energised blocks. total_kwh: of all.
        worst_slack_kw: least power from nowhere in the worst of the realisations that were tried last, summed over the
            steps; 0 is none.
        steps: hours, load_kw, served_kw, energised_blocks, actions, lost_usd, generation_usd, and of the AC power flow
            at nominal loads: loss_kw, v_min_pu, v_max_pu (to neutral, of what is energised), v_excess_pu (the most by
            which a voltage limit is missed, 0 where all are kept); null where nothing is energised or none was found.
        switches: name, kind, from_block, to_block, closed, switching (`close`, `open` or empty, from the step before),
            held (`open`, `closed` or empty: what events hold). Those in dead parts stay as they were where they can.
        blocks: name, energised, island (0 = dead), load_kw, loads, buses, fault.
        islands: island, blocks, grid_forming, load_kw, capacity_kw, generation_kw.
        generators: name, bus, block, island, forms_grid, p_kw, q_kvar, p_max_kw (set-points), ac_p_kw, ac_q_kvar (what
            the AC power flow gives; those that form a grid deliver its losses, too).
        storage: generator, p_kw, start_kwh, end_kwh, reserve_more_kw, reserve_less_kw (what it may deliver more or less
            than p_kw when loads deviate).
        priorities: priority (the factor on the cost of a kW), load_kw, served_kw.
        iterations: number, seconds, lower_bound_usd, upper_bound_usd, gap, value_usd, verdict, violation, mark.
        notes: warnings that belong to the answer.
    """

    grid: Grid
    horizon: Horizon
    method: str
    termination: Termination
    seconds: float
    uncertainty: float
    uncertain_loads: tuple[str, ...]
    max_actions: int | None
    keep_energised: bool
    cost_usd: float | None
    lost_usd: float | None
    generation_usd: float | None
    worst_recourse_usd: float | None
    lower_bound_usd: float
    gap: float
    served_kwh: float
    total_kwh: float
    worst_slack_kw: float
    steps: pl.DataFrame
    switches: pl.DataFrame
    blocks: pl.DataFrame
    islands: pl.DataFrame
    generators: pl.DataFrame
    storage: pl.DataFrame
    priorities: pl.DataFrame
    iterations: pl.DataFrame
    notes: tuple[str, ...] = ()

    shape: ClassVar[Shape] = STEPS
    place: ClassVar[str] = "openpoint.studies.partition.steps"

    @property
    def head(self) -> Head:
        return costs_head(self)

    def to_do(self) -> str:
        return plan_words(self)

    def answer_facts(self) -> dict[str, str]:
        return {
            "serves": f"{self.served_kwh:,.3f} of {self.total_kwh:,.3f} kWh",
            "steps": str(self.steps.height),
        }

    def document(self) -> dict[str, Any]:
        return with_names(super().document(), self.blocks, self.generators, ["step", "island"])

    def _special_values(self) -> dict[str, Any]:
        return {**super()._special_values(), **cost_values(self)}

    def plot(self) -> Figure:
        """A picture for notebooks: blocks, switches, generators and what is in store, step by step."""
        from openpoint.studies.partition.steps.picture import draw_timeline

        return draw_timeline(self)
