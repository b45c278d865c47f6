"""LinDistFlow: the lossless linear power flow of a balanced grid whose branches open and close (Baran and Wu 1989).

It is `lindist3flow` on one phase. Every branch e from a to b carries p, q from its from to its to end, and with its
state x, taps and w = v²

    D = 2 (r p + x q)                            the voltage law where closed:  w_a / tap² − w_b = D

and where open D = 0, p = q = 0. Loads of constant current or impedance are taken at nominal voltage. The power of
magnetising branches is neglected, as parts of the grid may not be energised.
"""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats
from openpoint.formulations.lindist3flow import (
    CORNERS,
    V_MAX_PU,
    V_MIN_PU,
    Demand,
    LinDist3Flow,
    lindist3flow,
    voltage_limits,
)
from openpoint.network import Network
from openpoint.solvers.modelling import cp

__all__ = [
    "CORNERS",
    "V_MAX_PU",
    "V_MIN_PU",
    "LinDistFlow",
    "lindistflow",
    "nominal_demand",
    "voltage_ceiling",
    "voltage_limits",
]

LinDistFlow = LinDist3Flow


def nominal_demand(network: Network) -> Complexes:
    """(N) demand of the loads at nominal voltage, less fixed generation and capacitors."""
    return np.asarray(network.s_power + network.s_current + network.s_impedance)


def voltage_ceiling(network: Network, held: float, p_feed: float, q_feed: float) -> float:
    """Upper bound of all squared voltages where roots hold at most `held` and buses feed in at most this power (pu).

    It rises along a branch by at most 2 (r P + x Q), summed over the worst path, and by the ratios of transformers.
    """
    each = np.sort(np.maximum(network.r, 0.0) * p_feed + np.maximum(network.x, 0.0) * q_feed)
    rise = 2.0 * float(each[::-1][: network.n_terminals - 1].sum())
    return (held + rise) * float(np.prod(np.maximum(network.tap, 1.0 / network.tap) ** 2))


def lindistflow(
    network: Network,
    closed: cp.Expression,
    demand_p: cp.Expression,
    demand_q: cp.Expression,
    *,
    most: tuple[float, float] | None,
    bounds: tuple[Floats, Floats] | None = None,
    always: Bools | None = None,
) -> LinDistFlow:
    """The linear power flow for the state `closed` of the branches and a net demand.

    Args:
        network: the grid, balanced.
        closed: (E) state of the branches, between 0 and 1, affine.
        demand_p, demand_q: (N) net demand, per unit, affine; that of sources is met by the upstream grid.
        most, bounds, always: see `lindist3flow`.
    """
    none = cp.Constant(np.zeros(0))
    demand = Demand(demand_p, demand_q, none, none)
    dead = cp.Constant(np.zeros(network.n_terminals))
    return lindist3flow(network, closed, demand, most=most, bounds=bounds, always=always, energised=dead)
