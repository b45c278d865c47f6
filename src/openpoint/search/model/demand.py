"""Demand and generation at the buses, in the form that the search model uses."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.network import Network


@dataclass(frozen=True)
class Demand:
    """(N) demand less generation, per unit; 0 at sources, where it causes no loss, unless their power has a price.

    Attributes:
        power: constant power at the greatest output of the dispatchable generators.
        span: width of the range of the dispatchable generators. current: demand of constant current, per voltage.
        steady: demand of constant impedance, per squared voltage.
    """

    power: Complexes
    span: Complexes
    current: Complexes
    steady: Complexes


def demand(network: Network, *, at_sources: bool = False, generators: bool = True) -> Demand:
    """The demand of a balanced network, with the ranges of its dispatchable generators or without any `generators`.

    `at_sources`: also the demand there.
    """
    power, current, steady = network.s_power.copy(), network.s_current.copy(), network.s_impedance.copy()
    span = np.zeros(network.n_terminals, dtype=complex)
    if generators:
        np.subtract.at(power, network.generator_terminal, network.p_max + 1j * network.q_max)
        ranges = (network.p_max - network.p_min) + 1j * (network.q_max - network.q_min)
        np.add.at(span, network.generator_terminal, ranges)
    if not at_sources:
        for part in (power, span, current, steady):
            part[network.source_terminal] = 0.0
    return Demand(power, span, current, steady)


def by_bus(taken: Demand, bus: Ints) -> dict[str, Floats]:
    """The demand as the arrays of `openpoint.search.kernel.arrays.Model`, of these buses."""
    parts = {"": taken.power, "_span": taken.span, "_v": taken.current, "_w": taken.steady}
    arrays = {f"p{name}": part.real[bus].copy() for name, part in parts.items()}
    return arrays | {f"q{name}": part.imag[bus].copy() for name, part in parts.items()}
