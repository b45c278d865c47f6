"""Operating points after disasters over a set of loads: which keep all limits for every load of it, in exact AC.

What is switched, shed and set stays as planned. The load that is served deviates, and what it takes more or less the
substations and the backup generators that form islands deliver, whose outputs have limits, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.arrays import Floats
from openpoint.enclosure.grid import GridBounds
from openpoint.enclosure.judge import bounds_of_fed, free_where_dark
from openpoint.enclosure.ports import Ports, ports_of
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.results.realised import realised_table
from openpoint.studies.harden.aftermath import AfterDisaster, Standing, violations_of
from openpoint.studies.harden.model import HardenProgram
from openpoint.studies.harden.restoration import TOLERANCE, Plan, ac_check, operated


def standing(program: HardenProgram, grid: Grid, after: AfterDisaster, shares: Mapping[str, float]) -> Standing:
    """What is known of an operating point where each load deviates by itself by these shares of what is served."""
    plan, network = after.plan, operated(program, after.plan)
    ports = _ports(grid, network, plan, shares)
    held = np.isin(np.arange(network.n_terminals), plan.roots)  # their voltages are given
    free = free_where_dark(
        replace(network, w_min=np.where(held, 0.0, network.w_min), w_max=np.where(held, np.inf, network.w_max))
    )
    found = bounds_of_fed(grid.with_tables(capacitors=grid.capacitors.clear()), free, ports, None)
    if found is not None and found.verdict(free) == "proved" and _delivers(program, plan, network, found):
        return Standing("proved")
    for at in _tried(found, free, len(ports.names)):
        there = ac_check(program, plan, ports.realised(network, at))
        if broken := violations_of(program, plan, there):
            served = 1.0 - plan.shed
            kept = {name: served[n] for n, name in enumerate(network.bus_names)}
            loads = grid.loads.with_columns(pl.col("p_kw", "q_kvar") * pl.col("bus").replace_strict(kept))
            return Standing("disproved", broken, realised_table(grid.with_tables(loads=loads), ports, shares, at))
    return Standing("open")


def _tried(found: GridBounds | None, network: Network, count: int) -> Iterator[Floats]:
    """Loads at which limits may break: what the bounds found, the realisation of most loss, all loads up, all down."""
    if found is not None:
        at = found.witness(network)
        yield from (each for each in (at, found.heaviest) if each is not None)
    yield from (np.ones(count), -np.ones(count))


def _delivers(program: HardenProgram, plan: Plan, network: Network, found: GridBounds) -> bool:
    """Whether the backup generators that form islands stay within their limits."""
    own = slice(len(program.network.source_terminal), len(plan.roots))
    base, backup = network.s_base_kva, program.backup
    p, q, room = found.p.some(own), found.q.some(own), TOLERANCE
    active = (p.low >= -room) & (p.high <= backup.p_kw / base + room)
    reactive = np.maximum(np.abs(q.low), np.abs(q.high)) <= backup.q_kvar / base + room
    return bool((active & reactive).all())


def _ports(grid: Grid, network: Network, plan: Plan, shares: Mapping[str, float]) -> Ports:
    """The ports of the network of an operating point, where what is served deviates."""
    given, n = ports_of(grid, network, shares), network.n_terminals
    s = np.concatenate([network.s_power, network.s_current, network.s_impedance])
    np.subtract.at(s, network.generator_terminal, network.generator_s)
    place = given.degree * n + given.fr
    scaled = sp.coo_array(sp.diags_array(1.0 - plan.shed[given.fr]) @ given.spread)
    spread = sp.csr_array((scaled.data, (place[scaled.row], scaled.col)), shape=(len(s), len(given.names)))
    low, high = np.zeros(len(s)), np.full(len(s), np.inf)
    low[place], high[place] = given.low, given.high
    used = np.flatnonzero((s != 0.0) | (np.diff(spread.indptr) > 0))
    none = np.full(len(used), -1)
    return Ports(used % n, none, used // n, s[used], spread[used], given.names, low[used], high[used])
