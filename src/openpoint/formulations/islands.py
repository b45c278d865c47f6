"""Radiality of islands: every energised island is a tree with exactly one grid-forming root.

Roots are the sources, which stay apart from each other, and units that may form a grid. A closed branch is one of two
arcs from parent to child; a bus has at most one parent, a root none:

    closed = arc_fr + arc_to,     Σ arcs into bus n ≤ 1 − root_n

So an island of N buses that has a root has exactly one, has at most N − 1 branches, and is a tree. An island without a
root might contain a loop, but it has no supply: a bus is energised only if it is reached from a root along arcs. This
is modelled by one commodity for all buses, of which each takes energised_n,

    Σ f into n − Σ f out of n + supply_n = energised_n,     0 ≤ f ≤ N arc,   0 ≤ supply_n ≤ N root_n

which is exact where arcs and roots are binary.

LinDistFlow: the lossless linear power flow of a balanced grid whose branches open and close (Baran and Wu 1989).

It is `lindist3flow` on one phase. Every branch e from a to b carries p, q from its from to its to end, and with its
state x, taps and w = v²

    D = 2 (r p + x q)                            the voltage law where closed:  w_a / tap² − w_b = D

and where open D = 0, p = q = 0. Loads of constant current or impedance are taken at nominal voltage. The power of
magnetising branches is neglected, as parts of the grid may not be energised.

Theory: docs/methods.md M33.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
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


@dataclass(frozen=True)
class Islands:
    """Variables and constraints of the islands.

    Attributes:
        closed: (E) state of every branch. arc_fr, arc_to: (E) its arc from the from to the to bus, and back.
        root: (R) whether the unit at each of the given buses forms a grid; None where there are none.
        energised: (N) 1 only where the bus is in an island with a root; it may be 0 there too.
        reached: (C) buses, the sources excepted.
        integers: the integer variables. constraints: linear.
    """

    closed: cp.Expression
    arc_fr: cp.Variable
    arc_to: cp.Variable
    root: cp.Variable | None
    energised: cp.Variable
    reached: Ints
    integers: tuple[cp.Variable, ...]
    constraints: list[cp.Constraint]

    def beyond(self, weight: Floats) -> tuple[cp.Expression, cp.Expression]:
        """(E) the most weight (N), 0 or more, that lies beyond each arc, from fr to to and back: what it may carry."""
        total = weight[self.reached].sum()
        return total * self.arc_fr, total * self.arc_to


def islands(n: int, fr: Ints, to: Ints, sources: Ints, may_form: Ints, may_open: Bools) -> Islands:
    """The radial islands of a grid.

    Args:
        n: number of buses. fr, to: (E) ends of the branches. sources: buses that are sources.
        may_form: (R) buses, no sources, with a unit that may form a grid.
        may_open: (E) branches that may be opened: in an island that is not energised they are open.
    """
    e, reached = len(fr), np.setdiff1d(np.arange(n), sources)
    count, forms = len(reached), len(may_form)
    arc_fr, arc_to = cp.Variable(e, name="arc_fr"), cp.Variable(e, name="arc_to")
    root = cp.Variable(forms, name="root") if forms else None
    energised = cp.Variable(n, name="energised")
    into_to = sp.csr_array((np.ones(e), (to, np.arange(e))), shape=(n, e))
    into_fr = sp.csr_array((np.ones(e), (fr, np.arange(e))), shape=(n, e))
    parents = into_to @ arc_fr + into_fr @ arc_to
    along_fr, along_to = cp.Variable(e, name="along_fr"), cp.Variable(e, name="along_to")
    arriving = sp.csr_array(into_to - into_fr)[reached] @ (along_fr - along_to)
    constraints = [
        arc_fr >= 0,
        arc_to >= 0,
        energised >= 0,
        energised[sources] == 1,
        parents[sources] == 0,
        along_fr >= 0,
        along_to >= 0,
        along_fr <= count * arc_fr,
        along_to <= count * arc_to,
        *_open_without_supply((fr, to), (arc_fr, arc_to), energised, may_open),
    ]
    if root is not None:
        supply = cp.Variable(forms, name="supply")
        at_root = sp.csr_array((np.ones(forms), (may_form, np.arange(forms))), shape=(n, forms))
        constraints += [root >= 0, supply >= 0, supply <= count * root]
        parents = parents + at_root @ root
        arriving = arriving + at_root[reached] @ supply
    constraints += _one_parent(parents[reached], energised[reached])
    constraints.append(arriving == energised[reached])
    return Islands(
        closed=arc_fr + arc_to,
        arc_fr=arc_fr,
        arc_to=arc_to,
        root=root,
        energised=energised,
        reached=reached,
        integers=(arc_fr, arc_to) if root is None else (arc_fr, arc_to, root),
        constraints=constraints,
    )


def _open_without_supply(
    ends: tuple[Ints, Ints], arcs: tuple[cp.Variable, cp.Variable], energised: cp.Variable, may_open: Bools
) -> list[cp.Constraint]:
    """arc ≤ energised at its parent, for branches that may be opened: in an island that is not energised they are
    open."""
    free = np.flatnonzero(may_open)
    return [arc[free] <= energised[end[free]] for arc, end in zip(arcs, ends)] if len(free) else []


def _one_parent(parents: cp.Expression, energised: cp.Expression) -> list[cp.Constraint]:
    """energised ≤ Σ arcs into the bus + root ≤ 1: an energised bus is a root or has one parent, so that its island is a
    tree."""
    return [parents <= 1, energised <= parents]


__all__ = [
    "CORNERS",
    "V_MAX_PU",
    "V_MIN_PU",
    "LinDistFlow",
    "lindistflow",
    "nominal_demand",
    "voltage_limits",
    "voltage_upper_bound",
]

LinDistFlow = LinDist3Flow


def nominal_demand(network: Network) -> Complexes:
    """(N) demand of the loads at nominal voltage, less fixed generation and capacitors."""
    return np.asarray(network.s_power + network.s_current + network.s_impedance)


def voltage_upper_bound(network: Network, held: float, p_feed: float, q_feed: float) -> float:
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
) -> LinDistFlow:
    """The linear power flow for the state `closed` of the branches and a net demand.

    Args:
        network: the grid, balanced.
        closed: (E) state of the branches, between 0 and 1, affine.
        demand_p, demand_q: (N) net demand, per unit, affine; that of sources is met by the upstream grid.
        most, bounds: see `lindist3flow`.
    """
    none = cp.Constant(np.zeros(0))
    demand = Demand(demand_p, demand_q, none, none)
    dead = cp.Constant(np.zeros(network.n_terminals))
    return lindist3flow(network, closed, demand, most=most, bounds=bounds, energised=dead)
