"""Reading and writing by format; limits and loadings whatever the format."""

import json
import math
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid import files
from openpoint.io.matpower.read import grid_from_text as from_matpower
from openpoint.io.pandapower.branches import branch_names
from openpoint.io.pandapower.read import grid_from_text
from openpoint.io.pandapower.reading import net_from_text
from openpoint.io.pgm import grid_from_text as from_pgm
from tests.io.feeders import LINE, LOAD, SUB, script
from tests.io.test_pandapower import TEXT as NET
from tests.io.test_pgm import content

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("name", ["small.m", "small.pos", "small.json"])
def test_files_by_ending_and_by_content(name: str, tmp_path: Path) -> None:
    by_ending = openpoint.read(DATA / name)
    copy = tmp_path / "net.txt"
    shutil.copy(DATA / name, copy)
    by_content = openpoint.read(str(copy))
    assert by_content.buses.equals(by_ending.buses)
    assert by_content.lines.equals(by_ending.lines)


@pytest.mark.parametrize("tables", ["csv", "parquet"])
def test_folder_round_trip(tables: str, tmp_path: Path) -> None:
    grid = openpoint.read("baran33")
    openpoint.write(grid, tmp_path / "deep" / "folder", tables=tables)  # type: ignore[arg-type]
    assert openpoint.read(tmp_path / "deep" / "folder").equals(grid)
    assert openpoint.read(tmp_path / "deep" / "folder" / "grid.toml").equals(grid)


def test_writing_over_an_earlier_grid_leaves_nothing_of_it(tmp_path: Path) -> None:
    openpoint.write(openpoint.read(DATA / "small.m"), tmp_path, tables="parquet")
    grid = openpoint.read("civanlar16")
    openpoint.write(grid, tmp_path)
    assert openpoint.read(tmp_path).equals(grid)
    assert openpoint.read(tmp_path).notes == ()


def test_nothing_but_grids_is_written_over(tmp_path: Path) -> None:
    grid = openpoint.read("civanlar16")
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OptionError, match="new folder"):
        openpoint.write(grid, tmp_path)
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(OptionError, match="is a file"):
        openpoint.write(grid, tmp_path / "letter")
    with pytest.raises(OptionError, match="cannot be written"):
        openpoint.write(grid, tmp_path / "letter.txt" / "deeper")
    with pytest.raises(OptionError, match="parquet"):
        openpoint.write(grid, tmp_path / "new", tables="xlsx")  # type: ignore[arg-type]
    assert (tmp_path / "letter.txt").read_text() == (tmp_path / "letter").read_text() == "dear"


@pytest.mark.parametrize(
    "name", ["out.m", "out.M", "out.json", "out.pos", "out.xyz", "out.csv", "letter.txt", "my.grid"]
)
def test_a_grid_is_not_written_under_the_ending_of_another_format(name: str, tmp_path: Path) -> None:
    before = tmp_path / "letter.txt"
    before.write_text("dear")
    for path in (tmp_path / name, str(tmp_path / name)):
        with pytest.raises(
            OptionError, match=rf"not written as {Path(name).suffix.lower()}, only as a folder of tables"
        ):
            openpoint.write("civanlar16", path)
    assert [*tmp_path.iterdir()] == [before]
    assert before.read_text() == "dear"


def test_a_folder_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    grid = openpoint.read("civanlar16")
    (tmp_path / "there.m").mkdir()
    for name in ("my.grid-v1.2", "area.2030", ".hidden", "grid.microgrids", "slash.m/", "there.m"):
        openpoint.write(grid, f"{tmp_path}/{name}")
        assert (tmp_path / name).is_dir()
        assert openpoint.read(tmp_path / name).equals(grid)


def test_a_folder_of_an_opendss_circuit_is_asked_for_its_file(tmp_path: Path) -> None:
    (tmp_path / "lines.dss").write_text("new line.l1 bus1=a bus2=b", encoding="utf-8")
    with pytest.raises(InputError, match=r"holds no grid.toml.*Give the \.dss file in it that reads the others"):
        openpoint.read(tmp_path)


def test_a_format_of_tables_is_for_folders(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="tables='parquet' is for a folder of tables"):
        openpoint.write("ieee13", tmp_path / "out.dss", tables="parquet")
    assert not [*tmp_path.iterdir()]


def test_a_path_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert openpoint.read("baran33").name == "baran33"
    openpoint.write(openpoint.read("civanlar16"), "baran33")
    assert openpoint.read("baran33").name == "civanlar16"


@pytest.mark.parametrize("name", ["baran34", "no such file.m", "", "a\0b", "x" * 5000])
def test_unknown_names_list_the_cases(name: str) -> None:
    with pytest.raises(InputError) as caught:
        openpoint.read(name)
    assert all(case in str(caught.value) for case in files.names()) or name == "x" * 5000


def test_close_names_are_offered() -> None:
    with pytest.raises(InputError, match="Did you mean baran33"):
        openpoint.read("baran3")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.m", b"", "empty"),
        ("a.m", b"\n \n", "empty"),
        ("a.m", b"\x00\x01\x02", "binary"),
        ("a.m", bytes(range(1, 256)), "a.m"),
        ("a.pos", b"\xff\xfe\x00", "binary"),
        ("proof", b"\x1f\x8b\x00", "openpoint verify"),
        ("a.json", b"\x80\x04\x95", "JSON"),
        ("a.xyz", b"hello", "MATPOWER"),
        ("buses.csv", b"name,vn_kv\n", "folder"),
    ],
)
def test_files_that_are_no_grids(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        openpoint.read(tmp_path / name)


def test_a_folder_that_is_no_grid(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"grid\.toml"):
        openpoint.read(tmp_path)


def test_a_faulty_grid_can_be_read_and_says_what_is_wrong(tmp_path: Path) -> None:
    openpoint.write(openpoint.read("baran33"), tmp_path)
    loads = tmp_path / "loads.csv"
    loads.write_text(loads.read_text().replace("2,2,100,60", "2,2,-100,60"))
    grid = openpoint.read(tmp_path)
    assert [(p.table, p.row, p.column) for p in grid.problems()] == [("loads", "2", "p_kw")]
    with pytest.raises(InputError):
        grid.check()


CASE = (Path(__file__).parent / "data" / "small.m").read_text()


def pgm(table: str, column: str, value: float) -> openpoint.Grid:
    data = content()
    data["data"][table][0][column] = value
    return from_pgm(json.dumps(data), "a.json")


def pandapower(table: str, column: str, value: float) -> openpoint.Grid:
    from openpoint.io.pandapower.read import grid_from_text

    net = json.loads(NET)
    rows = net["_object"][table]["_object"]
    frame = json.loads(rows) if isinstance(rows, str) else rows
    place = frame["columns"].index(column)
    for row in frame["data"]:
        row[place] = value
    net["_object"][table]["_object"] = json.dumps(frame)
    return grid_from_text(json.dumps(net), "net.json")


def tables(kind: str, column: str, value: float) -> openpoint.Grid:
    grid = openpoint.read("baran33")
    rows = {name: frame.to_dicts() for name, frame in grid.tables().items() if not frame.is_empty()}
    rows[kind][5][column] = value
    return openpoint.Grid.from_tables("g", rows)


def opendss(folder: Path, body: str) -> openpoint.Grid:
    (folder / "a.dss").write_text(script(body))
    return openpoint.read(folder / "a.dss")


NEGATIVE: dict[str, Callable[[Path], openpoint.Grid]] = {
    "MATPOWER VMAX": lambda folder: from_matpower(
        CASE.replace("1	1.1	0.9	%", "1	-1	0.9	%"), "small.m"
    ),
    "MATPOWER RATE_A": lambda folder: from_matpower(
        CASE.replace("0.4	0	6	0", "0.4	0	-6	0"), "small.m"
    ),
    "OpenDSS NormAmps": lambda folder: opendss(folder, SUB + LOAD + LINE.replace("length", "normamps=-20 length")),
    "OpenDSS NormHkVA": lambda folder: opendss(folder, SUB + "~ normhkva=-5\n" + LOAD + LINE),
    "OpenDSS Vmaxpu": lambda folder: opendss(folder, SUB + LINE + LOAD.replace("kw=900", "vmaxpu=-1.1 kw=900")),
    "power-grid-model i_n": lambda folder: pgm("line", "i_n", -300.0),
    "power-grid-model sn": lambda folder: pgm("transformer", "sn", -30e6),
    "power-grid-model nan": lambda folder: pgm("line", "i_n", math.nan),
    "pandapower max_vm_pu": lambda folder: pandapower("bus", "max_vm_pu", -1.0),
    "pandapower min_vm_pu": lambda folder: pandapower("bus", "min_vm_pu", -1.0),
    "pandapower max_i_ka": lambda folder: pandapower("line", "max_i_ka", -0.3),
    "pandapower sn_mva": lambda folder: pandapower("trafo", "sn_mva", -1.0),
    "tables v_max_pu": lambda folder: tables("buses", "v_max_pu", -1.0),
    "tables v_min_pu": lambda folder: tables("buses", "v_min_pu", 2.0),
    "tables i_max_a": lambda folder: tables("lines", "i_max_a", -1.0),
    "tables nan": lambda folder: tables("lines", "i_max_a", math.nan),
}


@pytest.mark.parametrize("name", NEGATIVE)
def test_it_is_named(name: str, tmp_path: Path) -> None:
    try:
        told = [problem for problem in NEGATIVE[name](tmp_path).problems() if problem.severity == "error"]
    except InputError as error:
        told = list(error.problems)
    assert told
    assert all(problem.message and problem.remedy for problem in told)


NETS = (
    "case39",
    "case57",
    "create_cigre_network_mv",
    "create_kerber_landnetz_freileitung_1",
    "example_multivoltage",
    "example_simple",
    "mv_oberrhein",
    "simple_mv_open_ring_net",
)
SIDES = ("hv", "mv", "lv")


def pairs(net: Any, text: str) -> Iterator[tuple[float, float]]:
    """Of every line and transformer its loading here and by pandapower, in percent of its rating, and its currents."""
    flow = openpoint.run_powerflow(grid_from_text(text, "net.json"))
    ends = {name: row for name, *row in flow.branches.select("name", "i_from_a", "i_to_a").iter_rows()}
    own, names = (
        dict(flow.branches.select("name", "loading_percent").iter_rows()),
        branch_names(net_from_text(text, "")),
    )
    for table in ("line", "trafo", "trafo3w"):
        for row in net[table].index:
            keys = [(f"trafo3w {side}", row) for side in SIDES] if table == "trafo3w" else [(table, row)]
            loadings = [own[names[key]] for key in keys if key in names and names[key] in own]
            theirs = float(net[f"res_{table}"].at[row, "loading_percent"])
            if loadings and None not in loadings and np.isfinite(theirs):
                yield max(loadings), theirs
            for key in keys:
                sides = ("from", "to") if table == "line" else SIDES[::2] if table == "trafo" else (key[0][-2:],)
                here = ends.get(names.get(key, ""))
                for end, side in enumerate(sides):
                    amps = 1e3 * float(net[f"res_{table}"].at[row, f"i_{side}_ka"])
                    if here is not None and np.isfinite(amps):
                        yield here[end if side == "hv" or table != "trafo3w" else 1], amps


@pytest.mark.parametrize(
    ("name", "moved"), [(name, moved) for name in NETS for moved in (False, True) if not (moved and name[:4] == "case")]
)
def test_loadings_are_those_of_pandapower(name: str, moved: bool) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp
        import pandapower.networks

        net = getattr(pandapower.networks, name)()
        rng = np.random.default_rng(len(name))
        if moved:  # taps on either side, units in parallel, derated ones
            for k in net.trafo.index:
                net.trafo.loc[k, ["tap_side", "tap_changer_type"]] = rng.choice(["hv", "lv"]), "Ratio"
                net.trafo.loc[k, ["tap_neutral", "tap_step_percent"]] = 0, 1.25
                net.trafo.loc[k, ["tap_pos", "tap_min", "tap_max"]] = int(rng.integers(-5, 6)), -6, 6
                net.trafo.loc[k, "df"] = rng.uniform(0.8, 1.0)
            net.line["df"] = rng.uniform(0.8, 1.0, len(net.line))
            net.line["max_loading_percent"] = rng.uniform(40.0, 120.0, len(net.line))  # a limit, and no rating
        pp.runpp(net, tolerance_mva=1e-9, numba=False, init="dc", enforce_q_lims=True)
        found = list(pairs(net, pp.to_json(net)))
    assert len(found) > 2
    np.testing.assert_allclose(*np.array(found).T, rtol=1e-6, atol=1e-7)


def test_the_overload_of_a_tapped_winding_is_seen() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pandapower as pp
        import pandapower.networks

        net = pandapower.networks.mv_oberrhein()
        net.trafo["tap_pos"] = -3
        net.load[["p_mw", "q_mvar"]] *= 1.19
        pp.runpp(net, numba=False)
        flow = openpoint.run_powerflow(grid_from_text(pp.to_json(net), "net.json"))
    worst = float(net.res_trafo.loading_percent.max())
    assert worst > 103.0
    assert [v.value / v.limit for v in flow.violations if v.kind == "current"] == pytest.approx(
        [worst / 100.0], rel=1e-5
    )
