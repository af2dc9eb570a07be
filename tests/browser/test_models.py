"""Another model than the context's own: chosen by the reader, for each new conversation, until they choose again."""

import re

from playwright.sync_api import Locator, Page, expect

from tests.browser.chat import Chat
from tests.browser.conftest import Complaints

OWN, OTHER = "claude-sonnet-5-5", "claude-opus-5-5"


def about(page: Page) -> Locator:
    return page.locator(".about:visible")


def opened(chat: Chat) -> None:
    """What is chosen earlier is held until the page is whole, and would close a sheet that was opened meanwhile."""
    chat.open()
    chat.page.locator("#sidebar").wait_for()


def choose(page: Page, model: str) -> None:
    if about(page).get_attribute("open") is None:
        about(page).locator("summary").click()
    about(page).get_by_label("The model that answers").select_option(model)
    page.keyboard.press("Escape")


def model_of(chat: Chat, session: str) -> str:
    return str(chat.page.request.get(f"{chat.url}/api/sessions/{session}").json()["model"])


def test_another_model_answers_this_conversation_and_the_next_until_its_own_is_chosen_again(chat: Chat) -> None:
    page = chat.page
    summary = about(page).locator("summary")
    expect(summary).not_to_contain_text("claude")
    choose(page, OTHER)
    expect(summary).to_contain_text(OTHER)
    expect(chat.notice).to_be_hidden()
    turn = chat.ask("What is a Future?")
    chat.expect_state(turn, "done")
    assert model_of(chat, chat.session) == OTHER
    turn.locator(".times summary").click()
    expect(turn.locator(".by")).to_contain_text(OTHER)
    # The page that comes back says so too, and goes on with it.
    page.reload()
    expect(summary).to_contain_text(OTHER)
    about(page).locator("summary").click()
    expect(about(page).get_by_label("The model that answers")).to_have_value(OTHER)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="New conversation").click()
    chat.expect_state(chat.ask("What is a Task?"), "done")
    assert model_of(chat, chat.session) == OTHER
    page.get_by_role("button", name="New conversation").click()
    choose(page, OWN)
    expect(summary).not_to_contain_text("claude")
    chat.expect_state(chat.ask("What is a Lock?"), "done")
    assert model_of(chat, chat.session) == OWN


def test_in_the_middle_of_a_conversation_another_one_begins_with_what_is_written(chat: Chat) -> None:
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    first = chat.session
    chat.input.fill("And what")
    choose(page, OTHER)
    expect(chat.turns).to_have_count(0)
    expect(chat.notice).to_contain_text("in a new conversation; this one stays in the list")
    expect(chat.input).to_have_value("And what")
    expect(page.locator(f"#conversations a[href$='{first}']")).to_have_count(1)
    chat.input.press_sequentially(" is a Task?")
    chat.input.press("Enter")
    expect(chat.turns).to_have_count(1)
    chat.expect_state(chat.turns.first, "done")
    assert (model_of(chat, first), model_of(chat, chat.session)) == (OWN, OTHER)
    # Back in the first one, it says who answers there.
    page.locator(f"#conversations a[href$='{first}']").click()
    expect(chat.turns.first.locator(".question")).to_contain_text("What is a Future?")
    expect(about(page).locator("summary")).not_to_contain_text("claude")


def test_each_context_has_a_choice_of_its_own_and_a_model_that_no_list_has_is_shown(chat: Chat) -> None:
    page = chat.page
    for name in ("Ships", "Docks"):
        chat.add_context(name, {"a.md": "Anna has 1200 tons. " * 300})
    opened(chat)
    picker = page.get_by_role("combobox", name="Context")
    picker.select_option(label="Ships")
    choose(page, OTHER)
    picker.select_option(label="Docks")
    expect(about(page).locator("summary")).not_to_contain_text("claude")
    picker.select_option(label="Ships")
    expect(about(page).locator("summary")).to_contain_text(OTHER)
    made = page.request.post(f"{chat.url}/api/sessions", data={"context": "Docks", "model": "house-model-1"}).json()
    page.goto(f"{chat.url}/?session={made['session']}")
    expect(about(page).locator("summary")).to_contain_text("house-model-1")
    about(page).locator("summary").click()
    select = about(page).get_by_label("The model that answers")
    expect(select).to_have_value("house-model-1")
    names = select.locator("option").all_text_contents()
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
