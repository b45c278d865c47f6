"""Options of a power flow: none beside its grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from openpoint.options import Question


@dataclass(frozen=True, kw_only=True)
class PowerflowOptions(Question):
    """The question of a power flow, which is about today's state."""

    stops: ClassVar[bool] = False
