"""A switch plan in the terminal and in reports, and the checklist of it to print."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from openpoint.arguments import path_of
from openpoint.atomic import refusing, write_text
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.table_files import table_bytes
from openpoint.report.layout.place import shorten
from openpoint.report.page import model as m
from openpoint.report.page import tables as t
from openpoint.results.switch_plan import SwitchPlan

ENDINGS = (".html", ".htm", ".md", ".csv")
"""Of the names of checklists."""
NAMES = 30
"""Letters of a name, or of the names of the buses that are off."""


def plan_section(plan: SwitchPlan | None) -> m.Section | None:
    """The plan in a report; None where there is none."""
    return None if plan is None else _section(plan, "plan", "One switch operation a row", {})


def _section(plan: SwitchPlan, identity: str, caption: str, more: dict[str, str]) -> m.Section:
    """The plan; `more`: columns of one text each, of a list to print."""
    notes = [m.Words(f"{note[0].upper()}{note[1:]}.", small=True) for note in plan.notes]
    heads, rows = _table(plan, more)
    steps = t.table(identity, caption, heads, rows) if rows else None
    return m.section("Switch plan", m.Words(plan.in_short), *notes, steps, long=True)


def write_checklist(grid: Grid, plan: SwitchPlan, path: str | Path) -> Path:
    """Write the plan as a list to print, with places to tick: a page (`.html`), Markdown (`.md`) or a table (`.csv`).

    Raises:
        OptionError: another ending, or a path that cannot be written.
    """
    file = path_of(path, "path")
    if file.suffix.lower() not in ENDINGS:
        raise OptionError(f"{file}: a checklist ends in {', '.join(ENDINGS)}")
    texts = {".md": checklist_markdown, ".csv": _csv}
    text = texts.get(file.suffix.lower(), checklist_html)(grid, plan)
    with refusing():
        write_text(file, text)
    return file


def checklist_html(grid: Grid, plan: SwitchPlan) -> str:
    """The checklist as a page."""
    from openpoint.report.page.html import render

    found = _section(plan, "checklist", "Tick each step before the next one", {"done at, by": ""})
    return render(m.page_of(grid, "switch plan", [found]))


def checklist_markdown(grid: Grid, plan: SwitchPlan) -> str:
    """The checklist as Markdown."""
    heads, rows = _table(plan, {"done": "[ ]"})
    lines = [f"# Switch plan: {_cell(grid.title or grid.name)}", "", _cell(plan.in_short), ""]
    lines += [f"- {_cell(note)}" for note in plan.notes] + ([""] if plan.notes else [])
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _csv(grid: Grid, plan: SwitchPlan) -> str:
    return table_bytes(plan.steps, csv=True).decode()


def _table(plan: SwitchPlan, more: dict[str, str]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Headings and rows of the steps in words; what no step has is left out, so that a screen holds a row.

    `more`: columns of a list to print, which has places and names of buses, too.
    """
    rows = [_words(step, on_paper=bool(more)) | more for step in plan.steps.iter_rows(named=True)]
    heads = [head for head in (rows[0] if rows else ()) if head in more or any(row[head] for row in rows)]
    return heads, [tuple(row[head] for head in heads) for row in rows]


def _words(step: dict[str, Any], *, on_paper: bool) -> dict[str, str]:
    loading, known = step["loading_percent"], on_paper and step["x"] is not None and step["y"] is not None
    letters = NAMES if on_paper else NAMES // 2
    return {
        "step": str(step["step"]),
        "action": step["action"],
        "branch": step["name"],
        "switch": step["switch"],
        "at": step["bus"],
        "by": "remote" if step["remote"] else "manual" if on_paper else "",
        "current, A": f"{step['i_before_a']:.1f} → {step['i_after_a']:.1f}",
        "lowest, pu": f"{step['v_min_pu']:.4f} at {step['v_min_bus']}",
        "loading": "" if loading is None else f"{loading:.1f} % at {shorten(step['loading_branch'], letters)}",
        "who is off": _off(step, names=on_paper),
        "place": f"{step['x']:g}, {step['y']:g}" if known else "",
        "limit broken": step["limit"],
    }


def _off(step: dict[str, Any], *, names: bool) -> str:
    """Who is off after a step, and for how long."""
    if not step["off_kw"]:
        return ""
    customers = "" if step["off_customers"] is None else f"{step['off_customers']:g} customers, "
    where = f" at {shorten(step['off_buses'], NAMES)}" if names else ""
    return f"{customers}{step['off_kw']:.1f} kW, {step['off_min']:g} min{where}"


def _cell(text: str) -> str:
    """Text in a cell of Markdown."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
