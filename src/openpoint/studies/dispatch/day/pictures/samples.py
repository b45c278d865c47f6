"""Plans of a day in days drawn at random: their costs, and on how many days load is shed or limits are broken."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from openpoint.errors import OptionError
from openpoint.report.figure import style
from openpoint.report.scene import numbers
from openpoint.studies.dispatch.day.result import DispatchDayResult

# Inches: of the whole, of the left and right margins, above and below the plans, of one plan.
_WIDTH, _LEFT, _RIGHT, _HEAD, _FOOT, _ROW = 10.2, 1.9, 0.3, 0.75, 0.65, 0.36
_MARKS = (("mean_usd", "o", "mean"), ("p95_usd", "|", "95th percentile"), ("tail_usd", "D", "mean of the worst 5 %"),
          ("max_usd", "x", "highest"))  # fmt: skip


def samples_figure(result: DispatchDayResult) -> style.Picture:
    """A row a plan, today's apart, which would hide the differences between the others.

    Raises:
        OptionError: no days were drawn.
    """
    table = result.samples.filter(result.samples["plan"] != "today")
    if table.is_empty():
        raise OptionError("no days were drawn at random; give samples, or draw another kind")
    height = _HEAD + _FOOT + _ROW * table.height
    figure = style.Picture(figsize=(_WIDTH, height))
    title = f"{result.grid.title or result.grid.name}, {result.day}: {table['days'][0]} days drawn at random"
    size = min(11.0, (_WIDTH - 0.6) * 72.0 / (0.62 * len(title)))
    figure.text(0.25 / _WIDTH, 1 - 0.2 / height, title, fontsize=size, weight="bold", va="center", parse_math=False)
    inner = _WIDTH - _LEFT - _RIGHT
    shape = _FOOT / height, _ROW * table.height / height
    costs = figure.add_axes((_LEFT / _WIDTH, shape[0], 0.62 * inner / _WIDTH, shape[1]))
    days = figure.add_axes(((_LEFT + 0.7 * inner) / _WIDTH, shape[0], 0.3 * inner / _WIDTH, shape[1]))
    y = np.arange(table.height)[::-1]
    costs.hlines(y, numbers(table, "mean_usd"), numbers(table, "max_usd"), color=style.SOFT, lw=1.0)
    for column, mark, label in _MARKS:
        costs.plot(numbers(table, column), y, mark, ms=6.0, color=style.AFTER, label=label, ls="none")
    _rows(costs, table["plan"].to_list(), "cost of a day, $")
    count = numbers(table, "days")
    days.barh(y + 0.18, 100.0 * numbers(table, "shed_days") / count, 0.34, color=style.OPENS, label="load shed")
    days.barh(
        y - 0.18, 100.0 * numbers(table, "outside_days") / count, 0.34, color=style.BROKEN, label="outside limits"
    )
    _rows(days, [""] * table.height, "share of the days, %")
    for axes, columns in ((costs, 4), (days, 2)):
        axes.legend(loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=columns, fontsize=8, frameon=False)
    return figure


def _rows(axes: Axes, names: list[str], label: str) -> None:
    axes.set_yticks(np.arange(len(names))[::-1], names, parse_math=False)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xlabel(label)
