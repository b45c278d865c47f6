"""The result of hardening: the plan, what it costs and is worth, and every disaster as it is after it."""

from __future__ import annotations

from typing import Any

import polars as pl

from openpoint.names import join_names
from openpoint.results import columns as c
from openpoint.results.base import Answer, Head, count_words
from openpoint.results.common import ENDS, iteration_columns
from openpoint.results.schema import whole
from openpoint.results.shape import figure, table
from openpoint.results.violation import POWERS, violation_columns, without_phase
from openpoint.results.witness import WITNESS

FOR_EVERY = {
    "proved": "the limits hold for every load of the set, in exact AC, if the sources deliver what is missing",
    "disproved": "a load of the set breaks a limit, by exact AC power flow",
    "open": "neither is known, or the time was up",
}
"""Words for what is known of an operating point over a set of loads, with their meaning."""
_DISASTER: c.Table = {"disaster": c.text("name of the disaster")}
DISASTERS: c.Table = {
    **_DISASTER,
    "count": c.whole("number of equal disasters given", "equal ones"),
    "probability": c.maybe_number("nominal; null for an attack", "probability", 4),
    "weight": c.maybe_number("probability that counts: the worst of the ambiguous ones", "weight", 4),
    "broken": c.text("names of the branches that break"),
    "cost_usd": c.maybe_number("of the outage, $", "cost, $", 2),
    "shed_kw": c.maybe_number("load shed, kW", "shed, kW", 2),
    "shed_percent": c.maybe_number("load shed in percent of all load", "shed, %", 2),
    "islands": c.maybe_whole("energised islands, one a substation or forming generator", "islands"),
    "ac_max_mismatch_pu": c.maybe_number("largest power mismatch of the AC solution at any bus, pu"),
    "violations": c.maybe_whole("number of limits that the AC solution breaks", "limits broken"),
    "for_every": c.text(
        "whether the operating point keeps all limits for every load of the set; empty where nothing is asked or shown",
        "for every load",
        options=["", *FOR_EVERY],
    ),
    "for_every_limit": c.text("what breaks its limit most at a load of the set", "limit at a load of the set"),
}
BUSES: c.Table = {
    **_DISASTER,
    "name": c.text("name of the bus"),
    "island": c.whole("number of its island, 0 = without supply", "island"),
    "load_kw": c.number("load net of infeed, kW", "load, kW", 2),
    "shed_kw": c.number("load shed, kW", "shed, kW", 2),
    "v_pu": c.maybe_number("voltage, pu; null where de-energised", "voltage, pu", 5),
    "angle_degree": c.maybe_number("voltage angle, degree"),
}
BRANCHES: c.Table = {
    **_DISASTER,
    **ENDS,
    "state": c.text("after the disaster", options=["closed", "open", "broken"]),
    "hardened": c.flag("hardened by the plan"),
    "switching": c.text("what to do in today's state", options=["", "close", "open"]),
    **c.LIMITS_OF_CURRENT,
    "i_a": c.maybe_number("current, A", "current, A", 2),
    "loading_percent": c.maybe_number("current in percent of the rating", "loading, %", 1),
    "p_from_kw": c.maybe_number("active power into the branch at its from end, kW", "P, kW", 2),
    "q_from_kvar": c.maybe_number("reactive power into the branch at its from end, kvar", "Q, kvar", 2),
    "loss_kw": c.maybe_number("active power lost, kW", "loss, kW", 3),
}
SOURCES: c.Table = {
    **_DISASTER,
    "kind": c.text("what it is", options=["substation", "backup", "generator"]),
    "name": c.text("its name"),
    "bus": c.text("its bus"),
    "forms_grid": c.flag("holds the voltage of an island"),
    "p_kw": c.maybe_number("active power delivered, kW", "P, kW", 2),
    "q_kvar": c.maybe_number("reactive power delivered, kvar", "Q, kvar", 2),
}
WITNESSES: c.Table = {**_DISASTER, **WITNESS}
VIOLATIONS: c.Table = {
    **_DISASTER,
    **without_phase(violation_columns(POWERS, "bus or branch")),
}
ITERATIONS: c.Table = iteration_columns(
    "usd",
    "$",
    value="cost of the plan tried, $",
    violation="least violation of the plan tried; 0 where limits hold",
)


class HardenResult(
    Answer,
    study="harden",
    more={
        "shed_kw": {
            "type": "object",
            "description": "load shed in each disaster, kW; null where only its cost is known",
            "additionalProperties": {"type": ["number", "null"]},
        },
        **{f"{word}_count": whole(f"of the operating points shown: {words}") for word, words in FOR_EVERY.items()},
    },
):
    """The answer of `harden`. Costs are those of the model; every operating point is checked by an exact AC power flow.

    The cost is the investment plus the expected cost of the disasters; over ambiguous probabilities the worst
    expectation, and where any lines may break the cost of the worst attack. What a plan is worth is defined in
    `studies.harden.plan_value`. Disasters that are not shown have cost and shed load only.
    """

    uncertainty: str = figure("the disasters and how they count")
    any_lines: int | None = figure("number of lines that an attack breaks; null where disasters were given")
    cost_usd: float | None = figure("investment and expected (or worst) cost of the disasters, $; null where no plan")
    investment_usd: float | None = figure("of the plan, $")
    lower_bound_usd: float = figure("proven bound of cost_usd, $", maybe=True)
    hardened_branches: tuple[str, ...] = figure("branches to harden")
    generators: tuple[str, ...] = figure("buses that get a backup generator")
    without_plan_usd: float | None = figure("cost if nothing is bought, $; null where not computed")
    wait_and_see_usd: float | None = figure("cost if the disaster were known in advance, $; null where not computed")
    evpi_usd: float | None = figure("what knowing it would be worth: cost − wait-and-see, $")
    most_likely_plan_usd: float | None = figure("cost of the best plan for the most likely disaster, in all of them, $")
    mean_value_plan_usd: float | None = figure("cost of the best plan for the mean disaster, in all of them, $")
    vss_usd: float | None = figure("value of the stochastic solution: mean-value plan − cost, $")
    worst_attack: tuple[str, ...] = figure("with any_lines: the lines whose loss costs most after the plan")
    ac_max_mismatch_pu: float | None = figure("largest power mismatch of the AC solutions at any bus, pu")
    disasters: pl.DataFrame = table(DISASTERS)
    buses: pl.DataFrame = table(BUSES)
    branches: pl.DataFrame = table(BRANCHES)
    sources: pl.DataFrame = table(SOURCES)
    violations: pl.DataFrame = table(VIOLATIONS)
    witnesses: pl.DataFrame = table(WITNESSES)
    for_every: str = figure("what deviates, and by which share of its power; empty where nothing does")
    seconds: float = figure("of the method alone, without imports, reading, and the value of information")
    iterations: pl.DataFrame = table(ITERATIONS)

    @property
    def head(self) -> Head:
        return self._head(self.cost_usd, self.lower_bound_usd, "$")

    @property
    def hint(self) -> str:
        if self.cost_usd is None:
            return ""
        return (
            "What to switch after each disaster: --json or --tables, table branches; --report FILE.html draws every "
            "disaster."
        )

    def to_do(self) -> str:
        lines = count_words(len(self.hardened_branches), "line")
        backups = count_words(len(self.generators), "backup generator")
        bought = " and ".join(filter(None, (lines and f"{lines} to harden", backups and f"{backups} to buy")))
        return "" if self.cost_usd is None else bought or "nothing to buy"

    def answer_facts(self) -> dict[str, str]:
        plan = {"harden": self.hardened_branches, "generators at": self.generators}
        return {"cost": f"${self.cost_usd:,.2f}", **{key: join_names(v) or "none" for key, v in plan.items()}}

    @property
    def for_every_counts(self) -> dict[str, int]:
        """The number of operating points by what is known of them over the set."""
        found = dict(self.disasters["for_every"].value_counts().iter_rows())
        return {word: int(found.get(word, 0)) for word in FOR_EVERY}

    def _special_values(self) -> dict[str, Any]:
        return {f"{word}_count": count for word, count in self.for_every_counts.items()}

    @property
    def shed_kw(self) -> dict[str, float | None]:
        """Load shed in every disaster, None where it was not computed."""
        return dict(zip(self.disasters["disaster"], self.disasters["shed_kw"]))
