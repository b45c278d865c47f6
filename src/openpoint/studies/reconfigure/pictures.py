"""Pictures of a reconfiguration; and of the grid with the extremes of every bus and branch over many demands."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.report.change import build_scene
from openpoint.report.charts import convergence_sheet, loading_sheet, voltage_sheet
from openpoint.report.drawing import Sheet
from openpoint.report.grids import grid_sheet
from openpoint.report.scene import Scene, State, numbers, scene_of
from openpoint.results.switched import SwitchedResult
from openpoint.results.violation import Violation
from openpoint.studies.reconfigure.result import TopologyResult


def headline(result: TopologyResult) -> str:
    """One line that says what the picture shows."""
    title = result.title
    if result.loss_kw is None:
        return f"{title}: {result.termination.value}, no answer that keeps the limits"
    if result.loss_before_kw is None:
        return f"{title}: loss {result.loss_kw:,.3f} kW"
    saved = result.loss_before_kw - result.loss_kw
    if abs(saved) < 0.5e-3:
        return f"{title}: loss {result.loss_kw:,.3f} kW, as today"
    share = f" ({abs(saved) / result.loss_before_kw:.1%})" if result.loss_before_kw > 0 and math.isfinite(saved) else ""
    return f"{title}: {abs(saved):,.3f} kW{share} {'less' if saved > 0 else 'more'} loss"


PICTURES: Mapping[str, Callable[[TopologyResult], Sheet]] = {
    "grid": lambda result: grid_sheet(build_scene(result), headline(result)),
    "voltage": lambda result: voltage_sheet(build_scene(result), result.title),
    "loading": lambda result: loading_sheet(build_scene(result), result.title),
    "convergence": convergence_sheet,
}
"""The grid before and after, its voltages over the distance to the source, its most loaded branches, the bounds."""

_LIMIT = 1e-6  # relative; what sits on its limit does not break it


def extremes_scene(
    result: SwitchedResult, feasible: bool, when: str, loss_column: str, losses: Mapping[str, float | None]
) -> Scene:
    """The grid with the lowest voltage and the highest current in any demand.

    Args:
        result: with the columns `v_lowest_…_pu`, `v_highest_…_pu`, `i_highest_…_a`, `loading_highest_…_percent`,
            `closed_…` for `before` and `after`. feasible: whether there is an answer. when: of the losses, in words.
        loss_column: column of the losses of branches, {} for the state. losses: of the grid, kW, by state.
    """
    grid = result.grid
    buses = grid.buses.select("name").join(result.buses, on="name", how="left", maintain_order="left")
    names = grid.branches().select("name")
    branches = names.join(result.branches, on="name", how="left", maintain_order="left")
    limits = (numbers(buses, "v_min_pu"), numbers(buses, "v_max_pu"), numbers(branches, "i_max_a"))
    titles = {"before": f"Today, {when}"}
    if feasible or result.least_violation_open:
        titles["after"] = f"Answer, {when}" if feasible else "Least violation met (not an answer)"
    states = {
        key: _state(key, title, losses.get(key), buses, branches, limits, loss_column.format(key))
        for key, title in titles.items()
    }
    return scene_of(grid, names["name"], states, limits, feasible=feasible)


def _state(
    key: str,
    title: str,
    loss_kw: float | None,
    buses: pl.DataFrame,
    branches: pl.DataFrame,
    limits: tuple[Floats, Floats, Floats],
    loss_column: str,
) -> State:
    v, high = numbers(buses, f"v_lowest_{key}_pu"), numbers(buses, f"v_highest_{key}_pu")
    i = numbers(branches, f"i_highest_{key}_a")
    lo, hi, i_max = limits
    bus, branch = buses["name"].to_list(), branches["name"].to_list()
    broken = [
        *(Violation("voltage low", bus[k], v[k], lo[k]) for k in np.flatnonzero(v < lo * (1 - _LIMIT))),
        *(Violation("voltage high", bus[k], high[k], hi[k]) for k in np.flatnonzero(high > hi * (1 + _LIMIT))),
        *(Violation("current", branch[k], i[k], i_max[k]) for k in np.flatnonzero(i > i_max * (1 + _LIMIT))),
    ]
    unknown = np.full(len(i), np.nan)
    return State(
        key=key,
        title=title,
        loss_kw=loss_kw,
        v=v,
        closed=branches[f"closed_{key}"].fill_null(value=False).to_numpy().astype(bool),
        i=i,
        loading=numbers(branches, f"loading_highest_{key}_percent"),
        p=unknown,
        q=unknown,
        loss=numbers(branches, loss_column),
        violations=tuple(broken),
    )
