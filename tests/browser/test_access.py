"""axe-core's rules over every page and state: nothing serious, in light and dark, wide and narrow."""

import re
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from app.store.keys import SAMPLE
from tests.browser.chat import Chat
from tests.browser.embedding import Embedded
from tests.browser.serving import Gate
from tests.browser.writing import Writer
from tests.recorder import Recorder, refuse
from tests.running import RedisProcess, serving

SERIOUS = ("serious", "critical")


def serious(page: Page) -> list[str]:
    """What axe-core finds on the page as it stands, once nothing moves any more."""
    page.evaluate(
        "Promise.all(document.getAnimations().map(a => a.effect.getTiming().iterations === Infinity || a.finished))"
    )
    found = Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:120]} {node['failureSummary']}"
        for one in found
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]


EVERY_LOOK = ["light 1280", "dark 1280", "light 390", "dark 390"]


@pytest.fixture(params=["dark 1280", "light 390"])
def seen(request: pytest.FixtureRequest, page: Page) -> Page:
    """A page as one of those who come sees it."""
    scheme, width = request.param.split()
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.set_viewport_size({"width": int(width), "height": 800})
    return page


@pytest.mark.parametrize("seen", EVERY_LOOK, indirect=True)
def test_nothing_serious_in_any_state_of_the_chat(seen: Page, gated: Chat, gate: Gate) -> None:
    assert serious(seen) == []
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 41?")
    expect(turn).to_have_attribute("data-phase", "writing")
    assert serious(seen) == []
    gate.open_all()
    gated.expect_state(turn, "done")
    turn.locator(".times summary").click()
    expect(turn.locator("figure.timeline")).to_be_visible()
    gated.input.fill("And ship 42?")
    seen.get_by_role("button", name="Ask another, too").click()
    assert serious(seen) == []
    turn.get_by_role("button", name="Edit this question").click()
    assert serious(seen) == []
    if not seen.locator("#sidebar").is_visible():
        seen.get_by_role("button", name="Conversations", exact=True).click()
    seen.get_by_role("button", name="Options").first.click()
    assert serious(seen) == []
    seen.get_by_role("button", name="Delete…").click()
    assert serious(seen) == []


@pytest.mark.parametrize("dialog", ["keys", "adding"])
def test_nothing_serious_in_a_dialog(seen: Page, sandboxed: str, dialog: str) -> None:
    Chat(seen, sandboxed).open()
    if dialog == "adding":
        seen.get_by_role("button", name="Add something to ask about").click()
    else:
        seen.locator("body").press("?")
    expect(seen.locator(f"#{dialog}")).to_be_visible()
    assert serious(seen) == []


def test_nothing_serious_in_a_source_beside_its_answer_in_lanes_or_in_a_search_that_finds_nothing(
    seen: Page, sandboxed: str
) -> None:
    chat = Chat(seen, sandboxed)
    texts = {"rules.md": "1. Whoever keeps the lighthouse polishes the lens on Mondays.\n" * 200}
    chat.open(f"/?context={chat.add_context('Harbour', texts, citations=True)}")
    turn = chat.ask("When is the lighthouse lens polished?")
    chat.expect_state(turn, "done")
    turn.locator(".cite").first.click()
    expect(seen.get_by_role("complementary", name="Source").locator("mark").first).to_be_visible()
    assert serious(seen) == []
    seen.keyboard.press("Escape")
    seen.locator(".about:visible summary").click()
    seen.locator(".titles").get_by_role("button", name="rules.md").click()
    expect(seen.get_by_role("region", name="The document’s text")).to_contain_text("lighthouse")
    assert serious(seen) == []
    for _ in range(2):
        seen.keyboard.press("Escape")
    chat.input.fill("Who polishes the lens?")
    seen.get_by_role("button", name="Ask another, too").click()
    seen.get_by_role("button", name="Without Headstart, too").click()
    chat.input.fill("Which lens is polished?")
    chat.input.press("Enter")
    lanes = seen.locator(".lanes article")
    expect(lanes).to_have_count(3)
    for lane in lanes.all():
        chat.expect_state(lane, "done")
    assert serious(seen) == []
    if not seen.locator("#sidebar").is_visible():
        seen.get_by_role("button", name="Conversations", exact=True).click()
    seen.get_by_label("Search conversations").fill("no such word")
    expect(seen.get_by_text("Nothing has these words.")).to_be_visible()
    assert serious(seen) == []


def test_nothing_serious_in_an_open_thought_and_a_turn_that_failed(
    seen: Page, redis: RedisProcess, upstream: Recorder
) -> None:
    with serving(redis.url, upstream.url) as url:
        chat, writer = Chat(seen, url).open(), Writer(upstream)
        turn = chat.ask("What?")
        writer.think("First this, then that.")
        writer.finish()
        writer.say("Done.")
        writer.end()
        chat.expect_state(turn, "done")
        turn.locator(".thinking summary").click()
        expect(turn.get_by_text("First this, then that.")).to_be_visible()
        upstream.script.extend([refuse(400, "invalid_request_error", "That cannot be answered.")] * 2)
        chat.expect_state(chat.ask("And now?"), "failed")
        assert serious(seen) == []
        seen.goto("about:blank")


def test_nothing_serious_where_there_is_nothing_to_ask_about_yet_and_in_what_is_chosen_then(
    seen: Page, redis: RedisProcess, upstream: Recorder, tmp_path: Path
) -> None:
    # As if somebody had removed the sample.
    redis.say(f"SET {SAMPLE} 1".encode())
    for name, content in {"a.md": "A", "deep/b.md": "B", "node_modules/c.js": "C", "empty.md": ""}.items():
        (tmp_path / "shop" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "shop" / name).write_text(content)
    with serving(redis.url, upstream.url) as url:
        seen.goto(url)
        expect(seen.get_by_role("heading", name="What do you want to ask about?")).to_be_visible()
        assert serious(seen) == []
        seen.get_by_role("button", name="Choose files").click()
        dialog = seen.get_by_role("dialog", name="Ask about something of yours")
        expect(dialog).to_be_visible()
        seen.set_input_files("#folder", [tmp_path / "shop"])
        expect(dialog.locator(".chosen li")).to_have_count(2)
        dialog.locator(".left-out summary").click()
        expect(dialog.locator(".left-out li")).to_have_count(2)
        assert serious(seen) == []
        seen.goto("about:blank")


def test_nothing_serious_in_the_example_of_a_page_of_ones_own(seen: Page, embedded: Embedded) -> None:
    assert serious(seen) == []
    embedded.ask("Which ship is ship 41?")
    expect(embedded.warm).to_have_text(re.compile("^cache "))
    assert serious(seen) == []


@pytest.mark.parametrize("path", ["/dashboard", "/docs"])
def test_nothing_serious_on_the_other_pages(seen: Page, sandboxed: str, path: str) -> None:
    seen.goto(sandboxed + path)
    assert serious(seen) == []


OUT_OF_SIGHT = """() => {
    const seen = document.activeElement.getBoundingClientRect();
    const dock = document.querySelector('.dock');
    return !dock.contains(document.activeElement) && seen.bottom > dock.getBoundingClientRect().top + 20;
}"""


@pytest.mark.parametrize("width", [1280, 390])
def test_what_has_the_focus_is_never_behind_the_input(chat: Chat, width: int) -> None:
    seen = chat.page
    seen.set_viewport_size({"width": width, "height": 800})
    for question in ("What is a Future?", "How does a TaskGroup end?"):
        chat.expect_state(chat.ask(question), "done")
    seen.evaluate("scrollTo(0, 0); document.querySelector('#log button').focus({ preventScroll: true })")
    hidden = []
    for _ in range(40):
        seen.keyboard.press("Tab")
        if seen.evaluate("!document.querySelector('#log').contains(document.activeElement)"):
            break
        if seen.evaluate(OUT_OF_SIGHT):
            hidden.append(seen.evaluate("document.activeElement.outerHTML.slice(0, 80)"))
    assert hidden == []
    seen.evaluate("scrollTo(0, 0)")
    edit = chat.turns.nth(1).get_by_role("button", name="Edit this question")
    edit.evaluate("button => scrollBy(0, button.getBoundingClientRect().bottom - innerHeight)")
    edit.evaluate("button => button.click()")
    assert not seen.evaluate(OUT_OF_SIGHT)
