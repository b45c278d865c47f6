"""Run and answer: bounds that close, what is printed, Stop; then the answer, its proof, and what is taken home."""

from __future__ import annotations

from typing import Any

from nicegui import ui

from openpoint.errors import OptionError
from openpoint.report.drawing import as_data
from openpoint.web.desk import Desk
from openpoint.web.pages.frame import framed, heading, page, pairs, refused, removal, send, words
from openpoint.web.picture import Bounds, bounds_chart
from openpoint.web.request import REPORT, VERIFY
from openpoint.web.runs import Run

_EVERY_S = 0.5
_LINES = 200


class RunPage:
    """The page of a run."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def show(self, identity: str) -> None:
        """Show it."""
        try:
            run = self.desk.runs.get(identity)
        except OptionError as error:
            with page("Not here"):
                words(str(error))
            return
        with page(f"{run.study} of {run.name}", (run.name, f"/grids/{run.grid}"), *_asked(run)) as content:
            if run.state == "ended":
                Ended(self.desk, run)
            else:
                Running(self.desk, run, content)


def _asked(run: Run) -> list[tuple[str, str]]:
    """The way back to the question, or to the run whose certificate is verified."""
    if run.study == VERIFY:
        return [("answer", f"/runs/{run.request['run']}")]
    return [(run.study, f"/grids/{run.grid}/ask/{run.study}?again={run.identity}")]


class Running:
    """A run that waits or runs."""

    def __init__(self, desk: Desk, run: Run, content: Any) -> None:
        self.desk, self.run, self.content = desk, run, content
        self.state = words(run.words, "lead").props("role=status aria-live=polite")
        self.figures = words("", "figures").props("aria-live=polite")
        ui.button("Stop, and keep the best answer", on_click=self._stop).props("outline no-caps")
        with ui.element("div") as self.chart:
            pass
        heading(2, "What it prints")
        self.log = words("", "log").props('tabindex=0 role=log aria-label="What it prints"')
        self.points = 0
        self.timer = ui.timer(_EVERY_S, self._look)

    def _stop(self) -> None:
        self.desk.runs.stop(self.run.identity)
        self._look()

    def _look(self) -> None:
        run = self.desk.runs.get(self.run.identity)
        if run.state == "ended":
            self.timer.deactivate()
            self.content.clear()
            with self.content:
                Ended(self.desk, run)
            return
        self.state.set_text(run.words)
        self.log.set_text("\n".join(run.log()[-_LINES:]))
        bounds = run.bounds()
        if len(bounds) > self.points:
            self.points = len(bounds)
            lower, upper = (f"{value:,.3f}" if value is not None else "not known" for value in bounds[-1][1:])
            self.figures.set_text(f"lower bound {lower} · upper bound {upper}")
            self._draw(bounds)

    def _draw(self, bounds: Bounds) -> None:
        """Show the bounds, the first time with the page that draws them."""
        if (chart := bounds_chart(bounds)) is None:
            return
        if not self.chart.default_slot.children:
            with self.chart:
                framed(f"/api/runs/{self.run.identity}/bounds.html", "Lower and upper bound over time", "bounds")
        send("bounds", {"chart": as_data(chart)})


class Ended:
    """A run that has ended."""

    def __init__(self, desk: Desk, run: Run) -> None:
        self.desk, self.run = desk, run
        words(run.words, "banner good" if run.code == 0 else "banner warn").props("role=status")
        with ui.element("div").classes("chips"):
            if run.study != VERIFY:
                again = f"/grids/{run.grid}/ask/{run.study}?again={run.identity}"
                ui.button("Ask again with other options", on_click=lambda: ui.navigate.to(again)).props(
                    "outline no-caps"
                )
            if run.certificate is not None:
                ui.button("Verify the certificate", on_click=self._verify).props("outline no-caps")
            if run.outputs:
                ui.link("Files to take home", "#take-home")
        if REPORT in run.outputs:
            framed(f"/api/runs/{run.identity}/files/{REPORT}", "The answer", "answer")
        if run.outputs:
            self._take_home()
        removal("Delete this run with its files", lambda: desk.runs.forget(run.identity))
        heading(2, "What it printed")
        words("\n".join(run.log()), "log")

    def _take_home(self) -> None:
        heading(2, "Take home", "take-home")
        with ui.element("ul"):
            for name, path in self.run.outputs.items():
                with ui.element("li"):
                    address = f"/api/runs/{self.run.identity}/files/{name}?download=1"
                    ui.link(name, address).props(f'download="{path.name}"' if '"' not in name else "")
        shown = [("On the command line", self.run.shown), ("In Python", self.run.python)]
        pairs((name, text) for name, text in shown if text)

    def _verify(self) -> None:
        try:
            run = self.desk.verify(self.run)
        except OptionError as error:
            refused(error)
            return
        ui.navigate.to(f"/runs/{run.identity}")
