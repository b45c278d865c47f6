"""Compare: the same study in several cases, and their figures side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.report.terminal import words
from openpoint.results.base import Answer, Result
from openpoint.studies.compare.options import CompareOptions
from openpoint.studies.compare.result import CompareResult
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import listening
from openpoint.twostage.log import Iteration, Termination


def prepare(grid: Grid, options: CompareOptions) -> Prepared[CompareResult]:
    """The same study in several cases, one after the other, with all their figures in one table.

    A case is a set of options of the study: a limit, a budget, a risk, a method, whatever it has. Every case is checked
    before the first is solved. Ctrl-C ends the case that runs, keeps what it has, and leaves out the others.

    Raises:
        InputError: the grid has faults, or a case names what is not there.
        OptionError: no study of that name, fewer than two cases, or what a study refuses in a case.
    """
    from openpoint.studies.catalog import STUDIES

    study = next(each for each in STUDIES if each.name == options.of)
    prepared, faults = dict[str, Prepared[Any]](), list[str]()
    questions = options.questions()
    for name, question in questions.items():
        try:
            prepared[name] = study.prepare(grid, question)
        except OptionError as error:
            faults.append(f"case {name!r}: {error}")
        except InputError as error:
            raise InputError([replace(each, table=each.table or "cases") for each in error.problems]) from error
    if faults:
        raise OptionError("; ".join(faults))
    told = {name: _told(question) for name, question in questions.items()}
    return PreparedCases(grid, options.of, told, prepared)


def _told(question: Any) -> dict[str, Any]:
    """The options of a question that are not the default ones."""
    given = {each.name: getattr(question, each.name) for each in fields(question) if each.repr}
    return {each.name: given[each.name] for each in fields(question) if each.repr and given[each.name] != each.default}


@dataclass(frozen=True)
class PreparedCases:
    """Cases of a study, ready to be solved.

    Attributes:
        grid: the grid. of: the study. options: of each case, those that are not the default ones.
        prepared: the question of each case.
    """

    grid: Grid
    of: str
    options: Mapping[str, Mapping[str, Any]]
    prepared: Mapping[str, Prepared[Any]]

    @property
    def unit(self) -> str:
        """That of the first case."""
        return next(iter(self.prepared.values())).unit

    @property
    def heading(self) -> str:
        """The cases, each with its method."""
        lines = [f"{name}: {each.heading}".replace("\n", "; ") for name, each in self.prepared.items() if each.heading]
        return "\n".join(map(words.safe, lines))

    def solve(self, progress: Any = None, deadline: Deadline | None = None) -> CompareResult:
        """A result a case; where the user interrupts, those of the cases up to then."""
        found: dict[str, Result] = {}
        with listening() as interrupt:
            for name, prepared in self.prepared.items():
                if interrupt.requested:
                    break
                result = prepared.solve(_of_case(name, progress), deadline)
                found[name] = result
                if isinstance(result, Answer) and result.termination is Termination.INTERRUPTED:
                    break
        return CompareResult(self.grid, self.of, self.options, found)


def _of_case(name: str, progress: Any) -> Any:
    """Progress whose lines name the case."""
    if progress is None:
        return None

    def report(*told: Any) -> None:
        first, *rest = told
        if isinstance(first, Iteration):
            first = replace(first, verdict=f"{name}: {first.verdict}")
        progress(first, *rest)

    return report


compare = function("compare", CompareOptions, prepare)
