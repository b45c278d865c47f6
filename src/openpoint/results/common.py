"""Keys and columns that several studies write."""

from __future__ import annotations

import polars as pl

from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.results.violation import PHASE
from openpoint.twostage.log import Iteration

BUS: c.Table = {
    "name": c.text("name of the bus", "bus"),
    "vn_kv": c.number("nominal voltage, line to line, kV", "nominal, kV", 3),
    "v_min_pu": c.maybe_number("lower voltage limit, pu", "limit low, pu", 4),
    "v_max_pu": c.maybe_number("upper voltage limit, pu", "limit high, pu", 4),
}
KIND = c.text("table of the branch", options=["lines", "switches", "transformers"])
ENDS: c.Table = {
    "kind": KIND,
    "name": c.text("name of the branch", "branch"),
    "from_bus": c.text("bus at one end"),
    "to_bus": c.text("bus at the other end"),
}
BRANCH: c.Table = {**ENDS, "switchable": c.flag("may be opened or closed by a decision")}


def with_phase(columns: c.Table) -> c.Table:
    """The columns with the column `phase` after the name."""
    head = {key: columns[key] for key in list(columns)[: list(columns).index("name") + 1]}
    return {**head, "phase": PHASE, **columns}


def both(name: str, unit: str, doc: str, heading: str, digits: int) -> c.Table:
    """The columns of one quantity today and in the answer; `{}` in the heading is which."""
    return {
        f"{name}_{when}_{unit}": c.maybe_number(f"{doc}, {word}", heading.format(short), digits)
        for when, word, short in (("before", "today", "today"), ("after", "in the answer", "answer"))
    }


BUS_BEFORE_AFTER: c.Table = {
    **with_phase(BUS),
    **both("v", "pu", "voltage to neutral, pu of the nominal phase voltage", "{}, pu", 5),
    **both("angle", "degree", "voltage angle, degree", "angle {}, °", 4),
}
BRANCH_BEFORE_AFTER: c.Table = {
    **with_phase(BRANCH),
    "closed_before": c.flag("closed today", "state today"),
    "closed_after": c.maybe_flag("closed in the answer", "state after"),
    **c.LIMITS_OF_CURRENT,
    **both("i", "a", "current, A", "{}, A", 2),
    **both("loading", "percent", "current in percent of the rating", "{}, %", 1),
    **both("p_from", "kw", "active power into the branch at its from end, kW", "P {}, kW", 2),
    **both("q_from", "kvar", "reactive power into the branch at its from end, kvar", "Q {}, kvar", 2),
    **both(
        "loss",
        "kw",
        "active power in at both ends, kW; add it up over the phases of a branch, which couple",
        "loss {}, kW",
        3,
    ),
}


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
