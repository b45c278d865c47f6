"""A partition over time in the terminal: what each step serves and switches, what is in store, and the AC voltages."""

from __future__ import annotations

from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, stop
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.partition.view import costs

_STEPS = ("step", "hours", "served kW", "of kW", "blocks", "actions", "close", "open", "AC voltage pu")
_STORAGE = ("storage", "step", "p kW", "at the end kWh", "reserve kW")


def view(result: PartitionStepsResult) -> View:
    """What each step serves and switches, what is in store, and the AC power flow."""
    lines = [*stop(result), *costs(result, "kWh", result.served_kwh, result.total_kwh)]
    return lines if result.cost_usd is None else [*lines, _steps(result), *_storage(result)]


def _steps(result: PartitionStepsResult) -> Rows:
    rows = [_STEPS]
    for row in result.steps.iter_rows(named=True):
        moved = result.switches.filter(step=row["step"])
        close, open_ = (words.names(moved.filter(switching=word)["name"]) for word in ("close", "open"))
        volts = "-" if row["v_min_pu"] is None else f"{row['v_min_pu']:.4f} to {row['v_max_pu']:.4f}"
        figures = (f"{row['hours']:g}", words.kw(row["served_kw"]), words.kw(row["load_kw"]))
        counts = (str(row["energised_blocks"]), str(row["actions"]))
        rows.append((words.safe(row["step"]), *figures, *counts, close, open_, volts))
    return Rows(rows, range(1, 6), head=True)


def _storage(result: PartitionStepsResult) -> View:
    if not result.storage.height:
        return []
    rows = [_STORAGE]
    for row in result.storage.sort("generator", maintain_order=True).iter_rows(named=True):
        reserve = f"+{words.kw(row['reserve_more_kw'])} -{words.kw(row['reserve_less_kw'])}"
        figures = (words.kw(row["p_kw"]), words.kw(row["end_kwh"]), reserve)
        rows.append((words.safe(row["generator"]), words.safe(row["step"]), *figures))
    return [Line(), Rows(rows, range(2, 5), head=True)]
