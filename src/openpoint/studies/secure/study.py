"""Secure: which supply switching restores after every single fault, and what a year of faults does to customers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from openpoint.enclosure.judge import SetJudge
from openpoint.errors import InputError, Problem, refuse_unknown
from openpoint.grid.grid import Grid
from openpoint.grid.rules.wiring import LOOPS_SHOWN, mesh_problem, meshes, unsupplied
from openpoint.grid.today import as_asked
from openpoint.network import Network, build_network
from openpoint.network.limits import Limits
from openpoint.network.stations import Stations, open_held_meshes
from openpoint.powerflow.state import AcState, ac_state
from openpoint.results.ac_tables import violations
from openpoint.scenarios.reliability import Reliability
from openpoint.studies.accepted import refuse
from openpoint.studies.secure.answer import answer
from openpoint.studies.secure.model.every_load import Standings, standings_of
from openpoint.studies.secure.model.faults import Fault, Tree, faults_of, held_faults, sections_on_loops, tree_of
from openpoint.studies.secure.model.indices import customers_of, load_of_buses, may_fail
from openpoint.studies.secure.model.switchings import Asked, needs_of, restorations, switchings_after, taken
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
    also where the time is up.

    Raises:
        InputError: the grid has faults, several phases or a state that is not radial or has no power flow; a name that
            is unknown; faults of the reliability data.
        OptionError: options that make no sense.

    SAIFI, SAIDI and CAIDI are those of IEEE Std 1366.
    """
    data = options.data(grid)
    grid, steps = held_grid(options.holding(_as_asked(grid, options)))
    planned, state = _state(grid, options)
    network = options.after_faults(grid, planned)
    stations = open_held_meshes(network)
    controls, apart = controls_of(grid, stations)
    if controls.count and (options.beyond_ties or options.shares):
        what = "searches beyond ties" if options.beyond_ties else "what is proved for every load of a set"
        message = f"{controls.names[0]} holds a voltage by its taps, which stay where they are in {what}"
        raise InputError([Problem("transformers", controls.names[0], "v_hold_min_pu", message, BEYOND)])
    tree = tree_of(stations.opened, stations.opened.closed)
    if tree is None:  # permanently closed loops other than couplers and branches in parallel
        left = grid.with_closed(dict(zip(network.branch_names, stations.opened.closed.tolist(), strict=True)))
        raise InputError([mesh_problem(mesh) for mesh in meshes(left)[:LOOPS_SHOWN]])
    found = _faults(grid, stations, tree, data, options)
    return PreparedFaults(
        grid, network, planned, state, stations, tree, controls, (*steps, *apart), found, data, options
    )


@dataclass(frozen=True)
class PreparedFaults:
    """A state of a grid and its faults, ready to be evaluated.

    Attributes:
        grid: in the state asked about. network, planned: of it, with the limits of an emergency and of planning.
        state: without a fault. stations: the permanently closed loops. tree: of the opened network.
        controls: tap changers that hold a voltage. notes: about them. faults: those that there are. data: customers and
            rates.
    """

    grid: Grid
    network: Network
    planned: Network
    state: AcState
    stations: Stations
    tree: Tree
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
            restored = restorations(
                stations, self.tree, self.controls, found, load_kw, lambda done: report(done, len(found))
            )
            report(len(found), len(found))
            switched = switchings_after(stations, found, restored, needs, asked, until, report)
            restored = [taken(*each) for each in zip(restored, switched, strict=True)]
            judge = SetJudge(self.grid, stations.whole, options.shares, options.budget) if options.shares else None
            if judge is None:
                known = Standings.nothing(len(found))
            else:
                restored, known = standings_of(judge, stations, found, restored, until, report)
        broken = violations(self.planned, self.state)
        whole = self.grid, self.network, self.state, self.controls
        return answer(*whole, self.notes, broken, found, restored, switched, known, load_kw, self.data, options)


secure = function("secure", SecureOptions, prepare)


def _as_asked(grid: Grid, options: SecureOptions) -> Grid:
    """The grid in the state that is asked about.

    Raises:
        InputError: several phases, a branch that is unknown, or a state that is not radial.
    """
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


def _state(grid: Grid, options: SecureOptions) -> tuple[Network, AcState]:
    """The network with the limits of planning, and its state without a fault.

    Raises:
        InputError: there is no power flow.
    """
    network = Limits.given(options.limits).applied(build_network(grid))
    state = ac_state(network, network.closed)
    if state is None:
        remedy = "The grid cannot carry its load (voltage collapse): check loads and impedances, and their units"
        raise InputError([Problem("buses", "", "", "the power flow has no solution", remedy)])
    return network, state


def _faults(grid: Grid, stations: Stations, tree: Tree, data: Reliability, options: SecureOptions) -> list[Fault]:
    """The faults of the branches of trees, and of those on permanently closed loops."""
    network, opened = stations.whole, stations.opened
    sections = options.sections(grid, network, data)
    fails = may_fail(network, not options.lines_only)
    on_loop = sections_on_loops(network, sections, network.closed)[sections.of_branch]
    return [
        *faults_of(opened, sections, tree, opened.closed, fails & ~on_loop),
        *held_faults(network, sections, network.closed, fails & on_loop),
    ]
