"""The report of a partition over time: the timeline, and the plan of every step."""

from __future__ import annotations

from openpoint.report.figure.files import encode
from openpoint.report.numerals import number, percent, usd
from openpoint.report.page.model import Card, Cards, Column, Drawing, Page, Section, page_of, section
from openpoint.report.page.sections import banner, doubts, effort_card, frame_table, gap_card, remarks, table
from openpoint.report.series import gap_text
from openpoint.studies.partition.page import (
    Plans,
    blocks,
    cost_lines,
    generators,
    islands,
    pictures,
    proof,
    switches,
)
from openpoint.studies.partition.steps.pictures import draw, steps_scene
from openpoint.studies.partition.steps.result import PartitionStepsResult

_LINEAR = "Costs, bounds and set-points are those of a linear three-phase power flow; what is called AC is exact."
_PIXELS = 84.0  # of an inch
_STEPS = (
    Column("hours", 2),
    Column("load, kW", 1),
    Column("served, kW", 1),
    Column("blocks", 0),
    Column("actions", 0),
    Column("dead blocks, $", 2),
    Column("set-points, $", 2),
    Column("AC loss, kW", 2),
    Column("AC voltage from, pu", 4),
    Column("to, pu", 4),
    Column("beyond limits, pu", 4),
)
_STORAGE = (
    ("p_kw", "P, kW", 1),
    ("start_kwh", "start, kWh", 1),
    ("end_kwh", "end, kWh", 1),
    ("reserve_more_kw", "may add, kW", 1),
    ("reserve_less_kw", "may take back, kW", 1),
)


def page(result: PartitionStepsResult) -> Page:
    """The report of a result."""
    frames = {name: frame for name, frame in result.tables().items() if "step" in frame.columns}
    steps = result.steps["step"].to_list()
    plans = Plans("step", {step: {name: each.filter(step=step) for name, each in frames.items()} for step in steps})
    log = {"": (result.iterations, gap_text(result.gap, result.termination))}
    parts = [
        banner(result, answered=result.cost_usd is not None, none="No plan found"),
        remarks(dict.fromkeys(result.notes)),
        _cards(result),
        _timeline(result),
        _steps(result),
        pictures(steps_scene(result), None),
        switches(plans),
        islands(plans),
        generators(plans),
        _storage(result),
        blocks(plans),
        proof(log, Plans("", {"": {"iterations": result.iterations}})),
        doubts(result.grid.notes),
    ]
    return page_of(result.grid, "microgrids over time", parts, physics=_LINEAR)


def _cards(result: PartitionStepsResult) -> Cards:
    share = percent(result.served_kwh / result.total_kwh if result.total_kwh else None)
    moved = f"{len(result.uncertain_loads)} of {result.grid.loads.height} loads ± {100.0 * result.uncertainty:g} %"
    most = "any number" if result.max_actions is None else f"at most {result.max_actions}"
    kept = "a block with supply keeps it unless it has a fault" if result.keep_energised else ""
    served = f"{number(result.served_kwh, 0)} of {number(result.total_kwh, 0)} kWh"
    uncertain = (", ".join(result.uncertain_loads[:12]),)
    return Cards(
        (
            Card("Energy served", served, (share,)),
            Card("Cost, at worst", usd(result.cost_usd), cost_lines(result)),
            Card("Steps", f"{result.steps.height}, {number(float(result.steps['hours'].sum()), 1)} h"),
            Card("Switches that change in a step", most, (kept,)),
            Card("Uncertain", moved if result.uncertain_loads else "No load", uncertain),
            gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
            effort_card(result, f"{result.iterations.height} iterations"),
        )
    )


def _timeline(result: PartitionStepsResult) -> Section | None:
    if result.cost_usd is None:
        return None
    figure = draw(result)
    alt = "Blocks, switches, generators and stores, step by step; the tables below hold all numbers."
    width = round(_PIXELS * figure.get_figwidth())
    return section("Timeline", Drawing("Timeline", alt, encode(figure, "svg"), width), long=True)


def _steps(result: PartitionStepsResult) -> Section:
    order = ("step", "hours", "load_kw", "served_kw", "energised_blocks", "actions", "lost_usd", "generation_usd")
    rows = result.steps.select(*order, "loss_kw", "v_min_pu", "v_max_pu", "v_excess_pu").iter_rows()
    caption = "Nominal loads; AC power flow of the islands"
    return section("Steps", table("steps", caption, ("step", *_STEPS), rows))


def _storage(result: PartitionStepsResult) -> Section | None:
    if result.storage.is_empty():
        return None
    caption = "Energy, and power held back for loads that deviate"
    return section("In store", frame_table("storage", caption, result.storage, ("step", "generator"), _STORAGE))
