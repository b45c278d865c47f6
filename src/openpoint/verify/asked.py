"""A question in words: the options of `reconfigure` or `dispatch`, as a user and the head of a certificate give them.

It says what a certificate is about. All numbers of the question follow from these words, the user's grid and the user's
tables (`openpoint.verify.question`); the file holds none of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from openpoint.errors import OptionError
from openpoint.network.criteria import CRITERIA
from openpoint.network.freedom import FREE
from openpoint.network.limits import Limits
from openpoint.verify import schema
from openpoint.verify.measure import ambiguity_text, risk_text
from openpoint.verify.schema import CertificateError

LIMITS = ("voltage", "current", "v_min_pu", "v_max_pu")
OPTION = {
    "limits": "--v-min, --v-max, --ignore-limits",
    "locked_open": "--open",
    "locked_closed": "--close",
    "max_changes": "--max-changes",
    "change_cost_kw": "--change-cost",
    "free": "--free",
    "minimize": "--minimize",
    "risk": "--risk",
    "ambiguity": "--ambiguity",
    "limits_share": "--limits-share",
    "futures": "--futures",
    "year": "--year",
}
"""By field the options of the command that say it."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A question; what is left out is as `openpoint.reconfigure` takes it, of `openpoint.dispatch` as that does.

    Attributes:
        limits: to keep; those of the grid by default. locked_open, locked_closed: names of branches whose state is
            given. max_changes: most branches in another state than today's; None: any. change_cost_kw: cost of each.
        free, minimize: of `dispatch`, what may move and weights by criterion. free None: not named. minimize None: the
            question is that of `reconfigure`: open points, outputs within their ranges, least losses.
        risk, ambiguity, limits_share: of many futures, as the options of `reconfigure` of these names; an ambiguity
            that has no such text is given by a digest of its numbers. futures, year: whether they are many, or a year.
    """

    limits: Limits = field(default_factory=Limits)
    locked_open: tuple[str, ...] = ()
    locked_closed: tuple[str, ...] = ()
    max_changes: int | None = None
    change_cost_kw: float = 0.0
    free: tuple[str, ...] | None = None
    minimize: Mapping[str, float] | None = None
    risk: str = "expected"
    ambiguity: str | None = None
    limits_share: float = 1.0
    futures: bool = False
    year: bool = False

    def to_json(self) -> dict[str, Any]:
        """What is not as it is without options, as it stands in a file."""
        plain, found = Asked(), dict[str, Any]()
        for part in fields(self):
            value = getattr(self, part.name)
            if value != getattr(plain, part.name):
                found[part.name] = list(value) if isinstance(value, tuple) else value
        if "limits" in found:
            ends = {name: getattr(self.limits, name) for name in LIMITS[2:]}
            found["limits"] = {name: getattr(self.limits, name) for name in LIMITS[:2]}
            found["limits"] |= {name: None if end is None else float(end) for name, end in ends.items()}
        if self.minimize is not None:
            found["minimize"] = {name: float(weight) for name, weight in self.minimize.items()}
        return found


def read_asked(given: Any, place: str = "question") -> Asked:
    """The question that stands in a file.

    Raises:
        CertificateError: it is none.
    """
    words = schema.record(given, place, (), [part.name for part in fields(Asked)])
    found: dict[str, Any] = {}
    for name in ("locked_open", "locked_closed"):
        found[name] = tuple(schema.texts(words.get(name, []), f"{place}: {name}"))
    if words.get("max_changes") is not None:
        found["max_changes"] = schema.whole(words["max_changes"], f"{place}: max_changes", 0, schema.LARGE)
    found["change_cost_kw"] = schema.number(words.get("change_cost_kw", 0.0), f"{place}: change_cost_kw", 0.0)
    found["limits_share"] = schema.number(words.get("limits_share", 1.0), f"{place}: limits_share", 0.0)
    if not 0.0 < found["limits_share"] <= 1.0:
        raise schema.refused(found["limits_share"], f"{place}: limits_share", "a number above 0, up to 1")
    for name, in_one_way in (("risk", risk_text), ("ambiguity", ambiguity_text)):
        if words.get(name) is not None:
            try:
                found[name] = in_one_way(schema.text(words[name], f"{place}: {name}"))
            except OptionError as error:
                raise CertificateError(f"{place}: {error}") from None
    for name in ("futures", "year"):
        found[name] = schema.flag(words.get(name, False), f"{place}: {name}")
    if words.get("free") is not None:
        free = schema.texts(words["free"], f"{place}: free")
        if strange := [kind for kind in free if kind not in FREE]:
            raise schema.refused(strange[0], f"{place}: free", " or ".join(FREE))
        found["free"] = tuple(free)
    if words.get("minimize") is not None:
        weights = schema.record(words["minimize"], f"{place}: minimize", (), CRITERIA)
        found["minimize"] = {name: schema.number(w, f"{place}: minimize: {name}", 0.0) for name, w in weights.items()}
        if not all(found["minimize"].values()) or not weights:
            raise CertificateError(f"{place}: minimize has no weight, or one of 0")
    if "limits" in words:
        found["limits"] = _limits(words["limits"], f"{place}: limits")
    return Asked(**found)


def _limits(given: Any, place: str) -> Limits:
    words = schema.record(given, place, LIMITS)
    flags = {name: schema.flag(words[name], f"{place}: {name}") for name in ("voltage", "current")}
    ends = {
        name: None if words[name] is None else schema.number(words[name], f"{place}: {name}", 0.0)
        for name in ("v_min_pu", "v_max_pu")
    }
    try:
        return Limits(**flags, **ends)  # type: ignore[arg-type]
    except OptionError as error:
        raise CertificateError(f"{place}: {error}") from None
