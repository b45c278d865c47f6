"""The page of a result whose study brings none of its own: its facts, and all of its tables."""

from __future__ import annotations

import polars as pl

from openpoint.report.page import model as m
from openpoint.report.page import tables as t
from openpoint.results.base import Result


def page(result: Result) -> m.Page:
    """The report of a result."""
    facts = m.Cards(tuple(m.Card(what.capitalize(), value) for what, value in result.facts().items()))
    headline = m.section(result.headline)
    tables = [lambda name=name: _table(result, name) for name in result.shape.tables]
    return m.page_of(result.grid, result.shape.study, [headline, facts, *tables])


def _table(result: Result, name: str) -> m.Section | None:
    frame = result.tables()[name]
    texts = [column for column, kind in frame.schema.items() if kind == pl.String]
    return t.table_section(name.capitalize(), result, name, "{} rows", texts)
