"""Pictures and the HTML report of a result."""

from openpoint.report.figures import draw, save
from openpoint.report.html import write_report

__all__ = ["draw", "save", "write_report"]
