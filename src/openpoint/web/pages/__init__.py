"""The pages: open, check and look, ask, run and answer, compare. Each has an address of its own."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

from openpoint.report.drawing import COLOURS
from openpoint.web.pages.ask import AskPage
from openpoint.web.pages.compare import ComparePage
from openpoint.web.pages.grid import GridPage
from openpoint.web.pages.home import HomePage
from openpoint.web.pages.run import RunPage

if TYPE_CHECKING:
    from fastapi import FastAPI

    from openpoint.web.desk import Desk

_PAGES: dict[str, Any] = {
    "/": HomePage,
    "/grids/{identity}": GridPage,
    "/grids/{identity}/ask/{study}": AskPage,
    "/runs/{identity}": RunPage,
    "/compare": ComparePage,
}


def add_pages(app: FastAPI, desk: Desk) -> None:
    """Add the pages to the application, and the style and the script that they share."""
    from fastapi.responses import Response
    from nicegui import ui

    def style() -> Response:
        light, dark = ("".join(f"--{name}:{both[k]};" for name, both in COLOURS.items()) for k in (0, 1))
        colours = f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root{{{dark}}}}}\n"
        return Response(colours + _asset("pages.css"), media_type="text/css")

    def script() -> Response:
        return Response(_asset("pages.js"), media_type="text/javascript")

    app.add_api_route("/assets/pages.css", style, include_in_schema=False)
    app.add_api_route("/assets/pages.js", script, include_in_schema=False)
    for path, page in _PAGES.items():
        ui.page(path, title="openpoint")(page(desk).show)
    ui.run_with(app, title="openpoint", dark=None, language="en-US", tailwind=False, show_welcome_message=False)


def _asset(name: str) -> str:
    return (files("openpoint.web.pages") / name).read_text(encoding="utf-8")
