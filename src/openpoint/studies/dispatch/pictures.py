"""Pictures of a dispatch."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from openpoint.report.change import build_scene
from openpoint.report.charts import convergence_sheet, loading_sheet, voltage_sheet
from openpoint.report.drawing import Sheet
from openpoint.report.grids import grid_sheet
from openpoint.studies.dispatch.result import DispatchResult


def headline(result: DispatchResult) -> str:
    """What is to be done, in one line."""
    return f"{result.title}: {result.to_do() or result.termination.value}"


PICTURES: Mapping[str, Callable[[DispatchResult], Sheet]] = {
    "grid": lambda result: grid_sheet(build_scene(result), headline(result)),
    "voltage": lambda result: voltage_sheet(build_scene(result), result.title),
    "loading": lambda result: loading_sheet(build_scene(result), result.title),
    "convergence": convergence_sheet,
}
"""The grid before and after, its voltages over the distance to the source, its most loaded branches, the bounds."""
