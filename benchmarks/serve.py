"""The page under load: odd files that are uploaded, clicks of many while some run, and the picture of a large grid.

Uploads are mutated files of every format that is a grid. After each the server still answers, and tells its faults or
its facts. A click is the fetching of a page, or of what REST tells of a run. The picture is timed in the Chromium of
this machine, without a graphics card.

python -m benchmarks.serve --uploads 200 --clients 20 --seconds 60 --grid bus_10476_84.pos
"""

from __future__ import annotations

import argparse
import random
import shutil
import statistics
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx2 as httpx

from benchmarks.inputs_mutated import GRIDS, mutation_of
from tests.builders.mutated import sound
from tests.web.conftest import TOKEN
from tests.web.served import Served

HEAD = {"authorization": f"Bearer {TOKEN}"}
BETWEEN_S = 3.0
"""Seconds between the clicks of one client, on average."""
RUNS = [{"study": "reconfigure", "grid": "mantovani136", "method": "benders", "time_limit_s": 3600.0}] * 2
_MOVES = """async (count) => {
  const canvas = document.querySelector("canvas"), box = canvas.getBoundingClientRect();
  const frame = () => new Promise((seen) => requestAnimationFrame(() => setTimeout(seen, 0)));
  const tell = (kind, x) => canvas.dispatchEvent(
    new PointerEvent(kind, { pointerId: 1, pointerType: "mouse", clientX: box.left + x, clientY: box.top + 200 }));
  canvas.setPointerCapture = () => {};
  tell("pointerdown", 300);
  await frame();
  const begun = performance.now();
  for (let k = 0; k < count; k++) { tell("pointermove", 300 + 9 * (k % 20)); await frame(); }
  tell("pointerup", 300);
  return 1000 * count / (performance.now() - begun);
}"""


def uploads(served: Served, count: int, seed: int) -> Counter[str]:
    """Upload odd files: how often each kind was refused, told with faults, or read."""
    found: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        made = {kind: files for kind, files in sound(Path(folder)).items() if kind in GRIDS}
    with httpx.Client(base_url=served.at(""), headers=HEAD, timeout=400.0) as client:
        for number in range(count):
            kind, files = mutation_of(made, seed, number)
            sent = [("files", (name, content)) for name, content in files.items()]
            opened = client.post("/api/grids", files=sent)
            if opened.status_code in (400, 422):
                found[f"{kind}: refused"] += 1
                continue
            assert opened.status_code == 201, opened.text
            looked = client.get(f"/api/grids/{opened.json()['grid']}")
            assert looked.status_code == 200, looked.text
            told = looked.json()
            assert told["sound"] or told["problems"], (kind, number)
            found[f"{kind}: {'read' if told['sound'] else 'faults told'}"] += 1
            if any("could not be looked at" in text for _, text in told["problems"]):
                found[f"NOT LOOKED AT {kind} {number}"] += 1
    return found


def clicks(served: Served, clients: int, seconds: float) -> list[float]:
    """Seconds that each click took, while two run."""
    grid = served.ask("/api/grids")[0]["grid"]
    runs = [served.ask("/api/runs", asked)["run"] for asked in RUNS]
    places = ["/", f"/grids/{grid}", f"/grids/{grid}/ask/reconfigure", f"/runs/{runs[0]}", f"/api/runs/{runs[1]}"]
    until, took = time.monotonic() + seconds, []

    def look(number: int) -> None:
        draw = random.Random(number)
        with httpx.Client(base_url=served.at(""), headers=HEAD, timeout=120.0) as client:
            while time.monotonic() < until:
                time.sleep(draw.uniform(0.0, 2.0 * BETWEEN_S))
                begun = time.monotonic()
                assert client.get(draw.choice(places)).status_code == 200
                took.append(time.monotonic() - begun)

    threads = [threading.Thread(target=look, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def picture(served: Served, grid: str) -> tuple[float, float]:
    """Seconds until the picture of a grid is drawn, and how often it is drawn in a second while it is moved."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        executable = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1300, "height": 850})
        page.goto(served.at(f"/?token={TOKEN}"))
        begun = time.monotonic()
        page.goto(served.at(f"/api/grids/{grid}/canvas.html"))
        page.locator("html[data-ready=yes]").wait_for()
        drawn = time.monotonic() - begun
        return drawn, float(page.evaluate(_MOVES, 20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--grid", default="mantovani136", help="a file, or the name of a built-in grid")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        served = Served(Path(folder), "--runs", "2", asked.grid)
        try:
            (grid,) = (each["grid"] for each in served.ask("/api/grids"))
            served.ask(f"/api/grids/{grid}")  # looked at before it is timed
            if asked.seconds:
                print("picture of {}: drawn in {:.2f} s, {:.1f} frames/s".format(asked.grid, *picture(served, grid)))
                took = sorted(clicks(served, asked.clients, asked.seconds))
                print(
                    f"{len(took)} clicks of {asked.clients} clients, two run: median {statistics.median(took):.3f} s,"
                )
                print(f"  90 % within {took[int(0.9 * len(took))]:.3f} s, the longest {took[-1]:.3f} s")
            for run in served.ask("/api/runs"):
                for _ in range(2):
                    served.ask(f"/api/runs/{run['run']}/stop", {})
            for told, count in sorted(uploads(served, asked.uploads, asked.seed).items()):
                print(f"{count:4} {told}")
        finally:
            served.end()


if __name__ == "__main__":
    main()
