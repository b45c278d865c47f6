"""The report of a result: one HTML page that needs nothing else, and runs nothing but its own scripts."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from string import Template

from openpoint.report.drawing import COLOURS, as_data
from openpoint.report.page.blocks import data_script, html_of, text
from openpoint.report.page.model import Page

_SCRIPTS = ("chart.js", "pointer.js", "page.js")


def render(page: Page) -> str:
    """A report as one self-contained HTML page.

    It loads nothing from anywhere, and a content security policy forbids it to. Names are text wherever they appear,
    whatever markup they contain. The same report gives the same bytes.
    """
    script = "\n".join(map(asset, _SCRIPTS))
    return Template(asset("page.html")).substitute(
        policy=_policy(script),
        version=text(_version()),
        title=text(f"{page.heading}: {page.study}"),
        css=_colours() + asset("page.css"),
        heading=text(page.heading),
        subtitle=text(page.subtitle),
        body="\n".join(map(html_of, page.parts)),
        footer=text(f"Written by openpoint {_version()}. {page.physics}"),
        charts=data_script('id="charts"', {name: as_data(chart) for name, chart in page.charts.items()}),
        script=script,
    )


def _colours() -> str:
    """The colours that have a name, for a light and for a dark ground."""
    light, dark = ("".join(f"--{name}:{both[k]};" for name, both in COLOURS.items()) for k in (0, 1))
    return f":root{{{light}}}\n@media (prefers-color-scheme:dark){{:root:not(.light){{{dark}}}}}\n"


def _policy(script: str) -> str:
    """Only the page's own script runs, by its hash; nothing is loaded from anywhere, no form is sent."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def asset(name: str) -> str:
    """The text of a file beside this module."""
    return (files("openpoint.report.page") / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _version() -> str:
    try:
        return version("openpoint")
    except PackageNotFoundError:
        return "(not installed)"
