"""What a saving of losses is worth: energy, money and present value of it, and texts that are refused."""

from pathlib import Path

import pytest

import openpoint
from openpoint import OptionError
from openpoint.results.worth import Worth, read_worth


@pytest.mark.parametrize("interest", [0.0, 1e-9, 0.05, 1.0])
@pytest.mark.parametrize("years", [1, 20])
def test_the_present_value_is_the_sum_of_the_years(interest: float, years: int) -> None:
    found = Worth(80.0, 3000.0, interest, years).values(10.0)
    assert found["saving_mwh_a_year"] == pytest.approx(30.0)
    assert found["saving_money_a_year"] == pytest.approx(2400.0)
    each = sum((1.0 + interest) ** -k for k in range(1, years + 1))
    assert found["saving_present_value"] == pytest.approx(2400.0 * each, rel=1e-7)


def test_a_text_is_read_as_the_numbers_that_it_has() -> None:
    assert read_worth("price=80, hours=3000,interest=5%,years=20") == Worth(80.0, 3000.0, 0.05, 20.0)
    assert read_worth("price=80") == Worth(80.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("80", "'80' in worth is not understood"),
        ("price=80,price=90", "'price=90' in worth is not understood"),
        ("hours=3000", "worth has no price"),
        ("price=nan,hours=x", "'price=nan', 'hours=x' in worth is not understood"),
        ("price=-1,hours=9000", "price of worth is -1; give 0 to 1e+09; hours of worth is 9000"),
        ("price=inf", "price of worth is inf"),
    ],
)
def test_other_texts_are_refused_with_all_that_is_wrong(text: str, said: str) -> None:
    with pytest.raises(OptionError, match="worth") as caught:
        openpoint.reconfigure("baran33", worth=text)
    assert said in str(caught.value)


def test_an_answer_and_a_fleet_tell_what_their_savings_are_worth(tmp_path: Path) -> None:
    worth = Worth(80.0, 3000.0, 0.05, 20.0)
    told = openpoint.reconfigure("baran33", worth=worth)
    assert told.summary()["saving_mwh_a_year"] == pytest.approx(told.saving_kw * 3.0)
    assert openpoint.reconfigure("baran33").summary()["saving_mwh_a_year"] is None
    fleet = openpoint.reconfigure_fleet(["baran33", "das70"], tmp_path, worth=worth, reports=False)
    assert fleet.summary()["saving_money_a_year"] == pytest.approx(fleet.saving_kw * 3.0 * 80.0)
    kept = openpoint.reconfigure_fleet(["baran33", "das70"], tmp_path, worth="price=90", reports=False)
    assert kept.kept == 2  # what losses are worth changes no answer
