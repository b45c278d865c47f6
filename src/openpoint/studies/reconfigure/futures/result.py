"""The result of reconfiguring for many futures: one topology, evaluated in every future next to two others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import polars as pl

from openpoint.names import join_names
from openpoint.results.base import in_kw
from openpoint.results.shape import Shape
from openpoint.results.switched import LossResult
from openpoint.studies.reconfigure.futures.schema import FUTURES

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, repr=False, kw_only=True)
class FuturesResult(LossResult):
    """The answer of `reconfigure` where futures are given. Every figure is that of an exact AC power flow.

    Three topologies are compared: `before`, today's; `mean`, the best one for the mean future alone, under the same
    limits and options; `after`, the answer, or where infeasible the state of least violation met, if any. Where
    probabilities are not known, means and shares count all futures alike. A future in which a topology has no power
    flow solution has an infinite loss, and keeps no limits.

    Attributes:
        seconds: of the answer alone.
        risk: what was minimised, for people. ambiguity: how the probabilities may be wrong; None = known or not needed.
        limits_share: share of the futures in which the limits had to be kept.
        open_mean: open branches of the best topology for the mean future (empty if there is none).
        ac_max_mismatch_pu: largest power mismatch in any future of the answer by an independent check.
        plans: one row each for the topologies in the futures planned for (`set` planned), and in those of the sample
            (`set` sample). loss_cvar90_kw is the mean of the worst tenth; risk_kw is of the losses, by the risk asked
            for, where it is defined; unsolved counts futures without a power flow.
        futures: one row a future planned for; `weight` is the probability that counts for the answer under the risk.
        sample: the same of the sample, without weight; empty if there is none.
        violations: limits that the answer breaks in futures planned for.
        buses, branches: extremes and means over the futures planned for, today and in the answer.
    """

    risk: str
    ambiguity: str | None
    limits_share: float
    open_mean: tuple[str, ...]
    plans: pl.DataFrame
    futures: pl.DataFrame
    sample: pl.DataFrame
    violations: pl.DataFrame

    shape: ClassVar[Shape] = FUTURES

    def violations_listed(self) -> pl.DataFrame:
        return self.violations

    def answer_facts(self) -> dict[str, str]:
        return {self.risk: in_kw(self.objective_kw), "open": join_names(self.open_branches) or "none"}

    @property
    def futures_count(self) -> int:
        """Number of futures planned for."""
        return self.futures.height

    @property
    def sample_count(self) -> int:
        """Number of other futures in which the answer is evaluated."""
        return self.sample.height
