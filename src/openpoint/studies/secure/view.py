"""Faults and what switching does about them, in the terminal."""

from __future__ import annotations

from openpoint.report.page.model import Remarks
from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, violations
from openpoint.studies.secure.result import SecureResult
from openpoint.studies.secure.schema import RESTORABLE, VERDICTS

SHOWN = 10


def view(result: SecureResult) -> View:
    """The figures of a result, and the faults that leave most load without supply."""
    counts = [(name, str(count), VERDICTS[name]) for name, count in result.counts.items() if count]
    figures = [("loss", f"{words.kw(result.loss_kw)} kW")]
    if result.saifi_per_year is not None and result.saidi_h_per_year is not None:
        figures.append(("SAIFI", f"{result.saifi_per_year:.4f} interruptions of a customer a year"))
        figures.append(("SAIDI", f"{60.0 * result.saidi_h_per_year:.2f} min of a customer a year"))
    if result.not_supplied_kwh_per_year is not None:
        figures.append(("energy not supplied", f"{result.not_supplied_kwh_per_year:,.1f} kWh a year"))
    worst = result.waiting.head(SHOWN)
    rows = [
        (words.safe(name), verdict, f"{lost:.1f}", f"{isolated:.1f}", words.safe(limit))
        for name, verdict, lost, isolated, limit in worst.select(
            "name", "verdict", "lost_kw", "isolated_kw", "limit"
        ).iter_rows()
    ]
    head = ("branch", "after switching", "not restored, kW", "isolated, kW", "what stands in the way")
    most: View = [
        Line("\nMost load without supply until the repair:"),
        Rows([head, *rows], right=[2, 3], head=True),
    ]
    return [
        Remarks(result.notes),
        Rows(figures),
        Line(f"\n{result.in_short[0].upper()}{result.in_short[1:]}", "bold"),
        Rows(counts, right=[1]),
        *_beyond_ties(result),
        *(most if rows else []),
        *violations("Limits broken without a fault", result.broken),
        Line(f"\n{result.rules}", "dim"),
    ]


def _beyond_ties(result: SecureResult) -> View:
    """What switching can restore of all that a path leads to, where more than ties was asked for."""
    if not result.beyond_ties:
        return []
    counts = [(word, str(count), RESTORABLE[word]) for word, count in result.restorable_counts.items() if count]
    closings = result.switchings["closings"].value_counts(sort=False).sort("closings").iter_rows()
    by_number = ", ".join(f"{count} by {number}" for number, count in closings)
    return [
        Line("\nOf what a path still leads to, restorable by:", "bold"),
        Rows(counts, right=[1]),
        *([Line(f"Closings of these switchings: {by_number}", "dim")] if by_number else []),
    ]
