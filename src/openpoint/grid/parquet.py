"""Parquet files as frames, within limits: some hundred bytes can stand for thousands of millions of rows."""

from __future__ import annotations

import io

import polars as pl

from openpoint.errors import InputError, Problem
from openpoint.inputs import MOST_BYTES, MOST_CELLS, MOST_COLUMNS, decoding, refuse_more


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
