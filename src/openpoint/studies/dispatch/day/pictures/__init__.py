"""Pictures of a dispatch over a day."""

from openpoint.studies.dispatch.day.pictures.figures import draw, save

__all__ = ["draw", "save"]
