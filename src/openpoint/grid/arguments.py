"""Checks of arguments of public functions: names, paths, objects of a type."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable
from numbers import Real
from pathlib import Path
from types import UnionType
from typing import Any, Protocol, runtime_checkable

from openpoint.errors import OptionError

Names = str | Iterable[str]
"""One name, or several. A text is always one name."""


@runtime_checkable
class Solves(Protocol):
    """A method: one of the package, or one of the caller's own."""

    def solve(self, *_: Any) -> Any:
        """The outcome of a program."""


def names_of(given: Any, what: str) -> tuple[str, ...]:
    """The names in an argument.

    Args:
        given: a `Names`; anything else is refused. what: the argument, as messages call it.

    Raises:
        OptionError: something that is no name.
    """
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Iterable) and not isinstance(given, bytes):
        names = tuple(given)
        wrong = [name for name in names if not isinstance(name, str)]
        if not wrong:
            return names
        given = wrong[0]
    raise OptionError(f"{what} has {given!r}, which is no name; give names as texts, such as '33' or ['7', '33']")


def path_of(given: Any, what: str, advice: str = "the path of a file or folder") -> Path:
    """The path in an argument.

    Args:
        given: a text or a path. what: the argument, as messages call it. advice: what to give.

    Raises:
        OptionError: something else.
    """
    of_kind(given, str | os.PathLike, what, advice)
    return Path(given)


def of_kind(given: Any, kind: type | UnionType, what: str, advice: str) -> None:
    """Refuse an argument of another kind.

    Args:
        given: the argument. kind: what it must be. what: how messages call it. advice: what to give.

    Raises:
        OptionError: it is of another kind.
    """
    if not isinstance(given, kind):
        shown = repr(given) if isinstance(given, str | int | float) else f"of type {type(given).__name__}"
        raise OptionError(f"{what} is {shown}; give {advice}")


def not_negative(name: str, value: Any) -> None:
    """Refuse what is no number, and a number below 0.

    Raises:
        OptionError: saying which.
    """
    of_kind(value, Real, name, "0 or more")
    if not (math.isfinite(value) and value >= 0):
        raise OptionError(f"{name} is {value:g}; give 0 or more")


def all_checked(*checks: Callable[[], object]) -> None:
    """Run all checks of arguments and report all errors at once.

    Raises:
        OptionError: with the messages of all checks that raise one.
    """
    said = []
    for check in checks:
        try:
            check()
        except OptionError as error:
            said.append(str(error))
    if said:
        raise OptionError(". Also: ".join(said))
