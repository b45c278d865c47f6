"""The arrays of the compiled evaluation of faults.

Sections, parts, ties and breakers are those of `openpoint.studies.secure.model`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints
from openpoint.compiled.table import Table
from openpoint.network import Network
from openpoint.network.limits import greatest_magnitude, least_magnitude
from openpoint.studies.secure.model.faults import Sections, touching_branches
from openpoint.studies.secure.model.indices import SwitchingTimes
from openpoint.studies.secure.model.switchings import MOST


@dataclass(frozen=True, eq=False)
class FaultData(Table):
    """What does not change with the topology, of N buses, E branches and the sections in which branches may fail.

    Attributes:
        fr, to: (E) ends. source: (N) number of the source that holds the bus, -1 = none.
        tie: (E) may be closed after a fault. fails: (E) may have a fault. hangs: (E) carries voltage while it is open.
        of_bus, of_branch: (N), (E) section. breaker_fr, breaker_to: (E) whether a breaker stands at the end.
        section: sections with branches that may fail. start, touching: branches that touch each of these.
        first, failing: branches of each that may fail. own_load, own_customers: of the buses within each.
        load, customers: (N) of each bus. rate: (E) faults a year. remote: (E) operated by remote control.
        until, sooner, whole: (E) hours a year without supply of what is switched around on site, of what is so by
            remote control (as `until` where no branch at the section is remote), and of what waits for the repair.
        low, high: (N) voltages that keep the limits, after a fault. most: (E) currents.
        sources_hold: whether the sources' own voltages keep the limits. most_choices: see `Restoration.is_whole`.
    """

    fr: Indices
    to: Indices
    source: Indices
    tie: Bools
    fails: Bools
    hangs: Bools
    of_bus: Indices
    of_branch: Indices
    breaker_fr: Bools
    breaker_to: Bools
    section: Indices
    start: Indices
    touching: Indices
    first: Indices
    failing: Indices
    own_load: Floats
    own_customers: Floats
    load: Floats
    customers: Floats
    rate: Floats
    remote: Bools
    until: Floats
    sooner: Floats
    whole: Floats
    low: Floats
    high: Floats
    most: Floats
    sources_hold: bool
    most_choices: int


@dataclass(frozen=True, eq=False)
class FaultWork(Table):
    """A state, what its faults do, and memory.

    Attributes:
        closed: (E) the state. order, place, end, above, parent: (N), lower: (E) its tree, as in `secure.model.tree`.
        feeder: (N) first bus of the feeder, -1 at sources. holds, loss: (N) of the feeder that begins at the bus.
        load_to, customers_to: (N + 1) sums over the buses before a place in `order`.
        head, first, tie, chosen: (N), (N + 1), (2 E), (N) of the parts of a fault: the bus by which it was fed, its
            ties, and the one chosen. picked: (N) that of the best choice, -1 = none. hopeless: (2 E) whether a tie
            need not be tried.
        changed: (N) first buses of the feeders that a switching changes.
        unrestorable: (E) whether ties leave some of what the fault cuts off without supply.
        totals: (3) interruptions, and hours without supply, of customers a year, and energy not supplied.
        loose: (1) faults of which not all choices of ties were tried. flows: (1) computed so far.
    """

    closed: Bools
    order: Indices
    place: Indices
    end: Indices
    above: Indices
    parent: Indices
    lower: Indices
    feeder: Indices
    holds: Bools
    loss: Floats
    load_to: Floats
    customers_to: Floats
    head: Indices
    first: Indices
    tie: Indices
    chosen: Indices
    picked: Indices
    hopeless: Bools
    changed: Indices
    unrestorable: Bools
    totals: Floats
    loose: Ints
    flows: Ints


@dataclass(frozen=True)
class Weights:
    """Who is interrupted how often and for how long.

    Attributes:
        load, customers: (N) of each bus. rate: (E) faults a year. repair_h: (E) time of a repair.
        switching: time until a fault is isolated and ties are closed.
    """

    load: Floats
    customers: Floats
    rate: Floats
    repair_h: Floats
    switching: SwitchingTimes


def fault_data(network: Network, sections: Sections, fails: Bools, weights: Weights) -> FaultData:
    """The arrays of a network with the limits of an emergency, its permanently closed loops opened."""
    fr, to = network.terminal_fr, network.terminal_to
    source = np.full(network.n_terminals, -1)
    source[network.source_terminal] = np.arange(len(network.source_terminal))
    of_branch, of_bus = sections.of_branch, sections.of_bus
    named = np.unique(of_branch[fails])
    touching = touching_branches(network, sections)
    lists = [touching[s] for s in named]
    failing = [np.flatnonzero(fails & (of_branch == s)) for s in named]
    time, rate, repair_h = weights.switching, weights.rate, weights.repair_h
    until = rate * np.minimum(time.manual_h, repair_h)
    reached = np.zeros(len(rate), dtype=np.bool_)
    for own, around in zip(failing, lists):
        reached[own] = time.remote[around].any()
    sooner = np.where(reached, rate * np.minimum(time.remote_h, repair_h), until)
    inside = [of_bus == s for s in named]
    held = np.abs(network.source_v)
    low, high = least_magnitude(np.sqrt(network.w_min)), greatest_magnitude(np.sqrt(network.w_max))
    at = network.source_terminal
    return FaultData(
        fr=_whole(fr),
        to=_whole(to),
        source=_whole(source),
        tie=network.switchable.copy(),
        fails=fails.copy(),
        hangs=(of_branch == of_bus[fr]) | (of_branch == of_bus[to]),
        of_bus=_whole(of_bus),
        of_branch=_whole(of_branch),
        breaker_fr=sections.breaker_fr.copy(),
        breaker_to=sections.breaker_to.copy(),
        section=_whole(named),
        start=_starts(lists),
        touching=_joined(lists),
        first=_starts(failing),
        failing=_joined(failing),
        own_load=np.array([weights.load[own].sum() for own in inside]),
        own_customers=np.array([weights.customers[own].sum() for own in inside]),
        load=weights.load.copy(),
        customers=weights.customers.copy(),
        rate=weights.rate.copy(),
        remote=time.remote.copy(),
        until=until,
        sooner=sooner,
        whole=rate * repair_h,
        low=low,
        high=high,
        most=greatest_magnitude(np.sqrt(network.l_max)),
        sources_hold=bool(np.all((held >= low[at]) & (held <= high[at]))),
        most_choices=MOST,
    )


def fault_work(data: FaultData) -> FaultWork:
    """Memory for states of these arrays."""
    n, e = len(data.load), len(data.fr)
    names = ("order", "place", "end", "above", "parent", "feeder", "head", "chosen", "picked", "changed")
    arrays: dict[str, Any] = {name: np.zeros(n, dtype=np.int32) for name in names}
    arrays |= {name: np.zeros(e, dtype=np.bool_) for name in ("closed", "unrestorable")}
    arrays["hopeless"] = np.zeros(2 * e, dtype=np.bool_)
    arrays |= {"lower": np.zeros(e, dtype=np.int32), "tie": np.zeros(2 * e, dtype=np.int32)}
    arrays |= {name: np.zeros(n + 1) for name in ("load_to", "customers_to")}
    arrays |= {name: np.zeros(1, dtype=np.int64) for name in ("loose", "flows")}
    arrays |= {"first": np.zeros(n + 1, dtype=np.int32), "holds": np.zeros(n, dtype=np.bool_)}
    return FaultWork(loss=np.zeros(n), totals=np.zeros(3), **arrays)


def _whole(values: Ints) -> Indices:
    return np.ascontiguousarray(values, dtype=np.int32)


def _starts(lists: list[Ints]) -> Indices:
    return _whole(np.cumsum([0, *map(len, lists)]))


def _joined(lists: list[Ints]) -> Indices:
    return _whole(np.concatenate([*lists, np.empty(0, dtype=np.int64)]))
