"""Numbers and names as a person reads them in a terminal."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

from openpoint.names import join_names
from openpoint.report.numerals import method_words

if TYPE_CHECKING:
    from openpoint.twostage.log import Iteration


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


def iteration_titles(unit: str) -> str:
    """The titles above the lines of iterations, whose bounds are in this unit."""
    bounds = f"{'lower ' + unit:>14} {'upper ' + unit:>14}"
    return f"{'iteration':>9} {'seconds':>9} {bounds} {'gap %':>10}  verdict"


def iteration_line(iteration: Iteration) -> str:
    """The line of an iteration; `bounds_of` reads it."""
    mark = f"  ! {safe(iteration.mark)}" if iteration.mark else ""
    return (
        f"{iteration.number:>9} {iteration.seconds:>9.2f} {kw(iteration.lower_bound):>14} "
        f"{kw(iteration.upper_bound):>14} {percent(iteration.gap):>10}  {iteration.verdict}{mark}"
    )


_NUMBER = r"(-|-?\d+\.\d+)"
_ITERATION = re.compile(rf" *\d+ +(\d+\.\d\d) +{_NUMBER} +{_NUMBER} +{_NUMBER}  \S")


def bounds_of(line: str) -> tuple[float, float | None, float | None] | None:
    """Seconds, lower and upper bound of a line of an iteration, None where one is not known; None of another line."""
    found = _ITERATION.match(line)
    if found is None:
        return None
    lower, upper = (None if text == "-" else float(text) for text in found.group(2, 3))
    return float(found[1]), lower, upper


class Timed(Protocol):
    """A method that stops after some seconds; None or inf: only when it is done."""

    @property
    def time_limit_s(self) -> float | None: ...


def method(made: Timed | str) -> str:
    """A method in words, as in reports, in the middle of a line, with its limit of time."""
    text, limit = method_words(str(made)), None if isinstance(made, str) else made.time_limit_s
    text = text[:1].lower() + text[1:] if text != str(made) else text
    return text if limit is None or math.isinf(limit) else f"{text}, for {limit:g} s at most (--time-limit)"
