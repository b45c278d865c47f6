"""The options of the command `reconfigure` about the blocks of a year."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.studies.reconfigure.year.seasons.options import BlocksQuestion


@dataclass(frozen=True, kw_only=True)
class BlockOptions:
    """The blocks of a year, and how often may be switched between them."""

    blocks: Annotated[
        str | None,
        typer.Option(
            metavar="monthly|quarterly|N|TABLE",
            help="Cut the year in blocks, each with open points of its own (--year): by months, quarters, N equal "
            "parts, or a table block,start,end.",
        ),
    ] = None
    switchings_a_year: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="At most N switch operations between the blocks, all together (--blocks); an opening and a closing "
            "are one each, an exchange of two branches is two.  [default: any number]",
        ),
    ] = None
    switching_kwh: Annotated[
        float | None,
        typer.Option(
            metavar="KWH", help="Energy that a switch operation must save to be worth it (--blocks).  [default: 0]"
        ),
    ] = None
    from_today: Annotated[
        bool,
        typer.Option(
            "--from-today", help="Operations from today's state to that of the first block count, too (--blocks)."
        ),
    ] = False

    def question(
        self, year: str | None, max_changes: int | None, change_cost: float, write: Path | None
    ) -> BlocksQuestion | None:
        """What is asked; None where it is nothing. The arguments are other options of the command.

        Raises:
            OptionError: options that do not go together.
        """
        from openpoint.studies.reconfigure.year.seasons.options import BlocksQuestion

        given = {
            "--switchings-a-year": self.switchings_a_year,
            "--switching-kwh": self.switching_kwh,
            "--from-today": self.from_today or None,
        }
        if self.blocks is None:
            if named := [option for option, value in given.items() if value is not None]:
                raise OptionError(
                    f"{named[0]} is about the blocks of a year; give them, too: --year YEAR --blocks monthly"
                )
            return None
        if year is None:
            raise OptionError("--blocks cuts a year; give it, too: --year YEAR, such as --year synthetic-hours")
        if max_changes is not None or change_cost > 0.0:
            raise OptionError(
                "--max-changes and --change-cost are about one topology and today's; with --blocks give "
                "--switchings-a-year N and --switching-kwh KWH, and --from-today where operations count from today's "
                "state on"
            )
        if write is not None:
            raise OptionError("--write writes one topology, and --blocks asks for several; leave one of both out")
        return BlocksQuestion(
            blocks=self.blocks,
            switchings_a_year=self.switchings_a_year,
            switching_kwh=self.switching_kwh or 0.0,
            from_today=self.from_today,
        )
