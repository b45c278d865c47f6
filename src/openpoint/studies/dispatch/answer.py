"""The answer of dispatch as a result: the states today and in the answer under the grid's own names."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from openpoint.arrays import Complexes, Floats
from openpoint.grid.grid import Grid
from openpoint.grid.today import locked_note, loops_today, why_no_loss
from openpoint.network import Network
from openpoint.network.criteria import CRITERIA
from openpoint.network.devices import with_positions
from openpoint.network.limits import Limits
from openpoint.powerflow.state import AcState, ac_state
from openpoint.results import ac_tables as states
from openpoint.results.ac_tables import OperatingPoint
from openpoint.results.columns import finite
from openpoint.results.common import iterations_table
from openpoint.results.violation import Violation
from openpoint.search.enumeration import OperatingState
from openpoint.studies.dispatch import tables
from openpoint.studies.dispatch.question import Found, Question
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.tables import ITERATIONS
from openpoint.twostage.log import Termination

# What stands beside the figures of a dispatch because it changes their meaning.


SETS_VOLTAGES = ("taps", "capacitors", "generators")
"""What moves voltages when it is free."""


def unlimited_voltages(
    network: Network, limits: Limits | None, free: Collection[str], answer: tuple[float | None, float | None]
) -> list[str]:
    """A note where voltages are set and buses have no lower or no upper limit; `answer`: lowest and highest, pu."""
    kept = Limits.given(limits).applied(network)
    inner = np.ones(network.n_terminals, dtype=np.bool_)
    inner[network.source_terminal] = False
    loose = np.unique(network.terminal_bus[inner & ((kept.w_min <= 0.0) | np.isinf(kept.w_max))])
    moved = [kind for kind in SETS_VOLTAGES if kind in free]
    if not len(loose) or not moved:
        return []
    low, high = answer
    where = "" if low is None or high is None else f"; in the answer voltages are {low:.4f} to {high:.4f} pu"
    buses = f"{len(loose)} of {len(network.bus_names)} buses have no lower or no upper voltage limit"
    remedy = "Give --v-min and --v-max (Limits(v_min_pu=…, v_max_pu=…)), or limits in the grid"
    return [f"{buses}, and {' and '.join(moved)} set voltages{where}. {remedy}"]


@dataclass(frozen=True)
class Solved:
    """An operating state with its exact power flow; nan where there is none.

    Attributes:
        state: what was decided; None where there is no state to show. network: with the devices in their positions.
        radial: the verified flow; None where it has none. source_s: (S) power that the sources deliver, per unit.
    """

    state: OperatingState | None
    network: Network
    radial: AcState | None
    source_s: Complexes

    @property
    def point(self) -> OperatingPoint | None:
        """In the units of the grid."""
        return None if self.radial is None else states.of_balanced(self.network, self.radial)

    @property
    def source_v(self) -> Floats:
        """(S) voltages that the sources hold; nan where there is no flow."""
        held = np.abs(self.network.source_v)
        return held if self.radial is not None else np.full(held.shape, math.nan)


def solved(question: Question, state: OperatingState | None) -> Solved:
    """The exact power flow of a state."""
    stations = question.stations
    net = stations.whole
    nothing = np.full(len(net.source_terminal), math.nan + 0j)
    if state is None:
        return Solved(None, net, None, nothing)
    net = with_positions(net, question.devices, state.positions)
    radial = ac_state(net, state.closed | stations.dropped, state.generation)
    if radial is None:
        return Solved(state, net, None, nothing)
    return Solved(state, net, radial, radial.source_s)


def dispatch_result(grid: Grid, question: Question, method: str, why: str, found: Found) -> DispatchResult:
    """The result of a method."""
    s = question.network.s_base_kva
    before, shown = solved(question, question.today), solved(question, found.shown)
    kept = found.best is not None
    network = question.stations.whole
    closed = network.closed if shown.radial is None else shown.radial.closed
    today = _figures(question, before)
    answer = _figures(question, shown) if kept else {}
    points = {"_before": before.point, "_after": shown.point}
    broken = _broken(grid, question, shown)
    after = shown.point if kept else None
    names = states.open_names(network, closed)
    most = {**question.most, **({} if (n := question.rules.max_changes) is None else {"changes": float(n)})}
    voltages = voltage_keys(network, before.point, after)
    range_pu = voltages["v_min_pu"], voltages["v_max_pu"]
    return DispatchResult(
        grid=grid,
        method=method,
        why_method=why,
        free=question.free,
        termination=found.termination,
        seconds=found.seconds,
        objective=found.upper_bound if kept else None,
        objective_unit=unit_of(question),
        lower_bound=found.lower_bound,
        gap=found.gap,
        **criteria_keys(today, answer),
        **voltages,
        open_before=states.open_names(network, network.closed),
        open_branches=names if kept else (),
        ac_max_mismatch_pu=None if after is None else after.max_mismatch,
        violations=broken if kept else (),
        least_violation=() if kept else broken,
        least_violation_open=names if not kept and shown.radial is not None else (),
        buses=states.bus_table(network, points),
        branches=states.branch_table(grid, network, {"closed_before": network.closed, "closed_after": closed}, points),
        criteria=tables.criteria_table(question.weights, most, question.costs, today, answer),
        devices=tables.devices_table(question, found.best),
        sources=tables.sources_table(
            grid,
            (before.source_v, shown.source_v if kept else np.full(len(shown.source_v), math.nan)),
            (before.source_s * s, shown.source_s * s if kept else shown.source_s * math.nan),
        ),
        generators=tables.generators_table(grid, tables.outputs(question, found.best)),
        iterations=iterations_table(found.log, ITERATIONS),
        notes=(
            *grid.figure_notes,
            *locked_note(grid),
            *states.of_couplers(question.stations),
            *unlimited_voltages(network, None, question.free, range_pu),
            *states.limits_left_out(grid, network, after),
            *_notes(grid, question, before, shown, found),
        ),
    )


def _figures(question: Question, solved: Solved) -> dict[str, float]:
    """The criteria of a state; none where it has no flow."""
    return {} if solved.state is None or solved.radial is None else question.figures(solved.state)


WEAK_GAP = 0.05
"""Gap above which a bound of the deviation of voltages is called weak."""
_KEYS = {
    "losses": "loss{}_kw",
    "cost": "cost{}_usd_per_h",
    "balance": "balance{}",
    "deviation": "deviation{}_pu",
}
"""The criteria that have a key of their own."""


def criteria_keys(today: dict[str, float], answer: dict[str, float]) -> dict[str, Any]:
    """The figures today and in the answer by their keys."""
    return {
        key.format(end): finite(figures.get(name, math.nan))
        for name, key in _KEYS.items()
        for end, figures in (("_before", today), ("", answer))
    }


def voltage_keys(network: Network, before: OperatingPoint | None, after: OperatingPoint | None) -> dict[str, Any]:
    """Lowest and highest voltages, and their buses in the answer."""
    found: dict[str, Any] = {}
    for side, of in (("min", np.argmin), ("max", np.argmax)):
        for end, point in (("_before", before), ("", after)):
            v = np.full(network.n_terminals, math.nan) if point is None else np.abs(point.v)
            found[f"v_{side}{end}_pu"] = None if point is None else float(v[of(v)])
        found[f"v_{side}_bus"] = (
            None if after is None else network.bus_names[network.terminal_bus[int(of(np.abs(after.v)))]]
        )
    return found


def unit_of(question: Question) -> str:
    """The unit of the objective: that of the one criterion that is minimised, empty for a sum of several."""
    weights = question.weights
    return CRITERIA[next(iter(weights))].unit if list(weights.values()) == [1.0] else ""


def _broken(grid: Grid, question: Question, shown: Solved) -> tuple[Violation, ...]:
    """The limits that a state breaks."""
    if shown.state is None or shown.radial is None:
        return ()
    supplied = tables.supply_violations(question, shown.source_s, tuple(grid.sources["name"]))
    return (*states.violations(shown.network, shown.radial), *supplied)


def _notes(grid: Grid, question: Question, before: Solved, shown: Solved, found: Found) -> Iterator[str]:
    """The remarks on what changes the meaning of the figures."""
    yield from found.notes
    if found.best is not None and question.cost.deviation and question.drops is None and found.gap > WEAK_GAP:
        yield (
            "the bound of the deviation of voltages is weak while switches are undecided, since the relaxation may "
            "choose voltages that no radial state has: the gap says little of the answer. For a proof minimise losses "
            "within --v-min and --v-max, draw a front of losses,v_min, or lock switches until all states can be tried"
        )
    if before.radial is None:
        yield why_no_loss(grid)
    elif loops := loops_today(grid):
        yield f"today's state is not radial, and its figures are those with its loops closed ({loops})"
    if found.termination is Termination.INFEASIBLE and shown.radial is None:
        yield "no radial state has a power flow solution: the grid cannot carry its load; check loads and units"
    if found.best is None and shown.state is not None:
        figures = _figures(question, shown)
        for name, most in question.most.items():
            if figures.get(name, 0.0) > most:
                yield f"at the least violation met, {name} is {figures[name]:.4g}, bounded by {most:g}"
