"""The arrays of the compiled evaluation of faults.

Sections, parts, ties and breakers are those of `openpoint.studies.secure.model`.

Bounds of what faults do in all completions of a partial state: some branches closed, some open, others undecided.

A completion is a radial state with all branches that are closed here and none that are open here. *Attached* is what
closed branches join to a source. In every completion the attached part is fed as it is here, with more hung on to it,
and what lies below a bus only grows.

**Interruptions.** A fault of an attached branch trips at least the buses below its breaker that are attached below it
here. A bus j that is not attached is fed by a path that leaves the attached part at some bus a. It is tripped by all
faults that trip a, by those of the branches of the path, and by all branches of a joined part that the path enters, if
no breaker stands within this part: then its first breaker towards the source lies above all of it. The least such sum
is a shortest path (`bound_kernel.distances`). Added up over the buses, weighted by customers or load, it is a bound.
What is isolated with a fault does not depend on the topology: a conductor in one section with a bus fails, whether it
is closed or open.

**Interruptions within a region.** What is not attached falls into *regions*, joined by closed and undecided branches
without the attached part, each of some joined parts J of weight c_J. In every completion each part is entered by
exactly one branch, each by another, so that with its own branches it brings at least ρ_J faults, where ρ_J is the sum
of those within J and the least of a branch that may enter it. If no breaker stands in the region, the parts of a
region fall into groups g, each of which trips as a whole with all faults of its parts: those fed over branches with a
breaker, or from a source, each a group of its own, and those that hang at attached buses, one group with all attached
below the same breaker. With d_g the interruptions of a group by what is attached, and t_g the attached weight below
its breaker, C_g = Σ c_J and R_g = Σ ρ_J over its parts, the interruptions of the region's buses and of others by its
faults are at least

    Σ_g d_g C_g + t_g R_g + C_g R_g.

The parts may be shared out among the groups in any way. By Cauchy and Schwarz C_g R_g ≥ S_g², S_g = Σ √(c_J ρ_J), and
(t_g + C_g)(d_g + R_g) ≥ (√(t_g d_g) + S_g)². So two bounds follow that need only Σ_g S_g = S: each part by itself at
the group where d_g c_J + t_g ρ_J is least, with Σ S_g² ≥ S² / number of groups; and the least of Σ (√(t_g d_g) + S_g)²
− t_g d_g, in which all groups with parts reach one level. With one group the sum is exact. The greatest of these and
of the shortest paths counts. Regions may share a group: what their faults do to each other is left out.

What no completion restores after a fault waits for the repair, and so do all regions that hang below it in every
completion: those whose branches to the attached part all end below it. If no open tie leads from such a region to
elsewhere, it cannot feed what is above it after a fault, and its power P, Q adds to that of the part that it hangs at.

**Faults that one tie cannot restore.** A fault of an attached branch leaves the part A below it without supply, and
more in a completion. Whatever restores it feeds A over a branch f = (x, y) from y outside to x in A, in a radial state
that keeps the limits. Either y is attached and not cut off by the fault; then f is the tie, since it would otherwise
close a loop before the fault, and all that is attached at y's feeder hangs there together with A. Or nothing is known
of y but its highest voltage. In both cases the power through a branch towards joined load is at least

    P ≥ Σ joined p − Σ what parts not attached may feed in at most,    Q likewise, less all charging at the buses,

since losses are not negative. So its squared current is at least (P² + Q²) / w_max, and with the voltage w before it,
the voltage behind it at most the root of w = w' + 2 (r P + x Q) + |z|² (P² + Q²) / w', with max(Q, 0) in the square.
Where this breaks a rating or a lower limit for every f, no completion restores the fault.

The bound holds where no branch has a negative resistance, reactance or conductance and no load is negative; elsewhere
it is 0.

Theory: docs/methods.md M40, M41.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Bools, Floats, Indices, Ints, States
from openpoint.compiled.table import Table
from openpoint.network import Network
from openpoint.network.limits import at_kept_limits, greatest_magnitude, greatest_series_currents, least_magnitude
from openpoint.search.model.voltage_bounds import bounds_of_voltages, demand
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
        closed: (E) the state.
        feeder: (N) first bus of the feeder, -1 at sources. holds, loss: (N) of the feeder that begins at the bus.
        head, first, tie, chosen: (N), (N + 1), (2 E), (N) of the parts of a fault: the bus by which it was fed, its
            ties, and the one chosen. picked: (N) that of the best choice, -1 = none. hopeless: (2 E) whether a tie
            need not be tried.
        changed: (N) first buses of the feeders that a switching changes.
        unrestorable: (E) whether ties leave some of what the fault cuts off without supply.
        totals: (3) interruptions, and hours without supply, of customers a year, and energy not supplied.
        loose: (1) faults of which not all choices of ties were tried. flows: (1) computed so far.
    """

    closed: Bools
    feeder: Indices
    holds: Bools
    loss: Floats
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
    names = ("feeder", "head", "chosen", "picked", "changed")
    arrays: dict[str, Any] = {name: np.zeros(n, dtype=np.int32) for name in names}
    arrays |= {name: np.zeros(e, dtype=np.bool_) for name in ("closed", "unrestorable")}
    arrays["hopeless"] = np.zeros(2 * e, dtype=np.bool_)
    arrays["tie"] = np.zeros(2 * e, dtype=np.int32)
    arrays |= {name: np.zeros(1, dtype=np.int64) for name in ("loose", "flows")}
    arrays |= {"first": np.zeros(n + 1, dtype=np.int32), "holds": np.zeros(n, dtype=np.bool_)}
    return FaultWork(loss=np.zeros(n), totals=np.zeros(3), **arrays)


def _whole(values: Ints) -> Indices:
    return np.ascontiguousarray(values, dtype=np.int32)


def _starts(lists: list[Ints]) -> Indices:
    return _whole(np.cumsum([0, *map(len, lists)]))


def _joined(lists: list[Ints]) -> Indices:
    return _whole(np.concatenate([*lists, np.empty(0, dtype=np.int64)]))


@dataclass(frozen=True, eq=False)
class Least(Table):
    """Lower bounds of what branches carry and take.

    Attributes:
        r, x, z2, k: (E) impedance, its square, and squared voltage behind the ratio per that at the from bus.
        l_max: (E) greatest squared series current allowed. w_low, w_high: (N) squared voltages allowed. w_source: (N)
            at sources.
        p, q: (N) what the bus takes at least, all charging of its branches subtracted from the latter.
        by_rate, by_weight: (E), (N) of the interruptions bounded: faults or hours a year, and customers or load.
        breaker: (E) whether a breaker stands at either end.
        by_repair: (E) of these, what waits for the repair in addition. fixed: what is the same in all states.
        may: (E) faults that may be unrestorable. valid: whether the bound of unrestorable faults holds.
    """

    r: Floats
    x: Floats
    z2: Floats
    k: Floats
    l_max: Floats
    w_low: Floats
    w_high: Floats
    w_source: Floats
    p: Floats
    q: Floats
    by_rate: Floats
    by_weight: Floats
    by_repair: Floats
    fixed: float
    breaker: Bools
    may: Bools
    valid: bool


@dataclass(frozen=True, eq=False)
class PartialWork(Table):
    """A partial state and memory.

    Attributes:
        status: (E) OPEN, CLOSED or UNDECIDED. order, place, end, above, parent: (N), lower: (E) of the attached part.
        part: (N) first bus of a joined part that is not attached, -1 where attached.
        p_below, q_below, weight_below, load_below, customers_below: (N) attached below a bus.
        need: (N) least squared voltage with which all below keep their limits.
        own: (N) of a part: faults within it. distance: (N) least interruptions of a bus, or of a part at its first bus.
        stack: (N + 1) memory. live: whether a section has an attached bus.
        lost: (E) faults that no completion restores. help: (2) P and Q that parts not attached may feed in.
        bound: (1) of the interruptions.
        regions: (1) their number. begin, rest: (N + 1), (N) the buses of each. bare: (N) whether one has no breaker.
        entry, part_weight: (N) of a part at its first bus: least faults of a branch that enters it, and its weight.
        hung: (N) weight of the regions that hang below a bus in every completion. seen: (N) memory.
        part_p, part_q: (N) of a part: what it takes at least, not below 0. region: (N) of a bus that is not attached.
        low, high: (N) of a region: first and last place of attached buses that it may be fed from, also by a tie after
            a fault. p_hung, q_hung: (N) power of the regions of which all these are below a bus.
        top, group_of: (N) of an attached bus: the bus that trips with what hangs there, and the last region seen there.
        group_weight, group_rate, group_root: (2E + 1) what a region may be tripped with.
    """

    status: States
    order: Indices
    place: Indices
    end: Indices
    above: Indices
    parent: Indices
    lower: Indices
    part: Indices
    p_below: Floats
    q_below: Floats
    weight_below: Floats
    load_below: Floats
    customers_below: Floats
    need: Floats
    own: Floats
    distance: Floats
    stack: Indices
    live: Bools
    lost: Bools
    help: Floats
    bound: Floats
    regions: Ints
    begin: Indices
    rest: Indices
    bare: Bools
    entry: Floats
    part_weight: Floats
    hung: Floats
    part_p: Floats
    part_q: Floats
    p_hung: Floats
    q_hung: Floats
    region: Indices
    low: Indices
    high: Indices
    seen: Bools
    top: Indices
    group_of: Indices
    group_weight: Floats
    group_rate: Floats
    group_root: Floats


def least_for(network: Network, data: FaultData) -> Least:
    """What is least on a network with the limits of an emergency, its permanently closed loops opened; nothing is
    weighed."""
    z, y = (np.asarray(matrix.diagonal()) for matrix in (network.z, network.y_shunt))
    low, high = data.low**2, data.high**2
    held = np.zeros(network.n_terminals)
    held[network.source_terminal] = np.abs(network.source_v) ** 2
    # Without an upper limit what generators and charging may raise it to, in any state.
    usable = network.switchable | network.closed
    high = np.minimum(high, bounds_of_voltages(network, usable, demand(network)).at(np.inf))
    high = np.where(held > 0.0, held, high)
    v_high = np.sqrt(high)
    injected = np.zeros(network.n_terminals, dtype=np.complex128)
    np.add.at(injected, network.generator_terminal, network.generator_s)
    power = network.s_power - injected
    taken = []
    for part in (np.real, np.imag):
        own, current, steady = part(power), part(network.s_current), part(network.s_impedance)
        taken.append(own + _least_of(current, np.sqrt(low), v_high) + _least_of(steady, low, high))
    charging = np.zeros(network.n_terminals)
    half = 0.5 * np.maximum(y.imag, 0.0)
    np.add.at(charging, network.terminal_fr, np.maximum(half / network.tap**2, np.maximum(network.y_open_fr.imag, 0.0)))
    np.add.at(charging, network.terminal_to, np.maximum(half, np.maximum(network.y_open_to.imag, 0.0)))
    q = taken[1] - np.where(charging > 0.0, charging * high, 0.0)
    negative = [np.any(part < 0.0) for part in (z.real, z.imag, y.real, data.load, data.customers)]
    negative += [np.any(part.real < 0.0) for part in (network.y_open_fr, network.y_open_to)]
    bounded = bool(np.isfinite(taken[0]).all() and np.isfinite(q).all())
    return Least(
        r=z.real.copy(),
        x=z.imag.copy(),
        z2=z.real**2 + z.imag**2,
        k=1.0 / network.tap**2,
        l_max=greatest_series_currents(at_kept_limits(network)),
        w_low=low,
        w_high=high,
        w_source=held,
        p=taken[0].copy(),
        q=q,
        by_rate=np.zeros_like(data.rate),
        by_weight=np.zeros_like(data.load),
        by_repair=np.zeros_like(data.rate),
        fixed=0.0,
        breaker=data.breaker_fr | data.breaker_to,
        may=np.ones(len(data.fr), dtype=np.bool_),
        valid=bounded and not any(negative),
    )


def _least_of(load: Floats, low: Floats, high: Floats) -> Floats:
    """The least of loads times a factor between two bounds."""
    return np.where(load == 0.0, 0.0, load * np.where(load < 0.0, high, low))


def partial_work(data: FaultData) -> PartialWork:
    """Memory for partial states."""
    n, e = len(data.load), len(data.fr)
    names = (
        "order",
        "place",
        "end",
        "above",
        "parent",
        "part",
        "stack",
        "begin",
        "rest",
        "top",
        "group_of",
        "region",
        "low",
        "high",
    )
    arrays: dict[str, Any] = {name: np.zeros(n + 1, dtype=np.int32) for name in names}
    floats: tuple[str, ...] = (
        "p_below",
        "q_below",
        "weight_below",
        "load_below",
        "customers_below",
        "need",
        "own",
        "distance",
    )
    floats += ("entry", "part_weight", "hung", "part_p", "part_q", "p_hung", "q_hung")
    arrays |= {name: np.zeros(n) for name in floats}
    arrays |= {"lower": np.zeros(e, dtype=np.int32), "lost": np.zeros(e, dtype=np.bool_)}
    sections = int(max(data.of_bus.max(initial=0), data.of_branch.max(initial=0))) + 1
    arrays |= {name: np.zeros(2 * e + 1) for name in ("group_weight", "group_rate", "group_root")}
    arrays |= {name: np.zeros(n, dtype=np.bool_) for name in ("bare", "seen")}
    arrays["regions"] = np.zeros(1, dtype=np.int64)
    arrays["live"] = np.zeros(sections, dtype=np.bool_)
    return PartialWork(status=np.zeros(e, dtype=np.int8), help=np.zeros(2), bound=np.zeros(1), **arrays)
