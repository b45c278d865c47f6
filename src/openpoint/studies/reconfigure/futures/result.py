"""The result of reconfiguring for many futures: one topology, judged in every future next to two others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.names import join_names
from openpoint.results.base import Head, in_kw
from openpoint.results.shape import Shape
from openpoint.results.switched import SwitchedResult
from openpoint.studies.reconfigure.futures.schema import FUTURES
from openpoint.twostage.log import Termination

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class FuturesResult(SwitchedResult):
    """What `reconfigure` answers where futures are given. Every figure is that of an exact AC power flow.

    Three topologies are compared: `before`, today's; `mean`, the best one for the mean future alone, under the same
    limits and options; `after`, the answer. Where probabilities are not known, means and shares count all futures
    alike. A future in which a topology has no power flow solution has an infinite loss, and keeps no limits.

    Attributes:
        grid: the grid asked about, as given.
        method, termination, seconds: as of `ReconfigureResult`; seconds are of the answer alone.
        risk: what was minimised, for people. ambiguity: how the probabilities may be wrong; None = known or not needed.
        limits_share: share of the futures in which the limits had to be kept.
        open_before, open_mean, open_branches: open branches of the three topologies (empty if there is none).
        objective_kw: risk of the losses plus the cost of the changes, what the bounds enclose; None without an answer.
        lower_bound_kw: proven bound of objective_kw. gap: (objective − bound) / objective.
        ac_max_mismatch_pu: largest power mismatch in any future of the answer by an independent check.
        least_violation_open: where infeasible: the open branches of the least violation met.
        plans: one row each for the topologies in the futures planned for (`set` planned), and in those of the sample
            (`set` sample): set, topology, loss_expected_kw, loss_cvar90_kw (mean of the worst tenth), loss_worst_kw,
            worst_future, risk_kw (of the losses, by the risk asked for, where it can be told), limits_kept_share,
            unsolved (futures without a power flow), v_lowest_pu, v_highest_pu, loading_highest_percent.
        futures: one row a future planned for: future, probability, weight (the probability that counts for the answer
            under the risk), demand_kw, and for each topology loss_*_kw, v_min_*_pu, v_max_*_pu, loading_*_percent,
            violations_* (limits that do not hold).
        sample: the same of the sample, without weight; empty if there is none.
        violations: limits that the answer breaks in futures planned for: future, kind, name, value, limit, unit.
        buses: name, vn_kv, v_min_pu, v_max_pu (limits), and for today and the answer v_lowest_*_pu and v_highest_*_pu
            in any future planned for.
        branches: kind, name, from_bus, to_bus, switchable, closed_before, closed_mean, closed_after, i_max_a, and for
            today and the answer i_highest_*_a, loading_highest_*_percent, loss_expected_*_kw.
        iterations: as of `ReconfigureResult`.
        notes: warnings that belong to the answer.

    Where infeasible, `after` is the state of least violation met, if any.
    """

    grid: Grid
    method: str
    termination: Termination
    seconds: float
    risk: str
    ambiguity: str | None
    limits_share: float
    open_before: tuple[str, ...]
    open_mean: tuple[str, ...]
    open_branches: tuple[str, ...]
    objective_kw: float | None
    lower_bound_kw: float
    gap: float
    ac_max_mismatch_pu: float | None
    least_violation_open: tuple[str, ...]
    plans: pl.DataFrame
    futures: pl.DataFrame
    sample: pl.DataFrame
    violations: pl.DataFrame
    buses: pl.DataFrame
    branches: pl.DataFrame
    iterations: pl.DataFrame
    notes: tuple[str, ...] = ()

    shape: ClassVar[Shape] = FUTURES
    place: ClassVar[str] = "openpoint.studies.reconfigure.futures"

    @property
    def head(self) -> Head:
        return Head(
            objective=self.objective_kw,
            bound=self.lower_bound_kw,
            gap=self.gap,
            unit="kW",
            termination=self.termination,
            log=self.iterations,
            violations=self.violations,
        )

    def answer_facts(self) -> dict[str, str]:
        return {self.risk: in_kw(self.objective_kw), "open": join_names(self.open_branches) or "none"}

    @property
    def futures_count(self) -> int:
        """Number of futures planned for."""
        return self.futures.height

    @property
    def sample_count(self) -> int:
        """Number of other futures by which the answer is judged."""
        return self.sample.height

    @property
    def has_answer(self) -> bool:
        """Whether a topology was found that keeps the limits in the share of futures asked for."""
        return self.objective_kw is not None

    def plot(self, kind: Literal["grid", "losses", "voltages"] = "losses") -> Figure:
        """A picture for notebooks: the grid before and after, or how losses or voltages spread over the futures."""
        from openpoint.studies.reconfigure.futures.pictures.figures import draw_futures

        return draw_futures(self, kind=kind)
