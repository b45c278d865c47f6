"""Sound input files of every format, and random mutations of them: bytes, words, rows, values and their types."""

import io
import json
import math
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl

import openpoint
from openpoint.io.workbook.write import workbook_from_grid
from openpoint.scenarios.day.tables import built_in_days, read_day
from tests.io import test_cgmes, test_pgm, test_workbook

Files = dict[str, bytes]
"""The files of an input by name; a single one, or those of a folder."""

DATA = Path(__file__).parents[1] / "io" / "data"
GRID = "civanlar16"
NUMBERS = ("nan", "inf", "-inf", "1e308", "-1e308", "1e-320", "1e400", "0", "-1", "0.5", "9" * 20, "1" * 400)
WORDS = ("", "true", "null", "NULL", "é中", "\U0001f600", "'", '"', ",", ";", "\t", "=1+1", "..", "%{", "[", "a" * 5000)
VALUES: tuple[Any, ...] = (None, True, -1, 0, 1e308, 10**30, math.nan, math.inf, "", "x", [], {}, [[]])
_WORD = re.compile(rb"[-+]?\d[\w.+-]*|\w+")


def sound(folder: Path) -> dict[str, Files]:
    """Sound files of each format, by the name of the format; those of tables are for the grid `GRID`."""
    grid = openpoint.read(GRID)
    made: dict[str, Files] = {end: {f"a.{end}": (DATA / f"small.{end}").read_bytes()} for end in ("m", "json", "pos")}
    made["pgm"] = {"a.json": json.dumps(test_pgm.content()).encode()}
    made["dss"] = {"a.dss": circuit(folder)}
    made["xlsx"] = {"a.xlsx": workbook_from_grid(grid)}
    for kind in ("csv", "parquet"):
        openpoint.write(grid, folder / kind, tables=kind)
        made[kind] = of_folder(folder / kind)
    made["simbench"] = of_folder(test_pgm.small(folder / "simbench"))
    made["cgmes"] = of_folder(test_cgmes.ring().write(folder / "cgmes"))
    made["zip"] = {"a.zip": zipped(made["cgmes"])}
    made["vision"] = {"a.xlsx": test_workbook.save(folder, test_workbook.sheets()).read_bytes()}
    zhang = openpoint.read("zhang13")
    tables = {"futures": openpoint.grow(grid, count=3, seed=1).table()}
    tables["disasters"] = openpoint.storms(zhang, count=3, seed=1).table(zhang)
    for name, table in tables.items():
        buffer = io.BytesIO()
        table.write_parquet(buffer)
        made[name] = {"a.csv": table.write_csv().encode()}
        made[f"{name} parquet"] = {"a.parquet": buffer.getvalue()}
    made["horizon"] = {"steps.csv": b"step,hours\nnoon,1\nnight,2\n", "events.csv": b"step,branch,event\nnoon,1,x\n"}
    made["year"] = {"a.csv": b"hours,load\n" + b"".join(b"365,%d\n" % (k + 1) for k in range(24))}
    read_day(built_in_days()[0]).write(folder / "day")
    made["day"] = of_folder(folder / "day")
    made["priorities"] = {"a.csv": b"load,priority\na,2\nb,0.5\n"}
    made["geojson"] = {"a.geojson": json.dumps({"type": "FeatureCollection", "features": _points(grid)}).encode()}
    made["options"] = {"a.toml": b'gap = 1e-3\n[reconfigure]\nmax-changes = 2\nopen = ["7"]\nquiet = true\n'}
    return made


def circuit(folder: Path) -> bytes:
    openpoint.write(GRID, folder / "a.dss")
    return (folder / "a.dss").read_bytes()


def of_folder(folder: Path) -> Files:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def zipped(files: Files) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _points(grid: openpoint.Grid) -> list[dict[str, Any]]:
    places = {name: {"type": "Point", "coordinates": [8 + k / 100, 50]} for k, name in enumerate(grid.buses["name"])}
    return [{"type": "Feature", "properties": {"name": name}, "geometry": at} for name, at in places.items()]


def mutated(files: Files, draw: random.Random) -> Files:
    """The files with one to three mutations in one of them; now and then one is missing or has another's content."""
    files, name = dict(files), draw.choice(sorted(files))
    if len(files) > 1 and draw.random() < 0.05:
        del files[name]
        return files
    for _ in range(draw.randint(1, 3)):
        files[name] = mutation(name, files[name], draw)
    return files


def mutation(name: str, content: bytes, draw: random.Random) -> bytes:
    """The content of a file with one mutation that suits its format."""
    if name.endswith((".xlsx", ".zip")) and draw.random() < 0.7:
        return _in_archive(content, draw)
    if name.endswith(".parquet") and draw.random() < 0.7:
        return _in_table(content, draw)
    if name.endswith(("json",)) and draw.random() < 0.6:
        return _in_json(content, draw)
    ways: tuple[Callable[[bytes, random.Random], bytes], ...] = (_in_bytes, _in_words, _in_words, _in_rows, _in_cells)
    return draw.choice(ways)(content, draw)


def _in_bytes(content: bytes, draw: random.Random) -> bytes:
    if not content:
        return bytes(draw.randrange(256) for _ in range(20))
    at, long = draw.randrange(len(content)), draw.choice((1, 1, 4, 30, 500))
    way = draw.randrange(6)
    if way == 0:
        return content[:at]
    if way == 1:
        return content[:at] + content[at + long :]
    if way == 2:
        return content[:at] + content[at : at + long] * draw.choice((2, 3, 300)) + content[at + long :]
    new = bytes(draw.randrange(256) for _ in range(long)) if way < 5 else bytes(long)
    return content[:at] + new + content[at + (long if way % 2 else 0) :]


def _in_words(content: bytes, draw: random.Random) -> bytes:
    words = list(_WORD.finditer(content[:200_000]))
    if not words:
        return _in_bytes(content, draw)
    word = draw.choice(words)
    new = draw.choice(NUMBERS if word[0][:1].isdigit() and draw.random() < 0.7 else WORDS).encode()
    if draw.random() < 0.2:
        new = draw.choice(words)[0]
    return content[: word.start()] + new + content[word.end() :]


def _in_rows(content: bytes, draw: random.Random) -> bytes:
    rows = content.split(b"\n")
    at, way = draw.randrange(len(rows)), draw.randrange(5)
    if way == 0:
        del rows[at]
    elif way == 1:
        rows[at:at] = [rows[at]] * draw.choice((1, 2, 2000))
    elif way == 2:
        other = draw.randrange(len(rows))
        rows[at], rows[other] = rows[other], rows[at]
    elif way == 3:
        rows[at] += rows[draw.randrange(len(rows))]
    else:
        rows.insert(at, draw.choice((*NUMBERS, *WORDS)).encode())
    return b"\n".join(rows)


def _in_cells(content: bytes, draw: random.Random) -> bytes:
    """A row with a cell more or less or another one, where there are separators."""
    rows = content.split(b"\n")
    at = draw.randrange(len(rows))
    sign = draw.choice((b",", b";", b" ", b"\t"))
    cells = rows[at].split(sign)
    k = draw.randrange(len(cells))
    way = draw.randrange(4)
    if way == 0:
        del cells[k]
    elif way == 1:
        cells.insert(k, draw.choice((*NUMBERS, *WORDS)).encode())
    elif way == 2:
        cells[k] = draw.choice((*NUMBERS, *WORDS)).encode()
    else:
        cells *= draw.choice((2, 50))
    rows[at] = sign.join(cells)
    return b"\n".join(rows)


def _in_archive(content: bytes, draw: random.Random) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
    except Exception:
        return _in_bytes(content, draw)
    name = draw.choice(sorted(parts))
    way = draw.randrange(8)
    if way == 0:
        del parts[name]
    elif way == 1:
        parts[name] = parts[draw.choice(sorted(parts))]
    elif way < 4:
        parts[name] = _in_bytes(parts[name], draw)
    else:
        parts[name] = _in_words(parts[name], draw)
    return zipped(parts)


def _in_table(content: bytes, draw: random.Random) -> bytes:
    try:
        frame = pl.read_parquet(io.BytesIO(content))
        column = draw.choice(frame.columns)
        made = draw.choice(
            (
                lambda: frame.drop(column),
                lambda: frame.rename({column: draw.choice(WORDS)}),
                lambda: frame.with_columns(pl.lit(None).alias(column)),
                lambda: frame.with_columns(
                    pl.lit(draw.choice((float("nan"), -1e308, "x", True, b"x", 10**18))).alias(column)
                ),
                lambda: frame.with_columns(pl.col(column).cast(pl.String)),
                lambda: frame.with_columns(pl.col(column).implode().over(pl.int_range(frame.height)).alias(column)),
                lambda: frame.with_columns(pl.struct(pl.all()).alias(column)),
                lambda: frame.with_columns(pl.lit(1).cast(pl.Date).alias(column)),
                lambda: pl.concat([frame] * 3),
                lambda: frame.head(0),
            )
        )()
        buffer = io.BytesIO()
        made.write_parquet(buffer)
        return buffer.getvalue()
    except (Exception, pl.exceptions.PanicException):
        return _in_bytes(content, draw)


def _in_json(content: bytes, draw: random.Random) -> bytes:
    try:
        data = json.loads(content)
    except (ValueError, RecursionError):
        return _in_words(content, draw)
    return json.dumps(_changed(data, draw)).encode()


def _changed(data: Any, draw: random.Random) -> Any:
    """The data with one value below changed, a key removed, or a row given twice; texts of JSON are gone into."""
    if isinstance(data, str) and data[:1] in "{[" and data:
        try:
            return json.dumps(_changed(json.loads(data), draw))
        except ValueError:
            pass
    if not isinstance(data, dict | list) or not data or draw.random() < 0.05:
        return draw.choice(VALUES)
    data = dict(data) if isinstance(data, dict) else list(data)
    key: Any = draw.choice(list(data)) if isinstance(data, dict) else draw.randrange(len(data))
    way = draw.random()
    if way < 0.05:
        del data[key]
    elif way < 0.1 and isinstance(data, list):
        data.append(data[key])
    elif way < 0.1:
        data[draw.choice((*WORDS, *map(str, data)))] = data[key]
    else:
        data[key] = _changed(data[key], draw)
    return data
