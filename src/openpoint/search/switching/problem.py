"""Switching over several periods: what is asked, and what a run returns."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.network.operating_cost import OperatingCost
from openpoint.twostage.log import Iteration, Termination, relative_gap


@dataclass(frozen=True)
class SwitchingProblem:
    """Periods and what switching costs.

    Attributes:
        networks: (T) the grid with the loads and limits of each period. weights: (T) price of a period's value, > 0:
            hours, or hours times a price. costs: (T) what a period's value is, None = its loss; per unit.
        must_close, must_open: (E) branches whose state is given.
        before: (E) state before the first period, from which its operations count; None: the first period is free.
        change: cost of an operation. most: operations, None = any number.
    """

    networks: tuple[Network, ...]
    weights: Floats
    must_close: Bools
    must_open: Bools
    before: Bools | None = None
    change: float = 0.0
    most: int | None = None
    costs: tuple[OperatingCost, ...] | None = None

    def __post_init__(self) -> None:
        faults = []
        if not self.networks:
            faults.append("there are no periods")
        if not np.all((self.weights > 0.0) & np.isfinite(self.weights)):
            faults.append("the price of every period must be above 0, or what is lost in it has no least value")
        if self.most is not None and self.most < 0:
            faults.append(f"{self.most} operations at most; give 0 or more")
        if not 0.0 <= self.change < math.inf:
            faults.append(f"an operation costs {self.change:g}; give 0 or more")
        if faults:
            raise OptionError("; ".join(faults))

    @property
    def periods(self) -> int:
        """T."""
        return len(self.networks)


@dataclass(frozen=True)
class SwitchingOutcome:
    """The end of a run.

    Attributes:
        termination: why it stopped.
        closed: (T, E) the best plan that keeps the limits; None where none is known.
        values: (T) exact values of its periods, weighted. operations: (T) at the beginning of each period.
        lower_bound, upper_bound: no plan is better than the one, and the best known has the other; inf without a plan,
            and both where it is proven that there is none.
        infeasible: a period that no radial state serves within its limits; None where none is known.
        log: the iterations. nodes: of all topology searches. seconds: of the run.
    """

    termination: Termination
    closed: Bools | None
    values: Floats | None
    operations: Ints | None
    lower_bound: float
    upper_bound: float
    infeasible: int | None
    log: tuple[Iteration, ...]
    nodes: int
    seconds: float

    @property
    def gap(self) -> float:
        return relative_gap(self.lower_bound, self.upper_bound)
