"""Pictures of a topology for a year."""

from openpoint.studies.reconfigure.year.pictures.figures import draw, save

__all__ = ["draw", "save"]
