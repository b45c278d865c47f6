"""The frame of every study: a question that is prepared and solved, and the Python function that does both."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, Protocol, TypeVar

from openpoint.options import KEY, PARTS, declared

if TYPE_CHECKING:
    from openpoint.io import GridLike
    from openpoint.twostage.deadline import Deadline

P = ParamSpec("P")
Asked = TypeVar("Asked")
Found = TypeVar("Found")
Gives = TypeVar("Gives", covariant=True)


class Prepared(Protocol[Gives]):
    """A question about a grid, checked and ready to be solved."""

    @property
    def heading(self) -> str:
        """What is asked and by which method, in lines for people; empty where there is nothing to say."""

    @property
    def unit(self) -> str:
        """Of what is minimised, `kW`, `MWh` or `$`; or in the plural what is counted as it is done, as `faults`."""

    def solve(self, progress: Any = None, deadline: Deadline | None = None) -> Gives:
        """The result.

        Args:
            progress: called with every `Iteration`; where things are counted, with how many are done and of how many.
            deadline: in place of the time limit of the question.
        """


@dataclass(frozen=True)
class Ready(Generic[Found]):
    """A question whose answer is computed in one go, without a word about its progress.

    Attributes:
        answer: computes the result.
    """

    answer: Callable[[], Found]
    heading: str = ""
    unit: str = ""

    def solve(self, progress: object = None, deadline: Deadline | None = None) -> Found:
        """The result."""
        return self.answer()


def function(
    name: str,
    options: Callable[P, Asked],
    prepare: Callable[[Any, Asked], Prepared[Found]],
    *,
    several: bool = False,
) -> Callable[Concatenate[Any, P], Found]:
    """The Python function of a study: it reads the grid, prepares the question that the options ask, and solves it.

    Its signature and the list of its arguments are those of the options, its description that of `prepare`.

    Args:
        name: of the function. options: the class of the options. prepare: takes the grid and these.
        several: whether it is about several grids, which `prepare` finds.
    """

    def run(grid: GridLike, /, *args: P.args, **kwargs: P.kwargs) -> Found:
        from openpoint.io import read

        question: Any = options(*args, **kwargs)
        return prepare(grid if several else read(grid), question).solve(question.progress)

    run.__name__ = run.__qualname__ = name
    run.__module__ = prepare.__module__
    run.__doc__ = _documentation(inspect.getdoc(prepare) or "", options, several=several)
    run.__signature__ = _signature(options, prepare)  # type: ignore[attr-defined]
    return run


def _signature(options: Any, prepare: Any) -> inspect.Signature:
    """The grid or grids, and the arguments of the options."""
    taken = inspect.signature(prepare)
    name, first = next(iter(taken.parameters.items()))
    kind = "GridLike" if name == "grid" else first.annotation
    grid = inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY, annotation=kind)
    given = inspect.signature(options).parameters.values()
    others = [each for each in given if each.kind is not each.KEYWORD_ONLY]
    rest = [each for each in given if each.kind is each.KEYWORD_ONLY]
    rest.sort(key=lambda each: each.name == "progress")
    return inspect.Signature([grid, *others, *rest], return_annotation=_result_of(taken.return_annotation))


def _result_of(prepared: object) -> object:
    """`ReconfigureResult` of `Prepared[ReconfigureResult]`."""
    text = str(prepared)
    return text[text.index("[") + 1 : text.rindex("]")] if "[" in text else inspect.Signature.empty


def _documentation(text: str, options: Any, *, several: bool) -> str:
    """The description with the list of arguments before what is raised."""
    one = "    grid: the grid, a path or a name that `read` takes."
    lines = ["Args:", "    grids: files, folders with grids, patterns, or names of built-in grids." if several else one]
    sentences = {name: told for name, told, _ in declared(options)}
    for each in fields(options):
        if KEY in each.metadata:
            told = sentences[each.name]
            unit = f" ({told.unit})" if told.unit and told.kind in ("number", "whole") else ""
            lines.append(f"    {each.name}: {told.sentence[0].lower()}{told.sentence[1:]}{unit}")
        elif PARTS in each.metadata:
            lines.append(f"    {each.name}: {each.metadata[PARTS].meaning}")
    if any(each.name == "progress" for each in fields(options)):
        lines.append("    progress: called with every iteration.")
    head, raised, tail = text.partition("\n\nRaises:")
    return "\n\n".join([head, "\n".join(lines)]) + raised + tail
