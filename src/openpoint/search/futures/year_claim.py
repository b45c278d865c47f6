"""What a certificate claims of a year: of which steps it is, and in which groups these are bounded.

The steps themselves are not in the file: the checker reads them from the table of the user.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from openpoint.arrays import Floats, Ints
from openpoint.powerflow.series import StepDemand


@dataclass(frozen=True, eq=False)
class YearClaim:
    """A year of T steps in groups.

    Attributes:
        demand: of the steps, per unit. hours: (T) their lengths. label: (T) number of the group of each step.
    """

    demand: StepDemand
    hours: Floats
    label: Ints

    key: ClassVar[str] = "year"

    def head(self) -> dict[str, Any]:
        """As it stands in the head of the file."""
        return {
            "steps": len(self.label),
            "groups": int(self.label.max()) + 1,
            "digest": self._digest(),
            "groups_digest": hashlib.sha256(self.numbers()).hexdigest(),
        }

    def numbers(self) -> bytes:
        """The groups of the steps."""
        return self.label.astype("<i4").tobytes()

    def _digest(self) -> str:
        """SHA-256 of profiles, of who follows them, and of the lengths of the steps."""
        demand, found = self.demand, hashlib.sha256()
        found.update(np.array([*demand.profile.shape, len(demand.power)], dtype="<i8").tobytes())
        for numbers, kind in (
            (self.hours, "<f8"),
            (demand.profile, "<f8"),
            (demand.bus, "<i8"),
            (demand.follows, "<i8"),
            (demand.power, "<c16"),
        ):
            found.update(np.ascontiguousarray(numbers, dtype=kind).tobytes())
        return found.hexdigest()
