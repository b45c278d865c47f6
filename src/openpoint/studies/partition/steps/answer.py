"""From the outcome of a method to the result of partitioning over time, each step checked by AC power flow.

Solve a partition over time: each step alone, then step after step, then all steps at once, until the bounds meet.

The recourse of a step knows no other step, and each step has deviations of its own. So the worst case of all steps is
the sum of their worst cases, and

- the optima of the steps alone, without what links them, sum up to a lower bound;
- a plan that is made step after step, each from the state in which the last one left switches, blocks and stores, has
  the sum of their verified costs as an upper bound: what can be had without looking ahead;
- where these do not meet, all steps are decided at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Floats
from openpoint.grid.grid import Grid
from openpoint.results.common import iterations_table
from openpoint.scenarios.horizon import Horizon
from openpoint.studies.partition.ac import PlanCircuit
from openpoint.studies.partition.answer import StepTables, step_tables, switch_table, worst_slack
from openpoint.studies.partition.model.links import Links, Storage, sums, today
from openpoint.studies.partition.model.program import PartitionProgram
from openpoint.studies.partition.schema import ITERATIONS
from openpoint.studies.partition.setup import Method
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.partition.timeline import Timeline
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Iteration, Outcome, Progress, Termination, ended_by, relative_gap


def steps_answer(
    grid: Grid,
    horizon: Horizon,
    timeline: Timeline,
    program: PartitionProgram,
    outcome: Outcome,
    *,
    method: str,
    uncertainty: float,
    priorities: Mapping[str, float],
    notes: tuple[str, ...],
    deadline: Deadline,
) -> PartitionStepsResult:
    """The result in the grid's own names and units.

    Args:
        grid: the grid with generators that charge. timeline: what happens on it.
        priorities: factors on the kW of named loads. deadline: of the study.
    """
    x = outcome.decision
    chosen = np.zeros(program.decision_size) if x is None else x
    tables = [step_tables(grid, program, x, t, share) for t, share in enumerate(timeline.share)]
    states = program.states(chosen)
    switches = [_switches(program, states, t) for t in range(len(tables))]
    checks = [_check(grid, program, timeline, chosen, t, here) for t, here in enumerate(tables)]
    costs = None if x is None else np.array([program.costs(x, t) for t in range(len(tables))])
    steps = [
        {
            "hours": step.hours,
            "load_kw": here.load_kw,
            "served_kw": here.served_kw,
            "energised_blocks": here.blocks["energised"].sum(),
            "actions": moved.filter((pl.col("switching") != "") & (pl.col("held") == "")).height,
            "lost_usd": None if costs is None else costs[t, 0],
            "generation_usd": None if costs is None else costs[t, 1],
            **check,
        }
        for t, (step, here, moved, (check, _)) in enumerate(zip(program.steps, tables, switches, checks))
    ]
    figures = pl.DataFrame([{"step": name, **row} for name, row in zip(timeline.names, steps)], schema=_STEPS)

    def under(frames: list[pl.DataFrame]) -> pl.DataFrame:
        """The frames of all steps under each other, the step in front."""
        return pl.concat(
            [frame.select(pl.lit(name).alias("step"), pl.all()) for name, frame in zip(timeline.names, frames)]
        )

    weights = [_priorities(grid, program, *each, priorities) for each in zip(tables, timeline.share)]
    lost, generation = (None, None) if costs is None else (float(total) for total in costs.sum(axis=0))
    faults = [pl.Series("fault", step.locks.faulted) for step in program.steps]
    return PartitionStepsResult(
        grid=grid,
        horizon=horizon,
        method=method,
        termination=outcome.termination,
        seconds=outcome.seconds,
        uncertainty=uncertainty,
        uncertain_loads=program.loads.names,
        max_actions=program.links.max_actions,
        keep_energised=program.links.keep_energised,
        cost_usd=None if x is None else outcome.upper_bound,
        lost_usd=lost,
        generation_usd=generation,
        worst_recourse_usd=None if x is None else outcome.upper_bound - program.first_stage_cost(x),
        lower_bound_usd=outcome.lower_bound,
        gap=outcome.gap,
        served_kwh=float((figures["hours"] * figures["served_kw"]).sum()),
        total_kwh=float((figures["hours"] * figures["load_kw"]).sum()),
        worst_slack_kw=0.0 if x is None else worst_slack(program, x, deadline) * program.network.terminal_base_kw,
        steps=figures,
        switches=under(switches),
        blocks=under([here.blocks.with_columns(fault) for here, fault in zip(tables, faults)]),
        islands=under([here.islands for here in tables]),
        generators=under([here.generators.with_columns(flow) for here, (_, flow) in zip(tables, checks)]),
        storage=under(_storage(timeline, program, chosen)),
        priorities=under(weights),
        iterations=iterations_table(outcome.log, ITERATIONS),
        notes=(*grid.figure_notes, *notes),
    )


_STEPS = {
    "step": pl.String,
    **dict.fromkeys(("hours", "load_kw", "served_kw"), pl.Float64),
    **dict.fromkeys(("energised_blocks", "actions"), pl.Int64),
    **dict.fromkeys(("lost_usd", "generation_usd", "loss_kw", "v_min_pu", "v_max_pu", "v_excess_pu"), pl.Float64),
}


def _switches(program: PartitionProgram, states: Bools, t: int) -> pl.DataFrame:
    locks = program.steps[t].locks
    held = np.select([locks.open, locks.closed], ["open", "closed"], "")
    before = states[t - 1] if t else today(program.network, program.blocks)
    return switch_table(program, states[t], before).with_columns(pl.Series("held", held, dtype=pl.String))


def _check(
    grid: Grid, program: PartitionProgram, timeline: Timeline, x: Floats, t: int, here: StepTables
) -> tuple[dict[str, Any], list[pl.Series]]:
    """Figures of the AC power flow of a step at nominal loads, and what every generator delivers."""
    step = program.steps[t]
    set_p, set_q = here.generators["p_kw"].to_numpy().copy(), here.generators["q_kvar"].to_numpy().copy()
    figures: dict[str, Any] = dict.fromkeys(("loss_kw", "v_min_pu", "v_max_pu", "v_excess_pu"))
    decision = program.parted(x, t)
    if np.any(decision[2] > 0.5):
        share = pl.Series(timeline.share[t])
        loads = grid.loads.with_columns(pl.col("p_kw") * share, pl.col("q_kvar") * share)
        alone = dataclasses.replace(program, steps=(step,), links=Links(Storage.none()))
        plan = PlanCircuit(grid.with_tables(loads=loads), alone, np.concatenate(decision))
        parts = len(step.generators.of_part)
        flow = plan.flows(np.zeros((1, len(step.loads.names))), np.zeros((1, 2 * parts)))
        if flow.converged[0]:
            wide = [e for limit, e in zip(plan.limits, flow.excess[0]) if limit.kind.startswith("voltage")]
            figures |= {"loss_kw": flow.loss_kw[0], "v_min_pu": flow.v[0].min(), "v_max_pu": flow.v[0].max()}
            figures |= {"v_excess_pu": max([0.0, *wide])}
            unit = step.generators.of_part[plan.parts]
            for power, beside in zip((set_p, set_q), np.split(flow.beside[0], 2)):
                np.add.at(power, unit, beside * program.network.terminal_base_kw)
        else:
            set_p, set_q = np.full((2, len(set_p)), np.nan)
    return figures, [pl.Series("ac_p_kw", set_p, nan_to_null=True), pl.Series("ac_q_kvar", set_q, nan_to_null=True)]


def _storage(timeline: Timeline, program: PartitionProgram, x: Floats) -> list[pl.DataFrame]:
    """What is in store, by the equations of `openpoint.studies.partition.model.links`."""
    stores, base_kw = program.links.storage, program.network.terminal_base_kw
    before, found = stores.start * base_kw, []

    def rounded(values: Floats) -> Floats:
        """Without what a solver leaves of 0."""
        return np.round(values, 6) + 0.0

    for t, step in enumerate(program.steps):
        p_kw = sums(stores, step) @ program.parted(x, t)[3] * base_kw
        after = before - step.hours * np.where(p_kw > 0.0, p_kw / stores.out, p_kw * stores.into)
        more, less = (part * base_kw for part in program.reserves(x, t))
        figures = {
            "p_kw": p_kw,
            "start_kwh": before,
            "end_kwh": after,
            "reserve_more_kw": more,
            "reserve_less_kw": less,
        }
        names = {"generator": [store.generator for store in timeline.storage]}
        columns = {**names, **{name: rounded(values) for name, values in figures.items()}}
        found.append(pl.DataFrame(columns, schema_overrides={"generator": pl.String}))
        before = after
    return found


def _priorities(
    grid: Grid, program: PartitionProgram, here: StepTables, share: Floats, priorities: Mapping[str, float]
) -> pl.DataFrame:
    """Load and served load of each priority, the highest first."""
    energised = here.blocks["energised"]
    home = {bus: energised[block] for bus, block in zip(program.network.bus_names, program.blocks.of_bus.tolist())}
    loads = grid.loads.select(
        pl.Series("priority", [priorities.get(name, 1.0) for name in grid.loads["name"]], dtype=pl.Float64),
        load_kw=pl.col("p_kw") * pl.Series(share),
    ).with_columns(pl.Series("on", [home[bus] for bus in grid.loads["bus"]], dtype=pl.Boolean))
    served = pl.col("load_kw").filter("on").sum().alias("served_kw")
    return loads.group_by("priority").agg(pl.col("load_kw").sum(), served).sort("priority", descending=True)


ALONE_SHARE, IN_TURN_SHARE = 0.3, 0.5
"""Share of the time left that the steps alone may take, and then the plan step after step."""


def look_ahead(program: PartitionProgram, method: Method, progress: Progress | None, deadline: Deadline) -> Outcome:
    """Solve to the gap, or until the deadline or Ctrl-C; the best verified plan is kept."""
    if len(program.steps) == 1:
        return method.solve(program, progress, deadline)
    return _RollingSolution(program, method, progress, deadline).execute()


class _RollingSolution:
    """Bounds, the best plan and the log."""

    def __init__(
        self, program: PartitionProgram, method: Method, progress: Progress | None, deadline: Deadline
    ) -> None:
        self._program, self._method, self._progress = program, method, progress
        self._deadline, self._began = deadline, deadline.passed()
        self._lower, self._upper = -math.inf, math.inf
        self._best: Floats | None = None
        self._log: list[Iteration] = []

    def execute(self) -> Outcome:
        """See the module."""
        program, free = self._program, Links(Storage.none(), stated=self._program.links.stated)
        whole = self._deadline.within(ALONE_SHARE * self._deadline.left() if program.links.any else math.inf)
        alone = list[Outcome]()
        for t, step in enumerate(program.steps):
            if whole.over():
                break
            alone.append(self._solve(program.only(t, free), f"{step.name} alone", self._part(whole, t)))
        if len(alone) == len(program.steps):
            self._lower = math.fsum(outcome.lower_bound for outcome in alone)
        ended = self._step_by_step() if program.links.any else self._take(alone)
        if ended is not None or relative_gap(self._lower, self._upper) <= self._method.gap:
            return self._outcome(ended)
        outcome = self._solve(program, "", self._deadline)
        self._lower = max(self._lower, min(outcome.lower_bound, self._upper))
        if outcome.decision is not None and outcome.upper_bound < self._upper:
            self._upper, self._best = outcome.upper_bound, outcome.decision
        ended = outcome.termination
        return self._outcome(None if ended is Termination.INFEASIBLE and self._best is not None else ended)

    def _step_by_step(self) -> Termination | None:
        """The plan without look-ahead; why it was not finished, if the run is over."""
        program, outcomes = self._program, list[Outcome]()
        links, whole = program.links, self._deadline.within(IN_TURN_SHARE * self._deadline.left())
        for t, step in enumerate(program.steps):
            if whole.over():
                return self._ended()
            last = t == len(program.steps) - 1
            store = links.storage
            kept = dataclasses.replace(store, end=store.end if last else np.minimum(store.start, store.end))
            one = program.only(t, dataclasses.replace(links, storage=kept))
            outcomes.append(self._solve(one, f"{step.name} after what was", self._part(whole, t)))
            x = outcomes[-1].decision
            if x is None:
                return self._ended()
            links = _after(one, links, x)
        return self._take(outcomes)

    def _take(self, outcomes: list[Outcome]) -> Termination | None:
        """The plan that the outcomes of the steps make, if there is one."""
        chosen = [outcome.decision for outcome in outcomes]
        if len(chosen) == len(self._program.steps) and not any(x is None for x in chosen):
            self._upper = math.fsum(outcome.upper_bound for outcome in outcomes)
            self._best = np.concatenate([x for x in chosen if x is not None])
            self._lower = min(self._lower, self._upper)
        self._log_line(Iteration(0, self._seconds(), self._lower, self._upper, self._upper, "step by step"))
        return self._ended()

    def _ended(self) -> Termination | None:
        """Why the run is over; None where it is not."""
        return self._deadline.why if self._deadline.over() else None

    def _part(self, whole: Deadline, t: int) -> Deadline:
        """The part of step t in the time of all steps from it on."""
        return whole.within(whole.left() / (len(self._program.steps) - t))

    def _solve(self, program: PartitionProgram, name: str, deadline: Deadline) -> Outcome:
        """The outcome of the method in its part of the time; its lines are logged under the name of a step."""
        began = self._seconds()

        def on_line(line: Iteration) -> None:
            lower, upper = self._lower, self._upper
            if not name:  # all steps at once
                lower, upper = max(lower, min(line.lower_bound, upper)), min(upper, line.upper_bound)
            moved = dataclasses.replace(line, seconds=began + line.seconds, lower_bound=lower, upper_bound=upper)
            self._log_line(
                dataclasses.replace(moved, interim=True, verdict=f"{name}: {line.verdict}") if name else moved
            )

        return self._method.solve(program, on_line, deadline)

    def _log_line(self, line: Iteration) -> None:
        line = dataclasses.replace(line, number=len(self._log) + 1)
        self._log.append(line)
        if self._progress is not None:
            self._progress(line)

    def _seconds(self) -> float:
        return self._deadline.passed() - self._began

    def _outcome(self, ended: Termination | None) -> Outcome:
        gap = relative_gap(self._lower, self._upper)
        if gap <= self._method.gap:
            ended = ended_by(gap)
        return Outcome(
            ended or Termination.ACCURACY,
            self._best,
            None,
            self._lower,
            self._upper,
            tuple(self._log),
            self._seconds(),
        )


def _after(one: PartitionProgram, links: Links, x: Floats) -> Links:
    """The links of the next step, after a step with the decision x."""
    store, step = links.storage, one.steps[0]
    p = sums(store, step) @ one.parted(x)[3]
    spent = step.hours * np.where(p > 0.0, p / store.out, p * store.into)
    more, less = (step.hours * part / store.out for part in one.reserves(x, 0))
    left = dataclasses.replace(
        store, start=store.start - spent, least=store.least + more, most=store.most - less, end=store.end + more
    )
    energised = one.parted(x)[1] > 0.5
    return dataclasses.replace(links, storage=left, state=one.states(x)[0], energised=energised)
