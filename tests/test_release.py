"""What a package index would get: a README whose links lead somewhere, nothing before there is an address."""

import importlib.util
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[1]
ADDRESS = "https://example.org/grids/openpoint"


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def project() -> dict[str, Any]:
    return dict(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"])


def with_address(folder: Path) -> Path:
    """A copy of what a build reads, whose pyproject.toml names a repository."""
    for name in ("README.md", "LICENSE", "hatch_build.py"):
        shutil.copy(ROOT / name, folder)
    package = folder / "src" / "openpoint"
    package.mkdir(parents=True)
    shutil.copy(ROOT / "src" / "openpoint" / "version.py", package)
    (package / "__init__.py").touch()
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    text = re.sub(r'^ *"Private :: Do Not Upload",.*\n', "", text, flags=re.MULTILINE)
    if not project().get("urls"):
        text = text.replace("[project.scripts]", f'[project.urls]\nRepository = "{ADDRESS}/"\n\n[project.scripts]')
    (folder / "pyproject.toml").write_text(text, encoding="utf-8")
    return folder


def test_an_index_refuses_the_upload_until_the_repository_has_an_address(hook: ModuleType) -> None:
    assert bool(hook.repository(project())) != (hook.PRIVATE in project()["classifiers"])


def test_what_stands_against_a_release_is_said_with_what_to_do(hook: ModuleType) -> None:
    bare: dict[str, Any] = {"classifiers": [hook.PRIVATE]}
    assert "Repository = " in hook.fault(bare)
    assert "take it out" in hook.fault({**bare, "urls": {"Repository": ADDRESS}})
    assert not hook.fault({"classifiers": [], "urls": {"Repository": ADDRESS}})


@pytest.mark.parametrize(
    ("relative", "absolute"),
    [
        ("see [this](docs/a.md#b)", f"see [this]({ADDRESS}/blob/v1.2/docs/a.md#b)"),
        ("![a picture](docs/a.png)", f"![a picture]({ADDRESS}/raw/v1.2/docs/a.png)"),
        ("[two\nlines](LICENSE)", f"[two\nlines]({ADDRESS}/blob/v1.2/LICENSE)"),
        ("[outside](https://pola.rs), [here](#methods)", "[outside](https://pola.rs), [here](#methods)"),
    ],
)
def test_links_become_absolute(hook: ModuleType, relative: str, absolute: str) -> None:
    assert hook.absolute(relative, ADDRESS, "v1.2") == absolute


def test_a_wheel_carries_the_readme_with_links_that_lead_somewhere(tmp_path: Path) -> None:
    folder = with_address(tmp_path)
    subprocess.run([sys.executable, "hatch_build.py"], cwd=folder, check=True)
    build = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", "dist"]
    subprocess.run(build, cwd=folder, check=True, capture_output=True)
    (wheel,) = (folder / "dist").glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith("/METADATA"))
        metadata = archive.read(name).decode()
    assert "Description-Content-Type: text/markdown" in metadata
    targets = re.findall(r"\]\(([^)]+)\)", metadata)
    assert len(targets) > 10
    assert not [target for target in targets if not target.startswith(("https://", "#"))]
    inside = re.findall(rf"{re.escape(ADDRESS)}/(?:blob|raw)/v[^/]+/([^#)]+)", metadata)
    assert not [target for target in inside if not (ROOT / target).exists()]


def test_without_an_address_no_release_is_made(tmp_path: Path) -> None:
    if project().get("urls"):
        pytest.skip("the repository has an address")
    for name in ("pyproject.toml", "hatch_build.py"):
        shutil.copy(ROOT / name, tmp_path)
    done = subprocess.run([sys.executable, "hatch_build.py"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 1
    assert "[project.urls]" in done.stderr
