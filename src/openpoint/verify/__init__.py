"""An independent checker of certificates: no code of `openpoint.search`, no floating point in any bound."""

from __future__ import annotations

from openpoint.verify.proof import CertificateError, Verified, verify, verify_network

__all__ = ["CertificateError", "Verified", "verify", "verify_network"]
