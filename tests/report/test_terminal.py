"""What a study hands over for the terminal is printed line by line; names never steer it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable

from rich.console import Console

from openpoint.report.page.model import Remarks
from openpoint.report.terminal.render import show
from openpoint.report.terminal.view import VIOLATIONS_SHOWN, Line, Rows, View, violations
from openpoint.results.violation import Violation
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.view import view

Make = Callable[..., ReconfigureResult]


def printed(parts: View) -> str:
    told = io.StringIO()
    out = Console(file=told, markup=False, highlight=False, emoji=False, soft_wrap=True, width=500)

    def remark(out: Console, notes: Iterable[str]) -> None:
        for note in notes:
            out.print(f"Note: {note}")

    show(out, parts, remark)
    return told.getvalue()


def test_lines_rows_and_remarks_in_their_order() -> None:
    parts: View = [
        Remarks(("first",)),
        Line("Answer: 1", "bold", "  (or 2)", "dim"),
        Line(),
        Rows([("name", "kW"), ("[red]a", "1.5"), ("b", "10.0")], (1,), head=True),
    ]
    assert printed(parts) == "Note: first\nAnswer: 1  (or 2)\n\nname       kW\n[red]a    1.5\nb        10.0\n"


def test_many_violations_are_counted() -> None:
    found = tuple(Violation("current", f"line {k}", 60.0, 50.0) for k in range(VIOLATIONS_SHOWN + 3))
    lines = printed(violations("Limits violated", found)).splitlines()
    assert len(lines) == VIOLATIONS_SHOWN + 2
    assert lines[-1] == "  and 3 more; --json, --csv and --report list all"
    assert violations("Limits violated", ()) == []


def test_every_shape_of_result_has_a_view(any_result: ReconfigureResult) -> None:
    told = printed(view(any_result))
    assert any_result.termination.value in told
    assert ("Open branches: " in told) == (any_result.loss_kw is not None)
    assert "None" not in told


def test_names_do_not_steer_the_terminal(make_result: Make) -> None:
    told = printed(view(make_result(names={"b-c": "\x1b[2J", "c": "\x07"})))
    assert "\\x1b[2J" in told
    assert "\x1b" not in told
