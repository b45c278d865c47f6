"""The first stage of a day: what is decided before the realisation is known, with its constraints and cost.

The parts of `DayParts` that the recourse decides have no entries here, and their constraints are in the recourse.
"""

from __future__ import annotations

from dataclasses import dataclass

import cvxpy as cp
import numpy as np
import scipy.sparse as sp

from openpoint.formulations import schedule
from openpoint.formulations.devices import one_position
from openpoint.formulations.radiality import Choices, contract, radiality
from openpoint.formulations.switching import Switching
from openpoint.studies.dispatch.day.model.layout import DayLayout, DayParts
from openpoint.studies.dispatch.day.model.question import Cadence, DayQuestion, Resource


@dataclass(frozen=True)
class Block:
    """Constraints that belong together, with their cost in $ and their integer variables."""

    constraints: list[cp.Constraint]
    cost: cp.Expression
    integers: tuple[cp.Variable, ...] = ()


def units_on(layout: DayLayout, on: cp.Expression) -> cp.Expression:
    """(T, G) 1 where a generator is on, of (T, D) the units that may stop; the others always are."""
    question = layout.question
    place, count = question.devices.place[layout.units], len(question.network.generator_names)
    always = np.ones((question.day.periods, count))
    always[:, place] = 0.0
    at = sp.csr_array((np.ones(len(place)), (np.arange(len(place)), place)), shape=(len(place), count))
    return on @ at + always


def choices_of(question: DayQuestion) -> Choices:
    """What of the branches is left to decide."""
    net, fixed = question.network, question.topology is Cadence.FIXED
    must_close = question.must_close | (fixed & net.closed)
    must_open = question.must_open | (fixed & ~net.closed)
    return contract(net.n_terminals, net.terminal_fr, net.terminal_to, net.source_terminal, must_close, must_open)


def topology(layout: DayLayout, parts: DayParts) -> Block:
    """Radial states of the branches, with the number and cost of changes or of switch operations."""
    question = layout.question
    net, price = question.network, question.cost.change * question.network.s_base_kva
    if question.topology is Cadence.FIXED:
        return Block([], cp.Constant(0.0))
    choices, constraints, integers = choices_of(question), list[cp.Constraint](), list[cp.Variable]()
    for row in range(parts.closed.shape[0]):
        tree = radiality(choices, consuming=np.zeros(choices.n_blocks, dtype=np.bool_))
        constraints += [*tree.constraints, parts.closed[row] == tree.closed]
        integers += tree.integers
    if question.topology is Cadence.ONCE:
        switching = Switching(net.closed, question.max_changes, price)
        constraints += switching.limit(parts.closed[0])
        return Block(constraints, price * switching.changes(parts.closed[0]), tuple(integers))
    operated, linked = schedule.operations(net.closed, parts.closed)
    constraints += linked
    if question.max_changes is not None:
        constraints.append(cp.sum(operated) <= question.max_changes)
    return Block(constraints, price * cp.sum(operated), tuple(integers))


def positions(layout: DayLayout, parts: DayParts) -> Block:
    """One position for every device that is set, and the cost of moves."""
    if not parts.chosen.size:
        return Block([], cp.Constant(0.0))
    assert isinstance(parts.chosen, cp.Variable)
    rows, devices, question = range(parts.chosen.shape[0]), layout.set_devices, layout.question
    constraints = [each for row in rows for each in one_position(devices, parts.chosen[row])]
    moves, linked = schedule.moves(devices.one_hot(devices.today), parts.chosen, question.cost.move)
    return Block([*constraints, *linked], question.network.s_base_kva * moves, (parts.chosen,))


def commitment(layout: DayLayout, parts: DayParts, *, cones: bool = False) -> Block:
    """Generators: on or off, starts; their output within its ranges and ramps, unless the recourse decides it.

    `cones`: with inverters as cones, and with squares of outputs; else with polygons, and squares elsewhere.
    """
    question, day = layout.question, layout.question.day
    net, cost, hours = question.network, question.cost, day.hours
    if not len(net.generator_names):
        return Block([], cp.Constant(0.0))
    on = units_on(layout, parts.on)
    start, stop, constraints = schedule.starts(day.units, on)
    price = hours @ on @ cost.idle + cp.sum(start @ day.units.start)
    if Resource.GENERATORS not in question.recourse:
        constraints += schedule.unit_ranges(net, day.unit_available, on, parts.p, parts.q)
        constraints += schedule.ramps(net, day.units, hours, parts.p, start, stop)
        rating = question.supply.generator_s_max
        constraints += (schedule.disc if cones else schedule.polygon)(parts.p, parts.q, rating, on)
        price = price + hours @ parts.p @ cost.generator
        if cones and cost.square.any():
            cone, linked, priced = schedule.squares(parts.p, cost.square, on)
            constraints += [*linked, cone.constraint()]
            price = price + hours @ priced
    constraints += [parts.on >= 0, parts.on <= 1] if parts.on.size else []
    integers = (parts.on,) if isinstance(parts.on, cp.Variable) and parts.on.size else ()
    return Block(constraints, net.s_base_kva * price, integers)


def storage(
    question: DayQuestion,
    charge: cp.Expression,
    discharge: cp.Expression,
    store_q: cp.Expression,
    *,
    directions: bool,
    cones: bool = False,
) -> Block:
    """Stores: powers, contents, reactive power, wear.

    `directions`: by whole numbers one direction at a time. `cones`: inverters as cones, else as polygons.
    """
    stores, hours = question.day.stores, question.day.hours
    if not charge.size:
        return Block([], cp.Constant(0.0))
    rated = stores.present(len(hours)) & (stores.s_max > 0.0)
    _, contents = schedule.store_contents(stores, hours, charge, discharge)
    constraints = [
        *schedule.store_powers(stores, charge, discharge),
        *contents,
        *(schedule.disc if cones else schedule.polygon)(charge - discharge, store_q, stores.s_max, rated),
    ]
    if not rated.all():
        constraints.append(cp.vec(store_q, order="C")[np.flatnonzero(~rated)] == 0)
    integers = list[cp.Variable]()
    if directions:
        integers.append(cp.Variable(charge.shape, name="charging"))
        constraints += schedule.one_direction(stores, charge, discharge, integers[0])
    return Block(constraints, question.network.s_base_kva * (hours @ discharge @ stores.wear), tuple(integers))


def shifting(layout: DayLayout, shift: cp.Expression) -> Block:
    """Demand that moves in time, (T, M), and its price."""
    question, day = layout.question, layout.question.day
    if not shift.size:
        return Block([], cp.Constant(0.0))
    load = (day.load_power + day.load_current + day.load_impedance).real
    some = layout.shifting
    moved, counted = schedule.moved_away(shift)
    share, energy = day.demand.shift_time[some], day.demand.moved_over_day[some]
    constraints = [*schedule.shifts_in_time(share, load[:, some], day.hours, shift, energy), *counted]
    price = day.hours @ moved @ day.demand.shift_price[some]
    return Block(constraints, question.network.s_base_kva * price)
