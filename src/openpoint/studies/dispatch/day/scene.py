"""The grid of a day as a scene: today, and each topology of the answer, with lowest voltages and highest currents."""

from __future__ import annotations

import numpy as np
import polars as pl

from openpoint.arrays import Bools
from openpoint.report.scene import Scene, State, numbers, scene_of
from openpoint.results.violation import Violation
from openpoint.studies.dispatch.day.result import DispatchDayResult

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
    for number, (opened, some) in enumerate(_topologies(result)[:MOST]):
        closed = np.array([name not in opened for name in names], dtype=np.bool_)
        when = "" if len(some) == len(periods) else f", {some[0]}" + (" …" if len(some) > 1 else "")
        key = "after" if number == 0 else f"after {number}"
        states[key] = _state(result, branches, case, key, f"Answer, {text}{when}", closed, some)
    voltages = numbers(limits, "low"), numbers(limits, "high")
    return scene_of(grid, names, states, (*voltages, numbers(branches, "i_max_a")), feasible=result.has_answer)


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
    i = numbers(branches, f"i_{case}_a")
    rating = numbers(branches, "i_max_a") / numbers(branches, "loading_limit_percent")
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
        v=numbers(order, f"v_{case}_pu"),
        closed=closed,
        i=i,
        loading=i / rating,
        p=unknown,
        q=unknown,
        loss=unknown,
        violations=broken,
    )
