"""From arguments to the question: the grid checked, made a network once, and what is free, sought and to be kept."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np

from openpoint.errors import OptionError
from openpoint.formulations.locks import locks, refuse_impossible
from openpoint.formulations.radiality import contract
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.device_tables import build_devices, build_prices, build_supply
from openpoint.network.devices import DeviceKind, Devices, off_today, with_outputs_held
from openpoint.network.limits import Limits
from openpoint.network.operating_cost import OperatingCost
from openpoint.network.stations import Stations, open_held_meshes, refuse_shared_taps
from openpoint.studies.dispatch.criteria import criterion_costs
from openpoint.studies.dispatch.options import FREE, DispatchOptions
from openpoint.studies.dispatch.question import Question

_LOG = logging.getLogger(__name__)

FREED_BY = {
    DeviceKind.BANK: "capacitors",
    DeviceKind.VOLTAGE: "taps",
    DeviceKind.TAP: "taps",
    DeviceKind.UNIT: "commitment",
}
"""What must be free for a device of a kind to move."""
_NEEDED = {
    "topology": "a branch that is switchable, or that `switchable` names",
    "taps": "a controllable transformer with tap_min below tap_max, or a source with v_min_pu, v_max_pu and v_step_pu",
    "capacitors": "a controllable capacitor bank",
    "generators": "a generator with p_min_kw, p_max_kw, q_min_kvar or q_max_kvar",
    "commitment": "a generator with limits and may_stop",
}


def question_of(grid: Grid, options: DispatchOptions) -> Question:
    """The question about a grid.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, locks that leave no radial state, or no prices
            where the cost is sought.
        OptionError: a grid of several phases, or something to be free of which the grid has none.
    """
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError(f"dispatch works on balanced grids (phases '1'); {HAS_PHASES}")
    network = Limits.given(options.limits).applied(network)
    every = build_devices(grid, network)
    free = free_kinds(network, every, options)
    prices = _prices(grid, network, options)
    if "commitment" not in free and prices is not None:
        prices = replace(prices, idle=np.where(off_today(network, every), 0.0, prices.idle))
    network = with_outputs_held(network, every, ranged="generators" not in free, off="commitment" not in free)
    devices = every.only(np.flatnonzero([FREED_BY[DeviceKind(kind)] in free for kind in every.kind]))
    stations = _with_stations(network, devices)
    refuse_shared_taps(stations, devices, "Leave taps out of what is free (--free)")
    switchable = network.switchable & ("topology" in free)
    must_close, must_open = locks(network, network.closed, switchable, options.locked_open, options.locked_closed)
    must_close, must_open = must_close & ~stations.dropped, must_open | stations.dropped
    ends = network.terminal_fr, network.terminal_to, network.source_terminal
    refuse_impossible(grid, network, contract(network.n_terminals, *ends, must_close, must_open), must_close)
    _LOG.info("built the network with its devices and limits")
    return Question(
        stations=stations,
        devices=devices,
        supply=build_supply(grid, network),
        costs=criterion_costs(stations, prices),
        weights=options.weights,
        most=_most(options),
        must_close=must_close,
        must_open=must_open,
        max_changes=options.most_changes,
        free=free,
    )


def asked_otherwise(question: Question, options: DispatchOptions) -> Question:
    """The question about the same network with other weights and bounds, or more limits; all else is as before."""
    return replace(
        question,
        stations=_with_stations(Limits.given(options.limits).applied(question.stations.whole), question.devices),
        weights=options.weights,
        most=_most(options),
        max_changes=options.most_changes,
    )


def _with_stations(network: Network, devices: Devices) -> Stations:
    """The network with its held meshes opened, as far as that holds for all positions of the devices."""
    return open_held_meshes(network, network.source_terminal[devices.place[devices.of(DeviceKind.VOLTAGE)]])


def _most(options: DispatchOptions) -> dict[str, float]:
    """The most that a criterion may be, but for changes, which are counted by themselves."""
    return {name: most for name, most in options.most.items() if name != "changes"}


def free_kinds(network: Network, every: Devices, options: DispatchOptions) -> tuple[str, ...]:
    """What is free: what was named, or all of which the grid has any.

    Raises:
        OptionError: something named of which it has none, or nothing at all.
    """
    there = {FREED_BY[DeviceKind(kind)] for kind in every.kind}
    there |= {"topology"} if network.switchable.any() else set()
    ranges = (network.p_min < network.p_max) | (network.q_min < network.q_max)
    there |= {"generators"} if ranges.any() else set()
    if options.free is None:
        if not there:
            needed = "; ".join(f"{kind}: {what}" for kind, what in _NEEDED.items())
            raise OptionError(f"nothing may move in this grid. What would: {needed}")
        return tuple(kind for kind in FREE if kind in there)
    if missing := [kind for kind in options.free if kind not in there]:
        text = "; ".join(f"{kind} needs {_NEEDED[kind]}" for kind in missing)
        raise OptionError(f"free names what this grid has none of: {text}")
    return tuple(kind for kind in FREE if kind in options.free)


def _prices(grid: Grid, network: Network, options: DispatchOptions) -> OperatingCost | None:
    """The prices of a grid that has them; they must be there where the cost is sought.

    Raises:
        InputError: a price is not known.
    """
    asked = {"cost"} & {*options.weights, *options.most}
    if not asked and grid.sources["price_usd_per_kwh"].null_count():
        return None
    return build_prices(grid, network)
