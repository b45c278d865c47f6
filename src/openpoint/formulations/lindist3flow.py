"""LinDist3Flow: the lossless linear power flow of a grid of any phases whose branches open and close.

Gan and Low (2014), Sankur, Dobbe, Stewart, Callaway and Arnold (2016); on one phase it is LinDistFlow (Baran and Wu
1989). With the internal voltages and the matrices of `lindist3flow_equations`, every conductor carries p, q and

    D = M_P p + M_Q q             the voltage law where closed:  y_fr − y_to = D, y_fr = |u_fr|² / tap², y_to = |u_to|²
    y_fr − y_to − range (1 − x) ≤ D ≤ y_fr − y_to + range (1 − x)     and nothing where open, D = 0

with four more inequalities that make it the convex hull of a conductor that is open or closed within given bounds of
the voltages: the products x y, projected out. A rating is a regular polygon in the circle of the apparent power at
nominal voltage, scaled with x.

Magnetising branches of transformers draw power in proportion to their squared voltage; those of transformers that may
be open or not energised draw it at the reference voltages, scaled with x. Losses and line charging are neglected; so is
the current that a wye-delta draws from an unbalanced voltage. The caller provides the loads (`Demand`): `nominal` takes
all at nominal voltage, capacitors too. Wye loads behind a delta without a ground must be balanced, as their neutral
floats. An exact power flow evaluates the answer.

Theory: docs/methods.md M18.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.lindist3flow_equations import Coefficients, balanced, coefficients
from openpoint.network import Network
from openpoint.solvers.modelling import cp

V_MIN_PU, V_MAX_PU = 0.9, 1.1
"""Voltage limits of buses that have none: the convex hull of the voltage law needs bounds."""

CORNERS = 16
"""Corners of the polygon in the circle of a rating, one on each axis: at most 1 − cos(π/16) = 1.9 % too strict."""


@dataclass(frozen=True)
class Demand:
    """Net demand (consumption less generation), per unit, affine.

    Attributes:
        p, q: (N) by terminal. delta_p, delta_q: (D) by pair of `Network.delta`.
    """

    p: cp.Expression
    q: cp.Expression
    delta_p: cp.Expression
    delta_q: cp.Expression


@dataclass(frozen=True)
class Held:
    """Terminals that hold a voltage depending on a decision; their power balances stay in the model.

    Attributes:
        share: (N) 0..1, affine: 1 where held. w: (N) squared voltage held; 0 where the terminal never is.
    """

    share: cp.Expression
    w: Floats


@dataclass(frozen=True)
class LinDist3Flow:
    """Variables and constraints of the linear power flow.

    Attributes:
        w: (N) squared voltage. p, q: (E) power from the from to the to end of each conductor, 0 where open.
        constraints: linear.
    """

    w: cp.Variable
    p: cp.Variable
    q: cp.Variable
    constraints: list[cp.Constraint]


def nominal(network: Network) -> Demand:
    """Today's loads at nominal voltage, fixed generation and capacitors deducted."""
    s, delta = network.s_power + network.s_current + network.s_impedance, network.delta
    pairs = delta.s_power + delta.s_current + delta.s_impedance
    return Demand(cp.Constant(s.real), cp.Constant(s.imag), cp.Constant(pairs.real), cp.Constant(pairs.imag))


def voltage_limits(network: Network, sources: Ints | None = None) -> tuple[Floats, Floats]:
    """(N) lower and upper limits of the squared voltage: those of the buses, or defaults; sources hold their voltage.

    Args:
        sources: numbers among the sources that hold their voltage; default: all.
    """
    low = np.where(network.w_min > 0, network.w_min, V_MIN_PU**2)
    high = np.where(np.isfinite(network.w_max), network.w_max, V_MAX_PU**2)
    here = slice(None) if sources is None else sources
    low[network.source_terminal[here]] = high[network.source_terminal[here]] = np.abs(network.source_v[here]) ** 2
    return low, high


def lindist3flow(
    network: Network,
    closed: cp.Expression,
    demand: Demand,
    *,
    sources: Ints | None = None,
    held: Held | None = None,
    bounds: tuple[Floats, Floats] | None = None,
    most: tuple[float | Floats, float | Floats] | None = None,
    always: Bools | None = None,
    reference: Complexes | None = None,
    energised: cp.Expression | None = None,
    matrix: Coefficients | None = None,
) -> LinDist3Flow:
    """The linear power flow for the state `closed` of the branches and a net demand.

    Args:
        network: the grid; its sources are the rows of `network.source_terminal`, a row a phase.
        closed: (B) state of the branches, between 0 and 1, affine.
        demand: affine in variables of the caller.
        sources: (S) numbers among the sources that feed and hold their voltage; default: all. Where the substation is
            lost: an empty array, its terminals are then like any other.
        held: terminals that hold a voltage depending on a decision, such as those of grid-forming generators.
        bounds: (N) lower and upper bounds of the squared voltage, better if tighter; default: `voltage_limits`. They do
            not apply to sources.
        most: upper bounds of the active and reactive power of any conductor, without magnetising branches, numbers or
            (E); None where the caller bounds the flow of open branches.
        always: (B) branches that are always closed: their voltage law is one equation. Default: where `closed` is a
            constant, those of 1.
        reference: (N) voltages around which is linearised, see `lindist3flow_equations`; default: balanced.
        energised: (N) share to which terminals have a voltage, 0..1, affine; default: all have one. Where they have
            none, transformers draw nothing.
        matrix: the coefficients for `feeding_terminals` of these arguments, where a caller has them.
    """
    n, e = network.n_terminals, network.n_conductors
    matrix = matrix or coefficients(network, reference, feeding=feeding_terminals(network, sources, held))
    w = cp.Variable(n, name="w")
    p, q = cp.Variable(e, name="p"), cp.Variable(e, name="q")
    known = np.asarray(closed.value) if closed.is_constant() else np.full(closed.size, np.nan)
    always = known == 1.0 if always is None else always
    by_conductor = closed if _same(network.conductor_branch, closed.size) else closed[network.conductor_branch]
    low, high = _bounds(network, sources, bounds)
    constraints: list[cp.Constraint] = [w >= low, w <= high]
    if held is not None:
        constraints += [
            w >= low + cp.multiply(np.where(held.w > 0, held.w - low, 0.0), held.share),
            w <= high - cp.multiply(np.where(held.w > 0, high - held.w, 0.0), held.share),
        ]
    idle = None
    if matrix.is_idle:
        v0 = balanced(network) if reference is None else reference
        idle = _idle(network, matrix, w, np.abs(v0) ** 2, (by_conductor, always[network.conductor_branch], energised))
    constraints += [
        *_balance(network, matrix, demand, (p, q), sources, idle),
        *(part == 0 for part in _products(matrix.circulating, (p, q)) if len(matrix.deltas.conductors)),
        *_voltage_law(matrix, by_conductor, always[network.conductor_branch], (w, p, q), (low, high)),
        *_ratings(matrix, by_conductor, p, q),
    ]
    if (dead := np.flatnonzero(known[network.conductor_branch] == 0.0)).size:
        constraints += [p[dead] == 0, q[dead] == 0]
    magnetising = float(abs(matrix.idle_at(high)).sum()) if matrix.is_idle else 0.0
    for carried, size in zip((p, q), [size + magnetising for size in most or ()]):
        constraints += [carried <= cp.multiply(size, by_conductor), carried >= -cp.multiply(size, by_conductor)]
    return LinDist3Flow(w, p, q, constraints)


def _same(numbers: Ints, size: int) -> bool:
    return len(numbers) == size and bool((numbers == np.arange(size)).all())


def _bounds(network: Network, sources: Ints | None, given: tuple[Floats, Floats] | None) -> tuple[Floats, Floats]:
    if given is None:
        return voltage_limits(network, sources)
    low, high = (np.array(np.broadcast_to(bound, network.n_terminals), dtype=np.float64) for bound in given)
    here = slice(None) if sources is None else sources
    low[network.source_terminal[here]] = high[network.source_terminal[here]] = np.abs(network.source_v[here]) ** 2
    return low, high


def _balance(
    network: Network,
    matrix: Coefficients,
    demand: Demand,
    flow: tuple[cp.Variable, cp.Variable],
    sources: Ints | None,
    idle: tuple[cp.Expression, cp.Expression] | None,
) -> list[cp.Constraint]:
    """Power balance: what arrives at every terminal is its demand plus that of magnetising branches (`idle`)."""
    feeding = network.source_terminal if sources is None else network.source_terminal[sources]
    arriving = _products(sp.csr_array(matrix.s_to - matrix.s_fr), flow)
    drawn = [demand.p, demand.q]
    if len(network.delta.fr):
        pairs = _products(matrix.s_delta, (demand.delta_p, demand.delta_q))
        drawn = [own + part for own, part in zip(drawn, pairs)]
    if idle is not None:
        drawn = [own + part for own, part in zip(drawn, idle)]
    rows = np.setdiff1d(np.arange(network.n_terminals), feeding)
    return [into[rows] == out[rows] for into, out in zip(arriving, drawn)]


def _idle(
    network: Network,
    matrix: Coefficients,
    w: cp.Variable,
    w0: Floats,
    state: tuple[cp.Expression, Bools, cp.Expression | None],
) -> tuple[cp.Expression, cp.Expression]:
    """(N) active and reactive power of magnetising branches; `state`: share closed, always closed, share energised."""
    closed, always, energised = state
    share, fixed = closed, always & ~network.switchable
    if energised is not None:
        share = cp.multiply(always * 1.0, energised[network.terminal_fr]) + cp.multiply(~always * 1.0, closed)
        fixed = np.zeros_like(always)
    follows, scaled = matrix.idle_per_w(fixed), matrix.idle_at(w0) @ sp.diags_array(~fixed * 1.0)
    return follows.real @ w + scaled.real @ share, follows.imag @ w + scaled.imag @ share


def feeding_terminals(network: Network, sources: Ints | None, held: Held | None) -> Ints:
    """Terminals that hold a voltage or may."""
    feeding = network.source_terminal if sources is None else network.source_terminal[sources]
    if held is None:
        return feeding
    may = held.share.value != 0.0 if held.share.is_constant() else np.ones(network.n_terminals, dtype=np.bool_)
    return np.union1d(feeding, np.flatnonzero(may & (held.w > 0.0)))


def _products(matrix: sp.csr_array, s: tuple[cp.Expression, cp.Expression]) -> tuple[cp.Expression, cp.Expression]:
    """Real and imaginary part of a complex matrix times p + jq."""
    p, q = s
    real, imaginary = sp.csr_array(matrix.real), sp.csr_array(matrix.imag)
    imaginary.eliminate_zeros()
    if imaginary.nnz == 0:
        return real @ p, real @ q
    return real @ p - imaginary @ q, imaginary @ p + real @ q


def _voltage_law(
    matrix: Coefficients,
    closed: cp.Expression,
    always: Bools,
    variables: tuple[cp.Variable, cp.Variable, cp.Variable],
    bounds: tuple[Floats, Floats],
) -> list[cp.Constraint]:
    """The voltage law of the module: the convex hull of x y_fr and x y_to with difference D, products eliminated."""
    w, p, q = variables
    constraints: list[cp.Constraint] = []
    sides = [(squared @ w, *_range(squared, bounds)) for squared in (matrix.w_fr, matrix.w_to)]
    if (fixed := np.flatnonzero(always)).size:
        drop = matrix.drop_p[fixed] @ p + matrix.drop_q[fixed] @ q
        constraints.append(drop == sides[0][0][fixed] - sides[1][0][fixed])
    if not (free := np.flatnonzero(~always)).size:
        return constraints
    drop = matrix.drop_p[free] @ p + matrix.drop_q[free] @ q
    closed, off = closed[free], 1 - closed[free]
    least, most = [], []
    for y, low, high in sides:
        most.append((cp.multiply(high[free], closed), y[free] - cp.multiply(low[free], off)))
        least.append((cp.multiply(low[free], closed), y[free] - cp.multiply(high[free], off)))
    constraints += [drop <= a - b for a in most[0] for b in least[1]]
    return [*constraints, *(drop >= a - b for a in least[0] for b in most[1])]


def _range(squared: sp.csr_array, bounds: tuple[Floats, Floats]) -> tuple[Floats, Floats]:
    """Least and greatest squared internal voltages within the bounds of the terminals."""
    low, high = bounds
    plus, minus = squared.maximum(0.0), squared.minimum(0.0)
    return plus @ low + minus @ high, plus @ high + minus @ low


def _ratings(matrix: Coefficients, closed: cp.Expression, p: cp.Variable, q: cp.Variable) -> list[cp.Constraint]:
    """Facets of the polygon of every rated conductor."""
    rated = np.flatnonzero(np.isfinite(matrix.s_max))
    if not len(rated):
        return []
    reach = math.cos(math.pi / CORNERS) * matrix.s_max[rated]
    angles = (2 * np.arange(CORNERS) + 1) * math.pi / CORNERS
    facets = (math.cos(angle) * p[rated] + math.sin(angle) * q[rated] for angle in angles)
    return [facet <= cp.multiply(reach, closed[rated]) for facet in facets]
