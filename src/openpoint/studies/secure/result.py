"""The result of `secure`: what every fault does, and what switching does about it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.results.base import Result, in_kw
from openpoint.results.shape import Shape
from openpoint.results.violation import Violation, violation_table
from openpoint.studies.secure.schema import RESTORABLE, SECURE, VERDICTS

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False, kw_only=True)
class SecureResult(Result):
    """The answer of `secure` about one radial state.

    Attributes:
        grid: the grid in the state asked about.
        open_branches: its open branches. is_today: whether it is today's. loss_kw: its active power lost.
        saifi_per_year, saidi_h_per_year, caidi_h: indices of IEEE Std 1366; None without customers and rates.
        not_supplied_kwh_per_year: energy not supplied at today's load; None without rates.
        faults: kind, name, from_bus, to_bus, verdict, restorable, closings, is_fewest, cut_off_kw, cut_off, tripped_kw,
            isolated_kw, lost_kw, tripped_customers, dark_customers, to_open, to_close, then_open, taps,
            v_min_pu, loading_percent, limit, is_whole, failures_per_year, customer_hours_per_year,
            not_supplied_kwh_per_year; a row a branch.
        switchings: name, closings, is_fewest, is_taken, to_open, to_close, then_open, v_min_pu, loading_percent,
            loss_kw; a row for each branch after whose fault more than ties restores the supply.
        buses: name, load_kw, customers, v_pu, tripping_faults, dark_faults, interruptions_per_year, hours_per_year.
        beyond_ties: whether more than ties was asked for.
        broken: limits of planning that the state breaks without any fault.
        rules: what was assumed. notes: what changes the meaning of the figures.
    """

    grid: Grid
    open_branches: tuple[str, ...]
    is_today: bool
    loss_kw: float
    saifi_per_year: float | None
    saidi_h_per_year: float | None
    caidi_h: float | None
    not_supplied_kwh_per_year: float | None
    faults: pl.DataFrame
    switchings: pl.DataFrame
    buses: pl.DataFrame
    broken: tuple[Violation, ...]
    beyond_ties: bool
    rules: str
    notes: tuple[str, ...]

    shape: ClassVar[Shape] = SECURE

    @property
    def hint(self) -> str:
        if not (self.counts["restored"] or self.counts["partly restored"]):
            return ""
        return "What to switch after each fault: --json or --tables, table faults; --report FILE.html draws the grid."

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of faults of each verdict."""
        found = dict(self.faults["verdict"].value_counts().iter_rows())
        return {verdict: int(found.get(verdict, 0)) for verdict in VERDICTS}

    @cached_property
    def restorable_counts(self) -> dict[str, int]:
        """The number of faults by what switching can restore of all that a path leads to."""
        found = dict(self.faults["restorable"].value_counts().iter_rows())
        return {word: int(found.get(word, 0)) for word in RESTORABLE}

    @cached_property
    def waiting(self) -> pl.DataFrame:
        """The faults that leave load without supply until the repair, those of most load first."""
        return self.faults.filter(pl.col("lost_kw") + pl.col("isolated_kw") > 0.0)

    @property
    def not_restored_count(self) -> int:
        """Faults with a tie to what is cut off, which is not restored or in part only."""
        return self.counts["limits"] + self.counts["partly restored"]

    @property
    def in_short(self) -> str:
        whose = "today's state" if self.is_today else "the state asked about"
        waits = self.waiting.height
        if not self.faults.height:
            return f"{whose} has no branch that may have a fault."
        if not waits:
            return f"after every one of {self.faults.height} faults ties restore what {whose} loses."
        return f"of {self.faults.height} faults in {whose} {waits} leave load without supply until the repair."

    def facts(self) -> dict[str, str]:
        found = {name: str(count) for name, count in self.counts.items() if count}
        if self.saidi_h_per_year is not None:
            found["SAIDI"] = f"{60.0 * self.saidi_h_per_year:.1f} min a year"
        return {"faults": str(self.faults.height), **found, "loss": in_kw(self.loss_kw)}

    @property
    def _largest(self) -> tuple[float, str | None]:
        first = self.waiting.select(pl.col("lost_kw") + pl.col("isolated_kw"), "name").head(1).rows()
        return first[0] if first else (0.0, None)

    def _special_values(self) -> dict[str, Any]:
        counts = {f"{name.replace(' ', '_')}_count": count for name, count in self.counts.items()}
        largest, branch = self._largest
        return {
            **super()._special_values(),
            "faults_count": self.faults.height,
            "waiting_count": self.waiting.height,
            **counts,
            **{f"restorable_{word}_count": count for word, count in self.restorable_counts.items()},
            "largest_lost_kw": largest,
            "largest_lost_branch": branch,
        }

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        return {**super()._special_tables(), "violations": violation_table(self.broken)}
