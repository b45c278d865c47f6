"""Pictures of a dispatch."""

from openpoint.studies.dispatch.pictures.figures import draw, save

__all__ = ["draw", "save"]
