"""What hardening is asked beside its grid, checked in one place; prices, and the size of a generator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import final

from openpoint.arguments import Solves, all_checked, not_negative, of_kind
from openpoint.errors import OptionError
from openpoint.network.limits import Limits
from openpoint.scenarios.ambiguity import DisastersRecipe
from openpoint.scenarios.disasters import DisastersLike
from openpoint.studies.harden.model import Backup
from openpoint.twostage.ambiguity import Ambiguity
from openpoint.twostage.methods.benders import Benders
from openpoint.twostage.methods.ccg import ColumnAndConstraint
from openpoint.twostage.methods.extensive import ExtensiveForm

Method = ColumnAndConstraint | ExtensiveForm | Benders

POWER_FACTOR = 0.8
"""Rated power factor of diesel generators, by custom."""


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

    line_usd: float = 400.0
    generator_usd: float = 150.0
    generator_kw: float = 100.0
    generator_kvar: float | None = None
    voll_usd_per_kw: float = 14.0
    closed_line_usd: float = 0.0

    def __post_init__(self) -> None:
        prices = ("line_usd", "generator_usd", "voll_usd_per_kw", "closed_line_usd")
        size = () if self.generator_kvar is None else ("generator_kvar",)
        all_checked(
            *(lambda name=name: not_negative(name, getattr(self, name)) for name in (*prices, *size)),
            self._check_generator_kw,
        )

    def _check_generator_kw(self) -> None:
        of_kind(self.generator_kw, Real, "generator_kw", "kW above 0, or max_generators=0 for none")
        if not (math.isfinite(self.generator_kw) and self.generator_kw > 0.0):
            raise OptionError(f"generator_kw is {self.generator_kw:g}; give kW above 0, or max_generators=0 for none")

    @property
    def backup(self) -> Backup:
        """The kind of generator that may be bought."""
        kvar = self.generator_kvar
        return Backup(
            self.generator_kw, self.generator_kw * math.tan(math.acos(POWER_FACTOR)) if kvar is None else kvar
        )


@final
@dataclass(frozen=True, kw_only=True)
class HardenOptions:
    """The arguments of `openpoint.harden` about the answer and the way to it; see there.

    Raises:
        OptionError: with all that is wrong.
    """

    disasters: DisastersLike | None = None
    any_lines: int | None = None
    max_lines: int | None = None
    max_generators: int | None = None
    budget_usd: float | None = None
    costs: HardenCosts | None = None
    ambiguity: Ambiguity | DisastersRecipe | None = None
    limits: Limits | None = None
    method: Method | None = None
    value_of_information: bool | None = None

    def __post_init__(self) -> None:
        all_checked(
            self._check_threat,
            self._check_ambiguity,
            *(lambda name=name: self._check_most(name) for name in ("max_lines", "max_generators", "budget_usd")),
            self._check_method,
            self._check_costs,
            lambda: Limits.given(self.limits),
        )

    def _check_threat(self) -> None:
        if (self.disasters is None) == (self.any_lines is None):
            both = "both" if self.any_lines is not None else "neither"
            raise OptionError(f"give disasters or any_lines, what may break; here are {both}")

    def _check_ambiguity(self) -> None:
        if self.disasters is None and self.any_lines is not None and self.ambiguity is not None:
            raise OptionError("any_lines has no probabilities that could be ambiguous; leave the ambiguity out")

    def _check_most(self, name: str) -> None:
        if (most := getattr(self, name)) is not None:
            not_negative(name, most)

    def _check_method(self) -> None:
        if self.method is not None:
            advice = "ColumnAndConstraint(), ExtensiveForm(solver='highs') or Benders()"
            of_kind(self.method, Solves, "method", advice)

    def _check_costs(self) -> None:
        if self.costs is not None:
            of_kind(self.costs, HardenCosts, "costs", "HardenCosts()")
