"""What gets past the filter of statements can do nothing: the engine runs where it can neither write nor read."""

from __future__ import annotations

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from openpoint.errors import InputError
from openpoint.io.opendss import process as opendss_process
from openpoint.io.opendss.process import run_script
from openpoint.io.opendss.statement import Statement
from openpoint.io.opendss.text import Script, read_script
from tests.io.feeders import LINE, LOAD, SUB, script

CIRCUIT = script(SUB + LINE + LOAD)
HOSTILE = (
    "new loadshape.s npts=3 interval=1 mult=(1 2 3)",
    "set datapath={folder}",
    "set recorder=yes",
    "loadshape.s.action=dblsave",
    "loadshape.s.action=sngsave",
    "export voltages {folder}/voltages.csv",
    "export loads",
    "save circuit dir={folder}/saved",
    "save vsource file={folder}/sources.dss",
    "dump",
    "show voltages",
    "doscmd touch {folder}/canary",
    "new generator.g bus1=b kv=12.47 kw=1 model=6 usermodel={folder}/library.so",
    "solve",
    "new monitor.m element=line.l1 mode=1",
    "solve mode=daily number=3",
    "export monitors m",
    "redirect {folder}/more.dss",
    "new loadshape.t npts=1 csvfile={folder}/secret.csv",
)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a library, a script and numbers; it must look the same afterwards."""
    library = next(path for path in (Path(np.__file__).parent / "random").iterdir() if path.suffix in (".so", ".pyd"))
    shutil.copy(library, tmp_path / "library.so")
    (tmp_path / "more.dss").write_text("new load.redirected bus1=b kv=12.47 kw=5\n")
    (tmp_path / "secret.csv").write_text("123456\n")
    before = listing(tmp_path)
    yield tmp_path
    assert listing(tmp_path) == before


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def engine_process() -> opendss_process._Process:
    """A process that has read a circuit."""
    opendss_process._end_kept()
    run_script("check", "", Script())
    return opendss_process._kept[0]


def confined_or_skip() -> opendss_process._Process:
    process = engine_process()
    if not process.confined:
        pytest.skip("the system has no Landlock")
    return process


@pytest.mark.parametrize("text", HOSTILE)
def test_a_statement_that_bypasses_the_filter_does_nothing(text: str, folder: Path) -> None:
    process = confined_or_skip()
    (folder.parent / "a.dss").write_text(CIRCUIT)
    hostile = read_script(folder.parent / "a.dss")
    for line in dict.fromkeys((*HOSTILE[:3], text, "solve")):
        command = line.format(folder=folder)
        hostile.statements.append(Statement(folder / "x.dss", 1, "set", command, command))
    try:
        found = run_script("grid", "a.dss", hostile, places={}, solve=True)
        assert "redirected" not in {row["name"] for row in found["tables"]["loads"]}
    except InputError:
        pass
    assert sorted(Path(process.folder).iterdir()) == []


def test_a_library_is_not_even_opened(folder: Path) -> None:
    """A library that is opened and is no user model is told in other words, for it lacks a function."""
    confined_or_skip()
    lines = ("new circuit.c bus1=a", f"new generator.g bus1=b kw=1 model=6 usermodel={folder}/library.so")
    hostile = Script(statements=[Statement(folder / "x.dss", 1, "set", line, line) for line in lines])
    with pytest.raises(InputError, match="Not Loaded"):
        run_script("check", "x.dss", hostile)


def test_without_landlock_no_byte_is_written_either(tmp_path: Path) -> None:
    pytest.importorskip("resource")
    process = engine_process()
    limits = Path(f"/proc/{process._process.pid}/limits")
    if not limits.exists():
        pytest.skip("the system does not tell the limits of a process")
    found = {line.split("  ")[0]: line.split()[-3:] for line in limits.read_text().split("\n")}
    assert found["Max file size"][:2] == ["0", "0"]
    assert found["Max core file size"][:2] == ["0", "0"]


def test_the_folder_of_the_engine_ends_with_it() -> None:
    process = engine_process()
    assert Path(process.folder).is_dir()
    opendss_process._end_kept()
    assert not Path(process.folder).exists()


BAIT = (
    "new loadshape.s npts=3 interval=1 mult=(1 2 3) action=dblsave",
    "loadshape.s.action=sngsave",
    "set datapath={folder}",
    "set recorder=yes",
    "generator.g.usermodel={folder}/library.so",
    "new generator.g bus1=b kv=12.47 kw=1 model=6 usermodel={folder}/library.so",
    "edit generator.g shaftmodel={folder}/library.so",
    "new storage.g bus1=b dynadll={folder}/library.so",
    "export voltages {folder}/v.csv",
    "save circuit dir={folder}/saved",
    "new loadshape.t npts=1 mult=(file={folder}/../secret.csv)",
    "redirect {folder}/../more.dss",
)
SIGNS = (
    "'",
    '"',
    "(",
    ")",
    "[",
    "]",
    "{",
    "}",
    "=",
    ",",
    "@",
    "!",
    "~",
    "|",
    "\t",
    "\r",
    "//",
    "/*",
    ".",
    " ",
    "^",
    "\\",
)


def mutated(text: str, draw: random.Random) -> str:
    """The text with words quoted, bracketed, shortened, in capitals, or with signs put in."""
    words = text.split(" ")
    for _ in range(draw.randint(1, 3)):
        k = draw.randrange(len(words))
        name, equals, value = words[k].partition("=")
        left, right = draw.choice(["''", '""', "()", "[]", "{}"])
        way = draw.randrange(7)
        if way == 0:
            words[k] = f"{left}{name}{right}{equals}{value}"
        elif way == 1:
            words[k] = f"{left}{words[k]}{right}"
        elif way == 2:
            words[k] = f"{name[: draw.randint(1, len(name) or 1)]}{equals}{value}"
        elif way == 3:
            place = draw.randint(0, len(words[k]))
            words[k] = words[k][:place] + draw.choice(SIGNS) + words[k][place:]
        elif way == 4:
            words[k] = f"{name} {equals} {value}".upper() if "/" not in words[k] else words[k]
        elif way == 5:
            words[k : k + 1] = [draw.choice(["~", "more", "var @x=1", "edit", "batchedit", "like=g"]), words[k]]
        else:
            words[k] = f"{name}{draw.choice(['==', '= ', ' =', '=,', ',='])}{value}"
    return " ".join(words)


def attack(count: int, seed: int, folder: Path) -> int:
    """Read so many circuits with mutated bait, the filter and the engine as they are; returns how many were refused."""
    draw, refused = random.Random(seed), 0
    path = folder / "a.dss"
    for _ in range(count):
        bait = [mutated(draw.choice(BAIT).format(folder=folder), draw) for _ in range(draw.randint(1, 2))]
        path.write_text(CIRCUIT.replace("Set VoltageBases", "\n".join([*bait, "Set VoltageBases"])))
        try:
            run_script("grid", "a.dss", read_script(path), places={}, solve=True)
        except InputError:
            refused += 1
        path.unlink()
    return refused


def test_mutated_attacks_write_nothing_and_load_nothing(folder: Path) -> None:
    engine_process()
    home = folder / "home"
    home.mkdir()
    assert attack(150, 1, home) > 100
    assert list(home.iterdir()) == []
    for process in opendss_process._kept:
        assert list(Path(process.folder).iterdir()) == []
    home.rmdir()
