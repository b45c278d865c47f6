"""Partition over time: the microgrids of every step at once, with events, profiles and storage."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from openpoint.grid.grid import Grid
from openpoint.io.opendss.engine import require_engine
from openpoint.report.terminal import words
from openpoint.scenarios.horizon import Horizon, read_horizon
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.options import PartitionCosts, PartitionStepsOptions
from openpoint.studies.partition.setup import Method, beside_the_source, cut_network, method_for, program_of
from openpoint.studies.partition.steps.answer import look_ahead, steps_answer
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.partition.timeline import Timeline, timeline_of
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

_LOG = logging.getLogger(__name__)


def prepare(grid: Grid, options: PartitionStepsOptions) -> Prepared[PartitionStepsResult]:
    """The microgrids of every step of a horizon, decided together, whatever the loads are.

    The decision of a step is that of `openpoint.partition`. Steps hang together by the switches that may move in a
    step, by blocks that stay energised, and by energy in store; without any of them each step has its own optimum.
    Every load deviates in each step by itself, and what generators do about it in a step needs no knowledge of later
    loads: storage follows within reserves that the plan sets aside (see `openpoint.studies.partition.model.links`).
    Storage costs nothing unless `costs` names its generator: what it takes is paid where it is generated.

    Raises:
        InputError: the grid or the horizon has faults, a name is no load or generator, or none can be dispatched.
        OptionError: options that make no sense, a grid without switches, or figures that do not fit it.
    """
    require_engine()
    horizon = read_horizon(options.horizon)
    equipped = horizon.equipped(grid)
    stations, blocks = cut_network(equipped, options)
    network = stations.opened
    timeline = timeline_of(horizon, equipped, network, blocks)
    _LOG.info("built the network, cut it into blocks and read the steps")
    program = program_of(equipped, network, blocks, options, timeline, stations.whole)
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
    options: PartitionStepsOptions
    notes: tuple[str, ...]
    unit: str = "$"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    @property
    def method(self) -> Method:
        """Named, or chosen."""
        return method_for(self.options)

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> PartitionStepsResult:
        """The result."""
        program, method = self.program, self.method
        _LOG.info("stated the problem; the method begins")
        with deadline_of(method.time_limit_s, deadline) as until:
            outcome = look_ahead(program, method, progress, until)
            _LOG.info("the method ended")
            return steps_answer(
                self.grid,
                self.horizon,
                self.timeline,
                program,
                outcome,
                method=str(method),
                uncertainty=self.options.uncertainty if program.loads.names else 0.0,
                priorities=(self.options.costs or PartitionCosts()).factors,
                notes=self.notes,
                deadline=until,
            )


partition_steps = function("partition_steps", PartitionStepsOptions, prepare)
