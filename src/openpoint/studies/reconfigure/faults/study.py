"""Reconfigure with faults as a limit or an objective: what one tie restores, and interruptions a year."""

from __future__ import annotations

from dataclasses import replace

from openpoint.arguments import Names
from openpoint.grid.grid import Grid
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.powerflow.state import ac_state
from openpoint.scenarios.reliability import ReliabilityLike
from openpoint.search.methods import Log
from openpoint.studies.reconfigure.faults.options import AtMost, FaultQuestion
from openpoint.studies.reconfigure.faults.result import UNITS, SecuredResult
from openpoint.studies.reconfigure.faults.search import (
    Found,
    IndexSearch,
    floors_of,
    none_keeps,
    search_loss,
    unkept_limits,
)
from openpoint.studies.reconfigure.faults.setup import Prepared, prepared, secured_result
from openpoint.studies.reconfigure.faults.task import FaultTask, Sought
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

GAP = 1e-4
"""Relative gap at which a search stops unless another is asked for."""


def reconfigure_secure(
    grid: GridLike,
    *,
    minimize: str = "loss",
    restorable: str | int | None = None,
    at_most: AtMost | None = None,
    max_loading_percent: float = 100.0,
    isolate_lines: bool = False,
    lines_only: bool = False,
    reliability: ReliabilityLike | None = None,
    failures_per_km_year: float | None = None,
    failures_per_branch_year: float | None = None,
    switching_h: float = 1.0,
    remote_switching_h: float | None = None,
    repair_h: float = 4.0,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    switchable: Names = (),
    max_changes: int | None = None,
    change_cost_kw: float = 0.0,
    gap: float | None = None,
    time_limit_s: float | None = None,
    progress: Progress | None = None,
) -> SecuredResult:
    """The radial state of least loss, or of least interruptions, whose faults are as restorable as asked for.

    A fault is *restorable* if one tie for each part that it cuts off feeds all load and customers that are not isolated
    with it, within the limits, by exact AC power flow (`openpoint.secure`). A branch and bound finds the state and
    proves it to a gap: by the bound of the loss, and by bounds of what faults do in all completions of a partial state
    (`openpoint.studies.reconfigure.faults.partial`).

    Args:
        grid: a balanced grid, a path or a name that `read` takes.
        minimize: `loss`, `saifi`, `saidi` or `ens` (energy not supplied).
        restorable: `"today"`: only faults that are unrestorable today may be so in the answer; or the number of faults
            that may be unrestorable; None: any.
        at_most: the most of `saifi` (a customer, a year), `saidi` (hours), `ens` (kWh) and `unrestorable` faults.
        max_loading_percent: most loading after a fault, in percent of the ratings.
        isolate_lines: every line can be isolated at both of its ends, whatever switches the grid has.
        lines_only: whether transformers have no faults.
        reliability: customers by bus and faults by branch: a `Reliability`, or what `read_reliability` takes.
        failures_per_km_year: faults a year of a km of line; failures_per_branch_year: of every branch without another
            rate.
        switching_h: time until the section is isolated and the ties are closed; remote_switching_h: where all that has
            to be operated for it is `remote` (default: the same). repair_h: until the repair.
        limits, locked_open, locked_closed, switchable, max_changes, change_cost_kw: as of `reconfigure`.
        gap: relative gap at which to stop; default: 1e-4. time_limit_s: seconds after which to stop with the best.
        progress: called with every line of the log.

    Raises:
        InputError: the grid has faults, or a name is unknown; faults of the reliability data; `"today"` where today's
            state is not radial.
        OptionError: options that do not go together, an index without data for it, generators to dispatch.
    """
    question = FaultQuestion(
        minimize=minimize,
        restorable=restorable,
        at_most=at_most or {},
        max_loading_percent=max_loading_percent,
        isolate_lines=isolate_lines,
        lines_only=lines_only,
        reliability=reliability,
        failures_per_km_year=failures_per_km_year,
        failures_per_branch_year=failures_per_branch_year,
        switching_h=switching_h,
        remote_switching_h=remote_switching_h,
        repair_h=repair_h,
    )
    options = ReconfigureOptions(
        gap=gap,
        time_limit_s=time_limit_s,
        limits=limits,
        locked_open=locked_open,
        locked_closed=locked_closed,
        switchable=switchable,
        max_changes=max_changes,
        change_cost_kw=change_cost_kw,
    )
    return secured(read(grid), options, question, progress)


def secured(
    grid: Grid, options: ReconfigureOptions, question: FaultQuestion, progress: Progress | None = None
) -> SecuredResult:
    """As `reconfigure_secure`, for a grid and options at hand."""
    ready = prepared(grid, options, question)
    limits, whole = ready.limits(), ready.stations.whole
    before = ac_state(whole, whole.closed)
    with deadline_of(options.time_limit_s) as deadline:
        task = ready.task(question.sought, limits)
        gap = GAP if options.gap is None else options.gap
        found, log, notes = searched(ready, task, gap, deadline, progress)
        result = secured_result(ready, task, found, log, before)
        return replace(result, notes=(*result.notes, *notes))


def searched(
    ready: Prepared, task: FaultTask, gap: float, deadline: Deadline, progress: Progress | None
) -> tuple[Found, Log, list[str]]:
    """What the search for the figure sought finds, its log, and notes on limits that no state keeps."""
    sought, log = task.sought, Log(ready.scale(task.sought), progress)
    starts = ready.starts(deadline)
    began = deadline.passed()
    floors = floors_of(task, starts, gap, deadline)
    found = none_keeps(task, floors, deadline.passed() - began)
    if found is None:
        known = [*starts, *(each.best.closed for each in floors if each.best is not None)]
        if sought is Sought.LOSS:
            found = search_loss(task, known, gap=gap, deadline=deadline, progress=log.on_progress)
        else:
            found = IndexSearch(task, gap, deadline, log.on_progress).solve(known)
    units = {each.index: (ready.scale(each.index), UNITS[each.index]) for each in floors}
    shown = log if sought is Sought.LOSS else replace(log, s_base_kva=ready.scale(Sought.LOSS))
    return found, shown, unkept_limits(task, found, floors, units)
