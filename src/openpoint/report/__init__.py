"""Pictures and the HTML report of a result."""

from openpoint.report.page.html import write_report
from openpoint.studies.reconfigure.pictures.figures import draw, save

__all__ = ["draw", "save", "write_report"]
