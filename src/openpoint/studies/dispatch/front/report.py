"""The report of a front: the picture, and a row a point."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import polars as pl

from openpoint.network.criteria import CRITERIA
from openpoint.report.charts import Front, chart_sheet
from openpoint.report.drawing import Chart, Sheet
from openpoint.report.numerals import figures, method_words, percent
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import Scene, build_scene
from openpoint.studies.dispatch.front.result import DispatchFront


def chart(result: DispatchFront) -> Chart | None:
    """The criterion sought over the criterion kept, with the proven bound of each point; None where none was found."""
    found = _found(result)
    named = ((result.kept, result.kept_unit), (result.sought, result.sought_unit))
    titles = [f"{name.replace('v_min', 'lowest voltage')}{unit and ', ' + unit}" for name, unit in named]
    hovers = tuple("\n".join([f"point {row['number']}", *_figures(result, row)]) for row in found.iter_rows(named=True))
    x, y, bound = (found[column].to_numpy() for column in ("kept", "sought", "lower_bound"))
    leads = tuple(map(s.lead, found["number"]))
    return Front(x, y, bound, hovers, titles[0], titles[1], np.zeros((0, 2)), leads=leads).chart()


def _found(result: DispatchFront) -> pl.DataFrame:
    """The points with an answer, along the criterion kept; where no bound is proven it is that of the answer."""
    found = result.points.filter(pl.col("sought").is_not_null()).sort("kept")
    return found.with_columns(pl.col("lower_bound").fill_null(pl.col("sought")))


def _figures(result: DispatchFront, row: dict[str, Any]) -> list[str]:
    """The figures of a point in lines."""
    return [
        f"{result.sought} {figures(row['sought'], 6)} {result.sought_unit}".rstrip(),
        f"{result.kept} {figures(row['kept'], 6)} {result.kept_unit}".rstrip(),
        f"proven bound {figures(row['lower_bound'], 6)}, gap {percent(row['gap'], 4)}",
    ]


def _points(result: DispatchFront) -> dict[int, tuple[Scene, list[str]]]:
    """The answers along the criterion kept, by the number of their points, with figures and what is set for them."""
    points = {}
    for row in _found(result).iter_rows(named=True):
        each = result.results[row["number"] - 1]
        settings = each.actions.filter(pl.col("quantity") != "state").select(
            pl.format("{} {}, {}: {} → {} {}", "kind", "name", "quantity", "today", "answer", "unit").str.strip_chars()
        )
        told = [f"To set: {'; '.join(settings.to_series())}"] if settings.height else []
        points[row["number"]] = build_scene(each), [*_figures(result, row), *told, *s.switched(each)]
    return points


def front(result: DispatchFront) -> Sheet:
    """The front as a picture."""
    return chart_sheet(f"{result.title}: {result.sought} and {result.kept}", chart(result), "No point was found.")


PICTURES: Mapping[str, Callable[[DispatchFront], Sheet]] = {"front": front}


def page(result: DispatchFront) -> m.Page:
    """The report of a result."""
    text = f"The least {result.sought} at each bound of {result.kept}, and the bound that is proven of it"
    meant = [
        m.Words(f"{name}: {CRITERIA[name].text}.", small=True)
        for name in (result.sought, result.kept)
        if name in CRITERIA
    ]
    points = result.points.with_columns(pl.col("method").map_elements(method_words, pl.String))
    last = ["termination", "method"]
    parts = [
        s.remarks(result.notes),
        lambda: s.front_section(
            f"{result.sought.capitalize()} and {result.kept}", text, chart(result), _points(result), *meant
        ),
        t.table_section("Points", result, "points", text, ["open_branches"], frame=points, last=last),
        lambda: s.doubts(result.grid.notes),
    ]
    return m.page_of(result.grid, "front of dispatch", parts)
