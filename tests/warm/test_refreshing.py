"""A warm that was to make a live entry last longer, and came to nothing: what is warm stays warm until it expires."""

import pytest

from tests.client import Client
from tests.recorder import Exchange, Recorder, Respond, answer, held, refuse
from tests.warm.turning import Memory

ALMOST_OVER_S = 280


def near_its_end(client: Client, memory: Memory) -> tuple[str, str]:
    """A session whose prefix is warm, but not for long, and that prefix."""
    client.add_context()
    session = client.start()
    assert client.warm(session["session"], wait=True)["state"] == "warm"
    memory.age(session["prefix"]["digest"], ALMOST_OVER_S)
    return session["session"], session["prefix"]["digest"]


async def cut(exchange: Exchange) -> None:
    exchange.cut()


@pytest.mark.parametrize("fault", [cut, refuse(500, "api_error"), refuse(400, "invalid_request_error")])
def test_after_a_failed_refresh_a_question_still_hits(
    client: Client, upstream: Recorder, memory: Memory, fault: Respond
) -> None:
    session, digest = near_its_end(client, memory)
    before = client.session(session)["warm"]
    upstream.default = fault
    after = client.warm(session, wait=True)
    assert len(upstream.warms) == 2
    assert (after["state"], after["expires_at"], after["tokens_written"]) == ("warm", before["expires_at"], 5_000)
    # Triggers rest after a failure, as they do after any other.
    assert client.warm(session, wait=True)["state"] == "warm"
    assert len(upstream.warms) == 2
    upstream.default = answer
    first, *_, last = client.ask(session, "Still?")
    assert (first.data["plan"], last.data["cache"], last.data["expected_read"]) == ("hit", "hit", 5_000)
    # What was read lives on from there.
    assert int(memory.warm(digest)["expires_ms"]) > memory.now_ms() + 290_000


def test_what_failed_to_be_refreshed_expires_when_it_would_have(
    client: Client, upstream: Recorder, memory: Memory
) -> None:
    session, digest = near_its_end(client, memory)
    upstream.script.append(refuse(500, "api_error"))
    assert client.warm(session, wait=True)["state"] == "warm"
    memory.age(digest, 30)
    first, *_ = client.ask(session, "Still?")
    assert (first.data["plan"], first.data["warm"]["state"], first.data["warm"]["reason"]) == (
        "cold",
        "cold",
        "expired",
    )


def test_when_the_process_that_refreshes_is_gone_a_question_still_hits(
    client: Client, upstream: Recorder, memory: Memory
) -> None:
    session, digest = near_its_end(client, memory)
    upstream.script.append(held)
    assert client.warm(session)["state"] == "warming"
    upstream.wait_for(2)
    # Its lease has run out, and the entry has not.
    memory.redis.hset(memory.key(f"hs:warm:*{digest}}}"), "lease_ms", 1)
    assert client.session(session)["warm"]["state"] == "warm"
    first, *_ = client.ask(session, "Still?")
    assert (first.data["plan"], first.data["warm"]["state"]) == ("hit", "warm")
    upstream.release()


def test_a_question_during_a_refresh_that_fails_made_the_entry_last(
    client: Client, upstream: Recorder, memory: Memory
) -> None:
    session, digest = near_its_end(client, memory)

    async def held_then_refused(exchange: Exchange) -> None:
        if await exchange.pause():
            await refuse(500, "api_error")(exchange)

    upstream.script.append(held_then_refused)
    assert client.warm(session)["state"] == "warming"
    upstream.wait_for(2)
    assert client.ask(session, "Meanwhile?")[0].data["plan"] == "hit"
    upstream.release()
    fork = client.http.post(f"/api/sessions/{session}/fork", json={"after_turn": 0}).json()["session"]
    assert client.warm(fork, wait=True)["state"] == "warm"
    assert int(memory.warm(digest)["expires_ms"]) > memory.now_ms() + 290_000
