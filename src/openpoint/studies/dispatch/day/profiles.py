"""Pictures of a day by period: of one answer in its cases, and of several answers over each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.report.charts import Timeline, scale_of
from openpoint.report.drawing import ISLES, Layer, Lines, Panel, Sheet, curve, span
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import figures as digits
from openpoint.report.scene import numbers as column
from openpoint.studies.dispatch.day.result import DispatchDayResult

ROWS = 40
"""Buses or branches that a picture by period has rows for."""
DUST = 1e-6
"""kW, and pu, below which a figure is what solvers leave of 0."""
LINES = ("@after", "@islea", "@islef", "@isleb", "@islee", "@islec", "@isled", "@line")
"""Colours of lines of one kind: of units and stores."""
LOOKS = {"today": ("@before", "today"), "forecast": ("@after", "as forecast"), "worst": ("@opens", "at worst")}


@dataclass(frozen=True)
class Course:
    """How a day goes: a result in one of its cases, with the name and the colour of its lines."""

    result: DispatchDayResult
    case: str
    name: str
    colour: str

    def of(self, figure: str, table: str = "periods") -> Floats:
        """(T) a figure of a table, its sum where the table has several rows of a period."""
        rows: pl.DataFrame = getattr(self.result, table)
        rows = rows.filter(case=self.case) if "case" in rows.columns else rows
        if table == "periods":
            return column(rows, figure)
        found: Floats = column(rows.group_by("period", maintain_order=True).agg(pl.col(figure).sum()), figure)
        return found


def times_of(result: DispatchDayResult) -> Timeline:
    """The periods of a day as the axis that its charts share."""
    periods = result.periods.filter(case="today")
    return Timeline(np.concatenate([[0.0], np.cumsum(column(periods, "hours"))]), tuple(periods["period"]))


def courses(result: DispatchDayResult) -> list[Course]:
    """The cases of a result; at worst only where something deviates."""
    cases = ["today"]
    if result.voltages["v_forecast_pu"].is_not_null().any():
        cases += ["forecast", *["worst"] * bool(result.uncertainty["deviates"].any())]
    return [Course(result, case, LOOKS[case][1], LOOKS[case][0]) for case in cases]


def answers(results: Mapping[str, DispatchDayResult]) -> list[Course]:
    """Several answers, each in its worst realisation; one that is missing as today."""
    return [replace(courses(each)[-1], name=name, colour=ISLES[k % len(ISLES)])
            for k, (name, each) in enumerate(results.items())]  # fmt: skip


def _lines(times: Timeline, some: Sequence[Course], caption: str, *kinds: tuple[str, str, tuple[float, ...]]) -> Panel:
    """A chart of a line for every course and kind of figures: what it is, its table, and how it is dashed."""
    layers: list[Layer] = []
    seen = [np.zeros(0)]
    for figure, table, dash in kinds:
        for each in some:
            values = each.of(figure, table)
            seen.append(values)
            layers.append(Lines(times.line(values), each.colour, 1.8, dash=dash, name=each.name))
    return _panel(times, caption, layers, np.concatenate(seen))


def _panel(times: Timeline, caption: str, layers: Sequence[Layer], values: Floats, height: float = 165) -> Panel:
    identity = "day-" + "-".join(word for word in caption.split(",")[0].lower().split() if word.isalpha())
    return Panel(identity, times.chart(height, span(values, share=0.08), layers), caption, caption)


def _sheet(some: Sequence[Course], what: str, panels: Sequence[Panel]) -> Sheet:
    """The panels as rows along the hours, the last with the names of the periods."""
    times, result = times_of(some[0].result), some[0].result
    rows = (*panels[:-1], replace(panels[-1], chart=times.last(panels[-1].chart)))
    return Sheet(f"{result.title}, {result.day}: {what}", rows, stacked=True)


def _cells(
    times: Timeline, rows: pl.DataFrame, names: str, figure: str, unit: str, caption: str, *, centred: bool = True
) -> Panel:
    """A row for each name in a column, of more than `ROWS` those with the greatest figures, and a cell a period."""
    named = rows[names].unique(maintain_order=True).to_list()
    values = column(rows, figure).reshape(len(times.names), len(named)).T
    scale = scale_of("", values, unit, centred=centred)
    size = np.nan_to_num(np.abs(values - 0.5 * (scale.low + scale.high))).max(axis=1)
    kept = np.sort(np.argsort(-size, kind="stable")[:ROWS])
    left = f"; {len(named) - len(kept)} with smaller figures left out" if len(kept) < len(named) else ""
    low, high = ("blue", "red") if centred else ("dark", "bright")
    caption += f", from {digits(scale.low)} {unit} ({low}) to {digits(scale.high)} {unit} ({high}){left}"
    return Panel(f"day-cells-{figure}", times.cells([named[k] for k in kept], values[kept], scale), caption, caption)


def demand(result: DispatchDayResult) -> Sheet:
    """Active and reactive load by period, and where and when load is moved and shed."""
    some, times = courses(result), times_of(result)
    panels = [
        _lines(times, some, "Load that is served, kW (dashed: what comes)",
               ("served_kw", "demand", ()), ("realised_kw", "demand", (4.0, 3.0))),
        _lines(times, some, "Reactive load that is served, kvar (dashed: what comes)",
               ("served_kvar", "demand", ()), ("realised_kvar", "demand", (4.0, 3.0))),
    ]  # fmt: skip
    rows = result.demand.filter(case=some[-1].case)
    told = (
        ("moved_kw", "kW", "Load that comes from other buses (below 0: goes there)"),
        ("moved_kvar", "kvar", "Reactive load that comes from other buses"),
        ("shifted_kw", "kW", "Load that is moved in time (below 0: away)"),
        ("shed_kw", "kW", "Load that is shed"),
    )
    for name, unit, words in told:
        if np.any(np.abs(np.nan_to_num(column(rows, name))) > DUST):
            panels.append(_cells(times, rows, "bus", name, unit, f"{words}, {some[-1].name}"))
    what = "load, and what of it is moved and shed" if len(panels) > 2 else "load; none of it is moved or shed"
    return _sheet(some, what, panels)


def stores(result: DispatchDayResult) -> Sheet:
    """Power and content of every store.

    Raises:
        OptionError: there are none, or there is no plan.
    """
    if result.stores.is_empty():
        raise OptionError("there are no stores with a plan to draw; draw another kind")
    times, power, content = times_of(result), list[Layer](), list[Layer]()
    seen: list[Floats] = []
    for k, name in enumerate(result.stores["name"].unique(maintain_order=True)):
        here = result.stores.filter(name=name)
        dash = (4.0, 3.0) if here["kind"][0] == "vehicle" else ()
        look = {"dash": dash, "name": shorten(name, 18)}
        kw = column(here, "discharge_kw") - column(here, "charge_kw")
        seen.append(kw)
        there = here["present"].to_numpy()
        power.append(Lines(times.line(np.where(there, kw, np.nan)), LINES[k % len(LINES)], 1.8, **look))  # type: ignore[arg-type]
        content.append(Lines(curve(times.edges, held_kwh(here)), LINES[k % len(LINES)], 1.8, **look))  # type: ignore[arg-type]
    panels = [
        _panel(times, "Power, kW: discharge above 0, charge below (dashed: vehicles)", power, np.concatenate(seen)),
        _panel(times, "Content, kWh", content, np.append(column(result.stores, "end_kwh"), 0.0)),
    ]
    return _sheet(courses(result), "charge, discharge and content of the stores", panels)


def held_kwh(rows: pl.DataFrame) -> Floats:
    """(T + 1) what a store holds at the begin and end of the periods, of its rows; nan while it is not there."""
    level = np.append(np.nan, column(rows, "end_kwh"))
    level[:-1] = np.where(np.isnan(level[:-1]), column(rows, "start_kwh"), level[:-1])
    return level


def voltages(result: DispatchDayResult) -> Sheet:
    """Lowest, mean and highest voltage by period, and that of every bus."""
    some, times = courses(result), times_of(result)
    names = (("v_min_pu", "Lowest"), ("v_mean_pu", "Mean"), ("v_max_pu", "Highest"))
    panels = [_lines(times, some, f"{word} voltage, pu", (name, "periods", ())) for name, word in names]
    figure, caption = f"v_{some[-1].case}_pu", f"Voltage of every bus, {some[-1].name}"
    panels.append(_cells(times, result.voltages, "bus", figure, "pu", caption, centred=False))
    return _sheet(some, "voltages", panels)


def purchase(result: DispatchDayResult) -> Sheet:
    """Active and reactive power that the sources deliver, and the losses."""
    return _sheet(courses(result), "purchase and losses", _bought(courses(result)))


def _bought(some: Sequence[Course]) -> list[Panel]:
    names = (
        ("source_kw", "Active power of the sources, kW"),
        ("source_kvar", "Reactive power of the sources, kvar"),
        ("loss_kw", "Losses, kW"),
    )
    return [_lines(times_of(some[0].result), some, word, (name, "periods", ())) for name, word in names]


def units(result: DispatchDayResult) -> Sheet:
    """Active and reactive power of every generator.

    Raises:
        OptionError: there are none, or there is no plan.
    """
    if result.generators.is_empty():
        raise OptionError("there are no generators with a plan to draw; draw another kind")
    times, panels = times_of(result), []
    for figure, caption in (("p_kw", "Active power, kW"), ("q_kvar", "Reactive power, kvar")):
        rows = {
            name: result.generators.filter(name=name) for name in result.generators["name"].unique(maintain_order=True)
        }
        layers: list[Layer] = [
            Lines(times.line(column(each, figure)), LINES[k % len(LINES)], 1.8, name=shorten(name, 18))
            for k, (name, each) in enumerate(rows.items())
        ]
        panels.append(_panel(times, caption, layers, column(result.generators, figure)))
    return _sheet(courses(result), "output of the generators", panels)


def flows(result: DispatchDayResult) -> Sheet:
    """What flows into every branch, by period."""
    some, times = courses(result)[-1], times_of(result)
    rows = result.flows.filter(case=some.case)
    rows = rows.with_columns(pl.when("closed").then(pl.col(name)).alias(name) for name in ("p_from_kw", "q_from_kvar"))
    found = (("p_from_kw", "kW", "Active"), ("q_from_kvar", "kvar", "Reactive"))
    panels = [
        _cells(
            times, rows, "name", name, unit, f"{word} power at the from end of each branch, {some.name}; blank: open"
        )
        for name, unit, word in found
    ]
    return _sheet([some], "flows of the branches", panels)


def compared(results: Mapping[str, DispatchDayResult]) -> Sheet:
    """Several answers over each other: load, purchase, losses, voltages, units, stores, load that is moved and shed."""
    found = answers(results)
    times = times_of(found[0].result)
    some = [each for each in found if times_of(each.result).names == times.names]
    left = f"; {len(found) - len(some)} with other periods left out" if len(some) < len(found) else ""
    more = (
        ("served_kw", "demand", "Load that is served, kW"),
        ("served_kvar", "demand", "Reactive load that is served, kvar"),
        ("moved_kw", "periods", "Load moved to other buses, kW"),
        ("shifted_kw", "periods", "Load moved in time, kW: above 0 it is higher"),
        ("shed_kw", "periods", "Load shed, kW"),
        ("stores_kw", "periods", "Batteries, kW: discharge above 0, charge below"),
        ("end_kwh", "stores", "Content of the stores and vehicles, kWh"),
        ("v_min_pu", "periods", "Lowest voltage, pu"),
        ("v_mean_pu", "periods", "Mean voltage, pu"),
        ("v_max_pu", "periods", "Highest voltage, pu"),
        ("generators_kw", "periods", "Active power of the generators, kW"),
    )
    panels = _bought(some)
    for name, table, caption in more:
        if any(np.any(np.abs(np.nan_to_num(each.of(name, table))) > DUST) for each in some):
            panels.append(_lines(times, some, caption, (name, table, ())))
    return _sheet(some, f"{len(some)} cases, each at worst{left}", panels)
