"""The result of a plan between two states: the order of switching, and the state after every step."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from openpoint.arguments import path_of
from openpoint.grid.grid import Grid
from openpoint.results.base import count_words
from openpoint.results.shape import figure, keys_of
from openpoint.results.switch_plan import STEPS, SwitchPlan
from openpoint.results.switched import HasState
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    import os


class SwitchPlanResult(HasState, study="plan", more=keys_of(SwitchPlan), frames={"switch_plan": STEPS}):
    """The answer of `switch_plan`.

    Attributes:
        grid: in the state before. grid_after: in the state after.
        plan: the order of switching: `steps` (a row an operation), and whether it is proven best.
    """

    grid: Grid
    grid_after: Grid
    open_before: tuple[str, ...] = figure("branches that are open before the plan")
    open_after: tuple[str, ...] = figure("branches that are open after it")
    plan: SwitchPlan

    @property
    def exit_code(self) -> int:
        """As of an optimisation: proven, nothing keeps the limits, or not proven."""
        if not (self.plan.found and self.plan.keeps_limits):
            return Termination.INFEASIBLE.exit_code
        return Termination.OPTIMAL.exit_code if self.plan.proven else Termination.TIME.exit_code

    @property
    def in_short(self) -> str:
        return f"switch plan: {self.plan.in_short}"

    def facts(self) -> dict[str, str]:
        if not self.plan.found:
            return {"order": "none found"}
        return {
            "order": count_words(self.plan.operations, "operation"),
            "limits": "kept on the way" if self.plan.keeps_limits else "broken on the way",
            "not supplied": f"{self.plan.not_supplied_kwh:.1f} kWh",
        }

    def write_checklist(self, path: str | os.PathLike[str]) -> Path:
        """Write the plan as a list to print, with places to tick: `.html`, `.md` or `.csv`.

        Raises:
            OptionError: another ending, or a path that cannot be written.
        """
        from openpoint.report.switch_plan import write_checklist

        return write_checklist(self.grid, self.plan, path_of(path, "path"))

    def _special_values(self) -> dict[str, Any]:
        return {key: getattr(self.plan, key) for key in keys_of(SwitchPlan)}

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        return {"switch_plan": self.plan.steps}
