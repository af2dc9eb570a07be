"""A turn: from a question, over events that are the Messages API's own, to a transcript that is the next prefix."""

from tests.client import Client
from tests.recorder import Exchange, Recorder, sse, whole_answer


def test_the_turn_event_comes_first_then_the_apis_own_events_untouched_then_the_verdict(
    client: Client, upstream: Recorder
) -> None:
    sent = whole_answer("Ünïcode 🎉")
    sent.insert(1, {"type": "ping"})

    async def respond(exchange: Exchange) -> None:
        await exchange.start_stream()
        for data in sent:
            await exchange.chunk(sse(data))
        await exchange.end_stream()

    upstream.default = respond
    client.add_context()
    got = client.ask(client.start()["session"], "Why?")
    assert [event.name for event in got] == ["turn", *(data["type"] for data in sent), "verdict"]
    assert [event.data for event in got[1:-1]] == sent
    for event, data in zip(got[1:-1], sent, strict=True):
        assert event.raw.endswith(sse(data))


def test_every_event_but_ping_has_an_id_unique_and_increasing(client: Client) -> None:
    client.add_context()
    ids = [event.id for event in client.ask(client.start()["session"], "Why?") if event.name != "ping"]
    assert all(number is not None for number in ids)
    assert ids == sorted(set(ids), key=lambda number: number or 0)
