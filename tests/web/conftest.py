"""A desk in a folder of the test, its application behind the door, and who has the token."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from openpoint.web.desk import Desk
from openpoint.web.runs import Limits
from openpoint.web.server import Settings, application

TOKEN = "token-of-the-tests"
CASE = Path(__file__).parents[1] / "cases"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings("127.0.0.1", 1234, TOKEN, tmp_path / "kept", Limits(upload_mb=1), api_only=True)


@pytest.fixture(scope="session")
def looked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a built-in grid has been looked at, once for all tests."""
    folder = tmp_path_factory.mktemp("looked")
    desk = Desk(folder, Limits())
    asyncio.run(desk.look(desk.grids.built_in("civanlar16")))
    return folder


@pytest.fixture
def desk(settings: Settings) -> Desk:
    return Desk(settings.folder, settings.limits)


@pytest.fixture
def stranger(desk: Desk, settings: Settings) -> Iterator[TestClient]:
    """A client without the token."""
    with TestClient(application(desk, settings), base_url="http://127.0.0.1:1234", follow_redirects=False) as client:
        yield client


@pytest.fixture
def client(stranger: TestClient) -> TestClient:
    """A client with the token."""
    stranger.headers["authorization"] = f"Bearer {TOKEN}"
    return stranger


@pytest.fixture
def ended(client: TestClient) -> Callable[[str], list[tuple[str, str]]]:
    """Follows a run until it has ended: its events."""

    def follow(run: str) -> list[tuple[str, str]]:
        with client.stream("GET", f"/api/runs/{run}/events") as response:
            lines = [line for line in response.iter_lines() if line and not line.startswith("id:")]
        kinds, data = lines[::2], lines[1::2]
        return [
            (kind.removeprefix("event: "), each.removeprefix("data: ")) for kind, each in zip(kinds, data, strict=True)
        ]

    return follow
