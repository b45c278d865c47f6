"""Power flow of today's state: of one phase and of several, from a file to JSON."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.errors import InputError
from openpoint.results import export
from openpoint.studies.catalog import published
from openpoint.studies.powerflow.result import PowerflowResult
from openpoint.studies.powerflow.study import run_powerflow
from tests.cases.test_three_phase import expected_voltages
from tests.powerflow.test_opendss import four_buses

FEEDERS = ("ieee13", "ieee37", "ieee123")
# The circuit of the documentation: one load on one phase of one line.
FORMATS = Path(__file__).parents[3] / "docs" / "formats.md"
SHORT = next(part for part in FORMATS.read_text(encoding="utf-8").split("```text\n") if part.startswith("New Circuit"))
SHORT = SHORT.partition("```")[0]


def written(flow: PowerflowResult) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(flow.to_json())
    jsonschema.validate(document, published("powerflow"), cls=jsonschema.Draft202012Validator)
    return document


@pytest.mark.parametrize("name", FEEDERS)
def test_a_feeder_has_the_voltages_of_opendss(name: str) -> None:
    flow = run_powerflow(openpoint.read(name))
    document = written(flow)
    found = {
        (row["name"], row["phase"]): row["v_pu"] * np.exp(1j * np.radians(row["angle_degree"]))
        for row in document["buses"]
    }
    expected = expected_voltages(name)
    assert set(expected) == set(found) - {("vsource.source", p) for p in "abc"}
    assert max(abs(found[key] - v) for key, v in expected.items()) < 1e-6
    sizes = {key: abs(v) for key, v in found.items()}
    for end, extreme in (("min", min), ("max", max)):
        place = document[f"v_{end}_bus"], document[f"v_{end}_phase"]
        assert sizes[place] == pytest.approx(extreme(sizes.values()), abs=1e-12)
    assert document["ac_max_mismatch_pu"] < 5e-6


@pytest.mark.parametrize("name", FEEDERS)
def test_power_is_balanced_at_every_terminal_without_a_load(name: str) -> None:
    """The conductors of a bus without load, capacitor or transformer of three windings carry on what they bring."""
    grid = openpoint.read(name)
    flow = run_powerflow(grid)
    assert flow.branches["loss_kw"].sum() == pytest.approx(flow.loss_kw, rel=1e-12)
    assert (flow.branches.group_by("name").agg(pl.col("loss_kw").sum())["loss_kw"] > -1e-3).all()
    out = dict.fromkeys(flow.buses.select("name", "phase").iter_rows(), 0.0)
    rows = flow.branches.select("from_bus", "to_bus", "phase", "p_from_kw", "loss_kw").iter_rows()
    for fr, to, phase, p_kw, loss_kw in rows:
        out[fr, phase] += p_kw
        out[to, phase] += loss_kw - p_kw
    taken = {*grid.loads["bus"], *grid.capacitors["bus"], *grid.sources["bus"]}
    deltas = grid.transformers.filter(pl.col("connection") != "wye-wye")
    taken |= {*deltas["from_bus"], *deltas["to_bus"]}
    free = [power for (bus, _), power in out.items() if bus not in taken]
    assert len(free) > 10
    assert np.abs(free).max() < 1e-2
    held = sum(out[bus, p] for bus in grid.sources["bus"] for p in "abc")
    assert held == pytest.approx(flow.sources["p_kw"].sum(), abs=1e-2)


def test_a_balanced_grid_has_the_phase_1() -> None:
    flow = run_powerflow(openpoint.read("baran33"))
    assert flow.loss_kw == pytest.approx(202.677, abs=1e-3)
    assert flow.buses.height == 33
    assert flow.branches.height == 37
    assert {*flow.buses["phase"], *flow.branches["phase"], flow.v_min_phase, flow.v_max_phase} == {"1"}
    written(flow)


def test_from_a_short_file_to_json(tmp_path: Path) -> None:
    (tmp_path / "short.dss").write_text(SHORT)
    flow = run_powerflow(openpoint.read(tmp_path / "short.dss"))
    document = written(flow)
    assert (document["v_min_bus"], document["v_min_phase"]) == ("b", "b")
    # One phase of a line alone: self impedances (z0 + 2 z1) / 3, no current in the other phases.
    z, v, s = complex(1.5, 3.0) / 3.0, 1.02 * 12470.0 / 3**0.5, 3e5 + 1e5j
    at_b: complex = complex(v)
    for _ in range(100):
        at_b = v - z * np.conj(s / at_b)
    amps = abs(s / at_b)
    row = next(row for row in document["branches"] if (row["name"], row["phase"]) == ("ab", "b"))
    assert row["i_a"] == pytest.approx(amps, rel=1e-5)
    assert row["loading_percent"] == pytest.approx(5.0 * amps, rel=1e-5)
    assert document["loss_kw"] == pytest.approx(z.real * amps**2 / 1000.0, rel=1e-4)
    assert document["sources"][0]["p_kw"] == pytest.approx(300.0 + document["loss_kw"], abs=1e-3)
    assert document["violations"] == [
        {"kind": "current", "name": "ab", "phase": "b", "value": row["i_a"], "limit": 20.0, "unit": "A"}
    ]
    assert flow.tables()["violations"].rows() == [tuple(document["violations"][0].values())]
    for ending, write, read in (
        ("csv", export.to_csv, pl.read_csv),
        ("parquet", export.to_parquet, pl.read_parquet),
    ):
        write(flow, tmp_path / ending)
        assert read(tmp_path / ending / f"buses.{ending}")["phase"].to_list() == flow.buses["phase"].to_list()
    assert export.to_excel(flow, tmp_path / "flow.xlsx").exists()


def test_limits_are_kept_by_phase() -> None:
    buses = [{"name": n, "vn_kv": 4.16, "phases": "abc"} for n in "ABC"]
    buses.append({"name": "D", "vn_kv": 4.16, "phases": "abc", "v_min_pu": 1.0, "v_max_pu": 1.01})
    flow = run_powerflow(four_buses(buses=buses))
    sizes = {row["phase"]: row["v_pu"] for row in flow.buses.filter(name="D").iter_rows(named=True)}
    broken = {(v.kind, v.name, v.phase) for v in flow.violations}
    assert broken == {
        ("voltage low" if v < 1.0 else "voltage high", "D", p) for p, v in sizes.items() if not 1.0 <= v <= 1.01
    }
    assert broken
    assert f"D, phase {flow.violations[0].phase}: " in str(flow.violations[0])


def test_a_loop_of_three_phases_is_solved() -> None:
    """Two equal lines side by side carry half of the power each."""
    alone = [0.3, 0, 0.3, 0, 0, 0.3]
    line = {"from_bus": "A", "to_bus": "B", "phases": "abc", "r_ohm": alone, "x_ohm": alone}
    lines = [*four_buses().lines.to_dicts()[1:], {"name": "one", **line}, {"name": "two", **line}]
    flow = run_powerflow(four_buses(lines=lines))
    one, two = (flow.branches.filter(name=name) for name in ("one", "two"))
    np.testing.assert_allclose(one["p_from_kw"], two["p_from_kw"], rtol=1e-9)
    assert flow.ac_max_mismatch_pu < 1e-6


def test_what_no_source_reaches_is_named_with_its_phases() -> None:
    switch = {"name": "BC", "from_bus": "B", "to_bus": "C", "phases": "abc"}
    with pytest.raises(InputError, match="no source reaches") as caught:
        run_powerflow(four_buses(switches=[switch | {"closed": False}]))
    assert caught.value.problems[0].row == "C, D"
    with pytest.raises(InputError, match="no source reaches") as caught:
        run_powerflow(four_buses(switches=[switch | {"closed": False}, switch | {"name": "two", "phases": "ab"}]))
    assert caught.value.problems[0].row == "C (phase c), D (phase c)"


def test_a_load_that_cannot_be_carried_has_no_solution() -> None:
    heavy = [{"name": "b", "bus": "D", "phases": "abc", "p_kw": 3e6, "q_kvar": 1e6}]
    with pytest.raises(InputError, match="no solution"):
        run_powerflow(four_buses(loads=heavy))
