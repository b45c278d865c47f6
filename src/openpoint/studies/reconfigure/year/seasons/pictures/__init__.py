"""Pictures of a year in blocks."""

from openpoint.studies.reconfigure.year.seasons.pictures.figures import draw, save

__all__ = ["draw", "save"]
