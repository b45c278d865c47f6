"""The result of partitioning: the plan, what it costs at worst, and the islands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import polars as pl

from openpoint.arrays import Floats
from openpoint.grid.grid import Grid
from openpoint.results.base import Written, with_output
from openpoint.studies.partition.ac.verdict import PartitionSamples
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Plan:
    """A plan as numbers.

    Attributes:
        program: the mathematical model. decision: what was decided in it.
    """

    program: PartitionProgram
    decision: Floats


@dataclass(frozen=True, repr=False)
class PartitionResult(Written):
    """What `partition` answers. Costs and bounds are those of the linear model (LinDist3Flow).

    Attributes:
        grid: the grid asked about, as given.
        method: name and options of the method, for people.
        termination: why the run ended; `termination.remedy` says what to do.
        seconds: of the method alone.
        uncertainty: largest deviation of an uncertain load, a share of its power. uncertain_loads: their names.
        cost_usd: dead blocks, set-points and the worst cost of following the loads, for an hour; None where no plan was
            found.
        lost_usd: of the dead blocks. generation_usd: of the set-points. worst_recourse_usd: proven bound of what
            following the loads adds; below 0 where it saves.
        lower_bound_usd: proven bound of cost_usd. gap: (cost − bound) / cost.
        served_kw: nominal load of the energised blocks. total_kw: of all.
        worst_slack_kw: least power from nowhere in the worst of the realisations that were tried last; 0 is none.
        energised_blocks: names of the blocks, that of their first bus.
        closed_switches, open_switches: names of the switchable branches.
        grid_forming: names of the generators that form the grid, 1 to `max_grid_forming` an island.
        blocks: name, energised, island (0 = dead), load_kw, loads, buses (their names in one line).
        islands: island, blocks, grid_forming, load_kw, capacity_kw, generation_kw.
        generators: name, bus, block, island, forms_grid, p_kw, q_kvar, p_max_kw (set-points; 0 in dead blocks).
        switches: name, kind, from_block, to_block, closed, switching (`close`, `open` or empty, from today's state).
        iterations: number, seconds, lower_bound_usd, upper_bound_usd, gap, value_usd, verdict, violation, mark.
        notes: warnings that belong to the answer.
        plan: the mathematical model and its decision; None where no plan was found.
        samples: what samples of the loads say of the plan, where they were asked (`sample_partition`).
    """

    grid: Grid
    method: str
    termination: Termination
    seconds: float
    uncertainty: float
    uncertain_loads: tuple[str, ...]
    cost_usd: float | None
    lost_usd: float | None
    generation_usd: float | None
    worst_recourse_usd: float | None
    lower_bound_usd: float
    gap: float
    served_kw: float
    total_kw: float
    worst_slack_kw: float
    energised_blocks: tuple[str, ...]
    closed_switches: tuple[str, ...]
    open_switches: tuple[str, ...]
    grid_forming: tuple[str, ...]
    blocks: pl.DataFrame
    islands: pl.DataFrame
    generators: pl.DataFrame
    switches: pl.DataFrame
    iterations: pl.DataFrame
    notes: tuple[str, ...] = ()
    plan: Plan | None = field(default=None, repr=False)
    samples: PartitionSamples | None = None

    @property
    def grid_after(self) -> Grid | None:
        """The grid with the switch states of the plan and its set-points; None where no plan was found.

        The sources stay in their table, though their substation is lost.
        """
        if self.cost_usd is None:
            return None
        states = dict.fromkeys(self.closed_switches, True) | dict.fromkeys(self.open_switches, False)
        return with_output(self.grid.with_closed(states), self.generators)

    def plot(self, kind: Literal["grid", "convergence"] = "grid") -> Figure:
        """A picture for notebooks: the islands, or the bounds closing."""
        from openpoint.studies.partition.pictures.figures import draw_partition

        return draw_partition(self, kind=kind)


@dataclass(frozen=True, repr=False)
class PartitionLevels(Written):
    """What `partition_levels` answers: the same question at several levels of uncertainty.

    Attributes:
        by_level: results by level, a share of the load, ascending.
    """

    by_level: Mapping[float, PartitionResult]

    @property
    def results(self) -> tuple[PartitionResult, ...]:
        """The results, those of lower levels first."""
        return tuple(self.by_level.values())

    @property
    def grid(self) -> Grid:
        """The grid asked about, as given."""
        return self.results[0].grid

    def plot(self) -> Figure:
        """A picture for notebooks: the islands side by side, and what is served and what it costs over the levels."""
        from openpoint.studies.partition.pictures.figures import draw_partition

        return draw_partition(self)
