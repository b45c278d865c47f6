"""OpenDSS circuits: what is read gives the voltages that OpenDSS has, what is not read is told; shapes; writing."""

import importlib.util
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import opendssdirect
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import openpoint
from openpoint.errors import InputError, MissingExtraError, OptionError, Problem
from openpoint.grid import Grid
from openpoint.io.opendss.engine import borrow_engine, hand_back, run_statements, solve_today
from openpoint.io.opendss.read import grid_from_file, read_shapes
from openpoint.io.opendss.text import read_script
from openpoint.io.opendss.write import circuit_text, safe_names
from openpoint.powerflow.opendss import OpenDssCircuit
from tests.io.feeders import FEEDERS, LINE, LOAD, SERVICES, SUB, script


def put(folder: Path, body: str) -> Path:
    path = folder / "feeder.dss"
    path.write_text(script(body))
    return path


def read(folder: Path, body: str) -> Grid:
    return grid_from_file(put(folder, body))


def faults(folder: Path, body: str) -> list[Problem]:
    with pytest.raises(InputError) as caught:
        read(folder, body)
    return list(caught.value.problems)


def voltages_of_opendss(path: Path) -> dict[tuple[str, str], complex]:
    """Voltages of the file itself, per unit."""
    return solved_by_opendss(path)[0]


def solved_by_opendss(path: Path) -> tuple[dict[tuple[str, str], complex], float]:
    """Voltages of the file itself, per unit, and its losses in kW."""
    found, engine = {}, borrow_engine()
    assert run_statements(engine, read_script(path).statements) == []
    assert solve_today(engine)
    for bus in engine.Circuit.AllBusNames():
        engine.Circuit.SetActiveBus(bus)
        v = np.asarray(engine.Bus.Voltages()).view(complex) / (1000.0 * engine.Bus.kVBase())
        found |= {(bus.lower(), " abc"[node]): x for node, x in zip(engine.Bus.Nodes(), v, strict=True)}
    losses = engine.Circuit.Losses()[0] / 1000.0
    hand_back(engine)
    return found, losses


def voltages_of_grid(grid: Grid) -> dict[tuple[str, str], complex]:
    circuit = OpenDssCircuit(grid)
    flows, network = circuit.solve(), circuit.network
    assert flows.converged.all()
    places = zip(network.terminal_bus, network.terminal_phase, flows.v[0], strict=True)
    return {(network.bus_names[b], phase): v for b, phase, v in places}


@pytest.mark.parametrize("name", FEEDERS)
def test_the_grid_has_the_voltages_and_losses_of_the_file(name: str, tmp_path: Path) -> None:
    path = put(tmp_path, FEEDERS[name])
    (expected, losses), grid = solved_by_opendss(path), openpoint.read(path)
    assert [p for p in grid.problems() if p.severity == "error"] == []
    found = voltages_of_grid(grid)
    assert max(abs(found[key] - v) for key, v in expected.items()) < 1e-6
    flows = openpoint.run_powerflow(grid)
    # OpenDSS does not count what sources lose inside.
    inside = flows.branches.filter(pl.col("name").str.starts_with("vsource."))["loss_kw"].sum()
    assert flows.loss_kw - inside == pytest.approx(losses, rel=1e-5)
    assert flows.ac_max_mismatch_pu < 1e-4


def test_loads_that_nothing_feeds_count_at_the_voltage_for_which_they_are_rated(tmp_path: Path) -> None:
    """OpenDSS gives their buses the first of the voltage bases, at which an impedance draws thousands of times more."""
    dead = """New Line.Stub phases=3 bus1=X.1.2.3 bus2=Y.1.2.3 r1=0.3 x1=0.6 length=1
New Load.Y bus1=Y phases=3 kv=0.22 kw=4 kvar=1 model=2
New Load.Z bus1=Y.1 phases=1 kv=0.127 kw=1 model=2
"""
    grid = grid_from_file(put(tmp_path, SUB + LINE + LOAD + dead))
    (note,) = [note for note in grid.notes if "nothing can feed" in note.message]
    assert "loads of 5.000 kW" in note.message


def test_what_nothing_can_feed_is_left_out_and_told(tmp_path: Path) -> None:
    """A dead piece, a dead phase of a line, and what hangs at them; the rest has the flow of the file."""
    more = """New Line.L2 bus1=B.1.2.3 bus2=C.1.2.3 r1=0.3 x1=0.6 length=1
New Line.Fuse phases=1 bus1=C.1 bus2=D.1 r1=0.3 x1=0.6 length=1
New Line.L3 bus1=D.1.2.3 bus2=E.1.2.3 r1=0.3 x1=0.6 length=1
New Load.E bus1=E.1.2.3 phases=3 kv=12.47 kw=90
New Line.Stub phases=3 bus1=X.1.2.3 bus2=Y.1.2.3 r1=0.3 x1=0.6 length=1
New Load.Y bus1=Y phases=3 kv=12.47 kw=40
"""
    path = put(tmp_path, SUB + LINE + LOAD + more)
    grid = grid_from_file(path)
    assert grid.problems() == [note for note in grid.notes if note.severity == "warning"]
    assert not {"x", "y"} & set(grid.buses["name"])
    phases = dict(grid.buses.select("name", "phases").iter_rows())
    assert (phases["c"], phases["d"], phases["e"]) == ("abc", "a", "a")
    assert dict(grid.loads.select("name", "p_kw").iter_rows()) == pytest.approx({"d": 900.0, "e": 30.0})
    (note,) = [note for note in grid.notes if "nothing can feed" in note.message]
    assert "1 piece (first buses: x) and phase 'bc' of d, phase 'bc' of e" in note.message
    assert "left out, 2 buses and loads of 100.000 kW" in note.message
    expected = voltages_of_opendss(path)
    found = voltages_of_grid(grid)
    assert max(abs(v - expected[key]) for key, v in found.items() if key in expected) < 1e-4


def test_lines_join_buses_of_one_nominal_voltage(tmp_path: Path) -> None:
    """OpenDSS takes the base nearest to a voltage, which here is far from nominal."""
    heavy = LINE.replace("length=2", "length=70") + "New Load.D bus1=B phases=3 kv=12.47 kw=2000 kvar=900 model=2\n"
    body = script(SUB + heavy + "New Line.L2 bus1=A bus2=C length=.1\n")
    path = tmp_path / "feeder.dss"
    path.write_text(body.replace("[69 12.47 0.48]", "[69 12.47 9]\nSolve"))
    grid = grid_from_file(path)
    assert set(grid.buses.filter(pl.col("vn_kv") < 60.0)["vn_kv"]) == {12.47}


def test_names_phases_and_levels(tmp_path: Path) -> None:
    grid = read(tmp_path, FEEDERS["matrices in another order of phases"])
    assert grid.name == "small"
    assert dict(grid.buses.select("name", "phases").iter_rows())["c"] == "ac"
    assert dict(grid.buses.select("name", "vn_kv").iter_rows()) == {"hv": 69.0, "vsource.source": 69.0} | dict.fromkeys(
        "abc", 12.47
    )
    line = grid.lines.row(by_predicate=pl.col("name") == "l1", named=True)
    # 8 kft of the linecode, whose rows are c, a, b.
    assert line["phases"] == "abc"
    np.testing.assert_allclose(line["r_ohm"], [0.88, 0.2, 0.96, 0.24, 0.16, 0.8], rtol=1e-12)
    assert not grid.branches()["switchable"].any()


def test_taps_stand_as_the_regulators_leave_them_or_as_written(tmp_path: Path) -> None:
    body = FEEDERS["regulators"]
    solved = read(tmp_path, body).transformers.filter(from_bus="c")
    assert (solved["tap_pos"] != 0).all()
    assert solved.select("tap_min", "tap_max", "tap_step_percent").unique().row(0) == (-16, 16, 0.625)
    path = tmp_path / "unsolved.dss"
    path.write_text(script(body).replace("Solve\n", ""))
    written = grid_from_file(path, solve=False).transformers.filter(from_bus="c")
    assert (written["tap_pos"] == 0).all()
    # The impedance does not move with the tap.
    assert solved["x_ohm"].to_list() == pytest.approx(written["x_ohm"].to_list(), rel=1e-12)


def test_a_transformer_is_rated_as_opendss_rates_it(tmp_path: Path) -> None:
    """At its NormHkVA, which is 110 % of the first winding where nothing is said; 0 is no rating."""
    body = SUB + LINE + LOAD
    for name, said in (("plain", ""), ("given", "normhkva=600"), ("none", "normhkva=0")):
        body += f"New Transformer.{name} windings=2 buses=[B {name}] kvs=[12.47 .4] kvas=[500 500] xhl=4 {said}\n"
    grid = read(tmp_path, body)
    rating = dict(grid.transformers.select("name", "s_max_kva").iter_rows())
    assert {name: rating[name] for name in ("plain", "given", "none")} == {"plain": 550.0, "given": 600.0, "none": None}
    path = tmp_path / "again.dss"
    openpoint.write(grid, path)
    assert dict(openpoint.read(path).transformers.select("name", "s_max_kva").iter_rows()) == rating


def test_a_transformer_is_switchable_by_its_control_alone_and_open_where_it_is_opened(tmp_path: Path) -> None:
    unit = (
        "New Transformer.{} phases=3 windings=2 buses=(A X) conns=(wye wye) kvs=(12.47 4.16) kvas=(5000 5000) xhl=6\n"
    )
    body = (
        SUB
        + LINE
        + LOAD
        + "".join(map(unit.format, ("One", "Two", "Three")))
        + """New SwtControl.S SwitchedObj=Transformer.One SwitchedTerm=1 Normal=closed State=closed
New Relay.R MonitoredObj=Transformer.Two MonitoredTerm=1 SwitchedObj=Transformer.Two SwitchedTerm=1
Open Transformer.Three 1
New Load.X bus1=X phases=3 kv=4.16 kw=100
"""
    )
    grid = read(tmp_path, body)
    states = {row[0]: row[1:] for row in grid.transformers.select("name", "switchable", "closed").iter_rows()}
    wanted = {"one": (True, True), "two": (False, True), "three": (False, False)}
    assert {name: states[name] for name in wanted} == wanted


def test_a_file_leaves_nothing_to_the_next(tmp_path: Path) -> None:
    """Engines are used again; the frequency is the one setting of theirs that is not a circuit's."""
    first = read(tmp_path, FEEDERS["geometry with a neutral"])
    other = script(FEEDERS["sequence impedances"]).replace("Frequency=60", "Frequency=50")
    (tmp_path / "other.dss").write_text(other)
    grid_from_file(tmp_path / "other.dss")
    path = tmp_path / "silent.dss"
    path.write_text(script(FEEDERS["geometry with a neutral"]).replace("Set DefaultBaseFrequency=60\n", ""))
    again = grid_from_file(path)
    assert again.lines.equals(first.lines)
    assert again.loads.equals(first.loads)


def test_switches_are_what_may_be_switched(tmp_path: Path) -> None:
    body = (
        SUB
        + LINE
        + LOAD
        + """New Line.Sw bus1=B bus2=C switch=yes
New Line.Tie bus1=C bus2=A switch=yes r1=1e-5 r0=1e-5 x1=0 x0=0 c1=0 c0=0 enabled=no
New Line.Ctl bus1=C bus2=D r1=.1 x1=.1 r0=.1 x0=.1
New SwtControl.S SwitchedObj=Line.Ctl SwitchedTerm=1 Normal=closed State=closed
New Line.Off bus1=C bus2=D r1=.1 x1=.1 r0=.1 x0=.1 enabled=no
New Line.Open bus1=D bus2=E switch=yes
New Load.E bus1=E phases=3 kv=12.47 kw=5
New Line.More bus1=E bus2=A switch=yes
Open Line.Open 1
"""
    )
    grid = read(tmp_path, body)
    states = {
        name: closed for name, closed, may in grid.branches().select("name", "closed", "switchable").iter_rows() if may
    }
    assert states == {"sw": True, "tie": False, "ctl": True, "open": False, "more": True}
    assert "tie" in grid.switches["name"].to_list()
    assert "sw" in grid.lines["name"].to_list()  # OpenDSS gives it 1 + j1 ohm per unit of length
    assert any("line.off" in note.message for note in grid.notes)


def test_lengths_are_in_km_where_the_file_has_a_unit(tmp_path: Path) -> None:
    more = "".join(
        f"New Line.L{k} bus1=B bus2=C{k} length=2 units={unit}\n"
        for k, unit in enumerate(("km", "m", "mi", "kft", "ft", "none"), start=2)
    )
    more += "New Line.Sw bus1=B bus2=C8 switch=yes\n"
    lengths = dict(read(tmp_path, SUB + LINE + more + LOAD).lines.select("name", "length_km").iter_rows())
    assert lengths.pop("l7") is None
    km = {"l1": 2.0, "l2": 2.0, "l3": 0.002, "l4": 3.218688, "l5": 0.6096, "l6": 0.0006096, "sw": 0.0}
    assert {name: lengths.pop(name) for name in km} == pytest.approx(km)
    assert set(lengths.values()) <= {0.0}  # the impedance of the source


def test_loads_are_those_of_the_nominal_voltage(tmp_path: Path) -> None:
    grid = read(tmp_path, FEEDERS["load models"])
    loads = {row["name"]: row for row in grid.loads.iter_rows(named=True)}
    kv = 12.47 / 3**0.5
    assert loads["m1"]["p_kw"] == 80.0
    assert loads["m1"]["v_min_pu"] == pytest.approx(0.95 * 7 / kv)
    assert loads["m2"]["p_kw"] == pytest.approx(80.0 * (kv / 7) ** 2)
    assert loads["m5"]["q_kvar"] == pytest.approx(40.0 * kv / 7)
    assert loads["m4"]["model"] == "cvr"
    assert {n for n in loads if n.startswith("z")} == {"z (impedance)", "z (current)", "z (power)"}
    assert loads["two"]["phases"] == "ac"
    assert (loads["z (current)"]["phases"], loads["z (current)"]["connection"]) == ("ab", "delta")
    assert loads["odd"]["connection"] == "wye"
    assert grid.generators.filter(name="back")["p_kw"].item() == 50.0
    assert any("load.back" in str(note) for note in grid.notes)


def test_what_is_not_modelled_is_listed(tmp_path: Path) -> None:
    body = (
        FEEDERS["regulators"]
        + FEEDERS["generators"].removeprefix(SUB + LINE + LOAD)
        + """New Capacitor.K bus1=B phases=3 kvar=100 kv=12.47
New CapControl.K capacitor=K element=line.L1 type=kvar onsetting=100 offsetting=10
New LoadShape.year npts=3 interval=1 mult=[.5 1 .7]
New Load.gone bus1=B phases=3 kv=12.47 kw=10 enabled=no
New EnergyMeter.M element=line.L1
"""
    )
    told = " ".join(str(note) for note in read(tmp_path, body).notes)
    for word in ("regcontrol.r1", "capcontrol.k", "year", "load.gone", "pvsystem.p", "storage.s"):
        assert word in told
    assert "energymeter" not in told


def test_coordinates_are_read_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "xy.csv").write_text("A, 1.5, 2\nb 3 4\nnonsense\n")
    path = tmp_path / "feeder.dss"
    path.write_text(script(SUB + LINE + LOAD) + "BusCoords XY.csv\nBusCoords nowhere.csv\n")
    grid = grid_from_file(path)
    places = {name: (x, y) for name, x, y in grid.buses.select("name", "x", "y").iter_rows()}
    assert (places["a"], places["b"], places["hv"]) == ((1.5, 2.0), (3.0, 4.0), (None, None))
    assert any("nowhere.csv" in note.message for note in grid.notes)


def test_service_transformers_with_a_centre_tap_are_loads_of_their_primary_side(tmp_path: Path) -> None:
    """All voltages and losses of the rest are as they were; the losses behind are told."""
    path = put(tmp_path, FEEDERS["regulators"] + SERVICES)
    (expected, losses), grid = solved_by_opendss(path), openpoint.read(path)
    found = voltages_of_grid(grid)
    assert {bus for bus, _ in found} == {"vsource.source", "hv", "a", "b", "c"}
    assert max(abs(v - expected[key]) for key, v in found.items() if key in expected) < 1e-7
    told = next(note for note in grid.notes if "lumped" in note.message)
    behind = float(re.search(r"([0-9.]+) kW of losses", told.message)[1])  # type: ignore[index]
    flows = openpoint.run_powerflow(grid)
    of_source = flows.branches.filter(name="vsource.source")["loss_kw"].sum()
    assert flows.loss_kw - of_source + behind == pytest.approx(losses, rel=1e-4)
    rows = {row["name"]: row for row in grid.loads.iter_rows(named=True)}
    assert {n for n in rows if n.startswith("transformer.t1")} == {
        f"transformer.t1 ({m})" for m in ("power", "current", "impedance")
    }
    assert (rows["transformer.t2 (current)"]["phases"], rows["transformer.t2 (current)"]["connection"]) == (
        "ac",
        "delta",
    )
    assert 5.9 < grid.generators.filter(name="transformer.t3")["p_kw"].item() < 6.0


def test_a_centre_tap_that_feeds_no_pocket_is_refused(tmp_path: Path) -> None:
    tie = "New Line.Mesh phases=1 bus1=X1.1 bus2=X3.1 r1=.1 x1=.1 r0=.1 x0=.1\n"
    found = faults(tmp_path, SUB + LINE + LOAD + SERVICES + tie)
    assert {problem.row for problem in found} >= {"transformer.t1", "transformer.t3"}
    assert "transformer.t2" not in {problem.row for problem in found}


def test_steps_of_a_delta_count_once(tmp_path: Path) -> None:
    """The engine counts the second one twice; neither the grid nor its power flow does."""
    two, one = (
        f"New Capacitor.D bus1=B phases=3 conn=delta kv=12.47 {steps}\n"
        for steps in ("numsteps=3 kvar=[90 90 90] states=[1 1 0]", "kvar=180")
    )
    grids = [read(tmp_path, SUB + LINE + LOAD + text) for text in (two, one)]
    assert grids[0].capacitors.select("q_kvar", "steps", "steps_on").row(0) == pytest.approx((270.0, 3, 2))
    several, single = (voltages_of_grid(grid) for grid in grids)
    assert max(abs(several[key] - v) for key, v in single.items()) < 1e-9


@pytest.mark.parametrize("states", ["0 1 1", "1 0 0", "0 1 0"])
def test_steps_of_unequal_size_are_those_that_opendss_computes(states: str, tmp_path: Path) -> None:
    """Each is as large as the first, whatever the file says: the power flow of the engine is that of the grid."""
    steps = f"numsteps=3 kvar=[300 150 600] states=[{states}]"
    path = put(tmp_path, SUB + LINE + LOAD + f"New Capacitor.C bus1=B phases=3 kv=12.47 {steps}\n")
    grid = openpoint.read(path)
    row = grid.capacitors.row(0, named=True)
    assert (row["q_kvar"], row["steps"]) == (pytest.approx(900.0), 3)
    assert row["steps_on"] == states.count("1")
    assert any("as large as the first, 300 kvar" in note.message for note in grid.notes)
    expected, found = voltages_of_opendss(path), voltages_of_grid(grid)
    assert max(abs(found[key] - v) for key, v in expected.items()) < 1e-6


@pytest.mark.parametrize(("control", "controllable"), [(True, True), (False, False)])
def test_taps_may_be_set_where_a_regulator_sets_them(tmp_path: Path, control: bool, controllable: bool) -> None:
    body = SUB + LINE + LOAD
    body += "New Transformer.R windings=2 buses=[B C] kvs=[12.47 12.47] kvas=[500 500] xhl=1 taps=[1 1.0125]\n"
    body += "New RegControl.R transformer=R winding=2 vreg=122 band=2 ptratio=60\n" if control else ""
    (row,) = read(tmp_path, body).transformers.filter(name="r").iter_rows(named=True)
    assert (row["tap_min"], row["tap_max"], row["controllable"]) == (-16, 16, controllable)


def test_what_is_open_draws_nothing(tmp_path: Path) -> None:
    body = (
        SUB + LINE + LOAD + "New Load.Cut bus1=B phases=3 kv=12.47 kw=77\nNew Capacitor.Cut bus1=B kvar=60 kv=12.47\n"
    )
    path = put(tmp_path, body + "Open Load.Cut 1\nOpen Capacitor.Cut 1\n")
    grid = openpoint.read(path)
    assert grid.loads["name"].to_list() == ["d"]
    assert grid.capacitors.is_empty()
    assert any("load.cut, capacitor.cut" in note.message for note in grid.notes)
    found = faults(tmp_path, body + "Open Load.Cut 1 2\n")
    assert [problem.row for problem in found] == ["load.cut"]


def test_many_faults_of_one_kind_are_one(tmp_path: Path) -> None:
    many = "".join(f"New Isource.I{k} bus1=B amps=1\n" for k in range(12))
    found = faults(tmp_path, SUB + LINE + LOAD + many + "New Reactor.X bus1=B phases=3 z1=[1 20] z0=[3 40]\n")
    assert [problem.row for problem in found] == ["", "reactor.x"]
    assert found[0].message.endswith("isource.i6, isource.i7 and 4 more")


UNREADABLE = {
    "transformer.t": "New Transformer.T phases=1 windings=3 buses=[B.1 C.1.0 C.0.2] kvs=[7.2 .12 .12] kvas=[25 25 25]",
    "reactor.x": "New Reactor.X bus1=B phases=3 z1=[1 20] z0=[3 40]",
    "line.n": "New Line.N phases=4 bus1=B.1.2.3.4 bus2=C.1.2.3.4 rmatrix=[1|0 1|0 0 1|0 0 0 1]",
    "line.turned": "New Line.Turned bus1=B.1.2.3 bus2=C.2.3.1",
    "isource.i": "New Isource.I bus1=B amps=10",
    "load.curve": "New Load.Curve bus1=B phases=3 kv=12.47 kw=10 model=4 cvrwatts=2.5",
    "capacitor.series": "New Capacitor.Series bus1=B bus2=C kvar=100 kv=12.47",
    "load.none": "New Load.None bus1=B.0 phases=1 kv=7.2 kw=10",
}


def test_what_has_no_place_in_a_grid_is_refused_by_name_all_at_once(tmp_path: Path) -> None:
    found = {
        problem.row: problem for problem in faults(tmp_path, SUB + LINE + LOAD + "\n".join(UNREADABLE.values()) + "\n")
    }
    assert set(UNREADABLE) <= set(found)
    assert all(found[name].remedy and found[name].table == "feeder.dss" for name in UNREADABLE)
    assert "3 windings" in found["transformer.t"].message


def test_what_opendss_says_is_told_by_line(tmp_path: Path) -> None:
    body = (
        SUB
        + "New Line.L1 bus1=A bus2=B linecode=missing\nNew Load.X bus1=A phases=0 kw=1\nNew Gadget.G bus1=A\n"
        + LOAD
    )
    found = sorted(faults(tmp_path, body), key=lambda problem: problem.row)
    assert [p.row for p in found] == ["line 7", "line 8", "line 9"]
    assert "missing" in found[0].message
    assert not any(p.message.endswith(".") for p in found)  # a full stop follows in print
    assert "gadget" in found[2].message


def test_voltage_bases_are_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "feeder.dss"
    path.write_text(script(SUB + LINE + LOAD).replace("CalcVoltageBases", ""))
    with pytest.raises(InputError, match="CalcVoltageBases"):
        grid_from_file(path)


@pytest.mark.parametrize("text", ["! nothing\n", "Clear\n", "Set DefaultBaseFrequency=50\n"])
def test_no_circuit(text: str, tmp_path: Path) -> None:
    path = tmp_path / "feeder.dss"
    path.write_text(text)
    with pytest.raises(InputError, match="makes no circuit"):
        openpoint.read(path)


BAD_VALUES = ["0", "-1", "abc", "nan", "", "(1 2", "3", "b.1", "b.4", "1.2.3"]


@given(
    name=st.sampled_from(sorted(FEEDERS)),
    where=st.floats(0, 1, exclude_max=True),
    what=st.sampled_from(["drop", "twice", *BAD_VALUES]),
)
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_files_are_read_or_refused(name: str, where: float, what: str, tmp_path: Path) -> None:
    """One line dropped or given twice, or one value spoilt: a grid or an InputError, nothing else."""
    lines = script(FEEDERS[name]).split("\n")
    k = int(where * len(lines))
    if what in ("drop", "twice"):
        lines[k : k + 1] = [lines[k]] * (2 if what == "twice" else 0)
    else:
        head, equals, _ = lines[k].rpartition("=")
        lines[k] = f"{head}{equals}{what}"
    path = tmp_path / "feeder.dss"
    path.write_text("\n".join(lines))
    told: tuple[Problem, ...] = ()
    try:
        assert grid_from_file(path).sources.height
    except InputError as error:
        told = tuple(error.problems)
    assert all(problem.message and problem.remedy for problem in told)


def test_without_the_engine_the_pip_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "feeder.dss").write_text("New Circuit.c basekv=12.47")
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    for asked in (tmp_path / "feeder.dss", "ieee13"):
        with pytest.raises(MissingExtraError, match=r"single phases.*'opendssdirect': pip install"):
            openpoint.run_powerflow(openpoint.read(asked))


def test_the_engine_is_loaded_only_where_it_is_used() -> None:
    code = "import sys, openpoint.io, openpoint.powerflow.opendss; print('opendssdirect' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_shapes_and_who_follows_them(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("0.5\n1.0\n0.25\n")
    shapes = """New LoadShape.day npts=3 interval=8 mult=(file=day.csv)
New LoadShape.both npts=2 hour=[1 5] interval=0 mult=[1 2] qmult=[3 4] useactual=yes
"""
    use = "Load.D.daily=day\nLoad.D.yearly=both\n"
    path = tmp_path / "feeder.dss"
    path.write_text(script(shapes + SUB + LINE + LOAD + use))
    found = read_shapes(path)
    day = found.shapes.filter(name="day")
    assert day["p"].to_list() == [0.5, 1.0, 0.25]
    assert day["hour"].to_list() == [0.0, 8.0, 16.0]
    assert day["q"].null_count() == 3
    both = found.shapes.filter(name="both").drop("name")
    assert both.rows() == [(0, 1.0, 1.0, 3.0, True), (1, 5.0, 2.0, 4.0, True)]
    assert found.uses.rows() == [("load.d", "daily", "day"), ("load.d", "yearly", "both")]


def test_no_shapes(tmp_path: Path) -> None:
    path = tmp_path / "feeder.dss"
    path.write_text(script(SUB + LINE + LOAD))
    found = read_shapes(path)
    assert found.shapes.filter(name="day").is_empty()
    assert found.uses.is_empty()


MATRIX = [0.3, 0.1, 0.3, 0.1, 0.1, 0.3]


def named(names: list[str]) -> Grid:
    """A chain of buses under these names."""
    tables: dict[str, Any] = {
        "buses": [{"name": n, "vn_kv": 10.0, "phases": "abc"} for n in names],
        "lines": [
            {"name": f"{a}-{b}", "from_bus": a, "to_bus": b, "phases": "abc", "r_ohm": MATRIX, "x_ohm": MATRIX}
            for a, b in pairwise(names)
        ],
        "sources": [{"name": "grid", "bus": names[0]}],
        "loads": [{"name": n, "bus": n, "phases": "a", "p_kw": 1.0} for n in names],
    }
    return Grid.from_tables("any name", tables)


@given(names=st.lists(st.text(min_size=1, max_size=6), min_size=1, max_size=5, unique=True))
def test_any_name_becomes_one_that_opendss_takes(names: list[str]) -> None:
    safe = safe_names(named(names))
    for table in (safe.bus, safe.branch, safe.load):
        assert len(set(table.values())) == len(table)
        assert all(re.fullmatch(r"[a-z0-9_-]+", name) for name in table.values())


@given(names=st.lists(st.text(min_size=1, max_size=6), min_size=2, max_size=4, unique=True))
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_a_grid_of_any_names_is_read_again(names: list[str], tmp_path: Path) -> None:
    grid = named(names)
    if len(set(grid.lines["name"])) < grid.lines.height:
        return
    (tmp_path / "a.dss").write_text(circuit_text(grid))
    again = grid_from_file(tmp_path / "a.dss")
    assert again.buses.height == len(names)
    assert again.lines["r_ohm"].to_list() == grid.lines["r_ohm"].to_list()
    assert again.loads["p_kw"].to_list() == [1.0] * len(names)


@pytest.mark.parametrize(("on", "kvar"), [(0, 0.0), (1, 150.0), (2, 450.0), (3, 1050.0)])
def test_levels_of_unequal_size_are_one_step_of_what_is_on(on: int, kvar: float, tmp_path: Path) -> None:
    """OpenDSS takes every step to be as large as the first."""
    bank = {"q_kvar": 1050.0, "steps": 3, "steps_on": on, "levels_kvar": [150.0, 450.0, 1050.0]}
    table = Grid.from_tables("", {"capacitors": [{"name": "c", "bus": "B", "phases": "abc"} | bank]}).capacitors
    (tmp_path / "a.dss").write_text(circuit_text(named(["A", "B"]).with_tables(capacitors=table)))
    again = grid_from_file(tmp_path / "a.dss").capacitors
    assert (again["q_kvar"] * again["steps_on"] / again["steps"]).item() == pytest.approx(kvar)


def by_safe_name(table: pl.DataFrame) -> pl.DataFrame:
    return table.sort(pl.col("name").str.replace_all("[^a-z0-9_-]", "_"))


@pytest.mark.parametrize("name", ["geometry with a neutral", "load models", "capacitors", "regulators", "open delta"])
def test_tables_come_back(name: str, tmp_path: Path) -> None:
    """Read, written and read again, every number is the same to rounding; names become safe ones."""
    (tmp_path / "a.dss").write_text(script(FEEDERS[name]))
    first = grid_from_file(tmp_path / "a.dss")
    (tmp_path / "b.dss").write_text(circuit_text(first))
    second = grid_from_file(tmp_path / "b.dss")
    for kind in ("buses", "lines", "transformers", "loads", "capacitors"):
        one, two = (by_safe_name(grid.tables()[kind]) for grid in (first, second))
        assert one.height == two.height
        for column in one.columns:
            if column in ("name", "bus", "from_bus", "to_bus", "x", "y", "length_km"):
                continue  # lines are written as a whole, without a length
            for a, b in zip(one[column].to_list(), two[column].to_list()):
                is_number = isinstance(a, (float, list))
                assert a == (pytest.approx(b, rel=1e-9, abs=1e-12) if is_number and b is not None else b), column


def test_open_branches_and_switchable_lines_come_back(tmp_path: Path) -> None:
    grid = openpoint.read("ieee123")
    lines = grid.lines.with_columns(switchable=grid.lines["name"].is_in(["l10", "l11"]))
    changed = grid.with_tables(lines=lines).with_closed({"sw2": False, "sw8": True})
    (tmp_path / "a.dss").write_text(circuit_text(changed))
    again = grid_from_file(tmp_path / "a.dss")
    states = {
        name: closed for name, closed, may in again.branches().select("name", "closed", "switchable").rows() if may
    }
    expected = {
        name: closed for name, closed, may in changed.branches().select("name", "closed", "switchable").rows() if may
    }
    assert states == expected


@pytest.mark.parametrize("end", ["from", "to", "both"])
def test_a_line_that_is_open_at_one_end_keeps_its_charging(end: str, tmp_path: Path) -> None:
    """OpenDSS loses with the circuit written what the grid loses here; read again, what is left out is told."""
    tables: dict[str, object] = {
        "buses": [{"name": name, "vn_kv": 20.0} for name in ("s", "a", "b")],
        "sources": [{"name": "grid", "bus": "s"}],
        "loads": [{"name": "load", "bus": "a", "p_kw": 900.0, "q_kvar": 500.0}],
        "lines": [
            {"name": "sa", "from_bus": "s", "to_bus": "a", "r_ohm": [2.0], "x_ohm": [3.0], "b_us": [60.0]},
            {"name": "sb", "from_bus": "s", "to_bus": "b", "r_ohm": [2.0], "x_ohm": [3.0]},
            {"name": "ab", "from_bus": "a", "to_bus": "b", "r_ohm": [8.0], "x_ohm": [9.0], "b_us": [700.0]}
            | {"closed": False, "open_end": end},
        ],
    }
    grid = Grid.from_tables("ends", tables)
    (tmp_path / "a.dss").write_text(circuit_text(grid))
    engine = opendssdirect.NewContext()
    engine.Text.Command(f"compile [{tmp_path / 'a.dss'}]")
    assert engine.Solution.Converged()
    assert engine.Circuit.Losses()[0] / 1000.0 == pytest.approx(openpoint.run_powerflow(grid).loss_kw, abs=2e-3)
    again = grid_from_file(tmp_path / "a.dss")
    assert again.lines["closed"].to_list() == [True, True, False]
    assert any("charging" in note.message for note in again.notes) == (end != "both")


def test_ratings_of_emergencies_are_those_that_a_file_says(tmp_path: Path) -> None:
    path = tmp_path / "rated.dss"
    path.write_text(
        "Clear\nNew Circuit.c basekv=20 bus1=a\n"
        "New Line.said bus1=a bus2=b r1=0.1 x1=0.1 length=1 normamps=200 emergamps=260\n"
        "New Line.silent bus1=b bus2=c r1=0.1 x1=0.1 length=1 normamps=200\n"
        "New Transformer.said buses=(c d) kvs=(20 0.4) kvas=(630 630) xhl=4 normhkva=600 emerghkva=750\n"
        "New Transformer.silent buses=(c e) kvs=(20 0.4) kvas=(630 630) xhl=4\n"
        "New Load.d bus1=d kv=0.4 kw=100\nNew Load.e bus1=e kv=0.4 kw=100\n"
        "Set VoltageBases=[20 0.4]\nCalcVoltageBases\nSolve\n"
    )
    grid = openpoint.read(path)
    said = [
        dict(each.select("name", "emergency_loading_percent").iter_rows()) for each in (grid.lines, grid.transformers)
    ]
    assert [each.popitem()[1] for each in said] == [None, None]
    assert [each.popitem()[1] for each in said] == pytest.approx([130.0, 125.0])
    copy = tmp_path / "copy.dss"
    openpoint.write(grid, copy)
    for table in ("lines", "transformers"):
        again = openpoint.read(copy).tables()[table]["emergency_loading_percent"]
        assert again.to_list() == pytest.approx(grid.tables()[table]["emergency_loading_percent"].to_list())


def test_floating_neutrals_beside_deltas_and_generators_that_hold_a_voltage_are_read_as_they_run(
    tmp_path: Path,
) -> None:
    """Two wyes share a neutral that nothing else touches; line currents and losses are those of OpenDSS."""
    path = tmp_path / "floating.dss"
    path.write_text(
        "Clear\nNew Circuit.c basekv=12.47 bus1=a pu=1.02 r1=0 x1=0.001 r0=0 x0=0.001\n"
        "New Line.ab bus1=a bus2=b r1=0.3 x1=0.6 r0=0.9 x0=1.8 c1=0 c0=0 length=1\n"
        "New Load.b1 bus1=b.1 phases=1 kv=7.2 kw=600 kvar=200\nNew Load.b2 bus1=b.2 phases=1 kv=7.2 kw=200 kvar=90\n"
        "New Transformer.t xhl=5.75 conns=[wye delta] buses=[b.1.2.3.4 c] kvs=[12.47 0.48] kvas=[750 750] %loadloss=1\n"
        "New Transformer.u xhl=4 conns=[wye delta] buses=[b.1.2.3.4 d] kvs=[12.47 0.48] kvas=[250 250] %loadloss=2\n"
        "New Load.c bus1=c phases=3 conn=delta kv=0.48 kw=300 kvar=100\n"
        "New Load.d bus1=d.1.2 phases=1 kv=0.48 kw=80 kvar=30\n"
        "New Generator.pv bus1=b phases=3 kv=12.47 kw=400 model=3 vpu=0.99 maxkvar=900 minkvar=-900\n"
        "Set VoltageBases=[12.47 0.48]\nCalcVoltageBases\nSolve\n"
    )
    grid = openpoint.read(path)
    told = " ".join(note.message for note in grid.notes)
    assert "a wye whose neutral floats" in told
    assert "it keeps its output of today" in told
    assert set(grid.transformers["connection"]) == {"delta-wye"}
    found = openpoint.run_powerflow(grid)
    engine = borrow_engine()
    try:
        run_statements(engine, read_script(path).statements)
        (unit,) = grid.generators.to_dicts()
        engine.Text.Command(f"Edit Generator.pv model=1 kw={unit['p_kw']} kvar={unit['q_kvar']}")
        solve_today(engine)
        lost, drawn = engine.Circuit.Losses()[0] / 1000.0, -engine.Circuit.TotalPower()[0]
    finally:
        hand_back(engine)
    assert found.loss_kw == pytest.approx(lost, rel=1e-6)
    assert found.sources["p_kw"][0] == pytest.approx(drawn, rel=1e-6)


def test_a_loaded_circuit_is_refused_with_the_line_that_saves_it_and_that_line_works(tmp_path: Path) -> None:
    engine = opendssdirect.NewContext()
    for line in ("Clear", "New Circuit.c basekv=20 bus1=a", "New Line.x bus1=a bus2=b r1=0.1 x1=0.1 c1=0", "Solve"):
        engine.Text.Command(line)
    for loaded in (engine, engine.Circuit, opendssdirect, opendssdirect.Circuit):
        with pytest.raises(OptionError, match="Save Circuit Dir=saved"):
            openpoint.reconfigure(loaded)
    engine.Text.Command("New Load.b bus1=b kv=20 kw=100")
    engine.Text.Command("Set VoltageBases=[20]")
    engine.Text.Command("CalcVoltageBases")
    engine.Text.Command(f"Save Circuit Dir={tmp_path / 'saved'}")
    saved = tmp_path / "saved" / "Master.dss"
    saved.write_text(saved.read_text() + "CalcVoltageBases\n")
    assert openpoint.read(saved).loads["p_kw"].to_list() == [100.0]
