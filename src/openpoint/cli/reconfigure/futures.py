"""What the commands do where futures are many: read or draw them, ask the study, show and write."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import polars as pl

from openpoint.cli.display import Progress, console, show_pairs, show_result
from openpoint.cli.grid import Asked, read_sound, show_written, size
from openpoint.cli.guard import NOT_WRITTEN
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.grid import Grid
    from openpoint.grid.pv_generators import Held
    from openpoint.network.limits import Limits
    from openpoint.scenarios.futures import Futures
    from openpoint.scenarios.growth import Growth
    from openpoint.studies.reconfigure.study import Method

SEED = 1


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The futures to plan for and to judge by, as options say it.

    Attributes:
        table: file of futures. grow: number of futures to draw; seed, growth, assume: how.
        risk, ambiguity, limits_share: how they count. sample: a number to draw, or a file.
    """

    table: Path | None
    grow: int | None
    seed: int | None
    growth: str | None
    assume: tuple[str, ...]
    risk: str | None
    ambiguity: str | None
    limits_share: float | None
    sample: str | None

    @property
    def any(self) -> bool:
        """Whether there are futures to plan for."""
        return self.table is not None or self.grow is not None

    def check(self) -> Wanted:
        """These options, if they go together.

        Raises:
            OptionError: two ways to name futures, or options of one that is not there.
        """
        if self.table is not None and self.grow is not None:
            raise OptionError("--futures and --grow both say what the futures are; leave one out")
        drawn = {"--seed": self.seed, "--growth": self.growth, "--assume": self.assume or None}
        if self.grow is None and (named := [option for option, value in drawn.items() if value is not None]):
            raise OptionError(f"{named[0]} is an option of --grow, the number of futures to draw; give that too")
        if self.grow is None and self.sample is not None and self.sample.isdigit():
            raise OptionError("--sample N draws futures as --grow does; with --futures name a table of other futures")
        counted = {
            "--risk": self.risk,
            "--ambiguity": self.ambiguity,
            "--limits-share": self.limits_share,
            "--sample": self.sample,
        }
        if not self.any and (named := [option for option, value in counted.items() if value is not None]):
            raise OptionError(f"{named[0]} is for many futures; give them by --futures TABLE or --grow N")
        return self

    def futures(self, grid: Grid) -> tuple[Futures, Futures | None]:
        """Those to plan for and those to judge by."""
        from openpoint.scenarios.futures import read_futures
        from openpoint.scenarios.growth import grow

        if self.table is not None:
            planned = read_futures(self.table, grid)
        else:
            planned = grow(grid, count=self.grow or 1, seed=self._seed, growth=self._growth())
        if self.sample is None:
            return planned, None
        if self.sample.isdigit():
            # Another seed, or the sample would hold the very futures planned for.
            return planned, grow(grid, count=int(self.sample), seed=self._seed + 1, growth=self._growth())
        return planned, read_futures(self.sample, grid)

    @property
    def _seed(self) -> int:
        return SEED if self.seed is None else self.seed

    def _growth(self) -> Growth:
        from openpoint.studies.reconfigure.futures.words import read_growth

        return read_growth(self.growth or "moderate", self.assume)


def reconfigure(
    source: str,
    wanted: Wanted,
    method: Method | None,
    limits: Limits,
    *,
    locked_open: tuple[str, ...],
    locked_closed: tuple[str, ...],
    switchable: tuple[str, ...],
    held: Held,
    max_changes: int | None,
    change_cost_kw: float,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid and its futures, find one topology for all, show and write the result; the exit code."""
    from openpoint.scenarios.ambiguity import read_futures_ambiguity
    from openpoint.studies.reconfigure import study
    from openpoint.studies.reconfigure.futures.words import read_risk

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    risk = None if wanted.risk is None else read_risk(wanted.risk)
    ambiguity = None if wanted.ambiguity is None else read_futures_ambiguity(wanted.ambiguity)
    grid = read_sound(source, Asked(switchable, locked_open, locked_closed, held))
    planned, sample = wanted.futures(grid)
    out.print(f"{words.safe(grid.name)}: {size(grid)}")
    others = "" if sample is None else f", judged also by {words.count(len(sample), 'other')}"
    out.print(f"futures: {len(planned)}{others}\nmethod: {method}\n")
    with Progress(out) as progress:
        result = study.reconfigure(
            grid,
            futures=planned,
            risk=risk,
            ambiguity=ambiguity,
            limits_share=1.0 if wanted.limits_share is None else wanted.limits_share,
            sample=sample,
            method=method,
            limits=limits,
            locked_open=locked_open,
            locked_closed=locked_closed,
            max_changes=max_changes,
            change_cost_kw=change_cost_kw,
            progress=progress,
        )
    written, good = outputs.write(result)
    show_result(out, result)
    show_written(out, written)
    return result.termination.exit_code if good else NOT_WRITTEN


def draw(
    source: str, file: Path, *, count: int, seed: int, growth: str, assume: tuple[str, ...], quiet: bool = False
) -> int:
    """Read the grid, draw futures, write their table and show what they are like; the exit code."""
    from openpoint.scenarios.futures import statistics, write_futures
    from openpoint.scenarios.growth import grow
    from openpoint.studies.reconfigure.futures.words import read_growth

    if file.suffix.lower() not in (".csv", ".parquet"):
        raise OptionError(f"-o {file}: futures are stored as .csv or .parquet; name such a file")
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
