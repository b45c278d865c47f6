"""The result of partitioning: the plan, what it costs at worst, and the islands."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import polars as pl

from openpoint.arrays import Floats
from openpoint.enclosure.claims import write_claim
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.results.base import Answer, Head, in_kw, switching_words
from openpoint.results.columns import empty
from openpoint.results.shape import Shape
from openpoint.results.switched import with_output
from openpoint.results.violation import violation_table
from openpoint.studies.partition.ac import PartitionSamples, failures_table, samples_table
from openpoint.studies.partition.certify.certificate import Certificate
from openpoint.studies.partition.options import PartitionOptions
from openpoint.studies.partition.schema import PARTITION
from openpoint.twostage.log import PROVEN_GAP


@dataclass(frozen=True, repr=False, kw_only=True)
class PlanResult(Answer):
    """A partition, at one moment or over time. Costs and bounds are those of the linear model (LinDist3Flow).

    Attributes:
        uncertainty: largest deviation of an uncertain load, a share of its power. uncertain_loads: their names.
        cost_usd: de-energised blocks, set-points and the worst cost of following the loads; None where no plan was
            found.
        lost_usd: of the de-energised blocks. generation_usd: of the set-points. worst_recourse_usd: proven bound of
            what following the loads adds; below 0 where it saves.
        lower_bound_usd: proven bound of cost_usd.
        worst_slack_kw: least nodal slack in the worst of the realisations that were tried last; 0 is none.
        blocks: connected parts between switches, called after their first bus; island 0 is de-energised.
        islands, switches, generators: as the plan has them, with set-points.
    """

    uncertainty: float
    uncertain_loads: tuple[str, ...]
    cost_usd: float | None
    lost_usd: float | None
    generation_usd: float | None
    worst_recourse_usd: float | None
    lower_bound_usd: float
    worst_slack_kw: float
    blocks: pl.DataFrame
    islands: pl.DataFrame
    generators: pl.DataFrame
    switches: pl.DataFrame

    island_key: ClassVar[tuple[str, ...]] = ("island",)
    """The columns that tell an island."""

    @property
    def head(self) -> Head:
        return self._head(self.cost_usd, self.lower_bound_usd, "$", violation_table(()))

    def to_do(self) -> str:
        moved = [action for action in self.switches["switching"].to_list() if action]
        return "" if self.cost_usd is None else switching_words(moved)

    def document(self) -> dict[str, Any]:
        document = super().document()
        for row in document["islands"]:  # names as lists
            here = {column: row[column] for column in self.island_key}
            row["blocks"] = self.blocks.filter(**here)["name"].to_list()
            row["grid_forming"] = self.generators.filter(**here, forms_grid=True)["name"].to_list()
        return document


@dataclass(frozen=True, repr=False, kw_only=True)
class PartitionResult(PlanResult):
    """The answer of `partition`; costs are for an hour.

    Attributes:
        served_kw: nominal load of the energised blocks. total_kw: of all.
        energised_blocks: names of the blocks, that of their first bus.
        closed_switches, open_switches: names of the switchable branches.
        grid_forming: names of the generators that form the grid, 1 to `max_grid_forming` an island.
        switches: `switching` is what to do in today's state.
        asked: what was asked of the grid. decision: of its mathematical model; None where no plan was found.
        samples: what samples of the loads say of the plan, where they were asked (`sample_partition`).
        certificate: what is proved of it in exact AC power flow for every load of its set, where that was asked.
    """

    served_kw: float
    total_kw: float
    energised_blocks: tuple[str, ...]
    closed_switches: tuple[str, ...]
    open_switches: tuple[str, ...]
    grid_forming: tuple[str, ...]
    asked: PartitionOptions
    decision: Floats | None = field(default=None, repr=False)
    samples: PartitionSamples | None = None
    certificate: Certificate | None = None

    shape: ClassVar[Shape] = PARTITION

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
        names = ("limits", "set_points", "policy", "counterexample")
        for name in names:
            tables[name] = (
                empty(PARTITION.tables[name]) if self.certificate is None else getattr(self.certificate, name)
            )
        return {**super()._special_tables(), **tables}

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
