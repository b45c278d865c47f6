"""What of the demand of a day may be moved or shed, and at which power factor."""

from __future__ import annotations

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Ints
from openpoint.network.day import DayArrays

FULL = 1.0 - 1e-12
"""A share of the load from which less than nothing could be left."""


def nominal_load(day: DayArrays, t: int) -> Complexes:
    """(N) forecast load of period t at nominal voltage."""
    return np.asarray(day.load_power[t] + day.load_current[t] + day.load_impedance[t])


def tangent(day: DayArrays, t: int) -> Floats:
    """(N) reactive per active load of period t, 0 where no active power is drawn."""
    load = nominal_load(day, t)
    draws = load.real > 0.0
    return np.where(draws, load.imag, 0.0) / np.where(draws, load.real, 1.0)


def sheddable(day: DayArrays) -> Ints:
    """Terminals whose load may be shed in some period."""
    return np.flatnonzero((day.demand.shed_share > 0.0) & _draws(day))


def movable(day: DayArrays) -> Ints:
    """Terminals whose load may move to other buses in some period."""
    return np.flatnonzero((day.demand.shift_buses > 0.0) & _draws(day))


def may_be_empty(day: DayArrays) -> Bools:
    """(N) whether shedding and moves together could take more than the load."""
    down = np.append(1.0 - day.uncertain.down.max(axis=0, initial=0.0), 1.0)[day.uncertain.load]
    demand = day.demand
    return np.asarray(demand.shed_share + demand.shift_buses + demand.shift_time / np.maximum(down, 1e-3) > FULL)


def splits(day: DayArrays, t: int) -> Ints:
    """Sources at which energy that flows back earns less than energy that is bought costs."""
    return np.flatnonzero(day.export_price[t] < day.source_price[t])


def _draws(day: DayArrays) -> Bools:
    """(N) whether a terminal draws active power in some period."""
    return np.asarray((day.load_power + day.load_current + day.load_impedance).real.max(axis=0) > 0.0)
