"""True flows in the Chromium of this machine; where there is none, they are left out and say so."""

import base64
import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

import openpoint
from openpoint.report.page.html import asset, render
from openpoint.report.page.picture import picture_of_today
from tests.web.conftest import TOKEN
from tests.web.served import Served
from tests.web.test_rest import GRID, MARKUP

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")
PATIENT_MS = 120_000
"""The longest that anything is waited for: a run takes a process, and a machine may have other things to do."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, looked: Path) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served") / "kept"
    shutil.copytree(looked, folder)
    server = Served(folder)
    yield server
    server.end()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


class Windows:
    """Windows on a server, of one person for each width; none of them may say an error or ask another host."""

    def __init__(self, served: Served, browser: Browser) -> None:
        self.served, self.browser = served, browser
        self.people: dict[int, BrowserContext] = {}
        self.wrong: list[str] = []

    def __call__(self, path: str = "/", width: int = 1300) -> Page:
        """A window at a path, in which the token has let its person in."""
        if width not in self.people:
            self.people[width] = self.browser.new_context(viewport={"width": width, "height": 850})
        page = self.people[width].new_page()
        page.set_default_timeout(PATIENT_MS)
        page.on("dialog", lambda dialog: self.wrong.append(dialog.message))
        page.on("console", lambda said: self.wrong.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("request", lambda asked: None if self._is_own(asked.url) else self.wrong.append(asked.url))
        page.goto(self.served.at(f"{path}?token={TOKEN}"))
        return page

    def path(self, page: Page) -> str:
        """Where a window is."""
        return page.url.removeprefix(self.served.at(""))

    def close(self) -> None:
        """Close them all."""
        for page in [page for person in self.people.values() for page in person.pages]:
            page.close()

    def _is_own(self, address: str) -> bool:
        return address.startswith((self.served.at("/"), "data:", "blob:"))


@pytest.fixture(scope="module")
def windows(served: Served, browser: Browser) -> Windows:
    return Windows(served, browser)


@pytest.fixture
def opens(windows: Windows) -> Iterator[Windows]:
    yield windows
    windows.close()
    assert windows.wrong == []


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grid in one file, whose names are markup."""
    folder = tmp_path_factory.mktemp("tables")
    for name, text in GRID.items():
        (folder / name).write_text(text, encoding="utf-8")
    book = folder.with_suffix(".xlsx")
    openpoint.write(openpoint.read(folder), book)
    return book


@pytest.fixture(scope="module")
def locked(windows: Windows, book: Path) -> str:
    """A file opened, a branch locked by a click, and the question asked: the path of the answer."""
    page = windows()
    page.locator("input[type=file]").first.set_input_files(book)
    page.get_by_text(MARKUP).first.wait_for()
    page.get_by_role("link", name="reconfigure", exact=True).click()
    frame = page.frame_locator("#canvas")
    frame.locator("html[data-ready=yes]").wait_for()
    frame.get_by_label("Show bus or branch").fill("2")
    frame.get_by_label("Show bus or branch").press("Enter")
    (canvas,) = [each for each in page.frames if "canvas.html" in each.url]
    spot = canvas.evaluate("() => document.querySelector('canvas').getBoundingClientRect().toJSON()")
    frame.locator("canvas").click(position={"x": spot["width"] / 2, "y": spot["height"] / 2})
    page.get_by_role("button", name="Branches to choose from").click()
    page.locator(".q-chip").get_by_text("2", exact=True).wait_for()
    page.get_by_role("button", name="Run", exact=True).press("Enter")  # by no pointer: the form may still move
    page.get_by_role("heading", name="Take home").wait_for()
    return windows.path(page)


def test_a_branch_that_was_locked_by_a_click_is_open_in_the_answer(opens: Windows, locked: str, book: Path) -> None:
    page = opens(locked)
    page.frame_locator("#answer").get_by_text("Proven optimal").first.wait_for()
    found = opens.served.ask(f"/api{locked}/result")
    assert found["open_branches"] == ["2"]
    assert found["loss_kw"] == openpoint.reconfigure(book, locked_open="2").loss_kw


def test_a_frame_grows_only_while_no_pointer_is_pressed(opens: Windows, locked: str) -> None:
    """Else what is about to be clicked would move away from below the pointer."""
    page = opens(locked)
    page.frame_locator("#answer").get_by_text("Proven optimal").first.wait_for()
    answer = page.locator("#answer")
    page.evaluate("dispatchEvent(new PointerEvent('pointerdown'))")
    frame = answer.element_handle().content_frame()
    frame.evaluate("parent.postMessage({ height: 9999, place: '#told' }, '*')")
    page.wait_for_url("**#told")
    assert answer.evaluate("frame => frame.style.height") != "9999px"
    page.evaluate("dispatchEvent(new PointerEvent('pointerup'))")
    page.wait_for_function("document.getElementById('answer').style.height === '9999px'")


def test_the_answer_is_taken_home_and_read_again(opens: Windows, locked: str, book: Path, tmp_path: Path) -> None:
    page = opens(locked)
    with page.expect_download() as download:
        page.get_by_role("listitem").get_by_role("link", name=book.name).click()
    own = tmp_path / "with_the_answer.xlsx"
    download.value.save_as(own)
    assert openpoint.read(own).branches().filter(closed=False)["name"].to_list() == ["2"]
    page.get_by_role("link", name="openpoint", exact=True).click()
    page.locator("input[type=file]").first.set_input_files(own)
    page.get_by_role("heading", name=own.name).wait_for()
    page.get_by_text("1: 2", exact=True).wait_for()  # what is open today


def test_a_faulty_file_is_told_and_nothing_is_asked_about_it(opens: Windows, tmp_path: Path) -> None:
    for name, text in {**GRID, "loads.csv": f"name,bus,p_kw\n{MARKUP},b,much\nm,nowhere,1\n"}.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    page = opens()
    page.locator("input[type=file]").first.set_input_files(sorted(tmp_path.iterdir()))
    page.get_by_text("The grid has faults").wait_for()
    page.get_by_text("'much'").first.wait_for()
    assert page.get_by_role("heading", name="Ask").count() == 0


def test_the_keyboard_suffices_on_a_narrow_screen(opens: Windows) -> None:
    page = opens(width=390)

    def to(role: str, name: str) -> None:
        """Tab until it has the focus."""
        wanted = page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
        wanted.wait_for()
        for _ in range(80):
            page.keyboard.press("Tab")
            if wanted.evaluate("element => element === document.activeElement"):
                return
        raise AssertionError(name)

    to("button", "civanlar16")
    page.keyboard.press("Enter")
    to("link", "reconfigure")
    page.keyboard.press("Enter")
    to("spinbutton", "max changes (n)")
    page.keyboard.type("2")
    to("button", "Run")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Take home").wait_for()
    page.get_by_text("--max-changes=2").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_a_point_of_a_front_leads_to_its_grid(opens: Windows) -> None:
    """By a click, by the keyboard, by its address and on the way back."""
    asked = {"study": "dispatch-front", "grid": "civanlar16", "criteria": "losses,changes"}
    run = opens.served.ask("/api/runs", asked)["run"]
    opens.served.follow(run)
    points = {row["number"]: row for row in opens.served.ask(f"/api/runs/{run}/result")["points"]}

    def shown(number: int) -> None:
        """The grid of a point, and no other one."""
        frame.get_by_text(f"Point {number}, loss {points[number]['sought']:.3f} kW").wait_for()
        frame.get_by_text(f"Open branches: {points[number]['open_branches']}").wait_for()
        assert frame.locator("figure:visible", has_text="Point ").count() == 1

    page = opens(f"/runs/{run}")
    frame = page.frame_locator("#answer")
    frame.get_by_role("button", name="point 1, losses").click()
    shown(1)
    page.wait_for_url("**#point-1")
    frame.get_by_role("button", name="point 2, losses").press("Enter")
    shown(2)
    page.go_back()
    shown(1)
    frame.get_by_role("slider").press("ArrowLeft")
    shown(2)
    page.wait_for_url("**#point-2")
    page.reload()
    shown(2)


def test_answers_are_compared(opens: Windows, locked: str) -> None:
    """What is open in one of them alone stands in a row."""
    first = next(each for each in opens.served.ask("/api/runs") if locked.endswith(each["run"]))
    run = opens.served.ask("/api/runs", {"study": "reconfigure", "grid": first["grid"], "locked_open": ["3"]})["run"]
    opens.served.follow(run)
    page = opens()
    boxes = page.get_by_label(f"compare reconfigure of {first['name']}")
    boxes.nth(1).wait_for()
    for box in boxes.all():
        box.click()
    page.get_by_role("button", name="Compare what is ticked").click()
    rows = page.get_by_role("row")
    rows.filter(has_text=re.compile("^2openclosed$|^2closedopen$")).wait_for()
    rows.filter(has_text=re.compile("^3openclosed$|^3closedopen$")).wait_for()
    picture = page.frame_locator("iframe[title^='The first answer and reconfigure']")
    picture.locator("html[data-ready=yes]").wait_for()
    for text in ("Second, loss", "opens", "closes"):
        picture.get_by_text(text).first.wait_for()
    picture.get_by_role("slider").press("Home")
    picture.get_by_text("First, loss").wait_for()


def test_a_widget_of_a_notebook_tells_what_is_clicked(browser: Browser) -> None:
    """Its script in any page, with a model as notebooks have one; the picture reaches nothing of that page."""
    page = browser.new_page()
    page.set_default_timeout(PATIENT_MS)
    script = base64.b64encode(asset("widget.js").encode()).decode()
    picture = render(picture_of_today(openpoint.read("civanlar16")))
    page.evaluate(
        """async ([script, picture]) => {
          const { default: widget } = await import(`data:text/javascript;base64,${script}`);
          window.known = { page: picture, names: { "10-14": "the long name" }, chosen: [] };
          window.model = {
            get: (key) => window.known[key], set: (key, value) => { window.known[key] = value; },
            save_changes: () => {}, on: (_, act) => { window.changed = act; }, off: () => {},
          };
          widget.render({ model: window.model, el: document.body });
        }""",
        [script, picture],
    )
    frame = page.frame_locator("iframe")
    frame.locator("html[data-ready=yes]").wait_for()
    for chosen in (["the long name"], []):
        box = frame.get_by_label("Show bus or branch")
        box.fill("10-14")
        box.press("Enter")
        shown = frame.locator("canvas").bounding_box()
        frame.locator("canvas").click(position={"x": shown["width"] / 2, "y": shown["height"] / 2})
        page.wait_for_function("(wanted) => JSON.stringify(window.known.chosen) === wanted", arg=json.dumps(chosen))
    assert page.frames[1].evaluate("window.origin") == "null"
    page.close()


@pytest.fixture
def going(served: Served, opens: Windows) -> Page:
    """A window with a run that goes on until it is stopped."""
    asked = {"study": "reconfigure", "grid": "mantovani136", "method": "benders", "time_limit_s": 300.0}
    page = opens(f"/runs/{served.ask('/api/runs', asked)['run']}")
    page.get_by_text("upper bound").first.wait_for()
    return page


def test_a_stop_keeps_the_best_answer_and_two_windows_see_it(opens: Windows, going: Page) -> None:
    pages = going, opens(opens.path(going), 390)
    going.get_by_role("button", name="Stop, and keep the best answer").click()
    for page in pages:
        page.get_by_text("interrupted by Ctrl-C or SIGTERM").first.wait_for()
        page.frame_locator("#answer").get_by_text("Stopped early").first.wait_for()


def test_a_restart_keeps_the_best_answer(served: Served, opens: Windows, going: Page) -> None:
    path = opens.path(going)
    opens.close()  # a window that is open says on its console that nobody answers
    served.end()
    served.begin()
    page = opens(path)
    # Whether the first server or the second one sees the end of the run depends on how busy the machine is.
    page.get_by_text(re.compile("interrupted by Ctrl-C or SIGTERM|ended; its answer is kept")).first.wait_for()
    page.frame_locator("#answer").get_by_text("Stopped early").first.wait_for()


def test_a_stranger_sees_nothing(served: Served, browser: Browser) -> None:
    person = browser.new_context()
    for path in ("/", "/compare", "/assets/pages.js", "/api/runs"):
        answer = person.new_page().goto(served.at(path))
        assert answer.status == 401
    person.close()


def test_what_one_window_deletes_the_other_is_told_to_be_gone(opens: Windows, locked: str) -> None:
    one, other = opens(locked), opens(width=390)
    row = other.locator(f'a[href="{locked}"]')
    row.wait_for()
    for name in ("Delete this run with its files …", "Delete"):
        one.get_by_role("button", name=name, exact=True).click()
    one.get_by_role("heading", name="Open a grid").wait_for()
    row.click()
    other.get_by_text("there is no run").wait_for()
