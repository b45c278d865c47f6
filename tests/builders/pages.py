"""What a page of the report holds, and whether its script can draw it."""

import json
import math
import re
from dataclasses import fields
from html.parser import HTMLParser
from importlib.resources import files
from pathlib import Path
from typing import Any

from openpoint.report.drawing import COLOURS, SHAPES, Areas, Axis, Chart, Dots, Lines, Rule, Words, as_data
from openpoint.results.base import report_html

PARTS = {
    "chart": Chart,
    "axis": Axis,
    "rule": Rule,
    "lines": Lines,
    "areas": Areas,
    "dots": Dots,
    "words": Words,
}
SCRIPT = (files("openpoint.report.page") / "chart.js").read_text(encoding="utf-8")
HOSTILE = {
    "a": "<script>alert(1)</script>",
    "b": '"><img src=x onerror=alert(1)>',
    "c": "</script><script>alert(1)</script>",
    "d": '<a href="javascript:alert(1)">click</a>',
    "e": "<b>bold</b>&lt;i&gt;'quoted'",
    "a-b": "</title></style><svg onload=alert(1)>",
    "b-c": '<a href="http://example.com/">x</a>',
    "c-e": "@line",
    "n-a": "%{x} $x^2$ <!-- `",
    "title": "<!--<script>&amp;",
}


def render(result: Any) -> str:
    """The report of a result."""
    return report_html(result)


def write_report(result: Any, path: Path) -> Path:
    written: Path = result.write_report(path)
    return written


class Page(HTMLParser):
    """What a page is made of."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open.append(tag)
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] == "script":
            attrs, before = self.scripts[-1]
            self.scripts[-1] = (attrs, before + data)
        else:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(self.words)

    @property
    def charts(self) -> dict[str, Any]:
        (data,) = (body for attrs, body in self.scripts if attrs.get("id") == "charts")
        return json.loads(data)

    def content(self, name: str) -> str:
        (found,) = (a["content"] for t, a in self.tags if t == "meta" and name in (a.get("http-equiv"), a.get("name")))
        return found or ""


def charts_of(page: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="charts">(.*?)</script>', page, flags=re.DOTALL)
    charts: dict[str, Any] = json.loads(found[1])
    return charts


def front_points(page: Page) -> list[tuple[float, float, set[str]]]:
    """The figures of every point of a front, and the branches that are open in the grid to which it leads."""

    def opened(chart: dict[str, Any]) -> set[str]:
        texts = [text.split("\n") for layer in chart["layers"] for text in layer.get("hover", ())]
        return {text[0].removeprefix("branch ").split(" (")[0] for text in texts if text[-1] == "open"}

    led = [layer for layer in page.charts["front"]["layers"] if layer.get("leads")]
    return [
        (x, y, opened(page.charts[f"grid-{lead}"]))
        for layer in led
        for x, y, lead in zip(layer["x"], layer["y"], layer["leads"], strict=True)
    ]


def hovers(chart: Chart) -> list[str]:
    """Every text that pointing at the chart shows."""
    return [text for layer in chart.layers if isinstance(layer, Lines | Dots) for text in layer.hover]


def drawable(chart: dict[str, Any] | Chart) -> None:
    """Refuses what `chart.js` does not draw: unknown parts, shapes and colours, lists of other lengths, no numbers."""
    data = json.loads(json.dumps(as_data(chart) if isinstance(chart, Chart) else chart, allow_nan=False))
    assert data["kind"] == "chart"
    assert data["height"] > 0
    for axis in (data["x"], data["y"]):
        part(axis)
        assert axis["low"] < axis["high"]
    part(data)
    for rule in data.get("rules", []):
        part(rule)
    for layer in data["layers"]:
        part(layer)
        if layer["kind"] in ("lines", "areas"):
            assert layer["ways"]
            assert all(len(way) >= 4 and len(way) % 2 == 0 and all(map(math.isfinite, way)) for way in layer["ways"])
            assert len(layer.get("hover", layer["ways"])) == len(layer["ways"])
            continue
        many = {len(value) for key, value in layer.items() if isinstance(value, list) and key != "dash"}
        assert many == {len(layer["x"])}
        shapes = layer.get("shape", "circle")
        assert set([shapes] if isinstance(shapes, str) else shapes) <= set(SHAPES)


def part(data: dict[str, Any]) -> None:
    known = {field.name for field in fields(PARTS[data["kind"]])}  # type: ignore[arg-type]
    assert set(data) - {"kind"} <= known
    for key in ("colour", "fill", "edge"):
        colours = data.get(key, [])
        for colour in [colours] if isinstance(colours, str) else colours:
            named = re.fullmatch(r"@([a-z]+)", colour)
            if named:
                assert named[1] in COLOURS
            else:
                assert re.fullmatch(r"(#[0-9a-f]{6})?", colour), colour
