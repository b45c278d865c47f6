"""The judge of states of a balanced grid over a set of loads: by exact flows that broke others, then by enclosure."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from openpoint.arrays import Floats
from openpoint.enclosure.bounds import NotEnclosed
from openpoint.enclosure.flow import NoFlow
from openpoint.enclosure.grid import GridBounds, bounds_of
from openpoint.enclosure.parts import TooLarge
from openpoint.enclosure.ports import Ports, ports_of
from openpoint.enclosure.sets import DeviationSet
from openpoint.errors import InputError
from openpoint.graph import energised
from openpoint.grid.grid import Grid
from openpoint.network import Network
from openpoint.powerflow.balanced import solve
from openpoint.powerflow.state import excesses

TRIED = 16
"""Realisations that are tried before an enclosure: those that broke limits of other states, the latest first."""


@dataclass(frozen=True)
class Verdict:
    """What is known of a state over a set.

    Attributes:
        word: `proved`, `disproved`, or `open`. most: no load of the set loses more, per unit. at: (n) a realisation
            that breaks limits, of what is disproved.
    """

    word: str
    most: float = math.inf
    at: Floats | None = None


class SetJudge:
    """The judge; what no source reaches in a state is left out.

    Attributes:
        ports: where power is drawn, and how far it deviates. shares: by group (`load`, `generation`) how far powers
            deviate. budget: how many deviate fully at once, at most.
        up: (n) the realisation with loads up and generation down, as far as a budget goes.
    """

    def __init__(self, grid: Grid, network: Network, shares: Mapping[str, float], budget: float | None) -> None:
        self.grid, self.shares, self.budget = grid, shares, budget
        self.ports = ports_of(grid, network, shares)
        drawn = np.asarray(self.ports.spread.sum(axis=0), dtype=np.complex128).real.ravel()
        self.up = DeviationSet(budget).vertex(drawn[None, :])[0]
        self._broke = [(at, self.ports.added(network.n_terminals, at)) for at in (self.up, -self.up)]
        self._banded = bool((self.ports.low > 0.0).any() or np.isfinite(self.ports.high).any())

    def bounds(self, network: Network) -> GridBounds | None:
        """The bounds of what is fed in the state of a network; None where there are none."""
        return bounds_of_fed(self.grid, network, self.ports, self.budget)

    def verdict(self, network: Network, radial: Network) -> Verdict:
        """What is known of the state of a network.

        Args:
            radial: with the same flow, its permanently closed loops opened; one with loops is only enclosed.
        """
        at = None if self._banded else self._broken(free_where_dark(radial))
        if at is not None:
            return Verdict("disproved", at=at)
        network = free_where_dark(network)
        if (found := self.bounds(network)) is None:
            return Verdict("open")
        word = found.verdict(network)
        at = found.witness(network) if word == "disproved" else None
        if at is not None:
            self._broke = [(at, self.ports.added(network.n_terminals, at)), *self._broke[: TRIED - 1]]
        return Verdict(word, float(found.loss.high[0]), at)

    def _broken(self, network: Network) -> Floats | None:
        """A realisation, of those that broke limits of other states, whose exact flow breaks limits of a radial one."""
        demands: dict[str, Any] = {
            name: getattr(network, name) + np.stack([more[name] for _, more in self._broke])
            for name in ("s_power", "s_current", "s_impedance")
        }
        flows = solve(network, network.closed, **demands)
        broken = np.flatnonzero(flows.converged & (excesses(network, flows) > 0.0))
        return self._broke[broken[0]][0] if len(broken) else None


def bounds_of_fed(grid: Grid, network: Network, ports: Ports, budget: float | None) -> GridBounds | None:
    """The bounds of what a source reaches; None where there are none. Arguments as of `bounds_of`."""
    fed = _fed(network)
    try:
        return bounds_of(grid, network, ports if fed.all() else ports.some(np.flatnonzero(fed[ports.fr])), budget)
    except (NotEnclosed, NoFlow, TooLarge, InputError):
        return None


def _fed(network: Network) -> Any:
    """(N) whether a source reaches the terminal."""
    ends = network.terminal_fr, network.terminal_to
    return energised(network.n_terminals, *ends, network.closed, network.source_terminal)


def free_where_dark(network: Network) -> Network:
    """The network without limits where no source reaches."""
    fed = _fed(network)
    if fed.all():
        return network
    return replace(network, w_min=np.where(fed, network.w_min, 0.0))
