"""What every result can do: tell itself in short, hand out its tables, and write itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import polars as pl

from openpoint.errors import MissingExtraError, OptionError
from openpoint.grid.arguments import path_of
from openpoint.grid.files import HEAD
from openpoint.io.places import file_ending

if TYPE_CHECKING:
    import os

    from openpoint.grid.grid import Grid
    from openpoint.report.page.html import Reported
    from openpoint.results.export import Result


class Written:
    """A result that tells itself in short, as a summary, as tables, as JSON, and in files."""

    def summary(self) -> dict[str, Any]:
        """Everything that is no table, as plain values under the names of the JSON document."""
        from openpoint.results.export import summary

        return summary(cast("Result", self))

    def tables(self) -> dict[str, pl.DataFrame]:
        """All tables by name, those that are written; infinity and NaN are null."""
        from openpoint.results.export import tables

        return tables(cast("Result", self))

    def to_json(self) -> str:
        """The whole result as a JSON document, in the shape that `openpoint schema` publishes."""
        from openpoint.results.export import to_json

        return to_json(cast("Result", self))

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
        """Write `to_json` into a file that ends in `.json`; folders on the way are made.

        Raises:
            OptionError: another ending, or a path that cannot be written.
        """
        return _written(path, (".json",), lambda file: file.write_text(self.to_json(), encoding="utf-8"))

    def write_tables(self, path: str | os.PathLike[str], *, format: Literal["csv", "parquet"] = "csv") -> list[Path]:
        """Write the tables: a file each into a folder, which is made, or as sheets of a workbook (`.xlsx`).

        Args:
            path: the folder or the workbook.
            format: of the files in a folder.

        Returns:
            The paths written.

        Raises:
            OptionError: the name of another kind of file, a folder that holds a grid, or a path that cannot be written.
        """
        from openpoint.results import export

        writers = {"csv": export.to_csv, "parquet": export.to_parquet}
        if format not in writers:
            raise OptionError(f"format={format!r} is not known; write 'csv' or 'parquet'")
        result = cast("Result", self)
        folder = path_of(path, "path")
        if file_ending(path) == ".xlsx":
            return [_written(path, (".xlsx",), lambda file: export.to_excel(result, file))]
        if ending := file_ending(path):
            raise OptionError(f"{folder}: tables are written into a folder or an .xlsx file, not as {ending}")
        if (folder / HEAD).exists():
            raise OptionError(f"{folder}: this folder holds a grid, whose tables would be replaced; name another")
        try:
            return writers[format](result, folder)
        except OSError as error:
            raise OptionError(f"{folder} cannot be written: {error.strerror or error}") from error

    def __repr__(self) -> str:
        from openpoint.results.in_short import facts

        result = cast("Result", self)
        told = ", ".join(f"{name} {value}" for name, value in facts(result).items())
        return f"{type(self).__name__}({result.grid.name!r}: {told})"

    def _repr_html_(self) -> str:
        from openpoint.results.in_short_html import result_html

        return result_html(cast("Result", self))

    def write_report(self, path: str | os.PathLike[str]) -> Path:
        """Write one self-contained page with pictures and tables (`.html`); folders on the way are made.

        Raises:
            OptionError: another ending, or a path that cannot be written.
        """
        from openpoint.report.page.html import write_report

        return _written(path, (".html", ".htm"), lambda file: write_report(cast("Reported", self), file))


class SwitchedResult(Written):
    """A result that is one topology: what is open before and after, and what to switch in between."""

    grid: Grid
    open_before: tuple[str, ...]
    open_branches: tuple[str, ...]

    @property
    def has_answer(self) -> bool:
        """Whether a topology was found that keeps what was asked for."""
        raise NotImplementedError

    @property
    def changes(self) -> tuple[str, ...]:
        """Branches whose state differs between today and the answer; `switching` tells which way."""
        return tuple(sorted(set(self.open_before) ^ set(self.open_branches))) if self.has_answer else ()

    @property
    def switching(self) -> tuple[tuple[str, str], ...]:
        """(branch, "close" or "open") from today's state to the answer, what is closed first."""
        closing = [(name, "close") for name in self.open_before if name in self.changes]
        return (*closing, *((name, "open") for name in self.open_branches if name in self.changes))

    @property
    def switching_list(self) -> pl.DataFrame:
        """What to switch, what is closed first: name, action (`close` or `open`), kind, from_bus, to_bus, open_end.

        `open_end` is where it is switched: at its `from` end alone, at its `to` end alone, or at `both`.
        """
        actions = pl.DataFrame(self.switching, schema={"name": pl.String, "action": pl.String}, orient="row")
        places = self.grid.branches().select("name", "kind", "from_bus", "to_bus")
        places = places.join(self.grid.lines.select("name", "open_end"), on="name", how="left", maintain_order="left")
        return actions.join(
            places.with_columns(pl.col("open_end").fill_null("both")), on="name", how="left", maintain_order="left"
        )

    @property
    def grid_after(self) -> Grid | None:
        """The grid with the switch states of the answer; None where there is none."""
        if not self.has_answer:
            return None
        names = self.grid.branches()["name"].to_list()
        return self.grid.with_closed({name: name not in self.open_branches for name in names})


def switched(result: SwitchedResult) -> list[dict[str, str]]:
    """The switching list as it is in JSON."""
    return (
        result.switching_list.select("action", "open_end", branch="name")
        .select("branch", "action", "open_end")
        .to_dicts()
    )


def with_output(grid: Grid, generators: pl.DataFrame) -> Grid:
    """The grid with the output of its generators from a table with the columns name, p_kw and q_kvar."""
    found = {name: (p, q) for name, p, q in generators.select("name", "p_kw", "q_kvar").iter_rows()}
    given = grid.generators.select("name", "p_kw", "q_kvar").rows()
    output = [found.get(name, (p, q)) for name, p, q in given]
    columns = {"p_kw": [p for p, _ in output], "q_kvar": [q for _, q in output]}
    series = [pl.Series(name, values, dtype=pl.Float64) for name, values in columns.items()]
    return grid.with_tables(generators=grid.generators.with_columns(series))


def _written(path: str | os.PathLike[str], endings: tuple[str, ...], write: Callable[[Path], object]) -> Path:
    """Write a file whose name ends as it must.

    Raises:
        OptionError: another ending, or a path that cannot be written.
    """
    file = path_of(path, "path", "the path of a file")
    if file.suffix.lower() not in endings:
        raise OptionError(f"{file}: the name must end in {' or '.join(endings)}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        write(file)
    except OSError as error:
        raise OptionError(f"{file} cannot be written: {error.strerror or error}") from error
    return file
