"""What the command `harden` does: read the grid and what may break, ask the study, show and write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openpoint.cli.display import Progress, console, write_and_show
from openpoint.cli.grid import read_sound, size
from openpoint.cli.outputs import Outputs
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.cli.harden.options import Means, Threats
    from openpoint.network.limits import Limits
    from openpoint.studies.harden.options import HardenCosts, Method


def harden(
    source: str,
    *,
    threats: Threats,
    means: Means,
    costs: HardenCosts,
    method: Method,
    limits: Limits,
    value_of_information: bool | None,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid, find the plan, show and write the result; the exit code."""
    from openpoint.scenarios.ambiguity import read_disasters_ambiguity
    from openpoint.studies.harden.options import HardenOptions
    from openpoint.studies.harden.study import prepare

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    ambiguity = None if threats.ambiguity is None else read_disasters_ambiguity(threats.ambiguity)
    grid = read_sound(source)
    options = HardenOptions(
        disasters=threats.of(grid),
        any_lines=threats.any_lines,
        max_lines=means.max_lines,
        max_generators=means.max_generators,
        budget_usd=means.budget,
        costs=costs,
        ambiguity=ambiguity,
        limits=limits,
        method=method,
        value_of_information=value_of_information,
    )
    prepared = prepare(grid, options)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\nmethod: {words.method(prepared.method)}\n")
    with Progress(out, unit="$") as progress:
        result = prepared.solve(progress)
    hint = ""
    if result.cost_usd is not None:
        more = "; --report FILE.html draws every disaster" if outputs.report is None else ""
        hint = f"What to switch after each disaster: --json or --csv, table branches{more}."
    return write_and_show(out, outputs, result, result.termination.exit_code, hint=hint)
