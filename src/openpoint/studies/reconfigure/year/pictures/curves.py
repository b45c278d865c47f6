"""Duration curves: a quantity of all steps in order of size, over the share of the hours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.report.chart.charts import axes_chart
from openpoint.report.chart.drawing import Chart, Layer, Lines, curve, span
from openpoint.report.figure import style
from openpoint.report.scene import Scene, numbers
from openpoint.studies.reconfigure.pictures.extremes import extremes_scene
from openpoint.studies.reconfigure.year.result import YearResult

POINTS = 600
"""Points of a curve."""


class Stepped(Protocol):
    """A result that has steps."""

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

    @property
    def colour(self) -> str:
        return style.BEFORE if self.key == "before" else style.AFTER


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


def year_chart(result: Stepped, column: str, title: str, *, from_zero: bool) -> Chart | None:
    """The duration curves of a column for the report."""
    all_of = durations(result, column)
    if not all_of:
        return None
    layers: list[Layer] = [Lines(curve(d.share, d.value), f"@{d.key}", 2.0, name=d.title) for d in all_of]
    y = span(np.concatenate([d.value for d in all_of]), from_zero=from_zero)
    return axes_chart(320, (0.0, 1.0), "share of the year", y, title, layers, percent="x")


def year_scene(result: YearResult) -> Scene:
    """The grid with the lowest voltage and the highest current in any step, and the energy lost."""
    mean = {key: _mean_kw(result, mwh) for key, mwh in _energies(result).items()}
    return extremes_scene(result, result.has_answer, "mean of the year", "energy_lost_{}_kwh", mean)


def _energies(result: YearResult) -> dict[str, float | None]:
    return {"before": result.energy_before_mwh, "after": result.energy_mwh}


def _mean_kw(result: YearResult, mwh: float | None) -> float | None:
    return None if mwh is None else 1000.0 * mwh / result.hours
