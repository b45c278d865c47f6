"""A front in the terminal: a row a point, and how to have one."""

from __future__ import annotations

import math

from openpoint.report.page.model import Remarks
from openpoint.report.terminal import view as v
from openpoint.report.terminal import words
from openpoint.studies.reconfigure.faults.front.result import ReconfigureFront, figure_in
from openpoint.studies.reconfigure.faults.task import UNRESTORABLE
from openpoint.studies.reconfigure.faults.view import figure

HOW = "To have a point: openpoint reconfigure GRID --open (its open branches, with commas), with --write or --plan."
"""With all open branches given, the point is the only radial state."""


def view(result: ReconfigureFront) -> v.View:
    """A row a point."""
    why = result.termination
    lines: v.View = [
        v.Line(f"\nStopped after {result.seconds:.2f} s: {why.value}.", "bold"),
        Remarks(result.notes),
    ]
    if not result.results:
        text = "No radial state that keeps all limits was found; reconfigure without --front names the least violation."
        return [*lines, v.Line(text)]
    title = f"{result.kept_words}, {result.kept_unit}".removesuffix(", ")
    rows: list[tuple[str, ...]] = [("", title, "loss, kW", "proven", "gap %", "to switch", "open")]
    rows.append(("today", figure(result.kept_before), figure(result.loss_before_kw), "", "", "", ""))
    for number, each in enumerate(result.results, start=1):
        kept = figure(figure_in(each.after, result.kept))
        proven = (figure(each.lower_bound_kw), words.percent(each.gap), str(len(each.changes)))
        rows.append((str(number), kept, figure(each.loss_kw), *proven, words.names(each.open_branches)))
    proven_all = "" if why.exit_code == 0 else " known"
    count = words.count(result.point_count, "point")
    text = f"\nNo state{proven_all} has both less loss and less {result.kept_words}: {count}."
    bound = [v.Line(lowest)] if (lowest := least(result)) else []
    return [*lines, v.Line(text, "bold"), v.Rows(rows, (1, 2, 3, 4, 5), head=True), *bound, v.Line(HOW)]


def least(result: ReconfigureFront) -> str:
    """Below what no state is, in words; empty where nothing is proven."""
    if not (math.isfinite(result.kept_bound) and result.kept_bound > 0.0):
        return ""
    if result.kept == UNRESTORABLE:
        return f"Proven: no state has fewer than {result.kept_bound:.0f} unrestorable faults."
    return f"Proven: no state has less than {result.kept_bound:.4g} {result.kept_unit} of {result.kept_words}."
