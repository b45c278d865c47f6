"""The result of `secure`: what every fault does, and what switching does about it."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.results import columns as c
from openpoint.results.base import Result, in_kw
from openpoint.results.common import BUS, ENDS
from openpoint.results.schema import maybe, number, whole
from openpoint.results.shape import figure, table
from openpoint.results.violation import VIOLATIONS, Violation
from openpoint.results.witness import WITNESS

VERDICTS = {
    "nothing lost": "no other load is fed through the fault",
    "restored": "switching feeds all that is fed through the fault",
    "partly restored": "switching restores a part of it",
    "overload": "other branches go on feeding all of it, beyond a limit",
    "limits": "there are ties, and each state that was allowed breaks a limit",
    "no tie": "no open branch leads from what is fed to what is cut off",
}
"""Words for what switching does after a fault, with their meaning."""

RESTORABLE = {
    "nothing": "nothing that a path leads to is without supply",
    "ties": "one tie for each part restores all of it",
    "switchings": "more closings, with openings, restore all of it",
    "more": "as many closings as were asked for do not restore it, which is proven; more may",
    "none": "no switching at all restores all of it, which is proven",
    "unknown": "none of these is known",
}
"""Words for what switching can restore of all that a path leads to, with their meaning."""
FOR_EVERY = {
    "proved": "what switching feeds keeps all limits for every load of the set, in exact AC",
    "disproved": "it breaks limits at a load of the set, in exact AC, and no state that feeds as much is proved",
    "open": "the bounds are not sharp enough to tell, or the time was up",
}
"""Words for whether a restored state holds over a set of loads, with their meaning."""
FAULTS: c.Table = {
    **ENDS,
    "verdict": c.text("what switching does after the fault", "after switching", options=list(VERDICTS)),
    "restorable": c.text(
        "what restores all that a path leads to, whatever was allowed", "restorable by", options=list(RESTORABLE)
    ),
    "closings": c.maybe_whole("branches closed by the best switching known that restores it all", "closings"),
    "is_fewest": c.flag("whether fewer closings are proven not to restore it all", "fewest"),
    "cut_off_kw": c.maybe_number(
        "load of the parts that no path leads to; null where that was not looked at", "cut off, kW", 1
    ),
    "cut_off": c.text("buses of these parts", "buses cut off for good"),
    "tripped_kw": c.number("load that the breaker trips, kW", "tripped, kW", 1),
    "isolated_kw": c.number(
        "load between the switches around the fault, which waits for the repair, kW", "isolated, kW", 1
    ),
    "lost_kw": c.number("other load that waits for the repair, kW", "not restored, kW", 1),
    "tripped_customers": c.maybe_number("customers that the breaker trips", "tripped, customers", 0),
    "dark_customers": c.maybe_number("customers that wait for the repair", "until repair, customers", 0),
    "to_open": c.text("branches to open around the fault", "to open"),
    "to_close": c.text("ties to close; none where switching restores nothing", "to close"),
    "then_open": c.text("branches to open, too, so that the grid stays radial", "then open"),
    "taps": c.text("tap changers that stepped to hold their voltages, before → after", "taps"),
    "v_min_pu": c.maybe_number("lowest voltage after switching, pu", "lowest, pu", 5),
    "loading_percent": c.maybe_number("highest loading after switching, % of the ratings", "loading, %", 1),
    "limit": c.text("what breaks its limit most in the best state that feeds more; empty where nothing does", "limit"),
    "is_whole": c.flag("whether all choices of ties were tried"),
    "for_every": c.text(
        "whether the state after switching keeps all limits for every load of the set; empty where nothing is asked or "
        "restored",
        "for every load",
        options=["", *FOR_EVERY],
    ),
    "is_next": c.flag("whether it is taken since states that come before it are not proved for every load"),
    "for_every_limit": c.text("what breaks its limit most at a load of the set", "limit at a load of the set"),
    "failures_per_year": c.maybe_number("faults a year", "faults a year", 4),
    "customer_hours_per_year": c.maybe_number("customer hours without supply a year", "customer h a year", 2),
    "not_supplied_kwh_per_year": c.maybe_number("energy not supplied a year at today's load, kWh", "kWh a year", 2),
}
WITNESSES: c.Table = {"fault": c.text("the branch at fault", "fault"), **WITNESS}
SWITCHINGS: c.Table = {
    "name": c.text("the branch at fault", "fault"),
    "closings": c.whole("branches that are closed", "closings"),
    "is_fewest": c.flag("whether fewer closings are proven not to restore it all", "fewest"),
    "is_taken": c.flag("whether it has as few closings as were allowed, and counts in the indices", "allowed"),
    "to_open": c.text("branches to open around the fault", "to open"),
    "to_close": c.text("branches to close", "to close"),
    "then_open": c.text("branches to open, too, so that the grid stays radial", "then open"),
    "v_min_pu": c.maybe_number("lowest voltage afterwards, pu", "lowest, pu", 5),
    "loading_percent": c.maybe_number("highest loading afterwards, % of the ratings", "loading, %", 1),
    "loss_kw": c.number("active power lost afterwards, kW", "loss, kW", 1),
}
BUSES: c.Table = {
    "name": BUS["name"],
    "load_kw": c.number("load at nominal voltage, kW", "load, kW", 1),
    "customers": c.maybe_number("customers", "customers", 0),
    "v_pu": c.number("voltage without a fault, pu", "voltage, pu", 5),
    "tripping_faults": c.whole("branches whose fault trips the bus", "faults that trip it"),
    "dark_faults": c.whole("branches whose fault leaves it without supply until the repair", "until the repair"),
    "interruptions_per_year": c.maybe_number("interruptions a year", "interruptions a year", 4),
    "hours_per_year": c.maybe_number("hours without supply a year", "h a year", 4),
}


class SecureResult(
    Result,
    study="secure",
    also=("not_restored_count",),
    more={
        "faults_count": whole("branches whose fault was asked about"),
        "waiting_count": whole("of these: leave load without supply until the repair"),
        **{f"{name.replace(' ', '_')}_count": whole(f"of these: {words}") for name, words in VERDICTS.items()},
        **{
            f"restorable_{word}_count": whole(f"of these, of what can be fed: {words}")
            for word, words in RESTORABLE.items()
        },
        **{f"{word}_count": whole(f"of those restored, or in part: {words}") for word, words in FOR_EVERY.items()},
        "largest_lost_kw": number("most load that a fault leaves without supply until the repair, kW"),
        "largest_lost_branch": maybe("string", "the branch at fault then"),
    },
):
    """The answer of `secure` about one radial state; indices are those of IEEE Std 1366.

    Attributes:
        grid: the grid in the state asked about. beyond_ties: whether more than ties was asked for.
    """

    grid: Grid
    open_branches: tuple[str, ...] = figure("branches that are open in the state asked about")
    is_today: bool = figure("whether that is today's state")
    loss_kw: float = figure("its active power lost, kW")
    saifi_per_year: float | None = figure("SAIFI: interruptions of a customer a year; null without customers and rates")
    saidi_h_per_year: float | None = figure("SAIDI: hours without supply of a customer a year")
    caidi_h: float | None = figure("CAIDI: hours of an interruption")
    not_supplied_kwh_per_year: float | None = figure(
        "energy not supplied a year at today's load, kWh; null without rates"
    )
    faults: pl.DataFrame = table(FAULTS)
    switchings: pl.DataFrame = table(SWITCHINGS)
    buses: pl.DataFrame = table(BUSES)
    witnesses: pl.DataFrame = table(WITNESSES)
    violations: tuple[Violation, ...] = table(VIOLATIONS, "limits of planning that the state breaks without any fault")
    for_every: str = figure("what deviates, and by which share of its power; empty where nothing does")
    beyond_ties: bool
    rules: str = figure("what was assumed: limits, switches, times")
    notes: tuple[str, ...] = figure("what changes the meaning of the figures")

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
    def for_every_counts(self) -> dict[str, int]:
        """The number of faults by whether what is restored after them holds over the set."""
        found = dict(self.faults["for_every"].value_counts().iter_rows())
        return {word: int(found.get(word, 0)) for word in FOR_EVERY}

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
            "faults_count": self.faults.height,
            "waiting_count": self.waiting.height,
            **counts,
            **{f"restorable_{word}_count": count for word, count in self.restorable_counts.items()},
            **{f"{word}_count": count for word, count in self.for_every_counts.items()},
            "largest_lost_kw": largest,
            "largest_lost_branch": branch,
        }
