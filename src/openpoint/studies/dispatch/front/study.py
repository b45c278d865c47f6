"""Fronts by ε-constraints: one criterion is minimised at several bounds of another, each point proven for itself.

A weighted sum finds only what lies on the convex hull; bounds find every point between.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arguments import Names, names_of
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.network.criteria import CRITERIA
from openpoint.network.limits import Limits
from openpoint.studies.accepted import refuse
from openpoint.studies.dispatch.front.result import V_MIN, DispatchFront, figure_of
from openpoint.studies.dispatch.options import DispatchFrontOptions, DispatchOptions
from openpoint.studies.dispatch.phases import PreparedPhases
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.study import PreparedState, state_question
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination

_WHOLE = ("changes", "moves")
_CLOSER = 1e-6
"""Relative difference by which a bound lies below what is known already."""


def prepare(grid: Grid, options: DispatchFrontOptions) -> Prepared[DispatchFront]:
    """The front of two criteria: the least of the first at several bounds of the second, each with its proven gap.

    The first point is the least of the first criterion alone. The bounds go from what the second is there to the least
    that it can be, in equal steps; `changes` and `moves` go by whole numbers. `v_min`, the lowest voltage, is bounded
    from below. Where the user interrupts, or the time is up, the front has the points up to then.

    Raises:
        InputError, OptionError: as `openpoint.dispatch`; criteria that are not two, or fewer than two points.
    """
    refuse("dispatch-front", grid)
    return prepare_front(grid, options.criteria, options.of_each, options.points)


def prepare_front(grid: Grid, criteria: Names, options: DispatchOptions, points: int = 9) -> PreparedFront:
    """All that a front needs; the first point's question is stated.

    Raises:
        InputError, OptionError: as `dispatch_front`.
    """
    given = criteria.split(",") if isinstance(criteria, str) else names_of(criteria, "pareto")
    names = [name.strip() for name in given]
    known = [*CRITERIA, V_MIN]
    if len(names) != 2 or names[0] not in CRITERIA or names[1] not in known or names[0] == names[1]:
        raise OptionError(
            f"a front is drawn of two criteria, such as losses,changes, not of {', '.join(names) or 'none'}; the first "
            f"is one of {', '.join(CRITERIA)}, the second another of these or {V_MIN}"
        )
    options = replace(options, minimize=names[0])
    return PreparedFront(grid, names[0], names[1], options, points, state_question(grid, options))


@dataclass(frozen=True)
class PreparedFront:
    """A front that is ready to be computed.

    Attributes:
        sought, kept: names of the criteria. options: that minimise the first. points: most points.
        first: the question of the first point, whose second criterion has no bound.
    """

    grid: Grid
    sought: str
    kept: str
    options: DispatchOptions
    points: int
    first: PreparedState | PreparedPhases

    heading: str = ""

    @property
    def unit(self) -> str:
        """Of what is minimised."""
        return CRITERIA[self.sought].unit

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> DispatchFront:
        """The points, the one without a bound first."""
        limits: list[float | None] = []
        found: list[DispatchResult] = []
        notes: list[str] = []
        with deadline_of(self._seconds, deadline) as until:
            run = _Run(until, progress, self.points - (self.kept == V_MIN))
            for limit, result in self._points(run):
                limits.append(limit)
                found.append(result)
                if result.termination is Termination.INTERRUPTED:
                    notes.append("interrupted: the points up to then are shown")
                    break
        if run.cut:
            notes.append("the time limit, which is that of all points together, ended the front before its last point")
        return DispatchFront(
            grid=self.grid,
            sought=self.sought,
            kept=self.kept,
            limits=tuple(limits),
            results=tuple(found),
            notes=(*self.grid.figure_notes, *notes),
            cut=run.cut,
        )

    @property
    def _seconds(self) -> float | None:
        """The time limit of all points."""
        method = self.options.chosen
        return self.options.time_limit_s if method is None else method.time_limit_s

    def _points(self, run: _Run) -> Iterator[tuple[float | None, DispatchResult]]:
        first = run.solved(self.first, None, share=0.5)  # without it there is no other point
        yield None, first
        known = figure_of(first, self.kept)
        if known is None:
            return
        if self.kept == V_MIN:
            yield from self._raised(known, first.v_max_pu or known, run)
            return
        for limit in self._limits(known, run):
            if limit >= known:
                run.left -= 1
                continue  # what is known keeps it
            if run.over():
                return
            result = run.solved(self._asked(self._bounded(limit)), limit)
            yield limit, result
            reached = figure_of(result, self.kept)
            if reached is None:
                return
            known = reached

    def _raised(self, known: float, most: float, run: _Run) -> Iterator[tuple[float | None, DispatchResult]]:
        """Points of higher and higher lowest voltages; where nothing keeps one, the step is halved."""
        step = (most - known) / self.points
        for _ in range(self.points - 1):
            if run.over():
                return
            limit = known + step
            result = run.solved(self._asked(self._bounded(limit)), limit)
            reached = figure_of(result, self.kept)
            if reached is None:
                step /= 2.0
                continue
            yield limit, result
            known = reached

    def _limits(self, known: float, run: _Run) -> list[float]:
        """The bounds from what is known to the least that is possible."""
        if run.over():
            return []
        alone = replace(self.options, minimize=self.kept, method=None)  # a method asked for is that of the points
        least = figure_of(run.solved(self._asked(alone), None), self.kept)
        if least is None:
            return []
        if self.kept in _WHOLE:
            whole = np.arange(math.ceil(least - _CLOSER), round(known))
            picked = np.unique(np.linspace(0, len(whole) - 1, min(len(whole), self.points - 1)).round().astype(int))
            return [float(n) for n in whole[picked][::-1]]
        steps = np.linspace(known, least, self.points)[1:]
        steps[-1] = least + _CLOSER * abs(least)
        return [float(step) for step in steps]

    def _asked(self, options: DispatchOptions) -> PreparedState | PreparedPhases:
        """Another question about the grid; the network of a balanced one is that of the first point."""
        if isinstance(self.first, PreparedPhases):
            return state_question(self.grid, options)
        return self.first.asked_otherwise(options)

    def _bounded(self, limit: float) -> DispatchOptions:
        options = self.options
        if self.kept == V_MIN:
            return replace(options, limits=replace(Limits.given(options.limits), v_min_pu=limit))
        return replace(options, at_most={**options.most, self.kept: limit})


@dataclass
class _Run:
    """The time that a front has left.

    Attributes:
        deadline: of all points. progress: of the front. left: questions after the first that are not asked, at most.
        cut: whether one was not asked because the time was up.
    """

    deadline: Deadline
    progress: Progress | None
    left: int
    cut: bool = False

    def over(self) -> bool:
        """Whether no further question is asked."""
        is_over = self.deadline.over()
        self.cut |= is_over and not self.deadline.interrupted()
        return is_over

    def solved(
        self, prepared: PreparedState | PreparedPhases, limit: float | None, share: float | None = None
    ) -> DispatchResult:
        """The answer to a question, which gets a share of the time that is left: by default the same for each."""

        def on_iteration(iteration: Iteration) -> None:
            if self.progress is not None:
                self.progress(iteration)

        if share is None:
            share = 1.0 / max(self.left, 1)
            self.left -= 1
        return prepared.solve(on_iteration, self.deadline.within(share * self.deadline.left()))


dispatch_front = function("dispatch_front", DispatchFrontOptions, prepare)
