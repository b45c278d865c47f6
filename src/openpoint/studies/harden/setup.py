"""From a grid and what threatens it to the mathematical model of hardening."""

from __future__ import annotations

import logging

import numpy as np

from openpoint.errors import OptionError
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.scenarios.disasters import read_disasters
from openpoint.studies.harden.model import HardenProgram
from openpoint.studies.harden.options import HardenCosts, HardenOptions
from openpoint.studies.harden.threat import Threat, threat_of
from openpoint.twostage.risk import Expectation, WorstCase
from openpoint.twostage.uncertainty import Budget

_LOG = logging.getLogger(__name__)


def harden_program(grid: Grid, options: HardenOptions) -> tuple[HardenProgram, Threat]:
    """The mathematical model, and what may break.

    Raises:
        InputError: the grid or the disasters have faults.
        OptionError: a grid of several phases, or disasters that do not fit it.
    """
    network = build_network(grid).dead_when_open()
    if not network.is_balanced:
        raise OptionError(f"harden works on balanced grids (phases '1'); {HAS_PHASES}")
    _LOG.info("built the network")
    disasters = None if options.disasters is None else read_disasters(options.disasters, grid)
    threat = threat_of(network, disasters, options.any_lines, options.ambiguity)
    return _program(Limits.given(options.limits).applied(network), threat, options), threat


def _program(network: Network, threat: Threat, options: HardenOptions) -> HardenProgram:
    """The program of a network with its limits. Lines that never break are not worth hardening and are left out."""
    uncertainty, costs = threat.uncertainty, options.costs or HardenCosts()
    breaks = uncertainty.up > 0.0 if isinstance(uncertainty, Budget) else uncertainty.values.any(axis=0)
    lines = np.flatnonzero(breaks & np.array([kind == "lines" for kind in network.branch_kinds]))
    buses = np.setdiff1d(np.arange(network.n_terminals), network.source_terminal)
    lines = lines[:0] if options.max_lines == 0 else lines
    buses = buses[:0] if options.max_generators == 0 else buses
    return HardenProgram(
        network=network,
        uncertainty=uncertainty,
        risk=WorstCase() if isinstance(uncertainty, Budget) else Expectation(),
        lines=lines,
        line_usd=np.full(len(lines), float(costs.line_usd)),
        buses=buses,
        generator_usd=np.full(len(buses), float(costs.generator_usd)),
        backup=costs.backup,
        voll_usd_per_kw=np.full(network.n_terminals, float(costs.voll_usd_per_kw)),
        max_lines=options.max_lines,
        max_generators=options.max_generators,
        budget_usd=options.budget_usd,
        closed_line_usd=float(costs.closed_line_usd),
    )
