"""Dispatch of a grid of any phases: regulators, capacitors and switches, every state by exact power flow (OpenDSS).

Where operating states are few, all are tried, which proves the optimum. Else local search starts from today's state,
and nothing proves where it ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice, product

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Ints
from openpoint.errors import OptionError
from openpoint.formulations.phases import FREE, PhasesQuestion, Sought, phase_devices, phases_question
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.criteria import CRITERIA
from openpoint.powerflow.opendss import PhaseState, phase_state
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results import columns as c
from openpoint.results.ac_tables import phase_violations
from openpoint.results.common import iterations_table
from openpoint.search.exchange.phases import (
    Descent,
    EvaluatedState,
    EvaluationLog,
    PhasesEvaluator,
    best_of,
    first_state,
)
from openpoint.studies.dispatch.answer import criteria_keys, unlimited_voltages, voltage_keys
from openpoint.studies.dispatch.options import DispatchOptions
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.tables import DEVICES, ITERATIONS, criteria_table, generators_table, sources_table
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Iteration, Progress, Termination

FEW = 1000
"""Operating states up to which all of them are tried by exact power flow."""
TIME_LIMIT_S = 60.0
"""Time limit unless one is given."""
METHOD, WHY = "local search by OpenDSS", "it is the one for grids of phases a, b, c"


@dataclass(frozen=True)
class PreparedPhases:
    """A question about a grid of any phases, ready to be solved.

    Attributes:
        question: as numbers. options: checked. free: what is free.
        price: $/kWh of every source where the cost is minimised, else None.
    """

    question: PhasesQuestion
    options: DispatchOptions
    free: tuple[str, ...]
    price: float | None

    @property
    def unit(self) -> str:
        """Of what is minimised."""
        return "kW"

    @property
    def heading(self) -> str:
        """What may move, and the method."""
        return f"free: {', '.join(self.free)}\nmethod: {words.method(METHOD)}, because {WHY}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> DispatchResult:
        """The result, verified by exact AC power flow. `deadline`: not after it, either."""
        limit = self.options.time_limit_s or TIME_LIMIT_S
        with deadline_of(limit, None if deadline is None else deadline.within(limit)) as until:
            return _result(self, dispatch_phases(self.question, until, progress), until)


def prepare_phases(grid: Grid, options: DispatchOptions) -> PreparedPhases:
    """All that a run on a grid of any phases needs.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks leave no radial state.
        OptionError: what is only there for balanced grids, or something to be free of which the grid has none.
    """
    only = "in a grid of phases a, b, c dispatch"
    if options.chosen is not None:
        raise OptionError(f"{only} has a method of its own; leave out method")
    sought = list(options.weights)
    if len(sought) > 1 or sought[0] not in ("losses", "cost"):
        raise OptionError(f"{only} minimises losses or cost, one of them, not {', '.join(sought)}")
    if bounded := [name for name in options.most if name != "changes"]:
        raise OptionError(f"{only} bounds changes alone, not {', '.join(bounded)}")
    devices = phase_devices(grid)
    there = {
        "topology": build_network(grid).switchable.any(),
        "taps": len(devices.taps),
        "capacitors": len(devices.banks),
    }
    free = tuple(options.free or (kind for kind in FREE if there[kind]))
    if missing := [kind for kind in free if not there.get(kind)]:
        raise OptionError(f"{only} moves {', '.join(FREE)}; this grid has none for {', '.join(missing)}")
    if not free:
        raise OptionError("nothing may move in this grid: it has no switches, controllable taps or capacitors")
    price = _price(grid) if sought == ["cost"] else None
    question = phases_question(
        grid,
        free=free,
        sought=Sought.LOSS if price is None else Sought.SOURCE,
        limits=options.limits,
        locked_open=options.locked_open,
        locked_closed=options.locked_closed,
        max_changes=options.most_changes,
    )
    return PreparedPhases(question, options, free, price)


def _price(grid: Grid) -> float:
    """The one price of the energy of all sources."""
    prices = set(grid.sources["price_usd_per_kwh"])
    if len(prices) != 1 or None in prices:
        raise OptionError(
            "in a grid of phases a, b, c the cost is that of sources that all have the same price; "
            "give price_usd_per_kwh to each"
        )
    return float(prices.pop())


@dataclass(frozen=True)
class PhasesDispatch:
    """What `dispatch_phases` found.

    Attributes:
        best: the best state. termination: why it ended. log: the lines of the run. tried: states evaluated.
        notes: for the user.
    """

    best: EvaluatedState
    termination: Termination
    log: tuple[Iteration, ...]
    tried: int
    notes: tuple[str, ...] = ()


def dispatch_phases(
    question: PhasesQuestion, deadline: Deadline | None = None, progress: Progress | None = None, *, few: int = FEW
) -> PhasesDispatch:
    """The best switches, taps and capacitor steps that are found for a grid of any phases under today's demand.

    Args:
        deadline: of the run. progress: called with every line of the log.
        few: operating states up to which all of them are tried.

    Raises:
        OptionError: a grid without any power flow solution.
    """
    deadline, evaluator = deadline or Deadline(), PhasesEvaluator(question)
    log = EvaluationLog(evaluator, progress, deadline)
    best, every, notes = first_state(evaluator), _all(question, few), tuple[str, ...]()
    if every is None:
        found = Descent(evaluator, deadline.over, log.on_evaluation).run(best.closed, best.positions)
        best = found or best
        why = Termination.LOCAL if best.violation == 0.0 else Termination.LIMITS
        why = deadline.why if deadline.over() else why
    else:
        log.what = "all states"
        found, complete = best_of(evaluator, every, deadline.over, log.on_evaluation, best)
        best = found or best
        why = Termination.OPTIMAL if best.violation == 0.0 else Termination.INFEASIBLE
        if not complete:
            why = deadline.why
        else:
            notes = (f"all {len(every):,} operating states were tried by exact power flow",)
            if best.violation == 0.0:
                log.lower = log.upper = best.value_kw
    log.write(best)
    return PhasesDispatch(best, why, tuple(log.lines), evaluator.count, notes)


def _all(asked: PhasesQuestion, few: int) -> list[tuple[Bools, Ints]] | None:
    """All operating states; None where they are more than a few."""
    low, high = asked.devices.low.tolist(), asked.devices.high.tolist()
    ranges = [range(first, last + 1) for first, last in zip(low, high)]
    count = math.prod(len(each) for each in ranges)
    if count > few:
        return None
    closed = list(islice(asked.states(), few // count + 1)) if len(asked.choices.free) else [asked.today]
    every = [np.array(positions, dtype=np.int64) for positions in product(*ranges)]
    return None if len(closed) * count > few else [(state, positions) for state in closed for positions in every]


def _verified(grid: Grid, limited: Network) -> PhaseState | None:
    """The exact state of a grid by a circuit compiled anew; None where a terminal has no supply or no solution is."""
    network = build_network(grid)
    network = network.with_limits(w_min=limited.w_min, w_max=limited.w_max, l_max=limited.l_max)
    state = phase_state(grid, network)
    return state if state.has_solution and state.energised.all() else None


def _result(prepared: PreparedPhases, found: PhasesDispatch, deadline: Deadline) -> DispatchResult:
    asked, options, best = prepared.question, prepared.options, found.best
    grid, network = asked.grid, asked.network
    grid_after = asked.grid_at(best.closed, best.positions)
    before, after = _verified(grid, network), _verified(grid_after, network)
    broken = () if after is None else phase_violations(network, after)
    kept = after is not None and not broken
    answered = after if kept else None
    none = np.zeros(0, dtype=np.bool_)
    moved = [(none, none), (best.closed != asked.today, best.positions != asked.devices.today)]
    today, answer = (_figures(prepared, state, *some) for state, some in zip((before, answered), moved))
    minimised = next(iter(options.weights))
    objective = answer.get(minimised)
    proven = found.termination is Termination.OPTIMAL and objective is not None
    points = [None if state is None else states.of_phases(network, state) for state in (before, after)]
    voltages = voltage_keys(network, points[0], points[1] if kept else None)
    range_pu = voltages["v_min_pu"], voltages["v_max_pu"]
    names = tuple(network.branch_names[b] for b in np.flatnonzero(~best.closed))
    closed = {"closed_before": network.closed, "closed_after": build_network(grid_after).closed}
    held = grid.sources["v_pu"].to_numpy()
    nothing = np.full(len(held), np.nan)
    delivered = [nothing + 0j if state is None else state.source_kva for state in (before, answered)]
    shown = {"_before": points[0], "_after": points[1]}
    most = {} if options.most_changes is None else {"changes": float(options.most_changes)}
    return DispatchResult(
        grid=grid,
        method=METHOD,
        why_method=WHY,
        free=prepared.free,
        termination=found.termination,
        seconds=deadline.passed(),
        objective=objective,
        objective_unit=CRITERIA[minimised].unit,
        lower_bound=objective if proven and objective is not None else -math.inf,
        gap=0.0 if proven else math.inf,
        **criteria_keys(today, answer),
        **voltages,
        open_before=tuple(network.branch_names[b] for b in np.flatnonzero(~asked.today)),
        open_branches=names if kept else (),
        ac_max_mismatch_pu=None if answered is None else answered.max_mismatch,
        violations=(),
        least_violation=broken,
        least_violation_open=() if kept else names,
        buses=states.bus_table(network, shown),
        branches=states.branch_table(grid, network, closed, shown),
        criteria=criteria_table(options.weights, most, _figures_known(prepared), today, answer),
        devices=_devices_table(prepared, best.positions if kept else None),
        sources=sources_table(grid, (held, held if kept else nothing), (delivered[0], delivered[1])),
        generators=generators_table(grid, ({}, {}) if kept else None),
        iterations=iterations_table(found.log, ITERATIONS),
        notes=(
            *grid.figure_notes,
            *unlimited_voltages(network, options.limits, prepared.free, range_pu),
            *states.limits_left_out(grid, network, points[1] if kept else None),
            *found.notes,
        ),
    )


def _figures_known(prepared: PreparedPhases) -> list[str]:
    """The criteria that have figures."""
    return [name for name in CRITERIA if name != "balance" and (name != "cost" or prepared.price is not None)]


def _figures(prepared: PreparedPhases, state: PhaseState | None, switched: Bools, moved: Bools) -> dict[str, float]:
    """The criteria of a state in which branches (B) and devices (D) are others than today; none without a flow."""
    if state is None:
        return {}
    inner = prepared.question.network.inner
    figures = {
        "losses": state.loss_kw,
        "deviation": float(np.abs(np.abs(state.v[inner]) ** 2 - 1.0).mean() / 2.0),
        "changes": float(switched.sum()),
        "moves": float(moved.sum()),
    }
    price = prepared.price
    return figures if price is None else {**figures, "cost": price * float(state.source_kva.real.sum())}


def _devices_table(prepared: PreparedPhases, answer: Ints | None) -> pl.DataFrame:
    """A row for every device that was free, in the order of the grid."""
    grid, devices = prepared.question.grid, prepared.question.devices
    rows = []
    for d, name in enumerate(devices.names):
        is_tap = d in devices.taps
        row = grid.tables()["transformers" if is_tap else "capacitors"].row(int(devices.row[d]), named=True)
        place = f"{row['from_bus']} – {row['to_bus']}" if is_tap else row["bus"]
        kind, quantity = ("tap changer", "tap position") if is_tap else ("capacitor bank", "steps on")
        range_today = float(devices.low[d]), float(devices.high[d]), float(devices.today[d])
        rows.append((kind, name, place, quantity, "", *range_today, None if answer is None else float(answer[d])))
    return c.frame(DEVICES, rows)
