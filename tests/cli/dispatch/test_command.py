"""The command dispatch: what it prints and writes, and how it ends."""

import json
import re
from pathlib import Path

import jsonschema
import polars as pl
import pytest

import openpoint
from openpoint.studies.catalog import published
from tests.builders.dispatch_grids import loss_kw, ring
from tests.cli.desk import Command


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("grids") / "ring"
    openpoint.write(ring(), path)
    return path


def test_it_tells_what_moves_and_what_it_is_worth(command: Command, folder: Path) -> None:
    done = command("dispatch", folder, "--minimize", "losses=1,balance=10")
    assert done.code == 0
    assert "free: topology, taps, capacitors, commitment, not generators" in done.out
    assert "10.0000" in done.out
    assert "steps on" in done.out
    assert "All limits asked for hold." in done.out
    assert "what is sought has a bound in closed form" in done.out


@pytest.mark.parametrize("sought", ["losses", "cost", "balance", "deviation", "changes", "moves"])
def test_every_criterion_alone_has_its_progress(command: Command, sought: str) -> None:
    done = command("dispatch", "civanlar16", "--minimize", sought)
    assert done.code in (0, 2)  # no prices, or proven
    assert ("lower" in done.out) is (done.code == 0)


def test_it_writes_the_result_and_the_grid_in_its_new_state(command: Command, folder: Path, tmp_path: Path) -> None:
    outputs = ("--json", tmp_path / "a.json", "--tables", tmp_path / "tables", "--report", tmp_path / "a.html")
    done = command("dispatch", folder, *outputs, "--out", tmp_path / "new", "--report", tmp_path / "a.svg")
    assert done.code == 0
    document = json.loads((tmp_path / "a.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, published("dispatch"))
    assert loss_kw(openpoint.read(tmp_path / "new")) == pytest.approx(document["loss_kw"])
    actions = pl.read_csv(tmp_path / "tables" / "actions.csv")
    assert actions.height == len(document["actions"])
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "What to do" in page
    assert (tmp_path / "a.svg").exists()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--free", "storage"), "what may be free is topology"),
        (("--minimize", "losses=-1"), "give 0 or more"),
        (("--at-most", "balance"), "balance=0.8"),
        (("--method", "enumeration", "--gap", "0.1"), "--gap is no option of --method enumeration"),
        (("--out", "new.m"), "--out new.m: a grid is written as a folder"),
    ],
)
def test_bad_options_end_with_a_remedy(command: Command, folder: Path, options: tuple[str, ...], told: str) -> None:
    done = command("dispatch", folder, *options)
    assert done.code == 2
    assert told in done.err


def test_the_grid_that_is_read_is_not_replaced(command: Command, folder: Path) -> None:
    done = command("dispatch", folder, "--out", folder)
    assert done.code == 2
    assert "which is read" in done.err


def test_what_nothing_keeps_ends_with_its_own_code(command: Command, folder: Path) -> None:
    done = command("dispatch", folder, "--at-most", "losses=1")
    assert done.code == 3
    assert "No state that keeps the limits was found" in done.out


def test_a_front_is_told_a_row_a_point(command: Command, folder: Path, tmp_path: Path) -> None:
    done = command("dispatch-front", folder, "losses,moves", "--report", tmp_path / "front.svg")
    assert done.code == 0
    assert "The least losses at each bound of moves" in done.out
    assert (tmp_path / "front.svg").exists()


def test_the_proof_of_what_is_free_is_checked_against_the_whole_grid(command: Command, tmp_path: Path) -> None:
    """What is not free is held as today, and the certificate says so."""
    file = tmp_path / "proof.gz"
    done = command("dispatch", "baran33-devices", "--free", "topology,taps,capacitors", "--certificate", file)
    assert done.code == 0
    assert f"certificate: {file}" in done.out
    assert command("verify", "baran33-devices", file).code == 6
    checked = command("verify", "baran33-devices", file, "--free", "topology,taps,capacitors")
    assert checked.code == 0
    assert "outputs of generators as today, in which 14 stays at 0" in checked.out
    assert "12 at 2, 24 at 3, 30 at 3, 1 at 8 loses 84.064" in checked.out
    assert command("verify", "baran33", file).code == 5
    refused = command("dispatch", "baran33-devices", "--minimize", "deviation", "--certificate", file)
    assert refused.code == 2
    assert "the deviation of voltages has no useful bound" in refused.err


def test_the_proofs_of_least_losses_and_of_least_cost_are_checked(command: Command, tmp_path: Path) -> None:
    """Of a grid whose generator has a greatest apparent power."""
    unit = {"name": ["unit"], "bus": ["C"], "p_kw": [0.0], "p_min_kw": [0.0], "p_max_kw": [300.0], "s_max_kva": [310.0]}
    priced = {"q_min_kvar": [-200.0], "q_max_kvar": [200.0], "cost_usd_per_kwh": [0.05]}
    openpoint.write(ring(generators=unit | priced), grid := tmp_path / "priced")
    file, answer = tmp_path / "proof.gz", tmp_path / "answer.json"
    for sought, words in (
        ("losses", ("the limits of the power of sources and generators", "loses less than ")),
        ("cost", ("costs less than ", "$/h at the prices of the grid")),
    ):
        outputs = ("--certificate", file, "--json", answer, "--force")
        assert command("dispatch", grid, "--minimize", sought, "--gap", "1e-4", *outputs).code == 0
        checked = command("verify", grid, file, "--minimize", sought)
        assert checked.code == 0
        assert all(part in checked.out for part in words)
        proven = float(re.search(r"(?:loses|costs) less than ([\d.]+)", checked.out)[1])
        found = json.loads(answer.read_text(encoding="utf-8"))
        assert found["lower_bound"] == pytest.approx(proven, rel=1e-4)
