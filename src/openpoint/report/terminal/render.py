"""The view of a result, printed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from rich.console import Console
from rich.text import Text

from openpoint.report.page.model import Remarks
from openpoint.report.terminal import words
from openpoint.report.terminal.view import Line, View


def show(out: Console, view: View, remark: Callable[[Console, Iterable[str]], None]) -> None:
    """Print a view; `remark` prints what changes the meaning of the figures."""
    for part in view:
        if isinstance(part, Remarks):
            remark(out, part.notes)
        elif isinstance(part, Line):
            out.print(Text(part.text, part.style).append(part.more, part.more_style))
        else:
            show_rows(out, part.rows, part.right, head=part.head)


def show_rows(out: Console, rows: Sequence[Sequence[str]], right: Iterable[int] = (), *, head: bool = False) -> None:
    """Lines with cells under each other; the columns `right` are set to the right."""
    for number, line in enumerate(words.aligned(rows, right)):
        out.print(Text(line, style="bold" if head and number == 0 else ""))
