"""`openpoint verify` and `reconfigure --certificate` as a person runs them."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tests.cli.desk import Command


def test_a_certificate_is_written_and_verified(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--certificate", "proof.gz", "--no-current-limits")
    assert done.code == 0, done.err
    assert "certificate: proof.gz" in done.out
    done = command("verify", ring, "proof.gz")
    assert done.code == 0, done.err
    assert done.out.startswith("Verified: no radial state with the voltage limits of the grid")
    assert command("verify", ring, "proof.gz", "--quiet").out == ""


def test_a_damaged_certificate_has_an_exit_code_of_its_own(command: Command, ring: Path) -> None:
    command("reconfigure", ring, "--certificate", "proof.gz", "--no-current-limits")
    Path("proof.gz").write_bytes(Path("proof.gz").read_bytes()[:-20])
    done = command("verify", ring, "proof.gz")
    assert (done.code, done.out) == (5, "")
    assert done.err.startswith("refused: ")
    assert command("verify", "baran33", "no file").code == 2


def test_a_file_that_is_no_certificate_is_said_to_be_none(command: Command, ring: Path) -> None:
    command("reconfigure", ring, "--json", "answer.json")
    done = command("verify", ring, "answer.json")
    assert done.code == 5
    assert "this is no certificate. Give the file of --certificate" in done.err


def test_a_certificate_of_many_futures_is_verified_with_their_table(command: Command, ring: Path) -> None:
    done = command("futures", ring, "--count", 4, "--seed", 2, "-o", "futures.csv")
    assert done.code == 0, done.err
    planned = "--futures", "futures.csv", "--no-current-limits", "--risk", "cvar:0.5", "--method", "search"
    done = command("reconfigure", ring, "--certificate", "proof.gz", *planned)
    assert done.code == 0, done.err
    assert "certificate: proof.gz" in done.out
    measure = "As loss counts the mean of the greatest losses, those of probability 0.5, in the 4 futures of the"
    assert measure + " table. No radial state" in command("verify", ring, "proof.gz", "--futures", "futures.csv").out
    assert measure + " file. No radial state" in command("verify", ring, "proof.gz").out
    command("futures", ring, "--count", 4, "--seed", 3, "-o", "others.csv")
    assert "(not those of the table)" in command("verify", ring, "proof.gz", "--futures", "others.csv").out


def test_a_certificate_of_a_year_is_verified_with_its_profiles(command: Command, ring: Path) -> None:
    Path("year.csv").write_text("hours,a,b,c\n4000,1,0.5,0.2\n4000,0.3,0.5,1\n760,1,1,1\n", encoding="utf-8")
    Path("other.csv").write_text("hours,a,b,c\n4000,1,0.5,0.2\n4000,0.3,0.5,1\n760,1,1,0.9\n", encoding="utf-8")
    done = command("reconfigure", ring, "--year", "year.csv", "--certificate", "proof.gz", "--no-current-limits")
    assert done.code == 0, done.err
    assert "certificate: proof.gz" in done.out
    done = command("verify", ring, "proof.gz", "--year", "year.csv")
    assert done.code == 0, done.err
    assert "As loss counts the mean over the 3 steps of the year" in done.out
    assert "No radial state with the voltage limits of the grid" in done.out
    assert "in every step loses less than" in done.out
    assert "In the 8,760 h of the year it loses" in done.out
    assert command("verify", ring, "proof.gz", "--year", "year.csv", "--workers", 2).out == done.out
    for options, message in (
        ((), "give the table of its profiles (--year)"),
        (("--year", "other.csv"), "it is about another year"),
    ):
        refused = command("verify", ring, "proof.gz", *options)
        assert (refused.code, refused.out) == (5, "")
        assert message in refused.err
    command("reconfigure", ring, "--certificate", "today.gz", "--no-current-limits")
    refused = command("verify", ring, "today.gz", "--year", "year.csv")
    assert refused.code == 5
    assert "it is not about a year" in refused.err


def test_a_year_in_blocks_has_no_certificate(command: Command, ring: Path) -> None:
    Path("year.csv").write_text("hours,a,b,c\n4000,1,0.5,0.2\n4760,0.3,0.5,1\n", encoding="utf-8")
    done = command("reconfigure", ring, "--year", "year.csv", "--blocks", 2, "--certificate", "proof.gz")
    assert done.code == 2
    assert "certificates are for one topology of a year" in done.err
    assert not Path("proof.gz").exists()


def test_only_a_search_writes_certificates(command: Command, ring: Path) -> None:
    done = command("reconfigure", ring, "--certificate", "proof.gz", "--method", "benders")
    assert done.code == 2
    assert "--certificate is an option of --method search" in done.err
    done = command("reconfigure", ring, "--checkpoint", "open", "--grow", 3)
    assert done.code == 2
    assert "--checkpoint is an option of --method search for one demand" in done.err
    assert not Path("proof.gz").exists()


def test_a_certificate_that_the_disk_does_not_take_is_told(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(shutil, "copyfileobj", refuse)
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
