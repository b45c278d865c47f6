"""Every fault is found, named by table, row and column, and none is found in a sound grid."""

import math
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from openpoint.errors import InputError, Problem
from openpoint.grid import Grid
from openpoint.grid.rules.wiring import is_radial_today, meshes
from openpoint.network import build_network
from tests.grid.small import grid, tables
from tests.grid.strategies import grids

NAN, INF = math.nan, math.inf


def problems(*changes: tuple[str, int, dict[str, Any]]) -> list[Problem]:
    """Problems of the small grid after changes (table, row, values)."""
    changed = tables()
    for kind, row, values in changes:
        if row == len(changed[kind]):
            changed[kind].append(dict(changed[kind][-1]))
        changed[kind][row].update(values)
    return grid(changed).problems()


def test_a_sound_grid_has_no_problems() -> None:
    assert problems() == []
    sound = grid(tables())
    assert sound.check() is sound


# table, row, new values, where it must be told: (table, row, column)
FAULTS: list[tuple[str, int, dict[str, Any], tuple[str, str, str]]] = [
    ("buses", 4, {"name": "D", "vn_kv": 10.0}, ("buses", "D", "name")),
    ("buses", 1, {"name": ""}, ("buses", "", "name")),
    ("lines", 1, {"name": "ab"}, ("lines", "ab", "name")),
    ("switches", 0, {"name": "ab"}, ("switches", "ab", "name")),
    ("lines", 0, {"to_bus": "Z"}, ("lines", "ab", "to_bus")),
    ("lines", 0, {"from_bus": ""}, ("lines", "ab", "from_bus")),
    ("lines", 0, {"to_bus": "A"}, ("lines", "ab", "to_bus")),
    ("sources", 0, {"bus": "Z"}, ("sources", "grid", "bus")),
    ("loads", 0, {"bus": "Z"}, ("loads", "b", "bus")),
    ("generators", 0, {"bus": "Z"}, ("generators", "pv", "bus")),
    ("capacitors", 0, {"bus": "Z"}, ("capacitors", "cap", "bus")),
    ("buses", 0, {"vn_kv": 0.0}, ("buses", "A", "vn_kv")),
    ("buses", 0, {"vn_kv": NAN}, ("buses", "A", "vn_kv")),
    ("buses", 0, {"vn_kv": -INF}, ("buses", "A", "vn_kv")),
    ("buses", 1, {"v_min_pu": 1.2}, ("buses", "B", "v_min_pu")),
    ("buses", 1, {"v_min_pu": -0.1}, ("buses", "B", "v_min_pu")),
    ("buses", 1, {"v_min_pu": None, "v_max_pu": 0.0}, ("buses", "B", "v_max_pu")),
    ("buses", 1, {"phases": "ba"}, ("buses", "B", "phases")),
    ("buses", 1, {"phases": ""}, ("buses", "B", "phases")),
    ("buses", 1, {"phases": "abc"}, ("buses", "", "phases")),
    ("lines", 0, {"phases": "a"}, ("lines", "ab", "phases")),
    ("lines", 0, {"r_ohm": [0.1, 0.2]}, ("lines", "ab", "r_ohm")),
    ("lines", 0, {"r_ohm": []}, ("lines", "ab", "r_ohm")),
    ("lines", 0, {"b_us": [1.0, 2.0]}, ("lines", "ab", "b_us")),
    ("lines", 0, {"r_ohm": -0.1}, ("lines", "ab", "r_ohm")),
    ("lines", 0, {"x_ohm": -0.1}, ("lines", "ab", "x_ohm")),
    ("lines", 0, {"x_ohm": NAN}, ("lines", "ab", "x_ohm")),
    ("lines", 0, {"r_ohm": 0.0, "x_ohm": 0.0}, ("lines", "ab", "r_ohm")),
    ("lines", 0, {"i_max_a": 0.0}, ("lines", "ab", "i_max_a")),
    ("lines", 0, {"i_max_a": INF}, ("lines", "ab", "i_max_a")),
    ("lines", 0, {"open_end": "middle"}, ("lines", "ab", "open_end")),
    ("switches", 0, {"i_max_a": -1.0}, ("switches", "cd", "i_max_a")),
    ("switches", 0, {"to_bus": "E"}, ("switches", "cd", "")),
    ("lines", 1, {"to_bus": "E"}, ("lines", "bc", "")),
    ("transformers", 0, {"connection": "star"}, ("transformers", "de", "connection")),
    ("transformers", 0, {"tap_side": "hv"}, ("transformers", "de", "tap_side")),
    ("transformers", 0, {"tap_pos": 3}, ("transformers", "de", "tap_pos")),
    ("transformers", 0, {"tap_step_percent": -100.0, "tap_pos": 1}, ("transformers", "de", "tap_step_percent")),
    ("transformers", 0, {"r_ohm": 0.0, "x_ohm": 0.0}, ("transformers", "de", "r_ohm")),
    ("transformers", 0, {"vn_to_kv": 0.0}, ("transformers", "de", "vn_to_kv")),
    ("transformers", 0, {"s_max_kva": 0.0}, ("transformers", "de", "s_max_kva")),
    ("sources", 0, {"v_pu": 0.0}, ("sources", "grid", "v_pu")),
    ("sources", 0, {"angle_degree": NAN}, ("sources", "grid", "angle_degree")),
    ("loads", 0, {"p_kw": -1.0}, ("loads", "b", "p_kw")),
    ("loads", 0, {"model": "zip"}, ("loads", "b", "model")),
    ("loads", 0, {"connection": "star"}, ("loads", "b", "connection")),
    ("generators", 0, {"p_min_kw": 50.0}, ("generators", "pv", "p_min_kw")),
    ("generators", 0, {"p_max_kw": None, "p_min_kw": 30.0}, ("generators", "pv", "p_min_kw")),
    ("generators", 0, {"q_max_kvar": -1.0}, ("generators", "pv", "q_min_kvar")),
    ("capacitors", 0, {"q_kvar": -1.0, "phases": "abc"}, ("capacitors", "cap", "q_kvar")),
    ("capacitors", 0, {"steps": 0, "steps_on": 0}, ("capacitors", "cap", "steps")),
    ("capacitors", 0, {"steps_on": 4}, ("capacitors", "cap", "steps_on")),
    ("capacitors", 0, {"steps_on": -1}, ("capacitors", "cap", "steps_on")),
    ("sources", 1, {"name": "second"}, ("sources", "second", "bus")),
    ("sources", 1, {"name": "second", "bus": "Z"}, ("sources", "second", "bus")),
    ("transformers", 0, {"closed": False}, ("buses", "E", "")),
]


@pytest.mark.parametrize(("kind", "row", "values", "place"), FAULTS)
def test_every_fault_is_named(kind: str, row: int, values: dict[str, Any], place: tuple[str, str, str]) -> None:
    found = [p for p in problems((kind, row, values)) if p.severity == "error"]
    assert place in [(p.table, p.row, p.column) for p in found]
    assert all(p.message and p.remedy for p in found)


def test_all_faults_come_at_once() -> None:
    changed = tables()
    changed["lines"][0]["to_bus"] = "Z"
    changed["loads"][0]["p_kw"] = -1.0
    changed["sources"][0]["v_pu"] = NAN
    with pytest.raises(InputError) as caught:
        grid(changed).check()
    assert {p.table for p in caught.value.problems} >= {"lines", "loads", "sources"}


def test_an_empty_grid_misses_a_bus_and_a_source() -> None:
    assert [p.table for p in Grid.from_tables("empty", {}).problems()] == ["buses", "sources"]


def test_zero_impedance_points_to_the_switches() -> None:
    (problem,) = problems(("lines", 0, {"r_ohm": 0.0, "x_ohm": 0.0}))
    assert "switches" in problem.remedy


@pytest.mark.parametrize("column", ["r_ohm", "x_ohm"])
def test_a_transformer_of_negative_impedance_is_for_the_power_flow_only(column: str) -> None:
    made = tables()
    made["transformers"][0][column] = -0.1
    (problem,) = grid(made).problems()
    assert (problem.row, problem.column, problem.severity) == ("de", column, "warning")
    build_network(grid(made), for_powerflow=True)
    with pytest.raises(InputError, match=r"-0\.1 ohm is negative, with which only"):
        build_network(grid(made))


def test_one_limit_of_a_generator_alone_is_fine() -> None:
    assert problems(("generators", 0, {"p_min_kw": None})) == []
    assert problems(("generators", 0, {"p_max_kw": None})) == []


def test_an_open_branch_that_cannot_close_is_allowed_and_counts_as_absent() -> None:
    assert problems(("lines", 2, {"switchable": False})) == []
    (problem,) = problems(("lines", 0, {"switchable": False, "closed": False}), ("lines", 2, {"switchable": False}))
    assert problem.row == "B"
    assert "'C', 'D', 'E'" in problem.message


def test_sources_joined_by_switches_alone_name_both_and_the_way_between() -> None:
    bridge = {"name": "ab switch", "from_bus": "A", "to_bus": "B", "switchable": False}
    joined = tables()
    joined["switches"].append(bridge)
    joined["sources"].append({"name": "other", "bus": "B"})
    (problem,) = (p for p in grid(joined).problems() if p.severity == "error")
    assert (problem.table, problem.row) == ("sources", "other")
    assert "'grid': 'ab switch' (switches)" in problem.message
    joined["switches"][-1]["closed"] = False
    assert not [p for p in grid(joined).problems() if p.severity == "error"]


def test_sources_joined_by_impedances_that_cannot_open_stay_joined() -> None:
    fixed = [("lines", row, {"switchable": False, "closed": True}) for row in range(3)]
    joined = problems(*fixed, ("sources", 1, {"name": "other", "bus": "C"}))
    assert [p.row for p in joined] == ["cd"]  # a loop that a switch opens; no word of the sources
    apart = problems(*fixed[:1], ("sources", 1, {"name": "other", "bus": "C"}))
    assert not [p for p in apart if p.severity == "error"]


def fixed_ring() -> dict[str, Any]:
    changed = tables()
    for row in (*changed["lines"][:3], changed["switches"][0]):
        row |= {"switchable": False, "closed": True}
    return changed


def test_a_loop_that_no_switch_opens_is_held() -> None:
    ring = grid(fixed_ring())
    assert ring.problems() == []
    (mesh,) = meshes(ring)
    assert mesh.is_held
    assert {"ab", "bc", "ad", "cd"} == set(mesh.names)
    assert is_radial_today(ring)
    changed = fixed_ring()
    changed["lines"][0]["switchable"] = True
    assert not is_radial_today(grid(changed))


def test_a_loop_of_phases_that_no_switch_opens_is_held() -> None:
    line = {"from_bus": "A", "to_bus": "B", "phases": "a", "r_ohm": 0.1, "x_ohm": 0.1, "switchable": False}
    buses = [{"name": n, "vn_kv": 4.16, "phases": "a"} for n in "AB"]
    load = {"name": "l", "bus": "B", "phases": "a", "p_kw": 50.0}
    twins = {
        "buses": buses,
        "lines": [{"name": p, **line} for p in "pq"],
        "sources": [{"name": "s", "bus": "A"}],
        "loads": [load],
    }
    assert grid(twins).problems() == []
    (mesh,) = meshes(grid(twins))
    assert mesh.is_held
    assert set(mesh.names) == {"p", "q"}
    assert is_radial_today(grid(twins))


def test_a_closed_loop_that_can_be_opened_is_a_warning_that_names_it() -> None:
    (problem,) = problems(("lines", 2, {"closed": True}))
    assert (problem.severity, problem.table, problem.row, problem.column) == ("warning", "switches", "cd", "closed")
    assert problem.message == "today it closes a loop with 'bc' (lines), 'ab' (lines), 'ad' (lines)"


def test_sources_joined_today_are_a_warning_that_names_the_way() -> None:
    (problem,) = problems(("sources", 1, {"name": "other", "bus": "C"}))
    assert (problem.severity, problem.table, problem.row) == ("warning", "sources", "other")
    assert problem.message == "today closed branches join it to source 'grid': 'ab' (lines), 'bc' (lines)"


def test_every_independent_loop_of_today_is_named_once() -> None:
    changed = tables()
    changed["lines"].append({**changed["lines"][0], "name": "ab2"})
    changed["lines"][2]["closed"] = True
    loops = [set(mesh.names) for mesh in meshes(grid(changed))]
    assert sorted(map(sorted, loops)) == [["ab", "ab2"], ["ab", "ad", "bc", "cd"]]
    assert meshes(grid(tables())) == []


def test_parallel_transformers_are_not_switchable_by_themselves_and_no_fault() -> None:
    twin = {key: value for key, value in tables()["transformers"][0].items() if key != "switchable"}
    changed = tables() | {"transformers": [twin, {**twin, "name": "de 2"}]}
    parallel = grid(changed)
    assert not parallel.transformers["switchable"].any()
    assert parallel.problems() == []
    (mesh,) = meshes(parallel)
    assert (mesh.is_held, set(mesh.names)) == (True, {"de", "de 2"})
    assert "--open 'de 2', or --switchable 'de,de 2'" in mesh.remedy
    asked = parallel.with_switchable("de 2")
    assert asked.transformers["switchable"].to_list() == [False, True]
    with pytest.raises(InputError, match="Did you mean 'de'"):
        parallel.with_switchable(["De"])


def test_a_transformer_that_is_open_today_is_named_where_buses_are_out_of_reach() -> None:
    (problem,) = problems(("transformers", 0, {"closed": False}))
    assert (problem.severity, problem.row) == ("error", "E")
    assert "--switchable de" in problem.remedy


def test_parallel_single_phase_lines_are_no_loop() -> None:
    line = {"from_bus": "A", "to_bus": "B", "r_ohm": 0.1, "x_ohm": 0.1, "switchable": False}
    three = {
        "buses": [{"name": n, "vn_kv": 4.16, "phases": "ab"} for n in "AB"],
        "lines": [{"name": p, "phases": p, **line} for p in "ab"],
        "sources": [{"name": "s", "bus": "A"}],
        "loads": [{"name": "l", "bus": "B", "phases": "a", "p_kw": 50.0}],
    }
    assert grid(three).problems() == []
    three["lines"][1]["phases"] = "a"
    kinds = [(p.table, p.row) for p in grid(three).problems()]
    assert kinds == [("buses", "B")]
    assert [set(mesh.names) for mesh in meshes(grid(three))] == [{"a", "b"}]


def test_matrices_of_three_phases() -> None:
    line = {"from_bus": "A", "to_bus": "B", "phases": "abc"}
    matrix = [0.3, 0.1, 0.3, 0.1, 0.1, 0.3]
    three = {
        "buses": [{"name": n, "vn_kv": 4.16, "phases": "abc"} for n in "AB"],
        "lines": [{"name": "l", **line, "r_ohm": matrix, "x_ohm": matrix}],
        "sources": [{"name": "s", "bus": "A"}],
        "loads": [{"name": "l", "bus": "B", "phases": "a", "p_kw": 50.0}],
    }
    assert grid(three).problems() == []
    three["lines"][0]["r_ohm"] = [0.3, -0.1, 0.3, 0.1, 0.1, 0.3]
    assert grid(three).problems() == [], "mutual terms may be negative"
    three["lines"][0]["r_ohm"] = [0.3, 0.1, -0.3, 0.1, 0.1, 0.3]
    assert [p.column for p in grid(three).problems()] == ["r_ohm"]
    three["lines"][0] |= {"r_ohm": matrix, "open_end": "to"}
    assert [p.column for p in grid(three).problems()] == ["open_end"], "of balanced grids only"


WARNINGS: list[tuple[str, int, dict[str, Any], str]] = [
    ("sources", 0, {"v_pu": 1.15}, "v_pu"),
    ("lines", 0, {"r_ohm": 50_000.0}, "r_ohm"),
    ("transformers", 0, {"vn_from_kv": 110.0}, "vn_from_kv"),
    ("transformers", 0, {"tap_pos": 2, "tap_min": 0, "tap_step_percent": 60.0}, "vn_from_kv"),
    ("loads", 0, {"v_min_pu": 0.03, "v_max_pu": 0.04}, "v_max_pu"),
    ("loads", 0, {"v_min_pu": 28.0, "v_max_pu": 31.0}, "v_min_pu"),
]


@pytest.mark.parametrize(("kind", "row", "values", "column"), WARNINGS)
def test_doubts_are_warnings(kind: str, row: int, values: dict[str, Any], column: str) -> None:
    (problem,) = problems((kind, row, values))
    assert (problem.severity, problem.table, problem.column) == ("warning", kind, column)
    grid(tables()).check()


@pytest.mark.parametrize("factor", [1e-5, 1e3])
def test_impedances_in_the_wrong_unit_are_doubted(factor: float) -> None:
    feeder = {
        "buses": [{"name": str(i), "vn_kv": 10.0} for i in range(8)],
        "lines": [
            {"name": str(i), "from_bus": str(i), "to_bus": str(i + 1), "r_ohm": 0.5 * factor, "x_ohm": 0.4 * factor}
            for i in range(7)
        ],
        "sources": [{"name": "s", "bus": "0"}],
        "loads": [{"name": str(i), "bus": str(i), "p_kw": 100.0} for i in range(1, 8)],
    }
    found = grid(feeder).problems()
    assert found
    assert {p.severity for p in found} == {"warning"}


def test_notes_come_last() -> None:
    note = Problem("file.m", "line 3", "", "a doubt", "look", "warning")
    changed = tables()
    changed["loads"][0]["p_kw"] = -1.0
    noted = Grid.from_tables("noted", changed, notes=[note])
    assert noted.problems()[-1] == note
    assert noted.problems()[0].severity == "error"


def test_many_loops_are_told_in_time() -> None:
    n = 3000
    mesh = {
        "buses": {"name": [str(i) for i in range(n)], "vn_kv": [10.0] * n},
        "lines": {
            "name": [f"{k}-{i}" for k in range(2) for i in range(n - 1)],
            "from_bus": [str(i) for _ in range(2) for i in range(n - 1)],
            "to_bus": [str(i + 1) for _ in range(2) for i in range(n - 1)],
            "r_ohm": [0.1] * (2 * n - 2),
            "x_ohm": [0.1] * (2 * n - 2),
            "switchable": [True] * (2 * n - 2),
        },
        "sources": [{"name": "s", "bus": "0"}],
        "loads": [{"name": "l", "bus": "0", "p_kw": 50.0}],
    }
    start = time.process_time()
    found = Grid.from_tables("mesh", mesh).problems()
    assert len(found) == 21
    assert time.process_time() - start < 20


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(grids())
def test_any_tables_are_judged_without_failing(any_grid: Grid) -> None:
    assert all(p.message and p.remedy for p in any_grid.problems())


@given(st.data())
def test_any_mix_of_faults_is_judged_without_failing(data: st.DataObject) -> None:
    faults = data.draw(st.lists(st.sampled_from(FAULTS), max_size=6))
    changed = tables()
    for kind, row, values, _ in faults:
        if row < len(changed[kind]):
            changed[kind][row].update(values)
    assert isinstance(grid(changed).problems(), list)
