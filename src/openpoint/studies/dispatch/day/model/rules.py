"""What a recourse that is known for one realisation does in others."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.network.day import DayPlan, HourRecourse, available_power, load_factors, nominal_load
from openpoint.studies.dispatch.day.model.question import DayQuestion

CURTAILED = 1e-6
"""A source that feeds in less than it could by more than this, per unit, is curtailed."""
NOTHING = 1e-8
"""Power, per unit, that a solver leaves where nothing is shed or moved."""


@dataclass(frozen=True)
class RecourseRule:
    """What is done in a period, cut to what each realisation allows.

    Attributes:
        most: (R) most active power that a renewable source feeds in, inf where it is not curtailed.
        q: (R) its reactive power. shed: (N) and shift: (N) as in `HourRecourse`.
    """

    most: Floats
    q: Floats
    shed: Floats
    shift: Complexes

    def at(self, question: DayQuestion, plan: DayPlan, t: int, realisations: Floats) -> HourRecourse:
        """The recourse in realisations (K, U) of period t of a plan; it keeps its own limits."""
        day, demand, s_max = question.day, question.day.demand, question.day.renewables.s_max
        load, factor = nominal_load(day, t), load_factors(day, realisations)
        active, reactive = np.maximum(load.real, 0.0) * factor, np.abs(load.imag) * factor
        p = np.maximum(np.minimum(_possible(question, t, realisations), self.most), 0.0)
        room = np.sqrt(np.maximum(s_max**2 - p**2, 0.0))
        q = np.where(s_max > 0.0, np.clip(self.q, -room, room), 0.0)
        moved = _scaled(self.shift.real, demand.shift_buses * active)
        moved_q = _scaled(self.shift.imag, demand.shift_buses * reactive)
        left = np.minimum(demand.shed_share * active, active + plan.shift[t] + moved)
        return HourRecourse(p + 1j * q, np.clip(self.shed, 0.0, np.maximum(left, 0.0)), moved + 1j * moved_q)


def rule_of(question: DayQuestion, t: int, recourse: HourRecourse, realisation: Floats) -> RecourseRule:
    """The rule of a recourse (K = 1) that was found in a realisation (U) of period t."""
    fed = recourse.renewable[0]
    free = fed.real >= _possible(question, t, realisation[None, :])[0] - CURTAILED
    shed, shift = recourse.shed[0], recourse.shift[0]
    some = np.abs(shift) > NOTHING  # what is left over is spread, so that the sum is 0
    shift = np.where(some, shift - np.where(some, shift, 0.0).sum() / max(int(some.sum()), 1), 0.0)
    return RecourseRule(np.where(free, np.inf, fed.real), fed.imag, np.where(shed > NOTHING, shed, 0.0), shift)


def _possible(question: DayQuestion, t: int, realisations: Floats) -> Floats:
    """(K, R) most active power by what is available and by the inverter."""
    s_max = question.day.renewables.s_max
    return np.minimum(available_power(question.day, t, realisations), np.where(s_max > 0.0, s_max, np.inf))


def _scaled(moved: Floats, most: Floats) -> Floats:
    """(K, N) `moved` (N) by one factor a row, so that it is at most `most` (K, N) and still sums to 0."""
    size = np.abs(moved)
    some = size > 0.0
    if not some.any():
        return np.zeros_like(most)
    share = (most[:, some] / size[some]).min(axis=1, initial=1.0)
    return np.asarray(share[:, None] * moved)
