"""`dispatch-day`: what does not go together, what it prints and writes."""

import json
from pathlib import Path

import jsonschema
import pytest

from openpoint.studies.catalog import published
from tests.cli.desk import Command

DAY = ("baran33-day", "--topology", "fixed")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((*DAY, "--method", "enumeration"), "enumeration"),
        ((*DAY, "--futures", "5"), "nothing is; give uncertain, too, or a table of futures"),
        ((*DAY, "--risk", "worst"), "risk is of the costs of futures; give futures"),
        ((*DAY, "--futures", "5", "--uncertain", "load=0.1", "--budget", "1"), "leave one of both out"),
        ((*DAY, "--budget", "2"), "nothing is uncertain; give uncertain, too"),
        (("baran33-day", "--topology", "hourly"), "decide them once for the day, or keep them fixed"),
        (("baran33-da",), "Did you mean baran33-day"),
        (("baran33-day", "--topology", "daily"), "fixed"),
        ((*DAY, "--now", "13:20"), "within period '13' from 13:00; give 13:00 or 14:00"),
        ((*DAY, "--state", "state.csv"), "give now, the time, too"),
        ((*DAY, "--now", "13", "--state", "none.csv"), "it cannot be read"),
    ],
)
def test_bad_options_end_with_a_remedy(command: Command, options: tuple[str, ...], told: str) -> None:
    done = command("dispatch-day", "baran33", *options)
    assert done.code == 2
    assert told in done.err


def test_it_tells_and_writes_the_day(command: Command, tmp_path: Path) -> None:
    outputs = ("--json", tmp_path / "a.json", "--report", tmp_path / "a.html", "--report", tmp_path / "voltages.svg")
    done = command("dispatch-day", "baran33", *DAY, "--v-min", "0.9", *outputs)
    assert "day baran33-day: 24 periods (24 h)" in done.out
    assert "What is decided when" in done.out
    assert "All limits asked for hold." in done.out
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, published("dispatch-day"))
    assert len(document["periods"]) == 3 * 24
    assert "Timeline" in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "Voltage of every bus, as forecast" in (tmp_path / "voltages.svg").read_text(encoding="utf-8")


def test_the_rest_of_the_day_begins_with_what_was_measured(command: Command, tmp_path: Path) -> None:
    (tmp_path / "measured.csv").write_text("kind,name,energy_kwh,p_kw\nstore,storage6,1400,\ngenerator,gas6,,700\n")
    where = ("--now", "22:00", "--state", tmp_path / "measured.csv", "--json", tmp_path / "a.json")
    done = command("dispatch-day", "baran33", *DAY, *where, "--tables", tmp_path / "tables")
    assert "day baran33-day from 22 on: 2 periods (2 h)" in done.out
    assert "From 22 on; 22 h have passed. All figures are of the rest alone." in done.out
    assert "'storage14', 'storage32', 'ev17', 'ev33': not measured at 22" in done.err
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, published("dispatch-day"))
    assert (document["now"], document["hours_passed"]) == ("22", 22.0)
    again = command("dispatch-day", "baran33", *DAY, "--now", "23", "--state", tmp_path / "tables" / "states.csv")
    assert "day baran33-day from 23 on: 1 period (1 h)" in again.out
    assert "not measured" not in again.err
