"""Checks of arguments of public functions: names, paths, objects of a type."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
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
    messages = []
    for check in checks:
        try:
            check()
        except OptionError as error:
            messages.append(str(error))
    if messages:
        raise OptionError(". Also: ".join(messages))


def numbers_by_name(given: Any, what: str, known: Sequence[str], noun: str, default: float | None) -> dict[str, float]:
    """The numbers in an argument, each with a name.

    Args:
        given: a mapping, or text such as `losses=1,balance=0.2`. what: the argument, as messages call it.
        known: the names that there are. noun: what they name, as messages call them.
        default: number of a name that is given without one; None = each needs one.

    Raises:
        OptionError: with all that is wrong.
    """
    advice = f"a mapping such as {{{known[0]!r}: 1}}, or text such as '{known[0]}=1,{known[-1]}=2'"
    of_kind(given, str | Mapping, what, advice)
    pairs = _read(given) if isinstance(given, str) else list(given.items())
    numbers: dict[str, float] = {}

    def take(name: str, value: Any) -> None:
        if name not in known:
            raise OptionError(f"{what} names {name!r}; the {noun} are {', '.join(known)}")
        if name in numbers:
            raise OptionError(f"{what} names {name} twice")
        if value is None and default is None:
            raise OptionError(f"{what} says nothing of {name}; give a number, such as {name}=0.8")
        numbers[name] = _number(default if value is None else value, f"{what} of {name}")

    all_checked(*(lambda name=name, value=value: take(name, value) for name, value in pairs))
    return numbers


def _read(text: str) -> list[tuple[str, str | None]]:
    parts = [part.partition("=") for part in text.split(",") if part.strip()]
    return [(name.strip(), value.strip() if sign else None) for name, sign, value in parts]


def _number(value: Any, what: str) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise OptionError(f"{what} is {value!r}; give a number") from None
    if not (math.isfinite(number) and number >= 0.0):
        raise OptionError(f"{what} is {number:g}; give 0 or more")
    return number
