"""Faults as a limit or an objective of published grids: answers, refusals, files."""

from __future__ import annotations

import polars as pl
import pytest

import openpoint
from openpoint import InputError, OptionError, Reliability, Termination
from openpoint.studies.reconfigure.faults.result import SecuredResult
from tests.builders.pages import Page, render


def customers() -> Reliability:
    """Customers at some buses of baran33, and a breaker in its feeder."""
    at = {"bus": ["14", "18", "25"], "customers": [120, 80, 400]}
    return Reliability.of(at, breakers={"branch": ["5", "9"], "end": ["from", "to"]})


def test_the_answer_is_judged_as_secure_judges_it() -> None:
    result = openpoint.reconfigure_secure(
        "baran33", restorable="today", reliability=customers(), failures_per_branch_year=0.1
    )
    assert result.termination is Termination.GAP
    assert result.fault_limit == "no fault less restorable than today"
    assert result.grid_after is not None
    for grid, summary in ((result.grid, result.before), (result.grid_after, result.after)):
        judged = openpoint.secure(grid, reliability=customers(), failures_per_branch_year=0.1)
        bad = ("partly restored", "overload", "limits", "no tie")
        assert summary.unrestorable == sum(judged.counts[verdict] for verdict in bad)
        assert summary.saifi_per_year == pytest.approx(judged.saifi_per_year)
        assert summary.saidi_h_per_year == pytest.approx(judged.saidi_h_per_year)
        assert summary.not_supplied_kwh_per_year == pytest.approx(judged.not_supplied_kwh_per_year)
    rows = result.faults.filter(restorable_before=True)
    assert not (~rows["restorable_after"].fill_null(value=True)).any()
    assert result.document()["unrestorable_before"] == 11


@pytest.mark.parametrize("minimize", ["saidi", "loss"])
def test_what_is_remote_is_switched_as_soon_as_secure_says(minimize: str) -> None:
    grid = openpoint.read("baran33")
    remote = ["6", "7", "13", "14", "28", "29", "33", "34", "35", "36", "37"]
    grid = grid.with_tables(lines=grid.lines.with_columns(remote=pl.col("name").is_in(remote)))

    def judged(asked: openpoint.Grid) -> float | None:
        return openpoint.secure(
            asked, reliability=customers(), failures_per_branch_year=0.1, remote_switching_h=0.1
        ).saidi_h_per_year

    result = openpoint.reconfigure_secure(
        grid,
        minimize=minimize,
        reliability=customers(),
        failures_per_branch_year=0.1,
        remote_switching_h=0.1,
        gap=0.2,
    )
    assert result.grid_after is not None
    assert result.before.saidi_h_per_year == pytest.approx(judged(result.grid))
    assert result.after.saidi_h_per_year == pytest.approx(judged(result.grid_after))
    plain = openpoint.secure(result.grid, reliability=customers(), failures_per_branch_year=0.1)
    assert result.before.saidi_h_per_year != pytest.approx(plain.saidi_h_per_year)


def test_a_number_that_nothing_keeps_is_proven_to_be_none() -> None:
    result = openpoint.reconfigure_secure("baran33", restorable=0)
    assert result.termination is Termination.INFEASIBLE
    assert not result.has_answer
    assert result.after.unrestorable is None
    assert any("has fewer than 1 unrestorable faults, proven; the fewest known are" in note for note in result.notes)


def test_an_index_is_kept_or_proven_not_to_be_and_its_floor_is_told() -> None:
    def asked(at_most: dict[str, float] | str) -> SecuredResult:
        return openpoint.reconfigure_secure("civanlar16", at_most=at_most, failures_per_branch_year=0.1)

    least = openpoint.reconfigure_secure("civanlar16", minimize="ens", failures_per_branch_year=0.1)
    assert least.minimized_value is not None
    kept = asked({"ens": 1.001 * least.minimized_value, "unrestorable": 20})
    assert kept.after.not_supplied_kwh_per_year is not None
    assert kept.after.not_supplied_kwh_per_year <= 1.0011 * least.minimized_value
    assert kept.fault_limit.startswith("at most 20 unrestorable faults, ENS at most ")
    none = asked("ens=1")
    assert none.termination is Termination.INFEASIBLE
    assert not none.has_answer
    told = next(note for note in none.notes if note.startswith("ENS: no state has less than"))
    floor, known = (float(part.split()[0]) for part in (told.split("less than ")[1], told.split("known is ")[1]))
    assert 1.0 < floor <= known * (1.0 + 1e-5)
    assert known == pytest.approx(least.minimized_value, rel=1e-4)


def test_limits_of_figures_that_make_no_sense_are_refused_at_once() -> None:
    with pytest.raises(OptionError, match=r"names 'caidi'; the figures of faults are .*saifi.*-1; give 0 or more"):
        openpoint.reconfigure_secure("baran33", at_most={"caidi": 1.0, "saidi": -1.0})
    with pytest.raises(OptionError, match="at_most says nothing of saidi; give a number, such as"):
        openpoint.reconfigure_secure("baran33", at_most="saidi")
    with pytest.raises(OptionError, match="at_most of saidi is nan; give 0 or more"):
        openpoint.reconfigure_secure("baran33", at_most={"saidi": float("nan")})
    with pytest.raises(OptionError, match="give a whole number of faults"):
        openpoint.reconfigure_secure("baran33", at_most={"unrestorable": 2.5})
    with pytest.raises(OptionError, match="both give a number of unrestorable faults"):
        openpoint.reconfigure_secure("baran33", at_most={"unrestorable": 2}, restorable=3)
    with pytest.raises(OptionError, match="saidi is what is least and bounded by at_most"):
        openpoint.reconfigure_secure("baran33", at_most={"saidi": 2}, minimize="saidi")
    with pytest.raises(OptionError, match=r"SAIDI needs faults a year.*ENS needs faults a year"):
        openpoint.reconfigure_secure("baran33", at_most={"saidi": 2, "ens": 3})


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(OptionError, match="minimize is 'cost'; give one of loss, saifi, saidi, ens"):
        openpoint.reconfigure_secure("baran33", minimize="cost")
    with pytest.raises(OptionError, match=r"restorable is -1.*max_loading_percent is 0"):
        openpoint.reconfigure_secure("baran33", restorable=-1, max_loading_percent=0.0)
    with pytest.raises(OptionError, match=r"1\.2, and is in percent; for 1\.2 times the ratings give 120"):
        openpoint.reconfigure_secure("baran33", restorable=3, max_loading_percent=1.2)
    with pytest.raises(OptionError, match="above switching_h of 1; give at most that"):
        openpoint.reconfigure_secure("baran33", restorable=3, remote_switching_h=2.0)
    with pytest.raises(OptionError, match=r"SAIDI needs faults a year.*and customers by bus"):
        openpoint.reconfigure_secure("baran33", minimize="saidi")
    with pytest.raises(OptionError, match="give max_changes"):
        openpoint.reconfigure_secure("baran33", minimize="ens", failures_per_branch_year=0.1, change_cost_kw=1.0)
    with pytest.raises(OptionError, match="balanced grids"):
        openpoint.reconfigure_secure("ieee13", restorable=3)
    grid = openpoint.read("baran33").with_closed(dict.fromkeys(("33",), True))
    with pytest.raises(InputError, match="no fault is restorable as today"):
        openpoint.reconfigure_secure(grid, restorable="today")


def test_the_page_says_what_the_result_says() -> None:
    result = openpoint.reconfigure_secure("baran33", restorable=5)
    page = Page(render(result))
    for said in ("Limit of faults: at most 5 unrestorable faults.", "unrestorable faults", "proven: no state has less"):
        assert said in page.text
