"""`openpoint verify` and `reconfigure --certificate` as a person runs them."""

from __future__ import annotations

from pathlib import Path

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


def test_only_a_search_writes_certificates(command: Command, ring: Path) -> None:
    for options in (("--method", "benders"), ("--grow", 3)):
        done = command("reconfigure", ring, "--certificate", "proof.gz", *options)
        assert done.code == 2
        assert "--certificate is an option of --method search" in done.err
    assert not Path("proof.gz").exists()
