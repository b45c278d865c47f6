"""`openpoint reconfigure-year`: what it prints and leaves behind, and what it refuses with place and remedy."""

from pathlib import Path

import pytest

from tests.cli.desk import Command
from tests.scenarios import test_profiles

TABLE = "hours,a,b,c\n4000,1,0.5,0.2\n4000,0.3,0.5,1\n760,1,1,1\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A year of three steps for the loads of the ring."""
    file = tmp_path / "year.csv"
    file.write_text(TABLE, encoding="utf-8")
    return file


def test_the_year_today_and_in_the_answer_is_shown(command: Command, ring: Path, table: Path) -> None:
    done = command("reconfigure-year", ring, table)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "year: 3 steps, 8,760 h" in lines
    assert any(line.startswith("Energy lost, today → answer:") for line in lines)
    assert any(line.startswith("Steps with broken limits:") for line in lines)
    assert any("all 3 steps by power flow" in line for line in lines)


@pytest.mark.parametrize("options", [(), ("--certificate", "proof.gz")])
def test_the_gap_of_a_year_is_the_same_however_the_search_is_asked_for(
    command: Command, ring: Path, table: Path, options: tuple[str, ...]
) -> None:
    assert "topology search, to 0.01 %" in command("reconfigure-year", ring, table, *options).out
    assert "topology search, to 0.1 %" in command("reconfigure-year", ring, table, "--gap", "1e-3", *options).out


def test_limits_that_nothing_keeps_end_with_their_code_and_step(command: Command, ring: Path, table: Path) -> None:
    done = command("reconfigure-year", ring, table, "--v-min", "0.9999")
    assert done.code == 3
    assert "No topology was found that keeps the limits in every step" in done.out


def test_faults_of_the_year_are_told_with_row_and_remedy(command: Command, ring: Path, tmp_path: Path) -> None:
    file = tmp_path / "year.csv"
    file.write_text("hours,a\n4000,1\n4000,-1\n", encoding="utf-8")
    done = command("reconfigure-year", ring, file)
    assert done.code == 2
    assert "line 3, a" in done.err
    assert "8000 h together" in done.err


@pytest.mark.filterwarnings("ignore")
def test_a_folder_with_profiles_needs_no_table(command: Command, ring: Path, tmp_path: Path) -> None:
    folder = test_profiles.folder_of(test_profiles.ring(), tmp_path / "simbench")
    done = command("reconfigure-year", folder)
    assert done.code == 0, done.err
    assert "lower MWh" in done.out
    assert "year: 8784 steps, 8,784 h" in done.out
    assert "and count as 0" in done.out
    done = command("futures", folder, "--year", "own", "--count", "3", "-o", tmp_path / "f.csv")
    assert "3 futures of simbench, steps of own" in done.out
    assert command("futures", folder, "--year", "own", "--growth", "solar", "-o", tmp_path / "g.csv").code == 2
    done = command("days", "2016-06-21", tmp_path / "day", "--grid", folder)
    assert done.code == 0, done.err
    assert (tmp_path / "day" / "load_profiles.csv").read_text().startswith("load,profile,q_profile")
    done = command("reconfigure-year", ring)
    assert done.code == 2
    assert "the file of the grid has no profiles" in done.err
