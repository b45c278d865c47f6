"""What the pictures of a changed topology show, as arrays: the grid today and with the answer."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import polars as pl

from openpoint.grid.grid import Grid
from openpoint.network.limits import LIMIT_TOLERANCE
from openpoint.report.scene import Scene, numbers, over_phases, read_state, scene_of
from openpoint.results.violation import Violation

_TIMES = ("before", "after")
_BUS = {f"v_{when}_pu": "min" for when in _TIMES}
_BRANCH = {
    **dict.fromkeys(("closed_before", "closed_after", "i_max_a"), "first"),
    **{f"{what}_{when}_{unit}": "max" for when in _TIMES for what, unit in (("i", "a"), ("loading", "percent"))},
    **{
        f"{what}_{when}_{unit}": "sum"
        for when in _TIMES
        for what, unit in (("p_from", "kw"), ("q_from", "kvar"), ("loss", "kw"))
    },
}


class Change(Protocol):
    """A result that is one topology of a grid, with the AC states before and after as tables.

    Attributes:
        grid: the grid asked about. buses, branches: in the columns of `results.common`.
        loss_before_kw, loss_kw: exact AC losses, None where there is none.
        open_branches: of the answer. least_violation_open: where there is none, of the state of least violation.
        violations, least_violation: limits that these break.
    """

    @property
    def grid(self) -> Grid: ...
    @property
    def buses(self) -> pl.DataFrame: ...
    @property
    def branches(self) -> pl.DataFrame: ...
    @property
    def loss_before_kw(self) -> float | None: ...
    @property
    def loss_kw(self) -> float | None: ...
    @property
    def open_branches(self) -> tuple[str, ...]: ...
    @property
    def least_violation_open(self) -> tuple[str, ...]: ...
    @property
    def violations(self) -> tuple[Violation, ...]: ...
    @property
    def least_violation(self) -> tuple[Violation, ...]: ...


def build_scene(result: Change) -> Scene:
    """The scene of a result. States without numbers have NaN."""
    grid = result.grid
    order = grid.branches().select("name", today="closed")
    branches = order.join(over_phases(result.branches, _BRANCH), on="name", how="left", maintain_order="left")
    own = grid.buses.select("name", lo="v_min_pu", hi="v_max_pu")
    buses = own.join(over_phases(result.buses, _BUS), on="name", how="left", maintain_order="left")
    names = tuple(order["name"])
    limits = (numbers(buses, "lo"), numbers(buses, "hi"), numbers(branches, "i_max_a"))
    closed = branches["closed_before"].fill_null(branches["today"]).to_numpy().astype(bool)
    today = _broken(result.buses.join(own, on="name"), result.branches)
    before = read_state("before", "Today", result.loss_before_kw, closed, buses, branches, today)
    states = {"before": before}
    feasible = result.loss_kw is not None
    open_after = result.open_branches if feasible else result.least_violation_open
    if feasible or open_after:
        closed = np.array([name not in set(open_after) for name in names], dtype=bool)
        title = "Answer" if feasible else "Least violation met (not an answer)"
        broken = result.violations if feasible else result.least_violation
        states["after"] = read_state("after", title, result.loss_kw, closed, buses, branches, broken)
    return scene_of(grid, names, states, limits, feasible=feasible)


def _broken(buses: pl.DataFrame, branches: pl.DataFrame) -> tuple[Violation, ...]:
    """Limits that today's state breaks; the result lists those of the answer only. What is missing is kept."""
    found: list[Violation] = []
    for kind, table, value, limit, sign in (
        ("voltage low", buses, "v_before_pu", "lo", -1),
        ("voltage high", buses, "v_before_pu", "hi", 1),
        ("current", branches, "i_before_a", "i_max_a", 1),
    ):
        beyond = sign * (pl.col(value) - pl.col(limit) * (1 + sign * LIMIT_TOLERANCE)) > 0.0
        rows = table.filter(beyond).select("name", value, limit, "phase").iter_rows()
        found += [Violation(kind, *row) for row in rows]
    return tuple(found)
