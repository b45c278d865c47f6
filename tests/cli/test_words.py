"""Numbers for people."""

import pytest

from openpoint.report import numerals


@pytest.mark.parametrize(
    ("value", "said"),
    [(-3.012, "-$3.01"), (-0.0, "$0.00"), (-4e-10, "$0.00"), (-0.005, "-$0.01"), (1234.5, "$1,234.50")],
)
def test_amounts_of_money_have_one_sign_before_the_dollar(value: float, said: str) -> None:
    assert numerals.usd(value) == said


def test_no_amount_is_a_dash() -> None:
    assert (numerals.usd(None), numerals.usd(float("inf"))) == ("–", "–")
