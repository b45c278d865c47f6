"""What dispatch is asked beside its grid, checked in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Real

from openpoint.arguments import Names, Solves, all_checked, names_of, numbers_by_name, of_kind
from openpoint.errors import OptionError
from openpoint.network.criteria import CRITERIA
from openpoint.network.freedom import FREE
from openpoint.network.limits import Limits
from openpoint.studies.dispatch.methods import Method

Weights = str | Mapping[str, float]
"""Numbers by criterion, as a mapping or as text: `losses=1,balance=0.2`."""


@dataclass(frozen=True, kw_only=True)
class DispatchOptions:
    """The arguments of `openpoint.dispatch`; see there.

    Attributes:
        free: None = all that the grid says may move. minimize, at_most: by criterion, after the checks mappings.
        gap, time_limit_s: of the method where none is named; None = its own gap, no limit of time.

    Raises:
        OptionError: with all that is wrong.
    """

    free: Names | None = None
    minimize: Weights = "losses"
    at_most: Weights = field(default_factory=dict)
    limits: Limits | None = None
    locked_open: Names = ()
    locked_closed: Names = ()
    switchable: Names = ()
    max_changes: int | None = None
    method: Method | None = None
    gap: float | None = None
    time_limit_s: float | None = None

    def __post_init__(self) -> None:
        all_checked(
            self._check_free,
            self._check_minimize,
            self._check_at_most,
            *(lambda name=name: self._as_names(name) for name in ("locked_open", "locked_closed", "switchable")),
            self._check_max_changes,
            self._check_method,
            lambda: Limits.given(self.limits),
        )

    @property
    def weights(self) -> Mapping[str, float]:
        """What is minimised, above 0 by criterion."""
        return _by_criterion(self.minimize, "minimize", 1.0)

    @property
    def most(self) -> Mapping[str, float]:
        """The most that a criterion may be."""
        return _by_criterion(self.at_most, "at_most", None)

    @property
    def most_changes(self) -> int | None:
        """The most switches whose state may change: the less of `max_changes` and what `at_most` says."""
        bounds = [self.max_changes, self.most.get("changes")]
        return min((int(most) for most in bounds if most is not None), default=None)

    def _check_free(self) -> None:
        if self.free is None:
            return
        given = self.free.split(",") if isinstance(self.free, str) else names_of(self.free, "free")
        kinds = tuple(dict.fromkeys(kind.strip() for kind in given))
        if unknown := [kind for kind in kinds if kind not in FREE]:
            raise OptionError(f"free names {', '.join(map(repr, unknown))}; what may be free is {', '.join(FREE)}")
        object.__setattr__(self, "free", kinds)

    def _check_minimize(self) -> None:
        weights = _by_criterion(self.minimize, "minimize", 1.0)
        if not any(weights.values()):
            raise OptionError("minimize gives every criterion the weight 0; give one at least a weight above 0")
        object.__setattr__(self, "minimize", {name: weight for name, weight in weights.items() if weight})

    def _check_at_most(self) -> None:
        object.__setattr__(self, "at_most", _by_criterion(self.at_most, "at_most", None))

    def _as_names(self, name: str) -> None:
        object.__setattr__(self, name, names_of(getattr(self, name), name))  # an iterator is read once

    def _check_max_changes(self) -> None:
        if self.max_changes is not None:
            of_kind(self.max_changes, Real, "max_changes", "0 or more switches")
            if self.max_changes < 0:
                raise OptionError(f"max_changes is {self.max_changes}; give 0 or more")

    def _check_method(self) -> None:
        if self.method is not None:
            of_kind(self.method, Solves, "method", "a method such as Benders() or Enumeration()")


def _by_criterion(given: Weights, what: str, default: float | None) -> dict[str, float]:
    return numbers_by_name(given, what, tuple(CRITERIA), "criteria", default)
