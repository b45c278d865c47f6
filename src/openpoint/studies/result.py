"""Results: bounds, open points and states under the grid's own names and units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, slots=True)
class Violation:
    """A limit that an operating point breaks.

    Attributes:
        kind: `voltage low`, `voltage high`, `current`, or of a generator `active power`, `reactive power`.
        name: bus or branch.
        value, limit: in the unit of `unit`.
        phase: of the bus or branch; "1" in a balanced grid.
    """

    kind: str
    name: str
    value: float
    limit: float
    phase: str = "1"

    @property
    def unit(self) -> str:
        return {"current": "A", "active power": "kW", "reactive power": "kvar"}.get(self.kind, "pu")

    def __str__(self) -> str:
        place = self.name if self.phase == "1" else f"{self.name}, phase {self.phase}"
        return f"{self.kind} at {place}: {self.value:.5g} {self.unit}, limit {self.limit:.5g} {self.unit}"


@dataclass(frozen=True)
class ReconfigureResult:
    """What `reconfigure` answers. `loss_kw` is the exact AC loss of the open points found.

    Attributes:
        grid: the grid asked about, as given.
        method: name and options of the method, for people.
        termination: why the run ended; `termination.remedy` says what to do.
        seconds: of the method alone.
        open_before, open_branches: names of the open branches today and in the answer (empty if there is none).
        loss_before_kw: exact AC loss today; None where today's state is not radial or its flow has no solution.
        loss_kw: exact AC loss of the answer; None where no topology that keeps the limits was found.
        objective_kw: loss_kw plus the cost of the changes, what the bounds enclose.
        lower_bound_kw: proven bound of objective_kw. gap: (objective − bound) / objective.
        v_min_pu, v_min_bus: lowest voltage of the answer and its bus; `v_min_before_pu`, `v_min_before_bus` today's.
        ac_max_mismatch_pu: largest power mismatch of the AC solution at any bus, per unit of `s_base_kva`.
        violations: limits that the AC solution of the answer breaks (empty when `loss_kw` is verified).
        least_violation: where infeasible: the limits that break at the least violation met.
        least_violation_open: the open branches of that state.
        buses: name, vn_kv, v_min_pu, v_max_pu, v_before_pu, v_after_pu, angle_before_degree, angle_after_degree.
        branches: kind, name, from_bus, to_bus, switchable, closed_before, closed_after, i_max_a, i_before_a, i_after_a,
            loading_before_percent, loading_after_percent, p_from_before_kw, p_from_after_kw, q_from_before_kvar,
            q_from_after_kvar, loss_before_kw, loss_after_kw. Power is positive from the from bus to the to bus.
        generators: name, bus, p_kw, q_kvar of the answer.
        iterations: number, seconds, lower_bound_kw, upper_bound_kw, gap, value_kw, verdict, violation, mark.
        notes: warnings that belong to the answer.
    """

    grid: Grid
    method: str
    termination: Termination
    seconds: float
    open_before: tuple[str, ...]
    open_branches: tuple[str, ...]
    loss_before_kw: float | None
    loss_kw: float | None
    objective_kw: float | None
    lower_bound_kw: float
    gap: float
    v_min_pu: float | None
    v_min_bus: str | None
    v_min_before_pu: float | None
    v_min_before_bus: str | None
    ac_max_mismatch_pu: float | None
    violations: tuple[Violation, ...]
    least_violation: tuple[Violation, ...]
    least_violation_open: tuple[str, ...]
    buses: pl.DataFrame
    branches: pl.DataFrame
    generators: pl.DataFrame
    iterations: pl.DataFrame
    notes: tuple[str, ...] = ()

    @property
    def changes(self) -> tuple[str, ...]:
        """Branches whose state differs between today and the answer."""
        return tuple(sorted(set(self.open_before) ^ set(self.open_branches))) if self.loss_kw is not None else ()

    def plot(self, kind: Literal["grid", "voltage", "loading", "convergence"] = "grid") -> Figure:
        """A picture for notebooks: the grid before and after, its voltages, its loading, or the bounds closing."""
        from openpoint.report.figures import draw

        return draw(self, kind=kind)
