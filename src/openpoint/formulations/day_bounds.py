"""Bounds of voltages and of powers that hold in every period, realisation, schedule and recourse of a day."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.formulations.devices import highest_voltages, lowest_sources
from openpoint.formulations.distflow import voltage_bounds
from openpoint.network import Network
from openpoint.network.day import DayArrays
from openpoint.network.devices import Devices


def day_voltage_bounds(network: Network, day: DayArrays, devices: Devices, *, limits: bool) -> tuple[Floats, Floats]:
    """(N) lower and (N) upper bounds of the squared voltages in every period, realisation, schedule and recourse.

    Args:
        network: of the day, without loads. day: its arrays. devices: what may be set.
        limits: whether the voltage limits are kept by every point of interest.

    Raises:
        OptionError: no finite upper bound follows from the data.
    """
    up = 1.0 + day.uncertain.up.max(axis=0, initial=0.0)
    load_up, sun_up = (np.append(up, 1.0)[numbers] for numbers in (day.uncertain.load, day.uncertain.renewable))
    stores, renewables, n = day.stores, day.renewables, network.n_terminals
    p = renewables.available.max(axis=0, initial=0.0) * sun_up
    fed = at_terminals(renewables.terminal, n) @ (p + 1j * renewables.s_max)
    fed = fed + at_terminals(stores.terminal, n) @ (stores.discharge_max + 1j * stores.s_max)
    load_up = load_up + day.demand.shift_buses + day.demand.shift_time
    power, current, impedance = (
        load_up * (np.minimum(load.real, 0.0).min(axis=0) + 1j * np.minimum(load.imag, 0.0).min(axis=0))
        for load in (day.load_power, day.load_current, day.load_impedance)
    )
    strongest = replace(
        network,
        s_power=network.s_power + power - fed,
        s_current=network.s_current + current,
        s_impedance=network.s_impedance + impedance,
        p_max=np.maximum(network.p_min, network.p_max * day.unit_available.max(axis=0, initial=0.0)),
    )
    lower, upper = voltage_bounds(highest_voltages(strongest, devices), limits=limits)
    lower[network.source_terminal] = lowest_sources(network, devices) ** 2
    return lower, upper


def largest_powers(network: Network, day: DayArrays) -> Complexes:
    """(N) sizes of all power that may be drawn or fed in at a terminal, whatever is scheduled."""
    up = np.append(1.0 + day.uncertain.up.max(axis=0, initial=0.0), 1.0)
    more = day.demand.shift_buses + day.demand.shift_time + up[day.uncertain.load]
    load = np.abs(day.load_power).max(axis=0) * more
    n, stores, renewables = network.n_terminals, day.stores, day.renewables
    unit = np.hypot(np.maximum(np.abs(network.p_min), np.abs(network.p_max)), np.maximum(-network.q_min, network.q_max))
    size = load + at_terminals(stores.terminal, n) @ (stores.charge_max + stores.discharge_max + stores.s_max)
    size = size + at_terminals(network.generator_terminal, n) @ unit
    available = renewables.available.max(axis=0, initial=0.0) * up[day.uncertain.renewable]
    size = size + at_terminals(renewables.terminal, n) @ (available + renewables.s_max)
    return np.asarray(np.abs(network.s_power) + size, dtype=np.complex128)


def at_terminals(terminals: Ints, n: int) -> sp.csr_array:
    """(n, K) a column has a 1 at its terminal."""
    return sp.csr_array((np.ones(len(terminals)), (terminals, np.arange(len(terminals)))), shape=(n, len(terminals)))
