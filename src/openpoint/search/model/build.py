"""The search model: the arrays of a grid for the compiled search, with bounds of voltages and an elimination order.

Sparsity pattern of the Laplacian's factor: an order of elimination, and the entries that fill-in makes nonzero.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Complexes, Floats, Indices, Ints
from openpoint.errors import OptionError
from openpoint.grid.balanced import HAS_PHASES
from openpoint.network import Network
from openpoint.network.devices import DeviceKind, Devices, no_devices
from openpoint.network.freedom import SwitchingRules
from openpoint.network.limits import at_kept_limits, greatest_series_currents, greatest_square, least_square
from openpoint.search.kernel.arrays import Model
from openpoint.search.model.objective import (
    CostRange,
    Objective,
    at_greatest,
    bank_power,
    check_devices,
    cost_range,
    device_arrays,
    output_arrays,
    prices_of,
    source_voltages,
    with_bank_power,
    with_zero,
    without_banks,
)
from openpoint.search.model.voltage_bounds import (
    VoltageBounds,
    bounds_of_voltages,
    by_bus,
    demand,
    loss_upper_bound,
    loss_upper_bound_by_limits,
)


def eliminate(fr: Ints, to: Ints, source: Bools) -> tuple[list[int], list[list[int]]]:
    """Buses without a source in the order of least degree, and the neighbours of each when it is eliminated."""
    around: list[set[int]] = [set() for _ in source]
    for a, b in zip(fr.tolist(), to.tolist()):
        if not source[a] and not source[b]:
            around[a].add(b)
            around[b].add(a)
    queue = [(len(around[bus]), bus) for bus in np.flatnonzero(~source).tolist()]
    heapq.heapify(queue)
    gone = source.copy()
    order: list[int] = []
    columns: list[list[int]] = []
    while queue:
        degree, bus = heapq.heappop(queue)
        if gone[bus] or degree != len(around[bus]):
            continue
        gone[bus] = True
        order.append(bus)
        columns.append(list(around[bus]))
        for other in around[bus]:
            around[other] |= around[bus]
            around[other] -= {bus, other}
        for other in around[bus]:
            heapq.heappush(queue, (len(around[other]), other))
    return order, columns


def pattern(fr: Indices, to: Indices, columns: list[Indices]) -> dict[str, Indices]:
    """Fields of the model that describe the factor."""
    n = len(columns)
    start = np.concatenate([[0], np.cumsum([len(c) for c in columns])])
    rows = [c.tolist() for c in columns]
    place = {(i, k): int(start[k]) + a for k, column in enumerate(rows) for a, i in enumerate(column)}
    ends = zip(np.maximum(fr, to).tolist(), np.minimum(fr, to).tolist())
    found = {
        "column": start,
        "row": [i for column in rows for i in column],
        "target": [place[column[a], column[b]] for column in rows for a in range(len(column)) for b in range(a)],
        "up": [column[0] if column else n for column in rows],
        "slot": [place[i, k] if i < n else -1 for i, k in ends],
    }
    return {name: np.array(values, dtype=np.int32) for name, values in found.items()}


def adjacency(fr: Indices, to: Indices, n: int) -> dict[str, Indices]:
    """Fields of the model that describe the graph of n buses and of all sources as one."""
    ends, others = np.concatenate([fr, to]), np.concatenate([to, fr])
    by_bus = np.argsort(ends, kind="stable")
    found = {
        "start": np.concatenate([[0], np.cumsum(np.bincount(ends, minlength=n + 1))]),
        "neighbour": others[by_bus],
        "via": np.tile(np.arange(len(fr)), 2)[by_bus],
    }
    return {name: values.astype(np.int32) for name, values in found.items()}


@dataclass(frozen=True)
class Numbering:
    """Mapping from the branches and buses of a search model to those of its network.

    Attributes:
        branch: (m) branch of the network. bus: (N) bus of the network.
        fixed_cost: cost of the changes that every choice has. voltage_bounds: of the squared voltages of the network.
        loss_upper_bound: no state of interest has a larger loss, see `openpoint.search.model.voltage_bounds`.
        costs: how the cost of states is linked to their loss; None where it is the loss.
    """

    branch: Ints
    bus: Ints
    fixed_cost: float
    voltage_bounds: VoltageBounds
    loss_upper_bound: float
    costs: CostRange | None = None

    @property
    def greatest(self) -> float:
        """No state of interest has a greater objective value, the cost of changes aside."""
        return self.loss_upper_bound if self.costs is None else self.costs.greatest

    def loss_at(self, value: float) -> float:
        """Greatest loss of the states with at most this objective value."""
        return value if self.costs is None else self.costs.loss(value)


def build_model(
    network: Network,
    rules: SwitchingRules | None = None,
    *,
    devices: Devices | None = None,
    objective: Objective | None = None,
) -> tuple[Model, Numbering]:
    """The arrays of the search model; its limits are those of the network as far out as they count as kept.

    A radial state closes as many branches as there are buses without a source, n. If k of them are open today, n − k of
    today's C stay closed and C − n + k are opened: the number of changes is C − n + 2 k, and only k is left to count.

    Args:
        network: a balanced network.
        rules: for its branches; default: what is not switchable keeps its state.
        devices: those that may be set. objective: what is minimised if it is not the loss.

    Raises:
        OptionError: a grid of several phases, one in which nothing bounds a voltage from above, or devices that the
            bound has no closed form for.
    """
    if not network.is_balanced:
        raise OptionError(f"topology search works on balanced grids (phases '1'); {HAS_PHASES}")
    rules = SwitchingRules.of(network) if rules is None else rules
    devices = no_devices() if devices is None else devices
    check_devices(network, devices, rules.must_close)
    fr, to = network.terminal_fr, network.terminal_to
    branch = np.flatnonzero(~rules.must_open & (fr != to))
    source = np.isin(np.arange(network.n_terminals), network.source_terminal)
    bus, number, columns = numbered(network, fr[branch], to[branch], source)
    n, m = len(columns), len(branch)
    a, b = number[fr[branch]], number[to[branch]]
    bare = without_banks(network, devices) if devices.count else network
    counted = with_bank_power(network, devices) if devices.count else network
    voltage_bounds, most = of_interest(network, ~rules.must_open, devices)
    w_min, w_max = voltage_range(network, voltage_bounds, most, devices)
    costs = None
    if objective is not None:
        costs = cost_range(with_zero(counted, devices), objective.cost, w_min, w_max, most, devices)
    prices = prices_of(network, objective, bus)
    prices = replace(prices, costly=prices.costly or len(devices.of(DeviceKind.UNIT)) > 0)
    taken = demand(bare, at_sources=prices.of_sources, generators=not prices.costly)
    z = np.asarray(network.z.diagonal())[branch]
    shunt_fr, shunt_to, stays = shunts(network, branch, rules.must_close)
    with_open = replace(taken, steady=taken.steady + np.where(source & (not prices.of_sources), 0.0, stays.conj()))
    half = 0.5 * np.asarray(network.y_shunt.diagonal())[branch]
    l_max = greatest_series_currents(at_kept_limits(network), devices)[branch]
    fixed = int(network.closed.sum()) - n
    swap = ~network.closed[branch]
    arrays: dict[str, Any] = adjacency(np.minimum(a, n), np.minimum(b, n), n)
    arrays |= pattern(a, b, columns) | by_bus(with_open, bus)
    arrays |= device_arrays(network, devices, prices.move, number, branch)
    arrays |= output_arrays(counted, objective, prices.costly, bool(taken.span.any()), number)
    model = Model(
        n=n,
        fr=a,
        to=b,
        **of_sections(z, network.tap[branch], prices.current[branch], (shunt_fr, shunt_to)),
        l_max=l_max,
        price=np.where(swap, 2.0 * rules.change_cost, 0.0),
        loss_price=prices.loss,
        w_min=w_min[bus],
        w_max=w_max[bus],
        worth=prices.loss * stays.real[bus],
        y_first=prices.y_first,
        **arrays,
        swap=swap,
        most_closings=m if rules.max_changes is None else int(np.floor((rules.max_changes - fixed) / 2)),
        passive=not any(np.any(part < 0.0) for part in (z.real, z.imag, half.real, stays.real)),
        shunts=bool(half.any() or stays.any() or taken.steady.any()),
        currents=bool(taken.current.any()),
        rated=bool(np.isfinite(l_max).any()),
        bounded=bool(np.any(w_min[~source] > 0) or np.any(network.w_max[~source] < np.inf)),
        priced=rules.change_cost > 0.0,
        spans=bool(taken.span.any() or prices.costly or np.any(devices.kind == DeviceKind.BANK)),
    )
    return model, Numbering(branch, bus, rules.change_cost * fixed, voltage_bounds, most, costs)


def of_sections(z: Complexes, tap: Floats, price: Floats, shunts: tuple[Complexes, Complexes]) -> dict[str, Any]:
    """Fields of the model that describe impedance, ratio, price of the current and admittances of the branches."""
    ideal = 1e4 * float(np.max(1.0 / np.maximum(np.abs(z[z != 0]), 1e-9), initial=1.0))
    found: dict[str, Any] = {"r": z.real.copy(), "x": z.imag.copy(), "z2": z.real**2 + z.imag**2}
    found |= {"k_fr": 1.0 / tap**2, "k_to": np.ones(len(z)), "current_price": price}
    for end, y in zip(("fr", "to"), shunts, strict=True):
        found |= {f"g_{end}": y.real.copy(), f"b_{end}": y.imag.copy()}
    # A higher price of the current of a branch without impedance is a conductance by itself.
    bare = np.flatnonzero((z == 0) & (price * ideal < 0.5)).astype(np.int32)
    return found | {"zero_impedance": bare, "ideal_conductance": ideal}


def numbered(network: Network, fr: Ints, to: Ints, source: Bools) -> tuple[Ints, Indices, list[Indices]]:
    """Buses in the order of elimination, sources last; the place of each; the later neighbours of each."""
    order, columns = eliminate(fr, to, source)
    bus = np.concatenate([np.array(order, dtype=np.int64), network.source_terminal])
    number = np.empty(network.n_terminals, dtype=np.int32)
    number[bus] = np.arange(len(bus))
    return bus, number, [np.sort(number[c]) for c in columns]


def of_interest(network: Network, may_close: Bools, devices: Devices) -> tuple[VoltageBounds, float]:
    """Bounds of the squared voltages as functions of the loss, and the loss that no state of interest exceeds."""
    low, l_max = least_square(network.w_min), greatest_series_currents(at_kept_limits(network), devices)
    if devices.count:
        network, low = at_greatest(network, devices), np.zeros_like(low)  # no bound by the drop of voltages then
    taken = demand(network)
    bounds = bounds_of_voltages(network, may_close, taken, moving=len(devices.of(DeviceKind.TAP)) > 0)
    if devices.count:  # sources may have other voltages than these
        bounds = replace(bounds, least=0.0)
    by_loads = loss_upper_bound(network) + 8.0 * bank_power(devices)
    most = min(by_loads, loss_upper_bound_by_limits(network, may_close, taken, low, l_max))
    return bounds, most * (1.0 + 1e-9)


def shunts(network: Network, branch: Ints, must_close: Bools) -> tuple[Complexes, Complexes, Complexes]:
    """(m), (m) admittances at the ends of closed branches less those of open ones; (N) admittances of open ones.

    The admittance of an open branch is always added to its bus, so the ends of the closed branch have that much less.
    """
    open_fr, open_to = (np.where(must_close, 0.0, part) for part in (network.y_open_fr, network.y_open_to))
    stays = np.zeros(network.n_terminals, dtype=np.complex128)
    np.add.at(stays, network.terminal_fr, open_fr)
    np.add.at(stays, network.terminal_to, open_to)
    half = 0.5 * np.asarray(network.y_shunt.diagonal(), dtype=np.complex128)[branch]
    k_fr = 1.0 / network.tap[branch] ** 2
    return half - open_fr[branch] / k_fr, half - open_to[branch], stays


def voltage_range(
    network: Network, voltage_bounds: VoltageBounds, value: float, devices: Devices
) -> tuple[Floats, Floats]:
    """(N) least and greatest squared voltages of any state that keeps the limits and has a loss of at most `value`.

    Raises:
        OptionError: a bus has no upper limit, and the voltage there could be anything.
    """
    low = least_square(network.w_min)
    high = np.minimum(greatest_square(network.w_max), voltage_bounds.at(value))
    low[network.source_terminal], high[network.source_terminal] = source_voltages(network, devices)
    if not np.isfinite(high).all():
        raise OptionError(
            "generation, capacitors or charging may raise voltages here, some branch has no resistance, and the proof "
            "needs an upper limit of the voltage at every bus; give one, for example Limits(v_max_pu=1.1)"
        )
    return low, high
