"""Open a grid: a file, a built-in one, or one that was opened before; and all runs."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.web.desk import Desk
from openpoint.web.pages.frame import heading, link, page, refused, words
from openpoint.web.runs import Run


class HomePage:
    """The page where one begins."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def show(self) -> None:
        """Show it."""
        with page("Open a grid"):
            Upload(self.desk)
            heading(2, "Built-in grids")
            with ui.element("div").classes("chips"):
                for name in files.names():
                    ui.button(name, on_click=lambda name=name: self._built_in(name)).props("flat dense no-caps")
            if grids := self.desk.grids.all():
                heading(2, "Opened before")
                with ui.element("ul"):
                    for grid in grids:
                        with ui.element("li"):
                            link(grid.name, f"/grids/{grid.identity}")
            Runs(self.desk)

    def _built_in(self, name: str) -> None:
        ui.navigate.to(f"/grids/{self.desk.grids.built_in(name).identity}")


class Upload:
    """Files of a grid; where several may be the grid, one is asked for."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.contents: dict[str, bytes] = {}
        words("A file, or all files of a folder at once. It stays on the machine where the server runs.")
        most = desk.limits.upload_mb
        ui.upload(
            label=f"Drop files, or choose them with + ({most} MB at most)",
            multiple=True,
            auto_upload=True,
            max_total_size=most << 20,
            on_multi_upload=self._take,
            on_rejected=lambda: ui.notify(f"more than {most} MB", type="negative"),
        ).classes("upload").mark("upload")
        with ui.element("div") as self.main:
            pass

    async def _take(self, event: Any) -> None:
        self.contents = {file.name: await file.read() for file in event.files}
        await self._open()

    async def _open(self, main: str = "") -> None:
        try:
            grid = await asyncio.to_thread(self.desk.grids.upload, self.contents, main)
        except OptionError as error:
            refused(error)
            self.main.clear()
            if len(self.contents) > 1:
                with self.main:
                    ui.select(list(self.contents), label="Which file is the grid?", on_change=self._chosen)
            return
        ui.navigate.to(f"/grids/{grid.identity}")

    async def _chosen(self, event: Any) -> None:
        await self._open(event.value)


class Runs:
    """The runs, of which some can be compared."""

    def __init__(self, desk: Desk) -> None:
        self.chosen: list[str] = []
        if not (runs := desk.runs.all()):
            return
        heading(2, "Runs")
        with ui.element("ul").classes("runs"):
            for run in runs:
                with ui.element("li"):
                    if "result.json" in run.outputs:
                        box = ui.checkbox(on_change=lambda event, run=run: self._choose(run, chosen=event.value))
                        box.props["aria-label"] = f"compare {run.study} of {run.name}"
                    link(f"{run.study} of {run.name}", f"/runs/{run.identity}")
                    words(run.words, "soft")
        ui.button("Compare what is ticked", on_click=self._compare).props("outline no-caps")

    def _choose(self, run: Run, *, chosen: bool) -> None:
        self.chosen = [each for each in self.chosen if each != run.identity] + [run.identity] * chosen

    def _compare(self) -> None:
        if len(self.chosen) < 2:
            ui.notify("tick two answers or more")
        else:
            ui.navigate.to(f"/compare?runs={','.join(self.chosen)}")
