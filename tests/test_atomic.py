"""What is written is there as a whole, or what was there before is: on a full disk, above a limit, after a kill."""

import errno
import os
import random
import resource
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import openpoint
from openpoint.atomic import write_bytes, write_files, write_text
from openpoint.io.write_back import write_back
from openpoint.report.figure import save
from openpoint.report.switch_plan import write_checklist
from openpoint.results.base import Result
from openpoint.scenarios.disasters import write_disasters
from openpoint.scenarios.futures import write_futures
from openpoint.scenarios.growth import grow
from openpoint.scenarios.storms import storms
from openpoint.search.checkpoint import Checkpoint
from openpoint.studies.reconfigure.fleet import study as task
from openpoint.studies.reconfigure.fleet.result import FleetRow

pytestmark = pytest.mark.skipif(os.name != "posix", reason="limits and rights of POSIX")

GRID = "civanlar16"


@pytest.fixture(scope="module")
def answer() -> Result:
    return openpoint.reconfigure(GRID)


def checklist(path: Path, answer: Result) -> object:
    return write_checklist(answer.grid, openpoint.switch_plan(GRID, ["8-10", "9-11", "7-16"]).plan, path)


def fleet(path: Path, answer: Result) -> object:
    return task.save(path, "digest", FleetRow(name="a", source="a", status="solved"), {"result.json": "{}" * 99})


WRITERS: dict[str, Callable[[Path, Result], object]] = {
    "r.json": lambda path, answer: answer.write_json(path),
    "r.html": lambda path, answer: answer.write_report(path),
    "r.xlsx": lambda path, answer: answer.write_tables(path),
    "csv": lambda path, answer: answer.write_tables(path),
    "parquet": lambda path, answer: answer.write_tables(path, format="parquet"),
    "r.svg": lambda path, answer: save(answer, path),
    "list.md": checklist,
    "grid": lambda path, answer: openpoint.write(GRID, path),
    "grid.dss": lambda path, answer: openpoint.write(GRID, path),
    "grid.xlsx": lambda path, answer: openpoint.write(GRID, path),
    "futures.csv": lambda path, answer: write_futures(grow(GRID, count=9, seed=1), path),
    "futures.parquet": lambda path, answer: write_futures(grow(GRID, count=9, seed=1), path),
    "disasters.csv": lambda path, answer: write_disasters(storms(GRID, count=9, seed=1), GRID, path),
    "day": lambda path, answer: openpoint.read_day("baran33-day").write(path),
    "open.search": lambda path, answer: Checkpoint(path, {"grid": "x"}).write({"numbers": np.arange(99)}),
    "fleet": fleet,
}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@contextmanager
def limit_of_size(most: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def full_disk() -> Iterator[None]:
    """The disk is full when what is written is brought to it."""

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", full)
        yield


@pytest.mark.parametrize("name", WRITERS)
def test_what_was_there_survives_a_full_disk(name: str, tmp_path: Path, answer: Result) -> None:
    write = WRITERS[name]
    write(tmp_path / "made" / name, answer)
    before = contents(tmp_path)
    for failing in (limit_of_size(16), full_disk()):
        with failing, pytest.raises((openpoint.errors.OpenpointError, OSError)) as refused:
            write(tmp_path / "made" / name, answer)
        assert name in str(refused.value)  # the file is named, not the temporary one
        if name == "fleet":  # its record is removed first, so that the grid is solved again
            before.pop("made/fleet/record.json", None)
        assert contents(tmp_path) == before
    write(tmp_path / "made" / name, answer)


@pytest.mark.parametrize("ending", [".xlsx", ".dss", ""])
def test_a_grid_survives_that_its_own_states_are_not_written(ending: str, tmp_path: Path) -> None:
    place = tmp_path / f"grid{ending}"
    openpoint.write(GRID, place)
    before, state = contents(tmp_path), openpoint.read(place)
    for failing in (limit_of_size(400), full_disk()):
        with failing, pytest.raises(openpoint.OptionError):
            write_back(place, place, {state.branches()["name"][4]: False})
        assert contents(tmp_path) == before


def test_several_files_are_written_all_or_none(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "b").mkdir()
    with pytest.raises(IsADirectoryError):
        write_files({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert contents(tmp_path) == {"a": b"old"}


def test_rights_and_links_are_kept(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "links" / "link"
    target.write_bytes(b"old")
    target.chmod(0o640)
    link.parent.mkdir()
    link.symlink_to("../target")
    write_text(link, "new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    assert contents(tmp_path) == {"target": b"new", "links/link": b"new"}
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "fresh", "new")
    finally:
        os.umask(mask)
    assert stat.S_IMODE((tmp_path / "fresh").stat().st_mode) == 0o640
    loop = tmp_path / "loop"
    loop.symlink_to("loop")
    with pytest.raises(OSError, match="Too many"):
        write_text(loop, "new")


def test_a_device_and_a_pipe_are_written_to(tmp_path: Path) -> None:
    write_bytes(Path(os.devnull), b"lost")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    os.mkfifo(tmp_path / "pipe")
    reader = subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE)
    write_bytes(tmp_path / "pipe", b"whole")
    assert reader.communicate(timeout=20)[0] == b"whole"


LOOP = """
import sys
from itertools import cycle
from pathlib import Path
from openpoint.atomic import write_bytes
for letter in cycle((b"a", b"b")):
    write_bytes(Path(sys.argv[1]), letter * 3_000_000)
    print(flush=True)
"""


def test_a_kill_at_any_moment_leaves_a_whole_file(tmp_path: Path) -> None:
    draw, file = random.Random(5), tmp_path / "file"
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", LOOP, file], stdout=subprocess.PIPE)
        process.stdout.readline()
        time.sleep(draw.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        left = file.read_bytes()
        assert len(left) == 3_000_000
        assert left == left[:1] * len(left)


def test_a_grid_survives_a_disk_without_room(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True)
    if made.returncode:
        pytest.skip("no disk may be mounted here")
    try:
        openpoint.write(GRID, disk / "grid.dss")
        before = (disk / "grid.dss").read_bytes()
        (disk / "rest").write_bytes(bytes(64 * 1024 - 4096 * (1 + len(before) // 4096 + 1)))
        with pytest.raises(openpoint.OptionError, match=r"grid\.dss cannot be written: No space left on device"):
            openpoint.write("baran33", disk / "grid.dss")
        assert contents(disk).keys() == {"grid.dss", "rest"}
        assert (disk / "grid.dss").read_bytes() == before
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
