"""The page of the built-in days as Markdown: how a day is written, and every number of those that are there."""

from __future__ import annotations

from openpoint.grid.table_files import written_columns
from openpoint.scenarios.day.schemas import DAY_SCHEMAS, profile_schema
from openpoint.scenarios.day.tables import Day, built_in_days, read_day

HEAD = """# Days

This page is made from the tables of the built-in days: `make docs` writes it anew.

A day is a folder of tables, a workbook with a sheet a table, or a single file with its periods;
[Reference](reference.md) has all columns, most of which may be left out. The grid stays the file that it is: the day
brings its own generators, renewables, storages and vehicles, the limits of voltage of that day, and what of the loads
may be moved or shed. The least day is its prices:

```text
period,price_usd_per_kwh,load_share
night,0.06,0.4
noon,0.09,0.8
evening,0.18,1.0
```

The easiest start is a built-in day, written to a folder and changed there:

```console
$ openpoint days
$ openpoint days baran33-day my-day
```

In Python:

```python
import polars as pl
import openpoint

day = openpoint.read_day("my-day")  # openpoint.read_day("baran33-day").write("my-day") writes it, too
more = day.flexible_loads.with_columns(shift_buses_share=pl.lit(0.1))  # a tenth may move between buses
print(day.with_tables(flexible_loads=more))
```

Faults of all tables are told at once, each with its row and a remedy. So are a gap between two periods (where
`starts_at` is given), a profile that lacks a period, a vehicle that leaves before it comes or cannot be charged while
it stays, and a price at which buying and selling at once would earn. Negative prices and a clock change with its 23
or 25 hours are possible, and told.

## Futures of a day

`openpoint dispatch-day GRID DAY --futures futures.csv` plans for days that may come, each with its probability: a
table (`.csv`, `.parquet`, or the sheet `futures` of a workbook) with a row for each future and period.

```text
future,period,load,solar,probability
clear,night,0.97,1,0.7
clear,noon,0.95,1.1,0.7
clear,evening,1.05,1,0.7
cloudy,night,1,1,0.3
cloudy,noon,1.02,0.35,0.3
cloudy,evening,1.08,1,0.3
```

| column | meaning |
|---|---|
| `future` | name; futures are in the order of their first rows |
| `period` | a period of the day; every future has a row for each |
| `load`, `solar`, `wind` | shares of the forecast, 1 = the same, of loads or sources without their own column |
| `reactive` | the same of all reactive loads; without a column the reactive load goes with the active one |
| `load at 6`, `reactive load at 6`, `solar10` | the same of one bus, and of a renewable source, by their names |
| `probability` | the same in all rows of a future, sums to one over the futures; `--risk worst` needs none |

Columns that are left out are as forecast. No source has more than its rating. Prices are those of the day in all
futures: a column `price` is refused. With a price in what comes, the cost of a period is the product of two things that
come, price and power, and no longer convex in them. Then a copy at the mean of a group of futures is no bound of their
mean cost (Jensen), and the bound of a topology, linear in what comes at given multipliers, has to be derived anew. Only
the program that has all futures would still hold.

## The built-in days

The two days below have the units of a publication that gives their places and some of their sizes: Scientific Reports
14, 2024, article 23041 ([doi](https://doi.org/10.1038/s41598-024-73928-1)). Its curves, prices, costs, ratings and
limits are not public, and where its sentences contradict each other one of them is taken. So every other number here
is a choice, made once, so that generators pay in hours of a high price only and limits of voltage bind; the figures
of that publication cannot be met.
"""
ORIGIN = "Where the numbers come from:"


def page() -> str:
    """The page as Markdown."""
    return "\n\n".join([HEAD.strip(), *(section(name) for name in built_in_days())]) + "\n"


def section(name: str) -> str:
    """The tables of a day."""
    day = read_day(name)
    parts = [f"### {name}", f"For the grid `{name.removesuffix('-day')}`."]
    for kind, frame in day.tables().items():
        if frame.height and kind not in ("profiles", "origin"):
            parts += [f"#### {kind} of {name}", table(columns(day, kind))]
    parts += [ORIGIN, table([(column, day.origin[column].to_list()) for column in day.origin.columns])]
    return "\n\n".join(parts)


def columns(day: Day, kind: str) -> list[tuple[str, list[object]]]:
    """The columns that hold anything but their default; those of the profiles stand beside the periods."""
    frame = day.tables()[kind]
    told = written_columns(kind, frame, DAY_SCHEMAS[kind])
    if kind == "periods" and day.profiles.height:
        profiles = frame.select("period").join(day.profiles, on="period", how="left", maintain_order="left")
        told += written_columns("profiles", profiles, profile_schema(profiles.columns))[1:]
    return told


def table(told: list[tuple[str, list[object]]]) -> str:
    """A Markdown table."""
    names, values = zip(*told)
    rows = [names, ["---"] * len(names), *zip(*values)]
    return "\n".join(f"| {' | '.join(map(cell, row))} |" for row in rows)


def cell(value: object) -> str:
    """A cell."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
