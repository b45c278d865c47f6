"""The result of a reconfiguration with limits of faults, or of least interruptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import polars as pl

from openpoint.results import columns as c
from openpoint.results.base import Head, in_kw
from openpoint.results.common import ENDS
from openpoint.results.schema import Schema, maybe
from openpoint.results.shape import figure, table
from openpoint.studies.reconfigure.faults.task import Sought
from openpoint.studies.reconfigure.result import TopologyResult

FAULTS: c.Table = {
    **ENDS,
    "restorable_before": c.maybe_flag("whether one tie for each part restores it today; null: no fault", "today"),
    "restorable_after": c.maybe_flag("the same in the answer", "answer"),
}
UNITS = {
    "loss": "kW",
    "saifi": "interruptions of a customer a year",
    "saidi": "h of a customer a year",
    "ens": "kWh a year",
}


@dataclass(frozen=True, slots=True)
class FaultSummary:
    """The effects of faults in a state; None where it is not known.

    Attributes:
        unrestorable: faults after which one tie for each part leaves supply out that is not isolated.
        saifi_per_year, saidi_h_per_year: of a customer. not_supplied_kwh_per_year: at today's load.
    """

    unrestorable: int | None = None
    saifi_per_year: float | None = None
    saidi_h_per_year: float | None = None
    not_supplied_kwh_per_year: float | None = None


def _of_faults() -> dict[str, Schema]:
    keys: dict[str, Schema] = {}
    for when, word in (("before", "today"), ("after", "in the answer")):
        keys |= {
            f"unrestorable_{when}": maybe("integer", f"faults that one tie for each part does not restore, {word}"),
            f"saifi_{when}_per_year": maybe("number", f"SAIFI: interruptions of a customer a year, {word}"),
            f"saidi_{when}_h_per_year": maybe("number", f"SAIDI: hours without supply of a customer a year, {word}"),
            f"not_supplied_{when}_kwh_per_year": maybe("number", f"energy not supplied a year, kWh, {word}"),
        }
    return keys


@final
class SecuredResult(TopologyResult, study="reconfigure-secure", also=("minimized_unit",), more=_of_faults()):
    """The answer of `reconfigure_secure`: a topology with what faults do today and in the answer.

    Attributes:
        before, after: what faults do today and in the answer.
    """

    minimized: str = figure("the figure that is least", options=list(Sought))
    minimized_value: float | None = figure("its value in the answer, in minimized_unit; null: no answer")
    minimized_bound: float = figure("proven lower bound of it; the key gap is that of both", maybe=True)
    fault_limit: str = figure("what faults may do at most; empty: anything")
    before: FaultSummary
    after: FaultSummary
    faults: pl.DataFrame = table(FAULTS)

    @property
    def minimized_unit(self) -> str:
        """The unit of what is least."""
        return UNITS[self.minimized]

    @property
    def head(self) -> Head:
        return self._head(self.minimized_value, self.minimized_bound, self.minimized_unit, self.violations_listed())

    def answer_facts(self) -> dict[str, str]:
        loss = f"{in_kw(self.loss_before_kw)} → {in_kw(self.loss_kw)}"
        return {"loss": loss, "unrestorable": f"{self.before.unrestorable} → {self.after.unrestorable}"}

    def _special_values(self) -> dict[str, Any]:
        found = super()._special_values()
        for when, faults in (("before", self.before), ("after", self.after)):
            found |= {
                f"unrestorable_{when}": faults.unrestorable,
                f"saifi_{when}_per_year": faults.saifi_per_year,
                f"saidi_{when}_h_per_year": faults.saidi_h_per_year,
                f"not_supplied_{when}_kwh_per_year": faults.not_supplied_kwh_per_year,
            }
        return found
