"""From a grid and what threatens it to the mathematical model of hardening."""

from __future__ import annotations

import logging

import numpy as np

from openpoint.arguments import numbers_by_name
from openpoint.arrays import Bools
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.grid import Grid
from openpoint.network import build_network
from openpoint.network.limits import Limits
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.scenarios.disasters import Disasters, DisastersLike, read_disasters
from openpoint.scenarios.storms import storms
from openpoint.studies.accepted import refuse
from openpoint.studies.harden.model import HardenProgram, Threat, threat_of
from openpoint.studies.harden.options import HardenCosts, HardenOptions
from openpoint.twostage.risk import Expectation, WorstCase
from openpoint.twostage.uncertainty import Budget

STORMS = "storms:"
MEAN_BROKEN = 3.0
"""Lines that a storm breaks on average, unless another number is given."""
_LOG = logging.getLogger(__name__)


def harden_program(grid: Grid, options: HardenOptions) -> tuple[HardenProgram, Threat]:
    """The mathematical model, and what may break.

    Raises:
        InputError: the grid or the disasters have faults.
        OptionError: a grid of several phases, or disasters that do not fit it.
    """
    refuse("harden", grid)
    network = build_network(grid).dead_when_open()
    _LOG.info("built the network")
    threat = threat_of(network, _disasters(options.disasters, grid), options.any_lines, options.probabilities)
    # Sources count as several: the opened network does not say how those that one mesh joins share the load.
    stations = open_held_meshes(Limits.given(options.limits).applied(network), network.source_terminal)
    _refuse_breaks(stations, threat)
    return _program(stations, threat, options), threat


def _disasters(given: DisastersLike | None, grid: Grid) -> Disasters | None:
    """The disasters of an argument, storms drawn where a text asks for them; None where any lines may break.

    Raises:
        InputError: a table with faults.
        OptionError: storms that cannot be drawn.
    """
    if given is None:
        return None
    if not isinstance(given, str) or not given.startswith(STORMS):
        return read_disasters(given, grid)
    number, _, more = given.removeprefix(STORMS).partition(",")
    how = numbers_by_name(more, "storms", ("seed", "mean"), "figures", None)
    seed = how.get("seed", 0.0)
    if not number.isdigit() or seed != int(seed):
        raise OptionError(f"disasters is {given!r}; give whole numbers, as storms:20,seed=1")
    return storms(grid, count=int(number), seed=int(seed), mean_broken=how.get("mean", MEAN_BROKEN))


def _refuse_breaks(stations: Stations, threat: Threat) -> None:
    """Refuse that branches of permanently closed loops break: what is left of one is another network.

    Raises:
        InputError: naming each.
    """
    names, breaks = stations.whole.branch_names, _breaking(threat)
    found = np.flatnonzero(breaks & (stations.joined | stations.couplers | stations.dropped))
    if len(found):
        message = "it may break, and is part of a loop that stays closed"
        remedy = "Let a branch of the loop be switched (`openpoint convert --switchable`), or leave it whole always"
        raise InputError([Problem("branches", names[e], "", message, remedy) for e in found])


def _breaking(threat: Threat) -> Bools:
    """(E) branches that may break."""
    uncertainty = threat.uncertainty
    found = uncertainty.up > 0.0 if isinstance(uncertainty, Budget) else uncertainty.values.any(axis=0)
    return np.asarray(found, dtype=np.bool_)


def _program(stations: Stations, threat: Threat, options: HardenOptions) -> HardenProgram:
    """The program of a network with its limits. Lines that never break are not worth hardening and are left out."""
    network, uncertainty, costs = stations.opened, threat.uncertainty, options.costs or HardenCosts()
    lines = np.flatnonzero(_breaking(threat) & np.array([kind == "lines" for kind in network.branch_kinds]))
    buses = network.inner
    lines = lines[:0] if options.max_lines == 0 else lines
    buses = buses[:0] if options.max_generators == 0 else buses
    return HardenProgram(
        network=network,
        stations=stations,
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
