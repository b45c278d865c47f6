"""From a grid to the mathematical model of partitioning: generators, prices, and which loads are uncertain."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from openpoint.arguments import Names, names_of
from openpoint.arrays import Complexes, Floats, Ints
from openpoint.errors import InputError, OptionError, Problem, refuse_unknown
from openpoint.formulations.lindist3flow_equations import closed_deltas
from openpoint.graph import energised
from openpoint.grid.grid import Grid
from openpoint.grid.rules.problems import names_in_words
from openpoint.network import Network, build_network, load_shares
from openpoint.network.blocks import Blocks, refuse_loops
from openpoint.network.blocks import blocks as blocks_of
from openpoint.network.limits import Limits
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.studies.partition.model.links import Links, Storage, today
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.model.step import (
    DispatchableGenerators,
    Locks,
    Step,
    UncertainLoads,
    block_loads_kw,
    load_blocks,
)
from openpoint.studies.partition.options import (
    BLOCK_USD,
    PartitionCosts,
    PartitionOptions,
    PartitionQuestion,
    PartitionStepsOptions,
)
from openpoint.studies.partition.timeline import Timeline
from openpoint.twostage.log import PROVEN_GAP
from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
from openpoint.twostage.methods.solving import ExtensiveForm
from openpoint.twostage.uncertainty import Box, Budget, Certain, Uncertainty

Method = ColumnAndConstraint | ExtensiveForm | Benders


def cut_network(grid: Grid, options: PartitionQuestion) -> tuple[Stations, Blocks]:
    """The network with the limits to keep, its permanently closed loops, and its blocks.

    Raises:
        InputError: the grid has faults, or a block has a loop that stays closed and cannot be opened.
        OptionError: it has no switches.
    """
    network = Limits.given(options.limits).applied(build_network(grid).dead_when_open())
    stations = open_held_meshes(network, network.source_terminal)
    refuse_loops(stations.opened)
    block_graph = blocks_of(network)
    if not len(block_graph.switches):
        raise OptionError("the grid has no switchable branch, so there is nothing to cut; mark its switches switchable")
    return stations, block_graph


def method_for(options: PartitionQuestion) -> Method:
    """The method named, or column-and-constraint generation; Benders without a relaxation, the published one."""
    found: Method = options.chosen or ColumnAndConstraint(
        gap=PROVEN_GAP if options.gap is None else options.gap, time_limit_s=options.time_limit_s
    )
    named = isinstance(options.method, str)
    return replace(found, relaxation=False) if named and isinstance(found, Benders) else found


def program_of(
    grid: Grid,
    network: Network,
    blocks: Blocks,
    options: PartitionOptions | PartitionStepsOptions,
    timeline: Timeline | None = None,
    whole: Network | None = None,
) -> PartitionProgram:
    """The mathematical model.

    Args:
        network: with its permanently closed loops opened. whole: as it is; default: there are none.
        timeline: the steps; default: an hour with the loads of the grid.

    Raises:
        InputError: names that are no load or generator; no generator is dispatchable.
        OptionError: figures that do not fit the grid.
    """
    costs, uncertainty = options.costs or PartitionCosts(), options.uncertainty
    generators = _generators(network, blocks)
    bounds = options.bounds if isinstance(options, PartitionOptions) else None
    if bounds is None:
        chosen = _chosen(grid, options.uncertain_loads)[: None if uncertainty > 0.0 else 0]
        low, high = np.full(len(chosen), -uncertainty), np.full(len(chosen), uncertainty)
    else:
        names, low, high = bounds.deviations(grid)
        chosen = _chosen(grid, tuple(names))
    counts = np.ones(grid.loads.height) if bounds is None else bounds.counts(grid)
    if timeline is None:
        fixed = isinstance(options, PartitionOptions) and options.fixed_switches
        timeline = Timeline.one(grid, _as_today(network, blocks) if fixed else Locks.none(blocks))
    home = load_blocks(grid, network, blocks)
    base_kw = network.terminal_base_kw
    prices = _prices(generators, costs, [store.generator for store in timeline.storage])
    steps = [
        Step(
            name=name,
            hours=float(hours),
            network=_loaded(grid, network, share),
            blocks=blocks,
            loads=_uncertain(grid, chosen, home, share),
            generators=generators,
            lost_usd=hours * _lost(grid, blocks.count, home, costs, share, counts),
            on_usd=hours * _running(grid, generators, blocks.count),
            generation_usd=hours * prices[generators.of_part] * base_kw,
            locks=locks,
        )
        for name, hours, share, locks in zip(timeline.names, timeline.hours, timeline.share, timeline.locks)
    ]
    linked = options if isinstance(options, PartitionStepsOptions) else None
    max_actions = None if linked is None else linked.max_actions
    keep_energised = linked is not None and linked.keep_energised
    stated = max_actions is not None or any(locks.closed.any() for locks in timeline.locks)
    return PartitionProgram(
        steps=tuple(steps),
        links=Links(_storage(timeline, generators, base_kw), max_actions, keep_energised, stated=stated),
        uncertainty=_set(np.tile(low, len(steps)), np.tile(high, len(steps)), len(steps), options.most_deviating),
        ramp=options.ramp,
        max_grid_forming=options.max_grid_forming,
        as_it_is=None if whole is network else whole,
    )


def _as_today(network: Network, blocks: Blocks) -> Locks:
    """Switches keep today's state, but for those at the lost substation, which open."""
    away = blocks.lost[blocks.fr] | blocks.lost[blocks.to]
    closed = today(network, blocks) & ~away
    return Locks(open=~closed, closed=closed, faulted=np.zeros(blocks.count, dtype=np.bool_))


def beside_the_source(grid: Grid, network: Network, block_graph: Blocks) -> tuple[str, ...]:
    """Notes on load that no plan can serve, and on generators that no plan can use."""
    notes = []
    if beside := float(block_loads_kw(grid, network, block_graph)[block_graph.lost].sum()):
        notes.append(f"{beside:.6g} kW of load share a block with the lost substation and cannot be served")
    at_rest = block_graph.lost[block_graph.of_terminal[network.generator_terminal]]
    if idle := dict.fromkeys(name for name, rests in zip(network.generator_names, at_rest) if rests):
        notes.append(f"generators that share a block with the lost substation cannot run: {names_in_words([*idle])}")
    return tuple(f"{note}; put a switch between" for note in notes)


def _loaded(grid: Grid, network: Network, share: Floats) -> Network:
    """The network with a share (L) of each load, at its nominal power."""
    if (share == 1.0).all():
        return network
    shares, more = load_shares(grid), (share - 1.0) * _kva(grid)
    wye, pairs = np.asarray(shares.wye @ more), np.asarray(shares.delta @ more)
    delta = replace(network.delta, s_power=network.delta.s_power + pairs)
    return replace(network, s_power=network.s_power + wye, delta=delta)


def _kva(grid: Grid) -> Complexes:
    """(L) nominal power of the loads."""
    return np.asarray(grid.loads["p_kw"].to_numpy() + 1j * grid.loads["q_kvar"].to_numpy())


def _storage(timeline: Timeline, generators: DispatchableGenerators, base_kw: float) -> Storage:
    stores = timeline.storage

    def each(values: Iterable[float]) -> Floats:
        return np.array(list(values), dtype=np.float64)

    return Storage(
        generator=np.array([generators.names.index(store.generator) for store in stores], dtype=np.int64),
        start=each(store.start_kwh for store in stores) / base_kw,
        least=each(store.least_kwh for store in stores) / base_kw,
        most=each(store.energy_kwh for store in stores) / base_kw,
        end=each(store.end_kwh for store in stores) / base_kw,
        into=each(store.charge_efficiency for store in stores),
        out=each(store.discharge_efficiency for store in stores),
    )


def _running(grid: Grid, generators: DispatchableGenerators, count: int) -> Floats:
    """(B) what generators cost that are on, for an hour: those of a block are where it is energised."""
    cost = dict(grid.generators.select("name", "cost_on_usd_per_h").iter_rows())
    values = [cost[name] for name in generators.names]
    return np.asarray(np.bincount(generators.block, weights=values, minlength=count), dtype=np.float64)


def _lost(grid: Grid, count: int, home: Ints, costs: PartitionCosts, share: Floats, counts: Floats) -> Floats:
    """(B) cost of each de-energised block for an hour at a share (L) of the loads, of which each counts (L) in the
    weight of its block."""
    names = grid.loads["name"].to_list()
    refuse_unknown("loads", costs.factors, names, "load")
    weight = costs.block_weight + costs.load_weight * np.bincount(home, weights=counts, minlength=count)
    factor = np.array([costs.factors.get(name, 1.0) for name in names], dtype=np.float64)
    if costs.weigh == "block":
        greatest = np.zeros(count)
        np.maximum.at(greatest, home, factor)
        return np.asarray(BLOCK_USD * weight * greatest)
    return np.asarray(
        weight * np.bincount(home, weights=factor * share * grid.loads["p_kw"].to_numpy(), minlength=count)
    )


def _prices(generators: DispatchableGenerators, costs: PartitionCosts, stored: Sequence[str]) -> Floats:
    """(G) price of a kWh; what storage takes is paid where it is generated, so it costs nothing unless named."""
    given = costs.generation_usd_per_kwh
    if not isinstance(given, Mapping):
        return np.array([0.0 if name in stored else given for name in generators.names])
    refuse_unknown("generators", given, generators.names, "generator")
    free = dict.fromkeys(stored, 0.0)
    if missing := [name for name in generators.names if name not in {**free, **given}]:
        raise OptionError(f"no generation_usd_per_kwh is given for {', '.join(missing)}; give one price or all")
    return np.array([{**free, **given}[name] for name in generators.names])


def _generators(network: Network, blocks: Blocks) -> DispatchableGenerators:
    """Generators that may form a grid have every phase of the network, can feed in, and hold all loads to ground."""
    part_names = network.generator_names
    names = tuple(dict.fromkeys(part_names))
    if not names:
        what = "no generator is dispatchable"
        remedy = (
            "Give generators p_max_kw; without any, no island has a source. OpenDSS files have no such limits: make "
            "tables of them by openpoint convert and fill in generators.csv"
        )
        raise InputError([Problem("generators", "", "p_max_kw", what, remedy)])
    of_part = np.array([names.index(name) for name in part_names], dtype=np.int64)
    block = np.array(
        [blocks.of_terminal[network.generator_terminal[np.argmax(of_part == g)]] for g in range(len(names))]
    )
    phases = len(set(network.terminal_phase))
    may_form = [
        g
        for g in range(len(names))
        if np.sum(of_part == g) == phases
        and network.p_max[of_part == g].sum() > 0.0
        and not blocks.lost[block[g]]
        and _holds_ground(network, network.generator_terminal[of_part == g])
    ]
    if not may_form:
        what = (
            "none can form a grid: that takes every phase, p_max_kw above 0, a block without the substation, and no "
            "delta of a transformer between it and loads to ground"
        )
        remedy = "Add such a generator, or put a switch between it and the substation"
        raise InputError([Problem("generators", names_in_words(list(names)), "bus", what, remedy)])
    return DispatchableGenerators(
        names=names,
        block=block,
        of_part=of_part,
        may_form=np.array(may_form, dtype=np.int64),
        p_capacity=np.maximum(np.abs(network.p_min), np.abs(network.p_max)),
        q_capacity=np.maximum(np.abs(network.q_min), np.abs(network.q_max)),
    )


def _holds_ground(network: Network, held: Ints) -> bool:
    """Whether no load to ground lies behind a delta seen from these terminals: no neutral would be there for it."""
    delta = np.array(["delta" in connection for connection in network.branch_connections], dtype=np.bool_)
    behind = closed_deltas(network, held, np.ones(network.n_conductors, dtype=np.bool_)).floating.ravel()
    ends = network.terminal_fr, network.terminal_to
    reached = energised(network.n_terminals, *ends, ~delta[network.conductor_branch], behind)
    return not np.any(reached & ((network.s_power != 0) | (network.s_current != 0) | (network.s_impedance != 0)))


def _chosen(grid: Grid, wanted: Literal["all"] | int | Names) -> Ints:
    """Numbers of the uncertain loads; of N the largest, in the order of the table."""
    names = grid.loads["name"].to_list()
    if isinstance(wanted, str) and wanted == "all":
        return np.arange(len(names))
    if isinstance(wanted, int | np.integer) and not isinstance(wanted, bool):
        if not 0 <= wanted <= len(names):
            raise OptionError(f"{wanted} uncertain loads; the grid has {len(names)}, give 0 to {len(names)} or all")
        return np.sort(np.argsort(-grid.loads["p_kw"].to_numpy(), kind="stable")[:wanted])
    texts = names_of(wanted, "uncertain_loads")
    chosen = [name for text in texts for name in ([text] if text in names else map(str.strip, text.split(",")))]
    refuse_unknown("loads", chosen, names, "load")
    return np.array(sorted({names.index(name) for name in chosen}), dtype=np.int64)


def _uncertain(grid: Grid, chosen: Ints, home: Ints, share: Floats) -> UncertainLoads:
    shares = load_shares(grid)
    s = sp.diags_array((share * _kva(grid))[chosen])
    return UncertainLoads(
        names=tuple(shares.names[k] for k in chosen),
        block=home[chosen],
        wye=sp.csr_array(shares.wye[:, chosen] @ s),
        delta=sp.csr_array(shares.delta[:, chosen] @ s),
    )


def _set(low: Floats, high: Floats, steps: int, deviating: int | None) -> Uncertainty:
    """Deviations of loads step by step between ends, each step with a budget of its own."""
    m = len(low) // steps
    if not m:
        return Certain(np.zeros(1))  # no variable may be empty
    if deviating is None or deviating >= m:
        return Box(low, high)
    return Budget(0.0 * low, -low, high, deviating, np.repeat(np.arange(steps), m))
