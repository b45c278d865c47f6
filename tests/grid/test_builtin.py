"""The built-in cases are sound, and say what they are. Their losses are checked in tests/cases."""

from pathlib import Path

import polars as pl
import pytest

import openpoint
from openpoint.errors import OptionError
from openpoint.graph import is_radial
from openpoint.grid import files
from openpoint.grid.schemas import SCHEMAS
from openpoint.network import build_network
from openpoint.network.devices import build_devices

# buses, branches, open branches, load in kW and kvar. Of the IEEE feeders impedances and currents rated at 2.4 kV draw
# 0.15 and 0.07 % more at 4.16 / √3 kV: published are 3466 + j2102 and 3490 + j1920.
SIZES = {
    "ieee13": (17, 18, 0, 3466.316, 2102.187),
    "ieee13-microgrids": (14, 15, 2, 3466.316, 2102.187),
    "zhang13": (13, 15, 3, 1155.35, 0.0),
    "civanlar16": (16, 16, 3, 28700.0, 5900.0),
    "baran33": (33, 37, 5, 3715.0, 2300.0),
    "baran33-devices": (33, 37, 5, 3715.0, 2300.0),
    "ieee37": (40, 41, 0, 2457.0, 1201.0),
    "ieee37-microgrids": (37, 39, 3, 2457.0, 1201.0),
    "baran69": (69, 73, 5, 3802.1, 2694.7),
    "baran69-x": (69, 73, 5, 3802.1, 2694.7),
    "das70": (70, 76, 8, 5385.4, 3687.6),
    "khodr70": (70, 76, 8, 5385.4, 3687.6),
    "zhang118": (118, 132, 15, 22709.72, 17041.068),
    "ieee123": (131, 135, 2, 3491.004, 1920.500),
    "ieee123-microgrids": (129, 135, 4, 3491.004, 1920.500),
    "mantovani136": (136, 156, 21, 18313.807, 7932.568),
}


def test_names_go_from_small_to_large() -> None:
    assert files.names() == tuple(SIZES)


@pytest.mark.parametrize("name", SIZES)
def test_case(name: str) -> None:
    grid = files.load(name)
    branches = grid.branches()
    assert grid.name == name
    assert grid.title
    assert "19" in grid.source or "20" in grid.source
    assert grid.problems() == list(grid.notes)
    assert bool(grid.notes) == (name == "khodr70")
    assert (grid.buses.height, branches.height, (~branches["closed"]).sum()) == SIZES[name][:3]
    assert (grid.loads["p_kw"].sum(), grid.loads["q_kvar"].sum()) == pytest.approx(SIZES[name][3:])
    network = build_network(grid)
    assert branches["switchable"].all() or not network.is_balanced
    assert is_radial(
        network.n_terminals, network.terminal_fr, network.terminal_to, network.closed, network.source_terminal
    )


def test_figures_are_as_published() -> None:
    lines = files.load("baran33").lines
    assert lines.filter(name="2").select("r_ohm", "x_ohm").row(0) == ([0.493], [0.2511])
    lines = files.load("civanlar16").lines
    assert lines.filter(name="1-4").select("r_ohm", "x_ohm").row(0) == ([0.39675], [0.529])
    grid = files.load("zhang13")
    assert grid.loads.filter(bus="12")["p_kw"].item() == 281.0
    assert grid.lines.filter(name="15").select("from_bus", "to_bus").row(0) == ("3", "13")
    # 10 MVA at 4.16 kV.
    assert grid.lines["i_max_a"].to_list() == pytest.approx([10_000 / (3**0.5 * 4.16)] * 15, abs=5e-3)


def test_microgrids_have_the_published_counts() -> None:
    grid = files.load("ieee37-microgrids")
    switches = grid.branches().filter(switchable=True)
    assert (switches.height, (~switches["closed"]).sum()) == (10, 3)
    assert (grid.generators.height, grid.generators["p_max_kw"].sum()) == (7, 2180.0)


@pytest.mark.parametrize(("name", "lines"), [("ieee13", 11), ("ieee37", 35), ("ieee123", 118)])
def test_microgrids_are_cut_out_of_the_feeder_of_kersting(name: str, lines: int) -> None:
    """Impedances, loads and capacitors are those of the feeder; ties are added, loads are constant power."""
    grid, feeder = files.load(f"{name}-microgrids"), files.load(name)
    same = ["name", "to_bus", "phases", "r_ohm", "x_ohm", "b_us"]
    own = grid.lines.filter(pl.col("name").is_in(feeder.lines["name"].implode())).filter(closed=True)
    own = own.select(same).sort("name")
    assert own.equals(feeder.lines.filter(pl.col("name").is_in(own["name"].implode())).select(same).sort("name"))
    assert own.height == lines
    columns = ["name", "bus", "phases", "connection", "p_kw", "q_kvar"]
    assert grid.loads.select(columns).equals(feeder.loads.select(columns))
    assert set(grid.loads["model"]) == {"power"}
    assert grid.capacitors.equals(feeder.capacitors)
    assert set(feeder.switches["name"]) <= set(grid.branches().filter(switchable=True)["name"])


@pytest.mark.parametrize(("name", "plain"), [("khodr70", "das70"), ("baran33-devices", "baran33")])
def test_grids_with_devices_have_the_lines_and_loads_of_the_plain_ones(name: str, plain: str) -> None:
    grid, without = files.load(name), files.load(plain)
    assert grid.lines.equals(without.lines)
    assert grid.loads.equals(without.loads)
    assert (without.capacitors.height, without.generators.height) == (0, 0)


def test_khodr70_has_the_published_devices() -> None:
    grid = files.load("khodr70")
    devices = build_devices(grid, build_network(grid))
    assert devices.names == ("49", "64", "1", "70", "15", "29")
    base = build_network(grid).s_base_kva
    for d in (0, 1):
        assert (devices.values[d] * base).tolist() == pytest.approx([0.0, 150.0, 300.0, 600.0])
    for d in (2, 3):
        assert (len(devices.values[d]), devices.values[d].min(), devices.values[d].max()) == (17, 0.96, 1.04)
    assert devices.today.tolist() == [0, 0, 8, 8, 0, 0]


def test_describe_and_unknown_name() -> None:
    table = openpoint.cases()
    assert table.columns == [
        "name",
        "title",
        "phases",
        "buses",
        "branches",
        "switchable",
        "sources",
        "load_kw",
        "source",
    ]
    assert table["name"].to_list() == list(SIZES)
    with pytest.raises(OptionError, match="baran33"):
        files.load("baran34")


def test_reference_page_tells_every_column() -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference.md").read_text(encoding="utf-8")
    for kind, schema in SCHEMAS.items():
        section = page.split(f"### {kind}\n")[1].split("\n##")[0]
        assert all(f"| `{name}` |" in section for name in schema.columns())
