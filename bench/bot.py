"""A bot that focuses all day: thousands of isolated sessions from 50 addresses, none of which is ever asked anything.

    python -m bench.bot [--short] [--focuses 10000]

A recording upstream bills every warm at its own count of tokens. Passes when that bill is no larger than the budget and
equals the server's ledger, to the cent, and every question that real readers asked meanwhile was answered. Odds are kept
from stopping the bot first, so that the budget has to; with them on, as anywhere else, the bot is stopped earlier, and
that is shown, too.
"""

import argparse
import asyncio
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import httpx2

from tests.client import Client
from tests.recorder import Exchange, Recorder, answer, recording, usage
from tests.running import RedisProcess, free_port, process

ADDRESSES, AT_ONCE, SERVERS = 50, 16, 2
BUDGET_USD = 20.0
CONTEXT, INPUT_USD, WRITE_USD = "asyncio", 2.00 / 1e6, 2.50 / 1e6
UNCACHED = 7
ASK_EVERY_S = 0.5


@dataclass
class Bill:
    """What the upstream charges for warms, by its own count."""

    dice: random.Random
    tokens: list[int] = field(default_factory=list)

    async def respond(self, exchange: Exchange) -> None:
        if not exchange.is_warm:
            await answer(exchange)
            return
        written = self.dice.randrange(110_000, 190_000)
        self.tokens.append(written)
        # Some calls take long: money has to be kept for what is still under way.
        await asyncio.sleep(self.dice.choice((0.0, 0.05, 0.5)))
        message = {"id": f"msg_{exchange.number}", "type": "message", "role": "assistant", "model": "m", "content": []}
        await exchange.send_json(
            200, message | {"stop_reason": "max_tokens", "usage": usage(written=written, uncached=UNCACHED)}
        )

    @property
    def usd(self) -> float:
        return sum(written * WRITE_USD + UNCACHED * INPUT_USD for written in self.tokens)


async def focus(urls: list[str], focuses: int) -> Counter[str]:
    """Open an isolated session and focus it, `focuses` times; what came of it."""
    outcomes: Counter[str] = Counter()
    turns = iter(range(focuses))
    cookies: dict[str, str] = {}

    async def bot(client: httpx2.AsyncClient) -> None:
        for number in turns:
            address = f"203.0.113.{number % ADDRESSES + 1}"
            headers = {"x-forwarded-for": address, "cookie": cookies.get(address, "")}
            made = await client.post(
                "/api/sessions", json={"context": CONTEXT, "isolation": "session"}, headers=headers
            )
            for name, value in made.cookies.items():
                headers["cookie"] = cookies[address] = f"{name}={value}"
            client.cookies.clear()
            path = f"/api/sessions/{made.json()['session']}/warm"
            warm = (await client.post(path, json={"trigger": "focus"}, headers=headers)).json()["warm"]
            outcomes[warm["reason"] or warm["state"]] += 1

    clients = [httpx2.AsyncClient(base_url=urls[number % len(urls)], timeout=60) for number in range(AT_ONCE)]
    try:
        await asyncio.gather(*(bot(client) for client in clients))
    finally:
        for client in clients:
            await client.aclose()
    return outcomes


def ask_meanwhile(url: str, stop: threading.Event, ends: list[str]) -> None:
    """A question again and again, each from another reader: one alone may not ask as many a minute."""
    while not stop.wait(ASK_EVERY_S):
        with httpx2.Client(base_url=url, timeout=60) as http:
            reader = Client(http)
            ends.append(reader.ask(reader.start(CONTEXT)["session"], "Is anybody there?")[-1].name)


def run(focuses: int, *, value_of_second_usd: float | None) -> bool:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headstart-bench-")))
        redis = RedisProcess(folder)
        redis.start()
        stack.callback(redis.stop)
        upstream = stack.enter_context(recording())
        bill = Bill(random.Random(focuses))
        upstream.default = bill.respond
        urls = _servers(stack, redis, upstream, folder, value_of_second_usd)
        stop, ends = threading.Event(), list[str]()
        readers = ThreadPoolExecutor(len(urls))
        asking = [readers.submit(ask_meanwhile, url, stop, ends) for url in urls]
        began = time.perf_counter()
        try:
            outcomes = asyncio.run(focus(urls, focuses))
        finally:
            stop.set()
            readers.shutdown()
        for reader in asking:
            # What refused or broke one is not to be lost with its thread.
            reader.result()
        took = time.perf_counter() - began
        entered = _ledger(urls[0], len(bill.tokens))
    within = bill.usd <= BUDGET_USD
    same = round(bill.usd, 2) == round(entered, 2)
    answered = ends.count("verdict")
    print(f"{focuses:,} focuses from {ADDRESSES} addresses in {took:.0f} s: " + _counted(outcomes))
    print(f"the upstream billed {len(bill.tokens)} warms at ${bill.usd:.4f}, budget ${BUDGET_USD:.2f}: {_said(within)}")
    print(f"the ledger has ${entered:.4f}: {_said(same)}")
    print(f"real questions meanwhile: {answered} of {len(ends)} answered: {_said(answered == len(ends) > 0)}")
    return within and same and answered == len(ends) > 0


def _servers(
    stack: ExitStack, redis: RedisProcess, upstream: Recorder, folder: Path, value_of_second_usd: float | None
) -> list[str]:
    environment = {
        "HEADSTART_REDIS_URL": redis.url,
        "ANTHROPIC_BASE_URL": upstream.url,
        "HEADSTART_WARM_USD_PER_HOUR": str(BUDGET_USD),
        # So that an hour that ends meanwhile changes nothing.
        "HEADSTART_WARM_USD_PER_DAY": str(BUDGET_USD),
    }
    if value_of_second_usd is not None:
        environment["HEADSTART_VALUE_OF_SECOND_USD"] = str(value_of_second_usd)
    started = [
        stack.enter_context(
            process("serve", log=folder / f"{number}.log", HEADSTART_PORT=str(free_port()), **environment)
        )
        for number in range(SERVERS)
    ]
    for one in started:
        one.wait_ready()
    return [one.url for one in started]


def _ledger(url: str, warms: int) -> float:
    """What the server has entered for warms, once the last of them is."""
    for _ in range(100):
        totals = httpx2.get(f"{url}/api/stats", timeout=30).json()["totals"]
        if totals.get("warm_calls", 0) >= warms:
            break
        time.sleep(0.05)
    return float(totals.get("warm_cost_usd", 0.0))


def _counted(outcomes: Counter[str]) -> str:
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())


def _said(passed: bool) -> str:
    return "PASS" if passed else "OVER"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="600 focuses")
    parser.add_argument("--focuses", type=int, default=10_000, help="how often the bot focuses (default: 10,000)")
    chosen = parser.parse_args()
    focuses = 600 if chosen.short else chosen.focuses
    print("The budget alone:")
    results = [run(focuses, value_of_second_usd=1e6)]
    print("With the odds, as usual:")
    results.append(run(focuses // 4, value_of_second_usd=None))
    sys.exit(0 if all(results) else 1)


if __name__ == "__main__":
    main()
