"""`openpoint reconfigure-seasons`: what it prints and leaves behind, and what it refuses with its remedy."""

import json
from pathlib import Path

import jsonschema
import pytest

from openpoint.studies.catalog import published
from tests.cli.desk import Command

TABLE = "hours,a,b,c\n4000,1,0.5,0.2\n4000,0.3,0.5,1\n760,1,1,1\n"
BLOCKS = "block,start,end\nfirst,1,2\nsecond,2,4\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A year of three steps for the loads of the ring."""
    file = tmp_path / "year.csv"
    file.write_text(TABLE, encoding="utf-8")
    return file


def test_the_blocks_are_shown_and_written_in_the_published_shape(
    command: Command, ring: Path, table: Path, tmp_path: Path
) -> None:
    out, blocks = tmp_path / "out", tmp_path / "blocks.csv"
    blocks.write_text(BLOCKS, encoding="utf-8")
    done = command(
        *("reconfigure-seasons", ring, table, blocks, "--switchings-a-year", 2),
        *("--json", out / "r.json", "--tables", out / "csv", "--report", out / "r.html", "--report", out / "r.svg"),
    )
    assert done.code == 0, done.err
    assert "year: 3 steps, 8,760 h, 2 blocks" in done.out
    assert "at most 2, " in done.out
    document = json.loads((out / "r.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, published("reconfigure-seasons"))
    assert [row["block"] for row in document["blocks"]] == ["first", "second"]
    assert all((out / name).stat().st_size for name in ("r.html", "r.svg", "csv/blocks.csv", "csv/switchings.csv"))


def test_limits_that_nothing_keeps_end_with_their_code_and_block(command: Command, ring: Path, table: Path) -> None:
    done = command("reconfigure-seasons", ring, table, 2, "--v-min", "0.9999")
    assert done.code == 3
    assert "Block without a topology that keeps the limits: 1 of 2" in done.out


def test_faults_of_the_blocks_are_told_with_line_and_remedy(
    command: Command, ring: Path, table: Path, tmp_path: Path
) -> None:
    file = tmp_path / "blocks.csv"
    file.write_text("block,start,end\na,1,2\nb,3,4\n", encoding="utf-8")
    done = command("reconfigure-seasons", ring, table, file)
    assert done.code == 2
    assert "line 3, start: a gap: block 'b' starts at 3, and block 'a' ends at 2" in done.err
    assert "Let one block start where another ends" in done.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["2", "--switchings-a-year", "-1"], "greater than or equal to 0"),
        (["daily"], "no blocks of that name"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    command: Command, ring: Path, options: list[str], told: str
) -> None:
    done = command("reconfigure-seasons", ring, "synthetic-hours", *options)
    assert done.code == 2
    assert told in " ".join(done.err.split())
