"""Many grids: each as by itself, resumable, and whatever ends the run, what was finished is kept."""

import errno
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pytest

import openpoint
from openpoint import Grid, InputError, OptionError, atomic
from openpoint.errors import NotWrittenError
from openpoint.studies.reconfigure.fleet.options import ReconfigureFleetOptions
from openpoint.studies.reconfigure.fleet.result import FleetResult, FleetRow
from openpoint.studies.reconfigure.fleet.study import (
    RECORD,
    REPORT,
    RESULT,
    FleetTask,
    PreparedFleet,
    Source,
    find_sources,
    prepare,
)
from openpoint.twostage.workers import executors as apart
from tests.cli.desk import tables

ROOT = Path(__file__).parents[4]


def write_ring(folder: Path, name: str, load_kw: float = 600.0) -> None:
    """The ring of four buses as a folder, with another load at bus C."""
    grid = Grid.from_tables(name, tables())
    c = pl.when(pl.col("name") == "c").then(load_kw).otherwise("p_kw").alias("p_kw")
    openpoint.write(grid.with_tables(loads=grid.loads.with_columns(c)), folder / name)


@pytest.fixture
def feeders(tmp_path: Path) -> Path:
    """A folder with three grids."""
    folder = tmp_path / "feeders"
    for number, load_kw in enumerate((600.0, 500.0, 400.0)):
        write_ring(folder, f"ring{number}", load_kw)
    return folder


def statuses(result: FleetResult) -> list[str]:
    return [row.status for row in result.rows]


def test_every_grid_is_solved_as_by_itself_and_a_bad_one_stops_no_other(feeders: Path, tmp_path: Path) -> None:
    (feeders / "bad.m").write_text("function mpc = bad\nmpc.bus = [1 2;\n")
    seen: list[tuple[str, int, int]] = []
    result = openpoint.reconfigure_fleet(
        feeders, tmp_path / "out", progress=lambda row, done, count: seen.append((row.name, done, count))
    )
    assert seen == [("bad", 1, 4), ("ring0", 2, 4), ("ring1", 3, 4), ("ring2", 4, 4)]
    assert statuses(result) == ["failed", "solved", "solved", "solved"]
    assert (result.failed, result.solved, result.proven, result.exit_code) == (1, 3, 3, 2)
    for row in result.rows[1:]:
        alone = openpoint.reconfigure(row.source)
        assert row.loss_before_kw == alone.loss_before_kw
        assert row.loss_kw == alone.loss_kw
        assert row.saving_kw == alone.loss_before_kw - alone.loss_kw  # type: ignore[operator]
        assert (row.changes, row.termination) == (len(alone.changes), alone.termination.value)
        document = json.loads((tmp_path / "out" / "grids" / row.name / RESULT).read_text(encoding="utf-8"))
        assert document["open_branches"] == list(alone.open_branches)
    assert result.saving_kw == pytest.approx(result.loss_before_kw - result.loss_kw)


def test_all_faults_of_a_bad_file_stand_in_the_table(tmp_path: Path) -> None:
    faulty = tables(loads={"name": ["a", "b"], "bus": ["A", "Z"], "p_kw": [float("inf"), 1.0], "q_kvar": [0.0, 0.0]})
    openpoint.write(Grid.from_tables("faulty", faulty), tmp_path / "faulty")
    row = openpoint.reconfigure_fleet(tmp_path / "faulty", tmp_path / "out").rows[0]
    with pytest.raises(InputError) as alone:
        openpoint.reconfigure(tmp_path / "faulty")
    assert row.error.splitlines() == str(alone.value).splitlines()
    assert len(row.error.splitlines()) == 2


def test_the_files_hold_the_same_table(feeders: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = openpoint.reconfigure_fleet(feeders, out)
    files = {"fleet.csv", "fleet.parquet", "fleet.json", "switchings.csv", "index.html", "grids"}
    assert {path.name for path in out.iterdir()} == files
    assert pl.read_parquet(out / "fleet.parquet").equals(result.grids)
    assert pl.read_csv(out / "fleet.csv")["loss_kw"].to_list() == result.grids["loss_kw"].to_list()
    assert pl.read_csv(out / "switchings.csv")["saving_kw"].to_list() == result.switchings["saving_kw"].to_list()
    assert json.loads((out / "fleet.json").read_text(encoding="utf-8")) == json.loads(result.to_json())


class _Links(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.targets: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.targets.append(dict(attributes)["href"] or "")


def test_the_page_leads_to_every_report(feeders: Path, tmp_path: Path) -> None:
    write_ring(feeders, 'Süd & <b>"Nord"')
    (feeders / "bad.m").write_text("nothing")
    openpoint.reconfigure_fleet(feeders, tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    targets = _Links(page).targets
    assert len(targets) == 4
    for target in targets:
        assert (tmp_path / "out" / unquote(target)).read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert "<b>" not in page
    assert "1 grid failed" in page


def test_what_is_finished_is_not_solved_again(feeders: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = openpoint.reconfigure_fleet(feeders, out)
    again = openpoint.reconfigure_fleet(feeders, out)
    assert statuses(again) == ["kept"] * 3
    assert again.grids.drop("status").equals(first.grids.drop("status"))
    write_ring(feeders, "ring1", 450.0)
    assert statuses(openpoint.reconfigure_fleet(feeders, out)) == ["kept", "solved", "kept"]
    (out / "grids" / "ring0" / REPORT).unlink()
    (out / "grids" / "ring2" / RECORD).write_text("{")
    assert statuses(openpoint.reconfigure_fleet(feeders, out)) == ["solved", "kept", "solved"]
    assert statuses(openpoint.reconfigure_fleet(feeders, out, max_changes=0)) == ["solved"] * 3
    assert statuses(openpoint.reconfigure_fleet(feeders, out, max_changes=0, reports=False)) == ["kept"] * 3


def test_a_grid_that_failed_is_tried_again(tmp_path: Path) -> None:
    folder, out = tmp_path / "feeders", tmp_path / "out"
    write_ring(folder, "ring")
    table = folder / "ring" / "loads.csv"
    sound = table.read_text()
    table.write_text(sound.replace("500", "five"))
    assert statuses(openpoint.reconfigure_fleet(folder, out)) == ["failed"]
    table.write_text(sound)
    assert statuses(openpoint.reconfigure_fleet(folder, out)) == ["solved"]


KILLED = """
import os, signal, sys
import openpoint

def kill(row, done, count):
    if done == 2:
        os.kill(os.getpid(), signal.SIGKILL)

openpoint.reconfigure_fleet(sys.argv[1], sys.argv[2], progress=kill)
"""


def test_a_run_that_was_killed_goes_on_where_it_was(feeders: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run([sys.executable, "-c", KILLED, str(feeders), str(out)], env=environment, check=False)
    assert done.returncode == -signal.SIGKILL
    assert not (out / "index.html").exists()
    result = openpoint.reconfigure_fleet(feeders, out)
    assert statuses(result) == ["kept", "kept", "solved"]
    assert not [path for path in out.rglob("*") if path.suffix == ".part"]
    whole = openpoint.reconfigure_fleet(feeders, tmp_path / "whole")
    assert result.grids.drop("status", "seconds").equals(whole.grids.drop("status", "seconds"))


class _Fills:
    """A disk that takes half of the file named, and then nothing more."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.fill = atomic._fill

    def __call__(self, part: Path, target: Path, content: bytes) -> None:
        half = self.name in str(target)
        self.fill(part, target, content[: len(content) // 2] if half else content)
        if half:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize("name", [f"ring1/{REPORT}", f"ring1/{RECORD}", "fleet.parquet"])
def test_a_disk_that_fills_up_loses_nothing_that_was_finished(
    feeders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    out = tmp_path / "out"
    done = 3 if name == "fleet.parquet" else 1
    with monkeypatch.context() as patch:
        patch.setattr(atomic, "_fill", _Fills(name))
        with pytest.raises(NotWrittenError, match=f"No space left.* {done} of 3 grids are finished and kept"):
            openpoint.reconfigure_fleet(feeders, out)
    assert not [path for path in out.rglob("*") if path.suffix == ".part"]
    result = openpoint.reconfigure_fleet(feeders, out)
    assert statuses(result) == ["kept"] * done + ["solved"] * (3 - done)
    assert result.exit_code == 0


def test_ctrl_c_keeps_what_is_finished_and_tells_the_rest(feeders: Path, tmp_path: Path) -> None:
    def interrupt(row: FleetRow, done: int, count: int) -> None:
        if done == 1:
            os.kill(os.getpid(), signal.SIGINT)

    result = openpoint.reconfigure_fleet(feeders, tmp_path / "out", progress=interrupt)
    assert statuses(result) == ["solved", "not run", "not run"]
    assert (result.interrupted, result.exit_code) == (True, 130)
    assert "Interrupted." in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert statuses(openpoint.reconfigure_fleet(feeders, tmp_path / "out")) == ["kept", "solved", "solved"]


class _Dies(FleetTask):
    """A task whose process ends at one of the grids."""

    def __call__(self, source: Source) -> FleetRow:
        if source.name == "ring1":
            os._exit(9)
        return super().__call__(source)


def test_a_worker_that_ends_takes_its_grid_alone(
    feeders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "TRIES", 1)  # a further process costs seconds, and the tests of `apart` have it
    asked = prepare(str(feeders / "ring[01]"), ReconfigureFleetOptions(tmp_path / "out", workers=2, reports=False))
    assert isinstance(asked, PreparedFleet)
    task = _Dies(out=tmp_path / "out", options=asked.task.options, pv="hold", reports=False)
    result = PreparedFleet(asked.sources, asked.notes, task, 2).solve()
    assert statuses(result) == ["solved", "failed"]
    assert result.rows[1].error is not None
    assert "its process ended with code 9" in result.rows[1].error
    alone = openpoint.reconfigure_fleet(feeders, tmp_path / "out", reports=False)
    assert statuses(alone) == ["kept", "solved", "solved"]


def test_names_are_unique_and_stay_where_they_can(tmp_path: Path) -> None:
    for folder in ("north", "south"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "feeder.m").write_text("")
        (tmp_path / folder / "Feeder.json").write_text("")
    found, _ = find_sources([tmp_path / "north", tmp_path / "south", "baran33", "baran33"])
    names = [each.name for each in found]
    assert names[-1] == "baran33"
    assert len({name.casefold() for name in names}) == len(names) == 5
    assert find_sources(tmp_path / "north" / "feeder.m")[0][0].name == "feeder"


def test_grids_are_found_in_folders_and_patterns(feeders: Path) -> None:
    (feeders / "ring10").mkdir()
    (feeders / "ring10" / "grid.toml").write_text("")
    (feeders / "notes.txt").write_text("")
    (feeders / "lines.dss").write_text("")
    found, notes = find_sources(feeders)
    assert [each.name for each in found] == ["ring0", "ring1", "ring2", "ring10"]
    assert len(notes) == 1
    assert "its 1 .dss files are left out" in notes[0]
    assert find_sources(str(feeders / "ring[01]"))[0] == found[:2]


def test_a_folder_that_may_not_be_read_stops_no_other(
    feeders: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed, there = Path.iterdir, Path.exists

    def refuse(forbidden: Path, folder: Path) -> None:
        if folder.name == "ring1":
            raise PermissionError(errno.EACCES, "Permission denied", str(forbidden))

    def iterdir(path: Path) -> Iterator[Path]:
        refuse(path, path)
        return iter(listed(path))

    def exists(path: Path) -> bool:
        refuse(path, path.parent)
        return there(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    monkeypatch.setattr(Path, "exists", exists)
    result = openpoint.reconfigure_fleet(feeders, tmp_path / "out", reports=False)
    assert statuses(result) == ["solved", "failed", "solved"]
    assert result.rows[1].error == f"{feeders / 'ring1'} cannot be read: Permission denied"


def test_grids_without_a_state_within_limits_are_counted(feeders: Path, tmp_path: Path) -> None:
    result = openpoint.reconfigure_fleet(
        feeders, tmp_path / "out", reports=False, limits=openpoint.Limits(v_min_pu=0.9999)
    )
    assert result.infeasible == 3
    assert result.in_short == "3 grids (3 solved), 3 proven; in 3 of them nothing keeps the limits."


def test_what_is_not_there_is_told_at_once(feeders: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError) as told:
        openpoint.reconfigure_fleet([feeders, "no.m", "none/*.m"], tmp_path / "out")
    assert [problem.table for problem in told.value.problems] == ["no.m", "none/*.m"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"pv": "other"}, "pv is 'other'"),
        ({"method": openpoint.TopologySearch(certificate=Path("proof.gz"))}, "are of one grid"),
        ({"max_changes": -1}, "max_changes is -1"),
        (
            {"workers": 2, "method": openpoint.TopologySearch(executor=openpoint.Processes(2))},
            "leave one of both out",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(
    feeders: Path, tmp_path: Path, more: dict[str, object], said: str
) -> None:
    with pytest.raises(OptionError, match=said):
        openpoint.reconfigure_fleet(feeders, tmp_path / "out", **more)  # type: ignore[arg-type]


def test_results_do_not_go_where_grids_are_read(feeders: Path) -> None:
    for out in (feeders, feeders / "ring0"):
        with pytest.raises(OptionError, match="holds grids that are read"):
            openpoint.reconfigure_fleet(feeders, out)
    with pytest.raises(OptionError, match="no grid was named"):
        openpoint.reconfigure_fleet([], feeders / "out")
