"""Pictures of a front of loss and what faults do."""

from openpoint.studies.reconfigure.faults.front.pictures.figures import chart, draw, save

__all__ = ["chart", "draw", "save"]
