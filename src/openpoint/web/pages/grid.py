"""Check and look: the faults and doubts of a grid, its facts, its state today, and what can be asked about it."""

from __future__ import annotations

import asyncio
from typing import Any

from nicegui import ui

from openpoint.errors import OptionError
from openpoint.web.desk import Desk
from openpoint.web.grids import OpenGrid
from openpoint.web.look import Look
from openpoint.web.pages.frame import framed, heading, later, link, page, pairs, refused, removal, words
from openpoint.web.request import elsewhere, studies


class GridPage:
    """The page of a grid."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk

    def show(self, identity: str) -> None:
        """Show it."""
        try:
            grid = self.desk.grids.get(identity)
        except OptionError as error:
            with page("Not here"):
                words(str(error))
            return
        with page(grid.name):

            async def fill() -> None:
                self._fill(grid, await self.desk.look(grid))

            later(fill, "The grid is read and checked …")

    def _fill(self, grid: OpenGrid, look: Look) -> None:
        if look.sound:
            words(look.title, "lead")
            words(look.size, "soft")
        else:
            words("The grid has faults: mend them in the file, and open it again.", "banner bad")
        if look.problems:
            heading(2, "Faults and doubts")
            with ui.element("ul"):
                for severity, text in look.problems:
                    with ui.element("li"):
                        words(f"{severity}: {text}", severity)
        if look.sound:
            self._ask(grid)
            self._tables(grid)
            heading(2, "Today")
            if look.today:
                words(f"No power flow of today's state: {look.today}", "banner warn")
            framed(f"/api/grids/{grid.identity}/{'canvas' if look.today else 'today'}.html", "Today's state", "today")
        if look.facts:
            heading(2, "Facts")
            pairs(look.facts)
        removal("Delete this grid with what was uploaded", lambda: self.desk.forget(grid))

    def _ask(self, grid: OpenGrid) -> None:
        heading(2, "Ask")
        with ui.element("ul").classes("studies"):
            for study in studies():
                with ui.element("li"):
                    link(study.name, f"/grids/{grid.identity}/ask/{study.name}")
                    words(study.sentence, "soft")
            for command, sentence in elsewhere():
                with ui.element("li"):
                    words(f"On the command line alone: {command}")
                    words(sentence, "soft")

    def _tables(self, grid: OpenGrid) -> None:
        """Tables that studies read beside the grid."""

        async def take(event: Any) -> None:
            contents = {file.name: await file.read() for file in event.files}
            try:
                await asyncio.to_thread(self.desk.grids.add, grid, contents)
            except OptionError as error:
                refused(error)
                return
            ui.navigate.reload()

        with ui.expansion("Tables for studies: futures, profiles, disasters, days").classes("group"):
            for name, path in grid.files.items():
                if path.is_file():
                    words(name)
            ui.upload(label="Add files", multiple=True, auto_upload=True, on_multi_upload=take).classes("upload")
