"""Separator and decimal sign of a CSV file: commas and points, or semicolons and commas as in much of Europe.

Texts are written so that no spreadsheet takes one for a formula (`no_formula`), and read back as they were (`plain`).

The separator (a comma, a semicolon or a tab) is found in the line of the column names. If it is a comma, the decimal
sign is a point. Otherwise the decimal sign is found from all numbers of the file. A file in which it remains ambiguous
is refused: `1,234` alone may be 1.234 or 1234.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

import polars as pl

from openpoint.errors import Problem
from openpoint.inputs import MOST_CELLS, MOST_COLUMNS, refuse_more

OF_A_ROW = 3
"""What a row takes beside its cells, as a number of cells."""
SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}
ONE_CELL_EACH = "Write a cell for every column; where numbers have a decimal comma, write ; between the cells"
"""What to do where a row has more or fewer cells than there are columns."""
_PART = re.compile(r"[-+]?[\d.,]*\d[\d.,]*(?:[eE][-+]?\d+)?", re.ASCII)
# One to three digits without a leading zero, a sign, and three more: a decimal fraction, or thousands.
_EITHER = re.compile(r"[-+]?[1-9]\d{0,2}[.,]\d{3}", re.ASCII)

# Where a spreadsheet may begin a cell: at the start, or after what it may take for a separator; there, the signs with
# which a formula begins, wide ones included.
_BEGIN = r"(?:^|(?<=[;,|\t\r\n\"]))"
_FORMULA = "'*[=+\\-@\t\r＝＋－＠]"
_UNSAFE = re.compile(f"{_BEGIN}(?={_FORMULA})")
_ESCAPED = re.compile(f"{_BEGIN}'(?={_FORMULA})")

Cell = tuple[str, str, str]
"""The place of a cell as messages name it, its column and its text."""


def separator_of(text: str, file: str) -> tuple[str, list[Problem]]:
    """The sign between the cells of a CSV text, and a fault where the line of the column names has several of them."""
    blank = re.match(r"[\r\n]*", text)
    assert blank is not None
    start = blank.end()
    number = 1 + len(re.findall("\r\n|\n|\r", text[:start]))
    end = min((at for sign in "\r\n" if (at := text.find(sign, start)) >= 0), default=len(text))
    header = text[start:end]
    unquoted = re.sub(r'"[^"]*"', "", header)
    met = [sign for sign in SEPARATORS if sign in unquoted]
    if len(met) < 2:
        return (met or [","])[0], []
    words = " and ".join(SEPARATORS[sign] for sign in met)
    message = f"between the column names stand {words}"
    remedy = "Write one sign between all cells: a comma, or a semicolon where numbers have a decimal comma"
    return met[0], [Problem(file, f"line {number}", "", message, remedy)]


def refuse_large_table(text: str, separator: str, file: str, limit: int = MOST_CELLS) -> None:
    """Refuse a CSV text with more cells than the limit, or too many columns.

    Raises:
        InputError: there are more.
    """
    lines = text.count("\n") or text.count("\r")
    refuse_more(text.count(separator) + OF_A_ROW * lines, limit, f"cells (a row counts as {OF_A_ROW} more)", file)
    header = text[: text.find("\n") if lines and "\n" in text else None]
    refuse_more(header.count(separator), MOST_COLUMNS, "columns", file)


def decimal_of(numbers: Iterable[Cell], separator: str, file: str) -> tuple[str, list[Problem]]:
    """The decimal sign of a file, and faults where its numbers contradict each other or are ambiguous.

    Args:
        numbers: the cells of the columns of numbers; one may hold several numbers between blanks.
        separator: the sign between cells.
        file: file name for the messages.
    """
    if separator == ",":
        return ".", []
    first: dict[str, tuple[str, Cell]] = {}  # the first number with each sign, a clear one before one that is not
    for cell in numbers:
        for part in cell[2].split():
            if not _PART.fullmatch(part):
                continue
            signs = {sign for sign in ".," if sign in part}
            if len(signs) == 2:
                remedy = "Write it with one decimal sign and without a sign of thousands"
                return ".", [Problem(file, cell[0], cell[1], f"{part} has a point and a comma", remedy)]
            for sign in signs:
                if part.count(sign) == 1 and (sign not in first or _EITHER.fullmatch(first[sign][0])):
                    first[sign] = (part, cell)
    if len(first) == 2:
        (comma, there), (point, here) = first[","], first["."]
        message = f"{point} has a point, but {comma} in {there[0]}, {there[1]}, a comma"
        remedy = "Write all numbers of the file with the same decimal sign and without a sign of thousands"
        return ".", [Problem(file, here[0], here[1], message, remedy)]
    for sign, (part, (place, column, _)) in first.items():
        if _EITHER.fullmatch(part):
            whole = part.replace(sign, "")
            message = f"{part} may be {part.replace(sign, '.')} or {whole}, and no number of the file tells which"
            remedy = f"Write {part}0 for the one, {whole} for the other"
            return sign, [Problem(file, place, column, message, remedy)]
    return next(iter(first), "."), []


def with_point(cell: str | None, decimal: str) -> str | None:
    """A cell of a column of numbers, its decimal sign made a point."""
    return cell.replace(",", ".") if cell is not None and decimal == "," else cell


def no_formula(text: str) -> str:
    """The text with an apostrophe where a spreadsheet would begin a formula: `=1+1` is written `'=1+1`."""
    return _UNSAFE.sub("'", text)


def plain(text: str) -> str:
    """The text that `no_formula` was given."""
    return _ESCAPED.sub("", text) if "'" in text else text


def texts(frame: pl.DataFrame, change: Callable[[str], str]) -> pl.DataFrame:
    """The table with all its texts, and the names of its columns, through `no_formula` or `plain`."""
    sign = _FORMULA.replace("'*", "'" if change is plain else "")
    changed = []
    for column in frame.iter_columns():
        if column.dtype == pl.String and column.str.contains(sign).any():
            values = column.filter(column.str.contains(sign)).unique().to_list()
            changed.append(column.replace(values, [change(value) for value in values]))
    return frame.with_columns(changed).rename({name: change(name) for name in frame.columns})
