"""The islands of a plan as a grid whose sources are the generators that form them, and what its generators may do."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
import scipy.sparse as sp

from openpoint.arrays import Bools, Ints
from openpoint.enclosure.ports import ports_with
from openpoint.enclosure.recourse import Operated, Units
from openpoint.enclosure.sets import DeviationSet
from openpoint.enclosure.system import system_of
from openpoint.errors import InputError
from openpoint.formulations.lindist3flow_equations import closed_deltas, floating_terminals
from openpoint.graph import energised, islands
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.network.load_shares import DELTA_PAIRS, is_delta


class Refused(Exception):
    """A plan that cannot be put as an enclosure; its argument says why."""


@dataclass(frozen=True)
class Topology:
    """What is decided before the loads are known, and what these may be.

    Attributes:
        closed: state of the switches, by name. forming: voltage of the generators that form a grid, pu, by name.
        shares: of each uncertain load, how far it deviates, down and up. budget: how many at once; None = any number.
        ramp: most change of a generator in each phase, a share of its size.
    """

    closed: Mapping[str, bool]
    forming: Mapping[str, float]
    shares: Mapping[str, float]
    budget: float | None
    ramp: float


def islands_of(grid: Grid, plan: Topology, limits: Limits | None) -> Operated:
    """The islands that generators form when the sources of the grid are lost.

    Raises:
        Refused: what an enclosure does not take.
    """
    whole = build_network(grid).dead_when_open()
    state = np.zeros(len(whole.branch_names), dtype=np.bool_)
    state[whole.conductor_branch] = whole.closed
    state = np.array([plan.closed.get(name, shut) for name, shut in zip(whole.branch_names, state, strict=True)])
    led = np.flatnonzero([name in plan.forming for name in whole.generator_names])
    if (whole.generator_return[led] >= 0).any():
        raise Refused("a generator between phases forms the grid, and its phases cannot be told apart")
    at, ends = whole.generator_terminal, (whole.terminal_fr, whole.terminal_to)
    on = energised(whole.n_terminals, *ends, state[whole.conductor_branch], at[led])
    _refuse_unlike(whole, plan, limits, on, islands(whole.n_terminals, *ends, state[whole.conductor_branch]))
    joined = state[whole.conductor_branch] & on[whole.terminal_fr]
    floats = floating_terminals(whole, closed_deltas(whole, at[led], joined), joined)
    split, feeds = by_phase(grid, whole, plan.forming, floats)
    moved = np.flatnonzero(np.diff(feeds.indptr))
    moved_names = split.generators["name"].gather(moved).to_list()
    buses = {whole.bus_names[bus] for bus in whole.terminal_bus[on]}
    kept = {name for name, shut in zip(whole.branch_names, state, strict=True) if shut}
    own = _island_grid(split, buses, kept, plan.forming, moved_names)
    network = Limits.given(limits).applied(build_network(own))
    share = [plan.shares.get(name, 0.0) for name in own.loads["name"]]
    running = own.generators["name"].is_in(moved_names).to_numpy()
    try:
        ports = ports_with(own, network, np.r_[share, running.astype(np.float64)])
        system = system_of(own, network, ports)
    except InputError as error:
        raise Refused("; ".join(each.message for each in error.problems)) from None
    column, spread = {name: k for k, name in enumerate(ports.names)}, ports.spread.toarray()
    by_row = np.zeros((len(ports.fr), len(moved)), dtype=np.complex128)
    for k, name in enumerate(moved_names):
        if f"generators {name}" in column:
            by_row[:, k] = spread[:, column[f"generators {name}"]]
    by_load = np.zeros((len(ports.fr), len(plan.shares)), dtype=np.complex128)
    for k, name in enumerate(plan.shares):
        if f"loads {name}" in column:
            by_load[:, k] = spread[:, column[f"loads {name}"]]
    number = {
        (network.bus_names[network.terminal_bus[t]], network.terminal_phase[t]): k
        for k, t in enumerate(network.source_terminal)
    }
    places = zip(whole.terminal_bus[at[led]], np.array(whole.terminal_phase)[at[led]], strict=True)
    parts = np.setdiff1d(np.flatnonzero(on[at]), led)
    return Operated(
        network=network,
        base_kw=network.terminal_base_kw,
        system=system,
        ports=replace(ports, s=ports.s - by_row.sum(axis=1)),
        loads=by_load,
        names=tuple(plan.shares),
        among=DeviationSet(plan.budget),
        power=by_row @ feeds[moved][:, parts].toarray(),
        units=_units(whole, parts, plan.ramp),
        leads=_units(whole, led, plan.ramp),
        lead_at=np.array([number[whole.bus_names[bus], str(phase)] for bus, phase in places], dtype=np.int64),
    )


def _refuse_unlike(whole: Network, plan: Topology, limits: Limits | None, on: Bools, island: Ints) -> None:
    """Refuse islands that are none: each has one generator that forms its grid, and none of the lost sources."""
    if on[whole.source_terminal].any():
        raise Refused("an island has a source of the grid, which is lost")
    at: dict[str, Ints] = {
        name: whole.generator_terminal[[each == name for each in whole.generator_names]] for name in plan.forming
    }
    if not all(len(each) for each in at.values()) or len({island[each[0]] for each in at.values()}) < len(at):
        raise Refused("a generator that is not dispatchable forms a grid, or two form that of one island")
    net = Limits.given(limits).applied(whole)
    for name, v in plan.forming.items():
        if not (net.w_min[at[name]] <= v**2).all() or not (v**2 <= net.w_max[at[name]]).all() or v <= 0.0:
            raise Refused(f"{name} holds {v:g} pu, which is beyond the limits of its bus")


def _units(net: Network, part: Ints, ramp: float) -> Units:
    """The figures of some parts, without prices and set-points."""
    base, count = net.terminal_base_kw, len(net.p_min)
    both = np.concatenate([part, count + part])
    least, most = np.concatenate([net.p_min, net.q_min]) * base, np.concatenate([net.p_max, net.q_max]) * base
    size = np.maximum(np.abs(least), np.abs(most))
    return Units(
        part=part,
        names=tuple(net.generator_names[k] for k in part),
        phases=tuple(net.terminal_phase[net.generator_terminal[k]] for k in part),
        least=least[both],
        most=most[both],
        ramp=ramp * size[both],
        size=size[both],
        price=np.zeros(len(both)),
        planned=np.zeros(len(both)),
    )


def _island_grid(grid: Grid, buses: set[str], kept: set[str], sources: Mapping[str, float], moved: list[str]) -> Grid:
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


def by_phase(grid: Grid, net: Network, whole: Collection[str], floating: Bools) -> tuple[Grid, sp.csr_array]:
    """The grid with a row of its generators for each phase of those dispatched, and (rows, P) how parts make rows.

    Args:
        net: of the grid. whole: generators that are left as they are. floating: (N) terminals without a neutral.
    """
    rows: list[dict[str, Any]] = []
    feeds: list[tuple[int, int, complex]] = []
    part_names = np.array(net.generator_names, dtype=object)
    for row in grid.generators.iter_rows(named=True):
        name, phases = row["name"], row["phases"]
        parts = np.flatnonzero(part_names == name)
        if name in whole or not len(parts):
            rows.append(row)
            continue
        between = is_delta(row["connection"], phases)
        afloat = not between and len(parts) == 3 and bool(floating[net.generator_terminal[parts]].all())
        places = DELTA_PAIRS[phases] if between or afloat else tuple(phases)
        share = {key: row[key] / len(places) for key in _POWERS if row[key] is not None}
        share |= {"connection": "delta"} if afloat else {}
        for k, place in zip(parts, places, strict=True):
            if afloat:
                feeds += [(len(rows), int(parts["abc".index(at)]), part) for at, part in _across(place)]
            else:
                feeds.append((len(rows), int(k), 1.0))
            rows.append(row | share | {"name": f"{name} ({place})", "phases": "".join(sorted(place))})
    at, part, value = zip(*feeds) if feeds else ((), (), ())
    entries = np.array(value, dtype=np.complex128), (np.array(at, dtype=np.int64), np.array(part, dtype=np.int64))
    split = grid.with_tables(generators=pl.DataFrame(rows, schema=grid.generators.schema))
    return split, sp.csr_array(entries, shape=(len(rows), len(net.generator_names)))


def _across(pair: str) -> Iterator[tuple[str, complex]]:
    """By phase: what a kVA to neutral is between the phases of a pair, if the three currents add up to none."""
    turn = {"a": 1.0, "b": np.exp(-2j * np.pi / 3.0), "c": np.exp(2j * np.pi / 3.0)}
    across = turn[pair[0]] - turn[pair[1]]
    for phase, sign in zip(pair, (1.0, -1.0), strict=True):
        yield phase, complex(sign * across / turn[phase] / 3.0)


_POWERS = ("p_kw", "q_kvar", "p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")
