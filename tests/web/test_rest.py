"""REST: who comes in, what is told, and answers that are those of the command line and of Python."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

import openpoint
from openpoint.studies.catalog import published, requested
from openpoint.web.desk import Desk
from openpoint.web.request import Command, studies
from openpoint.web.server import OptionError, is_loopback, token_for
from tests.web.conftest import TOKEN

Ended = Callable[[str], list[tuple[str, str]]]
MARKUP = "<img src=x onerror=alert(1)>"
GRID = {
    "grid.toml": f'format = 1\nname = "{MARKUP}"\n',
    "buses.csv": "name,vn_kv\na,10\nb,10\n<b>c</b>,10\n",
    "sources.csv": "name,bus\ns,a\n",
    "loads.csv": "name,bus,p_kw,q_kvar\nl,b,100,20\nm,<b>c</b>,80,10\n",
    "lines.csv": "name,from_bus,to_bus,r_ohm,x_ohm,length_km,switchable,closed\n"
    "1,a,b,0.5,0.3,1,true,true\n2,b,<b>c</b>,0.5,0.3,1,true,true\n3,a,<b>c</b>,0.5,0.3,1,true,false\n",
}


def files(contents: dict[str, str]) -> list[tuple[str, tuple[str, str]]]:
    return [("files", (name, text)) for name, text in contents.items()]


@pytest.mark.parametrize(
    "path", ["/", "/api/runs", "/api/grids", "/api/openapi.json", "/api/runs/0123456789ab/files/x"]
)
def test_nobody_comes_in_without_the_token(stranger: TestClient, path: str) -> None:
    for headers in ({}, {"authorization": "Bearer wrong"}, {"cookie": "openpoint_1234=wrong"}, {"cookie": "a=\x00;;="}):
        found = stranger.get(path, headers=headers)
        assert found.status_code == 401
        assert "openpoint serve" in found.json()["detail"]
    assert stranger.get(f"{path}?token=wrong").status_code == 401
    assert stranger.post("/api/runs", json={}).status_code == 401


def test_the_token_is_changed_for_a_cookie_and_leaves_the_address(stranger: TestClient) -> None:
    found = stranger.get(f"/api/runs?token={TOKEN}&a=b")
    assert (found.status_code, found.headers["location"]) == (303, "/api/runs?a=b")
    assert {"HttpOnly", "SameSite=Strict"} <= set(found.headers["set-cookie"].split("; "))
    assert TOKEN not in found.headers["set-cookie"]
    assert stranger.get("/api/runs").json() == []
    assert stranger.get(f"/%2Fevil.example/?token={TOKEN}").headers["location"] == "/evil.example/"


def test_a_page_of_another_host_cannot_ask(client: TestClient) -> None:
    for origin, status in (("http://evil.example", 401), ("null", 401), ("http://127.0.0.1:1234", 422)):
        found = client.post("/api/runs", json={"study": "x"}, headers={"origin": origin})
        assert found.status_code == status


def test_no_answer_lets_a_page_ask_another_host(client: TestClient) -> None:
    for path in ("/api/runs", "/nothing", "/api/openapi.json"):
        headers = client.get(path).headers
        assert "default-src 'none'" in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"


def test_a_body_has_a_limit(client: TestClient) -> None:
    assert client.post("/api/grids", files={"files": ("a.m", b"x" * (3 << 20))}).status_code == 413
    unknown = (b"x" * (1 << 20) for _ in range(3))  # without a length that is told before
    assert client.post("/api/runs", content=unknown, headers={"content-type": "application/json"}).status_code == 413
    assert client.get("/api/grids").json() == []


def test_another_host_needs_a_token() -> None:
    assert [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "grid.example")] == [
        *[True] * 3,
        *[False] * 2,
    ]
    assert token_for("127.0.0.1", "") != token_for("127.0.0.1", "")
    for host, token in (("0.0.0.0", ""), ("127.0.0.1", "short")):
        with pytest.raises(OptionError, match="token"):
            token_for(host, token)


def test_what_is_described_is_what_is_published(client: TestClient) -> None:
    described = client.get("/api/openapi.json").json()
    schema = described["paths"]["/api/runs"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert schema["oneOf"] == [requested(study.name) for study in studies()]
    assert client.get("/api/schemas/reconfigure").json() == published("reconfigure")
    assert client.get("/api/schemas/harden/request").json() == requested("harden")
    assert client.get("/api/schemas/nothing").status_code == 422
    assert set(client.get("/api/schemas").json()) >= {study.name for study in studies()}


def test_a_question_from_the_file_to_the_proof(client: TestClient, ended: Ended, tmp_path: Path) -> None:
    """The answer is that of Python to the last digit, markup in names or not."""
    opened = client.post("/api/grids", files=files(GRID))
    assert opened.status_code == 201, opened.text
    grid = opened.json()["grid"]
    looked = client.get(f"/api/grids/{grid}").json()
    assert (looked["sound"], looked["branches"][2]) == (True, ["3", False, True])
    page = client.get(f"/api/grids/{grid}/today.html")
    assert MARKUP not in page.text
    assert page.headers["content-security-policy"].startswith("sandbox allow-scripts")
    asked = {"study": "reconfigure", "grid": grid, "v_max": 1.1, "certificate": "proof.cert"}
    run = client.post("/api/runs", json=asked).json()["run"]
    events = ended(run)
    assert json.loads(events[-1][1])["words"] == "solved: optimal, or within the gap asked for"
    assert {"line", "bounds", "state"} == {kind for kind, _ in events}
    folder = tmp_path / "grid"
    folder.mkdir()
    for name, text in GRID.items():
        (folder / name).write_text(text, encoding="utf-8")
    own = openpoint.reconfigure(folder, limits=openpoint.Limits(v_max_pu=1.1), certificate=tmp_path / "p.cert")
    assert steady(client.get(f"/api/runs/{run}/result").json()) == steady(own.document())
    told = client.get(f"/api/runs/{run}").json()
    assert set(told["files"]) == {"proof.cert", "report.html", "result.json", "result.xlsx"}
    assert str(tmp_path) not in json.dumps(told)
    checked = client.post(f"/api/runs/{run}/verify").json()["run"]
    verified = json.loads(ended(checked)[-1][1])
    assert (verified["code"], verified["words"].partition(":")[0]) == (0, "the certificate proves what is printed")
    assert "--v-max=1.1" in verified["command"]
    assert client.get(f"/api/runs/{checked}/result").json()["study"] == "claim"


def steady(document: dict[str, Any]) -> dict[str, Any]:
    """A result without what differs from run to run: seconds, and the limit of time, which a command always has."""
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in document["iterations"]]
    return {**{k: v for k, v in document.items() if k not in ("seconds", "method")}, "iterations": rows}


def test_a_faulty_file_is_told_as_on_the_command_line(client: TestClient) -> None:
    broken = {**GRID, "loads.csv": "name,bus,p_kw\nl,b,much\nm,nowhere,1\n"}
    grid = client.post("/api/grids", files=files(broken)).json()["grid"]
    looked = client.get(f"/api/grids/{grid}").json()
    assert not looked["sound"]
    assert any("'much'" in text for _, text in looked["problems"])
    assert client.get(f"/api/grids/{grid}/today.html").status_code == 404


@pytest.mark.parametrize(
    ("asked", "status", "told"),
    [
        ({"study": "reconfigure", "grid": "0123456789ab"}, 422, "no grid is open"),
        ({"study": "reconfigure", "grid": "../baran33"}, 422, "no grid is open"),
        ({"study": "reconfigure", "grid": "/etc/passwd"}, 422, "no grid is open"),
        ({"study": MARKUP, "grid": "baran33"}, 422, "The studies are"),
        ({"study": ["reconfigure"], "grid": "baran33"}, 422, "Did you mean"),
        ({"study": "compare", "grid": "baran33"}, 422, "openpoint compare --help"),
        ({"study": "reconfigure", "grid": "baran33", "v_min": "low", "certificate": "a/b"}, 422, "Also: certificate"),
        ({"grid": "baran33"}, 422, "The studies are"),
    ],
)
def test_what_makes_no_sense_is_refused(client: TestClient, asked: dict[str, Any], status: int, told: str) -> None:
    found = client.post("/api/runs", json=asked)
    assert found.status_code == status
    assert told in found.json()["detail"]
    assert client.get("/api/runs").json() == []


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"1", b'"x"', b"[" * 100_000])
def test_what_is_no_request_is_refused(client: TestClient, body: bytes) -> None:
    found = client.post("/api/runs", content=body, headers={"content-type": "application/json"})
    assert found.status_code in (400, 422)


@pytest.mark.parametrize(
    "path", ["runs/0123456789ab", "runs/..%2f..%2fx", "runs/x/result", "grids/x", "grids/x/today.html"]
)
def test_what_is_not_there_is_not_found(client: TestClient, path: str) -> None:
    assert client.get(f"/api/{path}").status_code == 404


def test_only_files_of_the_result_are_handed_out(
    client: TestClient, desk: Desk, ended: Ended, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
    desk.runs._module = "tests.web.sleeper"
    run = desk.runs.start("powerflow", desk.grids.built_in("civanlar16"), {}, Command(("one",), "one", "")).identity
    ended(run)
    assert client.get(f"/api/runs/{run}/files/result.json").status_code == 200
    for name in ("run.json", "..%2frun.json", "%2e%2e%2frun.json", "log.txt", "/etc/passwd"):
        assert client.get(f"/api/runs/{run}/files/{name}").status_code == 404
    assert client.get(f"/api/runs/{run}/certificate").status_code == 404
    assert client.post(f"/api/runs/{run}/verify").status_code == 422
    whole = client.get(f"/api/runs/{run}/events").text
    assert whole.startswith('id: 9\nevent: line\ndata: "done one"\n\n')
    again = client.get(f"/api/runs/{run}/events", headers={"last-event-id": "9"}).text
    assert whole.endswith(again)
    assert "event: line" not in again


def test_grids_and_runs_are_removed_when_they_have_ended(
    client: TestClient, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), *sys.path]))
    desk.runs._module = "tests.web.sleeper"
    grid = client.post("/api/grids", files=files(GRID)).json()["grid"]
    (tmp_path / "outside").mkdir()
    (desk.grids.get(grid).folder / "link").symlink_to(tmp_path / "outside")
    run = desk.runs.start("powerflow", desk.grids.get(grid), {}, Command(("stubborn",), "", "")).identity
    paths = (f"/api/grids/{grid}", f"/api/runs/{run}")
    assert [client.delete(path).status_code for path in paths] == [422, 422]
    while client.get(f"/api/runs/{run}").json()["state"] != "ended":
        client.post(f"/api/runs/{run}/stop")
    assert [client.delete(path).json() for path in paths] == [[], []]
    assert [client.delete(path).status_code for path in paths] == [404, 404]
    assert [*tmp_path.rglob("run.json"), *tmp_path.rglob("grid.json")] == []
    assert (tmp_path / "outside").is_dir()


def test_fifty_runs_at_once_are_more_than_may_wait(client: TestClient) -> None:
    asked = {"study": "powerflow", "grid": "civanlar16"}
    statuses = [client.post("/api/runs", json=asked).status_code for _ in range(50)]
    assert set(statuses) == {202, 429}
    for run in client.get("/api/runs").json():
        client.post(f"/api/runs/{run['run']}/stop")


def test_odd_names_of_uploads_are_refused_and_the_server_stays_up(client: TestClient, tmp_path: Path) -> None:
    for name in ("../x.m", "..\\x.m", "/x.m", "a/../x.m", ".x.m"):
        assert client.post("/api/grids", files=[("files", (name, "x"))]).status_code in (400, 422)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
    assert client.post("/api/grids").status_code == 422
    assert client.get("/api/grids").json() == []
