"""Opened grids: uploads stay in their folder whatever they are called, and the file of the grid is found."""

import asyncio
import os
import sys
import tempfile
from pathlib import Path

import pytest
from benchmarks.inputs_mutated import mutation_of
from hypothesis import given
from hypothesis import strategies as st

from openpoint.errors import OptionError
from openpoint.web.desk import Desk
from openpoint.web.grids import Grids, _safe
from openpoint.web.look import LOOK, Look, look
from openpoint.web.runs import Limits
from tests.builders.mutated import sound

WORDS = st.lists(
    st.sampled_from(["..", ".", "", "a", "b.csv", "C:", "~", ".hidden", "\x00", "é", "a" * 200]), min_size=1
)


@given(st.one_of(st.text(max_size=40), WORDS.map("/".join), WORDS.map("\\".join)))
def test_a_name_that_is_taken_stays_in_its_folder(name: str) -> None:
    try:
        path = _safe(name)
    except OptionError:
        return
    root = Path("/kept/files")
    whole = root / path
    assert whole.is_relative_to(root)
    assert whole != root
    assert Path(*whole.parts) == Path(str(whole)).absolute()
    assert not {"..", "."} & set(path.parts)


@pytest.mark.parametrize(
    "name", ["../grid.m", "/etc/passwd", "a/../../b.m", "..\\b.m", "C:\\b.m", ".bashrc", "", "a\nb.m"]
)
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="no name of a file"):
        Grids(tmp_path / "grids").upload({name: b"x"})
    assert not list(tmp_path.rglob("*"))


@pytest.mark.parametrize(
    ("names", "source"),
    [
        (["case.m"], "case.m"),
        (["case.m", "futures.csv"], "case.m"),
        (["my grid/grid.toml", "my grid/lines.csv"], "my grid"),
        (["grid.toml", "lines.csv"], "files"),
        (["f/IEEE123Master.dss", "f/lines.DSS"], "f/IEEE123Master.dss"),
        (["sim/Node.csv", "sim/Line.csv"], "sim"),
        (["cim/a.xml", "cim/b.xml"], "cim"),
    ],
)
def test_the_grid_is_found_among_the_files(tmp_path: Path, names: list[str], source: str) -> None:
    grid = Grids(tmp_path).upload(dict.fromkeys(names, b"x"))
    assert grid.source.endswith(source)
    assert grid.is_own
    assert {name for name, path in grid.files.items() if path.is_file()} == set(names)


def test_several_files_that_may_be_the_grid_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match=r"which file is the grid \(a.m, b.json\)"):
        Grids(tmp_path).upload({"a.m": b"x", "b.json": b"x"})
    assert Grids(tmp_path).upload({"a.m": b"x", "b.json": b"x"}, main="b.json").name == "b.json"


def test_grids_are_there_after_a_restart_and_take_tables(tmp_path: Path) -> None:
    first = Grids(tmp_path).upload({"<img src=x onerror=alert(1)>.m".replace("<", "").replace(">", ""): b"x"})
    again = Grids(tmp_path)
    assert again.get(first.identity) == first
    again.add(first, {"futures.csv": b"x"})
    assert "futures.csv" in again.get(first.identity).files
    with pytest.raises(OptionError, match="such a file already"):
        again.add(again.get(first.identity), {"futures.csv": b"y"})


def test_a_file_that_has_changed_is_looked_at_anew(tmp_path: Path) -> None:
    desk = Desk(tmp_path / "kept", Limits())
    path = tmp_path / "case.m"
    path.write_text("x", encoding="utf-8")
    grid = desk.grids.named(str(path))
    assert desk.grids.named(str(path)).identity == grid.identity
    (grid.folder / LOOK).write_text('{"sound": true}', encoding="utf-8")
    assert desk._known(grid) == Look(sound=True)
    os.utime(path, ns=(2**62, 2**62))
    assert desk._known(grid) is None


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "opendssdirect", None)
    (tmp_path / "feeder.dss").write_text("Clear\nNew Circuit.c\n", encoding="utf-8")
    found, pages = look(str(tmp_path / "feeder.dss"))
    assert not found.sound
    assert not pages
    assert "needs the package 'opendssdirect': pip install" in found.problems[0][1]


def test_a_grid_that_does_not_fit_into_the_memory_is_told_so(tmp_path: Path) -> None:
    desk = Desk(tmp_path, Limits(memory_mb=48))
    found = asyncio.run(desk.look(desk.grids.built_in("civanlar16")))
    assert not found.sound
    assert "it ended with: " in found.problems[0][1]
    assert "48 MB" in found.problems[0][1]


def test_a_built_in_grid_is_opened_once(tmp_path: Path) -> None:
    grids = Grids(tmp_path)
    assert grids.built_in("baran33").identity == grids.built_in("baran33").identity
    with pytest.raises(OptionError, match="Did you mean 'baran33'"):
        grids.built_in("baran3")


@pytest.mark.parametrize("identity", ["../grids", "", "0123456789ab", "0123456789ab/.."])
def test_no_other_folder_is_a_grid(tmp_path: Path, identity: str) -> None:
    (tmp_path / "grid.json").write_text("{}", encoding="utf-8")
    with pytest.raises(OptionError, match="no grid is open"):
        Grids(tmp_path / "grids").get(identity)


def test_odd_files_are_told_with_their_faults_or_looked_at(tmp_path: Path) -> None:
    """Some of what `benchmarks.serve` uploads, looked at in this process."""
    with tempfile.TemporaryDirectory() as folder:
        made = {
            kind: files for kind, files in sound(Path(folder)).items() if kind in ("m", "json", "pos", "csv", "xlsx")
        }
    for number in range(15):
        _, files = mutation_of(made, 3, number)
        try:
            grid = Grids(tmp_path).upload(files)
        except OptionError:
            continue
        found, pages = look(grid.source)
        assert found.problems or found.sound
        assert set(pages) <= {"today.html", "canvas.html"}
