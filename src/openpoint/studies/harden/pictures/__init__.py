"""Pictures of a hardening."""

from openpoint.studies.harden.pictures.figures import draw, save

__all__ = ["draw", "save"]
