"""A witness: a load of a set at which a state breaks limits, by its exact AC power flow."""

from __future__ import annotations

import polars as pl

from openpoint.results import columns as c
from openpoint.results.base import Result
from openpoint.results.shape import figure, table
from openpoint.results.violation import VIOLATIONS, Violation

WITNESS: c.Table = {
    "kind": c.text("table of what deviates", options=("loads", "generators")),
    "name": c.text("its name", "load or generator"),
    "bus": c.text("its bus", "bus"),
    "p_today_kw": c.number("active power as it is, kW", "P as it is, kW", 2),
    "p_kw": c.number("active power at which limits are broken, kW", "P, kW", 2),
    "q_today_kvar": c.number("reactive power as it is, kvar", "Q as it is, kvar", 2),
    "q_kvar": c.number("reactive power at which limits are broken, kvar", "Q, kvar", 2),
}


class HasWitness(Result, frames={"witness": WITNESS}):
    """A result that may have a witness.

    Attributes:
        witness_loads: all that deviates, with its power at the witness; None where there is none.
    """

    witness_open: tuple[str, ...] = figure("branches open in the state that the witness disproves", default=())
    witness_limits: tuple[Violation, ...] = table(
        VIOLATIONS,
        "limits that this state breaks at the witness, a load of the set, by exact AC power flow",
        default=(),
    )
    witness_loads: pl.DataFrame | None = None

    def _special_tables(self) -> dict[str, pl.DataFrame]:
        loads = c.empty(WITNESS) if self.witness_loads is None else self.witness_loads
        return {**super()._special_tables(), "witness": loads}
