"""The question in the head of a certificate: written, read again, and nothing else is read."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from openpoint.errors import OptionError
from openpoint.grid import files
from openpoint.network.limits import Limits
from openpoint.verify import Asked, CertificateError, asked_of, question_of
from openpoint.verify.asked import read_asked


@pytest.mark.parametrize(
    "asked",
    [
        Asked(),
        Asked(limits=Limits(v_min_pu=float(np.float32(0.95)), current=False), locked_open=("a", "b"), max_changes=3),
        Asked(change_cost_kw=0.5, locked_closed=("c",), futures=True, risk="regret:cvar:0.9", limits_share=0.9),
        Asked(futures=True, ambiguity="tv:0.4"),
        Asked(minimize={"losses": 1.0, "changes": 0.2}, free=("topology", "taps")),
        Asked(year=True),
    ],
)
def test_what_is_written_is_read(asked: Asked) -> None:
    assert read_asked(asked.to_json()) == asked


def test_numbers_of_any_kind_are_written_as_such() -> None:
    given = Asked(limits=Limits(v_max_pu=np.float32(1.05)), minimize={"losses": np.float64(1.0)})  # type: ignore[arg-type]
    assert type(given.to_json()["limits"]["v_max_pu"]) is float
    assert type(given.to_json()["minimize"]["losses"]) is float


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"limit": {}}, "'limit', which is not known"),
        ({"limits": {"voltage": 1, "current": True, "v_min_pu": None, "v_max_pu": None}}, "true or false is needed"),
        ({"limits": {"voltage": True, "current": True, "v_min_pu": 1.1, "v_max_pu": 0.9}}, "lies above v_max_pu"),
        ({"limits": {"voltage": True}}, "has no 'current'"),
        ({"locked_open": "7"}, "a list is needed"),
        ({"locked_open": ["7", "7"]}, "a name twice"),
        ({"max_changes": True}, "a whole number"),
        ({"max_changes": -1}, "a whole number"),
        ({"change_cost_kw": -1.0}, "a number >= 0"),
        ({"limits_share": 0}, "above 0, up to 1"),
        ({"limits_share": 1.5}, "above 0, up to 1"),
        ({"risk": "cvar:1"}, "the risk 'cvar:1' is not known"),
        ({"risk": "regret:regret"}, "is not known"),
        ({"ambiguity": "tv:nan"}, "the ambiguity 'tv:nan' is not known"),
        ({"ambiguity": "tv:-1"}, "is not known"),
        ({"minimize": {}}, "no weight"),
        ({"minimize": {"losses": 0.0}}, "no weight, or one of 0"),
        ({"minimize": {"beauty": 1.0}}, "'beauty', which is not known"),
        ({"free": ["wind"]}, "topology or taps"),
        ({"futures": 1}, "true or false is needed"),
        ([], "an object is needed"),
    ],
)
def test_words_that_make_no_question_are_refused_by_name(words: Any, message: str) -> None:
    with pytest.raises(CertificateError, match=message):
        read_asked(words)


@pytest.mark.parametrize(
    "words",
    [
        Asked(minimize={"losses": 1.0}, change_cost_kw=1.0),
        Asked(risk="worst"),
        Asked(ambiguity="tv:0.1"),
        Asked(limits_share=0.5),
        Asked(free=("topology",)),
        Asked(minimize={"deviation": 1.0}),
    ],
)
def test_words_without_effect_would_be_told_without_being_proven(words: Asked) -> None:
    with pytest.raises(OptionError):
        question_of(files.load("baran33"), words)


def test_what_is_not_asked_is_no_question() -> None:
    assert asked_of() is None
    assert asked_of(change_cost_kw=0.0) == asked_of(risk="expected") == asked_of(limits=Limits()) == Asked()
    assert asked_of(free="taps, topology") == Asked(free=("taps", "topology"), minimize={"losses": 1.0})
    assert asked_of(minimize="losses=1,cost=0") == Asked(minimize={"losses": 1.0})
    assert asked_of(risk=" Regret:CVaR:0.50 ") == Asked(risk="regret:cvar:0.5")
    with pytest.raises(OptionError, match="the weight 0"):
        asked_of(minimize="losses=0")
