"""The error of a check of a certificate."""

from __future__ import annotations

from openpoint.errors import OpenpointError


class CertificateError(OpenpointError):
    """The error for a certificate that is damaged or does not prove its claim; it names the line and the node."""
