"""Verification of a partition by samples of the loads, in the linear model and in exact AC power flow."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import reduce

import numpy as np
import polars as pl

from openpoint.arguments import of_kind
from openpoint.arrays import Floats
from openpoint.errors import OptionError
from openpoint.results.columns import dtypes
from openpoint.studies.partition.ac import (
    Broken,
    EvaluatePlan,
    PartitionSamples,
    PlanLimit,
    PlanSamples,
    SampleEvaluations,
    Share,
)
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.model.step import block_loads_kw
from openpoint.studies.partition.options import PartitionOptions
from openpoint.studies.partition.result import PartitionResult
from openpoint.studies.partition.schema import FAILURES
from openpoint.studies.partition.setup import cut_network, program_of
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import CUT_SHORT, Iteration, Progress, Termination, check_stops
from openpoint.twostage.methods.decomposition import ColumnAndConstraint
from openpoint.twostage.uncertainty import Certain, draw
from openpoint.twostage.workers.executors import Choice, InProcess, Lasting, executor_from
from openpoint.twostage.workers.pool import Workers, never

BATCH = 100
"""Samples that are evaluated in one go, from a fresh start."""
WAVE = 16
"""Batches after which progress is called."""
FEW = 20
"""Samples that are evaluated also where the time is up."""

LEAST_S = 1e-3
"""Seconds that samples have in any case."""

SampleProgress = Callable[[int, int], None]
"""Called with how many of how many samples are evaluated."""


def sample_partition(
    result: PartitionResult,
    *,
    count: int = 10_000,
    seed: int = 0,
    nominal: bool = True,
    executor: Choice | None = None,
    time_limit_s: float | None = None,
    progress: SampleProgress | None = None,
) -> PartitionResult:
    """Draw loads from the uncertainty set of a plan and check whether it holds, in the linear model and in exact AC.

    Loads are uniform in the set, a box or a budget set (`openpoint.twostage.uncertainty`). For each sample the
    generators follow within their ramps by the cheapest recourse of the linear model, and the dispatch is put into
    OpenDSS (`openpoint.studies.partition.ac`), every island a circuit in which the grid-forming generator holds
    the voltage. Checked are voltages and ratings, and limits and ramps of the grid-forming generators in each phase.
    These make up for what the linear model does not see. Where that is too much for them, the others take their part of
    it: the difference is measured, the recourse asked again, up to `openpoint.studies.partition.ac.ROUNDS`
    flows.

    The plan made for nominal loads is evaluated in the same samples, to see what robustness bought.

    Args:
        result: of `partition`.
        count: samples; of a plan for certain loads there is only one.
        seed: of the samples; the same seed gives the same answer.
        nominal: whether to find and evaluate the plan for nominal loads, too.
        executor: where samples are evaluated: in this process (default), `Processes(n)` or `Cluster(address)`.
        time_limit_s: seconds after which to stop; a few samples are evaluated in any case. None = none.
        progress: called after some samples.

    Returns:
        the result with `samples`; after the time limit or Ctrl-C of what was evaluated by then.

    Raises:
        OptionError: no samples are asked for, or there is no plan.
    """
    of_kind(result, PartitionResult, "the result", "what `partition` answers")
    if count < 1:
        raise OptionError(f"{count} samples; give 1 or more")
    if seed < 0:
        raise OptionError(f"the seed is {seed}; give 0 or more")
    if result.decision is None:
        raise OptionError("there is no plan to be evaluated; give `partition` more time")
    check_stops(0.0, time_limit_s)
    plan = model_of(result)
    realisations = draw(plan.program.uncertainty, count, seed)
    with (executor or InProcess()).open() as opened, deadline_of(time_limit_s) as deadline:
        workers = Lasting(opened, deadline)
        plans = [plan, *(_nominal(plan, deadline) if nominal else [])]
        start, hurried = deadline.passed(), deadline.over()
        size, some = (FEW, realisations[:FEW]) if hurried else (BATCH, realisations)
        batches = [some[k : k + size] for k in range(0, len(some), size)]
        together = WAVE if time_limit_s is None or not isinstance(executor or InProcess(), InProcess) else 1
        evaluators = [_PlanEvaluator(result, each) for each in plans]
        for first in range(0, len(batches), together):
            stop = never if hurried else deadline.over if first else deadline.interrupted
            found = [evaluator.of(batches[first : first + together], workers, stop) for evaluator in evaluators]
            if first == 0 and deadline.why is Termination.WORKERS:
                found = _a_few_here(evaluators, realisations)
            if None in found:
                break
            for evaluator, each in zip(evaluators, found, strict=True):
                evaluator.found += each or []
            if progress is not None:
                progress(min((first + together) * BATCH, len(realisations)), len(realisations))
            if deadline.over():
                break
        seconds, why = deadline.passed() - start, deadline.why
    drawn = [evaluator.samples() for evaluator in evaluators]
    samples = PartitionSamples(
        asked=len(realisations),
        judged=drawn[0].linear.of,
        seed=seed,
        planned=drawn[0],
        nominal=drawn[1] if len(drawn) > 1 else None,
        seconds=seconds,
        stopped=why if drawn[0].linear.of < len(realisations) else None,
    )
    return replace(result, samples=samples)


def knock(executor: Choice | str | None) -> None:
    """Find out before a plan is made whether those who are to evaluate it are there.

    Raises:
        OptionError: they are not.
    """
    with _where(executor).open():
        pass


def _where(executor: Choice | str | None) -> Choice:
    return executor_from(executor) if isinstance(executor, str | None) else executor


def sampled(
    result: PartitionResult, options: PartitionOptions, deadline: Deadline, progress: Progress | None
) -> PartitionResult:
    """The result with what samples say, where there is a plan and they are asked for: a few also where time is up."""
    if not options.samples or result.decision is None or result.termination is Termination.INTERRUPTED:
        return result
    began, number = deadline.passed(), result.iterations.height
    upper = math.inf if result.cost_usd is None else result.cost_usd

    def report(done: int, of: int) -> None:
        if progress is not None:
            seconds, word = result.seconds + deadline.passed() - began, f"{done} of {of} samples evaluated"
            progress(Iteration(number, seconds, result.lower_bound_usd, upper, math.inf, word, interim=True))

    return sample_partition(
        result,
        count=options.samples,
        seed=options.seed,
        executor=_where(options.executor),
        time_limit_s=None if math.isinf(left := deadline.left()) else max(left, LEAST_S),
        progress=report,
    )


def _a_few_here(evaluators: list[_PlanEvaluator], realisations: Floats) -> list[list[SampleEvaluations] | None]:
    """What the first samples say, in this process, where the workers are lost before any."""
    with InProcess().open() as here:
        return [evaluator.of([realisations[:FEW]], here, never) for evaluator in evaluators]


@dataclass(frozen=True)
class Plan:
    """A plan in its mathematical model."""

    program: PartitionProgram
    decision: Floats


def model_of(result: PartitionResult) -> Plan:
    """The plan of a result in its mathematical model, which is stated anew."""
    assert result.decision is not None
    stations, blocks = cut_network(result.grid, result.asked)
    program = program_of(result.grid, stations.opened, blocks, result.asked, whole=stations.whole)
    return Plan(program, result.decision)


def _nominal(plan: Plan, deadline: Deadline) -> list[Plan]:
    """The plan for nominal loads, if there is another and it is found in half of the time."""
    if not plan.program.loads.names or deadline.over():
        return []
    nothing = Certain(np.zeros(len(plan.program.loads.names)))
    part = deadline.within(0.5 * deadline.left())
    outcome = ColumnAndConstraint().solve(plan.program.with_uncertainty(nothing, plan.program.risk), None, part)
    stopped = outcome.termination in CUT_SHORT
    return [] if outcome.decision is None or stopped else [Plan(plan.program, outcome.decision)]


@dataclass
class _PlanEvaluator:
    """A plan and what is known of it so far."""

    result: PartitionResult
    plan: Plan
    found: list[SampleEvaluations] = field(default_factory=list)

    def __post_init__(self) -> None:
        program, decision = self.plan.program, self.plan.program.whole(self.plan.decision)
        self._live = program.parted(decision)[1] > 0.5
        self._work = EvaluatePlan(self.result.grid, program, decision)

    def of(self, wave: list[Floats], workers: Workers, stop: Callable[[], bool]) -> list[SampleEvaluations] | None:
        """Results of samples; None if stopped. Where everything is de-energised, no limit is broken."""
        if not self._live.any():
            return [SampleEvaluations.nothing(len(batch)) for batch in wave]
        return workers.run(self._work, wave, stop)

    def samples(self) -> PlanSamples:
        """The results of all samples together."""
        program, outcome = (
            self.plan.program,
            reduce(SampleEvaluations.and_more, self.found, SampleEvaluations.nothing(0)),
        )
        kw = block_loads_kw(self.result.grid, program.network, program.blocks)
        of = len(outcome.linear)
        return PlanSamples(
            served_kw=float(kw[self._live].sum()),
            energised_blocks=int(self._live.sum()),
            linear=Share(int(outcome.linear.sum()), of),
            ac=Share(int(outcome.shared.sum()), of),
            ac_alone=Share(int(outcome.alone.sum()), of),
            unsolved=outcome.unsolved,
            failures=_failures(outcome.limits, {True: outcome.broken_shared, False: outcome.broken_alone}),
            max_mismatch_pu=outcome.mismatch,
        )


def _failures(limits: tuple[PlanLimit, ...], broken: dict[bool, Broken]) -> pl.DataFrame:
    """Limits that break, the most frequent first."""
    rows = [
        (shared, limit.kind, limit.element, limit.phase, int(each.samples[k]), float(each.worst[k]), limit.unit)
        for shared, each in broken.items()
        for k, limit in enumerate(limits)
        if each.samples[k]
    ]
    columns = dtypes({name: column for name, column in FAILURES.items() if name != "plan"})
    table = pl.DataFrame(rows, schema=columns, orient="row")
    return table.sort("shared", "samples", "worst_excess", descending=True, maintain_order=True)
