"""A question in numbers: what a certificate has to prove, made from the user's grid, tables and words alone.

Nothing here comes from a certificate but the words of its question, where the user gives none
(`openpoint.verify.asked`); these are shown in full. Limits are wider by `TOLERANCE`, within which they count as kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from openpoint.arrays import Bools, Floats, Ints
from openpoint.errors import OptionError
from openpoint.grid.grid import Grid
from openpoint.grid.today import as_asked, with_outputs_as_given
from openpoint.network import Network, build_network
from openpoint.network.criteria import criterion_costs, weighted
from openpoint.network.devices import DeviceKind, Devices, build_devices, build_prices, build_supply, no_devices
from openpoint.network.freedom import free_kinds, freed, locks, without_idle
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.network.stations import open_held_meshes
from openpoint.verify.asked import Asked, FuturesTable, measure_of, risk_of
from openpoint.verify.data import LEAST_POWER, Objective, least_losses
from openpoint.verify.year import Futures, Steps, YearLike

TOLERANCE = 1e-6
"""Share of a limit of voltage, current or power by which it counts as kept."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """The question put to a network with N buses and E branches; per unit.

    Attributes:
        net: with the limits asked, outputs that are not free held as today, devices at today's positions, and held
            meshes opened. dropped: (E) branches that are open for the last.
        devices: those that matter among what may be set; the others stay. stay: those of the grid that do, with names
            and positions as the grid counts them.
        objective: what is minimised but for changes, and limits of supply, wider by the tolerance.
        must_close, must_open: (E) branches whose state is given. max_changes: most branches in another state than
            today's. change_cost: cost of each.
        futures, steps: where demands are many. asked: the words; None where there were none.
        free: what may move, of `openpoint.network.freedom.FREE`; of `reconfigure` nothing is named.
        held: in words which outputs are held as today. unsupplied: whether the grid has limits of the power of sources
            and generators that are not asked to be kept.
    """

    net: Network
    dropped: Bools
    devices: Devices
    stay: tuple[tuple[str, int], ...]
    objective: Objective
    must_close: Bools
    must_open: Bools
    max_changes: int | None = None
    change_cost: float = 0.0
    futures: Futures | None = None
    steps: Steps | None = None
    asked: Asked | None = None
    free: tuple[str, ...] = ()
    held: str = ""
    unsupplied: bool = False

    @classmethod
    def of(
        cls,
        net: Network,
        *,
        devices: Devices | None = None,
        cost: OperatingCost | None = None,
        supply: SupplyLimits | None = None,
        locks: tuple[Bools, Bools] | None = None,
        max_changes: int | None = None,
        change_cost: float = 0.0,
        futures: Futures | None = None,
        steps: Steps | None = None,
    ) -> Question:
        """The question about a network as it is, with the same arguments as a search; limits are widened here."""
        plain, free = least_losses(net), no_devices() if devices is None else devices
        must_close, must_open = locks or (net.closed & ~net.switchable, ~net.closed & ~net.switchable)
        supply = plain.supply if supply is None else supply
        change = change_cost + (0.0 if cost is None else cost.change)
        return cls(
            net=net,
            dropped=np.zeros(net.n_conductors, dtype=np.bool_),
            devices=free.only(mattering(net, free, must_open, supply)),
            stay=(),
            objective=Objective(replace(cost or plain.cost, change=0.0), widened(supply)),
            must_close=must_close,
            must_open=must_open,
            max_changes=max_changes,
            change_cost=change,
            futures=futures,
            steps=steps,
        )

    @cached_property
    def w_min(self) -> list[float]:
        """(N) least squared voltages that count as kept."""
        return _floats(self.net.w_min * (1.0 - TOLERANCE) ** 2)

    @cached_property
    def w_max(self) -> list[float]:
        """(N) greatest squared voltages that count as kept; inf: no limit."""
        return _floats(self.net.w_max * (1.0 + TOLERANCE) ** 2)

    @cached_property
    def l_max(self) -> list[float]:
        """(E) greatest squared currents that count as kept; inf: no limit."""
        return _floats(self.net.l_max * (1.0 + TOLERANCE) ** 2)


def _floats(values: Floats) -> list[float]:
    return [float(value) for value in values]


def question_of(
    grid: Grid, asked: Asked, *, futures: FuturesTable | None = None, year: YearLike | None = None
) -> Question:
    """The question that words ask about a grid and its tables.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or no prices where the cost is sought.
        OptionError: words that do not go with the grid or the tables, or a question that certificates do not cover.
    """
    _refuse_without_effect(asked)
    grid = as_asked(grid, (), asked.locked_open, asked.locked_closed)
    grid = with_outputs_as_given(grid)[0] if asked.year else grid
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError("certificates do not cover several phases, which this grid has")
    network, every = asked.limits.applied(network), build_devices(grid, network)
    if asked.minimize is None:
        given = Objective(least_losses(network).cost, build_supply(grid, network)).supply_given
        found = replace(_of_reconfigure(network, asked), unsupplied=given)
    else:
        found = _of_dispatch(grid, network, every, asked, asked.minimize)
    set_here = {(int(kind), int(place)) for kind, place in zip(found.devices.kind, found.devices.place, strict=True)}
    rows = zip(every.names, every.kind, every.place, every.first + every.today, strict=True)
    stay = tuple((name, int(at)) for name, kind, place, at in rows if (int(kind), int(place)) not in set_here)
    many = None if futures is None else _futures(network, asked, futures)
    steps = None if year is None else Steps.of(year, network)
    return replace(found, stay=stay, futures=many, steps=steps, asked=asked)


def _refuse_without_effect(asked: Asked) -> None:
    """Refuse words that say nothing of this question, and so would be told without being proven.

    Raises:
        OptionError: naming them.
    """
    plain = Asked()
    if asked.minimize is not None and asked.change_cost_kw:
        raise OptionError("changes are a criterion of what is minimised (changes=…); leave the change cost out")
    if not asked.futures and (asked.risk, asked.ambiguity, asked.limits_share) != (
        plain.risk,
        plain.ambiguity,
        plain.limits_share,
    ):
        raise OptionError("risk, ambiguity and limits share go with many futures; give these, or leave them out")


def _of_reconfigure(network: Network, asked: Asked) -> Question:
    if asked.free is not None:
        raise OptionError("what is free is asked together with what is minimised")
    stations = open_held_meshes(network)
    must_close, must_open = locks(network, network.closed, network.switchable, asked.locked_open, asked.locked_closed)
    found = Question.of(
        stations.opened,
        locks=(must_close & ~stations.dropped, must_open | stations.dropped),
        max_changes=asked.max_changes,
        change_cost=asked.change_cost_kw / network.s_base_kva,
    )
    return replace(found, dropped=stations.dropped)


def _of_dispatch(grid: Grid, network: Network, every: Devices, asked: Asked, weights: Mapping[str, float]) -> Question:
    free = free_kinds(network, every, asked.free)
    prices = None
    if "cost" in weights or not grid.sources["price_usd_per_kwh"].null_count():
        prices = without_idle(build_prices(grid, network), network, every, free)
    supply = build_supply(grid, network)
    as_it_is = network
    network, devices = freed(network, every, free)
    moving = network.source_terminal[devices.place[devices.of(DeviceKind.VOLTAGE)]]
    stations = open_held_meshes(network, moving)
    switchable = network.switchable & ("topology" in free)
    must_close, must_open = locks(network, network.closed, switchable, asked.locked_open, asked.locked_closed)
    cost = weighted(criterion_costs(stations, prices), weights)
    if cost.deviation:
        raise OptionError("certificates do not cover the deviation of voltages")
    found = Question.of(
        stations.opened,
        devices=devices,
        cost=cost,
        supply=supply,
        locks=(must_close & ~stations.dropped, must_open | stations.dropped),
        max_changes=asked.max_changes,
    )
    return replace(found, dropped=stations.dropped, free=free, held=_held(as_it_is, network, free))


def _held(was: Network, now: Network, free: tuple[str, ...]) -> str:
    """In words which outputs are held as today; empty where none is that could differ."""
    ends = ("p_min", "p_max", "q_min", "q_max")
    if all(np.array_equal(getattr(was, end), getattr(now, end)) for end in ends):
        return ""
    return "generators that are off stay off" if "generators" in free else "outputs of generators as today"


def _futures(network: Network, asked: Asked, table: FuturesTable) -> Futures:
    if tuple(table.bus_names) != tuple(network.bus_names):
        raise OptionError("these futures are of another grid: their buses are not those of this grid, in its order")
    demands = np.asarray(table.p_kw + 1j * table.q_kvar, dtype=np.complex128) / network.s_base_kva
    measure = measure_of(asked.risk, asked.ambiguity, table)
    return Futures(demands, measure, table.weights.tolist(), asked.limits_share, regret=risk_of(asked.risk)[0])


def mattering(net: Network, devices: Devices, must_open: Bools, supply: SupplyLimits) -> Ints:
    """Numbers of the devices that change what is minimised or kept.

    A bank at the bus of a source does not, as its power is reactive and flows through no branch, but where the power of
    sources has limits; nor does a tap changer in a branch that is open in all states.
    """
    found = []
    for d, (kind, place) in enumerate(zip(devices.kind.tolist(), devices.place.tolist(), strict=True)):
        idle = kind == DeviceKind.BANK and place in net.source_terminal and not supply.any_of_sources
        if kind == DeviceKind.TAP:
            idle = must_open[place] or net.terminal_fr[place] == net.terminal_to[place]
        if not idle:
            found.append(d)
    return np.array(found, dtype=np.int64)


def widened(supply: SupplyLimits) -> SupplyLimits:
    """The limits of sources, each wider by the tolerance of itself or of a least power; others are as they are."""

    def wider(limit: Floats, side: int) -> Floats:
        size = np.where(np.isfinite(limit), np.maximum(np.abs(limit), LEAST_POWER), 0.0)
        return np.asarray(limit + side * TOLERANCE * size)

    return SupplyLimits(
        wider(supply.p_min, -1),
        wider(supply.p_max, 1),
        wider(supply.q_min, -1),
        wider(supply.q_max, 1),
        wider(supply.s_max, 1),
        supply.generator_s_max,
    )
