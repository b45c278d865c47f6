"""The islands of a plan as a grid whose sources are the generators that form them, and what its generators may do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl

from openpoint.arrays import Floats, Ints
from openpoint.enclosure.ports import ports_with
from openpoint.enclosure.recourse import Operated, Units
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import system_of
from openpoint.errors import InputError
from openpoint.formulations.lindist3flow_equations import closed_deltas, floating_terminals
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.studies.partition.ac import by_phase, leading
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.model.step import terminal_base_kw
from openpoint.twostage.uncertainty import Budget


class Refused(Exception):
    """A plan that cannot be put as an enclosure; its argument says why."""


def islands_of(grid: Grid, program: PartitionProgram, decision: Floats, limits: Limits | None) -> Operated:
    """The islands of a plan.

    Args:
        grid: the grid. program: of one step. decision: of it, its integers whole. limits: to keep.

    Raises:
        Refused: what an enclosure does not take.
    """
    closed, energised, _, p, q = program.parted(decision)
    whole, units = program.as_it_is or program.network, program.generators
    lead = units.may_form[leading(program, decision)]
    on, forms = energised > 0.5, np.isin(units.of_part, lead)
    led, parts = np.flatnonzero(forms), np.flatnonzero(on[units.block[units.of_part]] & ~forms)
    if (whole.generator_return[led] >= 0).any():
        raise Refused("a generator between phases forms the grid, and its phases cannot be told apart")
    low, high = (each[: len(program.loads.names)] for each in program.deviations)
    if not set(program.loads.names) <= set(grid.loads["name"]):
        raise Refused("what is uncertain are parts of loads")
    if not np.array_equal(-low, high):
        raise Refused("loads deviate by more to one side")
    state = whole.closed[np.unique(whole.conductor_branch, return_index=True)[1]].copy()
    state[program.blocks.switches] = closed > 0.5
    joined = state[whole.conductor_branch] & on[program.blocks.of_terminal][whole.terminal_fr]
    floats = floating_terminals(whole, closed_deltas(whole, whole.generator_terminal[led], joined), joined)
    held = dict(zip(units.may_form.tolist(), np.sqrt(program.steps[0].held_w).tolist(), strict=True))
    sources = {units.names[g]: held[int(g)] for g in lead}
    split, feeds = by_phase(grid, program, sources, floats)
    moved = np.flatnonzero(np.diff(feeds.indptr))
    moved_names = split.generators["name"].gather(moved).to_list()
    buses = {name for name, block in zip(whole.bus_names, program.blocks.of_bus, strict=True) if on[block]}
    kept = {name for name, shut in zip(whole.branch_names, state, strict=True) if shut}
    own = _island_grid(split, buses, kept, sources, moved_names)
    network = Limits.given(limits).applied(build_network(own))
    loads = own.loads["name"].to_list()
    share = dict(zip(program.loads.names, high.tolist(), strict=True))
    running = own.generators["name"].is_in(moved_names).to_numpy()
    try:
        ports = ports_with(own, network, np.r_[[share.get(name, 0.0) for name in loads], running.astype(np.float64)])
        system = system_of(own, network, ports)
    except InputError as error:
        raise Refused("; ".join(each.message for each in error.problems)) from None
    column, spread = {name: k for k, name in enumerate(ports.names)}, ports.spread.toarray()
    by_row = np.zeros((len(ports.fr), len(moved)), dtype=np.complex128)
    for k, name in enumerate(moved_names):
        if f"generators {name}" in column:
            by_row[:, k] = spread[:, column[f"generators {name}"]]
    by_load = np.zeros((len(ports.fr), len(share)), dtype=np.complex128)
    for k, name in enumerate(share):
        if f"loads {name}" in column:
            by_load[:, k] = spread[:, column[f"loads {name}"]]
    base = terminal_base_kw(whole)
    number = {
        (network.bus_names[network.terminal_bus[t]], network.terminal_phase[t]): k
        for k, t in enumerate(network.source_terminal)
    }
    at = whole.generator_terminal[led]
    places = zip(whole.terminal_bus[at], np.array(whole.terminal_phase)[at], strict=True)
    return Operated(
        network=network,
        base_kw=terminal_base_kw(network),
        system=system,
        ports=replace(ports, s=ports.s - by_row.sum(axis=1)),
        loads=by_load,
        names=tuple(share),
        among=DeviationSet(float(program.uncertainty.most) if isinstance(program.uncertainty, Budget) else None),
        power=by_row @ feeds[moved][:, parts].toarray(),
        units=_units(program, whole, parts, np.concatenate([p[parts], q[parts]]) * base),
        leads=_units(program, whole, led, np.concatenate([p[led], q[led]]) * base),
        lead_at=np.array([number[whole.bus_names[bus], str(phase)] for bus, phase in places], dtype=np.int64),
    )


def _units(program: PartitionProgram, net: Network, part: Ints, planned: Floats) -> Units:
    """The figures of some parts."""
    base, both = terminal_base_kw(net), np.concatenate([part, len(net.p_min) + part])
    size = program.generators.p_capacity, program.generators.q_capacity
    price = program.steps[0].generation_usd[part] / (base * program.steps[0].hours)
    return Units(
        part=part,
        names=tuple(net.generator_names[k] for k in part),
        phases=tuple(net.terminal_phase[net.generator_terminal[k]] for k in part),
        least=np.concatenate([net.p_min, net.q_min])[both] * base,
        most=np.concatenate([net.p_max, net.q_max])[both] * base,
        ramp=np.concatenate(program.ramps)[both] * base,
        size=np.concatenate(size)[both] * base,
        price=np.concatenate([price, np.zeros(len(part))]),
        planned=planned,
    )


def _island_grid(grid: Grid, buses: set[str], kept: set[str], sources: dict[str, float], moved: list[str]) -> Grid:
    """What is energised, with generators that form the grid as sources, and 1 kW of each row that is moved."""
    tables: dict[str, pl.DataFrame] = {}
    for kind, table in grid.tables().items():
        if "from_bus" in table.columns:
            live = pl.col("name").is_in(list(kept)) & pl.col("from_bus").is_in(list(buses))
            tables[kind] = table.filter(live).with_columns(closed=True)
        elif "bus" in table.columns:
            tables[kind] = table.filter(pl.col("bus").is_in(list(buses)))
    tables["buses"] = grid.buses.filter(pl.col("name").is_in(list(buses)))
    bus = dict(grid.generators.select("name", "bus").iter_rows())
    rows = [{"name": name, "bus": bus[name], "v_pu": v, "angle_degree": 0.0} for name, v in sources.items()]
    tables["sources"] = pl.DataFrame(rows, schema_overrides=dict(grid.sources.schema)).select(
        pl.col(name) if name in ("name", "bus", "v_pu", "angle_degree") else pl.lit(None, dtype).alias(name)
        for name, dtype in grid.sources.schema.items()
    )
    one, is_moved = {"p_kw": 1.0, "q_kvar": 0.0}, pl.col("name").is_in(moved)
    limits = ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar", "s_max_kva")
    tables["generators"] = (
        tables["generators"]
        .filter(~pl.col("name").is_in(list(sources)))
        .with_columns(pl.when(is_moved).then(value).otherwise(pl.col(name)).alias(name) for name, value in one.items())
        .with_columns(pl.when(is_moved).then(None).otherwise(pl.col(name)).alias(name) for name in limits)
    )
    return grid.with_tables(**tables)
