"""The page of a comparison: what differs between the cases, objectives with their bounds, voltages, what is open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.report.charts import axes_chart, chart_sheet
from openpoint.report.drawing import ISLES, Areas, Chart, Dots, Layer, Lines, Panel, Sheet, curve, numbers, span
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import figures, method_words
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.results.base import Answer, Result
from openpoint.results.switched import SwitchedResult
from openpoint.studies.compare.options import study_of
from openpoint.studies.compare.result import CompareResult

_UNITS = {
    "kw": "kW",
    "kvar": "kvar",
    "kwh": "kWh",
    "kvarh": "kvarh",
    "mwh": "MWh",
    "pu": "pu",
    "percent": "%",
    "usd": "$",
    "h": "h",
    "a": "A",
}
MOST = 12
"""Figures that are drawn."""
_APART = ("seconds", "gap")
"""Figures of the run, which say nothing of the answer."""
_VOLTAGES = ("v_after_pu", "v_lowest_after_pu", "v_pu")
"""Columns of the table of buses that hold voltages of an answer."""


def label(figure: str) -> str:
    """The name of a figure with its unit: `loss, kW` of `loss_kw`."""
    *name, last = figure.split("_")
    if last in _UNITS and name:
        return f"{' '.join(name)}, {_UNITS[last]}"
    return figure.replace("_", " ")


def objectives(result: CompareResult) -> Sheet:
    """What is minimised, and its proven bound, a bar a case."""
    title = f"{result.title}: {result.of}, objective and proven bound"
    found = {name: each.head for name, each in result.results.items() if isinstance(each, Answer)}
    known = [(name, head) for name, head in found.items() if head.objective is not None]
    if not known:
        return chart_sheet(title, None, "No case has an objective.", "objectives")
    layers: list[Layer] = []
    for k, (_, head) in enumerate(known):
        bars = [(head.objective or 0.0, 0.36, 0.35)]
        bars += [(head.bound, 0.2, 1.0)] if math.isfinite(head.bound) else []
        for value, half, opacity in bars:
            box = [0.0, -k - half, value, -k - half, value, -k + half, 0.0, -k + half]
            layers.append(Areas([box], _colour(k), opacity))
    values = np.array([value for _, head in known for value in (head.objective or 0.0, head.bound)])
    ticks = [(float(-k), shorten(name)) for k, (name, _) in enumerate(known)]
    x = span(values[np.isfinite(values)], from_zero=True)
    unit = known[0][1].unit
    chart = axes_chart(60 + 34 * len(known), x, unit, (0.6 - len(known), 0.6), "", layers, y_ticks=ticks)
    return chart_sheet(title, chart, "", "objectives")


def voltages(result: CompareResult) -> Sheet:
    """Voltages of all buses in each case, the lowest first."""
    title = f"{result.title}: voltages, the lowest first"
    layers: list[Layer] = []
    seen = list[float]()
    for k, (name, each) in enumerate(result.results.items()):
        v = _voltages(each)
        if len(v):
            seen += v.tolist()
            layers.append(Lines(curve(np.linspace(0.0, 1.0, len(v)), v), _colour(k), 1.8, name=name))
    if not seen:
        return chart_sheet(title, None, "No case has voltages of buses.", "voltages")
    chart = axes_chart(300, (0.0, 1.0), "share of the buses", span(np.array(seen)), "pu", layers, percent="x")
    return chart_sheet(title, chart, "", "voltages")


def differing(result: CompareResult) -> Sheet:
    """Figures that differ between the cases: over the option in which these differ, or a row a case."""
    title, wide = f"{result.title}: {result.of}, figures that differ", result.wide
    names, panels = list(result.results), list[Panel]()
    for figure, *values in wide.iter_rows():
        y = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        if (
            figure in _APART
            or len({_value(figure, value) for value in values if value is not None}) < 2
            or len(panels) == MOST
        ):
            continue
        caption = label(figure)
        panels.append(Panel(f"figure-{figure}", _figure_chart(result, names, figure, y), caption, caption))
    return Sheet(title, tuple(panels)) if panels else chart_sheet(title, None, "No figure differs.")


def _figure_chart(result: CompareResult, names: list[str], figure: str, y: Floats) -> Chart:
    hover = tuple(f"{shorten(name, 40)}\n{label(figure)} {figures(value, 7)}" for name, value in zip(names, y))
    if result.axis is not None:
        option, values = result.axis
        x = np.array(values[: len(names)])
        order = np.argsort(x, kind="stable")
        layers: list[Layer] = [
            Lines(curve(x[order], y[order]), "@after", 1.8),
            Dots(numbers(x), numbers(y), 7.0, "@after", hover=hover),
        ]
        return axes_chart(220, span(x), option.replace("_", " "), span(y), "", layers)
    rows = -np.arange(len(names), dtype=np.float64)
    ticks = [(float(at), shorten(name, 18)) for at, name in zip(rows, names)]
    fills = tuple(_colour(k) for k in range(len(names)))
    dots = Dots(numbers(y), numbers(rows), 9.0, fills, hover=hover)
    return axes_chart(70 + 24 * len(names), span(y), label(figure), (0.6 - len(names), 0.6), "", [dots], y_ticks=ticks)


def of_study(result: CompareResult) -> dict[str, Callable[[CompareResult], Sheet]]:
    """The pictures of the study that show several results over each other, by their names."""
    pictures = vars(import_module(f"{study_of(result.of).place}.report")).get("COMPARED", {})

    def of(draw: Callable[[Mapping[str, Result]], Sheet]) -> Callable[[CompareResult], Sheet]:
        return lambda found: draw(found.results)

    return {name: of(draw) for name, draw in pictures.items()}


PICTURES: Mapping[str, Callable[[CompareResult], Sheet]] = {
    "figures": differing,
    "objectives": objectives,
    "voltages": voltages,
}
"""The figures that differ, objectives with bounds, voltages; before them those of the study, see `of_study`."""


def _voltages(result: object) -> Floats:
    buses: pl.DataFrame = getattr(result, "buses", pl.DataFrame())
    columns = [name for name in _VOLTAGES if name in buses.columns]
    return np.sort(buses[columns[0]].drop_nulls().to_numpy()) if columns else np.empty(0)


def _colour(k: int) -> str:
    return ISLES[k % len(ISLES)]


def page(result: CompareResult) -> m.Page:
    """What differs, what is the same, the pictures, and what is open in each case."""
    parts: list[m.Offered] = [
        _banner(result),
        s.remarks(result.notes),
        _endings(result),
        _figures(result, differ=True),
        _open(result),
        *(partial(_picture, name, draw, result) for name, draw in of_study(result).items() if result.results),
        lambda: _drawn("Figures that differ", differing(result)),
        lambda: _drawn("Objectives", objectives(result)),
        lambda: _drawn("Voltages", voltages(result)),
        lambda: t.table_section("Cases", result, "cases", "{} cases", ["case", "options", "ended", "open_branches"]),
        lambda: _figures(result, differ=False),
        lambda: _meanings(result),
    ]
    return m.page_of(result.grid, f"{result.of}, {len(result.options)} cases", parts)


def _picture(name: str, draw: Callable[[CompareResult], Sheet], result: CompareResult) -> m.Section | None:
    try:
        sheet = draw(result)
    except OptionError:  # there is nothing to show, as where no case has a plan
        return None
    return s.sheet_section(f"The cases over each other: {name}", sheet, long=True)


def _drawn(heading: str, sheet: Sheet) -> m.Section | None:
    return None if sheet.empty else s.sheet_section(heading, sheet)


def _banner(result: CompareResult) -> m.Banner:
    if len(result.results) < len(result.options):
        return m.Banner("warn", "Interrupted.", result.in_short)
    if result.exit_code:
        return m.Banner("warn", "Not all solved.", result.in_short)
    return m.Banner("good", "Solved.", result.in_short)


def _endings(result: CompareResult) -> m.Section:
    """How each case ended."""
    lines = tuple(f"{name}: {each.in_short}" for name, each in result.results.items())
    return m.section("Cases", m.Bullets(lines))


def _figures(result: CompareResult, *, differ: bool) -> m.Section | None:
    """The figures that differ between the cases, or that are the same in all."""
    names, rows = list(result.results), list[tuple[str | None, ...]]()
    methods = [each.method for each in result.results.values() if isinstance(each, Answer)]
    if len(methods) == len(names) and (len(set(methods)) > 1) == differ:
        rows.append(("method", *map(method_words, methods)))
    for figure, *values in result.wide.iter_rows():
        words = [_value(figure, value) for value in values]
        if (len(set(words)) > 1) == differ:
            rows.append((label(figure), *words))
    rows.sort(key=lambda row: row[0] == "seconds")
    if not rows:
        return None
    heading = "What differs" if differ else "The same in all cases"
    made = t.table(
        "differs" if differ else "same", f"{len(rows)} figure{'s' * (len(rows) > 1)}", ["figure", *names], rows
    )
    return m.section(heading, made, long=True)


def _value(figure: str, value: float | None) -> str | None:
    """A figure in words; a gap in percent."""
    if value is None or figure == "gap":
        return None if value is None else f"{100.0 * value:.4f} %"
    return figures(round(value, 9), 3 if figure == "seconds" else 7)


def _open(result: CompareResult) -> m.Section | None:
    """Branches that are open in some case and closed in another."""
    found: dict[str, set[str]]
    found = {name: set(each.open_branches) for name, each in result.results.items() if isinstance(each, SwitchedResult)}
    found = {name: opened for name, opened in found.items() if opened}
    if len(found) < 2:
        return None
    counts = {name: sum(name in opened for opened in found.values()) for name in result.grid.branches()["name"]}
    order = [name for name, count in counts.items() if 0 < count < len(found)]
    if not order:
        return m.section("Open points", m.Words("The same branches are open in all cases."))
    rows: list[tuple[str, ...]]
    rows = [(branch, *("open" if branch in opened else "" for opened in found.values())) for branch in order]
    made = t.table("open", f"{len(rows)} branches are open in some cases only", ["branch", *found], rows)
    return m.section("Open points", made, long=True)


def _meanings(result: CompareResult) -> m.Section | None:
    """What the figures are, as the schema of the study says."""
    keys = study_of(result.of).shape.keys
    shown = [figure for figure in result.wide["figure"] if figure in keys]
    items = tuple(f"{label(figure)}: {keys[figure]['description']}" for figure in shown)
    return m.section("What the figures are", m.Bullets(items), long=True) if items else None
