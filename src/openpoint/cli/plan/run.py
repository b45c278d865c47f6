"""What the command `plan` does: read the grid and the states, find the order, show and write it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from openpoint.cli.display import console, write_and_show
from openpoint.cli.grid import Asked, read_sound, size
from openpoint.cli.options import GridOptions
from openpoint.cli.outputs import Outputs
from openpoint.cli.plan.options import SwitchingOptions
from openpoint.report.terminal import words
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from openpoint.network.limits import Limits
    from openpoint.studies.plan.result import SwitchPlanResult


def plan(
    source: str,
    before: str | None,
    after: str,
    changed: GridOptions,
    limits: Limits,
    how: SwitchingOptions,
    keep: tuple[str, ...],
    time_limit_s: float,
    *,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid and the states, find the order, show and write the result; the exit code."""
    from openpoint.results.plan.build import PlanOptions
    from openpoint.studies.plan.study import planned

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, Asked(changed))
    out.print(f"{words.safe(grid.name)}: {size(grid)}\n")
    options = PlanOptions(
        parallel=how.parallel_sources,
        remote_minutes=how.remote_minutes,
        manual_minutes=how.manual_minutes,
        keep=keep,
        reliability=how.reliability(grid),
        time_limit_s=time_limit_s,
    )
    result = planned(grid, before, after, limits, options)
    checklist = [] if how.checklist is None else [("--checklist", how.checklist, result.write_checklist)]
    return write_and_show(out, outputs, result, _exit_code(result), more=checklist)


def _exit_code(result: SwitchPlanResult) -> int:
    """As of an optimisation: proven, nothing keeps the limits, or not proven."""
    plan = result.plan
    if not (plan.found and plan.keeps_limits):
        return Termination.INFEASIBLE.exit_code
    return Termination.OPTIMAL.exit_code if plan.proven else Termination.TIME.exit_code
