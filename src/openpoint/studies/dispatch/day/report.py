"""The report of a dispatch over a day: the timeline, cost by part, what is decided when, the grid, and all tables."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.errors import OptionError
from openpoint.names import join_names
from openpoint.report.charts import Timeline, axes_chart, chart_sheet, convergence_sheet
from openpoint.report.drawing import Areas, Dots, Layer, Lines, Panel, Rule, Sheet, Words, curve, numbers, span, steps
from openpoint.report.grids import grid_sheet, grids_sheet
from openpoint.report.layout.place import shorten
from openpoint.report.numerals import figures, number, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables
from openpoint.report.scene import Scene, State, scene_of
from openpoint.report.scene import numbers as column
from openpoint.results.violation import Violation
from openpoint.studies.dispatch.day import profiles
from openpoint.studies.dispatch.day.result import DispatchDayResult
from openpoint.studies.dispatch.day.schema import CASES

MOST = 5
"""Topologies of the answer that are drawn."""


def day_scene(result: DispatchDayResult) -> Scene:
    """The scene of a result; where there is no plan it shows today."""
    grid = result.grid
    branches = grid.branches().select("name").join(result.branches, on="name", how="left", maintain_order="left")
    limits = grid.buses.select("name").join(
        result.voltages.unique("bus", maintain_order=True).select(name="bus", low="v_min_pu", high="v_max_pu"),
        on="name", how="left", maintain_order="left",
    )  # fmt: skip
    names = tuple(branches["name"])
    today = branches["closed_today"].to_numpy().astype(bool)
    periods = [period for period, _ in result.open_points]
    states = {"before": _state(result, branches, "today", "before", "Today, as forecast", today, periods)}
    case = "worst" if result.voltages["v_worst_pu"].is_not_null().any() else "forecast"
    text = "at worst" if result.uncertainty["deviates"].any() else "as forecast"
    for k, (opened, some) in enumerate(_topologies(result)[:MOST]):
        closed = np.array([name not in opened for name in names], dtype=np.bool_)
        when = "" if len(some) == len(periods) else f", {some[0]}" + (" …" if len(some) > 1 else "")
        key = "after" if k == 0 else f"after {k}"
        states[key] = _state(result, branches, case, key, f"Answer, {text}{when}", closed, some)
    voltages = column(limits, "low"), column(limits, "high")
    return scene_of(grid, names, states, (*voltages, column(branches, "i_max_a")), feasible=result.has_answer)


def _topologies(result: DispatchDayResult) -> list[tuple[frozenset[str], list[str]]]:
    """The different sets of open branches of the answer in the order in which they come, with their periods."""
    found: dict[frozenset[str], list[str]] = {}
    if result.voltages["v_forecast_pu"].is_not_null().any():
        for period, opened in result.open_points:
            found.setdefault(frozenset(opened), []).append(period)
    return list(found.items())


def _state(
    result: DispatchDayResult,
    branches: pl.DataFrame,
    case: str,
    key: str,
    title: str,
    closed: Bools,
    periods: list[str],
) -> State:
    here = result.voltages.filter(pl.col("period").is_in(periods))
    lowest = here.group_by("bus", maintain_order=True).agg(pl.col(f"v_{case}_pu").min())
    order = result.grid.buses.select(bus="name").join(lowest, on="bus", how="left", maintain_order="left")
    i = column(branches, f"i_{case}_a")
    rating = column(branches, "i_max_a") / column(branches, "loading_limit_percent")
    unknown = np.full(branches.height, np.nan)
    broken = tuple(
        Violation(each.kind, each.name, each.value or 0.0, each.limit or 0.0)
        for each in result.violations
        if each.case == case and each.period in periods and each.kind in ("voltage low", "voltage high", "current")
    )
    return State(
        key=key,
        title=title,
        loss_kw=None,
        v=column(order, f"v_{case}_pu"),
        closed=closed,
        i=i,
        loading=i / rating,
        p=unknown,
        q=unknown,
        loss=unknown,
        violations=broken,
    )


ROWS = 24
"""Branches that are open at some time; beyond it only those that are switched are drawn."""
_FED: tuple[tuple[str, str, str], ...] = (
    ("source_kw", "sources", "#9aa5b1"),
    ("generators_kw", "generators", "@islee"),
    ("wind_kw", "wind", "@islea"),
    ("solar_kw", "solar", "@islec"),
    ("stores_kw", "batteries", "@after"),
    ("vehicles_kw", "vehicles", "@isleb"),
    ("shed_kw", "load shed", "@broken"),
)
_PLANS = {"today": "today's plan, as forecast", "forecast": "the answer as forecast", "worst": "the answer at worst"}


def timeline(result: DispatchDayResult) -> Sheet:
    """Price, what supplies the load, what is in store, voltages and open points; without a plan those of today."""
    planned = bool(result.voltages["v_forecast_pu"].is_not_null().any())
    uncertain = bool(result.uncertainty["deviates"].any())
    cases = ["forecast"] * planned + ["worst"] * (planned and uncertain) or ["today"]
    times = profiles.times_of(result)
    panels = [_price(result, times), *(_stack(result, times, case) for case in cases)]
    if result.stores.height:
        panels.append(_stores(result, times))
    states = [opened for _, opened in result.open_points]
    opened = times.open_points(result.grid, states, result.open_today, result.switches["name"].to_list(), ROWS)
    panels.append(_voltages(result, times, ["today", *cases] if planned else cases, last=opened is None))
    if opened is not None:
        panels.append(Panel("day-open", opened, "Open branches", "Open branches by period"))
    means = f", {result.objective_means}" if result.uncertain else ""
    value = f"${result.objective_usd:,.2f}{means}" if result.has_answer else result.termination.value
    note = "Below 0: it charges, or flows back into the sources."
    return Sheet(f"{result.title}, {result.day}: {value}", tuple(panels), note=note, stacked=True)


def _price(result: DispatchDayResult, times: Timeline) -> Panel:
    price = 100.0 * column(result.periods.filter(case="today"), "price_usd_per_kwh")
    y = (min(0.0, 1.15 * float(price.min())), 1.2 * max(float(price.max()), 1e-9))
    caption = "Price of the energy of the sources, ¢/kWh"
    return Panel("day-price", times.chart(65, y, [Lines(times.line(price), "@ink", 1.8)]), caption, caption)


def _stack(result: DispatchDayResult, times: Timeline, case: str) -> Panel:
    """What feeds in above 0, what charges or flows back below; a line is the load."""
    here = result.periods.filter(case=case)
    high, low = np.zeros(here.height), np.zeros(here.height)
    layers: list[Layer] = []
    told = [f"{name}" for name in times.names]
    for name, label, colour in _FED:
        values = np.nan_to_num(column(here, name))
        ways: list[list[float]] = []
        for base, part in ((high, np.maximum(values, 0.0)), (low, np.minimum(values, 0.0))):
            if np.any(np.abs(part) > 1e-6):
                ways += times.band(base, base + part)
            base += part
        if ways:
            shed = name == "shed_kw"
            layers.append(Areas(ways, "@paper" if shed else colour, 1.0 if shed else 0.85, colour, 1.0 * shed, label))
            told = [f"{text}\n{label} {figures(kw)} kW" if kw else text for text, kw in zip(told, values, strict=True)]
    load, loss = column(here, "load_kw"), column(here, "loss_kw")
    layers.append(Lines(times.line(load), "@ink", 2.0, name="load"))
    told = [f"{text}\nload {figures(kw)} kW" for text, kw in zip(told, load, strict=True)]
    middles = [times.middle(t) for t in range(len(load))]
    layers.append(Dots(list(middles), numbers(load), 0.0, "", name="load", hover=tuple(told)))
    most, least = max(high.max(initial=0.0), float(np.nanmax(load, initial=1e-9))), min(low.min(initial=0.0), 0.0)
    if case == "worst":
        layers += _deviations(result, times, 1.1 * most)
    lost = float(np.nansum(loss * np.diff(times.edges)))
    caption = f"{_PLANS[case].capitalize()}: what supplies the load (line), kW; {lost:,.0f} kWh lost"
    rules = [Rule("y", 0.0, "", "@soft")]
    return Panel(f"day-{case}", times.chart(170, (1.08 * least, 1.1 * most), layers, rules=rules), caption, caption)


def _deviations(result: DispatchDayResult, times: Timeline, top: float) -> list[Layer]:
    """Over the periods in which something deviates, which group and in which direction; in a future nearly all do."""
    if result.futures.height:
        return []
    moved = result.uncertainty.filter("deviates").with_columns(up=pl.col("worst") > 1.0)
    spans: list[list[float]] = []
    places: list[tuple[float, float, str]] = []
    for t, name in enumerate(times.names):
        here = moved.filter(period=name).select("group", "up").iter_rows()
        marks = dict.fromkeys(f"{group}{'↑' if up else '↓'}" for group, up in here)
        if marks:
            spans.append(times.box(t, 0.0, top))
            places += [(times.middle(t), top * (0.95 - 0.075 * k), text) for k, text in enumerate(marks)]
    if not spans:
        return []
    x, y, texts = zip(*places)
    return [Areas(spans, "@opens", 0.09), Words(list(x), list(y), texts, "@opens", 8.0, centred=True)]


def _stores(result: DispatchDayResult, times: Timeline) -> Panel:
    """What is in store, a share of the most; a vehicle while it is there, dashed."""
    layers: list[Layer] = []
    for k, name in enumerate(result.stores["name"].unique(maintain_order=True)):
        here = result.stores.filter(name=name)
        share = 100.0 * profiles.held_kwh(here) / max(float(here["max_kwh"][0]), 1e-9)
        dash = (4.0, 3.0) if here["kind"][0] == "vehicle" else ()
        colour = profiles.LINES[k % len(profiles.LINES)]
        layers.append(Lines(curve(times.edges, share), colour, 1.8, dash=dash, name=shorten(name, 18)))
    caption = "In store, % of the most (dashed: vehicles)"
    return Panel("day-stores", times.chart(125, (0.0, 105.0), layers), caption, caption)


def _voltages(result: DispatchDayResult, times: Timeline, cases: list[str], *, last: bool) -> Panel:
    """From the lowest to the highest voltage of all buses."""
    layers: list[Layer] = []
    seen: list[Floats] = []
    for case in cases:
        here = result.periods.filter(case=case)
        low, high = column(here, "v_min_pu"), column(here, "v_max_pu")
        colour, name = profiles.LOOKS[case]
        seen += [low, high]
        if case == "today":
            layers.append(Areas(times.band(low, high), colour, 0.3, name=name))
        elif np.isfinite(low).any():
            layers.append(Lines([*times.line(low), *times.line(high)], colour, 1.8, name=name))
    limits = result.voltages.select(pl.col("v_min_pu").drop_nulls().max(), pl.col("v_max_pu").drop_nulls().min()).row(0)
    rules = [Rule("y", value) for value in limits if value is not None]
    y = span(np.concatenate([*seen, [rule.at for rule in rules]]), share=0.08)
    caption = "Lowest and highest voltage of all buses, pu (dashed: limits)"
    return Panel("day-voltages", times.chart(125, y, layers, rules=rules, last=last), caption, caption)


def futures(result: DispatchDayResult) -> Sheet:
    """The distribution function of the costs of the futures, with the number that is minimised.

    Raises:
        OptionError: there are no futures.
    """
    if result.futures.is_empty():
        raise OptionError("there are no futures to draw; give futures, or draw another kind")
    table = result.futures.sort("cost_usd")
    costs, shares = column(table, "cost_usd"), column(table, "probability")
    shares = np.cumsum(np.where(np.isfinite(shares), shares, 1.0 / len(shares)))
    hover = tuple(f"{shorten(name, 40)}\n${cost:,.2f}" for name, cost in zip(table["future"], costs))
    layers: list[Layer] = [
        Lines(steps(costs, shares), "@after", 1.8),
        Dots(numbers(costs), numbers(shares), 5.0, "@after", hover=hover),
    ]
    value = result.objective_usd
    rules = [] if value is None else [Rule("x", value, str(result.risk), "@opens")]
    x = span(np.append(costs, [] if value is None else value))
    y_title = "probability of at most this cost"
    chart = axes_chart(340, x, "cost of the day, $", (0.0, 1.02), y_title, layers, rules=rules)
    return chart_sheet(f"{result.title}, {result.day}: {len(costs)} futures", chart, "")


_MARKS = (
    ("mean_usd", "circle", "mean"),
    ("p95_usd", "plus", "95th percentile"),
    ("tail_usd", "diamond", "mean of the worst 5 %"),
    ("max_usd", "cross", "highest"),
)


def samples(result: DispatchDayResult) -> Sheet:
    """A row a plan, today's apart, which would hide the differences between the others.

    Raises:
        OptionError: no days were drawn.
    """
    table = result.samples.filter(pl.col("plan") != "today")
    if table.is_empty():
        raise OptionError("no days were drawn at random; give samples, or draw another kind")
    y = -np.arange(table.height, dtype=np.float64)
    lines = [[low, at, high, at] for low, at, high in zip(table["mean_usd"], y.tolist(), table["max_usd"])]
    layers: list[Layer] = [Lines(lines, "@soft", 1.4)]
    for name, shape, label in _MARKS:
        hover = tuple(f"{plan}\n{label} ${cost:,.2f}" for plan, cost in table.select("plan", name).iter_rows())
        look = {"edge": "@after", "width": 2.0, "name": label, "hover": hover}
        layers.append(Dots(numbers(column(table, name)), numbers(y), 9.0, "@after", shape, **look))  # type: ignore[arg-type]
    days = column(table, "days")
    shares: list[Layer] = [
        Areas([_bar(100.0 * v, at + 0.18) for v, at in zip(column(table, name) / days, y)], colour, name=label)
        for name, colour, label in (("shed_days", "@opens", "load shed"),)
    ]
    shares.append(
        Areas([_bar(100.0 * v, at - 0.18) for v, at in zip(column(table, "outside_days") / days, y)], "@broken",
              name="outside limits")
    )  # fmt: skip
    most = 100.0 * float(np.nanmax(np.concatenate([column(table, n) / days for n in ("shed_days", "outside_days")])))
    ticks, rows = list(zip(y.tolist(), table["plan"])), (0.6 - table.height, 0.6)
    tall = 80 + 34 * table.height
    x = span(np.concatenate([column(table, name) for name, _, _ in _MARKS]))
    costs = axes_chart(tall, x, "cost of a day, $", rows, "", layers, y_ticks=ticks)
    broken = axes_chart(tall, (0.0, max(1.05 * most, 1.0)), "share of the days, %", rows, "", shares, y_ticks=ticks)
    title = f"{result.title}, {result.day}: {table['days'][0]} days drawn at random"
    panels = (
        Panel("samples-costs", costs, "Costs", "Costs of the plans in days drawn at random"),
        Panel("samples-days", broken, "Days", "Shares of the days with load shed or limits broken"),
    )
    return Sheet(title, panels)


def _bar(share: float, at: float) -> list[float]:
    return [0.0, at - 0.17, share, at - 0.17, share, at + 0.17, 0.0, at + 0.17]


def grid(result: DispatchDayResult, scene: Scene | None = None) -> Sheet:
    """Open points today and in the answer, with the lowest voltages and highest currents of the day."""
    return grid_sheet(scene or day_scene(result), f"{result.title}: {result.to_do() or result.termination.value}")


PICTURES: Mapping[str, Callable[[DispatchDayResult], Sheet]] = {
    "day": timeline,
    "grid": grid,
    "demand": profiles.demand,
    "purchase": profiles.purchase,
    "units": profiles.units,
    "stores": profiles.stores,
    "voltages": profiles.voltages,
    "flows": profiles.flows,
    "convergence": convergence_sheet,
    "futures": futures,
    "samples": samples,
}
"""The timeline, open points on the grid, load and what of it is moved and shed, purchase, output of the generators,
stores, voltages, flows of the branches, the bounds, the costs of the futures in order, plans in random days."""
COMPARED = {"day": profiles.compared, "grid": partial(grids_sheet, day_scene)}
"""Pictures of several results over each other."""


def page(result: DispatchDayResult) -> m.Page:
    """The report of a result."""
    scene = cache(lambda: day_scene(result))
    text = "Voltages are the lowest, currents the highest of the day."
    parts = [
        _rest(result),
        _cards(result),
        _limits(result),
        lambda: s.sheet_section("Timeline", timeline(result), long=True),
        lambda: s.sheet_section("Load", profiles.demand(result), long=True),
        lambda: s.sheet_section("Purchase and losses", profiles.purchase(result), long=True),
        lambda: s.sheet_section("Generators", profiles.units(result), long=True) if result.generators.height else None,
        lambda: s.sheet_section("Stores", profiles.stores(result), long=True) if result.stores.height else None,
        lambda: s.sheet_section("Voltages", profiles.voltages(result), long=True),
        lambda: s.sheet_section("Flows", profiles.flows(result), long=True),
        tables.table_section("Cost by part", result, "costs", "Of the day", ["part"], last=["definition"], long=False),
        _decided(result),
        _switching(result),
        lambda: s.grid_section(scene(), grid(result, scene()), note=text),
        _futures(result),
        _uncertainty(result),
        _proofs(result),
        _samples(result),
        _periods(result),
        lambda: s.convergence_section(result),
        lambda: _tables(result),
    ]
    what = f"dispatch over the rest of a day, from {result.now} on" if result.hours_passed else "dispatch over a day"
    return s.answer_page(result, what, parts, none="No plan found")


def _rest(result: DispatchDayResult) -> m.Section | None:
    if not result.hours_passed:
        return None
    begun = f"From {result.now} on; {result.hours_passed:g} h have passed. All figures are of the rest alone."
    return m.section("The rest of the day", m.Words(begun))


def _periods(result: DispatchDayResult) -> m.Section | None:
    """The day by period, in the worst realisation where there is one that differs."""
    case = "worst" if result.uncertainty["deviates"].any() else "forecast"
    worst = "dearest future" if result.futures.height else "worst realisation"
    heading = f"The day in its {worst}" if case == "worst" else "The day as forecast"
    frame, of = result.periods.filter(case=case), f"periods-{case}"
    return tables.table_section(heading, result, "periods", "{} periods", ["period"], frame=frame, identity=of)


def _cards(result: DispatchDayResult) -> m.Cards:
    def of(figure: str, digits: int, unit: str) -> str:
        return " → ".join(number(result.total(figure, case), digits) for case in CASES) + f" {unit}"

    bound = f"lower bound {usd(result.lower_bound_usd)}" if math.isfinite(result.lower_bound_usd) else ""
    costs = " → ".join(usd(result.total("cost_usd", case)) for case in CASES)
    lowest = " → ".join(number(result.total("v_min_pu", case), 4) for case in CASES)
    highest = " → ".join(number(result.total("v_max_pu", case), 4) for case in CASES)
    broken = (
        f"today {result.violations_today} limits are broken"
        if result.violations_today
        else "also today all limits hold"
    )
    kept = "All limits asked for hold." if result.has_answer and not result.violations else ""
    balance = "" if result.balance_max_kw is None else f"energy balance to {result.balance_max_kw:.0e} kW"
    return m.cards(
        m.Card("Cost: today → forecast → worst", costs, (f"minimised {result.objective_means}",)),
        m.Card("To do", f"{result.operations} to switch" if result.has_answer else "–", (result.to_do(),)),
        s.gap_card(result, bound),
        m.Card("Energy bought", of("purchased_kwh", 0, "kWh"), (f"lost {of('loss_kwh', 0, 'kWh')}",)),
        m.Card("Voltages", f"{lowest} pu", (f"highest {highest} pu", broken)),
        m.Card("Uncertain", "; ".join(result.uncertain) or "nothing", (_not_served(result),)),
        *_proved(result),
        s.check_card(result.ac_max_mismatch_pu, kept, balance),
        s.effort_card(result, result.why_method),
    )


def _not_served(result: DispatchDayResult) -> str:
    shed, lost = (
        " → ".join(number(result.total(name, case), 1) for case in CASES) for name in ("shed_kwh", "curtailed_kwh")
    )
    return f"load shed {shed} kWh, renewables not taken {lost} kWh"


def _proved(result: DispatchDayResult) -> list[m.Card]:
    """In how many periods limits hold for every realisation."""
    proved, worst = result.proved_periods, result.proved_worst_usd
    if proved is None:
        return []
    open_ = result.proofs.filter(~pl.col("proved"))["period"].unique(maintain_order=True)
    missing = f"open: {join_names(open_)}" if len(open_) else "limits hold in exact AC, whatever comes of the set"
    cost = "" if worst is None else f"no realisation costs more than {usd(worst)} with the policy of recourse"
    return [m.Card("Proved for every realisation", f"{proved} of {result.period_count} periods", (missing, cost))]


def _proofs(result: DispatchDayResult) -> m.Section | None:
    if result.proofs.is_empty():
        return None
    caption = "Bounds in exact AC for every realisation of a part of the set of a period, with its policy of recourse"
    names = ["period", "part", "proved", "why"]
    return tables.table_section("For every realisation", result, "proofs", caption, names)


def _decided(result: DispatchDayResult) -> m.Section:
    listed = tables.table("decided", "What is decided when", ["what", "when", "in words"], result.decided.iter_rows())
    return m.section("What is decided when", listed)


def _switching(result: DispatchDayResult) -> m.Section | None:
    if not result.has_answer:
        return None
    if result.switches.is_empty():
        return m.section("Switching list", m.Words("Nothing to switch: the open points stay where they are all day."))
    shown = result.switches.with_columns(
        pl.col("kind").replace_strict(tables.KINDS),
        pl.col("action").replace_strict({"close": "closes", "open": "opens"}),
    )
    texts = {
        "period": "period",
        "action": "action",
        "name": "branch",
        "kind": "kind",
        "from_bus": "from bus",
        "to_bus": "to bus",
    }
    caption = "{} operations, the first period against today"
    below = m.Words("Not an order of switching within a period.", small=True)
    return tables.table_section(
        "Switching list", result, "switches", caption, texts, frame=shown, below=below, long=False
    )


def _uncertainty(result: DispatchDayResult) -> m.Section | None:
    deviating = result.uncertainty.filter("deviates")
    if not result.uncertainty.height:
        return None
    title = "The dearest future" if result.futures.height else "The worst realisation"
    if deviating.is_empty():
        return m.section(title, m.Words("Nothing deviates in it, or there is no plan."))
    texts = ["period", "quantity", "group"]
    return tables.table_section(title, result, "uncertainty", "What deviates", texts, frame=deviating)


def _futures(result: DispatchDayResult) -> m.Section | None:
    if result.futures.is_empty():
        return None
    caption = f"The answer in each future, by exact AC power flow; minimised: {result.risk}"
    return tables.table_section(
        "Futures", result, "futures", caption, ["future"], search=True, above=s.shown(futures(result))
    )


def _samples(result: DispatchDayResult) -> m.Section | None:
    if result.samples.is_empty():
        return None
    drawn = s.shown(samples(result)) if result.samples["plan"].n_unique() > 1 else None
    caption = "Each plan operated in the same days drawn at random, whatever the budget is, by exact AC power flow"
    return tables.table_section("Out of sample", result, "samples", caption, ["plan"], above=drawn)


def _limits(result: DispatchDayResult) -> m.Section | None:
    caption = f"Limits broken by the {'answer' if result.has_answer else 'plan of least violation'} ({{}})"
    names, text = ["case", "period", "kind", "name", "value", "limit", "unit"], m.Words(_RELAX)
    return tables.table_section("Limits", result, "violations", caption, names, identity="broken", low=True, above=text)


_RELAX = "Relax these limits, free more, or reinforce here."


def _tables(result: DispatchDayResult) -> list[m.Section | None]:
    shown: tuple[tuple[str, str, pl.DataFrame, list[str]], ...] = (
        ("Periods", "periods", result.periods, ["period", "case"]),
        ("Stores", "stores", result.stores.filter("present"), ["period", "name", "kind", "bus"]),
        ("Generators", "generators", result.generators.filter("on"), ["period", "name", "bus"]),
        ("Renewable sources", "renewables", result.renewables, ["period", "case", "name", "kind", "bus"]),
        ("Sources", "sources", result.sources, ["period", "case", "name", "bus"]),
        ("Load moved and shed", "demand", _not_as_it_comes(result.demand), ["period", "case", "bus"]),
        ("Devices", "devices", result.devices, ["period", "kind", "name"]),
        ("Branches", "branches", result.branches, ["name", "from_bus", "to_bus"]),
    )
    return [
        tables.table_section(heading, result, name, "{} rows", texts, frame=frame, search=True)
        for heading, name, frame, texts in shown
    ]


def _not_as_it_comes(demand: pl.DataFrame) -> pl.DataFrame:
    """The rows of load of which something is moved or shed."""
    names = [f"{what}_{unit}" for what in ("shifted", "moved", "shed") for unit in ("kw", "kvar")]
    return demand.filter(pl.any_horizontal(pl.col(name).abs() > profiles.DUST for name in names))
