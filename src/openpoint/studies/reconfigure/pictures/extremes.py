"""The grid with the extremes of every bus and branch over many demands, today and in the answer."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import polars as pl

from openpoint.arrays import Floats
from openpoint.report.scene import Scene, State, numbers, scene_of
from openpoint.results.switched import SwitchedResult
from openpoint.results.violation import Violation

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
