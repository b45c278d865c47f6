"""Plans for other sets and risks than the one asked about, to be evaluated with it: other budgets, and futures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from openpoint.errors import OptionError
from openpoint.network.day import Uncertain
from openpoint.studies.dispatch.day.methods import DayMethod, check_takes, choose, method_of
from openpoint.studies.dispatch.day.model.day_master import HourTemplates
from openpoint.studies.dispatch.day.model.period_columns import Experience, PeriodColumns
from openpoint.studies.dispatch.day.model.question import DayQuestion, ScenarioDays, with_scenarios
from openpoint.studies.dispatch.day.outcome import DayOutcome
from openpoint.studies.dispatch.day.samples import sample_days
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch
from openpoint.twostage.deadline import Deadline
from openpoint.twostage.risk import Regret, Risk, read_risk

FUTURES = 20
"""Futures that are drawn for a risk, unless others are planned for."""
WANTED = "budgets in periods and risks of futures, such as 0,1,2,expected,cvar:0.9"
Item = int | Risk
"""A budget in periods, 0 = all comes as forecast; or a risk of futures."""
CompareLike = str | Sequence[int | str | Risk]
"""What plans are compared with: budgets and risks, also as text `0,1,2,expected,cvar:0.9`."""


@dataclass(frozen=True)
class Contender:
    """A plan to be made: its name, what it is asked, and by which method."""

    name: str
    question: DayQuestion
    method: DayMethod


def read_compare(given: CompareLike) -> tuple[Item, ...]:
    """Budgets and risks in their order, each once.

    Raises:
        OptionError: something that is neither.
    """
    parts = given.split(",") if isinstance(given, str) else given
    found = [_item(part.strip() if isinstance(part, str) else part) for part in parts]
    if not found:
        raise OptionError(f"compare is empty; give {WANTED}")
    return tuple(dict.fromkeys(found))


def _item(part: int | str | Risk) -> Item:
    if isinstance(part, str):
        part = int(part) if part.isdigit() else read_risk(part)
    if isinstance(part, Regret) or (isinstance(part, int) and part < 0):
        raise OptionError(f"compare has {part}; give {WANTED}")
    return part


def contenders(question: DayQuestion, items: Sequence[Item], seed: int, gap: float) -> Iterator[Contender]:
    """The plans to be made for budgets and risks.

    Args:
        question: what is asked. items: budgets and risks. seed: of futures that are drawn. gap: of the methods.

    Raises:
        OptionError: no method takes one of them.
    """
    for item in items:
        if isinstance(item, int):
            name, asked = f"budget {item}" if item else "as forecast", with_budget(question, item)
        else:
            asked = with_scenarios(question, _futures(question, item, seed))
            name = f"{item}, {len(asked.scenarios.names) if asked.scenarios else 0} futures"
        method, _ = choose(asked)
        check_takes(method, asked)
        yield Contender(name, asked, method_of(method, gap, None))


def planned(every: Sequence[Contender], deadline: Deadline) -> Iterator[tuple[Contender, DayOutcome]]:
    """The plans, in their order, until the deadline; that of a budget begins with the worst days of those before."""
    known: Experience | None = None
    for each in every:
        if deadline.over():
            return
        budgeted = each.question.scenarios is None and each.question.day.uncertain.count > 0
        if budgeted and isinstance(each.method, PeriodColumns | DayTopologySearch):
            known = known or Experience(HourTemplates(each.question))
            yield each, each.method.solve(each.question, None, deadline, experience=known)
        else:
            yield each, each.method.solve(each.question, None, deadline)


def _futures(question: DayQuestion, risk: Risk, seed: int) -> ScenarioDays:
    """The futures of a question, or some that are drawn, under another risk."""
    if question.scenarios is not None:
        return replace(question.scenarios, risk=risk)
    days = sample_days(question.day.uncertain, FUTURES, seed=seed)
    return ScenarioDays(tuple(str(k + 1) for k in range(FUTURES)), days, np.full(FUTURES, 1.0 / FUTURES), risk)


def with_budget(question: DayQuestion, hours: int) -> DayQuestion:
    """The question with a budgeted set in which every quantity deviates in at most so many periods; 0 = in none."""
    day = question.day
    if not hours:
        return as_forecast(question)
    most = np.full(day.uncertain.count, min(hours, day.periods), dtype=np.int64)
    return replace(question, day=replace(day, uncertain=replace(day.uncertain, hours=most)), scenarios=None)


def as_forecast(question: DayQuestion) -> DayQuestion:
    """The question with nothing uncertain."""
    day = question.day
    none = np.zeros((day.periods, 0))
    certain = Uncertain(
        names=(),
        group=(),
        load=np.full(len(day.uncertain.load), -1, dtype=np.int64),
        renewable=np.full(day.renewables.count, -1, dtype=np.int64),
        down=none,
        up=none,
        hours=np.empty(0, dtype=np.int64),
    )
    return replace(question, day=replace(day, uncertain=certain), scenarios=None)


def set_of(question: DayQuestion, items: Sequence[Item]) -> DayQuestion | None:
    """The budgeted set in which plans are compared: that asked about, else that of the largest budget; None = none."""
    if question.scenarios is None:
        return question
    most = max((item for item in items if isinstance(item, int)), default=0)
    return with_budget(question, most) if most else None
