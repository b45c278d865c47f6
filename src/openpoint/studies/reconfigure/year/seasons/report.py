"""The report of a year in blocks: the timeline with the open points, the blocks, what is switched, and all steps."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from openpoint.report.charts import Timeline
from openpoint.report.drawing import Layer, Lines, Panel, Sheet
from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.report.scene import numbers
from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, Rows, View, stop, violated, violation_rows
from openpoint.studies.reconfigure.year.report import (
    CURVES,
    duration_section,
    energy,
    saving,
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


def view(result: SeasonsResult) -> View:
    """Why the run stopped, the energy lost, and the blocks with their open points."""
    bound = f"bound {energy(result.energy_bound_mwh)}"
    lines = stop(result)
    if not result.has_answer:
        where = "" if result.infeasible_block is None else f" of block {words.safe(result.infeasible_block)}"
        lines.append(Line(f"No plan was found that keeps the limits in every step{where} ({bound})."))
        if result.least_violation_open:
            opened = words.names(result.least_violation_open)
            lines.append(Line(f"Least violation met in it with these branches open: {opened}"))
        return [*lines, *violation_rows(result.violations, "in", "step")]
    less = saving(result.energy_before_mwh, result.energy_mwh)
    lines.append(Line(f"\nEnergy lost {energy(result.energy_before_mwh)} → {energy(result.energy_mwh)}{less}", "bold"))
    most = "any number" if result.switchings_a_year is None else f"at most {result.switchings_a_year}"
    counted = "from today's state on" if result.from_today else "between the blocks"
    lines.append(Line(f"Switch operations {counted}: {result.operations} ({most}); an exchange of two branches is two"))
    lines.append(Rows(_blocks_lines(result), right=(1, 2, 3), head=True))
    if len(result.states) > SHOWN:
        lines.append(Line(f"  and {len(result.states) - SHOWN} more; --json, --csv and --report list all"))
    lines.append(Line(f"Gap: {words.percent(result.gap)} % ({bound})"))
    steps = f"{words.count(result.steps_count, 'step')} by AC power flow"
    mismatch = f"largest mismatch {words.small(result.ac_max_mismatch_pu)} pu in {result.checked_steps} of them"
    check = f"All {steps}, {mismatch}, {violated(result.violations.height)}"
    return [*lines, Line(check), *violation_rows(result.violations, "in", "step")]


def _blocks_lines(result: SeasonsResult) -> list[tuple[str, ...]]:
    """A row a block: its energies, and its open points where they change."""
    head = "block", "today MWh", "if kept MWh", "MWh", "close, then open"
    rows: list[tuple[str, ...]] = [head]
    for n, (row, state) in enumerate(zip(result.blocks.iter_rows(named=True), result.states)):
        if n == SHOWN:
            break
        moved = [
            f"{do} {words.names(some)}" for do, some in (("close", state.to_close), ("open", state.to_open)) if some
        ]
        text = f"open {words.names(state.open_branches)}" if n == 0 else ", ".join(moved) or "as before"
        kept = _figure(row["energy_staying_mwh"]) + ("*" if row["staying_broken"] else "")
        rows.append(
            (words.safe(state.block), _figure(row["energy_before_mwh"]), kept, _figure(row["energy_mwh"]), text)
        )
    return rows


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:,.3f}"


def page(result: SeasonsResult) -> m.Page:
    """The report of a result."""
    whose = "plan" if result.has_answer else "state of least violation met"
    parts = [
        _cards(result),
        violation_section(result, whose),
        s.sheet_section("The blocks", timeline(result), long=True),
        _blocks(result),
        _switchings(result),
        duration_section(result),
        s.convergence_section(result),
        steps_section(result, result.steps),
    ]
    return s.answer_page(
        result, "open points for the blocks of a year", parts, none="No plan found", hidden="violation"
    )


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


html = html_for(page)
