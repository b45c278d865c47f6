"""Options in groups: a command takes a dataclass, the command line has an option for each of its fields."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import MISSING, fields, is_dataclass
from typing import Annotated, Any, get_args, get_origin, get_type_hints


def grouped(command: Callable[..., int]) -> Callable[..., int]:
    """The command with an option of its own for each option of its groups.

    A group is a dataclass. Its fields that are annotated as options (`Annotated[…, typer.Option(…)]`) become options of
    the same names, in the place of the group; its other fields keep their defaults.
    """
    signature = inspect.signature(command, eval_str=True)
    given: dict[str, Any] = {name: each.annotation for name, each in signature.parameters.items()}
    groups: dict[str, Any] = {name: annotation for name, annotation in given.items() if is_dataclass(annotation)}
    members = {name: list(_options(group)) for name, group in groups.items()}
    own = [
        option
        for name, each in signature.parameters.items()
        for option in members.get(name, [each.replace(kind=inspect.Parameter.KEYWORD_ONLY)])
    ]

    @functools.wraps(command)
    def run(**values: Any) -> int:
        made = {
            name: group(**{option.name: values.pop(option.name) for option in members[name]})
            for name, group in groups.items()
        }
        return command(**values, **made)

    return with_parameters(run, own)


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


def _options(group: Any) -> Iterator[inspect.Parameter]:
    """The options of a group as keyword parameters."""
    annotations = get_type_hints(group, include_extras=True)
    for field in fields(group):
        annotation = annotations[field.name]
        if get_origin(annotation) is not Annotated:
            continue
        default = inspect.Parameter.empty if field.default is MISSING else field.default
        yield inspect.Parameter(field.name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)
