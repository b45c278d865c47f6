"""Pictures of a power flow: today's state of a grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openpoint.report.charts import loading_sheet, voltage_sheet
from openpoint.report.drawing import Sheet
from openpoint.report.grids import grid_sheet
from openpoint.report.scene import Scene, numbers, over_phases, read_state, scene_of
from openpoint.studies.powerflow.result import PowerflowResult

# As the state of today is called in a result that also has an answer.
_COLUMNS = {
    "v_pu": "v_before_pu",
    "closed": "closed_before",
    "i_a": "i_before_a",
    "loading_percent": "loading_before_percent",
    "p_from_kw": "p_from_before_kw",
    "q_from_kvar": "q_from_before_kvar",
    "loss_kw": "loss_before_kw",
}
_BUS = {"v_before_pu": "min"}
_BRANCH = {
    **dict.fromkeys(("closed_before", "i_max_a"), "first"),
    **dict.fromkeys(("i_before_a", "loading_before_percent"), "max"),
    **dict.fromkeys(("p_from_before_kw", "q_from_before_kvar", "loss_before_kw"), "sum"),
}


def powerflow_scene(result: PowerflowResult) -> Scene:
    """The scene of a power flow: one state, of several phases that of their extremes and sums."""
    grid = result.grid
    tables = [table.rename(_COLUMNS, strict=False) for table in (result.buses, result.branches)]
    own = grid.buses.select("name", lo="v_min_pu", hi="v_max_pu")
    buses = own.join(over_phases(tables[0], _BUS), on="name", how="left", maintain_order="left")
    names = grid.branches().select("name")
    branches = names.join(over_phases(tables[1], _BRANCH), on="name", how="left", maintain_order="left")
    closed = branches["closed_before"].to_numpy().astype(bool)
    state = read_state("before", "Today", result.loss_kw, closed, buses, branches, result.violations)
    limits = (numbers(buses, "lo"), numbers(buses, "hi"), numbers(branches, "i_max_a"))
    return scene_of(grid, names["name"], {"before": state}, limits, feasible=True)


def grid(result: PowerflowResult, scene: Scene | None = None) -> Sheet:
    """The buses coloured by their voltage, branches as wide as their loading, broken limits."""
    return grid_sheet(scene or powerflow_scene(result), f"{result.title}: loss {result.loss_kw:,.3f} kW")


PICTURES: Mapping[str, Callable[[PowerflowResult], Sheet]] = {
    "grid": grid,
    "voltage": lambda result: voltage_sheet(powerflow_scene(result), result.title),
    "loading": lambda result: loading_sheet(powerflow_scene(result), result.title),
}
"""The grid, the voltages over the distance to the source, the most loaded branches."""
