"""The linear model of a grid of any phases with its devices: LinDist3Flow around a known exact state.

min  loss, or power of the sources        s.t.  LinDist3Flow, devices at whole positions, x radial, limits

Around the exact voltages and losses of a state, usually today's: loads are affine in squared voltages
(`lindist3flow_devices`), the losses of that state are constant loads where the power comes from, and the loss is

    Σ_k |j_k|² / t,      t = mean of |u|² / |u0|² over the conductors of the branch

with the currents j of `lindist3flow_loss` at the voltages of that state, so that it falls as voltages rise. It is
convex in flows and voltages. The power of the sources is the demand plus that loss.

What this proves, it proves of the linear model; the exact power flow has other optima.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import final

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.formulations.lindist3flow import rating_excess
from openpoint.formulations.lindist3flow_devices import FreeBank, FreeTap, LinearDemand, demand_around, free_tap
from openpoint.formulations.lindist3flow_equations import (
    Coefficients,
    LossTerms,
    coefficients,
    floating_terminals,
    idle_loss,
    loss_terms,
    tied_windings,
)
from openpoint.formulations.lindist3flow_solve import evaluate, no_load
from openpoint.formulations.radiality import Choices, Switching, by_branch, is_radial_state
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.devices import DeviceKind
from openpoint.network.limits import at_kept_limits
from openpoint.network.load_shares import phase_bases
from openpoint.powerflow.opendss import PhaseFlows
from openpoint.solvers.modelling import cp
from openpoint.studies.dispatch.phases.devices import PhaseDevices
from openpoint.studies.dispatch.phases.evaluation import Sought

V_LEAST_PU, V_MOST_PU = 0.5, 1.5
"""Voltages beyond which a linear flow says nothing."""


@final
@dataclass(frozen=True)
class LinearModel:
    """The linear model around an exact state.

    Attributes:
        grid: as it is today. network: its arrays with the limits to keep. devices: those that are free.
        choices: what is left to decide of the branches, over conductors. switching: how many may change.
        sought: what is minimised.
        around: exact power flow of the state around which all is linear, that of the grid as it is today.
    """

    grid: Grid
    network: Network
    devices: PhaseDevices
    choices: Choices
    switching: Switching
    sought: Sought
    around: PhaseFlows

    @property
    def v(self) -> Complexes:
        """(N) reference voltages."""
        return np.asarray(self.around.v[0])

    @cached_property
    def limited(self) -> Network:
        """The network with limits as far out as they count as kept."""
        return at_kept_limits(self.network)

    @cached_property
    def base_kw(self) -> float:
        """kW of one per unit of power of a phase."""
        return self.network.s_base_kva / phase_bases(self.network.terminal_phase[0])

    @cached_property
    def always(self) -> Bools:
        """(B) branches that are always closed."""
        return by_branch(self.network, self.choices.state == 1.0)

    @cached_property
    def reference(self) -> Complexes:
        """(N) voltages without load, around which the voltage law is linear; the exact ones where loops are closed."""
        today = by_branch(self.network, self.network.closed)
        return no_load(self.network, today) if is_radial_state(self.network, today) else self.v

    @cached_property
    def coefficients(self) -> Coefficients:
        """Matrices of LinDist3Flow with today's ratios."""
        return coefficients(self.network, self.reference)

    @cached_property
    def terms(self) -> LossTerms:
        """The currents whose squares are the loss."""
        return loss_terms(self.network, self.v)

    @cached_property
    def nearness(self) -> sp.csr_array:
        """(L, N) t of the module for every term, per w."""
        net, squares = self.network, self.coefficients.square_to
        mean = sp.csr_array(
            (np.ones(net.n_conductors), (net.conductor_branch, np.arange(net.n_conductors))),
            shape=(len(net.branch_names), net.n_conductors),
        )
        count = np.maximum(np.asarray(mean.sum(axis=1)).ravel(), 1.0)
        w = np.abs(self.v) ** 2
        known = np.maximum(squares @ w, V_LEAST_PU**2)
        by_number = sp.diags_array(1.0 / count) @ mean @ sp.diags_array(1.0 / known) @ squares
        return sp.csr_array(sp.csr_array(by_number)[self.terms.branch])

    @cached_property
    def lost(self) -> Complexes:
        """(N) losses of the reference state, as loads where the power enters each branch, per unit.

        Where the neutral floats they are spread over the phases, as it carries no current; where windings between two
        lines tie the phases they are left out.
        """
        net, flows = self.network, self.around
        loss = (flows.s_fr_kva[0] + flows.s_to_kva[0]) / self.base_kw
        into = np.where(flows.s_fr_kva[0].real >= 0.0, net.terminal_fr, net.terminal_to)
        found = np.zeros(net.n_terminals, dtype=np.complex128)
        if len(net.windings.conductor):
            return found
        np.add.at(found, into, np.where(net.closed, loss, 0.0))
        floats = floating_terminals(net, self.coefficients.deltas, np.ones(net.n_conductors, dtype=np.bool_))
        total, count = (np.bincount(net.terminal_bus, part) for part in (found.real, np.ones(net.n_terminals)))
        reactive = np.bincount(net.terminal_bus, found.imag)
        return np.where(floats, ((total + 1j * reactive) / count)[net.terminal_bus], found)

    @cached_property
    def demand(self) -> LinearDemand:
        """Net demand with the free capacitors off, losses of the reference state included."""
        without = demand_around(build_network(self.devices.without_banks(self.grid)), self.v, self.always)
        return LinearDemand(without.s + self.lost, without.per_w, without.pairs, without.pairs_per_w)

    @cached_property
    def idle(self) -> Floats:
        """(B) loss of magnetising branches at the reference voltages, per unit."""
        return idle_loss(self.network, self.v)

    @cached_property
    def taps(self) -> tuple[FreeTap, ...]:
        """The free tap changers."""
        first = len(self.network.branch_names) - self.grid.transformers.height
        found: list[FreeTap] = []
        for d in self.devices.taps:
            conductors = np.flatnonzero(self.network.conductor_branch == first + self.devices.row[d])
            ratios = self.devices.ratios(self.grid, int(d))
            found.append(free_tap(self.network, self.coefficients, conductors, ratios, self.bounds))
        return tuple(found)

    @cached_property
    def banks(self) -> tuple[FreeBank, ...]:
        """The free capacitors."""
        off, found = build_network(self.devices.without_banks(self.grid)), list[FreeBank]()
        for d in self.devices.banks:
            on = build_network(self.devices.with_one_bank(self.grid, int(d)))
            wye = (off.s_impedance - on.s_impedance).imag
            delta = (off.delta.s_impedance - on.delta.s_impedance).imag
            terminal, pair = np.flatnonzero(wye), np.flatnonzero(delta)
            share = self.devices.shares(self.grid, int(d))
            found.append(FreeBank(terminal, wye[terminal], pair, delta[pair], share))
        return tuple(found)

    @cached_property
    def bounds(self) -> tuple[Floats, Floats]:
        """(N) bounds of the squared voltages: the limits to keep, and the voltages that sources hold."""
        net, least, most = self.limited, V_LEAST_PU**2, V_MOST_PU**2
        low, high = np.clip(net.w_min, least, most), np.clip(net.w_max, least, most)
        low[net.source_terminal] = high[net.source_terminal] = np.abs(net.source_v) ** 2
        return low, high

    def value(self, w: Floats, s: Complexes, source_kw: float) -> float:
        """What is minimised, in kW, of squared voltages (N), flows (E) and the power of the sources."""
        current = np.abs(np.asarray(self.terms.matrix @ s))
        loss = float((current**2 / (self.nearness @ w)).sum()) * self.base_kw
        if self.sought is Sought.LOSS:
            return loss
        return source_kw - float(self.lost.real.sum()) * self.base_kw + loss

    def evaluate(self, closed: Bools, positions: Ints) -> tuple[float, float]:
        """Value in kW and sum of the excesses of the limits of a radial state (B), (D) in the linear model.

        The excess is inf where voltages leave what the model can say anything about, or too much is switched.
        """
        if not self.switching.allowed(closed):
            return math.inf, math.inf
        net, demand = self.at(positions), self.demand
        for bank, d in zip(self.banks, self.devices.banks):
            demand = demand.with_bank(bank, int(positions[d]))
        per_w = demand.matrix(self.coefficients)
        flow = evaluate(net, closed, demand.s, demand.pairs, reference=self.reference, per_w=per_w)
        w, s = flow.w[0], flow.s[0]
        if w.min() < V_LEAST_PU**2 or w.max() > V_MOST_PU**2:
            return math.inf, math.inf
        value = self.value(w, s, float(flow.source_s[0].real.sum()) * self.base_kw)
        if self.sought is Sought.LOSS:
            value += float(self.idle[closed].sum()) * self.base_kw
        rated = rating_excess(net, cp.Constant(closed * 1.0), cp.Constant(s.real), cp.Constant(s.imag)).value
        low = net.w_min > 0.0
        parts = [1.0 - w[low] / net.w_min[low], w / net.w_max - 1.0, np.asarray(rated)]
        return value, sum(float(np.maximum(part, 0.0).sum()) for part in parts)

    def at(self, positions: Ints) -> Network:
        """The network with the tap changers at positions (D)."""
        tap = self.limited.tap.copy()
        for free, d in zip(self.taps, self.devices.taps):
            tap[free.conductor] = free.tap[positions[d] - self.devices.low[d]]
        return replace(self.limited, tap=tap)


def modelled(network: Network, grid: Grid, devices: PhaseDevices) -> Bools:
    """(D) devices that the linear model has: all but regulators in an open delta, whose law has tap in two terms."""
    every = np.ones(network.n_conductors, dtype=np.bool_)
    tied = network.windings.conductor[tied_windings(network, network.source_terminal, every) != 0]
    first = len(network.branch_names) - grid.transformers.height
    theirs = network.conductor_branch[tied] - first
    return np.asarray(~((devices.kind == DeviceKind.TAP) & np.isin(devices.row, theirs)))


def carried(model: LinearModel) -> float:
    """Active and reactive power, per unit of a phase, that no conductor exceeds."""
    demand, (_, high) = model.demand, model.bounds
    pairs = np.abs(demand.pairs) + np.abs(demand.pairs_per_w) * float(high.max())
    banks: Sequence[FreeBank] = model.banks
    fed = sum(float(bank.b.sum() + bank.b_pair.sum()) for bank in banks) * float(high.max())
    deltas = sum("delta" in connection for connection in model.network.branch_connections)
    drawn = float((np.abs(demand.s) + np.abs(demand.per_w) * high).sum() + 2.0 * pairs.sum()) + 2.0 * fed
    return 2.0 ** min(deltas, 10) * drawn
