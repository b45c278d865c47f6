"""The command harden: published figures to the cent, JSON that keeps its shape, every way to say what may break."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import polars as pl
import pytest

from openpoint.studies.catalog import published
from tests.cli.desk import Command

A, B, C = ("2", "11"), ("4", "6", "11"), ("2", "5", "8", "14", "15")
ONE_EACH = ("--max-lines", 1, "--max-generators", 1, "--closed-line-usd", 0.01, "--gap", 1e-6)
BRIEF = ("--no-value-of-information", "--json", "-", "--quiet")
KEYS = {
    *("cost_usd", "investment_usd", "hardened_branches", "generators", "shed_kw", "wait_and_see_usd", "evpi_usd"),
    *("most_likely_plan_usd", "mean_value_plan_usd", "vss_usd", "lower_bound_usd", "gap", "seconds"),
}


def table(path: Path, **disasters: tuple[float, tuple[str, ...]]) -> Path:
    """A table of disasters."""
    rows = [(name, p, branch) for name, (p, branches) in disasters.items() for branch in branches]
    pl.DataFrame(rows, schema=["disaster", "probability", "branch"], orient="row").write_csv(path)
    return path


def valid(text: str) -> dict[str, Any]:
    """A JSON document of the published shape."""
    document: dict[str, Any] = json.loads(text)
    jsonschema.validate(document, published("harden"))
    return document


@pytest.mark.parametrize(
    ("first", "odds", "cost", "waiting", "likely", "shed"),
    [
        (A, 0.5, 550.11, 275.11, 4323.84, (0.0, 0.0)),
        (B, 0.1, 736.78, 535.11, 736.78, (133.34, 0.0)),
    ],
)
def test_the_published_cases_to_the_cent(
    first: tuple[str, ...],
    odds: float,
    cost: float,
    waiting: float,
    likely: float,
    shed: tuple[float, float],
    command: Command,
    tmp_path: Path,
) -> None:
    file = table(tmp_path / "d.csv", first=(odds, first), C=(round(1.0 - odds, 1), C))
    done = command("harden", "zhang13", "--disasters", file, *ONE_EACH, "--json", "-", "--quiet")
    assert done.code == 0, done.err
    found = valid(done.out)
    assert set(found) >= KEYS
    # The publication rounds its figures, and half a cent may go either way.
    cent = 0.0051
    assert found["cost_usd"] == pytest.approx(cost, abs=cent)
    assert found["wait_and_see_usd"] == pytest.approx(waiting, abs=cent)
    assert found["most_likely_plan_usd"] == pytest.approx(likely, abs=cent)
    assert found["evpi_usd"] == pytest.approx(found["cost_usd"] - found["wait_and_see_usd"])
    assert found["vss_usd"] == pytest.approx(found["mean_value_plan_usd"] - found["cost_usd"])
    assert found["vss_usd"] >= -cent
    assert found["lower_bound_usd"] == pytest.approx(found["cost_usd"], rel=1e-6, abs=1e-6)
    assert found["shed_kw"] == {"first": pytest.approx(shed[0], abs=0.005), "C": pytest.approx(shed[1], abs=0.005)}


@pytest.fixture
def storm(tmp_path: Path) -> Path:
    """A disaster of the ring that cuts A off, and one that breaks nothing."""
    rows = [("storm", 0.5, "S-A"), ("storm", 0.5, "A-B"), ("calm", 0.5, None)]
    file = tmp_path / "storm.csv"
    pl.DataFrame(rows, schema=["disaster", "probability", "branch"], orient="row").write_csv(file)
    return file


def test_a_person_reads_the_plan_and_what_it_is_worth(command: Command, ring: Path, storm: Path) -> None:
    done = command("harden", ring, "--disasters", storm, "--max-lines", 1, "--max-generators", 0)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert "4 buses" in lines[0]
    assert any(line.split()[:4] == ["iteration", "seconds", "lower", "$"] for line in lines)
    assert any(line.startswith("Cost:") and "$400.00" in line for line in lines)
    assert any(line.startswith("Plan:") and line.split()[1:] in (["line", "S-A"], ["line", "A-B"]) for line in lines)
    assert any(line.split()[:3] == ["storm", "0.5000", "0.00"] for line in lines)
    assert any("another plan for each disaster" in line and "200.00" in line for line in lines)
    assert any(
        line.startswith("AC check, largest mismatch:") and "All limits asked for hold." in line for line in lines
    )
    assert any("without a plan" in line and "$3,500.00" in line for line in lines)  # 500 kW at $14, half the time


def test_any_lines_ends_with_the_worst_attack(command: Command, ring: Path) -> None:
    done = command("harden", ring, "--any-lines", 2, "--budget", 0, "--json", "r.json")
    assert done.code == 0, done.err
    found = valid(Path("r.json").read_text(encoding="utf-8"))
    assert set(found["worst_attack"]) == {"S-A", "C-S"}  # both ways out of the source
    assert found["cost_usd"] == pytest.approx(14.0 * 1500.0)
    assert found["wait_and_see_usd"] is None
    assert "Worst attack after that:" in done.out
    assert "any 2 of 4 lines" in done.out


def test_storms_are_drawn_by_their_seed(command: Command, ring: Path) -> None:
    def cost(more: str = "") -> float:
        done = command("harden", ring, "--disasters", f"storms:6,mean=2{more}", "--budget", 0, *BRIEF)
        assert done.code == 0, done.err
        return float(valid(done.out)["cost_usd"])

    drawn = [cost(f",seed={seed}") for seed in range(2)]
    assert cost() == drawn[0]
    assert len(set(drawn)) > 1


def test_ambiguity_and_prices_reach_the_study(command: Command, ring: Path, storm: Path) -> None:
    def cost(*options: object) -> float:
        done = command("harden", ring, "--disasters", storm, *options, *BRIEF)
        assert done.code == 0, done.err
        return float(valid(done.out)["cost_usd"])

    free = ("--budget", 0)
    assert cost(*free) == pytest.approx(3500.0)
    assert cost(*free, "--ambiguity", "tv:0.1") == pytest.approx(0.6 * 7000.0)
    assert cost(*free, "--voll-usd-per-kw", 2) == pytest.approx(500.0)
    assert cost("--line-usd", 123, "--max-generators", 0) == pytest.approx(123.0)
    assert cost("--generator-usd", 77, "--max-lines", 0, "--generator-kw", 1000) == pytest.approx(77.0)
    # The load of bus A is 500 kW + 200 kvar: a generator of 50 kvar serves a quarter of it.
    quarter = ("--max-generators", 1, "--max-lines", 0, "--generator-kw", 1000, "--generator-kvar", 50)
    assert cost(*quarter, "--generator-usd", 0) == pytest.approx(0.75 * 3500.0)


def test_the_extensive_form_gives_the_same(command: Command, ring: Path, storm: Path) -> None:
    done = command("harden", ring, "--disasters", storm, "--method", "extensive", "--json", "-", "-q")
    assert valid(done.out)["cost_usd"] == pytest.approx(400.0)


def test_the_value_of_information_can_be_left_out(command: Command, ring: Path, storm: Path) -> None:
    done = command("harden", ring, "--disasters", storm, "--no-value-of-information", "--json", "-")
    found = valid(done.out)
    assert [found[key] for key in ("wait_and_see_usd", "evpi_usd", "vss_usd", "without_plan_usd")] == [None] * 4
    assert "What the plan is worth" not in done.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), "disasters and --any-lines; here are neither"),
        (("--any-lines", 1, "--disasters", "storms:3"), "here are both"),
        (("--any-lines", 0), "'--any-lines': Input should be greater than or equal to 1"),
        (("--any-lines", 9), "give 1 to 4"),
        (("--any-lines", 1, "--ambiguity", "tv:0.1"), "leave the ambiguity out"),
        (("--disasters", "storms:3,seed=a"), "give a number"),
        (("--disasters", "storms:3,mean=9"), "mean_broken is 9"),
        (("--disasters", "storms:0"), "storms"),
        (("--disasters", "none.csv"), "cannot be read"),
        (("--disasters", "storms:3", "--ambiguity", "odds"), "give tv:0.2"),
        (("--disasters", "storms:3", "--budget", -1), "--budget"),
        (("--disasters", "storms:3", "--max-lines", -1), "--max-lines"),
        (("--disasters", "storms:3", "--generator-kw", 0), "--generator-kw"),
        (("--disasters", "storms:3", "--line-usd", "nan"), "--line-usd"),
        (("--disasters", "storms:3", "--method", "ccg:highs"), "ccg has no such way"),
        (("--disasters", "storms:3", "--method", "extensive", "--executor", "serial"), "--executor is no option"),
        (("--disasters", "storms:3", "--method", "benders"), "ccg"),
        (("--disasters", "storms:3", "--gap", 2), "gap"),
        (("--disasters", "storms:3", "--v-min", 1.2, "--v-max", 1.1), "v_min_pu"),
        (("--disasters", "storms:3", "--report", "r.txt"), "--report"),
    ],
)
def test_bad_options_end_with_2_and_a_way_out(
    options: tuple[object, ...], told: str, command: Command, ring: Path
) -> None:
    done = command("harden", ring, *options)
    assert done.code == 2, done.out + done.err
    assert told in done.err
    assert "Traceback" not in done.err


def test_a_disaster_that_breaks_no_branch_of_the_grid_is_named(command: Command, ring: Path, tmp_path: Path) -> None:
    done = command("harden", ring, "--disasters", table(tmp_path / "d.csv", flood=(1.0, ("S-A", "S-AA"))))
    assert done.code == 2
    assert "'S-AA'" in done.err
    assert "Did you mean 'S-A'" in done.err


def test_a_time_limit_ends_with_4(command: Command) -> None:
    options = ("--disasters", "storms:30,mean=4", "--time-limit", 0.001, "--gap", 0)
    done = command("harden", "zhang13", *options, "--json", "r.json")
    assert done.code == 4, done.err
    assert valid(Path("r.json").read_text(encoding="utf-8"))["termination"] == "time"
