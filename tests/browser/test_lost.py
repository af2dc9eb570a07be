"""Whatever is lost, late or refused under the page: a question that was asked once is one turn, nothing that was written is
gone, nothing takes the keys of somebody who has gone on to write, and what went wrong is said where it happened."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, Route, expect

from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.serving import Gate
from tests.browser.test_conversations import answered, rows

QUESTION = "What is a Future?"
INTERNAL = {"code": "internal_error", "title": "A bug", "detail": "A bug of ours.", "status": 500, "retryable": True}


def lost(route: Route) -> None:
    """The server accepts it, and the browser never hears of that."""
    headers, body = route.request.all_headers(), route.request.post_data
    with httpx2.stream("POST", route.request.url, headers=headers, content=body, timeout=30) as response:
        assert response.status_code == 200
    route.abort()


def broken(route: Route) -> None:
    """The server accepts it, and says that it failed."""
    route.fetch()
    route.fulfill(status=500, json=INTERNAL, content_type="application/problem+json")


@contextmanager
def held(page: Page, url: str | re.Pattern[str]) -> Iterator[list[Route]]:
    """Requests that wait until the block ends."""
    waiting: list[Route] = []
    page.route(url, lambda route: waiting.append(route))
    try:
        yield waiting
    finally:
        for route in waiting:
            route.continue_()
        page.unroute(url)


def arrives(page: Page, waiting: list[Route], count: int = 1) -> None:
    for _ in range(1500):
        if len(waiting) >= count:
            return
        page.wait_for_timeout(20)
    raise AssertionError(f"{len(waiting)} of {count} came")


def asked(chat: Chat) -> list[str]:
    return [turn["question"] for turn in chat.stored()["turns"]]


def lose_the_answers(chat: Chat, complaints: Complaints) -> None:
    """Ask; the server has the question, and the page does not know."""
    complaints.expects("ERR_FAILED")
    chat.page.route("**/ask*", lost, times=2)
    chat.input.fill(QUESTION)
    chat.input.press("Enter")
    expect(chat.notice).to_be_visible()


# One question is one turn


@pytest.mark.parametrize("how", [lost, broken])
@pytest.mark.parametrize("again", ["Enter", "Try again"])
def test_a_question_that_is_sent_again_and_again_is_asked_once(
    chat: Chat, complaints: Complaints, how: Callable[[Route], None], again: str
) -> None:
    complaints.expects("ERR_FAILED", "500")
    chat.page.route("**/ask*", how, times=2)
    chat.input.fill(QUESTION)
    chat.input.press("Enter")
    expect(chat.notice).to_be_visible()
    expect(chat.input).to_have_value(QUESTION)
    if again == "Enter":
        chat.input.press("Enter")
    else:
        chat.notice.get_by_role("button", name=again).click()
        expect(chat.input).to_be_focused()
    chat.expect_state(chat.turns.first, "done")
    expect(chat.input).to_have_value("")
    expect(chat.notice).to_be_hidden()
    assert asked(chat) == [QUESTION]
    # Later it may be meant.
    chat.expect_state(chat.ask(QUESTION), "done")
    assert asked(chat) == [QUESTION] * 2


@pytest.mark.parametrize("code", ["shutting_down", ""])
def test_a_refusal_of_what_is_sent_again_says_nothing_of_what_was_sent_before(
    chat: Chat, complaints: Complaints, code: str
) -> None:
    complaints.expects("ERR_FAILED", "429", "503")
    sent: list[Route] = []
    refusal = {"code": code, "title": "Not here.", "status": 503, "retryable": True}

    def lose(route: Route) -> None:
        sent.append(route)
        if len(sent) == 1:
            lost(route)
        elif code:
            route.fulfill(status=503, json=refusal, content_type="application/problem+json")
        else:
            route.fulfill(status=429, body="<h1>Slow down</h1>", content_type="text/html")

    chat.page.route("**/ask*", lose)
    chat.input.fill(QUESTION)
    chat.input.press("Enter")
    expect(chat.notice).to_be_visible()
    chat.page.unroute("**/ask*")
    chat.notice.get_by_role("button", name="Try again").click()
    chat.expect_state(chat.turns.first, "done")
    expect(chat.input).to_have_value("")
    assert asked(chat) == [QUESTION]


@pytest.mark.parametrize("how", ["back", "reload"])
def test_who_leaves_and_comes_back_before_a_question_has_arrived_asks_it_once(
    gated: Chat, gate: Gate, complaints: Complaints, how: str
) -> None:
    complaints.expects("ERR_", "409")
    page = gated.page
    first = gated.ask("How many ships?")
    gated.expect_state(first, "done")
    own = gated.session
    on_its_way: list[tuple[str, dict[str, str], str | None]] = []
    page.route(
        "**/ask*",
        lambda route: on_its_way.append((route.request.url, route.request.all_headers(), route.request.post_data)),
        times=1,
    )
    gated.input.fill(QUESTION)
    gated.input.press("Enter")
    for _ in range(1500):
        if on_its_way:
            break
        page.wait_for_timeout(20)
    if how == "back":
        page.get_by_role("button", name="New conversation").click()
        expect(gated.turns).to_have_count(0)
        page.go_back()
    else:
        page.reload()
    expect(gated.turns).to_have_count(1)
    expect(gated.input).to_have_value(QUESTION)
    # Now it arrives, and runs.
    gate.hold_answers(after_deltas=3)
    address, headers, body = on_its_way[0]
    with httpx2.stream("POST", address, headers=headers, content=body, timeout=30) as response:
        assert response.status_code == 200
        gated.input.press("Enter")
        expect(gated.turns).to_have_count(2)
        expect(gated.input).to_have_value("")
        gate.open_all()
        response.read()
    gated.expect_state(gated.turns.nth(1), "done")
    assert gated.session == own
    assert asked(gated) == ["How many ships?", QUESTION]


def test_a_draft_that_begins_like_the_last_question_stays_whole(chat: Chat) -> None:
    answered(chat, QUESTION)
    chat.input.fill(f"{QUESTION}\n\nIn short.")
    chat.page.reload()
    expect(chat.turns).to_have_count(1)
    expect(chat.page.locator("#conversations li")).to_have_count(1)
    expect(chat.input).to_have_value(f"{QUESTION}\n\nIn short.")


def test_a_question_that_is_tried_again_while_another_runs_waits_for_that(
    gated: Chat, gate: Gate, complaints: Complaints
) -> None:
    complaints.expects("500")
    answered(gated, "How many ships?")
    gated.page.route("**/ask*", lambda route: route.fulfill(status=500, body="<h1>Oops</h1>"), times=2)
    gated.input.fill(QUESTION)
    gated.input.press("Enter")
    expect(gated.notice).to_be_visible()
    gate.hold_answers(after_deltas=3)
    cookies = {one["name"]: one["value"] for one in gated.page.context.cookies()}
    address = f"{gated.url}/api/sessions/{gated.session}/ask"
    with httpx2.stream("POST", address, json={"question": "Which?"}, cookies=cookies, timeout=30) as response:
        assert response.status_code == 200
        gated.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        expect(gated.turns).to_have_count(2)
        gated.notice.get_by_role("button", name="Try again").click()
        expect(gated.page.get_by_role("button", name="Take back")).to_be_visible()
        gate.open_all()
        response.read()
    gated.expect_state(gated.turns.nth(2), "done")
    assert asked(gated) == ["How many ships?", "Which?", QUESTION]


def test_a_question_that_is_seen_to_have_arrived_is_not_asked_for_any_more(chat: Chat, complaints: Complaints) -> None:
    lose_the_answers(chat, complaints)
    chat.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    chat.expect_state(chat.turns.first, "done")
    expect(chat.notice).to_be_hidden()
    expect(chat.input).to_have_value("")
    assert asked(chat) == [QUESTION]


def test_a_question_that_another_window_came_after_is_asked_once(chat: Chat, complaints: Complaints) -> None:
    lose_the_answers(chat, complaints)
    other = {"question": "What is a Task?"}
    while not chat.page.request.post(f"{chat.url}/api/sessions/{chat.session}/ask", data=other).ok:
        chat.page.wait_for_timeout(100)
    chat.notice.get_by_role("button", name="Try again").click()
    expect(chat.turns).to_have_count(2)
    expect(chat.input).to_have_value("")
    assert asked(chat) == [QUESTION, other["question"]]


def test_a_proxy_that_refuses_to_reconnect_ends_no_turn(
    gated: Chat, gate: Gate, page: Page, wire: Any, complaints: Complaints
) -> None:
    complaints.expects("429", "ERR_")
    gate.hold_answers(after_deltas=3)
    turn = gated.ask(QUESTION)
    expect(turn).to_have_attribute("data-phase", "writing")
    refused: list[Route] = []

    def refuse(route: Route) -> None:
        refused.append(route)
        route.fulfill(status=429, body="<h1>Slow down</h1>", content_type="text/html")

    page.route("**/events*", refuse)
    wire.cut()
    wire.mend()
    arrives(page, refused, 2)
    gated.expect_state(turn, "running")
    page.unroute("**/events*")
    gate.open_all()
    gated.expect_state(turn, "done")
    expect(gated.notice).to_be_hidden()
    assert asked(gated) == [QUESTION]


# What was written


def edit(turn: Locator, question: str) -> None:
    turn.get_by_role("button", name="Edit this question").click()
    turn.get_by_label("Ask this instead").first.fill(question)


def test_an_edited_question_that_cannot_be_asked_yet_is_in_the_input(chat: Chat) -> None:
    turn = answered(chat, QUESTION)
    with held(chat.page, "**/fork") as waiting:
        turn.get_by_role("button", name="Ask again, word for word").click()
        arrives(chat.page, waiting)
        edit(turn, "What is a Task, then?")
        turn.get_by_role("button", name="Ask this instead").click()
        expect(chat.input).to_have_value("What is a Task, then?")
        expect(chat.notice).to_contain_text("still on its way")
    expect(turn.locator(".asked")).to_contain_text("2/2")
    expect(chat.input).to_have_value("What is a Task, then?")


@pytest.mark.parametrize("where", ["**/fork", re.compile(r"/api/sessions/s_\w+\?render=html"), "**/ask*"])
def test_who_leaves_while_an_edited_question_is_on_its_way_finds_it_there_again(chat: Chat, where: Any) -> None:
    page = chat.page
    turn = answered(chat, QUESTION)
    own = chat.session
    with held(page, where) as waiting:
        edit(turn, "What is a Task, then?")
        turn.get_by_role("button", name="Ask this instead").click()
        arrives(page, waiting)
        page.get_by_role("button", name="New conversation").click()
        expect(chat.turns).to_have_count(0)
        expect(chat.input).to_have_value("")
    page.goto(f"{chat.url}/?session={own}")
    expect(chat.turns).to_have_count(1)
    expect(chat.input).to_have_value("What is a Task, then?")


def test_an_editor_that_is_left_open_leaves_its_text_in_the_input(chat: Chat) -> None:
    turn = answered(chat, QUESTION)
    page, own = chat.page, chat.session
    edit(turn, "What is a Task, then?")
    page.get_by_role("button", name="New conversation").click()
    expect(chat.turns).to_have_count(0)
    page.go_back()
    expect(chat.turns).to_have_count(1)
    assert chat.session == own
    expect(chat.input).to_have_value("What is a Task, then?")


def test_an_edited_question_that_is_refused_stands_below_the_draft(chat: Chat, complaints: Complaints) -> None:
    complaints.expects("429")
    turn = answered(chat, QUESTION)
    chat.input.fill("A draft.")
    refusal = {"status": 429, "code": "limit_reached", "title": "Too many questions.", "retryable": True}
    chat.page.route("**/ask*", lambda route: route.fulfill(status=429, json=refusal), times=1)
    edit(turn, "What is a Task, then?")
    turn.get_by_role("button", name="Ask this instead").click()
    expect(chat.notice).to_contain_text("Too many questions.")
    expect(chat.input).to_have_value("A draft.\n\nWhat is a Task, then?")


@pytest.mark.parametrize("where", ["**/fork", "**/ask*"])
def test_who_leaves_while_a_question_and_another_are_on_their_way_finds_both_there_again(
    chat: Chat, where: str
) -> None:
    page = chat.page
    answered(chat, QUESTION)
    own = chat.session
    chat.input.fill("What is a Lock?")
    page.get_by_role("button", name="Ask another, too").click()
    chat.input.fill("What is a Task?")
    with held(page, where) as waiting:
        chat.input.press("Enter")
        arrives(page, waiting)
        page.get_by_role("button", name="New conversation").click()
        expect(chat.turns).to_have_count(0)
        expect(page.locator("#queued")).to_be_hidden()
        expect(chat.input).to_have_value("")
    page.goto(f"{chat.url}/?session={own}")
    expect(chat.turns.first).to_be_visible()
    expect(chat.input).to_have_value("What is a Task?\n\nWhat is a Lock?")
    expect(page.locator("#queued")).to_be_hidden()


def test_who_leaves_before_a_question_beside_another_was_taken_finds_it_there_again(chat: Chat) -> None:
    page = chat.page
    answered(chat, QUESTION)
    own = chat.session
    chat.input.fill("What is a Lock?")
    page.get_by_role("button", name="Ask another, too").click()
    chat.input.fill("What is a Task?")
    with held(page, re.compile(rf"/(?!{own})s_\w+/ask")) as waiting:
        chat.input.press("Enter")
        arrives(page, waiting)
        chat.expect_state(page.locator(".lanes article").first, "done")
        page.get_by_role("button", name="New conversation").click()
        expect(chat.turns).to_have_count(0)
    page.go_back()
    expect(chat.turns).to_have_count(2)
    expect(chat.input).to_have_value("What is a Lock?")


def test_a_question_beside_another_is_tried_again_where_it_stands(chat: Chat, complaints: Complaints) -> None:
    complaints.expects("500")
    page = chat.page
    answered(chat, QUESTION)
    own = chat.session
    refused: list[str] = []

    def refuse_others(route: Route) -> None:
        if own in route.request.url or len(refused) == 2:
            route.continue_()
        else:
            refused.append(route.request.url)
            route.fulfill(status=500, body="<h1>Oops</h1>", content_type="text/html")

    page.route("**/ask*", refuse_others)
    chat.input.fill("What is a Lock?")
    page.get_by_role("button", name="Ask another, too").click()
    chat.input.fill("What is a Task?")
    chat.input.press("Enter")
    lanes = page.locator(".lanes article")
    chat.expect_state(lanes.nth(0), "done")
    chat.expect_state(lanes.nth(1), "failed")
    with held(page, "**/ask*") as waiting:
        lanes.nth(1).get_by_role("button", name="Try again").click()
        arrives(page, waiting)
        expect(lanes.nth(1).get_by_role("button", name="Try again")).to_be_hidden()
    chat.expect_state(lanes.nth(1), "done")
    branch = re.search(r"/(s_\w+)/ask", refused[0])
    assert branch
    told = page.request.get(f"{chat.url}/api/sessions/{branch[1]}").json()
    assert [turn["question"] for turn in told["turns"]] == [QUESTION, "What is a Lock?"]


def test_what_goes_with_a_question_goes_also_when_that_was_sent_twice(chat: Chat, complaints: Complaints) -> None:
    complaints.expects("ERR_FAILED")
    page = chat.page
    answered(chat, QUESTION)
    own = chat.session
    page.route(re.compile(f"{own}/ask"), lost, times=1)
    chat.input.fill("What is a Lock?")
    page.get_by_role("button", name="Ask another, too").click()
    chat.input.fill("What is a Task?")
    chat.input.press("Enter")
    lanes = page.locator(".lanes article")
    expect(lanes).to_have_count(2)
    for lane in lanes.all():
        chat.expect_state(lane, "done")
    assert asked(chat) == [QUESTION, "What is a Task?"]


# The keys of who has gone on


def test_a_menu_that_comes_late_leaves_the_keys_to_who_writes(chat: Chat) -> None:
    turn = answered(chat, QUESTION)
    with held(chat.page, "**/models.js") as waiting:
        turn.get_by_role("button", name="Other model").click()
        arrives(chat.page, waiting)
        chat.input.click()
        chat.input.press_sequentially("My next ")
    chat.page.wait_for_function("performance.getEntriesByName(location.origin + '/static/js/models.js').length")
    chat.input.press_sequentially("question")
    expect(chat.page.get_by_role("group", name="Ask again of")).to_be_hidden()
    expect(chat.input).to_have_value("My next question")


@pytest.mark.parametrize("action", ["Rename", "Delete…"])
def test_what_is_changed_in_the_list_leaves_the_keys_to_who_writes(chat: Chat, action: str) -> None:
    page = chat.page
    for _ in range(2):
        page.get_by_role("button", name="New conversation").click()
        answered(chat, QUESTION)
    expect(rows(page)).to_have_count(2)
    rows(page).last.get_by_role("button").click()
    page.locator("#conversation-menu").get_by_role("button", name=action, exact=True).click()
    with held(page, re.compile(r"/api/sessions/s_\w+(\?branches=true)?$")) as waiting:
        if action == "Rename":
            page.get_by_label("Title").fill("Another title")
            page.get_by_label("Title").press("Enter")
        else:
            page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        arrives(page, waiting)
        chat.input.click()
        chat.input.press_sequentially("A ques")
    expect(rows(page)).to_have_count(2 if action == "Rename" else 1)
    if action == "Rename":
        expect(rows(page).last).to_contain_text("Another title")
    page.keyboard.type("tion")
    expect(chat.input).to_have_value("A question")


# Said where it happened


@pytest.mark.parametrize("action", ["Rename", "Pin"])
def test_what_could_not_be_changed_in_the_list_is_said_there(chat: Chat, complaints: Complaints, action: str) -> None:
    complaints.expects("500")
    page = chat.page
    answered(chat, QUESTION)
    page.route(
        re.compile(r"/api/sessions/s_\w+$"),
        lambda route: (
            route.fulfill(status=500, json=INTERNAL) if route.request.method == "PATCH" else route.continue_()
        ),
    )
    rows(page).get_by_role("button").click()
    page.locator("#conversation-menu").get_by_role("button", name=action, exact=True).click()
    if action == "Rename":
        page.get_by_label("Title").fill("Another title")
        page.get_by_label("Title").press("Enter")
    said = page.locator("#conversations-said")
    expect(said).to_have_text("A bug of ours.")
    expect(rows(page)).to_contain_text([QUESTION])
    expect(said).to_have_text("A bug of ours.")


def test_a_browser_that_keeps_no_cookies_is_told_so_and_makes_no_crowd(
    chat: Chat, context: BrowserContext, complaints: Complaints
) -> None:
    complaints.expects("404")
    made: list[str] = []

    def forget(route: Route) -> None:
        context.clear_cookies()
        response = route.fetch()
        if route.request.method == "POST" and route.request.url.endswith("/api/sessions"):
            made.append(response.text())
        context.clear_cookies()
        headers = {name: value for name, value in response.headers.items() if name != "set-cookie"}
        route.fulfill(response=response, headers=headers)

    chat.page.route(re.compile(r"/api/sessions(/|$)"), forget)
    chat.input.click()
    chat.input.press_sequentially(QUESTION, delay=30)
    expect(chat.notice).to_be_visible()
    for _ in range(3):
        chat.input.press("Enter")
        expect(chat.notice).to_contain_text("cookies")
    expect(chat.input).to_have_value(QUESTION)
    assert len(made) == 2
    chat.page.unroute_all(behavior="wait")


def test_cancel_ends_also_the_opening_of_a_conversation(chat: Chat, tmp_path: Path) -> None:
    page = chat.page
    (tmp_path / "log.md").write_text("The keeper counts ships. " * 200)
    page.get_by_role("button", name="Add something to ask about").click()
    dialog = page.get_by_role("dialog", name="Ask about something of yours")
    expect(dialog).to_be_visible()
    page.set_input_files("#files", tmp_path / "log.md")
    with held(page, "**/api/sessions") as waiting:
        dialog.get_by_role("button", name="Add", exact=True).click()
        arrives(page, waiting)
        dialog.get_by_role("button", name="Cancel").click()
        page.wait_for_url("**/?context=*")
        waiting.clear()
    expect(page.get_by_label("Context").locator("option:checked")).to_have_text("log")
    chat.expect_state(chat.ask("How many ships?"), "done")


def test_what_is_pressed_twice_while_its_script_comes_opens_once(chat: Chat) -> None:
    page = chat.page
    answered(chat, QUESTION)
    with held(page, "**/share.js") as waiting:
        for _ in range(2):
            rows(page).get_by_role("button").click()
            page.locator("#conversation-menu").get_by_role("button", name="Share…").click()
        arrives(page, waiting)
    expect(page.get_by_role("dialog", name="Share")).to_be_visible()
    page.wait_for_timeout(300)
    assert page.locator("dialog[open]").count() == 1
    # What is in a context is asked for once.
    chat.open()
    with held(page, re.compile(r"/api/contexts/[^/]+$")) as waiting:
        for _ in range(3):
            page.locator(".about:visible summary").click()
        arrives(page, waiting)
    sheet = page.locator(".about:visible .sheet")
    expect(sheet.locator(".titles li").first).to_be_visible()
    expect(sheet.locator("blockquote")).to_have_count(1)


def test_why_a_conversation_cannot_be_shown_is_said_also_to_who_asks_in_it(chat: Chat, complaints: Complaints) -> None:
    complaints.expects("403")
    answered(chat, QUESTION)
    page = chat.page
    refusal = {"status": 403, "code": "cross_site", "title": "Not from here.", "retryable": False}
    page.route(re.compile(r"/api/sessions/s_\w+\?render=html"), lambda route: route.fulfill(status=403, json=refusal))
    page.reload()
    expect(chat.notice).to_contain_text("Not from here.")
    chat.input.fill("What is a Task?")
    chat.input.press("Enter")
    expect(chat.notice).to_contain_text("Not from here.")
    expect(chat.input).to_have_value("What is a Task?")
