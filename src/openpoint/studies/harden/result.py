"""The result of hardening: the plan, what it costs and is worth, and every disaster as it is after it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from openpoint.names import join_names
from openpoint.results.base import Answer, Head, count_words
from openpoint.results.shape import Shape
from openpoint.studies.harden.schema import HARDEN

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False, kw_only=True)
class HardenResult(Answer):
    """The answer of `harden`. Costs are those of the model; every operating point is checked by an exact AC power flow.

    The cost is the investment plus the expected cost of the disasters; over ambiguous probabilities the worst
    expectation, and where any lines may break the cost of the worst attack.

    Attributes:
        uncertainty: the disasters and how they count, for people.
        any_lines: how many lines the attacker breaks; None where disasters were given.
        cost_usd: investment and cost of the disasters; None where no plan was found.
        investment_usd: of the plan.
        lower_bound_usd: proven bound of cost_usd.
        hardened_branches: names of the branches to harden. generators: buses that get a backup generator.
        without_plan_usd: the cost if nothing is bought.
        wait_and_see_usd, evpi_usd, most_likely_plan_usd, mean_value_plan_usd, vss_usd: see `studies.harden.plan_value`;
            None where not computed.
        worst_attack: the lines whose loss costs most after the plan; empty where disasters were given.
        ac_max_mismatch_pu: largest power mismatch of the AC solutions at any bus, per unit of `s_base_kva`.
        disasters: a row a distinct disaster; those that are not shown have cost and shed load only.
        buses, branches, sources: their states after every disaster shown.
        violations: limits that the AC solution breaks.
    """

    uncertainty: str
    any_lines: int | None
    cost_usd: float | None
    investment_usd: float | None
    lower_bound_usd: float
    hardened_branches: tuple[str, ...]
    generators: tuple[str, ...]
    without_plan_usd: float | None
    wait_and_see_usd: float | None
    evpi_usd: float | None
    most_likely_plan_usd: float | None
    mean_value_plan_usd: float | None
    vss_usd: float | None
    worst_attack: tuple[str, ...]
    ac_max_mismatch_pu: float | None
    disasters: pl.DataFrame
    buses: pl.DataFrame
    branches: pl.DataFrame
    sources: pl.DataFrame
    violations: pl.DataFrame

    shape: ClassVar[Shape] = HARDEN

    @property
    def head(self) -> Head:
        return self._head(self.cost_usd, self.lower_bound_usd, "$", self.violations)

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
    def shed_kw(self) -> dict[str, float | None]:
        """Load shed in every disaster, None where it was not computed."""
        return dict(zip(self.disasters["disaster"], self.disasters["shed_kw"]))
