"""Tables as files: CSV text, both ways and lossless, and Parquet.

Tables are written with commas and decimal points, and read also with semicolons or tabs and decimal commas. An empty
cell is null, a quoted empty cell (`""`) an empty text; names are never taken for numbers, nor by a spreadsheet for
formulas: `'=1+1` is the name =1+1. A matrix is its lower triangle row by row, numbers between blanks: `0.1 0.02 0.1`,
as are the levels of a bank.
Numbers are written with the fewest digits that read back to the same number. Columns that hold nothing but their
default are not written.

Texts are written so that no spreadsheet takes one for a formula (`no_formula`), and read back as they were (`plain`).

The separator (a comma, a semicolon or a tab) is found in the line of the column names. If it is a comma, the decimal
sign is a point. Otherwise the decimal sign is found from all numbers of the file. A file in which it remains ambiguous
is refused: `1,234` alone may be 1.234 or 1234.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import polars as pl

from openpoint.columns import TableSchema
from openpoint.errors import Faults, InputError, Problem, remedy_of_column
from openpoint.grid.conform import conform
from openpoint.grid.schemas import SCHEMAS
from openpoint.inputs import MOST_BYTES, MOST_CELLS, MOST_COLUMNS, MOST_VALUES, decoding, refuse_more

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


def refuse_double_columns(text: str, separator: str, file: str) -> None:
    """Refuse a CSV text with two columns of one name, which would be renamed.

    Raises:
        InputError: with each of them.
    """
    names = next((row for row in csv.reader(io.StringIO(text), delimiter=separator) if row), [])
    if twice := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
        raise InputError([Problem(file, "", name, "the column is given more than once", "Keep one") for name in twice])


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


_NUMBER = re.compile(r"\s*[-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|inf|nan)\s*", re.ASCII | re.IGNORECASE)
_WHOLE = re.compile(r"\s*[-+]?\d{1,18}\s*", re.ASCII)
_TRUTH = {"true": True, "false": False, "1": True, "0": False, "yes": True, "no": False}
_EXPECTED = {
    pl.Float64: "a number such as 12.66",
    pl.Int64: "a whole number",
    pl.Boolean: "true or false",
}

Row = tuple[int, list[str | None]]


def csv_from_table(kind: str, frame: pl.DataFrame, schema: type[TableSchema] | None = None) -> str:
    """The table as CSV; `frame` has the columns of its schema, by default that of the grid's table of this kind."""
    columns = written_columns(kind, frame, schema)
    rows = zip(*([_cell(value) for value in values] for _, values in columns))
    return "".join(",".join(row) + "\n" for row in [[_cell(name) for name, _ in columns], *rows])


def written_columns(
    kind: str, frame: pl.DataFrame, schema: type[TableSchema] | None = None
) -> list[tuple[str, list[Any]]]:
    """Name and values of the columns that hold anything but their default."""
    columns = []
    for name, column in (schema or SCHEMAS[kind]).columns().items():
        values, metadata = frame[name].to_list(), column.metadata
        if not ("default" in metadata and all(_same(v, metadata["default"]) for v in values)):
            columns.append((name, values))
    return columns


def _same(value: Any, default: Any) -> bool:
    # repr keeps 0.0 and -0.0 apart.
    return type(value) is type(default) and repr(value) == repr(default)


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number_text(value)
    if isinstance(value, list):
        return " ".join(number_text(v) for v in value) or '""'
    text = no_formula(str(value))
    if text and not re.search(r'[",\r\n]', text):
        return text
    return '"' + text.replace('"', '""') + '"'


def number_text(value: float) -> str:
    """The shortest text that reads back to the same number."""
    text = repr(value)
    return text[:-2] if text.endswith(".0") else text


def table_from_csv(
    kind: str, text: str, file: str, schema: type[TableSchema] | None = None
) -> tuple[pl.DataFrame, list[Problem]]:
    """The table in CSV text, in the shape of its schema, and every fault with its line.

    Args:
        kind: table name.
        text: the CSV, first line the column names.
        file: file name for the messages.
        schema: its schema; default: that of the grid's table of this kind.
    """
    schema = schema or SCHEMAS[kind]
    text = text.removeprefix("\ufeff")
    separator, faults = separator_of(text, file)
    try:
        refuse_large_table(text, separator, file, MOST_VALUES)
    except InputError as error:
        return schema.empty(), list(error.problems)
    rows, found = ([], faults) if faults else _rows(text, file, separator)
    if not rows:
        remedy = "Write at least the line of the column names, or remove the file"
        return schema.empty(), found or [Problem(file, "", "", "the file is empty", remedy)]
    return table_from_rows(kind, rows, file, schema, separator=separator)


def table_from_rows(
    kind: str, rows: Sequence[Row], file: str, schema: type[TableSchema], *, separator: str = ","
) -> tuple[pl.DataFrame, list[Problem]]:
    """The table in rows of texts, the first the column names, and every fault with its line.

    Args:
        kind, file, schema: as for `table_from_csv`.
        rows: at least one.
        separator: the sign that stood between the cells; a semicolon or tab lets numbers have a decimal comma.
    """
    (_, header), *body = rows
    names = [name or "" for name in header]
    faults = Faults(_header_faults(names, schema, file))
    label = names.index("name") if "name" in names else None
    sound = [(line, cells) for line, cells in body if len(cells) == len(names)]
    for line, cells in body:
        if len(cells) != len(names):
            message = f"{len(cells)} cells, but the first line names {len(names)} columns"
            faults.append(Problem(file, f"line {line}", "", message, ONE_CELL_EACH))
    types = schema.empty().schema
    known = [k for k, name in enumerate(names) if name in types and names.index(name) == k]
    numbers = [k for k in known if types[names[k]] == pl.Float64 or isinstance(types[names[k]], pl.List)]
    cells_read = ((_place(line, cells, label), names[k], cells[k] or "") for line, cells in sound for k in numbers)
    decimal, found = decimal_of(cells_read, separator, file)
    if found:
        return schema.empty(), [*faults, *found]
    columns: list[pl.Series] = []
    lost: dict[str, list[bool]] = {}
    for k in known:
        name = names[k]
        read = [_value(with_point(c[k], decimal) if k in numbers else c[k], types[name]) for _, c in sound]
        lost[name] = [bool(wanted) for _, wanted in read]
        for (line, cells), (_, wanted) in zip(sound, read):
            if wanted:
                place = _place(line, cells, label)
                faults.append(Problem(file, place, name, f"{cells[k]!r} is not {wanted}", "Correct the cell"))
        columns.append(pl.Series(name, [value for value, _ in read], dtype=types[name]))
    frame, found = conform(kind, pl.DataFrame(columns), schema)
    known_already = {(problem.row, problem.column) for problem in faults}
    lines = _lines_by_row(sound, label) if found else {}
    more = [replace(problem, table=file, row=lines.get(problem.row, problem.row)) for problem in found]
    faults += [problem for problem in more if (problem.row, problem.column) not in known_already]
    return _without(frame, lost, rows=len(body)), faults


def _without(frame: pl.DataFrame, lost: Mapping[str, Sequence[bool]], *, rows: int) -> pl.DataFrame:
    """The table with null for the cells that could not be read, and rows of null for those that could not."""
    if not frame.width or frame.height < max(map(len, lost.values()), default=0):
        return frame
    known = frame.with_columns(
        pl.when(~pl.Series(cells, dtype=pl.Boolean)).then(pl.col(name)).alias(name)
        for name, cells in lost.items()
        if any(cells)
    )
    blank = pl.DataFrame(schema=frame.schema, data={name: [None] * (rows - frame.height) for name in frame.columns})
    return pl.concat([known, blank]) if blank.height else known


def _rows(text: str, file: str, separator: str) -> tuple[list[Row], list[Problem]]:
    """Cells by row with the line each row starts in; blank lines are skipped."""
    pattern = _cell_pattern(separator)
    rows: list[Row] = []
    cells: list[str | None] = []
    line = start = 1
    position = 0
    while position <= len(text):
        match = pattern.match(text, position)
        if match is None:
            message = "a quotation mark is not closed, or stands within a cell"
            remedy = 'Quote the whole cell and double the marks within: "say ""so"""'
            return [], [Problem(file, f"line {line}", "", message, remedy)]
        quoted, bare, end = match.groups()
        cells.append(plain(quoted.replace('""', '"')) if quoted is not None else (plain(bare) or None))
        line += len(re.findall(r"\r\n|\n|\r", match.group(0)))
        if end != separator:
            if cells != [None]:
                rows.append((start, cells))
            cells, start = [], line
            if match.end() == len(text):
                break
        position = match.end()
    return rows, []


@cache
def _cell_pattern(separator: str) -> re.Pattern[str]:
    """A cell, quoted or bare, and what ends it."""
    return re.compile(rf'(?:"((?:[^"]++|"")*+)"|([^"{separator}\r\n]*))({separator}|\r\n|\n|\r|\Z)')


def _header_faults(names: list[str], schema: type[TableSchema], file: str) -> list[Problem]:
    known = schema.columns()
    faults = []
    for name in dict.fromkeys(names):
        if name not in known:
            remedy = remedy_of_column(name, known)
            faults.append(Problem(file, "line 1", name, f"unknown column {name!r}", remedy))
        elif names.count(name) > 1:
            faults.append(Problem(file, "line 1", name, "the column is given more than once", "Keep one"))
    return faults


def _value(cell: str | None, dtype: pl.DataType) -> tuple[Any, str]:
    """The value of a cell, and what it should have been where it cannot be read (else empty)."""
    if cell is None:
        return None, ""
    if dtype == pl.String:
        return cell, ""
    if isinstance(dtype, pl.List):
        parts = cell.split()
        if all(_NUMBER.fullmatch(part) for part in parts):
            return [float(part) for part in parts], ""
        return None, "numbers between blanks, such as 0.1 0.02 0.1"
    if dtype == pl.Float64 and _NUMBER.fullmatch(cell):
        return float(cell), ""
    if dtype == pl.Int64 and _WHOLE.fullmatch(cell):
        return int(cell), ""
    if dtype == pl.Boolean and cell.strip().lower() in _TRUTH:
        return _TRUTH[cell.strip().lower()], ""
    return None, _EXPECTED[type(dtype)]


def _place(line: int, cells: list[str | None], label: int | None) -> str:
    name = cells[label] if label is not None else None
    return f"{name!r} in line {line}" if name else f"line {line}"


def _lines_by_row(body: Iterable[Row], label: int | None) -> dict[str, str]:
    """How messages call each row with its line, by its name, or its number where it has none; the first of a name."""
    places: dict[str, str] = {}
    for k, (line, cells) in enumerate(body, start=1):
        name = cells[label] if label is not None else None
        places.setdefault(f"number {k}" if name is None else name, _place(line, cells, label))
    return places


def frame_from_csv(text: str, file: str, is_number: Callable[[str], bool]) -> pl.DataFrame:
    """The cells as texts, so that a name like 007 stays as it is; numbers have decimal points.

    Args:
        text: of the file. file: its name. is_number: whether a column of this name holds numbers.

    Raises:
        InputError: the separator of cells and the decimal sign contradict each other.
    """
    separator, faults = separator_of(text, file)
    if not faults:
        refuse_large_table(text, separator, file)
        refuse_double_columns(text, separator, file)
        frame = texts(pl.read_csv(io.BytesIO(text.encode()), infer_schema=False, separator=separator), plain)
        numbers = [name for name in frame.columns if is_number(name)]
        rows = enumerate(frame.select(numbers).iter_rows(), start=2)
        cells = ((f"line {line}", name, cell or "") for line, row in rows for name, cell in zip(numbers, row))
        decimal, faults = decimal_of(cells, separator, file)
        if not faults:
            return frame if decimal == "." else frame.with_columns(pl.col(numbers).str.replace_all(",", "."))
    raise InputError(faults)


def frame_from_parquet(content: bytes, file: str, limit: int = MOST_CELLS) -> pl.DataFrame:
    """The table in a Parquet file.

    Args:
        content: of the file. file: as messages call it. limit: most cells.

    Raises:
        InputError: it is none, or holds too much.
    """
    with decoding(file, "no Parquet file", "Write it anew"):
        schema = pl.read_parquet_schema(io.BytesIO(content))
        refuse_more(len(schema), MOST_COLUMNS, "columns", file)
        if bad := [name for name, dtype in schema.items() if not _is_plain(dtype)]:
            message = f"cells of the type {schema[bad[0]]} are not read"
            raise InputError([Problem(file, "", bad[0], message, "Give numbers, texts, true or false")])
        rows = pl.scan_parquet(io.BytesIO(content)).select(pl.len()).collect().item()
        refuse_more(rows * max(len(schema), 1), limit, "cells", file)
        frame = pl.read_parquet(io.BytesIO(content))
        for name, dtype in schema.items():
            if dtype == pl.String:  # one long text may stand in all rows
                refuse_more(int(frame[name].str.len_bytes().sum()), MOST_BYTES, f"bytes in the column {name}", file)
            elif isinstance(dtype, pl.List):
                refuse_more(int(frame[name].list.len().sum()), limit, f"values in the column {name}", file)
        return frame


def _is_plain(dtype: pl.DataType) -> bool:
    """Whether cells are numbers, texts, truth, times or lists of numbers."""
    if isinstance(dtype, pl.List):
        return dtype.inner == pl.Null or (isinstance(dtype.inner, pl.DataType) and dtype.inner.is_numeric())
    return dtype.is_numeric() or dtype.is_temporal() or dtype in (pl.String, pl.Boolean, pl.Null, pl.Categorical)


def table_bytes(frame: pl.DataFrame, *, csv: bool) -> bytes:
    """The content of a CSV file, in which no text is a formula to a spreadsheet, or else of a Parquet file."""
    if csv:
        return texts(frame, no_formula).write_csv().encode()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
