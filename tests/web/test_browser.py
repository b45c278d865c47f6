"""True flows in the Chromium of this machine; where there is none, they are left out and say so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import openpoint
from tests.web.conftest import TOKEN
from tests.web.test_rest import GRID, MARKUP

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
PATIENT_MS = 120_000
"""The longest that anything is waited for: a run takes a process, and a machine may have other things to do."""


class Served:
    """A server in a process of its own, which can be started again at the same place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 0
        self.begin()

    def begin(self) -> None:
        command = [sys.executable, "-m", "openpoint", "serve", "--port", str(self.port), "--folder", str(self.folder)]
        environment = {**os.environ, "OPENPOINT_TOKEN": TOKEN}
        self.process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        self.port = int(self.address.split(":")[2].partition("/")[0])

    def end(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=60)

    def ask(self, path: str, body: object = None) -> dict[str, object]:
        """What REST answers."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"authorization": f"Bearer {TOKEN}", "content-type": "application/json"}
        with urlopen(Request(f"http://127.0.0.1:{self.port}{path}", data, headers)) as response:
            found: dict[str, object] = json.load(response)
        return found


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, looked: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "kept"
    shutil.copytree(looked, folder)
    server = Served(folder)
    yield server
    server.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def opens(served: Served, browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens windows; at the end none of them has said an error or asked another host."""
    wrong: list[str] = []
    contexts = []

    def opened(width: int = 1300, *, is_in: bool = True) -> Page:
        contexts.append(browser.new_context(viewport={"width": width, "height": 850}, accept_downloads=True))
        page = contexts[-1].new_page()
        page.set_default_timeout(PATIENT_MS)
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        if is_in:
            page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
            page.on("pageerror", lambda error: wrong.append(str(error)))
            page.on("request", lambda asked: None if is_own(asked.url) else wrong.append(asked.url))
            page.goto(served.address)
        return page

    def is_own(address: str) -> bool:
        return address.startswith((f"http://127.0.0.1:{served.port}/", "data:", "blob:"))

    yield opened
    for context in contexts:
        context.close()
    assert wrong == []


def test_a_file_is_opened_a_branch_is_locked_and_the_answer_taken_home(
    opens: Callable[..., Page], tmp_path: Path
) -> None:
    folder = tmp_path / "grid"
    folder.mkdir()
    for name, text in GRID.items():
        (folder / name).write_text(text, encoding="utf-8")
    page = opens()
    page.locator("input[type=file]").first.set_input_files(sorted(folder.iterdir()))
    page.get_by_text(MARKUP).first.wait_for()
    page.get_by_role("link", name="reconfigure", exact=True).click()
    frame = page.frame_locator("#canvas")
    frame.locator("html[data-ready=yes]").wait_for()
    frame.get_by_label("Show bus or branch").fill("2")
    frame.get_by_label("Show bus or branch").press("Enter")
    (canvas,) = [each for each in page.frames if "canvas.html" in each.url]
    spot = canvas.evaluate("() => document.querySelector('canvas').getBoundingClientRect().toJSON()")
    frame.locator("canvas").click(position={"x": spot["width"] / 2, "y": spot["height"] / 2})
    page.get_by_role("button", name="Branches to choose from").click()
    page.locator(".q-chip").get_by_text("2", exact=True).wait_for()
    page.get_by_role("button", name="Run", exact=True).click()
    page.get_by_role("heading", name="Take home").wait_for()
    page.frame_locator("#answer").get_by_text("Proven optimal").first.wait_for()
    with page.expect_download() as download:
        page.get_by_role("link", name="result.json").click()
    download.value.save_as(tmp_path / "result.json")
    found = json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))
    assert found["open_branches"] == ["2"]
    assert found["loss_kw"] == openpoint.reconfigure(folder, locked_open="2").loss_kw


def test_the_keyboard_suffices_on_a_narrow_screen(opens: Callable[..., Page]) -> None:
    page = opens(390)

    def to(role: str, name: str) -> None:
        """Tab until it has the focus."""
        wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
        wanted.wait_for()
        for _ in range(80):
            page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(name)

    to("button", "civanlar16")
    page.keyboard.press("Enter")
    to("link", "reconfigure")
    page.keyboard.press("Enter")
    to("spinbutton", "max changes (n)")
    page.keyboard.type("2")
    to("button", "Run")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Take home").wait_for()
    page.get_by_text("--max-changes=2").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_restart_keeps_the_best_answer_and_a_stranger_sees_nothing(
    served: Served, opens: Callable[..., Page]
) -> None:
    asked = {"study": "reconfigure", "grid": "mantovani136", "method": "benders", "time_limit_s": 300.0}
    run = served.ask("/api/runs", asked)["run"]
    address = f"http://127.0.0.1:{served.port}/runs/{run}"
    page = opens()
    page.goto(address)
    page.get_by_text("upper bound").first.wait_for()
    page.context.close()  # a window that is open says on its console that nobody answers
    served.end()
    served.begin()
    stranger = opens(is_in=False)
    answer = stranger.goto(address)
    assert answer is not None
    assert answer.status == 401
    again = opens()
    again.goto(address)
    again.get_by_text("interrupted by Ctrl-C or SIGTERM").first.wait_for()
    again.frame_locator("#answer").get_by_text("Stopped early").first.wait_for()
