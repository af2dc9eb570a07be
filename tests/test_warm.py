"""Warming: the bytes that warm and ask share."""

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from anthropic.types import MessageCreateParams
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from tests.client import Client
from tests.recorder import END, Exchange, Recorder, answer, held, message_start, refuse, text_events

LARGE = 1_000_000
LOOKBACK = 20
PARAMS: TypeAdapter[Any] = TypeAdapter(MessageCreateParams)
HARD_TO_CARRY = (
    '“quotes” "and" \\backslashes\\ \\u0041 \u2028\u2029 \u0085 \x7f\x01 é/e\u0301 𝄞 👩\u200d👧 \ufeff </b> \r\n\t{}[]:'
)


def assert_sent_prefix(exchange: Exchange, prefix: dict[str, Any]) -> bytes:
    """That `exchange` carried the session's prefix; its bytes."""
    shared = exchange.body[: prefix["bytes"]]
    assert len(shared) == prefix["bytes"]
    assert hashlib.sha256(shared).hexdigest() == prefix["digest"]
    return shared


def marks(body: Any) -> list[dict[str, Any]]:
    """Every `cache_control` in a request, in order."""
    if isinstance(body, dict):
        own = [body["cache_control"]] if "cache_control" in body else []
        return own + [found for value in body.values() for found in marks(value)]
    return [found for value in body for found in marks(value)] if isinstance(body, list) else []


def assert_valid(exchange: Exchange) -> None:
    """What the Messages API asks of any body: JSON, its own types, at most four breakpoints, roles in turns."""
    body = exchange.json
    PARAMS.validate_python(body)
    assert 1 <= len(marks(body)) <= 4
    assert len(marks(body)) == exchange.body.count(b'"cache_control"')
    roles = [message["role"] for message in body["messages"]]
    assert roles == ["user", "assistant"] * (len(roles) // 2) + ["user"]
    assert body.get("stream", False) == (body["max_tokens"] > 0)


def blocks_of(exchange: Exchange) -> list[dict[str, Any]]:
    """The content blocks of a request in the order that the cache counts them."""
    body = exchange.json
    blocks = list(body.get("system", []))
    for message in body["messages"]:
        content = message["content"]
        blocks += content if isinstance(content, list) else [{"type": "text", "text": content}]
    return blocks


def test_a_warm_under_way_says_how_long_it_should_take_as_soon_as_calls_were_seen(
    client: Client, upstream: Recorder
) -> None:
    client.add_context("first")
    client.add_context("second", documents=[{"title": "b.txt", "text": "Beta. " * (LARGE // 6)}])
    upstream.script.append(held)
    first, second = (client.start(name)["session"] for name in ("first", "second"))
    warming = client.warm(first)
    assert (warming["state"], warming["predicted_ms"]) == ("warming", None)
    upstream.wait_for(1)
    upstream.release()
    assert client.warm(first, wait=True)["state"] == "warm"
    upstream.hold()
    upstream.script.append(held)
    warming = client.warm(second)
    assert warming["state"] == "warming"
    assert warming["predicted_ms"] > 0
    assert client.session(second)["warm"]["predicted_ms"] == warming["predicted_ms"]
    upstream.release()
    ended = client.warm(second, wait=True)
    assert (ended["state"], ended["predicted_ms"]) == ("warm", None)


def thinking_events(text: str, signature: str, index: int) -> list[dict[str, Any]]:
    def delta(kind: str, **parts: str) -> dict[str, Any]:
        return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **parts}}

    block = {"type": "thinking", "thinking": "", "signature": ""}
    return [
        {"type": "content_block_start", "index": index, "content_block": block},
        delta("thinking_delta", thinking=text[: len(text) // 2]),
        delta("thinking_delta", thinking=text[len(text) // 2 :]),
        delta("signature_delta", signature=signature),
        {"type": "content_block_stop", "index": index},
    ]


def saying(*events: dict[str, Any]) -> Callable[[Exchange], Any]:
    async def respond(exchange: Exchange) -> None:
        if exchange.is_warm:
            await answer(exchange)
            return
        await exchange.start_stream()
        for data in (message_start(exchange.number), *events, *END):
            await exchange.event(data)
        await exchange.end_stream()

    return respond


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({}, id="plain"),
        pytest.param({"ttl": "1h"}, id="1h"),
        pytest.param({"thinking": "adaptive", "effort": "high"}, id="adaptive"),
        pytest.param({"thinking": "between_tools"}, id="between tools"),
        pytest.param({"isolation": "session"}, id="isolated"),
        pytest.param({"isolation": "session", "ttl": "1h", "instructions": HARD_TO_CARRY}, id="isolated 1h"),
        pytest.param({"model": "a-model-of-your-own", "max_tokens": 77}, id="unknown model"),
    ],
)
def test_warm_and_ask_send_the_same_prefix_in_every_turn(
    client: Client, upstream: Recorder, fields: dict[str, Any]
) -> None:
    isolation = {key: fields.pop(key) for key in ("isolation",) if key in fields}
    texts = [HARD_TO_CARRY * 3, "Ünïcode 🎉 ", "x" * 5000]
    documents = [{"title": f"docs/{number} “é”.md", "text": text} for number, text in enumerate(texts)]
    client.add_context(documents=documents, **fields)
    session = client.start(**isolation)["session"]
    longer: bytes = b""
    for number in range(1, 6):
        prefix = client.session(session)["prefix"]
        seen = len(upstream.exchanges)
        assert client.warm(session, wait=True)["state"] == "warm"
        question = f"Question {number}: {HARD_TO_CARRY}"
        assert client.ask(session, question)[-1].name == "verdict"
        warm, ask = upstream.exchanges[seen:]
        assert (warm.is_warm, ask.is_warm) == (True, False)
        assert assert_sent_prefix(warm, prefix) == assert_sent_prefix(ask, prefix)
        for exchange in (warm, ask):
            assert_valid(exchange)
            sent = [block["source"]["data"] for block in blocks_of(exchange) if block["type"] == "document"]
            assert sent == texts
            assert {mark.get("ttl", "5m") for mark in marks(exchange.json)} == {fields.get("ttl", "5m")}
        assert warm.json["max_tokens"] == 0
        assert blocks_of(ask)[-1] == {"type": "text", "text": question}
        assert len(marks(ask.json)) == prefix["breakpoints"]
        shared = assert_sent_prefix(ask, prefix).replace(MARKS[fields.get("ttl", "5m")], b"")
        assert shared.startswith(longer)
        longer = shared
    answers = [turn["answer"] for turn in client.session(session)["turns"]]
    assert [block["text"] for block in blocks_of(ask) if block["type"] == "text"][-2] == answers[-2]


MARKS = {"5m": b',"cache_control":{"type":"ephemeral"}', "1h": b',"cache_control":{"type":"ephemeral","ttl":"1h"}'}


def test_documents_of_a_megabyte_go_out_byte_for_byte(client: Client, upstream: Recorder) -> None:
    text = ('ünïcode \\ " \u2028 🎉 and plain words. ' * 30_000)[:LARGE]
    assert len(text.encode()) > LARGE
    client.add_context(documents=[{"title": "large", "text": text}])
    session = client.start()
    client.warm(session["session"], wait=True)
    client.ask(session["session"], "How large?")
    for exchange in upstream.exchanges:
        assert_sent_prefix(exchange, session["prefix"])
        assert blocks_of(exchange)[0]["source"]["data"] == text


texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=60).filter(
    lambda text: bool(text.strip())
)


@settings(max_examples=25)
@given(
    documents=st.lists(st.tuples(texts, texts), min_size=1, max_size=4),
    instructions=st.none() | texts,
    history=st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), max_size=3),
    ttl=st.sampled_from(["5m", "1h"]),
    isolation=st.sampled_from(["shared", "session"]),
)
def test_whatever_is_asked_about_the_two_bodies_share_the_prefix(
    client: Client,
    upstream: Recorder,
    documents: list[tuple[str, str]],
    instructions: str | None,
    history: list[tuple[str, list[str]]],
    ttl: str,
    isolation: str,
) -> None:
    given = [{"title": title, "text": text} for title, text in documents]
    client.add_context("any", documents=given, instructions=instructions, ttl=ttl)
    session = client.start("any", isolation=isolation)["session"]
    for question, said in [*history, ("And?", ["Enough."])]:
        upstream.default = saying(*(event for index, text in enumerate(said) for event in text_events(text, index)))
        prefix = client.session(session)["prefix"]
        upstream.exchanges.clear()
        client.warm(session, wait=True)
        assert client.ask(session, question)[-1].name == "verdict"
        for exchange in upstream.exchanges:
            assert_sent_prefix(exchange, prefix)
            assert_valid(exchange)
        asked = upstream.exchanges[-1].json
    spoken = [message["content"] for message in asked["messages"]]
    assert [(block["title"], block["source"]["data"]) for block in spoken[0][: len(documents)]] == documents
    assert spoken[-1][-1]["text"] == "And?"
    answers = [[block["text"] for block in content] for content in spoken[1::2]]
    assert answers == [said for _, said in history]


def test_an_answer_goes_back_verbatim_thinking_and_signature_included(client: Client, upstream: Recorder) -> None:
    citation = {"type": "char_location", "cited_text": "Alpha.", "document_index": 0, "document_title": "a.txt"}
    citation |= {"start_char_index": 0, "end_char_index": 6, "file_id": None}
    upstream.default = saying(
        *thinking_events("Let me think — über 🎉 \u2028", "c2lnbmF0dXJl==", 0),
        {"type": "content_block_start", "index": 1, "content_block": {"type": "redacted_thinking", "data": "ENC"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {"type": "text", "text": "", "citations": []}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "citations_delta", "citation": citation}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "text_delta", "text": "Alpha “it” says."}},
        {"type": "content_block_stop", "index": 2},
    )
    client.add_context(thinking="adaptive")
    session = client.start()["session"]
    client.ask(session, "What does it say?")
    client.ask(session, "And then?")
    said = upstream.asks[-1].json["messages"][1]["content"]
    assert said[0] == {
        "type": "thinking",
        "thinking": "Let me think — über 🎉 \u2028",
        "signature": "c2lnbmF0dXJl==",
    }
    assert said[1] == {"type": "redacted_thinking", "data": "ENC"}
    mark = said[2].pop("cache_control")
    assert mark == {"type": "ephemeral"}
    # The API gives `file_id`, and takes none back.
    del citation["file_id"]
    assert said[2] == {"type": "text", "text": "Alpha “it” says.", "citations": [citation]}
    (turn, _) = client.session(session)["turns"]
    assert turn["thinking"] == "Let me think — über 🎉 \u2028"
    assert turn["answer"] == "Alpha “it” says."


def test_after_an_answer_of_forty_blocks_an_earlier_entry_is_still_within_reach(
    client: Client, upstream: Recorder
) -> None:
    client.add_context()
    session = client.start()["session"]
    written: list[int] = []
    for blocks in (1, 40, 40, 1, 19, 18, 20, 2):
        upstream.default = saying(*(event for index in range(blocks) for event in text_events(f"Part {index}.", index)))
        client.warm(session, wait=True)
        client.ask(session, "Go on?")
        sent = blocks_of(upstream.asks[-1])
        marked = [place for place, block in enumerate(sent) if "cache_control" in block]
        assert len(marked) <= 4
        if written:
            found = [mark for mark in marked if any(mark - LOOKBACK < entry <= mark for entry in written)]
            longest = max(written)
            assert any(mark - LOOKBACK < longest <= mark for mark in found), (marked, written)
        written = marked


@pytest.mark.parametrize(
    "events",
    [
        pytest.param(thinking_events("Only thinking", "sig", 0), id="thinking alone"),
        pytest.param([*text_events("Said.", 0), *thinking_events("And then", "sig", 1)], id="thinking last"),
        pytest.param(text_events("\n\n", 0, pieces=1), id="whitespace"),
        pytest.param([*text_events("Said.", 0), *text_events(" ", 1)], id="whitespace after text"),
        pytest.param([], id="nothing"),
        pytest.param([{"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}], id="no text"),
    ],
)
def test_an_answer_that_the_api_would_not_take_back_does_not_end_the_conversation(
    client: Client, upstream: Recorder, events: list[dict[str, Any]]
) -> None:
    upstream.script.append(saying(*events))
    client.add_context()
    session = client.start()["session"]
    assert client.ask(session, "Odd?")[-1].name == "verdict"
    assert client.session(session)["turns"][0]["state"] == "done"
    assert client.ask(session, "Odder?")[-1].name == "verdict"
    assert_valid(upstream.asks[-1])
    for message in upstream.asks[-1].json["messages"]:
        content = message["content"]
        assert content
        assert content[-1]["type"] not in ("thinking", "redacted_thinking")
        assert all(block["text"].strip() for block in content if block["type"] == "text")


def test_a_fork_shares_the_prefix_and_then_goes_its_own_way(client: Client, upstream: Recorder) -> None:
    client.add_context()
    session = client.start()["session"]
    prefixes = [client.session(session)["prefix"]]
    for question in ("One?", "Two?", "Three?"):
        client.ask(session, question)
        prefixes.append(client.session(session)["prefix"])
    for after in range(4):
        response = client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": after})
        assert response.status_code == 201
        fork = response.json()
        assert {**fork["prefix"], "tokens": None} == {**prefixes[after], "tokens": None}
        turns = client.session(fork["session"])["turns"]
        assert [turn["question"] for turn in turns] == ["One?", "Two?", "Three?"][:after]
        client.ask(fork["session"], "Elsewhere?")
        assert_sent_prefix(upstream.asks[-1], prefixes[after])
        assert client.session(fork["session"])["prefix"]["digest"] not in {prefix["digest"] for prefix in prefixes}
    assert client.session(session)["prefix"]["digest"] == prefixes[-1]["digest"]
    assert client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": 4}).status_code == 422


def test_an_isolated_fork_says_the_same_over_a_prefix_that_nobody_shares(client: Client, upstream: Recorder) -> None:
    client.add_context(instructions="Be brief.")
    session = client.start()["session"]
    for question in ("One?", "Two?"):
        client.ask(session, question)
    for after in range(3):
        known = client.session(session)
        shared, apart = (
            client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": after, "isolation": isolation}).json()
            for isolation in ("shared", "session")
        )
        for fork in (shared, apart):
            client.ask(fork["session"], "Elsewhere?")
            assert_sent_prefix(upstream.asks[-1], fork["prefix"])
        branch, copy = (exchange.json for exchange in upstream.asks[-2:])
        assert copy["system"].pop(0)["text"].startswith("Session ")
        assert copy == branch
        assert apart["prefix"]["digest"] != shared["prefix"]["digest"]
        found = client.session(apart["session"])
        assert found["forked_from"] is None
        assert found["conversation"] != known["conversation"]
        assert [turn["question"] for turn in found["turns"]] == [*("One?", "Two?")[:after], "Elsewhere?"]
        assert_sent_prefix(_asked_again(client, upstream, apart["session"]), found["prefix"])
        assert all(apart["session"] not in turn["branches"] for turn in client.session(session)["turns"])
        assert client.session(session)["prefix"]["digest"] == known["prefix"]["digest"]


def _asked_again(client: Client, upstream: Recorder, session: str) -> Exchange:
    client.ask(session, "And again?")
    return upstream.asks[-1]


def test_the_stats_are_what_the_upstream_saw(client: Client, upstream: Recorder) -> None:
    sessions = []
    for number in range(3):
        client.add_context(f"c{number}", instructions=f"Number {number}.")
        sessions.append(client.start(f"c{number}")["session"])
    for number, session in enumerate(sessions * 3):
        if number % 2:
            client.warm(session, wait=True)
        if number == 4:
            upstream.script.append(refuse(500, "api_error"))
        client.ask(session, f"Question {number}?")
    totals = client.http.get("/api/stats").json()["totals"]
    assert totals["warm_calls"] == len(upstream.warms)
    assert totals["ask_calls"] == len(upstream.asks) == 9
    assert totals["ask_failed"] == 1
    assert totals["turns"] == 8
    assert totals["tokens_written"] == 5000 * len(upstream.warms)
    assert totals["tokens_read"] == 5000 * 8
    assert totals["tokens_output"] == 9 * 8
    assert totals["tokens_uncached"] == 7 * (8 + len(upstream.warms))
