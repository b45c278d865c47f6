"""Reconfiguration of grids of several phases: the linear model against all topologies, the answer against OpenDSS."""

from __future__ import annotations

import json
import math
import re
import signal
from functools import cache
from itertools import pairwise, takewhile
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
    Futures,
    Limits,
    OptionError,
    Termination,
    TopologySearch,
)
from openpoint.arrays import Bools
from openpoint.formulations.radiality import by_branch
from openpoint.grid import Grid
from openpoint.powerflow.opendss import OpenDssCircuit
from openpoint.report.figure import encode
from openpoint.results import export
from openpoint.search.exchange.pairs import exchanges_coupled
from openpoint.search.exchange.phases import PhasesEvaluator
from openpoint.studies.catalog import published
from openpoint.studies.reconfigure.options import ReconfigureOptions
from openpoint.studies.reconfigure.phases.model import PhasesProgram
from openpoint.studies.reconfigure.phases.study import phases_program, prepare_phases
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.studies.reconfigure.study import reconfigure
from openpoint.twostage.log import Iteration
from openpoint.twostage.program import Goal
from openpoint.twostage.recourse.subproblem import Subproblem
from tests.builders.clock import held
from tests.builders.meshed import meshed
from tests.builders.pages import render
from tests.builders.phase_trees import phase_trees


def program_of(grid: Grid, limits: Limits | None = None) -> PhasesProgram:
    return phases_program(grid, ReconfigureOptions(limits=limits))


def states_of(program: PhasesProgram) -> list[Bools]:
    return list(program.question.states())


def linear(program: PhasesProgram, closed: Bools) -> tuple[float, float]:
    """Loss in kW and excess of a topology in the linear model."""
    return program.model.evaluate(closed, program.question.devices.today)


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


def idling(grid: Grid) -> Grid:
    """The grid with magnetising branches; every other transformer may be switched."""
    transformers = grid.transformers.with_columns(
        g_us=pl.lit(900.0), b_us=pl.lit(-3000.0), switchable=pl.int_range(pl.len()) % 2 == 0
    )
    return grid.with_tables(transformers=transformers)


@pytest.mark.parametrize(("seed", "idle"), [*((seed, False) for seed in range(8)), (0, True), (1, True)])
def test_the_recourse_is_the_linear_flow_of_every_topology(seed: int, idle: bool) -> None:
    """The cone program at x is what a direct evaluation says, limits too, and its slope is valid everywhere."""
    program = program_of(idling(limited(seed)) if idle else limited(seed))
    subproblem = Subproblem(program, len(program.question.today), Goal.COST)
    states = states_of(program)
    direct = {state.tobytes(): linear(program, state) for state in states}
    for state in states[:12]:
        loss, missed = direct[state.tobytes()]
        response = subproblem.respond(state.astype(float), np.zeros(0))
        assert response.feasible == (missed <= 1e-6)
        if response.feasible:
            assert response.reached == pytest.approx(loss, rel=2e-6)
        for other in states:
            known, breaks = direct[other.tobytes()]
            bound = response.value + float(response.slope @ (other.astype(float) - state))
            assert bound <= (known * (1 + 1e-6) if response.feasible else 1e-6) or breaks > 1e-6


def test_what_transformers_lose_without_load_is_part_of_the_linear_loss() -> None:
    grid = openpoint.read("ieee13")
    added = []
    for each in (grid, idling(grid)):
        program = program_of(each)
        added.append((linear(program, program.question.today)[0], float(OpenDssCircuit(each).solve().loss_kw[0])))
    (modelled, exact), (linear_idle, exact_idle) = added
    assert exact_idle - exact > 10.0
    assert linear_idle - modelled == pytest.approx(exact_idle - exact, rel=0.02)


@pytest.mark.parametrize("seed", [0, 8, 15])
def test_methods_find_the_least_linear_loss_of_all_topologies(seed: int) -> None:
    program = program_of(limited(seed))
    found = [linear(program, state) for state in states_of(program)]
    least = min((loss for loss, missed in found if missed <= 1e-6), default=math.inf)
    methods = [Benders()] if seed in (3, 15) else [ExtensiveForm()]
    for method in methods:
        outcome = method.solve(program)
        assert outcome.upper_bound == pytest.approx(least, rel=1e-6)
        assert outcome.termination is (Termination.OPTIMAL if math.isfinite(least) else Termination.INFEASIBLE)
        if math.isfinite(least):
            assert least * (1 - 1e-4) - 1e-9 <= outcome.lower_bound <= least * (1 + 1e-9)


def test_on_one_phase_it_is_lindistflow() -> None:
    """The least Σ r (p² + q²) / |v|² over all topologies, with flows added up along the tree by hand."""
    grid = openpoint.read("civanlar16")
    program = program_of(grid, Limits(voltage=False, current=False))
    network = program.model.network
    weight = network.r / np.abs(program.model.v[network.terminal_to]) ** 2

    def by_hand(closed: Bools) -> float:
        s = np.zeros(network.n_conductors, dtype=complex)
        around: dict[int, list[tuple[int, int]]] = {n: [] for n in range(network.n_terminals)}
        for e in np.flatnonzero(closed):
            a, b = int(network.terminal_fr[e]), int(network.terminal_to[e])
            around[a].append((b, int(e)))
            around[b].append((a, int(e)))

        def drawn(n: int, above: int) -> complex:
            total = complex(program.model.demand.s[n])
            for other, e in around[n]:
                if e != above:
                    s[e] = drawn(other, e)
                    total += s[e]
            return total

        for source in network.source_terminal.tolist():
            drawn(source, -1)
        return float(weight @ np.abs(s) ** 2) * network.s_base_kva

    states = states_of(program)
    direct = np.array([by_hand(state) for state in states])
    np.testing.assert_allclose([linear(program, state)[0] for state in states[:20]], direct[:20], rtol=1e-9)
    outcome = ExtensiveForm().solve(program)
    assert outcome.upper_bound == pytest.approx(direct.min(), rel=1e-6)


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
    program = program_of(grid)
    asked, states = program.question, states_of(program)
    exact = ac_losses(grid, states)
    best = tried(seed)
    assert best.method == "Enumeration()"
    assert best.termination is Termination.OPTIMAL
    assert best.bound_of == "AC power flow"
    assert best.loss_kw == pytest.approx(exact.min(), rel=1e-8)
    result = reconfigure(grid, method=ExtensiveForm())
    assert result.termination is Termination.LINEAR
    assert result.bound_of == "linear model"
    assert result.loss_kw is not None
    assert result.linear_kw is not None
    assert result.lower_bound_kw <= result.linear_kw * (1 + 1e-9)
    answer = np.array([name not in result.open_branches for name in asked.network.branch_names])
    branch = asked.network.conductor_branch
    near = exchanges_coupled(asked.choices, branch, answer[branch])
    around = ac_losses(grid, [by_branch(asked.network, state) for state in near])
    assert result.loss_kw <= around.min() * (1 + 1e-8)
    assert result.loss_kw <= (result.loss_before_kw or math.inf)
    losses = [linear(program, state)[0] for state in states]
    differs = not np.array_equal(states[int(np.argmin(losses))], answer)
    assert differs == any("optimum of the linear model has other open branches" in note for note in result.notes)


def test_ieee123_closes_one_tie_and_opens_a_section_switch() -> None:
    grid = openpoint.read("ieee123")
    result = feeder123()
    assert result.open_before == ("sw7", "sw8")
    assert result.open_branches == ("sw5", "sw8")
    assert result.loss_before_kw == pytest.approx(95.977, abs=0.002)
    assert result.loss_kw == pytest.approx(94.160, abs=0.002)
    assert result.ac_max_mismatch_pu is not None
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


def test_an_answer_of_the_linear_model_that_breaks_limits_by_ac_says_so() -> None:
    grid = limited(5)
    assert reconfigure(grid).termination is Termination.INFEASIBLE
    result = reconfigure(grid, method=ExtensiveForm())
    assert result.termination is Termination.LIMITS
    assert result.termination.exit_code == 4
    assert result.loss_kw is None
    assert result.least_violation


def test_ieee13_has_nothing_to_switch() -> None:
    result = reconfigure(openpoint.read("ieee13"), limits=Limits(voltage=False, current=False))
    assert result.loss_kw == pytest.approx(112.585, abs=0.002)
    assert result.open_branches == result.open_before == ()


def test_changes_are_counted_priced_and_locked() -> None:
    grid = meshed(8)
    free = tried(8)
    assert len(free.changes) > 2
    assert reconfigure(grid, method=ExtensiveForm(), max_changes=0).changes == ()
    few = [*(reconfigure(grid, max_changes=most) for most in (0, 2)), free]
    assert few[0].changes == ()
    assert all((more.loss_kw or math.inf) <= (less.loss_kw or math.inf) * (1 + 1e-9) for less, more in pairwise(few))
    some = reconfigure(grid, max_changes=2, method=ExtensiveForm())
    assert len(some.changes) <= 2
    assert reconfigure(grid, change_cost_kw=1e3).changes == ()
    dear = reconfigure(grid, change_cost_kw=1e-3)
    assert dear.objective_kw == pytest.approx((dear.loss_kw or 0.0) + 1e-3 * len(dear.changes))
    wanted = free.open_branches[0]
    locked = reconfigure(grid, locked_closed=[wanted])
    assert wanted not in locked.open_branches


def test_a_state_that_is_not_radial_today_gets_one_that_is() -> None:
    grid = switched(meshed(4), ())
    result = reconfigure(grid)
    assert result.loss_before_kw is None
    assert result.loss_kw == pytest.approx(tried(4).loss_kw, rel=1e-6)


def test_options_that_need_a_balanced_grid_are_refused_with_the_way_out() -> None:
    grid = openpoint.read("ieee123")
    with pytest.raises(OptionError, match=r"--balanced.*use Benders, which ends with it"):
        reconfigure(grid, method=BranchExchange())
    futures = Futures(("one",), None, tuple(grid.buses["name"]), np.zeros((1, 131)), np.zeros((1, 131)))
    with pytest.raises(OptionError, match="reconfigure-futures is for balanced grids"):
        openpoint.reconfigure_futures(grid, futures)
    with pytest.raises(OptionError, match="max_changes is -1"):
        reconfigure(grid, max_changes=-1)


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
    priced = ReconfigureOptions(gap=gap, time_limit_s=limit, change_cost_kw=0.1)
    assert prepare_phases(grid, priced).method == Benders(gap=1e-4 if gap is None else gap, time_limit_s=limit)


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
    assert whole.loss_kw is not None
    assert whole.notes == ()
    held(monkeypatch, 1.0)
    cut = reconfigure(grid, method=Enumeration(time_limit_s=limit))
    assert cut.termination is Termination.TIME
    assert cut.loss_kw is not None
    assert whole.loss_kw - 1e-9 <= cut.loss_kw <= (cut.loss_before_kw or 0.0) + 1e-9
    assert cut.ac_max_mismatch_pu is not None
    assert cut.gap == math.inf
    (note,) = cut.notes
    assert re.fullmatch(r"topologies tried: \d+; those that were not may be better, so no bound is known", note)


def test_limits_of_a_run_keep_the_best_verified_answer() -> None:
    result = reconfigure(openpoint.read("ieee123"), method=Benders(time_limit_s=1e-3))
    assert result.termination is Termination.TIME
    assert result.loss_kw == pytest.approx(result.loss_before_kw)
    assert not math.isfinite(result.lower_bound_kw)
    cut = reconfigure(meshed(8), method=Enumeration(most=3))
    assert cut.termination is Termination.ITERATIONS
    assert cut.loss_kw is not None
    assert cut.lower_bound_kw == -math.inf


def test_what_was_met_before_a_limit_is_no_answer_where_it_breaks_limits() -> None:
    cut = reconfigure(openpoint.read("ieee37-microgrids"), method=Benders(time_limit_s=1e-3))
    assert cut.termination is Termination.TIME
    assert cut.loss_kw is None
    assert cut.least_violation
    assert len(cut.least_violation_open) == len(cut.open_before)


def test_ctrl_c_keeps_the_best_verified_answer() -> None:
    told: list[Iteration] = []

    def interrupt(line: Iteration) -> None:
        told.append(line)
        if len(told) == 1:
            signal.raise_signal(signal.SIGINT)

    result = reconfigure(meshed(8), method=ExtensiveForm(), progress=interrupt)
    assert result.termination is Termination.INTERRUPTED
    assert result.loss_kw is not None
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


PAGE = Path(__file__).parents[4] / "docs" / "measurements.md"


def table_rows(first: str) -> list[list[str]]:
    """Cells of the rows of the table of the page whose first columns have these headings."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    start = next(n for n, line in enumerate(lines) if line.startswith(f"| {first} |")) + 2
    rows = takewhile(lambda line: line.startswith("|"), lines[start:])
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows]


def figures(program: PhasesProgram, evaluator: PhasesEvaluator, closed: Bools) -> list[str]:
    priced = evaluator.evaluate(closed, program.question.devices.today)
    assert priced is not None
    loss, _ = linear(program, closed)
    return [f"{priced.value_kw:.3f}", f"{loss:.3f}", f"{100 * (loss / priced.value_kw - 1):.2f} %"]


def test_the_losses_on_the_page_are_these() -> None:
    free = Limits(voltage=False, current=False)
    for name, share, *told in table_rows("feeder | load | OpenDSS, kW"):
        grid, factor = openpoint.read(name), float(share.rstrip("%")) / 100
        loads = grid.loads.with_columns(pl.col("p_kw") * factor, pl.col("q_kvar") * factor)
        grid = grid.with_tables(loads=loads)
        program = program_of(grid, free)
        assert figures(program, PhasesEvaluator(program.question), program.question.today) == told
    grid = openpoint.read("ieee123")
    program = program_of(grid, free)
    evaluator, names = PhasesEvaluator(program.question), program.question.network.branch_names
    found = {" ".join(names[b] for b in np.flatnonzero(~s)): figures(program, evaluator, s) for s in states_of(program)}
    assert found == {names: told for names, *told in table_rows("open | OpenDSS, kW")}


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
    with pytest.raises(OptionError, match="stay closed"):
        openpoint.reconfigure(grid, method=openpoint.Benders())
    found = openpoint.reconfigure(grid, method=TopologySearch())
    assert (found.open_branches, found.loss_kw) == (best.open_branches, pytest.approx(best.loss_kw, rel=1e-9))
    assert found.lower_bound_kw == pytest.approx(found.loss_kw, rel=1.1e-4)


def test_what_nothing_feeds_and_nothing_draws_from_stays_dark() -> None:
    """A dead stub behind a tie is left as it is; a dead bus with a load must be fed."""
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
    loads = [*grid.loads.to_dicts(), {**grid.loads.row(0, named=True), "name": "last", "bus": "stub"}]
    fed = openpoint.reconfigure(Grid.from_tables("fed", {**dark.tables(), "loads": loads}))
    assert "tie" not in fed.open_branches
