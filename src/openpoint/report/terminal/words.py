"""Numbers and names as a person reads them in a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from openpoint.names import join_names
from openpoint.report.numerals import method_words


def safe(text: str) -> str:
    """The text on one line, without the control characters by which a name could steer the terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def kw(value: float | None) -> str:
    """Active power in kW with the digits that matter; `-` where there is no value."""
    if value is None or not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0.0 else f"{value:.6f}"


def percent(fraction: float | None) -> str:
    """A fraction as a percentage without the sign; `-` where there is no value."""
    return "-" if fraction is None or not math.isfinite(fraction) else f"{100.0 * fraction:.4f}"


def count(number: int, one: str, many: str = "") -> str:
    """`1 bus`, `2 buses`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def names(names: Iterable[str]) -> str:
    """Names in one line, fit for a terminal; `none` where there are none."""
    return safe(join_names(names)) or "none"


def aligned(rows: Sequence[Sequence[str]], right: Iterable[int] = ()) -> list[str]:
    """Lines with the cells of the rows under each other; the columns of these numbers are set to the right."""
    right = set(right)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths))]
        lines.append("   ".join(cells).rstrip())
    return lines


class Timed(Protocol):
    """A method that stops after some seconds; None or inf: only when it is done."""

    @property
    def time_limit_s(self) -> float | None: ...


def method(made: Timed | str) -> str:
    """A method in words, as in reports, in the middle of a line, with its limit of time."""
    text, limit = method_words(str(made)), None if isinstance(made, str) else made.time_limit_s
    text = text[:1].lower() + text[1:] if text != str(made) else text
    return text if limit is None or math.isinf(limit) else f"{text}, for {limit:g} s at most (--time-limit)"
