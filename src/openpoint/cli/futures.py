"""The command `futures`: draw futures of a grid, write their table, and show what they are like."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.config import configured
from openpoint.cli.guard import guarded
from openpoint.cli.options import ForceOption, GridArgument, QuietOption
from openpoint.errors import OptionError

if TYPE_CHECKING:
    import polars as pl

    from openpoint.grid import Grid

FUTURES_EPILOG = """\b
A future is what every bus may demand one day. Each is drawn with the spread of solar panels, vehicles, heat pumps and
loads over the grid; the same seed gives the same futures. With --year they are steps of a year, drawn by chance. The
table can be edited, and read by reconfigure-futures.

\b
Examples:
  openpoint futures civanlar16 --count 200 --seed 1 -o futures.csv
  openpoint futures my_grid.m --count 200 --growth solar --assume ev_adoption=0.4 -o futures.parquet
  openpoint futures my_simbench_folder --year own --count 100 -o futures.csv"""


class Growth(StrEnum):
    """Assumptions on growth."""

    MODERATE = "moderate"
    SOLAR = "solar"


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(epilog=FUTURES_EPILOG)(guarded(configured(futures)))


def futures(
    grid: GridArgument,
    *,
    table: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="The table to write, .csv or .parquet")],
    count: Annotated[int, typer.Option(metavar="N", min=1, help="Number of futures.")] = 200,
    seed: Annotated[int, typer.Option(metavar="S", min=0, help="Another seed gives other futures.")] = 1,
    growth: Annotated[Growth | None, typer.Option(help="What is assumed about growth.  [default: moderate]")] = None,
    year: Annotated[
        str | None,
        typer.Option(metavar="YEAR", help="Draw steps of profiles, as of reconfigure-year; own: of the grid's file."),
    ] = None,
    assume: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="Another figure for growth, such as pv_adoption=0.8; repeatable."),
    ] = None,
    force: ForceOption = False,
    quiet: QuietOption = False,
) -> int:
    """Draw futures of a grid and write them as a table."""
    assumed = tuple(assume or ())
    if year is not None and (growth is not None or assumed):
        raise OptionError("steps of a year are drawn as they are: leave out --year, or --growth and --assume")
    word = (growth or Growth.MODERATE).value
    return draw(grid, table, count=count, seed=seed, growth=word, assume=assumed, year=year, quiet=quiet)


def draw(
    source: str,
    file: Path,
    *,
    count: int,
    seed: int,
    growth: str,
    assume: tuple[str, ...],
    year: str | None = None,
    quiet: bool = False,
) -> int:
    """Read the grid, draw futures, write their table and show what they are like; the exit code."""
    from openpoint.cli.display import console, show_pairs, show_written
    from openpoint.cli.grid import read_sound
    from openpoint.report.terminal import words
    from openpoint.scenarios.futures import Futures, statistics, write_futures
    from openpoint.scenarios.growth import grow
    from openpoint.studies.reconfigure.futures.words import read_growth

    assumed = read_growth(growth, assume)
    grid = read_sound(source)
    if year is None:
        futures, drawn = grow(grid, count=count, seed=seed, growth=assumed), f"{growth} growth"
    else:
        futures, drawn = Futures.of_steps(grid, year, count=count, seed=seed), f"steps of {year}"
    write_futures(futures, file)
    out = console(quiet=quiet)
    title = f"{words.count(count, 'future')} of {grid.name}, {drawn}, seed {seed}"
    show_pairs(out, title, _statistics_rows(grid, statistics(futures)))
    show_written(out, [file])
    return 0


def _statistics_rows(grid: Grid, statistics: pl.DataFrame) -> list[tuple[str, str]]:
    """What futures are like, next to today."""
    import polars as pl

    p = statistics["p_kw"]
    today = float(grid.loads["p_kw"].sum()) - float(grid.generators["p_kw"].sum())
    feeding = statistics.filter(pl.col("p_min_kw") < 0.0).height
    return [
        ("net demand today", f"{today:,.1f} kW"),
        ("net demand, lowest", _of(p.min())),
        ("net demand, mean", _of(p.mean())),
        ("net demand, highest", _of(p.max())),
        ("some bus feeds back in", f"{feeding / statistics.height:.1%} of the futures"),
    ]


def _of(value: object) -> str:
    return f"{value:,.1f} kW" if isinstance(value, float) else "-"
