"""The IEEE feeders give the voltages of OpenDSS on the original files, and its figures for other settings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint.grid import Grid
from openpoint.io.opendss.read import grid_from_file
from openpoint.io.opendss.write import circuit_text
from openpoint.powerflow.opendss import OpenDssCircuit

NAMES = ("ieee13", "ieee37", "ieee123")
# The figures were made with OpenDSS's own stopping rule, changes of 1e-4.
V_TOLERANCE, LOSS_TOLERANCE_KW, SERVED_TOLERANCE_KW = 2e-5, 0.015, 0.03


def expected_voltages(name: str) -> dict[tuple[str, str], complex]:
    file = Path(__file__).parent / name / "voltages.csv"
    rows = pl.read_csv(file, schema_overrides={"bus": pl.String}).iter_rows()
    return {(bus, phase): v * np.exp(1j * np.radians(angle)) for bus, phase, v, angle in rows}


def voltages(circuit: OpenDssCircuit) -> dict[tuple[str, str], complex]:
    network, flows = circuit.network, circuit.solve()
    assert flows.converged.all()
    places = zip(network.terminal_bus, network.terminal_phase, flows.v[0], strict=True)
    return {(network.bus_names[b], phase): v for b, phase, v in places}


@pytest.mark.parametrize("name", NAMES)
def test_voltages_are_those_of_the_original(name: str) -> None:
    found, expected = voltages(OpenDssCircuit(openpoint.read(name))), expected_voltages(name)
    assert set(expected) == set(found) - {("vsource.source", p) for p in "abc"}
    assert max(abs(found[key] - v) for key, v in expected.items()) < 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_written_and_read_again_it_is_the_same_circuit(name: str, tmp_path: Path) -> None:
    (tmp_path / "case.dss").write_text(circuit_text(openpoint.read(name)))
    grid = grid_from_file(tmp_path / "case.dss")
    found, expected = voltages(OpenDssCircuit(grid)), expected_voltages(name)
    assert max(abs(found[key] - v) for key, v in expected.items()) < 1e-6
    for kind, frame in openpoint.read(name).tables().items():
        assert frame.height == grid.tables()[kind].height


def as_read(grid: Grid) -> Grid:
    return grid


def with_taps(grid: Grid, **taps: int) -> Grid:
    today = grid.transformers.select("name", "tap_pos").iter_rows()
    column = pl.Series("tap_pos", [taps.get(name, tap) for name, tap in today])
    return grid.with_tables(transformers=grid.transformers.with_columns(column))


def with_constant_power(grid: Grid, rated_over_nominal: float = 1.0) -> Grid:
    """All loads of constant power at every voltage; single-phase ones are rated a little off the nominal voltage."""
    degree = {"power": 0, "cvr": 1, "current": 1, "impedance": 2}
    rows = grid.loads.select("model", "phases").iter_rows()
    factor = pl.Series([rated_over_nominal ** (degree[m] if len(phases) == 1 else 0) for m, phases in rows])
    none = pl.lit(None, dtype=pl.Float64)
    loads = grid.loads.with_columns(pl.col("p_kw", "q_kvar") * factor, model=pl.lit("power"))
    return grid.with_tables(loads=loads.with_columns(v_min_pu=none, v_max_pu=none))


def published_13(grid: Grid) -> Grid:
    return with_taps(grid, reg1=10, reg2=8, reg3=11)


def ideal_37(grid: Grid) -> Grid:
    """Constant power, regulators neutral, substation and source without impedance to speak of."""
    lists = {
        column: pl.Series(column, [[1e-6 * z for z in m] if n == "vsource.source" else m for n, m in rows])
        for column in ("r_ohm", "x_ohm")
        for rows in [zip(grid.lines["name"], grid.lines[column].to_list(), strict=True)]
    }
    small = pl.when(pl.col("name") == "subxf").then(1e-3).otherwise(1.0)
    ideal = grid.with_tables(
        lines=grid.lines.with_columns(**lists),
        transformers=grid.transformers.with_columns(pl.col("r_ohm", "x_ohm") * small),
    )
    return with_constant_power(with_taps(ideal, reg1a=0, reg1c=0))


def published_123(grid: Grid) -> Grid:
    taps = with_taps(grid, reg1a=7, reg2a=-1, reg3a=0, reg3c=-1, reg4a=8, reg4b=1, reg4c=5)
    return with_constant_power(taps, 2.4 / (4.16 / 3**0.5))


FIGURES: list[tuple[str, Callable[[Grid], Grid], tuple[str, ...], list[float], float, float]] = [
    ("ieee13", as_read, ("sourcebus",), [0.97533, 1.05603, 0.99997, 1.04263, 0.96083, 1.05605], 112.405, 3454.68),
    ("ieee13", published_13, ("sourcebus",), [0.98186, 1.06228, 0.99997, 1.05561, 0.97495, 1.06855], 110.498, 3467.37),
    ("ieee37", as_read, ("sourcebus",), [0.87103, 0.98896, 0.99051, 1.02462, 0.90414, 1.01460], 152.357, 2435.99),
    ("ieee37", ideal_37, ("sourcebus",), [0.92888, 0.99902, 0.96169, 0.99690, 0.95441, 1.00389], 79.256, 2457.0),
    ("ieee123", as_read, (), [0.97921, 1.04782, 0.99999, 1.04996, 0.98914, 1.03826], 95.977, 3519.29),
    ("ieee123", published_123, (), [0.98626, 1.04374, 0.99999, 1.04374, 0.99635, 1.04374], 93.355, 3490.0),
]


@pytest.mark.parametrize(("name", "change", "apart", "range_pu", "loss_kw", "served_kw"), FIGURES)
def test_figures_of_opendss(
    name: str,
    change: Callable[[Grid], Grid],
    apart: tuple[str, ...],
    range_pu: list[float],
    loss_kw: float,
    served_kw: float,
) -> None:
    """Least and greatest voltage of each phase without the source bus, loss of lines and transformers, served load."""
    circuit = OpenDssCircuit(change(openpoint.read(name)))
    network, flows = circuit.network, circuit.solve()
    left_out = {"vsource.source", *apart}
    found = []
    for phase in "abc":
        size = [
            abs(v)
            for v, bus, p in zip(flows.v[0], network.terminal_bus, network.terminal_phase, strict=True)
            if p == phase and network.bus_names[bus] not in left_out
        ]
        found += [min(size), max(size)]
    assert found == pytest.approx(range_pu, abs=V_TOLERANCE)
    own = [network.branch_names[b] != "vsource.source" for b in network.conductor_branch]
    taken = (flows.s_fr_kva + flows.s_to_kva)[0].real
    assert taken[own].sum() == pytest.approx(loss_kw, abs=LOSS_TOLERANCE_KW)
    assert flows.source_kva[0].sum().real - taken.sum() == pytest.approx(served_kw, abs=SERVED_TOLERANCE_KW)
