"""Hypothesis strategies for grids: any texts and numbers that the tables can hold, sound or not."""

from typing import Any

import polars as pl
from hypothesis import strategies as st

from openpoint.grid import Grid
from openpoint.grid.schemas import SCHEMAS

ODD_NAMES = [
    "1",
    "007",
    "nan",
    "null",
    "",
    "true",
    "1e5",
    " a ",
    "a,b",
    'say "so"',
    "line\nbreak",
    "cr\rlf\r\n",
    "\ufeff",
]
names = st.one_of(st.sampled_from(ODD_NAMES), st.text(max_size=8))


def cells(dtype: pl.DataType, nullable: bool) -> st.SearchStrategy[Any]:
    """Values of a column."""
    if dtype == pl.String:
        values: st.SearchStrategy[Any] = names
    elif dtype == pl.Float64:
        values = st.floats()
    elif dtype == pl.Int64:
        values = st.integers(-(10**9), 10**9)
    elif dtype == pl.Boolean:
        values = st.booleans()
    else:
        values = st.lists(st.floats(), max_size=3)
    return st.none() | values if nullable else values


@st.composite
def tables(draw: st.DrawFn, kind: str, max_rows: int = 3) -> pl.DataFrame:
    """A table with any content."""
    schema = SCHEMAS[kind]
    dtypes = schema.empty().schema
    n = draw(st.integers(0, max_rows))
    columns = {}
    for name, column in schema.columns().items():
        values = draw(st.lists(cells(dtypes[name], column.nullable), min_size=n, max_size=n))
        columns[name] = pl.Series(name, values, dtype=dtypes[name])
    return pl.DataFrame(columns)


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """A grid with any content; its references lead nowhere, as a rule."""
    frames = {kind: draw(tables(kind)) for kind in SCHEMAS}
    texts = draw(st.tuples(names, names, names))
    return Grid.from_tables(texts[0], frames, title=texts[1], source=texts[2])
