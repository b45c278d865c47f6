"""Exact AC power flows of the topologies of a grid of any phases: branch exchange from an answer, and enumeration."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from openpoint.grid.grid import Grid
from openpoint.network import Bools
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.search.exchange_phases import exchanges_coupled
from openpoint.studies.powerflow_phases import PhaseState, excess, state_of
from openpoint.studies.radial_phases import PhasesProgram, by_branch
from openpoint.twostage.log import Iteration

BETTER = 1e-9
"""Relative difference of prices that counts as better."""
NEWS_EVERY_S = 1.0
"""Seconds between two lines of the log."""

Price = tuple[float, float]
"""Sum of the excesses of limits, and the objective in kW; kept limits come first."""
NONE: Price = (math.inf, math.inf)


@dataclass
class AcJudge:
    """Exact power flows of topologies by OpenDSS, each computed once; the circuit is compiled once."""

    grid: Grid
    program: PhasesProgram
    _circuit: OpenDssCircuit | None = None
    _known: dict[bytes, Price] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """Topologies priced."""
        return len(self._known)

    def state(self, closed: Bools) -> PhaseState:
        """The AC state of a topology (B), radial or not; where it has no solution every voltage is nan."""
        if self._circuit is None:
            self._circuit = OpenDssCircuit(self.grid, closed=closed)
        else:
            self._circuit.rewire(closed)
        net = self.program.network
        return state_of(self.grid, replace(net, closed=closed[net.conductor_branch]), self._circuit.solve())

    def price(self, closed: Bools) -> Price:
        """The price of a radial topology (B); `NONE` where too much is changed or there is no state."""
        key = closed.tobytes()
        if key not in self._known:
            self._known[key] = self._price(closed) if self.program.allowed(closed) else NONE
        return self._known[key]

    def _price(self, closed: Bools) -> Price:
        state = self.state(closed)
        missed = excess(self.program.network, state)
        if not math.isfinite(missed):
            return NONE
        return missed, state.loss_kw + self.program.cost(closed * 1.0)


def better(price: Price, than: Price) -> bool:
    """Whether a price is better: fewer limits missed, or the same and less lost."""
    if abs(price[0] - than[0]) > BETTER * max(1.0, than[0]) or math.isinf(than[0]):
        return price[0] < than[0]
    return price[1] < than[1] - BETTER * abs(than[1])


def descend_ac(
    judge: AcJudge, closed: Bools, stop: Callable[[], bool], told: Callable[[Price], None]
) -> tuple[Price, Bools]:
    """Best exchange after best exchange from a radial state (B) by exact power flow, until none is better.

    Args:
        judge: prices. closed: where to start.
        stop: asked before every power flow.
        told: of the best price, after every power flow.
    """
    program, net = judge.program, judge.program.network
    best = judge.price(closed)
    told(best)
    while True:
        around = (best, closed)
        for state in exchanges_coupled(program.choices, net.conductor_branch, closed[net.conductor_branch]):
            if stop():
                return around
            near = by_branch(net, state)
            if better(price := judge.price(near), around[0]):
                around = price, near
            told(around[0])
        if not better(around[0], best):
            return best, closed
        best, closed = around


def best_of(
    judge: AcJudge, states: Iterable[Bools], stop: Callable[[], bool], told: Callable[[Price], None]
) -> tuple[Price, Bools | None]:
    """The best of the topologies (B) given, as far as they were priced before `stop`; None where none has a state."""
    found: tuple[Price, Bools | None] = (NONE, None)
    for closed in states:
        if stop():
            break
        if better(price := judge.price(closed), found[0]):
            found = price, closed
        told(found[0])
    return found


@dataclass
class News:
    """Lines of the log while topologies are priced; a line a second, and what the last says stays."""

    began: float
    lower: float
    upper: float
    progress: Callable[[Iteration], None]
    log: list[Iteration]
    what: str
    priced: int = 0
    last_s: float = -math.inf

    def told(self, price: Price) -> None:
        """One more topology was priced."""
        self.priced += 1
        if time.perf_counter() - self.last_s >= NEWS_EVERY_S:
            self.say(price, interim=True)

    def say(self, price: Price, *, interim: bool) -> None:
        """A line."""
        self.last_s = time.perf_counter()
        value = price[1] if price[0] == 0.0 else math.inf
        words = f"{self.what}, {self.priced:,} AC power flows"
        missed = price[0] if np.isfinite(price[0]) else 0.0
        line = Iteration(
            len(self.log) + 1, self.last_s - self.began, self.lower, self.upper, value, words, missed, "", interim
        )
        self.log.append(line)
        self.progress(line)
