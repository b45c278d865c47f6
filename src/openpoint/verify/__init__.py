"""Checkers of certificates: a fast one, whose bounds are exact, and `reference`, which shares nothing with any code."""

from __future__ import annotations

from openpoint.verify.ask import asked_of, verify
from openpoint.verify.asked import Asked
from openpoint.verify.errors import CertificateError
from openpoint.verify.proof import check
from openpoint.verify.question import Question, question_of
from openpoint.verify.verified import Verified

__all__ = ["Asked", "CertificateError", "Question", "Verified", "asked_of", "check", "question_of", "verify"]
