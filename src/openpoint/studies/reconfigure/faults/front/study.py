"""The front of loss and what faults do, each point proven or with its gap."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from openpoint.grid.grid import Grid
from openpoint.powerflow.state import ac_state
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.search.methods import Log
from openpoint.studies.reconfigure.faults.front.result import ReconfigureFront
from openpoint.studies.reconfigure.faults.front.schema import BOUNDS
from openpoint.studies.reconfigure.faults.front.search import Bounded, Front, FrontSearch
from openpoint.studies.reconfigure.faults.options import ReconfigureFrontOptions
from openpoint.studies.reconfigure.faults.setup import Faults, faults_of_grid, secured_result, summary
from openpoint.studies.reconfigure.faults.study import GAP
from openpoint.studies.reconfigure.faults.task import UNRESTORABLE, Sought
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import CUT_SHORT, Progress

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
