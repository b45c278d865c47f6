"""What is asked of a day: bad input is refused with a remedy, all at once."""

from typing import Any

import pytest

import openpoint
from openpoint import InputError, OptionError
from openpoint.studies.dispatch.day.model.question import Cadence
from openpoint.studies.dispatch.day.options import DayOptions
from tests.builders.days import prepared


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"budget": 2}, "nothing is uncertain; give uncertain, too"),
        ({"uncertain": "loads=0.1"}, "the groups are load, reactive, solar, wind"),
        ({"uncertain": "load=1.5"}, "give a share from 0 to 1"),
        ({"uncertain": "load=0.1", "budget": "solar=1"}, "name it in uncertain, too"),
        ({"topology": "daily"}, "topology is 'daily'; give one of fixed, once, hourly"),
        ({"max_changes": -1}, "max_changes is -1; give 0 or more"),
        ({"topology": "fixed", "max_changes": 2}, "topology='fixed' has none"),
        ({"prices": {"switching": -1.0}}, "prices of switching is -1; give 0 or more"),
        ({"prices": "energy=1"}, "the prices are switching, moving, loss"),
        ({"shift": {"buses": 1.2}}, "give 0 to 1, such as 0.1"),
        ({"shift": "time=some"}, "shift of time is 'some'"),
        ({"shift": "time"}, "shift says nothing of time"),
        ({"samples": 10}, "samples draws days from what is uncertain"),
        ({"futures": 5}, "nothing is; give uncertain, too, or a table of futures"),
        ({"futures": 0, "uncertain": "load=0.1"}, "futures is 0; give DayFutures, a Polars frame"),
        ({"futures": 5, "uncertain": "load=0.1", "budget": 2}, "leave one of both out"),
        ({"futures": "days.csv", "uncertain": "load=0.1"}, "says itself what differs"),
        ({"futures": "days.csv", "samples": 10}, "a table of futures does not say how"),
        ({"futures": 5, "uncertain": "load=0.1", "topology": "hourly"}, "a topology that is fixed or decided once"),
        ({"risk": "worst"}, "risk is of the costs of futures; give futures"),
        ({"futures": "days.csv", "risk": "regret"}, "give expected, cvar:0.9 or worst"),
        ({"futures": "days.csv", "risk": "mean"}, "the risk 'mean' is not known"),
        ({"source_max_kw": -1.0}, "source_max_kw is -1"),
        ({"method": "guess"}, "method is 'guess'"),
        ({"time_limit_s": -1.0}, "time_limit_s is -1"),
        ({"locked_open": 33}, "locked_open has 33, which is no name"),
    ],
)
def test_what_makes_no_sense_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError, match=told.replace("(", r"\(")):
        DayOptions(**given)


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(OptionError, match=r"topology .*gap is -1.*budget "):
        DayOptions(budget=1, topology="never", gap=-1.0)  # type: ignore[arg-type]


def test_options_become_the_question() -> None:
    question = prepared(topology="once", max_changes=3, prices="switching=5", shift="buses=0.15").question
    assert question.topology is Cadence.ONCE
    assert question.rules.max_changes == 3
    assert question.cost.change * question.network.s_base_kva == pytest.approx(5.0)
    assert question.day.demand.shift_buses.tolist() == [0.15] * 4
    assert question.devices.names == ("unit",)  # the bank and the source stay where they are
    assert not question.rules.must_close.any()


def test_a_fixed_topology_gives_every_branch_its_state_of_today() -> None:
    question = prepared(topology="fixed").question
    assert (question.rules.must_close == question.network.closed).all()
    assert (question.rules.must_open == ~question.network.closed).all()


def test_positions_are_free_when_asked_for_and_there_are_any() -> None:
    assert set(prepared(positions="once").question.devices.names) == {"bank", "grid", "unit"}
    with pytest.raises(OptionError, match="this grid has no tap changer"):
        openpoint.dispatch_day("baran33", "baran33-day", positions="once")


def test_unknown_grids_days_and_branches_are_named() -> None:
    with pytest.raises(InputError, match="no built-in day of this name"):
        openpoint.dispatch_day("baran33", "baran-day")
    with pytest.raises(InputError, match="999"):
        openpoint.dispatch_day("baran33", "baran33-day", locked_open="999")
    with pytest.raises(InputError, match="it must be open already"):
        openpoint.dispatch_day("baran33", "baran33-day", topology="fixed", locked_closed="33")
