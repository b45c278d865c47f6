"""The report of a year in blocks: the timeline with the open points, the blocks, what is switched, and all steps."""

from __future__ import annotations

from openpoint.report.numerals import number
from openpoint.report.page import model as m
from openpoint.report.page import sections as s
from openpoint.report.page import tables as t
from openpoint.report.page.html import html_for
from openpoint.studies.reconfigure.year.page import duration_section, steps_section, violation_section
from openpoint.studies.reconfigure.year.seasons.pictures import timeline
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult


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
