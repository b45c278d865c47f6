"""The report of an enclosure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.report.charts import axes_chart, chart_sheet
from openpoint.report.drawing import Dots, Layer, Lines, Rule, Sheet, flat, numbers, span
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.results.violation import phase_words
from openpoint.studies.enclose.result import EncloseResult

MOST_BARS = 200
"""Voltages that the picture shows, those with the lowest bounds."""


def voltages(result: EncloseResult) -> Sheet:
    """The bounds of voltages, from the lowest."""
    table = result.buses.sort("v_low_pu", maintain_order=True).head(MOST_BARS)
    low, middle, high = (table[name].to_numpy() for name in ("v_low_pu", "v_pu", "v_high_pu"))
    at = np.arange(len(low), dtype=np.float64)
    named = [
        f"bus {shorten(name, 40)}{phase_words(phase)}\n{a:.5f} to {b:.5f} pu"
        for name, phase, a, b in table.select("name", "phase", "v_low_pu", "v_high_pu").iter_rows()
    ]
    layers: list[Layer] = [
        Lines([flat(np.array([[x, a], [x, b]])) for x, a, b in zip(at, low, high, strict=True)], "@after", 3.0),
        Dots(numbers(at), numbers(middle), 4.0, "@before", name="as it is", hover=tuple(named)),
    ]
    limits = result.buses.select("v_min_pu", "v_max_pu").unique().drop_nulls().rows()
    near = [value for row in limits for value in row if low.min() - 0.02 <= value <= high.max() + 0.02]
    rules = [Rule("y", value, f"limit {value:g} pu") for value in sorted(set(near))]
    y = span(np.array([*low, *high, *near]))
    chart = axes_chart(360, span(at, from_zero=True), "buses, lowest first", y, "voltage, pu", layers, rules=rules)
    return chart_sheet(f"{result.title}: voltages for every {result.for_every}", chart, "")


PICTURES: Mapping[str, Callable[[EncloseResult], Sheet]] = {"voltages": voltages}
"""The bounds of voltages."""


def page(result: EncloseResult) -> m.Page:
    """The report of a result."""
    names = {"name": "name", "phase": "phase", "limits": "limits", "exact": "attained"}
    parts: list[m.Offered] = [
        _banner(result),
        s.remarks(result.notes),
        _cards(result),
        s.witness_section(result),
        lambda: m.section("Voltages", s.shown(voltages(result))),
        lambda: t.table_section("Buses", result, "buses", "{} rows", names, search=True),
        lambda: t.table_section("Branches", result, "branches", "{} rows", names, search=True),
        lambda: t.table_section("Sources", result, "sources", "What they deliver", ["name", "bus"], long=False),
        lambda: s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "enclosure", parts)


def _banner(result: EncloseResult) -> m.Banner:
    leads = {"proved": "All limits hold.", "disproved": "Limits broken.", "open": "Open whether all limits hold."}
    kind = {"proved": "good", "disproved": "bad", "open": "warn"}[result.limits]
    return m.Banner(kind, leads[result.limits], f"{result.in_short[0].upper()}{result.in_short[1:]}.")  # type: ignore[arg-type]


def _cards(result: EncloseResult) -> m.Cards:
    wider = result.v_wider_percent
    sharp = "" if wider is None else f"bounds at most {wider:.2g} % wider than the true range"
    low, high = (
        f"at bus {bus}{phase_words(phase)}"
        for bus, phase in ((result.v_low_bus, result.v_low_phase), (result.v_high_bus, result.v_high_phase))
    )
    loss = f"{number(result.loss_low_kw)} to {number(result.loss_high_kw)} kW"
    most = f"no voltage at a load deviates more than {100 * result.deviation:.2g} %"
    return m.cards(
        m.Card("Loss", loss, (f"as it is {number(result.loss_kw)} kW",)),
        m.Card("No voltage below", f"{result.v_low_pu:.5f} pu", (low, sharp)),
        m.Card("No voltage above", f"{result.v_high_pu:.5f} pu", (high,)),
        m.Card("Bounds attained", f"{result.exact_percent:.0f} %", ("of voltages and currents",)),
        m.Card("Each flow unique", f"contraction {result.contraction:.3f}", (most,)),
    )
