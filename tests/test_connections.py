"""Connections upstream: the warm's is the question's, however long that is typed, unless the other end has closed it."""

import time

import aiohttp.connector
import pytest

from tests.client import Client
from tests.recorder import Exchange, Recorder, Respond, answer
from tests.running import until


def warmed(client: Client) -> str:
    """A session with a warm that has just been paid for."""
    client.add_context()
    session: str = client.start()["session"]
    assert client.warm(session, wait=True)["state"] == "warm"
    return session


@pytest.mark.parametrize(("typed_s", "connections"), [(6, 1), (220, 1), (241, 2)])
def test_a_question_goes_over_the_connection_of_its_warm_for_as_long_as_nobody_forgets_it(
    client: Client, upstream: Recorder, monkeypatch: pytest.MonkeyPatch, typed_s: float, connections: int
) -> None:
    session = warmed(client)
    assert upstream.connections == 1
    monkeypatch.setattr(aiohttp.connector, "monotonic", lambda: time.monotonic() + typed_s)
    assert client.ask(session, "What?")[-1].name == "verdict"
    assert upstream.connections == connections


async def answer_and_close(exchange: Exchange) -> None:
    await answer(exchange)
    exchange.writer.close()


async def answer_and_break_off(exchange: Exchange) -> None:
    await answer(exchange)
    exchange.cut()


def test_a_connection_that_was_closed_while_somebody_typed_fails_no_question(
    client: Client, upstream: Recorder
) -> None:
    """Without a single try of the SDK's: the pool itself sees that it is gone."""
    session = warmed(client)
    for number in range(3):
        upstream.hang_up()
        assert client.ask(session, f"Question {number}?")[-1].name == "verdict"
    assert (upstream.connections, len(upstream.asks)) == (4, 3)


@pytest.mark.parametrize("end", [answer_and_close, answer_and_break_off])
def test_nor_does_one_that_ends_with_its_answer(client: Client, upstream: Recorder, end: Respond) -> None:
    upstream.default = end
    session = warmed(client)
    for number in range(3):
        until(lambda: not upstream.open, "the end of a connection")
        assert client.ask(session, f"Question {number}?")[-1].name == "verdict"
    assert (upstream.connections, len(upstream.asks)) == (4, 3)
