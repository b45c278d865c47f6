"""The engine finds in the statements that are written for it what it finds in those of the file."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import pytest
from opendssdirect import DSSException

from openpoint.io.opendss.engine import borrow_engine, hand_back, run_statements
from openpoint.io.opendss.statement import CLASSES, OPTIONS, full
from openpoint.io.opendss.text import read_script
from tests.io.feeders import FEEDERS, LINE, LOAD, SERVICES, SUB, script

ODD = """New Line.Pos B C , , length=9
New Line.Short bus1=B bus2=C le=2 r1=.1 x=.2 rm=9
New Line.Named B C length = 3 4 .1 , .2 .3
New 'Load.My load' bus1=B ph=1 3 7.2 kw=(2 3 *) PF=.9
New Load.Cut bus1=B kw=3, kvar=, kv=5
New Load.Q kw="4" bus1=[B] kv=12.47
New LoadShape.S 3 1 (1 2 3) act=norm
Load.Q.kw=5 kvar=2
~ model=2
Edit Load.Pos kw=1
New LoadShape.T like=S
BatchEdit Load.Q.* kw=9
"""


def properties_of(engine: Any) -> dict[str, dict[str, str]]:
    """All properties of all objects of all classes."""
    found: dict[str, dict[str, str]] = {}
    for kind in CLASSES:
        engine.Circuit.SetActiveClass(kind)
        has_next = engine.ActiveClass.First()
        while has_next:
            names = engine.Element.AllPropertyNames()
            # The engine leaves matrices of these that were not given as its memory was.
            told = [name for name in names if kind not in ("capacitor", "reactor") or "Matrix" not in name]
            found[engine.Element.Name().lower()] = {name: engine.Properties.Value(name) for name in told}
            has_next = engine.ActiveClass.Next()
    return found


@pytest.mark.parametrize("name", [*FEEDERS, "services", "odd"])
def test_both_give_the_same_objects(name: str, tmp_path: Path) -> None:
    body = {"services": SUB + LINE + LOAD + SERVICES, "odd": SUB + LINE + LOAD + ODD.replace("Load.Pos", "Load.Q")}
    path = tmp_path / "a.dss"
    path.write_text(script(FEEDERS[name] if name in FEEDERS else body[name]))
    parsed = read_script(path)
    assert parsed.faults == []
    found = []
    for texts in ([s.text for s in parsed.statements], [s.command for s in parsed.statements]):
        engine = borrow_engine()
        for text in texts:
            engine.Text.Command(text)
        found.append(properties_of(engine))
        hand_back(engine)
    differ = [
        (element, name, value, found[1][element][name])
        for element, given in found[0].items()
        for name, value in given.items()
        if found[1][element][name] != value
    ]
    assert differ == []
    assert found[0].keys() == found[1].keys()
    assert len(found[0]) > 5


def test_the_words_are_those_of_the_engine_in_their_order() -> None:
    """A value without a name, and an abbreviation, depend on the order."""
    engine = borrow_engine()
    run_statements(engine, [])
    engine.Text.Command("new circuit.c")
    options = [engine.Executive.Option(k + 1).lower() for k in range(engine.Executive.NumOptions())]
    assert [word.lstrip("-~") for word in OPTIONS] == options
    for kind, words in CLASSES.items():
        engine.Circuit.SetActiveClass(kind)
        with contextlib.suppress(DSSException):  # some want more than a name
            engine.Text.Command(f"new {kind}.one")
        assert [word.lstrip("-~") for word in words] == [name.lower() for name in engine.Element.AllPropertyNames()]
    hand_back(engine)
    assert full(CLASSES["line"], "li") == CLASSES["line"].index("linecode")
    assert full(CLASSES["generator"], "user") == CLASSES["generator"].index("-usermodel")
