"""The result of partitioning: the plan, what it costs at worst, and the islands."""

from __future__ import annotations

from dataclasses import field
from pathlib import Path

import polars as pl

from openpoint.arrays import Floats
from openpoint.enclosure.claims import write_claim
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.results.base import Answer, Head, in_kw, switching_words
from openpoint.results.columns import empty
from openpoint.results.shape import figure, table
from openpoint.results.switched import with_output
from openpoint.studies.partition import schema as d
from openpoint.studies.partition.ac import PartitionSamples, failures_table, samples_table
from openpoint.studies.partition.certify import Certificate
from openpoint.studies.partition.options import PartitionOptions
from openpoint.twostage.log import PROVEN_GAP


class PlanResult(Answer):
    """A partition, at one moment or over time. Costs and bounds are those of the linear model (LinDist3Flow).

    Blocks are connected parts between switches, called after their first bus; island 0 is de-energised. Generators and
    costs are those of the set-points of the plan.
    """

    uncertainty: float = figure("largest deviation of an uncertain load, a share of its power")
    uncertain_loads: tuple[str, ...] = figure("the uncertain loads")
    cost_usd: float | None = figure(
        "de-energised blocks, set-points and following the loads at worst, $; null: no plan"
    )
    lost_usd: float | None = figure("of the de-energised blocks, $")
    generation_usd: float | None = figure("of the set-points, $")
    worst_recourse_usd: float | None = figure(
        "proven bound of what following the loads adds, $; below 0 where it saves"
    )
    lower_bound_usd: float = figure("proven bound of cost_usd, $", maybe=True)
    worst_slack_kw: float = figure(
        "least nodal slack (power that no source gives) in the worst realisation tried last, kW; 0 is none"
    )
    blocks: pl.DataFrame = table(d.BLOCKS)
    islands: pl.DataFrame = table(d.ISLANDS)
    generators: pl.DataFrame = table(d.GENERATORS)
    switches: pl.DataFrame = table(d.SWITCHES)
    iterations: pl.DataFrame = table(d.ITERATIONS)

    @property
    def head(self) -> Head:
        return self._head(self.cost_usd, self.lower_bound_usd, "$")

    def to_do(self) -> str:
        moved = [action for action in self.switches["switching"].to_list() if action]
        return "" if self.cost_usd is None else switching_words(moved)


class PartitionResult(
    PlanResult,
    study="partition",
    also=(
        *("seconds_to_best", "energised_count", "closed_count"),
        *("ac", "ac_as_planned", "ac_level", "ac_cost_usd", "ac_short_kw"),
    ),
    frames={
        "samples": d.SAMPLES,
        "failures": d.FAILURES,
        "limits": d.LIMITS,
        "set_points": d.SET_POINTS,
        "policy": d.POLICY,
        "counterexample": d.COUNTEREXAMPLE,
    },
):
    """The answer of `partition`; costs are for an hour.

    Attributes:
        asked: what was asked of the grid. decision: of its mathematical model; None where no plan was found.
        samples: what samples of the loads say of the plan, where they were asked (`sample_partition`).
        certificate: what is proved of it in exact AC power flow for every load of its set, where that was asked.
    """

    served_kw: float = figure("nominal load of the energised blocks, kW")
    total_kw: float = figure("nominal load of all blocks, kW")
    energised_blocks: tuple[str, ...] = figure("blocks with supply; a block is called after its first bus")
    closed_switches: tuple[str, ...] = figure("switchable branches that are closed")
    open_switches: tuple[str, ...] = figure("switchable branches that are open")
    grid_forming: tuple[str, ...] = figure("generators that form the grid of an island")
    asked: PartitionOptions
    decision: Floats | None = field(default=None, repr=False)
    samples: PartitionSamples | None = None
    certificate: Certificate | None = None

    @property
    def seconds_to_best(self) -> float | None:
        """Seconds after which the plan was known; None where there is none."""
        if self.cost_usd is None:
            return None
        known = self.iterations.filter(pl.col("upper_bound_usd") <= self.cost_usd + PROVEN_GAP * abs(self.cost_usd))
        return float(known["seconds"][0]) if known.height else self.seconds

    @property
    def energised_count(self) -> int:
        """Number of blocks with supply."""
        return len(self.energised_blocks)

    @property
    def closed_count(self) -> int:
        """Number of switchable branches that are closed."""
        return len(self.closed_switches)

    @property
    def exit_code(self) -> int:
        """That of the plan, unless the time limit or Ctrl-C came while it was verified."""
        stopped = None if self.samples is None else self.samples.stopped
        return max(self.termination.exit_code, 0 if stopped is None else stopped.exit_code)

    @property
    def ac(self) -> str | None:
        """`proved`, `disproved` or `open`: whether all limits hold in exact AC for every load of the set."""
        return None if self.certificate is None else self.certificate.verdict

    @property
    def ac_as_planned(self) -> str | None:
        """The same with the set-points of the linear model, and not with those of the certificate."""
        return None if self.certificate is None else self.certificate.as_planned

    @property
    def ac_level(self) -> float | None:
        """The largest deviation of a load up to which it is proved, a share of its power."""
        level = None if self.certificate is None else self.certificate.level
        return None if level is None else level * self.uncertainty

    @property
    def ac_cost_usd(self) -> float | None:
        """No load of the set costs more, de-energised blocks included."""
        cost = None if self.certificate is None else self.certificate.cost_usd
        return None if cost is None or self.lost_usd is None else cost + self.lost_usd

    @property
    def ac_short_kw(self) -> float | None:
        """By how much limits are missed, at least, at the load that disproves the set-points."""
        return None if self.certificate is None else self.certificate.short_kw

    def answer_facts(self) -> dict[str, str]:
        certified = {} if self.ac is None else {"exact AC": certified_words(self)}
        return certified | {
            "serves": f"{in_kw(self.served_kw)} of {in_kw(self.total_kw)}",
            "islands": str(self.islands.height),
        }

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        tables = {"samples": samples_table(self.samples), "failures": failures_table(self.samples)}
        for name in ("limits", "set_points", "policy", "counterexample"):
            tables[name] = (
                empty(self.shape.tables[name]) if self.certificate is None else getattr(self.certificate, name)
            )
        return tables

    def to_certificate(self, path: Path | str) -> None:
        """Write the certificate of a plan that is proved in exact AC, which `openpoint.verify_set` checks.

        Raises:
            OptionError: it is not proved, or its room is too small for the radii. OSError: it cannot be written.
        """
        if self.certificate is None or self.certificate.claim is None:
            raise OptionError("the plan is not proved in exact AC, so there is no certificate of it")
        write_claim(Path(path), self.grid, self.certificate.claim)

    @property
    def grid_after(self) -> Grid | None:
        """The grid with the switch states of the plan and its set-points; None where no plan was found.

        The sources stay in their table, though their substation is lost.
        """
        if self.cost_usd is None:
            return None
        states = dict.fromkeys(self.closed_switches, True) | dict.fromkeys(self.open_switches, False)
        return with_output(self.grid.with_closed(states), self.generators)


def certified_words(result: PartitionResult) -> str:
    """The verdict in exact AC, for people."""
    anew = " with new set-points" if result.ac_as_planned != result.ac else ""
    level = f", to ± {100.0 * result.ac_level:.1f} %" if result.ac_level else ""
    words = {
        "proved": f"proved for every load of the set{anew}{level}",
        "disproved": "disproved: at a load of the set no recourse keeps the limits",
        "open": "open: neither proved nor disproved",
    }
    return words[result.ac or "open"]
