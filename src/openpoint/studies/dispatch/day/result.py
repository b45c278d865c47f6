"""The result of dispatch over a day: what is decided for every period, and what it costs as forecast and at worst."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import polars as pl

from openpoint.names import join_names
from openpoint.results.base import Answer, Head, count_words
from openpoint.results.shape import Shape
from openpoint.results.violation import violation_table
from openpoint.scenarios.day.clock import NowLike, period_at
from openpoint.studies.dispatch.day.rolling import Planned
from openpoint.studies.dispatch.day.schema import CASES, DAY, VIOLATIONS
from openpoint.studies.dispatch.day.tables import DayViolation

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False, kw_only=True)
class DispatchDayResult(Answer):
    """The answer of `dispatch_day`. Every figure of a period is that of an exact AC power flow.

    There are three cases: `today`, nothing is scheduled and all comes as forecast; `forecast`, the answer and all comes
    as forecast; `worst`, the answer in its worst realisation, or in its dearest future. Tables have a column `case`,
    or a column a case.

    Attributes:
        why_method: why this method was taken. day: name of the day.
        now: period from which the rest of the day is planned, None: the whole day. hours_passed: of the day before it,
            of which nothing is in any figure.
        topology, positions: how often they are decided: `fixed`, `once`, `hourly`.
        objective_means: what `objective_usd` is the cost of. uncertain: in words.
        objective_usd: cost that was minimised, None where there is no answer. lower_bound_usd: proven bound of it.
        totals: sums of the day, by the names of the keys that end with the unit: `cost_worst_usd` and so on.
        open_today, open_branches: of the first period. operations: switch operations of the day.
        violations: limits that the plan breaks as forecast or at worst; with an answer none, but for those as forecast
            where futures are planned for, since the forecast need not be one of them.
        violations_today: number of limits that today's plan breaks, by period.
        ac_max_mismatch_pu, balance_max_kw: the largest of all AC solutions of the answer.
        periods, costs, decided, uncertainty, switches, stores, generators, renewables, sources, devices, demand,
            voltages, branches, flows: tables, see the reference.
        states: the state at the start of every period, see `state_at`.
        planned: the plan as numbers, see `openpoint.simulate_period`; None = there is none.
        risk: how the costs of futures become one number, and futures: what the answer costs in each; None and empty
            where there are none.
        samples: plans in days drawn at random, where they were asked for.
    """

    why_method: str
    day: str
    now: str | None
    hours_passed: float
    topology: str
    positions: str
    objective_means: str
    uncertain: tuple[str, ...]
    objective_usd: float | None
    lower_bound_usd: float
    totals: dict[str, float | None]
    open_today: tuple[str, ...]
    open_branches: tuple[str, ...]
    operations: int
    max_changes: int | None
    violations: tuple[DayViolation, ...]
    violations_today: int
    ac_max_mismatch_pu: float | None
    balance_max_kw: float | None
    periods: pl.DataFrame
    costs: pl.DataFrame
    decided: pl.DataFrame
    uncertainty: pl.DataFrame
    switches: pl.DataFrame
    stores: pl.DataFrame
    generators: pl.DataFrame
    renewables: pl.DataFrame
    sources: pl.DataFrame
    devices: pl.DataFrame
    demand: pl.DataFrame
    voltages: pl.DataFrame
    branches: pl.DataFrame
    flows: pl.DataFrame
    states: pl.DataFrame
    planned: Planned | None
    risk: str | None
    futures: pl.DataFrame
    samples: pl.DataFrame

    shape: ClassVar[Shape] = DAY

    @property
    def head(self) -> Head:
        return self._head(self.objective_usd, self.lower_bound_usd, "$", violation_table(self.violations, VIOLATIONS))

    @property
    def has_answer(self) -> bool:
        """Whether a plan was found that keeps all limits in all realisations."""
        return self.objective_usd is not None

    @property
    def period_count(self) -> int:
        """Number of periods."""
        return self.periods["period"].n_unique()

    @property
    def total_hours(self) -> float:
        """Hours of the day."""
        return float(self.periods.filter(case="today")["hours"].sum())

    def total(self, figure: str, case: str) -> float | None:
        """A figure of the day: cost_usd; loss_kwh, purchased_kwh, purchased_kvarh, curtailed_kwh, shed_kwh; v_min_pu,
        v_max_pu, v_mean_pu.

        Args:
            figure: its name. case: `today`, `forecast` or `worst`.
        """
        name, _, unit = figure.rpartition("_")
        return self.totals[f"{name}_{case}_{unit}"]

    def state_at(self, now: NowLike) -> pl.DataFrame:
        """The state that the plan reaches at the start of a period, if all comes as forecast, for `dispatch_day`.

        Args:
            now: the period, as `dispatch_day` takes it.

        Raises:
            OptionError: no period of the plan begins then.
        """
        names, number = self.period_of(now)
        return self.states.filter(period=names[number])

    def period_of(self, now: NowLike) -> tuple[list[str], int]:
        """The names of the periods, and the number of the one that begins now."""
        rows = self.periods.filter(case="today")
        names, hours, starts_at = (rows[column].to_list() for column in ("period", "hours", "starts_at"))
        return names, period_at(now, names, hours, starts_at)

    @property
    def open_points(self) -> list[tuple[str, tuple[str, ...]]]:
        """The open branches of every period, by its name, in the order of the grid."""
        order = {name: number for number, name in enumerate(self.grid.branches()["name"])}
        opened, found = set(self.open_today), []
        moves = {period: rows for (period,), rows in self.switches.group_by("period", maintain_order=True)}
        for period in self.periods["period"].unique(maintain_order=True):
            if period in moves:
                opened ^= set(moves[period]["name"])
            found.append((period, tuple(sorted(opened, key=order.__getitem__))))
        return found

    def to_do(self) -> str:
        if not self.has_answer:
            return ""
        texts = [count_words(self.operations, "switch operation")]
        started = self.generators.filter("on")["name"].n_unique()
        texts += [f"{count_words(started, 'generator')} running" if started else ""]
        used = self.stores.filter((pl.col("charge_kw") > 1e-6) | (pl.col("discharge_kw") > 1e-6))["name"].n_unique()
        texts += [f"{count_words(used, 'store')} in use" if used else ""]
        return ", ".join(filter(None, texts)) or "nothing to schedule: the day as today"

    def answer_facts(self) -> dict[str, str]:
        cost = " / ".join(
            "–" if (value := self.total("cost_usd", case)) is None else f"${value:,.2f}" for case in CASES
        )
        rest = {"rest of the day from": str(self.now)} if self.hours_passed else {}
        return {**rest, "today / forecast / worst": cost, "open": join_names(self.open_branches) or "none"}

    def to_switch(self) -> list[tuple[object, ...]]:
        return list(self.switches.rows())

    def _special_values(self) -> dict[str, Any]:
        broken = [each.row for each in self.violations]
        return {**super()._special_values(), **self.totals, "violations": broken}

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        return {**super()._special_tables(), "violations": violation_table(self.violations, VIOLATIONS)}
