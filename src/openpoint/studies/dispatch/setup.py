"""From arguments to the question: the grid checked, made a network once, and what is free, sought and to be kept."""

from __future__ import annotations

import logging
from dataclasses import replace

from openpoint.arguments import names_of
from openpoint.errors import OptionError
from openpoint.formulations.radiality import contract, refuse_impossible
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.criteria import criterion_costs
from openpoint.network.devices import DeviceKind, Devices, build_devices, build_prices, build_supply
from openpoint.network.freedom import free_kinds, freed, locks, without_idle
from openpoint.network.limits import Limits
from openpoint.network.operating_cost import OperatingCost
from openpoint.network.stations import Stations, open_held_meshes, refuse_shared_taps
from openpoint.studies.dispatch.options import DispatchOptions
from openpoint.studies.dispatch.question import Question
from openpoint.verify.asked import Asked

_LOG = logging.getLogger(__name__)


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
    free = free_kinds(network, every, options.free)
    prices = _prices(grid, network, options)
    if prices is not None:
        prices = without_idle(prices, network, every, free)
    network, devices = freed(network, every, free)
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
        asked=_asked(options, free),
    )


def _asked(options: DispatchOptions, free: tuple[str, ...]) -> Asked:
    """The question in words."""
    return Asked(
        limits=Limits.given(options.limits),
        locked_open=names_of(options.locked_open, "locked_open"),
        locked_closed=names_of(options.locked_closed, "locked_closed"),
        max_changes=options.most_changes,
        free=free,
        minimize=dict(options.weights),
    )


def asked_otherwise(question: Question, options: DispatchOptions) -> Question:
    """The question about the same network with other weights and bounds, or more limits; all else is as before."""
    return replace(
        question,
        stations=_with_stations(Limits.given(options.limits).applied(question.stations.whole), question.devices),
        weights=options.weights,
        most=_most(options),
        max_changes=options.most_changes,
        asked=_asked(options, question.free),
    )


def _with_stations(network: Network, devices: Devices) -> Stations:
    """The network with its permanently closed loops opened, as far as that holds for all positions of the devices."""
    return open_held_meshes(network, network.source_terminal[devices.place[devices.of(DeviceKind.VOLTAGE)]])


def _most(options: DispatchOptions) -> dict[str, float]:
    """The most that a criterion may be, but for changes, which are counted by themselves."""
    return {name: most for name, most in options.most.items() if name != "changes"}


def _prices(grid: Grid, network: Network, options: DispatchOptions) -> OperatingCost | None:
    """The prices of a grid that has them; they must be there where the cost is sought.

    Raises:
        InputError: a price is not known.
    """
    asked = {"cost"} & {*options.weights, *options.most}
    if not asked and grid.sources["price_usd_per_kwh"].null_count():
        return None
    return build_prices(grid, network)
