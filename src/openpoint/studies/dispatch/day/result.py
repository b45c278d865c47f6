"""The result of dispatch over a day: what is decided for every period, and what it costs as forecast and at worst."""

from __future__ import annotations

from typing import Any

import polars as pl

from openpoint.names import join_names
from openpoint.results.base import Answer, Head, count_words
from openpoint.results.schema import maybe
from openpoint.results.shape import figure, table
from openpoint.scenarios.day.clock import NowLike, period_at
from openpoint.studies.dispatch.day import schema as d
from openpoint.studies.dispatch.day.rolling import Planned
from openpoint.studies.dispatch.day.schema import CASES
from openpoint.studies.dispatch.day.tables import DayViolation

TOTALS = {
    "cost_{}_usd": "cost of the day, $",
    "loss_{}_kwh": "energy lost, kWh",
    "purchased_{}_kwh": "energy bought from the sources, kWh",
    "purchased_{}_kvarh": "reactive energy that the sources deliver, kvarh",
    "curtailed_{}_kwh": "renewable energy not taken, kWh",
    "shed_{}_kwh": "energy of load shed, kWh",
    "v_min_{}_pu": "lowest voltage of the day, pu",
    "v_max_{}_pu": "highest voltage of the day, pu",
    "v_mean_{}_pu": "mean voltage of all buses over the day, pu",
}
"""Sums of the day, `{}` is the case."""


class DispatchDayResult(
    Answer,
    study="dispatch-day",
    also=("period_count", "total_hours", "has_answer"),
    more={key.format(case): maybe("number", f"{doc}, case {case}") for key, doc in TOTALS.items() for case in CASES},
):
    """The answer of `dispatch_day`. Every figure of a period is that of an exact AC power flow.

    There are three cases: `today`, nothing is scheduled and all comes as forecast; `forecast`, the answer and all comes
    as forecast; `worst`, the answer in its worst realisation, or in its dearest future. Tables have a column `case`,
    or a column a case. The states are those at the start of every period, see `state_at`.

    Attributes:
        totals: sums of the day, by the names of the keys that end with the unit: `cost_worst_usd` and so on.
        planned: the plan as numbers, see `openpoint.simulate_period`; None = there is none.
    """

    why_method: str = figure("why this method was taken")
    day: str = figure("name of the day")
    now: str | None = figure("period from which the rest of the day is planned; null: the whole day")
    hours_passed: float = figure("hours of the day before it, of which nothing is in any figure")
    topology: str = figure("how often open points are decided", options=d.OFTEN)
    positions: str = figure("how often taps, banks and voltages of sources are decided", options=d.OFTEN)
    objective_means: str = figure("what the objective is the cost of: worst realisation, forecast, or a risk measure")
    uncertain: tuple[str, ...] = figure("what is uncertain, and by how much")
    objective_usd: float | None = figure("cost that was minimised, $, verified by AC power flow; null: no answer")
    lower_bound_usd: float = figure("no plan costs less, $", maybe=True)
    totals: dict[str, float | None]
    open_today: tuple[str, ...] = figure("branches open today")
    open_branches: tuple[str, ...] = figure(
        "branches open in the answer in its first period; all day unless decided hourly"
    )
    operations: int = figure("switch operations of the day, the first period against today")
    max_changes: int | None = figure("most switch operations allowed; null: any number")
    violations: tuple[DayViolation, ...] = table(
        d.VIOLATIONS,
        "limits that the plan breaks as forecast or at worst; with an answer only as forecast, of futures",
    )
    violations_today: int = figure("limits that today's plan breaks, as forecast, counted by period")
    ac_max_mismatch_pu: float | None = figure("largest power mismatch of any AC solution of the answer at any bus, pu")
    balance_max_kw: float | None = figure("largest error of any energy balance of the answer, kW")
    periods: pl.DataFrame = table(d.PERIODS)
    costs: pl.DataFrame = table(d.COSTS)
    decided: pl.DataFrame = table(d.DECIDED)
    uncertainty: pl.DataFrame = table(d.UNCERTAINTY)
    switches: pl.DataFrame = table(d.SWITCHES)
    stores: pl.DataFrame = table(d.STORES)
    generators: pl.DataFrame = table(d.GENERATORS)
    renewables: pl.DataFrame = table(d.RENEWABLES)
    sources: pl.DataFrame = table(d.SOURCES)
    devices: pl.DataFrame = table(d.DEVICES)
    demand: pl.DataFrame = table(d.DEMAND)
    voltages: pl.DataFrame = table(d.VOLTAGES)
    branches: pl.DataFrame = table(d.BRANCHES)
    flows: pl.DataFrame = table(d.FLOWS)
    states: pl.DataFrame = table(d.STATES)
    planned: Planned | None
    risk: str | None = figure("how the costs of futures become one number; null: there are none")
    futures: pl.DataFrame = table(d.FUTURES)
    proved_periods: int | None = figure(
        "periods whose limits hold for every realisation, in exact AC; null: nothing deviates by a set"
    )
    proved_worst_usd: float | None = figure("with the policy no realisation costs more, $; null: not known")
    proofs: pl.DataFrame = table(d.PROOFS)
    policy: pl.DataFrame = table(d.POLICY)
    samples: pl.DataFrame = table(d.SAMPLES)
    iterations: pl.DataFrame = table(d.ITERATIONS)

    @property
    def head(self) -> Head:
        return self._head(self.objective_usd, self.lower_bound_usd, "$")

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
        return self.totals
