"""What is asked of a year in blocks, checked in one place."""

from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real

from openpoint.arguments import all_checked, of_kind
from openpoint.errors import OptionError
from openpoint.scenarios.year.blocks import BlocksLike


@dataclass(frozen=True)
class BlocksQuestion:
    """The arguments of `openpoint.reconfigure` about the blocks of a year; see there.

    Raises:
        OptionError: with all that is wrong.
    """

    blocks: BlocksLike | None = None
    switchings_a_year: int | None = None
    switching_kwh: float = 0.0
    from_today: bool = False

    def __post_init__(self) -> None:
        all_checked(self._check_switchings, self._check_price, self._check_blocks)

    def _check_switchings(self) -> None:
        if self.switchings_a_year is not None:
            of_kind(self.switchings_a_year, int, "switchings_a_year", "0 or more switch operations")
            if self.switchings_a_year < 0:
                raise OptionError(f"switchings_a_year is {self.switchings_a_year}; give 0 or more")

    def _check_price(self) -> None:
        of_kind(self.switching_kwh, Real, "switching_kwh", "kWh per switch operation, 0 or more")
        if not (math.isfinite(self.switching_kwh) and self.switching_kwh >= 0.0):
            raise OptionError(f"switching_kwh is {self.switching_kwh:g}; give kWh per switch operation, 0 or more")

    def _check_blocks(self) -> None:
        if self.blocks is None and (self.switchings_a_year is not None or self.switching_kwh or self.from_today):
            raise OptionError(
                "switchings_a_year, switching_kwh and from_today go with the blocks of a year; give blocks, such as "
                "'monthly', or max_changes for one topology that differs little from today's"
            )
