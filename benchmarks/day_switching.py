"""Hourly switching over a day: least energy lost with at most k switch operations, proven to 0.01 %.

    python -m benchmarks.day_switching --json docs/day_switching.json --markdown docs/measurements.md
    python -m benchmarks.day_switching --grids baran33 --most 0 4
    python -m benchmarks.day_switching --from docs/day_switching.json --markdown docs/measurements.md

The loads of a grid are of three classes by choice: its buses, in the order of the table, are cut into six blocks of the
same size, residential, commercial, industrial, and again; each follows its profile of 24 hours (`PROFILES`, shares of
the load of the grid). Nothing but the open points is decided, and no limits are kept. Operations count between hours
(the first hour is free), or from today's state on. One core; compiling apart.

Beside it, in the same run, where the radial states can be enumerated: all of them by exact AC flow in every hour, and
dynamic programming over those that may be in a plan: in an hour, the ones whose loss exceeds the least of that hour by
at most what the best fixed state exceeds the sum of the least losses. It is a proof, too, without the search's bound.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from openpoint.grid import files
from openpoint.network import Network, build_network
from openpoint.network.freedom import SwitchingRules
from openpoint.powerflow.balanced import losses
from openpoint.search.enumeration import count_topologies, topologies
from openpoint.search.switching.problem import SwitchingProblem
from openpoint.search.switching.solve import solve_switching
from openpoint.search.switching.states import best_plan
from openpoint.twostage.deadline import Deadline

from . import tables, timing

GAP = 1e-4
GRIDS = ("baran33", "baran69", "das70", "zhang118")
MOST: tuple[int | None, ...] = (0, 2, 4, 8, 16, None)
BLOCKS = 6
ENUMERATED = 100_000
"""Radial states up to which all are evaluated."""
PEER_STATES = 6_000
"""States that may be in a plan up to which the dynamic programme of the peer is run; its table has their square."""
PROFILES = {
    "residential": "42 38 36 35 36 40 52 65 62 56 54 56 60 58 56 58 68 85 98 100 95 86 70 53",
    "commercial": "28 26 25 25 26 30 40 58 80 95 100 100 97 98 98 95 88 75 62 50 42 37 33 30",
    "industrial": "55 54 53 53 55 62 78 92 100 100 99 97 93 97 98 95 88 78 70 66 64 62 59 56",
}
"""By choice: percent of the load of the grid in the hours from 00:00 on."""


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        grid, first, most: the case; `first`: whether operations count from today's state on; most: None = any number.
        termination: why it ended. loss_kwh, bound_kwh: of the best plan, exact AC, and what no plan goes below.
        gap: relative. operations, states: in the plan: switch operations, and different radial states.
        cpu_s: processor time. nodes: of all topology searches.
        peer_kwh, peer_cpu_s: of the dynamic programme over all radial states; None where it was not run.
    """

    grid: str
    first: bool
    most: int | None
    termination: str
    loss_kwh: float
    bound_kwh: float
    gap: float
    operations: int
    states: int
    cpu_s: float
    nodes: int
    peer_kwh: float | None = None
    peer_cpu_s: float | None = None


def day_of(name: str) -> tuple[Network, tuple[Network, ...]]:
    """A grid without limits, and with the loads of every hour."""
    network = build_network(files.load(name))
    n, m = network.n_terminals, network.n_conductors
    network = network.with_limits(w_min=np.zeros(n), w_max=np.full(n, np.inf), l_max=np.full(m, np.inf))
    shares = np.array([text.split() for text in PROFILES.values()], dtype=np.float64) / 100.0
    by_bus = shares[np.arange(n) * BLOCKS // n % len(shares)]
    return network, tuple(replace(network, s_power=network.s_power * by_bus[:, t]) for t in range(shares.shape[1]))


def problem_of(name: str, most: int | None, *, first: bool) -> SwitchingProblem:
    """The day of a grid, in kWh."""
    network, hours = day_of(name)
    none = np.zeros(network.n_conductors, dtype=np.bool_)
    weights = np.full(len(hours), network.s_base_kva)
    return SwitchingProblem(hours, weights, SwitchingRules(none, none, most), before=network.closed if first else None)


def run(name: str, most: int | None, *, first: bool, time_limit_s: float) -> Run:
    """Solve one case."""
    problem = problem_of(name, most, first=first)
    began = time.process_time()
    found = solve_switching(problem, gap=GAP, deadline=Deadline(time_limit_s))
    spent = time.process_time() - began
    assert found.closed is not None
    assert found.operations is not None
    return Run(
        name,
        first,
        most,
        str(found.termination),
        found.upper_bound,
        found.lower_bound,
        found.gap,
        int(found.operations.sum()),
        len(np.unique(found.closed, axis=0)),
        spent,
        found.nodes,
    )


class Peer:
    """All radial states of a grid and their losses in every hour."""

    def __init__(self, name: str) -> None:
        network, hours = day_of(name)
        began = time.process_time()
        self.states = np.concatenate(list(topologies(network)))
        self.values = network.s_base_kva * np.stack([losses(each, self.states)[0] for each in hours])
        self.seconds = time.process_time() - began

    def solve(self, problem: SwitchingProblem) -> tuple[float, float] | None:
        """Least loss and processor time, that of the flows included; None where too many states are left."""
        began = time.process_time()
        least = self.values.min(axis=1, keepdims=True)
        reach = np.full(self.values.shape[1], True)
        most = problem.rules.max_changes
        if problem.before is not None and most is not None:
            reach = (self.states != problem.before).sum(axis=1) <= most
        known = float(np.where(reach, self.values.sum(axis=0), np.inf).min())
        useful = (self.values <= least + known - least.sum()) & reach
        some = np.flatnonzero(useful.any(axis=0))
        if len(some) > PEER_STATES:
            return None
        values = np.where(useful, self.values, np.inf)[:, some]
        value, _ = best_plan(self.states[some], values, before=problem.before, change=0.0, most=most)
        return value, self.seconds + time.process_time() - began


def measure(grids: list[str], most: list[int | None], time_limit_s: float) -> list[Run]:
    """All cases."""
    solve_switching(problem_of("civanlar16", 2, first=False), gap=GAP)  # compiles
    runs = []
    for name in grids:
        small = count_topologies(day_of(name)[0]) <= ENUMERATED
        peer = Peer(name) if small else None
        for first in (False, True):
            for each in most:
                its = run(name, each, first=first, time_limit_s=time_limit_s)
                found = None if peer is None else peer.solve(problem_of(name, each, first=first))
                if found is not None:
                    its = replace(its, peer_kwh=found[0], peer_cpu_s=found[1])
                runs.append(its)
                print(its, flush=True)
    return runs


def markdown(runs: list[Run]) -> str:
    """The table of the runs."""
    lines = [
        "| grid | operations count | most | done | states | loss kWh | bound kWh | gap | s | all states kWh | s |",
        "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    for r in runs:
        peer = ("–", "–") if r.peer_kwh is None else (f"{r.peer_kwh:.2f}", f"{r.peer_cpu_s:.1f}")
        since = "from today's state" if r.first else "between hours"
        most = "any" if r.most is None else str(r.most)
        lines.append(
            f"| {r.grid} | {since} | {most} | {r.operations} | {r.states} | {r.loss_kwh:.2f} | {r.bound_kwh:.2f} "
            f"| {100.0 * r.gap:.4f} % | {r.cpu_s:.1f} | {' | '.join(peer)} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--grids", nargs="+", default=list(GRIDS))
    parser.add_argument("--most", nargs="+", default=MOST, type=lambda text: None if text == "any" else int(text))
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds a case")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--from", dest="given", type=Path)
    parser.add_argument("--markdown", type=Path)
    given = parser.parse_args()
    if given.given is not None:
        data: dict[str, Any] = json.loads(given.given.read_text(encoding="utf-8"))
    else:
        runs = measure(given.grids, list(given.most), given.time_limit)
        data = {"machine": timing.machine(), "runs": [asdict(each) for each in runs]}
    if given.json is not None:
        given.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    table = markdown([Run(**each) for each in data["runs"]])
    if given.markdown is not None:
        text = tables.between_marks(given.markdown.read_text(encoding="utf-8"), table, "switching")
        given.markdown.write_text(text, encoding="utf-8")
    else:
        print(table)


if __name__ == "__main__":
    main()
