"""A result as a short HTML fragment for notebooks; what has scripts, its picture, is in a frame apart from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import import_module
from importlib.util import find_spec
from typing import Any

MOST_ROWS = 30


def notebook_html(headline: str, facts: Mapping[str, str], switching: Sequence[Sequence[object]]) -> str:
    """The HTML of the first sentence, the figures, and the rows of a switching list."""
    parts = [f"<p><strong>{escape(headline)}</strong></p>", _table((), facts.items())]
    if switching:
        parts.append(_table(("branch", "action", "kind", "from bus", "to bus", "open end"), switching[:MOST_ROWS]))
        if (more := len(switching) - MOST_ROWS) > 0:
            parts.append(f"<p>and {more} more in <code>switching_list</code></p>")
    return f"<div>{''.join(parts)}</div>"


def picture_html(maker: str, shown: object) -> str:
    """The pictures of a grid or of a result in a frame; empty without Matplotlib, whose colours they have.

    `maker`: the function of `openpoint.report.page.picture` that makes them of what is shown.
    """
    if find_spec("matplotlib") is None:
        return ""
    picture: Any = import_module("openpoint.report.page.picture")
    html: str = picture.frame(getattr(picture, maker)(shown))
    return html


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{body}</table>"
