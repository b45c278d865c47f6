"""The report of a partition over time: the timeline, and the plan of every step."""

from __future__ import annotations

from openpoint.report.charts import gap_text
from openpoint.report.numerals import number, percent, usd
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.partition import page as moment
from openpoint.studies.partition.steps.pictures import steps_scene, timeline
from openpoint.studies.partition.steps.result import PartitionStepsResult

_LINEAR = "Costs, bounds and set-points are those of a linear three-phase power flow; what is called AC is exact."


def page(result: PartitionStepsResult) -> m.Page:
    """The report of a result."""
    frames = {name: frame for name, frame in result.tables().items() if "step" in frame.columns}
    steps = result.steps["step"].to_list()
    plans = moment.Plans(
        "step", {step: {name: each.filter(step=step) for name, each in frames.items()} for step in steps}
    )
    log = {"": (result.iterations, gap_text(result.gap, result.termination))}
    text, stored = "Nominal loads; AC power flow of the islands", "Energy, and power held back for loads that deviate"
    parts = [
        _cards(result),
        s.sheet_section("Timeline", None if result.cost_usd is None else timeline(result), long=True),
        t.table_section("Steps", result, "steps", text, ["step"], blank=True, long=False),
        moment.pictures(steps_scene(result), "", still=False),
        moment.switches(plans),
        moment.islands(plans),
        moment.generators(plans),
        t.table_section("In store", result, "storage", stored, ["step", "generator"], long=False),
        moment.blocks(plans),
        moment.proof(log, moment.Plans("", {"": {"iterations": result.iterations}})),
    ]
    return s.answer_page(result, "microgrids over time", parts, none="No plan found", log=False, physics=_LINEAR)


def _cards(result: PartitionStepsResult) -> m.Cards:
    share = percent(result.served_kwh / result.total_kwh if result.total_kwh else None)
    most = "any number" if result.max_actions is None else f"at most {result.max_actions}"
    kept = "a block with supply keeps it unless it has a fault" if result.keep_energised else ""
    served = f"{number(result.served_kwh, 0)} of {number(result.total_kwh, 0)} kWh"
    return m.cards(
        m.Card("Energy served", served, (share,)),
        m.Card("Cost, at worst", usd(result.cost_usd), moment.cost_lines(result)),
        m.Card("Steps", f"{result.steps.height}, {number(float(result.steps['hours'].sum()), 1)} h"),
        m.Card("Switches that change in a step", most, (kept,)),
        moment.uncertain_card(result),
        s.gap_card(result, f"lower bound {usd(result.lower_bound_usd)}"),
        s.effort_card(result, f"{result.iterations.height} iterations"),
    )


html = html_for(page)
