"""LinDistFlow: the lossless linear power flow of a balanced grid whose branches open and close (Baran and Wu 1989).

Every branch e from a to b carries p, q from its from to its to end, and with its state x, taps and w = v²

    D = 2 (r p + x q)                            the voltage law where closed:  w_a / tap² − w_b = D
    w_a / tap² − w_b − range (1 − x) ≤ D ≤ w_a / tap² − w_b + range (1 − x)     and nothing where open, D = 0

with four more inequalities that make it the convex hull of a branch that is open or closed within given bounds of the
voltages: the products x w_a, x w_b of the cone model, projected out. A rating is a regular polygon in the circle of the
apparent power at nominal voltage, scaled with x.

Losses, line charging and magnetising currents are left out, and loads of constant current or impedance are taken at
nominal voltage; an exact power flow has the word on what that leaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import numpy.typing as npt
import scipy.sparse as sp

from openpoint.network import Complexes, Network

Floats = npt.NDArray[np.float64]

V_MIN_PU, V_MAX_PU = 0.9, 1.1
"""Voltage limits of buses that have none: the hull of the voltage law needs some."""

CORNERS = 16
"""Corners of the polygon in the circle of a rating, one on each axis: at most 1 − cos(π/16) = 1.9 % too strict."""


@dataclass(frozen=True)
class LinDistFlow:
    """Variables and constraints of the flow.

    Attributes:
        w: (N) squared voltage. p, q: (E) power from the from to the to end of each branch, 0 where open.
        constraints: linear.
    """

    w: cp.Variable
    p: cp.Variable
    q: cp.Variable
    constraints: list[cp.Constraint]


def nominal_demand(network: Network) -> Complexes:
    """(N) what the loads take at nominal voltage, fixed generation and capacitors deducted."""
    return np.asarray(network.s_power + network.s_current + network.s_impedance)


def voltage_limits(network: Network) -> tuple[Floats, Floats]:
    """(N) lower and upper limit of the squared voltage: those of the buses, else the usual; sources hold theirs."""
    low = np.where(network.w_min > 0, network.w_min, V_MIN_PU**2)
    high = np.where(np.isfinite(network.w_max), network.w_max, V_MAX_PU**2)
    held = np.abs(network.source_v) ** 2
    low[network.source_terminal] = high[network.source_terminal] = held
    return low, high


def voltage_ceiling(network: Network, held: float, p_feed: float, q_feed: float) -> float:
    """A squared voltage that no bus exceeds where roots hold at most `held` and buses feed in at most this power (pu).

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
) -> LinDistFlow:
    """The power flow for the branches that `closed` says, at a demand net of all generation.

    Args:
        network: the grid, balanced.
        closed: (E) state of the branches, between 0 and 1, affine.
        demand_p, demand_q: (N) net demand, per unit, affine; that of sources is met by the upstream grid.
        most: active and reactive power that no branch exceeds; None where the caller binds the flow of open branches.
        bounds: (N) least and most squared voltage, the tighter the better; default: `voltage_limits`.
    """
    n, e = network.n_terminals, network.n_conductors
    w, p, q = cp.Variable(n, name="w"), cp.Variable(e, name="p"), cp.Variable(e, name="q")
    rows = np.arange(e)
    at_fr = sp.csr_array((np.ones(e), (rows, network.terminal_fr)), shape=(e, n))
    at_to = sp.csr_array((np.ones(e), (rows, network.terminal_to)), shape=(e, n))
    inner = np.setdiff1d(np.arange(n), network.source_terminal)
    into = sp.csr_array(at_to - at_fr).T.tocsr()[inner]
    low, high = voltage_limits(network) if bounds is None else bounds
    constraints: list[cp.Constraint] = [
        w >= low,
        w <= high,
        into @ p == demand_p[inner],
        into @ q == demand_q[inner],
        *_voltage_law(network, closed, w, p, q, (low, high)),
        *_ratings(network, closed, p, q),
    ]
    for carried, size in zip((p, q), most or ()):
        constraints += [carried <= size * closed, carried >= -size * closed]
    return LinDistFlow(w, p, q, constraints)


def _voltage_law(
    network: Network, closed: cp.Expression, w: cp.Variable, p: cp.Variable, q: cp.Variable, bounds: tuple[Floats, ...]
) -> list[cp.Constraint]:
    """See the module: y_a = x w_a / tap² and y_b = x w_b in the hull of their products, y_a − y_b = D, eliminated."""
    ratio = 1.0 / network.tap**2
    fr, to = network.terminal_fr, network.terminal_to
    (low_fr, high_fr), (low_to, high_to) = ([ratio * b[fr] for b in bounds], [b[to] for b in bounds])
    drop = 2 * (cp.multiply(network.r, p) + cp.multiply(network.x, q))
    w_fr, w_to = cp.multiply(ratio, w[fr]), w[to]
    off = 1 - closed
    most_fr = (cp.multiply(high_fr, closed), w_fr - cp.multiply(low_fr, off))
    least_fr = (cp.multiply(low_fr, closed), w_fr - cp.multiply(high_fr, off))
    most_to = (cp.multiply(high_to, closed), w_to - cp.multiply(low_to, off))
    least_to = (cp.multiply(low_to, closed), w_to - cp.multiply(high_to, off))
    upper = [drop <= a - b for a in most_fr for b in least_to]
    return [*upper, *(drop >= a - b for a in least_fr for b in most_to)]


def _ratings(network: Network, closed: cp.Expression, p: cp.Variable, q: cp.Variable) -> list[cp.Constraint]:
    """Facets of the polygon of every rated branch."""
    rated = np.flatnonzero(np.isfinite(network.l_max))
    if not len(rated):
        return []
    reach = math.cos(math.pi / CORNERS) * np.sqrt(network.l_max[rated])
    angles = (2 * np.arange(CORNERS) + 1) * math.pi / CORNERS
    return [
        math.cos(angle) * p[rated] + math.sin(angle) * q[rated] <= cp.multiply(reach, closed[rated]) for angle in angles
    ]
