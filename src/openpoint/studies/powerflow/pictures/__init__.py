"""Pictures of a power flow."""

from openpoint.studies.powerflow.pictures.figures import draw, save

__all__ = ["draw", "save"]
