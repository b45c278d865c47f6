"""Pictures and the HTML report of a result."""

from openpoint.report.figures import draw, save

__all__ = ["draw", "save"]
