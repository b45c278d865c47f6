"""Independent checker of certificates; it shares no code with `openpoint.search` and computes bounds exactly."""

from __future__ import annotations

from openpoint.verify.proof import verify, verify_network
from openpoint.verify.verified import CertificateError, Verified

__all__ = ["CertificateError", "Verified", "verify", "verify_network"]
