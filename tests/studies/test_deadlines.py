"""Every study ends at its limit, wherever that falls, with a verified answer; the clock is that of the test."""

import math
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint import Benders, ColumnAndConstraint, ExtensiveForm, OptionError, Regret, Termination
from openpoint.grid import Grid
from openpoint.solvers.base import Answer
from openpoint.solvers.highs import HighsModel
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.harden.study import harden
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.setup import radial_program
from openpoint.twostage.log import Iteration
from openpoint.twostage.uncertainty import Scenarios
from tests.builders.clock import Wish, held
from tests.builders.microgrids import five

HARDENING: dict[str, Callable[[float | None], Any]] = {
    "ccg": lambda limit: ColumnAndConstraint(gap=0.0, time_limit_s=limit),
    "benders": lambda limit: Benders(gap=0.0, time_limit_s=limit),
    "extensive": lambda limit: ExtensiveForm(solver="highs", gap=0.0, time_limit_s=limit),
}


@pytest.fixture(scope="module")
def zhang() -> Grid:
    return openpoint.read("zhang13")


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Mixed-integer programs that are solved without a way to stop them."""
    found: list[str] = []
    solve = HighsModel.solve

    def watched(self: HighsModel, *, integral: bool, **options: Any) -> Answer:
        if integral and options.get("stop") is None and not math.isfinite(options.get("seconds", math.inf)):
            found.append(str(options))
        return solve(self, integral=integral, **options)

    monkeypatch.setattr(HighsModel, "solve", watched)
    return found


def hardened(grid: Grid, method: Any, **options: Any) -> HardenResult:
    disasters = openpoint.storms(grid, count=6, seed=1, mean_broken=4.0)
    return harden(grid, disasters=disasters, max_lines=3, max_generators=2, method=method, **options)


@pytest.mark.parametrize(("way", "limit"), [("ccg", 3.5), ("benders", 12.5), ("extensive", 3.5)])
def test_hardening_keeps_a_verified_plan(
    way: str, limit: float, zhang: Grid, deaf: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = held(monkeypatch, 0.5)
    result = hardened(zhang, HARDENING[way](limit), value_of_information=True)
    assert result.termination is Termination.TIME
    assert result.lower_bound_usd <= result.cost_usd
    assert result.wait_and_see_usd is None
    assert any("the value of information was stopped" in note for note in result.notes)
    assert any(note.startswith("the time was up before all operating points") for note in result.notes)
    assert result.ac_max_mismatch_pu <= 1e-6
    assert 1 <= result.buses["disaster"].n_unique() <= 6
    assert clock.now <= limit + 60.0  # looks at the clock, half a second each
    assert not deaf


def test_hardening_keeps_time_for_the_operating_points(zhang: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = held(monkeypatch, 0.01)
    result = hardened(zhang, ColumnAndConstraint(gap=0.0, time_limit_s=2.0), value_of_information=False)
    assert result.termination is Termination.TIME
    assert 1.7 <= result.seconds <= 1.95  # of the method: a tenth is left, up to a few looks
    assert result.buses["disaster"].n_unique() >= 2  # without, there is time for none, and one is shown all the same
    assert clock.now <= 2.6


def test_a_cost_that_a_limit_leaves_is_not_below_the_optimum(zhang: Grid, monkeypatch: pytest.MonkeyPatch) -> None:
    best = hardened(zhang, ColumnAndConstraint(), value_of_information=False)
    held(monkeypatch, 0.5)
    cut = hardened(zhang, ColumnAndConstraint(gap=0.0, time_limit_s=10.0))
    assert cut.cost_usd >= best.cost_usd * (1.0 - 1e-6)
    assert cut.lower_bound_usd <= best.cost_usd * (1.0 + 1e-6)


def test_ctrl_c_ends_hardening_with_a_verified_plan(zhang: Grid) -> None:
    told: list[Iteration] = []

    def interrupt(line: Iteration) -> None:
        told.append(line)
        if len(told) == 4:
            signal.raise_signal(signal.SIGINT)

    result = hardened(zhang, ColumnAndConstraint(gap=0.0), progress=interrupt, value_of_information=True)
    assert result.termination is Termination.INTERRUPTED
    assert result.cost_usd is not None
    assert result.ac_max_mismatch_pu is not None
    assert any(note.startswith("Ctrl-C came before all operating points") for note in result.notes)


def test_many_futures_end_with_a_judged_topology(deaf: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    grid = openpoint.read("civanlar16")
    futures, sample = openpoint.grow(grid, count=8, seed=1), openpoint.grow(grid, count=8, seed=2)
    clock = held(monkeypatch, 0.5)
    method = Benders(gap=0.0, time_limit_s=20.5)
    result = openpoint.reconfigure_futures(grid, futures, sample=sample, risk=Regret(), method=method)
    assert result.termination is Termination.TIME
    assert result.lower_bound_kw <= result.objective_kw
    assert result.ac_max_mismatch_pu <= 1e-6
    assert "the time was up before the answer was evaluated in the sample: it is left out" in result.notes
    assert not result.sample.height
    assert clock.now <= 20.5 + 60.0
    assert not deaf


def test_ctrl_c_before_the_method_begins_leaves_a_state_that_keeps_the_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    Wish(monkeypatch, 1)
    result = openpoint.reconfigure(openpoint.read("mantovani136"), method=Benders(gap=0.0))
    assert result.termination is Termination.INTERRUPTED
    assert result.loss_kw <= (result.loss_before_kw or 0.0)


def test_starts_that_are_stopped_are_states_all_the_same() -> None:
    grid = openpoint.read("civanlar16")
    program, _ = radial_program(grid, ReconfigureOptions())
    program = replace(program, futures=Scenarios(np.tile(program.uncertainty.values, (5, 1)), np.full(5, 0.2)))
    stopped, whole = replace(program).warm_starts(lambda: True), replace(program).warm_starts()
    assert 1 <= len(stopped) < len(whole)
    price = {
        name: min(program.ac.objectives(np.array(found) > 0.5)) for name, found in (("cut", stopped), ("all", whole))
    }
    assert np.isfinite(price["cut"])
    assert price["all"] <= price["cut"]


def test_samples_keep_what_was_judged_and_say_why_not_all(monkeypatch: pytest.MonkeyPatch) -> None:
    result = openpoint.partition(five().grid(), uncertainty=0.2)
    held(monkeypatch, 0.5)
    few = openpoint.sample_partition(result, count=400, time_limit_s=0.1).samples
    assert (few.judged, few.asked, few.stopped, few.nominal) == (20, 400, Termination.TIME, None)
    some = openpoint.sample_partition(result, count=400, time_limit_s=3.0, nominal=False).samples
    assert 100 <= some.judged < 400
    assert some.stopped is Termination.TIME
    with pytest.raises(OptionError, match="time limit is 0"):
        openpoint.sample_partition(result, time_limit_s=0.0)
