"""What stands beside the figures of a dispatch because it changes their meaning."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from openpoint.network import Network
from openpoint.network.limits import Limits

SETS_VOLTAGES = ("taps", "capacitors", "generators")
"""What moves voltages when it is free."""


def unlimited_voltages(
    network: Network, limits: Limits | None, free: Collection[str], answer: tuple[float | None, float | None]
) -> list[str]:
    """A note where voltages are set and buses have no lower or no upper limit; `answer`: lowest and highest, pu."""
    kept = Limits.given(limits).applied(network)
    inner = np.ones(network.n_terminals, dtype=np.bool_)
    inner[network.source_terminal] = False
    loose = np.unique(network.terminal_bus[inner & ((kept.w_min <= 0.0) | np.isinf(kept.w_max))])
    moved = [kind for kind in SETS_VOLTAGES if kind in free]
    if not len(loose) or not moved:
        return []
    low, high = answer
    where = "" if low is None or high is None else f"; in the answer voltages are {low:.4f} to {high:.4f} pu"
    buses = f"{len(loose)} of {len(network.bus_names)} buses have no lower or no upper voltage limit"
    remedy = "Give --v-min and --v-max (Limits(v_min_pu=…, v_max_pu=…)), or limits in the grid"
    return [f"{buses}, and {' and '.join(moved)} set voltages{where}. {remedy}"]
