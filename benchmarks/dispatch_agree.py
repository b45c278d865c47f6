"""Whether the ways to the optimum of dispatch agree, on random small grids with devices of all kinds.

    python -m benchmarks.dispatch_agree [--count 500] [--first 0] [--methods search benders scip] [--json FILE]

Every grid is enumerated: all radial topologies with all positions of the devices by exact power flow, outputs that have
a range sampled. Then each method solves it. Its answer must keep the limits in the exact flow, be worth what it says,
and be no worse than the best state enumerated; no lower bound may lie above that state; a certificate of a search must
be accepted. What a method refuses by name, or ends without the gap asked for, is counted. Exit status 1: a fault.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))


from openpoint.arrays import Bools, Complexes, Ints
from openpoint.errors import OptionError
from openpoint.network.freedom import SwitchingRules
from openpoint.search.enumeration import Enumerated
from openpoint.search.topology import search_topologies
from openpoint.studies.dispatch.model.layout import DispatchState
from openpoint.studies.dispatch.model.program import DispatchProgram
from openpoint.twostage.log import Termination
from openpoint.twostage.methods.decomposition import Benders
from openpoint.twostage.methods.solving import ExtensiveForm
from openpoint.verify import CertificateError
from openpoint.verify.data import Objective
from tests.builders.certificates import verify_network
from tests.builders.device_grids import FEATURES, DeviceGrid, random_device_grid
from tests.builders.sampled_outputs import best_operating_state, has_outputs_to_choose

METHODS = ("search", "benders", "scip")
DISCRETE = tuple(name for name in FEATURES if name != "units")
PLAIN = ("banks", "voltages", "taps", "limits", "ratings")
SETS = (DISCRETE, FEATURES, PLAIN)
"""What the grids may hold, in turn: nothing that is sampled; all; nothing but devices and limits."""
STATES = 2000
EVERY = 50
"""How many grids lie between two lines of progress."""
TIGHT = 1e-6
"""Gap asked of the search and of Benders' method."""
LOOSE = 1e-4
"""Gap asked of the one-piece program, whose solver is no more accurate."""
CONE = 1e-6
"""Accuracy of bounds by cone solvers, relative, or per unit of the load if that is more."""
SAMPLED = 1e-4
"""By how much of itself a sampled optimum may lie above the true one; more is a coarse sample, and counted."""


@dataclass(frozen=True)
class Answer:
    """What a method says, per unit: its bound, and its state unless there is none."""

    termination: Termination
    lower: float
    value: float
    state: tuple[Bools, Ints, Complexes | None] | None
    proof: Path | None = None


def program_of(grid: DeviceGrid) -> DispatchProgram:
    """The two-stage program."""
    return DispatchProgram(grid.network, grid.devices, grid.cost, grid.supply, SwitchingRules.of(grid.network))


def searched(grid: DeviceGrid, folder: Path) -> Answer:
    """The topology search, with a certificate."""
    net, proof = grid.network, folder / "proof"
    found = search_topologies(
        net,
        devices=grid.devices,
        cost=grid.cost,
        supply=grid.supply,
        gap=TIGHT,
        certificate=proof,
        cone=program_of(grid).cone.at if len(net.generator_terminal) else None,
        time_limit=60.0,
    )
    if found.closed is None:
        return Answer(found.termination, found.lower_bound, math.inf, None)
    positions = grid.devices.today if found.positions is None else found.positions
    state = found.closed, positions, found.generation
    return Answer(found.termination, found.lower_bound, found.value, state, proof if proof.exists() else None)


def solved(grid: DeviceGrid, method: Benders | ExtensiveForm) -> Answer:
    """A method of the two-stage engine."""
    found, base = method.solve(program_of(grid)), grid.network.s_base_kva
    state = None
    if isinstance(found.state, DispatchState) and math.isfinite(found.upper_bound):
        state = found.state.closed, found.state.positions, found.state.generation[0]
    return Answer(found.termination, found.lower_bound / base, found.upper_bound / base, state)


def faults(grid: DeviceGrid, every: Enumerated, answer: Answer, gap: float, accuracy: float) -> list[str]:
    """What is wrong with an answer."""
    best = every.best.value if every.best is not None and every.best.violation == 0.0 else math.inf
    found, room = [], accuracy * max(1.0, abs(best)) if math.isfinite(best) else 0.0
    if answer.lower > best + 1e-9 * abs(best) + 1e-12 + room:
        found.append(f"bound {answer.lower} above {best}")
    if answer.termination is Termination.INFEASIBLE and math.isfinite(best):
        found.append(f"infeasible, but {best} is there")
    if answer.state is not None:
        value, violation = (float(part[0]) for part in grid.evaluator.evaluate(*answer.state))
        if violation > 0.0:
            found.append(f"misses limits by {violation}")
        if abs(value - answer.value) > 1e-8 * max(abs(value), 1e-6):
            found.append(f"is worth {value}, says {answer.value}")
        if not has_outputs_to_choose(grid.network) and value < best - 1e-9 * abs(best) - 1e-12:
            found.append(f"is worth {value}, below the best, {best}")
        if answer.termination is Termination.OPTIMAL and value > best + 2.0 * gap * abs(best) + 1e-9 + room:
            found.append(f"is worth {value}, above {best}")
    if answer.proof is not None:
        try:
            proven = verify_network(
                grid.network, answer.proof, devices=grid.devices, objective=Objective(grid.cost, grid.supply)
            )
        except CertificateError as error:
            found.append(str(error))
        else:
            if proven.bound_kw > (best + 1e-9 * abs(best) + 1e-12 + room) * grid.network.s_base_kva:
                found.append(f"proven bound {proven.bound_kw} kW above the best")
    return found


def judged(grid: DeviceGrid, every: Enumerated, method: str, folder: Path) -> tuple[Counter[str], list[str]]:
    """Counts of one method on one grid, and faults."""
    try:
        if method == "search":
            answer, gap, accuracy = searched(grid, folder), TIGHT, 0.0
        elif method == "benders":
            answer, gap, accuracy = solved(grid, Benders(gap=TIGHT, time_limit_s=60.0)), TIGHT, CONE
        else:
            answer, gap, accuracy = solved(grid, ExtensiveForm(gap=LOOSE, time_limit_s=60.0)), LOOSE, CONE
    except OptionError as error:
        return Counter({f"refused: {str(error)[:70]}": 1}), []
    counts = Counter({answer.termination.value: 1, "proofs verified": int(answer.proof is not None)})
    counts["answers without proof"] += int(method == "search" and answer.state is not None and answer.proof is None)
    best = every.best.value if every.best is not None and every.best.violation == 0.0 else math.inf
    chosen = has_outputs_to_choose(grid.network)
    if chosen and math.isfinite(best) and answer.lower < answer.value < best * (1.0 - SAMPLED):
        counts["better than the sample"] += 1
    return counts, faults(grid, every, answer, gap, accuracy)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.first, arguments.first + arguments.count):
            grid = random_device_grid(seed, SETS[seed % len(SETS)], STATES)
            every = best_operating_state(grid.evaluator)
            counts["enumeration"] += Counter(
                {
                    "grids": 1,
                    "states": every.states,
                    "feasible": int(every.best is not None and every.best.violation == 0.0),
                    "exact": int(not has_outputs_to_choose(grid.network)),
                }
            )
            for method in arguments.methods:
                began = time.process_time()
                found, bad = judged(grid, every, method, Path(folder))
                counts[method] += found + Counter({"ms": round(1000.0 * (time.process_time() - began))})
                for fault in bad:
                    wrong.append(f"grid {seed}, {method}: {fault}")
                    print(wrong[-1], flush=True)
            if (seed + 1 - arguments.first) % EVERY == 0:
                print(f"{seed + 1 - arguments.first:,} grids, {len(wrong)} faults", flush=True)
    for method, found in counts.items():
        print(f"{method:12}", ", ".join(f"{word}: {number:,}" for word, number in sorted(found.items())))
    print(f"{len(wrong)} faults")
    if arguments.json is not None:
        record = {"counts": {method: dict(found) for method, found in counts.items()}, "faults": wrong}
        arguments.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
