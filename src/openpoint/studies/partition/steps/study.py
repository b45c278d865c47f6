"""Partition over time: the microgrids of every step at once, with events, profiles and storage."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Literal

from openpoint.arguments import Names
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.scenarios.horizon import Horizon, HorizonLike, read_horizon
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.options import Method, PartitionCosts, PartitionOptions
from openpoint.studies.partition.setup import beside_the_source, cut_network, program_of
from openpoint.studies.partition.steps.answer import steps_answer
from openpoint.studies.partition.steps.look_ahead import look_ahead
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.partition.timeline import Timeline, timeline_of
from openpoint.twostage.deadline import deadline_of
from openpoint.twostage.log import Progress
from openpoint.twostage.methods.ccg import ColumnAndConstraint

_LOG = logging.getLogger(__name__)


def partition_steps(
    grid: GridLike,
    horizon: HorizonLike,
    *,
    max_actions: int | None = None,
    keep_energised: bool = False,
    uncertainty: float = 0.0,
    uncertain_loads: Literal["all"] | int | Names = "all",
    most_deviating: int | None = None,
    ramp: float = 0.3,
    max_grid_forming: int = 1,
    costs: PartitionCosts | None = None,
    limits: Limits | None = None,
    method: Method | None = None,
    progress: Progress | None = None,
) -> PartitionStepsResult:
    """The microgrids of every step of a horizon, decided together, whatever the loads are.

    The decision of a step is that of `openpoint.partition`. Steps hang together by the switches that may move in a
    step, by blocks that stay energised, and by energy in store; without any of them each step has its own optimum.
    Every load deviates in each step by itself, and what generators do about it in a step needs no knowledge of later
    loads: storage follows within reserves that the plan sets aside (see `openpoint.studies.partition.model.links`).

    Args:
        grid: the grid, a path or a name that `read` takes. horizon: its steps, events,
            profiles and storage, or the path of what `read_horizon` takes.
        max_actions: most switches that change their state in a step, from today's state on; what an event opens or
            closes does not count. Default: no limit.
        keep_energised: a block that is energised stays so unless it has a fault.
        uncertainty, uncertain_loads, most_deviating, ramp, max_grid_forming, costs, limits, method, progress: as for
            `openpoint.partition`; `most_deviating` counts in each step. Storage costs nothing unless `costs` names its
            generator: what it takes is paid where it is generated.

    Raises:
        InputError: the grid or the horizon has faults, a name is no load or generator, or none can be dispatched.
        OptionError: options that make no sense.
    """
    options = PartitionOptions(
        uncertainty=uncertainty,
        uncertain_loads=uncertain_loads,
        most_deviating=most_deviating,
        ramp=ramp,
        max_grid_forming=max_grid_forming,
        max_actions=max_actions,
        keep_energised=keep_energised,
        costs=costs,
        limits=limits,
        method=method,
    )
    horizon = read_horizon(horizon)
    return prepare_steps(read(grid), horizon, options).solve(progress)


def prepare_steps(grid: Grid, horizon: Horizon, options: PartitionOptions) -> PreparedSteps:
    """All that a run over several steps needs: grid and horizon are checked, the network and the model built.

    Raises:
        InputError: the grid or the horizon has faults, a name is no load or generator, or none can be dispatched.
        OptionError: a grid without switches, or figures that do not fit it.
    """
    equipped = horizon.equipped(grid)
    network, blocks = cut_network(equipped, options)
    timeline = timeline_of(horizon, equipped, network, blocks)
    _LOG.info("built the network, cut it into blocks and read the steps")
    program = program_of(equipped, network, blocks, options, timeline)
    notes = (*(str(note) for note in horizon.notes), *beside_the_source(equipped, network, blocks))
    return PreparedSteps(grid, horizon, timeline, program, options, notes)


@dataclass(frozen=True)
class PreparedSteps:
    """A question about a grid and what happens to it step by step, ready to be solved.

    Attributes:
        grid: as given. timeline: the horizon on the grid. program: the mathematical model of all steps.
        notes: on the tables, and on what no plan can serve or use.
    """

    grid: Grid
    horizon: Horizon
    timeline: Timeline
    program: PartitionProgram
    options: PartitionOptions
    notes: tuple[str, ...]

    @property
    def method(self) -> Method:
        """Named, or chosen."""
        return self.options.method or ColumnAndConstraint()

    def solve(self, progress: Progress | None = None) -> PartitionStepsResult:
        """The result."""
        program, method = self.program, self.method
        _LOG.info("stated the problem; the method begins")
        with deadline_of(method.time_limit_s) as deadline:
            outcome = look_ahead(program, method, progress, deadline)
            _LOG.info("the method ended")
            return steps_answer(
                self.grid,
                self.horizon,
                self.timeline,
                program,
                outcome,
                method=str(method),
                uncertainty=self.options.uncertainty if program.loads.names else 0.0,
                priorities=(self.options.costs or PartitionCosts()).priorities,
                notes=self.notes,
                deadline=deadline,
            )
