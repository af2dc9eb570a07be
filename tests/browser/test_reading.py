"""An answer as it is read: Markdown that streams without a jump, code to take along, thoughts out of the way; and text
that attacks, through every way in, stays text."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from app.rendering.answer import blocks_of
from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.painting import SOURCE, shifts_of_an_answer
from tests.browser.serving import headstart
from tests.browser.test_access import serious
from tests.browser.writing import Writer
from tests.recorder import Recorder, recording, refuse
from tests.rendering.payloads import PAYLOADS

CODE = "def f(text: str) -> None:\n    print('<b>', text)"
ANSWER = f"""## A *title*

A paragraph with **bold** words and `code`, long enough to be written in a few pieces, each of which comes on its own.

| State | Cost |
|:------|-----:|
| `DONE` | 12 |
| `GONE` | 3 |

```python
{CODE}
```

1. One
2. Two

The end."""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Recorder, str]]:
    with recording() as recorder:
        settings = {"ANTHROPIC_BASE_URL": recorder.url, "ANTHROPIC_API_KEY": "test", "HEADSTART_LIMITS": "off"}
        with headstart(tmp_path_factory.mktemp("written"), **settings) as url:
            yield recorder, url


@pytest.fixture
def writer(upstream: tuple[Recorder, str]) -> Writer:
    return Writer(upstream[0])


@pytest.fixture
def written(upstream: tuple[Recorder, str], page: Page) -> Chat:
    """The page over an upstream that says what the test has it say."""
    return Chat(page, upstream[1]).open()


def test_markdown_streams_and_nothing_above_the_end_moves(written: Chat, writer: Writer) -> None:
    page = written.page
    page.evaluate(
        """() => {
            window.shifts = 0;
            new PerformanceObserver(list => { for (const { value } of list.getEntries()) window.shifts += value; })
                .observe({ type: 'layout-shift', buffered: true });
        }"""
    )
    turn = written.ask("What?")
    prose = turn.locator(".prose")
    page.evaluate("window.shifts = 0")
    writer.begin({"type": "text", "text": ""})
    settled: list[float] = []
    for at in range(0, len(ANSWER), 25):
        writer.write(ANSWER[at : at + 25])
        last = ANSWER[at : at + 25].split()[-1].strip("#*`|:-'<>().")
        expect(prose).to_contain_text(last)
        now = prose.evaluate("node => [...node.children].map(child => child.offsetTop)")
        assert now[: len(settled)] == settled
        settled = now[:-1]
    writer.finish()
    writer.end()
    written.expect_state(turn, "done")
    assert written.shows_whole(turn, ANSWER)
    assert page.evaluate("window.shifts") < 0.02
    expect(turn.locator("table td.right").first).to_have_text("12")
    expect(turn.locator("figure .k").first).to_have_text("def")
    page.reload()
    expect(turn.locator("table")).to_be_visible()
    assert written.shows_whole(turn, ANSWER)


@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_jumps_while_thoughts_a_table_code_and_a_source_come(written: Chat, writer: Writer, width: int) -> None:
    written.page.set_viewport_size({"width": width, "height": 800})
    made = written.add_context("Harbour", {"harbour.md": "Anna has 1200 tons. " * 200}, citations=True)
    written.open(f"/?context={made}")
    expect(written.page.locator("#sidebar")).to_be_visible(visible=width > 1000)
    assert shifts_of_an_answer(written, writer) < 0.02


def test_code_is_copied_as_it_was_written_and_wraps_when_asked(written: Chat, writer: Writer) -> None:
    written.page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn = written.ask("What?")
    writer.say(f"```python\n{CODE}  # {'long ' * 60}\n```")
    writer.end()
    written.expect_state(turn, "done")
    expect(turn.locator("figcaption span")).to_have_text("python")
    pre = turn.locator("pre")
    assert pre.evaluate("node => node.scrollWidth > node.clientWidth")
    turn.get_by_role("button", name="Wrap").click()
    assert pre.evaluate("node => node.scrollWidth <= node.clientWidth")
    turn.get_by_role("button", name="Copy", exact=True).click()
    expect(written.page.locator("#spoken")).to_have_text("Copied.")
    assert written.page.evaluate("navigator.clipboard.readText()") == f"{CODE}  # {'long ' * 60}"


@pytest.fixture
def cited(written: Chat, writer: Writer) -> Locator:
    """A whole answer with code and a citation in it."""
    made = written.add_context("Harbour", {"harbour.md": "Anna has 1200 tons. " * 200}, citations=True)
    turn = written.open(f"/?context={made}").ask("Which ship is the heaviest?")
    writer.think("First the ships.")
    writer.finish()
    writer.say(ANSWER + "\n\n")
    writer.say("Anna is the heaviest.", (SOURCE,))
    writer.say(" So it *is*.")
    writer.end()
    written.expect_state(turn, "done")
    expect(turn.locator(".cite")).to_have_text("1")
    return turn


@pytest.mark.parametrize("width", [1280, 390])
def test_an_answer_is_copied_as_the_model_wrote_it(written: Chat, cited: Locator, width: int) -> None:
    page = written.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.set_viewport_size({"width": width, "height": 800})
    stored = written.stored()["turns"][0]["answer"]
    assert stored == ANSWER + "\n\nAnna is the heaviest. So it *is*."
    button = cited.get_by_role("button", name="Copy the answer")
    presses: list[Callable[[], None]] = [button.click, lambda: page.keyboard.press("Alt+c")]
    for press in presses:
        for _ in ("as it came", "as it is kept"):
            press()
            expect(button).to_have_attribute("data-reader-copied", "")
            expect(page.locator("#spoken")).to_have_text("Copied.")
            assert page.evaluate("navigator.clipboard.readText()") == stored
            page.evaluate("navigator.clipboard.writeText('')")
            page.reload()
            expect(button).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_without_a_clipboard_it_is_copied_as_a_selection_is(written: Chat, cited: Locator) -> None:
    page = written.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.evaluate("window.board = navigator.clipboard; Object.defineProperty(navigator, 'clipboard', {})")
    written.input.focus()
    page.keyboard.press("Alt+c")
    expect(page.locator("#spoken")).to_have_text("Copied.")
    expect(written.input).to_be_focused()
    assert page.evaluate("board.readText()") == written.stored()["turns"][0]["answer"]
    cited.locator("figure.code").get_by_role("button", name="Copy").click()
    expect(cited.locator("figure.code .copy")).to_have_attribute("data-reader-copied", "")
    assert page.evaluate("board.readText()") == CODE


@pytest.mark.parametrize("width", [1280, 390])
def test_words_that_are_selected_in_an_answer_or_its_source_can_be_asked_about(
    written: Chat, cited: Locator, width: int
) -> None:
    page = written.page
    page.set_viewport_size({"width": width, "height": 800})
    button = page.get_by_role("button", name="Ask about this")
    said = cited.get_by_text("Anna is the heaviest")
    cited.locator(".question").click(click_count=3)
    written.input.fill("Before.")
    said.click(click_count=3, position={"x": 5, "y": 5})
    expect(button).to_be_in_viewport(ratio=1)
    button.click()
    expect(written.input).to_be_focused()
    expect(button).to_be_hidden()
    # Neither the number of the citation nor what stands above code is among the words.
    quoted = "> Anna is the heaviest. So it is."
    expect(written.input).to_have_value(f"Before.\n\n{quoted}\n\n")
    written.input.fill("")
    cited.locator("figure.code").evaluate("node => getSelection().selectAllChildren(node)")
    expect(button).to_be_visible()
    page.keyboard.press("Alt+q")
    code = "\n".join(f"> {line}" for line in CODE.split("\n"))
    expect(written.input).to_have_value(f"{code}\n\n")

    written.input.fill("")
    cited.locator(".cite").click()
    source = page.get_by_role("complementary", name="Source")
    source.locator("mark").click(click_count=3)
    button.click()
    expect(written.input).to_have_value(re.compile(r"^> .*Anna has 1200 tons"))
    expect(written.input).to_be_in_viewport()
    page.keyboard.press("Escape")
    said.click(click_count=3, position={"x": 5, "y": 5})
    expect(button).to_be_visible()
    # What stands below an answer is none of its words.
    cited.evaluate("turn => getSelection().extend(turn.querySelector('.stats').lastChild, 1)")
    expect(button).to_be_hidden()


def test_what_came_of_an_answer_that_was_stopped_can_be_copied(written: Chat, writer: Writer) -> None:
    page = written.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn = written.ask("What?")
    button = turn.get_by_role("button", name="Copy the answer")
    writer.begin({"type": "text", "text": ""})
    writer.write("It is **this**, and")
    expect(turn.locator("strong")).to_have_text("this")
    expect(button).to_have_count(0)
    written.stop.click()
    written.expect_state(turn, "stopped")
    writer.end()
    button.click()
    expect(page.locator("#spoken")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == written.stored()["turns"][0]["answer"]
    assert page.evaluate("navigator.clipboard.readText()") == "It is **this**, and"


def test_a_thought_is_one_line_with_its_time_and_opens(written: Chat, writer: Writer) -> None:
    turn = written.ask("What?")
    writer.think("First this, then <b>that</b>.")
    thinking = turn.locator(".thinking")
    expect(thinking.locator("summary")).to_contain_text("Thinking…")
    expect(thinking.get_by_text("First this")).to_be_hidden()
    writer.finish()
    writer.say("Done.")
    writer.end()
    written.expect_state(turn, "done")
    for _ in range(2):
        expect(thinking.locator("summary")).to_contain_text("Thought ")
        expect(thinking.get_by_text("First this")).to_be_hidden()
        thinking.locator("summary").click()
        expect(thinking.get_by_text("First this, then <b>that</b>.")).to_be_visible()
        written.page.reload()


def test_a_table_is_copied_for_where_others_are_made(written: Chat, writer: Writer) -> None:
    page = written.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    turn = written.ask("Which ships are there?")
    cited = {"type": "page_location", "cited_text": "x", "document_index": 0, "document_title": "a.pdf"}
    writer.say(
        "| Ship | *Tons* |\n|:--|--:|\n| `Anna` and `Bela` | 1200 |\n| | 7", ({**cited, "start_page_number": 1},)
    )
    writer.say(" |\n\nThat is all.")
    writer.end()
    written.expect_state(turn, "done")
    expect(turn.locator("table .cite")).to_have_count(1)
    turn.locator("table").hover()
    turn.locator("figure").get_by_role("button", name="Copy").click()
    expect(page.locator("#spoken")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == "Ship\tTons\nAnna and Bela\t1200\n\t7"


def test_an_answer_is_called_good_or_bad_and_that_is_taken_back_or_said_to_be_lost(
    written: Chat, writer: Writer, complaints: Complaints
) -> None:
    page = written.page
    turn = written.ask("Who keeps the light?")
    expect(turn.get_by_role("button", name="A good answer")).to_have_count(0)
    writer.say("The keeper.")
    writer.end()
    written.expect_state(turn, "done")
    good, bad = (turn.get_by_role("button", name=f"A {word} answer") for word in ("good", "bad"))
    pressed = {True: "true", False: "false"}

    def says(*, is_good: bool, is_bad: bool) -> None:
        expect(good).to_have_attribute("aria-pressed", pressed[is_good])
        expect(bad).to_have_attribute("aria-pressed", pressed[is_bad])

    says(is_good=False, is_bad=False)
    good.click()
    says(is_good=True, is_bad=False)
    bad.focus()
    with page.expect_response("**/rating"):
        page.keyboard.press("Enter")
    says(is_good=False, is_bad=True)
    page.reload()
    says(is_good=False, is_bad=True)
    with page.expect_response("**/rating"):
        bad.click()
    page.reload()
    says(is_good=False, is_bad=False)
    complaints.expects("ERR_FAILED")
    page.route("**/rating", lambda route: route.abort())
    good.click()
    expect(written.notice).to_be_visible()
    says(is_good=False, is_bad=False)


def test_no_payload_does_anything_wherever_it_comes_from(written: Chat, writer: Writer) -> None:
    page = written.page
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    hostile = [payload.replace("\n", " ") for payload in PAYLOADS]
    texts = {f"{payload} {n}.md": f"{payload}\n" * 9 for n, payload in enumerate(hostile)}
    context = written.add_context("".join(hostile)[:180], texts, instructions="\n".join(PAYLOADS))
    written.open(f"/?context={context}")
    page.locator(".about:visible summary").click()
    expect(page.locator(".titles:visible li")).to_have_count(len(PAYLOADS))
    page.keyboard.press("Escape")
    turn = written.ask("\n".join(PAYLOADS))
    writer.think("\n".join(PAYLOADS))
    writer.finish()
    for payload in PAYLOADS:
        cited = {"type": "page_location", "cited_text": payload, "document_index": 0, "document_title": payload}
        writer.say(f"{payload}\n\n", ({**cited, "start_page_number": 1, "end_page_number": payload},))
    writer.end()
    written.expect_state(turn, "done")
    expect(turn.locator(".question")).to_contain_text(PAYLOADS[0])
    writer.recorder.script.extend([refuse(400, "invalid_request_error", PAYLOADS[1])] * 2)
    failed = written.ask(PAYLOADS[2])
    written.expect_state(failed, "failed")
    page.reload()
    expect(written.turns).to_have_count(2)
    expect(turn.locator(".prose")).to_contain_text(PAYLOADS[0])
    for element in page.locator("#log .prose :is(a, button)").all():
        element.dispatch_event("mouseover")
    for mark in page.locator("#log .cite").all():
        mark.dispatch_event("click")
        expect(page.locator("#source h2")).to_have_text(str(mark.get_attribute("title")))
    assert page.locator("#source").evaluate("node => node.querySelectorAll('*').length") == 6
    assert (
        page.locator(
            "#log :is(script, img, svg:not(.does svg), iframe, object, style, form, input, link, base, meta)"
        ).count()
        == 0
    )
    assert page.locator("#log :is([style], [onclick], [onerror], [onmouseover])").count() == 0
    links = page.locator("#log a").evaluate_all("all => all.map(a => [a.protocol, a.rel, a.target])")
    assert {tuple(link) for link in links} <= {("https:", "noopener noreferrer nofollow", "_blank")}
    assert page.evaluate("window.hacked") is None
    assert all(url.startswith(written.url) for url in asked)


def test_a_conversation_that_is_passed_on_as_a_page_runs_and_fetches_nothing(
    written: Chat, writer: Writer, tmp_path: Path
) -> None:
    page = written.page
    context = written.add_context(PAYLOADS[0], {"a.md": "Alpha. " * 200})
    written.open(f"/?context={context}")
    turn = written.ask("\n".join(PAYLOADS))
    for payload in PAYLOADS:
        cited = {"type": "page_location", "cited_text": payload, "document_index": 0, "document_title": payload}
        writer.say(f"{payload}\n\n", ({**cited, "start_page_number": 1, "end_page_number": 2},))
    writer.say("```python\ndef tons(ship): return 12\n```\n")
    writer.end()
    written.expect_state(turn, "done")
    answer = page.request.get(f"{written.url}/api/sessions/{written.session}/export?format=html")
    file = tmp_path / "passed on.html"
    file.write_bytes(answer.body())
    # What the conversation's own page still fetches is none of this one's.
    page.goto("about:blank")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    expect(page.locator("h2")).to_contain_text(PAYLOADS[0])
    assert page.locator("script, img, svg, iframe, object, form, input, button, link, base, math, video").count() == 0
    assert page.locator("[style], [onclick], [onerror], [onload], [onmouseover]").count() == 0
    assert page.locator("body *").evaluate_all("all => all.filter(one => one.matches('style, meta'))") == []
    links = page.locator("a").evaluate_all("all => all.map(one => one.protocol)")
    assert set(links) <= {"https:", "file:"}
    for mark in page.locator("a.cite").all():
        expect(page.locator(str(mark.get_attribute("href")))).to_have_count(1)
    page.locator("a.cite").last.click()
    expect(page.locator(":target")).to_be_in_viewport()
    colours = [page.locator(part).first.evaluate("one => getComputedStyle(one).color") for part in (".k", ".prose")]
    assert colours[0] != colours[1]
    assert page.evaluate("window.hacked") is None
    assert {url.partition("#")[0] for url in asked} == {file.as_uri()}
    assert serious(page) == []


NOT_OURS = """() => [...document.body.querySelectorAll('*')].filter(node =>
    node.matches('script, iframe, object, embed, style, link, base, meta, math, video, noscript, [href^="javascript:" i]')
    || node.matches('img, svg') && !node.closest('.brand, .does')
    || [...node.attributes].some(({ name }) => name.startsWith('on'))).map(node => node.outerHTML.slice(0, 120))"""


def packed(texts: list[str], most: int) -> list[str]:
    """All of `texts`, as many as there is room for in one of `most` characters."""
    together = [""]
    for text in texts:
        if len(together[-1]) + len(text) < most:
            together[-1] += f" {text}" if together[-1] else text
        else:
            together.append(text)
    return together


HOSTILE = [" ".join(payload.split()) for payload in PAYLOADS]
# As long as a name or a title may be.
TITLES = packed(HOSTILE, 200)


def harmless(page: Page) -> None:
    assert page.evaluate(NOT_OURS) == []
    assert page.evaluate("window.hacked") is None


def test_no_title_of_a_conversation_does_anything_in_the_list_a_field_or_a_question(
    written: Chat, writer: Writer
) -> None:
    page = written.page
    request = page.request
    context = written.add_context("Harbour", {"harbour.md": "Anna has 1200 tons. " * 200})
    for title in TITLES:
        session = request.post(f"{written.url}/api/sessions", data={"context": context}).json()["session"]
        writer.say(title)
        writer.end()
        address = f"{written.url}/api/sessions/{session}"
        assert request.post(f"{address}/ask", data={"question": f"lighthouse {title}"}).ok
        assert request.patch(address, data={"title": title}).ok
    written.open(f"/?session={session}")
    rows = page.locator("#conversations li")
    expect(rows.locator(".title")).to_have_text(TITLES[::-1])
    harmless(page)
    for n, title in enumerate(TITLES[::-1]):
        choose(rows.nth(n), "Rename")
        field = page.get_by_label("Title", exact=True)
        expect(field).to_have_value(title)
        harmless(page)
        field.press("Escape")
        # The list has come again by then.
        expect(rows.nth(n).locator("a")).to_be_focused()
        choose(rows.nth(n), "Delete…")
        asking = page.get_by_role("dialog", name="Delete this conversation?")
        expect(asking).to_contain_text(title)
        harmless(page)
        asking.get_by_role("button", name="Keep it").click()
    search = page.get_by_label("Search conversations")
    for title in (*TITLES, "lighthouse"):
        with page.expect_response("**/api/sessions?*"):
            search.fill(title)
        expect(rows.first).to_be_visible()
        harmless(page)
    expect(rows.locator(".title")).to_have_text(TITLES[::-1])
    harmless(page)


def choose(row: Locator, what: str) -> None:
    row.get_by_role("button").click()
    row.page.locator("#conversation-menu").get_by_role("button", name=what).click()


def test_no_name_of_a_context_does_anything_in_the_picker_its_sheet_or_a_question(written: Chat) -> None:
    page = written.page
    made = [written.add_context(name, {f"{n}.md": name}) for n, name in enumerate(TITLES)]
    written.open(f"/?context={made[0]}")
    asking = page.get_by_role("dialog", name="Delete this context?")
    for context, name in zip(made, TITLES, strict=True):
        page.locator("#context").select_option(context)
        expect(page.locator("#hello h2:visible")).to_have_text(f"Ask about {name}")
        page.locator(".about:visible summary").click()
        expect(page.locator(".sheet:visible")).to_have_attribute("aria-label", f"About {name}")
        page.get_by_role("button", name="Delete…").click()
        expect(asking).to_contain_text(name)
        harmless(page)
        asking.get_by_role("button", name="Keep it").click()
    expect(page.locator("#context option")).to_have_text(["asyncio", *sorted(TITLES)])


def test_no_name_of_a_file_does_anything_in_the_dialog_that_adds_it(written: Chat) -> None:
    page = written.page
    expect(written.chip).to_have_attribute("data-state", "cold")
    for names, content in ((HOSTILE, "text"), ([f"{name} empty" for name in HOSTILE], "")):
        page.evaluate(
            """([names, content]) => {
                const clipboardData = new DataTransfer();
                for (const name of names) clipboardData.items.add(new File([content], name));
                dispatchEvent(new ClipboardEvent('paste', { cancelable: true, clipboardData }));
            }""",
            [names, content],
        )
        expect(page.locator("#adding form")).to_have_attribute("aria-busy", "false")
    # What has a slash in its name lies in a folder.
    alone = [name for name in HOSTILE if "/" not in name]
    dialog = page.get_by_role("dialog", name="Ask about something of yours")
    dialog.locator(".left-out summary").click()
    for name in alone:
        expect(dialog.locator(".chosen").get_by_text(name, exact=True)).to_be_visible()
        expect(dialog.locator(".left-out").get_by_text(f"{name} empty", exact=True)).to_be_visible()
    expect(dialog.get_by_label("Name", exact=True)).to_have_attribute("placeholder", re.compile("^<img src=x"))
    harmless(page)


def test_ten_thousand_blocks_are_all_there_and_only_those_in_sight_are_laid_out(written: Chat, writer: Writer) -> None:
    turn = written.ask("What?")
    writer.say(ANSWER)
    writer.end()
    written.expect_state(turn, "done")
    session = written.stored()
    (one,) = session["turns"]
    html = (blocks_of([{"type": "text", "text": ANSWER}]) * 4)[:20]
    session["turns"] = [{**one, "turn": f"t_{n}", "number": n, "html": html} for n in range(500)]
    written.page.route("**/api/sessions/*?render=html", lambda route: route.fulfill(json=session))
    written.page.reload()
    expect(written.turns).to_have_count(500)
    expect(written.turns.last.locator(".stats")).to_be_in_viewport()
    assert written.page.locator(".prose > *").count() == 10_000
    laid_out = "all => all.filter(node => node.checkVisibility({ contentVisibilityAuto: true })).length"
    assert 0 < written.turns.locator(".prose").evaluate_all(laid_out) < 20
    # Among so much, looking for a label takes many seconds, and so does the outline of the page that `expect` makes whenever
    # it has to look again.
    question = written.page.locator("#question")
    question.fill("And now?")
    question.press("Enter")
    writer.say("It goes on.")
    writer.end()
    second = written.page.locator('#log > article:nth-child(501)[data-state="done"]')
    second.wait_for()
    expect(second.locator(".prose")).to_have_text("It goes on.")
    expect(second.locator(".stats")).to_be_in_viewport()


def test_a_string_that_is_no_ones_html_is_refused_by_the_browser(written: Chat, complaints: Complaints) -> None:
    complaints.expects("TrustedHTML", "policy: require-trusted-types-for")
    refused = written.page.evaluate(
        "() => { try { document.body.innerHTML = '<b>x</b>' } catch (e) { return e.name } }"
    )
    assert refused == "TypeError"
