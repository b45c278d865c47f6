"""Options of partitioning, checked in one place; costs, and priorities of loads."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import KW_ONLY, dataclass
from functools import partial
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, final

from openpoint.arguments import Names, all_checked, names_of, not_negative, of_kind
from openpoint.errors import OptionError
from openpoint.options import FIRST, Output, argument, declared_checks, option, parts
from openpoint.studies.shared import EXIT_CODES, METHOD, ByMethod, Limited

if TYPE_CHECKING:
    from openpoint.scenarios.horizon import HorizonLike
    from openpoint.studies.partition.bounds import LoadBounds
    from openpoint.twostage.methods.decomposition import Benders, ColumnAndConstraint
    from openpoint.twostage.methods.solving import ExtensiveForm

    Method = ColumnAndConstraint | ExtensiveForm | Benders

_PRICE = {"unit": "USD", "least": 0.0, "group": "Costs"}
BLOCK_USD = 1000.0
"""$ that a weight of 1 makes of a whole block, where blocks are weighed as published."""


@final
@dataclass(frozen=True, kw_only=True)
class PartitionCosts:
    """Costs of an hour of operation.

    A block of n loads has the weight block_weight + load_weight · n, that of the publication, in $ for each kW that is
    not served (`weigh="kw"`), or in 1000 $ for the whole block as there (`weigh="block"`). The latter sheds large
    blocks as readily as small ones.

    Attributes:
        block_weight, load_weight: see above.
        weigh: kw or block.
        priorities: factors on the kW of named loads, 1 where none is given, or the file of a table of them; with
            `weigh="block"` the weight of a block is multiplied by the greatest of its loads, so that any α_l of the
            publication may be given.
        generation_usd_per_kwh: of every generator, or by name. What a generator costs by the hour stands in the grid
            (`cost_on_usd_per_h`), and is paid in energised blocks.
    """

    meaning: ClassVar[str] = "what de-energised blocks and generation cost."

    block_weight: float = option(10.0, "Cost of a kW that is not served.", "number", **_PRICE)
    load_weight: float = option(0.01, "The same, added for each load of a block.", "number", **_PRICE)
    weigh: Literal["kw", "block"] = option(
        "kw",
        "Whether that is of each kW, or, 1000 times it, of a whole block.",
        choices=("kw", "block"),
        group="Costs",
    )
    priorities: Mapping[str, float] | str | os.PathLike[str] | None = option(
        None,
        "Factors on the cost of loads: a table with the columns load, priority.",
        "path",
        unit="FILE",
        group="Costs",
    )
    generation_usd_per_kwh: float | Mapping[str, float] = option(
        0.3, "Cost of a kWh of generation.", "number", flag="generation-usd", **_PRICE
    )

    def __post_init__(self) -> None:
        if isinstance(self.priorities, os.PathLike) or (
            isinstance(self.priorities, str) and Path(self.priorities).suffix
        ):
            from openpoint.studies.partition.bounds import read_priorities

            object.__setattr__(self, "priorities", read_priorities(self.priorities))
        if self.priorities is not None:
            of_kind(self.priorities, Mapping, "priorities", "factors by load, such as {'hospital': 5.0}")
        factors = (partial(not_negative, "priority", value) for value in self.factors.values())
        all_checked(*declared_checks(self), *factors)

    @property
    def factors(self) -> Mapping[str, float]:
        """The priorities by load."""
        return self.priorities if isinstance(self.priorities, Mapping) else {}


@dataclass(frozen=True, kw_only=True)
class PartitionQuestion(Limited, ByMethod):
    """The common options of questions of a partition."""

    uncertain_loads: Literal["all"] | int | Names = option(
        "all", "Which loads are uncertain: all, the N largest, or names joined by commas.", unit="WHICH", group=FIRST
    )
    most_deviating: int | None = option(
        None, "At most so many loads deviate at once.  [default: all]", "whole", unit="N", least=0, group=FIRST
    )
    max_grid_forming: int = option(
        1, "Most generators that form the grid of one island.", "whole", unit="K", least=1, group=FIRST
    )
    ramp: float = option(
        0.3,
        "Most change of a generator in each phase when the loads are known, a share of its size.",
        "number",
        unit="SHARE",
        least=0.0,
        most=1.0,
        group=FIRST,
    )
    costs: PartitionCosts | None = parts(PartitionCosts)
    method: Method | str | None = option(
        None,
        "How the optimum is found: ccg; benders, the cutting plane of the publication; extensive, for few uncertain "
        "loads.  [default: ccg]",
        unit="METHOD",
        group=METHOD,
    )

    methods: ClassVar[tuple[str, ...]] = ("ccg", "benders", "extensive")
    extensive: ClassVar[str] = "highs"
    reads: ClassVar[tuple[str, ...]] = ()
    details: ClassVar[str] = (
        "Decides which switches open and close, which blocks are energised and which generators form the grid, so that "
        "generators can follow the loads wherever these lie within their uncertainty, proven by a lower bound."
    )

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._as_loads, self._check_costs]

    def _as_loads(self) -> None:
        given = self.uncertain_loads
        if isinstance(given, str) and given.isdigit():
            object.__setattr__(self, "uncertain_loads", int(given))
        elif isinstance(given, bool) or not isinstance(given, str | Integral):
            object.__setattr__(self, "uncertain_loads", names_of(given, "uncertain_loads"))

    def _check_costs(self) -> None:
        if self.costs is not None:
            of_kind(self.costs, PartitionCosts, "costs", "PartitionCosts()")


@final
@dataclass(frozen=True, kw_only=True)
class PartitionOptions(PartitionQuestion):
    """The question of a partition at one moment.

    Raises:
        OptionError: with all that is wrong.
    """

    uncertainty: float = option(
        0.0,
        "Loads may lie this far above or below, 0.15 is 15 %; phases and reactive power of a load go with it.",
        "number",
        unit="SHARE",
        least=0.0,
        most=1.0,
        group=FIRST,
    )
    load_bounds: LoadBounds | str | os.PathLike[str] | None = option(
        None,
        "Bounds of each load by itself in place of that: a table with the columns load, phase, low, high (shares of "
        "its power).",
        "path",
        unit="FILE",
        group=FIRST,
    )

    fixed_switches: bool = option(
        False,
        "Operate no switch but those at the lost substation, which open: what can be served without partitioning.",
        "flag",
        group=FIRST,
    )
    samples: int = option(
        0,
        "Look at the plan in so many samples of the loads by AC power flow, a picture beside the proof; 0 is none.",
        "whole",
        unit="N",
        least=0,
        group=FIRST,
    )
    seed: int = option(0, "Of the samples.", "whole", unit="N", least=0)
    certify: bool = option(
        False,
        "Prove that the plan holds in exact AC for every load of the set, if need be with new set-points, or "
        "disprove it.",
        "flag",
        command_default=True,
        group=FIRST,
    )

    outputs: ClassVar[tuple[Output, ...]] = (
        Output(
            name="certificate",
            sentence="Write the certificate of a plan that is proved in exact AC, for openpoint verify.",
            method="to_certificate",
        ),
    )
    examples: ClassVar[str] = f"""\b
Examples:
  openpoint partition ieee37-microgrids
  openpoint partition ieee37-microgrids --uncertainty 0.15 --json plan.json
  openpoint partition ieee37-microgrids --uncertainty 0.25 --uncertain-loads 6 --report plan.html
  openpoint partition ieee37-microgrids --uncertainty 0.1 --samples 10000 --executor processes:4
  openpoint partition my_tables --uncertainty 0.1 --uncertain-loads s728,s738a --max-grid-forming 2

{EXIT_CODES}"""

    def _checks(self) -> list[Callable[[], object]]:
        return [*super()._checks(), self._check_load_bounds]

    def _check_load_bounds(self) -> None:
        if self.load_bounds is None:
            return
        from openpoint.studies.partition.bounds import LoadBounds

        if self.uncertainty or self.uncertain_loads != "all":
            raise OptionError(
                "load_bounds says which loads are uncertain and by how much; leave uncertainty and uncertain_loads out"
            )
        if not isinstance(self.load_bounds, LoadBounds):
            object.__setattr__(self, "load_bounds", LoadBounds.read(self.load_bounds))

    @property
    def bounds(self) -> LoadBounds | None:
        """The bounds of each load by itself."""
        from openpoint.studies.partition.bounds import LoadBounds

        return self.load_bounds if isinstance(self.load_bounds, LoadBounds) else None


@final
@dataclass(frozen=True)
class PartitionStepsOptions(PartitionQuestion):
    """The question of a partition over several steps.

    Raises:
        OptionError: with all that is wrong.
    """

    horizon: HorizonLike = argument(
        "The steps: steps.csv, or a folder or .xlsx of steps, events, profiles and storage.", unit="STEPS"
    )
    _: KW_ONLY
    uncertainty: float = option(
        0.0,
        "Loads may lie this far above or below in each step, 0.15 is 15 %.",
        "number",
        unit="SHARE",
        least=0.0,
        most=1.0,
        group=FIRST,
    )
    max_actions: int | None = option(
        None,
        "Most switches that change their state in a step, from today's state on; what an event opens or closes does "
        "not count.  [default: all]",
        "whole",
        unit="N",
        least=0,
        group=FIRST,
    )
    keep_energised: bool = option(False, "What is energised stays so, but for faults.", "flag", group=FIRST)

    examples: ClassVar[str] = f"""\b
Examples:
  openpoint partition-steps ieee37-microgrids day --max-actions 4 --uncertainty 0.1 --uncertain-loads 6

{EXIT_CODES}"""
