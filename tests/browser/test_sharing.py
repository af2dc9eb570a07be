"""Sharing a conversation: a link that is made, copied, led further and taken back, and what it leads a stranger to."""

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.chat import Chat
from tests.browser.conftest import Complaints
from tests.browser.test_access import serious
from tests.rendering.payloads import PAYLOADS


def options(page: Page) -> None:
    page.locator("#conversations").get_by_role("button", name="Options").first.click()


def dialog(page: Page) -> Locator:
    return page.get_by_role("dialog", name="Share")


def shared(page: Page) -> str:
    """The address that the dialog shows."""
    expect(page.get_by_label("The link")).to_be_visible()
    return page.get_by_label("The link").input_value()


def questions(browser: Browser, complaints: Complaints, link: str) -> list[str]:
    """What a stranger reads at `link`, in whose browser nothing is wrong."""
    with browser.new_context(color_scheme="dark") as context:
        page = context.new_page()
        page.on("console", complaints.hear)
        answer = page.goto(link)
        assert answer
        if answer.status == 404:
            expect(page.get_by_text("This link leads nowhere")).to_be_visible()
            return []
        assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == "rgb(24, 24, 23)"
        assert page.locator("script, button, form").count() == 0
        assert serious(page) == []
        return page.locator("h2").all_text_contents()


def test_a_conversation_is_shared_as_far_as_it_had_come_until_that_is_stopped(
    chat: Chat, browser: Browser, complaints: Complaints
) -> None:
    complaints.expects("404")
    page = chat.page
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    chat.expect_state(chat.ask("What is a Future?"), "done")
    # By keyboard alone: the third in the menu, then the first that is offered.
    page.locator("#conversations").get_by_role("button", name="Options").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pin", exact=True)).to_be_focused()
    for _ in range(2):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(dialog(page)).to_contain_text("can read what was asked and answered so far")
    assert serious(page) == []
    expect(page.get_by_label("The link")).to_be_hidden()
    expect(page.get_by_role("button", name="Make a link")).to_be_focused()
    page.keyboard.press("Enter")
    link = shared(page)
    expect(page.get_by_role("button", name="Copy the link")).to_be_focused()
    page.keyboard.press("Enter")
    expect(dialog(page).get_by_role("status")).to_have_text("Copied.")
    assert page.evaluate("navigator.clipboard.readText()") == link
    assert serious(page) == []
    page.keyboard.press("Escape")
    expect(dialog(page)).to_have_count(0)
    expect(page.locator("#conversations a").first).to_be_focused()
    assert questions(browser, complaints, link) == ["What is a Future?"]

    chat.expect_state(chat.ask("What is a Task?"), "done")
    assert questions(browser, complaints, link) == ["What is a Future?"]
    options(page)
    page.get_by_role("button", name="Share…").click()
    expect(dialog(page)).to_contain_text("1 question and what was answered. What came since is not shared.")
    page.get_by_role("button", name="Share what came since").click()
    expect(dialog(page)).to_contain_text("2 questions and what was answered.")
    expect(dialog(page)).not_to_contain_text("What came since")
    assert shared(page) == link
    assert questions(browser, complaints, link) == ["What is a Future?", "What is a Task?"]

    page.get_by_role("button", name="Stop sharing").click()
    expect(page.get_by_role("button", name="Make a link")).to_be_visible()
    assert questions(browser, complaints, link) == []
    page.get_by_role("button", name="Make a link").click()
    assert shared(page) != link
    page.get_by_role("button", name="Close").click()
    assert questions(browser, complaints, link) == []


def test_what_another_branch_shares_can_be_stopped_from_any(
    chat: Chat, browser: Browser, complaints: Complaints
) -> None:
    complaints.expects("404")
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    options(page)
    page.get_by_role("button", name="Share…").click()
    page.get_by_role("button", name="Make a link").click()
    link = shared(page)
    page.get_by_role("button", name="Close").click()
    chat.turns.first.get_by_role("button", name="Ask again, word for word").click()
    expect(chat.turns.first.locator(".asked")).to_contain_text("2/2")
    chat.expect_state(chat.turns.first, "done")
    options(page)
    page.get_by_role("button", name="Share…").click()
    expect(dialog(page)).to_contain_text("1 other branch of it is shared, too.")
    assert questions(browser, complaints, link) == ["What is a Future?"]
    page.get_by_role("button", name="Stop sharing others").click()
    expect(dialog(page)).not_to_contain_text("other branch")
    assert questions(browser, complaints, link) == []


def test_what_is_refused_is_said_where_it_was_asked_for(chat: Chat, complaints: Complaints) -> None:
    complaints.expects("404")
    page = chat.page
    chat.expect_state(chat.ask("What is a Future?"), "done")
    options(page)
    page.get_by_role("button", name="Share…").click()
    expect(page.get_by_role("button", name="Make a link")).to_be_visible()
    page.request.delete(f"{chat.url}/api/sessions/{chat.session}")
    page.get_by_role("button", name="Make a link").click()
    expect(dialog(page).get_by_role("status")).to_contain_text("no such session")
    page.get_by_role("button", name="Cancel").click()
    options(page)
    page.get_by_role("button", name="Share…").click()
    expect(page.locator("#conversations-said")).to_contain_text("no such session")
    expect(dialog(page)).to_have_count(0)


@pytest.mark.parametrize("payload", PAYLOADS[:4])
def test_a_title_that_attacks_is_a_title(chat: Chat, browser: Browser, complaints: Complaints, payload: str) -> None:
    page = chat.page
    question = " ".join(payload.split())
    chat.expect_state(chat.ask(question), "done")
    options(page)
    page.get_by_role("button", name="Share…").click()
    expect(dialog(page).locator("h2")).to_contain_text(question[:20])
    page.get_by_role("button", name="Make a link").click()
    assert [" ".join(one.split()) for one in questions(browser, complaints, shared(page))] == [question]
    assert page.evaluate("window.hacked") is None
