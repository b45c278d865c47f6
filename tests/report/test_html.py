"""The HTML report: complete, alone, deaf to markup in names; its script in a browser, where one is installed."""

import base64
import gzip
import hashlib
import html
import json
import math
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from openpoint.errors import Problem
from openpoint.report.drawing import SHAPES
from openpoint.report.page import blocks
from openpoint.report.page import model as m
from openpoint.report.page.blocks import MOST_ROWS, PACKED_FROM, html_of
from openpoint.results.violation import Violation
from openpoint.studies.reconfigure.result import ReconfigureResult
from openpoint.twostage.log import Termination
from tests.builders.pages import HOSTILE, SCRIPT, Page, drawable, render, write_report

Make = Callable[..., ReconfigureResult]


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [s for child in children for s in strings(child)]


def test_every_shape_of_result_makes_a_page(any_result: ReconfigureResult) -> None:
    page = Page(render(any_result))
    assert ("html", {"lang": "en"}) in page.tags
    assert "Six buses" in page.text
    assert any_result.in_short in page.text
    assert "grid-before" in page.charts
    assert ("grid-after" in page.charts) == (any_result.loss_kw is not None or bool(any_result.least_violation_open))
    assert "nan" not in page.text.lower().split()
    assert "None" not in page.text


def test_the_page_says_what_the_result_says(make_result: Make) -> None:
    page = Page(render(make_result(notes=("a note to keep",))))
    for figure in ("24.000 → 18.000 kW", "6.000 kW (25.0%) saved", "0.96500 pu", "below 0.000001 pu", "a note to keep"):
        assert figure in page.text
    assert "lower bound 18.000 kW" in page.text
    assert "1 to close, 1 to open" in page.text


def test_an_infeasible_result_names_where_and_by_how_much(make_result: Make) -> None:
    page = Page(render(make_result(answer=False)))
    assert "Infeasible." in page.text
    assert "proven that there is no answer" in page.text
    assert "Limits broken at the least violation met (2)" in page.text
    assert "not an answer" in page.text
    for word in ("voltage low", "current", "0.9000", "60.0000", "50.0000"):
        assert word in page.text


def test_a_run_stopped_early_says_what_is_proven(make_result: Make) -> None:
    stopped = replace(
        make_result(), termination=Termination.TIME, gap=0.034, violations=(Violation("current", "n-a", 9.0, 8.0),)
    )
    page = Page(render(stopped))
    assert "Stopped early (time)." in page.text
    assert "No other answer is better by more than 3.4 %." in page.text
    near = Page(render(replace(stopped, gap=5e-4))).text
    assert "Best known (time)." in near
    assert "No other answer is better by more than 0.05 %." in near
    assert "3.4000%" in page.text
    assert "Limits broken by the answer (1)" in page.text
    nothing = replace(make_result(answer=False, least=False), termination=Termination.TIME)
    assert "No answer found (time)." in Page(render(nothing)).text


def test_the_page_is_alone_in_the_world(make_result: Make) -> None:
    page = Page(render(make_result()))
    loading = {"src", "href", "srcset", "data", "action", "poster", "background", "xlink:href"}
    for tag, attrs in page.tags:
        assert tag not in {"link", "iframe", "object", "embed", "base", "form"}
        for name in loading & set(attrs):
            assert (attrs[name] or "").startswith("data:"), (tag, name)
        assert not any(name.startswith("on") for name in attrs)
    css = render(make_result()).split("<style>")[1].split("</style>")[0]
    assert "url(" not in css
    assert "@import" not in css


def test_only_the_script_of_the_page_may_run(make_result: Make) -> None:
    page = Page(render(make_result()))
    policy = page.content("Content-Security-Policy")
    assert policy.startswith("default-src 'none';")
    (script,) = (body for attrs, body in page.scripts if attrs.get("type") != "application/json")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert re.findall(r"'sha256-([^']+)'", policy) == [digest]
    assert "unsafe-inline" not in policy.split("style-src")[0]
    assert "unsafe-eval" not in policy
    # Names are text: nothing in the script makes markup, code or a request of them.
    for word in (
        "innerHTML",
        "outerHTML",
        "insertAdjacent",
        "document.write",
        "eval(",
        "Function(",
        "fetch",
        "XMLHttp",
    ):
        assert word not in script


def test_a_page_is_small(make_result: Make) -> None:
    """All that is not data: the script and the style."""
    assert len(render(make_result()).encode()) < 150_000


def test_markup_in_names_stays_text(make_result: Make) -> None:
    harmless, hostile = Page(render(make_result())), Page(render(make_result(names=HOSTILE, notes=(HOSTILE["b"],))))
    count = Counter(tag for tag, _ in harmless.tags)
    count.update(["ul", "li"])  # the note
    assert Counter(tag for tag, _ in hostile.tags) == count
    for name in HOSTILE.values():
        assert name in hostile.text or name == HOSTILE["title"], name
    assert HOSTILE["title"] in hostile.text


def test_names_reach_the_charts_letter_by_letter(make_result: Make) -> None:
    page = render(make_result(names=HOSTILE))
    raw = page.split('id="charts">')[1].split("</script>")[0]
    assert not set("<>&") & set(raw)
    told = strings(Page(page).charts)
    for key, name in HOSTILE.items():
        kind = "branch" if "-" in key else "bus"
        assert key == "title" or any(text.startswith(f"{kind} {name}") for text in told), name


def test_charts_hold_what_the_page_can_draw(any_result: ReconfigureResult) -> None:
    for chart in Page(render(any_result)).charts.values():
        drawable(chart)


def test_the_script_draws_every_shape() -> None:
    drawn = SCRIPT.split("const SHAPES = {")[1].split("};")[0]
    assert set(re.findall(r"^    (\w+):", drawn, flags=re.MULTILINE)) == set(SHAPES)


def test_the_two_grids_share_places_and_hover_tells_all(make_result: Make) -> None:
    charts = Page(render(make_result(rated=True))).charts
    before, after = charts["grid-before"], charts["grid-after"]
    assert (before["x"], before["y"]) == (after["x"], after["y"])
    hover = "\n".join(strings(after))
    for words in ("bus c", "voltage 0.96500 pu", "limits 0.95 – 1.05 pu", "load 500 kW, 100 kvar", "branch n-d"):
        assert words in hover
    for words in ("current 30 A of 50 A", "loading 60 %", "power 450 kW", "reactive 90 kvar", "loss 3 kW", "open"):
        assert words in hover


def test_voltages_stand_over_km_where_all_lines_have_a_length(make_result: Make) -> None:
    result = make_result()
    assert Page(render(result)).charts["voltage"]["x"]["title"] == "number of branches between bus and source"

    def profile(lengths: list[float | None]) -> Any:
        tables = {kind: frame for kind, frame in result.grid.tables().items() if frame.height}
        tables["lines"] = tables["lines"].with_columns(length_km=pl.Series(lengths, dtype=pl.Float64))
        grid = result.grid.from_tables("six", tables)
        return Page(render(replace(result, grid=grid))).charts["voltage"]

    chart = profile([0.5, 1.0, 2.0, 3.0, 4.0, 0.25])
    assert chart["x"]["title"] == "distance to the source, km"
    today = next(layer for layer in chart["layers"] if layer["kind"] == "dots")
    # north, a, b, c on one feeder, d and e on the other
    assert today["x"] == [0.0, 0.5, 1.5, 3.5, 3.0, 7.0]
    assert any(text.endswith("3.5 km from the source") for text in today["hover"])
    assert profile([0.5, 1.0, None, 3.0, 4.0, 0.25])["x"]["title"] == "number of branches between bus and source"


def test_notes_stand_above_the_figures_they_change(make_result: Make) -> None:
    page = render(make_result(notes=("a note to keep",)))
    assert page.index("a note to keep") < page.index('class="cards"')


def test_tables_hold_all_rows_with_full_numbers(make_result: Make) -> None:
    result = make_result()
    page = render(result)
    assert page.count("<tr>") == 2 + 1 + 6 + 6 + 3 + 5  # switching, today's violation, buses, branches, log, headings
    assert f'data-value="{0.965!r}"' in page
    generators = pl.DataFrame({"name": ["pv <1>"], "bus": ["c"], "p_kw": [12.5], "q_kvar": [-3.0]})
    page = render(replace(result, generators=generators))
    assert "pv &lt;1&gt;" in page
    assert "-3.00" in page


def test_doubts_about_the_grid_are_shown(make_result: Make) -> None:
    result = make_result()
    note = Problem("lines", "n-a", "r_ohm", "value looks odd", "Check it", "warning")
    assert str(note) in Page(render(replace(result, grid=replace(result.grid, notes=(note,))))).text


def test_nothing_is_read_as_a_number_where_there_is_none(make_result: Make) -> None:
    result = replace(make_result(answer=False, least=False), lower_bound_kw=-math.inf)
    page = Page(render(result))
    assert "inf" not in page.text.lower().replace("infeasible", "").split()


def test_the_same_result_gives_the_same_bytes(make_result: Make, tmp_path: Path) -> None:
    paths = [write_report(make_result(), tmp_path / f"{i}.html") for i in range(2)]
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert paths[0].read_bytes().startswith(b"<!DOCTYPE html>\n")


def test_rows_of_a_long_table_are_data_for_the_script() -> None:
    names = ["</script><b>", *(f"bus {k}" for k in range(MOST_ROWS))]
    rows = [(name, float(k) / 3.0, None) for k, name in enumerate(names)]
    columns = (m.Column("bus"), m.Column("voltage, pu", 3), m.Column("limit, pu", 3))
    html = html_of(m.Table("buses", "Buses", columns, tuple(rows)))
    assert html.count("</script>") == 1
    assert "<td" not in html
    data = re.search(r'<script type="application/json" data-rows="buses">(.*)</script>', html)
    stored = json.loads(data[1])
    assert stored["digits"] == [None, 3, 3]
    assert [row[0] for row in stored["rows"]] == names
    assert [row[1] for row in stored["rows"]] == [round(k / 3.0, 7) for k in range(len(names))]
    assert {row[2] for row in stored["rows"]} == {None}
    assert 'data-table="buses"' in html  # what is not drawn can be searched
    assert "data-rows" not in html_of(m.Table("buses", "Buses", columns, tuple(rows[:MOST_ROWS])))


def test_long_data_are_packed_and_hold_the_same() -> None:
    names = [f"<b>bus {k}" for k in range(PACKED_FROM // 15)]
    table = m.Table("buses", "Buses", (m.Column("bus"), m.Column("kW", 1)), tuple((name, 1.5) for name in names))
    html = html_of(table)
    data = re.search(r'<script type="application/gzip" data-rows="buses">([A-Za-z0-9+/=]*)</script>', html)
    assert len(html) < PACKED_FROM / 2
    stored = json.loads(gzip.decompress(base64.b64decode(data[1])))
    assert stored == {"digits": [None, 1], "rows": [[name, 1.5] for name in names]}
    assert html_of(table) == html


def test_a_link_leads_to_its_page_whatever_its_name_holds() -> None:
    html = html_of(m.Table("grids", "Grids", (m.Column("grid"),), ((m.Link("<b>a</b>", "grids/a%22b/report.html"),),)))
    assert '<td><a href="grids/a%22b/report.html">&lt;b&gt;a&lt;/b&gt;</a></td>' in html


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
const slider = document.querySelector(".slide input"), slides = (kind) => slider.dispatchEvent(new Event(kind));
const states = Array.from(document.querySelectorAll(".over figure"));
const shares = () => states.map((each) => !each.hidden && each.style.getPropertyValue("--share"));
const answer = shares();
slider.value = 0.5;
slides("input");
until(() => drawn().every((state) => state === "yes"), () => {
  const found = { drawn: drawn(), shares: [answer, shares()] };
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
      slider.value = 0;
      slides("input");
      slides("change");
      found.today = [shares(), slider.getAttribute("aria-valuetext"), location.hash];
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
    assert "data-error" not in body[0]
    result = re.search(r'data-found="([^"]*)"', body[0])
    assert result is not None, body[0]
    found: dict[str, Any] = json.loads(html.unescape(result[1]))
    assert found["drawn"] == ["yes"] * 5
    assert found["shares"] == [[False, "1"], ["0.5", "0.5"]]
    assert found["today"] == [["1", False], "Today, loss 24.000 kW", "#before"]
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
