"""The costs of the futures of a day, in order over their probability."""

from __future__ import annotations

import numpy as np

from openpoint.errors import OptionError
from openpoint.report.figure import style
from openpoint.report.figure.charts import single_figure
from openpoint.report.scene import numbers
from openpoint.studies.dispatch.day.result import DispatchDayResult


def futures_figure(result: DispatchDayResult) -> style.Picture:
    """The distribution function of the costs, with the number that is minimised.

    Raises:
        OptionError: there are no futures, or there is no answer.
    """
    if result.futures.is_empty():
        raise OptionError("there are no futures to draw; give futures, or draw another kind")
    table = result.futures.sort("cost_usd")
    costs, shares = numbers(table, "cost_usd"), numbers(table, "probability")
    shares = np.where(np.isfinite(shares), shares, 1.0 / len(shares))
    title = result.grid.title or result.grid.name
    figure, axes = single_figure(7.2, 3.6, f"{title}, {result.day}: {len(costs)} futures")
    axes.step(costs, np.cumsum(shares), where="post", color=style.AFTER, lw=1.4)
    axes.plot(costs, np.cumsum(shares), "o", ms=3.0, color=style.AFTER)
    if result.objective_usd is not None:
        axes.axvline(result.objective_usd, color=style.OPENS, lw=1.0, ls=(0, (4, 3)))
        at = (result.objective_usd, 0.02)
        axes.annotate(str(result.risk), at, xytext=(4, 0), textcoords="offset points", fontsize=8, color=style.OPENS)
    axes.set_ylim(0.0, 1.02)
    axes.set_xlabel("cost of the day, $")
    axes.set_ylabel("probability of at most this cost")
    return figure
