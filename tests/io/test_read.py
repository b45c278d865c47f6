"""The door in and the door out: which format, which name, and what is said when there is none."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import openpoint
from openpoint.errors import InputError, OptionError
from openpoint.grid import builtin

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("name", ["small.m", "small.pos", "small.json"])
def test_files_by_ending_and_by_content(name: str, tmp_path: Path) -> None:
    by_ending = openpoint.read(DATA / name)
    copy = tmp_path / "net.txt"
    shutil.copy(DATA / name, copy)
    by_content = openpoint.read(str(copy))
    assert by_content.buses.equals(by_ending.buses)
    assert by_content.lines.equals(by_ending.lines)


@pytest.mark.parametrize("tables", ["csv", "parquet"])
def test_folder_round_trip(tables: str, tmp_path: Path) -> None:
    grid = openpoint.read("baran33")
    openpoint.write(grid, tmp_path / "deep" / "folder", tables=tables)  # type: ignore[arg-type]
    assert openpoint.read(tmp_path / "deep" / "folder").equals(grid)
    assert openpoint.read(tmp_path / "deep" / "folder" / "grid.toml").equals(grid)


def test_writing_over_an_earlier_grid_leaves_nothing_of_it(tmp_path: Path) -> None:
    openpoint.write(openpoint.read(DATA / "small.m"), tmp_path, tables="parquet")
    grid = openpoint.read("civanlar16")
    openpoint.write(grid, tmp_path)
    assert openpoint.read(tmp_path).equals(grid)
    assert openpoint.read(tmp_path).notes == ()


def test_nothing_but_grids_is_written_over(tmp_path: Path) -> None:
    grid = openpoint.read("civanlar16")
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(OptionError, match="new folder"):
        openpoint.write(grid, tmp_path)
    (tmp_path / "letter").write_text("dear")
    with pytest.raises(OptionError, match="is a file"):
        openpoint.write(grid, tmp_path / "letter")
    with pytest.raises(OptionError, match="cannot be written"):
        openpoint.write(grid, tmp_path / "letter.txt" / "deeper")
    with pytest.raises(OptionError, match="parquet"):
        openpoint.write(grid, tmp_path / "new", tables="xlsx")  # type: ignore[arg-type]
    assert (tmp_path / "letter.txt").read_text() == (tmp_path / "letter").read_text() == "dear"


@pytest.mark.parametrize(
    "name", ["out.m", "out.M", "out.json", "out.pos", "out.xyz", "out.csv", "letter.txt", "my.grid"]
)
def test_a_grid_is_not_written_under_the_ending_of_another_format(name: str, tmp_path: Path) -> None:
    before = tmp_path / "letter.txt"
    before.write_text("dear")
    for path in (tmp_path / name, str(tmp_path / name)):
        with pytest.raises(
            OptionError, match=rf"not written as {Path(name).suffix.lower()}, only as a folder of tables"
        ):
            openpoint.write("civanlar16", path)
    assert [*tmp_path.iterdir()] == [before]
    assert before.read_text() == "dear"


def test_a_folder_may_have_a_dot_in_its_name(tmp_path: Path) -> None:
    grid = openpoint.read("civanlar16")
    (tmp_path / "there.m").mkdir()
    for name in ("my.grid-v1.2", "area.2030", ".hidden", "grid.microgrids", "slash.m/", "there.m"):
        openpoint.write(grid, f"{tmp_path}/{name}")
        assert (tmp_path / name).is_dir()
        assert openpoint.read(tmp_path / name).equals(grid)


def test_a_format_of_tables_is_for_folders(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="tables='parquet' is for a folder of tables"):
        openpoint.write("ieee13", tmp_path / "out.dss", tables="parquet")
    assert not [*tmp_path.iterdir()]


def test_a_path_goes_before_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert openpoint.read("baran33").name == "baran33"
    openpoint.write(openpoint.read("civanlar16"), "baran33")
    assert openpoint.read("baran33").name == "civanlar16"


@pytest.mark.parametrize("name", ["baran34", "no such file.m", "", "a\0b", "x" * 5000])
def test_unknown_names_list_the_cases(name: str) -> None:
    with pytest.raises(InputError) as caught:
        openpoint.read(name)
    assert all(case in str(caught.value) for case in builtin.names()) or name == "x" * 5000


def test_close_names_are_offered() -> None:
    with pytest.raises(InputError, match="Did you mean baran33"):
        openpoint.read("baran3")


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.m", b"", "empty"),
        ("a.m", b"\n \n", "empty"),
        ("a.m", b"\x00\x01\x02", "binary"),
        ("a.m", bytes(range(1, 256)), "a.m"),
        ("a.pos", b"\xff\xfe\x00", "binary"),
        ("a.json", b"\x80\x04\x95", "JSON"),
        ("a.xyz", b"hello", "MATPOWER"),
        ("buses.csv", b"name,vn_kv\n", "folder"),
    ],
)
def test_files_that_are_no_grids(name: str, content: bytes, told: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=told):
        openpoint.read(tmp_path / name)


def test_a_folder_that_is_no_grid(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"grid\.toml"):
        openpoint.read(tmp_path)


def test_a_faulty_grid_can_be_read_and_says_what_is_wrong(tmp_path: Path) -> None:
    openpoint.write(openpoint.read("baran33"), tmp_path)
    loads = tmp_path / "loads.csv"
    loads.write_text(loads.read_text().replace("2,2,100,60", "2,2,-100,60"))
    grid = openpoint.read(tmp_path)
    assert [(p.table, p.row, p.column) for p in grid.problems()] == [("loads", "2", "p_kw")]
    with pytest.raises(InputError):
        grid.check()
