"""DistFlow second-order cone power flow of a balanced grid (Baran and Wu 1989; Farivar and Low 2013).

Every branch e from a to b carries p, q (power into its series impedance at the internal from node) and l (squared
current). Its two squared end voltages are kept as products with its state x: `w_fr` = x w_a / tap², `w_to` = x w_b. So

    w_to = w_fr − 2 (r p + x q) + |z|² l                                    (voltage law, no big M)
    p² + q² ≤ l w_fr                                                        (the cone, in its perspective form)
    0 ≤ w_a / tap² − w_fr ≤ w̄ (1 − x),   0 ≤ w_fr ≤ w̄ x,   the same at b    (products)

hold at every binary x exactly: an open branch has w_fr = w_to = 0 and carries nothing. Between 0 and 1 this is the
convex hull of a branch that is open or closed, given bounds on the voltages, and its dual gives the slope of the loss
with respect to the state of every branch, open ones too.

A line that is open at one end only (`Network.y_open_fr`, `y_open_to`) draws power in proportion to the complement of
these products, w_a / tap² − w_fr = (1 − x) w_a / tap², so that this is exact at every binary x as well.

Devices (`openpoint.formulations.devices`) make the voltages of sources, ratios, capacitors and the states of generators
part of the choice; then `w_fr` is the product behind the ratio that is chosen.

The cone is exact at the optimum unless upper voltage limits bind or there is reverse power flow; an AC power flow
evaluates the answer in any case.

Valid inequalities of reconfiguration: bounds of flow, current and voltage that follow from the state of a branch.

They cut off no decision of interest and tighten the continuous relaxation of a model that holds both stages: master
problems and the extensive form.

Theory: docs/methods.md M2, M3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.errors import OptionError
from openpoint.formulations.devices import DeviceChoice, bank_power, held_voltages, ratios, units_on
from openpoint.formulations.radiality import Choices
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices
from openpoint.network.limits import (
    at_kept_limits,
    greatest_series_currents,
    greatest_square,
    least_square,
    series_limits,
)
from openpoint.solvers.modelling import cp
from openpoint.twostage.program import Cone, Limit, SecondStage

W_BOUND_MAX = 4.0
"""Largest upper bound of a squared voltage that is used; larger ones are of no use in a distribution grid."""

IDEAL_R = 1e-6
"""Resistance (pu) below which the current needs an explicit bound, since its loss is too small: switches."""


@dataclass(frozen=True)
class DistFlow(SecondStage):
    """The power flow of one state of the grid: a stage whose cost is the loss in kW, and its variables.

    Attributes:
        w: (N) squared voltage.
        p, q, l, w_fr, w_to: (E) see the module.
        s_gen: (2, G) active and reactive injection of the dispatchable generators; None where there are none.
        loss: in per unit. source_p, source_q: (S) power that sources deliver, the load at their own bus included.
    """

    w: cp.Variable
    p: cp.Variable
    q: cp.Variable
    l: cp.Variable
    w_fr: cp.Variable
    w_to: cp.Variable
    s_gen: cp.Variable | None
    loss: cp.Expression
    source_p: cp.Expression
    source_q: cp.Expression


def voltage_bounds(network: Network, *, limits: bool) -> tuple[Floats, Floats]:
    """(N) lower and (N) upper bounds of the squared voltages of all power flows.

    A voltage rises along a branch by at most 2 (r P⁻ + x Q⁻), with P⁻, Q⁻ the largest reverse power of the grid,
    because losses only consume. Summed over the worst path this bounds every voltage; a limit that is kept also does.

    Args:
        network: the grid.
        limits: whether the voltage limits are kept by every point of interest.

    Raises:
        OptionError: no finite upper bound follows from the data.
    """
    n_sources = len(network.source_terminal)
    path_length = min(network.n_conductors, network.n_terminals - n_sources)
    back = [  # active and reactive power that may flow back whatever the voltage
        float(np.sum(np.maximum(-part(network.s_power), 0)) + np.sum(np.maximum(most, 0)))
        for part, most in ((np.real, network.p_max), (np.imag, network.q_max))
    ]
    grow = [float(np.sum(np.maximum(-part(network.s_impedance), 0))) for part in (np.real, np.imag)]
    grow[1] += float(np.sum(np.maximum(network.b_most, 0)))  # what grows with w: capacitors and charging
    for k, part in enumerate((np.real, np.imag)):
        half = 0.5 * float(np.sum(np.maximum(-part(network.s_current), 0)))
        back[k] += half  # v ≤ (1 + w) / 2
        grow[k] += half
    rise = _worst_path(network, back[0], back[1], path_length)
    growing = _worst_path(network, grow[0], grow[1], path_length)
    ratio = float(np.prod(np.maximum(network.tap, 1.0 / network.tap) ** 2))
    w_source = float(np.max(np.abs(network.source_v)) ** 2)
    # w̄ = (w_source + rise + growing · w̄) · ratio
    upper = (w_source + rise) * ratio / (1.0 - growing * ratio) if growing * ratio < 1.0 else math.inf
    lower = np.zeros(network.n_terminals)
    bound = np.full(network.n_terminals, upper)
    if limits:
        bound, lower = np.minimum(bound, greatest_square(network.w_max)), least_square(network.w_min)
    bound[network.source_terminal] = lower[network.source_terminal] = np.abs(network.source_v) ** 2
    if not limits:
        bound = np.minimum(bound, W_BOUND_MAX)  # larger bounds are of no use
    if np.any(bound > W_BOUND_MAX):
        where = network.bus_names[network.terminal_bus[int(np.argmax(bound))]]
        raise OptionError(
            f"Nothing bounds the voltage of bus {where} from above: generation, capacitors or charging could raise it. "
            "Give upper voltage limits in the grid or with --v-max (Limits(v_max_pu=…))."
        )
    return lower, bound


def _worst_path(network: Network, p: float, q: float, length: int) -> float:
    """2 Σ (r p + x q) over the `length` branches where it is largest."""
    each = np.sort(np.maximum(network.r, 0) * p + np.maximum(network.x, 0) * q)
    return 2.0 * float(each[::-1][:length].sum())


def distflow(
    network: Network,
    closed: cp.Expression,
    w_upper: Floats,
    demand: cp.Expression | None = None,
    choice: DeviceChoice | None = None,
    w_lower: Floats | None = None,
) -> DistFlow:
    """The DistFlow relaxation for the state `closed` (E) of the branches.

    Args:
        network: the grid, balanced. If `demand` is given, the loads of the network must be the largest of interest.
        closed: (E) state of the branches, between 0 and 1.
        w_upper: (N) upper bounds of the squared voltage, valid at every power flow of interest.
        demand: (2N) active, then reactive demand of constant power, per unit; default: that of the network.
        choice: positions of devices; they stand where the network has them by default.
        w_lower: (N) lower bounds of the squared voltage, valid at every power flow of interest; default: 0.
    """
    if choice is not None:
        network = choice.bare(network)
    n, e, s = network.n_terminals, network.n_conductors, network.s_base_kva
    w, l = cp.Variable(n, name="w"), cp.Variable(e, name="l")
    p, q = cp.Variable(e, name="p"), cp.Variable(e, name="q")
    w_fr, w_to = cp.Variable(e, name="w_fr"), cp.Variable(e, name="w_to")
    at_fr, at_to = _at_ends(network)
    before, ratio = ratios(network, choice, w_fr, w_upper)
    rest_fr, rest_to = at_fr @ w - before, at_to @ w - w_to
    inner = network.inner
    if demand is None:
        demand = cp.Constant(np.concatenate([network.s_power.real, network.s_power.imag]))
    demand_p, demand_q, secant = _demand(network, demand, w, np.zeros(n) if w_lower is None else w_lower, w_upper)
    s_gen, generation = _generation(network, choice)
    if s_gen is not None:
        place = _incidence(network.generator_terminal, n).T
        demand_p, demand_q = demand_p - place @ s_gen[0], demand_q - place @ s_gen[1]
    capacitors, products = bank_power(choice, w, w_upper)
    if capacitors is not None:
        demand_q = demand_q - capacitors
    open_p, open_q, open_loss = _open_ends(network, rest_fr, rest_to)
    taken_p, taken_q = _net_injection(network, at_to, (p, q, l, w_fr, w_to), (open_p, open_q))
    constraints: list[cp.Constraint] = [
        w[network.source_terminal] == held_voltages(network, choice),
        w >= 0,
        w_fr >= 0,
        w_to >= 0,
        *_voltage_drop(network, (p, q, l, w_fr, w_to)),
        *_switched_voltages(closed, (before, w_to), (at_fr, at_to), w, w_upper),
        *ratio,
        *products,
        *secant,
        *generation,
        taken_p[inner] == demand_p[inner],
        taken_q[inner] == demand_q[inner],
        *_ideal_switches(network, l, closed, 0.0 if choice is None else choice.bank_most),
    ]
    cones = (Cone(u=(p, q), s=l, t=w_fr),)
    loss = cp.sum(cp.multiply(network.r, l)) + cp.sum(cp.multiply(network.g / 2, w_fr + w_to)) + open_loss
    limits = tuple(_limits(network, (p, q, l, w_fr, w_to), w, inner, choice))
    held = network.source_terminal
    return DistFlow(
        constraints,
        cones,
        limits,
        s * loss,
        w=w,
        p=p,
        q=q,
        l=l,
        w_fr=w_fr,
        w_to=w_to,
        s_gen=s_gen,
        loss=loss,
        source_p=(demand_p - taken_p)[held],
        source_q=(demand_q - taken_q)[held],
    )


_Flow: TypeAlias = "tuple[cp.Variable, cp.Variable, cp.Variable, cp.Variable, cp.Variable]"
"""p, q, l, w_fr, w_to."""


def _incidence(terminals: Ints, n: int) -> sp.csr_array:
    """(K, N) incidence matrix: a row has a 1 at its terminal."""
    rows = np.arange(len(terminals))
    return sp.csr_array((np.ones(len(terminals)), (rows, terminals)), shape=(len(terminals), n))


def _at_ends(network: Network) -> tuple[sp.csr_array, sp.csr_array]:
    """(E, N) squared voltage of the buses at both ends of the branches, beyond the transformer at the from end."""
    rows, shape = np.arange(network.n_conductors), (network.n_conductors, network.n_terminals)
    at_fr = sp.csr_array((1.0 / network.tap**2, (rows, network.terminal_fr)), shape=shape)
    return at_fr, _incidence(network.terminal_to, network.n_terminals)


def _voltage_drop(network: Network, flow: _Flow) -> list[cp.Constraint]:
    """w_to = w_fr − 2 (r p + x q) + (r² + x²) l: Ohm's law in squared magnitudes (Baran and Wu 1989)."""
    (p, q, l, w_fr, w_to), r, x = flow, network.r, network.x
    return [w_to == w_fr - 2 * (cp.multiply(r, p) + cp.multiply(x, q)) + cp.multiply(r**2 + x**2, l)]


def _switched_voltages(
    closed: cp.Expression,
    ends: tuple[cp.Expression, cp.Expression],
    at: tuple[sp.csr_array, sp.csr_array],
    w: cp.Variable,
    w_upper: Floats,
) -> list[cp.Constraint]:
    """w_end = x w_bus at both ends, by w_end ≤ w̄ x, w_end ≤ w_bus, w_bus − w_end ≤ w̄ (1 − x) (McCormick 1976)."""
    (w_fr, w_to), (at_fr, at_to) = ends, at
    upper_fr, upper_to = at_fr @ w_upper, at_to @ w_upper
    return [
        w_fr <= cp.multiply(upper_fr, closed),
        w_to <= cp.multiply(upper_to, closed),
        w_fr <= at_fr @ w,
        w_to <= at_to @ w,
        at_fr @ w - w_fr <= cp.multiply(upper_fr, 1 - closed),
        at_to @ w - w_to <= cp.multiply(upper_to, 1 - closed),
    ]


def _generation(network: Network, choice: DeviceChoice | None) -> tuple[cp.Variable | None, list[cp.Constraint]]:
    """p̲ y ≤ p ≤ p̄ y, q̲ y ≤ q ≤ q̄ y of the dispatchable generators, y = 1 where on; None where there are none."""
    if not (count := len(network.generator_names)):
        return None, []
    s_gen, on = cp.Variable((2, count), name="s_gen"), units_on(network, choice)
    return s_gen, [
        s_gen[0] >= cp.multiply(network.p_min, on),
        s_gen[0] <= cp.multiply(network.p_max, on),
        s_gen[1] >= cp.multiply(network.q_min, on),
        s_gen[1] <= cp.multiply(network.q_max, on),
    ]


def _open_ends(
    network: Network, rest_fr: cp.Expression, rest_to: cp.Expression
) -> tuple[list[cp.Expression], list[cp.Expression], cp.Expression | float]:
    """(N) active and reactive power drawn by branches that are open at one end, and their loss.

    Args:
        rest_fr, rest_to: (E) squared voltage of a bus times (1 − x).
    """
    n, drawn_p, drawn_q = network.n_terminals, list[cp.Expression](), list[cp.Expression]()
    lost: cp.Expression | float = 0.0
    for end, rest, y in (
        (network.terminal_fr, rest_fr, network.y_open_fr * network.tap**2),
        (network.terminal_to, rest_to, network.y_open_to),
    ):
        if (hangs := np.flatnonzero(y)).size:
            at, w = _incidence(end[hangs], n).T, rest[hangs]
            drawn_p.append(at @ cp.multiply(y[hangs].real, w))
            drawn_q.append(at @ cp.multiply(y[hangs].imag, w))
            lost += cp.sum(cp.multiply(y[hangs].real, w))
    return drawn_p, drawn_q, lost


def _net_injection(
    network: Network, at_to: sp.csr_array, flow: _Flow, drawn: tuple[list[cp.Expression], list[cp.Expression]]
) -> tuple[cp.Expression, cp.Expression]:
    """(N) Σ (p − r l − g/2 w_to) that arrives less Σ (p + g/2 w_fr) that leaves, and so for q: the balance of a bus."""
    (p, q, l, w_fr, w_to), (r, x, g, b) = flow, (network.r, network.x, network.g, network.b)
    one_fr = _incidence(network.terminal_fr, network.n_terminals)
    arrive_p = at_to.T @ (p - cp.multiply(r, l) - cp.multiply(g / 2, w_to))
    arrive_q = at_to.T @ (q - cp.multiply(x, l) + cp.multiply(b / 2, w_to))
    leave_p = one_fr.T @ (p + cp.multiply(g / 2, w_fr))
    leave_q = one_fr.T @ (q - cp.multiply(b / 2, w_fr))
    for active, reactive in zip(*drawn):
        leave_p += active
        leave_q -= reactive
    return arrive_p - leave_p, arrive_q - leave_q


def _ideal_switches(network: Network, l: cp.Variable, closed: cp.Expression, bank_most: float) -> list[cp.Constraint]:
    """l ≤ l̄ x for branches of no resistance.

    Without a resistance current causes no loss, so l would be unbounded, and the cone would allow large flows even at x
    close to 0: the derivative of the value with respect to x would be infinite at an open switch.
    """
    ideal = np.flatnonzero(network.r < IDEAL_R)
    return [l[ideal] <= _current_most(network, bank_most) * closed[ideal]] if len(ideal) else []


def _demand(
    network: Network, demand: cp.Expression, w: cp.Variable, w_lower: Floats, w_upper: Floats
) -> tuple[cp.Expression, cp.Expression, list[cp.Constraint]]:
    """(N) active and reactive demand as functions of w.

    Constant current needs v = √w, which is not affine: v lies between the secant of √ over the possible voltages and
    its tangents at their ends and at 1, and the relaxation may choose.
    """
    n = network.n_terminals
    p = demand[:n] + cp.multiply(network.s_impedance.real, w)
    q = demand[n:] + cp.multiply(network.s_impedance.imag, w)
    if not np.any(network.s_current):
        return p, q, []
    v = cp.Variable(network.n_terminals, name="v")
    low, high = np.sqrt(w_lower), np.sqrt(w_upper)
    secant = [v >= cp.multiply(1.0 / (low + high), w) + low * high / (low + high), v <= (1 + w) / 2]
    secant += [v <= cp.multiply(0.5 / at, w) + 0.5 * at for at in (np.where(low > 0.0, low, high), high)]
    return p + cp.multiply(network.s_current.real, v), q + cp.multiply(network.s_current.imag, v), secant


def _current_most(network: Network, bank_most: float) -> float:
    """An upper bound of the squared current of any branch: all loads, banks and generation, twice for losses, at half
    voltage."""
    s = np.abs(network.s_power) + 2 * np.abs(network.s_current) + 4 * np.abs(network.s_impedance)
    p_gen = np.maximum(np.abs(network.p_min), np.abs(network.p_max))
    q_gen = np.maximum(np.abs(network.q_min), np.abs(network.q_max))
    charging = 4 * (float(np.abs(network.y_most).sum()) + bank_most)
    return (2.0 * (float(s.sum()) + float(np.hypot(p_gen, q_gen).sum()) + charging)) ** 2 / 0.25


def _limits(network: Network, flow: _Flow, w: cp.Variable, inner: Ints, choice: DeviceChoice | None) -> list[Limit]:
    """Excesses relative to the squared limit that counts as kept, so that 1 is a violation of the whole limit."""
    network = at_kept_limits(network)
    low = inner[network.w_min[inner] > 0]
    high = inner[np.isfinite(network.w_max[inner])]
    limits = []
    if len(low):
        limits.append(Limit("voltage low", 1 - cp.multiply(1 / network.w_min[low], w[low])))
    if len(high):
        limits.append(Limit("voltage high", cp.multiply(1 / network.w_max[high], w[high]) - 1))
    if np.isfinite(network.l_max).any():
        limits.append(Limit("current", cp.hstack(_ratings(network, flow, choice))))
    return limits


def _ratings(network: Network, flow: _Flow, choice: DeviceChoice | None) -> list[cp.Expression]:
    """Excesses of squared rated currents (`openpoint.network.limits`), linear in the flow.

    With half of the shunt h = g + jb the squared current at the from end, on the to side of the ratio t, is
    l + |h|² w_fr + 2 (g p − b q), and it is limited by t² l_max / rated_fr²; that at the to end is
    l + |h|² w_to − 2 (g (p − r l) − b (q − x l)). Without shunt and tap changer one of both ends says all.
    """
    p, q, l, w_fr, w_to = flow
    taps = None if choice is None else choice.of(DeviceKind.TAP)
    moves = np.zeros(network.n_conductors, dtype=np.bool_)
    moves[[] if taps is None else taps.place] = True
    rated, g, b = np.isfinite(network.l_max), 0.5 * network.g, 0.5 * network.b
    plain = rated & (g == 0.0) & (b == 0.0) & ~moves
    found = [cp.multiply(1 / series_limits(network)[plain], l[plain]) - 1] if plain.any() else []
    at_fr, at_to = (np.flatnonzero(rated & ~plain & (part > 0.0)) for part in (network.rated_fr, network.rated_to))
    if len(at_fr):
        g_at, b_at, scale = g[at_fr], b[at_fr], network.rated_fr[at_fr] ** 2 / network.l_max[at_fr]
        square = l[at_fr] + cp.multiply(g_at**2 + b_at**2, w_fr[at_fr])
        square += 2 * (cp.multiply(g_at, p[at_fr]) - cp.multiply(b_at, q[at_fr]))
        ratio: cp.Expression | Floats = np.where(moves, 0.0, network.tap**2)
        most = network.tap**2
        if taps is not None:
            spread = _incidence(taps.place, network.n_conductors).T
            ratio = ratio + spread @ taps.total(taps.value**2)
            most[taps.place] = np.maximum.reduceat(taps.value**2, taps.owner.indptr[:-1])
        found.append(cp.multiply(scale / most[at_fr], square) - cp.multiply(1 / most[at_fr], ratio[at_fr]))
    if len(at_to):
        g_at, b_at, scale = g[at_to], b[at_to], network.rated_to[at_to] ** 2 / network.l_max[at_to]
        out_p = p[at_to] - cp.multiply(network.r[at_to], l[at_to])
        out_q = q[at_to] - cp.multiply(network.x[at_to], l[at_to])
        square = l[at_to] + cp.multiply(g_at**2 + b_at**2, w_to[at_to])
        found.append(cp.multiply(scale, square - 2 * (cp.multiply(g_at, out_p) - cp.multiply(b_at, out_q))) - 1)
    return found


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
