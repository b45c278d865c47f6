"""What the commands do where futures are many: read or draw them, ask the study, show and write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from openpoint.cli.copy import Copy
from openpoint.cli.display import Progress, console, show_pairs, show_written, write_and_show
from openpoint.cli.grid import Asked, read_sound, size
from openpoint.cli.outputs import Outputs
from openpoint.cli.verify import show_proof_files
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.cli.reconfigure.options import FuturesOptions
    from openpoint.grid import Grid
    from openpoint.studies.reconfigure.options import ReconfigureOptions


def reconfigure(
    source: str,
    asked: Asked,
    options: ReconfigureOptions,
    many: FuturesOptions,
    *,
    outputs: Outputs,
    copy: Path | None,
    quiet: bool,
) -> int:
    """Read the grid and its futures, find one topology for all, show and write the result; the exit code."""
    from openpoint.scenarios.ambiguity import read_futures_ambiguity
    from openpoint.studies.reconfigure.options import FuturesQuestion
    from openpoint.studies.reconfigure.study import prepare_futures
    from openpoint.twostage.risk import read_risk

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    risk = None if many.risk is None else read_risk(many.risk)
    ambiguity = None if many.ambiguity is None else read_futures_ambiguity(many.ambiguity)
    grid = read_sound(source, asked)
    options = asked.locked(options, grid)
    planned, sample = many.of(grid)
    out.print(f"{words.safe(grid.name)}: {size(grid)}")
    others = "" if sample is None else f", tested also in {words.count(len(sample), 'other')}"
    prepared = prepare_futures(grid, options, FuturesQuestion(planned, risk, ambiguity, many.share, sample))
    out.print(f"futures: {len(planned)}{others}\nmethod: {words.method(prepared.method)}\n")
    with Progress(out) as progress:
        result = prepared.solve(progress)
    copied = Copy(source, copy)
    more = copied.writings(result)
    code = write_and_show(out, outputs, result, result.termination.exit_code, more=more)
    copied.show(out)
    return show_proof_files(outputs, out, code)


def draw(
    source: str, file: Path, *, count: int, seed: int, growth: str, assume: tuple[str, ...], quiet: bool = False
) -> int:
    """Read the grid, draw futures, write their table and show what they are like; the exit code."""
    from openpoint.scenarios.futures import statistics, write_futures
    from openpoint.scenarios.growth import grow
    from openpoint.studies.reconfigure.futures.words import read_growth

    assumed = read_growth(growth, assume)
    grid = read_sound(source)
    futures = grow(grid, count=count, seed=seed, growth=assumed)
    write_futures(futures, file)
    out = console(quiet=quiet)
    title = f"{words.count(count, 'future')} of {grid.name}, {growth} growth, seed {seed}"
    show_pairs(out, title, _statistics_rows(grid, statistics(futures)))
    show_written(out, [file])
    return 0


def _statistics_rows(grid: Grid, statistics: pl.DataFrame) -> list[tuple[str, str]]:
    """What futures are like, next to today."""
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
