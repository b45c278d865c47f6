"""Pictures of a year in blocks: what is lost and which branches are open in each, and duration curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.report.charts import Timeline
from openpoint.report.drawing import Layer, Lines, Panel, Sheet
from openpoint.report.scene import numbers
from openpoint.studies.reconfigure.year.pictures import CURVES
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult

ROWS = 30
"""Branches that are open at some time; beyond it only those that are switched are drawn."""
_ENERGIES = (
    ("energy_before_mwh", "@before", "today's open points"),
    ("energy_staying_mwh", "@mean", "open points of the block before"),
    ("energy_mwh", "@after", "answer"),
)


def timeline(result: SeasonsResult) -> Sheet:
    """The blocks along the time; without an answer what is lost by today's open points."""
    hours = numbers(result.blocks, "hours")
    times = Timeline(np.concatenate([[0.0], np.cumsum(hours)]), tuple(result.blocks["block"]))
    layers: list[Layer] = []
    highest = 0.0
    for column, colour, label in _ENERGIES:
        # Mean power: energies of blocks of different lengths cannot be compared.
        value = 1000.0 * numbers(result.blocks, column) / hours
        if column == "energy_staying_mwh" and not result.from_today:
            value[:1] = np.nan  # before the first block there is none
        if not np.isfinite(value).any():
            continue
        highest = max(highest, float(np.nanmax(value)))
        thick, dash = (2.6, ()) if column == "energy_mwh" else (1.8, (5.0, 3.0))
        layers.append(Lines(times.line(value), colour, thick, dash=dash, name=label))
    states = [state.open_branches for state in result.states]
    before = result.open_before if result.from_today else None
    switched = result.switchings["name"].to_list()
    opened = times.open_points(result.grid, states, before, switched, ROWS) if states else None
    y = (0.0, 1.08 * highest if highest > 0.0 else 1.0)
    lost = times.chart(180, y, layers, last=opened is None)
    text = "Mean loss of every block; the tables below hold all numbers."
    panels = [Panel("blocks-loss", lost, "Mean loss of each block, kW", text)]
    if opened is not None:
        panels.append(Panel("blocks-open", opened, "Open branches", "Open branches of every block."))
    return Sheet(headline(result), tuple(panels), stacked=True)


def headline(result: SeasonsResult) -> str:
    """One line that says what the picture shows."""
    title, blocks = result.title, f"{result.blocks.height} blocks"
    before, after = result.energy_before_mwh, result.energy_mwh
    if after is None:
        return f"{title}, {blocks}: {result.termination.value}, no plan that keeps the limits"
    done = f"{result.operations} switch operations"
    if before is None or before <= 0.0:
        return f"{title}, {blocks}: {done}, {after:,.1f} MWh lost"
    word = "less" if after <= before else "more"
    return f"{title}, {blocks}: {done}, {abs(before - after):,.1f} MWh ({abs(before - after) / before:.1%}) {word} lost"


PICTURES: Mapping[str, Callable[[SeasonsResult], Sheet]] = {"blocks": timeline, **CURVES}
"""The open points of every block and what is lost in it, the duration curves of losses, those of voltages."""
