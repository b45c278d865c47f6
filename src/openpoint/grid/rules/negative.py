"""Transformers of negative impedance, as the star of one with three windings may have it.

The AC power flow computes with them. Bounds of losses and flows rest on impedances that are not negative, so other
studies refuse them.
"""

from __future__ import annotations

from collections.abc import Iterator

import polars as pl

from openpoint.errors import InputError, Problem
from openpoint.grid.schemas import Tables

_REMEDY = "Replace what it belongs to by transformers of two windings, or let a source feed the buses behind it"


def negative_doubts(grid: Tables) -> Iterator[Problem]:
    """Warnings: impedances that only the power flow computes with."""
    for name, column, value in _negative(grid):
        yield Problem("transformers", name, column, _message(value), _REMEDY, "warning")


def refuse_negative(grid: Tables) -> None:
    """Refuse them in a study whose bounds do not hold with them.

    Raises:
        InputError: naming each.
    """
    found = list(_negative(grid))
    if found:
        raise InputError(
            [Problem("transformers", name, column, _message(value), _REMEDY) for name, column, value in found]
        )


def _message(value: float) -> str:
    return f"{value:g} ohm is negative, with which only `openpoint powerflow` computes"


def _negative(grid: Tables) -> Iterator[tuple[str, str, float]]:
    """Name, column and value, of balanced grids; in a grid of phases it is a fault of its own."""
    for column in ("r_ohm", "x_ohm"):
        found = grid.transformers.filter((pl.col(column) < 0) & (pl.col("phases") == "1"))
        for name, value in found.select("name", column).iter_rows():
            yield name, column, value
