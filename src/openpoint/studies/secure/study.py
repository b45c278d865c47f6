"""Secure: which supply switching restores after every single fault, and what a year of faults does to customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl

from openpoint.enclosure.judge import SetJudge
from openpoint.errors import InputError, OptionError, Problem, refuse_unknown
from openpoint.grid.balanced import HAS_PHASES, has_phases
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import LOOPS_SHOWN, mesh_problem, meshes, unsupplied
from openpoint.grid.today import as_asked
from openpoint.grid.unfed import without_idle
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.opendss import phase_state
from openpoint.powerflow.state import ac_state
from openpoint.results.ac_tables import phase_violations, violations
from openpoint.scenarios.reliability import Reliability
from openpoint.search.plan.flows import PhaseStates
from openpoint.studies.accepted import refuse
from openpoint.studies.secure.answer import Before, answer
from openpoint.studies.secure.model.every_load import Standings, standings_of
from openpoint.studies.secure.model.faults import Fault, Tree, faults_of, held_faults, sections_on_loops, tree_of
from openpoint.studies.secure.model.indices import customers_of, load_of_buses, may_fail
from openpoint.studies.secure.model.phases import PhaseFaultStates, graph_of, loops_opened, lowest, units_together
from openpoint.studies.secure.model.states import States
from openpoint.studies.secure.model.switchings import Asked, Evaluated, needs_of, restorations, switchings_after, taken
from openpoint.studies.secure.model.taps import TapControls, controls_of, held_grid
from openpoint.studies.secure.options import SecureOptions
from openpoint.studies.secure.result import SecureResult
from openpoint.studies.shared import split
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of

BEYOND = "Let taps stay (--hold none), or leave out --switchings, --any-switching and --for-every"


def prepare(grid: Grid, options: SecureOptions) -> Prepared[SecureResult]:
    """What every single fault of a line or transformer does to a radial state, and what switching does about it.

    A fault takes down its section, all that stays joined to it when every switch around it is opened, and trips what is
    fed through the breaker above it. Once the section is isolated, each part that was fed through it may be fed by one
    tie: every choice of ties is checked by its exact AC power flow, and of those within the limits the one that
    restores most is taken, then that of fewest ties and of least loss. Generation inside a part is no source. Where one
    tie a part does not do, more may be closed and others opened. Whether any radial state at all restores all that a
    path leads to is the column `restorable`; it does not depend on the state asked about. Ties are tried in any case,
    also where the time is up. Of a grid of phases a, b, c OpenDSS evaluates the states, and taps stay.

    Raises:
        InputError: the grid has faults, a state that is not radial or has no power flow; a name that is unknown; faults
            of the reliability data.
        OptionError: options that make no sense.

    SAIFI, SAIDI and CAIDI are those of IEEE Std 1366.
    """
    data, grid = options.data(grid), _as_asked(grid, options)
    steps = tuple[str, ...]()
    if has_phases(grid):
        grid = _for_phases(grid, options)
    else:
        grid, steps = held_grid(options.holding(grid))
    planned = Limits.given(options.limits).applied(build_network(grid))
    whole = options.after_faults(grid, planned)
    before = _before(grid, planned, whole)
    network = whole if whole.is_balanced else graph_of(whole)
    stations = open_held_meshes(whole) if whole.is_balanced else loops_opened(network)
    controls, apart = controls_of(grid, stations)
    if controls.count and (options.beyond_ties or options.shares):
        what = "searches beyond ties" if options.beyond_ties else "what is proved for every load of a set"
        message = f"{controls.names[0]} holds a voltage by its taps, which stay where they are in {what}"
        raise InputError([Problem("transformers", controls.names[0], "v_hold_min_pu", message, BEYOND)])
    tree = tree_of(stations.opened, stations.opened.closed)
    if tree is None:  # permanently closed loops other than couplers and branches in parallel
        left = grid.with_closed(dict(zip(network.branch_names, stations.opened.closed.tolist(), strict=True)))
        raise InputError([mesh_problem(mesh) for mesh in meshes(left)[:LOOPS_SHOWN]])
    found = _faults(grid, whole, stations, tree, data, options)
    states: Evaluated = States(stations, tree, controls)
    if not whole.is_balanced:
        states = PhaseFaultStates(network, PhaseStates(grid, whole))
    return PreparedFaults(grid, network, before, stations, states, controls, (*steps, *apart), found, data, options)


@dataclass(frozen=True)
class PreparedFaults:
    """A state of a grid and its faults, ready to be evaluated.

    Attributes:
        grid: in the state asked about. network: of it, with the limits of an emergency; the graph of one of phases.
        before: without a fault. stations: the permanently closed loops. states: those after faults.
        controls: tap changers that hold a voltage. notes: about them. faults: those that there are. data: customers and
            rates.
    """

    grid: Grid
    network: Network
    before: Before
    stations: Stations
    states: Evaluated
    controls: TapControls
    notes: tuple[str, ...]
    faults: list[Fault]
    data: Reliability
    options: SecureOptions
    heading: str = ""
    unit: str = "faults"

    def solve(
        self, progress: Callable[[int, int], None] | None = None, deadline: Deadline | None = None
    ) -> SecureResult:
        """What every fault does.

        Args:
            progress: called with the number of faults decided, and of all; then with those searched for more than
                ties, and of all of these.
            deadline: in place of the time limit.
        """
        found, options, stations = self.faults, self.options, self.stations
        report = progress or (lambda *_: None)
        report(0, len(found))
        load_kw, customers = load_of_buses(self.grid, self.network), customers_of(self.network, self.data)
        needs = [needs_of(fault, load_kw, customers) for fault in found]
        asked = Asked(options.switchings, options.any_switching)
        with deadline_of(options.time_limit_s, deadline) as until:
            # all of them, also if the time is up
            restored = restorations(self.states, found, load_kw, lambda done: report(done, len(found)))
            report(len(found), len(found))
            switched = switchings_after(stations, found, restored, needs, asked, until, report)
            restored = [taken(*each) for each in zip(restored, switched, strict=True)]
            judge = SetJudge(self.grid, stations.whole, options.shares, options.budget) if options.shares else None
            if judge is None:
                known = Standings.nothing(len(found))
            else:
                restored, known = standings_of(judge, stations, found, restored, until, report)
        whole = self.grid, self.network, self.before, self.controls, self.notes
        return answer(*whole, found, restored, switched, known, load_kw, self.data, options)


secure = function("secure", SecureOptions, prepare)


def _as_asked(grid: Grid, options: SecureOptions) -> Grid:
    """The grid in the state that is asked about.

    Raises:
        InputError: a branch that is unknown, or a state that is not radial.
    """
    if has_phases(grid):
        grid = without_idle(grid.check())
    refuse("secure", grid)
    grid = as_asked(grid, split(grid, options.switchable, "switchable"), (), ())
    names = grid.branches()["name"].to_list()
    if (opened := options.state(grid)) is not None:
        refuse_unknown("branches", opened, names)
        grid = grid.with_closed({name: name not in opened for name in names})
    if found := [mesh for mesh in meshes(grid) if not mesh.is_held]:
        raise InputError([mesh_problem(mesh) for mesh in found[:LOOPS_SHOWN]])
    if dark := unsupplied(grid):
        remedy = "Close a branch to them, or let `openpoint reconfigure` choose it"
        raise InputError([Problem("buses", ", ".join(dark[:10]), "", "no source reaches them without a fault", remedy)])
    return grid


def _for_phases(grid: Grid, options: SecureOptions) -> Grid:
    """A grid of phases a, b, c, whose taps stay.

    Raises:
        OptionError: what is there for balanced grids only.
    """
    given = {"switchings": options.beyond_ties, "for_every": options.shares, "hold": options.bands}
    if refused := [name for name, value in given.items() if value]:
        raise OptionError(f"secure has {' and '.join(refused)} for balanced grids only (phases '1'); {HAS_PHASES}")
    none = {name: pl.lit(None, pl.Float64) for name in ("v_hold_min_pu", "v_hold_max_pu")}
    return grid.with_tables(transformers=grid.transformers.with_columns(**none))


def _before(grid: Grid, planned: Network, emergency: Network) -> Before:
    """The state without a fault, with the limits of planning and of an emergency.

    Raises:
        InputError: there is no power flow.
    """
    if planned.is_balanced:
        if (state := ac_state(planned, planned.closed)) is not None:
            harmed = violations(emergency, ac_state(emergency, emergency.closed))
            loss_kw = state.loss * planned.s_base_kva
            return Before(np.abs(state.v), loss_kw, violations(planned, state), len(harmed))
    elif (found := phase_state(grid, planned)).has_solution:
        broken, harmed = (phase_violations(network, found) for network in (planned, emergency))
        return Before(lowest(planned, np.abs(found.v)), found.loss_kw, broken, len(harmed))
    remedy = "The grid cannot carry its load (voltage collapse): check loads and impedances, and their units"
    raise InputError([Problem("buses", "", "", "the power flow has no solution", remedy)])


def _faults(
    grid: Grid, whole: Network, stations: Stations, tree: Tree, data: Reliability, options: SecureOptions
) -> list[Fault]:
    """The faults of the branches of trees, and of those on permanently closed loops; `whole`: with its phases."""
    network, opened = stations.whole, stations.opened
    sections = units_together(whole, options.sections(grid, network, data))
    fails = may_fail(network, not options.lines_only)
    on_loop = sections_on_loops(network, sections, network.closed)[sections.of_branch]
    return [
        *faults_of(opened, sections, tree, opened.closed, fails & ~on_loop),
        *held_faults(network, sections, network.closed, fails & on_loop),
    ]
