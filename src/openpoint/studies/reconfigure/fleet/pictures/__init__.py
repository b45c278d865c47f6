"""The picture of a fleet."""

from openpoint.studies.reconfigure.fleet.pictures.figures import draw, save

__all__ = ["draw", "save"]
