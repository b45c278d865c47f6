"""Compare: the same study in several cases, and their figures side by side."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from openpoint.errors import InputError, OptionError
from openpoint.grid.grid import Grid
from openpoint.report.terminal import words
from openpoint.results.base import Answer, Result
from openpoint.studies.compare.options import CompareOptions, study_of
from openpoint.studies.compare.result import CompareResult
from openpoint.studies.study import Prepared, function
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.interrupt import listening
from openpoint.twostage.log import Iteration, Termination
from openpoint.twostage.workers.executors import Lost, run_apart
from openpoint.twostage.workers.pool import WorkersLostError


def prepare(grid: Grid, options: CompareOptions) -> Prepared[CompareResult]:
    """The same study in several cases, one after the other or in processes, with all their figures in one table.

    A case is a set of options of the study: a limit, a budget, a risk, a method, whatever it has. Every case is checked
    before the first is solved. Ctrl-C ends the case that runs, keeps what it has, and leaves out the others; of several
    processes it keeps the cases that are finished. Processes are spawned, so a script with workers must start its work
    below `if __name__ == "__main__":`.

    Raises:
        InputError: the grid has faults, or a case names what is not there.
        OptionError: no study of that name, fewer than two cases, or what a study refuses in a case.
    """
    study = study_of(options.of)
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
    return PreparedCases(grid, options.of, questions, prepared, options.workers)


def _told(question: Any) -> dict[str, Any]:
    """The options of a question that are not the default ones."""
    given = {each.name: getattr(question, each.name) for each in fields(question) if each.repr}
    return {each.name: given[each.name] for each in fields(question) if each.repr and given[each.name] != each.default}


_ENDS = re.compile(r"(.*[:=])?([-+]?\d*\.?\d+(?:e[-+]?\d+)?)")
"""A number, or a text that ends with one."""


@dataclass(frozen=True)
class PreparedCases:
    """Cases of a study, ready to be solved.

    Attributes:
        grid: the grid. of: the study. questions: the options of each case. prepared: the question of each.
        workers: processes.
    """

    grid: Grid
    of: str
    questions: Mapping[str, Any]
    prepared: Mapping[str, Prepared[Any]]
    workers: int = 1

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
        with listening() as interrupt:
            if self.workers > 1:
                found = self._apart(lambda: interrupt.requested or (deadline is not None and deadline.over()))
            else:
                found = self._here(lambda: interrupt.requested, progress, deadline)
        told = {name: _told(question) for name, question in self.questions.items()}
        axis = _axis(self.questions)
        return CompareResult(grid=self.grid, of=self.of, options=told, results=found, axis=axis)

    def _here(self, stop: Callable[[], bool], progress: Any, deadline: Deadline | None) -> dict[str, Result]:
        found: dict[str, Result] = {}
        for name, prepared in self.prepared.items():
            if stop():
                break
            result = found[name] = prepared.solve(_of_case(name, progress), deadline)
            if isinstance(result, Answer) and result.termination is Termination.INTERRUPTED:
                break
        return found

    def _apart(self, stop: Callable[[], bool]) -> dict[str, Result]:
        """The results of the cases that processes finish."""
        names, found = list(self.questions), dict[str, Result]()
        questions = [replace(question, progress=None) for question in self.questions.values()]
        with closing(run_apart(partial(_solved, self.of, self.grid), questions, self.workers, stop)) as answers:
            for number, answer in answers:
                if isinstance(answer, Lost):
                    text = f"case {names[number]!r}: its process ended twice; most likely memory ran out: fewer workers"
                    raise WorkersLostError(text)
                found[names[number]] = answer
        return {name: found[name] for name in names if name in found}


def _solved(of: str, grid: Grid, question: Any) -> Result:
    """The result of a case, in a process of its own."""
    result: Result = study_of(of).prepare(grid, question).solve()
    return result


def _axis(questions: Mapping[str, Any]) -> tuple[str, tuple[float, ...]] | None:
    """The one option in which the cases differ, and its number in each, also where it ends a text, as `tv:0.1`."""
    first = next(iter(questions.values()))
    values = {each.name: [getattr(one, each.name) for one in questions.values()] for each in fields(first) if each.repr}
    differ = {name: some for name, some in values.items() if any(value != some[0] for value in some)}
    if len(differ) != 1:
        return None
    ((name, some),) = differ.items()
    parts = [_ENDS.fullmatch(str(value)) for value in some]
    known = [match for match in parts if match is not None]
    if len(known) < len(parts) or len({match[1] for match in known}) > 1:
        return None
    return name, tuple(float(match[2]) for match in known)


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
