"""Dispatch of regulators, capacitors and switches by exact power flow: against brute force, written and read again."""

from pathlib import Path

import numpy as np
import pytest

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.formulations.phases import Sought, phases_question
from openpoint.grid import Grid
from openpoint.network import build_network
from openpoint.network.limits import LIMIT_TOLERANCE, Limits
from openpoint.powerflow.opendss import phase_state
from openpoint.results.ac_tables import phase_violations
from openpoint.search.exchange.phases import PhasesEvaluator
from openpoint.studies.dispatch.phases import dispatch_phases
from openpoint.twostage.log import Iteration, Termination
from tests.builders.clock import held
from tests.builders.phase_devices import LIMITS, small_case

NONE = Limits(voltage=False, current=False)
FIXED = ("taps", "capacitors")


@pytest.mark.parametrize(
    ("seed", "sought"), [(1, Sought.LOSS), (3, Sought.SOURCE), (4, Sought.SOURCE), (5, Sought.LOSS)]
)
def test_the_local_search_ends_at_the_best_of_all_states(seed: int, sought: Sought) -> None:
    case = small_case(seed, topology=False)
    least = case.least(sought)
    found = dispatch_phases(phases_question(case.grid, free=FIXED, sought=sought, limits=LIMITS), few=0)
    assert found.best.value_kw == pytest.approx(least.value_kw, rel=1e-6)
    assert (found.best.violation == 0.0) == (least.violation == 0.0)
    assert found.tried < 0.7 * sum(1 for _ in case.states())
    assert found.termination is (Termination.LOCAL if found.best.violation == 0.0 else Termination.LIMITS)


def test_few_states_are_all_tried() -> None:
    case = small_case(2, topology=False)
    least = case.least(Sought.SOURCE)
    question = phases_question(case.grid, free=FIXED, sought=Sought.SOURCE, limits=LIMITS)
    found = dispatch_phases(question)
    assert found.termination is Termination.OPTIMAL
    assert found.best.value_kw == pytest.approx(least.value_kw, rel=1e-6)
    assert found.tried >= sum(1 for _ in case.states())
    # The local search may end above it, never below.
    assert dispatch_phases(question, few=0).best.value_kw >= found.best.value_kw


def test_switches_are_exchanged_as_well() -> None:
    case = small_case(1)
    least = case.least(Sought.LOSS)
    found = dispatch_phases(phases_question(case.grid, limits=LIMITS), few=0)
    assert found.best.value_kw == pytest.approx(least.value_kw, rel=1e-6)
    assert found.best.closed.tolist() == least.closed.tolist()
    assert (found.best.closed != case.today).any()


def test_no_more_switches_change_than_are_allowed() -> None:
    case, free = small_case(1), ("topology", "capacitors")
    case.devices = phases_question(case.grid, free=free).devices
    evaluator = case.evaluator(Sought.LOSS)
    tried = [evaluator.evaluate(*state) for state in case.states() if (state[0] != case.today).sum() <= 2]
    least = min(each.value_kw for each in tried if each is not None and each.violation == 0.0)
    for few in (0, 1000):
        found = dispatch_phases(phases_question(case.grid, free=free, limits=LIMITS, max_changes=2), few=few)
        assert (found.best.closed != case.today).sum() <= 2
        assert found.best.value_kw == pytest.approx(least, rel=1e-6)
    still = dispatch_phases(phases_question(case.grid, free=free, limits=LIMITS, max_changes=0))
    assert (still.best.closed == case.today).all()


def test_ieee123_at_known_positions() -> None:
    grid = openpoint.read("ieee123")
    loss, power = (PhasesEvaluator(phases_question(grid, sought=sought, limits=LIMITS)) for sought in Sought)
    today, devices = loss.question.today, loss.question.devices
    assert devices.names == (
        "reg1a",
        "reg2a",
        "reg3a",
        "reg4a",
        "reg3c",
        "reg4b",
        "reg4c",
        "c83",
        "c88a",
        "c90b",
        "c92c",
    )
    least_loss = np.array([8, -10, -8, -4, 5, -11, -8, 1, 1, 1, 1])
    least_power = np.array([2, -5, -2, 2, 11, -4, -2, 1, 1, 0, 1])
    figures = [(devices.today, 95.977, 3615.264), (least_loss, 93.350, 3576.9), (least_power, 97.204, 3517.753)]
    for positions, loss_kw, power_kw in figures:
        found = loss.evaluate(today, positions), power.evaluate(today, positions)
        assert found[0] is not None
        assert found[1] is not None
        assert found[0].value_kw == pytest.approx(loss_kw, abs=1e-3)
        assert found[1].value_kw == pytest.approx(power_kw, abs=0.05)
        assert found[0].violation == 0.0


def test_devices_are_set_anew_after_an_exchange_of_branches() -> None:
    """Of today's topology 93.350 kW are the least; with the devices of that state no exchange loses less."""
    found = dispatch_phases(phases_question(openpoint.read("ieee123"), limits=LIMITS))
    assert found.best.value_kw == pytest.approx(91.800, abs=1e-3)


def test_the_excess_of_limits_is_that_of_a_state() -> None:
    grid = openpoint.read("ieee13")
    question = phases_question(grid, limits=Limits(v_min_pu=0.97, v_max_pu=1.03))
    found = PhasesEvaluator(question).evaluate(question.today, question.devices.today)
    broken = phase_violations(question.network, phase_state(grid, build_network(grid)))
    shares = [(each.value / each.limit, 1.0 if each.value > each.limit else -1.0) for each in broken]
    squares = [abs(1.0 - (share / (1.0 + side * LIMIT_TOLERANCE)) ** 2) for share, side in shares]
    assert found.violation == pytest.approx(sum(squares), rel=1e-5)
    assert found.violation > 0.0


@pytest.mark.parametrize("name", ["ieee13", "ieee123"])
def test_the_answer_written_as_opendss_has_the_same_figures(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held(monkeypatch, 0.02)  # that of one local search; what it has found by then is written
    grid, lines = openpoint.read(name), list[Iteration]()
    limits = Limits(v_min_pu=0.95, v_max_pu=1.1, current=False)
    found = openpoint.dispatch(grid, limits=limits, time_limit_s=1.0, progress=lines.append)
    assert found.loss_kw < found.loss_before_kw
    assert found.actions.height
    assert [line.seconds for line in lines] == found.iterations["seconds"].to_list()
    assert found.grid_after is not None
    openpoint.write(found.grid_after, tmp_path / "answer.dss")
    again = openpoint.read(tmp_path / "answer.dss")
    state = phase_state(again, build_network(again))
    assert state.loss_kw == pytest.approx(found.loss_kw, rel=1e-6)
    assert state.source_kva.sum().real == pytest.approx(found.sources["p_after_kw"].sum(), rel=1e-6)
    table = {"tap changer": ("transformers", "tap_pos"), "capacitor bank": ("capacitors", "steps_on")}
    for row in found.moves.iter_rows(named=True):
        kind, column = table[row["kind"]]
        assert grid.tables()[kind].filter(name=row["name"])[column].item() == row["today"]
        assert found.grid_after.tables()[kind].filter(name=row["name"])[column].item() == row["answer"]


def test_what_nothing_keeps_names_the_least_violation() -> None:
    found = openpoint.dispatch("ieee13", limits=Limits(v_min_pu=1.04, v_max_pu=1.05))
    assert found.termination is Termination.LIMITS
    assert found.least_violation
    assert not found.has_answer


def test_without_devices_the_state_is_todays() -> None:
    grid = openpoint.read("ieee37")
    none = grid.with_tables(transformers=grid.transformers.with_columns(controllable=False))
    question = phases_question(none, limits=NONE)
    found = dispatch_phases(question)
    assert (found.best.closed == question.today).all()
    assert found.termination is Termination.OPTIMAL


def test_wrong_options_are_refused() -> None:
    with pytest.raises(OptionError, match="free names 'tap'"):
        openpoint.dispatch("ieee13", free=("tap",))
    with pytest.raises(InputError, match="no such branch"):
        openpoint.dispatch("ieee13", locked_open=["nowhere"])
    with pytest.raises(InputError, match="cut them off"):
        openpoint.dispatch("ieee13", locked_open=["671692"])


def test_a_grid_without_any_solution_is_refused() -> None:
    r, x = [5.0, 0, 5.0, 0, 0, 5.0], [9.0, 0, 9.0, 0, 0, 9.0]
    grid = Grid.from_tables(
        "heavy",
        {
            "buses": [{"name": name, "vn_kv": 4.16, "phases": "abc"} for name in "AB"],
            "sources": [{"name": "grid", "bus": "A"}],
            "lines": [{"name": "AB", "from_bus": "A", "to_bus": "B", "phases": "abc", "r_ohm": r, "x_ohm": x}],
            "loads": [{"name": "load", "bus": "B", "phases": "abc", "p_kw": 9000.0}],
        },
    )
    with pytest.raises(OptionError, match="no AC power flow of this grid has a solution"):
        dispatch_phases(phases_question(grid))
