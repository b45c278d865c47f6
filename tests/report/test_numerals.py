"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest

from openpoint import Benders, BranchExchange, ColumnAndConstraint, Enumeration, ExtensiveForm, TopologySearch
from openpoint.report.numerals import figures, method_words, mismatch_words
from openpoint.report.terminal import words
from openpoint.studies.dispatch.day.model.hourly_switching import HourlySwitching
from openpoint.studies.dispatch.day.model.period_columns import PeriodColumns
from openpoint.studies.dispatch.day.model.period_scenarios import PeriodScenarios
from openpoint.studies.dispatch.day.topology.hourly import HourlyTopologies
from openpoint.studies.dispatch.day.topology.method import DayTopologySearch


@pytest.mark.parametrize(
    ("value", "digits", "said"),
    [
        (1456.7, 3, "1,457"),
        (146.0, 3, "146"),
        (210.04, 3, "210"),
        (0.012345, 4, "0.01235"),
        (-1234567.0, 4, "-1,234,567"),
        (100.0, 4, "100"),
        (1e-9, 4, "0.000000001"),
        (0.0, 4, "0"),
        (math.nan, 4, "–"),
        (math.inf, 4, "–"),
        (None, 4, "–"),
    ],
)
def test_a_number_has_no_exponent(value: float | None, digits: int, said: str) -> None:
    assert figures(value, digits) == said


@pytest.mark.parametrize(
    ("method", "said"),
    [
        (TopologySearch(), "Topology search, to 0.0001 %"),
        (BranchExchange(), "Branch exchange"),
        (Enumeration(), "All topologies tried"),
        (Benders(gap=0.01), "Benders decomposition, to 1 %"),
        (ColumnAndConstraint(gap=1e-4), "Column-and-constraint generation, to 0.01 %"),
        (ExtensiveForm(solver="highs", gap=0.0), "One program for all, solved by highs, to 0 %"),
        (Benders(gap=0.01, relaxation=False), "Benders decomposition, to 1 %, plain"),
        (PeriodColumns(gap=0.001), "Column-and-constraint generation by period, to 0.1 %"),
        (PeriodScenarios(gap=0.001), "Scenario days, by period, to 0.1 %"),
        (DayTopologySearch(gap=0.001), "Topology search of a day, to 0.1 %"),
        (HourlyTopologies(gap=0.001), "Resources and hourly topologies by turns, to 0.1 %"),
        (HourlySwitching(gap=0.001), "Dynamic programming over proven topologies, to 0.1 %"),
        ("what nobody knows (yet)", "what nobody knows (yet)"),
    ],
)
def test_a_method_is_named_in_words(method: object, said: str) -> None:
    assert method_words(str(method)) == said
    assert words.method(method) == said[0].lower() + said[1:]


def test_a_small_mismatch_is_small_in_words() -> None:
    assert mismatch_words(1.4e-14) == "below 0.000001 pu"
    assert mismatch_words(0.00321) == "0.0032 pu"
    assert mismatch_words(None) == "–"
