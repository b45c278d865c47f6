"""Reconfigure with faults as a limit or an objective: what one tie restores, and interruptions a year."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from openpoint.grid.grid import Grid
from openpoint.powerflow.state import ac_state
from openpoint.search.methods import Log
from openpoint.studies.reconfigure.faults.options import ReconfigureSecureOptions
from openpoint.studies.reconfigure.faults.result import UNITS, SecuredResult
from openpoint.studies.reconfigure.faults.search import (
    Found,
    IndexSearch,
    floors_of,
    none_keeps,
    search_loss,
    unkept_limits,
)
from openpoint.studies.reconfigure.faults.setup import Faults, faults_of_grid, secured_result
from openpoint.studies.reconfigure.faults.task import FaultLimits, FaultTask, Sought
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

GAP = 1e-4
"""Relative gap at which a search stops unless another is asked for."""


def prepare(grid: Grid, options: ReconfigureSecureOptions) -> Prepared[SecuredResult]:
    """The radial state of least loss, or of least interruptions, whose faults are as restorable as asked for.

    A fault is *restorable* if one tie for each part that it cuts off feeds all load and customers that are not isolated
    with it, within the limits, by exact AC power flow (`openpoint.secure`). A branch and bound finds the state and
    proves it to a gap, 1e-4 unless another is asked for: by the bound of the loss, and by bounds of what faults do in
    all completions of a partial state (`openpoint.studies.reconfigure.faults.partial`).

    Raises:
        InputError: the grid has faults, or a name is unknown; faults of the reliability data; `"today"` where today's
            state is not radial.
        OptionError: options that do not go together, an index without data for it.
    """
    ready = faults_of_grid(grid, options)
    return PreparedSecure(ready.grid, ready, ready.limits())


@dataclass(frozen=True)
class PreparedSecure:
    """A question about open points and faults, ready to be solved.

    Attributes:
        ready: the grid and its faults. limits: of faults.
    """

    grid: Grid
    ready: Faults[ReconfigureSecureOptions]
    limits: FaultLimits
    heading: str = ""
    unit: str = "kW"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> SecuredResult:
        """The result, verified by exact AC power flow."""
        ready, options, whole = self.ready, self.ready.question, self.ready.stations.whole
        before = ac_state(whole, whole.closed)
        with deadline_of(options.time_limit_s, deadline) as until:
            task = ready.task(options.sought, self.limits)
            gap = GAP if options.gap is None else options.gap
            found, log, notes = searched(ready, task, gap, until, progress)
            result = secured_result(ready, task, found, log, before)
            return replace(result, notes=(*result.notes, *notes))


def searched(
    ready: Faults[Any], task: FaultTask, gap: float, deadline: Deadline, progress: Progress | None
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


reconfigure_secure = function("reconfigure_secure", ReconfigureSecureOptions, prepare)
