"""Dispatch: switches, taps, capacitor steps and generators in one problem, with its optimum proven."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from openpoint.arguments import Names
from openpoint.grid.grid import Grid
from openpoint.grid.today import as_asked
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.studies.dispatch.answer import dispatch_result, unit_of
from openpoint.studies.dispatch.methods import Method, quickest, solve
from openpoint.studies.dispatch.options import DispatchOptions, Weights
from openpoint.studies.dispatch.phases.answer import PreparedPhases, has_phases, prepare_phases
from openpoint.studies.dispatch.question import Question
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.setup import asked_otherwise, question_of
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

_LOG = logging.getLogger(__name__)


def dispatch(
    grid: GridLike,
    *,
    free: Names | None = None,
    minimize: Weights = "losses",
    at_most: Weights | None = None,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    switchable: Names = (),
    max_changes: int | None = None,
    method: Method | None = None,
    progress: Progress | None = None,
) -> DispatchResult:
    """The operating state in which a weighted sum of criteria is least and all limits hold, proven and verified by AC.

        min  Σ weight · criterion   over open points, taps, capacitor steps and outputs of generators
        s.t. radial; exact AC power flow; limits of voltages, currents, sources and generators; bounded criteria

    Steps and taps are whole numbers. In grids of phases a, b, c regulators, capacitors and switches are set for least
    losses or, with one price for all sources, least cost: OpenDSS evaluates every state, a linear model proposes, and
    nothing is proven unless states are few enough to try all. The criteria, with their units and definitions, are those
    of `openpoint.network.criteria`: losses (kW), cost ($/h), balance, deviation (pu), changes and moves.

    Args:
        grid: the grid, a path or a name that `read` takes; its tables say what may move and how far.
        free: what is free to move: `topology` (switches), `taps` (tap changers, and voltages that sources hold),
            `capacitors` (steps), `generators` (outputs within limits), `commitment` (whether generators run at all);
            names, or text such as `"topology,taps"`. Default: all that the grid says may move.
        minimize: weights by criterion, as a mapping or as text such as `"losses=1,balance=0.2"`; a weight says what a
            unit of the criterion counts.
        at_most: bounds by criterion, so that one is sought and others are kept: `{"balance": 0.8}`.
        limits: limits of voltage and current to keep; default: those of the grid.
        locked_open, locked_closed: branches that must be open or closed: a name, or several.
        switchable: branches that may be opened or closed beside those that the grid calls switchable.
        max_changes: most switches whose state may differ from today's.
        method: how the optimum is found and proven: `TopologySearch()`, `Benders()`, `ExtensiveForm()` or
            `Enumeration()`; default: the quickest that can take the question.
        progress: called with every iteration.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or the cost is asked of a grid without prices.
        OptionError: options that make no sense, something free of which the grid has none, or a method that cannot
            take the question.
    """
    options = DispatchOptions(
        free=free,
        minimize=minimize,
        at_most=at_most or {},
        limits=limits,
        locked_open=locked_open,
        locked_closed=locked_closed,
        switchable=switchable,
        max_changes=max_changes,
        method=method,
    )
    return prepare(read(grid), options).solve(progress)


def prepare(grid: Grid, options: DispatchOptions) -> Prepared | PreparedPhases:
    """All that a run needs: the grid is checked, its network built and the method chosen.

    Raises:
        InputError, OptionError: as `dispatch`.
    """
    grid = as_asked(grid, options.switchable, options.locked_open, options.locked_closed)
    if has_phases(grid):
        return prepare_phases(grid, options)
    return _with_method(grid, question_of(grid, options), options)


def _with_method(grid: Grid, question: Question, options: DispatchOptions) -> Prepared:
    if options.method is not None:
        return Prepared(grid, question, options.method, "it was asked for")
    return Prepared(grid, question, *quickest(question, options.gap, options.time_limit_s))


@dataclass(frozen=True)
class Prepared:
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

    def asked_otherwise(self, options: DispatchOptions) -> Prepared:
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
