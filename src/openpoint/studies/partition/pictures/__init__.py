"""Pictures of a partition."""

from openpoint.studies.partition.pictures.figures import draw, save

__all__ = ["draw", "save"]
