"""Dispatch: switches, taps, capacitor steps and generators in one problem, with its optimum proven."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from openpoint.grid.balanced import has_phases
from openpoint.grid.grid import Grid
from openpoint.report.terminal import words
from openpoint.studies.dispatch.answer import dispatch_result, unit_of
from openpoint.studies.dispatch.methods import Method, quickest, solve
from openpoint.studies.dispatch.options import DispatchOptions
from openpoint.studies.dispatch.phases import PreparedPhases, prepare_phases
from openpoint.studies.dispatch.question import Question
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.setup import asked_otherwise, question_of
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

_LOG = logging.getLogger(__name__)


def prepare(grid: Grid, options: DispatchOptions) -> Prepared[DispatchResult]:
    """The operating state in which a weighted sum of criteria is least and all limits hold, proven and verified by AC.

        min  Σ weight · criterion   over open points, taps, capacitor steps and outputs of generators
        s.t. radial; exact AC power flow; limits of voltages, currents, sources and generators; bounded criteria

    Steps and taps are whole numbers. In grids of phases a, b, c regulators, capacitors and switches are set for least
    losses or, with one price for all sources, least cost: OpenDSS evaluates every state, and
    nothing is proven unless states are few enough to try all. The criteria, with their units and definitions, are those
    of `openpoint.network.criteria`: losses (kW), cost ($/h), balance, deviation (pu), changes and moves.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or the cost is asked of a grid without prices.
        OptionError: options that make no sense, something free of which the grid has none, or a method that cannot
            take the question.
    """
    return state_question(grid, options)


def state_question(grid: Grid, options: DispatchOptions) -> PreparedState | PreparedPhases:
    """`prepare`, as the class that it is."""
    grid, options = options.on(grid)
    if has_phases(grid):
        return prepare_phases(grid, options)
    return _with_method(grid, question_of(grid, options), options)


def _with_method(grid: Grid, question: Question, options: DispatchOptions) -> PreparedState:
    if (method := options.chosen) is not None:
        return PreparedState(grid, question, method, "it was asked for")
    return PreparedState(grid, question, *quickest(question, options.gap, options.time_limit_s))


@dataclass(frozen=True)
class PreparedState:
    """A question about a balanced grid, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. question: as numbers.
        method: named, or chosen. why: in words, why it is taken.
    """

    grid: Grid
    question: Question
    method: Method
    why: str

    @property
    def free(self) -> tuple[str, ...]:
        """What is free to move."""
        return self.question.free

    @property
    def unit(self) -> str:
        """Of what is minimised."""
        return unit_of(self.question)

    @property
    def heading(self) -> str:
        """What may move, and the method."""
        return f"free: {', '.join(self.free)}\nmethod: {words.method(self.method)}, because {self.why}"

    def asked_otherwise(self, options: DispatchOptions) -> PreparedState:
        """The same grid with other weights and bounds, or more limits; its network and devices are not built again.

        Raises:
            InputError, OptionError: as `dispatch`.
        """
        if not {*options.weights, *options.most} <= {*self.question.costs}:  # prices that the grid may not have
            return _with_method(self.grid, question_of(self.grid, options), options)
        return _with_method(self.grid, asked_otherwise(self.question, options), options)

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> DispatchResult:
        """The result, verified by exact AC power flow. `deadline`: in place of the method's own."""
        self.question.today  # noqa: B018 compiles kernels outside the method's time
        _LOG.info("stated the problem; the method begins")
        with deadline_of(self.method.time_limit_s, deadline) as deadline:
            found = solve(self.method, self.question, progress, deadline)
            _LOG.info("the method ended")
            return dispatch_result(self.grid, self.question, str(self.method), self.why, found)


dispatch = function("dispatch", DispatchOptions, prepare)
