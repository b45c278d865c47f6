"""The report of a power flow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache

import polars as pl

from openpoint.report.charts import loading_sheet, voltage_sheet
from openpoint.report.drawing import Sheet
from openpoint.report.grids import grid_sheet
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import Scene, numbers, over_phases, read_state, scene_of
from openpoint.results.violation import phase_words
from openpoint.studies.powerflow.result import PowerflowResult

# As the state of today is called in a result that also has an answer.
_COLUMNS = {
    "v_pu": "v_before_pu",
    "closed": "closed_before",
    "i_a": "i_before_a",
    "loading_percent": "loading_before_percent",
    "p_from_kw": "p_from_before_kw",
    "q_from_kvar": "q_from_before_kvar",
    "loss_kw": "loss_before_kw",
}
_BUS = {"v_before_pu": "min"}
_BRANCH = {
    **dict.fromkeys(("closed_before", "i_max_a"), "first"),
    **dict.fromkeys(("i_before_a", "loading_before_percent"), "max"),
    **dict.fromkeys(("p_from_before_kw", "q_from_before_kvar", "loss_before_kw"), "sum"),
}


def powerflow_scene(result: PowerflowResult) -> Scene:
    """The scene of a power flow: one state, of several phases that of their extremes and sums."""
    grid = result.grid
    tables = [table.rename(_COLUMNS, strict=False) for table in (result.buses, result.branches)]
    own = grid.buses.select("name", lo="v_min_pu", hi="v_max_pu")
    buses = own.join(over_phases(tables[0], _BUS), on="name", how="left", maintain_order="left")
    names = grid.branches().select("name")
    branches = names.join(over_phases(tables[1], _BRANCH), on="name", how="left", maintain_order="left")
    closed = branches["closed_before"].to_numpy().astype(bool)
    state = read_state("before", "Today", result.loss_kw, closed, buses, branches, result.violations)
    limits = (numbers(buses, "lo"), numbers(buses, "hi"), numbers(branches, "i_max_a"))
    return scene_of(grid, names["name"], {"before": state}, limits, feasible=True)


def grid(result: PowerflowResult, scene: Scene | None = None) -> Sheet:
    """The buses coloured by their voltage, branches as wide as their loading, broken limits."""
    return grid_sheet(scene or powerflow_scene(result), f"{result.title}: loss {result.loss_kw:,.3f} kW")


PICTURES: Mapping[str, Callable[[PowerflowResult], Sheet]] = {
    "grid": grid,
    "voltage": lambda result: voltage_sheet(powerflow_scene(result), result.title),
    "loading": lambda result: loading_sheet(powerflow_scene(result), result.title),
}
"""The grid, the voltages over the distance to the source, the most loaded branches."""


def page(result: PowerflowResult) -> m.Page:
    """The report of a result."""
    scene = cache(lambda: powerflow_scene(result))
    broken = s.violation_table("broken", "Limits broken", result.violations)
    parts = [
        _banner(len(result.violations)),
        s.remarks(result.notes),
        _cards(result),
        m.section("Limits", broken, long=True) if broken else None,
        _not_holding(result),
        lambda: s.grid_section(scene(), grid(result, scene())),
        lambda: s.profiles(scene()),
        lambda: t.place_tables(scene(), result.shape, result.buses, result.branches),
        lambda: t.table_section("Sources", result, "sources", "What they deliver", ["name", "bus"], long=False),
        lambda: s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "power flow", parts)


def _banner(broken: int) -> m.Banner:
    if broken:
        return m.Banner("warn", f"{broken} limit{'s' * (broken > 1)} broken.", "See below.")
    return m.Banner("good", "All limits hold.", "")


def _not_holding(result: PowerflowResult) -> m.Section | None:
    """Generators that do not hold their voltage."""
    found = result.generators.filter(~pl.col("holds")).select("name", "v_pu", "bus", "q_kvar").iter_rows()
    text = "{} does not hold {:g} pu at {}: {:.1f} kvar is a limit of it"
    items = tuple(text.format(*row) for row in found)
    return m.section("Voltages that are not held", m.Bullets(items)) if items else None


def _cards(result: PowerflowResult) -> m.Cards:
    sent, reactive = (float(result.sources[name].sum()) for name in ("p_kw", "q_kvar"))
    low, high = (
        f"at bus {bus}{phase_words(phase)}"
        for bus, phase in ((result.v_min_bus, result.v_min_phase), (result.v_max_bus, result.v_max_phase))
    )
    share = f"{result.loss_kw / sent:.2%} of what the sources deliver" if sent > 0.0 else ""
    return m.cards(
        m.Card("Loss", f"{number(result.loss_kw)} kW", (share,)),
        m.Card("Lowest voltage", f"{result.v_min_pu:.5f} pu", (low,)),
        m.Card("Highest voltage", f"{result.v_max_pu:.5f} pu", (high,)),
        s.loading_card(result.branches, "loading_percent"),
        m.Card("Delivered by the sources", f"{number(sent, 1)} kW", (f"{number(reactive, 1)} kvar",)),
        s.check_card(result.ac_max_mismatch_pu),
    )
