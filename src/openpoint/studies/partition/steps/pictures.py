"""A partition over time as one picture: load served, blocks, switches, generators and stores, step by step."""

from __future__ import annotations

from typing import Any

import matplotlib as mpl
import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.report.figure import style
from openpoint.report.figure.files import saver
from openpoint.report.figure.marks import VEIL
from openpoint.report.layout.labels import shorten
from openpoint.studies.partition.pictures.scene import RUNS_KW, PartitionScene, island_colour, plans_scene
from openpoint.studies.partition.steps.result import PartitionStepsResult

ROWS = 30
"""Rows of a kind; beyond it only those that change are drawn."""
# Inches: a row of blocks and switches, a row of generators and stores, above the first, below the last, at the left.
_ROW, _TALL, _HEAD, _FOOT, _LEFT, _GAP = 0.19, 0.3, 0.75, 0.95, 1.25, 0.36

_PAPER: dict[str, Any] = {"boxstyle": "square,pad=0.1", "fc": "white", "ec": "none"}


def draw(result: PartitionStepsResult) -> Figure:
    """Step by step: what is served, which blocks have supply, the switches, the generators and what is in store.

    Returns:
        A Matplotlib figure of its own, unknown to pyplot.

    Raises:
        OptionError: no plan to draw.
    """
    if result.cost_usd is None:
        raise OptionError("No plan was found, so there is nothing to draw")
    steps = result.steps["step"].to_list()
    edges = np.concatenate([[0.0], np.cumsum(result.steps["hours"].to_numpy())])
    blocks = _changing(result.blocks.filter(pl.col("loads") > 0), "name", ["energised", "island", "fault"])
    switches = _changing(result.switches, "name", ["closed", "held"])
    units = result.generators["name"].unique(maintain_order=True).to_list()
    stores = result.storage["generator"].unique(maintain_order=True).to_list()
    parts = [
        (_load, 5 * _ROW, None),
        (_blocks, len(blocks) * _ROW, blocks),
        (_switches, len(switches) * _ROW, switches),
        (_units, len(units) * _TALL, units),
        *([(_stores, len(stores) * _TALL, stores)] if stores else []),
    ]
    width = float(np.clip(_LEFT + 0.9 + 0.75 * len(steps), 7.5, 16.0))
    height = _HEAD + _FOOT + sum(inches for _, inches, _ in parts) + _GAP * (len(parts) - 1)
    with mpl.rc_context(style.RC):
        figure = style.Picture(figsize=(width, height))
        share = f"{result.served_kwh / result.total_kwh:.1%}" if result.total_kwh else "–"
        title = f"{result.grid.title or result.grid.name}: {share} of {result.total_kwh:,.0f} kWh served"
        size = min(12.5, (width - 0.5) * 72.0 / (0.68 * len(title)))
        figure.text(0.25 / width, 1 - 0.22 / height, title, fontsize=size, weight="bold", va="center", parse_math=False)
        top = height - _HEAD
        for number, (paint, inches, names) in enumerate(parts):
            box = (_LEFT / width, (top - inches) / height, (width - _LEFT - 0.9) / width, inches / height)
            axes = figure.add_axes(box)
            axes.set_xlim(edges[0], edges[-1])
            for x in edges[1:-1]:
                axes.axvline(x, color=style.PALE, lw=0.8, zorder=0)
            paint(axes, result, edges, names or [])
            _axis(axes, edges, steps, first=number == 0, last=number == len(parts) - 1)
            top -= inches + _GAP
        _legend(figure, width, height)
    return figure


def steps_scene(result: PartitionStepsResult) -> PartitionScene:
    """The islands of every step; where no plan was found there is no picture."""
    frames = {name: result.tables()[name] for name in ("islands", "blocks", "generators", "switches")}
    rows = [] if result.cost_usd is None else result.steps.select("step", "served_kw", "load_kw").rows()
    plans = [
        (step, (kw, load), {name: frame.filter(step=step) for name, frame in frames.items()}) for step, kw, load in rows
    ]
    return plans_scene(result.grid, plans)


save = saver(draw)


def _changing(frame: pl.DataFrame, key: str, columns: list[str]) -> list[str]:
    """All names, or of more than `ROWS` those whose columns change from step to step."""
    names: list[str] = frame[key].unique(maintain_order=True).to_list()
    if len(names) <= ROWS:
        return names
    moving = frame.group_by(key).agg(pl.struct(columns).n_unique().alias("kinds")).filter(pl.col("kinds") > 1)
    moved = set(moving[key])
    return [name for name in names if name in moved][:ROWS]


def _axis(axes: Axes, edges: Floats, steps: list[str], *, first: bool, last: bool) -> None:
    axes.tick_params(length=0, labelsize=7.5)
    axes.tick_params(axis="y", pad=7)
    axes.set_xticks([])
    if first:
        for x, y, name in zip(edges, edges[1:], steps, strict=False):
            more: dict[str, Any] = {"transform": axes.get_xaxis_transform(), "parse_math": False}
            axes.text((x + y) / 2, 1.18, shorten(name, 12), ha="center", va="bottom", fontsize=8, weight="bold", **more)
    if last:
        axes.set_xticks(edges, [f"{x:g}" for x in edges])
        axes.set_xlabel("hours", fontsize=8)


def _rows(axes: Axes, title: str, names: list[str]) -> None:
    """A row a name, the first on top; row k lies between −k − 1 and −k."""
    axes.set_ylim(-max(len(names), 1), 0.0)
    axes.set_yticks([-k - 0.5 for k in range(len(names))], [shorten(name, 16) for name in names])
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_title(title, fontsize=8.5, pad=3)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)


def _cells(frame: pl.DataFrame, key: str, name: str, result: PartitionStepsResult) -> list[dict[str, Any]]:
    """The rows of one name, in the order of the steps."""
    rows = {row["step"]: row for row in frame.filter(pl.col(key) == name).iter_rows(named=True)}
    return [rows[step] for step in result.steps["step"]]


def _load(axes: Axes, result: PartitionStepsResult, edges: Floats, _: list[str]) -> None:
    load, served = (result.steps[name].to_numpy() for name in ("load_kw", "served_kw"))
    axes.stairs(load, edges, color=style.SOFT, lw=1.0, ls=(0, (4, 3)))
    axes.stairs(served, edges, fill=True, color=style.AFTER, alpha=0.25)
    axes.stairs(served, edges, color=style.AFTER, lw=1.6)
    most = float(max(load.max(), 1e-9))
    axes.set_ylim(0.0, 1.25 * most)
    axes.set_yticks([0.0, most], ["0", f"{most:,.0f}"])
    for x, y, kw in zip(edges, edges[1:], served, strict=False):
        axes.text((x + y) / 2, kw - 0.05 * most, f"{kw:,.0f}", ha="center", va="top", fontsize=7.5, color=style.INK)
    axes.set_title("load served (dashed: all load), kW", fontsize=8.5, pad=3)


def _blocks(axes: Axes, result: PartitionStepsResult, edges: Floats, names: list[str]) -> None:
    _rows(axes, "blocks, by their first bus: number and colour of the island", names)
    for k, name in enumerate(names):
        for cell, x, y in zip(_cells(result.blocks, "name", name, result), edges, edges[1:], strict=False):
            number = int(cell["island"])
            look: dict[str, Any] = {"facecolor": island_colour(number), "edgecolor": "white"}
            if not number:
                hatch = "xxxx" if cell["fault"] else ""
                look = {
                    "facecolor": "white",
                    "edgecolor": style.BROKEN if cell["fault"] else style.DEAD,
                    "hatch": hatch,
                }
            axes.broken_barh([(x, y - x)], (-k - 0.9, 0.8), lw=0.7, **look)
            if number:
                ink: dict[str, Any] = {"color": style.ink_on(island_colour(number)), "weight": "bold"}
                axes.text((x + y) / 2, -k - 0.5, str(number), ha="center", va="center", fontsize=7, **ink)


def _switches(axes: Axes, result: PartitionStepsResult, edges: Floats, names: list[str]) -> None:
    _rows(axes, "switches: a bar is closed; events hold some", names)
    held: dict[str, Any] = {"ha": "center", "va": "center", "fontsize": 6.5, "color": style.BROKEN}
    for k, name in enumerate(names):
        for cell, x, y in zip(_cells(result.switches, "name", name, result), edges, edges[1:], strict=False):
            if cell["closed"]:
                axes.broken_barh([(x, y - x)], (-k - 0.68, 0.36), facecolor=style.LINE)
            else:
                axes.plot([x, y], [-k - 0.5] * 2, color=style.DEAD, lw=0.9, ls=(0, (3.5, 2.2)))
            if cell["held"]:
                axes.text((x + y) / 2, -k - 0.5, f"held {cell['held']}", bbox=_PAPER, **held)
            if cell["switching"]:
                colour, face = (style.CLOSES, style.CLOSES) if cell["closed"] else (style.OPENS, "white")
                look: dict[str, Any] = {"ms": 6.5, "mfc": face, "mec": colour, "mew": 1.5, "clip_on": False}
                axes.plot([x], [-k - 0.5], "o", zorder=5, **look)


def _units(axes: Axes, result: PartitionStepsResult, edges: Floats, names: list[str]) -> None:
    _rows(axes, "generators: set-points, a full row is the most they have; ◆ forms the grid", names)
    for k, name in enumerate(names):
        cells = _cells(result.generators, "name", name, result)
        most = max([1e-9, *(abs(cell["p_kw"]) for cell in cells), *(cell["p_max_kw"] for cell in cells)])
        axes.axhline(-k - 1.0, color=style.PALE, lw=0.6, zorder=0)
        for cell, x, y in zip(cells, edges, edges[1:], strict=False):
            p = cell["p_kw"]
            colour = island_colour(int(cell["island"]))
            hatch = "////" if p < 0.0 else ""
            axes.broken_barh(
                [(x, y - x)],
                (-k - 1.0, 0.86 * abs(p) / most),
                facecolor=colour,
                edgecolor="white",
                hatch=hatch,
                alpha=0.8,
            )
            power = f"{p:,.0f}" if abs(p) > RUNS_KW else ""
            text = f"◆ {power}" if cell["forms_grid"] else power
            axes.text((x + y) / 2, -k - 0.5, text, ha="center", va="center", fontsize=7, bbox=VEIL if text else None)
        axes.text(1.01, -k - 0.5, f"{most:,.0f} kW", transform=axes.get_yaxis_transform(), fontsize=7, va="center")


def _stores(axes: Axes, result: PartitionStepsResult, edges: Floats, names: list[str]) -> None:
    _rows(axes, "in store, a full row is the most they hold", names)
    capacity = dict(result.horizon.storage.select("generator", "energy_kwh").iter_rows())
    for k, name in enumerate(names):
        cells = _cells(result.storage, "generator", name, result)
        energy = np.array([cells[0]["start_kwh"], *(cell["end_kwh"] for cell in cells)])
        level = -k - 1.0 + 0.86 * energy / max(capacity[name], 1e-9)
        axes.axhline(-k - 1.0, color=style.PALE, lw=0.6, zorder=0)
        axes.fill_between(edges, -k - 1.0, level, color=style.AFTER, alpha=0.25, lw=0)
        axes.plot(edges, level, color=style.AFTER, lw=1.4)
        for x, y, kwh in zip(edges[1:], level[1:], energy[1:], strict=True):
            look: dict[str, Any] = {"textcoords": "offset points", "fontsize": 7, "ha": "right", "va": "center"}
            axes.annotate(f"{kwh:,.0f}", (x, max(y, -k - 0.7)), xytext=(-3, -4), **look)
        axes.text(
            1.01, -k - 0.5, f"{capacity[name]:,.0f} kWh", transform=axes.get_yaxis_transform(), fontsize=7, va="center"
        )


def _legend(figure: style.Picture, width: float, height: float) -> None:
    point: dict[str, Any] = {"marker": "o", "ms": 6.5, "ls": "none", "mew": 1.5}
    handles = [
        Patch(facecolor=island_colour(1), label="island, by number"),
        Patch(facecolor="white", edgecolor=style.DEAD, label="without supply"),
        Patch(facecolor="white", edgecolor=style.BROKEN, hatch="xxxx", label="fault"),
        Line2D([0], [0], color=style.LINE, lw=4, label="closed"),
        Line2D([0], [0], color=style.DEAD, lw=0.9, ls=(0, (3.5, 2.2)), label="open"),
        Line2D([0], [0], mfc=style.CLOSES, mec=style.CLOSES, label="closes", **point),
        Line2D([0], [0], mfc="white", mec=style.OPENS, label="opens", **point),
        Patch(facecolor=island_colour(1), hatch="////", edgecolor="white", label="charges"),
    ]
    columns = len(handles) if width > 8.0 else 4
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0.25 / width, 0.08 / height), ncols=columns, fontsize=8
    )
