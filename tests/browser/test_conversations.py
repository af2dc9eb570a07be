"""Many conversations and many branches: found, forked, asked at once, compared, and done by keyboard alone."""

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from playwright.sync_api import BrowserContext, Locator, Page, Response, Route, expect
from redis import Redis

from app.processes import EmbeddedRedis
from tests.balancer import Balancer
from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.serving import Gate
from tests.running import until


def sidebar(page: Page) -> Locator:
    return page.get_by_role("complementary", name="Conversations")


def rows(page: Page) -> Locator:
    return sidebar(page).locator("#conversations li")


def link_to(page: Page, session: str) -> Locator:
    """The conversation in the list, wherever it stands: what was answered last comes first only once the list is read."""
    return rows(page).locator(f"a[href$='{session}']")


def answered(chat: Chat, question: str) -> Locator:
    turn = chat.ask(question)
    chat.expect_state(turn, "done")
    return turn


def asked(turn: Locator) -> Locator:
    return turn.locator(".question")


def title_of(page: Page, old: str) -> Locator:
    page.get_by_role("button", name=f"Options: {old}").click()
    page.get_by_role("button", name="Rename", exact=True).click()
    return page.get_by_label("Title")


def rename(page: Page, old: str, new: str) -> None:
    title_of(page, old).fill(new)
    page.get_by_label("Title").press("Enter")


def test_conversations_are_listed_opened_found_renamed_and_deleted(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    page.get_by_role("button", name="New conversation").click()
    answered(chat, "How does a TaskGroup end?")
    expect(rows(page)).to_have_count(2)
    expect(rows(page).first).to_contain_text("How does a TaskGroup end?")
    expect(rows(page).first.locator("a")).to_have_attribute("aria-current", "page")
    rows(page).nth(1).locator("a").click()
    expect(asked(chat.turns.first)).to_contain_text("What is a Future?")
    expect(rows(page).nth(1).locator("a")).to_have_attribute("aria-current", "page")

    search = page.get_by_label("Search conversations")
    search.fill("taskGROUP end")
    expect(rows(page)).to_have_count(1)
    expect(rows(page).locator(".title mark")).to_have_text("TaskGroup end")
    # What was found in an answer is in sight in its row, and marked.
    said = re.sub(r"\s+", " ", chat.stored()["turns"][0]["answer"]).split(" ")
    search.fill(" ".join(said[20:22]).upper())
    hit = rows(page).locator("a", has_text="What is a Future?").locator("mark").first
    expect(rows(page).first.locator(".about-it").last).to_contain_text("asyncio")
    expect(hit).to_have_text(" ".join(said[20:22]))
    assert hit.evaluate("node => node.getBoundingClientRect().right < node.parentNode.getBoundingClientRect().right")
    search.fill("")
    expect(rows(page)).to_have_count(2)
    expect(rows(page).locator("mark")).to_have_count(0)

    rename(page, "What is a Future?", "Of futures")
    expect(rows(page).nth(1)).to_contain_text("Of futures")

    page.get_by_role("button", name="Options: Of futures").click()
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("Of futures")
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(rows(page)).to_have_count(1)
    expect(chat.turns).to_have_count(0)


def test_the_window_is_named_after_its_conversation(gated: Chat, gate: Gate) -> None:
    page, question = (
        gated.page,
        "Which ship is <b>ship 41</b>, and which came after it, and who had counted them in the end?",
    )
    expect(page).to_have_title("Headstart")
    gate.hold_answers(after_deltas=1)
    turn = gated.ask(question)
    expect(page).to_have_title(f"{question[:80]} · Headstart")
    gate.open_all()
    gated.expect_state(turn, "done")
    short = f"{question[:80].rsplit(' ', 1)[0]}…"
    expect(page).to_have_title(f"{short} · Headstart")
    page.get_by_role("button", name="New conversation").click()
    expect(page).to_have_title("Headstart")
    gate.hold_answers(after_deltas=1)
    turn = gated.ask("Which ship is ship 42?")
    expect(rows(page).first).to_contain_text("ship 42")
    # Who is at it goes on with it when the answer ends, which the list is loaded for.
    title = title_of(page, short)
    # The next row does not cover the field's ring.
    ring = title.evaluate(
        "node => { const { outlineOffset, outlineWidth } = getComputedStyle(node);"
        "return parseFloat(outlineOffset) + parseFloat(outlineWidth); }"
    )
    assert ring <= 0
    title.fill("Not this")
    title.press("End")
    gate.open_all()
    gated.expect_state(turn, "done")
    page.wait_for_load_state("networkidle")
    expect(page).to_have_title("Which ship is ship 42? · Headstart")
    expect(title).to_be_focused()
    title.press_sequentially(" one")
    title.press("Enter")
    expect(rows(page).nth(1)).to_contain_text("Not this one")
    expect(rows(page).nth(1).locator("a")).to_be_focused()
    expect(page).to_have_title("Which ship is ship 42? · Headstart")
    # So does who has opened the menu of a row that is drawn anew.
    gate.hold_answers(after_deltas=1)
    gated.ask("And ship 43?")
    page.get_by_role("button", name="Options: Which ship is ship 42?").click()
    with page.expect_response(lambda answer: "/api/sessions?" in answer.url) as listed:
        gate.open_all()
    listed.value.finished()
    page.get_by_role("button", name="Rename", exact=True).click()
    page.get_by_label("Title").fill("Of   <b>ships</b>")
    page.get_by_label("Title").press("Enter")
    expect(page).to_have_title("Of <b>ships</b> · Headstart")
    gated.turns.first.get_by_role("button", name="Ask again, word for word").click()
    expect(gated.turns.first.locator(".asked")).to_contain_text("2/2")
    expect(page).to_have_title("Of <b>ships</b> · Headstart")
    page.reload()
    expect(page).to_have_title("Of <b>ships</b> · Headstart")
    rows(page).filter(has_text="Not this one").locator("a").click()
    expect(page).to_have_title("Not this one · Headstart")


def test_the_list_says_what_is_being_answered_and_what_was_while_its_reader_was_elsewhere(
    gated: Chat, gate: Gate
) -> None:
    page = gated.page
    gate.hold_answers(after_deltas=1)
    gated.ask("Which ship is ship 41?")
    page.get_by_role("button", name="New conversation").click()
    link = rows(page).first.get_by_role("link")
    expect(link).to_have_accessible_name(re.compile(r"ship 41\? Being answered"))
    gate.open_all()
    expect(link).to_have_accessible_name(re.compile(r"ship 41\? New answer"))
    expect(link.locator(".title")).to_have_css("font-weight", "600")
    page.reload()
    expect(link).to_have_accessible_name(re.compile("New answer"))
    link.click()
    expect(link).to_have_attribute("aria-current", "page")
    expect(link).not_to_have_accessible_name(re.compile("New answer"))
    page.get_by_role("button", name="New conversation").click()
    expect(link).not_to_have_attribute("aria-current", "page")
    expect(link).not_to_have_accessible_name(re.compile("New answer"))


def test_the_list_is_grouped_by_the_readers_own_days(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    browser = page.context.new_cdp_session(page)
    browser.send("Emulation.setTimezoneOverride", {"timezoneId": "Pacific/Kiritimati"})
    browser.send("Emulation.setLocaleOverride", {"locale": "de-DE"})
    midnight = datetime.now(ZoneInfo("Pacific/Kiritimati")).replace(hour=0, minute=0, second=0, microsecond=0)
    second = timedelta(seconds=1)
    week = midnight - timedelta(days=7)
    asked_at = [midnight, midnight - second, week, week - second]
    told = page.request.get(f"{chat.url}/api/sessions").json()["sessions"][0]
    sessions = [
        told | {"session": f"s_{number}", "conversation": str(number), "asked_at": at.isoformat()}
        for number, at in enumerate(asked_at)
    ]
    page.route("**/api/sessions?*", lambda route: route.fulfill(json={"sessions": sessions, "next": None}))
    page.reload()
    said = ["00:00", "23:59", f"{week:%a} 00:00", f"{week - second:%b} {(week - second).day}, {week.year}"]
    for age, when in zip(("Today", "Yesterday", "Previous 7 days", "Earlier"), said, strict=True):
        row = sidebar(page).get_by_role("list", name=age).get_by_role("listitem")
        expect(row.locator(".about-it")).to_have_text(re.compile(rf"^{when}.? · asyncio$"))
    expect(sidebar(page).get_by_role("heading")).to_have_count(4)
    chat.turns.locator(".times summary").click()
    expect(chat.turns.locator(".by time")).to_have_text(re.compile(r"\d, \d\d:\d\d$"))


def test_a_question_asked_differently_is_a_branch_and_both_stay_reachable(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    answered(chat, "And a Task?")
    first = chat.session
    turn = chat.turns.nth(1)
    turn.get_by_role("button", name="Edit this question and ask again").click()
    editor = page.get_by_label("Ask this instead")
    expect(editor).to_have_value("And a Task?")
    editor.fill("And a Lock?")
    editor.press("Enter")
    expect(asked(chat.turns.nth(1))).to_contain_text("And a Lock?")
    chat.expect_state(chat.turns.nth(1), "done")
    assert chat.session != first
    assert chat.stored()["turns"][1]["verdict"]["cache"] == "hit"
    expect(chat.turns.nth(1).locator(".asked")).to_contain_text("2/2")
    chat.turns.nth(1).get_by_role("button", name="The question before").click()
    expect(asked(chat.turns.nth(1))).to_contain_text("And a Task?")
    assert chat.session == first
    page.go_back()
    expect(asked(chat.turns.nth(1))).to_contain_text("And a Lock?")
    expect(rows(page).first).to_contain_text("2 branches")


def test_who_reads_a_branch_has_it_in_the_list_and_is_told_of_all_of_them(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    answered(chat, "And a Task?")
    read = chat.session
    chat.turns.nth(1).get_by_role("button", name="Edit this question and ask again").click()
    page.get_by_label("Ask this instead").fill("And a Lock?")
    page.get_by_role("button", name="Ask this instead").click()
    expect(asked(chat.turns.nth(1))).to_contain_text("And a Lock?")
    chat.expect_state(chat.turns.nth(1), "done")
    expect(rows(page).first).to_contain_text("2 branches")
    assert chat.session != read
    chat.turns.nth(1).get_by_role("button", name="The question before").click()
    expect(asked(chat.turns.nth(1))).to_contain_text("And a Task?")
    row = rows(page).first
    expect(row.locator("a")).to_have_attribute("href", f"/?session={read}")
    expect(row.locator("a")).to_have_attribute("aria-current", "page")
    row.get_by_role("button", name="Options").click()
    with page.expect_download() as download:
        page.get_by_role("link", name="Export as JSON").click()
    told = json.loads(download.value.path().read_text())
    assert [turn["question"] for turn in told["turns"]] == ["What is a Future?", "And a Task?"]
    row.locator("a").click()
    expect(asked(chat.turns.nth(1))).to_contain_text("And a Task?")
    assert chat.session == read
    # What is searched for has one branch alone, and what is deleted both.
    page.get_by_label("Search conversations").fill("And a Lock?")
    expect(row.locator("a")).not_to_have_attribute("href", f"/?session={read}")
    expect(row).to_contain_text("2 branches")
    row.get_by_role("button", name="Options").click()
    page.get_by_role("button", name="Delete…").click()
    expect(page.get_by_role("dialog")).to_contain_text("with its 2 branches")
    page.get_by_role("button", name="Keep it").click()


def test_a_question_asked_again_is_a_branch_whose_answer_is_read_from_the_cache(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    answered(chat, "And a Task?")
    first = chat.session
    asks: list[str] = []
    page.on("request", lambda request: asks.append(str(request.post_data)) if "/ask" in request.url else None)
    turn = chat.turns.nth(1)
    turn.get_by_role("button", name="Ask again, word for word").dblclick()
    expect(turn.locator(".asked")).to_contain_text("2/2")
    chat.expect_state(turn, "done")
    assert len(asks) == 1
    assert chat.session != first
    again = chat.stored()["turns"][1]
    assert (again["question"], again["verdict"]["cache"]) == ("And a Task?", "hit")
    assert again["branches"] == [first, chat.session]
    turn.get_by_role("button", name="The question before").click()
    expect(turn.locator(".asked")).to_contain_text("1/2")
    assert chat.session == first
    page.keyboard.press("Alt+a")
    expect(turn.locator(".asked")).to_contain_text("3/3")
    chat.expect_state(turn, "done")
    assert [turn["question"] for turn in chat.stored()["turns"]] == ["What is a Future?", "And a Task?"]
    chat.turns.first.get_by_role("button", name="Ask again, word for word").click()
    expect(chat.turns.first.locator(".asked")).to_contain_text("2/2")
    expect(chat.turns).to_have_count(1)


def pin(page: Page, title: str, does: str = "Pin") -> None:
    page.get_by_role("button", name=f"Options: {title}").click()
    page.get_by_role("button", name=does, exact=True).click()


def test_a_pinned_conversation_stands_at_the_head_until_it_is_unpinned(chat: Chat, complaints: Complaints) -> None:
    page = chat.page
    for question in ("What is a Future?", "What is a Task?", "What is a Lock?"):
        page.get_by_role("button", name="New conversation").click()
        answered(chat, question)
    expect(rows(page).first).to_contain_text("What is a Lock?")
    pin(page, "What is a Future?")
    head = sidebar(page).get_by_role("list", name="Pinned")
    expect(head.get_by_role("listitem")).to_have_text(re.compile("What is a Future"))
    expect(head.get_by_role("link")).to_be_focused()
    expect(rows(page)).to_have_count(3)
    expect(sidebar(page).get_by_role("heading")).to_have_text(["Pinned", "Today"])
    # It leads there, and is still there when one comes back.
    head.get_by_role("link").click()
    expect(asked(chat.turns.first)).to_contain_text("What is a Future?")
    page.reload()
    expect(head.get_by_role("link")).to_have_attribute("aria-current", "page")
    expect(rows(page)).to_have_count(3)
    # What is asked there changes nothing of where it stands, and a search finds it where it was asked.
    answered(chat, "And what is it for?")
    expect(head.get_by_role("listitem")).to_have_count(1)
    page.get_by_label("Search conversations").fill("future")
    expect(head).to_have_count(0)
    expect(rows(page).locator("mark").first).to_be_visible()
    page.get_by_role("button", name="Options: What is a Future?").click()
    expect(page.get_by_role("button", name="Unpin", exact=True)).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#spoken")).to_have_text("Unpinned.")
    pin(page, "What is a Future?")
    expect(page.locator("#spoken")).to_have_text("Pinned.")
    expect(rows(page).first.locator("a")).to_be_focused()
    page.get_by_label("Search conversations").fill("")
    expect(head.get_by_role("listitem")).to_have_count(1)
    # One that cannot be pinned stays where it is, and says why.
    complaints.expects("409")
    reason = "20 conversations are pinned already; unpin one of them first."
    problem = {"code": "cannot_pin", "title": "Not pinned", "detail": reason, "status": 409, "retryable": False}
    refuse = json.dumps(problem)
    page.route(
        "**/api/sessions/s_*",
        lambda route: route.fulfill(status=409, body=refuse, content_type="application/problem+json"),
    )
    pin(page, "What is a Lock?")
    expect(page.locator("#conversations-said")).to_have_text(reason)
    page.unroute("**/api/sessions/s_*")
    pin(page, "What is a Future?", "Unpin")
    expect(head).to_have_count(0)
    expect(page.locator("#conversations-said")).to_have_text("")
    expect(rows(page)).to_have_count(3)


def test_who_has_gone_on_when_it_is_pinned_keeps_the_focus(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    held: list[Route] = []
    page.route("**/api/sessions/s_*", lambda route: held.append(route))
    with page.expect_request(lambda request: request.method == "PATCH"):
        pin(page, "What is a Future?")
    chat.input.click()
    page.keyboard.type("And n")
    held[0].continue_()
    expect(sidebar(page).get_by_role("list", name="Pinned")).to_be_visible()
    page.keyboard.type("ow?")
    expect(chat.input).to_have_value("And now?")
    page.unroute("**/api/sessions/s_*")


def test_escape_in_the_list_leaves_the_answer_alone(gated: Chat, gate: Gate) -> None:
    page = gated.page
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 41?")
    expect(turn).to_have_attribute("data-phase", "writing")
    search = page.get_by_label("Search conversations")
    search.fill("ship")
    search.press("Escape")
    search.press("Escape")
    rows(page).first.locator("a").focus()
    page.keyboard.press("Escape")
    gated.expect_state(turn, "running")
    gate.open_all()
    gated.expect_state(turn, "done")


def test_the_list_does_not_scroll_sideways(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        if not sidebar(page).is_visible():
            page.locator("#toggle-sidebar").click()
        scrolls, shows = sidebar(page).evaluate("node => [node.scrollWidth, node.clientWidth]")
        assert scrolls == shows


def test_the_list_takes_its_place_back_from_a_source(chat: Chat) -> None:
    page = chat.page
    turn = answered(chat, "What is a Future?")
    toggle = page.locator("#toggle-sidebar")
    opener = turn.locator(".opens").first
    for by in ("click", "Control+k"):
        opener.click()
        expect(page.locator("#source")).to_be_visible()
        expect(sidebar(page)).to_be_hidden()
        expect(toggle).to_have_attribute("aria-expanded", "false")
        if by == "click":
            toggle.click()
        else:
            page.keyboard.press(by)
        expect(page.locator("#source")).to_be_hidden()
        expect(sidebar(page)).to_be_visible()
        expect(toggle).to_have_attribute("aria-expanded", "true")
        expect(page.get_by_label("Search conversations")).to_be_focused()
    # Nothing of that is how the list was left.
    page.reload()
    expect(sidebar(page)).to_be_visible()


def test_a_question_that_cannot_be_asked_again_now_can_be_later(chat: Chat, complaints: Complaints) -> None:
    complaints.expects("503")
    turn = answered(chat, "What is a Future?")
    chat.page.route("**/fork", lambda route: route.fulfill(status=503))
    turn.get_by_role("button", name="Ask again, word for word").click()
    expect(chat.notice).to_contain_text("503")
    chat.page.unroute("**/fork")
    turn.get_by_role("button", name="Ask again, word for word").click()
    expect(turn.locator(".asked")).to_contain_text("2/2")


def test_who_switches_branches_stays_at_the_question(chat: Chat) -> None:
    page = chat.page
    for question in ("What is a Future?", "And a Task?", "And a Lock?", "And an Event?"):
        answered(chat, question)
    chat.turns.nth(1).get_by_role("button", name="Edit this question and ask again").click()
    page.get_by_label("Ask this instead").fill("And a Queue?")
    page.get_by_role("button", name="Ask this instead").click()
    expect(asked(chat.turns.nth(1))).to_contain_text("And a Queue?")
    chat.expect_state(chat.turns.nth(1), "done")
    expect(chat.turns.nth(1).locator(".asked")).to_contain_text("2/2")
    top = "node => node.getBoundingClientRect().top"
    before, after = "The question before that was asked here", "The next question that was asked here"
    for there, back, question, turns in ((before, after, "And a Task?", 4), (after, before, "And a Queue?", 2)):
        tool = chat.turns.nth(1).get_by_role("button", name=there)
        tool.evaluate("node => { node.scrollIntoView({ block: 'nearest' }); node.focus({ preventScroll: true }); }")
        stood = chat.turns.nth(1).evaluate(top)
        page.keyboard.press("Enter")
        expect(asked(chat.turns.nth(1))).to_contain_text(question)
        expect(chat.turns).to_have_count(turns)
        page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        assert abs(chat.turns.nth(1).evaluate(top) - stood) < 2
        expect(chat.turns.nth(1).get_by_role("button", name=back)).to_be_focused()
    # What was searched for opens where it was found, in the branch that has it.
    page.get_by_label("Search conversations").fill("And a task?")
    rows(page).locator("a", has=page.locator("mark")).click()
    chat.log.locator(".found").wait_for()
    expect(chat.turns).to_have_count(4)
    found = chat.turns.nth(1)
    expect(found).to_be_focused()
    expect(asked(found)).to_contain_text("And a Task?")
    assert 0 <= found.evaluate(top) <= 120
    expect(found).to_have_class("turn")
    assert 0 <= found.evaluate(top) <= 120


def test_who_is_at_a_way_to_another_branch_stays_there_when_the_answer_ends(gated: Chat, gate: Gate) -> None:
    turn = answered(gated, "Which ship is ship 41?")
    turn.get_by_role("button", name="Edit this question and ask again").click()
    gate.hold_answers(after_deltas=1)
    gated.page.get_by_label("Ask this instead").fill("Which ship is ship 42?")
    gated.page.get_by_role("button", name="Ask this instead").click()
    way = gated.turns.first.get_by_role("button", name="The question before that was asked here")
    way.focus()
    with gated.page.expect_response(lambda answer: answer.url.endswith(f"/api/sessions/{gated.session}")) as told:
        gate.open_all()
    told.value.finished()
    gated.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    expect(way).to_be_focused()
    gated.page.keyboard.press("Enter")
    expect(asked(gated.turns.first)).to_contain_text("ship 41")


def test_windows_of_one_conversation_show_what_the_others_asked_and_fork_where_the_reader_is(
    gated: Chat, gate: Gate, context: BrowserContext
) -> None:
    page = gated.page
    answered(gated, "Which ship is ship 1?")
    other = Chat(context.new_page(), gated.url).open(f"/?session={gated.session}")
    expect(other.turns).to_have_count(1)
    # One that is in sight follows while it is answered, and leaves its reader alone.
    gated.turns.first.get_by_role("button", name="Edit this question and ask again").click()
    editor = page.get_by_label("Ask this instead")
    editor.fill("Which ship is ship 100?")
    gated.input.fill("Which ship is ship 5?")
    editor.focus()
    stood = editor.evaluate("node => node.getBoundingClientRect().top")
    gate.hold_answers(after_deltas=3)
    running = other.ask("Which ship is ship 2?")
    expect(gated.turns.nth(1).locator(".prose")).not_to_be_empty()
    gated.expect_state(gated.turns.nth(1), "running")
    expect(editor).to_be_focused()
    expect(editor).to_have_value("Which ship is ship 100?")
    expect(gated.input).to_have_value("Which ship is ship 5?")
    assert abs(editor.evaluate("node => node.getBoundingClientRect().top") - stood) < 1
    gate.open_all()
    other.expect_state(running, "done")
    gated.expect_state(gated.turns.nth(1), "done")
    page.get_by_role("button", name="Cancel").click()
    # One that is out of sight catches up when it is looked at.
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    answered(other, "Which ship is ship 3?")
    expect(gated.turns).to_have_count(2)
    page.evaluate("delete document.hidden; document.dispatchEvent(new Event('visibilitychange'))")
    expect(gated.turns).to_have_count(3)
    # And one that could not know, as another browser asked, learns it from its own next turn.
    ask = page.request.post(f"{gated.url}/api/sessions/{gated.session}/ask", data={"question": "Which ship is ship 4?"})
    assert ask.ok
    gate.hold_answers(after_deltas=3)
    gated.input.press("Enter")
    turn = gated.turns.last
    expect(asked(turn)).to_contain_text("ship 5?")
    expect(turn.locator(".prose")).not_to_be_empty()
    gate.open_all()
    gated.expect_state(turn, "done")
    expect(asked(gated.turns)).to_contain_text([f"ship {number}?" for number in range(1, 6)])
    with page.expect_request("**/fork") as forked:
        turn.get_by_role("button", name="Ask again, word for word").click()
    assert forked.value.post_data_json == {"after_turn": 4}
    expect(turn.locator(".asked")).to_contain_text("2/2")
    gated.expect_state(turn, "done")


def test_what_is_meant_for_a_conversation_that_has_not_come_yet_goes_to_no_other(
    gated: Chat, complaints: Complaints
) -> None:
    complaints.expects("ERR_FAILED")
    page, new = gated.page, gated.page.get_by_role("button", name="New conversation")
    page.set_viewport_size({"width": 1280, "height": 800})
    answered(gated, "Which ship is ship 1?")
    first, fetched = gated.session, f"**/api/sessions/{gated.session}?*"
    new.click()
    answered(gated, "Which ship is ship 2?")
    second = gated.session
    begun: list[str] = []
    sessions = f"{gated.url}/api/sessions"
    page.on("request", lambda sent: begun.append(sent.url) if (sent.method, sent.url) == ("POST", sessions) else None)

    # It cannot be fetched: the other is not shown under its name, nor is a new one begun.
    page.route(fetched, lambda route: route.abort())
    link_to(page, first).click()
    expect(gated.notice).to_contain_text("cannot be reached")
    expect(gated.turns).to_have_count(0)
    gated.input.fill("Which ship is ship 3?")
    gated.expect_chip("away")
    page.unroute(fetched)
    gated.input.press("Enter")
    gated.expect_state(gated.turns.last, "done")
    expect(asked(gated.turns)).to_contain_text(["ship 1?", "ship 3?"])
    assert (gated.session, begun) == (first, [])

    # What is written while it is fetched is written for it.
    link_to(page, second).click()
    expect(gated.turns).to_have_count(1)
    held: list[Route] = []
    page.route(fetched, lambda route: held.append(route))
    link_to(page, first).click()
    gated.input.fill("And ship 4?")
    expect_noted(gated, held, 1)
    held.pop().continue_()
    expect(gated.turns).to_have_count(2)
    expect(gated.input).to_have_value("And ship 4?")
    link_to(page, second).click()
    expect(gated.turns).to_have_count(1)
    expect(gated.input).to_have_value("")

    # What was to be asked beside it is written there, and a branch that was left is not asked elsewhere.
    gated.input.fill("Which ship is ship 5?")
    page.get_by_role("button", name="Ask another, too").click()
    others = "**/api/sessions/*?*"
    page.route(others, lambda route: route.continue_() if second in route.request.url else held.append(route))
    with page.expect_request("**/fork"):
        gated.turns.first.get_by_role("button", name="Ask again, word for word").click()
    expect_noted(gated, held, 1)
    expect(gated.input).to_have_value("Which ship is ship 5?")
    new.click()
    held.pop().continue_()
    expect(gated.input).to_have_value("")
    page.unroute(others)
    answered(gated, "Which ship is ship 6?")
    third = gated.session
    assert [turn["question"] for turn in gated.stored()["turns"]] == ["Which ship is ship 6?"]

    # One that was left before it was known to be asked is no draft any more when it is.
    page.route("**/ask?*", lambda route: route.fetch())
    gated.input.fill("Which ship is ship 7?")
    with page.expect_request("**/ask?*"):
        gated.input.press("Enter")
    new.click()
    expect(gated.input).to_have_value("")
    page.goto(f"{gated.url}/?session={third}")
    gated.expect_state(gated.turns.nth(1), "done")
    expect(gated.input).to_have_value("")


def test_several_questions_are_asked_at_once_from_one_point(chat: Chat) -> None:
    page = chat.page
    answered(chat, "What is a Future?")
    chat.input.fill("How is it cancelled?")
    chat.expect_chip("warm")
    page.get_by_role("button", name="Ask another, too").click()
    chat.input.fill("How is it awaited?")
    page.get_by_role("button", name="Ask another, too").click()
    chat.input.fill("How is it made?")
    chat.input.press("Enter")
    lanes = page.locator(".lanes article")
    expect(lanes).to_have_count(3)
    for lane in lanes.all():
        chat.expect_state(lane, "done")
        expect(lane.locator(".cache")).to_contain_text("cache hit")
    tops = {lane.evaluate("node => Math.round(node.getBoundingClientRect().top)") for lane in lanes.all()}
    assert len(tops) == 1
    # They have the window's width, and what else there is stays in its column.
    columns = [lane.bounding_box() for lane in lanes.all()] + [
        chat.input.bounding_box(),
        page.locator(".bar").bounding_box(),
    ]
    *widths, dock, head = [box["width"] if box else 0 for box in columns]
    assert min(widths) > 290 and dock < 740 and head < 780
    expect(lanes.first.locator(".asked")).to_contain_text("/3")
    lanes.nth(2).get_by_role("link", name="Go on from here").click()
    expect(asked(chat.turns.nth(1))).to_contain_text("How is it awaited?")
    expect(chat.turns).to_have_count(2)
    assert len(chat.stored()["turns"][1]["branches"]) == 3


def test_the_same_question_without_headstart_stands_beside_it(chat: Chat) -> None:
    page = chat.page
    chat.input.click()
    chat.expect_chip("warm")
    chat.input.fill("What is a Future?")
    switch = page.get_by_role("button", name="Without Headstart, too")
    expect(switch).to_have_accessible_description(re.compile("at the cost of a cold question"))
    cost = page.get_by_text("of a copy that nobody has warmed, at the cost of a cold question")
    expect(cost).to_be_hidden()
    switch.click()
    expect(switch).to_have_attribute("aria-pressed", "true")
    expect(cost).to_be_visible()
    chat.input.press("Enter")
    lanes = page.locator(".lanes article")
    expect(lanes).to_have_count(2)
    for lane, cache in zip(lanes.all(), ("cache hit", "cache miss"), strict=True):
        chat.expect_state(lane, "done")
        expect(lane.locator(".cache")).to_contain_text(cache)
    expect(lanes.nth(1)).to_contain_text("Without Headstart")
    expect(switch).to_have_attribute("aria-pressed", "false")
    expect(rows(page)).to_have_count(1)


def test_a_later_question_without_headstart_is_asked_of_the_whole_conversation(chat: Chat) -> None:
    answered(chat, "What is a Future?")
    chat.input.fill("Who sets its result?")
    chat.page.get_by_role("button", name="Without Headstart, too").click()
    with chat.page.expect_request(lambda request: request.url.endswith("/fork")) as forked:
        chat.input.press("Enter")
    assert forked.value.post_data_json == {"after_turn": 1, "isolation": "session"}
    lanes = chat.page.locator(".lanes article")
    for lane, cache in zip(lanes.all(), ("cache hit", "cache miss"), strict=False):
        chat.expect_state(lane, "done")
        expect(lane.locator(".cache")).to_contain_text(cache)
    expect(lanes).to_have_count(2)
    assert chat.stored()["turns"][1]["branches"] == [chat.stored()["session"]]


def copies(chat: Chat) -> list[str]:
    """The ids of the copies that the page has made until now, as they come."""
    made: list[str] = []

    def note(answer: Response) -> None:
        if answer.url.endswith("/fork") and "isolation" in (answer.request.post_data or ""):
            made.append(answer.json()["session"])

    chat.page.on("response", note)
    return made


def is_there(chat: Chat, session: str) -> bool:
    return chat.page.request.get(f"{chat.url}/api/sessions/{session}").status == 200


def expect_noted(chat: Chat, noted: Sequence[object], count: int) -> None:
    """What a listener notes of the page has come to so many: it is told while something is asked of the page."""
    until(lambda: chat.page.title() and len(noted) == count, "what the page does")


def expect_erased(chat: Chat, made: list[str], count: int) -> None:
    """`count` copies were made, and none is left."""
    expect_noted(chat, made, count)
    until(lambda: not any(is_there(chat, copy) for copy in made), "erasing the copies")


def compared(chat: Chat, question: str) -> None:
    """Ask `question` without Headstart, too."""
    chat.input.fill(question)
    chat.page.get_by_role("button", name="Without Headstart, too").click()
    chat.input.press("Enter")


def test_while_the_question_without_headstart_is_answered_it_is_in_no_list_and_a_reload_ends_it(
    gated: Chat, gate: Gate
) -> None:
    page = gated.page
    made = copies(gated)
    answered(gated, "Which ship is ship 41?")
    gate.hold_answers(after_deltas=1)
    compared(gated, "Which ship is ship 42?")
    lanes = page.locator(".lanes article")
    for lane in lanes.all():
        expect(lane.locator(".prose")).not_to_be_empty()
    expect(lanes).to_have_count(2)
    with page.expect_response(lambda answer: urlsplit(answer.url).path == "/api/sessions"):
        page.get_by_label("Search conversations").fill("ship")
    expect(rows(page)).to_have_count(1)
    (copy,) = made
    assert is_there(gated, copy)
    page.reload()
    expect(gated.turns).to_have_count(2)
    expect_erased(gated, made, 1)
    gate.open_all()


def test_a_question_that_is_refused_leaves_no_copy(gated: Chat, complaints: Complaints) -> None:
    complaints.expects("429")
    page = gated.page
    made = copies(gated)
    answered(gated, "Which ship is ship 41?")
    refusal = {"status": 429, "code": "limit_reached", "title": "Too many questions.", "retryable": True}
    page.route("**/ask*", lambda route: route.fulfill(status=429, json=refusal), times=1)
    compared(gated, "Which ship is ship 42?")
    expect(gated.notice).to_contain_text("Too many questions.")
    expect_erased(gated, made, 1)
    expect(page.get_by_role("button", name="Without Headstart, too")).to_have_attribute("aria-pressed", "true")
    gated.input.press("Enter")
    lanes = page.locator(".lanes article")
    expect(lanes).to_have_count(2)
    for lane in lanes.all():
        gated.expect_state(lane, "done")
    expect_erased(gated, made, 2)


def test_of_lanes_that_cannot_all_be_made_and_of_those_that_nobody_waits_for_none_stays(
    gated: Chat, complaints: Complaints
) -> None:
    complaints.expects("429")
    page = gated.page
    made = copies(gated)
    answered(gated, "Which ship is ship 41?")
    refusal = {"status": 429, "code": "limit_reached", "title": "Too many conversations.", "retryable": True}

    def refuse_branches(route: Route) -> None:
        if "isolation" in (route.request.post_data or ""):
            return route.continue_()
        return route.fulfill(status=429, json=refusal)

    page.route("**/fork", refuse_branches)
    gated.input.fill("Which ship is ship 43?")
    page.get_by_role("button", name="Ask another, too").click()
    compared(gated, "Which ship is ship 42?")
    expect(gated.notice).to_contain_text("Too many conversations.")
    expect_erased(gated, made, 1)
    page.unroute("**/fork")

    held: list[Route] = []
    page.route("**/fork", lambda route: held.append(route))
    gated.input.press("Enter")
    expect_noted(gated, held, 2)
    page.get_by_role("button", name="New conversation").click()
    for route in held:
        route.continue_()
    expect_erased(gated, made, 2)


def test_what_is_asked_beside_can_be_stopped_on_a_phone_also_before_it_is_accepted(gated: Chat, gate: Gate) -> None:
    page = gated.page
    page.set_viewport_size({"width": 390, "height": 800})
    answered(gated, "Which ship is ship 41?")
    # Of each two, the one without Headstart comes to the server only when the other has been answered.
    held: list[Route] = []
    page.route("**/ask*", lambda route: held.append(route))
    page.route(f"**/api/sessions/{gated.session}/ask*", lambda route: route.continue_())
    for number in (42, 43):
        compared(gated, f"Which ship is ship {number}?")
        row = page.locator(".lanes").last
        gated.expect_state(row.locator("article").first, "done")
        lane = row.locator("article").nth(1)
        gated.expect_state(lane, "running")
        expect(gated.send).to_be_visible()
        expect(gated.stop).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        expect_noted(gated, held, 1)
        gate.hold_answers(after_deltas=1)
        if number == 42:
            gated.stop.click()
            expect(gated.stop).to_have_text("Stopping…")
            held.pop().continue_()
        else:
            held.pop().continue_()
            expect(lane.locator(".prose")).not_to_be_empty()
            gated.stop.click()
        gated.expect_state(lane, "stopped")
        expect(gated.stop).to_be_hidden()
        gate.open_all()


def test_what_is_asked_beside_comes_back_whole_when_its_events_are_not_kept_any_more(
    gated: Chat, gate: Gate, wire: Balancer, gated_url: str, gated_data: Path, complaints: Complaints
) -> None:
    complaints.expects("net::ERR", "404")
    page = gated.page
    made = copies(gated)
    answered(gated, "Which ship is ship 41?")
    gate.hold_answers(after_deltas=1)
    compared(gated, "Which ship is ship 42?")
    lane = page.locator(".lanes article").nth(1)
    expect(lane.locator(".prose")).not_to_be_empty()
    (copy,) = made
    wire.cut()
    gate.open_all()

    def ended() -> bool:
        turns = page.request.get(f"{gated_url}/api/sessions/{copy}").json()["turns"]
        return str(turns[-1]["state"]) == "done"

    until(ended, "the end")
    with Redis.from_url(EmbeddedRedis(gated_data / "headstart").url) as redis:
        assert redis.delete(*redis.scan_iter(f"hs:{{{copy}}}:journal:*")) == 1
    wire.mend()
    gated.expect_state(lane, "done")
    expect(lane.locator(".cache")).to_contain_text("cache miss")


def test_the_stats_open_on_where_the_time_went(gated: Chat) -> None:
    chat = gated
    chat.input.click()
    chat.expect_chip("warm")
    page = chat.page
    chat.input.fill("What is a Task?")
    page.get_by_role("button", name="Ask another, too").click()
    page.get_by_role("button", name="Without Headstart, too").click()
    chat.input.press_sequentially("What is a Future?")
    chat.input.press("Enter")
    for number in range(3):
        chat.expect_state(chat.turns.nth(number), "done")
    after = ["Waiting for the first text", "Answer"]
    expect_spans(chat.turns.nth(0), ["Typing", "Warming", *after])
    expect_spans(chat.turns.nth(1), ["Typing", "Warming", *after])
    # Nothing was warmed for this one.
    expect_spans(chat.turns.nth(2), ["Typing", *after])
    page.reload()
    expect_spans(chat.turns.first, ["Typing", "Warming", *after])
    chat.turns.first.get_by_role("button", name="The next question").click()
    expect(asked(chat.turns.first)).to_contain_text("What is a Task?")
    expect_spans(chat.turns.first, ["Typing", "Warming", *after])


def test_a_miss_says_why_and_opens_on_what_had_changed(chat: Chat) -> None:
    page, same = chat.page, "The keeper counts ships.\n" * 3_000
    for text in (f"{same}<b>One</b> ship.", f"{same}<b>Two</b> ships."):
        context = chat.add_context("Logbook", {"log.md": text})
        session = page.request.post(f"{chat.url}/api/sessions", data={"context": context}).json()["session"]
        assert page.request.post(f"{chat.url}/api/sessions/{session}/ask", data={"question": "How many?"}).ok
        chat.open(f"/?session={session}")
        expect(chat.turns).to_have_count(1)
    expect(chat.turns.locator(".stats")).to_contain_text("cache miss The context had changed First text")
    more = chat.turns.locator(".times .by")
    expect(more.first).to_be_hidden()
    chat.turns.locator(".times summary").click()
    expect(more).to_have_count(3)
    changed = "line 3001 “<b>One</b> ship.” became document “log.md”, line 3001 “<b>Two</b> ships.”"
    expect(more.first).to_have_text(re.compile(rf"^Byte [\d,]+, block 1: document “log.md”, {changed}$"))
    expect(more.nth(1)).to_contain_text(
        re.compile(r"^0 tokens read from the cache, [\d,]+ written to it, .* more than")
    )


def expect_spans(turn: Locator, spans: list[str]) -> None:
    by = turn.locator(".times .by").last
    expect(by).to_be_hidden()
    turn.locator(".times summary").click()
    expect(by).to_contain_text(re.compile(r"^claude-sonnet-5-5, asked \w+ \d+, 20\d\d"))
    assert (
        abs(datetime.now(UTC) - datetime.fromisoformat(by.locator("time").get_attribute("datetime") or "")).seconds
        < 300
    )
    figure = turn.locator("figure.timeline")
    expect(figure).to_be_visible()
    expect(figure.locator("dt").filter(has_not_text="had it been cold")).to_have_text(spans)
    expect(figure.locator("rect")).to_have_count(len(spans))


def test_everything_can_be_done_by_keyboard_alone(chat: Chat) -> None:
    page, keys = chat.page, chat.page.keyboard
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("body").press("/")
    expect(chat.input).to_be_focused()
    keys.type("What is a Future?")
    keys.press("Enter")
    chat.expect_state(chat.turns.first, "done")
    keys.press("Alt+c")
    expect(page.locator("#spoken")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == chat.stored()["turns"][0]["answer"]
    keys.press("Alt+e")
    expect(page.get_by_label("Ask this instead")).to_be_focused()
    keys.press("Escape")
    keys.press("Alt+e")
    keys.press("Control+a")
    keys.type("What is a Lock?")
    keys.press("Enter")
    expect(asked(chat.turns.first)).to_contain_text("What is a Lock?")
    chat.expect_state(chat.turns.first, "done")
    keys.press("Alt+n")
    expect(chat.turns).to_have_count(0)
    expect(chat.input).to_be_focused()
    keys.press("Control+k")
    expect(page.get_by_label("Search conversations")).to_be_focused()
    expect(rows(page)).to_have_count(1)
    keys.press("ArrowDown")
    keys.press("Enter")
    expect(chat.turns).to_have_count(1)
    keys.press("Alt+b")
    expect(sidebar(page)).to_be_hidden()
    chat.input.blur()
    keys.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    # The room beside the page, which no backdrop reaches, is as dim as that.
    beside = "getComputedStyle(document.documentElement).backgroundColor"
    assert "0.59" in page.evaluate(beside)
    keys.press("Escape")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_hidden()


def test_on_a_phone_the_list_is_a_drawer_that_leaves_the_page_alone(chat: Chat) -> None:
    page = chat.page
    page.set_viewport_size({"width": 390, "height": 800})
    answered(chat, "What is a Future?")
    toggle = page.get_by_role("button", name="Conversations", exact=True)
    expect(sidebar(page)).to_be_hidden()
    # From a conversation's end, too, the list, another context and a new conversation are in reach.
    page.set_viewport_size({"width": 390, "height": 360})
    page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    for reached in (toggle, page.get_by_label("Context"), page.get_by_role("button", name="New conversation")):
        expect(reached).to_be_in_viewport(ratio=1)
    head = "document.querySelector('.bar').getBoundingClientRect().bottom"
    assert page.evaluate(f"{head} < 60")
    # What is scrolled to stands below them.
    chat.turns.first.locator(".asked").evaluate("node => node.scrollIntoView()")
    assert page.evaluate(f"document.querySelector('.asked').getBoundingClientRect().top >= {head}")
    page.evaluate("scrollTo(0, 0)")
    expect(page.locator("#down")).to_be_visible()
    page.locator(".about:visible summary").click()
    expect(page.locator("#down")).to_be_hidden()
    page.keyboard.press("Escape")
    page.set_viewport_size({"width": 390, "height": 800})
    toggle.click()
    expect(page.get_by_label("Search conversations")).to_be_focused()
    expect(page.locator("main")).to_have_attribute("inert", "")
    page.keyboard.press("Escape")
    expect(sidebar(page)).to_be_hidden()
    expect(toggle).to_be_focused()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    # Back closes it, and leaves no trace in what Back leads to, however it was closed.
    first = chat.session
    toggle.click()
    page.go_back()
    expect(sidebar(page)).to_be_hidden()
    expect(toggle).to_be_focused()
    expect(chat.turns).to_have_count(1)
    assert (chat.session, page.evaluate("history.state")) == (first, None)
    page.get_by_role("button", name="New conversation").click()
    answered(chat, "What is a Task?")
    toggle.click()
    page.get_by_role("button", name="Close the list of conversations").click()
    until(lambda: page.evaluate("history.state === null"), "the entry of the drawer to go")
    expect(asked(chat.turns)).to_contain_text("What is a Task?")
    second = chat.session
    toggle.click()
    link_to(page, first).click()
    expect(sidebar(page)).to_be_hidden()
    expect(asked(chat.turns)).to_contain_text("What is a Future?")
    assert chat.session == first
    page.go_back()
    expect(asked(chat.turns)).to_contain_text("What is a Task?")
    assert chat.session == second
    page.go_back()
    expect(asked(chat.turns)).to_contain_text("What is a Future?")

    def resize(width: int) -> None:
        page.set_viewport_size({"width": width, "height": 800})

    # A window that is narrow for a while says nothing about the column, nor does a drawer.
    resize(1280)
    expect(sidebar(page)).to_be_visible()
    resize(900)
    expect(sidebar(page)).to_be_hidden()
    resize(1280)
    expect(sidebar(page)).to_be_visible()
    toggle.click()
    resize(900)
    toggle.click()
    expect(sidebar(page)).to_be_visible()
    resize(1280)
    expect(sidebar(page)).to_be_hidden()
    expect(toggle).to_have_attribute("aria-expanded", "false")


def test_each_conversation_has_a_draft_and_each_context_one_for_a_new_conversation(gated: Chat) -> None:
    page = gated.page
    new = page.get_by_role("button", name="New conversation")
    picker = page.locator("#context")
    lighthouse, sample = str(picker.input_value()), picker.locator("option").first.get_attribute("value")
    gated.input.fill("Which ship is ship 41?")
    picker.select_option(sample)
    expect(gated.input).to_have_value("")
    gated.input.fill("What is a Future?")
    picker.select_option(lighthouse)
    expect(gated.input).to_have_value("Which ship is ship 41?")
    gated.expect_chip("cold")
    gated.input.press("Enter")
    gated.expect_state(gated.turns.first, "done")
    gated.input.fill("And ship 42?")
    new.click()
    expect(gated.turns).to_have_count(0)
    expect(gated.input).to_have_value("")
    rows(page).first.locator("a").click()
    expect(gated.turns).to_have_count(1)
    expect(gated.input).to_have_value("And ship 42?")
    gated.turns.first.get_by_role("button", name="Ask again, word for word").click()
    expect(gated.turns.first.locator(".asked")).to_contain_text("2/2")
    gated.expect_state(gated.turns.first, "done")
    expect(gated.input).to_have_value("And ship 42?")
    page.reload()
    expect(gated.input).to_have_value("And ship 42?")
    rows(page).first.get_by_role("button", name="Options").click()
    page.get_by_role("button", name="Delete…").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(gated.turns).to_have_count(0)
    expect(gated.input).to_have_value("")
    assert page.evaluate("JSON.parse(sessionStorage['headstart.drafts'])") == [[sample, "What is a Future?"]]


def test_what_was_said_of_warmth_does_not_outlive_its_context(gated: Chat) -> None:
    gated.input.click()
    gated.expect_chip("warm")
    expect(gated.page.locator("#spoken")).to_contain_text("Warm.")
    other = gated.page.locator("#context option").first.get_attribute("value")
    gated.page.locator("#context").select_option(other)
    expect(gated.page.locator("#spoken")).to_have_text("")


def test_a_newcomer_adds_a_folder_asks_forks_stops_and_exports(gated: Chat, gate: Gate, tmp_path: Path) -> None:
    chat, page = gated, gated.page
    folder = tmp_path / "lighthouse"
    folder.mkdir()
    for number in range(12):
        lines = "\n".join(f"def ship_{number}_{line}(): return {line}" for line in range(200))
        (folder / f"ships_{number}.py").write_text(lines)
    chat.input.fill("What is in here?")
    page.get_by_role("button", name="Add something to ask about").click()
    dialog = page.get_by_role("dialog", name="Ask about something of yours")
    expect(dialog).to_be_visible()
    page.locator("#folder").set_input_files([folder])
    dialog.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("heading", name="Ask about lighthouse")).to_be_visible()
    expect(chat.input).to_have_value("What is in here?")
    for question in ("What is in here?", "Which ships are there?", "Who counts them?"):
        answered(chat, question)
    chat.turns.nth(1).get_by_role("button", name="Edit this question and ask again").click()
    page.get_by_label("Ask this instead").fill("Which ship comes first?")
    page.get_by_role("button", name="Ask this instead").click()
    expect(asked(chat.turns.nth(1))).to_contain_text("Which ship comes first?")
    chat.expect_state(chat.turns.nth(1), "done")
    gate.hold_answers(after_deltas=3)
    turn = chat.ask("Tell me everything about every ship, at length.")
    expect(turn).to_have_attribute("data-phase", "writing")
    page.keyboard.press("Escape")
    chat.expect_state(turn, "stopped")
    asked_here = ["What is in here?", "Which ship comes first?", "Tell me everything about every ship, at length."]
    told = json.loads(exported(page, "JSON", "What is in here.json"))
    assert [one["question"] for one in told["turns"]] == asked_here
    assert [one["state"] for one in told["turns"]] == ["done", "done", "stopped"]
    text = exported(page, "Markdown", "What is in here.md")
    assert [line.removeprefix("> ") for line in text.splitlines() if line.startswith("> ")] == asked_here
    assert "Stopped here." in text.splitlines()[-1]
    assert all(one["answer"] and one["answer"].strip() in text for one in told["turns"])
    assert all(f"<h2>{question}</h2>" in exported(page, "a page", "What is in here.html") for question in asked_here)


def exported(page: Page, kind: str, name: str) -> str:
    """What the first conversation of the list is exported as."""
    rows(page).first.get_by_role("button", name="Options").click()
    with page.expect_download() as download:
        page.get_by_role("link", name=f"Export as {kind}").click()
    assert download.value.suggested_filename == name
    return download.value.path().read_text()
