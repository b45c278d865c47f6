"""The command partition: what it writes, what it shows, what it refuses."""

import json
from pathlib import Path

import pytest

from tests.cli.desk import Command

KEYS = {
    *("served_kw", "cost_usd", "energised_blocks", "closed_switches", "open_switches", "grid_forming", "islands"),
    *("worst_slack_kw", "lower_bound_usd", "gap", "seconds"),
}
SIX = "s712c,s720c,s722b,s728,s731b,s738a"


def test_a_plan_as_json_and_on_the_screen(command: Command, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    options = ("--uncertainty", 0.25, "--uncertain-loads", SIX, "--samples", 30, "--seed", 5)
    done = command("partition", "ieee37-microgrids", *options, "--json", file)
    assert done.code == 0
    document = json.loads(file.read_text(encoding="utf-8"))
    assert set(document) >= KEYS
    assert document["served_kw"] == 547.0
    assert document["closed_switches"] == ["tie2"]
    assert len(document["closed_switches"]) + len(document["open_switches"]) == 10
    assert document["islands"][0]["blocks"] == ["709", "704"]
    assert document["worst_slack_kw"] == 0.0
    assert document["lower_bound_usd"] == pytest.approx(document["cost_usd"], rel=1e-4)
    for words in ("547 of 2,457 kW · 22.3%", "6 of ", " loads ± 25 %", "closed switches: tie2", "forms the grid"):
        assert words in done.out
    lines = [line.split()[:2] for line in done.out.splitlines()]
    assert [name for action, name in (line for line in lines if len(line) == 2) if action == "closes"] == ["tie2"]
    assert [name for action, name in (line for line in lines if len(line) == 2) if action == "opens"] == [
        *("l2", "l5", "l6", "l22", "l24", "l28", "l35")
    ]
    planned, nominal = document["samples"]
    assert (planned["plan"], nominal["plan"]) == ("planned", "nominal")
    assert (planned["asked"], planned["judged"], planned["seed"]) == (30, 30, 5)
    assert planned["linear_share"] == 1.0
    assert nominal["ac_share"] <= nominal["linear_share"] < 0.9
    assert planned["ac_low"] < planned["ac_share"] <= planned["ac_high"]
    assert {row["plan"] for row in document["failures"]} >= {"nominal"}
    for words in ("Plans in samples of the loads", "nominal", "88.43", "30"):
        assert words in done.out


def test_a_damaged_opendss_file_is_refused_by_line(command: Command, tmp_path: Path) -> None:
    lines = ("clear", "new circuit.c basekv=4.16 bus1=a", "redirect codes.dss", "new gadget.g bus1=a")
    (tmp_path / "feeder.dss").write_text("\n".join([*lines, "new load.d bus1=a phases=0 kv=4.16 kw=1"]))
    done = command("partition", tmp_path / "feeder.dss")
    assert done.code == 2
    for words in ("line 3: there is no file 'codes.dss'", "line 4", "gadget", "line 5"):
        assert words in done.err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--uncertainty", 15), "'--uncertainty': Input should be less than or equal to 1"),
        (("--uncertainty", 0.1, "--uncertain-loads", "s729"), "s729a"),
        (("--uncertainty", 0.1, "--uncertain-loads", 99), "99 uncertain loads"),
        (("--max-grid-forming", 0), "'--max-grid-forming': Input should be greater than or equal to 1"),
        (("--samples", -1), "--samples"),
        (("--executor", "here"), "no place to run"),
    ],
)
def test_refusals_name_the_way_out(command: Command, options: tuple[object, ...], words: str) -> None:
    done = command("partition", "ieee37-microgrids", *options)
    assert done.code == 2
    assert words in done.err


def test_samples_are_left_out_unless_asked_for(command: Command) -> None:
    done = command("partition", "ieee13-microgrids", "--json", "-", "--quiet")
    assert done.code == 0
    assert json.loads(done.out)["samples"] == []
