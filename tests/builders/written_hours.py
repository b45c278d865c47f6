"""The recourse of a period as it is written, for a schedule and a realisation that are numbers or expressions.

The package compiles it once over what a period meets; here that is put together anew for each schedule.
"""

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.arrays import Floats, Ints
from openpoint.formulations.devices import DeviceChoice
from openpoint.formulations.hour import HourDemand, HourFlow, check_uncertain_loads, recourse_flow
from openpoint.formulations.schedule import at_terminals
from openpoint.network import Network
from openpoint.network.day import DayArrays, nominal_load, tangent
from openpoint.network.operating_cost import OperatingCost, SupplyLimits


@dataclass(frozen=True)
class HourSchedule:
    """What the first stage gives to a period: numbers or affine expressions, per unit.

    Attributes:
        generation: (2, G) active and reactive output of the generators.
        charge, discharge, store_q: (B) of the stores, see `DayPlan`. shift: (N) active demand moved in time.
    """

    generation: cp.Expression | Floats
    charge: cp.Expression | Floats
    discharge: cp.Expression | Floats
    store_q: cp.Expression | Floats
    shift: cp.Expression | Floats


def hour_flow(
    network: Network,
    day: DayArrays,
    t: int,
    *,
    closed: cp.Expression,
    schedule: HourSchedule,
    realisation: cp.Expression | Floats,
    w_upper: Floats,
    supply: SupplyLimits,
    cost: OperatingCost,
    choice: DeviceChoice | None = None,
) -> HourFlow:
    """The recourse of period t.

    Args:
        network: of the day, without loads. day: its arrays.
        closed: (E) states of the branches. schedule: what is scheduled.
        realisation: (U) in this period; an expression that is no number asks for loads of constant power.
        w_upper: (N) upper bounds of the squared voltages, see `day_voltage_bounds`.
        supply: limits of sources and generators. cost: prices; those of sources are of the day.
        choice: positions of devices; they stand where the network has them by default.

    Raises:
        OptionError: an uncertain load of constant current or impedance where the realisation is no number.
    """
    demand = hour_demand(network, day, t, schedule, realisation)
    return recourse_flow(network, day, t, demand, closed, w_upper, supply, cost, choice)


def hour_demand(
    network: Network, day: DayArrays, t: int, schedule: HourSchedule, realisation: cp.Expression | Floats
) -> HourDemand:
    """What the recourse of period t meets; arguments and errors as in `hour_flow`."""
    realisation, known = _number(realisation)
    of_load, base_load = _factor(day.uncertain.load, day.uncertain.count)
    of_reactive, base_reactive = _factor(day.uncertain.of_reactive, day.uncertain.count)
    of_sun, base_sun = _factor(day.uncertain.renewable, day.uncertain.count)
    factor, sun = of_load @ realisation + base_load, of_sun @ realisation + base_sun
    factor_q = of_reactive @ realisation + base_reactive
    power = day.load_power[t]
    if not known:
        check_uncertain_loads(network, day)
    both = [np.asarray(each) if known else np.ones(network.n_terminals) for each in (factor, factor_q)]
    nominal, angle = nominal_load(day, t), tangent(day, t)
    drawn = [cp.multiply(power.real, factor), cp.multiply(power.imag, factor_q)]
    n = network.n_terminals
    stores, sources = at_terminals(day.stores.terminal, n), network.s_power
    drawn_p = drawn[0] + sources.real + schedule.shift + stores @ (schedule.charge - schedule.discharge)
    drawn_q = drawn[1] + sources.imag + cp.multiply(angle, schedule.shift) - stores @ schedule.store_q
    units = at_terminals(network.generator_terminal, n)
    drawn_p, drawn_q = drawn_p - units @ schedule.generation[0], drawn_q - units @ schedule.generation[1]
    active, reactive = np.maximum(nominal.real, 0.0), np.abs(nominal.imag)
    return HourDemand(
        power=cp.hstack([drawn_p, drawn_q]),
        load=cp.hstack([cp.multiply(active, factor), cp.multiply(reactive, factor_q)]),
        consumed=cp.multiply(active, factor) + schedule.shift,
        available=cp.multiply(day.renewables.available[t], sun),
        current=network.s_current + day.load_current[t].real * both[0] + 1j * day.load_current[t].imag * both[1],
        impedance=network.s_impedance
        + day.load_impedance[t].real * both[0]
        + 1j * day.load_impedance[t].imag * both[1],
    )


def _factor(numbers: Ints, count: int) -> tuple[sp.csr_array, Floats]:
    """(M, U) and (M): the factors of quantities by number as matrix @ realisation + base, 1 where the number is −1."""
    some = np.flatnonzero(numbers >= 0)
    matrix = sp.csr_array((np.ones(len(some)), (some, numbers[some])), shape=(len(numbers), count))
    return matrix, np.asarray(numbers < 0, dtype=np.float64)


def _number(value: cp.Expression | Floats) -> tuple[cp.Expression | Floats, bool]:
    """A constant expression as its number; whether it is one."""
    if isinstance(value, np.ndarray):
        return value, True
    return (np.atleast_1d(value.value), True) if value.is_constant() else (value, False)
