"""The outcome of a check of a certificate: the statement that it proves, and its question in the units of the user."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from openpoint.network.criteria import CRITERIA
from openpoint.network.limits import Limits
from openpoint.verify.asked import Asked, ambiguity_of, risk_of
from openpoint.verify.question import Question

KINDS = {
    "tv": "a share of {} of the probability may lie elsewhere",
    "wasserstein": "probability may be moved by {} kVA of demand on average",
    "box": "each probability may differ by {}",
}
"""By kind of ambiguity what may be wrong of probabilities."""


@dataclass(frozen=True)
class Verified:
    """Result of a check: what a certificate proves about a grid.

    Attributes:
        loss_kw: of the best state by power flow. value_kw: the same plus the cost of its changes, or where other prices
            are minimised its cost by these. bound_kw: no radial state has a lower value. gap: between value and bound,
            relative to the value. prices: text that describes the prices; empty where the loss is minimised.
        open_branches: of the best state. changes: from today's state. nodes, bounds, judged: of the proof: nodes,
            bounds evaluated, radial states evaluated by power flow. given: (open, closed) switchable branches whose
            state is given. held: names of devices that were not to be set, and their positions today. positions: of
            those that were, and their positions in the best state; both as the grid counts them. change_cost_kw: cost
            of a change.
        limits: text that describes the limits that the states keep. measure: text that describes what of the losses in
            many futures counts; `loss_kw` is this then. Empty for one demand.
        by_paths: how many of `bounds` are those of `openpoint.verify.paths`.
        steps, hours: of a year their number and their length together, else 0; losses, values and bounds are means over
            them then.
        asked: the question in words. grid_digest: SHA-256 of the data of the grid that the proof is about.
        differs: in words how the question is another than the plain one of the grid, where none was asked; empty where
            it is not, or the question is the one that was asked.
    """

    loss_kw: float
    value_kw: float
    bound_kw: float
    gap: float
    open_branches: tuple[str, ...]
    changes: int
    nodes: int
    bounds: int
    judged: int
    given: tuple[tuple[str, ...], tuple[str, ...]]
    held: tuple[tuple[str, int], ...]
    change_cost_kw: float
    positions: tuple[tuple[str, int], ...]
    limits: str
    prices: str = ""
    measure: str = ""
    by_paths: int = 0
    steps: int = 0
    hours: float = 0.0
    asked: Asked = field(default_factory=Asked)
    grid_digest: str = ""
    differs: tuple[str, ...] = ()

    @property
    def energy_mwh(self) -> float:
        """Of a year the energy that the best state loses; else 0."""
        return self.loss_kw * self.hours / 1000.0

    @property
    def energy_bound_mwh(self) -> float:
        """Of a year no radial state loses less energy, its changes with their cost all the time; else 0."""
        return self.bound_kw * self.hours / 1000.0

    def __str__(self) -> str:
        words = ("stays open", "stays closed")
        given = [f"{name} {word}" for names, word in zip(self.given, words, strict=True) for name in names]
        given += [f"{name} stays at {position}" for name, position in self.held]
        where = f" in which {', '.join(given)}" if given else ""
        placed = "".join(f", {name} at {position}" for name, position in self.positions)
        price, worth, less = "", f"loses {self.loss_kw:.6f} kW", f"loses less than {self.bound_kw:.6f} kW"
        if self.prices:
            changes = f", and {self.change_cost_kw:g} for each change" if self.change_cost_kw else ""
            less = f"costs less than {self.bound_kw:.6f} {self.prices}{changes}"
            worth = f"costs {self.value_kw:.6f}, has {self.changes} changes and loses {self.loss_kw:.6f} kW"
        elif self.change_cost_kw:
            price = f" with {self.change_cost_kw:g} kW for each change"
            worth += f" and has {self.changes} changes, {self.value_kw:.6f} kW in all"
        by_paths = f" ({self.by_paths:,} by paths)" if self.by_paths else ""
        what = f"As loss counts the {self.measure}. " if self.measure else ""
        energy, power_flow = "", "AC power flow"
        if self.steps:
            with_changes = ", with the price of its changes" if self.change_cost_kw else ""
            energy = (
                f" In the {self.hours:,.6g} h of the year it loses {self.energy_mwh:,.3f} MWh, and no such state less "
                f"than {self.energy_bound_mwh:,.3f} MWh{with_changes}."
            )
            power_flow += " in every step"
        return (
            f"Verified: {what}{'N' if what else 'n'}o radial state with {self.limits}{where} {less}{price}; that "
            f"with {', '.join(self.open_branches) or 'nothing'} open{placed} {worth} (gap {self.gap:.2g}).{energy} "
            f"Checked: {_count(self.nodes, 'node')}, {_count(self.bounds, 'bound')} in integers{by_paths}, "
            f"{_count(self.judged, 'radial state')} and the best one by {power_flow}."
        )


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def limits_in_words(question: Question, *, outputs: bool) -> list[str]:
    """The limits that states keep; `outputs`: whether those of generators may be chosen."""
    asked, net = question.asked or Asked(), question.net
    limits = [*_of_grid(asked.limits, question)]
    if question.steps is not None:
        limits = [f"{' and '.join(limits)} in every step"]
    elif question.futures is not None and not question.futures.limited:
        limits = [f"{' and '.join(limits)} in at least {asked.limits_share:.4g} of the futures"]
    if question.objective.supply_given:
        limits.append("the limits of the power of sources and generators")
    elif question.unsupplied:
        limits.append("limits of the power of sources and generators left out")
    limits += [question.held] if question.held else []
    limits += ["outputs within their ranges"] if outputs else []
    limits += ["lines open at the ends that the grid names"] if net.hangs.any() else []
    return limits + ([] if (most := question.rules.max_changes) is None else [f"at most {most} changes"])


def _of_grid(limits: Limits, question: Question) -> Iterator[str]:
    """Limits of voltages and currents; those of the sources' own buses do not count."""
    ends = limits.v_min_pu, limits.v_max_pu
    whose = "the voltage limits of the grid"
    if ends == (None, None):
        yield whose if limits.voltage else "voltage limits left out"
    else:
        low, high = (None if end is None else f"{end:g}" for end in ends)
        words = f"{low} to {high}" if low and high else f"{low} or more" if low else f"{high} or less"
        other = "" if low and high else f", its other limit {'that of the grid' if limits.voltage else 'left out'}"
        yield f"voltages of {words} pu at every bus without a source (not the limits of the grid{other})"
    if not limits.current:
        yield "current limits left out"
    elif min(question.l_max, default=float("inf")) < float("inf"):
        yield "its current limits" if ends == (None, None) and limits.voltage else "the current limits of the grid"


def futures_in_words(asked: Asked, count: int) -> str:
    """The measure of the losses in the futures of the user."""
    regret, word, level = risk_of(asked.risk)
    loss = "loss beyond what each future loses at best by itself" if regret else "loss"
    risk = f"greatest {loss}" if word == "worst" else f"expectation of the {loss}"
    if word == "cvar":
        risk = f"mean of the greatest losses, those of probability {1.0 - level:.4g},"
        risk = risk.replace("losses", "losses beyond what each future loses at best by itself") if regret else risk
    if asked.ambiguity is not None:
        kind, size = ambiguity_of(asked.ambiguity)
        risk = f"worst expectation of the loss where {KINDS[kind].format(f'{size:g}')},"
    return f"{risk} in the {count} futures of the table"


def prices_in_words(question: Question) -> str:
    """What is minimised where it is not the loss."""
    asked = question.asked
    if asked is None or asked.minimize is None:
        return "at the prices given"
    weights = asked.minimize
    if dict(weights) == {"cost": 1.0}:
        return "$/h at the prices of the grid"
    return f"as {weights_in_words(weights)} count"


def weights_in_words(weights: object) -> str:
    """Criteria with their weights and units."""
    assert isinstance(weights, dict)
    return ", ".join(f"{w:g} for each {CRITERIA[name].unit or 'unit'} of {name}" for name, w in weights.items())
