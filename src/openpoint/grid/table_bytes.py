"""A table as the content of a file, CSV or Parquet."""

from __future__ import annotations

import io

import polars as pl

from openpoint.grid.csv_style import no_formula, texts


def table_bytes(frame: pl.DataFrame, *, csv: bool) -> bytes:
    """The content of a CSV file, in which no text is a formula to a spreadsheet, or else of a Parquet file."""
    if csv:
        return texts(frame, no_formula).write_csv().encode()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
