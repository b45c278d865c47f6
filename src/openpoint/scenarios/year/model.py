"""A year: demands of constant power of the buses of a grid in steps that follow each other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.powerflow.series import StepDemand


@dataclass(frozen=True, eq=False)
class Year:
    """T steps of a balanced grid of N buses. Every load and generator of constant power is a share that follows one of
    d profiles; what follows none follows the last profile, which is 1 in every step.

    All else is as in the grid in every step: loads of constant current and impedance, capacitors, voltages of sources.

    Attributes:
        names: (T) when the steps start, or their numbers. hours: (T) how long they are.
        profile_names: (d). profile: (T, d) values. bus_names: (N) as in `grid.buses`.
        bus, follows: (L) numbers of bus and profile of a share. kva: (L) its power p + jq at profile 1, positive
            consumption.
        notes: what changes the meaning of figures.
    """

    names: tuple[str, ...]
    hours: Floats
    profile_names: tuple[str, ...]
    profile: Floats
    bus_names: tuple[str, ...]
    bus: Ints
    follows: Ints
    kva: Complexes
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.hours)

    def __repr__(self) -> str:
        return f"Year({len(self)} steps, {self.hours.sum():g} h, {len(self.bus_names)} buses)"

    def demand(self, s_base_kva: float) -> StepDemand:
        """The demands in per unit."""
        return StepDemand(self.profile, self.bus, self.follows, self.kva / s_base_kva, len(self.bus_names))

    def total_kw(self) -> Floats:
        """(T) net active demand of all buses of constant power."""
        by_profile = np.bincount(self.follows, self.kva.real, minlength=self.profile.shape[1])
        return np.asarray(self.profile @ by_profile)
