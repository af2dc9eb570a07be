"""axe-core's rules over every page and state: nothing serious, in light and dark, wide and narrow."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.chat import Chat
from tests.browser.serving import Gate

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
    seen.get_by_role("button", name="Rename, export or delete").first.click()
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
