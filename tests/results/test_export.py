"""Every output holds the published shape, no infinity, and the names as they are; the first sentence is of the grid."""

import json
import math
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

import openpoint
import openpoint as op
from openpoint.errors import InputError, OptionError
from openpoint.grid import Grid
from openpoint.grid.schemas import SCHEMAS
from openpoint.grid.table_files import no_formula
from openpoint.names import join_names
from openpoint.results import export
from openpoint.studies.catalog import published
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.twostage.log import Termination
from tests.builders.microgrids import five
from tests.builders.pages import render
from tests.cli.desk import tables
from tests.report.conftest import BRANCHES, BUSES, build_result

NASTY = ['=1+1"', "+a", "-b", "@c", "<script>alert(1)</script>", "http://example.org/", "[red]x", "ü, ß\t", "1e5"]
KEYS = {
    *("study", "method", "termination", "seconds", "loss_before_kw", "loss_kw", "lower_bound_kw", "gap"),
    *("open_branches", "v_min_pu", "v_min_bus", "ac_max_mismatch_pu", "violations"),
}


def ring(names: list[str]) -> Grid:
    """A ring of buses under these names, its last line open; line i leaves bus i and has its name."""
    n = len(names)
    return Grid.from_tables(
        names[0],
        {
            "buses": {"name": names, "vn_kv": [10.0] * n},
            "lines": {
                "name": names,
                "from_bus": names,
                "to_bus": [*names[1:], names[0]],
                "r_ohm": [0.1] * n,
                "x_ohm": [0.1] * n,
                "closed": [True] * (n - 1) + [False],
            },
            "sources": {"name": ["grid"], "bus": [names[0]]},
        },
    )


def result(names: list[str] | None = None, *, solved: bool = True) -> ReconfigureResult:
    """A hand-made answer or proof that there is none, with figures that JSON has no word for; names are of buses and of
    lines."""
    given = dict(zip(BUSES, names)) | dict(zip((name for name, *_ in BRANCHES), names[::-1])) if names else {}
    found = build_result(names=given, answer=solved, notes=("a note",))
    unknown = found.iterations.with_columns(value_kw=pl.lit(math.nan))
    return replace(found, iterations=unknown, lower_bound_kw=18.0 if solved else math.inf)


@pytest.fixture(params=["solved", "infeasible", "nasty names"])
def any_result(request: pytest.FixtureRequest) -> ReconfigureResult:
    if request.param == "nasty names":
        return result(NASTY)
    return result(solved=request.param == "solved")


def check(document: object, schema: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)


def test_json_says_what_the_result_says() -> None:
    document = json.loads(result().to_json())
    assert set(document) >= KEYS
    assert document["grid"] == "six"
    assert document["termination"] == "optimal"
    assert document["open_branches"] == ["b-c"]
    assert [(row["name"], row["action"]) for row in document["switching_list"]] == [("c-e", "close"), ("b-c", "open")]
    assert document["iterations"][0]["lower_bound_kw"] is document["iterations"][0]["value_kw"] is None
    assert [row["name"] for row in document["buses"]] == BUSES


def test_an_infeasible_run_names_the_least_violation() -> None:
    document = json.loads(result(solved=False).to_json())
    assert document["loss_kw"] is None
    assert document["gap"] is None
    assert document["to_close"] == document["to_open"] == document["switching_list"] == []
    broken = {"kind": "voltage low", "name": "c", "phase": "1", "value": 0.9, "limit": 0.95, "unit": "pu"}
    assert document["least_violation"][0] == broken
    assert document["least_violation_open"] == ["b-c"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_tables_come_back_as_they_were(ending: str, any_result: ReconfigureResult, tmp_path: Path) -> None:
    folder = tmp_path / "made" / "here"
    write, read = {"csv": (export.to_csv, pl.read_csv), "parquet": (export.to_parquet, pl.read_parquet)}[ending]
    written = write(any_result, folder)
    assert sorted(path.name for path in written) == sorted(path.name for path in folder.iterdir())
    for name, frame in any_result.tables().items():
        back = read(folder / f"{name}.{ending}")
        assert back.columns == frame.columns
        assert back.height == frame.height
        if "name" in frame.columns:
            names = frame["name"].to_list() if ending == "parquet" else [*map(no_formula, frame["name"])]
            assert back["name"].cast(pl.String).to_list() == names
    summary = read(folder / f"summary.{ending}")
    assert summary.height == 1
    assert summary["seconds"].item() == 0.05


def test_summaries_of_many_runs_go_together(tmp_path: Path) -> None:
    for i, solved in enumerate([True, False]):
        export.to_parquet(result(solved=solved), tmp_path / str(i))
    both = pl.read_parquet(tmp_path / "*" / "summary.parquet")
    assert both["loss_kw"].to_list() == [18.0, None]


def test_excel_takes_names_for_text(tmp_path: Path) -> None:
    path = export.to_excel(result(NASTY), tmp_path / "book.xlsx")
    with zipfile.ZipFile(path) as book:
        sheets = [book.read(name).decode() for name in book.namelist() if name.startswith("xl/worksheets/sheet")]
        shared = book.read("xl/sharedStrings.xml").decode()
        titles = book.read("xl/workbook.xml").decode()
    assert not any("<f>" in sheet or "<hyperlink" in sheet for sheet in sheets)
    assert "=1+1" in shared
    assert "&lt;script&gt;" in shared
    assert [name for name in ("summary", "buses", "branches", "iterations") if f'name="{name}"' not in titles] == []


def test_names_in_one_line_can_be_told_apart() -> None:
    assert join_names(["7", "9", "14"]) == "7 9 14"
    assert join_names(["tie 7", "9"]) == "tie 7, 9"
    assert join_names([]) == ""


def test_the_schema_of_a_grid_holds_for_its_tables() -> None:
    grid = ring(["a", "b", "c"])
    schema = published("grid")
    rows = {kind: frame.to_dicts() for kind, frame in grid.tables().items()}
    check(rows, schema)
    assert Grid.from_tables(grid.name, rows).equals(grid)
    check({"buses": [{"name": "a", "vn_kv": 10}], "sources": []}, schema)
    assert set(schema["properties"]) == set(SCHEMAS)
    with pytest.raises(jsonschema.ValidationError):
        check({"buses": [{"name": "a", "vn_kv": 10, "colour": "red"}], "sources": []}, schema)


def test_branches_open_points_and_buses_stand_where_the_buses_are(tmp_path: Path) -> None:
    grid = op.read("civanlar16")
    number = pl.int_range(pl.len()).cast(pl.Float64)
    buses = grid.buses.with_columns(x=number, y=-number)
    result = op.reconfigure(grid.with_tables(buses=buses), method=op.BranchExchange())
    features = json.loads(result.write_geojson(tmp_path / "answer.geojson").read_text())["features"]
    lines = {f["properties"]["name"]: f for f in features if f["geometry"]["type"] == "LineString"}
    assert set(lines) == set(grid.branches()["name"])
    assert {name for name, f in lines.items() if f["properties"]["state"] == "open"} == set(result.open_branches)
    assert {name for name, f in lines.items() if f["properties"]["changed"]} == set(result.changes)
    assert sum(f["properties"]["loss_kw"] for f in lines.values()) == pytest.approx(result.loss_kw)
    points = {f["properties"]["name"]: f for f in features if f["properties"]["kind"] == "open point"}
    assert set(points) == set(result.open_branches)
    place = dict(buses.select("name", "x").iter_rows())
    row = grid.lines.filter(name=result.open_branches[0]).row(0, named=True)
    middle = (place[row["from_bus"]] + place[row["to_bus"]]) / 2.0
    assert points[row["name"]]["geometry"]["coordinates"] == [middle, -middle]
    assert sum(f["properties"]["kind"] == "bus" for f in features) == grid.buses.height


def test_what_has_no_map_is_said(tmp_path: Path) -> None:
    grid = op.read("baran33")
    bare = grid.with_tables(buses=grid.buses.with_columns(x=None, y=None))
    result = op.reconfigure(bare, method=op.BranchExchange())
    with pytest.raises(InputError, match="no bus has coordinates"):
        result.write_geojson(tmp_path / "answer.geojson")
    with pytest.raises(OptionError, match="geojson"):
        result.write_geojson(tmp_path / "answer.json")


FUTURES = pl.DataFrame({"future": ["one"], "bus": ["A"], "p_kw": [500.0], "q_kvar": [200.0], "probability": [1.0]})
DISASTERS = pl.DataFrame({"disaster": ["wind"], "probability": [1.0], "branch": ["A-B"]})


def feeders() -> Grid:
    return Grid.from_tables("ring", tables())


def futures() -> Any:
    return openpoint.reconfigure_futures(feeders(), FUTURES, method=openpoint.Enumeration())


def hardened() -> Any:
    return openpoint.harden(feeders(), disasters=DISASTERS, budget_usd=0.0, value_of_information=False)


STUDIES: dict[str, tuple[Callable[[], Any], dict[str, Any], str]] = {
    "reconfigure": (build_result, {}, "2 switchings (1 to close, 1 to open)"),
    "as today": (build_result, {"open_branches": ("c-e",)}, "nothing to switch"),
    "futures": (futures, {}, "2 switchings (1 to close, 1 to open)"),
    "harden": (hardened, {"hardened_branches": ("A-B",), "generators": ("B", "C")}, "1 line to harden and 2 backup"),
    "harden nothing": (hardened, {"hardened_branches": (), "generators": ()}, "nothing to buy"),
}


@pytest.mark.parametrize("name", STUDIES)
def test_the_first_sentence_says_what_is_to_be_done(name: str) -> None:
    study, changed, todo = STUDIES[name]
    result = replace(study(), termination=Termination.OPTIMAL, **changed)
    assert result.in_short.startswith(f"Proven optimal: {todo}")
    assert result.in_short in render(result)
    late = replace(result, termination=Termination.TIME)
    assert f"{Termination.TIME.remedy} {todo[0].upper()}{todo[1:]}" in late.in_short


def test_switches_of_a_partition_count_from_today() -> None:
    result = openpoint.partition(five().grid())
    moved = result.switches.filter(pl.col("switching") != "").height
    assert result.in_short.startswith(f"Proven optimal: {moved} switching")
    assert result.in_short in render(result)
    still = replace(result, switches=result.switches.with_columns(switching=pl.lit("")))
    assert still.in_short == "Proven optimal: nothing to switch."


def test_relaxed_limits_are_said_in_the_first_sentence() -> None:
    result = replace(build_result(), termination=Termination.SOFT)
    assert result.in_short == f"{Termination.SOFT.remedy} 2 switchings (1 to close, 1 to open)."


def test_without_an_answer_nothing_is_to_be_done() -> None:
    assert build_result(answer=False).in_short == Termination.INFEASIBLE.remedy
