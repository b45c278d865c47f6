"""What a conformance check reports."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from openpoint.errors import OpenpointError


@dataclass(frozen=True)
class Fault:
    """A breach of the contract between a program and the methods.

    Attributes:
        part: the method or attribute of the program that is at fault.
        message: what was found, and at which sampled decision and realisation.
        remedy: what to do.
    """

    part: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.part}: {self.message}. {self.remedy}."


class ProgramError(OpenpointError):
    """A program breaks the contract; the text lists every fault found.

    Attributes:
        faults: at least one.
    """

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))
