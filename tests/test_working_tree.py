"""The check that the tests leave the working tree as it was finds what they leave behind and what they remove."""

from pathlib import Path

from tests.working_tree import ROOT, difference, paths


def test_what_comes_and_goes_is_named_and_what_tools_keep_is_not(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.py").write_text("")
    before = paths(tmp_path)
    assert before == {"src", "src/a.py"}
    assert difference(before, before) == []
    for name in (".cache", "out", "src/__pycache__", "flow"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.csv").write_text("")
    (tmp_path / "src" / "a.py").unlink()
    assert difference(before, paths(tmp_path)) == ["left behind: flow", "removed: src/a.py"]


def test_the_tree_that_is_watched_is_that_of_the_project() -> None:
    found = paths()
    assert {"pyproject.toml", "src/openpoint/__init__.py", Path(__file__).relative_to(ROOT).as_posix()} <= found
    assert not [path for path in found if "__pycache__" in path or path.startswith((".venv", ".git/"))]
