"""A result as a short HTML fragment for notebooks, without scripts, style sheets or external files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

MOST_ROWS = 30


def notebook_html(headline: str, facts: Mapping[str, str], switching: Sequence[Sequence[object]]) -> str:
    """The HTML of the first sentence, the figures, and the rows of a switching list."""
    parts = [f"<p><strong>{escape(headline)}</strong></p>", _table((), facts.items())]
    if switching:
        parts.append(_table(("branch", "action", "kind", "from bus", "to bus", "open end"), switching[:MOST_ROWS]))
        if (more := len(switching) - MOST_ROWS) > 0:
            parts.append(f"<p>and {more} more in <code>switching_list</code></p>")
    return f"<div>{''.join(parts)}</div>"


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table>{f'<tr>{titles}</tr>' if titles else ''}{body}</table>"
