"""Random feeders of several phases with a few regulators and capacitors, small enough to try every operating state."""

import itertools
from collections.abc import Iterator
from functools import cache, cached_property

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Ints
from openpoint.formulations.phases import PhaseDevices, PhasesQuestion, Sought, phase_devices
from openpoint.formulations.radiality import Choices, Switching, by_branch, choices_of, radial_states
from openpoint.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.search.exchange.phases import EvaluatedState, PhasesEvaluator, excess

from .meshed import meshed

LIMITS = Limits(v_min_pu=0.95, v_max_pu=1.05)


def feeder_with_devices(seed: int) -> Grid:
    """A feeder of `meshed` with a ganged regulator of five positions at its head and two capacitors, one of a delta."""
    grid, rng = meshed(seed), np.random.default_rng(seed)
    near = pl.col("tap_pos")
    units = grid.transformers.with_columns(
        tap_min=pl.when(pl.col("tap_max") > 0).then(near - 1).otherwise(0),
        tap_max=pl.when(pl.col("tap_max") > 0).then(near + 1).otherwise(0),
    )
    head = {"name": "head", "from_bus": "top", "to_bus": "n0", "phases": "abc", "vn_from_kv": 4.16, "vn_to_kv": 4.16}
    changer = {"tap_min": -4, "tap_max": 0, "tap_pos": -2, "tap_step_percent": 1.25, "r_ohm": 0.01, "x_ohm": 0.1}
    whole = grid.buses.filter(phases="abc", vn_kv=4.16)["name"].to_list()
    banks = [
        {"name": "wye", "bus": whole[-1], "phases": "abc", "q_kvar": 60.0 * rng.uniform(0.5, 2.0), "steps": 2},
        {"name": "delta", "bus": whole[0], "phases": "abc", "connection": "delta", "q_kvar": 90.0, "steps": 1},
    ]
    new = Grid.from_tables("head", {"transformers": [head | changer | {"switchable": False}]})
    top = Grid.from_tables("top", {"buses": [{"name": "top", "vn_kv": 4.16, "phases": "abc"}]})
    return grid.with_tables(
        buses=pl.concat([grid.buses, top.buses]),
        transformers=pl.concat([units, new.transformers]),
        sources=grid.sources.with_columns(bus=pl.lit("top"), v_pu=pl.lit(1.0)),
        capacitors=Grid.from_tables("banks", {"capacitors": banks}).capacitors,
    )


class SmallCase:
    """A feeder, what is free in it, and all its operating states."""

    def __init__(self, seed: int, *, topology: bool = True) -> None:
        self.grid: Grid = feeder_with_devices(seed)
        self.network: Network = LIMITS.applied(build_network(self.grid))
        self.today: Bools = by_branch(self.network, self.network.closed)
        movable = by_branch(self.network, self.network.switchable) & topology
        self.choices: Choices = choices_of(self.network, self.today & ~movable, ~self.today & ~movable)
        self.devices: PhaseDevices = phase_devices(self.grid)
        self.switching = Switching(self.today, None, 0.0)

    def states(self) -> Iterator[tuple[Bools, Ints]]:
        ranges = [range(low, high + 1) for low, high in zip(self.devices.low, self.devices.high)]
        every = [np.array(positions, dtype=np.int64) for positions in itertools.product(*ranges)]
        for state in radial_states(self.choices, self.network.conductor_branch):
            for positions in every:
                yield by_branch(self.network, state), positions

    def question(self, sought: Sought) -> PhasesQuestion:
        return PhasesQuestion(self.grid, self.network, self.devices, self.choices, self.switching, sought)

    def evaluator(self, sought: Sought) -> PhasesEvaluator:
        return PhasesEvaluator(self.question(sought))

    @cached_property
    def best(self) -> dict[Sought, EvaluatedState | None]:
        """The best of all operating states by exact power flow, for all that is sought; each is computed once."""
        evaluator, best = self.evaluator(Sought.LOSS), dict[Sought, EvaluatedState | None].fromkeys(Sought)
        for closed, positions in self.states():
            flows = evaluator.flows(closed, positions)
            if not (flows.converged[0] and flows.energised.all()):
                continue
            violation = float(excess(self.network, flows)[0])
            values = {Sought.LOSS: flows.loss_kw[0], Sought.SOURCE: flows.source_kva[0].real.sum()}
            for sought, value in values.items():
                found = EvaluatedState(closed, positions, violation, float(value))
                if found.better(best[sought]):
                    best[sought] = found
        return best

    def least(self, sought: Sought) -> EvaluatedState | None:
        """The best of all operating states by exact power flow."""
        return self.best[sought]


@cache
def small_case(seed: int, *, topology: bool = True) -> SmallCase:
    """The case of a seed; the same one at each call, so that its states are computed once."""
    return SmallCase(seed, topology=topology)
