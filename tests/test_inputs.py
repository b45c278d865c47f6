"""Input files: what is no file, what packs much into little, and damage that libraries raise in their own ways."""

import io
import os
import socket
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest

import openpoint
from openpoint import InputError, inputs
from openpoint.grid import table_files
from openpoint.io.workbook.read import sheets_of
from openpoint.io.workbook.write import workbook_from_grid
from openpoint.scenarios.day.clock import read_measured
from openpoint.scenarios.futures import read_futures
from openpoint.scenarios.year.read import read_year
from openpoint.studies.partition.bounds import read_priorities

READERS: dict[str, Callable[[Path], object]] = {
    "grid": openpoint.read,
    "geojson": lambda path: openpoint.read("baran33", geojson=path),
    "futures": lambda path: read_futures(path, "baran33"),
    "disasters": lambda path: openpoint.read_disasters(path, "baran33"),
    "horizon": openpoint.read_horizon,
    "day": openpoint.read_day,
    "state": lambda path: read_measured(path, "13"),
    "year": lambda path: read_year(path, openpoint.read("baran33")),
    "priorities": read_priorities,
    "reliability": openpoint.read_reliability,
}


@pytest.fixture(params=["pipe", "socket", "device"])
def no_file(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Something that is no file, with what messages call it; a pipe to which nobody writes would be read for ever."""
    place = tmp_path / "a.csv"
    if request.param == "pipe":
        os.mkfifo(place)
    elif request.param == "device":
        place.symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as here:
        if request.param == "socket":
            if len(str(place)) > 100:
                pytest.skip("the path is too long for a socket")
            here.bind(str(place))
        yield request.param, place


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_never_opened(reader: str, no_file: tuple[str, Path]) -> None:
    kind, place = no_file
    if reader == "reliability":
        place = place.rename(place.with_suffix(".xlsx"))
    with pytest.raises(InputError, match=rf"{place.name}: this is a {kind}, and no file. Write its"):
        READERS[reader](place)


def test_within_a_folder_neither(tmp_path: Path) -> None:
    openpoint.write("civanlar16", tmp_path / "grid")
    (tmp_path / "grid" / "loads.csv").unlink()
    os.mkfifo(tmp_path / "grid" / "loads.csv")
    with pytest.raises(InputError, match=r"loads.csv: this is a pipe"):
        openpoint.read(tmp_path / "grid")


def zipped(**files: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def unpacked(content: bytes) -> dict[str, bytes]:
    return inputs.unpacked(content, "a.zip", "no archive", "Pack it anew", lambda _: True)


def test_an_archive_is_measured_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inputs, "MOST_BYTES", 1000)
    assert unpacked(zipped(a=b"x" * 900)) == {"a": b"x" * 900}
    with pytest.raises(InputError, match=r"1,200 bytes once unpacked, and at most 1,000 .* OPENPOINT_INPUT_LIMITS=2"):
        unpacked(zipped(a=b"x" * 600, b=b"x" * 600))
    monkeypatch.setenv("OPENPOINT_INPUT_LIMITS", "2")
    assert len(unpacked(zipped(a=b"x" * 600, b=b"x" * 600))) == 2
    for text in ("0", "nan", "many"):
        monkeypatch.setenv("OPENPOINT_INPUT_LIMITS", text)
        with pytest.raises(InputError, match="is no factor"):
            unpacked(zipped(a=b"x"))


def test_an_archive_yields_no_more_than_it_declares() -> None:
    content = zipped(a=b"x" * 100_000)
    lying = content.replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with pytest.raises(InputError, match=r"a.zip, a: this is no archive: Bad CRC-32"):
        unpacked(lying)


def test_values_and_cells_are_counted_before_they_are_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (inputs, table_files):
        monkeypatch.setattr(module, "MOST_COLUMNS", 5)
    monkeypatch.setattr(inputs, "MOST_VALUES", 100)
    with pytest.raises(InputError, match="holds 201 values"):
        inputs.json_of("[" + "1," * 200 + "1]", "a.json", "")
    with pytest.raises(InputError, match="holds 6 columns"):
        table_files.refuse_large_table("a,b,c,d,e,f,g\n", ",", "a.csv")
    rows = pl.DataFrame({"a": [1.0] * 1_000_000})
    buffer = io.BytesIO()
    rows.write_parquet(buffer)
    with pytest.raises(InputError, match="holds 1,000,000 cells"):
        table_files.frame_from_parquet(buffer.getvalue(), "a.parquet", 1000)


def test_deep_json_is_refused(tmp_path: Path) -> None:
    for text in ("[" * 100_000, '{"a":' * 100_000, '{"is_batch": 0, "data": ' + "[" * 100_000):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(InputError, match="nested too deeply"):
            openpoint.read(tmp_path / "a.json")


def test_entities_of_xml_are_refused() -> None:
    text = b'<!DOCTYPE a [<!ENTITY b "ccc">]><a xmlns="x">&b;</a>'
    with pytest.raises(ValueError, match="declarations"):
        inputs.parse_xml(text, ("x",), lambda *_: None, lambda _: None, lambda _: None)


def changed(old: bytes, new: bytes, part: str = "") -> bytes:
    """A sound workbook with a change in one of its parts, or in all of them."""
    content = workbook_from_grid(openpoint.read("civanlar16"))
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert any(old in text for name, text in parts.items() if part in name)
    return zipped(**{name: text.replace(old, new, 1) if part in name else text for name, text in parts.items()})


@pytest.mark.parametrize(
    ("old", "new", "part", "told"),
    [
        (b"UTF-8", b"UTF--5", "sheet4", "unknown encoding"),
        (b'r="A2"', b'r="XFE2"', "sheet2", "this is number 16385"),
        (b'r="A2"', b'r="A99999999"', "sheet2", "is no place of a cell"),
        (b'<row r="2"', b'<row r="9999999"', "sheet2", "this is number 9999999"),
        (b"<v>0</v>", b"<v>999</v>", "sheet1", "there is no text 999"),
        (b"<v>0</v>", b"<v>0<v/>", "sheet1", "is damaged"),
        (b'Target="worksheets/sheet1.xml"', b'Target="elsewhere"', "rels", "elsewhere' is missing"),
        (b"spreadsheetml/2006/main", b"spreadsheetml/-0.0/main", "sharedStrings", "does not belong here"),
        (b"<sheetData>", b"<sheetData><!DOCTYPE", "sheet1", "is damaged"),
    ],
)
def test_a_damaged_workbook_is_refused_with_its_place(old: bytes, new: bytes, part: str, told: str) -> None:
    with pytest.raises(InputError, match=told) as raised:
        sheets_of(changed(old, new, part), "a.xlsx")
    assert raised.value.problems[0].table.startswith("a.xlsx")


def test_a_cell_far_out_takes_no_memory(tmp_path: Path) -> None:
    content = changed(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576"><v>1</v></c></row></sheetData>', "sheet2")
    with pytest.raises(InputError, match="line 1048576: a cell lies beyond the last column name"):
        sheets_of(content, "a.xlsx")
