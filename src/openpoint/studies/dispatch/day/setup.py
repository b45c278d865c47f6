"""From arguments to the question of a day: the grid checked, made a network once, the day laid on it."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import polars as pl

from openpoint.errors import OptionError
from openpoint.formulations.locks import locks, refuse_impossible
from openpoint.formulations.radiality import contract
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.network.day import DayArrays, Demand
from openpoint.network.device_tables import build_devices, build_prices, build_supply
from openpoint.network.devices import DeviceKind
from openpoint.network.limits import Limits
from openpoint.network.operating_cost import OperatingCost
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion
from openpoint.studies.dispatch.day.options import DayOptions

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
    ends = network.terminal_fr, network.terminal_to, network.source_terminal
    refuse_impossible(grid, network, contract(network.n_terminals, *ends, must_close, must_open), must_close)
    _LOG.info("laid the day on the network")
    return DayQuestion(
        network=network,
        devices=every.only(np.arange(every.count) if positions is not Cadence.FIXED else np.flatnonzero(kept)),
        supply=build_supply(grid, network),
        cost=_prices(grid, network, options),
        must_close=must_close,
        must_open=must_open,
        topology=options.cadence,
        positions=positions,
        max_changes=options.max_changes,
        recourse=options.resources,
        day=replace(day, demand=_demand(day, options)),
    )


def _prices(grid: Grid, network: Network, options: DayOptions) -> OperatingCost:
    """Prices of generators, losses and switching; those of sources are in the day."""
    known = grid.with_tables(sources=grid.sources.with_columns(pl.col("price_usd_per_kwh").fill_null(0.0)))
    prices = build_prices(known, network)
    return replace(prices, loss=options.loss_price, change=options.switching_price / network.s_base_kva)


def _demand(day: DayArrays, options: DayOptions) -> Demand:
    """What may be moved, with the shares that the options give to every bus."""
    demand = day.demand
    size = demand.shift_buses.shape
    given = {
        name: np.full(size, value)
        for name, value in (("shift_buses", options.shift_buses), ("shift_time", options.shift_time))
        if value is not None
    }
    return replace(demand, **given)
