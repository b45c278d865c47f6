"""Reconfiguration of grids of several phases: methods against all topologies, the answer against OpenDSS."""

import json
import math
import re
import signal
from functools import cache
from itertools import pairwise
from pathlib import Path

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import (
    Benders,
    BranchExchange,
    Enumeration,
    ExtensiveForm,
    Limits,
    OptionError,
    Termination,
    TopologySearch,
)
from openpoint.arrays import Bools
from openpoint.formulations.phases import PhasesQuestion, phases_question
from openpoint.formulations.radiality import by_branch
from openpoint.grid import Grid
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.report.figure import encode
from openpoint.results import export
from openpoint.search.exchange.pairs import exchanges_coupled
from openpoint.studies.catalog import published
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.study import prepare_phases
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.study import reconfigure
from openpoint.twostage.log import Iteration
from tests.builders.clock import held
from tests.builders.meshed import meshed
from tests.builders.pages import render
from tests.builders.phase_trees import phase_trees


def question_of(grid: Grid, limits: Limits | None = None) -> PhasesQuestion:
    return phases_question(grid, free=("topology",), limits=limits)


@cache
def tried(seed: int) -> ReconfigureResult:
    """The best of all states of a feeder with ties."""
    return reconfigure(meshed(seed))


@cache
def feeder123() -> ReconfigureResult:
    return reconfigure(openpoint.read("ieee123"))


def switched(grid: Grid, open_branches: tuple[str, ...]) -> Grid:
    """The grid with exactly these branches open."""
    tables = {
        kind: frame.with_columns(closed=~pl.col("name").is_in(list(open_branches)))
        for kind, frame in grid.tables().items()
        if kind in ("lines", "switches", "transformers") and frame.height
    }
    return grid.with_tables(**tables)


def limited(seed: int) -> Grid:
    return meshed(seed, v_min_pu=0.97, rated=True) if seed % 2 else meshed(seed)


def ac_losses(grid: Grid, states: list[Bools]) -> np.ndarray:
    circuit = OpenDssCircuit(grid)
    found = []
    for state in states:
        circuit.rewire(state)
        found.append(float(circuit.solve().loss_kw[0]))
    return np.array(found)


@pytest.mark.parametrize("seed", [2, 8])
def test_the_answer_is_the_best_of_its_neighbours_by_exact_power_flow(seed: int) -> None:
    grid = meshed(seed)
    asked = question_of(grid)
    exact = ac_losses(grid, list(asked.states()))
    best = tried(seed)
    assert best.method == "Enumeration()"
    assert best.termination is Termination.OPTIMAL
    assert best.loss_kw == pytest.approx(exact.min(), rel=1e-8)
    result = reconfigure(grid, method=BranchExchange())
    assert result.termination is Termination.LOCAL
    assert result.lower_bound_kw == -math.inf
    answer = np.array([name not in result.open_branches for name in asked.network.branch_names])
    branch = asked.network.conductor_branch
    near = exchanges_coupled(asked.choices, branch, answer[branch])
    around = ac_losses(grid, [by_branch(asked.network, state) for state in near])
    assert exact.min() * (1 - 1e-8) <= result.loss_kw <= around.min() * (1 + 1e-8)
    assert result.loss_kw <= (result.loss_before_kw or math.inf)


def test_ieee123_closes_one_tie_and_opens_a_section_switch() -> None:
    grid = openpoint.read("ieee123")
    result = feeder123()
    assert result.open_before == ("sw7", "sw8")
    assert result.open_branches == ("sw5", "sw8")
    assert result.loss_before_kw == pytest.approx(95.977, abs=0.002)
    assert result.loss_kw == pytest.approx(94.160, abs=0.002)
    assert result.ac_max_mismatch_pu < 1e-5
    checked = openpoint.run_powerflow(switched(grid, result.open_branches))
    assert checked.loss_kw == pytest.approx(result.loss_kw, rel=1e-6)
    np.testing.assert_allclose(checked.buses["v_pu"], result.buses["v_after_pu"], atol=1e-7)
    assert result.v_min_pu == pytest.approx(checked.v_min_pu, abs=1e-7)
    assert (result.v_min_bus, result.v_min_phase) == (checked.v_min_bus, checked.v_min_phase)
    lows = dict(result.phases.select("phase", "v_min_after_pu").iter_rows())
    by_phase = checked.buses.group_by("phase").agg(pl.col("v_pu").min())
    assert lows == pytest.approx(dict(by_phase.iter_rows()), abs=1e-7)


def test_a_limit_of_voltage_keeps_todays_switches() -> None:
    """The answer without limits goes down to 0.9603 pu; with 0.97 pu today's state is the best that is left."""
    result = reconfigure(openpoint.read("ieee123"), limits=Limits(v_min_pu=0.97))
    assert result.open_branches == ("sw7", "sw8")
    assert not result.violations
    assert result.changes == ()


def test_where_nothing_keeps_the_limits_the_least_violation_is_named_by_phase() -> None:
    result = reconfigure(openpoint.read("ieee37-microgrids"))
    assert result.termination is Termination.INFEASIBLE
    assert result.loss_kw is None
    assert {violation.phase for violation in result.least_violation} == {"a"}
    assert all(violation.kind == "voltage low" for violation in result.least_violation)
    assert "phase a" in str(result.least_violation[0])
    free = reconfigure(openpoint.read("ieee37-microgrids"), limits=Limits(voltage=False))
    assert free.open_branches == ("l5", "tie2", "tie3")
    assert any("generators keep the output" in note for note in free.notes)


def test_branch_exchange_that_ends_where_limits_break_names_the_least_violation() -> None:
    grid = limited(5)
    assert reconfigure(grid).termination is Termination.INFEASIBLE
    result = reconfigure(grid, method=BranchExchange())
    assert result.termination is Termination.LOCAL
    assert result.termination.exit_code == 4
    assert result.loss_kw is None
    assert result.least_violation


def test_ieee13_has_nothing_to_switch() -> None:
    result = reconfigure(openpoint.read("ieee13"), limits=Limits(voltage=False, current=False))
    assert result.loss_kw == pytest.approx(112.585, abs=0.002)
    assert result.open_branches == result.open_before == ()


@pytest.mark.parametrize("method", [Enumeration(), TopologySearch(), BranchExchange()])
def test_changes_are_counted_priced_and_locked(method: Enumeration | TopologySearch | BranchExchange) -> None:
    grid = meshed(8)
    free = tried(8)
    assert len(free.changes) > 2
    few = [*(reconfigure(grid, max_changes=most, method=method) for most in (0, 2)), free]
    assert few[0].changes == ()
    assert len(few[1].changes) <= 2
    assert all((more.loss_kw or math.inf) <= (less.loss_kw or math.inf) * (1 + 1e-9) for less, more in pairwise(few))
    assert reconfigure(grid, change_cost_kw=1e3, method=method).changes == ()
    dear = reconfigure(grid, change_cost_kw=1e-3, method=method)
    assert dear.objective_kw == pytest.approx((dear.loss_kw or 0.0) + 1e-3 * len(dear.changes))
    wanted = free.open_branches[0]
    locked = reconfigure(grid, locked_closed=[wanted], method=method)
    assert wanted not in locked.open_branches


@pytest.mark.parametrize(
    ("seed", "options"),
    [(1, {"max_changes": 2}), (8, {"change_cost_kw": 0.02}), (11, {"max_changes": 4, "change_cost_kw": 0.005})],
)
def test_the_search_proves_the_optimum_with_a_limit_and_a_price_of_changes(
    seed: int, options: dict[str, float]
) -> None:
    grid = meshed(seed)
    best, found = (reconfigure(grid, method=method, **options) for method in (Enumeration(), TopologySearch(gap=1e-6)))  # type: ignore[arg-type]
    assert found.objective_kw == pytest.approx(best.objective_kw, rel=1e-6)
    assert found.lower_bound_kw <= best.objective_kw * (1 + 1e-9)
    assert found.lower_bound_kw == pytest.approx(best.objective_kw, rel=1e-5)  # the sweep and OpenDSS differ


def test_a_state_that_is_not_radial_today_gets_one_that_is() -> None:
    grid = switched(meshed(4), ())
    result = reconfigure(grid)
    assert result.loss_before_kw is None
    assert result.loss_kw == pytest.approx(tried(4).loss_kw, rel=1e-6)


def test_options_that_need_a_balanced_grid_are_refused_with_the_way_out() -> None:
    grid = openpoint.read("ieee123")
    for method in (Benders(), ExtensiveForm()):
        with pytest.raises(OptionError, match=r"is for balanced grids.*--balanced.*use TopologySearch"):
            reconfigure(grid, method=method)
    with pytest.raises(OptionError, match="max_changes is -1"):
        reconfigure(grid, max_changes=-1)


def refuse(*_: object) -> None:
    raise OptionError("no bound")


@pytest.mark.parametrize("gap", [None, 0.01])
@pytest.mark.parametrize("limit", [None, 9.0])
def test_neither_a_gap_nor_a_time_limit_changes_the_method(
    gap: float | None, limit: float | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    grid = meshed(8)
    few = prepare_phases(grid, ReconfigureOptions(gap=gap, time_limit_s=limit)).method
    assert few == Enumeration(time_limit_s=limit)
    monkeypatch.setattr("openpoint.studies.reconfigure.phases.study.FEW", 3)
    many = prepare_phases(grid, ReconfigureOptions(gap=gap, time_limit_s=limit)).method
    assert many == TopologySearch(gap=1e-4 if gap is None else gap, time_limit_s=limit)
    monkeypatch.setattr("openpoint.studies.reconfigure.phases.study.bounded_model", refuse)
    unbounded = prepare_phases(grid, ReconfigureOptions(gap=gap, time_limit_s=limit)).method
    assert unbounded == BranchExchange(time_limit_s=limit)


def test_the_method_is_chosen_by_what_the_locks_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    grid = meshed(8)
    monkeypatch.setattr("openpoint.studies.reconfigure.phases.study.FEW", 3)
    found = tried(8).open_branches
    locks = [name for name in grid.branches()["name"] if name not in found]
    assert prepare_phases(grid, ReconfigureOptions(locked_closed=locks)).method == Enumeration()


@pytest.mark.parametrize("limit", [5.5, 30.5])
def test_a_time_limit_ends_the_enumeration_with_the_best_tried(limit: float, monkeypatch: pytest.MonkeyPatch) -> None:
    grid = meshed(8)
    whole = tried(8)
    assert whole.notes == ()
    held(monkeypatch, 1.0)
    cut = reconfigure(grid, method=Enumeration(time_limit_s=limit))
    assert cut.termination is Termination.TIME
    assert whole.loss_kw - 1e-9 <= cut.loss_kw <= (cut.loss_before_kw or 0.0) + 1e-9
    assert cut.ac_max_mismatch_pu is not None
    assert cut.gap == math.inf
    (note,) = cut.notes
    assert re.fullmatch(r"topologies tried: \d+; those that were not may be better, so no bound is known", note)


def test_limits_of_a_run_keep_the_best_verified_answer() -> None:
    result = reconfigure(openpoint.read("ieee123"), method=TopologySearch(time_limit_s=1e-3))
    assert result.termination is Termination.TIME
    assert result.loss_kw <= (result.loss_before_kw or 0.0) * (1 + 1e-9)
    cut = reconfigure(meshed(8), method=Enumeration(most=3))
    assert cut.termination is Termination.ITERATIONS
    assert cut.loss_kw is not None
    assert cut.lower_bound_kw == -math.inf


def test_the_gap_is_closed_to_the_loss_by_opendss() -> None:
    """Which on this feeder has 1e-5 of the loss more than the sweep."""
    grid = openpoint.read("ieee37")
    lines = grid.lines.filter(~pl.col("from_bus").is_in(grid.sources["bus"].to_list()))
    free = Limits(voltage=False, current=False)
    found = reconfigure(grid.with_switchable(lines["name"].to_list()), method=TopologySearch(gap=1e-4), limits=free)
    assert found.gap is not None
    assert found.gap <= 1e-4 * (1.0 + 1e-9)


def test_a_search_that_is_stopped_asks_for_limits_where_loads_have_bands(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.studies.reconfigure.phases.search.grow", lambda *_, **__: False)
    for limits, said in ((None, True), (Limits(v_min_pu=0.9, v_max_pu=1.1), False)):
        found = reconfigure(openpoint.read("ieee123"), method=TopologySearch(), limits=limits)
        assert any("(--v-min, --v-max)" in note for note in found.notes) is said


def test_todays_state_is_kept_where_opendss_alone_has_flows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.search.phases.tree.sweep", lambda *_: math.inf)
    result = reconfigure(openpoint.read("ieee123"), method=TopologySearch())
    assert result.termination is Termination.ACCURACY
    assert result.lower_bound_kw == 0.0
    assert result.loss_kw == result.loss_before_kw
    assert "no flow of the answer" in " ".join(result.notes)


def test_a_limit_that_ends_while_the_core_is_made_keeps_the_best_state_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second core is made only where the voltages of a better state are far from those of the first one."""

    def late(*_: object, **__: object) -> None:
        raise TimeoutError

    grid = openpoint.read("ieee123")
    monkeypatch.setattr("openpoint.studies.reconfigure.phases.search.FEW", 0)
    monkeypatch.setattr("openpoint.search.phases.pieces.Core.reaches", lambda *_: False)
    whole = reconfigure(grid, method=TopologySearch())
    assert whole.loss_kw == pytest.approx(94.160, abs=1e-3)
    assert whole.termination in (Termination.GAP, Termination.OPTIMAL)
    monkeypatch.setattr("openpoint.studies.reconfigure.phases.search.cores_of", late)
    cut = reconfigure(grid, method=TopologySearch())
    assert cut.loss_kw == cut.loss_before_kw
    assert cut.lower_bound_kw == -math.inf


def test_the_circuit_is_wired_once_for_each_state_that_is_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    """The result shows flows that the search had already, of today's state and of the answer."""
    wired: list[Bools] = []
    rewire = OpenDssCircuit.rewire

    def counted(circuit: OpenDssCircuit, closed: Bools | None = None, **more: object) -> None:
        wired.append(circuit.state if closed is None else closed)
        rewire(circuit, closed)

    monkeypatch.setattr(OpenDssCircuit, "rewire", counted)
    result = reconfigure(openpoint.read("ieee123"), method=TopologySearch())
    assert result.changes
    assert len(wired) == len(np.unique(wired, axis=0))


def test_what_was_met_before_a_limit_is_no_answer_where_it_breaks_limits() -> None:
    cut = reconfigure(openpoint.read("ieee37-microgrids"), method=BranchExchange(time_limit_s=1e-3))
    assert cut.termination is Termination.TIME
    assert cut.loss_kw is None
    assert cut.least_violation
    assert len(cut.least_violation_open) == len(cut.open_before)


def test_ctrl_c_keeps_the_best_verified_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Iteration] = []

    def interrupt(line: Iteration) -> None:
        told.append(line)
        if len(told) == 1:
            signal.raise_signal(signal.SIGINT)

    held(monkeypatch, 1.0)
    result = reconfigure(meshed(8), method=Enumeration(), progress=interrupt)
    assert result.termination is Termination.INTERRUPTED
    assert result.loss_kw <= (result.loss_before_kw or 0.0)


def test_a_grid_that_cannot_carry_its_load_is_refused_with_the_reason() -> None:
    grid = meshed(4)
    heavy = grid.with_tables(loads=grid.loads.with_columns(p_kw=pl.col("p_kw") * 1e4, model=pl.lit("power")))
    with pytest.raises(OptionError, match="no AC power flow of this grid has a solution"):
        reconfigure(heavy)


def test_every_output_holds_the_phases(tmp_path: Path) -> None:
    result = feeder123()
    document = json.loads(result.to_json())
    jsonschema.validate(document, published("reconfigure"))
    assert {row["phase"] for row in document["buses"]} == {"a", "b", "c"}
    assert len(document["phases"]) == 3
    export.to_csv(result, tmp_path)
    export.to_excel(result, tmp_path / "r.xlsx")
    assert pl.read_csv(tmp_path / "phases.csv")["phase"].to_list() == ["a", "b", "c"]
    page = render(result)
    for words in ("Voltages by phase", "114, phase a", "lowest phase voltage"):
        assert words in page
    assert encode(result.plot(), "png").startswith(b"\x89PNG")
    assert encode(result.plot("voltage"), "svg")


def test_a_loop_that_nobody_can_open_stays_closed() -> None:
    """Two lines in parallel behind a ring: what is closed and opened is the ring; the flow has both lines."""
    line = {"phases": "abc", "r_ohm": [0.3, 0.1, 0.3, 0.1, 0.1, 0.3], "x_ohm": [0.6, 0.2, 0.6, 0.2, 0.2, 0.6]}
    ends = {"ab": "AB", "bc": "BC", "ac": "AC", "p": "CD", "q": "CD", "de": "DE"}
    lines = [
        {"name": n, "from_bus": fr, "to_bus": to, "closed": n != "ac", "switchable": len(n) > 1 and n != "de", **line}
        for n, (fr, to) in ends.items()
    ]
    tables = {
        "buses": [{"name": n, "vn_kv": 12.47, "phases": "abc"} for n in "ABCDE"],
        "lines": lines,
        "sources": [{"name": "s", "bus": "A"}],
        "loads": [{"name": n, "bus": n, "phases": "abc", "p_kw": 500.0, "q_kvar": 200.0} for n in "BDE"],
    }
    grid = Grid.from_tables("held", tables)
    best = openpoint.reconfigure(grid)
    assert (best.open_before, best.open_branches) == (("ac",), ("bc",))
    assert best.termination is Termination.OPTIMAL
    for state, loss in (("ac", best.loss_before_kw), ("bc", best.loss_kw)):
        flow = openpoint.run_powerflow(grid.with_closed({n: n != state for n in ("ab", "bc", "ac")}))
        assert loss == pytest.approx(flow.loss_kw, rel=1e-9)
        shared = dict(
            flow.branches.filter(pl.col("name").is_in(["p", "q"])).group_by("name").agg(pl.col("i_a").sum()).iter_rows()
        )
        assert shared["p"] == pytest.approx(shared["q"], rel=1e-6)
    found = openpoint.reconfigure(grid, method=TopologySearch())
    assert (found.open_branches, found.loss_kw) == (best.open_branches, pytest.approx(best.loss_kw, rel=1e-9))
    assert found.lower_bound_kw == pytest.approx(found.loss_kw, rel=1.1e-4)


def test_what_nothing_feeds_and_nothing_draws_from_stays_dark() -> None:
    """A dead stub behind a tie is left as it is; a dead bus must be fed where its load is not next to nothing."""
    grid = phase_trees(1, loads="power")
    line = grid.lines.filter(pl.col("phases") == "abc").row(0, named=True)
    end = grid.sources["bus"].item()
    buses = pl.concat([grid.buses, grid.buses.filter(name=end).with_columns(name=pl.lit("stub"))])
    tie = {**line, "name": "tie", "from_bus": end, "to_bus": "stub", "closed": False, "switchable": True}
    lines = pl.concat([grid.lines, pl.DataFrame([tie], schema=grid.lines.schema)])
    dark = grid.with_tables(buses=buses, lines=lines)
    best, found = openpoint.reconfigure(grid), openpoint.reconfigure(dark)
    assert found.loss_kw == pytest.approx(best.loss_kw, rel=1e-6)
    assert found.open_branches == best.open_branches
    assert any("nothing feeds 1 bus (stub) today" in note for note in found.notes)
    last = {**grid.loads.row(0, named=True), "name": "last", "bus": "stub"}
    for share, stays in ((1.0, False), (1e-5, True)):
        loads = [*grid.loads.to_dicts(), {**last, "p_kw": share * last["p_kw"], "q_kvar": share * last["q_kvar"]}]
        fed = openpoint.reconfigure(Grid.from_tables("fed", {**dark.tables(), "loads": loads}))
        assert "tie" not in fed.open_branches
        assert stays is (fed.loss_kw == pytest.approx(best.loss_kw, rel=1e-6))
        assert stays is any("kW would be drawn there" in note for note in fed.notes)


def test_the_search_keeps_limits_of_voltages_as_all_topologies_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """By bounds alone: of one state that is left a node has the flow."""
    monkeypatch.setattr("openpoint.studies.reconfigure.phases.search.FEW", 0)
    monkeypatch.setattr("openpoint.search.phases.tree.FEW", 1)
    kept = broken = tighter = 0
    for seed in range(5):
        grid = meshed(seed)
        for v_min in (0.95, 0.97, 0.98):
            limits = Limits(v_min_pu=v_min)
            try:
                found = reconfigure(grid, method=TopologySearch(gap=1e-6), limits=limits)
            except OptionError:
                break
            every = reconfigure(grid, method=Enumeration(), limits=limits)
            assert found.has_answer is every.has_answer
            if not every.has_answer:
                broken += 1
                continue
            assert found.loss_kw == pytest.approx(every.loss_kw, rel=1e-5)
            assert found.lower_bound_kw is not None
            assert every.loss_kw is not None
            assert every.loss_kw * (1.0 - 1e-5) < found.lower_bound_kw < every.loss_kw * (1.0 + 1e-5)
            kept += 1
            tighter += any("that keep the limits of voltages" in note for note in found.notes)
    assert kept > 5
    assert broken > 0
    assert tighter == kept


def test_the_search_relaxes_limits_as_all_topologies_do() -> None:
    compared = 0
    for seed in range(6):
        grid = meshed(seed, v_min_pu=0.985, rated=True)
        try:
            found = reconfigure(grid, method=TopologySearch(gap=1e-6), soft_limits=True)
        except OptionError:
            continue
        every = reconfigure(grid, method=Enumeration(), soft_limits=True)
        assert found.loss_kw == pytest.approx(every.loss_kw, rel=1e-5)
        if every.soft_limits is None:
            assert found.soft_limits is None
            continue
        assert found.termination is every.termination is Termination.SOFT
        assert found.soft_limits is not None
        assert found.soft_limits.relaxed == every.soft_limits.relaxed
        compared += 1
    assert compared > 1
