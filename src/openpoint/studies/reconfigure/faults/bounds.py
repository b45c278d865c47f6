"""Bounds of what faults do in all completions of one partial state after another."""

from __future__ import annotations

from openpoint.arrays import States
from openpoint.powerflow.arrays import Wires
from openpoint.studies.reconfigure.faults.arrays import FaultData
from openpoint.studies.reconfigure.faults.bound_kernel import bound_faults
from openpoint.studies.reconfigure.faults.partial import Least, partial_work


class PartialBound:
    """Bounds of partial states, one after another.

    Attributes:
        work: after `faults`, `lost` and `bound` are those of the state.
    """

    def __init__(self, wires: Wires, data: FaultData, least: Least) -> None:
        self.wires, self.data, self.least = wires, data, least
        self.work = partial_work(data)

    def faults(self, status: States, most: int) -> int:
        """Faults that no completion of (E) branches OPEN, CLOSED or UNDECIDED restores; stops above `most`."""
        self.work.status[:] = status
        return int(bound_faults(self.wires, self.data, self.least, self.work, most))

    @property
    def interruptions(self) -> float:
        """Bound of the interruptions in all completions of the state before."""
        return float(self.work.bound[0])
