"""Keys of cached machine code follow from what a kernel is made of, so that none that is out of date can run."""

import ast
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import openpoint
from openpoint.compiled.jit import made_of
from openpoint.powerflow.kernel import many
from openpoint.search.enumeration import walk_on
from openpoint.search.infeasibility import advance
from openpoint.search.kernel.entries import explore, propagate
from openpoint.studies.harden.trees import lifted, spanned

SOURCE = Path(openpoint.__file__).parent
KERNELS: list[Callable[..., Any]] = [explore, propagate, advance, walk_on, many, lifted, spanned]


def file_of(module: str) -> Path:
    return Path(str(importlib.import_module(module).__file__))


def imported(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """What the names of a module stand for: a module of the package, and a name in it."""
    return {
        alias.asname or alias.name: (statement.module, alias.name)
        for statement in tree.body
        if isinstance(statement, ast.ImportFrom) and statement.module and statement.module.startswith("openpoint.")
        for alias in statement.names
    }


def calls(file: Path, name: str) -> Iterator[tuple[Path, str]]:
    """The functions and classes of the package that one of its functions or classes calls by name."""
    tree = ast.parse(file.read_text())
    known = imported(tree)
    own = {part.name: part for part in tree.body if isinstance(part, ast.FunctionDef | ast.ClassDef)}
    if name not in own or isinstance(own[name], ast.ClassDef):
        return
    for node in ast.walk(own[name]):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in own:
                yield file, node.func.id
            elif node.func.id in known:
                module, original = known[node.func.id]
                yield file_of(module), original


def files_called(function: Callable[..., Any]) -> set[Path]:
    """Files of everything that a function calls, found in the text of the files alone."""
    waiting = [(file_of(function.__module__), function.__name__)]
    seen = set(waiting)
    while waiting:
        fresh = set(calls(*waiting.pop())) - seen
        seen |= fresh
        waiting += fresh
    return {file for file, _ in seen}


def files_imported(module: str) -> set[Path]:
    """The file of a module, and of every module of the package that it imports by `from`, at any depth."""
    waiting, seen = [module], {module}
    while waiting:
        fresh = {room for room, _ in imported(ast.parse(file_of(waiting.pop()).read_text())).values()} - seen
        seen |= fresh
        waiting += fresh
    return {file_of(each) for each in seen}


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda kernel: kernel.__name__)
def test_the_key_holds_every_file_of_what_a_kernel_calls(kernel: Callable[..., Any]) -> None:
    files, _ = made_of(kernel.py_func)  # type: ignore[attr-defined]
    called = files_called(kernel.py_func)  # type: ignore[attr-defined]
    assert called <= files
    assert files <= files_imported(kernel.__module__)
    assert files_called(explore.py_func) > {SOURCE / "search/kernel/node.py", SOURCE / "search/kernel/bound.py"}  # type: ignore[attr-defined]


def test_constants_of_numpy_are_in_the_key() -> None:
    _, constants = made_of(explore.py_func)  # type: ignore[attr-defined]
    assert any(constant.startswith("NO_BRANCH = ") for constant in constants)


TINY = {
    "__init__.py": "",
    "constants.py": "import numpy as np\n\nFACTOR = np.int64(3)\nTABLE = np.array([1.0, 2.0])\n",
    "inside.py": """
from openpoint.compiled.jit import inlined


@inlined
def added(x: int) -> int:
    return x + 1
""",
    "kernel.py": """
from openpoint.compiled.jit import compiled
from tiny.constants import FACTOR, TABLE
from tiny.inside import added


@compiled
def value(x: int) -> float:
    return FACTOR * sum([added(k) for k in range(x)]) + TABLE[1]
""",
}


def run_tiny(folder: Path) -> tuple[float, bool]:
    """The result of the tiny kernel in a new process, and whether its machine code came from the cache."""
    code = "from tiny.kernel import value; print(value(3), sum(value.dispatcher.stats.cache_hits.values()))"
    path = os.pathsep.join([str(folder), str(SOURCE.parent)])
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": path, "NUMBA_CACHE_DIR": str(folder / "cache")},
    )
    value, hits = done.stdout.split()
    return float(value), int(hits) > 0


def test_machine_code_is_made_anew_where_an_inner_file_or_a_constant_changed(tmp_path: Path) -> None:
    (tmp_path / "tiny").mkdir()
    for name, text in TINY.items():
        (tmp_path / "tiny" / name).write_text(text)
    assert run_tiny(tmp_path) == (20.0, False)
    assert run_tiny(tmp_path) == (20.0, True)
    (tmp_path / "tiny" / "inside.py").write_text(TINY["inside.py"].replace("x + 1", "x + 2"))
    assert run_tiny(tmp_path) == (29.0, False)
    (tmp_path / "tiny" / "constants.py").write_text(TINY["constants.py"].replace("int64(3)", "int64(4)"))
    assert run_tiny(tmp_path) == (38.0, False)


@pytest.mark.parametrize("damage", [b"", b"no pickle", b"\x80\x04.", None])
def test_a_damaged_cache_is_thrown_away_and_said(
    damage: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"kept_{len(damage) if damage is not None else 'data'}"
    (tmp_path / f"{name}.py").write_text(
        "from openpoint.compiled.jit import compiled\n\n\n@compiled\ndef twice(x):\n    return 2 * x\n"
    )
    module = importlib.import_module(name)
    assert module.twice(3) == 6
    (index,), (data,) = tmp_path.rglob("*.nbi"), tmp_path.rglob("*.nbc")
    if damage is None:
        data.write_bytes(data.read_bytes()[:100])
    else:
        index.write_bytes(damage)
    module = importlib.reload(module)
    assert module.twice(4) == 8
    said = capsys.readouterr().err
    assert "is damaged" in said
    assert str(index) in said
    module = importlib.reload(module)
    assert module.twice(5) == 10
    assert not capsys.readouterr().err


@pytest.mark.skipif(sys.platform == "win32", reason="no limit of the size of files there")
@pytest.mark.parametrize("way", ["compiled", "lean"])
def test_a_full_disk_costs_the_cache_only(way: str, tmp_path: Path) -> None:
    (tmp_path / "full.py").write_text(
        f"from openpoint.compiled.jit import {way} as way\n\n\n@way\ndef twice(x: float) -> float:\n    return 2 * x\n"
    )
    code = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10)); import full; print(full.twice(3.0))"
    done = subprocess.run([sys.executable, "-B", "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("6.0\n", "")
    assert not list(tmp_path.rglob("*.nb?"))


@pytest.mark.parametrize("damage", [b"", b"no machine code", None])
def test_damaged_machine_code_is_thrown_away_and_said(
    damage: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    name = f"lean_{len(damage) if damage is not None else 'cut'}"
    text = "from openpoint.compiled.jit import lean\n\n\n@lean\ndef twice(x):\n    return 2 * x\n"
    (tmp_path / f"{name}.py").write_text(text)
    module = importlib.import_module(name)
    assert module.twice(3) == 6
    (kept,) = tmp_path.rglob("*.nbo")
    kept.write_bytes(kept.read_bytes()[:-10] if damage is None else damage)
    module = importlib.reload(module)
    assert module.twice(4) == 8
    said = capsys.readouterr().err
    assert "is damaged" in said
    assert str(kept) in said
    assert importlib.reload(module).twice(5) == 10
    assert not capsys.readouterr().err
    (tmp_path / f"{name}.py").write_text(text.replace("2 * x", "2 * x + x"))
    importlib.invalidate_caches()
    assert importlib.reload(module).twice(5) == 15
    (anew,) = tmp_path.rglob("*.nbo")
    assert anew != kept


def test_machine_code_that_is_kept_is_called_without_numba() -> None:
    code = (
        "import sys, numpy as np; from tests.compiled.test_machine_code import norms, several; "
        "assert norms(several(4)) == norms(several(4)); print('numba' in sys.modules)"
    )
    for expected in ("", "False"):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert expected in done.stdout
