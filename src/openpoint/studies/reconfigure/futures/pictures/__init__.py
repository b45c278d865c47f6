"""Pictures of a topology for many futures."""

from openpoint.studies.reconfigure.futures.pictures.figures import draw, save

__all__ = ["draw", "save"]
