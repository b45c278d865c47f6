"""What every result does with itself: in a line, in tables, in files, and as a grid to go on with.

Columns are declared once: tables, types, JSON Schemas and files all hold what is declared. All of it stands in one
file, so that each study is run once.
"""

import importlib.util
import json
import sys
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import jsonschema
import numpy as np
import polars as pl
import pytest

import openpoint
from openpoint import ColumnAndConstraint, Grid, OpenpointError, OptionError
from openpoint.errors import MissingExtraError
from openpoint.results import columns as c
from openpoint.results.base import Answer, Result
from openpoint.results.switched import SwitchedResult
from openpoint.studies.catalog import STUDIES as CATALOGUE
from openpoint.studies.catalog import published
from openpoint.twostage.log import Termination
from tests.builders import days as ring_days
from tests.builders import dispatch_grids
from tests.builders.microgrids import five, renamed
from tests.builders.pages import Page
from tests.cli.desk import tables
from tests.report.conftest import build_result
from tests.results import test_export as reconfigured

FUTURES = pl.DataFrame({"future": ["one"], "bus": ["A"], "p_kw": [500.0], "q_kvar": [200.0], "probability": [1.0]})
NASTY = {"c": "<script>alert(1)</script>", "c-e": "<b>tie</b>", "b-c": "a & b", "title": "<i>Six</i>"}


def ring() -> Grid:
    return Grid.from_tables("ring", tables())


def fleet() -> Result:
    """One grid of a fleet, whose folder is not kept."""
    with TemporaryDirectory() as folder:
        return openpoint.reconfigure_fleet("civanlar16", folder, reports=False)


STUDIES: dict[str, Callable[[], Any]] = {
    "reconfigure": lambda: openpoint.reconfigure(ring(), method=openpoint.BranchExchange()),
    "secured": lambda: openpoint.reconfigure_secure(ring(), restorable=9),
    "secured front": lambda: openpoint.reconfigure_front(ring(), "unrestorable"),
    "futures": lambda: openpoint.reconfigure_futures(ring(), FUTURES, method=openpoint.Enumeration()),
    "year": lambda: openpoint.reconfigure_year(ring(), pl.DataFrame({"hours": [8000.0, 760.0], "all": [0.3, 1.0]})),
    "year blocks": lambda: openpoint.reconfigure_seasons(
        ring(), pl.DataFrame({"hours": [8000.0, 760.0], "all": [0.3, 1.0]}), 2
    ),
    "fleet": fleet,
    "dispatch": lambda: openpoint.dispatch(dispatch_grids.ring(), minimize="cost"),
    "front": lambda: openpoint.dispatch_front(dispatch_grids.ring(), "losses,moves"),
    "day": lambda: ring_days.prepared(topology="fixed").solve(),
    "powerflow": lambda: openpoint.run_powerflow(ring()),
    "enclose": lambda: openpoint.enclose(ring()),
    "secure": lambda: openpoint.secure(ring(), failures="branch=0.1"),
    "compare": lambda: openpoint.compare(ring(), "reconfigure", {"free": {}, "none": {"max_changes": 0}}),
    "plan": lambda: openpoint.switch_plan(ring(), openpoint.reconfigure(ring()).open_branches),
    "harden": lambda: openpoint.harden(ring(), any_lines=1, budget_usd=0.0, value_of_information=False),
    "partition": lambda: openpoint.partition(five().grid()),
    "steps": lambda: openpoint.partition_steps(five().grid(), openpoint.Horizon.from_tables({"step": ["noon"]})),
}


STRANGE = {
    "b1": "=1+1",
    "b2": "@b, c",
    "b3": "<b>",
    "b4": "ü, ß\t",
    "g0": "unit one",
    "g1": "-g",
    "l0": "http://x.org/",
}
AT_ONCE = ColumnAndConstraint(time_limit_s=1e-9)


def partitioned(names: dict[str, str] | None = None, **options: Any) -> Any:
    return openpoint.partition(renamed(five().grid(), names or {}), uncertainty=0.2, **options)


def hardened(names: list[str], **options: Any) -> Any:
    """A ring with a load at every bus but the source's, before a disaster that breaks two lines and one that breaks
    none."""
    kept = {kind: frame for kind, frame in reconfigured.ring(names).tables().items() if frame.height}
    loads = {"name": names[1:], "bus": names[1:], "p_kw": [100.0] * (len(names) - 1)}
    grid = Grid.from_tables("ring", {**kept, "loads": loads})
    broken = np.zeros((2, len(names)), dtype=bool)
    broken[0, [0, -1]] = True
    threat = openpoint.Disasters(("=1+1", "@calm"), np.array([0.25, 0.75]), broken)
    return openpoint.harden(grid, disasters=threat, max_lines=1, max_generators=1, **options)


OUTPUTS = STUDIES | {
    "reconfigure, infeasible": lambda: reconfigured.result(solved=False),
    "reconfigure, strange names": lambda: reconfigured.result(reconfigured.NASTY),
    "futures, infeasible": lambda: openpoint.reconfigure_futures(
        ring(), FUTURES, limits=openpoint.Limits(v_min_pu=0.9999), method=openpoint.Enumeration()
    ),
    "futures, in a sample": lambda: openpoint.reconfigure_futures(
        ring(), FUTURES, sample=FUTURES, method=openpoint.Enumeration()
    ),
    "futures, a loop today": lambda: openpoint.reconfigure_futures(
        Grid.from_tables("loop", tables(lines={**tables()["lines"], "closed": [True] * 4})),
        FUTURES.drop("probability"),
        risk=openpoint.Regret(),
        sample=FUTURES,
    ),
    "partition, strange names": lambda: partitioned(STRANGE),
    "partition, stopped": lambda: partitioned(method=AT_ONCE),
    "partition, in samples": lambda: openpoint.sample_partition(partitioned(), count=20),
    "harden, both": lambda: hardened(["a", "b", "c"]),
    "harden, strange names": lambda: hardened(reconfigured.NASTY),
    "harden, stopped": lambda: hardened(["a", "b", "c"], method=AT_ONCE),
}
"""What is written as well: results without an answer, of names that programs take for something else, in samples."""


@pytest.fixture(scope="module")
def results() -> dict[str, Any]:
    return {name: study() for name, study in OUTPUTS.items()}


@pytest.mark.parametrize("name", STUDIES)
def test_a_result_is_told_in_a_line(name: str, results: dict[str, Any]) -> None:
    told = repr(results[name])
    assert told.startswith(f"{type(results[name]).__name__}({results[name].subject!r}: ")
    assert "\n" not in told
    assert len(told) < 200


def test_the_line_says_what_the_result_says() -> None:
    assert repr(build_result()) == (
        "ReconfigureResult('six': ended optimal, loss 24.000 kW → 18.000 kW, open b-c, gap 0.0000 %)"
    )
    assert repr(build_result(answer=False)) == "ReconfigureResult('six': ended infeasible, answer none, gap not known)"


@pytest.mark.parametrize("name", OUTPUTS)
def test_a_result_is_written(name: str, results: dict[str, Any], tmp_path: Path) -> None:
    result = results[name]
    assert isinstance(result, Result)
    assert result.to_json() == result.to_json()
    assert list(result.tables()) == list(result.tables())
    assert result.summary() == result.summary()
    file = result.write_json(tmp_path / "deep" / "result.json")
    assert json.loads(file.read_text(encoding="utf-8"))["study"] == result.summary()["study"]
    names = {"summary", *result.tables()}
    assert {path.name for path in result.write_tables(tmp_path / "csv")} == {f"{each}.csv" for each in names}
    packed = result.write_tables(str(tmp_path / "parquet"), format="parquet")
    assert {path.name for path in packed} == {f"{each}.parquet" for each in names}
    for path in packed:
        assert path.stem == "summary" or pl.read_parquet(path).equals(result.tables()[path.stem])
    assert result.write_tables(tmp_path / "result.xlsx") == [tmp_path / "result.xlsx"]
    with zipfile.ZipFile(tmp_path / "result.xlsx") as book:
        assert "<f>" not in "".join(book.read(each).decode() for each in book.namelist() if "sheet" in each)
    frames = result.to_pandas()
    assert {key: frame.shape for key, frame in frames.items()} == {k: f.shape for k, f in result.tables().items()}


@pytest.mark.parametrize("name", STUDIES)
def test_every_result_has_a_report_and_a_picture(name: str, results: dict[str, Any], tmp_path: Path) -> None:
    page = results[name].write_report(tmp_path / "deep" / "report.html")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert results[name].plot().axes


def test_names_of_files_must_fit_what_is_written(tmp_path: Path) -> None:
    result = build_result()
    openpoint.write("civanlar16", tmp_path / "grid")
    (tmp_path / "file").write_text("dear")
    for call, told in (
        (lambda: result.write_json(tmp_path / "r.csv"), "must end in .json"),
        (lambda: result.write_report(tmp_path / "r.pdf"), "must end in .html or .htm"),
        (lambda: result.write_tables(tmp_path / "r.csv"), "into a folder or an .xlsx file, not as .csv"),
        (lambda: result.write_tables(tmp_path / "grid"), "holds a grid"),
        (lambda: result.write_tables(tmp_path / "t", format="xlsx"), "write 'csv' or 'parquet'"),  # type: ignore
        (lambda: result.write_tables(tmp_path / "file" / "t"), "cannot be written"),
        (lambda: result.write_json(tmp_path / "file" / "r.json"), "cannot be written"),
        (lambda: result.write_json(3), "path is 3"),  # type: ignore[arg-type]
    ):
        with pytest.raises(OptionError, match=told):
            call()
    assert openpoint.read(tmp_path / "grid").equals(openpoint.read("civanlar16"))


def test_the_switching_list_tells_opening_from_closing() -> None:
    result = build_result()
    assert result.changes == ("b-c", "c-e")
    assert result.switching == (("c-e", "close"), ("b-c", "open"))
    assert result.switching_list.rows() == [
        ("c-e", "close", "lines", "c", "e", "both"),
        ("b-c", "open", "lines", "b", "c", "both"),
    ]
    assert result.tables()["switching_list"].equals(result.switching_list)
    document = json.loads(result.to_json())
    assert (document["to_close"], document["to_open"]) == (["c-e"], ["b-c"])
    assert document["switching_list"] == result.switching_list.to_dicts()
    nothing = build_result(answer=False)
    assert (nothing.switching, nothing.switching_list.height, nothing.grid_after) == ((), 0, None)


@pytest.mark.parametrize("name", ["reconfigure", "futures"])
def test_the_grid_after_has_the_states_of_the_answer(name: str, results: dict[str, Any]) -> None:
    result = results[name]
    assert isinstance(result, SwitchedResult)
    assert tuple(result.grid_after.branches().filter(~pl.col("closed"))["name"]) == result.open_branches
    assert result.grid.equals(ring())
    if name == "reconfigure":
        assert openpoint.run_powerflow(result.grid_after).loss_kw == result.loss_kw


def test_the_grid_after_has_the_output_of_the_generators() -> None:
    unit = {"name": ["pv"], "bus": ["B"], "p_kw": [0.0], "q_kvar": [0.0], "p_min_kw": [0.0], "p_max_kw": [300.0]}
    result = openpoint.reconfigure(Grid.from_tables("ring", tables(generators=unit)))
    assert result.generators["p_kw"][0] == pytest.approx(300.0, rel=1e-4)
    assert result.grid_after.generators["p_kw"][0] == result.generators["p_kw"][0]
    assert openpoint.run_powerflow(result.grid_after).loss_kw == pytest.approx(result.loss_kw, rel=1e-9)


def test_the_grid_after_a_partition_has_its_switches_and_set_points(results: dict[str, Any]) -> None:
    result = results["partition"]
    closed = dict(result.grid_after.branches().select("name", "closed").iter_rows())
    assert all(closed[name] for name in result.closed_switches)
    assert not any(closed[name] for name in result.open_switches)
    output = dict(result.grid_after.generators.select("name", "p_kw").iter_rows())
    assert output == dict(result.generators.select("name", "p_kw").iter_rows())
    assert replace(result, cost_usd=None).grid_after is None


PLAIN = {"div", "p", "strong", "table", "tr", "td", "th", "code"}


def shown(html: str) -> Page:
    """What a notebook shows: plain tags beside the frame of a picture."""
    page = Page(html)
    assert all(tag == "iframe" or (tag in PLAIN and not attributes) for tag, attributes in page.tags)
    return page


@pytest.mark.parametrize("name", STUDIES)
def test_a_notebook_shows_a_small_table(name: str, results: dict[str, Any]) -> None:
    html = results[name]._repr_html_()
    assert results[name].subject in shown(html).text
    assert len(html.partition("<iframe")[0]) < 4000


def test_a_notebook_shows_a_grid() -> None:
    grid = shown(ring()._repr_html_())
    assert "buses" in grid.text
    (frame,) = (attributes for tag, attributes in grid.tags if tag == "iframe")
    assert "Content-Security-Policy" in (frame["srcdoc"] or "")
    assert frame["sandbox"] == "allow-scripts allow-downloads"  # it reaches nothing of the notebook


def test_markup_in_names_stays_text_in_notebooks() -> None:
    result = build_result(names=NASTY)
    page = shown(result._repr_html_())
    assert "<b>tie</b>" in page.text
    assert "1 to close, 1 to open" in page.text
    assert shown(result.grid._repr_html_()).text.startswith("<i>Six</i>")


def test_a_grid_is_told_in_a_line() -> None:
    assert repr(ring()) == "Grid('ring': 4 buses, 4 lines, 1 source, 3 loads)"


def test_a_horizon_is_told_in_a_line() -> None:
    events = {"step": ["noon"], "branch": ["l1"], "event": ["fault"]}
    horizon = openpoint.Horizon.from_tables({"step": ["noon", "night"]}, events=events)
    assert repr(horizon) == "Horizon(steps: 2, events: 1)"


def test_without_pandas_the_pip_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(OpenpointError, match="pandas frames needs the package 'pandas': pip install"):
        build_result().to_pandas()


def test_without_matplotlib_the_pip_command_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda package: None)
    result = build_result()
    for asked in (lambda: result.write_report(tmp_path / "r.html"), result.plot):
        with pytest.raises(MissingExtraError, match="A report or picture needs the package 'matplotlib': pip install"):
            asked()


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_table_has_the_columns_that_are_declared(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    frames = result.tables()
    assert list(frames) == list(result.shape.tables)
    for table, columns in result.shape.tables.items():
        assert set(frames[table].columns) == set(columns), table
        found = frames[table].schema
        for column, declared in c.dtypes(columns).items():
            dtype = pl.String() if declared == pl.List(pl.String) else declared
            assert found[column] == dtype or (found[column] == pl.Null and columns[column].nullable), (table, column)
            assert columns[column].nullable or not frames[table][column].has_nulls(), (table, column)
            if found[column].is_float():
                assert frames[table][column].drop_nulls().is_finite().all(), (table, column)
            if columns[column].dtype == pl.Int64 and not columns[column].nullable:
                assert (frames[table][column] >= 0).all(), (table, column)
            if options := columns[column].metadata.get("options"):
                assert frames[table][column].drop_nulls().is_in(options).all(), (table, column)


def refuse_constant(word: str) -> float:
    raise AssertionError(f"{word} is no JSON")


@pytest.mark.parametrize("name", OUTPUTS)
def test_every_document_holds_its_schema_key_by_key(name: str, results: dict[str, Result]) -> None:
    document = json.loads(results[name].to_json(), parse_constant=refuse_constant)
    schema = results[name].shape.json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert list(document) == list(schema["properties"])


@pytest.mark.parametrize("name", OUTPUTS)
def test_the_row_of_a_summary_keeps_its_types(name: str, results: dict[str, Result]) -> None:
    frame = results[name].row_frame()
    assert frame.height == 1
    assert {"study", "version", "grid"} <= set(frame.columns)
    assert not [column for column in frame if column.dtype == pl.Null]
    assert {column.dtype for column in frame if column.name.endswith(("_usd", "_kw", "_pu"))} <= {pl.Float64}


NO_ANSWERS = "powerflow", "enclose", "plan", "compare", "secure", "front", "secured front", "fleet"
"""Results of several answers, or of none that is searched."""


@pytest.mark.parametrize("name", [name for name in STUDIES if name not in NO_ANSWERS])
def test_every_answer_has_the_same_head(name: str, results: dict[str, Result]) -> None:
    result = results[name]
    assert isinstance(result, Answer)
    head = result.head
    assert isinstance(head.termination, Termination)
    assert head.bound <= head.objective + 1e-6 * abs(head.objective) + 1e-6
    assert head.gap == result.gap
    assert head.unit in ("kW", "$", "$/h")
    assert head.log.height > 0
    assert head.violations.columns[-3:] == ["value", "limit", "unit"]


def test_every_study_of_the_catalogue_is_run_here(results: dict[str, Result]) -> None:
    assert {type(result) for result in results.values()} == {study.answer for study in CATALOGUE}
    for study in CATALOGUE:
        assert study.answer.shape is study.shape
        assert published(study.shape.study) == study.shape.json_schema()


def test_an_unknown_schema_is_refused_with_the_known_ones() -> None:
    with pytest.raises(OptionError, match=r"'nothing'; there are reconfigure, .*horizon, grid"):
        published("nothing")
