"""What a user of hardening gives besides the grid and what threatens it: prices, and the size of a generator."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import final

from openpoint.errors import OptionError
from openpoint.studies.harden.model import Backup

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
        for name in ("line_usd", "generator_usd", "voll_usd_per_kw", "closed_line_usd"):
            not_negative(name, getattr(self, name))
        if self.generator_kvar is not None:
            not_negative("generator_kvar", self.generator_kvar)
        if not (math.isfinite(self.generator_kw) and self.generator_kw > 0.0):
            raise OptionError(f"generator_kw is {self.generator_kw:g}; give kW above 0, or max_generators=0 for none")

    @property
    def backup(self) -> Backup:
        """The kind of generator that may be bought."""
        kvar = self.generator_kvar
        return Backup(
            self.generator_kw, self.generator_kw * math.tan(math.acos(POWER_FACTOR)) if kvar is None else kvar
        )


def not_negative(name: str, value: float) -> None:
    """Refuse a figure below 0.

    Raises:
        OptionError: saying which.
    """
    if not (math.isfinite(value) and value >= 0):
        raise OptionError(f"{name} is {value:g}; give 0 or more")
