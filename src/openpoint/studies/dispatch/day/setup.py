"""From arguments to the question of a day: the grid checked, made a network once, the day laid on it."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import polars as pl

from openpoint.errors import OptionError
from openpoint.formulations.radiality import contract, refuse_impossible
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.network import Network
from openpoint.network.day import DayArrays, Demand
from openpoint.network.devices import DeviceKind, Devices, build_devices, build_prices, build_supply
from openpoint.network.freedom import locks
from openpoint.network.limits import Limits
from openpoint.network.operating_cost import OperatingCost, SupplyLimits
from openpoint.network.stations import Stations, open_held_meshes, refuse_shared_taps
from openpoint.scenarios.day.uncertain import DayFutures, realisations_of
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, ScenarioDays
from openpoint.studies.dispatch.day.options import DayOptions
from openpoint.studies.dispatch.day.samples import sample_days
from openpoint.twostage.risk import WorstCase

FUTURES_MOST = 5_000
"""Most futures of a day that are planned for: of each, every period is operated and kept."""
_LOG = logging.getLogger(__name__)


def question_of(grid: Grid, network: Network, day: DayArrays, options: DayOptions) -> DayQuestion:
    """The question about a day of a grid.

    Args:
        grid: with what the day adds to it. network: of this grid, without its loads. day: its arrays.
        options: what is asked.

    Raises:
        InputError: a locked branch is unknown, or locks that leave no radial state.
        OptionError: a grid of several phases, or nothing that options would let move.
    """
    network = Limits.given(options.limits).applied(network)
    every = build_devices(grid, network)
    positions = Cadence(options.positions)
    kept = every.kind == DeviceKind.UNIT
    if positions is not Cadence.FIXED and kept.all():
        raise OptionError(
            "positions are to be decided, and this grid has no tap changer, capacitor bank or source with a range of "
            "voltages; leave positions out"
        )
    switchable = network.switchable & (options.cadence is not Cadence.FIXED)
    must_close, must_open = locks(network, network.closed, switchable, options.locked_open, options.locked_closed)
    stations = _with_stations(network, every if positions is not Cadence.FIXED else None)
    if stations is not None:
        must_close, must_open = must_close & ~stations.dropped, must_open | stations.dropped
    ends = network.terminal_fr, network.terminal_to, network.source_terminal
    prices = _prices(grid, network, options)
    if stations is not None:
        _refuse_in_loops(network, stations, prices, day)
    refuse_impossible(grid, network, contract(network.n_terminals, *ends, must_close, must_open), must_close)
    _LOG.info("laid the day on the network")
    return DayQuestion(
        network=network if stations is None else stations.opened,
        devices=every.only(np.arange(every.count) if positions is not Cadence.FIXED else np.flatnonzero(kept)),
        supply=_supply(grid, network, options.source_max_kw),
        cost=prices,
        must_close=must_close,
        must_open=must_open,
        topology=options.cadence,
        positions=positions,
        max_changes=options.max_changes,
        day=replace(day, demand=_demand(day, options)),
        stations=stations,
    )


def _with_stations(network: Network, moving: Devices | None) -> Stations | None:
    """The network with its permanently closed loops opened; None where it has none.

    Each source stays by itself, also where several hold one voltage, since each has its price and its limits.

    Args:
        moving: devices whose positions are decided; None = none.

    Raises:
        InputError: taps of transformers in parallel that may move.
    """
    stations = open_held_meshes(network, network.source_terminal)
    if moving is not None:
        refuse_shared_taps(stations, moving, "Decide no positions (--positions fixed)")
    return stations if stations.dropped.any() else None


def _refuse_in_loops(network: Network, stations: Stations, prices: OperatingCost, day: DayArrays) -> None:
    """Refuse prices of losses and limits of powers of branches in permanently closed loops: their currents are those of
    the loop.

    Raises:
        OptionError: naming them.
    """
    looped = (stations.carrier != np.arange(network.n_conductors)) | (stations.share != 1.0) | stations.couplers
    limited = np.zeros_like(looped) if day.flow_max is None else np.isfinite(day.flow_max).any(axis=0)
    priced = prices.current > 0.0, "a price of losses (loss_price_usd_per_kwh)"
    for given, what in (priced, (limited, "branch_limits")):
        if (looped & given).any():
            names = [network.branch_names[network.conductor_branch[e]] for e in np.flatnonzero(looped & given)]
            raise OptionError(f"{names_in_words(names)}: {what} of a branch in a permanently closed loop; leave it out")


def scenario_days(options: DayOptions, futures: DayFutures | None, day: DayArrays) -> ScenarioDays | None:
    """The futures that options ask for, of a table or drawn from what is uncertain; None where they ask for none.

    Raises:
        OptionError: too many; the risk needs probabilities, and the table has none.
    """
    if futures is not None:
        names, probabilities, days = futures.names, futures.probabilities, realisations_of(futures, day.uncertain)
    elif isinstance(options.futures, int):
        count = options.futures
        names, probabilities = tuple(str(k + 1) for k in range(count)), np.full(count, 1.0 / count)
        days = sample_days(day.uncertain, count, seed=options.seed)
    else:
        return None
    if len(names) > FUTURES_MOST:
        raise OptionError(
            f"{len(names):,} futures are too many to operate and keep; give at most {FUTURES_MOST:,}, and test the "
            "plan on more days by samples"
        )
    if probabilities is None and not isinstance(options.measure, WorstCase):
        raise OptionError(
            f"{options.measure} needs probabilities, and the futures have none; give them, or the risk worst"
        )
    return ScenarioDays(names, days, probabilities, options.measure)


def _supply(grid: Grid, network: Network, most_kw: float | None) -> SupplyLimits:
    """Limits of sources and generators, no source above the most active power that is asked for."""
    supply = build_supply(grid, network)
    if most_kw is None:
        return supply
    return replace(supply, p_max=np.minimum(supply.p_max, most_kw / network.s_base_kva))


def _prices(grid: Grid, network: Network, options: DayOptions) -> OperatingCost:
    """Prices of generators, losses and switching; those of sources are in the day."""
    known = grid.with_tables(sources=grid.sources.with_columns(pl.col("price_usd_per_kwh").fill_null(0.0)))
    prices = build_prices(known, network)
    price, base = options.price, network.s_base_kva
    return replace(prices, loss=price["loss"], change=price["switching"] / base, move=price["moving"] / base)


def _demand(day: DayArrays, options: DayOptions) -> Demand:
    """What may be moved, with the shares that the options give to every bus."""
    size = day.demand.shift_buses.shape
    return replace(day.demand, **{f"shift_{name}": np.full(size, share) for name, share in options.shifted.items()})
