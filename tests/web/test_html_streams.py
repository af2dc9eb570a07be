"""`render=html`: the raw events stay as they are, and the blocks between them come to the whole answer."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from app.rendering.answer import blocks_of
from tests.client import Client, Event, events
from tests.recorder import END, Exchange, Recorder, answer, message_start, text_events
from tests.rendering.payloads import PAYLOADS

TEXT = "# Title\n\nSome **bold** words.\n\n- a\n- b\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```python\nx = 1\n```\n\nThe end."
WHOLE = blocks_of([{"type": "text", "text": TEXT}])


def shown(stream: Iterable[Event]) -> tuple[list[str], list[Event]]:
    """What a page shows at the end of `stream`, and the events that are not about it."""
    blocks: list[str] = []
    raw = []
    for event in stream:
        if event.name != "html":
            raw.append(event)
            continue
        assert event.id is None
        number = event.data["block"]
        assert number <= len(blocks)
        blocks[number : None if event.data["open"] else number + 1] = [event.data["html"]]
    return blocks, raw


def stream(client: Client, turn: str, path: str = "", **headers: str) -> list[Event]:
    with client.http.stream("GET", f"/api/turns/{turn}/events{path}", headers=headers) as response:
        assert response.status_code == 200, response.read()
        return list(events(response.iter_bytes()))


def ask(client: Client, session: str, path: str = "?render=html") -> list[Event]:
    url = f"/api/sessions/{session}/ask{path}"
    with client.http.stream("POST", url, json={"question": "What?"}) as response:
        assert response.status_code == 200, response.read()
        return list(events(response.iter_bytes()))


@pytest.fixture
def session(client: Client) -> str:
    client.add_context()
    return str(client.start()["session"])


def answers(upstream: Recorder, made: list[dict[str, Any]]) -> None:
    async def respond(exchange: Exchange) -> None:
        if exchange.is_warm:
            await answer(exchange)
            return
        await exchange.start_stream()
        for event in [message_start(), *made, *END]:
            await exchange.event(event)
        await exchange.end_stream()

    upstream.default = respond


def test_the_blocks_come_to_the_whole_answer_before_the_end(client: Client, upstream: Recorder, session: str) -> None:
    answers(upstream, text_events(TEXT, pieces=40))
    stream = ask(client, session)
    blocks, raw = shown(stream)
    assert blocks == WHOLE
    assert stream[-1].name == "verdict"
    assert not any(event.data["open"] for event in stream[-2:-1] if event.name == "html")
    assert raw[0].name == "turn"


def test_raw_events_are_the_same_bytes_with_and_without(client: Client, upstream: Recorder, session: str) -> None:
    answers(upstream, text_events(TEXT, pieces=20))
    with_html = ask(client, session)
    turn = with_html[0].data["turn"]
    plain = stream(client, turn)
    assert [event.raw for event in shown(with_html)[1] if event.id] == [event.raw for event in plain if event.id]
    assert all(event.name != "html" for event in plain)


def test_who_comes_back_after_any_event_has_all_blocks_whole(client: Client, upstream: Recorder, session: str) -> None:
    answers(upstream, text_events(TEXT, pieces=15))
    every = ask(client, session)
    turn = every[0].data["turn"]
    ids = [event.id for event in every if event.id]
    for number, seen in enumerate(ids[:-1]):
        for path, headers in ((f"?render=html&after={seen}", {}), ("?render=html", {"Last-Event-ID": str(seen)})):
            blocks, raw = shown(stream(client, turn, path, **headers))
            assert blocks == WHOLE
            assert [event.id for event in raw if event.id] == ids[number + 1 :]


def test_a_message_that_begins_anew_takes_its_blocks_back(client: Client, upstream: Recorder, session: str) -> None:
    answers(upstream, [*text_events("Lost.\n\nLost too.\n\nAnd this", pieces=3), message_start(2), *text_events(TEXT)])
    blocks, _ = shown(ask(client, session))
    assert blocks == WHOLE


def test_a_stopped_answer_is_shown_as_far_as_it_came(client: Client, upstream: Recorder, session: str) -> None:
    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for event in [message_start(), *text_events("One.\n\nTwo **thr")[:-1]]:
            await exchange.event(event)
        await exchange.pause()

    upstream.default = respond
    url = f"/api/sessions/{session}/ask?render=html"
    with client.http.stream("POST", url, json={"question": "What?"}) as response:
        found = []
        for event in events(response.iter_bytes()):
            found.append(event)
            if event.name == "html" and "thr" in event.data["html"]:
                client.http.post(f"/api/turns/{response.headers['Turn-Id']}/stop")
    assert found[-1].name == "stopped"
    assert shown(found)[0] == ["<p>One.</p>", "<p>Two **thr</p>"]
    told = client.http.get(f"/api/sessions/{session}?render=html").json()["turns"][0]
    assert told["html"] == ["<p>One.</p>", "<p>Two **thr</p>"]


def test_past_turns_come_as_html_when_asked_for(client: Client, upstream: Recorder, session: str) -> None:
    text = "\n\n".join(PAYLOADS)
    answers(upstream, text_events(text))
    streamed, _ = shown(ask(client, session))
    for _ in range(2):
        turn = client.http.get(f"/api/sessions/{session}?render=html").json()["turns"][0]
        assert turn["html"] == streamed == blocks_of([{"type": "text", "text": text}])
        assert turn["answer"] == text
    assert "html" not in client.session(session)["turns"][0]


def test_another_way_to_render_is_refused(client: Client, session: str) -> None:
    response = client.http.get(f"/api/sessions/{session}?render=pdf")
    assert response.status_code == 422
    assert json.loads(response.text)["errors"][0]["field"] == "render"
