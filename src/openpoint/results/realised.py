"""Realisations of a set of loads: tables of them, and the witness against a state, by its exact AC power flow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import polars as pl

from openpoint.arrays import Floats
from openpoint.enclosure.ports import Ports
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.powerflow.state import ac_state
from openpoint.results import ac_tables as states
from openpoint.results.witness import WITNESS


def witness_of(grid: Grid, network: Network, ports: Ports, shares: Mapping[str, float], at: Floats) -> dict[str, Any]:
    """The fields of a `HasWitness` at a realisation.

    Args:
        network: of the grid, in the state and with the limits in question. ports: of the set. shares: by group how far
            powers deviate. at: (n) deviations.
    """
    there = _realised(grid, ports, shares, at)
    if network.is_balanced:
        broken = states.violations(network, ac_state(ports.realised(network, at), network.closed))
    else:
        from openpoint.powerflow.opendss import phase_state

        broken = states.phase_violations(network, phase_state(there, network))
    opened = states.open_names(network, network.closed)
    loads = realised_table(grid, ports, shares, at)
    return {"witness_open": opened, "witness_limits": broken, "witness_loads": loads}


def realised_table(grid: Grid, ports: Ports, shares: Mapping[str, float], at: Floats) -> pl.DataFrame:
    """All that deviates, with its power at a realisation; arguments as of `witness_of`."""
    there = _realised(grid, ports, shares, at)
    tables = [
        getattr(grid, kind)
        .select(pl.lit(kind).alias("kind"), "name", "bus", p_today_kw="p_kw", q_today_kvar="q_kvar")
        .hstack(getattr(there, kind).select("p_kw", "q_kvar"))
        for kind in ("loads", "generators")
    ]
    chosen = pl.DataFrame(
        [each.split(" ", 1) for each in ports.names], schema=dict.fromkeys(("kind", "name"), pl.String), orient="row"
    )
    return chosen.join(pl.concat(tables), on=["kind", "name"], how="left", maintain_order="left").select(list(WITNESS))


def _realised(grid: Grid, ports: Ports, shares: Mapping[str, float], at: Floats) -> Grid:
    """The grid with the powers of a realisation."""
    tables, by_name = {}, dict(zip(ports.names, at.tolist(), strict=True))
    for kind, group in (("loads", "load"), ("generators", "generation")):
        table = getattr(grid, kind)
        factor = pl.Series(
            [1.0 + shares.get(group, 0.0) * by_name.get(f"{kind} {name}", 0.0) for name in table["name"]]
        )
        tables[kind] = table.with_columns(pl.col("p_kw", "q_kvar") * factor)
    return grid.with_tables(**tables)
