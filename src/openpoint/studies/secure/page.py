"""The report of faults and what switching does about them."""

from __future__ import annotations

from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.secure.pictures import result_layout, verdict_sheet
from openpoint.studies.secure.result import SecureResult
from openpoint.studies.secure.schema import RESTORABLE, VERDICTS


def page(result: SecureResult) -> m.Page:
    """The report of a result."""
    caption = "{} faults, those that leave most load without supply first"
    last = ["to_open", "to_close", "then_open", "limit", "cut_off"]
    broken = s.violation_table("broken", "Limits broken without a fault", result.broken)
    parts = [
        _banner(result),
        s.remarks(result.notes),
        _cards(result),
        m.section("What was assumed", m.Words(f"{result.rules[0].upper()}{result.rules[1:]}.")),
        _map(result),
        m.section("Limits broken without a fault", broken, long=True) if broken else None,
        m.section("After switching", _verdicts(result)),
        _beyond_ties(result),
        t.table_section("Faults", result, "faults", caption, ["name", "verdict"], last=last, search=True),
        t.table_section("Buses", result, "buses", "{} buses", ["name"], search=True),
        s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "faults and restoration", parts)


def _banner(result: SecureResult) -> m.Banner:
    if not result.waiting.height:
        return m.Banner("good", "All supply is restored:", result.in_short)
    return m.Banner("warn", "Not all supply is restored:", result.in_short)


def _cards(result: SecureResult) -> m.Cards:
    counts = result.counts
    tied = sum(counts.values()) - counts["no tie"] - counts["nothing lost"]
    restored = f"{counts['restored']} of {tied}"
    shown = [
        m.Card("Faults restored by ties", restored, ("of those with a tie to what is cut off",)),
        m.Card("No tie", str(counts["no tie"]), ("faults whose part no open branch leads to",)),
    ]
    if result.saidi_h_per_year is not None and result.saifi_per_year is not None:
        minutes = f"{60.0 * result.saidi_h_per_year:.1f} min"
        shown.append(m.Card("SAIDI", minutes, ("without supply, of a customer a year",)))
        shown.append(m.Card("SAIFI", f"{result.saifi_per_year:.3f}", ("interruptions of a customer a year",)))
    if result.not_supplied_kwh_per_year is not None:
        energy = f"{number(result.not_supplied_kwh_per_year, 1)} kWh"
        shown.append(m.Card("Energy not supplied", energy, ("a year, at today's load",)))
    shown.append(m.Card("Loss", f"{number(result.loss_kw)} kW", ("without a fault",)))
    return m.cards(*shown)


def _verdicts(result: SecureResult) -> m.Table:
    rows = [(name, count, VERDICTS[name]) for name, count in result.counts.items()]
    return t.table(
        "verdicts",
        "Branches by what switching does after their fault",
        ["after switching", m.Column("faults", 0), "that is"],
        rows,
    )


def _beyond_ties(result: SecureResult) -> m.Section | None:
    """What switching can restore of all that a path leads to, and the switchings."""
    if not result.beyond_ties:
        return None
    rows = [(word, count, RESTORABLE[word]) for word, count in result.restorable_counts.items()]
    counts = t.table(
        "restorable",
        "Branches by what restores all that a path leads to after their fault",
        ["restorable by", m.Column("faults", 0), "that is"],
        rows,
    )
    caption, last = "{} faults after which more than ties restores the supply", ["to_open", "to_close", "then_open"]
    return m.section(
        "More than ties", counts, t.listed(result, "switchings", caption, ["name"], last=last, search=True)
    )


def _map(result: SecureResult) -> m.Section | None:
    layout = result_layout(result)
    sheet = verdict_sheet(result, layout)
    picture = s.still(result.grid, lambda: sheet, "The grid; the tables below hold all.")
    return s.sheet_section("Grid", sheet, layout=layout, picture=picture)


html = html_for(page)
