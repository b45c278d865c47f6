"""A table as the content of a file, CSV or Parquet."""

from __future__ import annotations

import io

import polars as pl


def table_bytes(frame: pl.DataFrame, *, csv: bool) -> bytes:
    """The content of a CSV file, or else of a Parquet file."""
    if csv:
        return frame.write_csv().encode()
    buffer = io.BytesIO()
    frame.write_parquet(buffer)
    return buffer.getvalue()
