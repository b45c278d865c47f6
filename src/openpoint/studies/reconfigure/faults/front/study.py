"""Fronts of loss and what faults do, by bounds of the latter (ε-constraints): a search for the least loss below each.

Every state that any search evaluates is kept if no other has less of both. So a search begins with the best state known
below its bound and goes on with what others found, and a state counts at every bound that it keeps. Likewise what is
proven below one bound is proven below every lower one.

A number of faults goes down from that of the least loss, each time to one less than the state of least loss within the
limit before has, until nothing is proven to have fewer: so no point is left out. An index goes by equal steps to the
least known, and its own search says at last what no state is below. Each search gets an eighth of the time that is
left, and goes on later where it stopped.

The front of loss and what faults do, each point proven or with its gap.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpoint.arrays import Bools
from openpoint.grid.grid import Grid
from openpoint.powerflow.state import ac_state
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.search.methods import Log
from openpoint.search.result import SearchResult, gap_between
from openpoint.studies.reconfigure.faults.front.result import BOUNDS, ReconfigureFront
from openpoint.studies.reconfigure.faults.options import ReconfigureFrontOptions
from openpoint.studies.reconfigure.faults.search import OPTIMAL, Found, IndexSearch, LossSearch
from openpoint.studies.reconfigure.faults.study import GAP, Faults, faults_of_grid, secured_result, summary
from openpoint.studies.reconfigure.faults.task import (
    UNRESTORABLE,
    EvaluatedState,
    FaultExchange,
    FaultLimits,
    Sought,
    figure_of,
)
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import CUT_SHORT, Progress, Termination

SHARE = 1 / 8
"""Part of the time that is left for a turn of a search."""
TURN = 1 / 100
"""Part of all time that a turn has at least."""
EFFORT = 4
"""How many times fewer states a search evaluates before it begins than the first one."""
FOR_INDEX = 0.3
"""Part of all time for the search for the least index, after the others."""
PERTURBATIONS = 4
"""Rounds of exchange for the least index known."""
SAME = 1e-9
"""Relative difference up to which two figures are the same."""


class Bounded:
    """The least loss with at most so much of the figure that is kept.

    Attributes:
        limit: inf = any. result: so far. turns: taken.
    """

    def __init__(self, limit: float, search: LossSearch) -> None:
        self.limit, self.search, self.turns = limit, search, 0
        self.result: SearchResult | None = None

    def go_on(self, starts: list[Bools], deadline: Deadline) -> None:
        """A turn of the search."""
        self.turns += 1
        self.result = self.search.go_on(starts, deadline).result

    @property
    def ended(self) -> bool:
        """Whether the search came to its end."""
        return self.result is not None and self.result.termination not in CUT_SHORT

    @property
    def lower_bound(self) -> float:
        """No state within the limit loses less, per unit; inf: there is none."""
        return -math.inf if self.result is None else self.result.lower_bound

    @property
    def is_empty(self) -> bool:
        """Whether it is proven that no state is within the limit."""
        return self.result is not None and self.result.termination is Termination.INFEASIBLE


@dataclass(frozen=True)
class Front:
    """The outcome of searches.

    Attributes:
        points: (K) by rising loss, with the bound of the loss of all that keep as little. bounded: by falling limits.
        least: proven: no state has less of the figure kept. termination: of the whole. seconds: of the whole.
    """

    points: list[Found]
    bounded: list[Bounded]
    least: float
    termination: Termination
    seconds: float


class FrontSearch:
    """One front and its state."""

    def __init__(
        self,
        ready: Faults[Any],
        kept: Sought | None,
        points: int,
        gap: float,
        deadline: Deadline,
        progress: Progress | None,
    ) -> None:
        """`kept`: an index, None: the number of unrestorable faults. `points`: of an index, at most."""
        self.ready, self.kept, self.points, self.gap = ready, kept, points, gap
        self.deadline, self.progress = deadline, progress
        self.base = ready.limits()
        self.known: list[EvaluatedState] = []
        self.bounded: list[Bounded] = []
        self.least = 0.0 if kept is None else -math.inf
        self.index_proven = kept is None
        self.all_time = deadline.left()

    def solve(self) -> Front:
        """Run all searches."""
        self.starts = self.ready.starts(self.deadline)
        began = self.deadline.passed()
        self._add(math.inf)
        self._turn(self.bounded[0], self.deadline)  # also where no time is left: today's state is an answer, too
        self._turns(self.deadline.within((1.0 if self.kept is None else 1.0 - FOR_INDEX) * self.all_time))
        if self.kept is not None and self.known:
            self._least_index(self.kept)
            self._turns(self.deadline)
        return Front(self._points(), self.bounded, self._least(), self._why(), self.deadline.passed() - began)

    def value(self, state: EvaluatedState) -> float:
        """The figure that is kept, of all customers."""
        return float(state.figures.count) if self.kept is None else figure_of(self.kept, state.figures)

    # What is known

    def _seen(self, state: EvaluatedState) -> None:
        """Keep a state that keeps all other limits and than which none has less of both."""
        if state.merit[0] > 0.0 or self.base.excess(state.figures) > 0.0:
            return
        loss, value = state.loss * (1.0 + SAME), self.value(state) * (1.0 + SAME)
        if any(each.loss <= loss and self.value(each) <= value for each in self.known):
            return
        loss, value = state.loss * (1.0 - SAME), self.value(state) * (1.0 - SAME)
        self.known = [each for each in self.known if each.loss < loss or self.value(each) < value]
        self.known.append(state)

    def _best(self, limit: float) -> EvaluatedState | None:
        """The state of least loss known within a limit."""
        within = [each for each in self.known if self.value(each) <= limit * (1.0 + SAME)]
        return min(within, key=lambda each: each.loss, default=None)

    def _bound(self, value: float) -> Bounded:
        """The search whose bound of the loss is best among those that are valid for states of so much or less."""
        valid = [each for each in self.bounded if each.limit * (1.0 + SAME) >= value]
        return max(valid, key=lambda each: each.lower_bound)

    def _least_known(self) -> float:
        return min((self.value(each) for each in self.known), default=math.inf)

    def _least(self) -> float:
        """Proven: no state has less."""
        empty = [each.limit for each in self.bounded if each.is_empty]
        beyond = [limit + 1.0 if self.kept is None else limit for limit in empty]
        return max([self.least, *beyond])

    def _is_decided(self, each: Bounded) -> bool:
        if each.ended:
            return True
        best = self._best(each.limit)
        return best is not None and gap_between(self._bound(each.limit).lower_bound, best.loss) <= self.gap

    # Searches

    def _add(self, limit: float) -> None:
        task = self.ready.task(Sought.LOSS, self.limits(limit))
        log = Log(self.ready.scale(Sought.LOSS), self.progress)
        search = LossSearch(replace(task, on_state=self._seen), self.gap, self.deadline, log.on_progress)
        if self.bounded:  # states are shared, so that no other search need look for many of its own
            search.exchange.effort_limit //= EFFORT
        self.bounded.append(Bounded(limit, search))

    def limits(self, limit: float) -> FaultLimits:
        """What faults may do at most, with at most so much of the figure kept; inf: any."""
        if math.isinf(limit):
            return self.base
        if self.kept is None:
            return replace(self.base, most=min(self.base.most, int(limit)))
        return self.base.with_index(self.kept, limit)

    def _turns(self, deadline: Deadline) -> None:
        """Searches in turn until all are decided."""
        while not deadline.over() and (each := self._next()) is not None:
            self._turn(each, deadline)

    def _turn(self, each: Bounded, deadline: Deadline) -> None:
        share = max(SHARE * deadline.left(), TURN * self.all_time)
        each.go_on(self._starts_for(each), deadline.within(share))

    def _next(self) -> Bounded | None:
        """The search of fewest turns, the widest limit first."""
        if self.known and self.bounded[0].turns:
            self._add_below()
        open_ones = [each for each in self.bounded if not self._is_decided(each)]
        return min(open_ones, key=lambda each: (each.turns, -each.limit), default=None)

    def _add_below(self) -> None:
        """Limits below what is known."""
        least, lowest = self._least_known(), self.bounded[-1].limit
        if self.kept is None:
            if (missing := self._missing()) is not None:
                self._add(missing)
                self.bounded.sort(key=lambda each: -each.limit)
        elif len(self.bounded) == 1:
            self._exchange(self.kept)
            best = self._best(math.inf)
            assert best is not None
            for limit in np.linspace(self.value(best), self._least_known(), self.points)[1:].tolist():
                if limit < self.bounded[-1].limit * (1.0 - SAME):
                    self._add(limit)
        elif least < lowest * (1.0 - SAME):
            self._add(least)

    def _missing(self) -> float | None:
        """A number of faults that is not searched yet: one less than the best state within a limit has."""
        searched, empty = {each.limit for each in self.bounded}, self._least()
        best = (self._best(each.limit) for each in self.bounded)
        wanted = (self.value(state) - 1.0 for state in best if state is not None)
        return next((limit for limit in wanted if limit >= empty and limit not in searched), None)

    def _starts_for(self, each: Bounded) -> list[Bools]:
        """States to begin with: the best known within the limit, and the next one beyond."""
        if math.isinf(each.limit) and not each.turns:
            return self.starts
        best = self._best(each.limit)
        beyond = [state for state in self.known if self.value(state) > each.limit * (1.0 + SAME)]
        near = min(beyond, key=self.value, default=None)
        chosen = (best,) if each.turns else (best, near)
        return [state.closed for state in chosen if state is not None]

    def _exchange(self, kept: Sought) -> None:
        """States of a small index, by exchange alone."""
        task = replace(self.ready.task(kept, self.base), on_state=self._seen)
        exchange = FaultExchange(task, self.deadline.over, lambda _: None)
        for closed in (*self.starts, *(state.closed for state in self.known)):
            exchange.offer(closed, exchange.effort_limit)
        exchange.perturbations(PERTURBATIONS * exchange.effort_limit)

    def _least_index(self, kept: Sought) -> None:
        """Prove what no state is below."""
        if self.deadline.over():
            return
        task = replace(self.ready.task(kept, self.base), on_state=self._seen)
        on_progress: Callable[..., None] = Log(self.ready.scale(kept), None).on_progress
        start = min(self.known, key=self.value)
        found = IndexSearch(task, self.gap, self.deadline, on_progress).solve([start.closed])
        self.least = found.result.lower_bound
        self.index_proven = found.result.termination in (Termination.OPTIMAL, Termination.GAP)

    # The answer

    def _points(self) -> list[Found]:
        """The points by rising loss; of an index those at the limits."""
        chosen = self.known
        if self.kept is not None:
            chosen = [best for each in self.bounded if (best := self._best(each.limit)) is not None]
        points: list[Found] = []
        for state in sorted({id(state): state for state in chosen}.values(), key=lambda state: state.loss):
            result = self._bound(self.value(state)).result
            assert result is not None  # that without a limit always had a turn where a state is known
            lower = min(result.lower_bound, state.loss)
            gap = gap_between(lower, state.loss)
            why = Termination.OPTIMAL if gap <= OPTIMAL else Termination.GAP if gap <= self.gap else self._stopped
            shown = replace(result, termination=why, closed=state.closed, least_violation=None)
            points.append(Found(state, replace(shown, value=state.loss, lower_bound=lower)))
        return points

    @property
    def _stopped(self) -> Termination:
        return self.deadline.why

    def _why(self) -> Termination:
        if self.bounded[0].ended and not self.known:
            return Termination.INFEASIBLE
        if not (self.index_proven and all(self._is_decided(each) for each in self.bounded)):
            return self._stopped
        if self.kept is None and self._missing() is not None:
            return self._stopped
        return Termination.OPTIMAL if self.gap <= OPTIMAL else Termination.GAP


POINTS = 9
"""Most points of an index, unless another number is asked for."""


def prepare(grid: Grid, options: ReconfigureFrontOptions) -> Prepared[ReconfigureFront]:
    """The radial states of which none has both less loss and less of another figure, each with its proven gap.

    The first point is the least loss of all. With `unrestorable` every number of faults that some state has is tried,
    so that no point is left out; an index is bounded in equal steps from what it is there to the least known, and what
    lies between the points is not searched. A point is proven at a gap of 1e-4 unless another is asked for.

    Raises:
        InputError, OptionError: as `reconfigure_secure`; another figure than these, fewer than two points.
    """
    ready = faults_of_grid(grid, options)
    return PreparedFront(ready.grid, ready)


@dataclass(frozen=True)
class PreparedFront:
    """A front of loss and what faults do, ready to be computed; `ready`: the grid and its faults."""

    grid: Grid
    ready: Faults[ReconfigureFrontOptions]
    heading: str = ""
    unit: str = "kW"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> ReconfigureFront:
        """The points."""
        ready, options = self.ready, self.ready.question
        index = None if options.kept == UNRESTORABLE else options.sought
        gap = GAP if options.gap is None else options.gap
        with deadline_of(options.time_limit_s, deadline) as until:
            points = POINTS if options.points is None else options.points
            search = FrontSearch(ready, index, points, gap, until, progress)
            return _result(ready, options.kept, search, search.solve())


def _result(ready: Faults[Any], kept: str, search: FrontSearch, front: Front) -> ReconfigureFront:
    whole = ready.stations.whole
    before, scale = ac_state(whole, whole.closed), ready.scale(Sought.LOSS)
    index = search.kept
    results = []
    for found in front.points:
        assert found.best is not None
        limit = search.limits(search.value(found.best))
        task = ready.task(Sought.LOSS, limit)
        results.append(secured_result(ready, task, found, Log(scale, None), before))
    unit = 1.0 if index is None else ready.scale(index)
    rows = [_row(each, unit, scale) for each in front.bounded if each.result is not None]
    notes = [*ready.grid.figure_notes, *ready.notes]
    if front.termination in CUT_SHORT:
        notes.append("not every point is proven: the table says the gap of each, and there may be points between")
    return ReconfigureFront(
        grid=ready.grid,
        kept=kept,
        results=tuple(results),
        bounds=c.frame(BOUNDS, rows),
        kept_bound=unit * front.least,
        before=summary(ready, ready.today),
        loss_before_kw=None if before is None else scale * before.loss,
        termination=front.termination,
        seconds=front.seconds,
        notes=tuple(notes),
    )


def _row(each: Bounded, unit: float, scale: float) -> dict[str, object]:
    """What is proven within a limit."""
    result = each.result
    assert result is not None
    return {
        "limit": finite(unit * each.limit),
        "lower_bound_kw": finite(scale * each.lower_bound),
        "is_empty": each.is_empty,
        "nodes": result.nodes,
        "termination": result.termination.value,
        "seconds": result.seconds,
    }


reconfigure_front = function("reconfigure_front", ReconfigureFrontOptions, prepare)
