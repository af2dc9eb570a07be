"""A reader who is quicker than the page: nothing that was done before its scripts had come is lost, or done twice; and
nothing moves when they come."""

import re
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.bringing import bring, drop
from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.painting import PAINTED_S, shifts_of_loading
from tests.browser.serving import halved

LATE = "**/static/js/chat.js"
PAINTS = "performance.getEntriesByName('first-contentful-paint').length"


class Held:
    """The chat's module, on its way for as long as a test wants."""

    def __init__(self, page: Page) -> None:
        self._routes: list[Route] = []
        self._page = page
        page.route(LATE, lambda route: self._routes.append(route))

    def arrive(self) -> None:
        for route in self._routes:
            route.continue_()
        self._page.unroute(LATE)


@pytest.fixture
def early(chat: Chat) -> Callable[..., Held]:
    """Opens a page whose module does not come before it is told to."""

    def opened(path: str = "/") -> Held:
        held = Held(chat.page)
        chat.page.goto(chat.url + path, wait_until="domcontentloaded")
        return held

    return opened


def warms(page: Page) -> list[str]:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith("/warm") else None)
    return asked


def test_a_question_that_was_sent_too_early_is_asked_once(chat: Chat, early: Callable[..., Held]) -> None:
    page = chat.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if "/ask" in request.url else None)
    warmed = warms(page)
    held = early()
    address = page.url
    chat.input.click()
    chat.input.press_sequentially("What is a Future?")
    chat.input.press("Enter")
    chat.input.press("Enter")
    assert page.url == address
    expect(chat.input).to_have_value("What is a Future?")
    expect(chat.turns).to_have_count(0)
    held.arrive()
    expect(chat.turns).to_have_count(1)
    chat.expect_state(chat.turns.first, "done")
    expect(chat.input).to_have_value("")
    assert [turn["question"] for turn in chat.stored()["turns"]] == ["What is a Future?"]
    assert len(asked) == 1
    assert warmed


def test_an_early_enter_on_a_touch_keyboard_breaks_the_line(browser: Browser, sandboxed: str) -> None:
    with browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True) as context:
        chat = Chat(context.new_page(), sandboxed)
        held = Held(chat.page)
        chat.page.goto(sandboxed, wait_until="domcontentloaded")
        chat.input.tap()
        chat.page.keyboard.type("What is")
        chat.page.keyboard.press("Enter")
        chat.page.keyboard.type("a Future?")
        held.arrive()
        chat.expect_chip("warm")
        expect(chat.input).to_have_value("What is\na Future?")
        expect(chat.turns).to_have_count(0)


def test_send_can_be_reached_early_by_the_keyboard_and_sends_once(chat: Chat, early: Callable[..., Held]) -> None:
    held = early()
    chat.input.focus()
    expect(chat.send).to_be_disabled()
    chat.page.keyboard.type("What is a Future?")
    chat.page.keyboard.press("Tab")
    expect(chat.send).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(chat.turns).to_have_count(0)
    held.arrive()
    chat.expect_state(chat.turns.first, "done")
    assert [turn["question"] for turn in chat.stored()["turns"]] == ["What is a Future?"]


def test_questions_that_are_to_be_asked_together_can_be_so_early(chat: Chat, early: Callable[..., Held]) -> None:
    held = early()
    chat.input.fill("What is a Future?")
    chat.page.get_by_role("button", name="Ask another, too").click()
    chat.input.press_sequentially("And a Task?")
    held.arrive()
    expect(chat.page.locator("#queued span")).to_have_text(["What is a Future?"])
    expect(chat.input).to_be_editable()


def test_what_is_written_early_stays_and_warms(chat: Chat, early: Callable[..., Held]) -> None:
    warmed = warms(chat.page)
    held = early()
    chat.input.focus()
    chat.input.press_sequentially("What is")
    held.arrive()
    chat.expect_chip("warm")
    expect(chat.input).to_have_value("What is")
    expect(chat.send).to_be_enabled()
    assert warmed


def test_a_focus_alone_that_came_early_warms(chat: Chat, early: Callable[..., Held]) -> None:
    held = early()
    chat.input.focus()
    held.arrive()
    chat.expect_chip("warm")


def test_buttons_and_keys_of_the_first_moment_do_what_they_say(chat: Chat, early: Callable[..., Held]) -> None:
    page = chat.page
    held = early()
    page.get_by_role("button", name="What is in here?").click()
    page.locator("body").press("?")
    held.arrive()
    expect(chat.input).to_have_value("What is in here?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()


def test_files_that_are_dropped_or_pasted_early_are_taken(
    chat: Chat, early: Callable[..., Held], tmp_path: Path
) -> None:
    (tmp_path / "ships").mkdir()
    (tmp_path / "ships" / "one.md").write_text("All about one ship.")
    held = early()
    address = chat.page.url
    drop(chat.page, tmp_path / "ships")
    bring(chat.page, "paste", "pasted.md", "All about another.")
    dialog = chat.page.get_by_role("dialog", name="Ask about something of yours")
    expect(dialog).to_be_hidden()
    held.arrive()
    expect(dialog.locator(".chosen .path")).to_have_text(["pasted.md", "ships/"])
    assert chat.page.url == address


def test_a_context_that_is_picked_early_is_asked(chat: Chat, early: Callable[..., Held]) -> None:
    ours = chat.add_context("Harbour", {"harbour.md": "Anna has 1200 tons. " * 200})
    other = chat.add_context("Railway", {"railway.md": "Trains leave at noon. " * 200})
    held = early(f"/?context={ours}")
    expect(chat.page.get_by_role("heading", name="Ask about Harbour")).to_be_visible()
    chat.page.get_by_label("Context").select_option(other)
    held.arrive()
    expect(chat.page.get_by_role("heading", name="Ask about Railway")).to_be_visible()
    chat.page.wait_for_url(f"**/?context={other}")


def test_a_page_whose_scripts_do_not_come_says_so_and_keeps_what_was_written(
    chat: Chat, complaints: Complaints
) -> None:
    complaints.expects("503")
    page = chat.page
    page.route(LATE, lambda route: route.fulfill(status=503))
    page.goto(chat.url, wait_until="domcontentloaded")
    chat.input.fill("What is a Future?")
    chat.input.press("Enter")
    expect(chat.notice).to_contain_text("could not be loaded whole")
    expect(chat.input).to_have_value(re.compile(r"What is a Future\?\s*"))
    page.unroute(LATE)
    chat.notice.get_by_role("button", name="Load it again").click()
    chat.expect_state(chat.ask("What is a Future?"), "done")


def test_the_first_frame_is_painted_whole(browser: Browser, sandboxed: str) -> None:
    whole = httpx2.get(sandboxed).content
    with halved(whole) as (url, rest), browser.new_context() as context:
        page = context.new_page()
        page.goto(url, wait_until="commit")
        # What is there could be painted, and would move when the rest has come.
        page.wait_for_timeout(PAINTED_S * 1000)
        expect(page.get_by_role("heading", name="Ask about asyncio")).to_be_attached()
        assert page.evaluate(PAINTS) == 0
        rest.set()
        page.wait_for_function(f"{PAINTS} > 0")


def test_nothing_is_fetched_before_the_first_frame_but_the_page(page: Page, sandboxed: str) -> None:
    page.goto(sandboxed, wait_until="networkidle")
    painted, fetched = page.evaluate(
        """() => [performance.getEntriesByName('first-contentful-paint')[0].startTime,
            performance.getEntriesByType('resource').map(one => [one.name, one.startTime])]"""
    )
    assert [name for name, at in fetched if at < painted] == []
    assert [name for name, _ in fetched if name.endswith("/favicon.svg")] != []


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_moves_while_the_page_comes(browser: Browser, sandboxed: str, width: int) -> None:
    with browser.new_context(viewport={"width": width, "height": 800}) as context:
        chat = Chat(context.new_page(), sandboxed)
        assert shifts_of_loading(chat.page, sandboxed) < 0.02
        made = chat.add_context("Harbour", {"harbour.md": "Anna has 1200 tons. " * 200})
        assert shifts_of_loading(chat.page, f"{sandboxed}/?context={made}") < 0.02
        for question in ("Who has 1200 tons?", "How many tons has Anna?"):
            chat.expect_state(chat.ask(question), "done")
        assert shifts_of_loading(chat.page, chat.page.url) < 0.02
        chat.page.get_by_role("button", name="Conversations", exact=True).click()
        assert shifts_of_loading(chat.page, sandboxed) < 0.02


def test_a_list_that_was_closed_is_so_from_the_first_frame_on(chat: Chat, early: Callable[..., Held]) -> None:
    page = chat.page
    page.set_viewport_size({"width": 1280, "height": 800})
    chat.open()
    toggle = page.get_by_role("button", name="Conversations", exact=True)
    expect(toggle).to_have_attribute("aria-expanded", "true")
    toggle.click()
    expect(page.locator("#sidebar")).to_be_hidden()
    held = early()
    expect(page.locator("#sidebar")).to_be_hidden()
    held.arrive()
    expect(toggle).to_have_attribute("aria-expanded", "false")
    expect(page.locator("#sidebar")).to_be_hidden()
    toggle.click()
    expect(page.locator("#sidebar")).to_be_visible()
    early()
    expect(page.locator("#sidebar")).to_be_visible()
