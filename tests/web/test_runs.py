"""Runs: in a queue, stopped with what they found, killed, and known again after a restart."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import pytest

from openpoint.web.grids import Grids, OpenGrid
from openpoint.web.request import Command
from openpoint.web.runs import KILLED, BusyError, Limits, Run, Runs

Starts = Callable[..., tuple[Runs, list[Run]]]


@pytest.fixture
def grid(tmp_path: Path) -> OpenGrid:
    return Grids(tmp_path / "grids").upload({"case.m": b"x"})


@pytest.fixture
def starts(tmp_path: Path, grid: OpenGrid, monkeypatch: pytest.MonkeyPatch) -> Iterator[Starts]:
    """Runs of the sleeper; what is left of them at the end of the test is killed."""
    root = str(Path(__file__).parents[2])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([root, os.environ.get("PYTHONPATH", "")]))
    made: list[Runs] = []

    def start(*what: str, limits: Limits = Limits()) -> tuple[Runs, list[Run]]:  # noqa: B008
        runs = Runs(tmp_path / "runs", limits, "tests.web.sleeper")
        made.append(runs)
        return runs, [runs.start("sleep", grid, {}, Command((each,), each, "")) for each in what]

    yield start
    for runs in made:
        for run in runs.all():
            for _ in range(2):
                runs.stop(run.identity)
        until(runs, lambda runs=runs: all(run.state == "ended" for run in runs.all()))


def until(runs: Runs, seen: Callable[[], bool]) -> None:
    """Turn until something is seen; a process that never comes would hang, and the test with it."""
    for _ in range(1500):
        runs.turn()
        if seen():
            return
        sleep(0.02)
    raise AssertionError(runs.all())


def ends(runs: Runs, run: Run) -> Run:
    until(runs, lambda: runs.get(run.identity).state == "ended")
    return runs.get(run.identity)


def test_one_after_the_other(starts: Starts) -> None:
    runs, (first, second) = starts("one", "two")
    runs.turn()
    assert (runs.get(first.identity).state, runs.get(second.identity).state) == ("running", "queued")
    found = ends(runs, second)
    assert (found.code, found.words) == (0, "solved: optimal, or within the gap asked for")
    assert found.log() == ["done two"]
    assert list(found.outputs) == ["result.json"]


def test_stopped_it_keeps_what_it_found(starts: Starts) -> None:
    runs, (run,) = starts("wait")
    until(runs, lambda: bool(runs.get(run.identity).log()))
    assert runs.get(run.identity).bounds() == [(0.12, None, 139.551)]
    runs.stop(run.identity)
    assert runs.get(run.identity).words == "stopping, to keep the best answer"
    found = ends(runs, run)
    assert found.code == 130
    assert "result.json" in found.outputs


def test_a_second_stop_ends_it_at_once(starts: Starts) -> None:
    runs, (run,) = starts("stubborn")
    until(runs, lambda: bool(runs.get(run.identity).log()))
    runs.stop(run.identity)
    runs.turn()
    assert runs.get(run.identity).state == "running"
    runs.stop(run.identity)
    assert (ends(runs, run).code, runs.get(run.identity).words) == (-signal.SIGKILL, KILLED)


def test_a_run_that_waits_is_stopped_without_having_begun(starts: Starts) -> None:
    runs, (_, second) = starts("wait", "two")
    runs.turn()
    assert runs.stop(second.identity).state == "ended"
    assert not (second.folder / "log.txt").exists()


def test_a_run_that_is_killed_is_told_and_the_next_one_runs(starts: Starts) -> None:
    runs, (first, second) = starts("wait", "two")
    until(runs, lambda: bool(runs.get(first.identity).log()))
    os.kill(runs.get(first.identity).process, signal.SIGKILL)
    assert ends(runs, first).words == KILLED
    assert ends(runs, second).code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="the limit is one of Linux")
def test_memory_is_bounded(starts: Starts) -> None:
    runs, (run,) = starts("memory", limits=Limits(memory_mb=512))
    assert ends(runs, run).code == 1
    assert "MemoryError" in run.log()[-1]


def test_so_many_wait_and_no_more(starts: Starts) -> None:
    runs, _ = starts("wait", "two", "three", limits=Limits(waiting=3))
    with pytest.raises(BusyError, match="3 runs wait already"):
        starts("four", limits=Limits(waiting=3))
    assert len(runs.all()) == 3


def test_what_ended_is_known_after_a_restart_and_what_runs_is_followed(starts: Starts) -> None:
    runs, (first, second, third) = starts("one", "wait", "three")
    ends(runs, first)
    until(runs, lambda: bool(runs.get(second.identity).log()))
    again, _ = starts()
    assert [again.get(run.identity).state for run in (first, second, third)] == ["ended", "running", "queued"]
    again.turn()
    assert again.get(second.identity).state == "running"
    again.stop(second.identity)
    os.waitpid(runs.get(second.identity).process, 0)  # its parent is this process, and no longer a server
    found = ends(again, second)
    assert (found.code, found.words) == (None, "ended; its answer is kept")
    assert ends(again, third).code == 0


def test_a_file_that_is_damaged_is_no_run(starts: Starts) -> None:
    runs, (run,) = starts("one")
    ends(runs, run)
    (run.folder / "run.json").write_text('{"identity": ', encoding="utf-8")
    again, _ = starts()
    assert again.all() == []


def test_no_uploaded_file_is_imported(starts: Starts, tmp_path: Path) -> None:
    """Not even where the process runs."""
    runs, (run,) = starts("one")
    (run.folder / "signal.py").write_text("raise SystemExit('imported')", encoding="utf-8")
    assert ends(runs, run).code == 0
