"""A new study is one file and one row of the catalogue: function, command, schemas, reference, files, report follow."""

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


RUN = """
import contextlib, io, json
from openpoint.cli import main
told = []
for arguments in json.load(sys.stdin):
    sys.argv = ["openpoint", *arguments]
    with contextlib.redirect_stdout(io.StringIO()) as page:
        try:
            main()
        except SystemExit as left:
            assert not left.code, arguments
    told.append(page.getvalue())
sys.path.insert(0, "docs")
import generate
print(json.dumps([*told, generate.reference()]))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demand")


@pytest.fixture(scope="module")
def told(folder: Path) -> list[str]:
    """What commands print in a process that has the study, and the reference."""
    files = {"--json": "demand.json", "--report": "demand.html", "--tables": "tables"}
    written = [word for option, name in files.items() for word in (option, str(folder / name))]
    commands = [["--help"], ["demand", "--help"], ["demand", "baran33"], ["schema", "demand"]]
    commands += [["schema", "demand", "--request"], ["demand", "baran33", "--least-kw", "200", *written]]
    done = subprocess.run(
        [sys.executable, "-c", BEGIN + RUN],
        input=json.dumps(commands),
        capture_output=True,
        encoding="utf-8",
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def test_it_is_a_command_with_its_options(told: list[str]) -> None:
    assert "List the loads of a grid" in told[0]
    assert all(
        word in told[1] for word in ("--least-kw", "Loads below it are not listed", "--report", "--json", "GRID")
    )
    assert "(Baran and Wu 1989): demand" in told[2]


def test_its_result_is_written_in_the_shape_that_is_published(told: list[str], folder: Path) -> None:
    document = json.loads((folder / "demand.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, json.loads(told[3]), cls=jsonschema.Draft202012Validator)
    assert document["study"] == "demand"
    assert [row["p_kw"] for row in document["loads"]] == [420.0, 420.0, 210.0, 200.0, 200.0, 200.0]
    assert pl.read_csv(folder / "tables" / "loads.csv").height == document["count"] == 6
    page = (folder / "demand.html").read_text(encoding="utf-8")
    assert "3,715.000 kW" in page
    assert "<h2>Loads" in page or ">Loads<" in page


def test_it_is_a_function_and_its_request_has_a_schema(told: list[str]) -> None:
    found = demand("baran33", least_kw=200.0)
    assert found.count == 6
    assert "    least_kw: loads below it are not listed. (KW)" in (demand.__doc__ or "")
    schema = json.loads(told[4])
    request = {"study": "demand", "grid": "baran33", "least_kw": 200.0}
    jsonschema.validate(request, schema, cls=jsonschema.Draft202012Validator)
    assert schema["properties"]["least_kw"]["x-unit"] == "KW"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**request, "least_kw": -1.0}, schema, cls=jsonschema.Draft202012Validator)


def test_it_stands_in_the_reference(told: list[str]) -> None:
    assert "## Result of `openpoint demand`" in told[-1]
    assert "| `total_kw` | number | active power of all loads, kW |" in told[-1]
