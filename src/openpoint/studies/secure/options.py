"""Options of `secure`, checked in one place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

from openpoint.arguments import Names, of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, option
from openpoint.studies.secure.model.assumptions import FaultAssumptions
from openpoint.studies.shared import ForEverySome, Limited

if TYPE_CHECKING:
    from openpoint.grid.grid import Grid


@final
@dataclass(frozen=True, kw_only=True)
class SecureOptions(ForEverySome, Limited, FaultAssumptions):
    """The question of what faults do and what may be done after them.

    The limits are those of planning, without a fault; those of an emergency are these but for what is given of them.

    Raises:
        OptionError: with all that is wrong.
    """

    open_branches: Names | None = option(
        None,
        "Evaluate the state with these branches open, as 7,9.  [default: today's]",
        "names",
        unit="NAMES",
        flag="open",
        group=FIRST,
    )
    switchings: int = option(
        1,
        "Most branches closed after a fault; as many are opened as keep the grid radial. Always one for each part cut "
        "off.",
        "whole",
        unit="K",
        least=1,
        group=FIRST,
    )
    any_switching: bool = option(
        False,
        "Find, or prove that there is not, any radial state that restores the supply: by how many closings soever.",
        "flag",
        group=FIRST,
    )
    switchable: Names = option(
        (),
        "Names or patterns (COUPLER*,T1) of what may be operated after a fault though the grid does not say so.",
        "names",
        unit="NAMES",
        group=FIRST,
    )
    hold: Mapping[str, tuple[float, float]] | str | None = option(
        None,
        "Voltages that tap changers hold after a fault, pu at the to side: T*=1.00:1.03; none: taps stay.  [default: "
        "as the grid says]",
        unit="BANDS",
        group=FIRST,
    )
    time_limit_s: float | None = option(
        None,
        "Stop then; what is not decided is listed as unknown.",
        "number",
        unit="SECONDS",
        least=0.0,
        endless=True,
        flag="time-limit",
        group=FIRST,
    )

    examples: ClassVar[str] = """\b
A fault takes down all that no switch can part from it. Each part fed through it is then fed by one tie, if the exact
AC power flow keeps the limits. Where no tie does, --switchings 3 closes up to three branches and opens others, so that
the grid stays radial; --any-switching finds or rules out that any switching at all restores the supply. Customers and
rates are tables in a folder or workbook: customers (bus, customers), rates (branch, failures_per_year, repair_h) and
breakers (branch, end), where one trips in a feeder.

\b
Examples:
  openpoint secure baran33
  openpoint secure baran33 --open 7,9,14,32,37 --emergency loading=120
  openpoint secure baran33 --switchings 3 --any-switching
  openpoint secure baran33 --for-every load=10%
  openpoint secure station.m --switchable "CB*" --hold "T*=1.00:1.03"
  openpoint secure my_grid.m --reliability data/ --failures km=0.05 --report report.html

\b
Exit codes:
   0  every fault was evaluated; those not decided by the time limit or Ctrl-C are listed as unknown
   2  bad input or usage; the message names the place and the remedy
  70  internal error: please report it
  74  evaluated, but a file asked for could not be written"""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), lambda: self.bands]

    @property
    def beyond_ties(self) -> bool:
        """Whether more than one tie a part is asked for."""
        return self.any_switching or self.switchings > 1

    @property
    def bands(self) -> tuple[tuple[str, float, float], ...] | None:
        """Names or patterns of transformers, each with its band; None where the grid says which.

        Raises:
            OptionError: what is no band.
        """
        given, advice = self.hold, "bands such as T1=1.00:1.03,T2=0.99:1.02, or none"
        if given is None or isinstance(given, Mapping):
            pairs: list[tuple[str, Any]] = list((given or {}).items())
        else:
            of_kind(given, str, "hold", advice)
            parts = [] if given == "none" else [part.partition("=") for part in given.split(",")]
            pairs = [(name.strip(), band.split(":")) for name, _, band in parts]
        found = []
        for name, band in pairs:
            try:
                low, high = (float(value) for value in band)
            except (TypeError, ValueError):
                raise OptionError(f"hold says {band!r} of {name!r}; give {advice}") from None
            if not 0.0 < low < high < 2.0:
                raise OptionError(f"hold says {low:g} to {high:g} pu of {name!r}; give {advice}")
            found.append((name, low, high))
        return None if given is None else tuple(found)

    def holding(self, grid: Grid) -> Grid:
        """The grid whose tap changers hold what was asked for.

        Raises:
            InputError: a name that is no transformer with a tap changer.
        """
        from openpoint.studies.secure.model.taps import with_bands

        return grid if self.bands is None else with_bands(grid, self.bands)

    def state(self, grid: Grid) -> tuple[str, ...] | None:
        """Names of the branches that are open; None for today's state."""
        from openpoint.studies.shared import split

        return None if self.open_branches is None else split(grid, self.open_branches, "open_branches")
