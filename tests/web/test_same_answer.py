"""The answer of a study is one, to the last digit: asked on a page, by REST, on the command line, or in Python.

Page and REST run the command that `Desk.ask` makes (`test_rest.py` has one as a process); here it runs in this one,
beside the line of Python that the page shows.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from openpoint.cli.app import run_app
from openpoint.studies.catalog import Study
from openpoint.web.grids import Grids
from openpoint.web.request import OUT, RESULT, command, studies

ASKED: dict[str, tuple[str, dict[str, Any]]] = {
    "reconfigure": ("civanlar16", {"locked_open": ["10-14"], "v_min": 0.9}),
    "reconfigure-futures": ("civanlar16", {"futures": "futures.csv", "risk": "worst"}),
    "reconfigure-year": ("civanlar16", {"year": "year.csv"}),
    "reconfigure-seasons": ("civanlar16", {"year": "year.csv", "blocks": "2"}),
    "reconfigure-secure": ("civanlar16", {"restorable": "today"}),
    "reconfigure-front": ("civanlar16", {"kept": "unrestorable"}),
    "dispatch": ("civanlar16", {}),
    "dispatch-front": ("civanlar16", {"criteria": "losses,changes", "points": 2}),
    "dispatch-day": ("civanlar16", {"day": "day.csv", "method": "columns"}),
    "powerflow": ("civanlar16", {}),
    "enclose": ("civanlar16", {}),
    "secure": ("civanlar16", {}),
    "plan": ("civanlar16", {"after": "8-10,9-11,7-16"}),
    "harden": ("zhang13", {"disasters": "storms:2", "max_lines": 1, "max_generators": 0}),
    "partition": ("ieee13-microgrids", {}),
    "partition-steps": ("ieee13-microgrids", {"horizon": "horizon.csv"}),
}
"""A small grid of each study, and a question that has an answer at once."""
TABLES = {
    "futures.csv": "future,bus,p_kw,q_kvar\none,9,5000,1000\nother,9,500,100\nother,16,4000,900\n",
    "horizon.csv": "step,hours,load_share\n1,1,1\n2,1,0.8\n",
    "year.csv": "hours,all\n8000,0.5\n760,1\n",
    "day.csv": "period,hours,price_usd_per_kwh\n1,12,0.1\n2,12,0.2\n",
}


@pytest.mark.parametrize("study", studies(), ids=lambda study: study.name)
def test_the_answer_is_the_same_wherever_it_is_asked(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case, given = ASKED[study.name]
    grids = Grids(tmp_path / "grids")
    grid = grids.built_in(case)
    grids.add(grid, {name: text.encode() for name, text in TABLES.items()})
    made = command(study, grids.get(grid.identity), given, copies=False)
    run = tmp_path / "run"
    (run / OUT).mkdir(parents=True)
    monkeypatch.chdir(run)
    with pytest.raises(SystemExit) as left:
        run_app(list(made.arguments))
    assert left.value.code == 0
    monkeypatch.chdir(grid.folder / "files")
    names: dict[str, Any] = {}
    exec(made.python, names)
    assert steady(json.loads((run / OUT / RESULT).read_text())) == steady(json.loads(names["result"].to_json()))


def steady(document: Any) -> Any:
    """A result without the seconds that it took, which differ from run to run."""
    if isinstance(document, dict):
        return {key: steady(value) for key, value in document.items() if not key.startswith("seconds")}
    return [steady(each) for each in document] if isinstance(document, list) else document
