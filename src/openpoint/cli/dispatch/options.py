"""The options of the command `dispatch` in groups: what is free, what is sought and kept, by which method."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from openpoint.cli.options import TIME_LIMIT_S, MaxChangesOption, TimeLimitOption, gap_option, solver_option
from openpoint.errors import OptionError

if TYPE_CHECKING:
    from openpoint.studies.dispatch.methods import Method

GAP = 1e-4
"""Relative gap that is proven unless another is asked for; topology search has its own."""


class MethodName(StrEnum):
    """How the optimum is found and proven."""

    SEARCH = "search"
    BENDERS = "benders"
    EXTENSIVE = "extensive"
    ENUMERATION = "enumeration"
    COLUMNS = "columns"
    SWITCHING = "switching"
    SCENARIOS = "scenarios"


@dataclass(frozen=True, kw_only=True)
class QuestionOptions:
    """What may move, what is minimised, and what is bounded."""

    free: Annotated[
        str | None,
        typer.Option(
            metavar="KINDS",
            help="What may move: topology (switches), taps (tap changers, voltages that sources hold), capacitors "
            "(steps), generators (outputs), commitment (whether generators run); as topology,taps.  [default: all that "
            "the grid says may move]",
        ),
    ] = None
    minimize: Annotated[
        str,
        typer.Option(
            metavar="WEIGHTS",
            help="What is least: losses (kW), cost ($/h), balance (sum over feeder heads of squared loading), "
            "deviation (mean of |v² − 1| / 2, pu), changes (switches moved), moves (devices moved); several with "
            "weights, as losses=1,balance=0.2: a weight says what a unit counts.",
        ),
    ] = "losses"
    at_most: Annotated[
        str | None,
        typer.Option(
            metavar="BOUNDS", help="What is kept beside the limits: the most of a criterion, as balance=0.8,changes=4."
        ),
    ] = None
    max_changes: MaxChangesOption = None


@dataclass(frozen=True, kw_only=True)
class MethodOptions:
    """How the optimum is found and proven."""

    method: Annotated[
        MethodName | None,
        typer.Option(
            help="How the optimum is found and proven; columns, switching and scenarios plan a day.  [default: search "
            "where what is sought has a bound in closed form; else enumeration where states are few, else benders; of "
            "a day what suits it]"
        ),
    ] = None
    solver: Annotated[str | None, solver_option("scip")] = None
    gap: Annotated[
        float | None,
        gap_option("1e-6 by search, 1e-4 in the long run and by others, 1e-3 of a day"),
    ] = None
    time_limit: TimeLimitOption = TIME_LIMIT_S

    def chosen(self) -> Method | None:
        """The method of that name with these options; None where the question chooses it.

        Raises:
            OptionError: an option that this method does not have.
        """
        if self.solver is not None and self.method is not MethodName.EXTENSIVE:
            raise OptionError("--solver is an option of --method extensive; leave it out, or name that method")
        if self.method is None:
            return None
        from openpoint.search.methods import Enumeration, TopologySearch
        from openpoint.twostage.methods.decomposition import Benders
        from openpoint.twostage.methods.extensive import ExtensiveForm

        if self.method is MethodName.ENUMERATION:
            if self.gap is not None:
                raise OptionError("--gap is no option of --method enumeration, which tries all; leave one out")
            return Enumeration(time_limit_s=self.time_limit)
        limit = self.time_limit
        if self.method is MethodName.SEARCH:
            search = TopologySearch(time_limit_s=limit)
            return search if self.gap is None else replace(search, gap=self.gap)
        gap = GAP if self.gap is None else self.gap
        if self.method is MethodName.BENDERS:
            return Benders(gap=gap, time_limit_s=limit)
        return ExtensiveForm(solver=self.solver or "scip", gap=gap, time_limit_s=limit)
