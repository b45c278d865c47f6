"""The script of the page in a browser, where one is installed: it draws, moves, tells, hides and sorts."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from openpoint.report.page import blocks
from openpoint.studies.reconfigure.result import ReconfigureResult
from tests.builders.pages import render

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
OPTIONS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--window-size=1000,900", "--virtual-time-budget=20000",
)  # fmt: skip

# Does what a reader does; what it found goes into an attribute. A busy browser paints late, so it looks many times.
READER = """
window.addEventListener("error", (event) => { document.body.dataset.error = event.message; });
const until = (done, then, times = 100) => {
  if (done() || times === 0) then();
  else setTimeout(until, 50, done, then, times - 1);
};
const pictures = ["grid-before", "grid-after", "voltage", "loading", "convergence"];
const drawn = () => pictures.map((id) => document.getElementById(id).dataset.drawn);
until(() => drawn().every((state) => state === "yes"), () => {
  const found = { drawn: drawn() };
  const grid = document.querySelector("#grid-after canvas"), tip = document.getElementById("tip");
  const box = grid.getBoundingClientRect();
  const mouse = { bubbles: true, pointerType: "mouse" };
  const at = (x, y, more) => ({ clientX: box.left + x, clientY: box.top + y, ...mouse, ...more });
  found.told = [];
  for (let x = 0; x < box.width; x += 4) {
    for (let y = 0; y < box.height; y += 4) {
      grid.dispatchEvent(new PointerEvent("pointermove", at(x, y, { pointerId: 7 })));
      if (!tip.hidden && !found.told.includes(tip.firstChild.textContent)) found.told.push(tip.firstChild.textContent);
    }
  }
  const before = grid.toDataURL();
  const other = document.querySelector("#grid-before canvas"), also = other.toDataURL();
  document.querySelector("#grid-after button").click();
  grid.dispatchEvent(new WheelEvent("wheel", { deltaY: -200, cancelable: true, ...at(50, 50) }));
  until(() => grid.toDataURL() !== before && other.toDataURL() !== also, () => {
    found.zoomed = [grid.toDataURL() !== before, other.toDataURL() !== also];
    grid.dispatchEvent(new MouseEvent("dblclick", { bubbles: true }));
    document.querySelector("#voltage .legend button").click();
    document.querySelector("#buses th:nth-child(2) button").click();
    const search = document.querySelector("input[data-table=branches]");
    search.value = "n-a";
    search.dispatchEvent(new Event("input"));
    const shown = () => Array.from(document.querySelectorAll("#branches tbody tr")).filter((row) => !row.hidden).length;
    until(() => grid.toDataURL() === before && shown() === 1, () => {
      found.back = grid.toDataURL() === before;
      found.pressed = document.querySelector("#voltage .legend button").getAttribute("aria-pressed");
      found.shown = shown();
      document.querySelector("#switching tbody td:nth-child(2)").click();
      found.sought = [document.getElementById("find").value, document.getElementById("found").value];
      document.body.dataset.found = JSON.stringify(found);
    });
  });
});
"""


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_a_reader_can_use_the_page(make_result: Callable[..., ReconfigureResult], tmp_path: Path) -> None:
    page = render(make_result(rated=True, names={"c": "<b>c"}))
    # The policy of the page forbids the script of the test.
    page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    file = tmp_path / "page.html"
    file.write_text(page.replace("</body>", f"<script>{READER}</script></body>"), encoding="utf-8")
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    body = re.search(r"<body[^>]*>", done.stdout)
    assert body is not None
    assert "data-error" not in body[0]
    result = re.search(r'data-found="([^"]*)"', body[0])
    assert result is not None, body[0]
    found: dict[str, Any] = json.loads(html.unescape(result[1]))
    assert found["drawn"] == ["yes"] * 5
    names = ("north (source)", "a", "b", "<b>c", "d", "e")
    assert {f"bus {name}" for name in names} <= set(found["told"])
    assert {"branch n-a", "branch b-c (opens)", "branch c-e (closes)"} <= set(found["told"])
    assert found["zoomed"] == [True, True]
    assert found["back"] is True, found
    assert found["pressed"] == "false"
    assert found["shown"] == 1
    assert found["sought"] == ["c-e", ""]


@pytest.mark.skipif(BROWSER is None, reason="no Chromium is installed")
def test_packed_data_are_drawn(
    make_result: Callable[..., ReconfigureResult], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "PACKED_FROM", 1000)
    page = render(make_result())
    assert "application/gzip" in page
    file = tmp_path / "page.html"
    file.write_text(page, encoding="utf-8")
    command = [str(BROWSER), *OPTIONS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", file.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert 'data-ready="yes"' in done.stdout
    assert len(re.findall("<canvas", done.stdout)) == 5
