"""A new study is one folder and one row of the catalogue: its command, schema, reference, files and report follow."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import polars as pl
import pytest

ROOT = Path(__file__).parents[2]

SCHEMA = """
from openpoint.results import columns as c
from openpoint.results.schema import number, whole
from openpoint.results.shape import Shape

DEMAND = Shape(
    "demand",
    "demand",
    "Result of openpoint demand",
    {"total_kw": number("active power of all loads, kW"), "count": whole("loads of at least the least power")},
    {"loads": {"name": c.text("name of the load"), "p_kw": c.number("active power, kW")}},
)
"""
RESULT = '''
from dataclasses import dataclass
from typing import ClassVar

import polars as pl

from openpoint.grid.grid import Grid
from openpoint.results.base import Result, in_kw
from openpoint.results.shape import Shape
from openpoint.studies.demand.schema import DEMAND


@dataclass(frozen=True, repr=False)
class DemandResult(Result):
    """The demand of a grid."""

    grid: Grid
    total_kw: float
    count: int
    loads: pl.DataFrame

    shape: ClassVar[Shape] = DEMAND
    place: ClassVar[str] = "openpoint.studies.demand"

    @property
    def in_short(self) -> str:
        return f"{self.count} loads"

    def facts(self) -> dict[str, str]:
        return {"demand": in_kw(self.total_kw)}
'''
STUDY = '''
from dataclasses import dataclass
from typing import Annotated

from openpoint.grid.grid import Grid
from openpoint.studies.demand.result import DemandResult


@dataclass(frozen=True)
class Options:
    """What counts."""

    least_kw: Annotated[float, "Loads below it are not listed, kW."] = 0.0


def demand(grid: Grid, options: Options = Options()) -> DemandResult:
    """List the loads of a grid, the largest first."""
    loads = grid.loads.select("name", "p_kw")
    loads = loads.filter(loads["p_kw"] >= options.least_kw).sort("p_kw", descending=True)
    return DemandResult(grid, float(grid.loads["p_kw"].sum()), loads.height, loads)
'''
PAGE = '''
from openpoint.report.page.html import html_for
from openpoint.report.page.model import Card, Cards, Column, Page, page_of, section
from openpoint.report.page.tables import table
from openpoint.studies.demand.result import DemandResult


def page(result: DemandResult) -> Page:
    """The report of a result."""
    rows = result.loads.iter_rows()
    parts = [
        Cards((Card("Demand", f"{result.total_kw:.0f} kW"),)),
        section("Loads", table("loads", "The largest first", ["load", Column("P, kW", 1)], rows)),
    ]
    return page_of(result.grid, "demand", parts)


html = html_for(page)
'''
# What the row of the catalogue is in a file, here put there when the process begins.
BEGIN = """
import sys
import openpoint.studies
openpoint.studies.__path__.append({folder!r})
from openpoint.studies import catalog
row = catalog.Study(
    "Result of `openpoint demand`", "openpoint.studies.demand", "DemandResult", "DEMAND", "demand", run="demand"
)
catalog.STUDIES = (*catalog.STUDIES, row)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the folder of the study."""
    place = tmp_path_factory.mktemp("studies")
    (place / "demand").mkdir()
    for name, text in {"__init__": "", "schema": SCHEMA, "result": RESULT, "study": STUDY, "page": PAGE}.items():
        (place / "demand" / f"{name}.py").write_text(text, encoding="utf-8")
    return place


def run(folder: Path, code: str, *arguments: str) -> str:
    """What a process prints that has the study."""
    done = subprocess.run(
        [sys.executable, "-c", BEGIN.format(folder=str(folder)) + code, *arguments],
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def openpoint(folder: Path, *arguments: str) -> str:
    return run(folder, "from openpoint.cli import main\nmain()", *arguments)


def test_it_is_a_command_with_its_options(folder: Path) -> None:
    assert "List the loads of a grid" in openpoint(folder, "--help")
    told = openpoint(folder, "demand", "--help")
    assert all(word in told for word in ("--least-kw", "Loads below it are not listed", "--report", "--json", "GRID"))
    assert "(Baran and Wu 1989): 32 loads" in openpoint(folder, "demand", "baran33")


def test_its_result_is_written_in_the_shape_that_is_published(folder: Path, tmp_path: Path) -> None:
    file, report, tables = tmp_path / "demand.json", tmp_path / "demand.html", tmp_path / "tables"
    asked = ("--least-kw", "200", "--json", str(file), "--report", str(report), "--csv", str(tables))
    openpoint(folder, "demand", "baran33", *asked)
    document = json.loads(file.read_text(encoding="utf-8"))
    schema = json.loads(openpoint(folder, "schema", "demand"))
    jsonschema.validate(document, schema, cls=jsonschema.Draft202012Validator)
    assert document["study"] == "demand"
    assert [row["p_kw"] for row in document["loads"]] == [420.0, 420.0, 210.0, 200.0, 200.0, 200.0]
    assert pl.read_csv(tables / "loads.csv").height == document["count"] == 6
    page = report.read_text(encoding="utf-8")
    assert "3715 kW" in page
    assert "The largest first" in page


def test_it_stands_in_the_reference(folder: Path) -> None:
    code = f"sys.path.insert(0, {str(ROOT / 'docs')!r})\nimport generate\nprint(generate.reference())"
    told = run(folder, code)
    assert "## Result of `openpoint demand`" in told
    assert "| `total_kw` | number | active power of all loads, kW |" in told
