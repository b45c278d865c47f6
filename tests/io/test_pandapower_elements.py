"""Elements of pandapower nets that become several rows: windings, impedances, wards, motors; the flows are equal."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.errors import InputError
from openpoint.grid import Grid
from openpoint.grid.devices import with_held
from openpoint.io.pandapower.read import grid_from_text
from openpoint.io.write_back import write_back

pytestmark = pytest.mark.filterwarnings("ignore")


def read(net: Any) -> Grid:
    import pandapower as pp

    return grid_from_text(pp.to_json(net), "net.json")


def three_windings(rng: np.random.Generator, **given: Any) -> Any:
    """A net of 110, 20 and 10 kV around a transformer of three windings of random data."""
    import pandapower as pp

    net = pp.create_empty_network()
    buses = [pp.create_bus(net, kv, name=f"b{kv}") for kv in (110.0, 20.0, 10.0)]
    pp.create_ext_grid(net, buses[0], vm_pu=1.02)
    sn, vk = rng.uniform(10.0, 40.0, 3), rng.uniform(6.0, 18.0, 3)
    data: dict[str, Any] = {"vn_hv_kv": 112.0, "vn_mv_kv": 20.5, "vn_lv_kv": 10.2, "shift_mv_degree": 30.0}
    for side, rating, voltage in zip(("hv", "mv", "lv"), sn, vk):
        share = rng.uniform(0.02, 0.1)
        data |= {f"sn_{side}_mva": rating, f"vk_{side}_percent": voltage, f"vkr_{side}_percent": share * voltage}
    data |= {"pfe_kw": rng.uniform(0.0, 40.0), "i0_percent": rng.uniform(0.05, 0.5), "name": "T"}
    data |= {"tap_side": rng.choice(["hv", "mv", "lv"]), "tap_neutral": 0, "tap_min": -8, "tap_max": 8}
    data |= {"tap_pos": int(rng.integers(-8, 9)), "tap_step_percent": 1.25, "tap_changer_type": "Ratio"}
    pp.create_transformer3w_from_parameters(net, *buses, **(data | given))
    for bus in buses[1:]:
        end = pp.create_bus(net, net.bus.vn_kv[bus], name=f"end of {bus}")
        line = {"length_km": 2.0, "r_ohm_per_km": 0.2, "x_ohm_per_km": 0.1, "c_nf_per_km": 200.0, "max_i_ka": 0.4}
        pp.create_switch(net, bus, pp.create_line_from_parameters(net, bus, end, **line), et="l")
        pp.create_load(net, end, *rng.uniform(0.3, 2.0, 2))
    return net


def assert_same_flow(net: Any, grid: Grid, losses: float) -> None:
    """The voltages of the net by pandapower and here, and the losses in MW."""
    flow = openpoint.run_powerflow(grid)
    v = dict(zip(flow.buses["name"], flow.buses["v_pu"]))
    fed = net.res_bus.vm_pu[net.res_bus.vm_pu.notna()]
    assert [v[name] for name in net.bus.name[fed.index]] == pytest.approx(fed.tolist(), abs=1e-8)
    assert flow.loss_kw == pytest.approx(1e3 * losses, rel=1e-7, abs=1e-6)


def run(net: Any, **options: Any) -> None:
    import pandapower as pp

    pp.runpp(net, tolerance_mva=1e-10, calculate_voltage_angles=True, enforce_q_lims=True, numba=False, **options)


@pytest.mark.parametrize("seed", range(3))
def test_three_windings(seed: int) -> None:
    rng = np.random.default_rng(seed)
    net = three_windings(rng, tap_at_star_point=bool(seed % 3 == 1), tap_step_degree=0.0)
    loss_side = (None, "hv", "mv", "lv")[seed % 4]
    if loss_side:
        net.trafo3w["loss_side"] = loss_side
    run(net)
    grid = read(net)
    assert_same_flow(net, grid, net.res_line.pl_mw.sum() + net.res_trafo3w.pl_mw.sum())
    assert grid.transformers["name"].to_list() == ["T (hv)", "T (mv)", "T (lv)"]
    assert not grid.transformers["switchable"].any()
    rated = grid.transformers.select(pl.coalesce("i_max_from_a", "i_max_to_a")).to_series()
    of = net.trafo3w.iloc[0]
    assert rated.to_list() == pytest.approx(
        [1e3 * of[f"sn_{side}_mva"] / (math.sqrt(3.0) * of[f"vn_{side}_kv"]) for side in ("hv", "mv", "lv")]
    )


def test_iron_losses_at_the_star_are_a_load_there() -> None:
    net = three_windings(np.random.default_rng(1))
    net.trafo3w["loss_side"] = "star"
    run(net, trafo3w_losses="star")
    flow = openpoint.run_powerflow(read(net))
    v = dict(zip(flow.buses["name"], flow.buses["v_pu"]))
    assert [v[name] for name in net.bus.name] == pytest.approx(net.res_bus.vm_pu.tolist(), abs=1e-8)


@pytest.mark.parametrize("side", ["mv", "lv"])
def test_an_open_switch_takes_one_winding_out_and_is_written_back(side: str, tmp_path: Path) -> None:
    import pandapower as pp

    net = three_windings(np.random.default_rng(3))
    bus = net.trafo3w[f"{side}_bus"][0]
    for winding in ("mv", "lv"):
        pp.create_switch(net, net.trafo3w[f"{winding}_bus"][0], 0, et="t3", closed=winding != side)
    pp.create_impedance(net, *net.trafo3w[["mv_bus", "lv_bus"]].iloc[0], rft_pu=0.02, xft_pu=0.3, sn_mva=5.0, name="Z")
    run(net)
    grid = read(net)
    states = dict(grid.transformers.select("name", "closed").iter_rows())
    assert states == {"T (hv)": True, "T (mv)": side != "mv", "T (lv)": side != "lv", "Z": True}
    assert_same_flow(net, grid, sum(net[f"res_{table}"].pl_mw.sum() for table in ("line", "trafo3w", "impedance")))

    file, copy = tmp_path / "net.json", tmp_path / "copy.json"
    pp.to_json(net, str(file))
    changes = write_back(file, copy, {f"T ({side})": True})
    assert [change.branch for change in changes] == [f"T ({side})"]
    again = pp.from_json(str(copy))
    assert again.switch.closed.all()
    assert bus in again.switch.bus.tolist()
    with pytest.raises(InputError, match="no switch stands at this winding"):
        write_back(file, copy, {"T (hv)": False})
    with pytest.raises(InputError, match="an impedance has no switch"):
        write_back(file, copy, {"Z": False})


def test_a_negative_leg_is_computed_and_refused_by_what_needs_bounds() -> None:
    net = three_windings(np.random.default_rng(0), vk_mv_percent=30.0, vkr_mv_percent=0.5)
    run(net)
    grid = read(net)
    assert (grid.transformers["x_ohm"] < 0).sum() == 1
    assert_same_flow(net, grid, net.res_line.pl_mw.sum() + net.res_trafo3w.pl_mw.sum())
    assert any("is negative, with which only" in problem.message for problem in grid.problems())
    with pytest.raises(InputError, match="is negative, with which only"):
        openpoint.reconfigure(grid)


def change(net: Any, column: str, value: Any) -> Any:
    net.trafo3w[column] = net.trafo3w[column].astype(object) if column in net.trafo3w else None
    net.trafo3w.loc[0, column] = value
    return net


@pytest.mark.parametrize(
    ("column", "value", "at_star"),
    [
        ("vkr_mv_percent", 40.0, False),
        ("vk_hv_percent", None, False),
        ("tap_dependency_table", True, False),
        ("loss_side", "middle", False),
        ("tap_pos", 0.5, False),
        ("tap_step_degree", 5.0, False),
        ("tap_step_degree", 5.0, True),
    ],
)
def test_faults_of_three_windings_are_named(column: str, value: Any, at_star: bool) -> None:
    net = three_windings(np.random.default_rng(2), tap_pos=3, tap_at_star_point=at_star)
    with pytest.raises(InputError) as caught:
        read(change(net, column, value))
    assert [(p.table, p.row, p.column) for p in caught.value.problems] == [("trafo3w", "0 (T)", column)]


def test_a_switch_at_no_winding_is_a_fault() -> None:
    import pandapower as pp

    net = three_windings(np.random.default_rng(2))
    pp.create_switch(net, 1, 0, et="t3")
    net.switch.loc[net.switch.index[-1], "bus"] = 4
    with pytest.raises(InputError, match="bus 4 is at no winding of trafo3w 0"):
        read(net)


def small_net() -> Any:
    """20 kV: a source, two cables, and 10 kV behind a transformer."""
    import pandapower as pp

    net = pp.create_empty_network()
    a, b, c = (pp.create_bus(net, 20.0, name=name) for name in "abc")
    d = pp.create_bus(net, 10.0, name="d")
    pp.create_ext_grid(net, a, vm_pu=1.01)
    line = {"length_km": 3.0, "r_ohm_per_km": 0.2, "x_ohm_per_km": 0.15, "c_nf_per_km": 200.0, "max_i_ka": 0.4}
    for fr, to in ((a, b), (b, c)):
        pp.create_switch(net, fr, pp.create_line_from_parameters(net, fr, to, **line), et="l")
    pp.create_impedance(
        net, c, d, rft_pu=0.01, xft_pu=0.06, sn_mva=2.0, gf_pu=0.001, bf_pu=-0.002, gt_pu=0.001, bt_pu=-0.002
    )
    pp.create_load(net, d, 0.4, 0.1)
    return net


def test_impedances_wards_and_motors() -> None:
    import pandapower as pp

    net = small_net()
    b, c = net.bus.index[net.bus.name.isin(["b", "c"])]
    pp.create_ward(net, b, ps_mw=0.2, qs_mvar=-0.1, pz_mw=0.3, qz_mvar=0.05, name="W")
    pp.create_ward(net, c, ps_mw=-0.1, qs_mvar=0.02, pz_mw=0.0, qz_mvar=-0.1)
    pp.create_impedance(net, b, c, rft_pu=0.05, xft_pu=0.08, sn_mva=3.0, name="Z")
    given = {"efficiency_percent": 90.0, "loading_percent": 80.0, "scaling": 0.9}
    pp.create_motor(net, c, pn_mech_mw=0.3, cos_phi=0.85, **given)
    run(net)
    grid = read(net)
    assert_same_flow(net, grid, net.res_line.pl_mw.sum() + net.res_impedance.pl_mw.sum())
    assert not grid.lines.filter(name="Z")["switchable"].item()
    motor = grid.loads.filter(name="motor 0").row(0, named=True)
    assert motor["p_kw"] == pytest.approx(1e3 * net.res_motor.p_mw[0])
    assert motor["q_kvar"] == pytest.approx(1e3 * net.res_motor.q_mvar[0])


def test_an_extended_ward_holds_the_voltage_behind_its_impedance() -> None:
    import pandapower as pp

    net = small_net()
    ward = {"ps_mw": 0.1, "qs_mvar": 0.05, "pz_mw": 0.2, "qz_mvar": -0.1, "r_ohm": 1.0, "x_ohm": 4.0, "vm_pu": 1.0}
    pp.create_xward(net, 2, **ward, name="X")
    assert any("its reactive power is not in the file" in note.message for note in read(net).notes)
    run(net)
    grid = read(net)
    # pandapower counts what the ward's own impedance loses with the ward.
    into = complex(net.res_xward.p_mw[0], net.res_xward.q_mvar[0]) - complex(0.1, 0.05)
    into -= complex(0.2, -0.1) * net.res_xward.vm_pu[0] ** 2
    own = abs(into) ** 2 / (20.0 * net.res_xward.vm_pu[0]) ** 2
    losses = net.res_line.pl_mw.sum() + net.res_impedance.pl_mw.sum()
    assert_same_flow(net, grid, losses + own)
    made = grid.generators.filter(name="X (inner)")["q_kvar"].item()
    assert made == pytest.approx(1e3 * (4.0 * own - into.imag), rel=1e-6)
    assert_same_flow(net, with_held(grid, "pq"), losses + own)


@pytest.mark.parametrize(("column", "place"), [("rtf_pu", "rft_pu"), ("bt_pu", "bf_pu")])
def test_an_impedance_that_differs_by_direction_is_named(column: str, place: str) -> None:
    net = small_net()
    net.impedance.loc[0, column] = 0.5
    with pytest.raises(InputError) as caught:
        read(net)
    assert [(p.table, p.row, p.column) for p in caught.value.problems] == [("impedance", "0", place)]


def test_a_motor_without_a_sound_power_factor_is_named() -> None:
    import pandapower as pp

    net = small_net()
    pp.create_motor(net, 2, pn_mech_mw=0.3, cos_phi=0.85)
    net.motor.loc[0, "cos_phi"] = 1.2
    with pytest.raises(InputError, match=r"1\.2 does not lie above 0 and up to 1"):
        read(net)
