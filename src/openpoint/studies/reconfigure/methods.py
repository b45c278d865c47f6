"""The methods of reconfigure; topology search, enumeration and branch exchange are those of `openpoint.search`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

from openpoint.errors import OptionError
from openpoint.search.exchange.ac_check import exchange_branches
from openpoint.search.methods import Enumeration, Log, TopologySearch
from openpoint.studies.reconfigure.model import RadialProgram
from openpoint.twostage.deadline import Deadline, deadline_of
from openpoint.twostage.log import Outcome, Progress, check_stops
from openpoint.twostage.uncertainty import Certain

if TYPE_CHECKING:
    from openpoint.twostage.methods.decomposition import Benders
    from openpoint.twostage.methods.solving import ExtensiveForm


@dataclass(frozen=True, kw_only=True)
class BranchExchange:
    """Exchanges of one branch for another until none is better: a good state in milliseconds, and no bound.

    Use it where an answer must be there at once, or the grid is too large to prove anything; `TopologySearch` begins
    with the same states, and proves how good they are.

    Attributes:
        time_limit_s: seconds after which to stop with the best verified answer; None = none.
    """

    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        check_stops(0.0, self.time_limit_s)

    def __str__(self) -> str:
        return "BranchExchange()"

    def solve(
        self, program: RadialProgram, progress: Progress | None = None, deadline: Deadline | None = None
    ) -> Outcome:
        """Exchange branches; the lower bound of the outcome is -inf. A deadline takes the place of the time limit.

        Raises:
            OptionError: many futures, generators to dispatch, or voltages without limit.
        """
        net = program.one_demand
        log = Log(net.s_base_kva, progress)
        with deadline_of(self.time_limit_s, deadline) as until:
            found = exchange_branches(
                net,
                program.rules,
                deadline=until,
                progress=log.on_progress,
            )
        return program.outcome_of(found, log)


ProvingMethod: TypeAlias = "TopologySearch | Benders | ExtensiveForm | Enumeration"
Method: TypeAlias = "ProvingMethod | BranchExchange"


def quickest(
    program: RadialProgram, *, gap: float | None = None, time_limit_s: float | None = None
) -> TopologySearch | Benders:
    """The quickest method for a program: topology search wherever its bound is valid, else Benders.

    Without a gap, each has its own.
    """
    method: TopologySearch | Benders
    if searchable(program):
        method = TopologySearch(time_limit_s=time_limit_s)
    else:
        from openpoint.twostage.methods.decomposition import Benders

        method = Benders(time_limit_s=time_limit_s)
    return method if gap is None else replace(method, gap=gap)


def refuse_executor(method: Method | None) -> None:
    """Refuse a topology search for many futures or a year that has an executor, which would be ignored.

    Raises:
        OptionError: with what to do.
    """
    if isinstance(method, TopologySearch) and method.executor is not None:
        raise OptionError(
            "an executor shares the topology search for one demand, or for many futures the subproblems of Benders; "
            "leave the executor out, or for futures take Benders"
        )


def searchable(program: RadialProgram) -> bool:
    """Whether topology search can take a program."""
    try:
        return bool(program.search_model if isinstance(program.uncertainty, Certain) else program.futures_model)
    except OptionError:
        return False
