"""What is certified of a plan in exact AC power flow."""

from __future__ import annotations

from dataclasses import dataclass, field

import polars as pl

from openpoint.enclosure.claims import Claim
from openpoint.results.columns import empty
from openpoint.studies.partition.schema import COUNTEREXAMPLE, LIMITS, POLICY, SET_POINTS


@dataclass(frozen=True)
class Certificate:
    """What is proved of a plan in exact AC power flow over its whole set.

    Attributes:
        verdict: `proved`, `disproved` or `open`, of the best set-points found. as_planned: of those of the plan.
        level: multiple of the set to which it is proved, at least; None where it is not.
        cost_usd: no load of the set costs more with the policy, without the de-energised blocks; None: not proved.
        short_kw: by how much, at the load of `counterexample`, limits are missed at least, kW or kvar; None: no such.
        note: why nothing is said; empty where something is.
        failing: where it is disproved, the generators that form islands which fail with any set-points.
        claim: what is proved, as a file of it states; None: not proved.
        limits: all limits with their proven margins. set_points, policy: what is operated. counterexample: a load.
    """

    verdict: str
    as_planned: str
    level: float | None = None
    cost_usd: float | None = None
    short_kw: float | None = None
    note: str = ""
    failing: tuple[str, ...] = ()
    claim: Claim | None = None
    limits: pl.DataFrame = field(default_factory=lambda: empty(LIMITS))
    set_points: pl.DataFrame = field(default_factory=lambda: empty(SET_POINTS))
    policy: pl.DataFrame = field(default_factory=lambda: empty(POLICY))
    counterexample: pl.DataFrame = field(default_factory=lambda: empty(COUNTEREXAMPLE))
