"""A fleet in the terminal: what it saves in all, what failed, and the largest savings."""

from __future__ import annotations

from openpoint.report.page.model import Remarks
from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.studies.reconfigure.fleet.result import FleetResult, FleetRow
from openpoint.studies.reconfigure.fleet.schema import FAILED

_SHOWN = 10


def view(result: FleetResult) -> v.View:
    """What was done, what failed, the losses in all, and the grids that save most."""
    style = {0: "green", 2: "red"}.get(result.exit_code, "yellow")
    lines: v.View = [v.Line(f"\nAfter {result.seconds:.1f} s: ", f"bold {style}", result.in_short, "not bold")]
    lines.append(Remarks(result.notes))
    if failed := [row for row in result.rows if row.status == FAILED]:
        lines.append(v.Line("Failed:", "bold red"))
        for row in failed[:_SHOWN]:
            lines += [
                v.Line(f"  {words.safe(row.name)}: {words.safe(text)}") for text in (row.error or "").splitlines()
            ]
        if (more := len(failed) - _SHOWN) > 0:
            lines.append(v.Line(f"  and {more} more, in the table"))
    before, saved = result.loss_before_kw, result.saving_kw
    share = f" ({-100.0 * saved / before:+.2f} %)" if before > 0.0 else ""
    lines.append(v.Line(f"\nLoss {words.kw(before)} → {words.kw(result.loss_kw)} kW{share}", "bold"))
    gap = "not known of all" if result.gap_percent is None else f"{result.gap_percent:.4f} %"
    lines.append(v.Line(f"Greatest gap: {gap}; {words.count(result.changes, 'branch', 'branches')} to switch"))
    return [*lines, *_largest(result)]


def _largest(result: FleetResult) -> v.View:
    """The grids that save most."""
    saving = sorted((row for row in result.rows if row.saving_kw), key=lambda row: -(row.saving_kw or 0.0))[:_SHOWN]
    if not saving:
        return []
    head = ("grid", "buses", "today, kW", "answer, kW", "saving, kW", "%", "gap %", "to switch", "ended")
    return [v.Line("\nLargest savings:"), v.Rows([head, *map(_cells, saving)], range(1, 8), head=True)]


def _cells(row: FleetRow) -> tuple[str, ...]:
    percent = "-" if row.saving_percent is None else f"{row.saving_percent:.2f}"
    gap = "-" if row.gap_percent is None else f"{row.gap_percent:.4f}"
    losses = (words.kw(row.loss_before_kw), words.kw(row.loss_kw), words.kw(row.saving_kw))
    return (words.safe(row.name), str(row.buses), *losses, percent, gap, str(row.changes), row.termination or "-")
