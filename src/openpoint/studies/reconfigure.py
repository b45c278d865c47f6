"""Reconfigure: which switches stand open, so that the grid is radial, its losses are least and its limits hold."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import polars as pl

from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid
from openpoint.network import Bools, Network, build_network
from openpoint.search.enumeration import best_topologies, count_topologies
from openpoint.studies import states
from openpoint.studies.ensemble import Ensemble
from openpoint.studies.limits import Limits
from openpoint.studies.radial import RadialProgram, RadialState, ac_state
from openpoint.studies.result import ReconfigureResult
from openpoint.twostage.benders import Benders
from openpoint.twostage.extensive import ExtensiveForm
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination


@dataclass(frozen=True, kw_only=True)
class Enumeration:
    """Every radial topology by exact AC power flow. For grids with few loops, and to check other methods.

    Attributes:
        most: topologies above which to refuse.
    """

    most: int = 5_000_000

    def __str__(self) -> str:
        return "Enumeration()"

    def solve(self, program: RadialProgram, progress: Progress | None = None) -> Outcome:
        """Try all.

        Raises:
            OptionError: too many topologies, or generators to dispatch, which a power flow cannot do.
        """
        net = program.network
        if len(net.generator_names):
            raise OptionError("Enumeration cannot dispatch generators; use Benders, or clear their limits to fix them")
        best_of = partial(best_topologies, net, locked_closed=program.must_close, locked_open=program.must_open)
        count = count_topologies(net, locked_closed=program.must_close, locked_open=program.must_open)
        if count > self.most:
            raise OptionError(
                f"{count:,} radial topologies are too many to enumerate (most {self.most:,}); use Benders"
            )
        began = time.perf_counter()
        values, best = best_of(program.prices)
        found = len(values) > 0 and math.isfinite(values[0])
        decision = best[0].astype(float) if found else None
        futures = program.uncertainty.values
        verdict = program.judge(decision, futures, None) if decision is not None else None
        value = float(values[0]) if found else math.inf
        least = None
        if not found:
            values, best = best_of(program.violations)
            least = best[0].astype(float) if len(values) and math.isfinite(values[0]) else None
            verdict = program.judge(least, futures, None) if least is not None else None
        seconds = time.perf_counter() - began
        last = Iteration(1, seconds, value, value, value, f"{count:,} topologies")
        if progress is not None:
            progress(last)
        reason = Termination.OPTIMAL if found else Termination.INFEASIBLE
        state = verdict.state if verdict is not None else None
        costs = verdict.values if found and verdict is not None else None
        return Outcome(reason, decision, state, value, value, (last,), seconds, least_violation=least, values=costs)


Method = Benders | ExtensiveForm | Enumeration


def reconfigure(
    grid: Grid,
    *,
    method: Method | None = None,
    limits: Limits | None = None,
    locked_open: Iterable[str] = (),
    locked_closed: Iterable[str] = (),
    max_changes: int | None = None,
    change_cost_kw: float = 0.0,
    progress: Progress | None = None,
) -> ReconfigureResult:
    """The radial state of least loss that keeps the limits, proven to a gap and verified by exact AC power flow.

        min  loss + change_cost_kw · changes   over radial states;  exact AC power flow;  limits

    Two stages: a mixed-integer master chooses the topology, a second-order-cone power flow (Farivar and Low 2013)
    judges it and answers with a cut. See `openpoint.twostage.benders`.

    Args:
        grid: the grid; its closed branches are today's state, from which changes are counted.
        method: `Benders()` (default), `ExtensiveForm()` or `Enumeration()`.
        limits: limits to keep; default: those of the grid.
        locked_open, locked_closed: names of branches that must be open or closed.
        max_changes: most branches whose state may differ from today's.
        change_cost_kw: cost of each change, in kW of loss.
        progress: told of every iteration.

    Raises:
        InputError: the grid has faults, or a locked branch is unknown.
        OptionError: options that contradict each other.
    """
    if max_changes is not None and max_changes < 0:
        raise OptionError(f"max_changes is {max_changes}; give 0 or more")
    if not (math.isfinite(change_cost_kw) and change_cost_kw >= 0.0):
        raise OptionError(f"change_cost_kw is {change_cost_kw:g}; give kW per change, 0 or more")
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError("reconfigure works on balanced grids (phases '1'); this grid has phases a, b, c")
    kept = (limits or Limits()).applied(network)
    must_close, must_open = _locks(kept, list(locked_open), list(locked_closed))
    program = RadialProgram(kept, must_close, must_open, max_changes, change_cost_kw)
    _refuse_impossible(program)
    method = method or Benders()
    before = ac_state(kept, kept.closed)
    program.prices(kept.closed[None, :])  # compiles the kernels where they are not yet, outside the method's time
    outcome = method.solve(program, progress)
    return _result(grid, program, str(method), before, outcome)


def _locks(network: Network, locked_open: list[str], locked_closed: list[str]) -> tuple[Bools, Bools]:
    """Branches that must be closed and that must be open, the fixed ones included."""
    must_close = network.closed & ~network.switchable
    must_open = ~network.closed & ~network.switchable
    wanted = ((locked_open, must_open, must_close, "closed"), (locked_closed, must_close, must_open, "open"))
    for names, mine, other, word in wanted:
        for name, e in zip(names, network.branch_numbers(names)):
            if other[e]:
                remedy = "Lock it one way only; a branch that is not switchable keeps its state"
                raise InputError([Problem("branches", name, "", f"it must be {word} already", remedy)])
            mine[e] = True
    return must_close, must_open


def _refuse_impossible(program: RadialProgram) -> None:
    """Locks that leave no radial state are a fault of the input, not an infeasible study.

    Raises:
        InputError: naming the branches of a loop, or the buses cut off.
    """
    net, choices = program.network, program.choices
    if choices.loop:
        names = ", ".join(net.branch_names[e] for e in choices.loop)
        remedy = "Release one of them, or open it"
        raise InputError(
            [Problem("branches", names, "", "locked closed, they form a loop or join two sources", remedy)]
        )
    if choices.cut_off:
        names = ", ".join(net.bus_names[net.terminal_bus[n]] for n in choices.cut_off[:10])
        remedy = "Release a branch that connects them"
        raise InputError(
            [Problem("buses", names, "", "the branches locked open cut them off from every source", remedy)]
        )


def _result(
    grid: Grid, program: RadialProgram, method: str, before: RadialState | None, outcome: Outcome
) -> ReconfigureResult:
    network = program.network
    state = outcome.state
    assert state is None or isinstance(state, Ensemble)
    found = None if state is None else ac_state(network, state.closed, state.generation[0])
    after = found if outcome.decision is not None else None
    least = found if outcome.least_violation is not None else None
    shown = after or least
    closed_after = network.closed if shown is None else shown.closed
    low, low_bus = states.lowest(network, after)
    low_before, low_before_bus = states.lowest(network, before)
    s = network.s_base_kva
    notes: tuple[str, ...] = (
        () if before is not None else ("today's state is not radial or has no power flow solution; no loss before",)
    )
    if outcome.termination is Termination.INFEASIBLE and least is None:
        notes += ("no radial state has a power flow solution: the grid cannot carry its load; check loads and units",)
    buses = states.frame(
        {
            "name": list(network.bus_names),
            "vn_kv": network.v_base_kv,
            **states.bus_limits(network),
            **states.bus_columns(network, before, "_before"),
            **states.bus_columns(network, shown, "_after"),
        }
    )
    table = grid.branches()
    branches = states.frame(
        {
            **{name: table[name] for name in ("kind", "name", "from_bus", "to_bus", "switchable")},
            "closed_before": network.closed,
            "closed_after": closed_after,
            "i_max_a": states.current_limits(network),
            **states.branch_columns(network, before, "_before"),
            **states.branch_columns(network, shown, "_after"),
        }
    )
    return ReconfigureResult(
        grid=grid,
        method=method,
        termination=outcome.termination,
        seconds=outcome.seconds,
        open_before=states.open_names(network, network.closed),
        open_branches=states.open_names(network, after.closed) if after is not None else (),
        loss_before_kw=before.loss * s if before is not None else None,
        loss_kw=after.loss * s if after is not None else None,
        objective_kw=states.finite(outcome.upper_bound) if after is not None else None,
        lower_bound_kw=outcome.lower_bound,
        gap=outcome.gap,
        v_min_pu=low,
        v_min_bus=low_bus,
        v_min_before_pu=low_before,
        v_min_before_bus=low_before_bus,
        ac_max_mismatch_pu=after.check.max_mismatch if after is not None else None,
        violations=states.violations(network, after),
        least_violation=states.violations(network, least),
        least_violation_open=states.open_names(network, least.closed) if least is not None else (),
        buses=buses,
        branches=branches,
        generators=states.generators(grid, network, after),
        iterations=_iterations(outcome),
        notes=notes,
    )


def _iterations(outcome: Outcome) -> pl.DataFrame:
    rows = outcome.log
    return pl.DataFrame(
        {
            "number": [i.number for i in rows],
            "seconds": [i.seconds for i in rows],
            "lower_bound_kw": [states.finite(i.lower_bound) for i in rows],
            "upper_bound_kw": [states.finite(i.upper_bound) for i in rows],
            "gap": [states.finite(i.gap) for i in rows],
            "value_kw": [states.finite(i.value) for i in rows],
            "verdict": [i.verdict for i in rows],
            "violation": [states.finite(i.violation) for i in rows],
            "mark": [i.mark for i in rows],
        },
        schema={
            "number": pl.Int64,
            "seconds": pl.Float64,
            "lower_bound_kw": pl.Float64,
            "upper_bound_kw": pl.Float64,
            "gap": pl.Float64,
            "value_kw": pl.Float64,
            "verdict": pl.String,
            "violation": pl.Float64,
            "mark": pl.String,
        },
    )
