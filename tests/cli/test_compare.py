"""Cases side by side: each as by itself, all faults told before one is solved, and one table of all figures."""

import json
import signal
from pathlib import Path

import jsonschema
import polars as pl
import pytest

import openpoint
from openpoint import OptionError, Termination
from openpoint.options import declared, default_of
from openpoint.studies.catalog import STUDIES, published
from openpoint.studies.compare.options import CompareOptions
from openpoint.studies.compare.report import label
from tests.builders.microgrids import five
from tests.builders.pages import Page, render
from tests.cli.desk import Command

CASES = {"free": {}, "four": {"max_changes": 4}, "locked": {"locked_open": ["33"]}}


def test_every_case_is_as_by_itself() -> None:
    found = openpoint.compare("baran33", "reconfigure", CASES)
    for name, options in CASES.items():
        alone = openpoint.reconfigure("baran33", **options)  # type: ignore[arg-type]
        assert found[name].loss_kw == alone.loss_kw
        figures = dict(found.figures.filter(case=name).select("figure", "value").iter_rows())
        assert figures["loss_kw"] == alone.loss_kw
        assert figures["v_min_pu"] == alone.v_min_pu
        assert dict(found.wide.select("figure", name).iter_rows())["loss_kw"] == alone.loss_kw
    assert found.cases["options"].to_list() == ["", "max_changes = 4", "locked_open = ('33',)"]
    assert found.exit_code == 0
    with pytest.raises(OptionError, match="there is no result of a case 'fuor'"):
        found["fuor"]


def test_texts_files_and_mappings_ask_the_same(tmp_path: Path, command: Command) -> None:
    file = tmp_path / "cases.toml"
    file.write_text("[common]\nmax-changes = 4\n[a]\nv-min = 0.92\n[b]\nopen = ['7', '9']\nsoft-limits = true\n")
    mapping = {
        "a": {"v_min": 0.92, "max_changes": 4},
        "b": {"locked_open": ["7", "9"], "soft_limits": True, "max_changes": 4},
    }
    texts = ["a: --v-min 0.92 --max-changes=4", "b: --open 7 --open 9 --soft-limits --max-changes 4"]
    asked = [CompareOptions("reconfigure", given).questions() for given in (file, mapping)]
    asked.append(CompareOptions("reconfigure", case=texts).questions())
    assert asked[0] == asked[1] == asked[2]
    done = command("compare", "baran33", "reconfigure", "--cases", file, "--case", "plain:")
    assert (done.code, "3 cases of reconfigure" in done.out) == (0, True), done.err
    assert all(f"{name}: " in done.out for name in ("a", "b", "plain"))


def test_a_part_may_be_given_whole_or_by_its_options() -> None:
    cases = {"whole": {"limits": openpoint.Limits(v_min_pu=0.92)}, "option": {"v_min": 0.92}}
    whole, option = CompareOptions("reconfigure", cases).questions().values()
    assert whole == option
    with pytest.raises(OptionError, match="limits"):
        CompareOptions("reconfigure", {**cases, "wrong": {"limits": 3}})


def test_a_case_for_each_value_in_braces() -> None:
    def cases(*texts: str) -> dict[str, object]:
        return CompareOptions("reconfigure", case=texts).questions()

    found = cases("{} pu: --v-min {0.9, 0.95}", "at most: --max-changes {2,4} --v-min {0.9,0.92}", "free:")
    assert list(found) == ["0.9 pu", "0.95 pu", *(f"at most {n} {v}" for n in (2, 4) for v in (0.9, 0.92)), "free"]
    assert found["0.95 pu"] == cases("a: --v-min 0.95", "b:")["a"]
    with pytest.raises(OptionError, match=r"case '0\.9' is there twice"):
        cases("{}: --v-min {0.9,0.9}")


def test_cases_over_one_option_have_it_as_axis() -> None:
    asked = {"loose": {"gap": 0.1}, "tight": {"gap": 1e-4}}
    assert openpoint.compare("civanlar16", "reconfigure", asked).axis == ("gap", (0.1, 1e-4))
    assert openpoint.compare("civanlar16", "reconfigure", {"a": {}, "b": {"method": "enumeration"}}).axis is None
    texts = {f"{share:g}": {"for_every": f"load={share:g}"} for share in (0.1, 0.2)}
    assert openpoint.compare("civanlar16", "enclose", texts).axis == ("for_every", (0.1, 0.2))


def test_processes_give_the_same_as_this_one() -> None:
    asked = {"loose": {"gap": 0.1}, "tight": {"gap": 1e-4}}
    here, apart = (openpoint.compare("civanlar16", "reconfigure", asked, workers=count) for count in (1, 2))
    assert list(apart.results) == list(asked)
    assert here.wide.filter(pl.col("figure") != "seconds").equals(apart.wide.filter(pl.col("figure") != "seconds"))
    with pytest.raises(OptionError, match="workers is 0"):
        openpoint.compare("civanlar16", "reconfigure", asked, workers=0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"of": "reconfigur"}, "Did you mean 'reconfigure'"),
        ({"of": "compare"}, "no study of one grid"),
        ({"of": "reconfigure-fleet"}, "no study of one grid"),
        ({"of": "reconfigure", "case": ["a:"]}, "two cases or more"),
        ({"of": "reconfigure", "case": ["a:", "b"]}, "'b' has no colon"),
        ({"of": "reconfigure", "case": ["a:", "a:"]}, "there twice"),
        ({"of": "reconfigure", "case": ["a: --v-mim 0.9", "b: --max-changes x"]}, "Did you mean 'v-min'"),
        ({"of": "reconfigure", "case": ["a: --v-mim 0.9", "b: --max-changes x"]}, "case 'b': max_changes is 'x'"),
        ({"of": "reconfigure", "case": ["a: --v-min", "b:"]}, "--v-min has no value"),
        ({"of": "reconfigure", "cases": {"a": {"gap": -1.0}, "b": {"nonsense": 1}}}, "nonsense: no such option"),
        ({"of": "reconfigure", "cases": {"a": 3, "b": {}}}, "a is no table of options"),
    ],
)
def test_what_makes_no_sense_is_told_before_anything_is_solved(given: dict[str, object], said: str) -> None:
    with pytest.raises(OptionError) as caught:
        CompareOptions(**given)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_ctrl_c_keeps_the_cases_up_to_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("openpoint.twostage.interrupt._early", None)
    cases = {"first": {"method": "enumeration"}, "second": {"method": "enumeration"}, "third": {}}
    seen: list[str] = []

    def stop(iteration: object) -> None:
        seen.append(str(iteration))
        if sum("second" in text for text in seen) == 1:  # a second request would end it at once
            signal.raise_signal(signal.SIGINT)

    found = openpoint.compare("civanlar16", "reconfigure", cases, progress=stop)
    assert next(iter(found.results)) == "first"
    assert "third" not in found.results
    assert found.exit_code == Termination.INTERRUPTED.exit_code
    assert "interrupted before" in found.in_short


def test_the_page_shows_what_differs_and_what_the_figures_are() -> None:
    found = openpoint.compare("baran33", "reconfigure", CASES)
    text = Page(render(found)).text
    opened = [set(found[name].open_branches) for name in CASES]
    some = set.union(*opened) - set.intersection(*opened)
    assert some
    assert f"{len(some)} branches are open in some cases only" in text
    assert "loss, kW: exact AC loss of the answer" in text
    assert found.kinds == ("grid", "figures", "objectives", "voltages")
    for kind in found.kinds:
        assert found.plot(kind).get_axes()
    captions = [panel.caption.split(",")[0] for panel in found.pictures()["grid"](found).panels]
    assert captions == ["Today", *(f"{name}: answer" for name in CASES)]


@pytest.mark.parametrize(
    "study", [each.name for each in STUDIES if not each.question.several and each.name != "compare"]
)
def test_every_study_of_one_grid_may_be_asked(study: str) -> None:
    """A case may have each of its options; what must be given is missed by its name."""
    told = declared(next(each for each in STUDIES if each.name == study).question)
    must = [name for name, option, of in told if option.positional and default_of(of, option) is None]
    if must or study == "harden":  # which needs one of two
        with pytest.raises(OptionError, match=r"case 'a'.*case 'b'"):
            CompareOptions(study, case=["a:", "b:"])
    else:
        assert set(CompareOptions(study, case=["a:", "b:"]).questions()) == {"a", "b"}


FUTURES = "future,bus,p_kw,q_kvar,probability\nlow,A,100,40,0.5\nhigh,C,900,300,0.5\n"
PERIODS = "period,price_usd_per_kwh,load_share\nnight,0.06,0.4\nevening,0.18,1\n"
ASKED = {
    "reconfigure": "--max-changes {0,2}",
    "reconfigure-futures": "--futures {} --risk {{expected,worst}}",
    "reconfigure-year": "--year {} --max-changes {{0,2}}",
    "dispatch": "--minimize {losses,balance} --method enumeration",
    "dispatch-day": "--day {} --topology {{fixed,once}}",
    "partition": "--uncertainty {0,0.1}",
    "harden": "--any-lines 1 --max-lines {0,1} --max-generators 0",
    "secure": "--switchings {1,2}",
}


@pytest.mark.parametrize("study", ASKED)
def test_cases_of_a_study_are_answered_on_the_command_line_and_in_python(
    study: str, command: Command, ring: Path, tmp_path: Path
) -> None:
    year = "hours,a,b,c\n8760,1,0.5,0.2\n"
    contents = {"reconfigure-futures": FUTURES, "reconfigure-year": year, "dispatch-day": PERIODS}
    table = tmp_path / "table.csv"
    table.write_text(contents.get(study, ""), encoding="utf-8")
    grid = ring
    if study == "partition":
        openpoint.write(five().grid(), grid := tmp_path / "five")
    case = "{}: " + (ASKED[study].format(table) if study in contents else ASKED[study])
    out = tmp_path / "out"
    done = command("compare", grid, study, "--case", case, "--json", out / "r.json", "--report", out / "r.html")
    assert done.code in (0, 1), done.err
    document = json.loads((out / "r.json").read_text(encoding="utf-8"))
    jsonschema.validate(document, published("compare"))
    found = openpoint.compare(grid, study, case=[case])
    assert [each["case"] for each in document["cases"]] == list(found.results)
    there = {(row["case"], row["figure"]): row["value"] for row in document["figures"]}
    for name, figure, value, _ in found.figures.iter_rows():
        if value is not None and "seconds" not in figure:
            assert there[name, figure] == pytest.approx(value, rel=1e-6)


def test_units_stand_behind_the_names_of_figures() -> None:
    assert [label(name) for name in ("loss_kw", "v_min_pu", "energy_mwh", "gap", "waiting_count")] == [
        "loss, kW",
        "v min, pu",
        "energy, MWh",
        "gap",
        "waiting count",
    ]
