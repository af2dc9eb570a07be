"""Light or dark by choice: at once, in the next page's first frame, on the other pages too, and never on paper."""

import pytest
from playwright.sync_api import BrowserContext, Page, Route, expect

from tests.browser.chat import Chat
from tests.browser.test_page import contrast

PAPER = {"light": "rgb(252, 251, 249)", "dark": "rgb(24, 24, 23)"}
BARS = {"light": "#fcfbf9", "dark": "#181817"}


def paper(page: Page) -> str:
    colour: str = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    return colour


def bars(page: Page) -> list[str]:
    """What the browser's own bars are to be, where the system is light and where it is dark."""
    colours: list[str] = page.locator("meta[name=theme-color]").evaluate_all("all => all.map(one => one.content)")
    return colours


def choose(page: Page, name: str) -> None:
    if not page.locator("#sidebar").is_visible():
        page.locator("#toggle-sidebar").click()
    page.get_by_role("group", name="Colours").get_by_text(name).click()


@pytest.mark.parametrize(("system", "chosen"), [("light", "dark"), ("dark", "light")])
def test_a_choice_holds_against_the_system_here_and_in_every_page_to_come(
    page: Page, sandboxed: str, system: str, chosen: str
) -> None:
    page.emulate_media(color_scheme="dark" if system == "dark" else "light")
    chat = Chat(page, sandboxed).open()
    turn = chat.ask("What is a Future?")
    chat.expect_state(turn, "done")
    assert paper(page) == PAPER[system]
    choose(page, chosen.title())
    assert paper(page) == PAPER[chosen]
    assert bars(page) == [BARS[chosen]] * 2
    for selector in (".prose", ".stats", ".chip", ".cache", ".theme label"):
        assert contrast(page, selector) >= 4.5, selector
    page.emulate_media(media="print")
    assert paper(page) == "rgb(255, 255, 255)"
    page.emulate_media(media="screen")
    for path in ("/", "/docs", "/dashboard"):
        came = page.goto(sandboxed + path)
        assert came and f'<html lang="en" data-theme="{chosen}"' in came.text()
        assert (paper(page), bars(page)) == (PAPER[chosen], [BARS[chosen]] * 2), path


def test_it_is_chosen_by_keyboard_and_taken_back(page: Page, context: BrowserContext, sandboxed: str) -> None:
    page.emulate_media(color_scheme="dark")
    chat = Chat(page, sandboxed).open()
    group = page.get_by_role("group", name="Colours")
    expect(group.get_by_label("Auto")).to_be_checked()
    group.get_by_label("Auto").focus()
    page.keyboard.press("ArrowRight")
    expect(group.get_by_label("Light")).to_be_checked()
    assert paper(page) == PAPER["light"]
    chat.open()
    expect(group.get_by_label("Light")).to_be_checked()
    group.get_by_label("Light").focus()
    page.keyboard.press("ArrowLeft")
    assert (paper(page), bars(page)) == (PAPER["dark"], [BARS["light"], BARS["dark"]])
    assert "headstart_theme" not in [cookie.get("name") for cookie in context.cookies()]
    chat.open()
    expect(group.get_by_label("Auto")).to_be_checked()
    assert paper(page) == PAPER["dark"]


def test_one_that_is_chosen_before_the_page_is_whole_is_what_the_switch_shows(page: Page, sandboxed: str) -> None:
    held: list[Route] = []
    page.route("**/static/js/chat.js", lambda route: held.append(route))
    with page.expect_request("**/static/js/chat.js"):
        page.goto(sandboxed, wait_until="commit")
    group = page.get_by_role("group", name="Colours")
    group.get_by_text("Dark").click()
    for route in held:
        route.continue_()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(group.get_by_label("Dark")).to_be_checked()
    group.get_by_text("Auto").click()
    expect(page.locator("html")).not_to_have_attribute("data-theme", "dark")


@pytest.mark.parametrize("value", ["", "sepia", '"><script>x</script>', "dark light", "DARK"])
def test_what_a_cookie_says_beside_that_means_nothing(
    page: Page, context: BrowserContext, sandboxed: str, value: str
) -> None:
    context.add_cookies([{"name": "headstart_theme", "value": value, "url": sandboxed}])
    Chat(page, sandboxed).open()
    assert page.locator("html").get_attribute("data-theme") is None
    assert paper(page) == PAPER["light"]
