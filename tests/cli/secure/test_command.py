"""The command `secure`."""

import json
from pathlib import Path

import jsonschema
import polars as pl

from openpoint.studies.catalog import published
from tests.cli.conftest import Command


def test_the_command(command: Command) -> None:
    done = command("secure", "baran33", "--failures", "branch=0.1", "--json", "out.json", "--tables", "tables")
    assert done.code == 0
    assert "of 32 faults in today's state 11 leave load without supply until the repair." in done.out
    document = json.loads(Path("out.json").read_text())
    jsonschema.validate(document, published("secure"))
    assert document["restored_count"] == 21
    assert document["largest_lost_branch"] == "1"
    assert pl.read_csv("tables/faults.csv").height == 32
    assert command("secure", "baran33", "--open", "7,9,14,32,37", "--quiet").out == ""
    assert command("secure", "baran33", "--open", "7", "--quiet").code == 2
