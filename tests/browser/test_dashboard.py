"""The dashboard in a real browser: right at a glance, alive while it is looked at, and whole without a script."""

import re
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest
from playwright.sync_api import Browser, Locator, Page, Route, expect

from app.web.inline import BASE_CSS
from tests.browser.chat import Chat
from tests.browser.conftest import SPEED, Complaints
from tests.browser.serving import headstart
from tests.browser.test_page import HOSTILE, contrast

SHOW = """state => {
    Object.defineProperty(document, 'visibilityState', {configurable: true, get: () => state});
    document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture(scope="module")
def answered(sandboxed: str) -> str:
    """A server of which something was asked, warm."""
    with httpx2.Client(base_url=sandboxed, timeout=30) as http:
        session = "/api/sessions/" + http.post("/api/sessions", json={"context": "asyncio"}).json()["session"]
        assert http.post(f"{session}/warm", json={"trigger": "api", "wait": True}).json()["warm"]["state"] == "warm"
        assert "event: verdict" in http.post(f"{session}/ask", json={"question": "What is a Future?"}).text
    return sandboxed


@pytest.fixture
def asked(page: Page, answered: str) -> Chat:
    """The dashboard, opened after a question, on a clock that the test turns."""
    page.clock.install()
    return Chat(page, answered).open("/dashboard")


@pytest.fixture
def unasked(tmp_path: Path) -> Iterator[str]:
    with headstart(tmp_path / "unasked", HEADSTART_SANDBOX_SPEED=str(SPEED)) as url:
        yield url


def card(page: Page, name: str) -> Locator:
    return page.locator(".totals div").filter(has=page.get_by_text(name, exact=True))


def questions(page: Page) -> int:
    found = re.search(r"of ([\d,]+) question", card(page, "Cache hits").inner_text())
    assert found
    return int(found[1].replace(",", ""))


def test_the_figures_that_matter_are_there_at_a_glance(asked: Chat) -> None:
    page = asked.page
    totals = page.request.get(asked.url + "/api/stats").json()["totals"]
    assert questions(page) == totals["turns"]
    for name in ("Cache hits", "First text when warm", "Waiting saved", "Saved against no caching"):
        expect(card(page, name)).to_be_in_viewport()
    expect(card(page, "Saved against no caching")).to_contain_text("$")


def test_charts_have_names_and_their_numbers_are_tables(asked: Chat) -> None:
    page = asked.page
    stats = page.request.get(asked.url + "/api/stats").json()
    for chart in ("Questions", "Median time to the first text", "Money spent", "Distribution of the time to the first"):
        expect(page.get_by_role("img", name=chart).locator("visible=true")).to_have_count(1)
    panel = page.locator("#questions")
    panel.get_by_text("Numbers").click()
    cells = panel.locator("tbody td").all_inner_texts()
    assert sum(int(cell.replace(",", "")) for cell in cells if cell != "–") == stats["totals"]["turns"]
    starts = page.locator("#starts")
    starts.get_by_text("Numbers").click()
    expect(starts.locator("tbody tr").first).to_contain_text("First text")


def test_hours_and_days_are_a_link_apart(asked: Chat) -> None:
    page = asked.page
    page.get_by_role("link", name="24 hours").click()
    expect(page.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "true")
    assert page.locator("#questions .broad g").count() == 24
    page.get_by_role("link", name="30 days").click()
    expect(page.get_by_role("link", name="30 days")).to_have_attribute("aria-current", "true")
    assert page.locator("#questions .broad g").count() == 30


def test_it_follows_while_it_is_open_and_leaves_the_reader_where_they_are(asked: Chat) -> None:
    page = asked.page
    before = questions(page)
    summary = page.locator("#questions summary")
    summary.focus()
    page.keyboard.press("Enter")
    other = Chat(page.context.new_page(), asked.url).open()
    other.expect_state(other.ask("And a Task?"), "done")
    page.clock.run_for(5000)
    expect(card(page, "Cache hits")).to_contain_text(f"of {before + 1:,} questions")
    expect(page.locator("#questions details")).to_have_attribute("open", "")
    expect(summary).to_be_focused()


def test_a_part_that_is_new_leaves_the_reader_where_they_are(page: Page, answered: str) -> None:
    def without_misses(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(
            response=answer, body=re.sub(r'(?s)<section[^>]*data-part="misses".*?</section>', "", answer.text())
        )

    page.clock.install()
    page.route("**/dashboard", without_misses)
    Chat(page, answered).open("/dashboard")
    expect(page.locator("#misses")).to_have_count(0)
    summary = page.locator("#questions summary")
    summary.focus()
    page.keyboard.press("Enter")
    page.unroute("**/dashboard")
    page.clock.run_for(5000)
    expect(page.locator("#misses")).to_be_visible()
    expect(page.locator("#questions details")).to_have_attribute("open", "")
    expect(summary).to_be_focused()


def test_nothing_is_fetched_while_nobody_looks(asked: Chat) -> None:
    page = asked.page
    fetched: list[str] = []
    page.on("request", lambda request: fetched.append(request.url) if "/dashboard" in request.url else None)
    page.evaluate(SHOW, "hidden")
    page.clock.run_for(60_000)
    assert fetched == []
    with page.expect_response("**/dashboard"):
        page.evaluate(SHOW, "visible")
    with page.expect_response("**/dashboard"):
        page.clock.run_for(5000)


def test_a_server_that_is_away_is_said_and_so_is_its_return(asked: Chat, complaints: Complaints) -> None:
    complaints.expects("ERR_FAILED")
    page, status = asked.page, asked.page.get_by_role("status")
    page.route("**/dashboard", lambda route: route.abort())
    page.clock.run_for(5000)
    expect(status).to_contain_text("The server cannot be reached.")
    page.unroute("**/dashboard")
    page.clock.run_for(5000)
    expect(status).to_be_empty()


def test_before_the_first_question_it_says_so_and_then_comes_alive(page: Page, unasked: str) -> None:
    page.clock.install()
    chat = Chat(page, unasked).open("/dashboard")
    expect(page.get_by_text("Nothing yet.")).to_be_visible()
    other = Chat(page.context.new_page(), unasked).open()
    other.expect_state(other.ask("What is a Future?"), "done")
    # One look may have been under way when the question was counted; the next one sees it.
    for _ in range(2):
        with chat.page.expect_response("**/dashboard"):
            chat.page.clock.run_for(5000)
    expect(card(page, "Cache hits")).to_be_visible()
    assert questions(page) == 1


def test_it_is_whole_without_scripts(browser: Browser, asked: Chat) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(asked.url + "/dashboard")
    assert questions(page) >= 1
    expect(page.locator("#questions svg").locator("visible=true")).to_have_count(1)
    page.locator("#questions summary").click()
    expect(page.locator("#questions table")).to_be_visible()
    context.close()


@pytest.mark.parametrize(
    ("width", "shown", "hidden"),
    [(320, "slim", "broad"), (375, "slim", "broad"), (640, "broad", "slim"), (1280, "broad", "slim")],
)
def test_it_fits_a_phone_and_a_desk(asked: Chat, width: int, shown: str, hidden: str) -> None:
    page = asked.page
    page.set_viewport_size({"width": width, "height": 800})
    for summary in page.locator("summary").all():
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    expect(page.locator(f"#questions .{shown}")).to_be_visible()
    expect(page.locator(f"#questions .{hidden}")).to_be_hidden()
    drawn = page.locator(".panel svg:visible")
    expect(drawn).to_have_count(page.locator(f".panel .{shown}").count())
    # As wide as there is room, and not what another page means by a name.
    assert all(box and box["width"] > 200 and box["height"] > 60 for box in map(Locator.bounding_box, drawn.all()))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(asked: Chat, scheme: str) -> None:
    page = asked.page
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    for selector in (".totals dd", ".totals .said", ".note", ".legend", ".span a", "thead th", ".panel p"):
        assert contrast(page, selector) >= 4.5, selector


def test_a_long_name_leaves_room_for_its_figures(page: Page, sandboxed: str) -> None:
    chat = Chat(page, sandboxed)
    name = "x" * 200
    context = chat.add_context(name, {"a.md": "lighthouse " * 2000})
    chat.open(f"/?context={context}")
    chat.expect_state(chat.ask("lighthouse?"), "done")
    page.set_viewport_size({"width": 390, "height": 800})
    chat.open("/dashboard")
    row = page.get_by_role("row").filter(has=page.get_by_role("rowheader", name=name))
    row.scroll_into_view_if_needed()
    expect(row.get_by_role("cell").first).to_be_in_viewport()


def test_nothing_is_inline_but_the_stylesheet_and_names_stay_text(page: Page, sandboxed: str) -> None:
    chat = Chat(page, sandboxed)
    context = chat.add_context(HOSTILE[1], {"a.md": "lighthouse " * 2000})
    chat.open(f"/?context={context}")
    chat.expect_state(chat.ask("lighthouse?"), "done")
    chat.open("/dashboard")
    expect(page.get_by_role("rowheader", name=HOSTILE[1])).to_be_visible()
    assert page.locator("style").all_text_contents() == [BASE_CSS]
    assert page.locator("script:not([src]), [style], [onclick]").count() == 0
    assert page.locator("main :is(img, script, iframe)").count() == 0
    assert page.evaluate("window.hacked") is None
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    unnamed = page.locator("[role=region]:not([aria-label]), svg:not([aria-label], [aria-hidden]), table:not(:has(th))")
    expect(unnamed).to_have_count(0)
