"""Stopwatches: wall and processor time of a call, and how much of it went into compiling models."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from openpoint.twostage.methods import master
from openpoint.twostage.methods import solving as extensive
from openpoint.twostage.recourse import evaluation as subproblem

COMPILING = (master, subproblem, extensive)
"""Modules that put CVXPY models in standard form, each through its own name `compile_model`."""
SOLVERS = ("clarabel", "cvxpy", "highspy", "numba", "numpy", "pyscipopt", "scipy")


@dataclass
class Compiling:
    """Seconds spent in `compile_model` so far."""

    seconds: float = 0.0


@contextmanager
def compiling() -> Iterator[Compiling]:
    """Time every model that is compiled inside the block. The methods themselves know nothing of it."""
    spent = Compiling()
    originals = [vars(module)["compile_model"] for module in COMPILING]

    def timed(original: Callable[..., Any]) -> Callable[..., Any]:
        def run(*args: Any, **kwargs: Any) -> Any:
            began = time.perf_counter()
            try:
                return original(*args, **kwargs)
            finally:
                spent.seconds += time.perf_counter() - began

        return run

    for module, original in zip(COMPILING, originals, strict=True):
        vars(module)["compile_model"] = timed(original)
    try:
        yield spent
    finally:
        for module, original in zip(COMPILING, originals, strict=True):
            vars(module)["compile_model"] = original


@contextmanager
def peak_memory() -> Iterator[Callable[[], float | None]]:
    """Measures the most memory that this process has held since the block began, in MB; None where no `/proc` tells."""
    reset, status = Path("/proc/self/clear_refs"), Path("/proc/self/status")
    if reset.exists():
        reset.write_text("5")

    def peak() -> float | None:
        if not reset.exists():
            return None
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024.0

    yield peak


def machine() -> dict[str, Any]:
    """What the figures were measured on: without it they mean nothing."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "packages": {name: _version(name) for name in SOLVERS},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
