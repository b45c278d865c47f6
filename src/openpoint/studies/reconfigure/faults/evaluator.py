"""Figures of the faults of radial states, state by state: how many are not restorable, SAIFI, SAIDI and ENS."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Bools, States
from openpoint.network import Network
from openpoint.powerflow.arrays import Wires, work_for
from openpoint.powerflow.balanced import kernel_input
from openpoint.studies.reconfigure.faults.arrays import FaultData, fault_work
from openpoint.studies.reconfigure.faults.bound_kernel import bound_faults
from openpoint.studies.reconfigure.faults.kernel import evaluate_faults
from openpoint.studies.reconfigure.faults.partial import Least, least_for, partial_work

ENDLESS = 2**62


@dataclass(frozen=True)
class FaultFigures:
    """What the faults of a radial state do.

    Attributes:
        closed: (E) the state. unrestorable: (E) faults after which one tie for each part leaves load or customers
            without supply that are not isolated.
        interruptions, hours: of customers a year, added up. kwh: energy not supplied a year, at today's load.
        is_whole: whether all choices of ties were tried.
    """

    closed: Bools
    unrestorable: Bools
    interruptions: float
    hours: float
    kwh: float
    is_whole: bool

    @property
    def count(self) -> int:
        """Number of faults that are not restorable."""
        return int(self.unrestorable.sum())


class FaultEvaluator:
    """Evaluates the faults of one radial state after another."""

    def __init__(self, network: Network, data: FaultData) -> None:
        """`network`: with the limits of an emergency, its held meshes opened."""
        self.network, self.data, self.state = network, data, fault_work(data)
        self.wires, self.loads = kernel_input(network)
        self.least, self.partial = least_for(network, data), partial_work(data)
        self.work = work_for(network.n_terminals)
        self.work.position[:] = -1
        self._given = self.wires, self.loads, self.data, self.least, self.partial

    def count(self, closed: Bools, most: int = ENDLESS) -> int:
        """Number of faults that are not restorable, or one above `most`; below 0 where the state has no power flow."""
        self.state.closed[:] = closed
        return int(evaluate_faults(*self._given, self.state, self.work, most))

    def figures(self, closed: Bools) -> FaultFigures | None:
        """The figures of a state (E); None where it is not radial or has no power flow."""
        if self.count(closed) < 0:
            return None
        state = self.state
        times, hours, kwh = (float(total) for total in state.totals)
        return FaultFigures(
            state.closed.copy(), state.unrestorable.copy(), times, hours, kwh, is_whole=not state.loose[0]
        )


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
