"""The conformance check: does a program keep the contract of `openpoint.twostage.program`?"""

from openpoint.twostage.conformance.check import check_program, program_faults
from openpoint.twostage.conformance.fault import Fault, ProgramError

__all__ = ["Fault", "ProgramError", "check_program", "program_faults"]
