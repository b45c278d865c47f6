"""Schedules without what the tolerance of a solver leaves: one direction of a store at a time, energies that add up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from openpoint.arrays import Floats
from openpoint.network.day import DayPlan
from openpoint.studies.dispatch.day.model.evaluation import DayEvaluator
from openpoint.studies.dispatch.day.model.question import DayQuestion


def tidied(question: DayQuestion, plan: DayPlan) -> DayPlan:
    """The plan of a solver as it can be carried out: nothing that is off or absent works, see also the parts."""
    day = question.day
    on, there = DayEvaluator(question).on(plan), day.stores.present(day.periods)
    charge, discharge = one_way(question, np.where(there, plan.charge, 0.0), np.where(there, plan.discharge, 0.0))
    return replace(
        plan,
        generation=np.where(on, plan.generation, 0.0),
        charge=charge,
        discharge=discharge,
        store_q=np.where(there & (day.stores.s_max > 0.0), plan.store_q, 0.0),
        shift=balanced(day.hours, plan.shift, day.demand.moved_over_day),
    )


def one_way(question: DayQuestion, charge: Floats, discharge: Floats) -> tuple[Floats, Floats]:
    """Charge and discharge of which one is 0, with the same change of the content, which draws less from the grid."""
    stores = question.day.stores
    both = stores.charge_efficiency * stores.discharge_efficiency
    charge, discharge = np.clip(charge, 0.0, stores.charge_max), np.clip(discharge, 0.0, stores.discharge_max)
    cycled = np.minimum(charge, discharge / np.where(both > 0, both, 1.0))
    left = np.where((cycled < charge) & (both > 0), 0.0, np.maximum(discharge - both * cycled, 0.0))
    return charge - cycled, left


def balanced(hours: Floats, shift: Floats, energy: Floats) -> Floats:
    """Demand moved in time, (T, N), that adds up to an energy (N) up to rounding, not to the tolerance of a solver."""
    used = np.abs(shift)
    share = np.where(used.any(axis=0), used, 1.0)
    return np.asarray(shift - share * (hours @ shift - energy) / (hours @ share))
