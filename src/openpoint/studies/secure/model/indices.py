"""Interruptions a year by bus and by fault, from which the indices of a system follow (IEEE Std 1366).

After a fault its breaker trips all that it feeds. Once the section is isolated, after the switching time, all have
supply again but the section itself and the parts that no tie restores; these wait for the repair. A repair that is
quicker than switching ends the interruption of all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.restoration import Restoration


@dataclass(frozen=True)
class Interruptions:
    """What the faults of a year do to N buses with E branches.

    Attributes:
        times, hours: (N) interruptions, and hours without supply.
        customer_hours, kwh: (E) customer hours and energy not supplied by the faults of each branch.
    """

    times: Floats
    hours: Floats
    customer_hours: Floats
    kwh: Floats


def dark_buses(fault: Fault, restoration: Restoration) -> Ints:
    """The buses without supply until the repair."""
    served = restoration.served or (False,) * len(fault.parts)
    lost = [part.buses for part, has in zip(fault.parts, served) if not has]
    return np.concatenate([fault.isolated, *lost])


def interruptions(
    faults: Sequence[Fault],
    restorations: Sequence[Restoration],
    *,
    rates: Floats,
    repair_h: Floats,
    switching_h: float,
    customers: Floats,
    load_kw: Floats,
) -> Interruptions:
    """What the faults of a year do.

    Args:
        faults, restorations: of one state. rates, repair_h: (E) faults a year of each branch, and time of its repair.
        switching_h: time until a fault is isolated and ties are closed. customers, load_kw: (N) of each bus.
    """
    n, e = len(customers), len(rates)
    times, hours, customer_hours, kwh = np.zeros(n), np.zeros(n), np.zeros(e), np.zeros(e)
    for fault, restoration in zip(faults, restorations, strict=True):
        own, dark = fault.branches, dark_buses(fault, restoration)
        until = rates[own] * np.minimum(switching_h, repair_h[own])
        longer = rates[own] * repair_h[own] - until
        times[fault.tripped] += rates[own].sum()
        hours[fault.tripped] += until.sum()
        hours[dark] += longer.sum()
        for result, weight in ((customer_hours, customers), (kwh, load_kw)):
            result[own] = until * weight[fault.tripped].sum() + longer * weight[dark].sum()
    return Interruptions(times, hours, customer_hours, kwh)
