"""Pictures of a reconfiguration with faults: those of a reconfiguration."""

from openpoint.studies.reconfigure.pictures import PICTURES

__all__ = ["PICTURES"]
