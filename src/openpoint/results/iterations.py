"""The log of a method as a table."""

from __future__ import annotations

import polars as pl

from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.twostage.log import Iteration


def iteration_columns(unit: str, sign: str, *, value: str, violation: str, heading: str = "") -> c.Table:
    """The columns of a log.

    Args:
        unit: ending of the columns of bounds, empty where they have none. sign: the unit in words.
        value, violation: descriptions of these columns. heading: of the violation in reports; empty: not shown.
    """
    digits, end, comma = 3 if unit == "usd" else 4, f"_{unit}" if unit else "", f", {sign}" if sign else ""
    return {
        "number": c.whole("1, 2, …", "iteration"),
        "seconds": c.number("since the start of the method", "seconds", 3),
        f"lower_bound{end}": c.maybe_number(f"best proven so far{comma}", f"lower bound{comma}", digits),
        f"upper_bound{end}": c.maybe_number(f"best verified so far{comma}", f"upper bound{comma}", digits),
        "gap": c.maybe_number("(upper − lower) / upper"),
        f"value{end}": c.maybe_number(value, f"value tried{comma}", digits),
        "verdict": c.text("what was learnt"),
        "violation": c.maybe_number(violation, heading, 6),
        "mark": c.text("a warning where the numbers were bad, else empty"),
    }


def iterations_table(log: tuple[Iteration, ...], table: c.Table) -> pl.DataFrame:
    """The log, one row for each line, in the columns of `iteration_columns`."""
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
    return c.frame(table, rows)
