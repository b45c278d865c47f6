"""The arrays that the compiled topology search works on.

Buses are renumbered: those that no source holds come first, in the order in which the Laplacian is eliminated
(0 … n - 1), then the sources (n … N - 1). Only branches that may be closed are here (m).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, States
from openpoint.compiled.table import Table

OPEN, CLOSED, UNDECIDED = 0, 1, 2
LEAST, MOST, BETWEEN = 0, 1, 2
PHI_BITS = 20
"""Multipliers of voltage limits are multiples of 2^-PHI_BITS."""
W_BITS = 16
"""Voltages that are recorded are multiples of 2^-W_BITS."""


@dataclass(frozen=True, eq=False)
class Model(Table):
    """The search model: a grid in per unit.

    Attributes:
        n: buses that no source holds.
        fr, to: (m) ends. r, x, z2: (m) series impedance and its squared magnitude.
        k_fr, k_to: (m) squared voltage before the impedance per squared voltage of the bus, at each end.
        g_fr, b_fr, g_to, b_to: (m) shunt admittance at each end, less what stays there while it is open.
        l_max: (m) squared series current that ratings allow at most, inf = any (`openpoint.network.limits`).
        price: (m) cost of closing the branch. current_price: (m) cost of its squared current. loss_price: cost of loss.
        p, q: (N) load of constant power, less generation, the least that may be chosen. p_span, q_span: (N) how much
            more may be chosen. p_v, q_v: (N) load of constant current, per voltage. p_w, q_w: (N) load of constant
            impedance, per squared voltage, with what stays of branches while they are open.
        w_min, w_max: (N) squared voltage: limits, or caps that no state exceeds; both that of the source at sources.
        worth: (N) cost per squared voltage in addition to the loss of closed branches: the loss of open ones, and in a
            region a further cost, see `openpoint.search.regions`.
        y_first: (N) multipliers of active power to begin with: the price at sources, elsewhere the mean of these.
        start, neighbour, via: adjacency with all sources as the one bus n.
        column, row: (n + 1), (L) pattern below the diagonal of the factor, column by column.
        target: for every pair of rows of a column, the entry that eliminating the column changes; the row's own place
            for the diagonal. up: (n) first row of a column, the parent in the elimination tree; n where there is none.
        slot: (m) entry of the branch in the factor, -1 beside a source.
        swap: (m) whether the branch is open today, so that closing it is a change. most_closings: how many may be.
        zero_impedance: branches without impedance. ideal_conductance: the conductance that represents them.
        device_kind: (D) `DeviceKind` of the devices that may be set. device_at: (D) bus or branch. value: (V) what they
            may be set to, position by position and device by device; device d has those from device_start[d] (D + 1):
            susceptance of a bank, squared voltage that a source holds, k_fr of a tap changer. holder: (N) device that
            sets the voltage of the source at this bus, changer: (m) that sets the ratio of the branch, -1 = none; both
            of no length without devices.
        device_today: (D) position today. move_price: cost of a device in any other position.
        generator_at: (G) buses of the dispatchable generators, if their output has a price or a greatest apparent
            power; else of no length. p_low, p_high, q_low, q_high, s_high: (G) limits of their output. output_price,
            output_square, output_idle: (G) its cost: per power, per squared power, and while it is on. stopper: (G)
            device that turns it on or off, -1 = none. Sources with limits follow from number `first_source` on.
        passive: whether no branch has a negative resistance, reactance or conductance.
        shunts, currents, dispatchable, rated, bounded, priced, supplied: whether there are any admittances, loads of
            constant current, dispatchable generators, ratings, voltage limits, prices, limits of sources.
        devices, banks, voltages, taps, units: whether there are any devices that may be set, capacitor banks, voltages
            of sources, tap changers, generators that may stop.
        state_price, by_price: (m) price of each closed branch, of any sign, and the branches by ascending price; of no
            length without prices. Unlike `price` it counts by the cheapest tree, see `kernel.bound`.
        spans: whether the power of any bus may be chosen, by generators or banks. costly: whether generators are here
            by themselves; otherwise their ranges are in those of the buses.
    """

    rare: ClassVar[tuple[str, ...]] = (
        *("currents", "dispatchable", "priced", "supplied"),
        *("devices", "banks", "voltages", "taps", "units", "spans", "costly"),
    )

    n: int
    fr: Indices
    to: Indices
    r: Floats
    x: Floats
    z2: Floats
    k_fr: Floats
    k_to: Floats
    g_fr: Floats
    b_fr: Floats
    g_to: Floats
    b_to: Floats
    l_max: Floats
    price: Floats
    current_price: Floats
    loss_price: float
    p: Floats
    q: Floats
    p_span: Floats
    q_span: Floats
    p_v: Floats
    q_v: Floats
    p_w: Floats
    q_w: Floats
    w_min: Floats
    w_max: Floats
    worth: Floats
    y_first: Floats
    start: Indices
    neighbour: Indices
    via: Indices
    column: Indices
    row: Indices
    target: Indices
    up: Indices
    slot: Indices
    swap: Bools
    most_closings: int
    zero_impedance: Indices
    ideal_conductance: float
    device_kind: Indices
    device_at: Indices
    device_start: Indices
    device_today: Indices
    move_price: float
    value: Floats
    holder: Indices
    changer: Indices
    generator_at: Indices
    p_low: Floats
    p_high: Floats
    q_low: Floats
    q_high: Floats
    s_high: Floats
    output_price: Floats
    output_square: Floats
    output_idle: Floats
    first_source: int
    stopper: Indices
    passive: bool
    shunts: bool
    currents: bool
    dispatchable: bool
    rated: bool
    bounded: bool
    priced: bool
    supplied: bool
    devices: bool
    banks: bool
    voltages: bool
    taps: bool
    units: bool
    spans: bool
    costly: bool
    state_price: Floats = field(default_factory=lambda: np.empty(0))
    by_price: Indices = field(default_factory=lambda: np.empty(0, dtype=np.int32))


@dataclass(frozen=True, eq=False)
class Work(Table):
    """The current node and the arrays of its bound.

    Attributes:
        status: (m) OPEN, CLOSED or UNDECIDED. y, mu, phi: (N) multipliers of the balances and of the voltage limits.
        low, high: (D) first and last position that a device may have. wanted: (D) position in the relaxation.
        running: (D) of a generator that may stop 1 where it costs less on than off, else 0.
        order, parent, edge: (N) forest of the closed branches, roots first; bus above, branch to it (-1: a root).
        gain: (N) A, the coefficient of −w in the bound. w: (N) squared voltages, an estimate.
        used: (N) whether the bound uses this estimate, at a rating that counts or for a tangent.
        alpha, beta, rho, nu: (m) of the bound. steep: (m) (α² + β²) / 4ρ. down: (m) whether power leaves at fr.
        k_fr: (m) as in the model; of tap changers that at which the bound is least. conductance: (m).
        drop_y, drop_mu: (m) y_i - y_j, μ_i - μ_j. value: (m) bound with the branch open.
        guess: (m) estimate of it. status_kept: (m) states to restore after a trial.
        factor, diagonal: (L), (n) LDLᵀ. factor_q, diagonal_q: the same for μ where it is another, else of no length.
        choice_p, choice_q: (N) LEAST, MOST or BETWEEN of the power that may be chosen; taken_p, taken_q: (N) load with
            what is chosen. least_q, span_q: (N) reactive load, the least that may be chosen and how much more, with
            banks; of no length without. y_next, mu_next, one: (N) right-hand sides and solutions.
        y_kept, mu_kept: (N) multipliers to restore after a trial. y_best, mu_best: (N) the best of a fixed point.
        end_p, end_q: (G) LEAST, MOST or BETWEEN of the outputs of `Model.generator_at`; output_p, output_q: (G) these
            outputs. kappa: (G) multiplier of the greatest apparent power. tie_p, tie_q: (N) conductance of their ties.
        leader: (N) union-find. rank, lowest, came, at: (N) memory of the search for bridges.
    """

    status: States
    status_kept: States
    low: Indices
    high: Indices
    wanted: Floats
    running: Floats
    y: Floats
    mu: Floats
    phi: Floats
    order: Indices
    parent: Indices
    edge: Indices
    gain: Floats
    w: Floats
    used: Bools
    alpha: Floats
    beta: Floats
    rho: Floats
    nu: Floats
    steep: Floats
    down: Bools
    k_fr: Floats
    conductance: Floats
    drop_y: Floats
    drop_mu: Floats
    value: Floats
    guess: Floats
    factor: Floats
    diagonal: Floats
    factor_q: Floats
    diagonal_q: Floats
    choice_p: States
    choice_q: States
    taken_p: Floats
    taken_q: Floats
    least_q: Floats
    span_q: Floats
    end_p: States
    end_q: States
    output_p: Floats
    output_q: Floats
    kappa: Floats
    tie_p: Floats
    tie_q: Floats
    y_next: Floats
    mu_next: Floats
    one: Floats
    y_kept: Floats
    mu_kept: Floats
    y_best: Floats
    mu_best: Floats
    leader: Indices
    rank: Indices
    lowest: Indices
    came: Indices
    at: Indices


def work_for(model: Model) -> Work:
    """New arrays for a node: all branches undecided, all multipliers those to begin with."""
    m, size, devices = len(model.fr), len(model.p), len(model.device_kind)
    by_bus = ("mu", "phi", "gain", "y_next", "mu_next", "one", "y_kept", "mu_kept", "taken_p", "taken_q")
    by_branch = ("alpha", "beta", "rho", "nu", "steep", "conductance", "drop_y", "drop_mu", "value", "guess")
    numbers = ("order", "parent", "edge", "leader", "rank", "lowest", "came", "at")
    arrays: dict[str, Any] = {name: np.zeros(size) for name in by_bus}
    arrays |= {name: np.zeros(m) for name in by_branch}
    arrays |= {name: np.zeros(size, dtype=np.int32) for name in numbers}
    arrays |= {"factor": np.zeros(len(model.row)), "diagonal": np.zeros(model.n)}
    arrays |= {"y": model.y_first.copy(), "w": model.w_max.copy()}
    rows, buses = (len(model.row), model.n) if model.spans else (0, 0)
    arrays |= {"factor_q": np.zeros(rows), "diagonal_q": np.zeros(buses)}
    for side, span in (("choice_p", model.p_span), ("choice_q", model.q_span)):
        arrays[side] = np.where(span > 0.0, BETWEEN, LEAST).astype(np.int8)
    arrays |= {name: np.zeros(size if model.banks else 0) for name in ("least_q", "span_q")}
    arrays |= {"low": np.zeros(devices, dtype=np.int32), "wanted": np.zeros(devices), "running": np.zeros(devices)}
    arrays["k_fr"] = model.k_fr.copy()
    arrays["high"] = np.diff(model.device_start).astype(np.int32) - 1
    for end, low, high in (("end_p", model.p_low, model.p_high), ("end_q", model.q_low, model.q_high)):
        arrays[end] = np.where(high > low, BETWEEN, LEAST).astype(np.int8)
    arrays |= {name: np.zeros(len(model.generator_at)) for name in ("output_p", "output_q", "kappa")}
    arrays |= {name: np.zeros(size if model.costly else 0) for name in ("tie_p", "tie_q", "y_best", "mu_best")}
    arrays |= {name: np.full(m, UNDECIDED, dtype=np.int8) for name in ("status", "status_kept")}
    return Work(down=np.zeros(m, dtype=np.bool_), used=np.zeros(size, dtype=np.bool_), **arrays)
