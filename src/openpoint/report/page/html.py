"""The report of a result: one HTML page that needs nothing else, and runs nothing but its own scripts."""

from __future__ import annotations

import base64
import hashlib
import json
from importlib.metadata import PackageNotFoundError, version
from importlib.resources import files
from pathlib import Path
from string import Template

from openpoint.report.chart.drawing import Chart, as_data
from openpoint.report.page.blocks import text
from openpoint.report.scene import build_scene
from openpoint.studies.harden import page as harden_sections
from openpoint.studies.harden.pictures.scene import build_harden_scene
from openpoint.studies.harden.result import HardenResult
from openpoint.studies.partition import page as partition_sections
from openpoint.studies.partition.pictures.scene import build_partition_scene
from openpoint.studies.partition.result import PartitionLevels, PartitionResult
from openpoint.studies.partition.steps import page as partition_steps_sections
from openpoint.studies.partition.steps.result import PartitionStepsResult
from openpoint.studies.powerflow import page as powerflow_sections
from openpoint.studies.powerflow.result import PowerflowResult
from openpoint.studies.powerflow.scene import powerflow_scene
from openpoint.studies.reconfigure import page as sections
from openpoint.studies.reconfigure.futures import page as futures_sections
from openpoint.studies.reconfigure.futures.pictures.scene import futures_scene
from openpoint.studies.reconfigure.futures.result import FuturesResult
from openpoint.studies.reconfigure.result import ReconfigureResult

Partitioned = PartitionResult | PartitionLevels | PartitionStepsResult
Reported = ReconfigureResult | HardenResult | FuturesResult | PowerflowResult | Partitioned

_SCRIPTS = ("chart.js", "pointer.js", "page.js")
_EXACT = "Voltages, currents and losses are those of exact AC power flows."
_STEPS = "Costs, bounds and set-points are those of a linear three-phase power flow; what is called AC is exact."
_LINEAR = "Loads are nominal; costs, bounds and set-points are those of a linear three-phase power flow, AC is exact."


def write_report(result: Reported, path: str | Path) -> Path:
    """Write a result as one self-contained HTML page.

    The page holds the headline figures, the grid before and after (or after each disaster), the switching list, the
    convergence of the bounds and all tables. It loads nothing from anywhere, and a content security policy forbids it
    to. Names are text wherever they appear, whatever markup they contain. The same result gives the same bytes.

    Args:
        result: what to report; an infeasible result or one without a state before is fine.
        path: file to write, usually `.html`.

    Returns:
        The path written.
    """
    path = Path(path)
    path.write_text(render(result), encoding="utf-8", newline="\n")
    return path


def render(result: Reported) -> str:
    """The page as a string."""
    physics = _EXACT
    if isinstance(result, HardenResult):
        study = "hardening"
        body, charts = harden_sections.body(result, build_harden_scene(result))
    elif isinstance(result, FuturesResult):
        study = "open points for many futures"
        body, charts = futures_sections.body(result, futures_scene(result))
    elif isinstance(result, PartitionResult | PartitionLevels):
        study, physics = "microgrids", _LINEAR
        body, charts = partition_sections.body(result, build_partition_scene(result))
    elif isinstance(result, PartitionStepsResult):
        study, physics = "microgrids over time", _STEPS
        body, charts = partition_steps_sections.body(result, build_partition_scene(result))
    elif isinstance(result, PowerflowResult):
        study = "power flow"
        body, charts = powerflow_sections.body(result, powerflow_scene(result))
    else:
        study = "open points"
        body, charts = sections.body(result, build_scene(result))
    script = "\n".join(map(_asset, _SCRIPTS))
    title = result.grid.title or result.grid.name
    return Template(_asset("page.html")).substitute(
        policy=_policy(script),
        version=text(_version()),
        title=text(f"{title}: {study}"),
        css=_asset("page.css"),
        heading=text(title),
        subtitle=text(sections.subtitle(result.grid)),
        body=body,
        footer=text(f"Written by openpoint {_version()}. {physics}"),
        charts=_json(charts),
        script=script,
    )


def _policy(script: str) -> str:
    """Only the page's own script runs, by its hash; nothing is loaded from anywhere, no form is sent."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def _json(charts: dict[str, Chart]) -> str:
    """JSON that cannot end the script element it stands in."""
    data = {name: as_data(chart) for name, chart in charts.items()}
    dumped = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return dumped.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _asset(name: str) -> str:
    return (files("openpoint.report.page") / name).read_text(encoding="utf-8").replace("\r\n", "\n")


def _version() -> str:
    try:
        return version("openpoint")
    except PackageNotFoundError:
        return "(not installed)"
