"""Results: the methods that all have, for summary, tables, JSON, pictures and files."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, dataclass_transform

import polars as pl
import polars.selectors as cs

from openpoint.arguments import path_of
from openpoint.atomic import refusing, write_text
from openpoint.errors import MissingExtraError, OptionError, require_extra
from openpoint.grid.files import HEAD
from openpoint.grid.grid import Grid
from openpoint.io.text import file_ending
from openpoint.names import join_names
from openpoint.results import columns as c
from openpoint.results import export
from openpoint.results.schema import Schema
from openpoint.results.shape import Shape, declare, figure, keys_of, table, tables_of
from openpoint.results.violation import VIOLATIONS
from openpoint.twostage.log import CUT_SHORT, Termination
from openpoint.version import __version__

if TYPE_CHECKING:
    import os

    from matplotlib.figure import Figure

Value = str | float | int | None
PICTURES = ("matplotlib", "report", "A report or picture")
"""What draws pictures, its extra, and what needs it."""


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(figure, table, field))
class Result:
    """A result of a study, with its summary, tables, JSON, pictures and files.

    A class that derives from it is a frozen dataclass. What is written follows from its declaration, see `Shape`: its
    fields that `figure` and `table` make, and what is given with the base, `class MyResult(Result, study="mine")`.

    Class attributes:
        shape: the keys and tables that are written.
        place: the folder of the study, that of the class; its module `report` has `page`, `view` and `PICTURES`.
    """

    shape: ClassVar[Shape]
    place: ClassVar[str]

    def __init_subclass__(
        cls,
        *,
        study: str = "",
        also: tuple[str, ...] = (),
        more: Mapping[str, Schema] = MappingProxyType({}),
        frames: Mapping[str, c.Table] = MappingProxyType({}),
        subject: str = "name of the grid",
    ) -> None:
        """Declare a result.

        Args:
            study: its name; none: the class is a base of results. subject: what stands under the key `grid`.
            also: names of properties that are written like figures.
            more: further keys, with their values in `_special_values`.
            frames: tables that are properties, or that `_special_tables` has.
        """
        super().__init_subclass__()
        dataclass(frozen=True, repr=False, kw_only=True)(cls)
        cls.place = cls.__module__.rpartition(".")[0]
        declare(cls, also, more, frames)
        if study:
            cls.shape = Shape(study, keys_of(cls), tables_of(cls), subject)

    if TYPE_CHECKING:

        @property
        def grid(self) -> Grid: ...

    @property
    def subject(self) -> str:
        """The name of what was asked about."""
        return self.grid.name

    @property
    def exit_code(self) -> int:
        """That of a command with this result."""
        return 0

    @property
    def hint(self) -> str:
        """Where more can be found, below the figures; empty where there is no more."""
        return ""

    def summary(self) -> dict[str, Any]:
        """Everything except the tables, as plain values under the names of the JSON document."""
        head = {"study": self.shape.study, "version": __version__, "grid": self.subject}
        special = self._special_values()
        values = {key: special[key] if key in special else getattr(self, key) for key in self.shape.keys}
        rows = {key: [each.row for each in values[key]] for key in values if key in self.shape.tables.keys() - special}
        return {**head, **{key: _as_plain(value) for key, value in (values | rows).items()}}

    def tables(self) -> dict[str, pl.DataFrame]:
        """All tables that are written, by name; infinity and NaN are null, names of a cell in one line."""
        return {name: c.joined(self.frame(name)) for name in self.shape.tables}

    def frame(self, name: str) -> pl.DataFrame:
        """A table that is written, by its name; infinity and NaN are null."""
        special = self._special_tables()
        held = special[name] if name in special else getattr(self, name)
        return (
            c.frame(self.shape.tables[name], (each.row for each in held)) if isinstance(held, tuple) else _finite(held)
        )

    def document(self) -> dict[str, Any]:
        """The whole result as plain values, in the order of the published schema; infinity and NaN are None."""
        rows = {name: self.frame(name).to_dicts() for name in self.shape.tables if name not in self.shape.keys}
        plain: dict[str, Any] = _without_infinity({**self.summary(), **rows})
        return plain

    def to_json(self) -> str:
        """The whole result as a JSON document, in the shape that `openpoint schema` publishes."""
        return json.dumps(self.document(), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def to_pandas(self) -> dict[str, Any]:
        """All tables by name as pandas frames.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError:
            raise MissingExtraError("pandas", "pandas", "pandas frames") from None
        return {name: pd.DataFrame(frame.to_dict(as_series=False)) for name, frame in self.tables().items()}

    def write_json(self, path: str | os.PathLike[str]) -> Path:
        """Write `to_json` into a file that ends in `.json`; missing folders are made.

        Raises:
            OptionError: another ending, or a path that cannot be written.
        """
        return write_file(path, (".json",), lambda file: write_text(file, self.to_json()))

    def write_tables(self, path: str | os.PathLike[str], *, format: Literal["csv", "parquet"] = "csv") -> list[Path]:
        """Write the tables: one file for each into a folder, which is made, or as sheets of a workbook (`.xlsx`).

        Args:
            path: the folder or the workbook.
            format: of the files in a folder.

        Returns:
            The paths written.

        Raises:
            OptionError: the name of another kind of file, a folder that holds a grid, or a path that cannot be written.
        """
        writers = {"csv": export.to_csv, "parquet": export.to_parquet}
        if format not in writers:
            raise OptionError(f"format={format!r} is not known; write 'csv' or 'parquet'")
        folder = path_of(path, "path")
        if file_ending(path) == ".xlsx":
            return [write_file(path, (".xlsx",), lambda file: export.to_excel(self, file))]
        if ending := file_ending(path):
            raise OptionError(f"{folder}: tables are written into a folder or an .xlsx file, not as {ending}")
        if (folder / HEAD).exists():
            raise OptionError(f"{folder}: this folder holds a grid, whose tables would be replaced; name another")
        with refusing():
            return writers[format](self, folder)

    def write_report(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained page with pictures and tables (`.html`); missing folders are made.

        Raises:
            OptionError: another ending, or a path that cannot be written.
            MissingExtraError: Matplotlib is not installed.
        """
        return write_file(path, (".html", ".htm"), lambda file: write_text(file, report_html(self)))

    @property
    def title(self) -> str:
        """What people call the grid."""
        return self.grid.title or self.grid.name

    @property
    def headline(self) -> str:
        """The grid, and the first sentence about the result."""
        return f"{self.title}: {self.in_short}"

    @property
    def in_short(self) -> str:
        """The first sentence about the result."""
        raise NotImplementedError

    def facts(self) -> dict[str, str]:
        """The figures that matter most, in words."""
        raise NotImplementedError

    def __repr__(self) -> str:
        text = ", ".join(f"{name} {value}" for name, value in self.facts().items())
        return f"{type(self).__name__}({self.subject!r}: {text})"

    def _repr_html_(self) -> str:
        from openpoint.results.notebook import notebook_html, picture_html

        return notebook_html(self.headline, self.facts(), self.to_switch()) + picture_html("picture_of_result", self)

    def to_switch(self) -> list[tuple[object, ...]]:
        """The rows of the switching list, where the result has one."""
        return []

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of picture that `plot` draws of the result, the usual one first."""
        return tuple(self.pictures())

    def pictures(self) -> Mapping[str, Callable[[Any], Any]]:
        """What draws each kind."""
        found: Mapping[str, Callable[[Any], Any]] = import_module(f"{self.place}.report").PICTURES
        return found

    def plot(self, kind: str = "") -> Figure:
        """A picture of the result, for notebooks and papers: one of `kinds`, or the first of them.

        Returns:
            A Matplotlib figure of its own, unknown to pyplot: nothing to close, safe in threads and without a display.

        Raises:
            OptionError: another kind, or one that this result has nothing to show of.
            MissingExtraError: Matplotlib is not installed.
        """
        require_extra(*PICTURES)
        figure: Figure = import_module("openpoint.report.figure").draw(self, kind)
        return figure

    def row(self) -> dict[str, Value]:
        """The summary with one value for each key, for tables: lists of names become text, other lists their length."""
        row: dict[str, Value] = {}
        for key, value in _without_infinity(self.summary()).items():
            row |= self._cells(key, value)
        return row

    def row_frame(self) -> pl.DataFrame:
        """`row` as a table; columns keep their type also where there is no value, so that many runs go together."""
        row = self.row()
        return pl.DataFrame([row], schema={key: self.shape.dtype(key) for key in row})

    def _cells(self, key: str, value: Any) -> dict[str, Value]:
        """One key of the summary as cells of its row."""
        if isinstance(value, dict):
            return {}  # a table holds it
        if not isinstance(value, list):
            return {key: value}
        return {key: join_names(value) if self.shape.dtype(key) == pl.String else len(value)}

    def _special_values(self) -> dict[str, Any]:
        """Keys of the summary whose value is not the attribute of the same name."""
        return {}

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        """Tables that are not the attribute of the same name."""
        return {}


@dataclass(frozen=True)
class Head:
    """The figures that every optimisation gives, under the same names for every study.

    Attributes:
        objective: what was minimised, in `unit`; None where there is no answer.
        bound: proven lower bound of the objective. gap: (objective − bound) / objective.
        unit: `kW` or `$`.
        termination: why the run ended, with its remedy.
        log: the iterations.
        violations: limits that the answer breaks, or without an answer the state of least violation; a row each.
    """

    objective: float | None
    bound: float
    gap: float
    unit: str
    termination: Termination
    log: pl.DataFrame
    violations: pl.DataFrame


class Answer(Result, also=("remedy",)):
    """The result of an optimisation: an answer, a bound, and why the run ended.

    Attributes:
        grid: the grid as given. iterations: the log of the method.
    """

    grid: Grid
    method: str = figure("name and options of the method")
    termination: Termination = figure(
        "why the run ended, with its remedy", options=[each.value for each in Termination]
    )
    seconds: float = figure("of the method alone, without imports and reading")
    gap: float = figure("(objective − bound) / objective; 0.0001 is 0.01 %", maybe=True)
    iterations: pl.DataFrame
    notes: tuple[str, ...] = figure("warnings that belong to the answer", default=())

    @property
    def remedy(self) -> str:
        """What to do about why it ended."""
        return self.termination.remedy

    @property
    def head(self) -> Head:
        """Objective, bound, gap, termination, log and violations, under the same names for every study."""
        raise NotImplementedError

    def _head(self, objective: float | None, bound: float, unit: str) -> Head:
        """With the limits that the answer breaks, or without an answer the state of least violation."""
        tables = [self.frame(name) for name in ("violations", "least_violation") if name in self.shape.tables]
        broken = next((each for each in tables if each.height), tables[0] if tables else c.empty(VIOLATIONS))
        return Head(objective, bound, self.gap, unit, self.termination, self.iterations, broken)

    @property
    def exit_code(self) -> int:
        return self.termination.exit_code

    def to_do(self) -> str:
        """The changes of the answer to today's grid, in words; empty where there is no answer."""
        raise NotImplementedError

    def answer_facts(self) -> dict[str, str]:
        """The figures of the answer, in words."""
        raise NotImplementedError

    @property
    def in_short(self) -> str:
        """Why the run ended and what the answer does: `Proven optimal: 8 switchings (4 to close, 4 to open).`"""
        remedy, to_do = self.termination.remedy, self.to_do()
        if not to_do:
            return remedy
        if self.termination in CUT_SHORT and math.isfinite(self.gap):
            remedy = f"No other answer is better by more than {100.0 * self.gap:.2g} %. {remedy}"
        if self.termination is Termination.OPTIMAL:
            return f"{remedy.removesuffix('.')}: {to_do}."
        return f"{remedy} {to_do[0].upper()}{to_do[1:]}."

    def facts(self) -> dict[str, str]:
        gap = f"{100.0 * self.gap:.4f} %" if math.isfinite(self.gap) else "not known"
        answer = self.answer_facts() if self.to_do() else {"answer": "none"}
        return {"ended": self.termination.value, **answer, "gap": gap}


def page_of(result: Result) -> Any:
    """What is shown of a result, by the module `report` of its study; facts and tables where it has none."""
    own = f"{result.place}.report"
    return import_module(own if find_spec(own) else "openpoint.report.page.plain").page(result)


def report_html(result: Result) -> str:
    """The report as one page of HTML.

    Raises:
        MissingExtraError: Matplotlib is not installed.
    """
    require_extra(*PICTURES)
    html: str = import_module("openpoint.report.page.html").render(page_of(result))
    return html


def in_kw(value: float | None) -> str:
    """A power in words."""
    return "not known" if value is None else f"{value:,.3f} kW"


def count_words(number: int, one: str) -> str:
    """A number of things in words; empty for none."""
    return "" if not number else f"{number} {one}{'s' if number > 1 else ''}"


def switching_words(actions: list[str]) -> str:
    """The number of actions, and how many of them close and open."""
    if not actions:
        return "nothing to switch"
    kinds = [f"{actions.count(action)} to {action}" for action in ("close", "open") if action in actions]
    return f"{count_words(len(actions), 'switching')} ({', '.join(kinds)})"


def _as_plain(value: Any) -> Any:
    if isinstance(value, Termination):
        return value.value
    if isinstance(value, tuple | list):
        return [_as_plain(each) for each in value]
    keys = keys_of(type(value))
    return {key: _as_plain(getattr(value, key)) for key in keys} if keys else value


def _without_infinity(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_infinity(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_infinity(inner) for inner in value]
    return value


def _finite(frame: pl.DataFrame) -> pl.DataFrame:
    numbers = cs.float()
    return frame.with_columns(pl.when(numbers.is_finite()).then(numbers))


def write_file(path: str | os.PathLike[str], endings: tuple[str, ...], write: Callable[[Path], object]) -> Path:
    """Write a file after a check of its ending.

    Raises:
        OptionError: another ending, or a path that cannot be written.
    """
    file = path_of(path, "path", "the path of a file")
    if file.suffix.lower() not in endings:
        raise OptionError(f"{file}: the name must end in {' or '.join(endings)}")
    with refusing():
        write(file)
    return file
