"""What a keyboard, a finger, or somebody who sees little can reach: nothing is hidden beneath what has come up, nothing is
lost, and nothing comes up that nobody asked for."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chat import Chat

COVERED = """() => {
    const at = document.activeElement, { left, top, right, bottom } = at.getBoundingClientRect();
    const from = [Math.max(left, 0), Math.max(top, 0)], to = [Math.min(right, innerWidth), Math.min(bottom, innerHeight)];
    const parts = [0.1, 0.3, 0.5, 0.7, 0.9], place = (i, part) => from[i] + (to[i] - from[i]) * part;
    const seen = parts.some(x => parts.some(y => at.contains(document.elementFromPoint(place(0, x), place(1, y)))));
    return at === document.body || seen ? '' : at.outerHTML.slice(0, 90);
}"""
LONG = "W" * 180


@pytest.fixture
def touched(browser: Browser, sandboxed: str) -> Iterator[Chat]:
    """The page on a phone."""
    with browser.new_context(viewport={"width": 390, "height": 800}, has_touch=True, is_mobile=True) as context:
        yield Chat(context.new_page(), sandboxed).open()


def rows(page: Page) -> Locator:
    return page.locator("#conversations li")


def covered(page: Page, steps: int) -> list[str]:
    """What has the focus and is beneath something else, of so many steps with the keyboard."""
    found = []
    for _ in range(steps):
        page.keyboard.press("Tab")
        found.append(page.evaluate(COVERED))
    return [one for one in found if one]


def test_enter_on_cancel_asks_nothing(chat: Chat) -> None:
    turn = chat.ask("What is a Future?")
    chat.expect_state(turn, "done")
    turn.get_by_role("button", name="Edit this question").click()
    area = chat.page.get_by_label("Ask this instead")
    expect(area.first).to_be_focused()
    chat.page.keyboard.press("Tab")
    expect(turn.get_by_role("button", name="Cancel")).to_be_focused()
    chat.page.keyboard.press("Enter")
    expect(turn.locator(".question")).to_contain_text("What is a Future?")
    chat.expect_state(turn, "done")
    assert chat.stored()["turns"][0]["branches"] == [chat.session]


def test_a_long_question_is_edited_in_sight(chat: Chat) -> None:
    turn = chat.ask("What is a Future? " * 60)
    chat.expect_state(turn, "done")
    turn.get_by_role("button", name="Edit this question").click()
    area = turn.locator(".editing textarea")
    assert area.evaluate("area => area.clientHeight >= Math.min(area.scrollHeight, innerHeight / 2)")


@pytest.mark.parametrize("width", [390, 1280])
def test_no_name_is_so_long_that_the_dialog_does_not_fit(chat: Chat, width: int) -> None:
    page = chat.page
    page.set_viewport_size({"width": width, "height": 800})
    made = chat.add_context(LONG, {"a.md": "The keeper counts ships. " * 200})
    chat.open(f"/?context={made}")
    page.locator(".about:visible summary").click()
    page.get_by_role("button", name="Replace…").click()
    dialog = page.get_by_role("dialog", name="Replace")
    expect(dialog).to_contain_text(LONG)
    page.set_input_files("#files", {"name": f"{LONG}.bin", "mimeType": "", "buffer": b"\0"})
    expect(dialog.get_by_role("alert")).to_contain_text("is left out")
    assert dialog.evaluate("dialog => dialog.scrollWidth <= dialog.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_escape_closes_the_drawer_first_wherever_the_focus_is(chat: Chat) -> None:
    page = chat.page
    page.set_viewport_size({"width": 640, "height": 800})
    toggle = page.get_by_role("button", name="Conversations", exact=True)
    toggle.click()
    expect(page.locator("#sidebar")).to_be_visible()
    page.locator("#conversations-said").click()
    assert page.evaluate("document.activeElement === document.body")
    page.keyboard.press("Escape")
    expect(page.locator("#sidebar")).to_be_hidden()
    expect(toggle).to_be_focused()


def test_the_first_stop_of_the_keyboard_can_be_seen_beside_the_list(chat: Chat) -> None:
    expect(chat.page.locator("#sidebar")).to_be_visible()
    assert covered(chat.page, 1) == []
    expect(chat.page.get_by_role("link", name="Skip to the question")).to_be_focused()


@pytest.mark.parametrize(("width", "height"), [(640, 400), (900, 800), (390, 800)])
def test_what_lies_over_the_page_goes_when_the_keyboard_goes_on_beneath_it(chat: Chat, width: int, height: int) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    page.set_viewport_size({"width": width, "height": height})
    named = chat.turns.locator("code.opens").first
    named.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("complementary", name="Source")).to_be_visible()
    page.evaluate("document.querySelector('#log button').focus()")
    assert covered(page, 12) == []
    # As the sheet of the context does.
    page.evaluate("scrollTo(0, 0)")
    summary = page.locator(".about:visible summary")
    summary.focus()
    page.keyboard.press("Enter")
    sheet = page.locator(".about:visible .sheet")
    expect(sheet.get_by_role("button").first).to_be_visible()
    stops = sheet.locator("button, select, a, summary").count()
    assert covered(page, stops + 6) == []
    expect(sheet).to_be_hidden()


def test_a_menu_is_whole_in_a_low_window_and_tab_leaves_it(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    expect(rows(page)).to_have_count(1)
    page.set_viewport_size({"width": 1280, "height": 190})
    rows(page).get_by_role("button").click()
    menu = page.locator("#conversation-menu")
    expect(menu.get_by_role("button", name="Pin")).to_be_focused()
    for name in ("Pin", "Delete…"):
        button = menu.get_by_role("button", name=name)
        button.focus()
        expect(button).to_be_in_viewport(ratio=1)
    page.keyboard.press("Tab")
    expect(menu).to_be_hidden()


def test_a_screens_keyboard_comes_up_only_for_who_writes(touched: Chat) -> None:
    page, writes = touched.page, "document.activeElement.matches('input, textarea')"
    touched.input.tap()
    touched.input.fill("What is a Future?")
    touched.send.tap()
    touched.expect_state(touched.turns.first, "done")
    for name in ("Ask again", "Edit"):
        page.evaluate("document.activeElement.blur()")
        touched.turns.first.get_by_role("button", name=name).first.tap()
        if name == "Edit":
            page.get_by_role("button", name="Ask this instead").tap()
        expect(touched.turns.first.locator(".asked")).to_contain_text("2/2" if name == "Ask again" else "3/3")
        touched.expect_state(touched.turns.first, "done")
        assert not page.evaluate(writes), name
    page.get_by_role("button", name="Add something to ask about").tap()
    page.get_by_role("button", name="Cancel").tap()
    expect(page.locator("#adding")).to_be_hidden()
    assert not page.evaluate(writes)
    page.get_by_role("button", name="Conversations", exact=True).tap()
    rows(page).get_by_role("link").tap()
    expect(page.locator("#sidebar")).to_be_hidden()
    assert not page.evaluate(writes)
    page.get_by_role("button", name="Conversations", exact=True).tap()
    rows(page).get_by_role("button").tap()
    page.locator("#conversation-menu").get_by_role("button", name="Delete…").tap()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).tap()
    expect(rows(page)).to_have_count(0)
    expect(page.locator("#close-sidebar")).to_be_focused()


def test_text_runs_as_its_words_do(chat: Chat) -> None:
    arabic = "كم عدد السفن؟"
    turn = chat.ask(arabic)
    chat.expect_state(turn, "done")
    edge = """node => {
        const range = document.createRange();
        range.selectNodeContents(node.lastChild);
        const [words, box] = [range.getBoundingClientRect(), node.getBoundingClientRect()];
        return Math.round(box.right - parseFloat(getComputedStyle(node).paddingRight) - words.right);
    }"""
    chat.page.evaluate(
        """text => {
            const made = document.createElement('p');
            made.textContent = text;
            document.querySelector('.prose').append(made);
        }""",
        arabic,
    )
    assert turn.locator(".prose > p").last.evaluate(edge) == 0
    assert chat.input.evaluate("input => getComputedStyle(input).unicodeBidi") == "plaintext"


def test_a_copied_link_leaves_the_buttons_where_they_are(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    expect(rows(page)).to_have_count(1)
    rows(page).get_by_role("button").click()
    page.locator("#conversation-menu").get_by_role("button", name="Share…").click()
    dialog = page.get_by_role("dialog", name="Share")
    dialog.get_by_role("button", name="Make a link").click()
    copy = dialog.get_by_role("button", name="Copy the link")
    expect(copy).to_be_visible()
    before = [button.bounding_box() for button in dialog.get_by_role("button").all()]
    copy.click()
    expect(copy).to_have_attribute("data-reader-copied", "")
    assert [button.bounding_box() for button in dialog.get_by_role("button").all()] == before


def test_where_colours_are_the_readers_a_legend_and_what_is_chosen_are_told_apart(chat: Chat) -> None:
    page = chat.page
    turn = chat.ask("What is a Future?")
    chat.expect_state(turn, "done")
    turn.locator(".times summary").click()
    without = page.get_by_role("button", name="Without Headstart, too")
    colours = "node => getComputedStyle(node).backgroundColor"
    page.emulate_media(forced_colors="active")
    plain = without.evaluate(colours)
    without.click()
    assert without.evaluate(colours) != plain
    marks = turn.locator(".timeline dt").evaluate_all(
        "nodes => nodes.map(node => getComputedStyle(node, '::before').backgroundColor)"
    )
    assert len(set(marks[:2])) == 2
    chat.open("/dashboard")
    spans = page.locator(".span a")
    assert len({span.evaluate(colours) for span in spans.all()}) == spans.count()
