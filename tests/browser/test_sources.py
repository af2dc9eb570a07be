"""A claim shows its source: the mark after it opens the document, with the passage marked and in sight. And a document is
read where its title is pressed, or an answer names it."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import FilePayload, Locator, Page, expect

from tests.browser.chat import Chat
from tests.pdfs import pdf

RULES = "# Rules\n\n" + "".join(f"{n}. Rule {n} of the harbour is about ships.\n" for n in range(1, 400))
SPECIAL = "Whoever keeps the lighthouse polishes the lens on Mondays."


@pytest.fixture
def cited(chat: Chat) -> Chat:
    """The page over the sandbox, on a context whose answers cite."""
    texts = {"rules.md": f"{RULES}{SPECIAL}\n{RULES}", "other/log.md": "Nothing of note today. " * 40}
    context = chat.add_context("Harbour", texts, citations=True)
    return chat.open(f"/?context={context}")


def panel(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Source")


def ask(chat: Chat) -> Locator:
    turn = chat.ask("When is the lighthouse lens polished?")
    chat.expect_state(turn, "done")
    return turn.locator(".cite").first


def test_a_mark_opens_its_passage_marked_and_in_sight(cited: Chat) -> None:
    mark = ask(cited)
    for _ in range(2):
        expect(mark).to_have_attribute("title", "rules.md")
        mark.click()
        source = panel(cited.page)
        expect(source.get_by_role("heading")).to_have_text("rules.md")
        expect(source.locator("p")).to_have_text(re.compile(r"^lines 39\d–40\d$"))
        expect(source.locator("mark")).to_contain_text(SPECIAL)
        expect(source.locator("mark")).to_be_in_viewport()
        quoted = cited.turns.first.locator("figure code").first.text_content()
        assert source.locator("mark").text_content() == quoted
        assert len(str(source.locator("pre").text_content())) < 13_000
        source.get_by_role("button", name="Close").click()
        expect(source).to_be_hidden()
        cited.page.reload()


def test_the_keyboard_opens_it_and_comes_back_to_where_it_was(cited: Chat) -> None:
    mark, page = ask(cited), cited.page
    mark.focus()
    before = mark.evaluate("node => node.getBoundingClientRect().top")
    page.keyboard.press("Enter")
    expect(panel(page).locator("mark")).to_contain_text(SPECIAL)
    expect(panel(page).locator("pre")).to_be_focused()
    assert abs(mark.evaluate("node => node.getBoundingClientRect().top") - before) < 2
    page.keyboard.press("Escape")
    expect(panel(page)).to_be_hidden()
    expect(mark).to_be_focused()
    # Where it covers the conversation, Back closes it.
    page.set_viewport_size({"width": 390, "height": 800})
    for _ in range(2):
        page.keyboard.press("Enter")
        expect(panel(page).locator("pre")).to_be_focused()
        page.go_back()
        expect(panel(page)).to_be_hidden()
        expect(mark).to_be_focused()
    assert page.evaluate("history.state") is None


def test_a_title_in_the_sheet_opens_its_document_from_the_beginning(chat: Chat) -> None:
    long = "".join(f"{n}. <b>Rule</b> {n}\n" for n in range(1, 20_000))
    context = chat.add_context("Rules", {"short.md": "Ships keep right. " * 100, "rules/long.md": long})
    page = chat.open(f"/?context={context}").page
    summary, source = page.locator(".about:visible summary"), panel(page)
    summary.click()
    title = page.get_by_role("button", name="rules/long.md")
    title.focus()
    page.keyboard.press("Enter")
    expect(source.get_by_role("heading")).to_have_text("rules/long.md")
    expect(source.locator("p")).to_have_text(re.compile(rf"^The first 199,\d+ of {len(long):,} characters$"))
    shown = str(source.locator("pre").text_content())
    assert long.startswith(shown.removesuffix("\n…"))
    assert len(shown) < 200_010
    assert source.locator("mark").count() == source.locator("b").count() == 0
    expect(source.locator("pre")).to_be_focused()
    source.locator("pre").press("End")
    page.get_by_role("button", name="short.md").click()
    expect(source.locator("p")).to_have_text("2 kB")
    assert source.locator("pre").text_content() == "Ships keep right. " * 100
    # What has the focus closes first, and who read comes back to the title.
    source.locator("h2").click()
    source.locator("pre").focus()
    page.keyboard.press("Escape")
    expect(source).to_be_hidden()
    expect(page.get_by_role("button", name="short.md")).to_be_focused()
    page.keyboard.press("Escape")
    expect(title).to_be_hidden()
    # What is everyone's to ask is everyone's to read.
    page.get_by_label("Context").select_option(label="asyncio")
    summary.click()
    page.get_by_role("button", name="asyncio/queues.py").click()
    expect(source.locator("pre")).to_contain_text("class PriorityQueue(Queue):")
    assert source.locator("pre").evaluate("pre => pre.scrollTop") == 0


NAMED = """async context => {
    const { lead } = await import('/static/js/naming.js');
    const { fragment } = await import('/static/js/html.js');
    const answer = document.createElement('div');
    const said = ['`rules/a.md:12-30`', '`a.md:7` too', '`a.md`, lines 3–5', '`a.md`, line 9', '`log.md`', '`<b>.md`'];
    const html = [...said, '`c.md`', '`les/a.md`']
        .map(text => `<p>${text.replace('<', '&lt;').replace(/`(.*)`/, '<code>$1</code>')}</p>`);
    html.push('<pre><code>a.md</code></pre>', '<p><a href="https://a.md/"><code>a.md</code></a></p>');
    answer.append(fragment(html.join('')));
    await lead(answer, context);
    const shown = ({ textContent, role, tabIndex, dataset: { document, first, last } }) =>
        role && [textContent, role, tabIndex, document, first ?? null, last ?? null];
    return [...answer.querySelectorAll('code')].map(shown).filter(Boolean);
}"""


def test_what_an_answer_names_leads_to_its_document_and_lines(chat: Chat) -> None:
    texts = {
        "rules/a.md": f"{RULES}{SPECIAL}\n{RULES}",
        "one/log.md": "Of note. " * 99,
        "two/log.md": "More. ",
        "<b>.md": "Bold. ",
    }
    context = chat.add_context("Harbour", texts)
    page = chat.open(f"/?context={context}").page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url.endswith(context) else None)
    for _ in range(2):
        turn = chat.ask("When is the lighthouse lens polished?")
        chat.expect_state(turn, "done")
    name = turn.get_by_role("button", name="rules/a.md").first
    lines = str(turn.locator(".prose p").filter(has_text="rules/a.md, lines").first.text_content()).partition(", ")[2]
    name.focus()
    page.keyboard.press("Enter")
    expect(panel(page).get_by_role("heading")).to_have_text("rules/a.md")
    expect(panel(page).locator("p")).to_have_text(lines)
    expect(panel(page).locator("mark")).to_contain_text(SPECIAL)
    expect(panel(page).locator("mark")).to_be_in_viewport()
    page.keyboard.press("Escape")
    expect(name).to_be_focused()
    assert len(asked) == 1
    number = str(list(texts).index("rules/a.md"))
    assert page.evaluate(NAMED, context) == [
        ["rules/a.md:12-30", "button", 0, number, "12", "30"],
        ["a.md:7", "button", 0, number, "7", "7"],
        ["a.md", "button", 0, number, "3", "5"],
        ["a.md", "button", 0, number, "9", "9"],
        ["<b>.md", "button", 0, str(list(texts).index("<b>.md")), None, None],
    ]


def test_what_is_added_on_the_page_can_cite(chat: Chat, tmp_path: Path) -> None:
    (tmp_path / "rules.md").write_text(f"{RULES}{SPECIAL}\n{RULES}")
    page = chat.page
    page.get_by_role("button", name="Add something to ask about").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    page.set_input_files("#files", [tmp_path / "rules.md"])
    page.get_by_label("Have answers cite their sources").check()
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_label("Context").locator("option:checked")).to_have_text("rules")
    ask(chat).click()
    expect(panel(page).locator("mark")).to_contain_text(SPECIAL)


def test_of_a_pdf_it_shows_the_words_and_says_on_which_page_they_are(chat: Chat) -> None:
    pages = [f"Page {n}. The lighthouse of harbour {n} has {n} lamps, which are lit at dusk." for n in range(1, 9)]
    file: FilePayload = {"name": "harbours.pdf", "mimeType": "application/pdf", "buffer": pdf(*pages)}
    answer = chat.page.request.post(
        f"{chat.url}/api/contexts", multipart={"name": "Harbours", "citations": "true", "files": file}
    )
    assert answer.ok, answer.text()
    chat.open(f"/?context={answer.json()['context']}")
    turn = chat.ask("How many lamps has the lighthouse of harbour 7?")
    chat.expect_state(turn, "done")
    turn.locator(".cite").first.click()
    source = panel(chat.page)
    expect(source.get_by_role("heading")).to_have_text("harbours.pdf")
    expect(source.locator("p")).to_have_text(re.compile(r"^Page \d: the words that the answer cites$"))
    expect(source.locator("mark")).to_contain_text("lamps, which are lit at dusk")
    chat.page.locator(".about:visible summary").click()
    chat.page.locator(".titles").get_by_role("button", name="harbours.pdf").click()
    expect(source.locator("pre")).to_contain_text("A PDF")
    expect(source.locator("mark")).to_have_count(0)
    expect(source.locator("p")).to_have_text(re.compile(r"^\d kB$"))


def test_a_new_conversation_closes_it(cited: Chat) -> None:
    ask(cited).click()
    expect(panel(cited.page).locator("mark")).to_be_visible()
    cited.page.get_by_role("button", name="New conversation").click()
    expect(panel(cited.page)).to_be_hidden()


def test_on_a_phone_it_fits(cited: Chat) -> None:
    page = cited.page
    mark = ask(cited)
    page.set_viewport_size({"width": 375, "height": 667})
    mark.click()
    expect(panel(page).locator("mark")).to_be_in_viewport()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(panel(page).get_by_role("button", name="Close")).to_be_in_viewport()


def test_a_passage_that_cannot_be_had_is_said(cited: Chat) -> None:
    mark, page = ask(cited), cited.page
    page.route("**/documents/*", lambda route: route.fulfill(status=200, body="no JSON", headers={}))
    mark.click()
    expect(panel(page).locator("pre")).to_have_text("The server cannot be reached.")
