"""What a report is: data that a study makes of its result, and that is then rendered."""

from __future__ import annotations

from dataclasses import dataclass

from openpoint.grid.grid import Grid
from openpoint.report.chart.drawing import Chart

EXACT = "Voltages, currents and losses are those of exact AC power flows."


@dataclass(frozen=True)
class Page:
    """A report.

    Attributes:
        grid: the grid asked about. study: what was asked, for the title.
        body: the sections, as HTML. charts: by the identity of their place.
        physics: where the figures come from, a sentence.
    """

    grid: Grid
    study: str
    body: str
    charts: dict[str, Chart]
    physics: str = EXACT

    @property
    def heading(self) -> str:
        """The name of the grid."""
        return self.grid.title or self.grid.name
