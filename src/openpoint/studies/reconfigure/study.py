"""Reconfigure: which switches stand open, so that the grid is radial, its losses are least and its limits hold."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import overload

from openpoint.arguments import Names
from openpoint.errors import OptionError
from openpoint.grid.balanced import HAS_PHASES
from openpoint.grid.grid import Grid
from openpoint.grid.today import as_asked
from openpoint.io import GridLike, read
from openpoint.network.limits import Limits
from openpoint.network.stations import Stations
from openpoint.powerflow.state import ac_state
from openpoint.scenarios.ambiguity import FuturesRecipe
from openpoint.scenarios.futures import FuturesLike, read_futures
from openpoint.scenarios.year.blocks import BlocksLike
from openpoint.scenarios.year.read import YearLike
from openpoint.studies.reconfigure.answer import radial_result
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.futures.study import Faced, reconfigure_futures
from openpoint.studies.reconfigure.methods import BranchExchange, Method, quickest, refuse_executor
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.studies.reconfigure.options import FuturesQuestion, ReconfigureOptions
from openpoint.studies.reconfigure.phases.study import PreparedPhases, has_phases, prepare_phases
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.setup import radial_program, station_program
from openpoint.studies.reconfigure.soft import solve_softly
from openpoint.studies.reconfigure.year.result import YearResult
from openpoint.studies.reconfigure.year.seasons.options import BlocksQuestion
from openpoint.studies.reconfigure.year.seasons.result import SeasonsResult
from openpoint.studies.reconfigure.year.seasons.study import PreparedSeasons, prepare_seasons
from openpoint.studies.reconfigure.year.study import PreparedYear, prepare_year
from openpoint.twostage.ambiguity import Ambiguity
from openpoint.twostage.deadline import deadline_of
from openpoint.twostage.log import PROVEN_GAP, Progress
from openpoint.twostage.risk import Expectation, Risk

_LOG = logging.getLogger(__name__)

__all__ = ["BranchExchange", "Method", "prepare", "reconfigure"]


@overload
def reconfigure(
    grid: GridLike,
    *,
    method: Method | None = ...,
    limits: Limits | None = ...,
    locked_open: Names = ...,
    locked_closed: Names = ...,
    switchable: Names = ...,
    max_changes: int | None = ...,
    change_cost_kw: float = ...,
    soft_limits: bool = ...,
    progress: Progress | None = ...,
) -> ReconfigureResult: ...


@overload
def reconfigure(
    grid: GridLike,
    *,
    year: YearLike,
    method: Method | None = ...,
    limits: Limits | None = ...,
    locked_open: Names = ...,
    locked_closed: Names = ...,
    switchable: Names = ...,
    max_changes: int | None = ...,
    change_cost_kw: float = ...,
    progress: Progress | None = ...,
) -> YearResult: ...


@overload
def reconfigure(
    grid: GridLike,
    *,
    year: YearLike,
    blocks: BlocksLike,
    switchings_a_year: int | None = ...,
    switching_kwh: float = ...,
    from_today: bool = ...,
    method: Method | None = ...,
    limits: Limits | None = ...,
    locked_open: Names = ...,
    locked_closed: Names = ...,
    switchable: Names = ...,
    progress: Progress | None = ...,
) -> SeasonsResult: ...


@overload
def reconfigure(
    grid: GridLike,
    *,
    futures: FuturesLike,
    risk: Risk | None = ...,
    ambiguity: Ambiguity | FuturesRecipe | None = ...,
    limits_share: float = ...,
    sample: FuturesLike | None = ...,
    method: Method | None = ...,
    limits: Limits | None = ...,
    locked_open: Names = ...,
    locked_closed: Names = ...,
    switchable: Names = ...,
    max_changes: int | None = ...,
    change_cost_kw: float = ...,
    progress: Progress | None = ...,
) -> FuturesResult: ...


def reconfigure(
    grid: GridLike,
    *,
    futures: FuturesLike | None = None,
    risk: Risk | None = None,
    ambiguity: Ambiguity | FuturesRecipe | None = None,
    limits_share: float = 1.0,
    sample: FuturesLike | None = None,
    year: YearLike | None = None,
    blocks: BlocksLike | None = None,
    switchings_a_year: int | None = None,
    switching_kwh: float = 0.0,
    from_today: bool = False,
    method: Method | None = None,
    limits: Limits | None = None,
    locked_open: Names = (),
    locked_closed: Names = (),
    switchable: Names = (),
    max_changes: int | None = None,
    change_cost_kw: float = 0.0,
    soft_limits: bool = False,
    progress: Progress | None = None,
) -> ReconfigureResult | FuturesResult | YearResult | SeasonsResult:
    """The radial state of least loss that keeps the limits, proven to a gap and verified by exact AC power flow.

        min  ρ[loss] + change_cost_kw · changes   over radial states;  exact AC power flow;  limits

    Without futures the loss is that of the grid's own demand (`openpoint.search.topology`). With a year it is the mean
    over all steps, and the limits hold in every step (`openpoint.search.futures.groups`); of its blocks, each has a
    topology of its own (`openpoint.search.switching`). With futures one topology serves them all, and ρ says how their
    losses become one number (`openpoint.search.futures`); where generators are dispatched in every future, a
    mixed-integer master chooses the topology, and a second-order cone power flow (Farivar and Low 2013) values it and
    answers with cuts (`openpoint.twostage.methods.decomposition`).

    On a grid of phases a, b, c the exact power flow is that of OpenDSS. Where radial topologies are few, all are tried;
    else the bound is that of a linear model (`openpoint.studies.reconfigure.phases.study`). Outputs stay as they are.

    Args:
        grid: the grid, a path or a name that `read` takes; changes are counted from its closed branches, today's state.
        futures: demands that may come to be (what `read_futures` takes). What follows up to `sample` goes with them.
        risk: ρ, `Expectation()` (default), `CVaR(0.9)`, `WorstCase()`, or `Regret()`, the worst excess over what each
            future would lose had it been known; `Regret(Expectation())` is the mean of those.
        ambiguity: a set of probabilities, or a recipe of `scenarios.ambiguity` for one; ρ is the worst expectation.
        limits_share: share of the futures, by probability, in which the limits must be kept.
        sample: other futures in which to evaluate the answer, such as `grow` draws with another seed.
        year: steps of a year (what `read_year` takes), in place of futures.
        blocks: parts of the year, such as `monthly`, with a topology each (`openpoint.scenarios.year.blocks`).
        switchings_a_year: most switch operations between the blocks, an opening and a closing one each; default: any.
        switching_kwh: energy that a switch operation must save to be worth it.
        from_today: whether operations from today's state to that of the first block count, too.
        method: `TopologySearch()`, `Benders()`, `ExtensiveForm()` or `Enumeration()`; default: the first of them that
            can take the question. `BranchExchange()` proves nothing, and answers at once.
        limits: limits to keep; default: those of the grid.
        locked_open, locked_closed: branches that must be open or closed, transformers too: a name, or several.
        switchable: branches that may be switched beside those that the grid names: a name or pattern (`CB*`), several.
        max_changes: most branches whose state may differ from today's. change_cost_kw: cost of each, in kW of loss.
        soft_limits: where nothing keeps all limits, answer with the state that breaks them least and of those loses
            least, and with `Termination.SOFT` (`openpoint.studies.reconfigure.soft`).
        progress: called with every iteration.

    Returns:
        `ReconfigureResult`; with futures, `FuturesResult`; with a year, `YearResult`; with its blocks, `SeasonsResult`.

    Raises:
        InputError: the grid, the year or its blocks have faults, or a locked branch is unknown.
        OptionError: options that contradict each other, futures or a year of another grid, or unknown probabilities.
    """
    options = ReconfigureOptions(
        method=method,
        limits=limits,
        locked_open=locked_open,
        locked_closed=locked_closed,
        switchable=switchable,
        max_changes=max_changes,
        change_cost_kw=change_cost_kw,
        soft_limits=soft_limits,
    )
    many = FuturesQuestion(futures, risk, ambiguity, limits_share, sample)
    cut = BlocksQuestion(blocks, switchings_a_year, switching_kwh, from_today)
    return _prepared(grid, options, year, cut, many).solve(progress)


def _prepared(
    grid: GridLike, options: ReconfigureOptions, year: YearLike | None, cut: BlocksQuestion, many: FuturesQuestion
) -> Prepared | PreparedPhases | PreparedFutures | PreparedYear | PreparedSeasons:
    """What the arguments ask for, ready to be solved."""
    if year is None and cut.blocks is not None:
        raise OptionError("blocks are those of a year; give year, or leave them out")
    if year is not None and cut.blocks is not None:
        return prepare_seasons(read(grid), options, year, cut, many)
    if year is not None:
        return prepare_year(read(grid), options, year, many)
    if many.futures is None and not many.counted:
        return prepare(read(grid), options)
    return prepare_futures(read(grid), options, many)


def prepare(grid: Grid, options: ReconfigureOptions) -> Prepared | PreparedPhases:
    """All that a run for the demand of today needs: the grid is checked, its network built and the method chosen.

    Raises:
        InputError: the grid has faults, a locked branch is unknown, or locks that leave no radial state.
        OptionError: a method that cannot take the question.
    """
    grid = as_asked(grid, options.switchable, options.locked_open, options.locked_closed)
    if has_phases(grid):
        return prepare_phases(grid, options)
    program, stations = station_program(grid, options)
    method = options.method or quickest(program, gap=options.gap, time_limit_s=options.time_limit_s)
    return Prepared(grid, program, stations, method, options.soft_limits)


@dataclass(frozen=True)
class Prepared:
    """A question about a balanced grid, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. program: its network, limits and locks, held meshes opened.
        stations: the held meshes.
        method: named, or chosen for the program. soft_limits: as of `reconfigure`.
    """

    grid: Grid
    program: RadialProgram
    stations: Stations
    method: Method
    soft_limits: bool

    def solve(self, progress: Progress | None = None) -> ReconfigureResult:
        """The result, verified by exact AC power flow."""
        program, method = self.program, self.method
        whole = self.stations.whole
        before = ac_state(whole, whole.closed)
        _LOG.info("computed today's state by AC power flow")
        program.ac.objectives(program.network.closed[None, :])  # compiles kernels outside the method's time
        _LOG.info("stated the problem; the method begins")
        with deadline_of(method.time_limit_s) as deadline:
            if self.soft_limits:
                outcome, soft = solve_softly(program, method, progress, deadline)
            else:
                outcome, soft = method.solve(program, progress, deadline), None
            _LOG.info("the method ended")
            return radial_result(self.grid, program, self.stations, str(method), before, outcome, soft)


def prepare_futures(grid: Grid, options: ReconfigureOptions, many: FuturesQuestion) -> PreparedFutures:
    """All that a run for many futures needs, with the method chosen.

    Raises:
        OptionError: no futures, soft limits, a grid of several phases.
    """
    if options.soft_limits and many.futures is not None:
        raise OptionError("soft limits are for the demand of today; leave out soft_limits, or the futures")
    refuse_executor(options.method)
    grid = as_asked(grid, options.switchable, options.locked_open, options.locked_closed)
    if has_phases(grid):
        raise OptionError(
            f"many futures are for balanced grids (phases '1'); {HAS_PHASES}. Or leave out futures, risk, ambiguity, "
            "limits_share and sample"
        )
    if many.futures is None:
        raise OptionError("risk, ambiguity, limits_share and sample go with futures; give futures, or leave them out")
    program = radial_program(grid, options)
    planned = read_futures(many.futures, grid)
    others = None if many.sample is None else read_futures(many.sample, grid)
    faced = Faced(planned, many.risk or Expectation(), many.ambiguity, many.limits_share, others)
    method = options.method
    if method is None:
        gap = PROVEN_GAP if options.gap is None else options.gap
        method = quickest(faced.before(program), gap=gap, time_limit_s=options.time_limit_s)
    return PreparedFutures(grid, program, faced, method)


@dataclass(frozen=True)
class PreparedFutures:
    """A question about many futures of a balanced grid, ready to be solved.

    Attributes:
        grid: with what is asked for given to the choice. program: its network, limits and locks. faced: the futures.
        method: named, or chosen for the program.
    """

    grid: Grid
    program: RadialProgram
    faced: Faced
    method: Method

    def solve(self, progress: Progress | None = None) -> FuturesResult:
        """The result, verified by exact AC power flow in every future."""
        return reconfigure_futures(self.grid, self.program, self.faced, self.method, progress)
