"""Secure: which supply switching restores after every single fault, and what a year of faults does to customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from openpoint.arguments import Names
from openpoint.errors import InputError, OptionError, Problem
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import LOOPS_SHOWN, mesh_problem, meshes, unsupplied
from openpoint.io import GridLike, read
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.state import AcState, ac_state
from openpoint.scenarios.reliability import Reliability, ReliabilityLike
from openpoint.studies.secure.answer import answer
from openpoint.studies.secure.model.assumptions import customers_of, load_of_buses, may_fail
from openpoint.studies.secure.model.faults import Fault, Tree, faults_of, held_faults, sections_on_loops, tree_of
from openpoint.studies.secure.model.switchings import Asked, needs_of, restorations, switchings_after, taken
from openpoint.studies.secure.options import SecureOptions
from openpoint.studies.secure.result import SecureResult
from openpoint.twostage.deadline import deadline_of


def secure(
    grid: GridLike,
    *,
    open_branches: Names | None = None,
    limits: Limits | None = None,
    max_loading_percent: float = 100.0,
    isolate_lines: bool = False,
    transformers: bool = True,
    switchings: int = 1,
    any_switching: bool = False,
    time_limit_s: float | None = None,
    reliability: ReliabilityLike | None = None,
    failures_per_km_year: float | None = None,
    failures_per_branch_year: float | None = None,
    switching_h: float = 1.0,
    remote_switching_h: float | None = None,
    repair_h: float = 4.0,
    progress: Callable[[int, int], None] | None = None,
) -> SecureResult:
    """What every single fault of a line or transformer does to a radial state, and what switching does about it.

    A fault takes down its section, all that stays joined to it when every switch around it is opened, and trips what is
    fed through the breaker above it. Once the section is isolated, each part that was fed through it may be fed by one
    tie: every choice of ties is checked by its exact AC power flow, and of those within the limits the one that
    restores most is taken, then that of fewest ties and of least loss. Generation inside a part is no source.

    Args:
        grid: a balanced grid, a path or a name that `read` takes.
        open_branches: the branches that are open in the state asked about; default: today's.
        limits: limits of an emergency; default: those of the grid.
        max_loading_percent: most loading after a fault, in percent of the ratings.
        isolate_lines: every line can be isolated at both of its ends, whatever switches the grid has.
        transformers: whether transformers have faults, too.
        switchings: most branches that are closed to restore the supply, though always one for each part. Where one tie
            a part does not do, more are closed and others opened; the verdict and the indices follow.
        any_switching: whether to find, too, for each fault whether any radial state at all restores all that a path
            leads to: the column `restorable`. It does not depend on the state asked about.
        time_limit_s: seconds; whether more than ties restore is unknown of the faults that are not decided then. Ctrl-C
            ends the search as well. Ties are tried in any case.
        reliability: customers by bus, faults by branch, breakers in feeders: a `Reliability`, or what
            `read_reliability` takes.
        failures_per_km_year: faults a year of a km of line; failures_per_branch_year: of every branch without another
            rate. Without any there are no indices.
        switching_h: time until the section is isolated and the ties are closed; remote_switching_h: where all that has
            to be operated for it is `remote` (default: the same). repair_h: until the repair.
        progress: called with the number of faults decided, and of all; then with those searched for more than ties, and
            of all of these.

    Raises:
        InputError: the grid has faults, several phases or a state that is not radial or has no power flow; a name that
            is unknown; faults of the reliability data.
        OptionError: options that make no sense.

    SAIFI, SAIDI and CAIDI are those of IEEE Std 1366.
    """
    options = SecureOptions(
        open_branches=open_branches,
        limits=limits,
        max_loading_percent=max_loading_percent,
        isolate_lines=isolate_lines,
        transformers=transformers,
        switchings=switchings,
        any_switching=any_switching,
        time_limit_s=time_limit_s,
        reliability=reliability,
        failures_per_km_year=failures_per_km_year,
        failures_per_branch_year=failures_per_branch_year,
        switching_h=switching_h,
        remote_switching_h=remote_switching_h,
        repair_h=repair_h,
    )
    return secured(read(grid), options, progress)


def secured(grid: Grid, options: SecureOptions, progress: Callable[[int, int], None] | None = None) -> SecureResult:
    """As `secure`, for a grid and options at hand."""
    data = options.data(grid)
    grid = _as_asked(grid, options)
    network, state = _state(grid, options)
    stations = open_held_meshes(network)
    tree = tree_of(stations.opened, stations.opened.closed)
    if tree is None:  # held meshes other than couplers and branches in parallel
        left = grid.with_closed(dict(zip(network.branch_names, stations.opened.closed.tolist(), strict=True)))
        raise InputError([mesh_problem(mesh) for mesh in meshes(left)[:LOOPS_SHOWN]])
    found = _faults(grid, stations, tree, data, options)

    def on_progress(done: int) -> None:
        if progress is not None:
            progress(done, len(found))

    on_progress(0)
    load_kw, customers = load_of_buses(grid, network), customers_of(network, data)
    needs = [needs_of(fault, load_kw, customers) for fault in found]
    asked = Asked(options.switchings, options.any_switching)
    with deadline_of(options.time_limit_s) as deadline:
        restored = restorations(stations, tree, found, load_kw, on_progress)  # all of them, also if the time is up
        on_progress(len(found))
        switched = switchings_after(stations, found, restored, needs, asked, deadline, progress or (lambda *_: None))
    restored = [taken(*each) for each in zip(restored, switched, strict=True)]
    return answer(grid, network, state, found, restored, switched, load_kw, data, options)


def _as_asked(grid: Grid, options: SecureOptions) -> Grid:
    """The grid in the state that is asked about.

    Raises:
        InputError: several phases, a branch that is unknown, or a state that is not radial.
    """
    if (grid.buses["phases"] != "1").any():
        raise OptionError(f"secure takes balanced grids; {HAS_PHASES}")
    names = grid.branches()["name"].to_list()
    if options.state is not None:
        remedy = "`openpoint info GRID` lists the branches"
        unknown = [name for name in options.state if name not in set(names)]
        if unknown:
            raise InputError([Problem("branches", name, "", "no such branch in this grid", remedy) for name in unknown])
        grid = grid.with_closed({name: name not in options.state for name in names})
    if found := [mesh for mesh in meshes(grid) if not mesh.is_held]:
        raise InputError([mesh_problem(mesh) for mesh in found[:LOOPS_SHOWN]])
    if dark := unsupplied(grid):
        remedy = "Close a branch to them, or let `openpoint reconfigure` choose it"
        raise InputError([Problem("buses", ", ".join(dark[:10]), "", "no source reaches them without a fault", remedy)])
    return grid


def _state(grid: Grid, options: SecureOptions) -> tuple[Network, AcState]:
    """The network with the limits of an emergency, and its state without a fault.

    Raises:
        InputError: there is no power flow.
    """
    network = Limits.given(options.limits).applied(build_network(grid))
    network = replace(network, l_max=network.l_max * (options.max_loading_percent / 100.0) ** 2)
    state = ac_state(network, network.closed)
    if state is None:
        remedy = "The grid cannot carry its load (voltage collapse): check loads and impedances, and their units"
        raise InputError([Problem("buses", "", "", "the power flow has no solution", remedy)])
    return network, state


def _faults(grid: Grid, stations: Stations, tree: Tree, data: Reliability, options: SecureOptions) -> list[Fault]:
    """The faults of the branches of trees, and of those on held meshes."""
    network, opened = stations.whole, stations.opened
    sections = options.sections(grid, network, data)
    fails = may_fail(network, options.transformers)
    on_loop = sections_on_loops(network, sections, network.closed)[sections.of_branch]
    return [
        *faults_of(opened, sections, tree, opened.closed, fails & ~on_loop),
        *held_faults(network, sections, network.closed, fails & on_loop),
    ]
