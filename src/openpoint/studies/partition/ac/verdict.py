"""Results of samples of the loads for plans: shares with their confidence, and the limits that break."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl
import scipy.stats

from openpoint.results.columns import empty, frame
from openpoint.studies.partition.schema import PARTITION
from openpoint.twostage.log import Termination

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
