"""Dispatch: switches, taps, capacitor steps and generators in one problem, with its optimum proven."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from openpoint.arguments import names_of
from openpoint.errors import OptionError
from openpoint.formulations.radiality import choices_left, refuse_impossible
from openpoint.grid.balanced import HAS_PHASES, has_phases
from openpoint.grid.grid import Grid
from openpoint.network import Network, build_network
from openpoint.network.criteria import criterion_costs
from openpoint.network.devices import DeviceKind, Devices, build_devices, build_prices, build_supply
from openpoint.network.freedom import SwitchingRules, free_kinds, freed, without_idle
from openpoint.network.limits import Limits
from openpoint.network.operating_cost import OperatingCost
from openpoint.network.stations import Stations, open_held_meshes, refuse_shared_taps
from openpoint.report.terminal import words
from openpoint.studies.dispatch.answer import dispatch_result, unit_of
from openpoint.studies.dispatch.methods import Method, quickest, solve
from openpoint.studies.dispatch.options import DispatchOptions
from openpoint.studies.dispatch.phases import PreparedPhases, prepare_phases
from openpoint.studies.dispatch.question import Question
from openpoint.studies.dispatch.result import DispatchResult
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress
from openpoint.verify.asked import Asked


def question_of(grid: Grid, options: DispatchOptions) -> Question:
    """The question about a grid.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, locks that leave no radial state, or no prices
            where the cost is sought.
        OptionError: a grid of several phases, or something to be free of which the grid has none.
    """
    network = build_network(grid)
    if not network.is_balanced:
        raise OptionError(f"dispatch works on balanced grids (phases '1'); {HAS_PHASES}")
    network = Limits.given(options.limits).applied(network)
    every = build_devices(grid, network)
    free = free_kinds(network, every, options.free)
    prices = _prices(grid, network, options)
    if prices is not None:
        prices = without_idle(prices, network, every, free)
    network, devices = freed(network, every, free)
    stations = _with_stations(network, devices)
    refuse_shared_taps(stations, devices, "Leave taps out of what is free (--free)")
    switchable = network.switchable & ("topology" in free)
    named = options.locked_open, options.locked_closed, options.most_changes
    rules = SwitchingRules.locked(network, network.closed, switchable, *named).without(stations.dropped)
    refuse_impossible(grid, network, choices_left(network, rules), rules.must_close)
    _LOG.info("built the network with its devices and limits")
    return Question(
        stations=stations,
        devices=devices,
        supply=build_supply(grid, network),
        costs=criterion_costs(stations, prices),
        weights=options.weights,
        most=_most(options),
        rules=rules,
        free=free,
        asked=_asked(options, free),
    )


def _asked(options: DispatchOptions, free: tuple[str, ...]) -> Asked:
    """The question in words."""
    return Asked(
        limits=Limits.given(options.limits),
        locked_open=names_of(options.locked_open, "locked_open"),
        locked_closed=names_of(options.locked_closed, "locked_closed"),
        max_changes=options.most_changes,
        free=free,
        minimize=dict(options.weights),
    )


def asked_otherwise(question: Question, options: DispatchOptions) -> Question:
    """The question about the same network with other weights and bounds, or more limits; all else is as before."""
    return replace(
        question,
        stations=_with_stations(Limits.given(options.limits).applied(question.stations.whole), question.devices),
        weights=options.weights,
        most=_most(options),
        rules=replace(question.rules, max_changes=options.most_changes),
        asked=_asked(options, question.free),
    )


def _with_stations(network: Network, devices: Devices) -> Stations:
    """The network with its permanently closed loops opened, as far as that holds for all positions of the devices."""
    return open_held_meshes(network, network.source_terminal[devices.place[devices.of(DeviceKind.VOLTAGE)]])


def _most(options: DispatchOptions) -> dict[str, float]:
    """The most that a criterion may be, but for changes, which are counted by themselves."""
    return {name: most for name, most in options.most.items() if name != "changes"}


def _prices(grid: Grid, network: Network, options: DispatchOptions) -> OperatingCost | None:
    """The prices of a grid that has them; they must be there where the cost is sought.

    Raises:
        InputError: a price is not known.
    """
    asked = {"cost"} & {*options.weights, *options.most}
    if not asked and grid.sources["price_usd_per_kwh"].null_count():
        return None
    return build_prices(grid, network)


_LOG = logging.getLogger(__name__)


def prepare(grid: Grid, options: DispatchOptions) -> Prepared[DispatchResult]:
    """The operating state in which a weighted sum of criteria is least and all limits hold, proven and verified by AC.

        min  Σ weight · criterion   over open points, taps, capacitor steps and outputs of generators
        s.t. radial; exact AC power flow; limits of voltages, currents, sources and generators; bounded criteria

    Steps and taps are whole numbers. In grids of phases a, b, c regulators, capacitors and switches are set for least
    losses or, with one price for all sources, least cost: OpenDSS evaluates every state, and
    nothing is proven unless states are few enough to try all. The criteria, with their units and definitions, are those
    of `openpoint.network.criteria`: losses (kW), cost ($/h), balance, deviation (pu), changes and moves.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or the cost is asked of a grid without prices.
        OptionError: options that make no sense, something free of which the grid has none, or a method that cannot
            take the question.
    """
    return state_question(grid, options)


def state_question(grid: Grid, options: DispatchOptions) -> PreparedState | PreparedPhases:
    """`prepare`, as the class that it is."""
    grid, options = options.on(grid)
    if has_phases(grid):
        return prepare_phases(grid, options)
    return _with_method(grid, question_of(grid, options), options)


def _with_method(grid: Grid, question: Question, options: DispatchOptions) -> PreparedState:
    if (method := options.chosen) is not None:
        return PreparedState(grid, question, method, "it was asked for")
    return PreparedState(grid, question, *quickest(question, options.gap, options.time_limit_s))


@dataclass(frozen=True)
class PreparedState:
    """A question about a balanced grid, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. question: as numbers.
        method: named, or chosen. why: in words, why it is taken.
    """

    grid: Grid
    question: Question
    method: Method
    why: str

    @property
    def free(self) -> tuple[str, ...]:
        """What is free to move."""
        return self.question.free

    @property
    def unit(self) -> str:
        """Of what is minimised."""
        return unit_of(self.question)

    @property
    def heading(self) -> str:
        """What may move, and the method."""
        return f"free: {', '.join(self.free)}\nmethod: {words.method(self.method)}, because {self.why}"

    def asked_otherwise(self, options: DispatchOptions) -> PreparedState:
        """The same grid with other weights and bounds, or more limits; its network and devices are not built again.

        Raises:
            InputError, OptionError: as `dispatch`.
        """
        if not {*options.weights, *options.most} <= {*self.question.costs}:  # prices that the grid may not have
            return _with_method(self.grid, question_of(self.grid, options), options)
        return _with_method(self.grid, asked_otherwise(self.question, options), options)

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> DispatchResult:
        """The result, verified by exact AC power flow. `deadline`: in place of the method's own."""
        self.question.today  # noqa: B018 compiles kernels outside the method's time
        _LOG.info("stated the problem; the method begins")
        with deadline_of(self.method.time_limit_s, deadline) as deadline:
            found = solve(self.method, self.question, progress, deadline)
            _LOG.info("the method ended")
            return dispatch_result(self.grid, self.question, str(self.method), self.why, found)


dispatch = function("dispatch", DispatchOptions, prepare)
