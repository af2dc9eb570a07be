"""What tests of the gate before every warm ask, look at, and have the upstream say."""

from typing import Any

from tests.client import Client
from tests.recorder import END, Exchange, Respond, answer, message_start, text_events, usage
from tests.warm.turning import Memory

# A second is worth more than any warm costs.
WORTH_IT = 1e6


def skips(client: Client) -> dict[str, int]:
    found: dict[str, int] = client.http.get("/api/stats").json()["totals"]["skips"]
    return found


def alone(client: Client, context: str = "docs") -> str:
    """A session whose prefix is nobody else's."""
    session: str = client.start(context, isolation="session")["session"]
    return session


def warmed(client: Client, session: str, **fields: Any) -> str:
    return str(client.warm(session, wait=True, **fields)["state"])


def assert_skipped(warm: dict[str, Any], reason: str) -> None:
    unknown = ("started_at", "expires_at", "tokens_read", "tokens_written", "cost_usd", "message_id", "predicted_ms")
    nothing = dict.fromkeys(unknown)
    assert warm == {"state": "skipped", "reason": reason, "shared": False, **nothing}


def counting(tokens: int) -> Respond:
    """An upstream that counts every prefix as `tokens` long, and writes it."""

    async def respond(exchange: Exchange) -> None:
        counted = usage(read=0, written=tokens, uncached=0)
        if exchange.is_warm:
            message = {"id": f"msg_{exchange.number}", "type": "message", "role": "assistant", "model": "m"}
            await exchange.send_json(200, message | {"content": [], "stop_reason": "max_tokens", "usage": counted})
            return
        await exchange.start_stream()
        for data in (message_start(exchange.number, counted), *text_events("Fine."), *END):
            await exchange.event(data)
        await exchange.end_stream()

    return respond


async def uncached(exchange: Exchange) -> None:
    """An upstream that finds every prefix too short."""
    await answer(exchange) if not exchange.is_warm else await exchange.send_json(
        200, {"id": "m", "type": "message", "content": [], "usage": usage(read=0, written=0, uncached=40)}
    )


def expire(memory: Memory, client: Client, session: str) -> None:
    memory.age(client.session(session)["prefix"]["digest"], 301)
