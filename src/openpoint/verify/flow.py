"""AC power flow of a radial state by backward and forward sweeps, in floating point: of one demand, and of many steps.

Both sweep by the same formulas, with numbers for one demand and with arrays of a number for each of many.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.network import Network

SWEEPS = 2000
"""Sweeps, at most."""
FINE, ENOUGH, WILD = 1e-13, 1e-11, 1e3
"""Changes of a voltage in a sweep: at which to stop, up to which there is a flow, and from which on there is none."""

Order = list[tuple[int, int, int]]
"""(bus, parent bus, branch to it), parents first, -1 at sources."""
ByBus = dict[int, Any]
"""By number of a bus or a branch a number, or an array with one for each step."""


class _Sweeps:
    """A radial state that is swept.

    Attributes:
        v: by bus. series: by closed branch its current. current: by bus what is drawn there and beyond.
    """

    def __init__(self, net: Network, order: Order) -> None:
        self.z, self.half = net.z.diagonal().tolist(), (0.5 * net.y_shunt.diagonal()).tolist()
        self.tap, self.rated_fr, self.rated_to = net.tap.tolist(), net.rated_fr.tolist(), net.rated_to.tolist()
        self.drawn = list(zip(net.s_current.tolist(), net.s_impedance.tolist(), strict=True))
        used = {e for _, above, e in order if above >= 0}
        self.hung = [
            (bus, complex(y), e, rated[e])
            for ends, parts, rated in (
                (net.terminal_fr, net.y_open_fr, self.rated_fr),
                (net.terminal_to, net.y_open_to, self.rated_to),
            )
            for e, (bus, y) in enumerate(zip(ends.tolist(), parts.tolist(), strict=True))
            if y and e not in used
        ]
        for bus, y, _, _ in self.hung:  # an open branch is a load of constant impedance, and its power counts as loss
            by_v, by_w = self.drawn[bus]
            self.drawn[bus] = by_v, by_w + y.conjugate()
        self.below = [(bus, above, e, net.terminal_fr[e] == above) for bus, above, e in order if above >= 0]
        self.v: ByBus = dict(zip(net.source_terminal.tolist(), net.source_v.tolist(), strict=True))
        for bus, above, e, forth in self.below:
            self.v[bus] = self.v[above] / self.tap[e] if forth else self.v[above] * self.tap[e]
        self.series: ByBus = {}
        self.current: ByBus = dict.fromkeys(self.v, 0j)

    def backward(self, power: Any) -> None:
        """Currents at the voltages so far; `power`: constant power by bus."""
        v, current = self.v, ByBus()
        for bus, u in v.items():
            by_v, by_w = self.drawn[bus]
            drawn = power[bus] + abs(u) * (by_v + abs(u) * by_w) if by_v or by_w else power[bus]
            current[bus] = (drawn / u).conjugate()
        for bus, above, e, forth in reversed(self.below):
            # The ratio is at the from bus, the shunt behind it; phase shifts change only voltage angles.
            half, tap = self.half[e], self.tap[e]
            if not half and tap == 1.0:
                self.series[e] = current[bus]
                current[above] = current[above] + current[bus]
            elif forth:
                self.series[e] = current[bus] + half * v[bus]
                current[above] = current[above] + (self.series[e] + half * v[above] / tap) / tap
            else:
                self.series[e] = tap * current[bus] + half * v[bus] / tap
                current[above] = current[above] + (self.series[e] + half * v[above])
        self.current = current

    def ends(self, bus: int, above: int, e: int, forth: bool) -> tuple[Any, Any]:
        """The voltages at both ends of the impedance of a branch, of the upper and of the lower one."""
        far = self.v[above] / self.tap[e] if forth else self.v[above]
        return far, far - self.z[e] * self.series[e]

    def loss(self) -> Any:
        """The loss of the state as it is."""
        total: Any = sum(y.real * abs(self.v[bus]) ** 2 for bus, y, _, _ in self.hung)
        for bus, above, e, forth in self.below:
            total = total + self.z[e].real * abs(self.series[e]) ** 2
            if self.half[e].real:
                far, near = self.ends(bus, above, e, forth)
                total = total + self.half[e].real * (abs(near) ** 2 + abs(far) ** 2)
        return total

    def rated(self) -> ByBus:
        """By branch its squared rated current (`openpoint.network.limits`), of open ones that of their charging."""
        found = {e: rated * rated * abs(y) ** 2 * abs(self.v[bus]) ** 2 for bus, y, e, rated in self.hung}
        for bus, above, e, forth in self.below:
            half, tap, series = self.half[e], self.tap[e], self.series[e]
            rated_fr, rated_to = self.rated_fr[e] / tap, self.rated_to[e]
            if not half:
                found[e] = max(rated_fr, rated_to) ** 2 * (series.real**2 + series.imag**2)
                continue
            fr, to = (above, bus) if forth else (bus, above)
            at_fr, at_to = half * self.v[fr] / tap, half * self.v[to]
            at_fr, at_to = (series + at_fr, series - at_to) if forth else (series - at_fr, series + at_to)
            found[e] = np.maximum(rated_fr * abs(at_fr), rated_to * abs(at_to)) ** 2
        return found

    def forward(self) -> ByBus:
        """Voltages at the currents so far; by how much each of them changed."""
        moved = ByBus()
        for bus, above, e, forth in self.below:
            _, near = self.ends(bus, above, e, forth)
            new = near if forth else near * self.tap[e]
            moved[bus], self.v[bus] = new - self.v[bus], new
        return moved


class StateFlow(NamedTuple):
    """The flow of one demand: loss, inf where the sweeps diverge; squared voltages by bus, squared series currents by
    closed branch, squared rated currents by branch, power by source."""

    loss: float
    w: dict[int, float]
    l: dict[int, float]
    rated: dict[int, float]
    delivered: dict[int, complex]


def flow(net: Network, order: Order, generation: Complexes) -> StateFlow:
    """The flow of a radial state.

    Args:
        generation: (G).
    """
    power = net.s_power.copy()
    np.subtract.at(power, net.generator_terminal, generation)
    drawn, state, step = power.tolist(), _Sweeps(net, order), math.inf
    for _ in range(SWEEPS):
        if not all(state.v.values()):
            break
        state.backward(drawn)
        step = max(map(abs, state.forward().values()), default=0.0)
        if not step > FINE or not step < WILD:
            break
    squares = _squares(state.v), _squares(state.series)
    sources = net.source_terminal.tolist()
    delivered = {bus: state.v[bus] * state.current[bus].conjugate() for bus in sources}
    return StateFlow(float(state.loss()) if step <= ENOUGH else math.inf, *squares, state.rated(), delivered)


class StepFlows(NamedTuple):
    """The flows of t steps: (t) loss, inf where the sweeps diverge; (t) squares of voltages by bus, of rated currents
    by branch."""

    loss: Floats
    w: dict[int, Floats]
    rated: dict[int, Floats]


def flows(net: Network, order: Order, power: Complexes) -> StepFlows:
    """The same as `flow` of many steps, each by itself.

    Args:
        net: without generators to choose. power: (t, N) constant power of every bus in every step.
    """
    state = _Sweeps(net, order)
    state.v = {bus: np.full(len(power), v) for bus, v in state.v.items()}
    drawn, step = list(np.ascontiguousarray(power.T)), np.full(len(power), math.inf)
    parts = np.empty(2 * len(power))  # of changes, a real and an imaginary one of each step
    with np.errstate(all="ignore"):  # of a step that diverges
        for _ in range(SWEEPS):
            state.backward(drawn)
            parts[:] = 0.0
            for moved in state.forward().values():
                change = moved.view(np.float64)
                np.maximum(parts, np.abs(change, out=change), out=parts)
            step = parts.reshape(-1, 2).max(axis=1)
            if not np.any((step > FINE) & (step < WILD)):
                break
        loss = np.zeros(len(power)) + state.loss()
        return StepFlows(np.where(step <= ENOUGH, loss, math.inf), _squares(state.v), state.rated())


def _squares(of: ByBus) -> ByBus:
    return {key: value.real**2 + value.imag**2 for key, value in of.items()}
