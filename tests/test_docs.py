"""Every example of the README and of the documentation runs."""

import importlib
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

import openpoint
from openpoint.cli import main
from openpoint.cli.app import app

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)

# A case file of the kind that a user has: MW and per unit, a ring and a tie, branch 6 open.
CASE = """function mpc = my_grid
mpc.version = '2';
mpc.baseMVA = 10;
mpc.bus = [
    1 3 0   0    0 0 1 1 0 12.66 1 1   1;
    2 1 0.5 0.2  0 0 1 1 0 12.66 1 1.1 0.9;
    3 1 0.4 0.2  0 0 1 1 0 12.66 1 1.1 0.9;
    4 1 0.6 0.3  0 0 1 1 0 12.66 1 1.1 0.9;
    5 1 0.3 0.1  0 0 1 1 0 12.66 1 1.1 0.9;
];
mpc.gen = [
    1 0 0 10 -10 1 10 1 10 0;
];
mpc.branch = [
    1 2 0.02 0.03 0 0 0 0 0 0 1 -360 360;
    2 3 0.02 0.03 0 0 0 0 0 0 1 -360 360;
    3 4 0.02 0.03 0 0 0 0 0 0 1 -360 360;
    4 5 0.02 0.03 0 0 0 0 0 0 1 -360 360;
    5 1 0.03 0.04 0 0 0 0 0 0 0 -360 360;
    2 4 0.03 0.04 0 0 0 0 0 0 0 -360 360;
];
"""


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in that language."""
    return [code for found, code in BLOCK.findall(page.read_text(encoding="utf-8")) if found == language]


PRINTED = re.compile(r"^```(console|python)\n((?:(?!^```).)*)^```\n+```text\n(.*?)^```", flags=re.MULTILINE | re.DOTALL)
"""What is run, with what the page says that it prints."""
NUMBER = re.compile(r"(?<![\w.])-?(?:\d[\d,]*)(?:\.\d+)?(?:e[-+]?\d+)?")
RELATIVE, ABSOLUTE = 1e-3, 2e-3  # solvers differ by less, and every page with outputs says so
TOLERANCE = "Tests run what is printed here and compare its figures, to 0.1 % or 0.002."
ROUNDED = 100.0
"""Whole numbers above this may differ by the rounding of what is printed as well; those below are counts."""


def printed(page: Path) -> dict[str, str]:
    """What a page says that it prints, by the last command or the Python block above it."""
    found = {}
    for kind, code, text in PRINTED.findall(page.read_text(encoding="utf-8")):
        last = code.splitlines()[-1].removeprefix("$ ")
        found[last if kind == "console" else code] = text
    return found


def prints(said: str, output: str) -> None:
    """Check that an output has the lines that a page says, one after the other but where a line of `…` leaves some out;
    what comes before the first is left out in any case."""
    lines, anywhere = [line for line in map(str.strip, output.splitlines()) if line], True
    for told in filter(None, map(str.strip, said.splitlines())):
        if told == "…":
            anywhere = True
            continue
        here = next((k for k, line in enumerate(lines) if alike(told, line)), None) if anywhere else 0
        assert here is not None, f"not printed: {told}\nleft:\n" + "\n".join(lines)
        assert lines, f"no line is left for: {told}"
        assert alike(told, lines[here]), f"said:    {told}\nprinted: {lines[here]}"
        lines, anywhere = lines[here + 1 :], False


def alike(told: str, line: str) -> bool:
    """Whether a line has the words of another, which `…` cuts short, and the same figures but for a tolerance."""
    whole = "…" not in told
    ours, theirs = words_of(told.partition("…")[0]), words_of(line)
    theirs = theirs if whole else theirs[: len(ours)]
    return len(ours) == len(theirs) and all(map(same, ours, theirs))


def words_of(line: str) -> list[str | float]:
    """The words of a line, with its figures apart from what stands beside them, as `$` and `%`."""
    found: list[str | float] = []
    for word in line.split():
        end = 0
        for match in NUMBER.finditer(word):
            found += filter(None, [word[end : match.start()]])
            found.append(float(match[0].replace(",", "")) if match[0].strip(",") else match[0])
            end = match.end()
        found += filter(None, [word[end:]])
    return found


def same(one: str | float, other: str | float) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        # Both are rounded to what they are printed with, which is 1 for 879 kWh.
        rounding = 1.0 if one.is_integer() and other.is_integer() and abs(one) > ROUNDED else 0.0
        return abs(one - other) <= max(RELATIVE * abs(one) + rounding, ABSOLUTE)
    return one == other


@pytest.mark.parametrize(
    ("said", "output", "good"),
    [
        ("gap: 0.0670 %, $4,263.84", "gap:   0.0675 %, $4,262.10\n", True),
        ("gap: 0.0670 %, $4,263.84", "gap: 0.0008 %, $4,263.84", False),  # the page was stale like this once
        ("gap: 0.0670 %, $4,263.84", "gap: 0.0670 %, $4,285.00", False),
        ("lost 879 kWh in 24 hours", "lost 880 kWh in 24 hours", True),
        ("lost 879 kWh in 24 hours", "lost 881 kWh in 24 hours", False),
        ("lost 879 kWh in 24 hours", "lost 879 kWh in 25 hours", False),
        ("first\n …\nlast 3", "first\nsecond 2\n\nlast 3\n", True),
        ("first\nlast 3", "heading\n\nfirst\nlast 3\n", True),
        ("first\nlast 3", "first\nsecond 2\nlast 3\n", False),
        ("first, but …", "first, but for 3 others", True),
        ("first, but …", "last, but for 3 others", False),
        ("7e-13 kW", "2e-14 kW", True),
    ],
)
def test_outputs_are_compared_with_their_figures(said: str, output: str, *, good: bool) -> None:
    if good:
        prints(said, output)
    else:
        with pytest.raises(AssertionError):
            prints(said, output)


WITH_OUTPUTS = [page for page in PAGES if printed(page) or "  # → " in page.read_text(encoding="utf-8")]


@pytest.mark.parametrize("page", WITH_OUTPUTS, ids=lambda page: page.name)
def test_a_page_says_how_its_outputs_are_compared(page: Path) -> None:
    assert TOLERANCE in " ".join(page.read_text(encoding="utf-8").split())


def console_lines() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        yield from ((page.name, line) for line in lines_of(page) if page != README)


def lines_of(page: Path) -> list[str]:
    """The commands of a page that tests run."""
    lines = [line for block in blocks(page, "console") for line in block.splitlines()]
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the examples mention."""
    folder = tmp_path_factory.mktemp("desk")
    (folder / "feeders").mkdir()
    for name in ("my_grid.m", "feeders/north.m", "feeders/south.m"):
        (folder / name).write_text(CASE, encoding="utf-8")
    tables = [code for code in blocks(ROOT / "docs" / "harden.md", "text") if code.startswith("disaster,")]
    (folder / "disasters.csv").write_text(tables[0], encoding="utf-8")
    states = [code for code in blocks(ROOT / "docs" / "dispatch_day.md", "text") if code.startswith("kind,name,")]
    (folder / "measured.csv").write_text(states[0], encoding="utf-8")
    years = [code for code in blocks(ROOT / "docs" / "year.md", "text") if code.startswith("hours,")]
    (folder / "profiles.csv").write_text(years[0], encoding="utf-8")
    seasons = [code for code in blocks(ROOT / "docs" / "year.md", "text") if code.startswith("block,")]
    (folder / "seasons.csv").write_text(seasons[0], encoding="utf-8")
    (folder / "options.toml").write_text(blocks(ROOT / "docs" / "commands.md", "toml")[0], encoding="utf-8")
    write_pandapower(folder / "net.json")
    return folder


def write_pandapower(path: Path) -> None:
    pandapower = pytest.importorskip("pandapower")
    net = pandapower.create_empty_network()
    buses = [pandapower.create_bus(net, vn_kv=20.0, name=name) for name in ("station", "north", "south")]
    pandapower.create_ext_grid(net, buses[0])
    for i, (a, b) in enumerate([(0, 1), (1, 2), (2, 0)]):
        line = pandapower.create_line_from_parameters(
            net,
            buses[a],
            buses[b],
            2.0,
            r_ohm_per_km=0.3,
            x_ohm_per_km=0.3,
            c_nf_per_km=10.0,
            max_i_ka=0.3,
            name=f"cable {i}",
        )
        pandapower.create_switch(net, buses[a], line, et="l", closed=i < 2, name=f"switch {i}")
    pandapower.create_load(net, buses[1], p_mw=1.0, q_mvar=0.3)
    pandapower.create_load(net, buses[2], p_mw=2.0, q_mvar=0.5)
    pandapower.to_json(net, str(path))


LINES = [pytest.param(line, id=f"{page}: {line}") for page, line in console_lines()]
SAID = {line: said for page in PAGES for line, said in printed(page).items()}


@pytest.mark.parametrize("line", LINES)
def test_a_command_of_the_documentation_runs(
    line: str, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.setenv("COLUMNS", "160")
    output = runs(line, monkeypatch, capsys)
    if line in SAID:
        prints(SAID[line], output)


def runs(line: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command line in this process, and check that it ends well; what it prints."""
    name, *arguments = shlex.split(line)
    assert name == "openpoint"
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as left:
        main()
    captured = capsys.readouterr()
    assert left.value.code in (0, None), f"{line}: {captured.err}{captured.out}"
    return captured.out


def test_the_commands_of_the_readme_run_one_after_the_other_where_nothing_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for line in lines_of(README):
        runs(line, monkeypatch, capsys)


WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
COMMENTED = re.compile(r"^print\(.*\)  # → (.+)$", flags=re.MULTILINE)
"""What a line prints, behind an arrow."""


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_the_python_of_a_page_runs_from_top_to_bottom(
    page: Path, desk: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(desk)
    names: dict[str, object] = {}
    said, seen = printed(page), ""
    for code in blocks(page, "python"):
        exec(compile(code, str(page), "exec"), names)
        output = capsys.readouterr().out
        prints(said.get(code, "…\n" + "\n…\n".join(COMMENTED.findall(code))), output)
        seen += output
    assert seen


def test_no_block_is_left_out() -> None:
    known = {"console", "python", "text", "json", "toml"}
    unknown = {found for page in PAGES for found, _ in BLOCK.findall(page.read_text(encoding="utf-8"))} - known
    assert not unknown


def test_the_generated_pages_are_current(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    monkeypatch.setattr(sys, "argv", ["generate.py", "--check"])
    runpy.run_path(str(ROOT / "docs" / "generate.py"), run_name="__main__")


def test_every_tolerance_has_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    found = importlib.import_module("tolerances").found()
    assert len(found) > 50
    assert not [f"{each.file}:{each.line} {each.name} has no comment" for each in found if not each.reason]


def test_every_page_is_in_the_navigation() -> None:
    text = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    pages = {page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert pages == set(re.findall(r'= "([\w/]+\.md)" }', text))


def test_the_page_of_signatures_has_every_public_name() -> None:
    page = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
    headings = re.findall(r"^### (\w+)$", page, flags=re.MULTILINE)
    assert {name for name in openpoint.__all__ if name != "__version__"} <= set(headings)
    assert "locked_open: Names = ()," in page
    assert "factory" not in page


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8"))
    assert not [target for target in targets if not (page.parent / target).exists()]


NUMBERED = re.compile(r"^(?:- )?\*\*M(\d+) \(", re.MULTILINE)
CITED = re.compile(r"docs/methods\.md (M\d+(?:,\s+M\d+)*)")


def cited(room: str) -> dict[int, list[str]]:
    """The files of a room that cite each numbered statement of the methods."""
    places: dict[int, list[str]] = {}
    for file in sorted((ROOT / room).rglob("*.py")):
        for numbers in CITED.findall(file.read_text(encoding="utf-8")):
            for number in re.findall(r"\d+", numbers):
                places.setdefault(int(number), []).append(str(file.relative_to(ROOT)))
    return places


def test_every_numbered_statement_is_implemented_and_tried() -> None:
    numbers = [int(number) for number in NUMBERED.findall((ROOT / "docs" / "methods.md").read_text(encoding="utf-8"))]
    assert numbers == list(range(1, len(numbers) + 1))
    for room in ("src", "tests"):
        places = cited(room)
        assert not {number: files for number, files in places.items() if number not in numbers}
        assert not set(numbers) - set(places), f"no file of {room} cites these"


def test_the_citation_has_the_version() -> None:
    assert f"\nversion: {openpoint.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def test_the_hooks_call_what_the_environment_has() -> None:
    text = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    programs = set(re.findall(r"entry: \.venv/bin/(\w+)", text))
    assert programs == {"ruff", "mypy", "python"}
    assert "repo: local" in text
    assert "http" not in text


def test_the_readme_names_the_commands_of_a_clone() -> None:
    text, made = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "Makefile"))
    for target in ("demo", "test"):
        assert f"make {target}" in text
        assert re.search(rf"^{target}:", made, re.MULTILINE)


def test_the_version_is_in_the_changelog_or_unreleased() -> None:
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "## [Unreleased]" in text or f"## [{openpoint.__version__}]" in text


def glossary() -> list[list[str]]:
    """The cells of every row of the glossary: term, definition, also called, code, option, key."""
    lines = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]
    return [row for row in rows if row[0] != "term"]


def named(column: int) -> list[str]:
    return sorted({name for row in glossary() for name in re.findall(r"`([^`]+)`", row[column])})


@pytest.mark.parametrize("name", named(3))
def test_a_code_name_of_the_glossary_exists(name: str) -> None:
    parts, found = name.split("."), None
    for k, part in enumerate(parts):
        try:
            found = importlib.import_module(f"openpoint.{'.'.join(parts[: k + 1])}")
        except ModuleNotFoundError:
            holder = openpoint if found is None else found
            if part not in getattr(holder, "__dataclass_fields__", {}):
                found = getattr(holder, part)


WRITTEN = re.compile(r"`openpoint ([^`]+)`|^(?:\$|   ) openpoint (.+)$", flags=re.MULTILINE)
"""Commands in backticks, in lines of a console, and in examples of a help."""


def test_options_of_commands_exist_wherever_they_are_written() -> None:
    root: Any = typer.main.get_command(app)
    commands = {name: root.get_command(None, name) for name in root.list_commands(None)}
    known = {
        name: {"--help"}.union(*([*each.opts, *each.secondary_opts] for each in command.params))
        for name, command in commands.items()
    }
    unknown, found = list[str](), 0
    for page in (*PAGES, *(ROOT / "src").rglob("*.py"), *(ROOT / "benchmarks").rglob("*.py")):
        text = page.read_text(encoding="utf-8").replace("\\\n", " ")
        for line in map("".join, WRITTEN.findall(text)):
            name, *words = re.split(r" && |[|(#]", re.sub(r"\"[^\"]*\"", "", line))[0].split()
            given = {word.partition("=")[0] for word in words if re.match("--[a-z]", word)}
            unknown += [f"{page.name}: {name} {option}" for option in given - known.get(name, {"--help"})]
            found += name in commands
    assert unknown == []
    assert found > 300


def test_options_and_keys_of_the_glossary_exist() -> None:
    root: Any = typer.main.get_command(app)
    names = root.list_commands(None)
    commands = [root.get_command(None, name) for name in names]
    options = {option for command in commands for each in command.params for option in each.opts} | {*names}
    reference = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert [option for option in named(4) if option not in options] == []
    assert [key for key in named(5) if f"`{key}`" not in reference] == []


def test_the_glossary_says_every_term_once() -> None:
    terms = [row[0] for row in glossary()]
    assert len(terms) == len(set(terms))


def leads_somewhere(name: str) -> bool:
    """Whether a dotted name leads to a module, or to something in one, such as a field of a class."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        place = ROOT.joinpath("src", *parts[:length])
        if place.is_dir() or place.with_suffix(".py").is_file():
            found: Any = importlib.import_module(".".join(parts[:length]))
            for part in parts[length:]:
                if part in getattr(found, "__annotations__", {}):
                    return True
                if part not in dir(found):
                    return False
                found = getattr(found, part)
            return True
    return False


def test_dotted_names_of_the_package_exist() -> None:
    wrong = []
    for page in [*PAGES, *sorted((ROOT / "src").rglob("*.py"))]:
        names = re.findall(r"`(openpoint\.[\w.]*\w)(?:\(\))?`", page.read_text(encoding="utf-8"))
        wrong += [f"{page.relative_to(ROOT)}: {name}" for name in names if not leads_somewhere(name)]
    assert not wrong, "\n".join(wrong)
