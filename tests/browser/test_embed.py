"""The module for front ends of one's own: the documentation's page works as it stands, in any origin."""

import random
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app.processes import EmbeddedRedis
from tests.browser.conftest import Complaints
from tests.browser.embedding import ASK, DOCUMENTED, EXAMPLE, ROOT, Embedded, sessions_of
from tests.browser.lifetime import left_ms
from tests.browser.serving import Gate, headstart
from tests.browser.test_modules import split
from tests.commands import headstart as command

MODULE = ROOT / "static" / "headstart.js"
MOST_BYTES = 6_000


def test_the_module_is_small_and_stands_alone() -> None:
    source = MODULE.read_text()
    assert len(source.encode()) < MOST_BYTES
    assert not re.search(r"\bimport\b(?!\.meta)", source)
    assert len(EXAMPLE.splitlines()) <= 15


def test_the_example_warms_answers_and_says_what_the_cache_did(embedded: Embedded, gate: Gate) -> None:
    begun = sessions_of(embedded.page)
    gate.hold_warms()
    expect(embedded.warm).to_have_text("")
    embedded.input.focus()
    expect(embedded.warm).to_have_text("warming")
    gate.open_all()
    expect(embedded.warm).to_have_text("warm")
    embedded.ask("Which ship is ship 42?")
    expect(embedded.warm).to_have_text(re.compile(r"^cache hit, first text after \d+ ms$"))
    assert embedded.answer.text_content() == embedded.stored(begun[0])


@pytest.fixture(scope="module")
def elsewhere() -> Iterator[tuple[str, list[str]]]:
    """Another origin, and the pages it shows: the last one."""
    pages: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages[-1].encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a test's output is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", pages
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def allowing(elsewhere: tuple[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """A server that pages of that origin may call, and where it keeps its data."""
    data = tmp_path_factory.mktemp("allowing")
    with headstart(data, HEADSTART_SANDBOX_SPEED="40", HEADSTART_CORS_ORIGINS=elsewhere[0]) as url:
        yield url, data


def test_a_page_of_an_allowed_origin_can_do_it_too(
    page: Page, elsewhere: tuple[str, list[str]], allowing: tuple[str, Path]
) -> None:
    origin, pages = elsewhere
    pages.append(EXAMPLE.replace(DOCUMENTED, allowing[0]))
    page.goto(origin)
    page.locator("#question").focus()
    expect(page.locator("#warm")).to_have_text("warm")
    page.locator("#question").fill("What is a TaskGroup?")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#warm")).to_have_text(re.compile(r"^cache hit"))
    expect(page.locator("#answer")).not_to_be_empty()
    page.goto("about:blank")


def test_a_key_takes_the_place_of_the_cookie_on_a_page_of_an_allowed_origin(
    page: Page, elsewhere: tuple[str, list[str]], allowing: tuple[str, Path]
) -> None:
    (origin, pages), (url, data) = elsewhere, allowing
    redis = EmbeddedRedis(data / "headstart").url
    key = command("keys", "add", "page", home=data, HEADSTART_REDIS_URL=redis).lines[0]
    keyed = EXAMPLE.replace("{ context: 'asyncio',", f"{{ context: 'asyncio', token: '{key}',")
    assert key in keyed
    pages.append(keyed.replace(DOCUMENTED, url))
    begun = sessions_of(page)
    page.goto(origin)
    page.locator("#question").fill("What is a TaskGroup?")
    page.get_by_role("button", name="Ask").click()
    expect(page.locator("#warm")).to_have_text(re.compile(r"^cache "))
    assert page.context.cookies() == []
    told = f"{url}/api/sessions/{begun[0]}"
    assert page.request.get(told).status == 404
    turns = page.request.get(told, headers={"authorization": f"Bearer {key}"}).json()["turns"]
    assert turns[0]["answer"] == page.locator("#answer").text_content()
    page.goto("about:blank")


def test_an_abort_ends_the_call_and_the_turn(embedded: Embedded, gate: Gate) -> None:
    begun = sessions_of(embedded.page)
    gate.hold_answers(after_deltas=3)
    got = embedded.page.evaluate(ASK, {"abortAt": 1})
    assert got["answer"]["name"] == "AbortError"
    assert len(got["texts"]) == 1
    session = f"{embedded.url}/api/sessions/{begun[0]}"
    embedded.page.wait_for_function(
        "async url => (await (await fetch(url)).json()).turns[0].state === 'stopped'", arg=session
    )


def test_what_goes_wrong_is_thrown_with_the_problems_members(embedded: Embedded, gate: Gate) -> None:
    gate.refusing = True
    answer = embedded.page.evaluate(ASK, {})["answer"]
    assert answer == {"name": "Error", "code": "upstream_auth", "retryable": False}


def test_a_refused_question_is_thrown_too(embedded: Embedded, complaints: Complaints) -> None:
    complaints.expects("404")
    answer = embedded.page.evaluate(ASK, {"session": "s_nothing"})["answer"]
    assert (answer["code"], answer["retryable"]) == ("session_not_found", False)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_events_are_the_same_however_their_bytes_were_cut(embedded: Embedded, end: str) -> None:
    lines = [
        ": a comment",
        "id: 7",
        "event: é",
        'data: {"a":',
        'data:"data: 😀\u2028id: 9"}',
        "",
        "event: ping",
        "data: {}",
        "",
    ]
    stream = end.join([*lines, "data: never ended"]).encode()
    dice = random.Random(end)
    for cut in [[[byte] for byte in stream], *(split(stream, dice) for _ in range(40))]:
        got = embedded.page.evaluate(
            """async (chunks) => {
                const { events } = await import('/static/headstart.js');
                const body = new ReadableStream({ start(to) {
                    for (const chunk of chunks) to.enqueue(new Uint8Array(chunk));
                    to.close();
                } });
                const found = [];
                for await (const event of events(body)) found.push(event);
                return found;
            }""",
            cut,
        )
        assert got == [
            {"event": "é", "data": {"a": "data: 😀\u2028id: 9"}, "id": 7},
            {"event": "ping", "data": {}, "id": 0},
        ]


def test_a_hidden_tab_warms_nothing_and_a_reader_who_is_there_keeps_it_warm(page: Page, sandboxed: str) -> None:
    page.clock.install()
    embedded = Embedded(page, sandboxed, "asyncio").open()
    warms: list[str] = []
    page.on("request", lambda request: warms.append(str(request.post_data)) if "/warm" in request.url else None)
    warmed: list[str] = []
    page.on("request", lambda request: warmed.append(request.url) if "/warm" in request.url else None)
    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    embedded.input.focus()
    page.clock.run_for(5_000)
    assert warms == []
    page.evaluate("delete document.hidden")
    embedded.input.blur()
    embedded.input.focus()
    expect(embedded.warm).to_have_text("warm")
    before = len(warms)
    page.clock.run_for(left_ms(page, warmed[-1]) - 30_000)
    assert len(warms) == before
    with page.expect_request("**/warm"):
        page.mouse.move(50, 50)
        # The page's clock stands while a busy machine takes its time, and the entry lives by the server's.
        page.clock.run_for(60_000)
