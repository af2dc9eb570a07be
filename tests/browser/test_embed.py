"""The module for front ends of one's own: the documentation's page works as it stands, and answers survive the network."""

import json
import random
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, Response, Route, expect

from tests.balancer import Balancer
from tests.browser.conftest import Complaints
from tests.browser.lifetime import left_ms
from tests.browser.serving import Gate, headstart
from tests.browser.test_modules import split

ROOT = Path(__file__).resolve().parents[2]
MODULE = ROOT / "static" / "headstart.js"
MOST_BYTES = 6 * 1024
DOCUMENTED = "http://127.0.0.1:8000"
EXAMPLE = re.findall(r"```html\n(.*?)```", (ROOT / "docs" / "embed.md").read_text(), re.S)[0]


class Embedded:
    """The example, from the origin of the server at `url`."""

    def __init__(self, page: Page, url: str, context: str) -> None:
        self.page = page
        self.url = url
        html = EXAMPLE.replace(DOCUMENTED, url).replace("'asyncio'", f"'{context}'")
        page.route("**/embedded", lambda route: route.fulfill(body=html, content_type="text/html; charset=utf-8"))
        self.input = page.locator("#question")
        self.warm = page.locator("#warm")
        self.answer = page.locator("#answer")

    def add_lighthouse(self) -> None:
        """A context that nothing has warmed yet."""
        lines = "\n".join(f"Line {n}: the lighthouse keeper counts ships, and this is ship {n}." for n in range(400))
        documents = [{"title": "keeper.md", "text": f"Logbook {uuid4()}\n{lines}"}]
        made = self.page.request.post(f"{self.url}/api/contexts", data={"name": "Lighthouse", "documents": documents})
        assert made.ok, made.text()

    def open(self) -> "Embedded":
        self.page.goto(f"{self.url}/embedded")
        return self

    def ask(self, question: str) -> None:
        self.input.fill(question)
        self.page.get_by_role("button", name="Ask").click()

    def stored(self, session: str) -> str:
        turns = self.page.request.get(f"{self.url}/api/sessions/{session}").json()["turns"]
        return str(turns[-1]["answer"])


@pytest.fixture
def embedded(wire: Balancer, page: Page) -> Embedded:
    found = Embedded(page, wire.url, "Lighthouse")
    found.add_lighthouse()
    return found.open()


def sessions_of(page: Page) -> list[str]:
    """The sessions that the page calls from now on."""
    called: list[str] = []

    def hear(response: Response) -> None:
        if found := re.search(r"/api/sessions/(\w+)/", response.url):
            called.append(found[1])

    page.on("response", hear)
    return called


def test_the_module_is_small_and_stands_alone() -> None:
    source = MODULE.read_text()
    assert len(source.encode()) < MOST_BYTES
    assert not re.search(r"\bimport\b(?!\.meta)", source)
    assert len(EXAMPLE.splitlines()) <= 17


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


@contextmanager
def elsewhere(pages: list[str]) -> Iterator[str]:
    """Another origin. It shows the first of `pages`, once there is one."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(pages[0].encode())

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing: a test's output is the test's."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_of_an_allowed_origin_can_do_it_too(page: Page, tmp_path: Path) -> None:
    pages: list[str] = []
    with (
        elsewhere(pages) as origin,
        headstart(tmp_path, HEADSTART_SANDBOX_SPEED="40", HEADSTART_CORS_ORIGINS=origin) as url,
    ):
        pages.append(EXAMPLE.replace(DOCUMENTED, url))
        page.goto(origin)
        page.locator("#question").focus()
        expect(page.locator("#warm")).to_have_text("warm")
        page.locator("#question").fill("What is a TaskGroup?")
        page.get_by_role("button", name="Ask").click()
        expect(page.locator("#warm")).to_have_text(re.compile(r"^cache hit"))
        expect(page.locator("#answer")).not_to_be_empty()
        page.goto("about:blank")


def test_an_answer_is_whole_when_the_network_was_cut_in_its_middle(
    embedded: Embedded, gate: Gate, wire: Balancer, complaints: Complaints
) -> None:
    complaints.expects("net::ERR")
    begun = sessions_of(embedded.page)
    gate.hold_answers(after_deltas=3)
    embedded.ask("Which ship is ship 42?")
    expect(embedded.answer).not_to_be_empty()
    with embedded.page.expect_event("requestfailed"):
        wire.cut()
    gate.open_all()
    wire.mend()
    expect(embedded.warm).to_have_text(re.compile("^cache "))
    assert embedded.answer.text_content() == embedded.stored(begun[0])
    assert len(embedded.stored(begun[0])) > 100


ASK = """async ({abortAt = Infinity, session, base = ''}) => {
    const { attach } = await import('/static/headstart.js');
    const abort = new AbortController();
    const chat = attach(document.querySelector('textarea'), { context: 'Lighthouse', session, base });
    const texts = [], ids = [];
    const onText = (text) => { texts.push(text); if (texts.length === abortAt) abort.abort(); };
    const onEvent = ({ id }) => id && ids.push(id);
    const asked = chat.ask('Which ship is ship 7?', { onText, onEvent, signal: abort.signal });
    const answer = await asked.catch(({ name, code, retryable }) => ({ name, code, retryable }));
    chat.detach();
    return { answer, texts, ids };
}"""


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


def frames(*events: tuple[int, str, dict[str, object]]) -> str:
    return "".join(f"id: {n}\r\nevent: {name}\r\ndata: {json.dumps(data)}\r\n\r\n" for n, name, data in events)


def delta(n: int, text: str) -> tuple[int, str, dict[str, object]]:
    return n, "content_block_delta", {"delta": {"type": "text_delta", "text": text}}


def test_a_restart_begins_the_text_anew_and_what_comes_twice_counts_once(
    embedded: Embedded, complaints: Complaints
) -> None:
    complaints.expects("503")
    whole = [(1, "turn", {}), (2, "message_start", {}), delta(3, "lost"), (4, "restart", {}), (5, "message_start", {})]
    whole += [delta(6, "kept "), delta(7, "whole"), (8, "verdict", {"cache": "hit"})]
    tails: list[str | None] = []

    def ask(route: Route) -> None:
        route.fulfill(body=frames(*whole[:3]), headers={"turn-id": "t_1"}, content_type="text/event-stream")

    def tail(route: Route) -> None:
        tails.append(route.request.headers.get("last-event-id"))
        if len(tails) == 1:
            route.fulfill(status=503, json={"detail": "Away.", "retryable": True}, headers={"retry-after": "1"})
        else:
            route.fulfill(body=frames(*whole[1:6] if len(tails) == 2 else whole), content_type="text/event-stream")

    embedded.page.route("**/ask", ask)
    embedded.page.route("**/events", tail)
    got = embedded.page.evaluate(ASK, {"session": "s_1"})
    assert got["texts"] == ["lost", "", "kept ", "kept whole"]
    assert got["ids"] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert tails == ["3", "3", "6"]
    assert got["answer"] == {"turn": "t_1", "text": "kept whole", "verdict": {"cache": "hit"}}


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
