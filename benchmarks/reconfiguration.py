"""Time to a proven answer: topology search, Benders, its plain variant, SCIP on the one-piece program; same grids."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from statistics import median

import openpoint
from openpoint.errors import OpenpointError
from openpoint.grid import files
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.study import Method

from .timing import compiling

WARM_UP = "civanlar16"
PLAIN = ("civanlar16",)
"""Grids on which the plain master is shown, and that only: on larger ones it closes nothing in reasonable time."""
REPEATS = 7
"""Runs of topology search, of which the median counts: it takes milliseconds."""
NEWS = ("start", "root", "bound")
"""Lines of the log that only tell of bounds; the others are iterations: a decision tried."""


@dataclass(frozen=True)
class Row:
    """One method on one grid.

    Attributes:
        grid: name. buses, branches, sources: its size. open: branches to be open in a radial state.
        method: `search`, `benders`, `plain` (Benders without the relaxation in its master) or `scip`.
        termination: why it ended; `failed` with the reason in `note`.
        seconds: wall time of the method, models compiled included. compile_seconds: the part of compiling.
        cpu_seconds: processor time of all threads; compare these when the machine does other work too.
        iterations: of the method; of topology search, nodes. gap: relative, of verified loss and bound.
        loss_before_kw, loss_kw: exact AC. lower_bound_kw: proven. v_min_before_pu, v_min_pu: lowest voltages.
        open_branches: the answer. ac_max_mismatch_pu: of its AC flow.
    """

    grid: str
    buses: int
    branches: int
    sources: int
    open: int
    method: str
    gap_wanted: float
    time_limit_s: float
    termination: str
    seconds: float
    compile_seconds: float
    cpu_seconds: float
    iterations: int
    gap: float | None
    loss_before_kw: float | None
    loss_kw: float | None
    lower_bound_kw: float | None
    v_min_before_pu: float | None
    v_min_pu: float | None
    open_branches: tuple[str, ...]
    ac_max_mismatch_pu: float | None
    note: str = ""

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> Row:
        """A row of the JSON file."""
        known = {field.name for field in fields(cls)}
        values = {key: value for key, value in data.items() if key in known}
        return cls(**{**values, "open_branches": tuple(values["open_branches"])})  # type: ignore[arg-type]

    def as_dict(self) -> dict[str, object]:
        """The row as it goes into the JSON file."""
        return asdict(self)


def measure(
    cases: Sequence[str],
    *,
    gap: float,
    time_limit_s: float,
    scip_time_limit_s: float,
    plain_time_limit_s: float,
    methods: Sequence[str],
    limits: bool,
    tell: Callable[[str], None],
) -> list[Row]:
    """Every method on every grid, small grids first.

    Args:
        cases: names of built-in grids, files or folders.
        gap: relative gap at which every method stops.
        time_limit_s, scip_time_limit_s, plain_time_limit_s: most seconds per grid of each method; at 0 it is left out.
        methods: of `search`, `benders`, `plain`, `scip`.
        limits: whether the voltage and current limits of the grids are kept.
        tell: told what runs now.
    """
    most = {
        "search": time_limit_s,
        "benders": time_limit_s,
        "plain": plain_time_limit_s,
        "scip": scip_time_limit_s,
    }
    chosen = [name for name in most if name in methods and most[name] > 0]
    kept = openpoint.Limits() if limits else openpoint.Limits(voltage=False, current=False)
    rows = []
    warm_up(chosen)
    for case in cases:
        grid = openpoint.read(case)
        for name in chosen:
            if name == "plain" and case not in PLAIN:
                continue
            tell(f"{grid.name}: {name}, at most {most[name]:g} s")
            rows.append(_row(grid, name, gap, most[name], kept))
    return rows


def warm_up(methods: Sequence[str]) -> None:
    """Compile the kernels and import the solvers, so that nobody's clock counts that."""
    grid = files.load(WARM_UP)
    for name in methods:
        openpoint.reconfigure(grid, method=_method(name, 0.5, 20.0))


def _method(name: str, gap: float, time_limit_s: float) -> Method:
    if name == "search":
        return openpoint.TopologySearch(gap=gap, time_limit_s=time_limit_s)
    if name == "scip":
        return openpoint.ExtensiveForm(solver="scip", gap=gap, time_limit_s=time_limit_s)
    return openpoint.Benders(gap=gap, time_limit_s=time_limit_s, relaxation=name == "benders")


def _row(grid: openpoint.Grid, name: str, gap: float, time_limit_s: float, limits: openpoint.Limits) -> Row:
    branches, sources = grid.branches().height, grid.sources["bus"].n_unique()
    size = {
        "grid": grid.name,
        "buses": grid.buses.height,
        "branches": branches,
        "sources": sources,
        "open": branches - (grid.buses.height - sources),
    }
    asked = {"method": name, "gap_wanted": gap, "time_limit_s": time_limit_s}
    began, cpu_began = time.perf_counter(), time.process_time()
    with compiling() as compiled:
        try:
            repeats = REPEATS if name == "search" else 1
            runs = [
                openpoint.reconfigure(grid, method=_method(name, gap, time_limit_s), limits=limits)
                for _ in range(repeats)
            ]
            result = runs[0]
        except OpenpointError as error:
            seconds, cpu = time.perf_counter() - began, time.process_time() - cpu_began
            spent = {"seconds": seconds, "compile_seconds": compiled.seconds, "cpu_seconds": cpu}
            return Row(**size, **asked, **spent, **NOTHING, note=str(error))  # type: ignore[arg-type]
    return Row(
        **size,  # type: ignore[arg-type]
        **asked,  # type: ignore[arg-type]
        termination=str(result.termination),
        seconds=median(run.seconds for run in runs),
        compile_seconds=compiled.seconds,
        cpu_seconds=(time.process_time() - cpu_began) / repeats,
        iterations=_nodes(result) if name == "search" else _decisions(result),
        gap=_finite(result.gap),
        loss_before_kw=result.loss_before_kw,
        loss_kw=result.loss_kw,
        lower_bound_kw=_finite(result.lower_bound_kw),
        v_min_before_pu=result.v_min_before_pu,
        v_min_pu=result.v_min_pu,
        open_branches=result.open_branches,
        ac_max_mismatch_pu=result.ac_max_mismatch_pu,
    )


def _decisions(result: ReconfigureResult) -> int:
    return sum(verdict not in NEWS for verdict in result.iterations["verdict"])


def _nodes(result: ReconfigureResult) -> int:
    """Topology search ends its log with a line such as `1,007 nodes`."""
    return int(str(result.iterations["verdict"][-1]).split()[0].replace(",", ""))


NOTHING = {
    "termination": "failed",
    "iterations": 0,
    "gap": None,
    "loss_before_kw": None,
    "loss_kw": None,
    "lower_bound_kw": None,
    "v_min_before_pu": None,
    "v_min_pu": None,
    "open_branches": (),
    "ac_max_mismatch_pu": None,
}
"""What a failed run has to show."""


def _finite(value: float) -> float | None:
    """None for infinities: JSON has none."""
    return value if isfinite(value) else None
