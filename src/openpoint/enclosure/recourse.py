"""A grid that generators serve, some of them following the loads: what each may do, and what deviates."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.arrays import Complexes, Floats, Ints
from openpoint.enclosure.ports import Ports
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import System
from openpoint.network import Network

ROOM = 0.004
"""Room that is asked for at every limit, as a share of it: more is worth nothing."""


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
class Capability:
    """Joint limits of what units deliver, kW: fixed + by_load · ζ + by_unit · outputs ≤ most.

    Attributes:
        fixed, most: (q). by_load: (q, n). by_unit: (q, 2 P).
    """

    fixed: Floats
    by_load: Floats
    by_unit: Floats
    most: Floats


@dataclass(frozen=True)
class Operated:
    """A grid, or islands, whose generators follow what deviates.

    Attributes:
        network: with its limits; its sources are what forms the grid, leads. base_kw: of a terminal.
        system: its equations. ports: where power is drawn, with no unit running.
        loads: (m, n) what a full deviation of each uncertain load adds. names: (n). among: the set of deviations.
        power: (m, P) what a kVA of each unit that follows adds. units: these. leads: the H parts that form the grid.
        lead_at: (H) numbers of their terminals among the sources.
        capability: of the units; None where they have no joint limits.
        room: that a policy is to leave at every limit, as a share of it.
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
    room: float = ROOM
    capability: Capability | None = None
