"""The shape of what `openpoint reconfigure GRID… --out FOLDER` writes."""

from __future__ import annotations

from openpoint.results import columns as c
from openpoint.results.schema import maybe, names, number, text, whole
from openpoint.results.shape import Shape
from openpoint.results.worth import WORTH_KEYS
from openpoint.studies.reconfigure.schema import SWITCH_GROUPS
from openpoint.twostage.log import Termination

SOLVED, KEPT, FAILED, NOT_RUN = "solved", "kept", "failed", "not run"

GRIDS: c.Table = {
    "name": c.text("name of its folder below `grids/`, after the file; unique", "grid"),
    "source": c.text("file or folder that was read, or the built-in grid"),
    "status": c.text(
        "solved: in this run; kept: by an earlier run, of the same file with the same options; failed: `error` says "
        "why; not run: the run was stopped before",
        options=[SOLVED, KEPT, FAILED, NOT_RUN],
    ),
    "buses": c.maybe_whole("number of buses", "buses", 0),
    "branches": c.maybe_whole("number of branches", "branches", 0),
    "loss_before_kw": c.maybe_number("exact AC loss today; null: today's state is not radial", "today, kW", 3),
    "loss_kw": c.maybe_number("exact AC loss of the answer; null: no answer", "answer, kW", 3),
    "saving_kw": c.maybe_number("loss_before_kw − loss_kw", "saving, kW", 3),
    "saving_percent": c.maybe_number("the saving in percent of the loss today", "saving, %", 2),
    "lower_bound_kw": c.maybe_number("proven bound of the objective", "bound, kW", 3),
    "gap_percent": c.maybe_number("(objective − bound) / objective, in percent; null: nothing is proven", "gap, %", 4),
    "termination": c.text(
        "why the run of the grid ended", "ended", nullable=True, options=[t.value for t in Termination]
    ),
    "changes": c.maybe_whole("branches to close or to open", "to switch", 0),
    "v_min_pu": c.maybe_number("lowest voltage of the answer, pu", "lowest, pu", 4),
    "violations": c.maybe_whole("limits that the answer breaks, or at the least violation met", "limits broken", 0),
    "seconds": c.maybe_number("for the grid, from its reading to its report", "s", 2),
    "report": c.text("its own report, beside this table; null: none was written", nullable=True),
    "notes": c.text("warnings that belong to its figures", nullable=True),
    "error": c.text("why it failed: every fault of its file", nullable=True),
}

SWITCHINGS: c.Table = {
    "rank": c.whole("number in the list, from 1", "rank", 0),
    "grid": c.text("name of the grid"),
    "to_close": c.text("branches to close, in one line", "close"),
    "to_open": c.text("branches to open, in one line", "open"),
    "operations": c.whole("switch operations", "operations", 0),
    "saving_kw": SWITCH_GROUPS["saving_kw"],
    "saving_per_operation_kw": SWITCH_GROUPS["saving_per_operation_kw"],
    "operations_so_far": c.maybe_whole("operations of what is chosen, to this row; null: not chosen", "so far", 0),
    "saving_so_far_kw": c.maybe_number("what they save, kW; null: not chosen", "saved so far, kW", 3),
}

FLEET = Shape(
    "reconfigure-fleet",
    "reconfigure-fleet",
    "Result of openpoint reconfigure-fleet",
    {
        "method": text("the method that was named, or that each grid has its own"),
        "workers": whole("processes that solved grids"),
        "seconds": number("of the run, in wall time"),
        "grid_count": whole("grids asked about"),
        "solved": whole("grids solved in this run"),
        "kept": whole("grids that an earlier run had finished"),
        "failed": whole("grids that failed"),
        "not_run": whole("grids that the run did not come to"),
        "proven": whole("grids whose answer is proven, to the gap asked for"),
        "loss_before_kw": number("loss today, of all grids where today's loss and an answer are known"),
        "loss_kw": number("loss of the answers of the same grids"),
        "saving_kw": number("the difference"),
        **WORTH_KEYS,
        "gap_percent": maybe("number", "greatest gap of all answers; null where that of one is not known"),
        "changes": whole("branches to close or to open in all grids"),
        "operations": whole("switch operations chosen of the table `switchings`"),
        "chosen_kw": number("what they save"),
        "notes": names("warnings that belong to the fleet"),
    },
    {"grids": GRIDS, "switchings": SWITCHINGS},
    subject="name of the fleet, which is that of its folder",
)
