"""Tables of reports: the columns as a study declares them, the rows as its result has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from openpoint.report.page import model as m
from openpoint.report.scene import Scene
from openpoint.results import columns
from openpoint.results.base import Result
from openpoint.results.shape import Shape
from openpoint.results.switched import SwitchedResult

KINDS = {"lines": "line", "switches": "switch", "transformers": "transformer"}

Heading = str | m.Column
"""A column of texts by its heading alone, or a column."""
STATES = ("before", "mean", "after")
"""Words in the names of columns that tell one quantity in several states."""


def table(
    identity: str,
    caption: str,
    columns: Iterable[Heading],
    rows: Iterable[Sequence[m.Cell]],
    *,
    search: bool = False,
    low: bool = False,
) -> m.Table:
    """A table; a column of texts is given by its heading alone."""
    heads = tuple(m.Column(column) if isinstance(column, str) else column for column in columns)
    return m.Table(identity, caption, heads, tuple(map(tuple, rows)), search, low)


def frame_table(
    identity: str,
    caption: str,
    frame: pl.DataFrame,
    declared: columns.Table,
    texts: Mapping[str, str] | Sequence[str],
    *,
    last: Sequence[str] = (),
    blank: bool = False,
    search: bool = False,
    low: bool = False,
) -> m.Table:
    """A table of a result: the columns `texts`, all numbers that are declared with a heading, and the columns `last`.

    Args:
        identity: of its place. caption: above it. frame: the rows. declared: its columns, as the study declares them.
        texts: names, or names with headings in place of those declared. last: names.
        blank: whether numbers are shown, too, that no row has: one without ratings has no loading.
        search, low: as in `Table`.
    """
    own = dict(texts) if isinstance(texts, Mapping) else {}
    numbers = [each for each in shown_numbers(frame, declared, blank=blank) if each not in {*texts, *last}]
    names = [*texts, *numbers, *last]
    heads = [m.Column(own[name]) if name in own else _column(name, declared) for name in names]
    return table(identity, caption, heads, columns.joined(frame.select(names)).iter_rows(), search=search, low=low)


def listed(
    result: Result,
    name: str,
    caption: str,
    texts: Mapping[str, str] | Sequence[str],
    *,
    frame: pl.DataFrame | None = None,
    identity: str = "",
    **options: Any,
) -> m.Table | None:
    """A table of a result; None where it has no row.

    Args:
        result, name: whose, and which of its tables. caption: above it; `{}` stands for the number of rows.
        texts: as in `frame_table`, like the `options`.
        frame: its rows, where they are not shown as they are. identity: of its place, where that is not the name.
    """
    rows = result.frame(name) if frame is None else frame
    if rows.is_empty():
        return None
    declared = result.shape.tables[name]
    return frame_table(identity or name, caption.replace("{}", str(rows.height)), rows, declared, texts, **options)


def table_section(
    heading: str,
    result: Result,
    name: str,
    caption: str,
    texts: Mapping[str, str] | Sequence[str],
    *,
    above: m.Block | None = None,
    below: m.Block | None = None,
    long: bool = True,
    **options: Any,
) -> m.Section | None:
    """A section of a table of a result, with what is above and below it; None where it has no row.

    `long` as in `Section`, the rest as in `listed`.
    """
    made = listed(result, name, caption, texts, **options)
    return None if made is None else m.section(heading, above, made, below, long=long)


def extremes_tables(result: SwitchedResult, everywhere: str) -> list[m.Section | None]:
    """All buses and all branches of one topology in many states, `everywhere` in words: their extremes."""
    buses = result.buses.drop("vn_kv", "v_min_pu", "v_max_pu")
    ends = {"name": "name", "from_bus": "from bus", "to_bus": "to bus"}
    return [
        table_section(f"Buses, {everywhere}", result, "buses", "{} rows", {"name": "name"}, frame=buses, search=True),
        table_section(f"Branches, {everywhere}", result, "branches", "{} rows", ends, search=True),
    ]


def shown_numbers(frame: pl.DataFrame, declared: columns.Table, *, blank: bool = False) -> list[str]:
    """Names of the numbers with a heading; those of one quantity in several states stand next to each other."""
    metadata = {name: declared[name].metadata for name in frame.columns if name in declared}
    shown = [
        name
        for name, about in metadata.items()
        if "digits" in about and about["heading"]
        if blank or not declared[name].nullable or frame[name].is_not_null().any()
    ]
    quantities = [[part for part in name.split("_") if part not in STATES] for name in shown]
    return [shown[i] for i in sorted(range(len(shown)), key=lambda i: quantities.index(quantities[i]))]


def _column(name: str, declared: columns.Table) -> m.Column:
    """What is declared of a column; the heading of one that is not is its name."""
    about = (declared[name].metadata if name in declared else None) or {"heading": ""}
    return m.Column(about["heading"] or name.replace("_", " "), about.get("digits"))


def place_tables(scene: Scene, shape: Shape, buses: pl.DataFrame, branches: pl.DataFrame) -> list[m.Section]:
    """All buses and all branches, with their states in words."""
    phase = ["phase"] if scene.has_phases else []
    states = [name for name in branches.columns if name.startswith("closed")]
    words = [pl.when(pl.col(c)).then(pl.lit("closed")).when(~pl.col(c)).then(pl.lit("open")).alias(c) for c in states]
    shown = branches.with_columns(
        pl.col("kind").replace_strict(KINDS),
        pl.when("switchable").then(pl.lit("yes")).otherwise(pl.lit("no")).alias("switchable"),
        *words,
    )
    texts = ["name", *phase, "kind", "from_bus", "to_bus", "switchable", *states]
    own, other = shape.tables["buses"], shape.tables["branches"]
    listed = (
        frame_table("buses", f"{len(scene.bus_names)} buses", buses, own, ["name", *phase], search=True),
        frame_table("branches", f"{len(scene.branch_names)} branches", shown, other, texts, search=True),
    )
    return [m.section(heading, each, long=True) for heading, each in zip(("Buses", "Branches"), listed, strict=True)]
