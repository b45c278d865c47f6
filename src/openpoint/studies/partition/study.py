"""Partition: which microgrids to form when the substation is lost, so that as much load as possible is served."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from openpoint.arguments import Names
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.network import Network
from openpoint.network.blocks import Blocks
from openpoint.network.limits import Limits
from openpoint.studies.partition.answer import answer
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.options import Method, PartitionCosts, PartitionOptions
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.setup import beside_the_source, cut_network, program_of
from openpoint.twostage.deadline import deadline_of
from openpoint.twostage.log import PROVEN_GAP, Outcome, Progress, Termination, relative_gap
from openpoint.twostage.methods.ccg import ColumnAndConstraint

_LOG = logging.getLogger(__name__)


def partition(
    grid: GridLike,
    *,
    uncertainty: float = 0.0,
    uncertain_loads: Literal["all"] | int | Names = "all",
    most_deviating: int | None = None,
    ramp: float = 0.3,
    max_grid_forming: int = 1,
    costs: PartitionCosts | None = None,
    limits: Limits | None = None,
    method: Method | None = None,
    progress: Progress | None = None,
) -> PartitionResult:
    """The blocks to energise, the switches to close and the generators to form the grid, whatever the loads are.

        min  dead blocks + cost of set-points + max_u [ least cost of following the loads u ]

    The substation is lost. Every energised island is a tree of blocks with a generator that forms its grid; its
    generators follow the loads within their ramps, so that a linear three-phase power flow keeps all limits in every
    realisation of the uncertainty set. See `openpoint.studies.partition.model.program` (Moring et al. 2024).

    Args:
        grid: the grid, a path or a name that `read` takes; its switchable branches are the switches, its generators
            with limits may be dispatched.
        uncertainty: largest deviation of an uncertain load to either side, a share of its power; its phases and its
            reactive power go with it.
        uncertain_loads: `all`, the N largest, a name, or several.
        most_deviating: only so many of them deviate at once (Bertsimas and Sim 2004); default: all may.
        ramp: most change of a generator in each phase once the loads are known, a share of its capacity.
        max_grid_forming: most generators that form the grid of one island.
        costs: what dead blocks and generation cost.
        limits: limits to keep; default: those of the grid.
        method: `ColumnAndConstraint()` (default), `Benders(relaxation=False)`, which is the cutting plane of the
            publication, or `ExtensiveForm(solver="highs")` for few uncertain loads.
        progress: called with every iteration.

    Raises:
        InputError: the grid has faults, a name is no load or generator, or no generator can be dispatched.
        OptionError: options that make no sense.
    """
    options = PartitionOptions(
        uncertainty=uncertainty,
        uncertain_loads=uncertain_loads,
        most_deviating=most_deviating,
        ramp=ramp,
        max_grid_forming=max_grid_forming,
        costs=costs,
        limits=limits,
        method=method,
    )
    return prepare(read(grid), options).solve(progress)


def prepare(grid: Grid, options: PartitionOptions) -> Prepared:
    """All that a run needs: the grid is checked, its network and model built and the method chosen.

    Raises:
        InputError: the grid has faults, a name is no load or generator, or no generator can be dispatched.
        OptionError: a grid without switches, or figures that do not fit it.
    """
    network, blocks = cut_network(grid, options)
    _LOG.info("built the network and cut it into blocks")
    return prepare_on(grid, network, blocks, options)


def prepare_on(grid: Grid, network: Network, blocks: Blocks, options: PartitionOptions) -> Prepared:
    """`prepare` where the network and its blocks are known."""
    program = program_of(grid, network, blocks, options)
    deviation = options.uncertainty if program.loads.names else 0.0
    return Prepared(grid, program, options.method or ColumnAndConstraint(), deviation)


@dataclass(frozen=True)
class Prepared:
    """A question about a grid, ready to be solved.

    Attributes:
        program: the mathematical model, with the limits to keep. method: named, or chosen.
        uncertainty: largest deviation of an uncertain load, a share; 0 where there is none.
    """

    grid: Grid
    program: PartitionProgram
    method: Method
    uncertainty: float

    def solve(self, progress: Progress | None = None) -> PartitionResult:
        """The result."""
        program, method = self.program, self.method
        _LOG.info("stated the problem; the method begins")
        with deadline_of(method.time_limit_s) as deadline:
            outcome = _or_dark(program, method.solve(program, progress, deadline))
            _LOG.info("the method ended")
            notes = beside_the_source(self.grid, program.network, program.blocks)
            return answer(self.grid, program, outcome, str(method), self.uncertainty, notes, deadline)


def _or_dark(program: PartitionProgram, outcome: Outcome) -> Outcome:
    """Everything dead is a plan, too, whose cost is known: what a method has that was stopped early."""
    dark = np.zeros(program.decision_size)
    cost = program.first_stage_cost(dark)
    if outcome.upper_bound <= cost:
        return outcome
    lower = min(outcome.lower_bound, cost)
    why = Termination.OPTIMAL if relative_gap(lower, cost) <= PROVEN_GAP else outcome.termination
    return replace(outcome, termination=why, decision=dark, upper_bound=cost, lower_bound=lower)
