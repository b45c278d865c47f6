"""What the command `reconfigure` does: choose the method, read the grid, ask the study, show and write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.display import Progress, console, show_result
from openpoint.cli.grid import Asked, read_sound, show_written, size
from openpoint.cli.guard import NOT_WRITTEN
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError
from openpoint.report.terminal import words

if TYPE_CHECKING:
    from openpoint.grid.pv_generators import Held
    from openpoint.network.limits import Limits
    from openpoint.studies.reconfigure.study import Method

GAP = 1e-4
"""Relative gap that is proven unless another is asked for; topology search has its own."""


def choose_method(
    name: str | None,
    *,
    gap: float | None,
    time_limit_s: float | None,
    solver: str | None = None,
    max_iterations: int | None = None,
    plain: bool = False,
    executor: str | None = None,
) -> Method | None:
    """The method of that name with its options; None where the grid and the question choose it.

    Raises:
        OptionError: an option that this method does not have.
    """
    from openpoint.studies.reconfigure.study import BranchExchange, Enumeration, TopologySearch
    from openpoint.twostage.methods.benders import Benders
    from openpoint.twostage.methods.extensive import ExtensiveForm
    from openpoint.twostage.workers.executors import executor_from

    for_benders = plain or max_iterations is not None or executor is not None
    if solver is not None and name != "extensive":
        raise OptionError(f"--solver is an option of --method extensive, not of {name or 'the default method'}")
    if name is None and not for_benders:
        return None
    if name not in (None, "benders") and for_benders:
        raise OptionError(f"--plain, --max-iterations and --executor are options of --method benders, not of {name}")
    if name == "search":
        search = TopologySearch(time_limit_s=time_limit_s)
        return search if gap is None else replace(search, gap=gap)
    if name == "exchange":
        if gap is not None:
            raise OptionError("--gap is no option of --method exchange, which proves nothing; leave one out")
        return BranchExchange(time_limit_s=time_limit_s)
    gap = GAP if gap is None else gap
    if name == "extensive":
        return ExtensiveForm(solver=solver or "scip", gap=gap, time_limit_s=time_limit_s)
    if name == "enumeration":
        return Enumeration(time_limit_s=time_limit_s)
    benders = Benders(gap=gap, time_limit_s=time_limit_s, relaxation=not plain, executor=executor_from(executor))
    return benders if max_iterations is None else replace(benders, max_iterations=max_iterations)


def kept(method: Method | None, file: Path | None) -> Method | None:
    """The method with a checkpoint.

    Raises:
        OptionError: this method has none.
    """
    from openpoint.studies.reconfigure.study import TopologySearch

    if file is None:
        return method
    if not isinstance(method, TopologySearch):
        raise OptionError("--checkpoint is an option of --method search for the demand of today; leave one out")
    return replace(method, checkpoint=file)


def tell_checkpoint(file: Path, *, to_stderr: bool, quiet: bool) -> None:
    """Say that the search can go on."""
    out = console(to_stderr=to_stderr, quiet=quiet)
    out.print(f"checkpoint: {words.safe(str(file))}; the same command goes on from it")


def reconfigure(
    source: str,
    method: Method | None,
    limits: Limits,
    *,
    gap: float | None,
    time_limit_s: float | None,
    locked_open: tuple[str, ...],
    locked_closed: tuple[str, ...],
    switchable: tuple[str, ...],
    held: Held,
    max_changes: int | None,
    change_cost_kw: float,
    soft_limits: bool,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid, reconfigure it, show and write the result."""
    from openpoint.studies.reconfigure import study

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source, Asked(switchable, locked_open, locked_closed, held))
    method = method or study.method_for(
        grid,
        limits=limits,
        gap=gap,
        time_limit_s=time_limit_s,
        locked_open=locked_open,
        locked_closed=locked_closed,
    )
    out.print(f"{words.safe(grid.name)}: {size(grid)}\nmethod: {method}\n")
    with Progress(out) as progress:
        result = study.reconfigure(
            grid,
            method=method,
            limits=limits,
            locked_open=locked_open,
            locked_closed=locked_closed,
            max_changes=max_changes,
            change_cost_kw=change_cost_kw,
            soft_limits=soft_limits,
            progress=progress,
        )
    written, good = outputs.write(result)
    show_result(out, result)
    show_written(out, written)
    return result.termination.exit_code if good else NOT_WRITTEN
