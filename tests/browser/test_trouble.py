"""What goes wrong is said where it happened, in words, with a way to try again; and the question is never lost."""

import re
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Request, Route, expect
from redis import Redis

from app.processes import EmbeddedRedis
from tests.balancer import Balancer
from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.serving import Gate


def test_a_refused_key_is_said_at_the_chip_and_at_the_answer(gated: Chat, gate: Gate) -> None:
    gate.refusing = True
    gated.input.focus()
    gated.expect_chip("failed")
    expect(gated.chip).to_contain_text("The upstream refused the API key.")
    turn = gated.ask("How many ships?")
    gated.expect_state(turn, "failed")
    expect(turn.get_by_role("alert")).to_contain_text("refused the API key")
    expect(gated.input).to_have_value("How many ships?")


def test_try_again_asks_the_same_question_and_clears_the_input(gated: Chat, gate: Gate) -> None:
    gate.refusing = True
    gated.expect_state(gated.ask("How many ships?"), "failed")
    gate.refusing = False
    # Once, also for who presses twice.
    gated.turns.first.get_by_role("button", name="Try again").dblclick()
    gated.expect_state(gated.turns, "done")
    expect(gated.input).to_have_value("")
    expect(gated.page.get_by_role("button", name="Try again")).to_be_hidden()
    # Who sends it from the input has asked it once, too, and another question is another one.
    gate.refusing = True
    gated.expect_state(gated.ask("How many lamps?"), "failed")
    gate.refusing = False
    gated.input.press("Enter")
    for _ in range(2):
        gated.expect_state(gated.turns.nth(1), "done")
        expect(gated.turns.locator(".question")).to_contain_text(["How many ships?", "How many lamps?"])
        expect(gated.turns).to_have_count(2)
        gated.page.reload()
    with gated.page.expect_request("**/fork") as forked:
        gated.turns.nth(1).get_by_role("button", name="Ask again, word for word").click()
    assert forked.value.post_data_json == {"after_turn": 3}
    gated.expect_state(gated.turns.nth(1), "done")


def test_a_question_that_failed_does_not_overwrite_the_next_one(gated: Chat, gate: Gate) -> None:
    gate.hold_warms()
    gated.input.focus()
    gated.expect_chip("warming")
    turn = gated.ask("How many ships?")
    gated.input.fill("Another thought")
    gated.input.press("Enter")
    gated.expect_chip("held")
    gate.refusing = True
    gate.warms.set()
    gated.expect_state(turn, "failed")
    expect(gated.chip).not_to_have_attribute("data-state", "held")
    expect(gated.turns).to_have_count(1)
    expect(gated.input).to_have_value("Another thought")
    expect(turn.get_by_role("button", name="Try again")).to_be_visible()


def test_a_question_that_cannot_be_sent_stays_in_the_input(gated: Chat, complaints: Complaints) -> None:
    complaints.expects("ERR_FAILED")
    gated.input.focus()
    gated.expect_chip("warm")
    gated.page.route("**/*", lambda route: route.abort())
    gated.page.get_by_label("Search conversations").fill("ships")
    listed = gated.page.locator("#conversations-said")
    expect(listed).to_have_text("The server cannot be reached.")
    gated.input.fill("How many ships?")
    gated.input.press("Enter")
    expect(gated.notice).to_contain_text("The server cannot be reached.")
    expect(gated.input).to_have_value("How many ships?")
    expect(gated.turns).to_have_count(0)
    # Whatever says so hears that it can again.
    expect(gated.chip).to_have_text("The server cannot be reached.")
    gated.page.unroute("**/*")
    gated.expect_chip("warm")
    expect(gated.notice).to_contain_text("The server is back.")
    expect(listed).to_have_text("Nothing has these words.")
    gated.notice.get_by_role("button", name="Try again").click()
    gated.expect_state(gated.turns.first, "done")
    expect(gated.input).to_have_value("")
    expect(gated.notice).to_be_hidden()


def test_a_question_of_which_redis_could_not_say_that_it_was_taken_is_shown_being_answered(
    gated: Chat, complaints: Complaints
) -> None:
    complaints.expects("503")
    problem = {"code": "store_unavailable", "title": "Redis is away.", "status": 503, "retryable": True}
    answered: list[int] = []

    def lose(route: Route) -> None:
        answered.append(route.fetch().status)
        route.fulfill(status=503, json=problem, content_type="application/problem+json")

    gated.input.focus()
    gated.expect_chip("warm")
    gated.page.route("**/ask?*", lose, times=1)
    turn = gated.ask("How many ships?")
    gated.expect_state(turn, "done")
    assert answered == [200]
    expect(gated.input).to_have_value("")
    expect(gated.notice).to_be_hidden()
    assert [turn["question"] for turn in gated.stored()["turns"]] == ["How many ships?"]


def test_a_question_that_is_too_long_is_said_while_it_is_in_the_input_and_may_be_a_document(gated: Chat) -> None:
    limit = gated.page.locator("#too-long")
    # As the server counts: an emoji is one.
    gated.input.fill("😀" * 100_000)
    expect(gated.send).to_be_enabled()
    gated.input.fill("a" * 100_001)
    expect(limit).to_contain_text("at most 100,000 characters")
    expect(gated.send).to_be_disabled()
    gated.input.press("Enter")
    gated.page.get_by_role("button", name="Ask another, too").click()
    expect(gated.page.locator("#queued")).to_be_hidden()
    expect(gated.turns).to_have_count(0)
    limit.get_by_role("button", name="Add it as a document instead").click()
    expect(gated.page.get_by_role("dialog", name="Ask about something of yours")).to_contain_text("pasted.txt")
    gated.page.keyboard.press("Escape")
    assert len(gated.input.input_value()) == 100_001
    expect(limit).to_be_visible()
    gated.input.fill("Which ship is ship 41?")
    expect(limit).to_be_hidden()
    expect(gated.send).to_be_enabled()


def test_a_long_question_is_shown_by_its_beginning_until_somebody_wants_it_whole(gated: Chat) -> None:
    page, words = gated.page, "Which ship is ship 41? " * 600
    turn = gated.ask(f"{words}The very end.")
    gated.expect_state(turn, "done")
    question = turn.locator(".question")
    height = "node => node.getBoundingClientRect().height"
    assert question.evaluate(height) < 300
    turn.get_by_role("button", name="Show all").click()
    expect(turn.get_by_role("button", name="Show less")).to_have_attribute("aria-expanded", "true")
    assert question.evaluate(height) > 600
    turn.get_by_role("button", name="Show less").click()
    assert question.evaluate(height) < 300
    taken = "getSelection().selectAllChildren(document.querySelector('.question')) || String(getSelection())"
    assert page.evaluate(taken).endswith("The very end.")


def test_a_cut_connection_is_taken_up_where_it_broke(
    gated: Chat, gate: Gate, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn.locator(".prose")).not_to_be_empty()
    wire.cut()
    gate.open_all()
    expect(gated.notice).to_contain_text("Reconnecting…")
    wire.mend()
    gated.expect_state(turn, "done")
    expect(gated.notice).to_be_hidden()
    assert gated.shows_whole(turn, gated.stored()["turns"][0]["answer"])


def test_the_warm_status_says_that_the_server_is_away_and_that_it_is_back(
    gated: Chat, gate: Gate, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    spoken = gated.page.locator("#spoken")
    gated.expect_chip("cold")
    wire.cut()
    gated.input.focus()
    gated.expect_chip("away")
    expect(gated.chip).to_have_text("The server cannot be reached.")
    expect(spoken).to_have_text("The server cannot be reached.")
    wire.mend()
    gated.expect_chip("warm")
    expect(spoken).to_have_text(re.compile(r"^(The server is back\. )?Warm(ing)?\."))
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn.locator(".prose")).not_to_be_empty()
    wire.cut()
    gated.expect_chip("away")
    expect(spoken).to_have_text("The server cannot be reached.")
    wire.mend()
    expect(gated.chip).not_to_have_attribute("data-state", "away")
    expect(spoken).to_contain_text("The server is back.")
    gate.open_all()
    gated.expect_state(turn, "done")


def test_a_warm_that_servers_turn_away_which_are_about_to_end_is_made_by_another(
    gated: Chat, complaints: Complaints
) -> None:
    complaints.expects("503")
    asked: list[Route] = []

    def refuse(route: Route) -> None:
        asked.append(route)
        if len(asked) > 5:
            route.continue_()
        else:
            route.fulfill(status=503, json={"code": "shutting_down", "retryable": True, "detail": "Not now."})

    gated.page.route("**/warm", refuse)
    gated.input.focus()
    gated.expect_chip("away")
    gated.expect_chip("warm")


def test_a_second_window_joins_the_running_answer_and_keeps_its_question(
    gated: Chat, gate: Gate, context: BrowserContext, complaints: Complaints
) -> None:
    complaints.expects("409")
    gated.input.focus()
    other = Chat(context.new_page(), gated.url).open(f"/?session={gated.session}")
    expect(other.input).to_be_enabled()
    # It is not looked at, and so has not heard.
    other.page.evaluate("Object.defineProperty(document, 'hidden', { value: true })")
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn.locator(".prose")).not_to_be_empty()
    other.input.fill("Which ship is ship 43?")
    other.input.press("Enter")
    other.expect_chip("held")
    expect(other.notice).to_be_hidden()
    expect(other.input).to_have_value("Which ship is ship 43?")
    expect(other.turns).to_have_count(1)
    # What it holds is written for the conversation, which was none before.
    other.page.reload()
    expect(other.input).to_have_value("Which ship is ship 43?")
    expect(other.turns).to_have_count(1)
    other.input.press("Enter")
    other.expect_chip("held")
    gate.open_all()
    for window in (other, gated):
        for number in range(2):
            window.expect_state(window.turns.nth(number), "done")
    expect(other.input).to_have_value("")
    assert other.turns.first.locator(".prose").inner_html() == turn.locator(".prose").inner_html()


def test_a_redis_that_has_lost_its_data_is_said_once_and_a_new_conversation_is_begun(
    page: Page, gate: Gate, gated_url: str, gated_data: Path, complaints: Complaints
) -> None:
    complaints.expects("404")
    gate.open_all()
    missed: list[str] = []
    page.on("response", lambda response: missed.append(response.url) if response.status == 404 else None)
    under_way: set[Request] = set()
    page.on("request", lambda request: under_way.add(request))
    page.on("requestfinished", lambda request: under_way.discard(request))
    page.on("requestfailed", lambda request: under_way.discard(request))
    chat = Chat(page, gated_url).open()
    chat.expect_state(chat.ask("What is a Future?"), "done")
    former = chat.session
    chat.input.fill("And a Task?")
    chat.expect_chip("warm")
    # A warm that is on its way would hear of it before the question does, which then is the new conversation's first.
    while any("/api/" in request.url for request in under_way):
        page.wait_for_timeout(20)
    with Redis.from_url(EmbeddedRedis(gated_data / "headstart").url) as redis:
        redis.flushall()
    chat.input.press("Enter")
    expect(chat.notice).to_have_text("That conversation is gone. This is a new one.")
    expect(chat.turns).to_have_count(0)
    expect(chat.input).to_have_value("And a Task?")
    chat.input.press("Enter")
    chat.expect_state(chat.turns.first, "done")
    expect(chat.notice).to_be_hidden()
    assert [turn["question"] for turn in chat.stored()["turns"]] == ["And a Task?"]
    assert [url.split("/")[-2:] for url in missed] == [[former, "ask?render=html"]]


def test_a_conversation_that_is_gone_is_said_and_a_new_one_can_start(chat: Chat, complaints: Complaints) -> None:
    complaints.expects("404")
    chat.open("/?session=AAAAAAAAAAAAAAAAAAAAAA")
    expect(chat.notice).to_contain_text("That conversation is gone.")
    chat.expect_state(chat.ask("What is a Future?"), "done")
