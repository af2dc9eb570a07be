"""The page itself: light, narrow, dark, by keyboard alone, under a strict policy, and deaf to hostile text."""

import re

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Route, expect

from app.web.inline import BASE_CSS, BOOT_JS
from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.painting import load

HOSTILE = [
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    '"><svg onload=window.hacked=1>',
    "</option></select><iframe srcdoc='<script>parent.hacked=1</script>'>",
    "[click](javascript:window.hacked=1)",
    "{{ 7 * 7 }} ${7 * 7} <%= 7 * 7 %>",
    "</textarea><b onmouseover=window.hacked=1>over</b>",
]


def contrast(page: Page, selector: str) -> float:
    """WCAG's ratio between an element's colour and the page's."""
    ratio: float = page.evaluate(
        """selector => {
            const light = colour => {
                const [r, g, b] = colour.match(/[\\d.]+/g).map(v => v / 255)
                    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const own = light(getComputedStyle(document.querySelector(selector)).color);
            const paper = light(getComputedStyle(document.documentElement).backgroundColor);
            return (Math.max(own, paper) + 0.05) / (Math.min(own, paper) + 0.05);
        }""",
        selector,
    )
    return ratio


def test_all_of_the_page_is_under_90_kB_and_from_here_alone(page: Page, sandboxed: str) -> None:
    loaded = load(page, sandboxed)
    assert len(loaded.addresses) > 10
    assert all(address.startswith(sandboxed) for address in loaded.addresses)
    assert loaded.bytes < 90_000


def test_the_policy_allows_nothing_foreign_and_inline_what_the_first_frame_needs_alone(
    page: Page, sandboxed: str
) -> None:
    response = page.goto(sandboxed)
    assert response
    policy = response.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    inline = page.locator("script:not([src]), style").evaluate_all("all => all.map(one => one.textContent)")
    assert inline == [BASE_CSS, BOOT_JS]
    assert page.locator("[style], [onclick]").count() == 0
    assert policy.count("'sha256-") == 2


def test_what_else_stands_in_a_page_has_no_effect(page: Page, sandboxed: str, complaints: Complaints) -> None:
    """As it would if something of a stranger's got into the page's source."""
    complaints.expects("Content Security Policy", "policy: script-src-elem inline", "policy: style-src-elem inline")

    def spoil(route: Route) -> None:
        response = route.fetch()
        foreign = "<script>window.foreign = 1</script><style>body { display: none }</style>"
        route.fulfill(response=response, body=response.text().replace("</head>", f"{foreign}</head>"))

    page.route(sandboxed + "/", spoil)
    page.goto(sandboxed + "/")
    expect(page.get_by_label("Your question")).to_be_visible()
    assert page.evaluate("window.foreign") is None


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(page: Page, sandboxed: str, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    chat = Chat(page, sandboxed).open()
    turn = chat.ask("What is a Future?")
    chat.expect_state(turn, "done")
    background = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    brightness = sum(map(float, re.findall(r"[\d.]+", background)[:3])) / 3
    assert brightness < 60 if scheme == "dark" else brightness > 230
    for selector in (".prose", ".stats", ".chip", ".upstream", ".cache", ".top nav a"):
        assert contrast(page, selector) >= 4.5, selector


@pytest.mark.parametrize("path", ["/", "/dashboard"])
def test_a_phone_needs_no_sideways_scrolling(page: Page, sandboxed: str, path: str) -> None:
    page.set_viewport_size({"width": 375, "height": 667})
    chat = Chat(page, sandboxed)
    chat.add_context("A context with a name that is far too long for a narrow screen", {"x.md": "word " * 500})
    chat.open(path)
    if path == "/":
        page.locator(".about:visible summary").click()
        expect(page.locator(".titles li").first).to_be_visible()
        page.keyboard.press("Escape")
        turn = chat.ask("How does " + "a_very_long_identifier" * 8 + " relate to run_until_complete?")
        chat.expect_state(turn, "done")
        expect(chat.send).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_keyboard_alone_does_it_all(chat: Chat) -> None:
    page, keyboard = chat.page, chat.page.keyboard
    keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the question")).to_be_focused()
    keyboard.press("Enter")
    expect(chat.input).to_be_focused()
    keyboard.type("What is")
    keyboard.press("Shift+Enter")
    keyboard.type("a Future?")
    expect(chat.input).to_have_value("What is\na Future?")
    keyboard.press("Tab")
    expect(chat.send).to_be_focused()
    keyboard.press("Enter")
    turn = chat.turns.first
    chat.expect_state(turn, "done")
    expect(turn.locator(".question")).to_contain_text("What is\na Future?")
    expect(chat.input).to_be_focused()
    for name in ("New conversation", "Dashboard"):
        target = page.get_by_role("button", name=name).or_(page.get_by_role("link", name=name))
        for _ in range(20):
            if target.evaluate("node => node === document.activeElement"):
                break
            keyboard.press("Shift+Tab")
        expect(target).to_be_focused()
    keyboard.press("Enter")
    page.wait_for_url("**/dashboard")


# What can be pressed, in the page or above it, and takes less than 32 pixels of height there.
LOW = """() => [...document.querySelectorAll('.top :is(button, a, summary), #log :is(button, a, summary), .ways button')]
    .filter(node => node.checkVisibility()).filter(node => {
        if (node.closest('.top')) scrollTo({ top: 0, behavior: 'instant' });
        else node.scrollIntoView({ block: 'center', behavior: 'instant' });
        const { left, top, width, height } = node.getBoundingClientRect();
        const met = y => node.contains(document.elementFromPoint(left + width / 2, y));
        return [...Array(64).keys()].filter(step => met(top + height / 2 - 31.5 + step)).length < 32;
    }).map(node => node.outerHTML)"""


def test_on_a_touch_keyboard_enter_breaks_the_line_and_the_buttons_send(browser: Browser, sandboxed: str) -> None:
    with browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True) as context:
        chat = Chat(context.new_page(), sandboxed).open()
        page, keyboard = chat.page, chat.page.keyboard
        chat.input.tap()
        chat.expect_chip("warm")
        keyboard.type("What is")
        keyboard.press("Enter")
        keyboard.type("a Future?")
        expect(chat.input).to_have_value("What is\na Future?")
        assert chat.input.evaluate("node => node.enterKeyHint") != "send"
        chat.send.tap()
        turn = chat.turns.first
        chat.expect_state(turn, "done")
        expect(turn.locator(".question")).to_contain_text("What is\na Future?")
        turn.get_by_role("button", name="Edit").tap()
        keyboard.press("Enter")
        keyboard.type("And a Task?")
        expect(page.get_by_label("Ask this instead")).to_have_value("What is\na Future?\nAnd a Task?")
        page.get_by_role("button", name="Ask this instead").tap()
        expect(turn.locator(".question")).to_contain_text("a Future?\nAnd a Task?")
        chat.expect_state(turn, "done")
        assert page.evaluate(LOW) == []
        # A keyboard that is joined to such a screen has a way of its own.
        chat.input.fill("And a Lock?")
        chat.input.press("Control+Enter")
        expect(chat.turns).to_have_count(2)
        # Nothing says what is not so, where there would be room for it.
        page.set_viewport_size({"width": 1024, "height": 768})
        expect(page.locator(".keys")).to_be_hidden()
        page.get_by_role("button", name="Keyboard shortcuts").tap()
        expect(page.get_by_role("dialog", name="Keyboard")).not_to_contain_text(
            "Send the question", use_inner_text=True
        )


def test_an_enter_that_ends_a_composition_sends_nothing(chat: Chat) -> None:
    chat.input.fill("にほん")
    chat.input.evaluate(
        "node => node.dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', isComposing: true, cancelable: true}))"
    )
    expect(chat.input).to_have_value("にほん")
    expect(chat.turns).to_have_count(0)


def test_what_a_screen_reader_needs_is_there(chat: Chat) -> None:
    page = chat.page
    expect(chat.log).to_have_count(1)
    expect(chat.input).to_have_attribute("aria-describedby", "chip too-long")
    expect(page.get_by_label("Context")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    turn = chat.ask("What is a Future?")
    chat.expect_state(turn, "done")
    expect(page.locator("#spoken")).to_contain_text("Answer complete.")
    unnamed = page.locator("button:visible").evaluate_all(
        "all => all.filter(b => !b.textContent.trim() && !b.ariaLabel).length"
    )
    assert unnamed == 0


def test_hostile_text_stays_text_wherever_it_comes_from(page: Page, sandboxed: str) -> None:
    chat = Chat(page, sandboxed)
    documents = {f"{attack} {n}.md": f"lighthouse {attack}\n" * 12 for n, attack in enumerate(HOSTILE)}
    context = chat.add_context(HOSTILE[1], documents, instructions=HOSTILE[0])
    chat.open(f"/?context={context}")
    page.locator(".about:visible summary").click()
    expect(page.locator(".titles:visible li")).to_have_count(len(HOSTILE))
    page.keyboard.press("Escape")
    for attack in (" ".join(HOSTILE), "**" + HOSTILE[1] + "** `" + HOSTILE[0] + "`"):
        turn = chat.ask(f"lighthouse {attack}")
        chat.expect_state(turn, "done")
        expect(turn.locator(".question")).to_contain_text(attack)
    page.reload()
    expect(chat.turns).to_have_count(2)
    chat.expect_state(chat.turns.nth(1), "done")
    answer = chat.turns.first.locator(".prose").inner_text()
    assert any(attack in answer for attack in HOSTILE)
    assert page.locator("#log :is(script, img, svg:not(.does svg), iframe, a, b)").count() == 0
    assert page.evaluate("window.hacked") is None


def test_on_paper_is_the_conversation_alone_in_black_and_white(page: Page, sandboxed: str) -> None:
    chat = Chat(page, sandboxed)
    rule = f"1. Whoever keeps the lighthouse polishes the lens{', and its brass' * 12} on Mondays.\n"
    chat.open(f"/?context={chat.add_context('Harbour', {'rules.md': rule * 200}, citations=True)}")
    turn = chat.ask("When is the lighthouse lens polished?")
    chat.expect_state(turn, "done")
    page.emulate_media(media="print", color_scheme="dark")
    for shown in (
        page.get_by_role("heading", level=1),
        turn.locator(".question"),
        turn.locator(".stats"),
        turn.locator(".by").first,
        turn.locator(".by").last,
    ):
        expect(shown).to_be_visible()
    expect(page.get_by_role("heading", level=1)).to_have_text("When is the lighthouse lens polished?")
    pictured = "node => [node.offsetHeight > 1, getComputedStyle(node, '::after').content]"
    assert page.get_by_role("heading", level=1).evaluate(pictured)[0]
    assert turn.locator(".cite").first.evaluate(pictured) == [True, '" rules.md"']
    assert page.locator("button:visible:not(.cite), .top:visible, .dock:visible, .side:visible").count() == 0
    code = turn.locator(".code pre").first
    assert code.evaluate("node => node.scrollWidth <= node.clientWidth && node.innerText.length > 200")
    colours = "[document.documentElement, document.querySelector('.prose')].map(node => getComputedStyle(node))"
    assert page.evaluate(f"(([on, of]) => [on.backgroundColor, of.color])({colours})") == [
        "rgb(255, 255, 255)",
        "rgb(0, 0, 0)",
    ]


def test_without_scripts_it_says_what_is_here_and_where_the_api_is(browser: Browser, sandboxed: str) -> None:
    context: BrowserContext = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(sandboxed)
    expect(page.get_by_text("The chat needs JavaScript")).to_be_visible()
    expect(page.locator(".about").first).to_be_visible()
    context.close()


def test_the_dashboard_shows_the_totals(chat: Chat) -> None:
    chat.expect_state(chat.ask("What is a Future?"), "done")
    chat.page.get_by_role("link", name="Dashboard").click()
    expect(chat.page.get_by_role("heading", level=1)).to_be_visible()
    expect(chat.page.locator(".totals dd").first).to_be_visible()
