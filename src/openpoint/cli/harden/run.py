"""What the command `harden` does: read the grid and what may break, ask the study, show and write."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from openpoint.cli.display import Progress, console, show_result
from openpoint.cli.grid import read_sound, show_written, size
from openpoint.cli.guard import NOT_WRITTEN
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.grid import Grid
    from openpoint.network.limits import Limits
    from openpoint.scenarios.disasters import Disasters
    from openpoint.studies.harden.options import HardenCosts
    from openpoint.studies.harden.study import Method


@dataclass(frozen=True, kw_only=True)
class Threats:
    """What may break, as options say it: a table, storms to be drawn, or any so many lines.

    Attributes:
        table: file of disasters. storms, seed, mean_broken: number of storms to draw, and how.
        any_lines: number of lines that an attack breaks.
        ambiguity: how far the probabilities may be wrong, such as `tv:0.2`.
    """

    table: Path | None
    storms: int | None
    seed: int | None
    mean_broken: float | None
    any_lines: int | None
    ambiguity: str | None

    def check(self) -> Threats:
        """These threats, if they go together.

        Raises:
            OptionError: none of them, several, or options of one that is not there.
        """
        given = {"--disasters": self.table, "--storms": self.storms, "--any-lines": self.any_lines}
        named = [option for option, value in given.items() if value is not None]
        if len(named) != 1:
            here = " and ".join(named) or "none of them"
            raise OptionError(f"say what may break by one of --disasters, --storms and --any-lines; here is {here}")
        if self.storms is None and (self.seed is not None or self.mean_broken is not None):
            raise OptionError(f"--seed and --mean-broken are options of --storms, not of {named[0]}")
        if self.any_lines is not None and self.ambiguity is not None:
            raise OptionError("--any-lines has no probabilities that could be ambiguous; leave --ambiguity out")
        return self

    def disasters(self, grid: Grid) -> Disasters | None:
        """The disasters of the grid; None where any lines may break."""
        if self.table is not None:
            from openpoint.scenarios.disasters import read_disasters

            return read_disasters(self.table, grid)
        if self.storms is not None:
            from openpoint.scenarios.storms import storms

            mean = 3.0 if self.mean_broken is None else self.mean_broken
            return storms(grid, count=self.storms, seed=self.seed or 0, mean_broken=mean)
        return None


@dataclass(frozen=True, kw_only=True)
class Means:
    """What may be bought."""

    max_lines: int | None
    max_generators: int | None
    budget_usd: float | None


def choose_method(
    name: str,
    *,
    solver: str | None,
    gap: float,
    time_limit_s: float | None,
    max_iterations: int | None,
    executor: str | None = None,
) -> Method:
    """The method of that name with its options.

    Raises:
        OptionError: an option that this method does not have.
    """
    from openpoint.twostage.methods.ccg import ColumnAndConstraint
    from openpoint.twostage.methods.extensive import ExtensiveForm
    from openpoint.twostage.workers.executors import executor_from

    if name == "extensive":
        if max_iterations is not None or executor is not None:
            raise OptionError("--max-iterations and --executor are options of --method ccg, not of extensive")
        return ExtensiveForm(solver=solver or "highs", gap=gap, time_limit_s=time_limit_s)
    if solver is not None:
        raise OptionError(f"--solver is an option of --method extensive, not of {name}")
    chosen = ColumnAndConstraint(gap=gap, time_limit_s=time_limit_s, executor=executor_from(executor))
    return chosen if max_iterations is None else replace(chosen, max_iterations=max_iterations)


def harden(
    source: str,
    threats: Threats,
    means: Means,
    costs: HardenCosts,
    method: Method,
    limits: Limits,
    *,
    value_of_information: bool | None,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid, find the plan, show and write the result; the exit code."""
    from openpoint.scenarios.ambiguity import read_disasters_ambiguity
    from openpoint.studies.harden import study

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    ambiguity = None if threats.ambiguity is None else read_disasters_ambiguity(threats.ambiguity)
    grid = read_sound(source)
    disasters = threats.disasters(grid)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\nmethod: {method}\n")
    with Progress(out, unit="$") as progress:
        result = study.harden(
            grid,
            disasters=disasters,
            any_lines=threats.any_lines,
            max_lines=means.max_lines,
            max_generators=means.max_generators,
            budget_usd=means.budget_usd,
            costs=costs,
            ambiguity=ambiguity,
            limits=limits,
            method=method,
            value_of_information=value_of_information,
            progress=progress,
        )
    written, good = outputs.write(result)
    show_result(out, result)
    if result.cost_usd is not None:
        more = "; --report FILE.html draws every disaster" if outputs.report is None else ""
        out.print(Text(f"\nWhat to switch after each disaster: --json or --csv, table branches{more}.", "dim"))
    show_written(out, written)
    return result.termination.exit_code if good else NOT_WRITTEN
