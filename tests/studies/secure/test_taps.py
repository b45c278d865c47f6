"""Tap changers that follow after a fault, against every tap position and against the controllers of pandapower."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

import openpoint
from openpoint import Grid, InputError, OptionError
from tests.studies.secure.test_study import station

TAPS = {"tap_min": -9, "tap_max": 9, "tap_step_percent": 1.5}
BAND = {"v_hold_min_pu": 1.0, "v_hold_max_pu": 1.03}


def at(grid: Grid, closed: dict[str, bool], tap: int) -> float:
    """The voltage at the busbar in a state with the tap at a position."""
    moved = grid.with_tables(transformers=grid.transformers.with_columns(tap_pos=pl.lit(tap))).with_closed(closed)
    return dict(openpoint.run_powerflow(moved).buses.select("name", "v_pu").iter_rows())["S"]


@pytest.mark.parametrize(("step", "side"), [(1.5, "from"), (-1.5, "from"), (1.5, "to")])
def test_the_tap_is_the_nearest_one_in_the_band(step: float, side: str) -> None:
    grid = station(0.9, **TAPS | {"tap_step_percent": step, "tap_side": side}, **BAND)
    found = openpoint.secure(grid)
    assert found.counts["restored"] == 2
    (base,) = found.grid.transformers["tap_pos"].to_list()
    assert f"T: 0 → {base}" in found.notes[0]
    for row in found.faults.filter(verdict="restored").iter_rows(named=True):
        states = {row["name"]: False, "AB": True}
        inside = [k for k in range(-9, 10) if 1.0 <= at(grid, states, k) <= 1.03]
        nearest = min(inside, key=lambda k: abs(k - base))
        assert row["taps"] == ("" if nearest == base else f"T: {base} → {nearest}")
        with_tap = grid.transformers.with_columns(tap_pos=pl.lit(nearest))
        flow = openpoint.run_powerflow(grid.with_tables(transformers=with_tap).with_closed(states))
        assert row["v_min_pu"] == pytest.approx(flow.v_min_pu, abs=1e-10)


def test_what_taps_keep_is_restored_and_what_their_range_does_not_reach_is_not() -> None:
    kept, short, still = (
        openpoint.secure(station(0.94, **TAPS | more), hold="T*=1.0:1.03")
        for more in ({}, {"tap_min": 0}, {"tap_step_percent": 0.02})
    )
    assert kept.counts["restored"] == 2
    assert "step until they hold T 1 to 1.03 pu" in kept.rules
    assert short.counts["limits"] == still.counts["limits"] == 2
    assert "hold T" not in openpoint.secure(kept.grid, hold="none").rules
    assert openpoint.secure(kept.grid, hold={"T": (1.0, 1.03)}).counts == kept.counts


def test_bands_narrower_than_a_step_hunt_and_are_told() -> None:
    found = openpoint.secure(station(0.9, **TAPS), hold="T=1.001:1.002")
    assert "hunt" in found.notes[0]
    assert found.faults.filter(name="SA")["limit"].str.contains("hunt").all()


def test_what_is_no_band_and_no_tap_changer_is_told() -> None:
    grid = station(0.9, **TAPS)
    for hold in ("T", "T=1.0", "T=1.03:1.0", "T=99:103", {"T": 1.0}):
        with pytest.raises(OptionError, match="bands such as"):
            openpoint.secure(grid, hold=hold)
    with pytest.raises(InputError, match="no transformer of this name") as caught:
        openpoint.secure(grid, hold="U*=1.0:1.03")
    assert "Those that can: T" in str(caught.value)
    with pytest.raises(InputError, match="--hold none"):
        openpoint.secure(grid, hold="T=1.0:1.03", any_switching=True)
    with pytest.raises(InputError, match="a band from v_hold_min_pu up to v_hold_max_pu"):
        openpoint.secure(station(0.9, **TAPS, v_hold_min_pu=1.0))


def planners_net(*, twins: bool = False) -> Any:
    """A ring between the busbars of two transformers, or of one pair in parallel; controllers hold 1.01 to 1.035 pu."""
    import pandapower as pp
    from pandapower.control import DiscreteTapControl

    net = pp.create_empty_network()
    high = pp.create_bus(net, 110.0)
    bars = [pp.create_bus(net, 20.0, name=f"B{k}") for k in range(2)]
    pp.create_ext_grid(net, high, vm_pu=1.0)
    unit = "25 MVA 110/20 kV"
    units = [pp.create_transformer(net, high, bars[0 if twins else k], unit, name=f"T{k}") for k in (0, 1)]
    if twins:
        pp.create_switch(net, bars[0], bars[1], "b", closed=True)
        pp.create_load(net, bars[0], p_mw=9.0, q_mvar=5.0)
    before, ring = bars[0], []
    for k in range(6):
        after = bars[1] if k == 5 else pp.create_bus(net, 20.0, name=f"N{k}", min_vm_pu=0.9, max_vm_pu=1.1)
        ring.append(pp.create_line(net, before, after, 4.0, "NA2XS2Y 1x150 RM/25 12/20 kV", name=f"L{k}"))
        pp.create_switch(net, before, ring[-1], "l", closed=k != 2)
        if k < 5:
            pp.create_load(net, after, p_mw=1.0 + 0.2 * k, q_mvar=0.3)
        before = after
    for each in units:
        DiscreteTapControl(net, each, vm_lower_pu=1.01, vm_upper_pu=1.035)
    return net


@pytest.mark.parametrize("twins", [False, True])
def test_steps_and_voltages_are_those_of_pandapower(twins: bool, tmp_path: Path) -> None:
    import pandapower as pp

    net = planners_net(twins=twins)
    path = tmp_path / "net.json"
    pp.to_json(net, str(path))
    found = openpoint.secure(net)
    assert found.faults.equals(openpoint.secure(path).faults)
    assert "T0 1.01 to 1.035 pu" in found.rules
    pp.runpp(net, numba=False, run_control=True, calculate_voltage_angles=True)
    today = net.trafo.tap_pos.copy()
    assert found.grid.transformers["tap_pos"].to_list() == today.to_list()
    compared, stepped = 0, 0
    for row in found.faults.filter(pl.col("v_min_pu").is_not_null(), limit="").iter_rows(named=True):
        case = pp.pandapowerNet(net)
        case.trafo.tap_pos = today
        case.trafo.loc[case.trafo.name.isin(row["to_open"].split()), "in_service"] = False
        for column, state in (("to_open", False), ("to_close", True)):
            lines = case.line.index[case.line.name.isin(row[column].split())]
            case.switch.loc[(case.switch.et == "l") & case.switch.element.isin(lines), "closed"] = state
        pp.runpp(case, numba=False, run_control=True, calculate_voltage_angles=True)
        assert row["v_min_pu"] == pytest.approx(case.res_bus.vm_pu.min(), abs=1e-8), row["name"]
        moved = case.trafo.in_service & (case.trafo.tap_pos != today)
        says = [f"{case.trafo.name[k]}: {today[k]:g} → {case.trafo.tap_pos[k]:g}" for k in case.trafo.index[moved]]
        assert row["taps"] == ", ".join(says)
        compared, stepped = compared + 1, stepped + bool(says)
    assert compared >= 4
    assert stepped >= 1


def test_regulators_of_opendss_and_of_power_grid_model_hold_their_voltages(tmp_path: Path) -> None:
    pytest.importorskip("opendssdirect")
    path = tmp_path / "feeder.dss"
    path.write_text(
        "Clear\nNew Circuit.c basekv=110 bus1=H pu=1.0\n"
        "New Transformer.T phases=3 buses=(H S) conns=(wye wye) kvs=(110 20) kvas=(25000 25000) xhl=10 numtaps=16\n"
        "New Line.L bus1=S bus2=A length=5 units=km r1=0.2 x1=0.3\n"
        "New Load.A bus1=A kv=20 kw=8000 kvar=2000\n"
        "New RegControl.R transformer=T winding=2 vreg=120 band=3 ptratio=96.225\n"
        "Set VoltageBases=[110 20]\nCalcVoltageBases\nSet ControlMode=OFF\nSolve\n"
    )
    (row,) = openpoint.read(path).transformers.to_dicts()
    across = 20_000.0 / 3**0.5
    assert row["hold_side"] == "from"
    assert row["from_bus"] == "s"
    assert row["v_hold_min_pu"] == pytest.approx(118.5 * 96.225 / across)
    assert row["v_hold_max_pu"] == pytest.approx(121.5 * 96.225 / across)
    found = openpoint.secure(openpoint.balanced_equivalent(openpoint.read(path)))
    assert "step until they hold t 0.98" in found.rules
