"""The result of a reconfiguration with limits of faults, or of least interruptions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import polars as pl

from openpoint.results import columns as c
from openpoint.results.base import Head, in_kw
from openpoint.results.common import ENDS
from openpoint.results.shape import declare, figure, keys_of, table
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
    """The effects of faults in a state; None where it is not known."""

    unrestorable: int | None = figure("faults that one tie for each part does not restore", default=None)
    saifi_per_year: float | None = figure("SAIFI: interruptions of a customer a year", default=None)
    saidi_h_per_year: float | None = figure("SAIDI: hours without supply of a customer a year", default=None)
    not_supplied_kwh_per_year: float | None = figure("energy not supplied a year, kWh", default=None)


declare(FaultSummary)
_OF_FAULTS = keys_of(FaultSummary)
_WHEN = {"before": "today", "after": "in the answer"}


@final
class SecuredResult(
    TopologyResult,
    study="reconfigure-secure",
    also=("minimized_unit",),
    more={
        f"{when}_{key}": {**schema, "description": f"{schema['description']}, {word}"}
        for when, word in _WHEN.items()
        for key, schema in _OF_FAULTS.items()
    },
):
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
        return self._head(self.minimized_value, self.minimized_bound, self.minimized_unit)

    def answer_facts(self) -> dict[str, str]:
        loss = f"{in_kw(self.loss_before_kw)} → {in_kw(self.loss_kw)}"
        return {"loss": loss, "unrestorable": f"{self.before.unrestorable} → {self.after.unrestorable}"}

    def _special_values(self) -> dict[str, Any]:
        both = {f"{when}_{key}": getattr(getattr(self, when), key) for when in _WHEN for key in _OF_FAULTS}
        return super()._special_values() | both
