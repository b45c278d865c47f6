"""The front of loss and what faults do, each point proven or with its gap."""

from __future__ import annotations

from dataclasses import replace
from typing import Unpack

from openpoint.arguments import Names
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.powerflow.state import ac_state
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.search.methods import Log
from openpoint.studies.reconfigure.faults.front.result import ReconfigureFront
from openpoint.studies.reconfigure.faults.front.schema import BOUNDS
from openpoint.studies.reconfigure.faults.front.search import Bounded, Front, FrontSearch
from openpoint.studies.reconfigure.faults.options import AtMost, FaultQuestion
from openpoint.studies.reconfigure.faults.setup import Prepared, prepared, secured_result, summary
from openpoint.studies.reconfigure.faults.study import GAP
from openpoint.studies.reconfigure.faults.task import FIGURES, UNRESTORABLE, Sought
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.secure.model.indices import FaultArguments
from openpoint.twostage.deadline import deadline_of
from openpoint.twostage.log import CUT_SHORT, Progress

POINTS = 9
"""Most points of an index, unless another number is asked for."""


class FrontOptions(FaultArguments, total=False):
    """The options of `openpoint.reconfigure_secure` that all points share."""

    restorable: str | int | None
    at_most: AtMost


def reconfigure_front(
    grid: GridLike,
    kept: str,
    *,
    points: int | None = None,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    switchable: Names = (),
    max_changes: int | None = None,
    gap: float | None = None,
    time_limit_s: float | None = None,
    progress: Progress | None = None,
    **options: Unpack[FrontOptions],
) -> ReconfigureFront:
    """The radial states of which none has both less loss and less of another figure, each with its proven gap.

    The first point is the least loss of all. With `unrestorable` every number of faults that some state has is tried,
    so that no point is left out; an index is bounded in equal steps from what it is there to the least known, and what
    lies between the points is not searched.

    Args:
        grid: a balanced grid, a path or a name that `read` takes.
        kept: `unrestorable` (faults that one tie for each part does not restore), `saifi`, `saidi` or `ens`.
        points: most points of an index; default: 9.
        limits, locked_open, locked_closed, switchable, max_changes: as of `reconfigure`.
        gap: relative gap of the loss at which a point is proven; default: 1e-4.
        time_limit_s: seconds after which to stop, of all points together; what was found is kept, with its gap.
        progress: called with every line of the logs of the searches.
        options: those of `openpoint.reconfigure_secure` about faults; `restorable` and `at_most` hold at every point.

    Raises:
        InputError, OptionError: as `reconfigure_secure`; another figure than these, fewer than two points.
    """
    reconfiguring = ReconfigureOptions(
        gap=gap,
        time_limit_s=time_limit_s,
        limits=limits,
        locked_open=locked_open,
        locked_closed=locked_closed,
        switchable=switchable,
        max_changes=max_changes,
    )
    return front_of(read(grid), kept, points, reconfiguring, FaultQuestion(**options), progress)


def front_of(
    grid: Grid,
    kept: str,
    points: int | None,
    options: ReconfigureOptions,
    question: FaultQuestion,
    progress: Progress | None = None,
) -> ReconfigureFront:
    """As `reconfigure_front`, for a grid and options at hand."""
    index = _checked(kept, points, options, question)
    # What an index needs is checked where it is sought.
    ready = prepared(grid, options, question if index is None else replace(question, minimize=index.value))
    gap = GAP if options.gap is None else options.gap
    with deadline_of(options.time_limit_s) as deadline:
        search = FrontSearch(ready, index, POINTS if points is None else points, gap, deadline, progress)
        return _result(ready, kept, search, search.solve())


def _checked(kept: str, points: int | None, options: ReconfigureOptions, question: FaultQuestion) -> Sought | None:
    """The index that is kept; None: the number of unrestorable faults.

    Raises:
        OptionError: with what is wrong.
    """
    if kept not in FIGURES:
        raise OptionError(f"a front is drawn of the loss and one of {', '.join(FIGURES)}, not of {kept!r}")
    if kept == UNRESTORABLE and points is not None:
        raise OptionError("a front of unrestorable faults has all of its points; leave points out")
    if points is not None and points < 2:
        raise OptionError(f"a front of {points} points is none; give 2 or more")
    if question.sought is not Sought.LOSS:
        raise OptionError("a front is drawn of the loss and another figure; leave minimize out")
    if options.change_cost_kw:
        raise OptionError("a front is drawn of the loss without the cost of changes; give max_changes")
    return None if kept == UNRESTORABLE else Sought(kept)


def _result(ready: Prepared, kept: str, search: FrontSearch, front: Front) -> ReconfigureFront:
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
