"""The report of a topology for a year."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial
from typing import Protocol

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.report.charts import axes_chart
from openpoint.report.drawing import Layer, Lines, Panel, Sheet, curve, span
from openpoint.report.grids import grid_sheet, grids_sheet
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import Scene, numbers
from openpoint.results.base import Answer
from openpoint.studies.reconfigure.report import extremes_scene, relaxed_words
from openpoint.studies.reconfigure.year.result import YearResult

POINTS = 600
"""Points of a curve."""


class Stepped(Protocol):
    """A result that has steps."""

    @property
    def title(self) -> str: ...
    @property
    def steps(self) -> pl.DataFrame: ...
    @property
    def has_answer(self) -> bool: ...


@dataclass(frozen=True, eq=False)
class Duration:
    """A duration curve.

    Attributes:
        key: `before` or `after`. title: for people. share: (P) of the hours. value: (P) exceeded in so many of them.
    """

    key: str
    title: str
    share: Floats
    value: Floats


def durations(result: Stepped, column: str) -> list[Duration]:
    """The curves of a column of the steps, {} for the state; none of a state without figures."""
    titles = {"before": "today", "after": "answer" if result.has_answer else "least violation met"}
    found = []
    for key, title in titles.items():
        value, hours = numbers(result.steps, column.format(key)), numbers(result.steps, "hours")
        known = np.isfinite(value)
        if not known.any():
            continue
        order = np.argsort(-value[known], kind="stable")
        share = (np.cumsum(hours[known][order]) - 0.5 * hours[known][order]) / hours[known].sum()
        at = np.unique(np.linspace(0, len(order) - 1, min(POINTS, len(order))).round().astype(int))
        found.append(Duration(key, title, share[at], value[known][order][at]))
    return found


def duration_sheet(result: Stepped, title: str, kinds: tuple[str, ...] = ("loss", "lowest", "highest")) -> Sheet | None:
    """The duration curves of losses, of the lowest and of the highest voltages; None where nothing is known."""
    shown = []
    for kind in kinds:
        column, y_title = _CURVES[kind]
        all_of = durations(result, column)
        if not all_of:
            continue
        layers: list[Layer] = [Lines(curve(d.share, d.value), f"@{d.key}", 2.0, name=d.title) for d in all_of]
        y = span(np.concatenate([d.value for d in all_of]), from_zero=kind == "loss")
        chart = axes_chart(320, (0.0, 1.0), "share of the year", y, y_title, layers, percent="x")
        caption = f"{y_title}: exceeded in so much of the year"
        shown.append(Panel(f"duration-{kind}", chart, caption, caption))
    return Sheet(title, tuple(shown)) if shown else None


_CURVES = {
    "loss": ("loss_{}_kw", "loss, kW"),
    "lowest": ("v_min_{}_pu", "lowest voltage, pu"),
    "highest": ("v_max_{}_pu", "highest voltage, pu"),
}


def year_scene(result: YearResult) -> Scene:
    """The grid with the lowest voltage and the highest current in any step, and the energy lost."""
    mean = {key: _mean_kw(result, mwh) for key, mwh in _energies(result).items()}
    return extremes_scene(result, result.has_answer, "mean of the year", "energy_lost_{}_kwh", mean)


def _energies(result: YearResult) -> dict[str, float | None]:
    return {"before": result.energy_before_mwh, "after": result.energy_mwh}


def _mean_kw(result: YearResult, mwh: float | None) -> float | None:
    return None if mwh is None else 1000.0 * mwh / result.hours


def headline(result: YearResult) -> str:
    """One line that says what the picture shows."""
    title, steps = result.title, f"{result.steps_count:,} steps"
    before, after = result.energy_before_mwh, result.energy_mwh
    if after is None:
        return f"{title}, {steps}: {result.termination.value}, no answer that keeps the limits"
    if before is None or before <= 0.0:
        return f"{title}, {steps}"
    word = "less" if after <= before else "more"
    return f"{title}, {steps}: {abs(before - after):,.1f} MWh ({abs(before - after) / before:.1%}) {word} lost"


def curves(kinds: tuple[str, ...], title: str) -> Callable[[Stepped], Sheet]:
    """The picture of some duration curves; `title`: of what they are.

    Raises:
        OptionError: nothing is known to draw.
    """

    def drawn(result: Stepped) -> Sheet:
        sheet = duration_sheet(result, f"{result.title}: {title}", kinds)
        if sheet is None:
            raise OptionError(f"There are no {title} to draw")
        return sheet

    return drawn


CURVES: Mapping[str, Callable[[Stepped], Sheet]] = {
    "losses": curves(("loss",), "losses"),
    "voltages": curves(("lowest", "highest"), "voltages"),
}
PICTURES: Mapping[str, Callable[[YearResult], Sheet]] = {
    "grid": lambda result: grid_sheet(year_scene(result), headline(result), extremes=EXTREMES),
    **CURVES,
}
"""The grid at its extremes before and after, the duration curves of losses, those of voltages."""
EXTREMES = "their lowest voltage in any step"
COMPARED = {"grid": partial(grids_sheet, year_scene, extremes=EXTREMES)}
"""The topologies of several answers."""


def worst(result: YearResult, key: str) -> tuple[str, str, str]:
    """Lowest voltage, highest voltage and highest loading over the year of a topology, each with place and step."""
    low = _extreme(result.buses, f"v_lowest_{key}_pu", f"v_lowest_{key}_step", "{:.4f} pu", descending=False)
    high = _extreme(result.buses, f"v_highest_{key}_pu", f"v_highest_{key}_step", "{:.4f} pu", descending=True)
    loading = s.loading_words(result.branches, f"loading_highest_{key}_percent", f"i_highest_{key}_step")
    return low, high, loading


def _extreme(frame: pl.DataFrame, column: str, step: str, how: str, *, descending: bool) -> str:
    known = frame.filter(pl.col(column).is_not_null() & pl.col(step).is_not_null()).sort(column, descending=descending)
    if known.is_empty():
        return "-"
    return f"{how.format(known[column][0])} at {known['name'][0]}, {known[step][0]}"


MOST_ROWS = 1000
"""Steps that the report lists, those of the largest loss first; the tables of the result have all."""


def page(result: YearResult) -> m.Page:
    """The report of a result."""
    scene = cache(lambda: year_scene(result))
    text = "Buses have the colour of their lowest voltage in any step, branches the width of their highest current."
    parts = [
        _cards(result),
        violation_section(result, s.whose(result), relaxed_words(result)),
        s.open_points(result),
        lambda: duration_section(result),
        lambda: s.grid_section(scene(), grid_sheet(scene(), headline(result), extremes=EXTREMES), note=text),
        lambda: s.switching(scene(), "highest current"),
        lambda: s.convergence_section(result),
        lambda: steps_section(result, result.steps),
        lambda: t.extremes_tables(result, "over all steps"),
    ]
    return s.answer_page(result, "open points for a year", parts, hidden="violation")


def _cards(result: YearResult) -> m.Cards:
    before, after = result.energy_before_mwh, result.energy_mwh
    saved = "" if result.has_answer else "No topology was found that keeps the limits in every step."
    if before is not None and after is not None and before > 0.0:
        saved = f"{number(before - after)} MWh ({(before - after) / before:.1%}) saved"
    (low, high, loading), today = worst(result, "after"), worst(result, "before")
    broken, was = (("–" if n is None else f"{n:,}") for n in (result.steps_broken, result.steps_broken_before))
    checked = f"all {result.steps_count:,} steps by power flow, {result.checked_steps} by this check"
    bound = f"bound {number(result.energy_bound_mwh)} MWh, from {result.groups_count} groups of steps"
    return m.cards(
        m.Card("Energy lost, today → answer", f"{number(before)} → {number(after)} MWh", (saved,)),
        s.points_card(result),
        s.gap_card(result, bound),
        m.Card("Lowest voltage", low, (f"today {today[0]}",)),
        m.Card("Highest voltage", high, (f"today {today[1]}",)),
        m.Card("Highest loading", loading, (f"today {today[2]}",)),
        m.Card("Steps with broken limits", broken, (f"today {was}",)),
        s.check_card(result.ac_max_mismatch_pu, checked),
        s.effort_card(result),
    )


def duration_section(result: Stepped) -> m.Section | None:
    """The duration curves of losses and voltages."""
    return s.sheet_section("Over the year, in order of size", duration_sheet(result, ""))


def violation_section(result: Answer, whose: str, above: m.Block | None = None) -> m.Section | None:
    """Limits that are broken; `whose`: by what. `above`: what stands above them."""
    caption = f"Limits broken by the {whose} ({{}}), each in its worst step"
    names = ["kind", "name", "value", "limit", "unit", "step"]
    return t.table_section(
        "Limits", result, "violations", caption, names, above=above, identity="broken", low=True, search=True
    )


def steps_section(result: Answer, steps: pl.DataFrame) -> m.Section | None:
    """The steps, of many those of the largest loss."""
    heading = "Steps"
    if steps.height > MOST_ROWS:
        order = "loss_after_kw" if steps["loss_after_kw"].is_not_null().any() else "loss_before_kw"
        steps = steps.sort(order, descending=True, nulls_last=True).head(MOST_ROWS)
        heading = "Steps, those of the largest loss first"
    return t.table_section(heading, result, "steps", "{} rows", {"step": "step"}, frame=steps, search=True)
