"""Restored states over a set of loads: which keep all limits for every load of it, in exact AC.

Of the states that feed as much, the first that is proved is taken, in the order in which they would be taken at the
loads as they are; where none is, that state stays, with what is known of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from openpoint.arrays import Floats
from openpoint.enclosure.judge import SetJudge, Verdict
from openpoint.network import Network
from openpoint.network.stations import Stations
from openpoint.search.plan.flows import Figures
from openpoint.studies.secure.model.faults import Fault
from openpoint.studies.secure.model.states import EvaluatedState, closed_ties, figures_and_loss
from openpoint.studies.secure.model.switchings import Restoration
from openpoint.twostage.deadline import Deadline


@dataclass(frozen=True)
class Standing:
    """What is known of a restored state over a set.

    Attributes:
        word: `proved`, `disproved` or `open`. is_next: whether states that come before it are not proved.
        at: (n) a load of the set at which it breaks limits. figures: there, by exact AC power flow.
    """

    word: str
    is_next: bool = False
    at: Floats | None = None
    figures: Figures | None = None


@dataclass(frozen=True)
class Standings:
    """What is known of what is restored after each fault.

    Attributes:
        judge: of the set; None: there is none. of_faults: (F) None where nothing is restored.
    """

    judge: SetJudge | None
    of_faults: Sequence[Standing | None]

    @classmethod
    def nothing(cls, faults: int) -> Standings:
        """No set is asked about."""
        return cls(None, (None,) * faults)


def standings_of(
    judge: SetJudge,
    stations: Stations,
    faults: Sequence[Fault],
    restored: Sequence[Restoration],
    deadline: Deadline,
    on_progress: Callable[[int, int], None],
) -> tuple[list[Restoration], Standings]:
    """The restorations with the states that are taken, and what is known of these.

    Args:
        stations: with the limits of an emergency. restored: of the faults. deadline: what is not judged then is open.
        on_progress: called with the number of faults judged, and of all.
    """
    taken, known = list(restored), list[Standing | None]()
    for k, (fault, restoration) in enumerate(zip(faults, restored, strict=True)):
        on_progress(k, len(faults))
        first = None
        for state in restoration.choices:
            radial = _after(stations.whole if fault.is_held else stations.opened, fault, state)
            network = radial if stations.keeps_limits else _after(stations.whole, fault, state)
            found = Verdict("open") if deadline.over() else judge.verdict(network, radial)
            first = first or (radial, found)
            if found.word == "proved":
                taken[k] = replace(restoration, best=state)
                known.append(Standing("proved", state is not restoration.best))
                break
        else:
            known.append(None if first is None else _not_proved(judge, *first))
    on_progress(len(faults), len(faults))
    return taken, Standings(judge, known)


def _not_proved(judge: SetJudge, network: Network, found: Verdict) -> Standing:
    if found.at is None:
        return Standing("open")
    there = judge.ports.realised(network, found.at)
    return Standing(found.word, at=found.at, figures=figures_and_loss(there, there.closed)[0])


def _after(whole: Network, fault: Fault, state: EvaluatedState) -> Network:
    """The network in a state after a fault."""
    closed = whole.closed.copy()
    closed[fault.opened] = False
    closed[list(closed_ties(state.ties))] = True
    closed[list(state.opened)] = False
    return replace(whole, closed=closed)
