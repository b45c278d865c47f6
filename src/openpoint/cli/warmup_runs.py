"""Runs on small grids that compile, between them, every function that any study compiles at its first use."""

from __future__ import annotations

from collections.abc import Callable

from openpoint.grid import builtin
from openpoint.network.limits import Limits
from openpoint.scenarios.storms import storms
from openpoint.studies.harden.study import harden
from openpoint.studies.powerflow.study import powerflow
from openpoint.studies.reconfigure.study import BranchExchange, Enumeration, TopologySearch, reconfigure


def _flow() -> None:
    powerflow(builtin.load("civanlar16"))


def _exchange() -> None:
    reconfigure(builtin.load("civanlar16"), method=BranchExchange())


def _search() -> None:
    reconfigure(builtin.load("civanlar16"), method=TopologySearch())


def _impossible_limits() -> None:
    # Voltages that no state keeps: the search for the highest voltages of all states is compiled for them.
    reconfigure(builtin.load("baran33"), method=TopologySearch(), limits=Limits(v_min_pu=0.95))


def _enumeration() -> None:
    reconfigure(builtin.load("civanlar16"), method=Enumeration())


def _restoration() -> None:
    grid = builtin.load("zhang13")
    harden(grid, disasters=storms(grid, count=2, seed=1), max_lines=1, max_generators=1)


STEPS: tuple[Callable[[], None], ...] = (_flow, _exchange, _search, _impossible_limits, _enumeration, _restoration)
