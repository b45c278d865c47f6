"""Whether limits of what faults do can be kept at all, and where not, how low the figures may be.

A search for the least loss goes by the loss, and where no state keeps the limit of an index it learns so last. So each
limited index is first sought by itself, with the other limits kept, until a state has little enough of it or it is
proven that none has.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from openpoint.arrays import Bools
from openpoint.search.result import SearchProgress
from openpoint.studies.reconfigure.faults.evaluator import ENDLESS
from openpoint.studies.reconfigure.faults.index_search import IndexSearch
from openpoint.studies.reconfigure.faults.search import Found, ended
from openpoint.studies.reconfigure.faults.task import ROUNDED, EvaluatedState, FaultTask, Sought
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.log import Termination

SHARE = 0.5
"""Part of the time that is left for one index."""


@dataclass(frozen=True)
class Floor:
    """How low an index may be while the other limits are kept.

    Attributes:
        index, most: what is limited, and to what. least: no state has less, proven; inf: none keeps the other limits.
        best: the state of least index found; None: none. nodes: of the search.
    """

    index: Sought
    most: float
    least: float
    best: EvaluatedState | None
    nodes: int

    @property
    def is_above(self) -> bool:
        """Whether it is proven that no state keeps the limit."""
        return self.least > self.most * (1.0 + ROUNDED)


def floors_of(task: FaultTask, starts: list[Bools], gap: float, deadline: Deadline) -> list[Floor]:
    """The floors of all limited indices, up to the first that no state keeps."""
    found: list[Floor] = []
    for index, most in task.limits.at_most.items():
        alone = replace(task, sought=index, limits=task.limits.without_index(index))
        part = deadline.within(SHARE * deadline.left())
        known = [*starts, *(each.best.closed for each in found if each.best is not None)]
        ended_so = IndexSearch(alone, gap, part, None, most).solve(known)
        found.append(Floor(index, most, ended_so.result.lower_bound, ended_so.best, ended_so.result.nodes))
        if found[-1].is_above:
            break
    return found


def none_keeps(task: FaultTask, floors: list[Floor], seconds: float) -> Found | None:
    """What a search finds where a limit lies below the floor of its index; None where none does."""
    unkept = next((each for each in floors if each.is_above), None)
    if unkept is None:
        return None
    best = None if unkept.best is None else task.state(unkept.best.closed)
    nodes = sum(each.nodes for each in floors)
    last = SearchProgress(seconds, nodes, 0, 0, math.inf, math.inf, 1.0)
    return Found(best, ended(task, best, Termination.INFEASIBLE, last))


def unkept_limits(
    task: FaultTask, found: Found, floors: list[Floor], units: dict[Sought, tuple[float, str]]
) -> list[str]:
    """Notes on limits that no state keeps; `units`: factor and unit of each index."""
    if found.result.termination is not Termination.INFEASIBLE:
        return []
    best, most = found.best, task.limits.most
    for each in floors:
        if not each.is_above:
            continue
        factor, unit = units[each.index]
        if math.isinf(each.least):
            return ["no state keeps the limits beside that of " + each.index.name]
        known = (
            ""
            if each.best is None or not each.best.holds
            else f"; the least known is {factor * each.best.merit[2]:.6g}"
        )
        return [f"{each.index.name}: no state has less than {factor * each.least:.6g} {unit}, proven{known}"]
    if most < ENDLESS:
        known = "" if best is None or best.merit[0] else f"; the fewest known are {best.figures.count}"
        return [f"no state that keeps the other limits has fewer than {most + 1} unrestorable faults, proven{known}"]
    return []
