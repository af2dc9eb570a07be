"""Citations: switched on for a context, kept with the answer, and followed to their passage by whoever may ask."""

import json
from collections.abc import Iterator
from typing import Any

import httpx2
import pytest

from tests.client import Client
from tests.recorder import END, Exchange, Recorder, answer, message_start, text_events
from tests.web.test_html_streams import ask, shown

TEXT = "Nobody may enter.\nThe keeper may enter at night.\n" * 40
QUOTE = "The keeper may enter at night."
PLACE = {
    "type": "char_location",
    "cited_text": QUOTE,
    "document_index": 1,
    "document_title": "rules.md",
    "start_char_index": TEXT.index(QUOTE),
    "end_char_index": TEXT.index(QUOTE) + len(QUOTE),
    "file_id": None,
}


@pytest.fixture
def stranger(server: str) -> Iterator[Client]:
    with httpx2.Client(base_url=server, timeout=30) as http:
        yield Client(http)


@pytest.fixture
def session(client: Client, upstream: Recorder) -> str:
    documents = [{"title": "other.md", "text": "Something else. " * 50}, {"title": "rules.md", "text": TEXT}]
    added = client.add_context(documents=documents, citations=True)
    assert added["parameters"]["citations"] is True

    async def respond(exchange: Exchange) -> None:
        if exchange.is_warm:
            await answer(exchange)
            return
        await exchange.start_stream()
        cited = {"type": "content_block_delta", "index": 1, "delta": {"type": "citations_delta", "citation": PLACE}}
        begins, *words, ends = text_events("the keeper does.", 1)
        for event in [message_start(), *text_events("At night, ", 0), begins, *words, cited, ends, *END]:
            await exchange.event(event)
        await exchange.end_stream()

    upstream.default = respond
    return str(client.start()["session"])


def test_every_document_of_such_a_context_is_sent_with_citations_enabled(
    client: Client, upstream: Recorder, session: str
) -> None:
    client.ask(session, "Who may enter?")
    content = upstream.asks[0].json["messages"][0]["content"]
    assert [block.get("citations") for block in content] == [{"enabled": True}, {"enabled": True}, None]


def test_it_is_another_context_than_one_without(client: Client) -> None:
    plain = client.add_context("plain")
    assert plain["parameters"]["citations"] is False
    assert client.add_context("cited", citations=True)["context"] != plain["context"]
    assert client.add_context("plain again", citations=False)["context"] == plain["context"]


@pytest.mark.parametrize(("said", "meant"), [("true", True), ("false", False)])
def test_a_form_says_it_as_a_word(client: Client, said: str, meant: bool) -> None:
    files = [("files", ("a.md", b"Some text.", "text/plain"))]
    response = client.http.post("/api/contexts", data={"name": "form", "citations": said}, files=files)
    assert response.json()["parameters"]["citations"] is meant


def test_a_form_that_says_something_else_is_told(client: Client) -> None:
    files = [("files", ("a.md", b"Some text.", "text/plain"))]
    response = client.http.post("/api/contexts", data={"name": "form", "citations": "maybe"}, files=files)
    assert (response.status_code, response.json()["errors"][0]["field"]) == (422, "citations")


def test_a_claim_carries_the_mark_of_its_passage_live_and_later(client: Client, session: str) -> None:
    blocks, _ = shown(ask(client, session))
    assert len(blocks) == 1
    assert blocks[0].startswith("<p>At night, the keeper does.<sup><button")
    for attribute in ('title="rules.md"', 'data-document="1"', f'data-start="{PLACE["start_char_index"]}"'):
        assert attribute in blocks[0]
    told = client.http.get(f"/api/sessions/{session}?render=html").json()["turns"][0]
    assert told["html"] == blocks
    assert told["answer"] == "At night, the keeper does."


def test_the_next_question_sends_the_citations_back_as_the_api_takes_them(
    client: Client, upstream: Recorder, session: str
) -> None:
    for question in ("Who?", "Really?"):
        client.ask(session, question)
    content = upstream.asks[1].json["messages"][1]["content"]
    assert content[1]["citations"] == [{name: value for name, value in PLACE.items() if name != "file_id"}]


def passage(client: Client, session: str, number: Any, **place: Any) -> httpx2.Response:
    return client.http.get(f"/api/sessions/{session}/documents/{number}", params=place)


def test_the_mark_leads_to_the_passage_in_its_document(client: Client, session: str) -> None:
    found = passage(client, session, 1, start=PLACE["start_char_index"], end=PLACE["end_char_index"]).json()
    assert (found["title"], found["passage"]) == ("rules.md", QUOTE)
    assert (found["first_line"], found["last_line"], found["chars"]) == (2, 2, len(TEXT))
    assert found["before"] + found["passage"] + found["after"] == TEXT


def test_the_document_stays_for_those_who_asked_when_its_context_is_replaced(client: Client, session: str) -> None:
    client.add_context(documents=[{"title": "rules.md", "text": "All new."}])
    assert passage(client, session, 1, start=0, end=6).json()["passage"] == "Nobody"


@pytest.mark.parametrize(
    ("number", "place", "status", "code"),
    [
        (2, {}, 404, "document_not_found"),
        (1 << 30, {}, 404, "document_not_found"),
        (-1, {}, 422, "invalid_request"),
        ("x", {}, 422, "invalid_request"),
        (1, {"start": -1}, 422, "invalid_request"),
        (1, {"end": 1 << 40}, 422, "invalid_request"),
    ],
)
def test_a_place_that_is_not_there_is_a_problem(
    client: Client, session: str, number: Any, place: dict[str, Any], status: int, code: str
) -> None:
    response = passage(client, session, number, **place)
    assert (response.status_code, json.loads(response.text)["code"]) == (status, code)


def test_a_place_beyond_the_end_is_the_end(client: Client, session: str) -> None:
    found = passage(client, session, 1, start=10_000_000, end=20_000_000).json()
    assert (found["passage"], found["after"]) == ("", "")


def test_nobody_else_sees_the_documents(client: Client, stranger: Client, session: str) -> None:
    assert passage(client, session, 1).status_code == 200
    response = passage(stranger, session, 1)
    assert (response.status_code, response.json()["code"]) == (404, "session_not_found")
