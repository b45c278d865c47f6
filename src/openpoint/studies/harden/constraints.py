"""The constraints of a restoration after a disaster, block by block.

x is the state of the branches, u what is broken, h what is hardened; p, q, w are flows and squared voltages of
LinDistFlow. Radiality and connectivity of the islands stand in `formulations.islands`, the power balance and the
voltage law in `formulations.lindistflow`, backup generators in `supply`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Floats, Ints
from openpoint.formulations.islands import Islands, nominal_demand
from openpoint.network import Network
from openpoint.solvers.modelling import cp


@final
@dataclass(frozen=True)
class Supply:
    """The supply by backup generators.

    Attributes:
        output: (2, G) active and reactive output of the generators, per unit; None where there are none.
        p, q: (N) what they give at each bus. served: (N) most share of the load of a bus that can be served.
        constraints: linear.
    """

    output: cp.Variable | None
    p: cp.Expression
    q: cp.Expression
    served: cp.Expression
    constraints: list[cp.Constraint]


def built(places: Ints, size: tuple[float, float], chosen: cp.Expression, topology: Islands, n: int) -> Supply:
    """Generators of a size (active, reactive power, per unit) at the places that are chosen, (G) zeros and ones."""
    if not len(places):
        return Supply(None, cp.Constant(np.zeros(n)), cp.Constant(np.zeros(n)), topology.energised, [])
    output, on = cp.Variable((2, len(places)), name="backup"), cp.Variable(len(places), name="on")
    constraints = [
        on <= chosen,
        on <= topology.energised[places],
        topology.root <= on,  # a root is a generator that runs
        *_output_limits(output, size, on),
    ]
    at = _at(places, n)
    return Supply(output, at @ output[0], at @ output[1], topology.energised, constraints)


def _output_limits(output: cp.Variable, size: tuple[float, float], share: cp.Expression) -> list[cp.Constraint]:
    """0 ≤ p ≤ p̄ share, |q| ≤ q̄ share."""
    p, q = size
    return [output[0] >= 0, output[0] <= p * share, output[1] >= -q * share, output[1] <= q * share]


def _at(places: Ints, n: int) -> sp.csr_array:
    return sp.csr_array((np.ones(len(places)), (places, np.arange(len(places)))), (n, len(places)))


Reach = tuple[tuple[Floats, Floats], tuple[Floats, Floats]]
"""For active and reactive power: (N) most that each bus takes, and most that it feeds in."""


def damage(
    closed: cp.Expression, broken: cp.Expression, hardened: cp.Expression, always_closed: Bools, always_open: Bools
) -> list[cp.Constraint]:
    """x ≤ 1 − u + h: a broken branch is open unless it is hardened.

    Where nobody can open it, x ≥ 1 − u and x ≥ h, too; where nobody can close it, x = 0.
    """
    kept, never = np.flatnonzero(always_closed), np.flatnonzero(always_open)
    constraints = [closed <= 1 - broken + hardened]
    if len(kept):
        constraints += [closed[kept] >= (1 - broken)[kept], closed[kept] >= hardened[kept]]
    if len(never):
        constraints.append(closed[never] == 0)
    return constraints


def load_shedding(shed: cp.Variable, served: cp.Expression) -> list[cp.Constraint]:
    """0 ≤ shed ≤ 1, 1 − shed ≤ served: energised buses alone are served."""
    return [shed >= 0, shed <= 1, 1 - shed <= served]


def generator_limits(net: Network, s_gen: cp.Variable | None, served: cp.Expression) -> list[cp.Constraint]:
    """min(p̲, 0) served ≤ p ≤ max(p̄, 0) served, and so for q: generators of the grid run at energised buses alone."""
    if s_gen is None:
        return []
    on = served[net.generator_terminal]
    return [
        bound
        for k, (least, most) in enumerate(((net.p_min, net.p_max), (net.q_min, net.q_max)))
        for bound in (
            s_gen[k] >= cp.multiply(np.minimum(least, 0.0), on),
            s_gen[k] <= cp.multiply(np.maximum(most, 0.0), on),
        )
    ]


def net_demand(
    net: Network, shed: cp.Variable, supply: Supply, s_gen: cp.Variable | None
) -> tuple[cp.Expression, cp.Expression]:
    """(N) what a bus takes from the grid: demand · (1 − shed) − backup generators − generators of the grid."""
    s = nominal_demand(net)
    p, q = cp.multiply(s.real, 1 - shed) - supply.p, cp.multiply(s.imag, 1 - shed) - supply.q
    if s_gen is None:
        return p, q
    count = s_gen.shape[1]
    at = sp.csr_array((np.ones(count), (net.generator_terminal, np.arange(count))), (net.n_terminals, count))
    return p - at @ s_gen[0], q - at @ s_gen[1]


def flow_limits(topology: Islands, flows: tuple[cp.Variable, cp.Variable], reach: Reach) -> list[cp.Constraint]:
    """−take_to − feed_fr ≤ p ≤ take_fr + feed_to: a branch carries to its child at most what all buses beyond take, and
    from it at most what they feed in."""
    constraints = []
    for flow, (take, feed) in zip(flows, reach):
        (take_fr, take_to), (feed_fr, feed_to) = topology.beyond(take), topology.beyond(feed)
        constraints += [flow <= take_fr + feed_to, flow >= -take_to - feed_fr]
    return constraints


def root_voltage(
    w: cp.Expression, root: cp.Variable | None, held: Floats, low: Floats, high: Floats
) -> list[cp.Constraint]:
    """w = held where root = 1, by held − (held − w̲)(1 − root) ≤ w ≤ held + (w̄ − held)(1 − root).

    Args:
        w: (G) squared voltage of the buses that may form a grid. held: (G) what they hold. low, high: (G) its bounds.
    """
    if root is None:
        return []
    off = 1 - root
    return [w >= held - cp.multiply(held - low, off), w <= held + cp.multiply(high - held, off)]
