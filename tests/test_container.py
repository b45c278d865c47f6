"""The container of the page: built and started where a builder is at hand; what it names is there in any case."""

import json
import os
import shutil
import subprocess
import uuid
from pathlib import Path
from urllib.error import URLError
from urllib.request import Request, urlopen

import pytest

from openpoint.cli.serve import serve

ROOT = Path(__file__).parents[1]
FILE = ROOT / "Containerfile"


def builder() -> str | None:
    """A builder of containers that answers."""
    found = [name for name in ("podman", "docker") if shutil.which(name)]
    return next((name for name in found if not subprocess.run([name, "info"], capture_output=True).returncode), None)


def lines(word: str) -> list[str]:
    """The instructions that begin with a word."""
    text = FILE.read_text(encoding="utf-8")
    return [line.removeprefix(word).strip() for line in text.splitlines() if line.startswith(word)]


def test_what_the_container_is_made_of_is_there() -> None:
    sources = [name for line in lines("COPY") for name in line.split()[:-1]]
    assert all((ROOT / name).exists() for name in sources)
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    assert {f"!{name}" for name in sources} <= set(kept)
    command, *options = json.loads(lines("ENTRYPOINT")[0])[1:]
    assert command == serve.__name__
    assert {name.removeprefix("--") for name in options if name.startswith("--")} <= set(serve.__annotations__)


@pytest.mark.skipif(builder() is None, reason="no builder of containers answers")
def test_the_container_is_built_and_its_page_starts() -> None:
    name, token, made = f"openpoint-{uuid.uuid4().hex[:12]}", uuid.uuid4().hex, str(builder())
    subprocess.run([made, "build", "--file", str(FILE), "--tag", name, str(ROOT)], check=True)
    try:
        command = [made, "run", "--rm", "--detach", "--name", name, "--publish", "127.0.0.1::8642"]
        subprocess.run(
            [*command, "--env", "OPENPOINT_TOKEN", name], check=True, env={**os.environ, "OPENPOINT_TOKEN": token}
        )
        said = subprocess.run([made, "port", name, "8642"], check=True, capture_output=True, text=True).stdout
        asked = Request(f"http://{said.split()[0]}/api/schemas", headers={"authorization": f"Bearer {token}"})
        subprocess.run(
            [made, "exec", name, "sh", "-c", "until grep -q :21C2 /proc/net/tcp; do sleep 0.2; done"], check=True
        )
        try:
            with urlopen(asked) as response:
                assert "reconfigure" in json.load(response)
        except URLError as error:
            raise AssertionError(subprocess.run([made, "logs", name], capture_output=True, text=True).stdout) from error
    finally:
        subprocess.run([made, "rm", "--force", name], capture_output=True)
        subprocess.run([made, "rmi", "--force", name], capture_output=True)
