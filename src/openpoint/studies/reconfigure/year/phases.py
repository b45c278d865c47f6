"""A year of a grid of phases a, b, c: typical steps, each of which is a demand of its own, weighed by its hours."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from openpoint.arrays import Bools, Complexes
from openpoint.errors import OptionError
from openpoint.formulations.phases import Demands, PhasesQuestion
from openpoint.grid.grid import Grid
from openpoint.grid.today import with_outputs_as_given
from openpoint.grid.unfed import without_idle
from openpoint.powerflow.series import SeriesFlows
from openpoint.scenarios.year.read import Year, read_year
from openpoint.search.exchange.phases import PhasesEvaluator, excess, first_state
from openpoint.search.methods import TopologySearch
from openpoint.search.phases.model import PhaseModel
from openpoint.studies.accepted import refuse
from openpoint.studies.reconfigure.futures.evaluate import evaluate_phases
from openpoint.studies.reconfigure.options import ReconfigureYearOptions
from openpoint.studies.reconfigure.phases.search import bounded_model, for_phases, question_of, search_phases
from openpoint.studies.reconfigure.year.result import YearResult
from openpoint.studies.reconfigure.year.search import InUnit
from openpoint.studies.reconfigure.year.tables import Answered, Shown, Two, heading_of, year_result
from openpoint.studies.secure.model.phases import graph_of
from openpoint.twostage.ambiguity import exactly
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Progress

MOST = 400
"""Steps of a year of a grid of phases, each of which has multipliers and a bound of its own."""
_AS_LOAD = "name", "bus", "phases", "connection"


def prepare_phases_year(grid: Grid, options: ReconfigureYearOptions) -> PreparedPhasesYear:
    """All that a year on a grid of several phases needs.

    Raises:
        InputError: the grid or the year has faults, or a locked branch is unknown.
        OptionError: what is there for balanced grids only, a year of another grid or of too many steps, or a grid that
            the bound is not valid for.
    """
    method = options.chosen if options.chosen is not None else TopologySearch(time_limit_s=options.time_limit_s)
    if options.soft_limits or method.certificate is not None:
        raise OptionError("a year of a grid with phases a, b, c has no soft limits and no certificate: leave these out")
    method = for_phases(replace(method, gap=method.gap if method.gap is not None else options.gap))
    grid, asked = options.on(grid)
    refuse("reconfigure-year", grid)
    year = read_year(options.year, grid)
    if year.bus_names != tuple(grid.buses["name"]):
        raise OptionError("this year is of another grid: its buses are not those of this grid, in its order")
    if len(year) > MOST:
        raise OptionError(
            f"this year has {len(year):,} steps; of a grid with phases a, b, c it may have {MOST}: give typical steps, "
            "each with the `hours` of the year that it stands for"
        )
    grid, outputs = with_outputs_as_given(grid.check())
    fed = without_idle(grid)
    planned, year, loads_kva = _demands(grid, fed, year)
    question = question_of(planned, asked)
    weights = year.hours / year.hours.sum()
    question = replace(question, demands=Demands(loads_kva, exactly(weights), weights))
    year = replace(year, notes=(*year.notes, *outputs))
    return PreparedPhasesYear(fed, year, question, bounded_model(question, "Plan its balanced equivalent"), method)


def _demands(grid: Grid, fed: Grid, year: Year) -> tuple[Grid, Year, Complexes]:
    """The grid that is fed with a load in place of each generator, its part of the year, and (T, L) powers, kVA."""
    made = fed.generators.with_columns(name=_unlike(fed.generators["name"], set(fed.loads["name"])))
    added = made.select(_AS_LOAD).with_columns(model=pl.lit("power"), p_kw=pl.lit(0.0), q_kvar=pl.lit(0.0))
    loads = pl.concat([fed.loads, added], how="diagonal").select(fed.loads.columns)
    row = {name: k for k, name in enumerate(_elements(fed))}
    number = np.array([row.get(name, -1) for name in _elements(grid)], dtype=np.int64)[year.element]
    kept = number >= 0
    parts = {name: getattr(year, name)[kept] for name in ("bus", "follows", "kva", "element")}
    powers = np.zeros((len(year), loads.height), dtype=np.complex128)
    np.add.at(powers.T, number[kept], (parts["kva"] * year.profile[:, parts["follows"]]).T)
    return fed.with_tables(loads=loads, generators=fed.generators.clear()), replace(year, **parts), powers


def _elements(grid: Grid) -> list[tuple[str, str]]:
    """The loads, then the generators."""
    return [(kind, name) for kind in ("loads", "generators") for name in grid.tables()[kind]["name"]]


def _unlike(names: pl.Series, taken: set[str]) -> pl.Series:
    """The names with what makes them different from those taken."""
    found = list[str]()
    for name in names:
        while name in taken:
            name += "'"
        taken.add(name)
        found.append(name)
    return pl.Series(found, dtype=pl.String)


@dataclass(frozen=True, eq=False)
class PreparedPhasesYear:
    """A question about a year of a grid with phases a, b, c, ready to be solved.

    Attributes:
        grid: what of it is fed. year: its steps. question: its network, limits and locks, with a load in place of each
            generator, under the demands of the steps. model: what topology search bounds. method: with its gap.
    """

    grid: Grid
    year: Year
    question: PhasesQuestion
    model: PhaseModel
    method: TopologySearch
    unit: str = "MWh"

    @property
    def heading(self) -> str:
        """The steps of the year, and the method."""
        return heading_of(self.year, self.method)

    def solve(self, progress: Progress | None = None, deadline: Deadline | None = None) -> YearResult:
        """The result, verified by exact AC power flow in every step."""
        year, asked = self.year, self.question
        seen = None if progress is None else InUnit(progress, float(year.hours.sum()) / 1000.0)
        with deadline_of(self.method.time_limit_s, deadline) as until:
            evaluator = PhasesEvaluator(asked)
            starts = [first_state(evaluator).closed]
            outcome, best, notes = search_phases(evaluator, self.method, self.model, starts, seen, until)
            before, _ = self._shown(evaluator, asked.today)
            after, mismatch = (None, None) if best is None else self._shown(evaluator, best.closed)
        both: Two = {"before": before if np.isfinite(before.flows.loss).any() else None, "after": after}
        count = len(year)
        answered = Answered(outcome, both, count, 0 if after is None else count, mismatch, notes)
        return year_result(self.grid, year, graph_of(asked.network), self.method, answered)

    def _shown(self, evaluator: PhasesEvaluator, closed: Bools) -> tuple[Shown, float | None]:
        """A state (B) with its flows in all steps, of each bus and branch the phase that is farthest, and mismatch."""
        network, found = self.question.network, evaluate_phases(evaluator, closed)
        known, bus = np.isfinite(found.loss_kw), network.terminal_bus
        broken = excess(network, evaluator.flows(closed, self.question.devices.today))
        shape = len(network.bus_names), len(known)
        low, high = np.full(shape, np.inf), np.full(shape, -np.inf)
        np.fmin.at(low, bus, found.v.T)
        np.fmax.at(high, bus, found.v.T)
        i = np.full((len(network.branch_names), len(known)), -np.inf)
        np.fmax.at(i, network.conductor_branch, found.i.T)
        lost = np.nan_to_num(found.loss).T @ self.year.hours / network.s_base_kva
        held, some = np.isin(np.arange(len(low)), bus[network.source_terminal]), known.any()
        at = [np.where(held | ~some, -1, each) for each in (low.argmin(axis=1), high.argmax(axis=1))]
        flows = SeriesFlows(
            loss=found.loss_kw / network.s_base_kva,
            excess=np.where(known, broken, np.inf),
            v_low=found.v_min,
            v_high=found.v_max,
            v_low_of=np.where(at[0] < 0, np.nan, low.min(axis=1)),
            v_low_at=at[0],
            v_high_of=np.where(at[1] < 0, np.nan, high.max(axis=1)),
            v_high_at=at[1],
            i_of=i.max(axis=1),
            i_at=np.where(some, i.argmax(axis=1), -1),
            energy=np.bincount(network.conductor_branch, lost, len(i)).astype(np.float64),
        )
        return Shown(closed, flows), float(np.nanmax(found.mismatch)) if some else None
