"""What the command `partition` does: read the grid, ask the study, show and write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import typer
from rich.console import Console
from rich.text import Text

from openpoint.cli import words
from openpoint.cli.display import Progress, console, show_rows, show_stop
from openpoint.cli.guard import NOT_WRITTEN, complain
from openpoint.cli.outputs import STDOUT, Outputs
from openpoint.cli.run import read_sound, show_written, size

if TYPE_CHECKING:
    from openpoint.studies.partition import Method
    from openpoint.studies.partition_result import PartitionResult
    from openpoint.studies.partition_setup import PartitionCosts


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is uncertain, and what generators may do; see `openpoint.studies.partition.partition`."""

    uncertainty: float
    uncertain_loads: Literal["all"] | int | Sequence[str]
    most_deviating: int | None
    max_grid_forming: int
    ramp: float


def choose_method(name: str, *, gap: float, time_limit_s: float | None) -> Method:
    """The method of that name."""
    from openpoint.twostage.benders import Benders
    from openpoint.twostage.ccg import ColumnAndConstraint
    from openpoint.twostage.extensive import ExtensiveForm

    if name == "extensive":
        return ExtensiveForm(solver="highs", gap=gap, time_limit_s=time_limit_s)
    if name == "benders":
        return Benders(relaxation=False, gap=gap, time_limit_s=time_limit_s)
    return ColumnAndConstraint(gap=gap, time_limit_s=time_limit_s)


def partition(
    source: str, question: Question, costs: PartitionCosts, method: Method, *, outputs: Outputs, quiet: bool
) -> int:
    """Read the grid, find the plan, show and write the result; the exit code."""
    from openpoint.studies import partition as study

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\nmethod: {method}\n")
    with Progress(out, unit="$") as progress:
        result = study.partition(
            grid,
            uncertainty=question.uncertainty,
            uncertain_loads=question.uncertain_loads,
            most_deviating=question.most_deviating,
            max_grid_forming=question.max_grid_forming,
            ramp=question.ramp,
            costs=costs,
            method=method,
            progress=progress,
        )
    for note in result.notes:
        complain("warning", note)
    written, good = _write(result, outputs.json)
    _show(out, result)
    show_written(out, written)
    return result.termination.exit_code if good else NOT_WRITTEN


def _write(result: PartitionResult, path: Path | None) -> tuple[list[Path], bool]:
    from openpoint.studies.partition_export import partition_json

    if path is None:
        return [], True
    text = partition_json(result)
    if path == STDOUT:
        typer.echo(text.encode("utf-8"), nl=False)
        return [], True
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        complain("error", f"--json {path} was not written: {error}")
        return [], False
    return [path], True


def _show(out: Console, result: PartitionResult) -> None:
    """Why the run stopped, what is served and what to switch."""
    show_stop(out, result.termination, result.seconds)
    bound = f"bound {words.usd(result.lower_bound_usd)}"
    if result.cost_usd is None:
        out.print(Text(f"No plan was found ({bound})."))
        return
    share = f"{100.0 * result.served_kw / result.total_kw:.1f} %" if result.total_kw else "-"
    moved = (
        f"{len(result.uncertain_loads)} loads ± {100.0 * result.uncertainty:g} %" if result.uncertain_loads else "no"
    )
    out.print(Text(f"\nServes {words.kw(result.served_kw)} of {words.kw(result.total_kw)} kW ({share})", "bold"))
    rows = [
        ("uncertain", moved),
        ("cost at worst", words.usd(result.cost_usd)),
        ("dead blocks", words.usd(result.lost_usd)),
        ("set-points", words.usd(result.generation_usd)),
        ("following the loads, at worst", words.usd(result.worst_recourse_usd)),
        ("worst slack kW", words.kw(result.worst_slack_kw)),
    ]
    show_rows(out, rows)
    out.print(Text(f"Gap: {words.percent(result.gap)} % ({bound})\n"))
    head = ("island", "forms the grid", "load kW", "capacity kW", "blocks (first bus)")
    islands = [
        (
            str(row["island"]),
            words.safe(row["grid_forming"]),
            words.kw(row["load_kw"]),
            words.kw(row["capacity_kw"]),
            words.safe(row["blocks"]),
        )
        for row in result.islands.iter_rows(named=True)
    ]
    show_rows(out, [head, *islands], (2, 3), head=True)
    dead = result.blocks.filter(energised=False)
    out.print(Text(f"\nDead blocks: {words.names(dead['name'])}"))
    out.print(Text(f"Close: {words.names(result.closed_switches)}", "bold"))
    out.print(Text(f"Open: {words.names(result.open_switches)}", "bold"))
    out.print()
    units = [("generator", "island", "p kW", "q kvar", "most kW")]
    for row in result.generators.iter_rows(named=True):
        if not row["island"]:
            continue
        figures = (words.kw(row["p_kw"]), words.kw(row["q_kvar"]), words.kw(row["p_max_kw"]))
        units.append((words.safe(row["name"]), str(row["island"]), *figures))
    show_rows(out, units, range(1, 5), head=True)
