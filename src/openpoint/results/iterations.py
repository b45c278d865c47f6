"""The log of a method as a table."""

from __future__ import annotations

import polars as pl

from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.twostage.log import Iteration


def iteration_columns(unit: str, sign: str, *, value: str, violation: str) -> c.Table:
    """The columns of a log.

    Args:
        unit: ending of the columns of bounds. sign: the unit in words.
        value, violation: what they are of what was tried.
    """
    return {
        "number": c.whole("1, 2, …"),
        "seconds": c.number("since the start of the method"),
        f"lower_bound_{unit}": c.maybe_number(f"best proven so far, {sign}"),
        f"upper_bound_{unit}": c.maybe_number(f"best verified so far, {sign}"),
        "gap": c.maybe_number("(upper − lower) / upper"),
        f"value_{unit}": c.maybe_number(value),
        "verdict": c.text("what was learnt"),
        "violation": c.maybe_number(violation),
        "mark": c.text("a warning where the numbers were bad, else empty"),
    }


def iterations_table(log: tuple[Iteration, ...], table: c.Table) -> pl.DataFrame:
    """The log, a row a line, in the columns of `iteration_columns`."""
    rows = [
        (
            i.number,
            i.seconds,
            finite(i.lower_bound),
            finite(i.upper_bound),
            finite(i.gap),
            finite(i.value),
            i.verdict,
            finite(i.violation),
            i.mark,
        )
        for i in log
    ]
    return pl.DataFrame(rows, schema=c.dtypes(table), orient="row")
