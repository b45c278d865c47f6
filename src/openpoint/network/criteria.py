"""Criteria: quantities by which operating states are compared, each a cost, so that weights and limits add up.

| criterion | unit | definition |
|---|---|---|
| losses | kW | active power that all branches take |
| cost | $/h | energy of the sources at their price, energy of the generators, and what generators cost that are on |
| balance | – | Σ over feeder heads of (i / i_max)²; where a head has no rating, of (i / mean)² |
| deviation | pu | mean of \\|v² − 1\\| / 2 over the buses that no source holds, \\|v − 1\\| to first order |
| changes | – | switches in another state than today's |
| moves | – | devices in another position than today's: taps, capacitor banks, source voltages, generators on or off |

A *feeder head* is a branch at a source; where there is only one, the branches at the first fork behind it. The mean is
the current that each head would carry if they shared the grid's load equally, so that the balance of H heads without
ratings is about H where it is best. A head that is a coupler in a loop that stays closed does not count, as the
loop may not say what it carries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.network import Network
from openpoint.network.operating_cost import OperatingCost, least_loss
from openpoint.network.stations import Stations


@dataclass(frozen=True)
class Criterion:
    """A quantity by which operating states are compared.

    Attributes:
        unit: of its figures; empty for a plain number. text: what it is.
    """

    unit: str
    text: str


CRITERIA: Mapping[str, Criterion] = {
    "losses": Criterion("kW", "active power that all branches take"),
    "cost": Criterion(
        "$/h", "energy of sources and generators at their prices, losses at those of branches, and generators to be on"
    ),
    "balance": Criterion("", "sum over feeder heads of (i / i_max)², without ratings of (i / mean)²"),
    "deviation": Criterion("pu", "mean of |v² − 1| / 2 over the buses that no source holds, nearly |v − 1|"),
    "changes": Criterion("", "switches in another state than today's"),
    "moves": Criterion("", "devices in another position than today's"),
}
"""The criteria by name."""


def criterion_costs(stations: Stations, prices: OperatingCost | None) -> dict[str, OperatingCost]:
    """The operating cost that each criterion is, in its own unit per unit of `s_base_kva`.

    Args:
        stations: the network, with permanently closed loops opened. prices: of sources and generators, $/h per unit;
            None where the grid has none, and then no cost is among the criteria.
    """
    network = stations.whole
    nothing = replace(
        least_loss(len(network.generator_names), len(network.source_terminal), network.n_conductors), loss=0.0
    )
    inner = max(1, network.n_terminals - len(network.source_terminal))
    s = network.s_base_kva
    costs = {
        "losses": replace(nothing, loss=1.0),
        "balance": replace(nothing, current=stations.price_of_currents(squared_loading(network)) / s),
        "deviation": replace(nothing, deviation=1.0 / (inner * s)),
        "changes": replace(nothing, change=1.0 / s),
        "moves": replace(nothing, move=1.0 / s),
    }
    if prices is None:
        return costs
    return {**costs, "cost": replace(prices, current=stations.price_of_currents(prices.current))}


def weighted(costs: Mapping[str, OperatingCost], weights: Mapping[str, float]) -> OperatingCost:
    """Σ weight · cost over the criteria that have a weight."""
    parts = [(weight, costs[name]) for name, weight in weights.items()]
    return OperatingCost(
        **{f.name: sum(weight * getattr(cost, f.name) for weight, cost in parts) for f in fields(OperatingCost)}
    )


def squared_loading(network: Network) -> Floats:
    """(E) what the squared current of a feeder head counts in the balance, 0 for other branches.

    It depends neither on what is locked nor on where devices stand, so that figures of several runs can be compared.
    """
    counted = np.zeros(network.n_conductors)
    heads = feeder_heads(network, network.closed | network.switchable)
    if not len(heads):
        return counted
    rating = network.l_max[heads]
    load = abs((network.s_power + network.s_current + network.s_impedance).real.sum())
    mean = max(load / len(heads), 1e-9)
    counted[heads] = 1.0 / np.where(np.isfinite(rating), rating, mean**2)
    return counted


def feeder_heads(network: Network, may_close: Bools) -> Ints:
    """Numbers of the branches at each source, or where it has only one, at the first fork behind it."""
    fr, to, held = network.terminal_fr, network.terminal_to, set(network.source_terminal.tolist())
    heads: set[int] = set()
    for source in network.source_terminal.tolist():
        inside = np.zeros(network.n_terminals, dtype=np.bool_)
        inside[source] = True
        leaving = np.flatnonzero(may_close & (inside[fr] != inside[to]))
        while len(leaving) == 1:
            beyond = int(to[leaving[0]] if inside[fr[leaving[0]]] else fr[leaving[0]])
            inside[beyond] = True
            further = np.flatnonzero(may_close & (inside[fr] != inside[to]))
            if beyond in held or not len(further):
                break
            leaving = further
        heads.update(leaving.tolist())
    return np.array(sorted(heads), dtype=np.int64)
