"""Workbooks that Vision (Phase to Phase) exports, English or Dutch: a sheet a kind of element, units in its second row.

power-grid-model-io makes input data of power-grid-model of them, which is read as any other (`openpoint.io.pgm`).

- Names are those of the workbook: the name, else the ID, else sheet and numbers. Where elements of a kind share
  one, each gets sheet and numbers behind it.
- Coordinates are the columns GX and GY of the nodes.
- What that package does not read, sheets and columns with values, and what it assumes: warnings name it.
"""

from __future__ import annotations

import dataclasses
import io
import math
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from openpoint.errors import InputError, MissingExtraError, Problem
from openpoint.grid.grid import Grid
from openpoint.io.pgm import grid_from_text
from openpoint.io.workbook.read import read_sheets, sheet_names

_LANGUAGES = {"Nodes": "en", "Knooppunten": "nl"}
"""The language of a workbook by its sheet of nodes, which none of the others has."""
_PARTS = ("Cable parts", "Kabeldelen")
"""Sheets whose sums stand in the sheet of cables."""
_NAMES = ("Name", "Naam", "ID")
_BEHAVIOURS = ("Behaviour", "Gedrag")
_NO_FIGURE = re.compile(
    r"name|naam|number|nummer|\bID$|GUID|\btype\b|^#|^Ik|^G[XY]$|^(Length|Lengte|Price|Prijs)$|frequen|duration|duur",
    re.IGNORECASE,
)
"""Columns of what an element is called, where it lies, how often it fails and which short circuit it bears."""
_NOTHING = {"", "0", "0.0", "False", "none", "geen", "nan"}
_NAMED = ("name", "bus", "from_bus", "to_bus")
_BRANCHES = ("line", "link", "generic_branch", "transformer", "three_winding_transformer")
_ZERO_SEQUENCE = "0 replaced to nan"
"""What the converter says of impedances that a balanced grid does not need."""
_REMEDY = "Correct it in Vision, and export the workbook anew"


class _Content(io.BytesIO):
    """A workbook in memory in the place of a path: the package would leave its file open."""

    suffix = ".xlsx"


def is_workbook(content: bytes) -> bool:
    """Whether a workbook has the sheet of nodes of Vision."""
    return _language(content) is not None


def _language(content: bytes) -> str | None:
    names = sheet_names(content)  # none where the reader of workbooks says what is wrong
    return next((language for sheet, language in _LANGUAGES.items() if sheet in names), None)


def grid_from_workbook(content: bytes, file: str) -> Grid:
    """The grid in a workbook of Vision.

    Raises:
        InputError: with every fault, by component of power-grid-model and the name of the element.
        MissingExtraError: power-grid-model-io is not installed.
    """
    read_sheets(content, file)  # within limits that the converter does not have
    text, names, notes, places = _converted(content, file)
    try:
        grid = grid_from_text(text, file)
    except InputError as error:
        raise InputError([_named(problem, names) for problem in error.problems]) from None
    notes = [*(_named(note, names) for note in grid.notes), *notes]
    tables = {kind: _with_names(table, names) for kind, table in grid.tables().items()}
    x, y = ({names[key]: place[axis] for key, place in places.items()} for axis in (0, 1))
    tables["buses"] = tables["buses"].with_columns(
        pl.col("name").replace_strict(each, default=None, return_dtype=pl.Float64).alias(axis)
        for axis, each in (("x", x), ("y", y))
    )
    return Grid.from_tables(grid.name, tables, source=f"Vision workbook {file}", notes=notes)


def _with_names(table: pl.DataFrame, names: Mapping[str, str]) -> pl.DataFrame:
    return table.with_columns(pl.col(c).replace(names) for c in _NAMED if c in table.columns)


def _named(problem: Problem, names: Mapping[str, str]) -> Problem:
    return dataclasses.replace(problem, row=", ".join(names.get(each, each) for each in problem.row.split(", ")))


def _converted(content: bytes, file: str) -> tuple[str, dict[str, str], list[Problem], dict[str, tuple[float, float]]]:
    """Input data of power-grid-model as JSON, names by id, what is left out or assumed, and coordinates by id."""
    try:
        from power_grid_model.utils import json_serialize  # type: ignore[attr-defined]
        from power_grid_model.validation import validate_input_data
        from power_grid_model_io.converters.vision_excel_converter import DEFAULT_MAPPING_FILE, VisionExcelConverter
        from power_grid_model_io.data_stores.vision_excel_file_store import VisionExcelFileStore
        from structlog.testing import capture_logs
        from yaml import safe_load
    except ImportError:
        purpose = f"reading {file}, which by its sheets is a workbook of Vision,"
        raise MissingExtraError("power-grid-model-io", "vision", purpose) from None
    try:
        with warnings.catch_warnings(), capture_logs() as logs:
            warnings.simplefilter("ignore")
            warnings.filterwarnings("error", "invalid value encountered in cast")  # an empty cell, as a switch state
            language = str(_language(content))
            source: Any = _Content(content)
            sheets = VisionExcelFileStore(source, language=language).load()
            layout = safe_load(Path(str(DEFAULT_MAPPING_FILE).format(language=language)).read_text(encoding="utf-8"))
            left_out = [
                *_left_out(sheets, layout["grid"]),
                *_behaviours(sheets, layout["grid"], layout["substitutions"]),
            ]
            data, extra = VisionExcelConverter(language=language).load_input_data(data=sheets)
            kinds = {str(row["id"]): str(kind.value) for kind, rows in data.items() for row in rows}
            wrong = validate_input_data(data) or []
            text = str(json_serialize(data))
            by_number = _places(sheets)
    except Exception as error:  # the converter raises whatever it meets where a sheet is not whole
        message = f"power-grid-model-io cannot convert this workbook: {type(error).__name__}: {error}"
        raise InputError([Problem(file, "", "", message, _REMEDY)]) from error
    names = _names({str(key): about for key, about in extra.items()}, kinds)
    faults = [
        _named(Problem(each.component_str, _ids(each.ids), each.field_str, str(each).rstrip("."), _REMEDY), names)
        for each in wrong
    ]
    if faults:
        raise InputError(faults)
    places = {
        str(key): by_number[number]
        for key, about in extra.items()
        if about["id_reference"]["table"] in _LANGUAGES
        and (number := next(iter(about["id_reference"]["key"].values()))) in by_number
    }
    return text, names, [*left_out, *_reader_warnings(logs, file)], places


def _places(sheets: Any) -> dict[Any, tuple[float, float]]:
    """Coordinates by the number of the node: its columns GX and GY, those of a plane; 0 and 0 are none."""
    for sheet in sheets.keys() & _LANGUAGES.keys():
        table = sheets[sheet]
        columns = table.columns.get_level_values(0)
        number = next((name for name in ("Number", "Nummer") if name in columns), None)
        if number is not None and {"GX", "GY"} <= set(columns):
            values = zip(*(table[name].to_numpy().ravel().tolist() for name in (number, "GX", "GY")), strict=True)
            return {
                key: (float(x), float(y))
                for key, x, y in values
                if all(isinstance(each, (int, float)) and math.isfinite(each) for each in (x, y)) and (x or y)
            }
    return {}


def _ids(ids: Any) -> str:
    """The ids of a fault; where it is of several components, each comes with its own."""
    return ", ".join(str(each[1] if isinstance(each, tuple) else each) for each in ids or [])


def _names(extra: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str]) -> dict[str, str]:
    """Names by id, each once among the nodes, the branches and the elements at nodes."""
    wanted = {}
    for key in kinds:
        about = extra[key]
        given = (str(about[column]).strip() for column in _NAMES if column in about)
        wanted[key] = next((name for name in given if name), _place(about["id_reference"]))
    group = {key: "branch" if kind in _BRANCHES else kind for key, kind in kinds.items()}
    often = Counter((group[key], name) for key, name in wanted.items())
    names = {
        key: name if often[group[key], name] == 1 else f"{name} ({_place(extra[key]['id_reference'])})"
        for key, name in wanted.items()
    }
    return {**names, **{f"source {key}": f"source {names[key]}" for key, kind in kinds.items() if kind == "source"}}


def _place(reference: Mapping[str, Any]) -> str:
    """Sheet and numbers of an element, and what it is where the converter makes several of one row."""
    numbers = ".".join(str(number) for number in reference["key"].values())
    return " ".join(filter(None, (reference["table"], numbers, reference.get("name", "").replace("_", " "))))


def _left_out(sheets: Any, layout: Mapping[str, Any]) -> Iterator[Problem]:
    """Warnings about sheets and columns with values that the converter does not read."""
    for sheet in sorted(sheets.keys()):
        if sheet in _PARTS:
            continue
        if sheet not in layout:
            message = "the converter does not read this sheet"
            yield Problem(sheet, "", "", message, "Replace its elements by others, if they matter", "warning", True)
            continue
        table = sheets[sheet]
        known = set(_words(layout[sheet]))
        if sheet in _LANGUAGES:
            known |= {"Simultaneity", "Gelijktijdigheid"}  # read from here for the loads of other sheets
        unread = [
            str(name)
            for name, *_ in dict.fromkeys(table.columns)
            if name not in known and not _NO_FIGURE.search(str(name)) and _values(table, name) - _NOTHING
        ]
        if unread:
            message = "the converter does not read these columns, which have values"
            remedy = "See whether the power flow of Vision depends on them"
            yield Problem(sheet, "", ", ".join(unread), message, remedy, "warning", True)


def _values(table: Any, column: str) -> set[str]:
    """What stands in the columns of that name, as texts; there are several where their units differ."""
    return {str(value).strip() for value in table[column].to_numpy().ravel()}


def _words(layout: Any) -> Iterator[str]:
    """The names of columns in the layout of a sheet; a cell of it may name several (`a | b`)."""
    if isinstance(layout, Mapping):
        layout = list(layout.values())
    if isinstance(layout, list):
        for each in layout:
            yield from _words(each)
    elif isinstance(layout, str):
        yield from (word.strip() for word in layout.split("|"))


def _behaviours(sheets: Any, layout: Mapping[str, Any], words: Mapping[str, Mapping[Any, int]]) -> Iterator[Problem]:
    """Warnings about loads that Vision lets depend on the voltage, and that are read as constant power."""
    for sheet in sorted(sheets.keys() & layout.keys()):
        for column in words.keys() & set(sheets[sheet].columns.get_level_values(0)) & set(_BEHAVIOURS):
            assumed = {str(word) for word, kind in words[column].items() if kind == 0}
            if used := sorted(each for each in _values(sheets[sheet], column) & assumed if each[:8] != "Constant"):
                message = f"loads of the behaviour {', '.join(used)} are read as constant power"
                remedy = "Give them a constant behaviour in Vision, if the difference matters"
                yield Problem(sheet, "", column, message, remedy, "warning", True)


def _reader_warnings(logs: list[Any], file: str) -> Iterator[Problem]:
    """The warnings of the converter itself, each once."""
    loud = (each for each in logs if each["log_level"] in ("warning", "error") and each["event"] != _ZERO_SEQUENCE)
    texts = dict.fromkeys(
        "; ".join([entry["event"], *(f"{k}: {v}" for k, v in entry.items() if k not in ("event", "log_level", "ex"))])
        for entry in loud
    )
    for text in texts:
        yield Problem(file, "", "", f"the converter says: {text}", "See whether it matters", "warning", True)
