"""The report of a year in blocks: the timeline with the open points, the blocks, what is switched, and all steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.names import join_names
from openpoint.report.charts import Timeline
from openpoint.report.drawing import Layer, Lines, Panel, Sheet
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.scene import numbers
from openpoint.studies.reconfigure.year.report import (
    CURVES,
    duration_section,
    steps_section,
    violation_section,
)
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


SHOWN = 60
"""Blocks that are listed."""


def page(result: SeasonsResult) -> m.Page:
    """The report of a result."""
    whose = "plan" if result.has_answer else "state of least violation met"
    parts = [
        _cards(result),
        violation_section(result, whose),
        _least_violation(result),
        lambda: s.sheet_section("The blocks", timeline(result), long=True),
        _blocks(result),
        _switchings(result),
        lambda: duration_section(result),
        lambda: s.convergence_section(result),
        lambda: steps_section(result, result.steps),
    ]
    return s.answer_page(
        result, "open points for the blocks of a year", parts, none="No plan found", hidden="violation"
    )


def _least_violation(result: SeasonsResult) -> m.Section | None:
    if result.has_answer:
        return None
    opened = join_names(result.least_violation_open)
    items = (
        f"Block without a topology that keeps the limits: {result.infeasible_block}" if result.infeasible_block else "",
        f"Least violation met in it with these branches open: {opened}" if opened else "",
    )
    return m.section("Least violation", m.Bullets(tuple(filter(None, items))))


def _cards(result: SeasonsResult) -> m.Cards:
    before, after = result.energy_before_mwh, result.energy_mwh
    saved = ""
    if before is not None and after is not None and before > 0.0:
        saved = f"{number(before - after)} MWh ({(before - after) / before:.1%}) saved"
    most = "any number" if result.switchings_a_year is None else f"at most {result.switchings_a_year}"
    since = "from today's state on" if result.from_today else "between the blocks"
    checked = f"all {result.steps_count:,} steps by power flow, {result.checked_steps} by this check"
    broken, was = (("–" if n is None else f"{n:,}") for n in (result.steps_broken, result.steps_broken_before))
    done = "–" if result.operations is None else str(result.operations)
    again = "" if result.operations_back is None else f"{result.operations_back} more from the last block to the first"
    return m.cards(
        m.Card("Energy lost, today → answer", f"{number(before)} → {number(after)} MWh", (saved,)),
        m.Card("Switch operations", done, (f"{most}, {since}", again)),
        m.Card("Topologies", str(result.topologies) if result.states else "–", (f"in {result.blocks.height} blocks",)),
        s.gap_card(result, f"bound {number(result.energy_bound_mwh)} MWh"),
        m.Card("Steps with broken limits", broken, (f"today {was}",)),
        s.check_card(result.ac_max_mismatch_pu, checked),
        s.effort_card(result),
    )


def _blocks(result: SeasonsResult) -> m.Section | None:
    text = m.Words(
        "An opening and a closing are one operation each, so that an exchange of two branches is two.", small=True
    )
    texts = {"block": "block", "first_step": "from"}
    last = ["to_close", "to_open", "open_branches"]
    return t.table_section("Blocks in numbers", result, "blocks", "{} blocks", texts, last=last, below=text)


def _switchings(result: SeasonsResult) -> m.Section | None:
    texts = {"block": "block", "step": "from", "action": "action", "name": "branch", "from_bus": "from bus",
             "to_bus": "to bus"}  # fmt: skip
    caption = "{} operations; in a block first what is closed"
    text = "The list holds what differs between the states, not an order of switching; `openpoint plan` finds one."
    below = m.Words(text, small=True)
    return t.table_section("Switchings", result, "switchings", caption, texts, search=True, below=below)
