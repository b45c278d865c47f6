"""Pictures of faults and what switching does about them."""

from openpoint.studies.secure.pictures.figures import draw, save

__all__ = ["draw", "save"]
