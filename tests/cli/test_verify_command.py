"""`openpoint verify` and `reconfigure --certificate` as a person runs them."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import polars as pl
import pytest

from openpoint.verify import reference
from tests.cli.desk import Command, tables

CURRENT = ("--ignore-limits", "current")


def test_a_certificate_is_written_and_verified(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--certificate", "proof.gz")
    assert done.code == 0, done.err
    assert "certificate: proof.gz" in done.out
    done = command("verify", ring, "proof.gz")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Verified: no radial state with the voltage limits of the grid, its current limits,")
    quiet = command("verify", ring, "proof.gz", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_a_certificate_of_a_feeder_of_three_phases(command: Command) -> None:
    done = command("reconfigure", "ieee123", "--certificate", "proof.gz")
    assert done.code == 0, done.err
    assert "certificate: proof.gz" in done.out
    done = command("verify", "ieee123", "proof.gz")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("ieee123: no radial state loses less than 94.1")
    assert "open sw5 sw8: 94.1" in done.out
    assert command("verify", "ieee123", "proof.gz", "--export", "problem.json", "--quiet").code == 0
    checker = Path(__file__).parents[2] / "docs" / "check_phases.py"
    told = subprocess.run([sys.executable, checker, "problem.json", "proof.gz"], capture_output=True, text=True)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("accepted: no radial state in the box [0.85, 1.15, 10.0] loses less than 94.1")
    assert command("verify", "ieee13", "proof.gz").code == 5
    assert "states its question in itself" in command("verify", "ieee123", "proof.gz", "--open", "sw5").err


QUESTIONS = {
    "both limits": ("--v-min", 0.94, "--v-max", 1.06),
    "no current limits": (
        "--ignore-limits",
        "current",
    ),
    "open": ("--open", "A-B"),
    "changes": ("--max-changes", 2),
    "cost of changes": ("--change-cost", 0.5),
}
NAMED = {
    "both limits": "limits: {} greatest voltage as in the grid, in the file greatest voltage of 1.06 pu",
    "no current limits": "limits: {} current limits of the grid, in the file no current limits",
    "open": "--open: {} -, in the file locked A-B",
    "changes": "--max-changes: {} any number, in the file 2",
    "cost of changes": "--change-cost: {} 0.0 kW, in the file 0.5 kW",
}
TOLD = {
    "both limits": "voltages of 0.94 to 1.06 pu at every bus without a source (not the limits of the grid)",
    "no current limits": "current limits left out",
    "open": "in which A-B stays open",
    "changes": "at most 2 changes",
    "cost of changes": "with 0.5 kW for each change",
}


@pytest.mark.parametrize("what", QUESTIONS)
def test_a_question_is_proven_if_it_is_the_one_that_is_asked(what: str, command: Command, ring: Path) -> None:
    question = QUESTIONS[what]
    done = command("reconfigure", ring, "--certificate", "proof.gz", *question)
    assert done.code == 0, done.err
    asked = command("verify", ring, "proof.gz", *question)
    assert (asked.code, asked.err) == (0, "")
    assert TOLD[what] in asked.out
    # Nobody asks: what is proven is told in full, and the exit code says that it is another question; --quiet, too.
    told = command("verify", ring, "proof.gz")
    assert (told.code, told.out) == (6, asked.out)
    quiet = command("verify", ring, "proof.gz", "-q")
    assert (quiet.code, quiet.out, quiet.err) == (6, "", told.err)
    assert told.err.startswith("another question: ")
    assert NAMED[what].format("plain") in told.err
    # Another question is asked: refused, by name.
    names = [*QUESTIONS, *QUESTIONS]
    after = names[names.index(what) + 1 :]
    for other in (("--change-cost", 0), QUESTIONS[after[0]], QUESTIONS[after[3]]):
        refused = command("verify", ring, "proof.gz", *other, "--quiet")
        assert (refused.code, refused.out) == (5, ""), other
        assert "it is of another question: " in refused.err
        if NAMED[what].partition(":")[0] not in ("limits",):
            assert NAMED[what].partition(",")[2] in refused.err


def test_a_damaged_certificate_has_an_exit_code_of_its_own(command: Command, ring: Path) -> None:
    command("reconfigure", ring, "--certificate", "proof.gz", "--ignore-limits", "current")
    Path("proof.gz").write_bytes(Path("proof.gz").read_bytes()[:-20])
    done = command("verify", ring, "proof.gz")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("refused: ")
    assert command("verify", "baran33", "no file").code == 2


def test_a_file_that_is_no_certificate_is_said_to_be_none(command: Command, ring: Path) -> None:
    command("reconfigure", ring, "--json", "answer.json")
    done = command("verify", ring, "answer.json")
    assert done.code == 5
    assert "this is no certificate, which is packed by gzip" in done.err


def test_a_certificate_of_many_futures_is_verified_with_their_table(command: Command, ring: Path) -> None:
    done = command("futures", ring, "--count", 4, "--seed", 2, "-o", "futures.csv")
    assert done.code == 0, done.err
    planned = "futures.csv", "--ignore-limits", "current", "--risk", "cvar:0.5", "--method", "search"
    done = command("reconfigure-futures", ring, *planned, "--certificate", "proof.gz")
    assert done.code == 0, done.err
    assert "certificate: proof.gz" in done.out
    measure = "As loss counts the mean of the greatest losses, those of probability 0.5, in the 4 futures of the table"
    told = command("verify", ring, "proof.gz", "--futures", "futures.csv")
    assert told.code == 6
    assert measure in told.out
    assert "--risk: plain expected, in the file cvar:0.5" in told.err
    asked = command(
        "verify", ring, "proof.gz", "--futures", "futures.csv", "--risk", "cvar:0.50", "--ignore-limits", "current"
    )
    assert (asked.code, asked.err, asked.out) == (0, "", told.out)
    for options, words in (
        (("--futures", "futures.csv", "--risk", "cvar:0.4", *CURRENT), "in the file cvar:0.5"),
        (
            ("--futures", "futures.csv", "--risk", "worst", "--ignore-limits", "current"),
            "--risk: asked worst, in the file",
        ),
        (
            ("--futures", "futures.csv", "--ambiguity", "tv:0.1", "--ignore-limits", "current"),
            "--ambiguity: asked tv:0.1",
        ),
        (("--futures", "futures.csv", "--limits-share", 0.5), "asked 0.5 of the futures, in the file 1.0"),
        ((), "it is about many futures: give their table (--futures)"),
    ):
        refused = command("verify", ring, "proof.gz", *options)
        assert (refused.code, refused.out) == (5, "")
        assert words in refused.err
    command("futures", ring, "--count", 4, "--seed", 3, "-o", "others.csv")
    refused = command("verify", ring, "proof.gz", "--futures", "others.csv")
    assert (refused.code, refused.out) == (5, "")
    assert "is the certificate of this grid, of these tables and of this question?" in refused.err
    rows = pl.read_csv("futures.csv")
    first = rows["future"] == rows["future"][0]
    rows.with_columns(probability=pl.Series([0.4 if there else 0.2 for there in first])).write_csv("heavy.csv")
    refused = command("verify", ring, "proof.gz", "--futures", "heavy.csv")
    assert "the best state loses" in refused.err
    command("reconfigure", ring, "--certificate", "today.gz")
    for table in (("--futures", "futures.csv"), ("--futures", "futures.csv", "--risk", "worst")):
        refused = command("verify", ring, "today.gz", *table)
        assert (refused.code, refused.out) == (5, "")
        assert "it is not about many futures; leave many futures out" in refused.err


@pytest.mark.parametrize("sets", ["wasserstein:50"])
def test_the_radius_of_an_ambiguity_is_part_of_the_question(sets: str, command: Command, ring: Path) -> None:
    command("futures", ring, "--count", 3, "--seed", 2, "-o", "futures.csv")
    planned = "futures.csv", "--method", "search"
    done = command("reconfigure-futures", ring, *planned, "--certificate", "proof.gz", "--ambiguity", sets)
    assert done.code == 0, done.err
    asked = command("verify", ring, "proof.gz", "--futures", "futures.csv", "--ambiguity", sets)
    assert (asked.code, asked.err) == (0, "")
    assert f"{float(sets.partition(':')[2]):g}" in asked.out
    other = f"{sets.partition(':')[0]}:0.01"
    refused = command("verify", ring, "proof.gz", "--futures", "futures.csv", "--ambiguity", other)
    assert refused.code == 5
    kind, _, size = sets.partition(":")
    assert f"--ambiguity: asked {other}, in the file {kind}:{float(size)!r}" in refused.err


def test_the_question_of_dispatch_is_asked_by_its_options(command: Command, ring: Path) -> None:
    bank = {"name": ["cap"], "bus": ["B"], "q_kvar": [300.0], "steps": [3], "steps_on": [0], "controllable": [True]}
    for kind, rows in tables(capacitors=bank).items():
        pl.DataFrame(rows).write_csv(ring / f"{kind}.csv")
    question = "--minimize", "losses=1,changes=0.2", "--free", "topology,capacitors", "--v-min", 0.92
    done = command("dispatch", ring, "--certificate", "proof.gz", *question)
    assert done.code == 0, done.err
    asked = command("verify", ring, "proof.gz", *question)
    assert (asked.code, asked.err) == (0, "")
    told = command("verify", ring, "proof.gz")
    assert (told.code, told.out) == (6, asked.out)
    assert "--minimize: plain 1 for each kW of losses, in the file 1 for each kW of losses, 0.2 for each" in told.err
    for other, words in (
        (("--minimize", "losses=1,changes=0.3", "--v-min", 0.92), "0.3 for each unit of changes, in the file"),
        (
            ("--minimize", "losses=1,changes=0.2", "--free", "topology", "--v-min", 0.92),
            "--free: asked topology, in the",
        ),
        (("--minimize", "losses=1,changes=0.2"), "least voltage of 0.92 pu"),
        (("--v-min", 0.92), "asked the question of reconfigure, in the file that of dispatch"),
    ):
        refused = command("verify", ring, "proof.gz", *other)
        assert refused.code == 5, other
        assert words in refused.err


def test_what_is_proven_is_written_as_data(command: Command, ring: Path) -> None:
    command("reconfigure", ring, "--certificate", "proof.gz", "--v-min", 0.95, "--close", "B-C")
    schema = json.loads(command("schema", "claim").out)
    done = command("verify", ring, "proof.gz", "--json", "claim.json")
    assert done.code == 6
    claim = json.loads(Path("claim.json").read_text("utf-8"))
    jsonschema.validate(claim, schema, cls=jsonschema.Draft202012Validator)
    assert claim["bound"] <= claim["value"]
    assert claim["unit"] == "kW"
    assert claim["question"]["limits"] == {"voltage": True, "current": True, "v_min_pu": 0.95, "v_max_pu": None}
    assert claim["question"]["locked_closed"] == ["B-C"]
    assert claim["asked"] is False
    assert len(claim["differs"]) == 2
    asked = command("verify", ring, "proof.gz", "--v-min", 0.95, "--close", "B-C", "--json", "-")
    assert asked.code == 0
    again = json.loads(asked.out)
    assert asked.err.startswith("Verified: ")
    assert (again["asked"], again["differs"]) == (True, [])
    assert again | {"asked": False, "differs": claim["differs"]} == claim
    refused = command("verify", ring, "proof.gz", "--v-min", 0.9, "--json", "other.json")
    assert refused.code == 5
    assert not Path("other.json").exists()
    assert command("verify", ring, "proof.gz", "--json", "proof.gz").code == 2
    command("futures", ring, "--count", 3, "--seed", 2, "-o", "futures.csv")
    planned = "futures.csv", "--risk", "regret", "--method", "search"
    assert command("reconfigure-futures", ring, *planned, "--certificate", "many.gz").code == 0
    done = command("verify", ring, "many.gz", "--futures", "futures.csv", "--risk", "regret", "--json", "many.json")
    assert done.code == 0, done.err
    claim = json.loads(Path("many.json").read_text("utf-8"))
    jsonschema.validate(claim, schema, cls=jsonschema.Draft202012Validator)
    assert (claim["question"]["futures"], claim["question"]["risk"]) == (3, "regret:worst")


def test_a_certificate_of_a_year_is_verified_with_its_profiles(command: Command, ring: Path) -> None:
    Path("year.csv").write_text("hours,a,b,c\n4000,1,0.5,0.2\n4000,0.3,0.5,1\n760,1,1,1\n", encoding="utf-8")
    Path("other.csv").write_text("hours,a,b,c\n4000,1,0.5,0.2\n4000,0.3,0.5,1\n760,1,1,0.9\n", encoding="utf-8")
    done = command("reconfigure-year", ring, "year.csv", "--certificate", "proof.gz")
    assert done.code == 0, done.err
    assert "certificate: proof.gz" in done.out
    done = command("verify", ring, "proof.gz", "--year", "year.csv")
    assert done.code == 0, done.err
    assert "As loss counts the mean over the 3 steps of the year" in done.out
    assert "No radial state with the voltage limits of the grid and its current limits in every step loses" in done.out
    assert "In the 8,760 h of the year it loses" in done.out
    assert command("verify", ring, "proof.gz", "--year", "year.csv", "--workers", 2).out == done.out
    for options, message in (
        ((), "give the table of its profiles (--year)"),
        (("--year", "other.csv"), "the best state loses"),
    ):
        refused = command("verify", ring, "proof.gz", *options)
        assert (refused.code, refused.out) == (5, "")
        assert message in refused.err
    command("reconfigure", ring, "--certificate", "today.gz")
    refused = command("verify", ring, "today.gz", "--year", "year.csv")
    assert refused.code == 5
    assert "it is not about a year" in refused.err


def test_a_year_in_blocks_has_no_certificate(command: Command, ring: Path) -> None:
    Path("year.csv").write_text("hours,a,b,c\n4000,1,0.5,0.2\n4760,0.3,0.5,1\n", encoding="utf-8")
    done = command("reconfigure-seasons", ring, "year.csv", 2, "--certificate", "proof.gz")
    assert done.code == 2
    assert "No such option: --certificate" in done.err
    assert not Path("proof.gz").exists()


def test_only_a_search_writes_certificates(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--certificate", "proof.gz", "--method", "benders")
    assert done.code == 2
    assert "--certificate is no option of --method" in done.err
    assert not Path("proof.gz").exists()


def test_a_certificate_that_the_disk_does_not_take_is_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("openpoint.search.certificate.write_bytes", refuse)
    done = command("reconfigure", "baran33", "--certificate", "p.cert", "--json", "r.json")
    assert done.code == 74
    assert "where the disk takes it; a warning above tells if it did not" in done.err
    assert Path("r.json").exists()
    assert not Path("p.cert").exists()


def test_an_earlier_certificate_is_kept_until_another_one_is_written(command: Command) -> None:
    proof, earlier = Path("p.cert"), Path("p.cert.earlier")
    assert command("reconfigure", "baran33", "--certificate", "p.cert").code == 0
    before = proof.read_bytes()
    for _ in range(2):
        done = command("reconfigure", "baran33", "--certificate", "p.cert", "--v-min", "0.99")
        assert done.code == 3
        assert "The one that was there before is kept as p.cert.earlier" in done.err
        assert not proof.exists()
        assert earlier.read_bytes() == before
    assert command("reconfigure", "baran33", "--certificate", "p.cert").code == 0
    assert command("verify", "baran33", "p.cert").code == 0
    assert not earlier.exists()


def test_the_question_that_is_asked_is_exported_and_not_that_of_the_certificate(command: Command) -> None:
    assert command("reconfigure", "baran33", "--gap", "1e-3", "--certificate", "proof.gz").code == 0
    assert command("verify", "baran33", "proof.gz", "--export", "problem", "--quiet").code == 0
    assert reference.main(["problem", "proof.gz"]) == 0
    done = command("verify", "baran33", "proof.gz", "--export", "problem", "--close", "7", "--v-min", "0.95")
    assert done.code == 5
    given = json.loads(Path("problem").read_text())
    locks = {row[0]: row[given["branches"]["columns"].index("lock")] for row in given["branches"]["rows"]}
    assert [name for name, lock in locks.items() if lock] == ["7"]
    assert given["buses"]["rows"][5][given["buses"]["columns"].index("v_min_pu")] == pytest.approx(0.95)
    assert reference.main(["problem", "proof.gz"]) == 5
    done = command("verify", "baran33", "proof.gz", "--export", "proof.gz")
    assert done.code == 2
    assert "would take the place of proof.gz, which is read" in done.err


def test_a_certificate_of_a_set_of_loads_is_written_and_verified(command: Command, ring: Path) -> None:
    done = command("enclose", ring, "--for-every", "load=20%", "--certificate", "set.json")
    assert done.code == 0, done.err
    done = command("verify", ring, "set.json", "--export", "problem.json")
    assert (done.code, done.err) == (0, "")
    assert "one power flow" in done.out
    assert json.loads(Path("problem.json").read_text(encoding="utf-8"))["format"] == "openpoint set problem 1"
    done = command("verify", ring, "set.json", "--v-min", 0.95)
    assert done.code == 2
    assert "states its question in itself" in done.err
    given = json.loads(Path("set.json").read_text(encoding="utf-8"))
    Path("set.json").write_text(json.dumps({**given, "shares": {"load": 0.3}}), encoding="utf-8")
    done = command("verify", ring, "set.json")
    assert done.code == 5
    assert "the radii do not prove" in done.err
