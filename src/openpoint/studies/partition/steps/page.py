"""The sections of the HTML report of a partition over time: the timeline, and the plan of every step."""

from __future__ import annotations

import base64

from openpoint.report.chart.drawing import Chart
from openpoint.report.figure.files import encode
from openpoint.report.page.blocks import Column, card, doubts, number, remarks, section, table, usd
from openpoint.report.page.model import Page
from openpoint.report.page.numerals import figures, method_words
from openpoint.report.series import gap_text
from openpoint.studies.partition.page import (
    Plans,
    banner,
    blocks,
    gap_words,
    generators,
    islands,
    pictures,
    proof,
    switches,
)
from openpoint.studies.partition.steps.picture import draw_timeline, steps_scene
from openpoint.studies.partition.steps.result import PartitionStepsResult

_LINEAR = "Costs, bounds and set-points are those of a linear three-phase power flow; what is called AC is exact."
_PIXELS = 84.0  # of an inch


def page(result: PartitionStepsResult) -> Page:
    """The report of a result."""
    scene = steps_scene(result)
    charts: dict[str, Chart] = {}
    frames = {name: frame for name, frame in result.tables().items() if "step" in frame.columns}
    steps = result.steps["step"].to_list()
    plans = Plans("step", {step: {name: each.filter(step=step) for name, each in frames.items()} for step in steps})
    log = Plans("", {"": {"iterations": result.iterations}})
    parts = [
        banner(result.termination, result.cost_usd, result.in_short),
        remarks(dict.fromkeys(result.notes)),
        _cards(result),
        _timeline(result),
        _steps(result),
        pictures(scene, charts, ""),
        switches(plans),
        islands(plans),
        generators(plans),
        _storage(result),
        blocks(plans),
        proof({"": (result.iterations, gap_text(result.gap, result.termination))}, log, charts),
        doubts(result.grid.notes),
    ]
    return Page(result.grid, "microgrids over time", "\n".join(part for part in parts if part), charts, _LINEAR)


def _cards(result: PartitionStepsResult) -> str:
    share = f"{result.served_kwh / result.total_kwh:.1%}" if result.total_kwh else "–"
    moved = f"{len(result.uncertain_loads)} of {result.grid.loads.height} loads ± {100.0 * result.uncertainty:g} %"
    parts = [f"dead blocks {usd(result.lost_usd)}, set-points {usd(result.generation_usd)}"]
    parts.append(f"following the loads, at worst {usd(result.worst_recourse_usd)}")
    most = "any number" if result.max_actions is None else f"at most {result.max_actions}"
    kept = "a block with supply keeps it unless it has a fault" if result.keep_energised else ""
    effort = f"{figures(result.seconds, 3)} s, {result.iterations.height} iterations"
    cards = [
        card("Energy served", f"{number(result.served_kwh, 0)} of {number(result.total_kwh, 0)} kWh", share),
        card("Cost, at worst", usd(result.cost_usd), *parts),
        card("Steps", f"{result.steps.height}, {number(float(result.steps['hours'].sum()), 1)} h"),
        card("Switches that change in a step", most, kept),
        card("Uncertain", moved if result.uncertain_loads else "No load", ", ".join(result.uncertain_loads[:12])),
        card("Gap between the bounds", gap_words(result.gap), f"lower bound {usd(result.lower_bound_usd)}"),
        card("Method", method_words(result.method), effort),
    ]
    return f'<div class="cards">{"".join(cards)}</div>'


def _timeline(result: PartitionStepsResult) -> str:
    if result.cost_usd is None:
        return ""
    figure = draw_timeline(result)
    data = base64.b64encode(encode(figure, "svg")).decode()
    alt = "Blocks, switches, generators and stores, step by step; the tables below hold all numbers."
    # Never narrower than it can be read: a narrow screen shows a part of it, which moves sideways.
    width = round(_PIXELS * figure.get_figwidth())
    size = f"min-width:{width}px;max-width:{round(1.3 * width)}px"
    picture = f'<img alt="{alt}" style="{size}" src="data:image/svg+xml;base64,{data}">'
    place = f'<div class="sideways" tabindex="0" role="region" aria-label="Timeline">{picture}</div>'
    return section("Timeline", place, long=True)


def _steps(result: PartitionStepsResult) -> str:
    columns = [Column("step"), Column("hours", 2), Column("load, kW", 1), Column("served, kW", 1)]
    columns += [Column("blocks", 0), Column("actions", 0), Column("dead blocks, $", 2), Column("set-points, $", 2)]
    columns += [Column("AC loss, kW", 2), Column("AC voltage from, pu", 4), Column("to, pu", 4)]
    columns.append(Column("beyond limits, pu", 4))
    order = ("step", "hours", "load_kw", "served_kw", "energised_blocks", "actions", "lost_usd", "generation_usd")
    rows = result.steps.select(*order, "loss_kw", "v_min_pu", "v_max_pu", "v_excess_pu").iter_rows()
    caption = "Nominal loads; AC power flow of the islands"
    return section("Steps", table("steps", caption, columns, rows))


def _storage(result: PartitionStepsResult) -> str:
    if result.storage.is_empty():
        return ""
    columns = [Column("step"), Column("generator"), Column("P, kW", 1), Column("start, kWh", 1), Column("end, kWh", 1)]
    columns += [Column("may add, kW", 1), Column("may take back, kW", 1)]
    order = ("step", "generator", "p_kw", "start_kwh", "end_kwh", "reserve_more_kw", "reserve_less_kw")
    rows = list(result.storage.select(order).iter_rows())
    return section("In store", table("storage", "Energy, and power held back for loads that deviate", columns, rows))
