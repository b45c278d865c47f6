"""Switch states, coordinates and routes: written back into files, and read from GeoJSON."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import openpoint
import openpoint as op
from openpoint import InputError, OptionError
from openpoint.grid.coordinates import between, in_degrees, middle, routes_of
from openpoint.io.opendss.engine import borrow_engine, hand_back, run_statements, solve_today
from openpoint.io.opendss.text import read_script
from openpoint.io.switch_states import offsets, span
from openpoint.io.write_back import write_back
from openpoint.report.layout.place import compute_layout

CASE = """function mpc = ring
mpc.version = '2';
mpc.baseMVA = 10;
mpc.bus = [1 3 0 0 0 0 1 1 0 10 1 1.1 .9; 2 1 .5 .1 0 0 1 1 0 10 1 1.1 .9; 3 1 .4 .1 0 0 1 1 0 10 1 1.1 .9];
mpc.gen = [1 0 0 10 -10 1 100 1 10 0];
%{
mpc.branch = [ in a comment ]
%}
mpc.branch = [ % Stra\xdfe
  1, 2, 0.01, 0.01, 0, 0, 0, 0, 0, 0, 1, -360, 360;
  2\t3\t0.01 0.01 0 0 0 0 0 0 1 -360 360   % here
  1 3 0.03 ...
    0.03 0 0 0 0 0 0 0 -360 360 ];
"""


def pandapower_loss_kw(path: Path) -> float:
    import pandapower as pp

    net = pp.from_json(str(path))
    pp.runpp(net, tolerance_mva=1e-9, numba=False)
    return 1e3 * float(net.res_line.pl_mw.sum() + net.res_trafo.pl_mw.sum())


def net_file(folder: Path, name: str) -> Path:
    import pandapower as pp
    import pandapower.networks as networks

    net = getattr(networks, name)()
    if len(net.switch):
        net.switch["name"] = [f'Straße "{k}" \U0001f50c' for k in range(len(net.switch))]
    pp.to_json(net, str(folder / "net.json"))
    return folder / "net.json"


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", ["simple_mv_open_ring_net", "case33bw"])
def test_pandapower_computes_the_loss_of_the_answer(name: str, tmp_path: Path) -> None:
    source, copy = net_file(tmp_path, name), tmp_path / "copy.json"
    branches = openpoint.read(source).branches()
    lock = branches.filter("switchable", "closed")["name"][-2]
    answer = openpoint.reconfigure(source, limits=openpoint.Limits(voltage=False, current=False), locked_open=lock)
    changes = write_back(source, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
    assert len({change.branch for change in changes}) == len(answer.changes) > 0
    assert openpoint.run_powerflow(copy).loss_kw == pytest.approx(answer.loss_kw, rel=1e-9)
    assert pandapower_loss_kw(copy) == pytest.approx(answer.loss_kw, rel=1e-6)
    before, after = source.read_bytes(), copy.read_bytes()
    assert before.replace(b"true", b"T").replace(b"false", b"T") == after.replace(b"true", b"T").replace(b"false", b"T")
    write_back(copy, copy, dict(branches.select("name", "closed").iter_rows()))
    restored = openpoint.read(copy)
    assert restored.branches().equals(branches)


@pytest.mark.filterwarnings("ignore")
def test_tables_within_the_json_are_found_as_well(tmp_path: Path) -> None:
    source = net_file(tmp_path, "simple_mv_open_ring_net")
    content = json.loads(source.read_text())
    table = content["_object"]["switch"]
    inner = json.loads(table["_object"])
    cells = [dict(zip(inner["columns"], row)) for row in inner["data"]]
    by_index = {str(k): {**row, "closed": int(row["closed"])} for k, row in zip(inner["index"], cells)}
    by_column = {c: {str(k): row[c] for k, row in zip(inner["index"], cells)} for c in inner["columns"]}
    for orient, made in (("index", by_index), ("columns", by_column), ("split", inner)):
        content["_object"]["switch"] = table | {"orient": orient, "_object": made}
        source.write_text(json.dumps(content, indent=1))
        closed = dict(openpoint.read(source).branches().select("name", "closed").iter_rows())
        (change, *_) = write_back(source, tmp_path / "copy.json", {next(n for n, c in closed.items() if not c): True})
        assert "Straße" in change.element
        assert openpoint.read(tmp_path / "copy.json").branches()["closed"].all()


def test_only_the_status_of_a_matpower_case_changes(tmp_path: Path) -> None:
    source, copy = tmp_path / "ring.m", tmp_path / "copy.m"
    source.write_bytes(CASE.replace("\n", "\r\n").encode("latin-1"))
    changes = write_back(source, copy, {"1": True, "2": False, "3": True})
    assert [change.branch for change in changes] == ["2", "3"]
    assert "2 to 3 = 0" in str(changes[0])
    pairs = [(a, b) for a, b in zip(source.read_bytes(), copy.read_bytes(), strict=True) if a != b]
    assert pairs == [(ord("1"), ord("0")), (ord("0"), ord("1"))]
    assert openpoint.read(copy).branches()["closed"].to_list() == [True, False, True]


def test_what_the_file_cannot_hold_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    later = tmp_path / "later.m"
    later.write_text(CASE + "mpc.branch(2, 11) = 1;\n")
    copy = tmp_path / "copy.m"
    with pytest.raises(InputError, match="row 2: read again"):
        write_back(later, copy, {"2": False})
    assert not copy.exists()
    copy.write_text("mine")
    with pytest.raises(InputError):
        write_back(later, copy, {"2": False})
    assert copy.read_text() == "mine"
    later.write_text(CASE.replace("0 0 1 -360 360   % here", "0 0 1*1 -360 360"))
    with pytest.raises(InputError, match="not written as a number"):
        write_back(later, copy, {"2": False})
    with pytest.raises(InputError, match="no such branch"):
        write_back(later, copy, {"7": False})


def test_formats(tmp_path: Path) -> None:
    source = tmp_path / "ring.m"
    source.write_text(CASE)
    with pytest.raises(OptionError, match=r"ends in \.m"):
        write_back(source, tmp_path / "copy.json", {})
    with pytest.raises(OptionError, match="convert"):
        write_back("baran33", tmp_path / "copy", {})
    for name in ("tables", "book.xlsx"):
        openpoint.write(source, tmp_path / name)
        copy = tmp_path / f"copy {name}"
        (change,) = write_back(tmp_path / name, copy, {"2": False})
        assert str(change) == "open 2: lines, closed = false"
        made, before = openpoint.read(copy), openpoint.read(tmp_path / name)
        assert made.with_closed({"2": True}).lines.equals(before.lines)


def test_an_opendss_circuit_gets_statements_at_its_end(tmp_path: Path) -> None:
    source, copy = tmp_path / "circuit.dss", tmp_path / "copy.dss"
    openpoint.write(openpoint.read("ieee13").with_switchable("650632"), source)
    closed = dict(openpoint.read(source).branches().filter("switchable").select("name", "closed").iter_rows())
    assert "650632" in closed
    write_back(source, copy, {"671692": False})
    assert copy.read_bytes().startswith(source.read_bytes())
    assert dict(openpoint.read(copy).branches().select("name", "closed").iter_rows())["671692"] is False
    write_back(copy, tmp_path / "again.dss", {"671692": True})
    assert openpoint.read(tmp_path / "again.dss").branches()["closed"].all()
    write_back(source, copy, {"650632": False})
    assert "Edit SwtControl." in copy.read_text()


def test_opendss_computes_the_loss_of_the_answer(tmp_path: Path) -> None:
    source, copy = tmp_path / "circuit.dss", tmp_path / "copy.dss"
    openpoint.write("zhang13", source)
    answer = openpoint.reconfigure("zhang13", limits=openpoint.Limits(voltage=False, current=False))
    assert write_back(source, copy, dict(answer.branches.select("name", "closed_after").iter_rows()))
    for file, loss in ((source, answer.loss_before_kw), (copy, answer.loss_kw)):
        engine = borrow_engine()
        assert run_statements(engine, read_script(file).statements) == []
        assert solve_today(engine)
        found = engine.Circuit.Losses()[0] / 1e3
        hand_back(engine)
        assert found == pytest.approx(loss, rel=1e-6)


def test_values_are_found_in_the_text_of_json() -> None:
    content: Any = {"a\\": [1, {"b": "x"}], "c é\U0001f50c": {"d": [[], [True, None, -1.5e3]]}, "e": {}}
    for text in (json.dumps(content), json.dumps(content, ensure_ascii=False, indent=3)):
        start, end = span(text, ("c é\U0001f50c", "d", 1, 0))
        assert text[start:end] == "true"
        start, end = span(text, ("a\\", 1))
        assert json.loads(text[start:end]) == {"b": "x"}
        for way in (("x",), ("a\\", 2), ("e", "x"), ("c é\U0001f50c", "d", 0, 0), ("a\\", "x"), ("e", 0)):
            with pytest.raises(LookupError):
                span(text, way)
        literal = json.dumps(text)
        places = offsets(literal)
        assert len(places) == len(text) + 1
        assert all(json.loads(f'"{literal[a:b]}"') == c for a, b, c in zip(places, places[1:], text))


def feature(kind: str, coordinates: Any, name: Any) -> dict[str, Any]:
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": {"name": name}}


def written(path: Path, features: list[Any], **more: Any) -> Path:
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features, **more}))
    return path


def mapped(grid: op.Grid, scale: float = 1e-3, at: tuple[float, float] = (8.0, 50.0)) -> list[dict[str, Any]]:
    """Points of all buses on a parabola."""
    return [
        feature("Point", [at[0] + scale * k, at[1] + scale * k * k / 10.0], name)
        for k, name in enumerate(grid.buses["name"])
    ]


def test_buses_and_branches_get_what_has_their_name(tmp_path: Path) -> None:
    grid = op.read("civanlar16")
    points = mapped(grid)
    place = {one["properties"]["name"]: one["geometry"]["coordinates"] for one in points}
    row = grid.lines.row(3, named=True)
    fr, to = place[row["from_bus"]], place[row["to_bus"]]
    corner = [(fr[0] + to[0]) / 2.0, fr[1] + 1e-3]
    other = grid.lines["name"][5]
    parts = [[[8.0, 50.0, 12.0], [8.001, 50.001]], [[8.001, 50.001], [8.002, 50.0]]]
    lines = [feature("LineString", [to, corner, fr], row["name"]), feature("MultiLineString", parts, other)]
    made = op.read(grid, geojson=written(tmp_path / "map.geojson", [*points, *lines]))
    assert made.buses.select("x", "y").rows() == [tuple(place[name]) for name in grid.buses["name"]]
    routes = dict(made.lines.select("name", "route").iter_rows())
    assert routes[row["name"]] == corner
    assert len(routes[other]) == 6 - 2 * (place[grid.lines["from_bus"][5]] in parts[0] + parts[1])
    assert sum(map(bool, routes.values())) == 2
    op.io.write(made, tmp_path / "tables")
    assert op.read(tmp_path / "tables").equals(made)
    op.io.write(made, tmp_path / "tables.xlsx")
    assert op.read(tmp_path / "tables.xlsx").equals(made)


def test_a_map_draws_routes_and_shortens_longitudes(tmp_path: Path) -> None:
    grid = op.read("civanlar16")
    name = grid.lines["name"][0]
    points = mapped(grid)
    way = [points[0]["geometry"]["coordinates"], [8.5, 50.5], [8.6, 50.0]]
    made = op.read(grid, geojson=written(tmp_path / "map.geojson", [*points, feature("LineString", way, name)]))
    layout = compute_layout(made)
    assert layout.is_map
    e = made.branches()["name"].to_list().index(name)
    factor = np.cos(np.radians(made.buses["y"].mean()))
    route = routes_of(made)[e]
    np.testing.assert_allclose(layout.ways[e][1:-1], route * [factor, 1.0])
    assert [8.5, 50.5] in route.tolist()
    straight = [k for k, route in enumerate(routes_of(made)) if not len(route)]
    assert all(len(layout.ways[k]) == 2 for k in straight)
    plane = written(tmp_path / "plane.geojson", mapped(grid, scale=100.0, at=(3.5e6, 5.5e6)))
    flat = compute_layout(op.read(grid, geojson=plane))
    np.testing.assert_allclose(np.ptp(flat.xy[:, 0]), 100.0 * (grid.buses.height - 1))


def test_an_answer_as_geojson_keeps_routes_and_reads_back(tmp_path: Path) -> None:
    grid = op.read("civanlar16")
    points = mapped(grid)
    lines = [feature("LineString", [[8.0 + 1e-4 * k, 50.1], [8.01, 50.2]], n) for k, n in enumerate(grid.lines["name"])]
    made = op.read(grid, geojson=written(tmp_path / "map.geojson", [*points, *lines]))
    answer = op.reconfigure(made, method=op.BranchExchange()).write_geojson(tmp_path / "answer.geojson")
    again = op.read(grid, geojson=answer)
    for kind in ("buses", "lines", "transformers"):
        assert again.tables()[kind].equals(made.tables()[kind])
    assert any(len(route) for route in routes_of(again))
    found = json.loads(answer.read_text())["features"]
    drawn = {f["properties"]["name"]: f for f in found if f["geometry"]["type"] == "LineString"}
    for spot in (f for f in found if f["properties"]["kind"] == "open point"):
        way = drawn[spot["properties"]["name"]]["geometry"]["coordinates"]
        assert spot["geometry"]["coordinates"] == middle(way)


def test_faults_are_named_by_feature_all_at_once(tmp_path: Path) -> None:
    grid = op.read("baran33")
    bus, line = grid.buses["name"][0], grid.lines["name"][0]
    bad = [
        *[feature("Point", [8.0, 50.0 + k / 1e3], name) for k, name in enumerate(grid.buses["name"][:20])],
        feature("Point", [8.0, 50.0], bus),
        feature("Point", [8.0, 50.0], "nowhere"),
        feature("LineString", [[8.0, 50.0]], line),
        feature("Polygon", [[[8.0, 50.0]]], bus),
        feature("Point", [8.0, 50.0], None),
        feature("LineString", [[50.0, 8.0], [8.0, 95.0]], line),
        feature("MultiLineString", [[[8, 50], [9, 50]], [[8, 51], [9, 51]]], line),
        feature("Point", [8.0, "x"], bus),
        feature("LineString", [[8.0, 50.0], [9.0, 50.0]], grid.lines["name"][25]),
        7,
    ]
    with pytest.raises(InputError) as found:
        op.read(grid, geojson=written(tmp_path / "map.geojson", bad))
    told = {int(problem.row.split()[1]): problem.message for problem in found.value.problems}
    wanted = {
        21: "given already by feature 1 ",
        22: "no bus 'nowhere'",
        23: "at least two points",
        24: "geometry is Polygon",
        25: "no name",
        26: "beyond",
        27: "does not begin where",
        28: "no numbers in pairs|could not convert",
        29: "without coordinates",
        30: "no name",
    }
    assert told.keys() == wanted.keys()
    for number, words in wanted.items():
        assert any(word in told[number] for word in words.split("|")), told[number]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"features": []}', "there is no feature"),
        ("[]", "no FeatureCollection"),
        ("{", "no JSON"),
        ("", "empty"),
        ('{"features": [{"geometry": {"type": "Point", "coordinates": []}, "id": "1"}]}', "feature 1"),
    ],
)
def test_what_is_no_map_is_said(text: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "map.geojson").write_text(text)
    with pytest.raises(InputError, match=words):
        op.read("baran33", geojson=tmp_path / "map.geojson")
    with pytest.raises(InputError, match="cannot be read"):
        op.read("baran33", geojson=tmp_path / "none.geojson")


def test_degrees_are_told_from_metres(tmp_path: Path) -> None:
    grid = op.read("civanlar16")
    degrees = op.read(grid, geojson=written(tmp_path / "degrees.geojson", mapped(grid)))
    assert not [note for note in degrees.notes if "degrees" in str(note)]
    path = written(tmp_path / "metres.geojson", mapped(grid, 50.0, (3.4e6, 5.4e6)))
    assert any("no degrees" in str(note) for note in op.read(grid, geojson=path).notes)
    crs = {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::25832"}}
    path = written(tmp_path / "near.geojson", mapped(grid, 1.0, (0.0, 0.0)), crs=crs)
    assert any("no degrees" in str(note) for note in op.read(grid, geojson=path).notes)
    with pytest.raises(InputError, match="unlike those that the grid has"):
        op.read(degrees, geojson=written(tmp_path / "half.geojson", mapped(grid, 50.0, (3.4e6, 5.4e6))[:5]))
    assert not in_degrees(np.array([[0.0, 0.0], [40.0, 3.0]]))
    assert between([(0.0, 0.0), (1.0, 1.0)], [(2.0, 1.0), (0.0, 0.0)]) == [1.0, 1.0]


def test_a_line_far_from_its_buses_is_a_doubt_and_odd_routes_a_fault(tmp_path: Path) -> None:
    grid = op.read("civanlar16")
    far = feature("LineString", [[8.5, 50.0], [8.5001, 50.0]], grid.lines["name"][0])
    made = op.read(grid, geojson=written(tmp_path / "map.geojson", [*mapped(grid), far]))
    assert any("farther from a bus" in str(note) for note in made.notes)
    odd = grid.with_tables(lines=grid.lines.with_columns(route=pl.Series([[1.0]] * grid.lines.height)))
    assert any(problem.column == "route" for problem in odd.problems())


@pytest.mark.parametrize("older", [False, True])
def test_pandapower_nets_keep_their_routes(older: bool) -> None:
    from openpoint.io.pandapower.read import grid_from_net
    from openpoint.io.pandapower.reading import Net

    def geo(kind: str, coordinates: Any) -> str:
        return json.dumps({"type": kind, "coordinates": coordinates})

    way = [[2.0, 0.0], [1.0, 1.0], [0.0, 0.0]]
    line = {"from_bus": 0, "to_bus": 1, "length_km": 1.0, "r_ohm_per_km": 0.1, "x_ohm_per_km": 0.1}
    bus = [{"index": k, "name": name, "vn_kv": 20.0} for k, name in enumerate("AB")]
    tables: dict[str, list[dict[str, Any]]] = {"bus": bus, "ext_grid": [{"index": 0, "bus": 0}]}
    tables["line"] = [{"index": 7, "name": "AB", **line}]
    if older:
        tables["bus_geodata"] = [{"index": k, "x": 2.0 * k, "y": 0.0} for k in (0, 1)]
        tables["line_geodata"] = [{"index": 7, "coords": way}]
    else:
        for k in (0, 1):
            bus[k]["geo"] = geo("Point", [2.0 * k, 0.0])
        tables["line"][0]["geo"] = geo("LineString", way)
    grid = grid_from_net(Net(tables, {"f_hz": 50.0}), "net.json", source="")
    assert grid.lines["route"].to_list() == [[1.0, 1.0]]
