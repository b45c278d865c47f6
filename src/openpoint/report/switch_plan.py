"""A switch plan in the terminal and in reports, and the checklist of it to print."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openpoint.arguments import path_of
from openpoint.atomic import refusing, write_text
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.table_files import table_bytes
from openpoint.report.page import model as m
from openpoint.report.page import tables as t
from openpoint.report.page.html import render
from openpoint.results.switch_plan import STEPS, SwitchPlan

ENDINGS = (".html", ".htm", ".md", ".csv")
"""Of the names of checklists."""
_HEAD = ("step", "action", "switch", "at", "by", "before, A", "after, A", "lowest", "loading", "who is off")


def plan_section(plan: SwitchPlan | None) -> m.Section | None:
    """The plan in a report; None where there is none."""
    if plan is None:
        return None
    notes = [m.Words(f"{note[0].upper()}{note[1:]}.", small=True) for note in plan.notes]
    last = ["v_min_bus", "loading_branch", "limit", "off_buses"]
    texts = {"step": "step", "action": "action", "name": "switch", "bus": "at"}
    listed = t.frame_table("plan", "One switch operation a row", plan.steps, STEPS, texts, last=last)
    return m.section("Switch plan", m.Words(plan.in_short), *notes, listed if plan.operations else None, long=True)


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
    rows = [(*row, *_place(step), "") for row, step in zip(_rows(plan), plan.steps.iter_rows(named=True))]
    heads = [*_HEAD, "place", "limit broken", "done at, by"]
    notes = [m.Words(f"{note[0].upper()}{note[1:]}.", small=True) for note in plan.notes]
    steps = t.table("checklist", "Tick each step before the next one", heads, rows)
    found = m.section("Switch plan", m.Words(plan.in_short), *notes, steps, long=True)
    return render(m.page_of(grid, "switch plan", [found]))


def checklist_markdown(grid: Grid, plan: SwitchPlan) -> str:
    """The checklist as Markdown."""
    heads = [*_HEAD, "place", "limit broken", "done"]
    lines = [f"# Switch plan: {_cell(grid.title or grid.name)}", "", _cell(plan.in_short), ""]
    lines += [f"- {_cell(note)}" for note in plan.notes] + ([""] if plan.notes else [])
    lines += ["| " + " | ".join(heads) + " |", "|" + "---|" * len(heads)]
    for row, step in zip(_rows(plan), plan.steps.iter_rows(named=True)):
        lines.append("| " + " | ".join(map(_cell, (*row, *_place(step), "[ ]"))) + " |")
    return "\n".join(lines) + "\n"


def _csv(grid: Grid, plan: SwitchPlan) -> str:
    return table_bytes(plan.steps, csv=True).decode()


def _rows(plan: SwitchPlan) -> Iterator[tuple[str, ...]]:
    """The steps in words, in the columns of `_HEAD`."""
    for step in plan.steps.iter_rows(named=True):
        loading = step["loading_percent"]
        yield (
            str(step["step"]),
            step["action"],
            step["name"],
            step["bus"],
            "remote" if step["remote"] else "manual",
            f"{step['i_before_a']:.1f}",
            f"{step['i_after_a']:.1f}",
            f"{step['v_min_pu']:.4f} pu at {step['v_min_bus']}",
            "" if loading is None else f"{loading:.1f} %",
            _off(step),
        )


def _off(step: dict[str, Any]) -> str:
    """Who is off after a step, and for how long."""
    if not step["off_kw"]:
        return ""
    customers = "" if step["off_customers"] is None else f"{step['off_customers']:g} customers, "
    return f"{customers}{step['off_kw']:.1f} kW at {step['off_buses']}, {step['off_min']:g} min"


def _place(step: dict[str, Any]) -> tuple[str, str]:
    """Coordinates, and what limit is broken."""
    known = step["x"] is not None and step["y"] is not None
    return f"{step['x']:g}, {step['y']:g}" if known else "", step["limit"]


def _cell(text: str) -> str:
    """Text in a cell of Markdown."""
    return text.replace("\\", "\\\\").replace("|", "\\|").replace("\n", " ")
