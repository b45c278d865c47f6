"""A request becomes the command that asks the same, and nothing else."""

from pathlib import Path
from typing import Any

import pytest

import openpoint
from openpoint.cli import study as runner
from openpoint.cli.app import run_app
from openpoint.errors import OptionError
from openpoint.options import asked, default_of
from openpoint.studies.catalog import STUDIES, Study
from openpoint.web.grids import Grids, OpenGrid
from openpoint.web.request import command, is_output, options, studies, study_of, verification

NEEDED: dict[str, dict[str, Any]] = {
    "reconfigure-futures": {"futures": "futures.csv", "risk": "cvar:0.9"},
    "reconfigure-year": {"year": "synthetic-quarters"},
    "reconfigure-seasons": {"year": "synthetic-hours", "blocks": "monthly"},
    "reconfigure-secure": {"restorable": "today"},
    "reconfigure-front": {"kept": "saifi"},
    "dispatch-front": {"criteria": "losses,changes"},
    "dispatch-day": {"day": "baran33-day", "uncertain": "load=0.1"},
    "plan": {"after": "7,9,14,32,37"},
    "partition-steps": {"horizon": "futures.csv"},
    "harden": {"disasters": "storms:5", "any_lines": None},
}
"""Values that studies need, beside those that follow from the declaration."""


@pytest.fixture
def grid(tmp_path: Path) -> OpenGrid:
    return Grids(tmp_path).upload({"case.m": b"x", "futures.csv": b"x"})


def values(study: Study) -> dict[str, Any]:
    """A value for every option that a form can fill without knowing what it means."""
    found: dict[str, Any] = {}
    for name, told, _ in options(study):
        if told.choices and name not in ("ignore_limits", "method", "weigh"):
            found[name] = told.choices[-1]
        elif told.kind == "names":
            found[name] = ["33", "tie 7,8"]
        elif told.kind == "whole":
            found[name] = int(told.least or 1) + 1
    return {**found, **NEEDED.get(study.name, {})}


@pytest.mark.parametrize("study", studies(), ids=lambda study: study.name)
def test_the_command_asks_what_the_request_says(study: Study, grid: OpenGrid, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same options, to the last digit; the answer is that of the command line, since a run is one."""
    given = values(study)
    seen: list[tuple[Any, Any]] = []

    def run(_: Study, source: Any, question: Any, reads: object, wanted: object) -> int:
        seen.append((source, question))
        return 0

    monkeypatch.setattr(runner, "run", run)
    monkeypatch.chdir(grid.folder)
    made = command(study, grid, given, copies=False)
    with pytest.raises(SystemExit) as left:
        run_app(list(made.arguments))
    assert left.value.code == 0
    plain = {name: default_of(each, told) for name, told, each in options(study)}
    files = {name: str(path) for name, path in grid.files.items()}
    plain |= {name: files.get(value, value) if isinstance(value, str) else value for name, value in given.items()}
    assert seen == [(grid.source, asked(study.question, plain))]


def test_numbers_keep_all_their_digits(grid: OpenGrid) -> None:
    made = command(study_of("reconfigure"), grid, {"v_min": 0.9000000000000001, "gap": 1e-12}, copies=False)
    assert "--v-min=0.9000000000000001" in made.arguments
    assert "--gap=1e-12" in made.arguments


def test_a_value_is_never_an_option_of_its_own(grid: OpenGrid) -> None:
    made = command(study_of("reconfigure"), grid, {"method": "--json=x", "locked_open": ["--quiet"]}, copies=False)
    assert {"--method=--json=x", "--open=--quiet"} <= set(made.arguments)
    assert made.arguments[-2:] == ("--", grid.source)


@pytest.mark.parametrize("value", ["/etc/passwd", "../x.csv", "~/x", "a/b", "a\\b", "dask://host:1", "."])
def test_a_text_leads_to_no_file_but_those_of_the_grid(grid: OpenGrid, value: str) -> None:
    for study, name in (("reconfigure-futures", "futures"), ("reconfigure-year", "year"), ("reconfigure", "method")):
        with pytest.raises(OptionError, match="no file of this grid"):
            command(study_of(study), grid, {name: value, **({"year": value} if name == "year" else {})}, copies=False)
    made = command(study_of("reconfigure-futures"), grid, {"futures": "futures.csv"}, copies=False)
    assert made.arguments[-1] == str(grid.folder / "files" / "futures.csv")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"v_min": "0.9"}, "v_min is '0.9'; give a number"),
        ({"v_min": -1.0}, "v_min is -1; give 0 or more"),
        ({"v_min": float("nan")}, "v_min is nan; give 0 or more"),
        ({"max_changes": 1.5}, "max_changes is '1.5'; give a whole number"),
        ({"max_changes": True}, "give a whole number"),
        ({"soft_limits": 1}, "give true or false"),
        ({"locked_open": "7"}, "give a list of names"),
        ({"locked_open": [7]}, "what is no name"),
        ({"ignore_limits": "<b>"}, "give one of voltage, current, all"),
        ({"vmin": 1.0}, "Did you mean 'v_min'"),
        ({"executor": "processes:4"}, "option of the command line alone"),
        ({"certificate": "../p.cert"}, "without folders"),
        ({"certificate": "result.json"}, "give another"),
        ({"method": "a\x1b[2J"}, "cannot be printed"),
        ({"v_min": "x", "v_max": "y"}, "v_max is 'y'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_it_runs(grid: OpenGrid, given: dict[str, Any], told: str) -> None:
    with pytest.raises(OptionError) as error:
        command(study_of("reconfigure"), grid, given, copies=False)
    assert told in str(error.value)


def test_what_is_missing_is_told_with_its_sentence(grid: OpenGrid) -> None:
    with pytest.raises(OptionError, match="futures is missing: The futures, one topology"):
        command(study_of("reconfigure-futures"), grid, {}, copies=False)


def test_what_is_not_asked_here_is_told_with_its_command() -> None:
    for name in {study.name for study in STUDIES} - {study.name for study in studies()}:
        with pytest.raises(OptionError, match=f"openpoint {name} --help"):
            study_of(name)
    with pytest.raises(OptionError, match="Did you mean 'reconfigure'"):
        study_of("reconfigur")


@pytest.mark.parametrize("study", studies(), ids=lambda study: study.name)
def test_the_line_of_python_asks_the_same(study: Study, grid: OpenGrid) -> None:
    needed = {name: value for name, value in NEEDED.get(study.name, {}).items() if value is not None}
    made = command(
        study, grid, {**needed, **({"v_min": 0.9} if "limits" in vars(study.question) else {})}, copies=False
    )
    seen: dict[str, Any] = {}

    class Public:
        Limits = openpoint.Limits

        def __getattr__(self, name: str) -> Any:
            assert name in openpoint.__all__
            return lambda grid, **given: seen.update(given)

    exec(made.python.removeprefix("import openpoint\n"), {"openpoint": Public()})
    limits = {"limits": openpoint.Limits(v_min_pu=0.9)} if "limits" in vars(study.question) else {}
    commands = {name: told.command_default for name, told, _ in options(study) if told.command_default is not None}
    assert seen == {**commands, **needed, **limits}
    asked(study.question, {key: value for key, value in seen.items() if key != "limits"})


def test_a_new_option_of_a_study_is_asked_for_by_itself() -> None:
    """Nothing here names an option but to leave it out."""
    for study in studies():
        assert {name for name, told, _ in options(study) if is_output(told)} <= {"certificate", "checkpoint"}


def test_a_certificate_is_checked_against_the_question_that_was_asked(grid: OpenGrid) -> None:
    given = {"futures": "futures.csv", "risk": "worst", "v_min": 0.9, "locked_open": ["7", "8"], "gap": 0.1}
    made = verification(study_of("reconfigure-futures"), grid, {**given, "certificate": "p.gz"}, Path("/kept/out/p.gz"))
    table = grid.folder / "files" / "futures.csv"
    asked = {"--risk=worst", "--v-min=0.9", "--open=7", "--open=8", f"--futures={table}", "--json=out/claim.json"}
    assert set(made.arguments[1:-3]) == asked
    assert (made.arguments[0], *made.arguments[-3:]) == ("verify", "--", grid.source, "/kept/out/p.gz")
    assert made.shown.endswith("--futures=futures.csv -- case.m p.gz")


def test_a_plan_leaves_its_list_to_tick(grid: OpenGrid) -> None:
    for study in studies():
        made = command(study, grid, {**values(study), **NEEDED.get(study.name, {})}, copies=False)
        assert ("--checklist=out/checklist.html" in made.arguments) is (study.name == "plan")
