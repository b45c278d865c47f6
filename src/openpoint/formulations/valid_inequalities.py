"""Valid inequalities of reconfiguration: bounds of flow, current and voltage that follow from the state of a branch.

They cut off no decision of interest and tighten the continuous relaxation of a model that holds both stages: master
problems and the extensive form.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Floats
from openpoint.formulations.distflow import DistFlow
from openpoint.formulations.radiality import Choices
from openpoint.network import Network
from openpoint.network.devices import Devices
from openpoint.network.limits import at_kept_limits, greatest_series_currents
from openpoint.solvers.modelling import cp


def loss_most(net: Network) -> float:
    """A loss (pu) that no answer of interest exceeds: the whole load.

    More than the load is lost only beyond the nose of the power-voltage curve, where nobody runs a grid.
    """
    load = np.abs(net.s_power) + np.abs(net.s_current) * 2 + np.abs(net.s_impedance) * 4
    most = float(load.sum() + net.y_most.imag.sum() * 4 + net.y_most.real.sum() * 4)
    return most + float(np.maximum(np.hypot(net.p_max, net.q_max), np.hypot(net.p_min, net.q_min)).sum())


def flow_most(net: Network, loss: float) -> tuple[float, float]:
    """Bounds of active and reactive flow on any branch: what all buses take or feed, and what is lost."""
    p = np.abs(net.s_power.real) + 2 * np.abs(net.s_current.real) + 4 * np.abs(net.s_impedance.real)
    q = np.abs(net.s_power.imag) + 2 * np.abs(net.s_current.imag) + 4 * np.abs(net.s_impedance.imag)
    p_gen = float(np.maximum(np.abs(net.p_max), np.abs(net.p_min)).sum())
    q_gen = float(np.maximum(np.abs(net.q_max), np.abs(net.q_min)).sum())
    ratio = float(np.max(np.where(net.r > 0, net.x / np.maximum(net.r, 1e-12), 0.0), initial=1.0))
    no_r = net.x[net.r <= 0].sum()
    q_lost = loss * ratio + float(no_r) * float(np.abs(net.s_power).sum() + loss) ** 2 * 4
    q_most = float(q.sum()) + q_gen + q_lost + 4 * float(net.y_most.imag.sum())
    return float(p.sum()) + p_gen + loss, q_most


def voltage_if_closed(net: Network, flow: DistFlow, closed: cp.Expression, w_lower: Floats) -> list[cp.Constraint]:
    """w_fr ≥ w̲_fr x / tap², w_to ≥ w̲_to x: a closed branch has the voltages of its buses at its ends."""
    lower_fr, lower_to = w_lower[net.terminal_fr] / net.tap**2, w_lower[net.terminal_to]
    return [flow.w_fr >= cp.multiply(lower_fr, closed), flow.w_to >= cp.multiply(lower_to, closed)]


def current_if_closed(
    net: Network, flow: DistFlow, closed: cp.Expression, loss: float, *, limits: bool, devices: Devices | None = None
) -> list[cp.Constraint]:
    """l ≤ l̄ x with l̄ = min(rating, loss / r): no branch of a rating loses more than `loss` alone."""
    l_most = loss / np.maximum(net.r, 1e-12)
    if limits:
        l_most = np.minimum(l_most, greatest_series_currents(at_kept_limits(net), devices))
    rated = np.flatnonzero(np.isfinite(l_most) & np.isfinite(net.l_max))
    return [flow.l[rated] <= cp.multiply(l_most[rated], closed[rated])]


def flow_if_closed(carried: cp.Expression, closed: cp.Expression, most: float) -> list[cp.Constraint]:
    """|p| ≤ p̄ x."""
    return [carried <= most * closed, carried >= -most * closed]


def flow_from_parent(
    net: Network,
    choices: Choices,
    arcs: tuple[cp.Expression, cp.Expression],
    carried: cp.Expression,
    l: cp.Expression,
    impedance: Floats,
    load: Floats,
    most: float,
) -> list[cp.Constraint]:
    """Where every bus consumes, power runs from parent to child, and covers at least the load of the child:

        load_to · arc_fr − p̄ · arc_to ≤ p ≤ p̄ · arc_fr,      p − r l ≤ p̄ · arc_fr − load_fr · arc_to

    Args:
        choices: the free branches (F), whose arcs `arcs` are: from the from to the to bus, and back.
        carried: (E) active or reactive power into the branch. l: (E) squared current.
        impedance: (E) r or x. load: (N) of the buses. most: p̄, that no branch exceeds.
    """
    free, (arc_fr, arc_to) = choices.free, arcs
    arrives = (carried - cp.multiply(impedance, l))[free]
    to, fr = load[net.terminal_to[free]], load[net.terminal_fr[free]]
    return [
        carried[free] >= cp.multiply(to, arc_fr) - most * arc_to,
        carried[free] <= most * arc_fr,
        arrives <= most * arc_fr - cp.multiply(fr, arc_to),
    ]
