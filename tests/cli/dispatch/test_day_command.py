"""`dispatch --day`: options that belong to it and that do not, what it prints and writes."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from openpoint.studies.catalog import published
from tests.cli.desk import Command

DAY = ("--day", "baran33-day", "--topology", "fixed")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--uncertain", "load=0.1"), "--uncertain is an option of --day"),
        (("--shift-buses", "0.1"), "--shift-buses is an option of --day"),
        (("--method", "columns"), "--method columns plans a day"),
        ((*DAY, "--free", "topology"), "--free is for one moment, not for --day: --topology and --positions"),
        ((*DAY, "--minimize", "cost"), "its cost is what is least"),
        ((*DAY, "--pareto", "losses,changes"), "--pareto is for one moment"),
        ((*DAY, "--out", "new"), "its tables hold every period"),
        ((*DAY, "--certificate", "proof.gz"), "--certificate is for one moment"),
        ((*DAY, "--method", "enumeration"), "--method enumeration is for one moment"),
        ((*DAY, "--solver", "scip"), "--solver is"),
        ((*DAY, "--budget", "2"), "nothing is uncertain; give uncertain, too"),
        (("--day", "baran33-da"), "Did you mean baran33-day"),
        (("--day", "baran33-day", "--topology", "daily"), "give 'fixed', 'once' or 'hourly'"),
    ],
)
def test_bad_options_end_with_a_remedy(command: Command, options: tuple[str, ...], told: str) -> None:
    done = command("dispatch", "baran33", *options)
    assert done.code == 2
    assert told in done.err


def test_it_tells_and_writes_the_day(command: Command, tmp_path: Path) -> None:
    outputs = ("--json", tmp_path / "a.json", "--report", tmp_path / "a.html", "--plot", tmp_path / "a.svg")
    done = command("dispatch", "baran33", *DAY, "--v-min", "0.9", *outputs)
    assert "day baran33-day: 24 periods (24 h)" in done.out
    assert "Decided:" in done.out
    assert "no limit violated" in done.out
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, published("dispatch-day"))
    assert len(document["periods"]) == 3 * 24
    assert "Timeline" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert (tmp_path / "a.svg").exists()
