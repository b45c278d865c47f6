"""Reconfigure: which switches stand open, so that the grid is radial, its losses are least and its limits hold."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from openpoint.errors import OptionError
from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.grid.today import with_outputs_as_given
from openpoint.network.stations import Stations
from openpoint.powerflow.state import ac_state
from openpoint.report.terminal import words
from openpoint.results.worth import Worth, read_worth
from openpoint.search.methods import TopologySearch
from openpoint.studies.reconfigure.answer import radial_result
from openpoint.studies.reconfigure.methods import BranchExchange, Method, quickest
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.studies.reconfigure.soft import question_of, solve_softly
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

if TYPE_CHECKING:
    from openpoint.studies.reconfigure.every_load import LoadSet

_LOG = logging.getLogger(__name__)

__all__ = ["BranchExchange", "Method", "prepare", "reconfigure"]


def prepare(grid: Grid, options: ReconfigureOptions) -> Prepared[ReconfigureResult]:
    """The radial state of least loss that keeps the limits, proven to a gap and verified by exact AC power flow.

        min  loss + change_cost_kw · changes   over radial states;  exact AC power flow;  limits

    The loss is that of the grid's own demand (`openpoint.search.topology`), and changes are counted from its closed
    branches, today's state. On a grid of phases a, b, c the exact power flow is that of OpenDSS. Where radial
    topologies are few, all are tried. Outputs stay as they are. Soft limits are those of
    `openpoint.studies.reconfigure.soft`; the answer then ends with `Termination.SOFT`.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: options that contradict each other, or a method that cannot take the question.
    """
    worth = read_worth(options.worth)
    prepared = _prepared(*options.on(grid))
    return prepared if worth is None else Valued(prepared, worth)


def _prepared(grid: Grid, options: ReconfigureOptions) -> Prepared[ReconfigureResult]:
    if has_phases(grid):
        from openpoint.studies.reconfigure.phases.study import prepare_phases

        if options.shares:
            raise OptionError("for_every is for balanced grids; leave it out, or look at one state with enclose")
        return prepare_phases(grid, options)
    of = None
    if options.shares:
        from openpoint.studies.reconfigure.every_load import LoadSet

        grid, _ = with_outputs_as_given(grid)  # but for how far these deviate
        of = LoadSet(options.shares, options.budget, options.greatest_loss)
    program, stations = radial_program(grid, options)
    method = (
        options.chosen or quickest(program, gap=options.gap, time_limit_s=options.time_limit_s)
        if of is None
        else TopologySearch(gap=options.gap, time_limit_s=options.time_limit_s)
    )
    return PreparedReconfigure(grid, program, stations, method, options.soft_limits, of)


@dataclass(frozen=True)
class Valued:
    """A question whose answer also tells what its saving is worth."""

    prepared: Prepared[ReconfigureResult]
    worth: Worth
    unit: str = "kW"

    @property
    def heading(self) -> str:
        """The method."""
        return self.prepared.heading

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> ReconfigureResult:
        """The result."""
        return replace(self.prepared.solve(progress, deadline), worth=self.worth)


@dataclass(frozen=True)
class PreparedReconfigure:
    """A question about a balanced grid, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. program: its network, limits and locks, permanently closed
            loops opened.
        stations: the permanently closed loops.
        method: named, or chosen for the program. soft_limits: as of `reconfigure`.
        set: for all of which limits are to hold; None: for the loads as they are.
    """

    grid: Grid
    program: RadialProgram
    stations: Stations
    method: Method
    soft_limits: bool
    set: LoadSet | None
    unit: str = "kW"

    @property
    def heading(self) -> str:
        """The method."""
        return f"method: {words.method(self.method)}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> ReconfigureResult:
        """The result, verified by exact AC power flow."""
        program, method = self.program, self.method
        whole = self.stations.whole
        before = ac_state(whole, whole.closed)
        _LOG.info("computed today's state by AC power flow")
        program.ac.objectives(program.network.closed[None, :])  # compiles kernels outside the method's time
        _LOG.info("stated the problem; the method begins")
        judge = None
        with deadline_of(method.time_limit_s, deadline) as until:
            if self.set is not None:
                from openpoint.studies.reconfigure.every_load import ForEveryLoad, solve_for_every

                assert isinstance(method, TopologySearch)
                judge = ForEveryLoad(self.grid, program, self.stations, self.set)
                outcome, soft = solve_for_every(judge, program, method, progress, until), None
            elif self.soft_limits:
                outcome, soft = solve_softly(question_of(program, method), progress, until)
            else:
                outcome, soft = method.solve(program, progress, until), None
            _LOG.info("the method ended")
            result = radial_result(self.grid, program, self.stations, str(method), before, outcome, soft)
        return result if judge is None else replace(result, **judge.witness())


reconfigure = function("reconfigure", ReconfigureOptions, prepare)
