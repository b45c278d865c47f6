"""Switching actions: how many branches may change their state, and what a change costs.

With x the state of the branches and x⁰ that of today,

    changes(x) = Σ_{x⁰ = 0} x + Σ_{x⁰ = 1} (1 − x),      changes(x) ≤ N,      cost = c · changes(x)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np

from openpoint.arrays import Bools, Floats
from openpoint.solvers.modelling import cp


@final
@dataclass(frozen=True)
class Switching:
    """The branches whose state differs from today's.

    Attributes:
        today: (B) today's state.
        most: most changes; None = any number.
        cost_kw: of a change, in kW of loss.
    """

    today: Bools
    most: int | None
    cost_kw: float

    def changes(self, closed: cp.Expression) -> cp.Expression:
        """Number of changes of a state (B) that is yet to be decided."""
        return cp.sum(closed[~self.today]) + cp.sum(1 - closed[self.today])

    def limit(self, closed: cp.Expression) -> list[cp.Constraint]:
        """changes(x) ≤ N."""
        return [] if self.most is None else [self.changes(closed) <= self.most]

    def cost(self, closed: Bools) -> Floats:
        """(…) cost in kW of states (…, B)."""
        return np.asarray(self.cost_kw * np.sum(closed != self.today, axis=-1))

    def allowed(self, closed: Bools) -> Bools:
        """(…) whether states (…, B) keep to the number of changes."""
        if self.most is None:
            return np.ones(closed.shape[:-1], dtype=np.bool_)
        return np.asarray(np.sum(closed != self.today, axis=-1) <= self.most)
