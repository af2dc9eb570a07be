"""Another model than the context's own: chosen by the reader, for each new conversation, until they choose again."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.recorder import Recorder
from tests.running import RedisProcess, serving

OWN, OTHER = "claude-sonnet-5-5", "claude-opus-5-5"


def about(page: Page) -> Locator:
    return page.locator(".about:visible")


def opened(chat: Chat) -> None:
    """What is chosen earlier is held until the page is whole, and would close a sheet that was opened meanwhile."""
    chat.open()
    expect(chat.page.locator("#conversations-said")).not_to_be_empty()


def choose(page: Page, model: str, *, leave: bool = True) -> None:
    if about(page).get_attribute("open") is None:
        about(page).locator("summary").click()
    about(page).get_by_label("The model that answers").select_option(model)
    if leave:
        page.keyboard.press("Escape")


def model_of(chat: Chat, session: str) -> str:
    return str(chat.page.request.get(f"{chat.url}/api/sessions/{session}").json()["model"])


def test_another_model_answers_this_conversation_and_the_next_until_its_own_is_chosen_again(chat: Chat) -> None:
    page = chat.page
    summary = about(page).locator("summary")
    expect(summary).not_to_contain_text("claude")
    choose(page, OTHER)
    expect(summary).to_contain_text(OTHER)
    expect(summary).to_be_focused()
    turn = chat.ask("What is a Future?")
    chat.expect_state(turn, "done")
    first = chat.session
    assert model_of(chat, first) == OTHER
    turn.locator(".times summary").click()
    expect(turn.locator(".by").last).to_contain_text(OTHER)
    # The page that comes back says so too, and so does a new one.
    page.reload()
    expect(summary).to_contain_text(OTHER)
    chat.open()
    expect(summary).to_contain_text(OTHER)
    about(page).locator("summary").click()
    expect(about(page).get_by_label("The model that answers")).to_have_value(OTHER)
    page.keyboard.press("Escape")
    chat.expect_state(chat.ask("What is a Task?"), "done")
    assert model_of(chat, chat.session) == OTHER
    page.get_by_role("button", name="New conversation").click()
    choose(page, OWN)
    expect(summary).not_to_contain_text("claude")
    chat.expect_state(chat.ask("What is a Lock?"), "done")
    assert model_of(chat, chat.session) == OWN
    # Whoever looks at what another model answered has not chosen it.
    page.locator(f"#conversations a[href$='{first}']").click()
    expect(summary).to_contain_text(OTHER)
    page.get_by_role("button", name="New conversation").click()
    expect(summary).not_to_contain_text("claude")
    chat.expect_state(chat.ask("What is an Event?"), "done")
    assert model_of(chat, chat.session) == OWN


def test_a_conversation_goes_on_until_the_other_one_is_begun_with_what_is_written(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    first = chat.session
    chat.input.fill("And what")
    about(page).locator("summary").click()
    select = about(page).get_by_label("The model that answers")
    said = about(page).get_by_role("status").first
    # By keyboard, one after another: nothing is left for that, and what it means is said all the while.
    select.focus()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
        expect(said).to_contain_text("from the next conversation on")
    expect(chat.turns).to_have_count(1)
    select.select_option(OWN)
    expect(said).to_have_text("")
    select.select_option(OTHER)
    page.keyboard.press("Escape")
    chat.expect_state(chat.ask("And a Task?"), "done")
    assert (chat.session, model_of(chat, first)) == (first, OWN)
    chat.input.fill("And what")
    choose(page, OWN)
    choose(page, OTHER, leave=False)
    about(page).get_by_role("button", name="Begin it").click()
    expect(chat.turns).to_have_count(0)
    expect(about(page).locator("summary")).to_contain_text(OTHER)
    expect(chat.input).to_be_focused()
    expect(chat.input).to_have_value("And what")
    chat.input.press_sequentially(" is a Lock?")
    chat.input.press("Enter")
    expect(chat.turns).to_have_count(1)
    chat.expect_state(chat.turns.first, "done")
    assert model_of(chat, chat.session) == OTHER
    page.locator(f"#conversations a[href$='{first}']").click()
    expect(chat.turns.first.locator(".question")).to_contain_text("What is a Future?")
    expect(about(page).locator("summary")).not_to_contain_text("claude")


def test_what_is_queued_stays_queued_where_nothing_was_asked_yet(chat: Chat) -> None:
    page = chat.page
    chat.input.fill("What is a Future?")
    page.get_by_role("button", name="Ask another, too").click()
    chat.input.fill("What is a Task?")
    choose(page, OTHER)
    expect(page.get_by_label("Asked at the same time").locator("li")).to_have_count(1)
    expect(chat.input).to_have_value("What is a Task?")
    chat.input.press("Enter")
    expect(page.locator("article[data-state=done]")).to_have_count(2)
    assert model_of(chat, chat.session) == OTHER


def test_what_is_chosen_before_the_sheet_is_heard_to_have_opened_stays_chosen(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    choose(page, OWN)
    # A browser tells of an opened sheet later; on a busy machine, later than somebody has chosen in it.
    about(page).evaluate(
        """(about, model) => {
            const select = about.querySelector('select');
            about.open = true;
            select.value = model;
            select.dispatchEvent(new Event('change', { bubbles: true }));
            return new Promise(done => about.addEventListener('toggle', () => requestAnimationFrame(done), { once: true }));
        }""",
        OTHER,
    )
    expect(about(page).get_by_label("The model that answers")).to_have_value(OTHER)
    expect(about(page).get_by_role("button", name="Begin it")).to_be_visible()


def test_what_each_costs_is_said_and_what_cannot_hold_the_context_cannot_be_chosen(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    page.reload()
    page.locator("#sidebar").wait_for()
    about(page).locator("summary").click()
    options = about(page).get_by_label("The model that answers").locator("option")
    expect(options.filter(has_text=OTHER)).to_have_text("claude-opus-5-5 ($4 in, $20 out, a million tokens)")
    expect(options.filter(has_text="claude-haiku-5-5")).to_have_text(
        "claude-haiku-5-5 ($0.10 in, $0.50 out, a million tokens)"
    )
    # The sample has 197,144 tokens.
    expect(options.filter(has_text="too small")).to_have_count(0)
    made = chat.add_context("Large", {f"{n}.md": f"Ship {n} has 1200 tons. " * 4_000 for n in range(11)})
    page.goto(f"{chat.url}/?context={made}")
    page.locator("#sidebar").wait_for()
    chat.input.click()
    chat.expect_chip("warm")
    page.reload()
    about(page).locator("summary").click()
    expect(options.filter(has_text="claude-haiku-4-5")).to_have_text("claude-haiku-4-5 (too small for this)")
    expect(options.filter(has_text="claude-haiku-4-5")).to_be_disabled()
    expect(options.filter(has_text=OTHER)).to_be_enabled()


def test_each_context_has_a_choice_of_its_own_and_a_model_that_no_list_has_is_shown(chat: Chat) -> None:
    page = chat.page
    for name in ("Ships", "Docks"):
        chat.add_context(name, {"a.md": f"{name}: Anna has 1200 tons. " * 300})
    chat.add_context("Vessels", {"a.md": "Ships: Anna has 1200 tons. " * 300})
    opened(chat)
    picker = page.get_by_role("combobox", name="Context")
    picker.select_option(label="Ships")
    choose(page, OTHER)
    picker.select_option(label="Docks")
    expect(about(page).locator("summary")).not_to_contain_text("claude")
    picker.select_option(label="Ships")
    expect(about(page).locator("summary")).to_contain_text(OTHER)
    # Of two with the same documents, both say it.
    picker.select_option(label="Vessels")
    expect(about(page).locator("summary")).to_contain_text(OTHER)
    made = page.request.post(f"{chat.url}/api/sessions", data={"context": "Docks", "model": "house-model-1"}).json()
    page.goto(f"{chat.url}/?session={made['session']}")
    expect(about(page).locator("summary")).to_contain_text("house-model-1")
    about(page).locator("summary").click()
    select = about(page).get_by_label("The model that answers")
    expect(select).to_have_value("house-model-1")
    names: list[str] = select.locator("option").evaluate_all("all => all.map(one => one.value)")
    assert len(names) == len(set(names)) and {OWN, OTHER} <= set(names)
    assert not [name for name in names if re.search(r"-\d{8}$", name)]


def test_a_model_that_cannot_answer_about_a_context_says_why_and_another_can(
    chat: Chat, complaints: Complaints
) -> None:
    page = chat.page
    chat.add_context("Ships", {"a.md": "Anna has 1200 tons. " * 300}, effort="xhigh")
    opened(chat)
    page.get_by_role("combobox", name="Context").select_option(label="Ships")
    complaints.expects("422")
    choose(page, "claude-haiku-4-5")
    chat.input.click()
    chat.input.fill("How heavy is Anna?")
    chat.input.press("Enter")
    expect(chat.notice).to_contain_text("effort")
    expect(chat.input).to_have_value("How heavy is Anna?")
    choose(page, OTHER)
    chat.input.press("Enter")
    chat.expect_state(chat.turns.first, "done")
    assert model_of(chat, chat.session) == OTHER


@pytest.mark.usefixtures("own_models")
def test_what_may_not_be_asked_any_more_is_not_offered_remembered_or_taken_over(
    page: Page, redis: RedisProcess, upstream: Recorder, tmp_path: Path
) -> None:
    with serving(redis.url, upstream.url) as url:
        chat = Chat(page, url)
        made = chat.add_context("Ships", {"a.md": "Anna has 1200 tons. " * 300}, model=OTHER)
        chat.open(f"/?context={made}")
        chat.expect_state(chat.ask("How heavy is Anna?"), "done")
        session = chat.session
        port = int(url.rpartition(":")[2])
        page.goto("about:blank")
    # The same page, of a server that was told since which models may be asked.
    with serving(redis.url, upstream.url, models=f"{OWN},claude-haiku-5-5", listen=port) as url:
        page.goto(f"{url}/?session={session}")
        about(page).locator("summary").click()
        select = about(page).get_by_label("The model that answers")
        expect(select.locator("option")).to_have_count(3)
        expect(select.locator("option", has_text=OTHER)).to_be_disabled()
        expect(select).to_have_value(OTHER)
        select.select_option("claude-haiku-5-5")
        about(page).get_by_role("button", name="Begin it").click()
        expect(about(page).locator("summary")).to_contain_text("claude-haiku-5-5")
        # As a window that has been open for long may have it.
        page.evaluate(f"sessionStorage.setItem('headstart.models', JSON.stringify([['{made}', '{OTHER}']]))")
        chat.open(f"/?context={made}")
        expect(about(page).locator("summary")).not_to_contain_text("claude")
        chat.expect_state(chat.ask("How heavy is Anna?"), "done")
        assert model_of(chat, chat.session) == OWN
        # A newer version of it is asked with what the sheet says.
        about(page).locator("summary").click()
        about(page).get_by_role("button", name="Replace…").click()
        (tmp_path / "b.md").write_text("Berta has 900 tons. " * 300)
        expect(page.get_by_role("dialog", name="Replace “Ships”")).to_be_visible()
        page.set_input_files("#files", [tmp_path / "b.md"])
        page.get_by_role("button", name="Replace", exact=True).click()
        page.wait_for_url(lambda address: address.endswith("#question"))
        chat.expect_chip("warm")
        assert model_of(chat, chat.session) == OWN
        page.goto("about:blank")


def test_a_question_is_asked_again_of_another_model_in_its_place(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    chat.expect_state(chat.ask("What is a Task?"), "done")
    first = chat.session
    other = chat.turns.nth(1).get_by_role("button", name="Ask again of another model")
    menu = page.get_by_role("group", name="Ask again of")
    other.click()
    expect(menu).to_be_visible()
    expect(menu.get_by_role("button", name=OWN, exact=False)).to_be_hidden()
    page.keyboard.press("Escape")
    expect(menu).to_have_count(0)
    expect(other).to_be_focused()
    # By keyboard alone, from the last to the first and down to the one that is wanted.
    page.keyboard.press("Enter")
    offered = menu.locator("button:visible")
    expect(offered.first).to_be_focused()
    page.keyboard.press("ArrowUp")
    expect(offered.last).to_be_focused()
    page.keyboard.press("ArrowDown")
    while OTHER not in str(page.evaluate("document.activeElement.textContent")):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(chat.turns.nth(1).locator(".asked")).to_contain_text("2/2")
    chat.expect_state(chat.turns.nth(1), "done")
    assert chat.session != first
    assert [model_of(chat, session) for session in (first, chat.session)] == [OWN, OTHER]
    expect(about(page).locator("summary")).to_contain_text(OTHER)
    # Each answer says whose it is, also after a reload.
    page.reload()
    for turn, model in zip((chat.turns.nth(0), chat.turns.nth(1)), (OWN, OTHER), strict=True):
        turn.locator(".times summary").click()
        expect(turn.locator(".by").last).to_contain_text(model)
    chat.turns.nth(1).get_by_role("button", name="The question before that was asked here").click()
    expect(chat.turns.nth(1).locator(".asked")).to_contain_text("1/2")
    expect(about(page).locator("summary")).not_to_contain_text("claude")


def test_what_is_asked_again_of_another_model_is_asked_where_it_was_asked(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    page.get_by_role("button", name="New conversation").click()
    chat.expect_state(chat.ask("What is a Task?"), "done")
    menu = page.get_by_role("group", name="Ask again of")
    chat.turns.first.get_by_role("button", name="Ask again of another model").click()
    expect(menu).to_be_visible()
    page.go_back()
    expect(chat.turns.first.locator(".question")).to_contain_text("What is a Future?")
    expect(menu).to_have_count(0)
    # In a branch of another model that one is asked without a choice, and the first can be chosen again.
    chat.turns.first.get_by_role("button", name="Ask again of another model").click()
    menu.get_by_role("button", name=f"{OTHER} (").click()
    expect(chat.turns.first.locator(".asked")).to_contain_text("2/2")
    chat.expect_state(chat.ask("What is a Lock?"), "done")
    chat.turns.first.get_by_role("button", name="Ask again of another model").click()
    expect(menu.get_by_role("button", name=f"{OTHER} (")).to_be_hidden()
    expect(menu.get_by_role("button", name=f"{OWN} (")).to_be_visible()


def test_a_model_that_does_not_take_the_context_is_said_to_be_refused_and_the_turn_stays(
    chat: Chat, complaints: Complaints
) -> None:
    complaints.expects("422")
    page = chat.page
    hard = chat.add_context("Hard", {"a.md": "Alpha. " * 200}, effort="high")
    chat.open(f"/?context={hard}")
    chat.expect_state(chat.ask("What is Alpha?"), "done")
    chat.turns.first.get_by_role("button", name="Ask again of another model").click()
    page.get_by_role("group", name="Ask again of").get_by_role("button", name="claude-haiku-4-5").click()
    expect(chat.notice).to_contain_text("effort")
    chat.expect_state(chat.turns.first, "done")
    expect(chat.turns.first.locator(".asked")).not_to_contain_text("/")
