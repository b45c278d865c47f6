"""The result of a reconfiguration with limits of faults, or of least interruptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, final

import polars as pl

from openpoint.results.base import Head, in_kw
from openpoint.results.shape import Shape
from openpoint.studies.reconfigure.faults.schema import SECURED
from openpoint.studies.reconfigure.result import TopologyResult

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


@final
@dataclass(frozen=True, repr=False, kw_only=True)
class SecuredResult(TopologyResult):
    """The answer of `reconfigure_secure`: a topology with what faults do today and in the answer.

    Attributes:
        minimized: the figure that is least: loss, saifi, saidi or ens. minimized_value, minimized_bound: of it; `gap`
            is that of both. fault_limit: what faults may do at most, in words.
        before, after: what faults do today and in the answer.
        faults: kind, name, from_bus, to_bus, restorable_before, restorable_after; a row a branch that may fail.
    """

    minimized: str
    minimized_value: float | None
    minimized_bound: float
    fault_limit: str
    before: FaultSummary
    after: FaultSummary
    faults: pl.DataFrame

    shape: ClassVar[Shape] = SECURED

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
