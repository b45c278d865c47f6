"""A new study is one file and one row of the catalogue: function, command, schemas, reference, files, report follow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import polars as pl
import pytest

from tests.studies.demand import demand

ROOT = Path(__file__).parents[2]

# What the row of the catalogue is in a file, here put there when the process begins.
BEGIN = """
import sys
from openpoint.studies import catalog
row = catalog.Study(
    name="demand",
    sentence="List the loads of a grid, the largest first.",
    title="Result of `openpoint demand`",
    place="tests.studies",
    options="demand:DemandOptions",
    result="demand:DemandResult",
    prepares="demand:prepare",
)
catalog.STUDIES = (*catalog.STUDIES, row)
"""


def run(code: str, *arguments: str) -> str:
    """What a process prints that has the study."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + code, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def openpoint(*arguments: str) -> str:
    return run("from openpoint.cli import main\nmain()", *arguments)


def test_it_is_a_command_with_its_options() -> None:
    assert "List the loads of a grid" in openpoint("--help")
    told = openpoint("demand", "--help")
    assert all(word in told for word in ("--least-kw", "Loads below it are not listed", "--report", "--json", "GRID"))
    assert "(Baran and Wu 1989): demand" in openpoint("demand", "baran33")


def test_its_result_is_written_in_the_shape_that_is_published(tmp_path: Path) -> None:
    file, report, tables = tmp_path / "demand.json", tmp_path / "demand.html", tmp_path / "tables"
    asked = ("--least-kw", "200", "--json", str(file), "--report", str(report), "--tables", str(tables))
    openpoint("demand", "baran33", *asked)
    document = json.loads(file.read_text(encoding="utf-8"))
    schema = json.loads(openpoint("schema", "demand"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert document["study"] == "demand"
    assert [row["p_kw"] for row in document["loads"]] == [420.0, 420.0, 210.0, 200.0, 200.0, 200.0]
    assert pl.read_csv(tables / "loads.csv").height == document["count"] == 6
    page = report.read_text(encoding="utf-8")
    assert "3,715.000 kW" in page
    assert "<h2>Loads" in page or ">Loads<" in page


def test_it_is_a_function_and_its_request_has_a_schema() -> None:
    found = demand("baran33", least_kw=200.0)
    assert found.count == 6
    assert "    least_kw: loads below it are not listed. (KW)" in (demand.__doc__ or "")
    schema = json.loads(openpoint("schema", "demand", "--request"))
    request = {"study": "demand", "grid": "baran33", "least_kw": 200.0}
    jsonschema.validate(request, schema, cls=jsonschema.Draft202012Validator)
    assert schema["properties"]["least_kw"]["x-unit"] == "KW"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**request, "least_kw": -1.0}, schema, cls=jsonschema.Draft202012Validator)


def test_it_stands_in_the_reference() -> None:
    code = f"sys.path.insert(0, {str(ROOT / 'docs')!r})\nimport generate\nprint(generate.reference())"
    told = run(code)
    assert "## Result of `openpoint demand`" in told
    assert "| `total_kw` | number | active power of all loads, kW |" in told
