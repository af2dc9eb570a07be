"""The main job: the cursor in the input warms, the answer streams at cached speed, and nothing is lost on the way."""

import os
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.chat import Chat
from tests.browser.lifetime import left_ms
from tests.browser.serving import Gate
from tests.recorder import Exchange, Recorder, held, usage
from tests.running import RedisProcess, serving

QUESTION = "How does asyncio.timeout() reschedule its deadline?"


def test_the_page_says_that_it_is_the_sandbox_and_what_to_set_for_claude(chat: Chat) -> None:
    expect(chat.page.locator(".upstream")).to_contain_text(re.compile("sandbox", re.I))
    expect(chat.page.locator(".upstream")).to_contain_text("ANTHROPIC_API_KEY")


def test_nothing_is_spent_before_the_reader_turns_to_the_input(chat: Chat) -> None:
    expect(chat.page.get_by_role("heading", name="Ask about")).to_be_visible()
    chat.expect_chip("cold")
    assert "session=" not in chat.page.url


def test_focus_makes_a_session_and_warms_it(gated: Chat, gate: Gate) -> None:
    gate.hold_warms()
    gated.expect_chip("cold")
    gated.input.focus()
    gated.expect_chip("warming")
    expect(gated.chip).to_have_text(re.compile(r"^Warming · \d+ s$"))
    gate.open_all()
    gated.expect_chip("warm")
    expect(gated.chip).to_have_text(re.compile(r"^Warm · \d:\d\d left$"))
    assert gated.stored()["warm"]["state"] == "warm"


def test_a_warm_shows_how_far_it_has_come_by_what_was_learned(
    page: Page, redis: RedisProcess, upstream: Recorder
) -> None:
    async def two_tokens(exchange: Exchange) -> None:
        """However fast it comes: by that, a hundred thousand take many seconds."""
        await exchange.send_json(200, {"id": "msg_1", "type": "message", "usage": usage(written=1, uncached=1)})

    upstream.script.extend([two_tokens, held])
    with serving(redis.url, upstream.url) as url:
        chat, reading = Chat(page, url).open(), page.locator("#reading")
        chat.input.focus()
        chat.expect_chip("warm")
        expect(reading).to_be_hidden()
        made = chat.add_context("Lighthouse", {"keeper.md": "The keeper counts ships, and writes them down. " * 8000})
        chat.open(f"/?context={made}")
        chat.input.focus()
        expect(chat.chip).to_have_text(re.compile(r"^Warming · \d+ of about \d+ s$"))
        expect(reading).to_be_visible()
        before = reading.evaluate("node => node.value")
        assert 0 < before < 0.95
        expect(reading).not_to_have_js_property("value", before)
        assert before < reading.evaluate("node => node.value") <= 0.95
        upstream.release()
        chat.expect_chip("warm")
        expect(reading).to_be_hidden()
        page.goto("about:blank")


def test_the_state_is_announced_once_and_not_each_second(gated: Chat, gate: Gate) -> None:
    spoken = gated.page.locator("#spoken")
    gate.hold_warms()
    gated.input.focus()
    expect(spoken).to_have_text("Warming.")
    expect(gated.chip).to_have_text("Warming · 1 s")
    expect(spoken).to_have_text("Warming.")
    gate.open_all()
    expect(spoken).to_have_text("Warm.")


def test_the_chip_names_the_next_sign_that_warms(chat: Chat) -> None:
    expect(chat.chip).to_have_text("Cold · warms as you turn to it")
    chat.expect_state(chat.ask(QUESTION), "done")
    expect(chat.chip).to_have_text("Warms as you type")
    chat.input.blur()
    expect(chat.chip).to_have_text("Warms as you turn to it")
    chat.input.focus()
    chat.expect_chip("warm")


def test_an_answer_after_warming_is_a_hit_and_says_what_it_saved(chat: Chat) -> None:
    chat.input.focus()
    chat.expect_chip("warm")
    turn = chat.ask(QUESTION)
    chat.expect_state(turn, "done")
    expect(turn.locator(".question")).to_contain_text(QUESTION)
    expect(turn.locator(".prose")).to_contain_text(re.compile(r"asyncio/\w+\.py, lines \d+"))
    expect(turn.locator(".cache")).to_have_text("cache hit")
    facts = turn.locator(".fact")
    expect(facts.filter(has_text=re.compile(r"^First text \d+\.\d s$"))).to_have_count(1)
    expect(facts.filter(has_text=re.compile(r"^read [\d,]{6,}$"))).to_have_count(1)
    expect(facts.filter(has_text=re.compile(r"^\$0\.\d+$"))).to_have_count(1)
    expect(chat.input).to_have_value("")
    expect(chat.input).to_be_focused()
    assert chat.shows_whole(turn, chat.stored()["turns"][0]["answer"])


def test_while_it_waits_it_says_for_what(gated: Chat, gate: Gate) -> None:
    gate.hold_warms()
    gated.input.focus()
    gated.expect_chip("warming")
    turn = gated.ask("How many ships?")
    expect(turn.locator(".status")).to_contain_text("Finishing the warm-up…")
    expect(turn.locator(".status")).to_contain_text("1 s")
    expect(turn).to_have_attribute("aria-busy", "true")
    gate.open_all()
    gated.expect_state(turn, "done")
    expect(turn).to_have_attribute("aria-busy", "false")
    expect(turn.locator(".status")).to_be_hidden()


def test_a_reload_keeps_conversation_and_draft(chat: Chat) -> None:
    first = chat.ask(QUESTION)
    chat.expect_state(first, "done")
    second = chat.ask("And what does uncancel() do?")
    chat.expect_state(second, "done")
    chat.input.fill("A thought not yet sent")
    told = chat.log.locator(":is(.question, .thinking, .prose, .stats)")
    before = told.all_text_contents()
    chat.page.reload()
    expect(chat.turns).to_have_count(2)
    assert told.all_text_contents() == before
    expect(chat.input).to_have_value("A thought not yet sent")
    third = chat.ask("Where is the event loop chosen?")
    chat.expect_state(third, "done")
    assert [turn["number"] for turn in chat.stored()["turns"]] == [1, 2, 3]


def test_a_reload_in_mid_answer_loses_no_text_and_repeats_none(gated: Chat, gate: Gate) -> None:
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn).to_have_attribute("data-phase", "writing")
    expect(turn.locator(".prose")).not_to_be_empty()
    gated.page.reload()
    turn = gated.turns.first
    gated.expect_state(turn, "running")
    expect(turn.locator(".prose")).not_to_be_empty()
    expect(gated.stop).to_be_visible()
    gate.open_all()
    gated.expect_state(turn, "done")
    answer = gated.stored()["turns"][0]["answer"]
    assert len(answer) > 100
    assert gated.shows_whole(turn, answer)


@pytest.mark.parametrize("way", ["button", "escape"])
def test_stop_ends_the_answer_and_keeps_what_came(gated: Chat, gate: Gate, way: str) -> None:
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 7?")
    expect(turn.locator(".prose")).not_to_be_empty()
    if way == "button":
        gated.stop.click()
    else:
        gated.page.keyboard.press("Escape")
    gated.expect_state(turn, "stopped")
    expect(turn.locator(".note")).to_have_text("Stopped")
    expect(gated.stop).to_be_hidden()
    stored = gated.stored()["turns"][0]
    assert stored["state"] == "stopped"
    assert stored["answer"]
    assert gated.shows_whole(turn, stored["answer"])
    gate.open_all()
    gated.expect_state(gated.ask("And ship 8?"), "done")


def test_what_is_typed_during_an_answer_is_warmed_when_the_answer_ends(gated: Chat, gate: Gate) -> None:
    gate.hold_answers(after_deltas=1)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn.locator(".prose")).not_to_be_empty()
    gated.input.press_sequentially("And ship 43?")
    gate.hold_warms()
    gate.answers.set()
    gated.expect_state(turn, "done")
    gated.expect_chip("warming")
    gate.open_all()
    gated.expect_chip("warm")
    warm = gated.stored()["warm"]
    assert warm["state"] == "warm"
    assert warm["tokens_read"] > warm["tokens_written"] > 0
    gated.input.press("Enter")
    expect(gated.turns.nth(1).locator(".cache")).to_have_text("cache hit")


def test_a_question_sent_during_an_answer_is_held_until_that_has_ended(gated: Chat, gate: Gate) -> None:
    gate.hold_answers(after_deltas=1)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn.locator(".prose")).not_to_be_empty()
    take_back = gated.page.get_by_role("button", name="Take back")
    gated.input.fill("And ship 43?")
    for way in ("Escape", "x", "button"):
        gated.input.press("Enter")
        gated.expect_chip("held")
        expect(gated.chip).to_have_text("Sent when this answer has ended")
        expect(gated.page.locator("#spoken")).to_have_text("Your question is sent when this answer has ended.")
        expect(gated.stop).to_be_visible()
        if way == "button":
            take_back.click()
        else:
            gated.input.press(way)
        expect(take_back).to_be_hidden()
        gated.expect_state(turn, "running")
    expect(gated.chip).not_to_have_attribute("data-state", "held")
    gated.send.click()
    expect(take_back).to_be_visible()
    gated.page.reload()
    expect(gated.input).to_have_value("And ship 43?x")
    expect(gated.stop).to_be_visible()
    gated.input.press("Enter")
    gated.expect_chip("held")
    gate.open_all()
    for number, question in enumerate(("ship 42?", "ship 43?x")):
        gated.expect_state(gated.turns.nth(number), "done")
        expect(gated.turns.nth(number).locator(".question")).to_contain_text(question)
    expect(gated.input).to_have_value("")


@pytest.mark.parametrize("reader", ["at the end", "further up"])
def test_the_page_follows_the_answer_only_while_the_reader_is_at_its_end(gated: Chat, gate: Gate, reader: str) -> None:
    page = gated.page
    page.set_viewport_size({"width": 800, "height": 480})
    gated.expect_state(gated.ask("Which ship is ship 41?"), "done")
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn.locator(".prose")).not_to_be_empty()
    if reader == "further up":
        page.mouse.move(400, 200)
        page.mouse.wheel(0, -300)
        page.wait_for_function("scrollY < document.documentElement.scrollHeight - innerHeight - 200")
    before = page.evaluate("scrollY")
    gate.open_all()
    gated.expect_state(turn, "done")
    if reader == "at the end":
        expect(turn.locator(".stats")).to_be_in_viewport(ratio=1)
    else:
        assert page.evaluate("scrollY") == before


@pytest.mark.parametrize("width", [1280, 390])
def test_who_reads_further_up_has_a_way_to_the_end(gated: Chat, gate: Gate, width: int) -> None:
    page = gated.page
    page.set_viewport_size({"width": width, "height": 480})
    way = page.get_by_role("button", name="To the end")
    gated.expect_state(gated.ask("Which ship is ship 41?"), "done")
    gate.hold_answers(after_deltas=3)
    turn = gated.ask("Which ship is ship 42?")
    expect(turn.locator(".prose")).not_to_be_empty()
    expect(way).to_be_hidden()
    gated.input.fill("And")
    page.mouse.move(width / 2, 200)
    page.evaluate(
        """() => {
            window.shifts = 0;
            new PerformanceObserver(list => { for (const { value } of list.getEntries()) window.shifts += value; })
                .observe({ type: 'layout-shift' });
        }"""
    )
    top = "node => node.getBoundingClientRect().top"
    stood = gated.input.evaluate(top)
    page.mouse.wheel(0, -300)
    expect(way).to_be_visible()
    assert abs(gated.input.evaluate(top) - stood) < 1
    # Who presses it while writing goes on writing, and sees what still comes.
    way.click()
    expect(way).to_be_hidden()
    expect(gated.input).to_be_focused()
    assert page.evaluate("window.shifts") < 0.02
    gate.open_all()
    gated.expect_state(turn, "done")
    expect(turn.locator(".stats")).to_be_in_viewport(ratio=1)
    expect(way).to_be_hidden()
    page.mouse.wheel(0, -300)
    expect(way).to_be_visible()
    page.keyboard.press("Shift+Tab")
    expect(way).to_be_focused()
    page.keyboard.press("Enter")
    expect(way).to_be_hidden()
    expect(turn).to_be_focused()
    expect(turn.locator(".stats")).to_be_in_viewport(ratio=1)
    page.mouse.wheel(0, -300)
    expect(way).to_be_visible()
    page.get_by_role("button", name="New conversation").click()
    expect(way).to_be_hidden()


def test_a_new_conversation_starts_empty_and_the_old_one_is_one_step_back(chat: Chat) -> None:
    turn = chat.ask(QUESTION)
    chat.expect_state(turn, "done")
    chat.page.get_by_role("button", name="New conversation").click()
    expect(chat.turns).to_have_count(0)
    expect(chat.input).to_be_focused()
    chat.page.go_back()
    expect(chat.turns).to_have_count(1)


def test_picking_another_context_starts_a_new_conversation_over_it(chat: Chat) -> None:
    chat.add_context("Harbour rules", {"rules.md": "Ships keep right. " * 200})
    chat.open()
    turn = chat.ask(QUESTION)
    chat.expect_state(turn, "done")
    chat.page.get_by_label("Context").select_option(label="Harbour rules")
    expect(chat.turns).to_have_count(0)
    expect(chat.page.get_by_role("heading", name="Ask about Harbour rules")).to_be_visible()
    expect(chat.page.locator(".about:visible summary")).to_contain_text("1 document")
    turn = chat.ask("On which side do ships keep?")
    chat.expect_state(turn, "done")
    assert chat.stored()["context_name"] == "Harbour rules"


def test_the_facts_of_a_context_list_its_documents_and_warnings(chat: Chat) -> None:
    chat.add_context("Minutes", {"minutes.md": "Meeting of 2026-03-01\n" + "We met. " * 50})
    chat.open()
    chat.page.get_by_label("Context").select_option(label="Minutes")
    about = chat.page.locator(".about:visible")
    expect(about.locator("summary")).to_contain_text("1 warning")
    about.locator("summary").click()
    expect(about.locator(".warnings")).to_contain_text("2026-03-01")
    expect(about.locator(".titles")).to_contain_text("minutes.md")
    chat.page.keyboard.press("Escape")
    expect(about.locator(".sheet")).to_be_hidden()


@pytest.mark.parametrize("there", [True, False])
def test_a_reader_who_is_there_keeps_it_warm_and_one_who_left_does_not(chat: Chat, there: bool) -> None:
    chat.page.clock.install()
    warmed: list[str] = []
    chat.page.on("request", lambda request: warmed.append(request.url) if "/warm" in request.url else None)
    chat.open()
    chat.input.click()
    chat.page.clock.run_for(2_000)
    chat.expect_chip("warm")
    asked: list[str] = []
    chat.page.on("request", lambda request: asked.append(str(request.post_data)) if "/warm" in request.url else None)
    chat.page.clock.run_for(left_ms(chat.page, warmed[-1]) - 30_000)
    assert asked == []
    if there:
        with chat.page.expect_request("**/warm"):
            chat.page.mouse.move(50, 50)
            # The page's clock stands while a busy machine takes its time, and the entry lives by the server's.
            chat.page.clock.run_for(60_000)
    else:
        chat.page.clock.run_for(15_000)
        assert asked == []
    assert all('"visible"' in body for body in asked)


def test_an_example_goes_into_the_input_and_warms(chat: Chat) -> None:
    chat.page.get_by_role("button", name="What is in here?").click()
    expect(chat.input).to_have_value("What is in here?")
    expect(chat.input).to_be_focused()
    chat.expect_chip("warm")


def test_a_picture_of_a_warm_answer_for_the_readme(chat: Chat) -> None:
    chat.page.set_viewport_size({"width": 1280, "height": 930})
    chat.input.focus()
    chat.expect_chip("warm")
    turn = chat.ask(QUESTION)
    chat.expect_state(turn, "done")
    chat.input.press_sequentially("And when it has passed already?")
    chat.expect_chip("warm")
    expect(turn.locator(".stats")).to_be_in_viewport()
    if path := os.environ.get("HEADSTART_SCREENSHOT"):
        chat.page.screenshot(path=path)
