"""pandapower nets: the flows are those of pandapower, and nothing named in the file is made."""

import copy
import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError
from openpoint.grid import Grid
from openpoint.io.pandapower.read import grid_from_text
from openpoint.network import build_network
from openpoint.powerflow.balanced import solve
from tests.io.nets import full_net, solved

TEXT = (Path(__file__).parent / "data" / "small.json").read_text()


def read(net: Any) -> Grid:
    """The grid of a net, through pandapower's own writer."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp

        return grid_from_text(pp.to_json(net), "net.json")


def faults(net: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(InputError) as caught:
        read(net)
    assert all(p.message and p.remedy for p in caught.value.problems)
    return [(p.table, p.row, p.column) for p in caught.value.problems]


def own_flow(grid: Grid) -> tuple[float, float]:
    network = build_network(grid)
    flows = solve(network, network.closed, tolerance=1e-13)
    assert flows.converged.all()
    return float(flows.loss[0]) * network.s_base_kva, float(np.abs(flows.v[0])[flows.energised[0]].min())


def test_flow_of_a_net_with_nearly_everything() -> None:
    net = full_net()
    grid = read(net)
    assert [p for p in grid.problems() if p.severity == "error"] == []
    assert own_flow(grid) == pytest.approx(solved(net), rel=1e-8)


def with_tap_tables() -> Any:
    """The net with taps of both transformers by tables: ratio, angle and impedance of each position."""
    net = full_net()
    net.trafo["tap_dependency_table"], net.trafo["id_characteristic_table"] = True, [0, 1]
    rows = [
        (0, -2, 0.96, 1.5, 10.2, 0.5),
        (0, -1, 0.98, 0.8, 10.6, 0.45),
        (1, 1, 1.03, 0.4, 6.3, 1.5),
        (1, 2, 1.05, 0.7, 6.5, 1.6),
    ]
    columns = ["id_characteristic", "step", "voltage_ratio", "angle_deg", "vk_percent", "vkr_percent"]
    net["trafo_characteristic_table"] = pd.DataFrame(rows, columns=columns)
    return net


@pytest.mark.filterwarnings("ignore")
def test_taps_by_tables_are_those_of_today() -> None:
    import pandapower as pp

    net = with_tap_tables()
    grid = read(net)
    assert own_flow(grid) == pytest.approx(solved(net), rel=1e-8)
    flow = openpoint.run_powerflow(grid)
    pp.runpp(net, tolerance_mva=1e-10, numba=False, calculate_voltage_angles=True)
    angle = dict(flow.buses.select("name", "angle_degree").iter_rows())["LV"]
    assert angle == pytest.approx(float(net.res_bus.va_degree[net.bus.index[net.bus["name"] == "LV"]].item()), abs=1e-6)
    assert "stay at today's position" in " ".join(note.message for note in grid.notes)
    net.trafo_characteristic_table = net.trafo_characteristic_table.iloc[1:]
    assert faults(net) == [("trafo", "0 (T1)", "tap_dependency_table")]


def network_named(name: str) -> Any:
    return copy.deepcopy(_network_named(name))


@cache
def _network_named(name: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower.networks as networks

        return getattr(networks, name)()


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("case33bw", 1e-8),
        ("create_cigre_network_lv", 1e-8),
        ("create_kerber_dorfnetz", 1e-8),
        ("simple_four_bus_system", 1e-8),
        ("create_cigre_network_mv", 1e-8),
        ("mv_oberrhein", 1e-8),
    ],
)
def test_flows_of_pandapowers_own_nets(name: str, tolerance: float) -> None:
    net = network_named(name)
    grid = read(net)
    assert [p for p in grid.problems() if p.severity == "error"] == []
    assert own_flow(grid) == pytest.approx(solved(net), rel=tolerance)


def switched(kinds: dict[int, str], opened: dict[int, str]) -> Any:
    """The medium-voltage net of CIGRE without limits, with switches at these ends of its lines; all others have none.

    Args:
        kinds: ends with a switch, by line. opened: ends that are open today.
    """
    import pandapower as pp

    net = network_named("create_cigre_network_mv")
    net.switch = net.switch[net.switch.et != "l"]
    net.line["max_i_ka"], net.trafo["max_loading_percent"] = 99999.0, 1e9
    for line, ends in kinds.items():
        for end in ends.split():
            bus = int(net.line.at[line, f"{end}_bus"])
            pp.create_switch(net, bus, line, et="l", closed=end not in opened.get(line, "").split())
    return net


@pytest.mark.parametrize(
    ("ends", "today", "open_end", "loss_kw"),
    [
        ("to", "to", "to", 219.8825),
        ("from", "from", "from", 219.5143),
        ("from to", "from", "to", 219.8825),  # of the ties it is where they are open today, see below
        ("from to", "from to", "to", 219.8825),
    ],
)
def test_the_answer_loses_what_pandapower_says(ends: str, today: str, open_end: str, loss_kw: float) -> None:
    """What is opened stays under voltage from its other end, charging included; the bound is below all of it."""
    ties = dict.fromkeys((12, 13, 14), today)
    net = switched(dict.fromkeys(range(15), ends), ties)
    grid = read(net)
    assert own_flow(grid) == pytest.approx(solved(net), rel=1e-8)
    assert grid.lines["open_end"].to_list() == [open_end] * 12 + ["both" if " " in today else today] * 3
    assert len(grid.notes) == (" " in ends)
    answer = openpoint.reconfigure(grid, limits=openpoint.Limits(v_min_pu=0.5, v_max_pu=1.5))
    assert answer.loss_kw == pytest.approx(loss_kw, abs=1e-4)
    assert answer.loss_kw * (1 - 1e-6) <= answer.lower_bound_kw <= answer.loss_kw
    where = {row["name"]: (k, row["open_end"]) for k, row in enumerate(grid.lines.iter_rows(named=True))}
    opened = dict(where[name] for name in answer.open_branches)
    assert solved(switched(dict.fromkeys(range(15), ends), opened))[0] == pytest.approx(answer.loss_kw, rel=1e-8)


def test_a_switch_at_no_end_of_its_line_is_a_fault() -> None:
    net = switched({3: "to", 4: "from to"}, {})
    net.switch.loc[net.switch.element == 3, "bus"] = 9
    assert faults(net) == [("switch", str(net.switch.index[net.switch.element == 3][0]), "bus")]


@pytest.mark.parametrize(
    ("kinds", "opened", "stays"),
    [({}, {}, True), ({9: "from"}, {9: "from"}, False), ({9: "from"}, {9: "to"}, True), ({9: "to"}, {9: "to"}, True)],
)
def test_a_line_to_a_bus_out_of_service_keeps_its_charging(
    kinds: dict[int, str], opened: dict[int, str], stays: bool
) -> None:
    net = switched({12: "to", 13: "to", 14: "to"} | kinds, {12: "to", 13: "to", 14: "to"} | opened)
    net.bus.loc[8, "in_service"] = False  # line 9 runs there from bus 3, and lines 5, 6 and 14 are cut off
    net.load.loc[net.load.bus.isin([7, 8, 9, 10, 11]), "in_service"] = False
    net.bus.loc[[7, 9, 10, 11], "in_service"] = False
    grid = read(net)
    assert own_flow(grid) == pytest.approx(solved(net), rel=1e-8)
    ends = {row["name"]: (row["to_bus"], row["switchable"]) for row in grid.lines.iter_rows(named=True)}
    assert ends.get("Line 3-8") == (("Line 3-8 (open end)", False) if stays else None)


def test_switches_of_mv_oberrhein() -> None:
    grid = read(network_named("mv_oberrhein"))
    assert (grid.buses.height, grid.sources.height, grid.transformers.height) == (179, 2, 2)
    assert grid.lines["switchable"].sum() == len(set(network_named("mv_oberrhein").switch.element))
    assert (~grid.lines["closed"]).sum() == 6
    assert grid.buses["x"].null_count() == 0


def test_names_are_the_elements_own_where_they_are_unique() -> None:
    grid = read(full_net())
    names = grid.buses["name"].to_list()
    assert names == ["HV", "A", "B", "bus 3", "bus 4", "bus 5", "LV", "station", "other"]
    assert grid.transformers["name"].to_list() == ["T1", "trafo 1"]
    assert grid.lines["name"].to_list() == ["line 0", "line 1", "line 2", "line 3", "line 4", "fuse"]
    assert grid.switches["name"].to_list() == ["coupler"]
    assert grid.buses.select("x", "y").row(0) == (0, 0)


def test_states_of_branches() -> None:
    branches = {row["name"]: row for row in read(full_net()).branches().iter_rows(named=True)}
    states = {name: (row["switchable"], row["closed"]) for name, row in branches.items()}
    assert states["line 0"] == (False, True)
    assert states["line 1"] == (True, True)
    assert states["line 4"] == (True, False)
    assert states["trafo 1"] == (False, True)  # its breakers do not say that it may be taken out
    assert states["coupler"] == (False, True)  # nor does the coupler of two busbars


def test_ratings() -> None:
    grid = read(full_net())
    assert grid.lines["i_max_a"].to_list() == pytest.approx([480, 240, 240, 240, 300, 200])
    assert grid.transformers["s_max_kva"].to_list() == pytest.approx([50_000, 567])


def test_lengths_are_those_of_the_net() -> None:
    net = full_net()
    lengths = dict(read(net).lines.select("name", "length_km").iter_rows())
    for k, km in enumerate(net.line["length_km"]):
        if f"line {k}" in lengths:  # the others are out of service
            assert lengths.pop(f"line {k}") == pytest.approx(km)
    assert set(lengths.values()) <= {0.0}  # switches with an impedance


def test_loads_generators_and_shunts() -> None:
    grid = read(full_net())
    loads = {row["name"]: row for row in grid.loads.iter_rows(named=True)}
    assert loads["town"]["p_kw"] == pytest.approx(800)
    parts = {
        m: loads[n]
        for m, n in (("power", "load 1"), ("current", "load 1 (current)"), ("impedance", "load 1 (impedance)"))
    }
    assert [parts[m]["p_kw"] for m in parts] == pytest.approx([100, 250, 150])
    assert [parts[m]["q_kvar"] for m in parts] == pytest.approx([80, 0, 20])
    assert all(row["model"] == model for model, row in parts.items())
    generators = {row["name"]: row for row in grid.generators.iter_rows(named=True)}
    assert generators["feeding (infeed)"]["p_kw"] == pytest.approx(100)
    assert generators["wind"]["p_max_kw"] is None
    assert [generators["plant"][k] for k in ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")] == [0, 400, -100, 100]
    assert generators["storage 0"]["p_kw"] == pytest.approx(-50)
    assert grid.capacitors.select("q_kvar", "steps", "steps_on").row(0) == pytest.approx((300, 3, 2))
    assert loads["shunt 1 (shunt)"]["q_kvar"] == pytest.approx(50 * (20 / 21) ** 2)


def priced(*costs: tuple[int, str, dict[str, float]], **limits: float) -> Any:
    """The net with costs of elements, and limits of its external grid."""
    import pandapower as pp

    net = full_net()
    for element, kind, cost in costs:
        pp.create_poly_cost(net, element, kind, **{"cp1_eur_per_mw": 0.0} | cost)
    for column, value in limits.items():
        net.ext_grid[column] = value
    return net


def test_costs_and_limits_are_read_in_kw() -> None:
    """50 €/MWh at the external grid; 3 + 80 P + 10 P² €/h of the plant, P in MW."""
    plant = {"cp0_eur": 3.0, "cp1_eur_per_mw": 80.0, "cp2_eur_per_mw2": 10.0}
    limits = {"min_p_mw": -5.0, "max_p_mw": 20.0, "max_q_mvar": 8.0}
    grid = read(priced((0, "ext_grid", {"cp1_eur_per_mw": 50.0}), (1, "sgen", plant), (0, "sgen", plant), **limits))
    source = grid.sources.row(0, named=True)
    assert source["price_usd_per_kwh"] == pytest.approx(0.05)
    columns = ("p_min_kw", "p_max_kw", "q_min_kvar", "q_max_kvar")
    assert [source[column] for column in columns] == [-5000, 20_000, None, 8000]
    costs = {
        name: cost
        for name, *cost in grid.generators.select(
            "name", "cost_on_usd_per_h", "cost_usd_per_kwh", "cost_usd_per_kw2h"
        ).iter_rows()
    }
    assert costs["plant"] == pytest.approx([3.0, 0.08, 1e-5])
    assert costs["wind"] == [0.0] * 3, "its output is fixed"
    assert any(note.message == "costs in € are read as $" for note in grid.notes)
    assert grid.check() is grid


@pytest.mark.parametrize(
    ("cost", "limits", "message"),
    [
        ({"cp2_eur_per_mw2": 1.0}, {}, "one price"),
        ({"cp0_eur": -1.0}, {}, "negative constant"),
        ({"cp1_eur_per_mw": -1.0}, {}, "nothing limits its power"),
        ({"cq1_eur_per_mvar": 1.0}, {}, "reactive power"),
        ({}, {"min_p_mw": 2.0, "max_p_mw": 1.0}, "lies above the most"),
    ],
)
def test_costs_and_limits_that_are_not_read_are_noted(
    cost: dict[str, float], limits: dict[str, float], message: str
) -> None:
    grid = read(priced((0, "ext_grid", cost), **limits))
    assert any(message in note.message for note in grid.notes)
    assert grid.check() is grid


def test_piecewise_linear_costs_are_noted() -> None:
    import pandapower as pp

    net = full_net()
    pp.create_pwl_cost(net, 1, "sgen", [[0, 0.2, 10], [0.2, 0.4, 20]])
    assert any("piecewise linear" in note.message for note in read(net).notes)


def test_on_load_tap_changers_are_those_that_the_net_marks() -> None:
    """pandapower writes `oltc` as false where nobody said anything, so that all false means nothing."""
    net = full_net()
    assert read(net).transformers["controllable"].to_list() == [True, True]
    net.trafo["oltc"] = [False, True]
    assert read(net).transformers["controllable"].to_list() == [False, True]


def test_what_is_left_out_is_noted() -> None:
    notes = {(n.table, n.column) for n in read(full_net()).notes}
    assert {("line", "in_service"), ("bus", "in_service"), ("load", "in_service"), ("load", "p_mw")} <= notes


def test_a_net_without_switches_has_switchable_lines() -> None:
    import pandapower.networks as networks

    grid = read(networks.case33bw())
    assert grid.lines.height == 37
    assert grid.lines["switchable"].all()
    assert grid.lines.filter(~grid.lines["closed"]).height == 5
    assert any(n.table == "switch" for n in grid.notes)


def test_unreachable_buses_are_left_out_with_a_note() -> None:
    net = full_net()
    net.line.loc[3, "in_service"] = False
    net.switch = net.switch[net.switch.element != 4]
    net.line.loc[4, "in_service"] = False
    grid = read(net)
    assert "bus 5" not in grid.buses["name"].to_list()
    assert any("'" not in n.message and "bus 5" in n.message for n in grid.notes)


def _direct_current(net: Any) -> None:
    import pandapower as pp

    pp.create_dcline(net, 1, 2, 0.1, 1.0, 0.0, 1.0, 1.0)


def _set(table: str, row: int, column: str, value: Any) -> Callable[[Any], None]:
    def change(net: Any) -> None:
        net[table][column] = net[table][column].astype(object) if column in net[table] else None
        net[table].loc[row, column] = value

    return change


BREAKS: list[tuple[Callable[[Any], None], tuple[str, str, str]]] = [
    (_direct_current, ("dcline", "", "")),
    (_set("load", 0, "p_mw", None), ("load", "0 (town)", "p_mw")),
    (_set("load", 0, "bus", 77), ("load", "0 (town)", "bus")),
    (_set("line", 0, "to_bus", None), ("line", "0 (L)", "to_bus")),
    (_set("line", 0, "length_km", "long"), ("line", "0 (L)", "length_km")),
    (_set("trafo", 0, "vkr_percent", 20.0), ("trafo", "0 (T1)", "vkr_percent")),
    (_set("trafo", 0, "tap_pos", 0.5), ("trafo", "0 (T1)", "tap_pos")),
    (_set("trafo", 0, "tap_step_degree", 5.0), ("trafo", "0 (T1)", "tap_step_degree")),
    (_set("trafo", 0, "tap_dependency_table", True), ("trafo", "0 (T1)", "tap_dependency_table")),
    (_set("trafo", 0, "tap_changer_type", "Tabular"), ("trafo", "0 (T1)", "tap_changer_type")),
    (_set("switch", 0, "et", "x"), ("switch", "0", "et")),
]


@pytest.mark.parametrize(("change", "place"), BREAKS)
@pytest.mark.filterwarnings("ignore")
def test_faults_are_named(change: Callable[[Any], None], place: tuple[str, str, str]) -> None:
    net = full_net()
    change(net)
    assert place in faults(net)


def test_a_generator_holds_its_voltage_and_has_made_what_the_last_flow_says() -> None:
    import pandapower as pp

    net = full_net()
    pp.create_gen(net, 3, 0.1, vm_pu=1.01, min_q_mvar=-0.2, max_q_mvar=0.3, name="G")
    grid = read(net)
    row = grid.generators.row(by_predicate=pl.col("name") == "G", named=True)
    figures = [row[key] for key in ("p_kw", "q_kvar", "q_min_kvar", "q_max_kvar", "v_pu", "p_max_kw")]
    assert figures == [pytest.approx(100), 0, pytest.approx(-200), pytest.approx(300), 1.01, None]
    assert any("its reactive power is not in the file" in note.message for note in grid.notes)
    net.res_gen = pd.DataFrame({"p_mw": [0.1], "q_mvar": [0.25]}, index=net.gen.index)
    after = read(net)
    assert after.generators.filter(name="G")["q_kvar"].to_list() == pytest.approx([250])
    assert not any(note.table == "gen" for note in after.notes)


def test_a_slack_generator_is_a_source() -> None:
    import pandapower as pp

    net = full_net()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pp.create_gen(net, 8, 0.0, vm_pu=1.0, slack=True, name="island")
    assert read(net).sources["name"].to_list() == ["upstream", "island"]


def test_no_class_in_the_file_is_made(tmp_path: Path) -> None:
    witness = tmp_path / "made"
    touch = {"_module": "pathlib", "_class": "Path.touch", "_object": str(witness)}
    rows = {"columns": ["object"], "index": [0], "data": [[touch]]}
    content = json.loads(TEXT)
    bus = content["_object"]["bus"]
    content["_object"]["controller"] = {**bus, "_module": "os", "_object": json.dumps(rows)}
    content["_object"]["user_pf_options"] = touch
    grid = grid_from_text(json.dumps(content), "evil.json")
    assert any(n.table == "controller" for n in grid.notes)
    assert not witness.exists()


@pytest.mark.parametrize("orient", ["split", "columns", "index"])
def test_orientations_and_nested_text(orient: str) -> None:
    content = json.loads(TEXT)
    table = content["_object"]["load"]
    inner = json.loads(table["_object"])
    rows = {str(i): dict(zip(inner["columns"], cells)) for i, cells in zip(inner["index"], inner["data"])}
    turned = {c: {i: row[c] for i, row in rows.items()} for c in inner["columns"]}
    table["_object"] = {"split": inner, "index": rows, "columns": turned}[orient]
    table["orient"] = orient
    assert grid_from_text(json.dumps(content), "small.json").equals(grid_from_text(TEXT, "small.json"))


def net_with_bus(frame: object) -> str:
    bus = {"_class": "DataFrame", "_object": frame}
    return json.dumps({"_class": "pandapowerNet", "_object": {"bus": bus}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"_class": "DataFrame"}',
        '{"_class": "pandapowerNet"}',
        '{"_class": "pandapowerNet", "_object": "{"}',
        '{"_class": "pandapowerNet", "_object": {}}',
        '{"_class": "pandapowerNet", "_object": {"bus": {"_class": "DataFrame", "_object": "[1]"}}}',
        net_with_bus({"columns": ["a"], "index": [0, 1], "data": [[1]]}),
        net_with_bus({"columns": ["a"], "index": [0], "data": [[1, 2]]}),
        net_with_bus({"columns": ["a"], "index": [0.5], "data": [[1]]}),
        "[" * 100_000,
        "1" * 10_000,
    ],
)
def test_what_is_no_net_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        grid_from_text(text, "net.json")


CELLS = st.one_of(
    st.none(),
    st.booleans(),
    st.floats(),
    st.integers(),
    st.text(max_size=4),
    st.just(10**400),
    st.lists(st.none(), max_size=2),
)


@settings(max_examples=13, deadline=None)
@given(st.data())
def test_any_cell_may_hold_anything(data: st.DataObject) -> None:
    content = json.loads(TEXT)
    tables = content["_object"]
    name = data.draw(st.sampled_from(sorted(k for k, v in tables.items() if isinstance(v, dict))))
    inner = json.loads(tables[name]["_object"])
    row = data.draw(st.integers(0, len(inner["data"]) - 1))
    column = data.draw(st.integers(0, len(inner["columns"]) - 1))
    inner["data"][row][column] = data.draw(CELLS)
    tables[name]["_object"] = inner
    with suppress(InputError):
        grid_from_text(json.dumps(content), "small.json").problems()


@settings(max_examples=25, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_and_never_fail(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT)))
    end = data.draw(st.one_of(st.just(len(TEXT)), st.integers(at, min(at + 12, len(TEXT)))))
    with suppress(InputError):
        grid_from_text(TEXT[:at] + data.draw(st.text(max_size=4)) + TEXT[end:], "small.json").problems()
