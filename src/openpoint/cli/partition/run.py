"""What the command `partition` does: read the grid, ask the study, show and write."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from openpoint.cli.display import Progress, console, show_result
from openpoint.cli.grid import read_sound, show_written, size
from openpoint.cli.guard import NOT_WRITTEN, complain
from openpoint.cli.outputs import Outputs
from openpoint.errors import OptionError
from openpoint.report.terminal import words
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from rich.console import Console

    from openpoint.grid import Grid
    from openpoint.studies.partition.levels import PartitionOptions
    from openpoint.studies.partition.options import PartitionCosts
    from openpoint.studies.partition.result import PartitionLevels, PartitionResult
    from openpoint.studies.partition.study import Method
    from openpoint.twostage.log import Iteration
    from openpoint.twostage.workers.executors import Choice


@dataclass(frozen=True, kw_only=True)
class Question:
    """What is uncertain, and what generators may do; see `openpoint.studies.partition.study.partition`."""

    levels: tuple[float, ...]
    uncertain_loads: Literal["all"] | int | Sequence[str]
    most_deviating: int | None
    max_grid_forming: int
    ramp: float
    over: OverTime | None = None


@dataclass(frozen=True, kw_only=True)
class OverTime:
    """Steps, and what links them; see `openpoint.studies.partition.steps.study.partition_steps`."""

    steps: Path
    max_actions: int | None
    keep_energised: bool


def over_time(steps: Path | None, *, max_actions: int | None, keep_energised: bool) -> OverTime | None:
    """The steps asked about; None where there are none.

    Raises:
        OptionError: options that need steps, without any.
    """
    if steps is not None:
        return OverTime(steps=steps, max_actions=max_actions, keep_energised=keep_energised)
    if max_actions is not None or keep_energised:
        raise OptionError("--max-actions and --keep-energised are about several steps; give them by --steps")
    return None


LEAST_S = 1e-3
"""Seconds that samples have in any case."""
SAMPLES = 1000
"""Samples where the user names no number: a second or two."""


@dataclass(frozen=True)
class Sampling:
    """Loads to be drawn at random, 0 or more, and where they are judged."""

    count: int | None
    seed: int
    executor: Choice

    @property
    def wanted(self) -> int:
        """The number, which has a default."""
        return SAMPLES if self.count is None else self.count


def choose_method(name: str, *, gap: float, time_limit_s: float | None) -> Method:
    """The method of that name."""
    from openpoint.twostage.methods.benders import Benders
    from openpoint.twostage.methods.ccg import ColumnAndConstraint
    from openpoint.twostage.methods.extensive import ExtensiveForm

    if name == "extensive":
        return ExtensiveForm(solver="highs", gap=gap, time_limit_s=time_limit_s)
    if name == "benders":
        return Benders(relaxation=False, gap=gap, time_limit_s=time_limit_s)
    return ColumnAndConstraint(gap=gap, time_limit_s=time_limit_s)


def partition(
    source: str,
    question: Question,
    costs: PartitionCosts,
    method: Method,
    *,
    sampling: Sampling,
    outputs: Outputs,
    quiet: bool,
) -> int:
    """Read the grid, find the plan or one for every level, show and write the result; the exit code."""
    from openpoint.studies.partition import study

    out = console(to_stderr=outputs.json_to_stdout, quiet=quiet)
    grid = read_sound(source)
    out.print(f"{words.safe(grid.name)}: {size(grid)}\nmethod: {method}\n")
    options: PartitionOptions = {
        "uncertain_loads": question.uncertain_loads,
        "most_deviating": question.most_deviating,
        "max_grid_forming": question.max_grid_forming,
        "ramp": question.ramp,
        "costs": costs,
        "method": method,
    }
    if question.over is not None:
        if sampling.count:
            raise OptionError("--samples are of the loads of one step; leave --steps or --samples out")
        return _steps(out, grid, question.levels, question.over, options, outputs)
    if len(question.levels) > 1:
        return _levels(out, grid, question.levels, options, sampling, outputs)
    deadline = Deadline(method.time_limit_s)
    with Progress(out, unit="$") as progress:
        result = study.partition(grid, uncertainty=question.levels[0], progress=progress, **options)
    result = _sampled(out, result, sampling, deadline)
    written, good = outputs.write(result)
    show_result(out, result)
    show_written(out, written)
    return _exit_code(result) if good else NOT_WRITTEN


def _steps(
    out: Console,
    grid: Grid,
    levels: tuple[float, ...],
    over: OverTime,
    options: PartitionOptions,
    outputs: Outputs,
) -> int:
    """The same over time."""
    from openpoint.scenarios.horizon import read_horizon
    from openpoint.studies.partition.steps.study import partition_steps

    if len(levels) > 1:
        raise OptionError("several levels of uncertainty and --steps do not go together; give one level")
    horizon = read_horizon(over.steps)
    with Progress(out, unit="$") as progress:
        result = partition_steps(
            grid,
            horizon,
            max_actions=over.max_actions,
            keep_energised=over.keep_energised,
            uncertainty=levels[0],
            progress=progress,
            **options,
        )
    written, good = outputs.write(result)
    show_result(out, result)
    show_written(out, written)
    return result.termination.exit_code if good else NOT_WRITTEN


def _levels(
    out: Console,
    grid: Grid,
    levels: tuple[float, ...],
    options: PartitionOptions,
    sampling: Sampling,
    outputs: Outputs,
) -> int:
    """The same for several levels."""
    method = options["method"]
    assert method is not None
    deadline = Deadline(method.time_limit_s)
    found = _solved(out, grid, levels, options)
    if missing := sorted(set(levels) - set(found.by_level)):
        complain("interrupted", f"not computed: {', '.join(f'{level:g}' for level in missing)}")
    sampled = {level: _sampled(out, each, sampling, deadline) for level, each in found.by_level.items()}
    found = replace(found, by_level=sampled)
    written, good = outputs.write(found)
    show_result(out, found)
    show_written(out, written)
    return max(_exit_code(each) for each in found.results) if good else NOT_WRITTEN


def _sampled(out: Console, result: PartitionResult, sampling: Sampling, deadline: Deadline) -> PartitionResult:
    """With what samples say, where there is a plan and they are wanted: a few also where the time is up."""
    from openpoint.studies.partition.samples import sample_partition

    if not sampling.wanted or result.plan is None or result.termination is Termination.INTERRUPTED:
        return result
    with out.status("samples: the plan for nominal loads …") as status:
        judged = sample_partition(
            result,
            count=sampling.wanted,
            seed=sampling.seed,
            executor=sampling.executor,
            time_limit_s=None if math.isinf(left := deadline.left()) else max(left, LEAST_S),
            progress=lambda done, of: status.update(f"samples: {done} of {of} judged  (Ctrl-C keeps these)"),
        )
    assert judged.samples is not None
    if (stopped := judged.samples.stopped) is not None:
        said = f"{judged.samples.judged} of {judged.samples.asked} samples were judged"
        complain("interrupted" if stopped is Termination.INTERRUPTED else "time limit", said)
    return judged


def _exit_code(result: PartitionResult) -> int:
    """That of the plan, unless the time limit or Ctrl-C came while it was verified."""
    stopped = None if result.samples is None else result.samples.stopped
    return max(result.termination.exit_code, 0 if stopped is None else stopped.exit_code)


def _solved(out: Console, grid: Grid, levels: tuple[float, ...], options: PartitionOptions) -> PartitionLevels:
    from openpoint.studies.partition.levels import partition_levels

    with Progress(out, unit="$") as progress:
        last: float | None = None

        def told(level: float, iteration: Iteration) -> None:
            nonlocal last
            if level != last:
                out.print(f"loads ± {100.0 * level:g} %")
                last = level
            progress(iteration)

        return partition_levels(grid, levels, progress=told, **options)
