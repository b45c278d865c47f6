"""The result of a comparison: a result a case, and all their figures in one table."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import polars as pl

from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results import columns as c
from openpoint.results.base import Answer, Result, count_words
from openpoint.results.shape import figure
from openpoint.results.switched import SwitchedResult
from openpoint.twostage.log import Termination

NOT_FIGURES = ("study", "version", "grid", "method", "remedy", "notes")
"""Keys of a summary that are no figures of its case."""
CASES: c.Table = {
    "case": c.text("its name"),
    "options": c.text("options that are not the default ones, `name = value`, in one line"),
    "ended": c.text("why its run ended; null: it has no such word, or was not come to", nullable=True),
    "seconds": c.maybe_number("of its method"),
    "open_branches": c.text("branches open in its answer; null: it has none", nullable=True),
}
FIGURES: c.Table = {
    "case": c.text("its name"),
    "figure": c.text("key of the summary of its result, as the schema of the study describes it"),
    "value": c.maybe_number("the number"),
    "words": c.text("what is no number", nullable=True),
}


class CompareResult(Result, study="compare", also=("solved", "notes"), frames={"cases": CASES, "figures": FIGURES}):
    """The answer of `compare`.

    Attributes:
        grid: the grid.
        options: of each case, those that are not the default ones, by its name.
        results: the result of each case that was come to, by its name.
        axis: the one option in which the cases differ, where it is a number, and its value in each; else None.
    """

    grid: Grid
    of: str = figure("the study that was asked in every case")
    options: Mapping[str, Mapping[str, Any]]
    results: Mapping[str, Result]
    axis: tuple[str, tuple[float, ...]] | None = None

    def __getitem__(self, case: str) -> Any:
        """The result of a case."""
        if case not in self.results:
            raise OptionError(f"there is no result of a case {case!r}; there are {', '.join(self.results) or 'none'}")
        return self.results[case]

    @property
    def solved(self) -> int:
        """Cases that were come to."""
        return len(self.results)

    @property
    def notes(self) -> tuple[str, ...]:
        """Warnings that belong to the answers, each once, with its cases where it is not of all."""
        of: dict[str, list[str]] = {}
        for name, result in self.results.items():
            for note in dict.fromkeys(getattr(result, "notes", ())):
                of.setdefault(note, []).append(name)
        alike = len(self.results)
        return tuple(note if len(names) == alike else f"{', '.join(names)}: {note}" for note, names in of.items())

    @property
    def cases(self) -> pl.DataFrame:
        """A row a case: its options, how it ended, its time, and what is open in its answer."""
        rows = []
        for name, given in self.options.items():
            result = self.results.get(name)
            rows.append(
                {
                    "case": name,
                    "options": ", ".join(f"{key} = {value}" for key, value in given.items()),
                    "ended": result.termination.value if isinstance(result, Answer) else None,
                    "seconds": result.seconds if isinstance(result, Answer) else None,
                    "open_branches": _open(result),
                }
            )
        return c.frame(CASES, rows)

    @property
    def figures(self) -> pl.DataFrame:
        """All figures of all cases, a row each."""
        rows = list[tuple[object, ...]]()
        for case, result in self.results.items():
            for key, value in result.row().items():
                if key not in NOT_FIGURES and value is not None:
                    told = (None, value) if isinstance(value, str) else (float(value), None)
                    rows.append((case, key, *told))
        return c.frame(FIGURES, rows)

    @property
    def wide(self) -> pl.DataFrame:
        """The numbers with a row a figure and a column a case, in the order of the study's summary."""
        found: dict[str, dict[str, float]] = {}
        for case, key, value, _ in self.figures.filter(pl.col("value").is_not_null()).iter_rows():
            found.setdefault(key, {})[case] = value
        columns = {case: [values.get(case) for values in found.values()] for case in self.results}
        schema = {"figure": pl.String, **dict.fromkeys(columns, pl.Float64)}
        return pl.DataFrame({"figure": list(found), **columns}, schema=schema)

    def pictures(self) -> Mapping[str, Callable[[Any], Any]]:
        """Those in which the study shows its cases over each other, and those of any comparison."""
        return {**import_module(f"{self.place}.report").of_study(self), **super().pictures()}

    @property
    def exit_code(self) -> int:
        """The greatest of the cases."""
        if len(self.results) < len(self.options):
            return Termination.INTERRUPTED.exit_code
        return max((result.exit_code for result in self.results.values()), default=0)

    @property
    def in_short(self) -> str:
        counted = f"{count_words(len(self.options), 'case')} of {self.of}"
        left = [name for name in self.options if name not in self.results]
        return f"{counted}; interrupted before {', '.join(left)}." if left else f"{counted}."

    def facts(self) -> dict[str, str]:
        return {name: result.in_short for name, result in self.results.items()}


def _open(result: Result | None) -> str | None:
    if not isinstance(result, SwitchedResult) or not result.has_answer:
        return None
    return join_names(result.open_branches)
