"""A grid that generators serve, some of them following the loads: what each may do, and what deviates."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import System
from openpoint.network import Network


@dataclass(frozen=True)
class Units:
    """Parts of generators, one a phase, first their active and then their reactive powers: 2 P rows.

    Attributes:
        part: (P) numbers in the program. names, phases: (P).
        least, most, ramp, size: (2 P) limits, most change, and capacity, kW and kvar. price: (2 P) $/kWh.
        planned: (2 P) set-points of the plan.
    """

    part: Ints
    names: tuple[str, ...]
    phases: tuple[str, ...]
    least: Floats
    most: Floats
    ramp: Floats
    size: Floats
    price: Floats
    planned: Floats


@dataclass(frozen=True)
class Operated:
    """A grid, or islands, whose generators follow what deviates.

    Attributes:
        network: with its limits; its sources are what forms the grid, leads. base_kw: of a terminal.
        system: its equations. ports: where power is drawn, with no unit running.
        loads: (m, n) what a full deviation of each uncertain load adds. names: (n). among: the set of deviations.
        power: (m, P) what a kVA of each unit that follows adds. units: these. leads: the H parts that form the grid.
        lead_at: (H) numbers of their terminals among the sources.
    """

    network: Network
    base_kw: float
    system: System
    ports: Ports
    loads: Complexes
    names: tuple[str, ...]
    among: DeviationSet
    power: Complexes
    units: Units
    leads: Units
    lead_at: Ints
