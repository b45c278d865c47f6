"""The report of a dispatch, in this order: the answer, its proof, what to do, where."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache, partial

import polars as pl

from openpoint.network.freedom import FREE
from openpoint.report.charts import convergence_sheet, loading_sheet, voltage_sheet
from openpoint.report.drawing import Sheet
from openpoint.report.grids import grid_sheet, grids_sheet
from openpoint.report.numerals import figures, number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import build_scene
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.tables import DEVICE_KINDS


def headline(result: DispatchResult) -> str:
    """What is to be done, in one line."""
    return f"{result.title}: {result.to_do() or result.termination.value}"


PICTURES: Mapping[str, Callable[[DispatchResult], Sheet]] = {
    "grid": lambda result: grid_sheet(build_scene(result), headline(result)),
    "voltage": lambda result: voltage_sheet(build_scene(result), result.title),
    "loading": lambda result: loading_sheet(build_scene(result), result.title),
    "convergence": convergence_sheet,
}
"""The grid before and after, its voltages over the distance to the source, its most loaded branches, the bounds."""
COMPARED = {"grid": partial(grids_sheet, build_scene)}
"""The topologies of several answers."""


def figure(value: float | None, unit: str) -> str:
    """A figure with its unit."""
    if value is None or not math.isfinite(value):
        return "-"
    digits = {"kW": 3, "$/h": 2, "pu": 5}.get(unit, 0 if value == int(value) else 4)
    return f"{value:.{digits}f}{unit and ' ' + unit}"


def page(result: DispatchResult) -> m.Page:
    """The report of a result."""
    scene = cache(lambda: build_scene(result))
    advice = "Relax these limits, free more devices, or reinforce here. The state with the least violation opens: "
    urgent = bool(result.violations or result.least_violation)
    parts = [
        _cards(result),
        s.limits_section(result, scene(), advice) if urgent else None,
        t.table_section(
            "What is sought and kept",
            result,
            "criteria",
            "Today and in the answer",
            ["name", "unit"],
            last=["definition"],
            long=False,
        ),
        _actions(result),
        lambda: s.grid_section(scene(), grid_sheet(scene(), headline(result))),
        lambda: None if urgent else s.limits_section(result, scene(), advice),
        lambda: s.profiles(scene()),
        lambda: s.convergence_section(result),
        lambda: _supply(result),
        lambda: t.place_tables(scene(), result.shape, result.buses, result.branches),
    ]
    return s.answer_page(result, "dispatch", parts)


def _cards(result: DispatchResult) -> m.Cards:
    unit = result.objective_unit
    missing = [kind for kind in FREE if kind not in result.free]
    free = f"free: {', '.join(result.free)}{', not ' * bool(missing)}{', '.join(missing)}"
    found = result.criteria.filter(pl.col("weight").is_not_null())
    cards = [_figure_card(row) for row in found.iter_rows(named=True)]
    lowest = "–" if result.v_min_pu is None else f"{result.v_min_pu:.4f} … {result.v_max_pu:.4f} pu"
    at = "" if result.v_min_pu is None else f"lowest at bus {result.v_min_bus}, highest at bus {result.v_max_bus}"
    was = (
        ""
        if result.v_min_before_pu is None
        else f"today {result.v_min_before_pu:.4f} … {result.v_max_before_pu:.4f} pu"
    )
    bound = f"lower bound {number(result.lower_bound, 3, unit)}" if math.isfinite(result.lower_bound) else ""
    total = f"objective {number(result.objective, 3, unit)}" if result.has_answer else ""
    kept = "All limits asked for hold." if not result.violations else "Limits are broken, see below."
    return m.cards(
        *cards,
        m.Card(
            "To do",
            str(result.actions.height) if result.has_answer else "–",
            (result.to_do(), free),
        ),
        s.gap_card(result, ", ".join(filter(None, (bound, total)))),
        m.Card("Voltages", lowest, (at, was)),
        s.check_card(result.ac_max_mismatch_pu, kept if result.has_answer else ""),
        s.effort_card(result, result.why_method),
    )


def _figure_card(row: dict[str, float]) -> m.Card:
    before, after, unit = row["today"], row["answer"], str(row["unit"])
    title = f"{str(row['name']).capitalize()}, today → answer"
    if after is None:
        return m.Card(title, "–", ("No state that keeps the limits was found.",))
    if before is None:
        return m.Card(title, f"{figures(after, 6)} {unit}", ("No figure is known for today's state.",))
    share = f" ({(after - before) / before:+.1%})" if before > 0 else ""
    return m.Card(
        title, f"{figures(before, 6)} → {figures(after, 6)} {unit}", (f"{figures(after - before)} {unit}{share}",)
    )


def _actions(result: DispatchResult) -> m.Section | None:
    if not result.has_answer:
        return None
    if result.actions.is_empty():
        return m.section("What to do", m.Words("Nothing: today's state is the answer."))
    kinds = {**t.KINDS, **{kind: kind for kind in DEVICE_KINDS}}
    shown = result.actions.with_columns(pl.col("kind").replace_strict(kinds))
    texts = ["action", "kind", "name", "place", "quantity", "today", "answer", "unit", "then"]
    return t.table_section("What to do", result, "actions", "{} steps", texts, frame=shown)


def _supply(result: DispatchResult) -> list[m.Section | None]:
    return [
        t.table_section("Devices", result, "devices", "{} rows", ["kind", "name", "place", "quantity", "unit"]),
        t.table_section("Sources", result, "sources", "{} rows", ["name", "bus"]),
        t.table_section("Generators", result, "generators", "{} rows", ["name", "bus"]),
    ]
