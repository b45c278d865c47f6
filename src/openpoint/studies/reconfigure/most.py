"""The most that a grid of interest loses, and that any of its branches carries."""

from __future__ import annotations

import numpy as np

from openpoint.network import Network


def loss_most(net: Network) -> float:
    """A loss (pu) that no answer of interest exceeds: the whole load.

    More than the load is lost only beyond the nose of the power-voltage curve, where nobody runs a grid.
    """
    load = np.abs(net.s_power) + np.abs(net.s_current) * 2 + np.abs(net.s_impedance) * 4
    most = float(load.sum() + net.y_most.imag.sum() * 4 + net.y_most.real.sum() * 4)
    return most + float(np.maximum(np.hypot(net.p_max, net.q_max), np.hypot(net.p_min, net.q_min)).sum())


def flow_most(net: Network, cap: float) -> tuple[float, float]:
    """Bounds of active and reactive flow on any branch: what all buses take or feed, and what is lost."""
    p = np.abs(net.s_power.real) + 2 * np.abs(net.s_current.real) + 4 * np.abs(net.s_impedance.real)
    q = np.abs(net.s_power.imag) + 2 * np.abs(net.s_current.imag) + 4 * np.abs(net.s_impedance.imag)
    p_gen = float(np.maximum(np.abs(net.p_max), np.abs(net.p_min)).sum())
    q_gen = float(np.maximum(np.abs(net.q_max), np.abs(net.q_min)).sum())
    ratio = float(np.max(np.where(net.r > 0, net.x / np.maximum(net.r, 1e-12), 0.0), initial=1.0))
    no_r = net.x[net.r <= 0].sum()
    q_lost = cap * ratio + float(no_r) * float(np.abs(net.s_power).sum() + cap) ** 2 * 4
    q_most = float(q.sum()) + q_gen + q_lost + 4 * float(net.y_most.imag.sum())
    return float(p.sum()) + p_gen + cap, q_most
