"""Ask: the form of a study beside the grid, on which branches are chosen by a click."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nicegui import ui

from openpoint.errors import OptionError
from openpoint.report.drawing import Shape
from openpoint.studies.catalog import Study
from openpoint.web.desk import Desk
from openpoint.web.grids import OpenGrid
from openpoint.web.look import Look
from openpoint.web.pages.form import Form, called
from openpoint.web.pages.frame import framed, heading, later, page, refused, send, words
from openpoint.web.request import study_of

_MARKS: tuple[tuple[Shape, str], ...] = (
    ("cross", "@opens"),
    ("square", "@closes"),
    ("diamond", "@islec"),
    ("plus", "@isleb"),
)
"""How branches are marked that are named in the first list of names of a study, in the second, and so on."""
_SIGNS = {"cross": "✕", "square": "■", "diamond": "◆", "plus": "✚"}


class AskPage:
    """The page of a question."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def show(self, identity: str, study: str, again: str = "") -> None:
        """Show it; `again`: a run whose options are those to begin with."""
        try:
            grid, asked = self.desk.grids.get(identity), study_of(study)
            given = self.desk.runs.get(again).request if again else {}
        except OptionError as error:
            with page("Not here"):
                words(str(error))
            return
        with page(asked.name, (grid.name, f"/grids/{identity}")):
            words(asked.sentence, "lead")

            async def fill() -> None:
                Asking(self.desk, grid, asked, await self.desk.look(grid), given)

            later(fill, "The grid is read and checked …")


class Asking:
    """The form and the picture, which know of each other."""

    def __init__(self, desk: Desk, grid: OpenGrid, study: Study, look: Look, given: Mapping[str, Any]) -> None:
        self.desk, self.grid, self.study, self.look = desk, grid, study, look
        files = [name for name, path in grid.files.items() if path.is_file()]
        with ui.element("div").classes("beside"):
            with ui.element("section") as self.side:
                pass
            with ui.element("form").props('aria-label="Options"').on("submit.prevent", self._run):
                self.form = Form(study, files, given, self._mark)
                ui.button("Run", on_click=self._run).props("no-caps").classes("run")
        if look.sound and self.form.names:
            with self.side:
                self._picture()
        else:
            self.side.delete()
        ui.on("chosen", self._chosen)
        ui.on("framed", self._mark)

    def _picture(self) -> None:
        heading(2, "A click on a branch")
        told = {name: called(name, self.form.names[name]) for name in self._listed}
        ways = {name: f"{_SIGNS[shape]} {text}" for (shape, _), (name, text) in zip(_MARKS, told.items(), strict=False)}
        self.way = ui.toggle(ways, value=self._listed[0]).props("no-caps dense").classes("ways")
        for name in self._listed:
            words(f"{told[name]}: {self.form.names[name].sentence}", "hint")
        framed(f"/api/grids/{self.grid.identity}/canvas.html", "The grid: a click chooses a branch", "canvas")

    @property
    def _listed(self) -> list[str]:
        return list(self.form.names)[: len(_MARKS)]

    def _chosen(self, event: Any) -> None:
        """A branch was clicked: it comes on the list of names that is chosen, or leaves the one on which it is."""
        name = (self.look.shortened or {}).get(str(event.args))
        if name is None:
            ui.notify("the picture shortens the names of several branches alike; type its name")
            return
        for listed in self.form.names:
            field = self.form.fields[listed]
            if name in field.value:
                field.value = [each for each in field.value if each != name]
                return
        field = self.form.fields[self.way.value]
        field.value = [*field.value, name]

    def _mark(self) -> None:
        """Mark the branches that are named in the picture."""
        marks = [
            {"name": name, "shape": shape, "fill": colour, "edge": colour, "size": 15, "width": 3}
            for (shape, colour), listed in zip(_MARKS, self._listed, strict=False)
            for name in self.form.fields[listed].value
        ]
        send("canvas", {"marks": marks})

    async def _run(self) -> None:
        try:
            run = await self.desk.ask(self.study.name, self.grid.identity, self.form.values())
        except OptionError as error:
            refused(error)
            return
        ui.navigate.to(f"/runs/{run.identity}")
