"""What all pages share: the head with its links, headings, lists, and frames of pages of results."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from nicegui import ui

from openpoint.errors import OpenpointError
from openpoint.report.drawing import COLOURS

_HEAD = '<link rel="stylesheet" href="/assets/pages.css"><script src="/assets/pages.js"></script>'


@contextmanager
def page(title: str, *way: tuple[str, str]) -> Iterator[Any]:
    """A page with a title below the way to it: texts and addresses."""
    ui.add_head_html(_HEAD)
    ui.colors(primary=COLOURS["closes"][0])
    ui.page_title(f"{title} · openpoint")
    with ui.element("header"), ui.element("nav").props('aria-label="Way"'):
        link("openpoint", "/")
        for text, address in way:
            link(text, address)
    with ui.element("div").classes("main"):  # the page of the library is `main` itself
        heading(1, title)
        with ui.element("div").classes("content") as content:
            yield content


def heading(level: int, text: str, identity: str = "") -> None:
    """A heading; `identity`: of links to it."""
    with ui.element(f"h{level}").props(f"id={identity}" if identity else ""):
        ui.label(text)


def link(text: str, address: str) -> Any:
    """A link within the pages."""
    return ui.link(text, address)


def words(text: str, kind: str = "") -> Any:
    """A paragraph, letter by letter whatever markup it holds."""
    return ui.label(text).classes(kind)


def pairs(rows: Iterable[tuple[str, str]]) -> None:
    """Names and values in two columns."""
    with ui.element("dl"):
        for name, value in rows:
            with ui.element("dt"):
                ui.label(name)
            with ui.element("dd"):
                ui.label(value)


def framed(address: str, title: str, identity: str) -> Any:
    """A page of a result within this one; it tells its height itself."""
    frame = ui.element("iframe").classes("framed")
    frame.props.update(src=address, title=title, id=identity, name="framed", loading="lazy")
    return frame


def send(frame: str, what: object) -> None:
    """Send something to a framed page."""
    ui.run_javascript(f"sendTo({json.dumps(frame)}, {json.dumps(what)})")


def refused(error: OpenpointError) -> None:
    """Tell what was wrong."""
    ui.notify(str(error), type="negative", multi_line=True, close_button="Close", timeout=0)


def removal(what: str, remove: Callable[[], object]) -> None:
    """A button that removes something, once it is said again."""

    def confirmed() -> None:
        try:
            remove()
        except OpenpointError as error:
            dialog.close()
            refused(error)
            return
        ui.navigate.to("/")

    with ui.dialog() as dialog, ui.card():
        words(f"{what}? This cannot be undone.")
        with ui.element("div").classes("chips"):
            ui.button("Delete", on_click=confirmed).props("no-caps color=negative")
            ui.button("Keep", on_click=dialog.close).props("outline no-caps")
    ui.button(f"{what} …", on_click=dialog.open).props("flat no-caps")


def later(fill: Callable[[], Awaitable[None]], what: str) -> None:
    """Fill a part of the page as soon as that is computed, and say until then what is waited for."""
    with ui.element("div").classes("content") as place:
        words(what, "soft").props("role=status")

    async def filled() -> None:
        with place:
            await fill()
        place.default_slot.children[0].delete()

    ui.timer(0.01, filled, once=True)
