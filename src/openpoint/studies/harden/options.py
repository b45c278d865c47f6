"""Options of hardening, checked in one place; prices, and the size of a generator."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, final

from openpoint.arguments import all_checked, of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, declared_checks, option, parts
from openpoint.studies.shared import EXIT_CODES, METHOD, ByMethod, ForEvery, Limited

if TYPE_CHECKING:
    from openpoint.scenarios.disasters import DisastersLike
    from openpoint.scenarios.futures import DisastersRecipe
    from openpoint.studies.harden.model import Backup
    from openpoint.twostage.ambiguity import Ambiguity
    from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
    from openpoint.twostage.methods.solving import ExtensiveForm

    Method = ColumnAndConstraint | ExtensiveForm | Benders

POWER_FACTOR = 0.8
"""Rated power factor of diesel generators, by custom."""
_PRICE = {"unit": "USD", "least": 0.0, "group": "Costs"}


@final
@dataclass(frozen=True, kw_only=True)
class HardenCosts:
    """Prices, and the size of a backup generator. The prices are those of a published study of 13 buses, not yours.

    Attributes:
        line_usd: to harden a line, of any length. generator_usd: of a backup generator.
        generator_kw: its active power. generator_kvar: its reactive power, to both sides; None = what it has at a power
            factor of 0.8.
        voll_usd_per_kw: value of lost load for the whole outage.
        closed_line_usd: of each branch that is closed after a disaster; a little prefers plans with few of them.
    """

    meaning: ClassVar[str] = "prices, and the size of a backup generator."

    line_usd: float = option(400.0, "Cost of hardening a line.", "number", **_PRICE)
    generator_usd: float = option(150.0, "Cost of a backup generator.", "number", **_PRICE)
    generator_kw: float = option(100.0, "Its active power.", "number", unit="KW", least=0.0, group="Costs")
    generator_kvar: float | None = option(
        None,
        "Its reactive power.  [default: at a power factor of 0.8]",
        "number",
        unit="KVAR",
        least=0.0,
        group="Costs",
    )
    voll_usd_per_kw: float = option(14.0, "Value of lost load, per kW for the whole outage.", "number", **_PRICE)
    closed_line_usd: float = option(0.0, "Cost of each branch that is closed after a disaster.", "number", **_PRICE)

    def __post_init__(self) -> None:
        all_checked(*declared_checks(self), self._check_generator_kw)

    def _check_generator_kw(self) -> None:
        if self.generator_kw == 0.0:
            raise OptionError(f"generator_kw is {self.generator_kw:g}; give kW above 0, or max_generators=0 for none")

    @property
    def backup(self) -> Backup:
        """The kind of generator that may be bought."""
        from openpoint.studies.harden.model import Backup

        kvar = self.generator_kvar
        return Backup(
            self.generator_kw, self.generator_kw * math.tan(math.acos(POWER_FACTOR)) if kvar is None else kvar
        )


@final
@dataclass(frozen=True, kw_only=True)
class HardenOptions(ForEvery, Limited, ByMethod):
    """The question what to buy before disasters.

    Raises:
        OptionError: with all that is wrong.
    """

    disasters: DisastersLike | None = option(
        None,
        "What may break, with probabilities: a table .csv, .parquet or .xlsx, or storms to be drawn, as storms:20 or "
        "storms:20,seed=1,mean=3 (lines that a storm breaks on average).",
        unit="TABLE|storms:N",
        group=FIRST,
    )
    any_lines: int | None = option(
        None, "Plan for the worst: any K lines may break, no probabilities.", "whole", unit="K", least=1, group=FIRST
    )
    max_lines: int | None = option(None, "Harden at most so many lines.", "whole", unit="N", least=0, group=FIRST)
    max_generators: int | None = option(
        None, "Buy at most so many backup generators.", "whole", unit="N", least=0, group=FIRST
    )
    budget_usd: float | None = option(
        None, "Spend at most so much on both.", "number", unit="USD", least=0.0, flag="budget", group=FIRST
    )
    ambiguity: str | Ambiguity | DisastersRecipe | None = option(
        None,
        "How wrong the probabilities may be: tv:0.2 (share that lies elsewhere), moments:0.1 (outage probability of "
        "each line ±), wasserstein:1 (lines moved on average), box:0.1 (each disaster ±).",
        unit="SET",
        group=FIRST,
    )
    costs: HardenCosts | None = parts(HardenCosts)
    method: Method | str | None = option(
        None,
        "How the optimum is found: ccg, or extensive, with another solver as extensive:scip.  [default: ccg]",
        unit="METHOD",
        group=METHOD,
    )
    value_of_information: bool | None = option(
        None,
        "Compare with other plans and with knowing the disaster.  [default: up to 50 distinct disasters]",
        "flag",
        group=METHOD,
    )

    methods: ClassVar[tuple[str, ...]] = ("ccg", "extensive")
    extensive: ClassVar[str] = "highs"
    reads: ClassVar[tuple[str, ...]] = ()
    details: ClassVar[str] = (
        "After a disaster the grid is reconfigured, islands form around generators and least load is shed: the plan "
        "makes all of it cost least. The answer is proven by a lower bound and checked by an exact AC power flow."
    )
    examples: ClassVar[str] = f"""\b
What may break is a table with the columns disaster, probability, branch: a row a broken branch.

\b
Examples:
  openpoint harden zhang13 --disasters disasters.csv --max-lines 1 --max-generators 1
  openpoint harden zhang13 --disasters disasters.csv --budget 1000 --report report.html
  openpoint harden zhang13 --disasters disasters.csv --budget 1000 --ambiguity moments:0.1
  openpoint harden zhang13 --any-lines 2 --max-lines 2 --max-generators 1 --json -
  openpoint harden zhang13 --disasters disasters.csv --budget 1000 --for-every load=10%
  openpoint harden baran33 --disasters storms:20,seed=1 --max-lines 2 --max-generators 1

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        own = self._check_threat, self._check_ambiguity, self._check_shares, self._check_costs
        return [*super()._checks(), *own]

    @property
    def probabilities(self) -> Ambiguity | DisastersRecipe | None:
        """How wrong the probabilities may be, a text as the recipe that it names.

        Raises:
            OptionError: it names none.
        """
        from openpoint.scenarios.futures import read_disasters_ambiguity

        return read_disasters_ambiguity(self.ambiguity) if isinstance(self.ambiguity, str) else self.ambiguity

    def _check_threat(self) -> None:
        if (self.disasters is None) == (self.any_lines is None):
            both = "both" if self.any_lines is not None else "neither"
            raise OptionError(f"say what may break by one of disasters and any_lines; here are {both}")

    def _check_ambiguity(self) -> None:
        _ = self.probabilities
        if self.disasters is None and self.any_lines is not None and self.ambiguity is not None:
            raise OptionError("any_lines has no probabilities that could be ambiguous; leave the ambiguity out")

    def _check_shares(self) -> None:
        if set(self.shares) - {"load"}:
            raise OptionError("for_every takes the load alone after disasters; what is generated stays as planned")

    def _check_costs(self) -> None:
        if self.costs is not None:
            of_kind(self.costs, HardenCosts, "costs", "HardenCosts()")
