"""The picture of a plan between two states."""

from openpoint.studies.plan.pictures.figures import draw, save

__all__ = ["draw", "save"]
