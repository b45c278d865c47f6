"""Pictures of a power flow: today's state of a grid."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

import matplotlib as mpl
from matplotlib.figure import Figure

from openpoint.errors import OptionError
from openpoint.report.figure import style
from openpoint.report.figure.charts import loading_figure, voltage_figure
from openpoint.report.figure.grid import grid_figure
from openpoint.report.layout.forest import ends, source_buses
from openpoint.report.scene import Scene, branch_lengths, numbers, over_phases, read_state
from openpoint.studies.powerflow.result import PowerflowResult
from openpoint.studies.reconfigure.pictures.figures import encode, format_of

Kind = Literal["grid", "voltage", "loading"]

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
    return Scene(
        grid=grid,
        bus_names=tuple(grid.buses["name"]),
        branch_names=tuple(names["name"]),
        ends=ends(grid),
        sources=source_buses(grid),
        states={"before": state},
        opened=frozenset(),
        closed=frozenset(),
        v_min=numbers(buses, "lo"),
        v_max=numbers(buses, "hi"),
        i_max=numbers(branches, "i_max_a"),
        lengths=branch_lengths(grid),
        feasible=True,
    )


def draw_powerflow(result: PowerflowResult, *, kind: Kind = "grid") -> Figure:
    """A picture of a power flow.

    Args:
        result: what to draw.
        kind: `grid` (buses coloured by voltage, branches as wide as their loading, broken limits), `voltage` (profile
            over the distance to the source) or `loading` (the most loaded branches).

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: an unknown `kind`.
    """
    if kind not in get_args(Kind):
        raise OptionError(f"There is no picture {kind!r}; choose one of {', '.join(get_args(Kind))}")
    return draw_powerflow_scene(result, powerflow_scene(result), kind=kind)


def draw_powerflow_scene(result: PowerflowResult, scene: Scene, *, kind: Kind = "grid") -> Figure:
    """As `draw_powerflow`, for a scene at hand."""
    title = result.grid.title or result.grid.name
    keys = list(scene.states)
    with mpl.rc_context(style.RC):
        if kind == "grid":
            return grid_figure(scene, keys, f"{title}: loss {result.loss_kw:,.3f} kW")
        return voltage_figure(scene, keys, title) if kind == "voltage" else loading_figure(scene, keys, title)


def save_powerflow(result: PowerflowResult, path: str | Path, *, kind: Kind = "grid") -> Path:
    """Write a picture of a power flow; the extension says how (`.png`, `.svg` or `.pdf`).

    Raises:
        OptionError: another extension, and as `draw_powerflow`.
    """
    path = Path(path)
    path.write_bytes(encode(draw_powerflow(result, kind=kind), format_of(path)))
    return path
