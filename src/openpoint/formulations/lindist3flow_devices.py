"""Tap changers and capacitors at whole positions in LinDist3Flow: exact in the linear model, by a copy a position.

A device has K positions, of which z chooses one. Whatever it acts on is a squared voltage y, affine in w, multiplied by
a factor c_k of the position: c = 1 / tap² at a transformer, the share of steps that are on at a capacitor. With y in
[y̲, ȳ], the copies u_k = z_k y are

    Σ_k u_k = y,   y̲_k z_k ≤ u_k ≤ ȳ_k z_k,   Σ_k z_k = 1,   z ∈ {0, 1}        and the product is Σ_k c_k u_k

the convex hull of the K products (Balas 1979). Where the product has a range as well, the bounds of the copy k are
those of y and of the product over c_k. With z relaxed, the phases of one transformer may differ in c as far as these
ranges are wide, so narrow ones matter.

Loads are affine in w around known voltages v: those of constant current and impedance follow the voltage, and so does
the charging of lines.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.lindist3flow import Demand, Regulated, squared_range
from openpoint.formulations.lindist3flow_equations import Coefficients, closed_deltas, floating_terminals
from openpoint.formulations.lindist3flow_solve import charging
from openpoint.network import Network
from openpoint.solvers.modelling import cp


@dataclass(frozen=True)
class FreeTap:
    """A transformer whose tap position is free.

    Attributes:
        conductor: (J) its conductors, all with the same position. tap: (K) their ratio at each position.
        fr, over: (2, J) least and greatest squared voltage |u|² at the from end, and |u|² / tap².
            The narrower they are, the tighter is the relaxation.
    """

    conductor: Ints
    tap: Floats
    fr: Floats
    over: Floats


@dataclass(frozen=True)
class FreeBank:
    """A capacitor whose steps are free.

    Attributes:
        terminal: (J) where it is connected to the ground, b: (J) reactive power fed there at w = 1.
        pair: (P) pairs of `Network.delta` where it is connected. b_pair: (P) fed there at |u|² / 3 = 1.
        share: (K) of its susceptance that is on at each position.
    """

    terminal: Ints
    b: Floats
    pair: Ints
    b_pair: Floats
    share: Floats


@dataclass(frozen=True)
class LinearDemand:
    """Net demand that is affine in squared voltages, per unit.

    Attributes:
        s, per_w: (N) of terminals: s + per_w w. pairs, pairs_per_w: (D) of `Network.delta`, of its |u|² / 3.
    """

    s: Complexes
    per_w: Complexes
    pairs: Complexes
    pairs_per_w: Complexes

    def at(self, w: cp.Variable, w_delta: sp.csr_array) -> Demand:
        """The demand at squared voltages w (N); w_delta: (D, N) as in `Coefficients`."""
        square = w_delta @ w if len(self.pairs) else cp.Constant(np.zeros(0))
        return Demand(
            self.s.real + cp.multiply(self.per_w.real, w),
            self.s.imag + cp.multiply(self.per_w.imag, w),
            self.pairs.real + cp.multiply(self.pairs_per_w.real, square),
            self.pairs.imag + cp.multiply(self.pairs_per_w.imag, square),
        )

    def with_bank(self, bank: FreeBank, position: int) -> LinearDemand:
        """The demand with a capacitor at a position."""
        per_w, pairs_per_w = self.per_w.copy(), self.pairs_per_w.copy()
        per_w[bank.terminal] -= 1j * bank.share[position] * bank.b
        pairs_per_w[bank.pair] -= 1j * bank.share[position] * bank.b_pair
        return LinearDemand(self.s, per_w, self.pairs, pairs_per_w)

    def held(self, v: Complexes, network: Network) -> LinearDemand:
        """What is drawn at voltages v (N), whatever the voltages become."""
        between = np.abs(v[network.delta.fr] - v[network.delta.to]) ** 2 / 3.0
        s, pairs = self.s + self.per_w * np.abs(v) ** 2, self.pairs + self.pairs_per_w * between
        return LinearDemand(s, 0.0 * s, pairs, 0.0 * pairs)

    def matrix(self, coefficients: Coefficients) -> sp.csr_array:
        """(N, N) what terminals draw per unit of the squared voltages, pairs included."""
        own = sp.diags_array(self.per_w)
        if not len(self.pairs):
            return sp.csr_array(own)
        return sp.csr_array(own + coefficients.s_delta @ sp.diags_array(self.pairs_per_w) @ coefficients.w_delta)


@dataclass(frozen=True)
class DeviceBlock:
    """Variables and constraints of free devices.

    Attributes:
        choices: a variable z (K) a device, those of taps first; 0 or 1 where the caller makes them integer.
        regulated: for `lindist3flow`; None without taps. q: (N) and pair_q: (D) reactive power that capacitors feed.
        constraints: linear.
    """

    choices: tuple[cp.Variable, ...]
    regulated: Regulated | None
    q: cp.Expression
    pair_q: cp.Expression
    constraints: list[cp.Constraint]


def device_block(
    network: Network,
    coefficients: Coefficients,
    w: cp.Variable,
    bounds: tuple[Floats, Floats],
    taps: Sequence[FreeTap],
    banks: Sequence[FreeBank],
) -> DeviceBlock:
    """The copies of all free devices.

    Args:
        coefficients: of the network, as `lindist3flow` makes them. w: (N) squared voltages.
        bounds: (N) lower and upper bounds of w, as for `lindist3flow`.
    """
    choices: list[cp.Variable] = []
    constraints: list[cp.Constraint] = []
    products: list[cp.Expression] = []
    q, pair_q = cp.Constant(np.zeros(network.n_terminals)), cp.Constant(np.zeros(len(network.delta.fr)))
    for tap in taps:
        factor = 1.0 / tap.tap**2
        low = np.maximum(tap.fr[0][:, None], tap.over[0][:, None] / factor)
        high = np.minimum(tap.fr[1][:, None], tap.over[1][:, None] / factor)
        z = cp.Variable(len(factor), name="tap")
        product, made = _product(z, squared_fr(network, coefficients, tap.conductor) @ w, (low, high), factor)
        choices.append(z)
        constraints += made
        products.append(product)
    for bank in banks:
        z = cp.Variable(len(bank.share), name="steps")
        choices.append(z)
        places = (
            (bank.terminal, bank.b, sp.eye_array(network.n_terminals)),
            (bank.pair, bank.b_pair, coefficients.w_delta),
        )
        fed: list[cp.Expression] = []
        for place, b, squares in places:
            squared = sp.csr_array(sp.csr_array(squares)[place])
            low, high = (np.repeat(side[:, None], len(bank.share), axis=1) for side in squared_range(squared, bounds))
            product, made = _product(z, squared @ w, (low, high), bank.share)
            into = sp.csr_array((b, (place, np.arange(len(place)))), shape=(squares.shape[0], len(place)))
            fed.append(into @ product if len(place) else cp.Constant(np.zeros(squares.shape[0])))
            constraints += made if len(place) else []
        q, pair_q = q + fed[0], pair_q + fed[1]
    for z in choices:
        constraints += [z >= 0, cp.sum(z) == 1]
    regulated = None
    if taps:
        low, high = (np.concatenate([tap.over[side] for tap in taps]) for side in (0, 1))
        conductor = np.concatenate([tap.conductor for tap in taps])
        regulated = Regulated(conductor, cp.hstack(products), low, high)
    return DeviceBlock(tuple(choices), regulated, q, pair_q, constraints)


def _product(
    z: cp.Variable, y: cp.Expression, bounds: tuple[Floats, Floats], factor: Floats
) -> tuple[cp.Expression, list[cp.Constraint]]:
    """(J) the factor (K) of the position chosen times y (J), and its constraints; bounds: (J, K) of the copies."""
    low, high = bounds
    may = high >= low  # a position at which the ranges do not meet is not possible
    copies, own = cp.Variable(low.size, name="copies"), sp.eye_array(len(low))
    each, scaled = (sp.csr_array(sp.kron(own, row[None, :])) for row in (np.ones(z.size), factor))
    column = np.tile(np.arange(z.size), len(low))
    least, most = (
        sp.csr_array((np.where(may, side, 0.0).ravel(), (np.arange(low.size), column)), shape=(low.size, z.size))
        for side in (low, high)
    )
    impossible = np.flatnonzero(~may.all(axis=0))
    constraints = [each @ copies == y, copies >= least @ z, copies <= most @ z]
    return scaled @ copies, [*constraints, z[impossible] == 0] if len(impossible) else constraints


def squared_fr(network: Network, coefficients: Coefficients, conductor: Ints) -> sp.csr_array:
    """(J, N) squared internal voltage at the from end of conductors per w, without their ratio."""
    return sp.csr_array(sp.diags_array(network.tap[conductor] ** 2) @ coefficients.w_fr[conductor])


def free_tap(
    network: Network, coefficients: Coefficients, conductor: Ints, tap: Floats, bounds: tuple[Floats, Floats]
) -> FreeTap:
    """A free transformer with the ranges that follow from the bounds of w (N) and its ratios (K)."""
    low, high = squared_range(squared_fr(network, coefficients, conductor), bounds)
    return FreeTap(conductor, tap, np.array([low, high]), np.array([low / tap.max() ** 2, high / tap.min() ** 2]))


def demand_around(network: Network, v: Complexes, always: Bools) -> LinearDemand:
    """Today's loads, affine around voltages v (N), fixed generation and capacitors deducted; charging included.

    Args:
        always: (B) branches that are always closed. The charging of others is left out, and that behind a delta or a
            winding between two lines, where it would fix a neutral that floats.
    """
    delta, u = network.delta, np.abs(v)
    between = np.abs(v[delta.fr] - v[delta.to]) / math.sqrt(3.0)
    per_w = network.s_impedance + network.s_current / (2.0 * u) + _charging(network, always)
    pairs_per_w = delta.s_impedance + delta.s_current / (2.0 * between)
    s = network.s_power + network.s_current * u / 2.0
    pairs = delta.s_power + delta.s_current * between / 2.0
    number = {(int(a), int(b)): k for k, (a, b) in enumerate(zip(delta.fr, delta.to))}
    for terminal, back, made in zip(network.generator_terminal, network.generator_return, network.generator_s):
        if back < 0:
            s[terminal] -= made
        else:
            pairs[number[int(terminal), int(back)]] -= made
    return LinearDemand(s, per_w, pairs, pairs_per_w)


def _charging(network: Network, always: Bools) -> Complexes:
    """(N) per unit of w; see `demand_around`."""
    if len(network.windings.conductor):
        return np.zeros(network.n_terminals, dtype=np.complex128)
    every = np.ones(network.n_conductors, dtype=np.bool_)
    deltas = closed_deltas(network, network.source_terminal, every)
    return np.where(floating_terminals(network, deltas, every), 0.0, charging(network, always))
