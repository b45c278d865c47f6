"""The page of the publications: every command, option, column, file, run and anchor that it names exists."""

import itertools
import re
import shlex
from functools import cache
from pathlib import Path

import pytest
from benchmarks.publications import RUNS, Run
from typer.main import get_command

from openpoint.cli.app import Commands, app
from openpoint.grid.schemas import SCHEMAS
from openpoint.scenarios.day.schemas import DAY_SCHEMAS

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "publications.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [line.split(" | ") for line in TEXT.split("## Runs")[0].splitlines() if line.startswith("| ")]
ELEMENTS = [[cell.strip("| ") for cell in row] for row in ROWS if row[0] != "| element"]


@cache
def options(command: str) -> frozenset[str]:
    """The options of a command."""
    group = get_command(app)
    assert isinstance(group, Commands)
    assert command in group.sentences()
    return frozenset(name for each in group.load(command).params for name in (*each.opts, *each.secondary_opts))


@cache
def anchors(page: str) -> frozenset[str]:
    """The anchors of the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs" / page).read_text(encoding="utf-8"), flags=re.MULTILINE)
    return frozenset(re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings)


def test_each_document_has_its_elements_with_a_reason_or_a_place() -> None:
    counts = {title[:3]: 0 for title in re.findall(r"^## (00\d.*)$", TEXT, flags=re.MULTILINE)}
    assert list(counts) == ["000", "001", "002", "003", "004"]
    assert len(ELEMENTS) >= 160
    for element, what, here, shown in ELEMENTS:
        assert all((element, what, here, shown))
        assert re.match(r"as |as$|otherwise: .|not: .", here), element
    words = [here.split(":")[0].split()[0] for _, _, here, _ in ELEMENTS]
    counted = f"{len(words)} elements {words.count('as')} are as printed, {words.count('otherwise')} otherwise"
    assert f"{counted}, {words.count('not')} not" in TEXT


@pytest.mark.parametrize("row", ELEMENTS, ids=lambda row: row[0])
def test_what_a_row_names_exists(row: list[str]) -> None:
    command = ""
    for span in re.findall(r"`([^`]+)`", row[3]):
        words = shlex.split(span)
        if words[0] == "openpoint":
            command = words[1]
            assert {word for word in words[2:] if word.startswith("--")} <= options(command)
        elif span.startswith("--"):
            assert span in options(command)
        elif span.startswith("python -m "):
            assert (ROOT / f"{words[2].replace('.', '/')}.py").exists()
        elif "/" in span:
            assert (ROOT / span).exists()
        elif f"run `{span}`" in row[3]:
            assert span in {run.name for run in RUNS}
        else:
            if span in DAY_SCHEMAS:
                continue
            columns = {column for schema in (*SCHEMAS.values(), *DAY_SCHEMAS.values()) for column in schema.columns()}
            assert span in columns, span


def test_every_anchor_of_the_page_exists() -> None:
    links = re.findall(r"\]\(([\w/]+\.md)(?:#([^)]+))?\)", TEXT)
    assert links
    assert not [(page, anchor) for page, anchor in links if anchor and anchor not in anchors(page)]


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_run_asks_for_options_that_exist(run: Run) -> None:
    for words in run.commands(Path("out")):
        cases = [shlex.split(word.split(":", 1)[1]) for before, word in itertools.pairwise(words) if before == "--case"]
        assert {word for word in words if word.startswith("--")} <= options(words[0])
        for case in cases:
            assert {word for word in case if word.startswith("--")} <= options(words[2]) | {"--day"}
    assert run.name in TEXT
