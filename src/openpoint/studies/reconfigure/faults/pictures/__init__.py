"""Pictures of a reconfiguration with faults: those of a reconfiguration."""

from openpoint.studies.reconfigure.pictures.figures import draw, save

__all__ = ["draw", "save"]
