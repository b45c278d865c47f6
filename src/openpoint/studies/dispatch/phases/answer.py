"""Dispatch of a grid of any phases with the options and the result of `openpoint.dispatch`."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from openpoint.errors import OptionError
from openpoint.formulations.phases import FREE, Sought, phase_devices
from openpoint.formulations.radiality import by_branch
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.criteria import CRITERIA
from openpoint.powerflow.opendss import PhaseState
from openpoint.report.terminal import words
from openpoint.results import ac_tables as states
from openpoint.results import columns as c
from openpoint.results.columns import finite
from openpoint.results.iterations import iterations_table
from openpoint.studies.dispatch.answer import unlimited_voltages
from openpoint.studies.dispatch.options import DispatchOptions
from openpoint.studies.dispatch.phases.study import TIME_LIMIT_S, PhasesDispatch, dispatch_phases
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.dispatch.schema import CRITERIA_TABLE, DEVICES, GENERATORS, ITERATIONS
from openpoint.studies.dispatch.tables import sources_table
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Progress, Termination


@dataclass(frozen=True)
class PreparedPhases:
    """A question about a grid of any phases, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. options: checked. free: what is free.
        price: $/kWh of every source where the cost is minimised, else None. method, why: in words.
    """

    grid: Grid
    options: DispatchOptions
    free: tuple[str, ...]
    price: float | None
    method: str = "local search by OpenDSS"
    why: str = "it is the one for grids of phases a, b, c"

    @property
    def unit(self) -> str:
        """Of what is minimised."""
        return "kW"

    @property
    def heading(self) -> str:
        """What may move, and the method."""
        return f"free: {', '.join(self.free)}\nmethod: {words.method(self.method)}, because {self.why}"

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> DispatchResult:
        """The result, verified by exact AC power flow. `deadline`: not after it, either."""
        options = self.options
        limit = options.time_limit_s or TIME_LIMIT_S
        found = dispatch_phases(
            self.grid,
            free=self.free,
            sought=Sought.LOSS if self.price is None else Sought.SOURCE,
            limits=options.limits,
            locked_open=options.locked_open,
            locked_closed=options.locked_closed,
            max_changes=options.most_changes,
            time_limit_s=limit,
            progress=progress,
            deadline=None if deadline is None else deadline.within(limit),
        )
        return _result(self, found)


def prepare_phases(grid: Grid, options: DispatchOptions) -> PreparedPhases:
    """All that a run on a grid of any phases needs.

    Raises:
        InputError: the grid has faults.
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
    network = build_network(grid)
    devices = phase_devices(grid)
    there = {"topology": network.switchable.any(), "taps": len(devices.taps), "capacitors": len(devices.banks)}
    wanted = options.free or tuple(kind for kind in FREE if there[kind])
    if missing := [kind for kind in wanted if not there.get(kind)]:
        raise OptionError(f"{only} moves {', '.join(FREE)}; this grid has none for {', '.join(missing)}")
    if not wanted:
        raise OptionError("nothing may move in this grid: it has no switches, controllable taps or capacitors")
    return PreparedPhases(grid, options, tuple(wanted), _price(grid) if sought == ["cost"] else None)


def _price(grid: Grid) -> float:
    """The one price of the energy of all sources."""
    prices = set(grid.sources["price_usd_per_kwh"])
    if len(prices) != 1 or None in prices:
        raise OptionError(
            "in a grid of phases a, b, c the cost is that of sources that all have the same price; "
            "give price_usd_per_kwh to each"
        )
    return float(prices.pop())


def _result(asked: PreparedPhases, found: PhasesDispatch) -> DispatchResult:
    grid, network, kept = asked.grid, found.network, found.keeps_limits
    after_grid = grid if found.grid_after is None else found.grid_after
    closed = build_network(after_grid).closed
    today, answer = _figures(asked, found, found.before, 0), _figures(asked, found, found.after if kept else None, 1)
    before, shown = (
        None if state is None else states.of_phases(network, state) for state in (found.before, found.after)
    )
    names = _open(network, closed)
    minimised = next(iter(asked.options.weights))
    objective = answer.get(minimised)
    proven = found.termination is Termination.OPTIMAL and objective is not None
    points = {"_before": before, "_after": shown}
    voltages = _voltages(network, found.before, found.after if kept else None)
    range_pu = voltages["v_min_pu"], voltages["v_max_pu"]
    return DispatchResult(
        grid=grid,
        method=asked.method,
        why_method=asked.why,
        free=asked.free,
        termination=found.termination,
        seconds=found.seconds,
        objective=objective,
        objective_unit=CRITERIA[minimised].unit,
        lower_bound=objective if proven and objective is not None else -math.inf,
        gap=0.0 if proven else math.inf,
        **_keys(today, answer),
        **voltages,
        open_before=_open(network, network.closed),
        open_branches=names if kept else (),
        ac_max_mismatch_pu=found.after.max_mismatch if kept and found.after is not None else None,
        violations=(),
        least_violation=() if kept else found.violations,
        least_violation_open=() if kept else names,
        buses=states.bus_table(network, points),
        branches=states.branch_table(grid, network, {"closed_before": network.closed, "closed_after": closed}, points),
        criteria=_criteria_table(asked, today, answer),
        devices=_devices_table(asked, after_grid if kept else None),
        sources=_sources(grid, found, kept=kept),
        generators=_generators(grid, kept=kept),
        iterations=iterations_table(found.log, ITERATIONS),
        notes=(
            *grid.figure_notes,
            *unlimited_voltages(network, asked.options.limits, asked.free, range_pu),
            *found.notes,
        ),
    )


def _open(network: Network, closed: np.ndarray) -> tuple[str, ...]:
    return tuple(network.branch_names[b] for b in np.flatnonzero(~by_branch(network, closed)))


def _figures(
    asked: PreparedPhases, found: PhasesDispatch, state: PhaseState | None, is_answer: int
) -> dict[str, float]:
    """The criteria of a state; none where it has no flow."""
    if state is None:
        return {}
    net, switches = found.network, [move for move in found.moves if move.kind == "switch"]
    inner = np.ones(net.n_terminals, dtype=np.bool_)
    inner[net.source_terminal] = False
    figures = {
        "losses": state.loss_kw,
        "deviation": float(np.abs(np.abs(state.v[inner]) ** 2 - 1.0).mean() / 2.0),
        "changes": float(is_answer * len(switches)),
        "moves": float(is_answer * (len(found.moves) - len(switches))),
    }
    cost = {} if asked.price is None else {"cost": asked.price * float(state.source_kva.real.sum())}
    return figures | cost


def _keys(today: Mapping[str, float], answer: Mapping[str, float]) -> dict[str, Any]:
    keys = {"losses": "loss{}_kw", "cost": "cost{}_usd_per_h", "balance": "balance{}", "deviation": "deviation{}_pu"}
    return {
        key.format(end): finite(figures.get(name, math.nan))
        for name, key in keys.items()
        for end, figures in (("_before", today), ("", answer))
    }


def _voltages(network: Network, before: PhaseState | None, after: PhaseState | None) -> dict[str, Any]:
    """Lowest and highest voltages to neutral, and their buses in the answer."""
    found: dict[str, Any] = {}
    for side, of in (("min", np.argmin), ("max", np.argmax)):
        for end, state in (("_before", before), ("", after)):
            found[f"v_{side}{end}_pu"] = None if state is None else float(getattr(np.abs(state.v), side)())
        worst = None if after is None else int(of(np.abs(after.v)))
        found[f"v_{side}_bus"] = None if worst is None else network.bus_names[network.terminal_bus[worst]]
    return found


def _criteria_table(asked: PreparedPhases, today: dict[str, float], answer: dict[str, float]) -> pl.DataFrame:
    most = asked.options.most_changes
    rows = [
        (
            name,
            CRITERIA[name].unit,
            asked.options.weights.get(name),
            None if most is None or name != "changes" else float(most),
            finite(today.get(name, math.nan)),
            finite(answer.get(name, math.nan)),
            CRITERIA[name].text,
        )
        for name in CRITERIA
        if name != "balance" and (name != "cost" or asked.price is not None)
    ]
    return c.frame(CRITERIA_TABLE, rows)


def _devices_table(asked: PreparedPhases, after: Grid | None) -> pl.DataFrame:
    """A row for every device that was free, in the order of the grid."""
    devices = phase_devices(asked.grid, taps="taps" in asked.free, capacitors="capacitors" in asked.free)
    rows = []
    for d, name in enumerate(devices.names):
        is_tap = d in devices.taps
        kind, column = ("transformers", "tap_pos") if is_tap else ("capacitors", "steps_on")
        row = asked.grid.tables()[kind].row(int(devices.row[d]), named=True)
        place = f"{row['from_bus']} – {row['to_bus']}" if is_tap else row["bus"]
        about = ("tap changer", name, place, "tap position") if is_tap else ("capacitor bank", name, place, "steps on")
        now = None if after is None else float(after.tables()[kind][column][int(devices.row[d])])
        rows.append((*about, "", float(devices.low[d]), float(devices.high[d]), float(devices.today[d]), now))
    return c.frame(DEVICES, rows)


def _sources(grid: Grid, found: PhasesDispatch, *, kept: bool) -> pl.DataFrame:
    held = grid.sources["v_pu"].to_numpy()
    nothing = np.full(len(held), np.nan)
    delivered = [
        nothing + 0j if state is None else state.source_kva for state in (found.before, found.after if kept else None)
    ]
    return sources_table(grid, (held, held if kept else nothing), (delivered[0], delivered[1]))


def _generators(grid: Grid, *, kept: bool) -> pl.DataFrame:
    """Every generator with today's output, which stays."""
    after = (lambda value: value) if kept else (lambda _: None)
    rows = []
    for row in grid.generators.iter_rows(named=True):
        on = row["p_kw"] != 0 or row["q_kvar"] != 0 or not row["may_stop"]
        cost = (
            row["cost_on_usd_per_h"]
            + row["cost_usd_per_kwh"] * row["p_kw"]
            + row["cost_usd_per_kw2h"] * row["p_kw"] ** 2
        )
        figures = {
            "on_before": on,
            "on_after": after(on),
            "p_before_kw": row["p_kw"],
            "q_before_kvar": row["q_kvar"],
            "p_after_kw": after(row["p_kw"]),
            "q_after_kvar": after(row["q_kvar"]),
            "cost_after_usd_per_h": after(cost if on else 0.0),
        }
        rows.append([{**row, **figures}[name] for name in GENERATORS])
    return c.frame(GENERATORS, rows)
