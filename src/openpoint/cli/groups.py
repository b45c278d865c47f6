"""Signatures of commands, of which Typer makes the options."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields
from typing import Annotated, Any, get_args, get_origin, get_type_hints

MOST = 10**9
"""The largest whole number that an option takes, whose count, limit or seed is a number of 64 bits where it arrives."""


def bounded(command: Callable[..., Any]) -> Callable[..., Any]:
    """The command with a range for each option that is a whole number: 0 to `MOST`, or what it has of its own."""
    parameters = inspect.signature(command, eval_str=True).parameters.values()
    return with_parameters(command, [each.replace(annotation=_bounded(each.annotation)) for each in parameters])


def _bounded(annotation: Any) -> Any:
    if get_origin(annotation) is not Annotated:
        return annotation
    kind, option = get_args(annotation)
    if int not in (kind, *get_args(kind)) or getattr(option, "max", 0) is not None:
        return annotation
    option = copy.copy(option)
    option.max, option.min = MOST, option.min or 0
    return Annotated[kind, option]


def with_parameters(run: Callable[..., int], parameters: Sequence[inspect.Parameter]) -> Callable[..., int]:
    """The function with a signature of these parameters, of which Typer makes the options."""
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {each.name: each.annotation for each in parameters} | {"return": int}
    return run


def parameters_of(group: Any) -> Iterator[inspect.Parameter]:
    """Keyword parameters for the fields of a dataclass that are annotated as options."""
    annotations = get_type_hints(group, include_extras=True)
    for field in fields(group):
        if get_origin(annotations[field.name]) is Annotated:
            keyword = inspect.Parameter.KEYWORD_ONLY
            yield inspect.Parameter(field.name, keyword, default=field.default, annotation=annotations[field.name])
