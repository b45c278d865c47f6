"""One plan before many realisations: which it holds in, in the linear model and in exact AC power flow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
import scipy.stats

from openpoint.arrays import Bools, Floats, Ints
from openpoint.grid.grid import Grid
from openpoint.results.columns import empty, frame
from openpoint.studies.partition.ac.circuit import Follower, PlanCircuit, PlanLimit
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.schema import PARTITION
from openpoint.twostage.log import Termination
from openpoint.twostage.workers.pool import never

ROUNDS = 4
"""AC flows after which generators no longer follow what is left: each leaves a few per cent of it."""


@dataclass(frozen=True)
class Broken:
    """Limits that break in AC, L of them: in how many samples, and the largest excess."""

    samples: Ints
    worst: Floats

    @staticmethod
    def of(excess: Floats, tolerance: Floats) -> Broken:
        """Of samples (K, L) that have a flow."""
        found = excess > tolerance
        return Broken(found.sum(axis=0), np.where(found, excess, 0.0).max(axis=0, initial=0.0))

    def and_more(self, other: Broken) -> Broken:
        """Of both."""
        return Broken(self.samples + other.samples, np.maximum(self.worst, other.worst))


@dataclass(frozen=True)
class SampleEvaluations:
    """The evaluations of K samples of a plan.

    Attributes:
        linear: (K) whether generators can follow in the linear model.
        alone: (K) whether AC keeps the limits where the grid-forming generators make up for all that the linear model
            does not see. shared: (K) where the others help, as far as a new dispatch in the linear model lets them.
        unsolved: samples whose AC flow has no solution.
        broken_alone, broken_shared: limits that break in either case.
        mismatch: largest mismatch of the AC flows by the equations of the network, per unit.
        limits: L.
    """

    linear: Bools
    alone: Bools
    shared: Bools
    unsolved: int
    broken_alone: Broken
    broken_shared: Broken
    mismatch: float
    limits: tuple[PlanLimit, ...]

    @staticmethod
    def nothing(count: int) -> SampleEvaluations:
        """Of a plan without limits, in so many samples."""
        every, broken = np.ones(count, dtype=np.bool_), Broken(np.zeros(0, dtype=np.int64), np.zeros(0))
        return SampleEvaluations(every, every, every, 0, broken, broken, 0.0, ())

    def and_more(self, other: SampleEvaluations) -> SampleEvaluations:
        """Of both."""
        if not len(self.linear):
            return other
        return SampleEvaluations(
            linear=np.concatenate([self.linear, other.linear]),
            alone=np.concatenate([self.alone, other.alone]),
            shared=np.concatenate([self.shared, other.shared]),
            unsolved=self.unsolved + other.unsolved,
            broken_alone=self.broken_alone.and_more(other.broken_alone),
            broken_shared=self.broken_shared.and_more(other.broken_shared),
            mismatch=max(self.mismatch, other.mismatch),
            limits=self.limits,
        )


@dataclass(frozen=True)
class EvaluatePlan:
    """A plan as work for other processes: realisations (K, M) in, verdicts out.

    Attributes:
        grid: the grid. program: a program of one step. decision: of it, its integers whole; something is energised.
    """

    grid: Grid
    program: PartitionProgram
    decision: Floats

    def prepare(self, stop: Callable[[], bool] = never) -> Callable[[Floats], SampleEvaluations]:
        """Compile."""
        follower = Follower(self.program, self.decision)
        circuit = PlanCircuit(self.grid, self.program, self.decision)
        return lambda realisations: evaluate_plan(follower, circuit, realisations)


def evaluate_plan(follower: Follower, circuit: PlanCircuit, realisations: Floats) -> SampleEvaluations:
    """The verdict on samples (K, M); it depends on nothing that was asked before."""
    follower.restart()
    circuit.restart()
    count, tolerance = len(realisations), np.array([limit.tolerance for limit in circuit.limits])
    linear, alone, shared = (np.zeros(count, dtype=np.bool_) for _ in range(3))
    excess: tuple[Floats, Floats] = tuple(np.full((count, len(tolerance)), -np.inf) for _ in range(2))  # type: ignore[assignment]
    beside, left, mismatch = np.zeros((count, 2 * len(follower.led))), np.arange(count), 0.0
    for number in range(ROUNDS):
        changes = [follower.changes(realisations[k], beside[k]) for k in left]
        able = np.array([change is not None for change in changes], dtype=np.bool_)
        left = left[able]
        if not len(left):
            break
        flows = circuit.flows(realisations[left], np.array([change for change in changes if change is not None]))
        kept = np.all(flows.excess <= tolerance, axis=1)
        if number == 0:
            linear[left], alone[left], excess[0][left] = True, kept, flows.excess
        shared[left], excess[1][left], beside[left] = kept, flows.excess, flows.beside
        mismatch = max(mismatch, float(np.nanmax(flows.mismatch, initial=0.0)))
        left = left[~kept & flows.converged]
    unsolved = np.isposinf(excess[1]).any(axis=1)
    alone_broken, shared_broken = (Broken.of(each[~np.isposinf(each).any(axis=1)], tolerance) for each in excess)
    return SampleEvaluations(
        linear, alone, shared, int(unsolved.sum()), alone_broken, shared_broken, mismatch, circuit.limits
    )


CONFIDENCE = 0.95
"""Of the intervals of shares."""


@dataclass(frozen=True)
class Share:
    """A part of the samples.

    Attributes:
        count: samples of it. of: all.
    """

    count: int
    of: int

    @property
    def share(self) -> float:
        """Between 0 and 1; 0 of none."""
        return self.count / self.of if self.of else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        """Ends of the exact 95 % confidence interval (Clopper and Pearson, Biometrika 26, 1934)."""
        if not self.of:
            return 0.0, 1.0
        ends = scipy.stats.binomtest(self.count, self.of).proportion_ci(CONFIDENCE, "exact")
        return float(ends.low), float(ends.high)


@dataclass(frozen=True)
class PlanSamples:
    """The results of samples for one plan.

    Attributes:
        served_kw: nominal load of the energised blocks. energised_blocks: their number.
        linear: samples in which generators can follow the loads in the linear model.
        ac: samples in which exact AC power flow keeps all limits; what the linear model does not see, such as losses,
            is shared by all generators as the linear model lets them.
        ac_alone: the same where the grid-forming generators make up for it alone.
        unsolved: samples whose AC power flow has no solution.
        failures: limits that break in AC: shared (whether all generators help), kind, element, phase, samples,
            worst_excess, unit; the most frequent first.
        max_mismatch_pu: largest mismatch of all AC flows by the equations of the network, per unit of the grid's base
            of power for a phase.
    """

    served_kw: float
    energised_blocks: int
    linear: Share
    ac: Share
    ac_alone: Share
    unsolved: int
    failures: pl.DataFrame
    max_mismatch_pu: float

    @property
    def commonest(self) -> str:
        """The limit that breaks most often where all generators help, or else where they do not, for people."""
        for shared in (True, False):
            if self.failures.filter(shared=shared).height:
                row = self.failures.filter(shared=shared).row(0, named=True)
                return (
                    f"{row['kind']} at {row['element']}, phase {row['phase']}: {row['samples']} times, "
                    f"by {row['worst_excess']:.3g} {row['unit']} at most"
                )
        return f"no solution in {self.unsolved} samples" if self.unsolved else "none"


@dataclass(frozen=True)
class PartitionSamples:
    """What `sample_partition` answers.

    Attributes:
        asked, judged: samples asked for, and those that were evaluated before the time limit or Ctrl-C, if one came.
        seed: of the samples.
        robust: of the plan asked about. deterministic: of the plan made for nominal loads, in the same samples; None
            where it was not wanted or not found.
        seconds: of evaluation.
        stopped: why not all were evaluated; None where they were.
    """

    asked: int
    judged: int
    seed: int
    robust: PlanSamples
    deterministic: PlanSamples | None
    seconds: float
    stopped: Termination | None = None

    @property
    def interrupted(self) -> bool:
        """Whether the time limit or Ctrl-C came before all samples were evaluated."""
        return self.judged < self.asked

    @property
    def by_plan(self) -> dict[str, PlanSamples]:
        """What is known by plan, `robust` and `deterministic`."""
        return {"robust": self.robust} | ({} if self.deterministic is None else {"deterministic": self.deterministic})


def samples_table(samples: PartitionSamples | None) -> pl.DataFrame:
    """A row a plan: plan, seed, asked, judged, served_kw, energised_blocks, linear_share, linear_low, linear_high,
    ac_share, ac_low, ac_high, ac_alone_share, ac_alone_low, ac_alone_high, unsolved, max_mismatch_pu."""
    rows = []
    for name, each in samples.by_plan.items() if samples else ():
        assert samples is not None
        judged = [x for share in (each.linear, each.ac, each.ac_alone) for x in (share.share, *share.interval)]
        drawn = samples.seed, samples.asked, samples.judged
        rows.append((name, *drawn, each.served_kw, each.energised_blocks, *judged, each.unsolved, each.max_mismatch_pu))
    return frame(PARTITION.tables["samples"], rows)


def failures_table(samples: PartitionSamples | None) -> pl.DataFrame:
    """The limits that break in AC, see `PlanSamples.failures`, with the plan in front."""
    frames = [
        each.failures.select(pl.lit(name).alias("plan"), pl.all())
        for name, each in (samples.by_plan if samples else {}).items()
    ]
    return pl.concat(frames) if frames else empty(PARTITION.tables["failures"])
