"""A result or a grid as a small piece of HTML for notebooks: no script, no style sheet, nothing loaded."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from openpoint.results.base import SwitchedResult
from openpoint.results.in_short import facts, headline

if TYPE_CHECKING:
    from openpoint.results.export import Result

MOST_ROWS = 30


def result_html(result: Result) -> str:
    """The first sentence, the figures, and what to switch."""
    parts = [f"<p><strong>{escape(headline(result))}</strong></p>", _table((), facts(result).items())]
    if isinstance(result, SwitchedResult) and result.switching:
        rows = list(result.switching_list.rows())
        parts.append(_table(("branch", "action", "kind", "from bus", "to bus", "open end"), rows[:MOST_ROWS]))
        if (more := len(rows) - MOST_ROWS) > 0:
            parts.append(f"<p>and {more} more in <code>switching_list</code></p>")
    return f"<div>{''.join(parts)}</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{body}</table>"
