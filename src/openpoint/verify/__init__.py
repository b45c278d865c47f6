"""Checkers of certificates: a fast one, whose bounds are exact, and `reference`, which shares nothing with any code.

The names are imported when they are first used: a search states its question by `Asked` and needs no checker.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openpoint.verify.ask import asked_of as asked_of
    from openpoint.verify.ask import verify as verify
    from openpoint.verify.asked import Asked as Asked
    from openpoint.verify.proof import check as check
    from openpoint.verify.question import Question as Question
    from openpoint.verify.question import question_of as question_of
    from openpoint.verify.schema import CertificateError as CertificateError
    from openpoint.verify.verified import Verified as Verified

_HOMES = {
    "ask": ("asked_of", "verify"),
    "asked": ("Asked",),
    "proof": ("check",),
    "question": ("Question", "question_of"),
    "schema": ("CertificateError",),
    "verified": ("Verified",),
}
_PLACES = {name: module for module, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    globals()[name] = value
    return value
