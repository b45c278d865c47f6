"""The commands for many futures: what they print and leave behind, and what they refuse with place and remedy."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import openpoint
from openpoint.studies.catalog import published
from tests.cli.desk import Command

TABLE = """future,bus,p_kw,q_kvar,probability
A busy,A,1400,420,0.5
A busy,C,100,30,0.5
C busy,A,100,30,0.5
C busy,C,1400,420,0.5
"""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Two futures of the ring."""
    file = tmp_path / "futures.csv"
    file.write_text(TABLE, encoding="utf-8")
    return file


def answer(command: Command, *arguments: object) -> dict[str, Any]:
    done = command("reconfigure-futures", *arguments, "--json", "-", "--quiet")
    assert done.code == 0, done.err
    document: dict[str, Any] = json.loads(done.out)
    jsonschema.validate(document, published("reconfigure-futures"))
    return document


def test_three_topologies_are_shown_side_by_side(command: Command, ring: Path, table: Path) -> None:
    done = command("reconfigure-futures", ring, table)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "futures: 2" in lines
    assert len([line for line in lines if line.startswith("2 planned for")]) == 3
    assert any(line.startswith("AC check, largest mismatch:") for line in lines)
    assert any(line.startswith("Gap:") for line in lines)


@pytest.mark.parametrize("options", [("--method", "benders"), ("--certificate", "proof.gz")])
def test_the_gap_of_futures_is_the_same_however_the_method_is_asked_for(
    command: Command, ring: Path, table: Path, options: tuple[str, ...]
) -> None:
    assert "gap=0.0001" in answer(command, ring, table, *options)["method"]
    assert "gap=0.001" in answer(command, ring, table, "--gap", "1e-3", *options)["method"]
    one = command("reconfigure", ring, "--method", "search", "--json", "-", "--quiet")
    assert "gap=1e-06" in json.loads(one.out)["method"]


@pytest.mark.parametrize(
    ("risk", "said"),
    [
        ("cvar:0.9", "CVaR(0.9)"),
        ("regret:expected", "regret, expectation"),
    ],
)
def test_every_risk_can_be_asked_for(risk: str, said: str, command: Command, ring: Path, table: Path) -> None:
    assert answer(command, ring, table, "--risk", risk)["risk"] == said


def test_ambiguity_shares_and_executors_reach_the_study(command: Command, ring: Path, table: Path) -> None:
    plain = answer(command, ring, table)
    wrong = answer(command, ring, table, "--ambiguity", "tv:0.2")
    assert wrong["ambiguity"] == "total variation up to 0.2"
    assert wrong["objective_kw"] > plain["objective_kw"]
    shared = answer(command, ring, table, "--limits-share", "0.5", "--max-changes", 0)
    assert shared["limits_share"] == 0.5
    assert shared["open_branches"] == shared["open_before"]
    here = answer(command, ring, table, "--method", "benders", "--executor", "serial")
    assert here["objective_kw"] == pytest.approx(plain["objective_kw"], rel=1e-4)


def test_futures_are_drawn_before(command: Command, ring: Path) -> None:
    for file, seed in (("f.parquet", 5), ("others.csv", 6)):
        done = command("futures", ring, "--count", 3, "--seed", seed, "--growth", "solar", "-o", file)
        assert done.code == 0, done.err
        assert "3 futures of ring" in done.out
    found = answer(command, ring, "f.parquet", "--sample", "others.csv")
    assert (found["futures_count"], found["sample_count"]) == (3, 3)
    # The sample is of another seed: none of its futures is one planned for.
    assert not {f["demand_kw"] for f in found["futures"]} & {f["demand_kw"] for f in found["sample"]}


def test_assumptions_change_what_is_drawn(command: Command, ring: Path) -> None:
    for file, options in (("a.csv", ()), ("b.csv", ("--assume", "pv_adoption=0.9", "--assume", "pv_kw=8"))):
        assert command("futures", ring, "--count", 5, "-o", file, "--quiet", *options).code == 0
    less, more = (openpoint.read_futures(file, openpoint.read(ring)).p_kw for file in ("a.csv", "b.csv"))
    assert (more <= less).all()
    assert more.sum() < less.sum()


BAD = {
    "probabilities that do not sum to one": (TABLE.replace("0.5", "0.4"), ("probability", "sum to 0.8", "Correct")),
    "an empty file": ("", ("futures.csv", "empty", "Get the whole file")),
    "a bus twice": (TABLE + "C busy,C,1,1,0.5\n", ("line 6", "more than once", "Keep one row")),
}


@pytest.mark.parametrize("fault", BAD)
def test_a_bad_table_is_refused_with_row_and_remedy(fault: str, command: Command, ring: Path, table: Path) -> None:
    content, told = BAD[fault]
    table.write_text(content, encoding="utf-8")
    good = table.with_name("good.csv")
    good.write_text(TABLE, encoding="utf-8")
    for tables in ((table,), (good, "--sample", table)):
        done = command("reconfigure-futures", ring, *tables)
        assert done.code == 2, done.out
        assert "Traceback" not in done.err
        assert "internal error" not in done.err
        for words in told:
            assert words in done.err, done.err
        assert "Stopped" not in done.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["futures.csv", "--risk", "cvar"], "cvar:0.9"),
        (["futures.csv", "--risk", "cvar:1"], "0.9"),
        (["futures.csv", "--risk", "regret:regret"], "regret:expected"),
        (["futures.csv", "--ambiguity", "kl:1"], "tv:0.2"),
        (["futures.csv", "--ambiguity", "tv:0.1", "--risk", "worst"], "leave ambiguity out"),
        (["futures.csv", "--limits-share", "2"], "--limits-share"),
        (["futures.csv", "--executor", "moon"], "processes:4"),
        (["futures.csv", "--method", "enumeration", "--executor", "serial"], "--executor"),
        (["futures.csv", "--method", "enumeration", "--risk", "regret"], "Benders"),
        (["futures.json"], ".parquet"),
        (["missing.csv"], "missing.csv"),
    ],
    ids=" ".join,
)
def test_wrong_options_end_with_2_and_say_which(
    options: list[str], told: str, command: Command, ring: Path, table: Path
) -> None:
    assert table.exists()
    done = command("reconfigure-futures", ring, *options)
    assert done.code == 2, done.out
    assert told in done.err
    assert "Traceback" not in done.err
    assert "Stopped" not in done.out


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--count", "0"], "--count"),
        (["--assume", "pv=1"], "pv_adoption"),
        (["--assume", "pv_adoption=much"], "pv_adoption=0.5"),
        (["--assume", "pv_adoption=3"], "from 0 to 1"),
    ],
    ids=" ".join,
)
def test_wrong_growth_is_refused(options: list[str], told: str, command: Command, ring: Path) -> None:
    done = command("futures", ring, "-o", "drawn.csv", *options)
    assert done.code == 2
    assert told in done.err


def test_unknown_probabilities_are_refused_where_they_are_needed(command: Command, ring: Path, table: Path) -> None:
    table.write_text("\n".join(line.rpartition(",")[0] for line in TABLE.splitlines()), encoding="utf-8")
    done = command("reconfigure-futures", ring, table)
    assert done.code == 2
    assert "column probability" in done.err
    assert answer(command, ring, table, "--risk", "worst")["futures"][0]["probability"] is None


def test_a_table_of_futures_has_a_known_ending(command: Command, ring: Path) -> None:
    done = command("futures", ring, "-o", "f.xlsx")
    assert done.code == 2
    assert ".parquet" in done.err


def test_no_topology_in_all_futures_ends_with_3(command: Command, ring: Path, table: Path) -> None:
    done = command("reconfigure-futures", ring, table, "--v-min", 0.9999)
    assert done.code == 3
    assert "keeps the limits in all futures" in done.out
    assert "Least violation met with these branches open" in done.out
    assert "voltage low " in done.out


def test_help_teaches(command: Command) -> None:
    for verb, taught in (("reconfigure-futures", "--risk cvar:0.9"), ("futures", "openpoint futures civanlar16")):
        done = command(verb, "--help")
        assert done.code == 0
        assert taught in done.out
