"""AC power flow of a radial state by backward and forward sweeps, in floating point."""

from __future__ import annotations

import math

import numpy as np

from openpoint.arrays import Complexes
from openpoint.network import Network


def flow(
    net: Network, order: list[tuple[int, int, int]], generation: Complexes
) -> tuple[float, dict[int, float], dict[int, float], dict[int, complex]]:
    """Loss, inf where the sweeps diverge; squared voltages by bus, squared currents by closed branch, power by source.

    Args:
        order: (bus, parent bus, branch to it), parents first, -1 at sources. generation: (G).
    """
    power = net.s_power.copy()
    np.subtract.at(power, net.generator_terminal, generation)
    drawn = list(zip(power.tolist(), net.s_current.tolist(), net.s_impedance.tolist(), strict=True))
    z, half, tap = net.z.diagonal().tolist(), (0.5 * net.y_shunt.diagonal()).tolist(), net.tap.tolist()
    used = {e for _, above, e in order if above >= 0}
    hung = [
        (bus, complex(y))
        for ends, parts in ((net.terminal_fr, net.y_open_fr), (net.terminal_to, net.y_open_to))
        for e, (bus, y) in enumerate(zip(ends.tolist(), parts.tolist(), strict=True))
        if y and e not in used
    ]
    for bus, y in hung:  # an open branch is a load of constant impedance, and its power counts as loss
        constant, by_v, by_w = drawn[bus]
        drawn[bus] = constant, by_v, by_w + y.conjugate()
    below = [(bus, above, e, net.terminal_fr[e] == above) for bus, above, e in order if above >= 0]
    v = dict(zip(net.source_terminal.tolist(), net.source_v.tolist(), strict=True))
    for bus, above, e, forth in below:
        v[bus] = v[above] / tap[e] if forth else v[above] * tap[e]
    series: dict[int, complex] = {}
    step = loss = math.inf
    current: dict[int, complex] = dict.fromkeys(v, 0j)
    for _ in range(2000):
        if not all(v.values()):
            break
        current = {}
        for bus, u in v.items():
            constant, by_v, by_w = drawn[bus]
            current[bus] = ((constant + abs(u) * (by_v + abs(u) * by_w)) / u).conjugate()
        for bus, above, e, forth in reversed(below):
            # The ratio is at the from bus, the shunt behind it; phase shifts change only voltage angles.
            if forth:
                series[e] = current[bus] + half[e] * v[bus]
                current[above] += (series[e] + half[e] * v[above] / tap[e]) / tap[e]
            else:
                series[e] = tap[e] * current[bus] + half[e] * v[bus] / tap[e]
                current[above] += series[e] + half[e] * v[above]
        step = loss = 0.0
        for bus, above, e, forth in below:
            far = v[above] / tap[e] if forth else v[above]
            near = far - z[e] * series[e]
            new = near if forth else near * tap[e]
            step, v[bus] = max(step, abs(new - v[bus])), new
            loss += z[e].real * abs(series[e]) ** 2 + half[e].real * (abs(near) ** 2 + abs(far) ** 2)
        loss += sum(y.real * abs(v[bus]) ** 2 for bus, y in hung)
        if not step > 1e-13 or not step < 1e3:
            break
    squares = {bus: abs(u) ** 2 for bus, u in v.items()}, {e: abs(i) ** 2 for e, i in series.items()}
    delivered = {bus: v[bus] * current[bus].conjugate() for bus in net.source_terminal.tolist()}
    return (loss if step <= 1e-11 else math.inf), *squares, delivered
