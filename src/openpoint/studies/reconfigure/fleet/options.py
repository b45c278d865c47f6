"""Options of a fleet: the question of a reconfiguration for each of many grids, and where the results go."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, ClassVar

from openpoint.arguments import path_of
from openpoint.errors import OptionError
from openpoint.options import FIRST, option
from openpoint.results.worth import Worth, read_worth
from openpoint.studies.reconfigure.options import Changing, ReconfigureOptions
from openpoint.studies.shared import EXIT_CODES

if TYPE_CHECKING:
    from openpoint.grid.devices import Held
    from openpoint.studies.reconfigure.methods import Method

_OWN = ("out", "workers", "reports", "pv", "operations", "copies", "worth")


@dataclass(frozen=True)
class ReconfigureFleetOptions(Changing):
    """The question of open points of many grids, each by itself. A time limit is that of each grid.

    Raises:
        OptionError: with all that is wrong.
    """

    out: str | os.PathLike[str] | None = option(
        None,
        "Folder for the results, of one table and one page of all; it must be given. The same command again goes on "
        "from there.",
        "path",
        unit="FOLDER",
        group=FIRST,
    )
    _: KW_ONLY
    workers: int = option(1, "Processes that solve grids; 1: this process.", "whole", unit="N", least=1, group=FIRST)
    reports: bool = option(
        True, "Whether each grid has a report; without them it is quicker, and takes less room.", "flag", group=FIRST
    )
    operations: int | None = option(
        None,
        "Of the switchings of all grids choose those that save most, at most so many operations.  [default: all]",
        "whole",
        unit="N",
        least=0,
        group=FIRST,
    )
    copies: bool = option(
        False,
        "Copy each grid's own file, with the switchings chosen, beside its result.",
        "flag",
        group="Output",
    )
    method: Method | str | None = option(
        None, "How the optimum is found and proven, as of reconfigure.", unit="METHOD", group=FIRST
    )
    soft_limits: bool = option(
        False, "Where nothing keeps all limits: break them least, and of that lose least.", "flag"
    )
    worth: Worth | str | None = option(
        None, "What losses are worth, as of reconfigure: price=80,hours=3000,interest=5%,years=20.", unit="WORTH"
    )
    pv: Held = option(
        "hold",
        "Generators that hold a voltage do so (hold), run at today's output instead (pq), or have their reactive "
        "power chosen within its limits (free).",
        choices=("hold", "pq", "free"),
    )

    several: ClassVar[bool] = True
    reads: ClassVar[tuple[str, ...]] = ()
    methods: ClassVar[tuple[str, ...]] = ReconfigureOptions.methods
    examples: ClassVar[str] = f"""\b
Examples:
  openpoint reconfigure-fleet feeders/*.m --out results
  openpoint reconfigure-fleet feeders/ baran33 --out results --workers 4 --time-limit 60
  openpoint reconfigure-fleet feeders/ --out results --operations 40 --copies

{EXIT_CODES}
The code is 130 after Ctrl-C, 2 where a grid failed, else the greatest of the grids."""

    def _checks(self) -> list[Callable[[], object]]:
        return [
            *super()._checks(),
            lambda: self.of_each,
            self._check_out,
            lambda: read_worth(self.worth),
        ]

    @property
    def of_each(self) -> ReconfigureOptions:
        """The question put to each grid; a method as the object that it is."""
        shared = {each.name: getattr(self, each.name) for each in fields(self) if each.name not in _OWN}
        return ReconfigureOptions(**{**shared, "progress": None})

    def _check_out(self) -> None:
        if self.out is None:
            raise OptionError("name by out the folder for the results")
        path_of(self.out, "out", "the path of a folder")
