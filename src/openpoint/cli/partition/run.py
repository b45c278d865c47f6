"""What the command `partition` does: read the grid, ask the study, show and write."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from openpoint.cli.display import Progress, console, write_and_show
from openpoint.cli.grid import read_sound, size
from openpoint.cli.guard import complain
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError
from openpoint.report.terminal import words
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from rich.console import Console

    from openpoint.cli.partition.options import OverTime, Question, Sampling
    from openpoint.grid import Grid
    from openpoint.studies.partition.levels import PreparedLevels
    from openpoint.studies.partition.options import Method, PartitionCosts, PartitionOptions
    from openpoint.studies.partition.result import PartitionLevels, PartitionResult
    from openpoint.twostage.log import Iteration

LEAST_S = 1e-3
"""Seconds that samples have in any case."""


def partition(
    source: str,
    question: Question,
    over: OverTime,
    costs: PartitionCosts,
    method: Method,
    *,
    sampling: Sampling,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid, find the plan or one for every level, show and write the result; the exit code."""
    from openpoint.studies.partition.options import PartitionOptions

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    levels = question.levels
    sampling.knock()
    if over.steps is not None and sampling.samples:
        raise OptionError("--samples are of the loads of one step; leave --steps or --samples out")
    if sampling.executor is not None and (over.steps is not None or not sampling.wanted):
        raise OptionError("--executor is where samples are evaluated, and there are none; leave it out")
    if over.steps is not None and len(levels) > 1:
        raise OptionError("several levels of uncertainty and --steps do not go together; give one level")
    options = PartitionOptions(
        uncertainty=levels[0] if len(levels) == 1 else 0.0,
        levels=levels if len(levels) > 1 else (),
        uncertain_loads=question.loads,
        most_deviating=question.most_deviating,
        max_grid_forming=question.max_grid_forming,
        ramp=question.ramp,
        max_actions=over.max_actions,
        keep_energised=over.keep_energised,
        costs=costs,
        method=method,
    )
    grid = read_sound(source)
    if over.steps is not None:
        return _steps(out, grid, over.steps, options, outputs)
    return (_levels if len(levels) > 1 else _plan)(out, grid, options, sampling, outputs)


def _plan(out: Console, grid: Grid, options: PartitionOptions, sampling: Sampling, outputs: Outputs) -> int:
    """One plan."""
    from openpoint.studies.partition.study import prepare

    prepared = prepare(grid, options)
    _show_question(out, grid, prepared.method)
    deadline = Deadline(prepared.method.time_limit_s)
    with Progress(out, unit="$") as progress:
        result = prepared.solve(progress)
    result = _sampled(out, result, sampling, deadline)
    return write_and_show(out, outputs, result, _exit_code(result))


def _show_question(out: Console, grid: Grid, method: Method) -> None:
    out.print(f"{words.safe(grid.name)}: {size(grid)}\nmethod: {words.method(method)}\n")


def _steps(out: Console, grid: Grid, steps: Path, options: PartitionOptions, outputs: Outputs) -> int:
    """The same over time."""
    from openpoint.scenarios.horizon import read_horizon
    from openpoint.studies.partition.steps.study import prepare_steps

    prepared = prepare_steps(grid, read_horizon(steps), options)
    _show_question(out, grid, prepared.method)
    with Progress(out, unit="$") as progress:
        result = prepared.solve(progress)
    return write_and_show(out, outputs, result, result.termination.exit_code)


def _levels(out: Console, grid: Grid, options: PartitionOptions, sampling: Sampling, outputs: Outputs) -> int:
    """The same for several levels."""
    from openpoint.studies.partition.levels import prepare_levels

    prepared = prepare_levels(grid, options)
    _show_question(out, grid, prepared.method)
    deadline = Deadline(prepared.method.time_limit_s)
    found = _solved(out, prepared)
    if missing := sorted(set(prepared.by_level) - set(found.by_level)):
        complain("interrupted", f"not computed: {', '.join(f'{level:g}' for level in missing)}")
    sampled = {level: _sampled(out, each, sampling, deadline) for level, each in found.by_level.items()}
    found = replace(found, by_level=sampled)
    return write_and_show(out, outputs, found, max(_exit_code(each) for each in found.results))


def _sampled(out: Console, result: PartitionResult, sampling: Sampling, deadline: Deadline) -> PartitionResult:
    """With what samples say, where there is a plan and they are wanted: a few also where the time is up."""
    from openpoint.studies.partition.samples import sample_partition

    if not sampling.wanted or result.plan is None or result.termination is Termination.INTERRUPTED:
        return result
    with out.status("samples: the plan for nominal loads …") as status:
        sampled = sample_partition(
            result,
            count=sampling.wanted,
            seed=sampling.seed,
            executor=sampling.where(),
            time_limit_s=None if math.isinf(left := deadline.left()) else max(left, LEAST_S),
            progress=lambda done, of: status.update(f"samples: {done} of {of} evaluated  (Ctrl-C keeps these)"),
        )
    assert sampled.samples is not None
    if (stopped := sampled.samples.stopped) is not None:
        text = f"{sampled.samples.judged} of {sampled.samples.asked} samples were evaluated"
        complain("time limit" if stopped is Termination.TIME else str(stopped), text)
    return sampled


def _exit_code(result: PartitionResult) -> int:
    """That of the plan, unless the time limit or Ctrl-C came while it was verified."""
    stopped = None if result.samples is None else result.samples.stopped
    return max(result.termination.exit_code, 0 if stopped is None else stopped.exit_code)


def _solved(out: Console, prepared: PreparedLevels) -> PartitionLevels:
    with Progress(out, unit="$") as progress:
        last: float | None = None

        def on_iteration(level: float, iteration: Iteration) -> None:
            nonlocal last
            if level != last:
                out.print(f"loads ± {100.0 * level:g} %")
                last = level
            progress(iteration)

        return prepared.solve(on_iteration)
