"""The pages by a simulated user, without a browser: from a grid to its answer; forms follow the declaration."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from shutil import copytree
from typing import Any

import httpx
import pytest
from nicegui import Client, ui
from nicegui.testing import User
from nicegui.testing.general import nicegui_reset_globals

from openpoint.options import FIRST, option
from openpoint.studies.catalog import Study
from openpoint.studies.powerflow.options import PowerflowOptions
from openpoint.web import request
from openpoint.web.desk import Desk
from openpoint.web.request import options, studies, study_of
from openpoint.web.server import Settings, application
from tests.web.conftest import TOKEN
from tests.web.test_rest import GRID, MARKUP

Story = Callable[[User, Desk], Coroutine[Any, Any, None]]


@asynccontextmanager
async def user_of(desk: Desk, settings: Settings) -> AsyncIterator[User]:
    """A user with the token, at the pages of a desk."""
    app = application(desk, settings)
    inner: Any = app._application  # type: ignore[attr-defined]
    headers = {"authorization": f"Bearer {TOKEN}"}
    async with (
        inner.router.lifespan_context(inner),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test", headers=headers) as client,
    ):
        yield User(client)


@pytest.fixture
def told(desk: Desk, settings: Settings, monkeypatch: pytest.MonkeyPatch, looked: Path) -> Callable[[Story], None]:
    """Runs a story of a user, to whom one grid is known already."""
    copytree(looked, settings.folder, dirs_exist_ok=True)
    monkeypatch.setenv("NICEGUI_USER_SIMULATION", "true")
    paged = Settings(**{**vars(settings), "api_only": False})

    async def tell(story: Story) -> None:
        async with user_of(desk, paged) as user:
            await story(user, desk)

    def run(story: Story) -> None:
        modules = dict(sys.modules)  # the library takes those of the pages out of it
        with nicegui_reset_globals():
            asyncio.run(tell(story))
        sys.modules.update(modules)

    return run


def built(desk: Desk, name: str = "civanlar16") -> str:
    return desk.grids.built_in(name).identity


async def sees(user: User, text: str) -> None:
    """Looking at a grid and running take a process each."""
    await user.should_see(text, retries=1200)


def test_from_a_grid_to_its_answer(told: Callable[[Story], None]) -> None:
    async def story(user: User, desk: Desk) -> None:
        await user.open("/")
        user.find("civanlar16").click()
        await sees(user, "radial today")
        await user.should_see("openpoint reconfigure-fleet --help")
        user.find("reconfigure").click()
        await sees(user, "A click on a branch")
        form = user.find(kind=ui.input_chips, marker="locked_open").elements.pop()
        for text, names in (("1-4", ["1-4"]), ("4-5", ["1-4", "4-5"]), ("1-4", ["4-5"]), ("no such", ["4-5"])):
            chosen(user, text)
            assert form.value == names
        user.find(marker="certificate").click()
        user.find("Run").click()
        await sees(user, "Take home")
        (run,) = desk.runs.all()
        assert run.request == {"locked_open": ["4-5"], "certificate": "certificate.gz"}
        assert (run.code, run.study) == (0, "reconfigure")
        await user.should_see("--open=4-5")
        user.find("Ask again").click()
        await sees(user, "A click on a branch")
        assert user.find(kind=ui.input_chips, marker="locked_open").elements.pop().value == ["4-5"]
        await user.open(f"/runs/{run.identity}")
        user.find("Verify the certificate").click()
        await sees(user, "claim.json")
        await user.open(f"/compare?runs={run.identity},{run.identity}")
        await user.should_see("What is the same")
        await user.should_not_see("What differs")

    told(story)


def chosen(user: User, name: str) -> None:
    """What the script of the page says when a branch is clicked."""
    layout = user._client.layout
    for listener in layout._event_listeners.values():
        if listener.type == "chosen":
            layout._handle_event({"listener_id": listener.id, "args": name})


def test_names_are_words_whatever_markup_they_hold(told: Callable[[Story], None]) -> None:
    async def story(user: User, desk: Desk) -> None:
        grid = desk.grids.upload({name: text.encode() for name, text in GRID.items()})
        await user.open(f"/grids/{grid.identity}")
        await sees(user, MARKUP)
        for element in Client.instances[user._client.id].elements.values():
            assert not isinstance(element, ui.html | ui.markdown)
            assert "innerHTML" not in element.props

    told(story)


def test_a_faulty_grid_is_told_with_its_faults(told: Callable[[Story], None]) -> None:
    async def story(user: User, desk: Desk) -> None:
        grid = desk.grids.upload({**{name: text.encode() for name, text in GRID.items()}, "loads.csv": b"name\nx\n"})
        await user.open(f"/grids/{grid.identity}")
        await sees(user, "The grid has faults")
        await user.should_see("column is missing")
        await user.should_not_see("Ask")
        user.find("Delete this grid").click()
        user.find(content="Delete", kind=ui.button).click()
        await sees(user, "Open a grid")
        assert [each.source for each in desk.grids.all()] == ["civanlar16"]

    told(story)


def test_what_is_not_there_is_told(told: Callable[[Story], None]) -> None:
    async def story(user: User, desk: Desk) -> None:
        grid = built(desk)
        for path in ("/grids/x", "/runs/x", f"/grids/{grid}/ask/x", f"/grids/{grid}/ask/plan?again=x"):
            await user.open(path)
            await user.should_see("Not here")
        await user.open("/compare?runs=x")
        await user.should_see("there is no run")

    told(story)


def test_every_study_has_a_form_of_all_its_options(told: Callable[[Story], None]) -> None:
    async def story(user: User, desk: Desk) -> None:
        grid = built(desk)
        for study in studies():
            await user.open(f"/grids/{grid}/ask/{study.name}")
            await sees(user, "Run")
            for name, each, _ in options(study):
                await user.should_see(marker=name)
                await user.should_see(each.sentence)

    told(story)


@dataclass(frozen=True, kw_only=True)
class Wider(PowerflowOptions):
    """The options of the power flow, and one that nobody has heard of."""

    patience: int = option(3, "How often it is tried, and no more.", "whole", unit="TIMES", least=1, group=FIRST)


def test_a_new_option_appears_by_itself(told: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch) -> None:
    study = study_of("powerflow")
    monkeypatch.setattr(Study, "question", property(lambda _: Wider))
    monkeypatch.setattr(request, "STUDIES", (study,))

    async def story(user: User, desk: Desk) -> None:
        await user.open(f"/grids/{built(desk)}/ask/powerflow")
        await sees(user, "How often it is tried, and no more.")
        field = user.find(kind=ui.number, marker="patience").elements.pop()
        assert (field.value, field.min) == (3, 1)
        user.find(marker="patience").clear().type("7")
        user.find("Run").click()
        await sees(user, "What it print")
        assert desk.runs.all()[0].request == {"patience": 7}
        assert "--patience=7" in desk.runs.all()[0].arguments

    told(story)


def test_a_run_that_goes_on_is_stopped_from_the_page(
    told: Callable[[Story], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[2]}:{':'.join(sys.path)}")

    async def story(user: User, desk: Desk) -> None:
        desk.runs._module = "tests.web.sleeper"
        made = request.Command(("wait",), "wait", "")
        run = desk.runs.start("powerflow", desk.grids.get(built(desk)), {}, made)
        await user.open(f"/runs/{run.identity}")
        await sees(user, "upper bound 139.551")
        await user.should_see("exchange")
        user.find("Stop").click()
        await sees(user, "interrupted by Ctrl-C or SIGTERM, the best solution is kept")
        await user.should_see("result.json")

    told(story)
