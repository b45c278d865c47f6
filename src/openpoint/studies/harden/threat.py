"""What may happen to a grid: disasters with probabilities, ambiguous or not, or the loss of any so many lines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from openpoint.arrays import Ints
from openpoint.errors import OptionError
from openpoint.network import Network
from openpoint.scenarios.ambiguity import DisastersRecipe
from openpoint.scenarios.disasters import Disasters
from openpoint.twostage.ambiguity import Ambiguity, TotalVariation
from openpoint.twostage.risk import Expectation, probability_set
from openpoint.twostage.uncertainty import AmbiguousScenarios, Budget, Scenarios


@dataclass(frozen=True)
class Threat:
    """What may happen: distinct disasters with their numbers of equal ones, or the number of lines that may break."""

    disasters: Disasters | None
    count: Ints
    any_lines: int | None
    uncertainty: Scenarios | AmbiguousScenarios | Budget
    words: str


def threat_of(
    network: Network,
    disasters: Disasters | None,
    any_lines: int | None = None,
    ambiguity: Ambiguity | DisastersRecipe | None = None,
) -> Threat:
    """The uncertainty of disasters; without any, that of the loss of any so many lines.

    Raises:
        OptionError: they do not fit the grid.
    """
    if disasters is None:
        assert any_lines is not None
        can_break = np.array([kind == "lines" for kind in network.branch_kinds])
        if not 1 <= any_lines <= can_break.sum():
            raise OptionError(f"any_lines is {any_lines}; give 1 to {can_break.sum()}, the number of lines")
        zero = np.zeros(network.n_conductors)
        budget = Budget(zero, zero, can_break.astype(np.float64), any_lines, whole=True)
        words = f"any {any_lines} of {can_break.sum()} lines may break, {budget.count():,} attacks"
        return Threat(None, np.zeros(0, dtype=np.int64), any_lines, budget, words)
    if disasters.broken.shape[1] != network.n_conductors:
        raise OptionError(
            f"the disasters are of a grid of {disasters.broken.shape[1]} branches, this one has "
            f"{network.n_conductors}; give the disasters of this grid"
        )
    given = len(disasters)
    count = np.ones(given, dtype=np.int64)
    # A finished set with numbers for each disaster belongs to the disasters as given.
    if ambiguity is None or isinstance(ambiguity, TotalVariation) or callable(ambiguity):
        disasters, number = disasters.merged()
        count = np.bincount(number)
    broken = disasters.broken.astype(np.float64)
    words = f"{given} disaster{'s' if given > 1 else ''}"
    words += f", {len(disasters)} distinct" if len(disasters) < given else ""
    if ambiguity is None:
        return Threat(disasters, count, None, Scenarios(broken, disasters.probabilities), words)
    made = ambiguity(disasters) if callable(ambiguity) else ambiguity
    uncertainty = AmbiguousScenarios(broken, disasters.probabilities, made)
    probability_set(uncertainty, Expectation()).worst(np.zeros(len(disasters)))  # refuses an empty set
    return Threat(disasters, count, None, uncertainty, f"{words}, ambiguous ({type(made).__name__})")
