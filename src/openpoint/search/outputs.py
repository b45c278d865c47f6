"""Outputs of generators by compass search on the exact power flow (Kolda, Lewis and Torczon 2003).

Where the cone program is tight, its outputs are the best ones, and nothing is gained. Where it is not, they may miss a
limit or cost more than others do.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from openpoint.arrays import Bools, Complexes, Ints
from openpoint.search.operating_states import StateEvaluator

PROBE = 0.02
"""Step by which outputs are tried at first, as a share of their range; where it gains nothing the search ends."""
FIRST, LAST = 0.1, 1e-3
"""First and last step of the search, as shares of the range."""
ROUNDS_MOST = 60
"""Rounds of a search, at most."""
GAIN = 1e-9
"""Relative gain of cost below which an output counts as no better."""


def improved(
    point: StateEvaluator,
    closed: Bools,
    positions: Ints,
    output: Complexes,
    within: Callable[[Complexes], Complexes],
) -> Complexes:
    """(G) outputs that miss the limits by less, or cost less, than those given.

    Args:
        point: exact evaluation. closed, positions: (E) and (D), the state.
        output: (G) to start from. within: puts outputs into their ranges.
    """
    net = point.network
    ranges = np.concatenate([np.diag(net.p_max - net.p_min), 1j * np.diag(net.q_max - net.q_min)])
    ranges = ranges[np.any(ranges != 0.0, axis=1)]
    ways = np.concatenate([ranges, -ranges])
    value, violation = (float(part[0]) for part in point.evaluate(closed, positions, output))
    step, probing = PROBE, True
    for _ in range(ROUNDS_MOST):
        near = within(output + step * ways)
        values, violations = point.evaluate(closed, positions, near)
        best = int(np.lexsort((values, violations))[0])
        least = value - GAIN * max(1.0, abs(value)) if np.isfinite(value) else value
        if (violations[best], values[best]) < (violation, least):
            output, value, violation = near[best], float(values[best]), float(violations[best])
            step, probing = (FIRST, False) if probing else (step, False)
        elif probing or step / 2.0 < LAST:
            break
        else:
            step /= 2.0
    return output
