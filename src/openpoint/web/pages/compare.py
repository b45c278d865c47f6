"""Compare: the figures of answers side by side, and which branches are open in some of them alone."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from openpoint.errors import OptionError
from openpoint.web.desk import Desk, may_differ, result_of
from openpoint.web.pages.frame import framed, heading, link, page, words
from openpoint.web.runs import Run

_MOST = 8


class ComparePage:
    """The page of a comparison."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def show(self, runs: str = "") -> None:
        """Show it; `runs`: their identities, with commas between them."""
        with page("Compare"):
            try:
                found = [self.desk.runs.get(identity) for identity in runs.split(",")[:_MOST]]
            except OptionError as error:
                words(str(error))
                return
            results = [result_of(run) or {} for run in found]
            keys = dict.fromkeys(key for result in results for key, value in result.items() if _is_figure(value))
            differs = [key for key in keys if len({repr(result.get(key)) for result in results}) > 1]
            asked: list[dict[str, Any]] = [run.request for run in found]
            _table(found, asked, list(dict.fromkeys(key for request in asked for key in request)), "What was asked")
            _table(found, results, differs, "What differs")
            _branches(found, results)
            for run in found[1:]:
                if run != found[0] and may_differ(found[0], run):
                    title = f"The first answer and {run.study} {run.identity}"
                    framed(
                        f"/api/runs/{run.identity}/difference/{found[0].identity}.html",
                        title,
                        f"difference-{run.identity}",
                    )
            _table(found, results, [key for key in keys if key not in differs], "What is the same")


def _is_figure(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def _branches(runs: list[Run], results: list[dict[str, Any]]) -> None:
    """The branches that are open in some answers and not in all."""
    opened = [set(result.get("open_branches") or ()) for result in results]
    some = sorted(set().union(*opened) - set.intersection(*opened)) if opened else []
    if some:
        rows = [{name: "open" if name in each else "closed" for name in some} for each in opened]
        _table(runs, rows, some, "Branches that are open in some of them")


def _table(runs: list[Run], results: list[dict[str, Any]], keys: list[str], title: str) -> None:
    if not keys:
        return
    heading(2, title)
    with ui.element("div").classes("scroll").props("tabindex=0 role=region"), ui.element("table"):
        with ui.element("thead"), ui.element("tr"):
            with ui.element("th"):
                ui.label("")
            for run in runs:
                with ui.element("th").props("scope=col"):
                    link(f"{run.study} of {run.name}", f"/runs/{run.identity}")
        with ui.element("tbody"):
            for key in keys:
                with ui.element("tr"):
                    with ui.element("th").props("scope=row"):
                        ui.label(key.replace("_", " "))
                    for result in results:
                        with ui.element("td"):
                            ui.label(_shown(result.get(key)))


def _shown(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:,.6g}" if isinstance(value, float) else str(value)
