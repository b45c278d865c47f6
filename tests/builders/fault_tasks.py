"""Random grids whose faults limit a topology, and all of their radial states by the model of `secure`."""

import functools
from dataclasses import dataclass, replace

import numpy as np

from openpoint.arrays import Bools
from openpoint.network import Network, build_network
from openpoint.network.stations import open_held_meshes, without_meshes
from openpoint.studies.reconfigure.faults.arrays import Weights, fault_data
from openpoint.studies.reconfigure.faults.task import FaultEvaluator, FaultFigures
from openpoint.studies.secure.model.faults import Sections, every_line_alone, faults_of, sections_of, tree_of
from openpoint.studies.secure.model.indices import SwitchingTimes, interruptions, load_of_buses, may_fail
from openpoint.studies.secure.model.states import States
from openpoint.studies.secure.model.switchings import restorations
from openpoint.studies.secure.model.taps import TapControls
from tests.builders.grids import all_topologies
from tests.builders.secured import random_breakers, random_secured

_NONE, _NO_NUMBERS = np.zeros(0, dtype=np.int64), np.zeros(0)
NO_TAPS = TapControls((), _NONE, _NONE, _NO_NUMBERS, _NO_NUMBERS, (), _NONE, _NONE, _NONE, _NONE)
"""No tap changer holds a voltage."""


@dataclass(frozen=True)
class Case:
    """A random grid. Attributes: states: (K, E) all radial states."""

    network: Network
    sections: Sections
    fails: Bools
    weights: Weights
    evaluator: FaultEvaluator
    states: Bools

    def by_model(self, closed: Bools) -> FaultFigures | None:
        """The figures of a state by the model of `secure`; None without a power flow."""
        network, nothing = replace(self.network, closed=closed), np.zeros(len(closed), dtype=np.bool_)
        tree = tree_of(network, closed)
        if tree is None or self.evaluator.count(closed) < 0:
            return None
        faults = faults_of(network, self.sections, tree, closed, self.fails)
        w = self.weights
        restored = restorations(States(without_meshes(network), tree, NO_TAPS), faults, w.load, lambda _: None)
        unrestorable = nothing.copy()
        for fault, restoration in zip(faults, restored, strict=True):
            served = restoration.served or (False,) * len(fault.parts)
            left = [part.buses for part, has in zip(fault.parts, served, strict=True) if not has]
            unrestorable[fault.branches] = any(w.load[own].any() or w.customers[own].any() for own in left)
        found = interruptions(
            faults,
            restored,
            rates=w.rate,
            repair_h=w.repair_h,
            switching_h=w.switching,
            customers=w.customers,
            load_kw=w.load,
        )
        times, hours = float(w.customers @ found.times), float(w.customers @ found.hours)
        return FaultFigures(closed, unrestorable, times, hours, float(found.kwh.sum()), is_whole=True)

    @functools.cached_property
    def figures(self) -> list[FaultFigures | None]:
        """Of all states, by the model of `secure`."""
        return [self.by_model(closed) for closed in self.states]


def fault_case(seed: int) -> Case | None:
    """A random grid with stations, switches at ends and customers; None where today's state stays meshed."""
    rng = np.random.default_rng([seed, 19])
    grid, data = random_secured(seed)
    stations = open_held_meshes(build_network(grid))
    network = stations.opened
    if tree_of(network, network.closed) is None:
        return None
    breakers = random_breakers(seed, grid) if seed % 3 == 1 else {}
    sections = sections_of(grid, network, breakers)
    if seed % 2:
        sections = every_line_alone(sections)
    customers = dict(data.customers.iter_rows())
    branches = network.n_conductors
    weights = Weights(
        load=load_of_buses(grid, network),
        customers=np.array([customers.get(name, 0.0) for name in network.bus_names]),
        rate=rng.uniform(0.0, 1.0, branches),
        repair_h=rng.uniform(0.2, 4.0, branches),
        switching=SwitchingTimes(1.0, 0.3, rng.random(branches) < (0.0, 0.5, 0.8)[seed % 3]),
    )
    fails = may_fail(network, transformers=True) & ~stations.dropped
    evaluator = FaultEvaluator(network, fault_data(network, sections, fails, weights))
    states = all_topologies(network)
    return Case(network, sections, fails, weights, evaluator, states)
