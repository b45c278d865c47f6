"""What the command `reconfigure` does: choose the method, read the grid, ask the study, show and write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.copy import Copy
from openpoint.cli.display import Progress, console, write_and_show
from openpoint.cli.grid import Asked, read_sound, size
from openpoint.cli.outputs import Outputs
from openpoint.cli.verify import show_proof_files
from openpoint.errors import OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.cli.reconfigure.options import PlanOptions
    from openpoint.results.switch_plan import SwitchPlan
    from openpoint.scenarios.reliability import Reliability
    from openpoint.studies.reconfigure.options import ReconfigureOptions
    from openpoint.studies.reconfigure.result import ReconfigureResult


def reconfigure(
    source: str,
    asked: Asked,
    options: ReconfigureOptions,
    plan: PlanOptions,
    *,
    outputs: Outputs,
    copy: Path | None,
    quiet: bool,
) -> int:
    """Read the grid, reconfigure it, show and write the result; `copy`: of the grid's file, with its states."""
    from openpoint.studies.reconfigure.study import prepare

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, asked)
    prepared = prepare(grid, asked.locked(options, grid))
    customers = plan.reliability(prepared.grid)
    out.print(f"{words.safe(prepared.grid.name)}: {size(prepared.grid)}\nmethod: {words.method(prepared.method)}\n")
    with Progress(out) as progress:
        result = prepared.solve(progress)
    if plan.any and result.has_answer:
        locked = [name for names in asked.locks(grid) for name in names]
        result = result.with_plan(_planned(result, locked, plan, customers))
    copied = Copy(source, copy)
    more = copied.writings(result)
    if plan.checklist is not None:
        more.append(("--checklist", plan.checklist, partial(_write_checklist, result)))
    code = write_and_show(out, outputs, result, result.termination.exit_code, more=more)
    copied.show(out)
    return show_proof_files(outputs, out, code)


def _planned(
    result: ReconfigureResult, locked: Sequence[str], plan: PlanOptions, customers: Reliability | None
) -> SwitchPlan:
    """The switch plan; what is locked for the answer is not operated on the way either."""
    from openpoint.studies.reconfigure.plan import plan_answer

    return plan_answer(
        result,
        parallel=plan.parallel_sources,
        remote_minutes=plan.remote_minutes,
        manual_minutes=plan.manual_minutes,
        keep=locked,
        reliability=customers,
    )


def _write_checklist(result: ReconfigureResult, path: Path) -> None:
    """Write the checklist.

    Raises:
        OptionError: there is no answer, another ending, or a path that cannot be written.
    """
    from openpoint.report.switch_plan import write_checklist

    if result.plan is None:
        raise OptionError("there is no answer")
    write_checklist(result.grid, result.plan, path)
